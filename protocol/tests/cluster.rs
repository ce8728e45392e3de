//! A coordinator and workers, joined by queues that keep order, without loss: what clients hear when all goes well, and when
//! one of the nodes stops and starts. What can go wrong in between is for the model checker and the simulator.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, VecDeque};

use skein_protocol::id::{Age, ClusterId, Incarnation, NodeId, ReadId, RequestId, TxnId, Version, ViewNumber};
use skein_protocol::invariant;
use skein_protocol::membership::view::{Standing, ViewRecord};
use skein_protocol::message::{Message, Outcome, Prepare, Read, Seal};
use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::operation::{Action, Answer, Consistency, Expect, Key, Operation, Query, Range, Row, Shared, TableId};
use skein_protocol::record::Snapshot;
use skein_protocol::step::{
    AbortReason, Event, Halt, Input, KnownOutcome, Machine, Output, Peer, Refusal, Reply, Request, Role, Swapped, Timer,
};

const COORDINATOR: NodeId = NodeId(100);

struct World {
    coordinator: Coordinator,
    incarnation: u64,
    workers: BTreeMap<NodeId, (Worker, Snapshot)>,
    down: BTreeMap<NodeId, Snapshot>,
    control: Option<ViewRecord>,
    queue: VecDeque<(NodeId, Input)>,
    replies: BTreeMap<u64, Reply>,
    requests: u64,
    timers: Vec<Timer>,
    halt: Option<Halt>,
    /// Who was left out or not taken, and where it was reached.
    outsiders: Vec<(NodeId, String)>,
    /// Messages that this returns true for are lost.
    lose: fn(&Message) -> bool,
    /// Messages that this returns true for wait until they are let go.
    hold: fn(&Message) -> bool,
    held: Vec<(NodeId, Input)>,
    sent: usize,
}

fn coordinator(incarnation: u64, workers: usize, record: Option<ViewRecord>) -> Coordinator {
    let addresses = (1..=workers).map(|it| format!("w{it}")).collect();
    Coordinator::new(CoordinatorConfig::new(COORDINATOR, Incarnation(incarnation), ClusterId(7), addresses, record))
}

impl World {
    fn new(workers: usize) -> Self {
        let mut world = World {
            coordinator: coordinator(1, workers, None),
            incarnation: 1,
            workers: BTreeMap::new(),
            down: BTreeMap::new(),
            control: None,
            queue: VecDeque::new(),
            replies: BTreeMap::new(),
            requests: 0,
            timers: Vec::new(),
            halt: None,
            outsiders: Vec::new(),
            lose: |_| false,
            hold: |_| false,
            held: Vec::new(),
            sent: 0,
        };
        world.input(COORDINATOR, Input::Start);
        for node in 1..=workers {
            world.start(NodeId(node as u128), Snapshot::new(NodeId(node as u128)));
        }
        world.run();
        world
    }

    fn start(&mut self, node: NodeId, snapshot: Snapshot) {
        let cluster = snapshot.cluster;
        self.workers.insert(node, (Worker::recover(WorkerConfig::default(), snapshot.clone()), snapshot));
        self.input(node, Input::Start);
        self.connect(node, cluster);
    }

    fn connect(&mut self, node: NodeId, cluster: Option<ClusterId>) {
        let address = format!("w{}", node.0);
        self.input(COORDINATOR, Input::Connected(Peer { node, role: Role::Worker, address, cluster }));
        let peer = Peer { node: COORDINATOR, role: Role::Coordinator, address: String::new(), cluster: None };
        self.input(node, Input::Connected(peer));
    }

    fn stop(&mut self, node: NodeId) {
        let (_, disk) = self.workers.remove(&node).unwrap();
        self.down.insert(node, disk);
        self.input(COORDINATOR, Input::Disconnected { node });
    }

    fn restart(&mut self, node: NodeId) {
        let snapshot = self.down.remove(&node).unwrap();
        self.start(node, snapshot);
    }

