//! A worker finds records that are not what was written. No client is told a wrong value, and the copy is made again from another one.
//! The last copy stays, since it may be the only one of a record.

use super::world::*;

/// Two members hold records `a` and `b`. The second one is away for longer than the grace, and `a` rots at the first.
fn with_last_copy_damaged() -> World {
    let mut world = World::new(2);
    world.committed_all(vec![put("a", "1"), put("b", "2")]);
    world.stop_past_grace(W2);
    world.rot(W1, "a");
    world.scrub();
    world
}

#[test]
fn a_record_that_rots_in_one_memory_is_found_and_repaired() {
    let mut world = World::new(2);
    world.fill();
    world.scrub();
    assert_eq!(world.differences(), (0, 0, false));
    world.rot(W2, "k0007");
    assert!(world.replicas_agree(), "the sums were made when it was written");
    // All records are looked at in slices.
    (0..200).for_each(|_| world.scrub());
    assert_eq!(world.members(), [W1, W2]);
    assert_eq!(world.differences(), (1, 1, false));
    world.stop_past_grace(W1);
    assert_eq!(world.read_some(&["k0007"]), pairs(&[("k0007", "old")]));
}

#[test]
fn nobody_reads_what_was_never_written_nor_builds_on_it() {
    for consistency in [Consistency::Arrival, Consistency::Strict] {
        let mut world = World::new(2);
        world.committed_all(vec![put("a", "1"), put("b", "2")]);
        world.rot(W1, "a");
        let reads: Vec<u64> = (0..4).map(|_| world.begin_read(all(10, false), consistency)).collect();
        world.retry();
        for id in reads {
            assert_eq!(world.take_rows(id), pairs(&[("a", "1"), ("b", "2")]));
        }
        assert_eq!(world.differences(), (1, 1, false), "the read has found it");
    }
    let mut world = World::new(2);
    world.write("a", "1");
    world.rot(W1, "a");
    let write = world.begin_transaction(vec![put_expecting("a", Expect::Present, "2")]);
    world.retry();
    assert!(world.is_committed(write));
    assert_eq!(world.differences(), (1, 1, false), "the write has found it");
    assert!(world.replicas_agree());
}

#[test]
fn reads_of_what_rots_in_the_last_copy_pause_before_they_ask_again() {
    let mut world = World::new(1);
    world.write("a", "1");
    world.rot(W1, "a");
    let reads = [(); 2].map(|()| world.begin_read(all(10, false), Consistency::Arrival));
    assert!(!reads.iter().any(|id| world.is_answered(*id)), "it may be repaired yet");
    let found = |world: &World| world.worker(W1).status().damaged;
    assert_eq!(found(&world), 2, "that one found it damaged is no reason for the other to ask again");
    world.retry();
    assert_eq!(found(&world), 4);
}

#[test]
fn the_last_copy_stays_however_bad_it_is() {
    let mut world = with_last_copy_damaged();
    assert_eq!((world.members(), world.differences()), (vec![W1], (1, 0, false)));
    assert_eq!(world.read_some(&["b"]), pairs(&[("b", "2")]));
    let bad = world.begin_read(keys(&["a"]), Consistency::Strict);
    world.keep_house(40);
    assert_eq!(world.replies[&bad], Reply::Refused(Refusal::Unavailable));
    // What another one still holds may be the last intact copy, so it keeps it, and does not begin again from the bad one.
    world.restart(W2);
    (0..3).for_each(|_| world.admit());
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![]));
    assert_eq!((world.is_intact_at(W2, "a"), world.said.untrusted), (true, 1), "and it is said once");
    // The next coordinator hears of the damage before it takes anybody in.
    world.restart_coordinator();
    world.view_change_times_out();
    (0..3).for_each(|_| world.admit());
    assert_eq!((world.members(), world.learners(), world.is_intact_at(W2, "a")), (vec![W1], vec![], true));
    // A person has decided: what is bad is given up, and the rest is what counts.
    world.stop(W1);
    world.log_on_disk(W1).records.remove(&key("a"));
    world.accept_incomplete_log_of(W1);
    world.restart(W1);
    world.admit_and_beat(4);
    assert_eq!(world.members(), [W1, W2]);
    assert_eq!(world.read_all(), pairs(&[("b", "2")]));
}

