//! The storm of a chaos run: every now and then something goes wrong, several things at once, while one worker of the active view is
//! always spared. What is dealt, when and for how long follows from the seed, and so does the choice among the workers that may be
//! harmed at that moment. A fault that did no harm is dealt once more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::Value;
use skein_sim::simulation::random::Random;

use super::fault::{Fault, Kind};
use super::names::Names;
use super::world::World;
use crate::clients::Clients;
use crate::harness::client::Client;
use crate::harness::cluster::Cluster;
use crate::harness::wait::until;
use crate::history::Moment;
use crate::scene::members;

/// How often the storm looks whether a fault is to end.
const TICK: Duration = Duration::from_millis(50);

/// How much longer it lasts at the most until each kind of fault has happened: one may be in vain, since its worker just then
/// had no connection that could be cut, or nothing to sync.
const LONGER: Duration = Duration::from_secs(60);

/// A worker that was harmed may still be about to be left out for this long; it is not the one that all depends on.
const SOUND_AFTER: Duration = Duration::from_secs(4);

/// How soon everybody is back when nothing goes wrong any more.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// A storm, and what it has done.
pub struct Storm {
    pub cluster: Cluster,
    pub random: Random,
    watcher: Client,
    names: Names,
    world: World,
    /// Kinds that are still to come before any comes again; one that was in vain comes once more.
    deck: Vec<Kind>,
    ongoing: Vec<(Instant, Fault)>,
    /// When each worker was last all right again.
    sound_since: Vec<Instant>,
    happened: BTreeMap<Kind, usize>,
    in_vain: usize,
    spared: usize,
    pub views: BTreeSet<u64>,
    /// When the coordinator was down, in moments of the history.
    pub down: Vec<(Moment, Moment)>,
    /// All that went wrong: from when to when, and what.
    pub timeline: Vec<(Moment, Moment, String)>,
    most_at_once: usize,
}

impl Storm {
    pub fn new(cluster: Cluster, world: World, seed: u64) -> Self {
        Storm {
            watcher: Client::new(&cluster.url()),
            names: Names::new(&cluster, seed, world.renames),
            random: Random::new(seed),
            world,
            deck: Vec::new(),
            ongoing: Vec::new(),
            sound_since: vec![Instant::now(); world.workers],
            happened: BTreeMap::new(),
            in_vain: 0,
            spared: 0,
            views: BTreeSet::new(),
            down: Vec::new(),
            timeline: Vec::new(),
            most_at_once: 0,
            cluster,
        }
    }

    /// Lets things go wrong for so long, and for longer if something has not gone wrong yet that has to.
    pub async fn rage(&mut self, duration: Duration, clients: &Clients) {
        let (begun, mut next) = (Instant::now(), Instant::now());
        let mut ticks = tokio::time::interval(TICK);
        while begun.elapsed() < duration || (!self.missing().is_empty() && begun.elapsed() < duration + LONGER) {
            ticks.tick().await;
            self.end_faults(false);
            let Some(standing) = self.standing().await else { continue };
            self.ready_again(&standing, clients);
            if Instant::now() >= next {
                next += Duration::from_millis(self.world.every_ms);
                self.strike(&standing, clients);
                self.most_at_once = self.most_at_once.max(self.ongoing.len());
            }
        }
    }

    /// Ends all faults and waits until every worker is a member and writes are taken.
    pub async fn calm(&mut self, clients: &Clients) {
        let whole = async || {
            self.end_faults(true);
            let standing = self.standing().await?;
            self.ready_again(&standing, clients);
            let is_whole = self.ongoing.is_empty() && self.members(&standing).len() == self.world.workers;
            (is_whole && standing["serving"] == true).then_some(())
        };
        until("everybody is back", WHOLE_WITHIN, whole).await;
        let is_down = self.down.iter().any(|(_, until)| *until == Moment::MAX);
        assert!(!is_down, "the coordinator said that it is ready");
    }

    /// What has not happened so far, of what has to.
    pub fn missing(&self) -> Vec<Kind> {
        let has_to = |_: &Kind| self.world.has_all_kinds();
        Kind::ALL.into_iter().filter(has_to).filter(|kind| !self.happened.contains_key(kind)).collect()
    }

    /// How many kinds have happened.
    pub fn kinds(&self) -> usize {
        self.happened.len()
    }

    /// The numbers, for people.
    pub fn summary(&self) -> String {
        let faults: Vec<String> =
            self.world.kinds().iter().map(|kind| format!("{kind} {}", self.happened.get(kind).unwrap_or(&0))).collect();
        format!(
            "views: {}\nfaults: {}; {} in vain, {} spared the last worker, {} at once at the most, {} workers renamed",
            self.views.len(),
            faults.join(", "),
            self.in_vain,
            self.spared,
            self.most_at_once,
            self.names.changed(),
        )
    }

