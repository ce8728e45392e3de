//! A worker that was left out, or a new one, learns all records and becomes a member (R9). What is written meanwhile stays written, what
//! was lost on the way is not taken for whole, and a worker that does not hold all records does not count.

use skein_protocol::membership::view::Standing;
use skein_protocol::message::Chunk;
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::record::Snapshot;
use skein_protocol::step::CopyProgress;

use super::world::*;

/// Two members hold many records, and the second one was away for longer than the grace and is back.
fn with_one_back() -> World {
    let mut world = World::new(2);
    world.fill();
    world.stop_past_grace(W2);
    world.restart(W2);
    world
}

/// Worker 2 is gone with its disk, and another machine without any records comes in its place, as worker 3.
fn with_newcomer(mut world: World) -> World {
    world.stop_past_grace(W2);
    world.lose_log_of(W2);
    world.replace(W2, W3);
    world
}

#[test]
fn one_that_was_left_out_comes_back_as_a_learner_and_becomes_a_member() {
    let mut world = World::new(3);
    world.fill();
    world.stop_past_grace(W3);
    world.committed_all(vec![put("k0001", "new"), delete("k0002"), put("n", "new")]);
    world.restart(W3);
    world.hold(copy_orders());
    world.admit();
    assert_eq!((world.members(), world.learners()), (vec![W1, W2], vec![W3]));
    assert_eq!(world.records_at(W3), 0);
    // It takes part in what is written meanwhile, whatever it knows of it.
    world.committed_all(vec![put_expecting("k0003", Expect::Present, "during"), put("m", "during")]);
    world.delete("k0004");
    for _ in 0..6 {
        assert_eq!(world.read(keys(&["k0005"]), Consistency::Arrival), pairs(&[("k0005", "old")]));
    }
    world.let_go();
    assert_eq!((world.members().len(), world.learners().len()), (3, 0));
    assert!(world.replicas_agree());
    assert_eq!(world.records_at(W3), RECORDS);
    // As good as any other now: it alone is enough.
    world.stop_past_grace([W1, W2]);
    assert_eq!(world.members(), [W3]);
    let found = world.read_some(&["k0001", "k0002", "k0003", "k0004", "m", "n"]);
    assert_eq!(found, pairs(&[("k0001", "new"), ("k0003", "during"), ("m", "during"), ("n", "new")]));
}

#[test]
fn a_chunk_brings_back_nothing_that_was_changed_since() {
    let mut world = World::new(2);
    world.fill();
    let mut world = with_newcomer(world);
    world.hold(chunks());
    world.admit();
    assert_eq!(world.learners(), [W3]);
    // The chunk is on its way with the old values.
    world.committed_all(vec![put("k0001", "new"), delete("k0002")]);
    // One is prepared, and undecided while the copy is completed and the learner becomes a member.
    world.lose(decisions());
    let write = world.begin_transaction(vec![put("k0003", "newer"), delete("k0004")]);
    world.lose_nothing();
    world.let_go();
    assert!(world.is_committed(write));
    assert_eq!(world.members(), [W1, W3]);
    assert!(world.replicas_agree());
    assert_eq!(world.read_some(&["k0001", "k0002", "k0003", "k0004"]), pairs(&[("k0001", "new"), ("k0003", "newer")]));
}

#[test]
fn a_learner_that_starts_again_begins_again() {
    let mut world = with_one_back();
    world.hold(completed_copies());
    world.admit();
    assert_eq!(world.records_at(W2), RECORDS);
    let CopyProgress { copied, total, .. } = world.coordinator.status().copies[0];
    assert!(0 < copied && copied < total, "what it has not said to have stored does not count: {copied} of {total}");
    world.stop(W2);
    world.delete("k0001");
    // The old copy's number counts no more.
    world.lose_held();
    world.restart(W2);
    // Lost twice, it waits twice as long.
    world.admit();
    assert_eq!(world.members(), [W1]);
    world.admit();
    assert_eq!(world.members(), [W1, W2]);
    assert!(world.replicas_agree());
}

#[test]
fn who_does_not_hold_all_records_refuses_to_be_a_member() {
    let mut fresh = Worker::recover(WorkerConfig::default(), Snapshot::new(NodeId(9)));
    let mut refuses = |view, standing| {
        let message = seal_by(CLUSTER, view_id(view), standing, Some(view_id(view - 1)));
        let mut out = Vec::new();
        fresh.handle(Input::Message { from: COORDINATOR, message }, &mut out);
        out.iter().any(|output| matches!(output, Output::Send { message: Message::SealRefused { .. }, .. }))
    };
    assert!(refuses(5, Standing::Member));
    assert!(!refuses(5, Standing::Learner));
    assert!(refuses(6, Standing::Member));
}

#[test]
fn a_copy_of_which_a_chunk_was_lost_with_the_connection_does_not_count() {
    let mut world = with_one_back();
    world.hold(chunks().to(COORDINATOR));
    world.lose(chunks().to(W2));
    world.admit();
    assert_eq!(world.learners(), [W2]);
    // The last is on its way to the leader when the learner's connection is lost, and with it those before.
    (0..2).for_each(|_| world.pass(chunks()));
    world.lose_nothing();
    world.hold(chunks());
    world.hold(reports());
    world.cut(W2, COORDINATOR);
    world.connect(W2, COORDINATOR);
    (0..8).for_each(|_| world.pass(chunks()));
    // The member does not answer in time, and is asked again.
    (0..2).for_each(|_| world.view_change_times_out());
    world.let_go();
    world.view_change_times_out();
    world.admit();
    assert_eq!(world.members(), [W1, W2]);
    assert!(world.replicas_agree());
}

