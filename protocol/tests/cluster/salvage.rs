//! Workers of whose records a person has given up a part: they count only where nobody can come back who holds more, and then one of them
//! alone; whoever does not count copies from who does.

use skein_protocol::membership::view::Standing;

use super::world::*;

/// So many workers hold many records and stop at once, for longer than the grace. Of these logs the end is missing, and a person accepts
/// that.
fn crashed<const COUNT: usize>(workers: usize, incomplete: [NodeId; COUNT]) -> World {
    let mut world = World::new(workers);
    world.fill();
    let all: Vec<NodeId> = world.workers.keys().copied().collect();
    world.stop(all);
    for node in incomplete {
        world.log_on_disk(node).records.pop_last();
        world.accept_incomplete_log_of(node);
    }
    // Nobody is waited for any more.
    world.view_change_times_out();
    world
}

/// Workers start again, and the others are not waited for.
fn restart(world: &mut World, nodes: impl Nodes) {
    world.restart(nodes);
    world.view_change_times_out();
}

/// Lets workers join until these are the members, each with so many records, and nobody is salvaged any more.
fn comes_to<const COUNT: usize>(world: &mut World, members: [NodeId; COUNT], records: usize) {
    world.admit_and_beat(20);
    assert_eq!(world.members(), members);
    assert!(world.serves() && world.replicas_agree());
    for (node, (worker, log)) in &world.workers {
        assert_eq!((worker.records().len(), log.salvaged), (records, false), "{node}");
    }
}

#[test]
fn a_member_that_holds_all_counts_and_the_salvaged_one_begins_anew() {
    let mut world = crashed(2, [W1]);
    restart(&mut world, [W1, W2]);
    assert_eq!(world.members(), [W2]);
    comes_to(&mut world, [W1, W2], RECORDS);
    assert_eq!(world.record().curtailed, None);
}

#[test]
fn it_is_waited_for_one_that_holds_more_as_long_as_it_may_come_back() {
    let mut world = crashed(2, [W1]);
    restart(&mut world, W1);
    for _ in 0..5 {
        world.view_change_times_out();
        assert!(!world.serves());
    }
    restart(&mut world, W2);
    comes_to(&mut world, [W1, W2], RECORDS);
}

#[test]
fn one_counts_when_another_process_has_taken_the_place_of_each_other_member() {
    let mut world = crashed(3, [W1]);
    restart(&mut world, W1);
    world.replace(W2, W12);
    world.view_change_times_out();
    assert!(!world.serves(), "worker 3 may come back");
    world.replace(W3, W13);
    world.view_change_times_out();
    assert!(world.serves());
    let curtailed = world.record().curtailed;
    assert_eq!(curtailed, Some(world.last_view()));
    comes_to(&mut world, [W1, W12, W13], RECORDS - 1);
    assert_eq!(world.record().curtailed, curtailed, "it is said of the view that went on with less, and of no other");
}

#[test]
fn one_of_an_older_view_counts_when_the_last_member_is_gone_for_good() {
    let mut world = World::new(2);
    world.fill();
    world.stop_past_grace(W2);
    world.write("k0001", "newer");
    world.stop_past_grace(W1);
    restart(&mut world, W2);
    assert!(!world.serves(), "nobody has decided anything");
    world.stop(W2);
    world.accept_incomplete_log_of(W2);
    restart(&mut world, W2);
    assert!(!world.serves(), "worker 1 may come back");
    world.replace(W1, W11);
    world.view_change_times_out();
    assert!(world.serves(), "{:?}", world.control);
    comes_to(&mut world, [W2, W11], RECORDS);
    assert_eq!(world.read_some(&["k0001"]), pairs(&[("k0001", "old")]));
    world.write("k0001", "anew");
}

#[test]
fn of_several_that_lack_something_one_counts() {
    let mut world = crashed(3, [W1, W2, W3]);
    // What is missing at one is there at another.
    world.log_on_disk(W2).records.pop_first();
    restart(&mut world, [W1, W2, W3]);
    assert_eq!(world.members(), [W1]);
    comes_to(&mut world, [W1, W2, W3], RECORDS - 1);
}

#[test]
fn a_member_that_holds_all_and_does_not_answer_in_time_is_asked_again() {
    let mut world = crashed(2, [W1]);
    world.lose(everything().to(W2));
    world.restart([W1, W2]);
    for _ in 0..3 {
        world.view_change_times_out();
        assert!(!world.serves());
    }
    world.lose_nothing();
    world.view_change_times_out();
    comes_to(&mut world, [W1, W2], RECORDS);
}

#[test]
fn one_that_has_begun_anew_is_not_salvaged_any_more() {
    let mut world = crashed(2, [W1]);
    restart(&mut world, [W1, W2]);
    comes_to(&mut world, [W1, W2], RECORDS);
    // A member of a later view than it was ever sealed for it can't be now.
    let seal = seal_by(CLUSTER, view_id(100), Standing::Member, Some(view_id(99)));
    let mut out = Vec::new();
    let (worker, _) = world.workers.get_mut(&W1).unwrap();
    worker.handle(Input::Message { from: COORDINATOR, message: seal }, &mut out);
    assert!(matches!(out[..], [Output::Send { message: Message::SealRefused { .. }, .. }]), "{out:?}");
}

#[test]
fn one_of_an_older_view_that_is_slow_once_is_asked_again() {
    let mut world = World::new(2);
    world.fill();
    world.stop_past_grace(W2);
    world.stop_past_grace(W1);
    world.accept_incomplete_log_of(W2);
    world.lose(everything().to(W2));
    restart(&mut world, W2);
    world.replace(W1, W11);
    (0..3).for_each(|_| world.view_change_times_out());
    assert!(!world.serves());
    world.lose_nothing();
    (0..2).for_each(|_| world.view_change_times_out());
    comes_to(&mut world, [W2, W11], RECORDS);
}

#[test]
fn a_record_that_only_the_old_copy_of_a_learner_holds_can_be_got_back() {
    let mut world = World::new(2);
    world.fill();
    world.stop_past_grace(W2);
    world.write("since", "1");
    // It starts over as a learner; the record rots at the only member before it has been copied.
    world.hold(chunks());
    world.restart(W2);
    (0..3).for_each(|_| world.admit());
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![W2]));
    world.rot(W1, "k0007");
    world.lose_held();
    world.admit_and_beat(5);
    assert_eq!(world.members(), [W1], "no learner can copy that record");
    assert!(!world.worker(W2).records().contains_key(&key("k0007")));

    // An operator ends both, has the learner go back, and puts another process in the place of the member.
    world.stop([W2, W1]);
    let log = world.log_on_disk(W2);
    assert_eq!(log.go_back(), Some(ViewNumber(1)));
    assert_eq!((log.records.len(), log.salvaged), (RECORDS, true));
    world.replace(W1, W11);
    restart(&mut world, W2);
    assert_eq!(world.members(), [W2]);
    let found = world.read_some(&["k0007", "since"]);
    assert_eq!(found, pairs(&[("k0007", "old")]), "what was written since is given up");
    assert!(world.record().curtailed.is_some());
    comes_to(&mut world, [W2, W11], RECORDS);
}
