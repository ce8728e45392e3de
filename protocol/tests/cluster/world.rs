//! A coordinator and workers, joined by queues that keep order, without loss unless a test wants it; what they log is folded as
//! it comes. After each input all invariants are looked at.

pub use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use skein_protocol::id::{
    Age, ClusterId, Incarnation, NodeId, ReadId, RequestId, TxnId, Version, ViewId, ViewNumber, Writer,
};
pub use skein_protocol::invariant;
pub use skein_protocol::membership::view::{Standing, ViewRecord};
pub use skein_protocol::message::{Chunk, Message, NoReason, Outcome, Prepare, Read, Seal, SealReason, Vote};
pub use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig};
pub use skein_protocol::node::worker::{Worker, WorkerConfig};
pub use skein_protocol::operation::{Action, Answer, Consistency, Expect, Key, Operation, Query, Range, Row, Shared, TableId};
pub use skein_protocol::record::Snapshot;
pub use skein_protocol::rules::{Omission, Rules};
pub use skein_protocol::step::{
    AbortReason, CopyProgress, EarlierRuns, Event, Halt, Input, KnownOutcome, Machine, Output, Peer, Refusal, Reply, Request,
    Role, RosterChange, RosterRefusal, Swapped, Timer, Unrecorded,
};

pub const COORDINATOR: NodeId = NodeId(100);

/// A second coordinator, that leads from a control store of its own.
pub const RIVAL: NodeId = NodeId(101);

/// What there is of a second coordinator.
pub struct Rival {
    pub coordinator: Coordinator,
    pub control: Option<ViewRecord>,
    pub halt: Option<Halt>,
    pub replies: BTreeMap<u64, Reply>,
}

pub struct World {
    pub coordinator: Coordinator,
    pub rival: Option<Rival>,
    pub incarnation: u64,
    /// The window of coordinators from the next on, and what they leave out.
    pub window: usize,
    pub rules: Rules,
    pub workers: BTreeMap<NodeId, (Worker, Snapshot)>,
    pub down: BTreeMap<NodeId, Snapshot>,
    pub control: Option<ViewRecord>,
    pub queue: VecDeque<(NodeId, Input)>,
    pub replies: BTreeMap<u64, Reply>,
    pub requests: u64,
    pub timers: Vec<Timer>,
    pub halt: Option<Halt>,
    /// Whom the coordinator is to connect to.
    pub roster: Vec<String>,
    /// Who was left out or not taken, and where it was reached.
    pub outsiders: Vec<(NodeId, String)>,
    /// Messages that this returns true for are lost.
    pub lose: fn(&Message) -> bool,
    /// Messages that this returns true for wait until they are let go.
    pub hold: fn(&Message) -> bool,
    pub held: Vec<(NodeId, Input)>,
    pub sent: usize,
    /// What comes to this worker waits until it is resumed.
    pub paused: Option<NodeId>,
    pub waiting: Vec<Input>,
    /// For how long the timer of those who join was set last.
    pub join_ms: u64,
    /// What the timer of the comparison was last set to.
    pub comparison_ms: u64,
    /// The view of which it was said that it began empty.
    pub emptied: Option<ViewNumber>,
    /// Invariants are looked at after every so many inputs.
    pub checked_every: usize,
    inputs: usize,
    /// How often it was said that no copy is trusted that others could begin from.
    pub untrusted: usize,
    /// How often it was said that a member's log was put back.
    pub rolled_back: usize,
    /// Whether the control store answers only when a test says so, and how many swaps wait for that.
    pub slow_swaps: bool,
    swaps: usize,
    /// Nothing is sent to this one.
    pub lose_to: Option<NodeId>,
    logged: bool,
    /// Whom the coordinator has a connection to.
    linked: BTreeSet<NodeId>,
}

/// Inputs that follow from one thing that a test does, at the most.
const INPUTS_MAX: u32 = 1_000_000;

/// The addresses of so many workers.
pub fn addresses(workers: usize) -> Vec<String> {
    (1..=workers).map(|it| format!("w{it}")).collect()
}