    fn restart_coordinator(&mut self) {
        self.queue.clear();
        self.incarnation += 1;
        self.coordinator = coordinator(self.incarnation, self.workers.len() + self.down.len(), self.control.clone());
        self.input(COORDINATOR, Input::Start);
        for node in self.workers.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Disconnected { node: COORDINATOR });
            let cluster = self.workers[&node].0.cluster();
            self.connect(node, cluster);
        }
    }

    fn input(&mut self, node: NodeId, input: Input) {
        self.queue.push_back((node, input));
    }

    fn run(&mut self) {
        while let Some((node, input)) = self.queue.pop_front() {
            let mut out = Vec::new();
            if node == COORDINATOR {
                self.coordinator.handle(input, &mut out);
            } else if let Some((worker, _)) = self.workers.get_mut(&node) {
                worker.handle(input, &mut out);
            }
            let broken = if node == COORDINATOR { self.coordinator.violations() } else { self.violations(node) };
            assert!(broken.is_empty(), "{node:?} breaks {broken:?}");
            let mut records = 0;
            for output in out {
                match output {
                    Output::Persist(record) => {
                        self.workers.get_mut(&node).unwrap().1.fold(&record);
                        records += 1;
                    }
                    Output::Send { message, .. } if (self.lose)(&message) => {}
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
                    Output::SetTimer { timer, .. } if node == COORDINATOR => self.timers.push(timer),
                    Output::Swap { expected, record } => {
                        assert_eq!(expected, self.control);
                        self.control = Some(record);
                        self.input(COORDINATOR, Input::Swapped(Swapped::Done));
                    }
                    Output::Halt(halt) => self.halt = Some(halt),
                    Output::Publish(Event::LeftOut { node, address } | Event::NotTaken { node, address, .. }) => {
                        self.outsiders.push((node, address));
                    }
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

    fn violations(&self, node: NodeId) -> Vec<&'static str> {
        let of_all = invariant::of_members(self.workers.values().map(|(worker, _)| worker));
        self.workers.get(&node).map(|(worker, _)| worker.violations()).into_iter().flatten().chain(of_all).collect()
    }

    fn timeout(&mut self, timer: Timer) {
        self.input(COORDINATOR, Input::Timeout(timer));
        self.run();
    }

    fn let_go(&mut self) {
        self.hold = |_| false;
        self.queue.extend(std::mem::take(&mut self.held));
        self.run();
    }

    fn members(&self) -> Vec<NodeId> {
        self.control.as_ref().unwrap().active.as_ref().unwrap().view.members()
    }

    fn learners(&self) -> Vec<NodeId> {
        self.control.as_ref().unwrap().active.as_ref().unwrap().view.learners()
    }

    /// Fills the store with more than one chunk.
    fn fill(&mut self) {
        for batch in 0..40 {
            let put = |number| put(&format!("k{:04}", batch * 60 + number), "old");
            assert!(matches!(self.commit((0..60).map(put).collect()), Reply::Committed { .. }));
        }
    }

    fn ask(&mut self, request: Request) -> u64 {
        self.requests += 1;
        self.input(COORDINATOR, Input::Request { id: RequestId(self.requests), request });
        self.run();
        self.requests
    }

    fn begin(&mut self, operations: Vec<Operation>) -> u64 {
        self.ask(Request::Commit { operations, clock: 10 * self.requests, trace: None })
    }

    fn commit(&mut self, operations: Vec<Operation>) -> Reply {
        let id = self.begin(operations);
        self.replies.remove(&id).expect("answered")
    }

    fn read(&mut self, query: Query, consistency: Consistency) -> Vec<(String, String)> {
        let id = self.ask(Request::Read { query, consistency, clock: 0, trace: None });
        rows(self.replies.remove(&id).expect("answered"))
    }

    fn digests_agree(&mut self) -> bool {
        let id = self.ask(Request::Digests);
        let Some(Reply::Digests { digests, .. }) = self.replies.remove(&id) else { panic!("no digests") };
        assert_eq!(digests.len(), self.workers.len());
        digests.iter().all(|(_, digest)| *digest == digests[0].1)
    }
}

fn rows(reply: Reply) -> Vec<(String, String)> {
    let Reply::Found(Answer::Rows { rows, .. }) = reply else { panic!("{reply:?}") };
    let text = |bytes: &Shared| String::from_utf8(bytes.to_vec()).unwrap();
    rows.iter().map(|Row { key, value, .. }| (text(&key.bytes), text(value))).collect()
}

fn key(name: &str) -> Key {
    Key::new(TableId(1), name)
}

fn operation(name: &str, expect: Expect, action: Action) -> Operation {
    Operation { key: key(name), expect, action }
}

fn put(name: &str, value: &str) -> Operation {
    operation(name, Expect::Any, Action::Put(Shared::from(value)))
}

fn all(rows_max: u32, descending: bool) -> Query {
    Query::Range(Range { table: TableId(1), from: None, until: None, descending, rows_max })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn version(reply: &Reply) -> Version {
    let Reply::Committed { versions, .. } = reply else { panic!("{reply:?}") };
    versions[0]
}

#[test]
fn a_write_is_on_every_replica_and_read_back() {
    let mut world = World::new(3);
    assert!(matches!(world.commit(vec![put("a", "1"), put("b", "2")]), Reply::Committed { .. }));
    for _ in 0..3 {
        assert_eq!(world.read(Query::Keys(vec![key("a"), key("x")]), Consistency::Arrival), pairs(&[("a", "1")]));
        assert_eq!(world.read(all(10, true), Consistency::Strict), pairs(&[("b", "2"), ("a", "1")]));
    }
    assert!(matches!(world.commit(vec![operation("a", Expect::Any, Action::Delete)]), Reply::Committed { .. }));
    assert_eq!(world.read(all(10, false), Consistency::Arrival), pairs(&[("b", "2")]));
    assert!(world.digests_agree());
}

#[test]
fn an_expectation_that_does_not_hold_aborts_all_of_it_with_the_reason() {
    let mut world = World::new(2);
    let first = version(&world.commit(vec![put("a", "1")]));
    let racer =
        |version, value: &str| vec![operation("a", Expect::Version(version), Action::Put(Shared::from(value))), put("b", value)];
    let second = version(&world.commit(racer(first, "won")));
    assert_eq!(second, Version(first.0 + 1));
    let Reply::Aborted { reason, .. } = world.commit(racer(first, "lost")) else { panic!("committed") };
    assert_eq!(reason, AbortReason::Expectation { operation: 0, found: Some(second) });
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "won"), ("b", "won")]));
    let Reply::Aborted { reason, .. } = world.commit(vec![put("c", "1"), operation("d", Expect::Present, Action::Check)]) else {
        panic!("committed")
    };
    assert_eq!(reason, AbortReason::Expectation { operation: 1, found: None });
}

