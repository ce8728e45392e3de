//! Runs the checker over a world: to the end, to count its states and prove its promises, or until the first break, to
//! show the shortest way to it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use skein_protocol::membership::view::{View, ViewRecord};
use stateright::{Checker, HasDiscoveries, Model, Path};

use super::ClusterModel;
use super::action::Action;
use super::property;
use super::scenario::Scenario;
use super::world::World;

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Different moments that were reached.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
    /// Promises that were broken and sights that were seen, each with one way to it.
    pub discoveries: Vec<Discovery>,
    /// Whether every reachable moment was visited.
    pub complete: bool,
}

/// One thing found.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// The promise or sight.
    pub name: &'static str,
    /// Whether it is a broken promise.
    pub broken: bool,
    /// The steps to it, one a line.
    pub trace: String,
}

impl Findings {
    /// The first broken promise.
    pub fn broken(&self) -> Option<&Discovery> {
        self.discoveries.iter().find(|discovery| discovery.broken)
    }

    /// Whether this was found.
    pub fn has(&self, name: &str) -> bool {
        self.discoveries.iter().any(|discovery| discovery.name == name)
    }

    /// States visited in a second.
    pub fn states_per_second(&self) -> f64 {
        self.states as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Visits every moment of a world, depth first, since that needs the least memory.
pub fn explore(scenario: &Scenario, threads: usize) -> Findings {
    let model = ClusterModel { scenario: scenario.clone() };
    let begun = Instant::now();
    let checker = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    findings(&checker, begun, true)
}

/// Looks for the nearest broken promise among these (any, if none is named), breadth first, up to a number of states.
pub fn find_break(scenario: &Scenario, promises: &[&'static str], states_max: usize) -> Findings {
    let model = ClusterModel { scenario: scenario.clone() };
    let begun = Instant::now();
    let until = match promises {
        [] => HasDiscoveries::AnyFailures,
        named => HasDiscoveries::AnyOf(named.iter().copied().collect()),
    };
    let checker = model.checker().finish_when(until).target_state_count(states_max).spawn_bfs().join();
    findings(&checker, begun, false)
}

fn findings(checker: &impl Checker<ClusterModel>, begun: Instant, whole: bool) -> Findings {
    let took = begun.elapsed();
    let is_promise = |name| property::ALL.iter().any(|promise| promise.name == name);
    let mut discoveries: Vec<_> = checker
        .discoveries()
        .into_iter()
        .map(|(name, path)| Discovery { name, broken: is_promise(name), trace: trace(checker.model(), path) })
        .collect();
    discoveries.sort_by_key(|discovery| (!discovery.broken, discovery.trace.lines().count(), discovery.name));
    let complete = whole && !discoveries.iter().any(|discovery| discovery.broken);
    Findings { states: checker.unique_state_count(), took, discoveries, complete }
}

/// The steps of a path, one a line, with what the messages say.
fn trace(model: &ClusterModel, path: Path<World, Action>) -> String {
    let mut text = String::new();
    let mut fault = None;
    for (world, action) in path.into_vec() {
        fault.clone_from(&world.fault);
        if let Some(action) = action {
            let _ = writeln!(text, "{}", describe(&world, &action, model));
        }
    }
    if let Some(fault) = fault {
        let _ = writeln!(text, "fault: {}", *fault);
    }
    text
}

fn describe(world: &World, action: &Action, model: &ClusterModel) -> String {
    let workers = &world.workers;
    match *action {
        Action::Request { client } => format!("client {client} asks {:?}", model.scenario.requests[client]),
        Action::Down { worker, place } => {
            let link = workers[worker].link.as_ref();
            format!("w{worker} <- {:?}", link.and_then(|link| link.down.get(place)))
        }
        Action::Up { worker, place } => {
            let link = workers[worker].link.as_ref();
            format!("w{worker} -> {:?}", link.and_then(|link| link.up.get(place)))
        }
        Action::Late { worker, remnant, place } => {
            let remnant = &workers[worker].remnants[remnant];
            format!("w{worker} <- late from {:?}: {:?}", remnant.from, remnant.down.get(place))
        }
        Action::Sync { worker, records } => {
            format!("w{worker} syncs {:?}", &workers[worker].disk.unsynced[..records])
        }
        Action::SwapDone => match &world.coordinator.swap {
            Some(swap) => format!("the control store takes {}", view_of(&swap.record)),
            None => "the control store has nothing to take".to_owned(),
        },
        ref other => format!("{other:?}"),
    }
}

fn view_of(record: &ViewRecord) -> String {
    let members = |view: &View| view.members();
    match (&record.active, &record.pending) {
        (_, Some(pending)) => format!("pending view {} of {:?}", pending.number, members(pending)),
        (Some(active), None) => {
            format!("active view {} of {:?} with {:?}", active.view.number, members(&active.view), active.outcomes)
        }
        (None, None) => "a record without a view".to_owned(),
    }
}
