//! Every promise is broken once by hand, to see that the question behind it can be answered with no.

use skein_protocol::id::{Age, Incarnation, NodeId, TxnId, Version, ViewNumber};
use skein_protocol::message::Outcome;
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::operation::{Answer, Digest, Operation, Row};
use skein_protocol::record::{Decided, Prepared, Record, Stored, Write};
use skein_protocol::rules::{Omission, Rules};
use skein_protocol::step::{AbortReason, Input, KnownOutcome, Reply, Request};
use skein_sim::model::ClusterModel;
use skein_sim::model::action::Action;
use skein_sim::model::client::Client;
use skein_sim::model::history::Run;
use skein_sim::model::property::{self, Promise};
use skein_sim::model::reader::Reader;
use skein_sim::model::scenario::Scenario;
use skein_sim::model::world::World;
use skein_sim::model::worlds;
use skein_sim::part::Part;

/// A quiet world in which all promises hold.
fn quiet(scenario: Scenario) -> (ClusterModel, World) {
    let model = ClusterModel { scenario };
    let world = World::start(&model.scenario);
    for promise in &property::ALL {
        assert!((promise.keeps)(&model, &world), "{} is broken at the start", promise.name);
    }
    (model, world)
}

/// Changes a quiet world by hand and asserts that this promise, if not others, sees it.
fn breaks(promise: &Promise, change: impl FnOnce(&mut World)) {
    breaks_in(promise, worlds::calm(), change);
}

fn breaks_in(promise: &Promise, scenario: Scenario, change: impl FnOnce(&mut World)) {
    let (model, mut world) = quiet(scenario);
    change(&mut world);
    assert!(!(promise.keeps)(&model, &world), "{} is not seen to be broken", promise.name);
}

fn txn(sequence: u64) -> TxnId {
    TxnId { incarnation: Incarnation(1), sequence }
}

fn operation() -> Operation {
    worlds::calm().requests[0][0].clone()
}

fn committed(sequence: u64) -> Record {
    let stored = Stored::new(&operation().key, Version(10), txn(sequence), "v".into());
    let write = Write { key: operation().key, stored: Some(stored) };
    Record::Committed { txn: txn(sequence), view: ViewNumber(1), writes: vec![write] }
}

fn aborted(sequence: u64) -> Record {
    Record::Aborted { txn: txn(sequence), view: ViewNumber(1) }
}

fn prepared(sequence: u64) -> Record {
    let age = Age { stamp: 10, incarnation: Incarnation(1) };
    let (view, operations, versions) = (ViewNumber(1), vec![operation()], vec![Version(10)]);
    Record::Prepared(Prepared { txn: txn(sequence), age, view, operations, versions })
}

/// Appends to a worker's log and syncs it.
fn log(world: &mut World, worker: usize, record: Record) {
    world.workers[worker].disk.append(record);
    world.workers[worker].disk.sync(1);
}

/// Notes that these transactions ran, the first for client 0 and so on, and were applied.
fn ran(world: &mut World, requests: &[usize], applied: bool) {
    world.history.update(|history| {
        for (sequence, request) in (1..).zip(requests) {
            history.ran.insert(txn(sequence), Run { request: *request, view: ViewNumber(1) });
            if applied {
                history.applied.insert(txn(sequence));
            }
        }
    });
}

fn reply(world: &mut World, replies: &[Reply]) {
    world.clients[0].update(|client| {
        client.asked = Some(1);
        client.replies.extend_from_slice(replies);
    });
}

fn told_committed() -> Reply {
    Reply::Committed { txn: txn(1), versions: vec![Version(10)] }
}

fn told_aborted() -> Reply {
    Reply::Aborted { txn: txn(1), reason: AbortReason::Memory }
}

#[test]
fn two_members_that_decided_differently_disagree() {
    breaks(&property::AGREEMENT, |world| {
        ran(world, &[0], true);
        log(world, 0, committed(1));
        log(world, 1, aborted(1));
    });
}

#[test]
fn a_member_that_decided_other_than_the_view_disagrees() {
    breaks(&property::AGREEMENT, |world| {
        ran(world, &[0], false);
        log(world, 1, aborted(1));
        world.store.update(|record| {
            let active = record.as_mut().and_then(|record| record.active.as_mut());
            let active = active.expect("a view is active");
            active.outcomes.push((txn(1), Outcome::Committed));
        });
    });
}