/// The usual settings, but that clients hear what is known before a doubt ends the view.
pub fn config(incarnation: u64, addresses: Vec<String>, record: Option<ViewRecord>) -> CoordinatorConfig {
    let config = CoordinatorConfig::new(COORDINATOR, Incarnation(incarnation), ClusterId(7), addresses, record);
    CoordinatorConfig { request_sweeps: 8, ..config }
}

pub fn coordinator(incarnation: u64, addresses: Vec<String>, record: Option<ViewRecord>) -> Coordinator {
    Coordinator::new(config(incarnation, addresses, record))
}

impl World {
    pub fn new(workers: usize) -> Self {
        World::with(workers, true, config(1, addresses(workers), None))
    }

    /// A coordinator with so small a window, which leaves this out.
    pub fn with_window(workers: usize, window: usize, rules: Rules) -> Self {
        World::with(workers, true, CoordinatorConfig { window, rules, ..config(1, addresses(workers), None) })
    }

    /// Workers without logs.
    pub fn in_memory(workers: usize) -> Self {
        World::with(workers, false, config(1, addresses(workers), None))
    }

    fn with(workers: usize, logged: bool, config: CoordinatorConfig) -> Self {
        let mut world = World {
            window: config.window,
            rules: config.rules,
            coordinator: Coordinator::new(config),
            rival: None,
            incarnation: 1,
            workers: BTreeMap::new(),
            down: BTreeMap::new(),
            control: None,
            queue: VecDeque::new(),
            replies: BTreeMap::new(),
            requests: 0,
            timers: Vec::new(),
            halt: None,
            roster: Vec::new(),
            outsiders: Vec::new(),
            lose: |_| false,
            hold: |_| false,
            held: Vec::new(),
            sent: 0,
            paused: None,
            waiting: Vec::new(),
            join_ms: 0,
            comparison_ms: 0,
            emptied: None,
            checked_every: 1,
            inputs: 0,
            untrusted: 0,
            rolled_back: 0,
            slow_swaps: false,
            swaps: 0,
            lose_to: None,
            logged,
            linked: BTreeSet::new(),
        };
        world.input(COORDINATOR, Input::Start);
        for node in 1..=workers {
            world.start(NodeId(node as u128), Snapshot::new(NodeId(node as u128)));
        }
        world.run();
        world
    }

    pub fn start(&mut self, node: NodeId, snapshot: Snapshot) {
        self.start_at(node, &format!("w{}", node.0), snapshot);
    }

    pub fn start_at(&mut self, node: NodeId, address: &str, snapshot: Snapshot) {
        let cluster = snapshot.cluster;
        self.workers.insert(node, (Worker::recover(WorkerConfig::default(), snapshot.clone()), snapshot));
        self.input(node, Input::Start);
        self.connect_at(node, address, cluster);
    }

    /// A second coordinator starts, in this run and from this control store.
    pub fn start_rival(&mut self, incarnation: u64, record: Option<ViewRecord>) {
        let config = CoordinatorConfig::new(RIVAL, Incarnation(incarnation), ClusterId(8), addresses(3), record.clone());
        let coordinator = Coordinator::new(config);
        self.rival = Some(Rival { coordinator, control: record, halt: None, replies: BTreeMap::new() });
        self.input(RIVAL, Input::Start);
    }

    /// The second coordinator reaches this worker from now on.
    pub fn connect_rival(&mut self, node: NodeId) {
        let (cluster, logged) = (self.workers[&node].0.cluster(), self.logged);
        let address = format!("w{}", node.0);
        self.input(RIVAL, Input::Connected(Peer { node, role: Role::Worker, address, cluster, logged, salvaged: false }));
        let (role, address) = (Role::Coordinator, String::new());
        self.input(node, Input::Connected(Peer { node: RIVAL, role, address, cluster: None, logged: false, salvaged: false }));
        self.run();
    }

