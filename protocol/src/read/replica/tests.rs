//! Reads at one replica: what is in an answer, what it waits for, and where it ends.

use alloc::string::{String, ToString};
use alloc::vec;

use super::*;
use crate::commit::participant::Judged;
use crate::id::{Age, Incarnation, Version, ViewNumber};
use crate::limits::Limits;
use crate::message::Prepare;
use crate::operation::{Expect, Shared, TableId};
use crate::record::Snapshot;
use crate::rules::Rules;
use crate::store::room::Room;

const COORDINATOR: NodeId = NodeId(100);

/// A replica and its reads.
struct Scene {
    participant: Participant,
    reads: ReplicaReads,
    sequence: u64,
}

fn key(name: &str) -> Key {
    Key::new(TableId(1), name)
}

fn put(name: &str, value: &str) -> Operation {
    Operation { key: key(name), expect: Expect::Any, action: Action::Put(Shared::from(value)) }
}

fn delete(name: &str) -> Operation {
    Operation { key: key(name), expect: Expect::Any, action: Action::Delete }
}

fn keys(names: &[&str]) -> Query {
    Query::Keys(names.iter().map(|name| key(name)).collect())
}

fn range(from: Option<&str>, until: Option<&str>, rows_max: u32) -> Query {
    let bound = |name: Option<&str>| name.map(Shared::from);
    Query::Range(Range { table: TableId(1), from: bound(from), until: bound(until), descending: false, rows_max })
}

fn list(rows_max: u32) -> Query {
    range(None, None, rows_max)
}

/// Names and values of an answer, and whether there is more.
fn rows(result: ReadResult) -> (Vec<(String, String)>, bool) {
    let ReadResult::Found(Answer::Rows { rows, more }) = result else { panic!("{result:?}") };
    let text = |bytes: &Shared| String::from_utf8(bytes.to_vec()).expect("it is text");
    (rows.iter().map(|row| (text(&row.key.bytes), text(&row.value))).collect(), more)
}

fn expected(pairs: &[(&str, &str)], more: bool) -> (Vec<(String, String)>, bool) {
    (pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(), more)
}

impl Scene {
    /// A replica with these records.
    fn with(records: &[(&str, &str)]) -> Self {
        let participant =
            Participant::recover(Snapshot::new(NodeId(1)), Room::new(u64::MAX, &Limits::SHIPPED), Limits::SHIPPED, Rules::ALL);
        let mut scene = Scene { participant, reads: ReplicaReads::default(), sequence: 0 };
        for (name, value) in records {
            let txn = scene.prepare(vec![put(name, value)]);
            assert_eq!(scene.commit(txn), []);
        }
        scene
    }

    fn prepare(&mut self, operations: Vec<Operation>) -> TxnId {
        self.sequence += 1;
        let (incarnation, stamp) = (Incarnation(1), self.sequence);
        let (txn, age) = (TxnId { incarnation, sequence: stamp }, Age { stamp, incarnation });
        let prepare = Prepare { txn, age, view: ViewNumber(1), operations, trace: None };
        let judged = self.participant.prepare(COORDINATOR, prepare, &mut Vec::new());
        assert!(matches!(judged, Judged::Prepared(_)), "{judged:?}");
        txn
    }

    /// The reads that this lets on.
    fn commit(&mut self, txn: TxnId) -> Vec<(ReadKey, ReadResult)> {
        let settled = self.participant.commit(txn, Vec::<Version>::new(), &mut Vec::new()).expect("it is prepared");
        self.reads.settled(txn, &settled.changes)
    }

    fn abort(&mut self, txn: TxnId) -> Vec<(ReadKey, ReadResult)> {
        let settled = self.participant.abort(txn, ViewNumber(1), &mut Vec::new()).expect("it is prepared");
        self.reads.settled(txn, &settled.changes)
    }

    fn read_as(&mut self, from: NodeId, consistency: Consistency, query: Query) -> Option<ReadResult> {
        self.sequence += 1;
        let age = Age { stamp: self.sequence, incarnation: Incarnation(1) };
        let read = Read { read: ReadId(self.sequence), view: ViewNumber(1), age, consistency, query, trace: None };
        self.reads.arrive(from, read, &mut self.participant)
    }

    fn read(&mut self, query: Query) -> Option<ReadResult> {
        self.read_as(COORDINATOR, Consistency::Arrival, query)
    }

    /// What is read now, with nothing prepared.
    fn answer(&mut self, query: Query) -> (Vec<(String, String)>, bool) {
        rows(self.read(query).expect("it waits for nothing"))
    }

    /// What is read when this was prepared as the read came, and commits.
    fn answer_beside(&mut self, operations: Vec<Operation>, query: Query) -> (Vec<(String, String)>, bool) {
        let txn = self.prepare(operations);
        assert_eq!(self.read(query), None, "it waits");
        let mut done = self.commit(txn);
        assert_eq!((done.len(), self.reads.waiting()), (1, 0));
        rows(done.remove(0).1)
    }
}