#[test]
fn requests_that_break_a_bound_are_refused_and_nothing_is_sent() {
    let mut world = World::new(1);
    let sent = world.sent;
    let long = "k".repeat(600);
    for operations in [vec![], vec![put("a", "1"), put("a", "2")], vec![put(&long, "1")], vec![put("a", &"v".repeat(70_000))]] {
        assert_eq!(world.commit(operations), Reply::Refused(Refusal::Invalid));
    }
    assert_eq!(world.sent, sent);
}

#[test]
fn reads_as_of_arrival_wait_for_what_is_prepared_and_strict_ones_for_their_turn() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "old"), put("z", "stays")]);
    // Votes are held back: the write stays prepared.
    world.lose = |message| matches!(message, Message::Vote { .. });
    let write = world.begin(vec![put("a", "new"), put("b", "new"), operation("z", Expect::Any, Action::Delete)]);
    let arrival = world.ask(Request::Read { query: all(10, false), consistency: Consistency::Arrival, clock: 0, trace: None });
    let strict = world.ask(Request::Read { query: all(10, false), consistency: Consistency::Strict, clock: 0, trace: None });
    let other = Query::Keys(vec![key("q")]);
    assert_eq!(world.read(other, Consistency::Arrival), pairs(&[]));
    assert!(!world.replies.contains_key(&write) && !world.replies.contains_key(&arrival) && !world.replies.contains_key(&strict));
    // A doubt that lasts too long ends the view: all members have it prepared, so it commits, and the reads are asked anew.
    world.lose = |_| false;
    world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::InDoubt { view: ViewNumber(1) } });
    world.run();
    world.timeout(Timer::Retry);
    assert!(matches!(world.replies[&write], Reply::Committed { .. }));
    let expected = pairs(&[("a", "new"), ("b", "new")]);
    assert_eq!(rows(world.replies.remove(&arrival).unwrap()), expected);
    assert_eq!(rows(world.replies.remove(&strict).unwrap()), expected);
    assert_eq!(world.control.as_ref().unwrap().number(), ViewNumber(2));
}

