//! A coordinator's transactions by themselves: the bounds on what is under way, on a request and on its tries, at the number itself, one
//! below and one above. How the machines go on together is for the tests of whole clusters.

use alloc::vec;

use super::*;
use crate::id::Writer;
use crate::membership::view::{Member, Shard};
use crate::operation::{Expect, Key, Shared};

const MEMBERS: [NodeId; 2] = [NodeId(1), NodeId(2)];

/// A coordinator with two members, in view 1.
struct Scene {
    transactions: Transactions,
    requests: u64,
    /// What has been prepared, in its order.
    prepared: Vec<TxnId>,
}

fn operation(table: TableId, name: &str, action: Action) -> Operation {
    Operation { key: Key::new(table, name), expect: Expect::Any, action }
}

fn put(name: &str, bytes: usize) -> Operation {
    operation(TableId(1), name, Action::Put(Shared::from(vec![7; bytes])))
}

fn own(name: &str) -> Operation {
    operation(TableId::HOUSEKEEPING, name, Action::Delete)
}

fn view() -> View {
    let member = |node: &NodeId| Member { node: *node, address: alloc::string::String::new(), logged: true };
    let shard = Shard { members: MEMBERS.iter().map(member).collect(), learners: Vec::new() };
    View { number: ViewNumber(1), writer: Writer::UNKNOWN, shards: vec![shard] }
}

impl Scene {
    fn new(limits: Limits) -> Self {
        let bounds = Bounds { window: 64, request_sweeps: 4, doubt_sweeps: 3, limits };
        let mut transactions = Transactions::new(Incarnation(1), bounds, true, Rules::ALL);
        transactions.activate(view(), &Settlement::default(), true, &mut Vec::new());
        Scene { transactions, requests: 0, prepared: Vec::new() }
    }

    /// What clients were told.
    fn input(&mut self, input: impl FnOnce(&mut Transactions, &mut Vec<Output>)) -> Vec<(u64, Reply)> {
        let (mut out, mut replies) = (Vec::new(), Vec::new());
        input(&mut self.transactions, &mut out);
        for output in out {
            match output {
                Output::Send { to, message: Message::Prepare(prepare) } if to == MEMBERS[0] => self.prepared.push(prepare.txn),
                Output::Reply { id, reply } => replies.push((id.0, reply)),
                _ => {}
            }
        }
        replies
    }

    fn submit(&mut self, operations: Vec<Operation>) -> Vec<(u64, Reply)> {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.input(|transactions, out| transactions.submit(id, operations, 0, None, out))
    }

    /// How many of these are sent, one after the other.
    fn sent(&mut self, all: impl IntoIterator<Item = Vec<Operation>>) -> usize {
        let before = self.prepared.len();
        for operations in all {
            assert_eq!(self.submit(operations), []);
        }
        self.prepared.len() - before
    }

    fn vote(&mut self, place: usize, vote: &Vote) -> Vec<(u64, Reply)> {
        let txn = self.prepared[place];
        self.input(|transactions, out| {
            MEMBERS.iter().for_each(|node| transactions.voted(*node, txn, ViewNumber(1), vote.clone(), out));
        })
    }

    fn acknowledge(&mut self, place: usize) -> Vec<(u64, Reply)> {
        let txn = self.prepared[place];
        self.input(|transactions, out| {
            MEMBERS.iter().for_each(|node| transactions.acknowledged(*node, txn, ViewNumber(1), out));
        })
    }

    fn sweep(&mut self) -> (Vec<(u64, Reply)>, bool) {
        let mut doubt = false;
        let replies = self.input(|transactions, out| doubt = transactions.sweep(out));
        (replies, doubt)
    }
}

fn refused(id: u64, refusal: Refusal) -> Vec<(u64, Reply)> {
    vec![(id, Reply::Refused(refusal))]
}

fn yes() -> Vote {
    Vote::Yes { versions: vec![Version(1)] }
}

#[test]
fn no_more_operations_are_under_way_than_may_be_when_one_begins() {
    let mut scene = Scene::new(Limits { operations_in_flight_max: 3, ..Limits::SHIPPED });
    assert_eq!(scene.sent(["a", "b"].map(|name| vec![put(name, 1)])), 2);
    assert_eq!(scene.transactions.is_crowded(), [false, false]);
    assert_eq!(scene.sent([vec![put("c", 1), put("d", 1)]]), 1, "one more may begin below the bound");
    assert_eq!(scene.transactions.is_crowded(), [true, false]);
    assert_eq!(scene.sent([vec![put("e", 1)]]), 0);
    scene.vote(0, &yes());
    assert_eq!(scene.prepared.len(), 3, "it is under way until it is acknowledged");
    scene.acknowledge(0);
    assert_eq!(scene.prepared.len(), 3, "three are under way still");
    scene.vote(1, &yes());
    scene.acknowledge(1);
    assert_eq!(scene.prepared.len(), 4);

    let mut scene = Scene::new(Limits { operations_in_flight_max: 3, ..Limits::SHIPPED });
    assert_eq!(scene.sent(["a", "b", "c", "d"].map(|name| vec![put(name, 1)])), 3, "none begins at the bound");
}