    /// What the coordinator says, if it answers.
    async fn standing(&mut self) -> Option<Value> {
        let answer = self.watcher.send(Method::GET, "/api/cluster", &[], None).await.ok()?;
        let standing = answer.json();
        self.views.extend(standing["view"].as_u64());
        Some(standing)
    }

    /// The workers that are members.
    fn members(&self, standing: &Value) -> BTreeSet<usize> {
        let worker = |name: &String| self.names.worker(name).unwrap_or_else(|| panic!("{name} is no worker: {standing}"));
        members(standing).iter().map(worker).collect()
    }

    /// Notes that a coordinator that was started again serves.
    fn ready_again(&mut self, standing: &Value, clients: &Clients) {
        if standing["serving"] == true
            && let Some((_, until)) = self.down.last_mut().filter(|(_, until)| *until == Moment::MAX)
        {
            self.cluster.coordinator().await_ready();
            *until = clients.now();
        }
    }

    fn end_faults(&mut self, all: bool) {
        for (until, mut fault) in std::mem::take(&mut self.ongoing) {
            let is_over = (all || Instant::now() >= until) && fault.may_end();
            if !is_over {
                fault.look(&mut self.cluster);
                self.ongoing.push((until, fault));
                continue;
            }
            let (kind, worker) = (fault.kind, fault.worker);
            let happened = fault.end(&mut self.cluster);
            self.count(kind, happened);
            self.sound_since[worker] = Instant::now();
        }
    }

    fn count(&mut self, kind: Kind, happened: bool) {
        match happened {
            true => *self.happened.entry(kind).or_default() += 1,
            false => {
                self.in_vain += 1;
                self.deck.push(kind);
            }
        }
    }

    /// The next fault, if the cluster can bear it: one worker of the active view must stay whole.
    fn strike(&mut self, standing: &Value, clients: &Clients) {
        if self.deck.is_empty() {
            self.deck = self.world.kinds();
        }
        let place = self.random.index(self.deck.len());
        let kind = self.deck.swap_remove(place);
        if !kind.is_of_a_worker() {
            if self.down.last().is_some_and(|(_, until)| *until == Moment::MAX) {
                self.deck.push(kind);
                self.spared += 1;
                return;
            }
            self.restart(kind, clients);
            return;
        }
        let workers = 0..self.world.workers;
        let harmed: Vec<usize> = self.ongoing.iter().map(|(_, fault)| fault.worker).collect();
        let sound: BTreeSet<usize> = self
            .members(standing)
            .into_iter()
            .filter(|index| !harmed.contains(index) && self.sound_since[*index].elapsed() > SOUND_AFTER)
            .collect();
        let may_be_harmed: Vec<usize> =
            workers.filter(|index| !harmed.contains(index) && sound.iter().any(|other| other != index)).collect();
        if may_be_harmed.is_empty() {
            self.deck.push(kind);
            self.spared += 1;
            return;
        }
        let worker = self.random.pick(&may_be_harmed);
        let duration = kind.duration(&mut self.random);
        let fault = Fault::begin(kind, worker, duration, &mut self.cluster, &mut self.random);
        let (began, lasts) = (clients.now(), u64::try_from(duration.as_nanos()).expect("it is short"));
        self.timeline.push((began, began + lasts, format!("{kind}, {worker}")));
        self.ongoing.push((Instant::now() + duration, fault));
    }

    /// Kills the coordinator, or everything, and starts it again, perhaps with other names for its workers; whether it serves shows
    /// later.
    fn restart(&mut self, kind: Kind, clients: &Clients) {
        let killed = clients.now();
        if kind == Kind::Everything {
            // Nobody is paused or cut off any more; who was dead is started with the others.
            for (until, fault) in std::mem::take(&mut self.ongoing) {
                if !fault.may_end() {
                    self.ongoing.push((until, fault));
                    continue;
                }
                let kind = fault.kind;
                let happened = fault.overtaken(&mut self.cluster);
                self.count(kind, happened);
            }
            self.cluster.kill_all();
            self.names.draw(&mut self.cluster);
            self.cluster.spawn_all();
            self.sound_since.fill(Instant::now());
        } else {
            self.cluster.kill_coordinator();
            self.names.draw(&mut self.cluster);
            self.cluster.begin_coordinator();
        }
        self.down.push((killed, Moment::MAX));
        self.timeline.push((killed, clients.now(), kind.to_string()));
        self.count(kind, true);
    }
}
