//! A small world in which stories of the protocol are told: a coordinator and workers, joined by queues that keep order, a control
//! store, and disks on which what is logged is folded as it comes. Nothing is lost and no time passes unless a story says so.
//! Each verb of a story comes back when nothing is under way any more, and after each input all invariants are looked at.
//!
//! This file holds the world and the step that it makes. The words of the stories stand in the files below: what happens to
//! `processes`, to the `network` and as `time` passes, what `clients` and `operators` ask for, and what `holds`.

use std::collections::BTreeMap;

pub use skein_protocol::id::{Incarnation, NodeId, TxnId, ViewNumber};
pub use skein_protocol::membership::view::ViewRecord;
pub use skein_protocol::message::{Message, Outcome};
pub use skein_protocol::operation::{Action, Consistency, Expect, Operation, Query, Shared, TableId};
pub use skein_protocol::rules::{Omission, Rules};
pub use skein_protocol::step::{AbortReason, Halt, Input, KnownOutcome, Machine, Output, Refusal, Reply, Request};

use skein_protocol::id::ClusterId;
use skein_protocol::limits::{self, Limits};
use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::record::Snapshot;
use skein_protocol::step::{Swapped, Timer};

mod clients;
mod holds;
mod network;
mod operators;
mod processes;
mod recorder;
mod rival;
mod time;

pub use clients::*;
pub use network::*;
use operators::Said;
pub use processes::*;
pub use recorder::*;
pub use rival::*;
pub use time::*;

pub const COORDINATOR: NodeId = NodeId(100);

/// A second coordinator, which leads from a control store of its own.
pub const RIVAL: NodeId = NodeId(101);

pub const W1: NodeId = NodeId(1);
pub const W2: NodeId = NodeId(2);
pub const W3: NodeId = NodeId(3);
pub const W4: NodeId = NodeId(4);

/// Machines that come in the place of the first ones.
pub const W11: NodeId = NodeId(11);
pub const W12: NodeId = NodeId(12);
pub const W13: NodeId = NodeId(13);

/// The cluster that the coordinator founds.
pub const CLUSTER: ClusterId = ClusterId(7);

/// How a world begins.
pub struct Setup {
    pub workers: usize,
    /// Whether workers have logs.
    pub logged: bool,
    /// The window of each coordinator.
    pub window: usize,
    /// The bounds of all machines.
    pub limits: Limits,
    /// The rules that all machines keep.
    pub rules: Rules,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { workers: 2, logged: true, window: limits::IN_FLIGHT_MAX, limits: Limits::SHIPPED, rules: Rules::ALL }
    }
}

pub struct World {
    setup: Setup,
    /// The coordinator of the last run, whether it runs or not.
    pub coordinator: Coordinator,
    coordinator_runs: bool,
    run: u64,
    /// The workers that the settings name.
    named: Vec<String>,
    pub rival: Option<Rival>,
    /// Workers that run, and what their logs add up to.
    pub workers: BTreeMap<NodeId, (Worker, Snapshot)>,
    /// The logs of workers that are stopped.
    pub logs: BTreeMap<NodeId, Snapshot>,
    addresses: BTreeMap<NodeId, String>,
    network: Network,
    pub control: Option<ViewRecord>,
    slow_swaps: bool,
    swaps: usize,
    pub replies: BTreeMap<u64, Reply>,
    requests: u64,
    /// The clock from which transactions get their ages.
    pub clock: u64,
    pub halt: Option<Halt>,
    /// The workers that the coordinator dials.
    pub roster: Vec<String>,
    pub timers: Timers,
    pub said: Said,
    /// Inputs that may follow from one thing that happens, at the most.
    pub inputs_max: usize,
    /// Invariants are looked at after every so many inputs.
    pub checked_every: usize,
    inputs: usize,
}

impl World {
    /// A coordinator and so many workers, in their first view.
    pub fn new(workers: usize) -> Self {
        World::set_up(Setup { workers, ..Setup::default() })
    }

    /// The same, where all machines keep these rules alone.
    pub fn keeping(rules: Rules, workers: usize) -> Self {
        World::set_up(Setup { workers, rules, ..Setup::default() })
    }

    /// Workers without logs.
    pub fn in_memory(workers: usize) -> Self {
        World::set_up(Setup { workers, logged: false, ..Setup::default() })
    }

    pub fn set_up(setup: Setup) -> Self {
        let workers = setup.workers;
        let mut world = World::founding(setup);
        for node in (1..=workers as u128).map(NodeId) {
            world.begin(node, &address_of(node), Snapshot::new(node));
        }
        world.settle();
        world
    }