#[test]
fn no_more_bytes_are_under_way_than_may_be_when_one_begins() {
    // A key of one byte, and nine of its value.
    let limits = Limits { transaction_bytes_in_flight_max: 20, ..Limits::SHIPPED };
    let mut scene = Scene::new(limits);
    assert_eq!(scene.sent(["a", "b", "c"].map(|name| vec![put(name, 9)])), 2, "none begins at the bound");
    assert_eq!(scene.transactions.is_crowded(), [false, true]);
    assert_eq!(scene.sent([vec![own("row")]]), 1, "the cluster's own rows do not wait for that");
    scene.vote(0, &yes());
    scene.acknowledge(0);
    assert_eq!(scene.prepared.len(), 4);
    let mut scene = Scene::new(limits);
    assert_eq!(scene.sent([vec![put("a", 18)], vec![put("b", 9)], vec![put("c", 9)]]), 2, "one more may begin below it");
}

#[test]
fn one_request_more_than_may_be_held_is_refused_and_the_cluster_has_some_of_its_own() {
    let mut scene = Scene::new(Limits { requests_max: 2, ..Limits::SHIPPED });
    assert_eq!(scene.sent(["a", "b"].map(|name| vec![put(name, 1)])), 2);
    assert_eq!(scene.submit(vec![put("c", 1)]), refused(3, Refusal::Overloaded));
    assert_eq!(scene.submit(vec![own("row"), put("d", 1)]), refused(4, Refusal::Overloaded), "not the cluster's alone");
    for _ in 0..limits::OWN_REQUESTS_MAX {
        assert_eq!(scene.submit(vec![own("row")]), []);
    }
    assert_eq!(scene.submit(vec![own("row")]), refused(scene.requests, Refusal::Overloaded));
    assert_eq!(scene.vote(0, &yes()).len(), 1);
    assert_eq!(scene.submit(vec![put("c", 1)]), refused(scene.requests, Refusal::Overloaded), "they count as well");
}

#[test]
fn a_transaction_keeps_its_bounds_and_names_each_key_once() {
    let name = |bytes: usize| "k".repeat(bytes);
    let many = |count: usize| (0..count).map(|place| put(&alloc::format!("{place:02}"), 1)).collect::<Vec<_>>();
    // As many bytes as a transaction may have, with two keys of one byte.
    let whole = |more: usize| vec![put("a", limits::VALUE_BYTES_MAX), put("b", rest_bytes() + more)];
    for (operations, valid) in [
        (vec![], false),
        (many(limits::OPERATIONS_MAX), true),
        (many(limits::OPERATIONS_MAX + 1), false),
        (vec![put("a", limits::VALUE_BYTES_MAX)], true),
        (vec![put("a", limits::VALUE_BYTES_MAX + 1)], false),
        (vec![put(&name(limits::KEY_BYTES_MAX), 1)], true),
        (vec![put("a", 1), put(&name(limits::KEY_BYTES_MAX + 1), 1)], false),
        (whole(0), true),
        (whole(1), false),
        (vec![put("a", 1), put("b", 1), put("a", 1)], false),
        (vec![put("a", 1), own("a")], true),
    ] {
        let mut scene = Scene::new(Limits::SHIPPED);
        let (count, expected) = (operations.len(), if valid { vec![] } else { refused(1, Refusal::Invalid) });
        assert_eq!(scene.submit(operations), expected, "{count} operations");
    }
}

fn rest_bytes() -> usize {
    limits::TRANSACTION_BYTES_MAX - limits::VALUE_BYTES_MAX - 2
}

#[test]
fn a_refused_attempt_is_tried_again_as_often_as_may_be() {
    let mut scene = Scene::new(Limits { attempts_max: 2, ..Limits::SHIPPED });
    assert_eq!(scene.sent([vec![put("a", 1)]]), 1);
    let no = Vote::No(NoReason::Older { stamp: 500 });
    assert_eq!(scene.vote(0, &no), []);
    assert!(!scene.transactions.has_refused(), "the abort is not acknowledged");
    assert_eq!(scene.acknowledge(0), []);
    assert!(scene.transactions.has_refused());
    assert_eq!((scene.transactions.queued(), scene.transactions.in_flight()), (1, 0));
    assert_eq!(scene.input(Transactions::retry), []);
    assert_eq!(scene.prepared.len(), 2);
    assert!(scene.transactions.next_age(0).stamp > 500, "ages are greater than what was seen");
    assert_eq!(scene.vote(1, &no), []);
    let aborted = Reply::Aborted { txn: scene.prepared[1], reason: AbortReason::Contention };
    assert_eq!(scene.acknowledge(1), [(1, aborted)]);
    assert!(!scene.transactions.has_refused());
}