#[test]
fn a_lost_worker_is_left_out_and_what_was_under_way_ends() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.lose = |message| matches!(message, Message::Prepare(prepare) if prepare.txn.sequence == 2);
    let write = world.begin(vec![put("a", "2")]);
    world.lose = |_| false;
    world.stop(NodeId(3));
    world.run();
    assert!(!world.coordinator.status().serving);
    let queued = world.begin(vec![put("b", "1")]);
    world.timeout(Timer::ViewChange);
    assert!(world.coordinator.status().serving);
    // Prepared nowhere: aborted, and as its own coordinator knows that, tried again.
    assert!(matches!(world.replies[&write], Reply::Committed { txn, .. } if txn.sequence > 2), "{:?}", world.replies);
    assert!(matches!(world.replies[&queued], Reply::Committed { .. }));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2"), ("b", "1")]));
    assert!(world.digests_agree());
    let left_out = (NodeId(3), "w3".to_owned());
    assert_eq!(world.outsiders, std::slice::from_ref(&left_out), "said once, when the view without it is active");
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
}

#[test]
fn one_that_was_left_out_comes_back_as_a_learner_and_becomes_a_member() {
    let mut world = World::new(3);
    world.fill();
    world.stop(NodeId(3));
    world.run();
    world.timeout(Timer::ViewChange);
    world.commit(vec![put("k0001", "new"), operation("k0002", Expect::Any, Action::Delete), put("n", "new")]);
    world.restart(NodeId(3));
    world.run();
    world.hold = |message| matches!(message, Message::Copy { .. });
    world.timeout(Timer::Join);
    assert_eq!((world.members(), world.learners()), (vec![NodeId(1), NodeId(2)], vec![NodeId(3)]));
    assert!(world.workers[&NodeId(3)].0.records().is_empty());
    // It takes part in what is written meanwhile, whatever it knows of it.
    let write = vec![operation("k0003", Expect::Present, Action::Put(Shared::from("during"))), put("m", "during")];
    assert!(matches!(world.commit(write), Reply::Committed { .. }));
    assert!(matches!(world.commit(vec![operation("k0004", Expect::Any, Action::Delete)]), Reply::Committed { .. }));
    for _ in 0..6 {
        assert_eq!(world.read(Query::Keys(vec![key("k0005")]), Consistency::Arrival), pairs(&[("k0005", "old")]));
    }
    world.let_go();
    assert_eq!((world.members().len(), world.learners().len()), (3, 0));
    assert!(world.digests_agree());
    assert_eq!(world.workers[&NodeId(3)].0.records().len(), 2_400);
    // As good as any other now: it alone is enough.
    world.stop(NodeId(1));
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(3)]);
    let keys = ["k0001", "k0002", "k0003", "k0004", "m", "n"].map(key).to_vec();
    let expected = pairs(&[("k0001", "new"), ("k0003", "during"), ("m", "during"), ("n", "new")]);
    assert_eq!(world.read(Query::Keys(keys), Consistency::Strict), expected);
}

#[test]
fn a_chunk_brings_back_nothing_that_was_changed_since() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    // Another machine in its place: nothing on disk, another identity.
    world.down.clear();
    world.start(NodeId(3), Snapshot::new(NodeId(3)));
    world.run();
    world.hold = |message| matches!(message, Message::Chunk(_));
    world.timeout(Timer::Join);
    assert_eq!(world.learners(), [NodeId(3)]);
    // The chunk is on its way with the old values.
    world.commit(vec![put("k0001", "new"), operation("k0002", Expect::Any, Action::Delete)]);
    // One is prepared, and undecided while the copy is completed and the learner becomes a member.
    world.lose = |message| matches!(message, Message::Decide { .. });
    let write = world.begin(vec![put("k0003", "newer"), operation("k0004", Expect::Any, Action::Delete)]);
    world.lose = |_| false;
    world.let_go();
    assert!(matches!(world.replies[&write], Reply::Committed { .. }));
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    assert!(world.digests_agree());
    let keys = ["k0001", "k0002", "k0003", "k0004"].map(key).to_vec();
    assert_eq!(world.read(Query::Keys(keys), Consistency::Strict), pairs(&[("k0001", "new"), ("k0003", "newer")]));
}

