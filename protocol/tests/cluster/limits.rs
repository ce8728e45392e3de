//! Bounds that are met: what is one too many is refused and leaves nothing behind, and what a bound makes a machine forget changes
//! nothing of what clients hear.

use super::world::*;
use skein_protocol::limits::Limits;
use skein_protocol::rules::{Omission, Rules};

/// One worker and a coordinator that holds so much.
fn world(workers: usize, limits: Limits, omission: Option<Omission>) -> World {
    let mut world = World::new(0);
    let rules = omission.map_or(Rules::ALL, Rules::without);
    world.coordinator = Coordinator::new(CoordinatorConfig { limits, rules, ..config(1, addresses(workers), None) });
    world.rules = rules;
    world.input(COORDINATOR, Input::Start);
    for node in (1..=workers as u128).map(NodeId) {
        world.start(node, Snapshot::new(node));
        let config = WorkerConfig { limits, rules, ..WorkerConfig::default() };
        world.workers.get_mut(&node).unwrap().0 = Worker::recover(config, Snapshot::new(node));
    }
    world.run();
    world
}

#[test]
fn a_request_that_is_one_too_many_leaves_its_key_to_others() {
    let written = |omission| {
        let mut world = world(1, Limits { requests_max: 1, ..Limits::SHIPPED }, omission);
        world.hold = |message| matches!(message, Message::Vote { .. });
        let first = world.begin(vec![put("a", "1")]);
        assert_eq!(world.commit(vec![put("b", "1")]), Reply::Refused(Refusal::Overloaded));
        world.hold = |_| false;
        world.let_go();
        assert!(matches!(world.replies[&first], Reply::Committed { .. }));
        let second = world.begin(vec![put("b", "2")]);
        matches!(world.replies.get(&second), Some(Reply::Committed { .. }))
    };
    assert!(written(None));
    assert!(!written(Some(Omission::RefusedQueues)));
}

#[test]
fn a_strict_read_that_is_one_too_many_leaves_no_lock() {
    let written = |omission| {
        let mut world = world(1, Limits { reads_waiting_max: 1, ..Limits::SHIPPED }, omission);
        world.hold = |message| matches!(message, Message::Decide { .. });
        let first = world.begin(vec![put("a", "1")]);
        // Reads are older than what is written later, so they wait for it; and one of them may.
        let reads = [(); 2].map(|()| {
            let query = Query::Keys(vec![key("a")]);
            world.ask(Request::Read { query, consistency: Consistency::Arrival, clock: 0, trace: None })
        });
        let query = Query::Keys(vec![key("b")]);
        let strict = world.ask(Request::Read { query, consistency: Consistency::Strict, clock: 0, trace: None });
        assert_eq!(
            [&reads[1], &strict].map(|id| world.replies[id].clone()),
            [(); 2].map(|()| Reply::Refused(Refusal::Overloaded))
        );
        world.hold = |_| false;
        world.let_go();
        assert!(matches!(world.replies[&first], Reply::Committed { .. }));
        assert_eq!(rows(world.replies[&reads[0]].clone()), pairs(&[("a", "1")]));
        let second = world.begin(vec![put("b", "2")]);
        matches!(world.replies.get(&second), Some(Reply::Committed { .. }))
    };
    assert!(written(None));
    assert!(!written(Some(Omission::RefusedHolds)));
}

#[test]
fn what_a_view_settled_is_told_though_the_oldest_outcomes_are_forgotten() {
    let told = |omission| {
        let mut world = world(2, Limits { outcomes_remembered_max: 1, ..Limits::SHIPPED }, omission);
        world.lose = |message| matches!(message, Message::Vote { .. });
        let ids = ["a", "b", "c"].map(|name| world.begin(vec![put(name, "1")]));
        world.lose = |_| false;
        world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::InDoubt { view: ViewNumber(1) } });
        world.run();
        assert_eq!(world.read(all(10, false), Consistency::Strict).len(), 3, "the view has committed them");
        // An attempt that is tried again writes its record once more.
        ids.map(|id| match &world.replies[&id] {
            Reply::Committed { txn, .. } => txn.sequence,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(told(None), [1, 2, 3]);
    assert_ne!(told(Some(Omission::SettledFromMemory)), [1, 2, 3]);
}

#[test]
fn a_prepare_that_is_one_too_many_is_tried_again_and_given_up_at_last() {
    let mut world = world(1, Limits { prepares_waiting_max: 1, attempts_max: 2, ..Limits::SHIPPED }, None);
    // Somebody else's transactions hold the key, and wait for it.
    let prepare = |sequence: u64, stamp: u64| {
        let txn = TxnId { incarnation: Incarnation(9), sequence };
        let age = Age { stamp, incarnation: Incarnation(9) };
        Message::Prepare(Prepare { txn, age, view: ViewNumber(1), operations: vec![put("a", "x")], trace: None })
    };
    for (sequence, stamp) in [(1, u64::from(u32::MAX)), (2, 1)] {
        world.input(NodeId(1), Input::Message { from: COORDINATOR, message: prepare(sequence, stamp) });
    }
    world.run();
    let (worker, _) = &world.workers[&NodeId(1)];
    assert_eq!(worker.waiting().len(), 1);
    let late = world.begin(vec![put("a", "2")]);
    assert!(!world.replies.contains_key(&late), "it is tried again");
    world.timeout(Timer::Retry);
    assert!(matches!(world.replies[&late], Reply::Aborted { reason: AbortReason::Contention, .. }));
}

#[test]
fn copies_in_the_smallest_chunks_come_to_their_end() {
    let limits =
        Limits { chunk_records_max: 1, chunk_records_busy: 1, chunk_bytes_max: 1, chunks_under_way_max: 1, ..Limits::SHIPPED };
    let mut world = world(2, limits, None);
    let names = ["a", "b", "c", "d"];
    names.iter().for_each(|name| drop(world.commit(vec![put(name, "1")])));
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(1)]);
    let snapshot = Snapshot { cluster: Some(ClusterId(7)), ..Snapshot::new(NodeId(3)) };
    world.start_at(NodeId(3), "w2", snapshot);
    world.run();
    (0..4).for_each(|_| world.timeout(Timer::Join));
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    assert_eq!(world.workers[&NodeId(3)].0.records().len(), names.len());
}
