//! What clients hear of transactions and reads when all goes well, and when nodes refuse them.

use skein_protocol::limits;
use skein_protocol::record::Stored;

use super::world::*;

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
fn what_is_kept_for_deletes_is_not_opened_by_a_delete_of_nothing() {
    let mut world = World::new(1);
    let full = WorkerConfig { memory_bytes_max: 64_000, ..WorkerConfig::default() };
    let (worker, disk) = world.workers.get_mut(&NodeId(1)).unwrap();
    *worker = Worker::recover(full, disk.clone());
    let message = Message::Activate { view: ViewNumber(1), outcomes: vec![] };
    world.input(NodeId(1), Input::Message { from: COORDINATOR, message });
    let text = "x".repeat(300);
    let filled =
        (0..).take_while(|number| matches!(world.commit(vec![put(&format!("k{number}"), &text)]), Reply::Committed { .. }));
    assert!(filled.count() > 100);
    let beside = |delete: &str| vec![put("more", &text), operation(delete, Expect::Any, Action::Delete)];
    assert!(matches!(world.commit(beside("nothing")), Reply::Aborted { reason: AbortReason::Memory, .. }));
    assert!(matches!(world.commit(beside("k1")), Reply::Committed { .. }));
}

#[test]
fn where_replicas_differ_the_greater_version_counts() {
    for ahead in [1, 2] {
        let mut world = World::new(2);
        let before = version(&world.commit(vec![put("a", "1")]));
        for node in [1, 2] {
            world.stop(NodeId(node));
        }
        // A log that was changed by other hands.
        let record = world.down.get_mut(&NodeId(ahead)).unwrap().records.get_mut(&key("a")).unwrap();
        *record = Stored::new(&key("a"), Version(before.0 + 5), record.written_by, record.value.clone());
        for node in [1, 2] {
            world.restart(NodeId(node));
        }
        world.run();
        world.timeout(Timer::ViewChange);
        assert_eq!(version(&world.commit(vec![put("a", "2")])), Version(before.0 + 6));
    }
}

#[test]
fn what_workers_may_have_to_report_at_once_is_bounded() {
    let mut world = World::new(1);
    // Nobody answers.
    world.workers.clear();
    let operations = |number: usize| (0..64).map(|key| put(&format!("{number}-{key}"), "1")).collect::<Vec<_>>();
    let mut sent = 0;
    for number in 0..5_000 {
        let request = Request::Commit { operations: operations(number), clock: 0, trace: None };
        let mut out = Vec::new();
        world.coordinator.handle(Input::Request { id: RequestId(1_000 + number as u64), request }, &mut out);
        sent += out.iter().filter(|output| matches!(output, Output::Send { message: Message::Prepare(_), .. })).count();
    }
    assert_eq!(sent * 64, limits::OPERATIONS_IN_FLIGHT_MAX);
}

#[test]
fn the_bytes_of_prepares_that_wait_for_a_worker_are_bounded() {
    let mut world = World::new(1);
    let value = "x".repeat(64 * 1024);
    world.hold = |message| matches!(message, Message::Acknowledged { .. });
    let ids: Vec<u64> = (0..300).map(|number| world.begin(vec![put(&format!("{number:03}"), &value)])).collect();
    let bytes = world.held.len() * (value.len() + 3);
    let most = limits::TRANSACTION_BYTES_IN_FLIGHT_MAX;
    assert!((most..most + value.len() + 3).contains(&bytes), "{} transactions were sent", world.held.len());
    world.let_go();
    assert!(ids.iter().all(|id| matches!(world.replies[id], Reply::Committed { .. })), "the rest is sent as they end");
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
    world.lose = |message| matches!(message, Message::Seal(seal) if seal.view.number == ViewNumber(2));
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