#[test]
fn a_learner_that_starts_again_begins_again() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    world.hold = |message| matches!(message, Message::Stored { last: true, .. });
    world.timeout(Timer::Join);
    assert_eq!(world.workers[&NodeId(2)].0.records().len(), 2_400);
    world.stop(NodeId(2));
    world.run();
    world.commit(vec![operation("k0001", Expect::Any, Action::Delete)]);
    world.held.clear();
    world.hold = |_| false;
    // The old copy's number counts no more.
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert!(world.digests_agree());
}

#[test]
fn who_does_not_hold_all_records_refuses_to_be_a_member() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    let seal = |view, standing| {
        let last_active = Some((ViewNumber(view - 1), vec![]));
        let seal = Seal { cluster: ClusterId(7), view: ViewNumber(view), standing, last_active };
        Input::Message { from: COORDINATOR, message: Message::Seal(seal) }
    };
    let refused = |worker: &mut Worker, input| {
        let mut out = Vec::new();
        worker.handle(input, &mut out);
        out.iter().any(|output| matches!(output, Output::Send { message: Message::SealRefused { .. }, .. }))
    };
    let mut fresh = Worker::recover(WorkerConfig::default(), Snapshot::new(NodeId(9)));
    assert!(refused(&mut fresh, seal(5, Standing::Member)));
    assert!(!refused(&mut fresh, seal(5, Standing::Learner)));
    assert!(refused(&mut fresh, seal(6, Standing::Member)));
}

#[test]
fn a_worker_that_comes_back_within_the_grace_stays_a_member() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.lose = |message| matches!(message, Message::Vote { .. });
    let write = world.begin(vec![put("a", "2")]);
    world.stop(NodeId(2));
    world.run();
    world.lose = |_| false;
    world.restart(NodeId(2));
    world.run();
    assert!(matches!(world.replies[&write], Reply::Committed { txn, .. } if txn.sequence == 2));
    assert_eq!(world.control.as_ref().unwrap().active.as_ref().unwrap().view.members().len(), 3);
    assert_eq!(world.outsiders, []);
    assert!(world.digests_agree());
}

#[test]
fn a_new_coordinator_settles_what_the_old_one_left_and_all_may_restart_at_once() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.lose = |message| matches!(message, Message::Vote { .. });
    world.begin(vec![put("a", "2")]);
    world.lose = |message| matches!(message, Message::Prepare(_));
    world.begin(vec![put("b", "never sent")]);
    world.lose = |_| false;
    for node in 1..=3 {
        world.stop(NodeId(node));
    }
    world.queue.clear();
    world.restart_coordinator();
    for node in 1..=3 {
        world.restart(NodeId(node));
    }
    world.run();
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2")]));
    let txn = TxnId { incarnation: Incarnation(1), sequence: 2 };
    let id = world.ask(Request::Outcome { txn });
    assert_eq!(world.replies[&id], Reply::Outcome(KnownOutcome::Known(Outcome::Committed)));
    let id = world.ask(Request::Outcome { txn: TxnId { incarnation: Incarnation(9), sequence: 2 } });
    assert_eq!(world.replies[&id], Reply::Outcome(KnownOutcome::NotKnown));
    assert!(matches!(world.commit(vec![put("a", "3")]), Reply::Committed { .. }));
    assert!(world.digests_agree());
}

#[test]
fn workers_forget_what_all_have_synced() {
    let mut world = World::new(2);
    for _ in 0..10 {
        world.commit(vec![put("a", "x")]);
    }
    assert_eq!(world.workers[&NodeId(1)].0.decided().len(), 10);
    world.timeout(Timer::Sweep);
    for (worker, disk) in world.workers.values() {
        assert!(worker.decided().is_empty() && disk.decided.is_empty());
    }
    // After a view change what was remembered is forgotten as well.
    world.commit(vec![put("a", "y")]);
    world.stop(NodeId(2));
    world.restart(NodeId(2));
    world.run();
    assert_eq!(world.control.as_ref().unwrap().number(), ViewNumber(2));
    assert!(world.workers.values().all(|(worker, _)| worker.decided().is_empty()));
}