#[test]
fn a_stamp_that_no_clock_can_have_given_is_not_believed() {
    let mut scene = Scene::new(Limits::SHIPPED);
    scene.transactions.saw_stamp(limits::STAMP_MAX + 1);
    assert!(scene.transactions.next_age(0).stamp < 100);
    assert_eq!(scene.transactions.next_age(700).stamp, 701);
    assert_eq!(scene.transactions.next_age(5).stamp, 702);
    scene.transactions.saw_stamp(limits::STAMP_MAX);
    assert_eq!(scene.transactions.next_age(0).stamp, limits::STAMP_MAX + 1);
}

#[test]
fn writes_of_one_key_are_sent_one_after_the_other() {
    let mut scene = Scene::new(Limits::SHIPPED);
    assert_eq!(scene.sent([vec![put("a", 1)], vec![put("a", 2)]]), 1);
    assert_eq!((scene.transactions.queued(), scene.transactions.in_flight()), (1, 1));
    assert_eq!(scene.vote(0, &yes()).len(), 1);
    assert_eq!((scene.transactions.queued(), scene.transactions.in_flight()), (0, 2), "the first is committed");
}

#[test]
fn the_greater_of_two_versions_counts() {
    for versions in [[3, 5], [5, 3]] {
        let mut scene = Scene::new(Limits::SHIPPED);
        scene.submit(vec![put("a", 1)]);
        let txn = scene.prepared[0];
        let replies = scene.input(|transactions, out| {
            for (node, version) in MEMBERS.into_iter().zip(versions) {
                transactions.voted(node, txn, ViewNumber(1), Vote::Yes { versions: vec![Version(version)] }, out);
            }
        });
        assert_eq!(replies, [(1, Reply::Committed { txn, versions: vec![Version(5)] })]);
    }
}

#[test]
fn a_request_hears_at_its_deadline_what_is_known_and_one_that_was_not_sent_a_round_before() {
    let mut scene = Scene::new(Limits { operations_in_flight_max: 1, ..Limits::SHIPPED });
    assert_eq!(scene.sent([vec![put("a", 1)], vec![put("b", 1)]]), 1);
    assert_eq!([scene.sweep(), scene.sweep()], [(vec![], false), (vec![], false)]);
    assert_eq!(scene.sweep(), (refused(2, Refusal::Unavailable), true), "and the silence is a doubt");
    let txn = scene.prepared[0];
    assert_eq!(scene.sweep().0, [(1, Reply::Unknown { txn })]);
    assert_eq!(scene.sweep().0, [], "it is told once");
    assert_eq!(scene.transactions.outcome(txn), KnownOutcome::Unknown);
    assert_eq!(scene.vote(0, &yes()), [], "the client has given up");
    assert_eq!(scene.transactions.outcome(txn), KnownOutcome::Known(Outcome::Committed));
}

#[test]
fn a_participant_that_is_heard_ends_the_silence() {
    let mut scene = Scene::new(Limits::SHIPPED);
    scene.submit(vec![put("a", 1)]);
    let txn = scene.prepared[0];
    assert_eq!([scene.sweep().1, scene.sweep().1], [false, false]);
    scene.input(|transactions, out| transactions.voted(MEMBERS[0], txn, ViewNumber(1), yes(), out));
    assert_eq!([(); 3].map(|()| scene.sweep().1), [false, false, true]);
}

#[test]
fn of_a_transaction_that_never_was_nothing_is_known_and_of_an_earlier_run_it_may_be() {
    let mut scene = Scene::new(Limits::SHIPPED);
    scene.transactions.incarnation = Incarnation(3);
    let known = |incarnation, sequence| scene.transactions.outcome(TxnId { incarnation: Incarnation(incarnation), sequence });
    assert_eq!([known(3, 9), known(4, 1), known(0, 1), known(2, 0)], [KnownOutcome::NotKnown; 4]);
    assert_eq!([known(2, 1), known(1, 7)], [KnownOutcome::Unknown; 2]);
}

#[test]
fn no_more_outcomes_are_remembered_than_may_be() {
    let mut scene = Scene::new(Limits { outcomes_remembered_max: 2, ..Limits::SHIPPED });
    scene.sent(["a", "b", "c"].map(|name| vec![put(name, 1)]));
    (0..3).for_each(|place| assert_eq!(scene.vote(place, &yes()).len(), 1));
    assert_eq!(scene.transactions.remembered(), 2);
    let known = scene.prepared.iter().map(|txn| scene.transactions.outcome(*txn)).collect::<Vec<_>>();
    let committed = KnownOutcome::Known(Outcome::Committed);
    assert_eq!(known, [KnownOutcome::Unknown, committed, committed], "the oldest is forgotten, and runs still");
}
