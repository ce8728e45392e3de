//! The state of a world: everything that distinguishes one moment from another, and nothing else.
//!
//! A process that dies comes back in the same step: for the others a time without it is a time in which it does nothing, and
//! for good if it is never connected again. The peer of a lost connection hears of it in the same step too: what it would
//! have received or sent meanwhile, it could have received before and sent in vain. Only the messages of a coordinator that
//! died stay under way, since its successor acts before they come in.

use std::collections::BTreeSet;

use skein_protocol::id::{ClusterId, Incarnation, NodeId};
use skein_protocol::limits::Limits;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::operation::Operation;
use skein_protocol::record::Snapshot;
use skein_protocol::step::{Input, Peer, Role, Timer};

use super::action::Action;
use super::client::Client;
use super::disk::Disk;
use super::effect::commit;
use super::history::History;
use super::network::{Link, Remnant};
use super::reader::Reader;
use super::scenario::{Bounds, Scenario};
use crate::part::Part;

/// Steps that the way to the first quiet moment may take; more means that the machines never come to rest.
const PRELUDE_STEPS_MAX: usize = 10_000;

/// Lies between the identity of a worker and that of the one that starts in its place.
const REPLACED: u128 = 0x10;

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What the control store holds.
    pub store: Part<Option<ViewRecord>>,
    /// The coordinator's process.
    pub coordinator: CoordinatorProcess,
    /// The workers' processes.
    pub workers: Vec<WorkerProcess>,
    /// The clients, one for each request of the scenario.
    pub clients: Vec<Part<Client>>,
    /// The readers, one for each of the scenario.
    pub readers: Vec<Part<Reader>>,
    /// What an observer remembers.
    pub history: Part<History>,
    /// What may still happen.
    pub left: Bounds,
    /// The first thing that must never happen and did; nothing happens after it.
    pub fault: Option<Part<String>>,
}

/// A running coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoordinatorProcess {
    /// Which run it is, from 1.
    pub run: u64,
    /// The machine.
    pub machine: Part<Coordinator>,
    /// Timers that are set.
    pub timers: BTreeSet<Timer>,
    /// The swap that the control store has not answered.
    pub swap: Option<Part<Swap>>,
}

/// A swap under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Swap {
    /// What the control store must hold.
    pub expected: Option<ViewRecord>,
    /// What it shall hold.
    pub record: ViewRecord,
}

/// A running worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerProcess {
    /// The machine.
    pub machine: Part<Worker>,
    /// Timers that are set.
    pub timers: BTreeSet<Timer>,
    /// Its log.
    pub disk: Disk,
    /// The connection with the coordinator, while there is one.
    pub link: Option<Link>,
    /// Messages of coordinators that died.
    pub remnants: Vec<Remnant>,
}

impl World {
    /// The first moment of a scenario.
    pub fn start(scenario: &Scenario) -> Self {
        let store = Part::new(None);
        let coordinator = CoordinatorProcess::new(scenario, 1, None);
        let workers = (0..scenario.workers).map(|worker| WorkerProcess::new(scenario, worker)).collect();
        let clients = scenario.requests.iter().map(|_| Part::new(Client::default())).collect();
        let readers = scenario.readers.iter().map(|_| Part::new(Reader::default())).collect();
        let history = Part::new(History::default());
        let left = scenario.bounds;
        let mut world = World { store, coordinator, workers, clients, readers, history, left, fault: None };
        world.coordinator_handles(scenario, Input::Start);
        for worker in 0..scenario.workers {
            world.worker_handles(scenario, worker, Input::Start);
        }
        if !scenario.from_nothing {
            world.settle(scenario, None);
            world.commit_before(scenario, 0, &scenario.before);
        }
        if let Some(away) = scenario.away {
            world.leave_out(scenario, away);
            world.commit_before(scenario, 1, &scenario.missed);
        }
        world
    }

    /// This is committed everywhere before the exploration begins.
    fn commit_before(&mut self, scenario: &Scenario, number: u64, operations: &[Operation]) {
        if !operations.is_empty() {
            let request = commit(operations.to_vec());
            self.coordinator_handles(scenario, Input::Request { id: Client::before(number), request });
            self.settle(scenario, scenario.away.filter(|_| number > 0));
        }
    }

    /// A worker's connection is lost, and the view goes on without it.
    fn leave_out(&mut self, scenario: &Scenario, away: usize) {
        self.left = Bounds { cuts: 1, view_changes: 1, ..Bounds::default() };
        self.apply(scenario, &Action::Cut { worker: away });
        self.apply(scenario, &Action::CoordinatorTimer(Timer::ViewChange));
        self.settle(scenario, Some(away));
        self.left = scenario.bounds;
    }