#[test]
fn a_client_hears_unknown_at_its_deadline_and_the_transaction_is_not_tried_again() {
    let mut world = World::new(2);
    world.lose = |message| matches!(message, Message::Prepare(_));
    let write = world.begin(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    let late = world.begin(vec![put("b", "1")]);
    for _ in 0..20 {
        world.timeout(Timer::Sweep);
    }
    let Reply::Unknown { txn } = world.replies[&write] else { panic!("{:?}", world.replies) };
    assert_eq!(world.replies[&late], Reply::Refused(Refusal::Unavailable));
    world.lose = |_| false;
    world.timeout(Timer::ViewChange);
    world.timeout(Timer::Retry);
    let id = world.ask(Request::Outcome { txn });
    assert_eq!(world.replies[&id], Reply::Outcome(KnownOutcome::Known(Outcome::Aborted)));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[]));
}

#[test]
fn an_empty_control_store_does_not_take_workers_that_hold_a_view() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.control = None;
    world.restart_coordinator();
    world.run();
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w1".into(), cluster: ClusterId(7) }));
}

#[test]
fn a_worker_that_is_full_refuses_writes_and_takes_deletes() {
    let mut world = World::new(1);
    let full = WorkerConfig { memory_bytes_max: 1_000, ..WorkerConfig::default() };
    let (worker, disk) = world.workers.get_mut(&NodeId(1)).unwrap();
    *worker = Worker::recover(full, disk.clone());
    world.input(
        NodeId(1),
        Input::Message { from: COORDINATOR, message: Message::Activate { view: ViewNumber(1), outcomes: vec![] } },
    );
    assert!(matches!(world.commit(vec![put("a", &"x".repeat(700))]), Reply::Committed { .. }));
    let Reply::Aborted { reason, .. } = world.commit(vec![put("b", &"x".repeat(700))]) else { panic!("committed") };
    assert_eq!(reason, AbortReason::Memory);
    assert!(matches!(world.commit(vec![operation("a", Expect::Any, Action::Delete)]), Reply::Committed { .. }));
    assert!(matches!(world.commit(vec![put("b", &"x".repeat(700))]), Reply::Committed { .. }));
}

#[test]
fn one_key_written_by_many_is_written_in_order_without_a_refusal() {
    let mut world = World::new(3);
    let mut ids = Vec::new();
    for number in 0..64 {
        world.requests += 1;
        let request = Request::Commit { operations: vec![put("a", &number.to_string())], clock: 0, trace: None };
        world.input(COORDINATOR, Input::Request { id: RequestId(world.requests), request });
        ids.push(world.requests);
    }
    world.run();
    let versions: Vec<u64> = ids.iter().map(|id| version(&world.replies[id]).0).collect();
    assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
    assert!(!world.timers.contains(&Timer::Retry));
}

#[test]
fn a_doubt_does_not_begin_a_view_change_anew() {
    let mut world = World::new(2);
    world.lose = |message| matches!(message, Message::Seal(seal) if seal.view == ViewNumber(2));
    let doubt = |world: &mut World| {
        world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::InDoubt { view: ViewNumber(1) } });
        world.run();
    };
    (0..3).for_each(|_| doubt(&mut world));
    assert_eq!(world.control.as_ref().unwrap().number(), ViewNumber(2), "one attempt, which has its time");
}

#[test]
fn digests_agree_while_a_prepare_waits_at_one_member() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1"), put("b", "1")]);
    // Votes are held back: the second write stays prepared, and one member has a strict read that waits for it.
    world.lose = |message| matches!(message, Message::Vote { .. });
    world.begin(vec![put("a", "2")]);
    let read = Read {
        read: ReadId(1_000),
        view: ViewNumber(1),
        age: Age { stamp: 0, incarnation: Incarnation(0) },
        consistency: Consistency::Strict,
        query: Query::Keys(vec![key("a"), key("b")]),
        trace: None,
    };
    world.input(NodeId(1), Input::Message { from: NodeId(50), message: Message::Read(read) });
    // It is older than the next write, which is refused behind it; one that is older still waits there and nowhere else.
    let older = Prepare {
        txn: TxnId { incarnation: Incarnation(0), sequence: 1 },
        age: Age { stamp: 0, incarnation: Incarnation::default() },
        view: ViewNumber(1),
        operations: vec![put("b", "2")],
        trace: None,
    };
    for node in [1, 2] {
        let prepare = Message::Prepare(Prepare { age: Age { stamp: 0, incarnation: Incarnation(0) }, ..older.clone() });
        world.input(NodeId(node), Input::Message { from: NodeId(50), message: prepare });
    }
    world.run();
    let waiting = |world: &World, node| world.workers[&NodeId(node)].0.waiting().len();
    assert_eq!((waiting(&world, 1), waiting(&world, 2)), (1, 0));
    let digests = world.ask(Request::Digests);
    assert!(!world.replies.contains_key(&digests));
    for txn in [TxnId { incarnation: Incarnation(1), sequence: 2 }, older.txn] {
        for node in [1, 2] {
            let decide = Message::Decide { txn, view: ViewNumber(1), outcome: Outcome::Committed, versions: vec![] };
            world.input(NodeId(node), Input::Message { from: NodeId(50), message: decide });
        }
        world.run();
    }
    let Some(Reply::Digests { digests, .. }) = world.replies.remove(&digests) else { panic!("no digests") };
    assert!(digests.len() == 2 && digests[0].1 == digests[1].1, "{digests:?}");
}

