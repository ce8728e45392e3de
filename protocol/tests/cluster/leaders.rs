//! Two coordinators that lead from copies of one control store (R14). Whatever copy the second one has, and whichever workers it
//! reaches, there are never two histories once one worker has heard both, and the coordinator that must end learns of it.

use skein_protocol::id::{Age, ClusterId, ViewId, Writer};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::{NoReason, Prepare, SealReason, Vote};

use super::world::*;

/// The coordinator ends that shares its run with another one.
fn shared(run: u64) -> Option<Halt> {
    Some(Halt::SharedRun { run: Incarnation(run) })
}

/// Both coordinators are started again from copies of one control store, so both are the second run. The first reaches two of three
/// workers, the second none yet, and no answer to a beat arrives.
fn both_started_again(mut world: World) -> World {
    let copy = world.control.clone();
    world.hold(answers_to_beats());
    world.stop_coordinator();
    world.start_coordinator_reaching(&[W1, W2]);
    world.start_rival(2, copy);
    world
}

#[test]
fn two_of_one_run_end_as_soon_as_a_worker_has_heard_both() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.start_rival(1, world.control.clone());
    world.both_beat();
    assert_eq!(world.halts(), (None, None), "no worker has heard both");
    world.connect(W2, RIVAL);
    world.both_beat();
    assert_eq!(world.halts(), (shared(1), shared(1)));
    assert_eq!(world.control_of_rival(), &world.control, "the second one has not written");
    assert!([W1, W2, W3].into_iter().all(|node| world.names_at(node) == ["a"]));
}

#[test]
fn two_that_were_both_started_again_hear_of_each_other_from_a_worker_that_follows_neither() {
    // Neither gets as far as sealing: each waits for a worker that only the other one reaches.
    let mut world = both_started_again(World::new(3));
    world.connect(W2, RIVAL);
    world.both_beat();
    world.let_go();
    // Whichever was heard first, the answers to the next beats say it.
    world.both_beat();
    assert_eq!(world.halts(), (shared(2), shared(2)));
    assert_eq!(world.members(), [W1, W2, W3]);
}

#[test]
fn a_later_run_that_connects_and_dies_before_it_leads_changes_nothing() {
    let mut world = World::new(3);
    world.write("a", "1");
    // As an operator starts a coordinator from a copy by mistake, and stops it. It waits for a member that it does not reach.
    for run in [2, 9] {
        world.start_rival(run, world.control.clone());
        world.connect(W1, RIVAL);
        world.connect(W2, RIVAL);
        world.both_beat();
        assert_eq!(world.halts(), (None, None), "run {run} has changed nothing yet");
        world.stop_rival();
        world.both_beat();
        assert_eq!(world.halt, None, "run {run} is gone");
    }
    world.write("b", "1");
    // Nor does it matter to the leader's successor, which has the same run as the first that was started by mistake.
    world.restart_coordinator();
    world.both_beat();
    assert_eq!((&world.halt, world.members()), (&None, vec![W1, W2, W3]));
    world.write("c", "1");
}

#[test]
fn of_two_with_the_same_later_run_the_second_is_told_though_the_first_has_gone() {
    // The first waits for a worker, so no worker follows it yet.
    let mut world = both_started_again(World::new(3));
    world.connect(W2, RIVAL);
    world.both_beat();
    // One of the two has ended because it was told of the other one, and nobody has told that one yet.
    world.stop_rival();
    world.lose_held();
    world.beat(1);
    assert_eq!(world.halt, shared(2));
}

#[test]
fn later_runs_that_come_and_go_do_not_hide_one_that_shares_the_run() {
    let mut world = World::new(3);
    let hear = |world: &mut World, run, node| {
        let writer = Writer { run: Incarnation(run), node: NodeId(node) };
        let beat = Message::Beat { beat: 1, cluster: Some(CLUSTER), writer, active: Some(view_id(1)) };
        world.hear(W1, writer.node, beat);
    };
    hear(&mut world, 1, 50);
    (2..9).for_each(|run| hear(&mut world, run, 50 + u128::from(run)));
    world.beat(1);
    assert_eq!(world.halt, shared(1));
}

#[test]
fn a_later_run_takes_over_and_the_earlier_one_ends() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.start_rival(2, world.control.clone());
    [W1, W2, W3].into_iter().for_each(|node| world.connect(node, RIVAL));
    world.both_beat();
    assert_eq!(world.halts(), (Some(Halt::Superseded), None));
    assert!(world.rival_writes("b"));
    assert!([W1, W2, W3].into_iter().all(|node| world.names_at(node) == ["a", "b"]));
}

#[test]
fn a_later_run_from_an_older_store_ends_and_disturbs_nobody() {
    let mut world = World::new(3);
    let old = world.control.clone();
    world.cut(W3, COORDINATOR);
    world.view_change_times_out();
    world.write("a", "1");
    world.start_rival(9, old);
    world.connect(W3, RIVAL);
    world.connect(W1, RIVAL);
    world.both_beat();
    assert_eq!(world.halts().1, Some(Halt::Superseded));
    // Nor does one that was left out, and knew no more than the one that has ended.
    world.connect(W3, COORDINATOR);
    world.both_beat();
    world.both_beat();
    assert_eq!(world.halt, None);
    // Also when it belongs to the newest view again.
    for _ in 0..5 {
        world.admit();
        world.both_beat();
    }
    assert_eq!((world.members(), &world.halt), (vec![W1, W2, W3], &None));
    world.write("b", "1");
}