#[test]
fn one_that_was_started_again_from_an_intact_log_is_trusted_again() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace(W2);
    let intact = world.log_of(W1).records;
    world.rot(W1, "a");
    world.scrub();
    world.restart(W2);
    world.let_time_pass(20);
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![]), "it says so again and again");
    world.stop(W1);
    world.log_on_disk(W1).records = intact;
    world.restart(W1);
    world.let_time_pass(20);
    assert_eq!(world.members(), [W1, W2]);
    assert!(world.replicas_agree());
}

#[test]
fn the_others_are_asked_again_before_a_copy_that_is_not_trusted_counts() {
    let mut world = World::new(2);
    world.write("a", "1");
    // The one that holds all misses an answer.
    world.lose(everything().to(W1));
    world.rot(W2, "a");
    world.scrub();
    world.view_change_times_out();
    assert!(!world.serves());
    world.lose_nothing();
    world.view_change_times_out();
    (0..3).for_each(|_| world.admit());
    assert_eq!((world.members().len(), world.differences().1), (2, 1), "the bad one was made anew");
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
    // It is lost for a moment, longer than it is waited for otherwise.
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop(W1);
    world.rot(W2, "a");
    world.scrub();
    world.view_change_times_out();
    assert_eq!(world.differences().0, 1);
    world.restart(W1);
    (0..3).for_each(|_| world.admit());
    assert_eq!((world.members().len(), world.differences().1), (2, 1), "the bad one was made anew");
    // One that never answers does not keep the cluster from serving for ever.
    let mut world = World::new(2);
    world.committed_all(vec![put("a", "1"), put("b", "2")]);
    world.lose(everything().to(W1));
    world.rot(W2, "a");
    world.scrub();
    (0..10).for_each(|_| world.view_change_times_out());
    assert_eq!((world.serves(), world.members()), (true, vec![W2]));
}

#[test]
fn a_bad_copy_that_hangs_is_not_trusted_again() {
    let mut world = with_last_copy_damaged();
    world.restart(W2);
    world.scrub();
    world.beat(1);
    world.hang(W1);
    for _ in 0..14 {
        world.beat(1);
        world.admit();
    }
    world.resume();
    world.scrub();
    assert!(world.is_intact_at(W2, "a"));
}

/// The only member is found to be damaged while it is late with an answer. Whether it serves again.
fn is_damaged_and_late(rules: Rules) -> bool {
    let mut world = World::keeping(rules, 2);
    world.committed_all(vec![put("a", "1"), put("b", "2")]);
    world.stop_past_grace(W2);
    assert_eq!(world.members(), [W1]);
    world.hang(W1);
    world.report_doubt(W1);
    let view = world.active_view();
    world.hear(COORDINATOR, W1, Message::Damaged { view, records: 1 });
    world.view_change_times_out();
    world.resume();
    (0..8).for_each(|_| world.view_change_times_out());
    world.serves()
}

#[test]
fn a_bad_copy_that_is_late_and_all_there_is_is_asked_again() {
    assert!(is_damaged_and_late(Rules::ALL));
    assert!(!is_damaged_and_late(Rules::without(Omission::BadNotAsked)), "it is waited for though it is there");
}

#[test]
fn a_member_that_loses_its_trust_gives_up_nothing_before_the_view_without_it_is_active() {
    let mut world = World::new(2);
    world.committed_all(vec![put("a", "1"), put("b", "2")]);
    world.rot(W2, "a");
    world.hold(reports());
    world.scrub_at(W2);
    world.lose_held();
    // Worker 1 dies for good before the view is active: worker 2 holds all but one record.
    world.stop(W1);
    (0..4).for_each(|_| world.view_change_times_out());
    assert!(world.serves(), "{:?}", world.records_at(W2));
    assert_eq!(world.read_some(&["b"]), pairs(&[("b", "2")]));
}

#[test]
fn a_worker_that_never_comes_back_is_not_shown_as_being_repaired_for_ever() {
    let mut world = World::in_memory(3);
    world.write("a", "1");
    world.rot(W3, "a");
    world.hold(copy_orders());
    world.scrub_at(W3);
    assert_eq!(world.comparison().distrusted, [W3]);
    world.stop(W3);
    world.lose_log_of(W3);
    world.lose_held();
    world.view_change_times_out();
    world.replace(W3, W13);
    world.admit();
    assert_eq!(world.members().len(), 3);
    assert_eq!(world.comparison().distrusted, []);
}