    /// What the second coordinator wants done. It ends when it halts.
    fn perform_for_rival(&mut self, input: Input) {
        let Some(rival) = self.rival.as_mut().filter(|rival| rival.halt.is_none()) else { return };
        let mut out = Vec::new();
        rival.coordinator.handle(input, &mut out);
        for output in out {
            let Some(rival) = &mut self.rival else { return };
            match output {
                Output::Send { to, message } => self.input(to, Input::Message { from: RIVAL, message }),
                Output::Swap { expected, record } => {
                    assert_eq!(expected, rival.control);
                    rival.control = Some(record);
                    self.input(RIVAL, Input::Swapped(Swapped::Done));
                }
                Output::Reply { id, reply } => drop(rival.replies.insert(id.0, reply)),
                Output::Halt(halt) => rival.halt = Some(halt),
                _ => {}
            }
        }
    }

    pub fn connect(&mut self, node: NodeId, cluster: Option<ClusterId>) {
        self.connect_at(node, &format!("w{}", node.0), cluster);
    }

    fn connect_at(&mut self, node: NodeId, address: &str, cluster: Option<ClusterId>) {
        let (address, logged, salvaged) =
            (address.to_owned(), self.logged, self.workers.get(&node).is_some_and(|it| it.1.salvaged));
        let peer = Peer { node, role: Role::Worker, address, cluster, logged, salvaged };
        self.input(COORDINATOR, Input::Connected(peer));
        let peer = Peer {
            node: COORDINATOR,
            role: Role::Coordinator,
            address: String::new(),
            cluster: None,
            logged: false,
            salvaged: false,
        };
        self.input(node, Input::Connected(peer));
    }

    /// The paused worker goes on with what has come meanwhile.
    pub fn resume(&mut self) {
        let node = self.paused.take().unwrap();
        self.queue.extend(std::mem::take(&mut self.waiting).into_iter().map(|input| (node, input)));
        self.run();
    }

    pub fn stop(&mut self, node: NodeId) {
        let (_, disk) = self.workers.remove(&node).unwrap();
        self.down.insert(node, disk);
        self.input(COORDINATOR, Input::Disconnected { node });
    }

    pub fn restart(&mut self, node: NodeId) {
        let snapshot = self.down.remove(&node).unwrap();
        self.start(node, snapshot);
    }

    pub fn restart_coordinator(&mut self) {
        self.restart_with(addresses(self.workers.len() + self.down.len()));
    }

    /// Another run of the coordinator, which is told of these workers.
    pub fn restart_naming(&mut self, workers: &[&str]) {
        self.restart_with(workers.iter().map(ToString::to_string).collect());
    }

