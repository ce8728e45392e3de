//! What clients hear of transactions and reads when all goes well, and when nodes refuse them.

use skein_protocol::id::{Age, ReadId, RequestId, Version};
use skein_protocol::limits;
use skein_protocol::message::{Prepare, Read};
use skein_protocol::record::Stored;
use skein_protocol::step::Timer;

use super::world::*;

#[test]
fn a_write_is_on_every_replica_and_read_back() {
    let mut world = World::new(3);
    world.committed_all(vec![put("a", "1"), put("b", "2")]);
    for _ in 0..3 {
        assert_eq!(world.read(keys(&["a", "x"]), Consistency::Arrival), pairs(&[("a", "1")]));
        assert_eq!(world.read(all(10, true), Consistency::Strict), pairs(&[("b", "2"), ("a", "1")]));
    }
    world.delete("a");
    assert_eq!(world.read(all(10, false), Consistency::Arrival), pairs(&[("b", "2")]));
    assert!(world.replicas_agree());
}

#[test]
fn an_expectation_that_does_not_hold_aborts_all_of_it_with_the_reason() {
    let mut world = World::new(2);
    let (_, first) = world.write("a", "1");
    let racer = |version, value: &str| vec![put_expecting("a", Expect::Version(version), value), put("b", value)];
    let (_, second) = world.committed_all(racer(first, "won"));
    assert_eq!(second, Version(first.0 + 1));
    let Reply::Aborted { reason, .. } = world.commit(racer(first, "lost")) else { panic!("committed") };
    assert_eq!(reason, AbortReason::Expectation { operation: 0, found: Some(second) });
    assert_eq!(world.read_all(), pairs(&[("a", "won"), ("b", "won")]));
    let Reply::Aborted { reason, .. } = world.commit(vec![put("c", "1"), operation("d", Expect::Present, Action::Check)]) else {
        panic!("committed")
    };
    assert_eq!(reason, AbortReason::Expectation { operation: 1, found: None });
}

#[test]
fn requests_that_break_a_bound_are_refused_and_nothing_is_sent() {
    let mut world = World::new(1);
    let sent = world.sent();
    let long = "k".repeat(600);
    for operations in [vec![], vec![put("a", "1"), put("a", "2")], vec![put(&long, "1")], vec![put("a", &"v".repeat(70_000))]] {
        assert_eq!(world.commit(operations), Reply::Refused(Refusal::Invalid));
    }
    assert_eq!(world.sent(), sent);
}

#[test]
fn reads_as_of_arrival_wait_for_what_is_prepared_and_strict_ones_for_their_turn() {
    let mut world = World::new(2);
    world.committed_all(vec![put("a", "old"), put("z", "stays")]);
    // Votes are held back: the write stays prepared.
    world.lose(votes());
    let write = world.begin_transaction(vec![put("a", "new"), put("b", "new"), delete("z")]);
    let arrival = world.begin_read(all(10, false), Consistency::Arrival);
    let strict = world.begin_read(all(10, false), Consistency::Strict);
    assert_eq!(world.read(keys(&["q"]), Consistency::Arrival), pairs(&[]));
    assert!(!world.is_answered(write) && !world.is_answered(arrival) && !world.is_answered(strict));
    // A doubt that lasts too long ends the view: all members have it prepared, so it commits, and the reads are asked anew.
    world.lose_nothing();
    world.report_doubt(W1);
    world.retry();
    assert!(world.is_committed(write));
    let expected = pairs(&[("a", "new"), ("b", "new")]);
    assert_eq!(world.take_rows(arrival), expected);
    assert_eq!(world.take_rows(strict), expected);
    assert_eq!(world.last_view(), ViewNumber(2));
}

#[test]
fn workers_forget_what_all_have_synced() {
    let mut world = World::new(2);
    for _ in 0..10 {
        world.write("a", "x");
    }
    assert_eq!(world.worker(W1).decided().len(), 10);
    world.keep_house(1);
    assert!(world.nothing_is_remembered(), "neither in memory nor in the logs");
    // After a view change what was remembered is forgotten as well.
    world.write("a", "y");
    world.stop(W2);
    world.restart(W2);
    assert_eq!(world.last_view(), ViewNumber(2));
    assert!(world.nothing_is_remembered());
}