#[test]
fn a_write_at_one_member_alone_is_not_replicated() {
    breaks(&property::REPLICATED, |world| log(world, 0, committed(1)));
}

#[test]
fn a_write_that_one_member_could_still_lose_is_not_replicated() {
    breaks(&property::REPLICATED, |world| {
        log(world, 0, committed(1));
        world.workers[1].disk.append(committed(1));
    });
}

#[test]
fn a_write_told_to_be_committed_and_missing_is_lost() {
    breaks(&property::COMMITTED_STAYS, |world| reply(world, &[told_committed()]));
    breaks(&property::COMMITTED_STAYS, |world| {
        reply(world, &[told_committed()]);
        log(world, 0, prepared(1));
        world.workers[1].disk.append(prepared(1));
    });
}

#[test]
fn what_was_there_before_a_learner_came_must_not_be_lost() {
    let key = || worlds::rejoin().before[0].key.clone();
    breaks_in(&property::COMMITTED_STAYS, worlds::rejoin(), |world| {
        let gone = Record::Committed { txn: txn(9), view: ViewNumber(2), writes: vec![Write { key: key(), stored: None }] };
        log(world, 0, gone);
    });
}

#[test]
fn an_acknowledged_delete_must_not_be_undone() {
    breaks_in(&property::COMMITTED_STAYS, worlds::rejoin(), |world| {
        reply(world, &[Reply::Committed { txn: txn(3), versions: vec![Version(11), Version(11)] }]);
        world.history.update(|history| history.applied.insert(txn(3)));
    });
}

#[test]
fn a_write_told_to_be_committed_and_settled_otherwise_is_lost() {
    breaks(&property::COMMITTED_STAYS, |world| {
        reply(world, &[told_committed()]);
        log(world, 0, prepared(1));
        log(world, 1, prepared(1));
        world.history.update(|history| history.settled.insert(txn(1), Outcome::Aborted));
    });
}

#[test]
fn a_question_answered_with_committed_counts_as_told() {
    breaks(&property::COMMITTED_STAYS, |world| {
        reply(world, &[Reply::Unknown { txn: txn(1) }]);
        world.clients[0].update(|client| client.learn(KnownOutcome::Known(Outcome::Committed)));
    });
}

#[test]
fn a_write_told_to_be_aborted_and_applied_was_not_aborted() {
    breaks(&property::ABORTED_NEVER_WAS, |world| {
        reply(world, &[told_aborted()]);
        ran(world, &[0], true);
    });
    breaks(&property::ABORTED_NEVER_WAS, |world| {
        reply(world, &[Reply::Unknown { txn: txn(1) }]);
        world.clients[0].update(|client| client.learn(KnownOutcome::Known(Outcome::Aborted)));
        ran(world, &[0], true);
    });
}

#[test]
fn two_answers_are_one_too_many() {
    breaks(&property::ONE_ANSWER, |world| reply(world, &[told_committed(), told_committed()]));
    breaks(&property::ONE_ANSWER, |world| {
        reply(world, &[Reply::Unknown { txn: txn(1) }]);
        world.clients[0].update(|client: &mut Client| {
            client.learn(KnownOutcome::Known(Outcome::Committed));
            client.learn(KnownOutcome::Known(Outcome::Aborted));
        });
    });
}

#[test]
fn a_request_applied_under_two_ids_took_effect_twice() {
    breaks(&property::ONCE, |world| ran(world, &[0, 0], true));
}

#[test]
fn a_request_applied_under_another_id_than_its_client_was_told_took_effect_unseen() {
    breaks(&property::ONCE, |world| {
        reply(world, &[Reply::Unknown { txn: txn(2) }]);
        ran(world, &[0], true);
    });
}

#[test]
fn what_was_settled_as_aborted_must_not_be_applied() {
    breaks(&property::SETTLED_STANDS, |world| {
        ran(world, &[0], true);
        world.history.update(|history| history.settled.insert(txn(1), Outcome::Aborted));
    });
}

#[test]
fn what_was_settled_as_committed_must_not_be_aborted() {
    breaks(&property::SETTLED_STANDS, |world| {
        ran(world, &[0], false);
        log(world, 1, aborted(1));
        world.history.update(|history| history.settled.insert(txn(1), Outcome::Committed));
    });
}