    /// A coordinator that is to found a cluster of workers, none of which is there yet.
    pub fn founding(setup: Setup) -> Self {
        let named: Vec<String> = (1..=setup.workers as u128).map(|node| address_of(NodeId(node))).collect();
        let mut world = World {
            coordinator: Coordinator::new(coordinator_config(1, &named, None, &setup)),
            coordinator_runs: true,
            run: 1,
            setup,
            named,
            rival: None,
            workers: BTreeMap::new(),
            logs: BTreeMap::new(),
            addresses: BTreeMap::new(),
            network: Network::default(),
            control: None,
            slow_swaps: false,
            swaps: 0,
            replies: BTreeMap::new(),
            requests: 0,
            clock: 0,
            halt: None,
            roster: Vec::new(),
            timers: Timers::default(),
            said: Said::default(),
            inputs_max: 1_000_000,
            checked_every: 1,
            inputs: 0,
        };
        world.input(COORDINATOR, Input::Start);
        world.settle();
        world
    }

    /// This comes to a machine in its turn.
    pub fn input(&mut self, node: NodeId, input: Input) {
        self.network.queue.push_back((node, input));
    }

    /// A machine hears this from another one.
    pub fn hear(&mut self, node: NodeId, from: NodeId, message: Message) {
        self.input(node, Input::Message { from, message });
        self.settle();
    }

    /// Everything that is under way comes to its end, but for what is held.
    pub fn settle(&mut self) {
        let before = self.inputs;
        while let Some((node, input)) = self.network.next() {
            self.inputs += 1;
            assert!(self.inputs - before < self.inputs_max, "the machines answer each other for ever");
            match node {
                COORDINATOR if !self.coordinator_runs => {}
                COORDINATOR => self.step_coordinator(input),
                RIVAL => self.step_rival(input),
                worker => self.step_worker(worker, input),
            }
        }
        if self.inputs / self.checked_every > before / self.checked_every {
            self.assert_logs_hold_the_same();
        }
    }

    fn step_coordinator(&mut self, input: Input) {
        let mut out = Vec::new();
        self.coordinator.handle(input, &mut out);
        if self.is_looked_at() {
            assert_eq!(self.coordinator.violations(), [""; 0], "the coordinator breaks these");
        }
        for output in out {
            match output {
                Output::Send { to, message } => self.network.send(COORDINATOR, to, message),
                Output::Reply { id, reply } => {
                    assert!(self.replies.insert(id.0, reply).is_none(), "{id:?} was answered twice");
                }
                Output::SetTimer { timer, after_ms } => self.timers.set(timer, after_ms),
                Output::Swap { expected, record } => {
                    assert_eq!(expected, self.control);
                    self.control = Some(record);
                    if self.slow_swaps {
                        self.swaps += 1;
                    } else {
                        self.input(COORDINATOR, Input::Swapped(Swapped::Done));
                    }
                }
                Output::Disconnect { node } => self.disconnect(COORDINATOR, node),
                Output::Halt(halt) => self.halt = Some(halt),
                Output::Roster { workers } => self.roster = workers,
                Output::Publish(event) => self.said.take(event),
                Output::Persist(record) => panic!("a coordinator has no log: {record:?}"),
                Output::CancelTimer(_) => {}
            }
        }
    }

    fn step_worker(&mut self, node: NodeId, input: Input) {
        let mut out = Vec::new();
        let Some((worker, log)) = self.workers.get_mut(&node) else { return };
        worker.handle(input, &mut out);
        let mut records = 0;
        for output in out {
            match output {
                Output::Persist(record) => {
                    log.fold(&record);
                    records += 1;
                }
                Output::Send { to, message } => self.network.send(node, to, message),
                Output::Halt(halt) => panic!("{node:?} halts: {halt:?}"),
                _ => {}
            }
        }
        if self.is_looked_at() {
            self.assert_invariants_of(node);
        }
        if records > 0 {
            self.input(node, Input::Persisted { records });
        }
    }

    fn is_looked_at(&self) -> bool {
        self.inputs.is_multiple_of(self.checked_every)
    }
}

/// Where a worker is reached, unless a story says otherwise.
pub fn address_of(node: NodeId) -> String {
    format!("w{}", node.0)
}

/// The usual settings, but that clients hear what is known before a doubt ends the view.
fn coordinator_config(run: u64, named: &[String], record: Option<ViewRecord>, setup: &Setup) -> CoordinatorConfig {
    let config = CoordinatorConfig::new(COORDINATOR, Incarnation(run), CLUSTER, named.to_vec(), record);
    let Setup { window, limits, rules, .. } = *setup;
    CoordinatorConfig { request_sweeps: 8, window, limits, rules, ..config }
}

fn worker_config(setup: &Setup) -> WorkerConfig {
    WorkerConfig { limits: setup.limits, rules: setup.rules, ..WorkerConfig::default() }
}