    /// Lets all go on without faults, requests or timers until nothing is left to do; nobody connects to who is `away`.
    fn settle(&mut self, scenario: &Scenario, away: Option<usize>) {
        let mut actions = Vec::new();
        for _ in 0..PRELUDE_STEPS_MAX {
            actions.clear();
            self.actions(scenario, &mut actions);
            let happens =
                |action: &&Action| action.is_ordinary() && !matches!(action, Action::Connect { worker } if Some(*worker) == away);
            let Some(action) = actions.iter().find(happens) else { return };
            self.apply(scenario, &Action::clone(action));
        }
        panic!("the machines did not come to rest within {PRELUDE_STEPS_MAX} steps");
    }

    /// The worker of this identity.
    pub fn worker(&self, node: NodeId) -> Option<&WorkerProcess> {
        self.workers.iter().find(|worker| worker.node() == node)
    }

    /// The members of the last active view; none before the first.
    pub fn members(&self) -> impl Iterator<Item = &WorkerProcess> {
        let active = self.store.as_ref().and_then(|record| record.active.as_ref());
        let nodes = active.map_or_else(Vec::new, |active| active.view.members());
        nodes.into_iter().filter_map(|node| self.worker(node))
    }

    /// Whether a view change has been begun and not ended in the control store.
    pub fn is_view_pending(&self) -> bool {
        self.store.as_ref().is_some_and(|record| record.pending.is_some())
    }
}

impl CoordinatorProcess {
    /// The coordinator's run number `run`, which finds `record` in the control store.
    pub fn new(scenario: &Scenario, run: u64, record: Option<ViewRecord>) -> Self {
        let addresses = (0..scenario.workers).map(worker_address).collect();
        let mut config = CoordinatorConfig::new(coordinator_node(run), Incarnation(run), ClusterId(7), addresses, record);
        config.record_outcomes = false;
        config.misses_max = 0;
        config.request_sweeps = 1;
        config.doubt_sweeps = 1;
        config.rules = scenario.rules;
        let machine = Part::new(Coordinator::new(config));
        CoordinatorProcess { run, machine, timers: BTreeSet::new(), swap: None }
    }

    /// How it introduces itself.
    pub fn peer(&self) -> Peer {
        Peer { node: self.node(), role: Role::Coordinator, address: String::new(), cluster: None, logged: true, salvaged: false }
    }

    /// Its identity.
    pub fn node(&self) -> NodeId {
        coordinator_node(self.run)
    }
}

impl WorkerProcess {
    fn new(scenario: &Scenario, worker: usize) -> Self {
        WorkerProcess::started(scenario, worker, Disk::new(Snapshot::new(NodeId(worker as u128 + 1))))
    }

    fn started(scenario: &Scenario, worker: usize, disk: Disk) -> Self {
        let machine = Part::new(Worker::recover(worker_config(scenario, worker), (*disk.synced).clone()));
        WorkerProcess { machine, timers: BTreeSet::new(), disk, link: None, remnants: Vec::new() }
    }

    /// The process dies, `kept` of the unsynced records reach the disk nevertheless, and a new one starts from the log.
    pub fn restart(&mut self, scenario: &Scenario, worker: usize, kept: usize) {
        self.disk.lose(kept);
        *self = WorkerProcess::started(scenario, worker, self.disk.clone());
    }

    /// The process dies with all that it held, and one of another identity starts in its place.
    pub fn replace(&mut self, scenario: &Scenario, worker: usize) {
        let node = NodeId(self.node().0 + REPLACED);
        *self = WorkerProcess::started(scenario, worker, Disk::new(Snapshot::new(node)));
    }

    /// Its identity, which lives as long as its log.
    pub fn node(&self) -> NodeId {
        self.disk.synced.node
    }

    /// How it introduces itself.
    pub fn peer(&self, worker: usize) -> Peer {
        let cluster = self.disk.whole.cluster;
        Peer { node: self.node(), role: Role::Worker, address: worker_address(worker), cluster, logged: true, salvaged: false }
    }
}

fn worker_config(scenario: &Scenario, worker: usize) -> WorkerConfig {
    let default = WorkerConfig::default();
    let memory_bytes_max = if scenario.full == Some(worker) { 0 } else { default.memory_bytes_max };
    // One record a chunk, so that a copy takes several steps.
    let limits = Limits { chunk_records_max: 1, chunk_records_busy: 1, ..Limits::SHIPPED };
    WorkerConfig { memory_bytes_max, doubt_sweeps: 1, limits, rules: scenario.rules, ..default }
}

/// The identity of a run of the coordinator.
pub fn coordinator_node(run: u64) -> NodeId {
    NodeId(0x100 + u128::from(run))
}

fn worker_address(worker: usize) -> String {
    format!("w{worker}:1")
}