#[test]
fn an_answer_has_the_records_that_were_asked_for() {
    let mut scene = Scene::with(&[("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(scene.answer(keys(&["a", "c", "x"])), expected(&[("a", "1"), ("c", "3")], false));
    assert_eq!(scene.answer(list(9)), expected(&[("a", "1"), ("b", "2"), ("c", "3")], false));
    assert_eq!(scene.answer(range(Some("b"), Some("c"), 9)), expected(&[("b", "2")], false));
}

#[test]
fn a_list_says_whether_there_is_more() {
    let mut scene = Scene::with(&[("a", "1"), ("b", "2")]);
    assert_eq!(scene.answer(list(1)), expected(&[("a", "1")], true));
    assert_eq!(scene.answer(list(2)), expected(&[("a", "1"), ("b", "2")], false));
    let Query::Range(last) = list(1) else { panic!("it is a range") };
    assert_eq!(scene.answer(Query::Range(Range { descending: true, ..last })), expected(&[("b", "2")], true));
}

#[test]
fn a_list_ends_at_its_bytes_and_has_one_row_at_least() {
    // Their keys count as well, a byte each.
    let half = "x".repeat(limits::ENTRY_ANSWER_BYTES_MAX / 2 - 1);
    let (over, whole) = (alloc::format!("{half}x"), "x".repeat(limits::ENTRY_ANSWER_BYTES_MAX));
    for (values, count, more) in
        [([&half, &half], 2, false), ([&half, &over], 1, true), ([&over, &half], 1, true), ([&whole, &half], 1, true)]
    {
        let mut scene = Scene::with(&[]);
        let put = |(name, value): (&str, &&String)| {
            let key = Key::new(TableId::SESSIONS, name);
            Operation { key, expect: Expect::Any, action: Action::Put(Shared::from(value.as_str())) }
        };
        let txn = scene.prepare(["a", "b"].into_iter().zip(&values).map(put).collect());
        scene.commit(txn);
        let query = Range { table: TableId::SESSIONS, from: None, until: None, descending: false, rows_max: 9 };
        let (rows, found_more) = scene.answer(Query::Range(query));
        assert_eq!((rows.len(), found_more), (count, more));
    }
}

#[test]
fn what_is_prepared_when_a_read_comes_is_in_its_answer_if_it_commits() {
    let mut scene = Scene::with(&[("a", "1")]);
    assert_eq!(scene.answer_beside(vec![put("a", "2")], keys(&["a"])), expected(&[("a", "2")], false));
    assert_eq!(scene.answer_beside(vec![delete("a")], keys(&["a"])), expected(&[], false));
    assert_eq!(scene.answer_beside(vec![put("b", "3")], list(9)), expected(&[("b", "3")], false));
    let txn = scene.prepare(vec![put("b", "4")]);
    assert_eq!(scene.read(list(9)), None);
    let done = scene.abort(txn);
    assert_eq!(rows(done[0].1.clone()), expected(&[("b", "3")], false));
}

#[test]
fn what_else_a_transaction_writes_is_not_in_the_answer() {
    let mut scene = Scene::with(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    let writes = || ["a", "b", "c", "d"].map(|name| put(name, "new")).to_vec();
    assert_eq!(scene.answer_beside(writes(), keys(&["b"])), expected(&[("b", "new")], false));
    let stretch = range(Some("b"), Some("d"), 9);
    assert_eq!(scene.answer_beside(writes(), stretch), expected(&[("b", "new"), ("c", "new")], false));
    let mut foreign = put("b", "of another table");
    foreign.key.table = TableId(2);
    let both = vec![put("a", "newer"), foreign];
    assert_eq!(scene.answer_beside(both, range(None, Some("c"), 9)), expected(&[("a", "newer"), ("b", "new")], false));
}

#[test]
fn a_list_is_as_long_as_was_asked_though_rows_are_deleted_meanwhile() {
    let records = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6")];
    let mut scene = Scene::with(&records);
    let deletes = vec![delete("a"), delete("b"), put("d", "new")];
    assert_eq!(scene.answer_beside(deletes, list(2)), expected(&[("c", "3"), ("d", "new")], true));
    let deletes = vec![delete("c"), delete("d")];
    assert_eq!(scene.answer_beside(deletes, list(2)), expected(&[("e", "5"), ("f", "6")], false));
}

#[test]
fn a_list_that_waits_holds_no_more_rows_than_may_be_taken_away() {
    let records = ["a", "b", "c", "d", "e", "f"].map(|name| (name, "1"));
    for (operations, held) in
        [(vec![put("a", "2")], 2), (vec![delete("a"), put("b", "2")], 3), (vec![delete("b"), delete("d"), delete("e")], 4)]
    {
        let mut scene = Scene::with(&records);
        scene.prepare(operations);
        assert_eq!(scene.read(range(None, Some("e"), 1)), None);
        let gathered: Vec<usize> = scene
            .reads
            .arrived
            .values()
            .map(|read| match &read.gathered {
                Gathered::Rows(rows) => rows.len(),
                Gathered::Digest(_) => panic!("it is a list"),
            })
            .collect();
        assert_eq!(gathered, [held]);
    }
}

#[test]
fn a_digest_is_of_the_moment_after_what_was_prepared_as_it_came() {
    let mut scene = Scene::with(&[("a", "1"), ("b", "2")]);
    let writes = scene.prepare(vec![put("a", "new"), delete("b"), put("c", "3")]);
    let other = scene.prepare(vec![put("d", "4")]);
    assert_eq!(scene.read(Query::Digest), None);
    assert_eq!(scene.commit(writes), []);
    let digest = scene.participant.store.digest();
    let later = scene.prepare(vec![put("e", "5")]);
    scene.commit(later);
    assert_ne!(scene.participant.store.digest(), digest);
    let [(_, ReadResult::Found(Answer::Digest(found)))] = &scene.abort(other)[..] else { panic!("it is answered") };
    assert_eq!(*found, digest);
}

#[test]
fn a_read_waits_for_all_that_is_prepared_and_touches_it_and_nothing_else() {
    let mut scene = Scene::with(&[("a", "1")]);
    let first = scene.prepare(vec![put("a", "2")]);
    let second = scene.prepare(vec![put("b", "2")]);
    scene.prepare(vec![put("c", "2")]);
    assert_eq!(scene.read(range(None, Some("c"), 9)), None);
    assert_eq!(rows(scene.read(keys(&["x"])).expect("nothing touches it")), expected(&[], false));
    assert_eq!(scene.commit(second), []);
    let done = scene.commit(first);
    assert_eq!(rows(done[0].1.clone()), expected(&[("a", "2"), ("b", "2")], false));
}

#[test]
fn a_strict_read_waits_for_what_it_touches_and_then_lets_go() {
    let mut scene = Scene::with(&[("a", "1")]);
    let older = |scene: &mut Scene| scene.read_as(COORDINATOR, Consistency::Strict, keys(&["a"]));
    let found = older(&mut scene).expect("nothing is in its way");
    assert_eq!(rows(found), expected(&[("a", "1")], false));
    scene.prepare(vec![put("a", "2")]);
    assert_eq!(older(&mut scene), Some(ReadResult::Older { stamp: scene.sequence - 1 }), "it is younger, and may not wait");
}

#[test]
fn what_a_lost_coordinator_asked_is_dropped_and_nothing_else() {
    let other = NodeId(101);
    let mut scene = Scene::with(&[("a", "1")]);
    let txn = scene.prepare(vec![put("a", "2")]);
    for from in [COORDINATOR, other] {
        assert_eq!(scene.read_as(from, Consistency::Arrival, keys(&["a"])), None);
    }
    assert_eq!(scene.reads.waiting(), 2);
    scene.reads.discard_of(COORDINATOR, &mut scene.participant, &mut Vec::new());
    assert_eq!(scene.reads.waiting(), 1);
    assert!(scene.reads.awaited.values().flatten().all(|(from, _)| *from == other));
    let done = scene.commit(txn);
    assert_eq!(done.iter().map(|((from, _), _)| *from).collect::<Vec<_>>(), [other]);
    assert_eq!(scene.reads, ReplicaReads::default());
}

#[test]
fn a_lost_coordinator_leaves_no_trace_of_what_it_waited_for() {
    let mut scene = Scene::with(&[]);
    scene.prepare(vec![put("a", "2")]);
    assert_eq!(scene.read(keys(&["a"])), None);
    scene.reads.discard_of(COORDINATOR, &mut scene.participant, &mut Vec::new());
    assert_eq!(scene.reads, ReplicaReads::default());
}

#[test]
fn one_read_more_than_may_wait_is_refused_and_claims_nothing() {
    let mut scene = Scene::with(&[("a", "1")]);
    scene.participant.limits.reads_waiting_max = 2;
    scene.sequence = 9;
    let txn = scene.prepare(vec![put("a", "2")]);
    assert_eq!(scene.read(keys(&["a"])), None);
    // Older than the transaction, so it may wait for it.
    scene.sequence = 1;
    assert_eq!(scene.read_as(COORDINATOR, Consistency::Strict, keys(&["a"])), None);
    assert_eq!(scene.reads.waiting(), 2);
    assert_eq!(scene.read(keys(&["a"])), Some(ReadResult::Overloaded));
    assert_eq!(scene.read_as(COORDINATOR, Consistency::Strict, keys(&["b"])), Some(ReadResult::Overloaded));
    assert_eq!(scene.reads.waiting(), 2);
    assert!(scene.participant.locks.holders().all(|owner| owner == Owner::Txn(txn)), "the last one is not even in line");
}