    /// Another run of the coordinator, which is told of these workers and is connected to none yet.
    pub fn restart_unconnected(&mut self, workers: &[&str]) {
        self.begin_run(workers.iter().map(ToString::to_string).collect());
        for node in self.workers.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Disconnected { node: COORDINATOR });
        }
        self.run();
    }

    /// The coordinator reaches this worker at an address that it dials.
    pub fn reach(&mut self, node: u128, address: &str) {
        assert!(self.roster.iter().any(|dialed| dialed == address), "{address} is not dialed: {:?}", self.roster);
        let cluster = self.workers[&NodeId(node)].0.cluster();
        self.connect_at(NodeId(node), address, cluster);
        self.run();
    }

    fn begin_run(&mut self, addresses: Vec<String>) {
        self.queue.clear();
        self.linked.clear();
        self.incarnation += 1;
        let usual = config(self.incarnation, addresses, self.control.clone());
        self.coordinator = Coordinator::new(CoordinatorConfig { window: self.window, rules: self.rules, ..usual });
        self.input(COORDINATOR, Input::Start);
    }

    fn restart_with(&mut self, addresses: Vec<String>) {
        self.begin_run(addresses);
        for node in self.workers.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Disconnected { node: COORDINATOR });
            let cluster = self.workers[&node].0.cluster();
            self.connect(node, cluster);
        }
    }

    pub fn input(&mut self, node: NodeId, input: Input) {
        self.queue.push_back((node, input));
    }

    pub fn run(&mut self) {
        let mut inputs = 0;
        while let Some((node, input)) = self.queue.pop_front() {
            inputs += 1;
            assert!(inputs < INPUTS_MAX, "the machines answer each other for ever");
            if self.paused == Some(node) {
                self.waiting.push(input);
                continue;
            }
            if node == COORDINATOR && matches!(&input, Input::Message { from, .. } if !self.linked.contains(from)) {
                continue;
            }
            if node == RIVAL {
                self.perform_for_rival(input);
                continue;
            }
            match &input {
                Input::Connected(peer) if node == COORDINATOR => drop(self.linked.insert(peer.node)),
                Input::Disconnected { node: gone } if node == COORDINATOR => drop(self.linked.remove(gone)),
                _ => {}
            }
            let mut out = Vec::new();
            if node == COORDINATOR {
                self.coordinator.handle(input, &mut out);
            } else if let Some((worker, _)) = self.workers.get_mut(&node) {
                worker.handle(input, &mut out);
            }
            self.inputs += 1;
            let broken = if !self.inputs.is_multiple_of(self.checked_every) {
                Vec::new()
            } else if node == COORDINATOR {
                self.coordinator.violations()
            } else {
                self.violations(node)
            };
            assert!(broken.is_empty(), "{node:?} breaks {broken:?}");
            let mut records = 0;
            for output in out {
                match output {
                    Output::Persist(record) => {
                        self.workers.get_mut(&node).unwrap().1.fold(&record);
                        records += 1;
                    }
                    Output::Send { to, message } if (self.lose)(&message) || self.lose_to == Some(to) => {}
                    Output::Send { to, message } if (self.hold)(&message) => {
                        self.held.push((to, Input::Message { from: node, message }));
                    }
                    Output::Send { to, message } => {
                        self.sent += 1;
                        self.input(to, Input::Message { from: node, message });
                    }
                    Output::Reply { id, reply } => {
                        assert!(self.replies.insert(id.0, reply).is_none(), "{id:?} was answered twice")
                    }
                    Output::SetTimer { timer, after_ms } if node == COORDINATOR => {
                        self.timers.push(timer);
                        match timer {
                            Timer::Join => self.join_ms = after_ms,
                            Timer::Compare => self.comparison_ms = after_ms,
                            _ => {}
                        }
                    }
                    Output::Publish(Event::StartedEmpty { view }) => self.emptied = Some(view),
                    Output::Publish(Event::NoDonor { .. }) => self.untrusted += 1,
                    Output::Publish(Event::RolledBack { .. }) => self.rolled_back += 1,
                    Output::Swap { expected, record } => {
                        assert_eq!(expected, self.control);
                        self.control = Some(record);
                        if self.slow_swaps {
                            self.swaps += 1;
                        } else {
                            self.input(COORDINATOR, Input::Swapped(Swapped::Done));
                        }
                    }
                    Output::Halt(halt) => self.halt = Some(halt),
                    Output::Publish(Event::LeftOut { node, address } | Event::NotTaken { node, address, .. }) => {
                        self.outsiders.push((node, address));
                    }
                    Output::Disconnect { node } => {
                        self.input(COORDINATOR, Input::Disconnected { node });
                        self.input(node, Input::Disconnected { node: COORDINATOR });
                    }
                    Output::Roster { workers } => self.roster = workers,
                    Output::SetTimer { .. } | Output::CancelTimer(_) | Output::Publish(_) => {}
                }
            }
            if records > 0 {
                self.input(node, Input::Persisted { records });
            }
        }
        for (worker, disk) in self.workers.values() {
            assert_eq!(worker.records(), &disk.records, "memory and log hold the same");
            assert_eq!(worker.decided(), &disk.decided);
        }
    }

    pub fn violations(&self, node: NodeId) -> Vec<&'static str> {
        let of_all = invariant::of_members(self.workers.values().map(|(worker, _)| worker));
        self.workers.get(&node).map(|(worker, _)| worker.violations()).into_iter().flatten().chain(of_all).collect()
    }

    pub fn timeout(&mut self, timer: Timer) {
        self.input(COORDINATOR, Input::Timeout(timer));
        self.run();
    }

    /// The control store answers the next swap that waits. Whether there was one.
    pub fn swapped(&mut self) -> bool {
        let Some(swaps) = self.swaps.checked_sub(1) else { return false };
        self.swaps = swaps;
        self.input(COORDINATOR, Input::Swapped(Swapped::Done));
        self.run();
        true
    }

    pub fn let_go(&mut self) {
        self.hold = |_| false;
        self.queue.extend(std::mem::take(&mut self.held));
        self.run();
    }

    pub fn members(&self) -> Vec<NodeId> {
        self.control.as_ref().unwrap().active.as_ref().unwrap().view.members()
    }

    pub fn learners(&self) -> Vec<NodeId> {
        self.control.as_ref().unwrap().active.as_ref().unwrap().view.learners()
    }

    /// Fills the store with more than one chunk.
    pub fn fill(&mut self) {
        for batch in 0..40 {
            let put = |number| put(&format!("k{:04}", batch * 60 + number), "old");
            assert!(matches!(self.commit((0..60).map(put).collect()), Reply::Committed { .. }));
        }
    }

    pub fn ask(&mut self, request: Request) -> u64 {
        self.requests += 1;
        self.input(COORDINATOR, Input::Request { id: RequestId(self.requests), request });
        self.run();
        self.requests
    }

    pub fn begin(&mut self, operations: Vec<Operation>) -> u64 {
        self.ask(Request::Commit { operations, clock: 10 * self.requests, trace: None })
    }

    pub fn commit(&mut self, operations: Vec<Operation>) -> Reply {
        let id = self.begin(operations);
        self.replies.remove(&id).expect("answered")
    }

    pub fn read(&mut self, query: Query, consistency: Consistency) -> Vec<(String, String)> {
        let id = self.ask(Request::Read { query, consistency, clock: 0, trace: None });
        rows(self.replies.remove(&id).expect("answered"))
    }

    pub fn digests_agree(&mut self) -> bool {
        let id = self.ask(Request::Digests);
        let Some(Reply::Digests { digests, .. }) = self.replies.remove(&id) else { panic!("no digests") };
        assert_eq!(digests.len(), self.workers.len());
        digests.iter().all(|(_, digest)| *digest == digests[0].1)
    }
}