#[test]
fn a_record_that_is_made_again_after_a_restart_with_a_clock_set_back_has_a_greater_version() {
    let mut world = World::new(2);
    (0..20).for_each(|_| drop(world.commit(vec![put("a", "x")])));
    let last = version(&world.commit(vec![operation("a", Expect::Present, Action::Delete)]));
    for node in [1, 2] {
        world.stop(NodeId(node));
    }
    world.queue.clear();
    (world.requests, world.replies) = (0, BTreeMap::new());
    world.restart_coordinator();
    // It is asked before it can know how far the clock had come.
    let again = world.begin(vec![operation("a", Expect::Absent, Action::Put(Shared::from("new")))]);
    for node in [1, 2] {
        world.restart(NodeId(node));
    }
    world.run();
    assert!(version(&world.replies[&again]) > last);
}

#[test]
fn a_full_worker_takes_what_needs_no_more_room_and_deletes_with_their_notes() {
    let mut world = World::new(1);
    world.commit(vec![put("a", &"x".repeat(3_000)), put("b", "1")]);
    let used = world.workers[&NodeId(1)].0.status().memory_bytes;
    let full = WorkerConfig { memory_bytes_max: used, ..WorkerConfig::default() };
    let (worker, disk) = world.workers.get_mut(&NodeId(1)).unwrap();
    *worker = Worker::recover(full, disk.clone());
    let message = Message::Activate { view: ViewNumber(1), outcomes: vec![] };
    world.input(NodeId(1), Input::Message { from: COORDINATOR, message });
    let refused = |reply| matches!(reply, Reply::Aborted { reason: AbortReason::Memory, .. });
    assert!(refused(world.commit(vec![put("c", "one more")])));
    assert!(refused(world.commit(vec![put("b", "longer than before")])));
    assert!(matches!(world.commit(vec![put("a", &"x".repeat(2_900))]), Reply::Committed { .. }));
    let noted = vec![operation("b", Expect::Any, Action::Delete), put("note", &"n".repeat(120))];
    assert!(matches!(world.commit(noted), Reply::Committed { .. }));
}

#[test]
fn a_member_whose_log_was_put_back_is_left_out_and_the_others_serve() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    let old = world.workers[&NodeId(1)].1.clone();
    // A view later, with more written.
    world.stop(NodeId(2));
    world.restart(NodeId(2));
    world.run();
    world.commit(vec![put("a", "2")]);
    world.stop(NodeId(1));
    world.down.insert(NodeId(1), old);
    world.restart(NodeId(1));
    world.run();
    assert_eq!(world.control.as_ref().unwrap().active.as_ref().unwrap().view.members(), [NodeId(2), NodeId(3)]);
    world.workers.remove(&NodeId(1));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2")]));
    assert!(world.digests_agree());
}

#[test]
fn of_two_clusters_founded_over_one_worker_the_later_says_so() {
    let mut world = World::new(0);
    world.coordinator = coordinator(1, 2, None);
    world.input(COORDINATOR, Input::Start);
    world.start(NodeId(1), Snapshot::new(NodeId(1)));
    world.start(NodeId(2), Snapshot { cluster: Some(ClusterId(9)), ..Snapshot::new(NodeId(2)) });
    // It was taken after it had connected.
    for (_, input) in &mut world.queue {
        if let Input::Connected(peer) = input {
            peer.cluster = None;
        }
    }
    world.run();
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w2".into(), cluster: ClusterId(9) }));
}