#[test]
fn a_client_hears_unknown_at_its_deadline_and_the_transaction_is_not_tried_again() {
    let mut world = World::new(2);
    world.lose(prepares());
    let write = world.begin_write("a", "1");
    world.stop(W2);
    let late = world.begin_write("b", "1");
    world.keep_house(20);
    let txn = world.take_unknown(write);
    assert_eq!(world.replies[&late], Reply::Refused(Refusal::Unavailable));
    world.lose_nothing();
    world.view_change_times_out();
    world.retry();
    assert_eq!(world.outcome_of(txn), KnownOutcome::Known(Outcome::Aborted));
    assert_eq!(world.read_all(), pairs(&[]));
}

#[test]
fn where_replicas_differ_the_greater_version_counts() {
    for ahead in [W1, W2] {
        let mut world = World::new(2);
        let (_, before) = world.write("a", "1");
        world.stop([W1, W2]);
        // A log that was changed by other hands.
        let record = world.log_on_disk(ahead).records.get_mut(&key("a")).unwrap();
        *record = Stored::new(&key("a"), Version(before.0 + 5), record.written_by, record.value.clone());
        world.restart([W1, W2]);
        world.view_change_times_out();
        assert_eq!(world.write("a", "2").1, Version(before.0 + 6));
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
    world.hold(acknowledgements());
    let ids: Vec<u64> = (0..300).map(|number| world.begin_write(&format!("{number:03}"), &value)).collect();
    let bytes = world.held() * (value.len() + 3);
    let most = limits::TRANSACTION_BYTES_IN_FLIGHT_MAX;
    assert!((most..most + value.len() + 3).contains(&bytes), "{} transactions were sent", world.held());
    world.let_go();
    assert_eq!(world.committed(&ids), ids.len(), "the rest is sent as they end");
}

#[test]
fn one_key_written_by_many_is_written_in_order_without_a_refusal() {
    let mut world = World::new(3);
    let ids: Vec<u64> = (0..64).map(|number| world.begin_at_once(vec![put("a", &number.to_string())])).collect();
    world.settle();
    let versions: Vec<u64> = ids.iter().map(|id| version(&world.replies[id]).0).collect();
    assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
    assert_eq!(world.timers.times_set(Timer::Retry), 0);
}

#[test]
fn a_doubt_does_not_begin_a_view_change_anew() {
    let mut world = World::new(2);
    world.lose(seals());
    (0..3).for_each(|_| world.report_doubt(W1));
    assert_eq!(world.last_view(), ViewNumber(2), "one attempt, which has its time");
}

/// Another coordinator, which these workers hear as well.
const OTHER: NodeId = NodeId(50);

#[test]
fn digests_agree_while_a_prepare_waits_at_one_member() {
    let mut world = World::new(2);
    world.committed_all(vec![put("a", "1"), put("b", "1")]);
    // Votes are held back: the second write stays prepared, and one member has a strict read that waits for it.
    world.lose(votes());
    world.begin_write("a", "2");
    let read = Read {
        read: ReadId(1_000),
        view: ViewNumber(1),
        age: Age { stamp: 0, incarnation: Incarnation(0) },
        consistency: Consistency::Strict,
        query: keys(&["a", "b"]),
        trace: None,
    };
    world.hear(W1, OTHER, Message::Read(read));
    // It is older than the next write, which is refused behind it; one that is older still waits there and nowhere else.
    let older = Prepare {
        txn: TxnId { incarnation: Incarnation(0), sequence: 1 },
        age: Age { stamp: 0, incarnation: Incarnation(0) },
        view: ViewNumber(1),
        operations: vec![put("b", "2")],
        trace: None,
    };
    for node in [W1, W2] {
        world.hear(node, OTHER, Message::Prepare(older.clone()));
    }
    assert_eq!([W1, W2].map(|node| world.worker(node).waiting().len()), [1, 0]);
    let digests = world.ask(Request::Digests);
    assert!(!world.is_answered(digests));
    for txn in [TxnId { incarnation: Incarnation(1), sequence: 2 }, older.txn] {
        for node in [W1, W2] {
            let decide = Message::Decide { txn, view: ViewNumber(1), outcome: Outcome::Committed, versions: vec![] };
            world.hear(node, OTHER, decide);
        }
    }
    let Reply::Digests { digests, .. } = world.take_reply(digests) else { panic!("no digests") };
    assert!(digests.len() == 2 && digests[0].1 == digests[1].1, "{digests:?}");
}