#[test]
fn a_seal_that_follows_an_older_view_than_the_worker_knows_is_refused() {
    for is_restarted in [false, true] {
        let mut world = World::new(3);
        // The copy is made while the second view is announced, so the next number there is the third.
        world.hold(reports());
        world.stop_past_grace(W3);
        let copy = world.control.clone();
        assert_eq!(world.record().pending.as_ref().map(|view| view.number), Some(ViewNumber(2)));
        world.let_go();
        world.write("a", "1");
        if is_restarted {
            // What a worker knows outlives its process.
            world.stop_coordinator();
            world.stop([W1, W2]);
            world.restart([W1, W2]);
        }
        world.start_rival(7, copy);
        world.connect(W1, RIVAL);
        world.connect(W2, RIVAL);
        world.view_change_of_rival_times_out();
        assert_eq!(world.halts().1, Some(Halt::Superseded), "restarted {is_restarted}");
        assert!([W1, W2].into_iter().all(|node| world.names_at(node) == ["a"] && world.worker(node).view() == ViewNumber(2)));
    }
}

#[test]
fn of_two_views_of_one_number_a_worker_belongs_to_the_first_and_says_so() {
    let mut world = World::new(3);
    world.write("a", "1");
    let mut world = both_started_again(world);
    world.view_change_times_out();
    assert_eq!(world.members(), [W1, W2]);
    world.write("b", "1");
    world.connect(W2, RIVAL);
    world.connect(W3, RIVAL);
    world.view_change_of_rival_times_out();
    assert_eq!(world.halts().1, shared(2), "the refusal says so");
    assert!(!world.rival_writes("c"));
    world.let_go();
    world.both_beat();
    assert_eq!(world.halt, shared(2));
    assert_eq!((world.names_at(W1), world.names_at(W2)), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
}

#[test]
fn two_that_reach_nobody_in_common_are_found_by_the_first_worker_that_hears_both_and_nothing_is_wiped() {
    // The second one is of the same run, or a later one, as when only one of the two was started again.
    for run in [1, 2] {
        let mut world = World::new(3);
        world.write("a", "1");
        let copy = world.control.clone();
        world.cut(W3, COORDINATOR);
        world.view_change_times_out();
        world.write("b", "1");
        world.start_rival(run, copy);
        world.connect(W3, RIVAL);
        world.view_change_of_rival_times_out();
        world.both_beat();
        // A worker that follows the first does not take a second one of its run.
        assert_eq!(world.rival_writes("c"), run == 2);
        assert_eq!(world.halt, None);
        if run == 2 {
            world.connect(W1, RIVAL);
        } else {
            world.connect(W3, COORDINATOR);
        }
        world.both_beat();
        let (first, second) = world.halts();
        assert!(first.is_some(), "the first one goes on in run {run}");
        assert!(second.is_some(), "the second one goes on in run {run}");
        assert_eq!(world.names_at(W1), ["a", "b"]);
        assert_eq!(world.names_at(W3), if run == 2 { vec!["a", "c"] } else { vec!["a"] });
    }
}

#[test]
fn a_second_one_of_the_same_run_gets_no_view_though_it_hears_no_answer_to_a_beat() {
    let mut world = World::new(3);
    world.write("a", "1");
    let copy = world.control.clone();
    world.cut(W3, COORDINATOR);
    world.view_change_times_out();
    world.hold(answers_to_beats());
    world.start_rival(1, copy);
    world.connect(W3, RIVAL);
    world.view_change_of_rival_times_out();
    assert_eq!(world.halts(), (None, shared(1)), "the refusal says so");
    assert_eq!(world.worker(W3).view(), ViewNumber(1));
    assert!(!world.rival_writes("b"));
}

#[test]
fn what_is_said_by_a_coordinator_that_is_not_followed_counts_for_nothing() {
    let mut world = World::new(1);
    world.write("a", "1");
    let (mut worker, _) = world.workers.remove(&W1).unwrap();
    let mut say = |message: Message| {
        let mut out = Vec::new();
        worker.handle(Input::Message { from: RIVAL, message }, &mut out);
        out
    };
    let writer = Writer { run: Incarnation(1), node: RIVAL };
    say(Message::Beat { beat: 1, cluster: Some(CLUSTER), writer, active: Some(view_id(1)) });
    let view = ViewNumber(1);
    let txn = TxnId { incarnation: Incarnation(1), sequence: 9 };
    let age = Age { stamp: 1 << 20, incarnation: Incarnation(1) };
    let prepare = Prepare { txn, age, view, operations: vec![put("b", "1")], trace: None };
    let out = say(Message::Prepare(prepare));
    assert!(matches!(out[..], [Output::Send { to: RIVAL, message: Message::Vote { vote: Vote::No(NoReason::Stale), .. } }]));
    let settled = vec![(txn, Outcome::Committed)];
    for message in [Message::Activate { view, outcomes: settled }, Message::ForgetViews { before: view }] {
        assert_eq!(say(message), []);
    }
    // A seal with a number that the worker has is answered, and the answer names the leader that it follows.
    let out = say(seal_by(CLUSTER, ViewId { number: view, writer }, Standing::Member, None));
    let [Output::Send { to: RIVAL, message: Message::SealRefused { reason: SealReason::Led, follows, .. } }] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(follows.writer, Some(Writer { run: Incarnation(1), node: COORDINATOR }));
    assert_eq!(follows.rival, None, "the rival is the coordinator that asked");
}

#[test]
fn a_coordinator_of_another_cluster_is_no_rival() {
    let mut world = World::new(2);
    let writer = Writer { run: Incarnation(1), node: RIVAL };
    for cluster in [None, Some(ClusterId(99))] {
        world.hear(W1, RIVAL, Message::Beat { beat: 1, cluster, writer, active: None });
        world.beat(1);
        assert_eq!(world.halt, None, "{cluster:?}");
    }
}