#[test]
fn two_writes_that_expect_the_same_absence_exclude_each_other() {
    breaks_in(&property::EXPECTATIONS, worlds::conflict(), |world| ran(world, &[0, 1], true));
}

fn found(rows: &[(u64, u64)]) -> Reply {
    let row = |(sequence, version): &(u64, u64)| Row {
        key: operation().key,
        version: Version(*version),
        written_by: txn(*sequence),
        value: "v".into(),
    };
    Reply::Found(Answer::Rows { rows: rows.iter().map(row).collect(), more: false })
}

/// A world in which a reader that had to find version 10 was given this.
fn reader_given(replies: Vec<Reply>) -> impl FnOnce(&mut World) {
    move |world| {
        ran(world, &[0], true);
        world.readers[0].update(|reader| *reader = Reader { asked: Some(1), floor: Some(Version(10)), replies });
    }
}

#[test]
fn a_read_of_what_was_acknowledged_before_is_current() {
    let (model, mut world) = quiet(worlds::reads());
    reader_given(vec![found(&[(1, 10)])])(&mut world);
    assert!((property::READS_CURRENT.keeps)(&model, &world));
}

#[test]
fn a_read_that_finds_nothing_or_too_little_is_stale() {
    breaks_in(&property::READS_CURRENT, worlds::reads(), reader_given(vec![found(&[])]));
    breaks_in(&property::READS_CURRENT, worlds::reads(), reader_given(vec![found(&[(1, 9)])]));
}

#[test]
fn a_read_of_what_is_not_committed_is_dirty() {
    breaks_in(&property::READS_CURRENT, worlds::reads(), reader_given(vec![found(&[(2, 11)])]));
}

#[test]
fn digests_that_differ_are_seen() {
    let digest = |records| Digest { records, ..Digest::default() };
    let digests = vec![(NodeId(1), digest(0)), (NodeId(2), digest(1))];
    let reply = Reply::Digests { view: ViewNumber(1), digests };
    breaks_in(&property::READS_CURRENT, worlds::reads(), reader_given(vec![reply]));
}

#[test]
fn an_invariant_that_a_machine_breaks_is_seen() {
    let held = |world: &mut World| {
        let mut snapshot = (*world.workers[0].disk.synced).clone();
        snapshot.fold(&prepared(1));
        snapshot.decided.insert(txn(1), Decided { view: ViewNumber(1), outcome: Outcome::Committed });
        world.workers[0].machine = Part::new(Worker::recover(WorkerConfig::default(), snapshot));
    };
    let scenario = worlds::calm();
    breaks(&property::INVARIANTS, |world| {
        held(world);
        world.worker_handles(&scenario, 0, Input::Start);
    });
}

#[test]
fn a_transaction_left_in_doubt_is_no_rest() {
    breaks(&property::COMES_TO_REST, |world| log(world, 0, prepared(1)));
}

#[test]
fn a_client_left_without_an_answer_is_no_rest() {
    breaks(&property::COMES_TO_REST, |world| reply(world, &[]));
}

#[test]
fn replicas_that_differ_are_no_rest() {
    breaks(&property::COMES_TO_REST, |world| log(world, 0, committed(1)));
}

#[test]
fn a_vote_before_the_sync_is_seen_when_it_is_sent() {
    let scenario = Scenario { rules: Rules::without(Omission::VoteUnsynced), ..worlds::calm() };
    breaks_in(&property::SYNCED_FIRST, scenario.clone(), |world| {
        world.apply(&scenario, &Action::Request { client: 0 });
        world.apply(&scenario, &Action::Down { worker: 0, place: 0 });
    });
}

#[test]
fn a_log_that_says_something_else_than_the_worker_is_seen() {
    breaks(&property::LOGGED, |world| log(world, 0, committed(1)));
    breaks(&property::LOGGED, |world| world.workers[0].disk.append(prepared(1)));
}

#[test]
fn an_output_against_the_contract_is_seen() {
    let scenario = worlds::calm();
    breaks(&property::SOUND, |world| {
        world.worker_handles(&scenario, 0, Input::Request { id: Client::request(0), request: Request::Status });
    });
}