#[test]
fn a_learner_takes_nothing_behind_a_gap() {
    let mut world = with_one_back();
    world.hold(chunks());
    world.admit();
    // The donor's first chunk waits at the leader; what reaches the learner says that it stands behind others, and is the last.
    let (copy, after) = (world.last_view(), Some(key("k0100")));
    let last = Chunk { copy, learner: W2, after, records: vec![], last: true, total: 2_400, stamp: 0 };
    world.hear(W2, COORDINATOR, Message::Chunk(last));
    assert!(world.worker(W2).participant().is_incomplete());
    world.let_go();
    assert_eq!(world.records_at(W2), RECORDS);
    assert_eq!(world.members().len(), 2);
}

#[test]
fn what_belongs_to_another_copy_counts_for_nothing_in_this_one() {
    let mut world = with_one_back();
    world.hold(chunks());
    world.admit();
    let earlier = ViewNumber(world.last_view().0 - 1);
    let chunk = Chunk { copy: earlier, learner: W2, after: None, records: vec![], last: true, total: 2_400, stamp: 0 };
    world.hear(COORDINATOR, W1, Message::Chunk(chunk));
    world.hear(COORDINATOR, W2, Message::Stored { copy: earlier, last: true });
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![W2]));
    assert!(world.coordinator.leader().is_steady(), "it is no reason to change the view");
    world.let_go();
    assert_eq!((world.members(), world.records_at(W2)), (vec![W1, W2], RECORDS));
}

#[test]
fn what_a_learner_holds_prepared_has_the_version_that_was_copied_to_it() {
    let mut world = World::new(2);
    world.write("a", "1");
    let mut world = with_newcomer(world);
    world.hold(copy_orders());
    world.admit();
    // The learner alone does not hear of the commit, as when it is another coordinator's, whose connection is lost.
    world.lose(decisions_with_versions());
    let (_, written) = world.write("a", "2");
    world.lose_nothing();
    world.let_go();
    assert_eq!(world.members(), [W1, W3]);
    assert_eq!(world.worker(W3).records()[&key("a")].version, written);
    assert!(world.replicas_agree());
}

#[test]
fn a_former_learner_knows_the_greatest_stamp() {
    let mut world = World::new(2);
    world.write("a", "1");
    let mut world = with_newcomer(world);
    world.clock = 1_000_000;
    let (_, first) = world.write("b", "1");
    world.delete("b");
    world.admit();
    assert_eq!(world.members(), [W1, W3]);
    world.stop_past_grace(W1);
    // The next run's clock was set back, and only the former learner is left to know better.
    world.clock = 0;
    world.restart_coordinator();
    let (_, again) = world.write("b", "1");
    assert!(again > first, "{again:?} after {first:?}");
}

/// The learner has said that it holds all records, and then loses what it has not synced: it is a learner still, or it has just been
/// sealed as a member. The coordinator may die at the same time, and so may the member that gave the copy.
fn loses_what_it_promised(is_sealed: bool, coordinator_dies: bool, donor_dies: bool) {
    let mut world = with_one_back();
    world.hold(completed_copies());
    world.admit();
    assert_eq!(world.learners(), [W2]);
    let synced = world.log_of(W2);
    world.committed_all(vec![put("k0001", "new"), delete("k0002")]);
    if is_sealed {
        // It is about to become a member: its log has not taken in that it was sealed.
        world.hold(reports());
        world.pass(completed_copies());
        assert_eq!(world.worker(W2).standing(), Some(Standing::Member));
    }
    world.lose_held();
    if coordinator_dies {
        world.stop_coordinator();
    }
    world.stop(W2);
    world.put_back(W2, synced);
    if donor_dies {
        world.stop(W1);
    }
    if coordinator_dies {
        world.start_coordinator();
    }
    world.restart(W2);
    let time_passes = |world: &mut World| {
        for _ in 0..3 {
            world.view_change_times_out();
            world.admit();
        }
    };
    time_passes(&mut world);
    if donor_dies {
        assert!(!world.serves(), "a learner is no survivor");
        world.restart(W1);
        time_passes(&mut world);
    }
    let found = world.read_some(&["k0001", "k0002"]);
    assert_eq!(found, pairs(&[("k0001", "new")]), "{is_sealed} {coordinator_dies} {donor_dies}");
    assert_eq!(world.members().len(), 2);
    assert!(world.replicas_agree());
}

#[test]
fn a_learner_that_loses_what_it_promised_around_its_promotion_loses_nothing() {
    for (is_sealed, coordinator_dies, donor_dies) in [
        (false, false, false),
        (false, true, false),
        (true, false, false),
        (true, true, false),
        (true, true, true),
        (true, false, true),
    ] {
        loses_what_it_promised(is_sealed, coordinator_dies, donor_dies);
    }
}
