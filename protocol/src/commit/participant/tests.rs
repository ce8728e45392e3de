//! One participant by itself: what it remembers of a transaction at each step of its way, and what it forgets.

use alloc::vec;

use super::*;
use crate::operation::{Shared, TableId};

const COORDINATOR: NodeId = NodeId(100);
const RUN: Incarnation = Incarnation(1);

fn replica() -> Participant {
    Participant::recover(Snapshot::new(NodeId(1)), Room::new(u64::MAX, &Limits::SHIPPED), Limits::SHIPPED, Rules::ALL)
}

fn key(name: &str) -> Key {
    Key::new(TableId(1), name)
}

fn txn(sequence: u64) -> TxnId {
    TxnId { incarnation: RUN, sequence }
}

/// Has it judge a put of this key, in this view.
fn prepare(replica: &mut Participant, sequence: u64, name: &str, view: u64) -> Judged {
    let operations = vec![Operation { key: key(name), expect: Expect::Any, action: Action::Put(Shared::from("value")) }];
    let age = Age { stamp: sequence, incarnation: RUN };
    let prepare = Prepare { txn: txn(sequence), age, view: ViewNumber(view), operations, trace: None };
    replica.prepare(COORDINATOR, prepare, &mut Vec::new())
}

fn prepared(replica: &mut Participant, sequence: u64, name: &str, view: u64) {
    let judged = prepare(replica, sequence, name, view);
    assert!(matches!(judged, Judged::Prepared(_)), "{judged:?}");
}

#[test]
fn a_replica_is_untouched_only_while_it_has_neither_records_nor_memories() {
    let mut replica = replica();
    assert!(replica.is_untouched());
    prepared(&mut replica, 1, "a", 1);
    assert!(!replica.is_untouched(), "something is prepared");
    replica.abort(txn(1), ViewNumber(1), &mut Vec::new()).expect("it is prepared");
    assert!(!replica.is_untouched(), "something is decided");
    replica.forget(RUN, 2);
    assert!(!replica.is_untouched(), "something is forgotten");
    replica.forget_views(ViewNumber(2));
    assert!(replica.is_untouched(), "the control store has taken all over");
    prepared(&mut replica, 2, "a", 2);
    replica.commit(txn(2), Vec::new(), &mut Vec::new()).expect("it is prepared");
    replica.forget_views(ViewNumber(3));
    assert!(!replica.is_untouched(), "it holds a record");
}

#[test]
fn what_is_known_or_forgotten_is_not_prepared_again() {
    let mut replica = replica();
    let stale = Judged::Refused(NoReason::Stale);
    prepared(&mut replica, 5, "a", 1);
    assert_eq!(prepare(&mut replica, 5, "b", 1), stale, "it is prepared");
    assert_eq!(prepare(&mut replica, 4, "a", 1), Judged::Waits, "an older one waits for it");
    assert_eq!(prepare(&mut replica, 4, "b", 1), stale, "it waits");
    replica.abort(txn(6), ViewNumber(1), &mut Vec::new()).expect("of one that never came");
    assert_eq!(prepare(&mut replica, 6, "b", 1), stale, "it is decided");
    replica.forget(RUN, 8);
    assert_eq!(prepare(&mut replica, 7, "b", 1), stale, "it is below the mark");
    prepared(&mut replica, 8, "b", 1);
}

#[test]
fn no_more_prepares_wait_than_may() {
    let limits = Limits { prepares_waiting_max: 1, ..Limits::SHIPPED };
    let mut replica = Participant::recover(Snapshot::new(NodeId(1)), Room::new(u64::MAX, &limits), limits, Rules::ALL);
    prepared(&mut replica, 9, "a", 1);
    assert_eq!(prepare(&mut replica, 3, "a", 1), Judged::Waits);
    assert_eq!(prepare(&mut replica, 2, "a", 1), Judged::Refused(NoReason::Overloaded));
}

#[test]
fn a_mark_forgets_the_decisions_below_it_and_a_view_those_of_earlier_views() {
    let mut replica = replica();
    for (sequence, view) in [(1, 1), (2, 1), (3, 2)] {
        prepared(&mut replica, sequence, "a", view);
        replica.commit(txn(sequence), Vec::new(), &mut Vec::new()).expect("it is prepared");
    }
    let decided = |replica: &Participant| replica.decided().keys().map(|txn| txn.sequence).collect::<Vec<_>>();
    replica.forget(RUN, 2);
    assert_eq!(decided(&replica), [2, 3]);
    replica.forget_views(ViewNumber(2));
    assert_eq!((decided(&replica), replica.marks().len()), (vec![3], 0));
}

#[test]
fn what_was_prepared_in_earlier_views_is_to_be_settled() {
    let mut replica = replica();
    prepared(&mut replica, 1, "a", 1);
    prepared(&mut replica, 2, "b", 2);
    assert_eq!(replica.prepared_before(ViewNumber(2)), [(txn(1), ViewNumber(1))]);
}

#[test]
fn a_doubt_is_told_after_so_many_rounds_and_again_after_as_many() {
    let mut replica = replica();
    prepared(&mut replica, 1, "a", 1);
    let told: Vec<bool> = (0..6).map(|_| replica.sweep(3)).collect();
    assert_eq!(told, [false, false, true, false, false, true]);
    replica.abort(txn(1), ViewNumber(1), &mut Vec::new()).expect("it is prepared");
    assert!((0..3).all(|_| !replica.sweep(3)), "nothing is in doubt any more");
}

#[test]
fn an_abort_gives_back_locks_and_memory_and_lets_the_next_on() {
    let mut replica = replica();
    prepared(&mut replica, 2, "a", 1);
    assert_eq!(prepare(&mut replica, 1, "a", 1), Judged::Waits);
    let mut granted = Vec::new();
    replica.abort(txn(2), ViewNumber(1), &mut granted).expect("it is prepared");
    assert_eq!(granted, [Owner::Txn(txn(1))]);
    assert_eq!(replica.abort(txn(2), ViewNumber(1), &mut granted), None, "it is decided");
    let (from, view, judged) = replica.granted(txn(1), &mut granted).expect("it waits");
    assert_eq!((from, view), (COORDINATOR, ViewNumber(1)));
    assert!(matches!(judged, Judged::Prepared(_)), "{judged:?}");
    assert!(replica.locks_what_is_prepared() && replica.reserves_for_prepared());
    replica.abort(txn(1), ViewNumber(1), &mut granted).expect("it is prepared");
    assert_eq!((replica.memory_bytes(), replica.writer(&key("a"))), (0, None));
}

#[test]
fn prepares_that_wait_promise_nothing_and_go_with_a_seal() {
    let mut replica = replica();
    prepared(&mut replica, 2, "a", 1);
    assert_eq!(prepare(&mut replica, 1, "a", 1), Judged::Waits);
    replica.discard_waiting();
    assert_eq!(replica.waiting().len(), 0);
    let mut granted = Vec::new();
    replica.commit(txn(2), Vec::new(), &mut granted).expect("it is prepared");
    assert_eq!((granted, replica.granted(txn(1), &mut Vec::new())), (vec![], None));
}