pub fn rows(reply: Reply) -> Vec<(String, String)> {
    let Reply::Found(Answer::Rows { rows, .. }) = reply else { panic!("{reply:?}") };
    let text = |bytes: &Shared| String::from_utf8(bytes.to_vec()).unwrap();
    rows.iter().map(|Row { key, value, .. }| (text(&key.bytes), text(value))).collect()
}

pub fn key(name: &str) -> Key {
    Key::new(TableId(1), name)
}

pub fn operation(name: &str, expect: Expect, action: Action) -> Operation {
    Operation { key: key(name), expect, action }
}

/// A seal of a cluster by this writer, without outcomes.
pub fn seal_by(cluster: u128, view: ViewId, standing: Standing, last_active: Option<ViewId>) -> Message {
    Message::Seal(Seal { cluster: ClusterId(cluster), view, standing, last_active, outcomes: Vec::new() })
}

/// The view of this number, as the first run of the coordinator announces it.
pub fn view_id(number: u64) -> ViewId {
    ViewId { number: ViewNumber(number), writer: Writer { run: Incarnation(1), node: COORDINATOR } }
}

pub fn put(name: &str, value: &str) -> Operation {
    operation(name, Expect::Any, Action::Put(Shared::from(value)))
}

pub fn all(rows_max: u32, descending: bool) -> Query {
    Query::Range(Range { table: TableId(1), from: None, until: None, descending, rows_max })
}

pub fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub fn version(reply: &Reply) -> Version {
    let Reply::Committed { versions, .. } = reply else { panic!("{reply:?}") };
    versions[0]
}
