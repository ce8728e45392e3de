//! Members that come back with their logs as they were earlier (R15): what they have said shows that something is missing, so they are
//! left out, and do not count alone unless a person has said so.

use skein_protocol::record::Snapshot;

use super::world::*;

/// Records `a` and `b` are written. Gives the log of a worker as well, as it was before `b`.
fn with_older_log_of(node: NodeId, mut world: World) -> (World, Snapshot) {
    world.write("a", "1");
    let older = world.log_of(node);
    world.write("b", "1");
    assert_eq!(world.coordinator.status().in_flight, 0, "all have acknowledged it");
    (world, older)
}

/// A worker is put back to an older log, all at once.
fn roll_back(world: &mut World, node: NodeId, older: Snapshot) {
    world.stop(node);
    world.put_back(node, older);
    world.restart(node);
}

/// A view change is tried again and again.
fn try_again(world: &mut World) {
    for _ in 0..6 {
        world.view_change_times_out();
        world.beat(1);
    }
}

/// Two workers hold two records, and the second one's log is put back to before the second record. Both stop, and only that worker is
/// started again.
fn alone_and_rolled_back(rules: Rules, is_accepted: bool) -> World {
    let (mut world, older) = with_older_log_of(W2, World::keeping(rules, 2));
    world.stop([W2, W1]);
    world.put_back(W2, older);
    if is_accepted {
        world.accept_incomplete_log_of(W2);
    }
    world.restart(W2);
    // It may even come back again and again.
    try_again(&mut world);
    world
}

#[test]
fn one_that_was_rolled_back_within_its_view_does_not_count_alone() {
    let mut world = alone_and_rolled_back(Rules::ALL, false);
    assert!(!world.serves());
    assert!(world.said.rolled_back > 0, "it is said");
    world.restart(W1);
    assert_eq!(world.members(), [W1]);
    world.admit_and_beat(6);
    assert_eq!(world.members(), [W1, W2]);
    assert_eq!(world.read_all(), pairs(&[("a", "1"), ("b", "1")]));
    assert!(world.replicas_agree());

    let mut broken = alone_and_rolled_back(Rules::without(Omission::RollBackUnseen), false);
    assert_eq!(broken.read_all(), pairs(&[("a", "1")]), "what was acknowledged is gone");
}

#[test]
fn its_log_may_be_mended_meanwhile() {
    let mut world = alone_and_rolled_back(Rules::ALL, false);
    let mended = world.log_of(W1);
    roll_back(&mut world, W2, Snapshot { node: W2, ..mended });
    world.view_change_times_out();
    assert_eq!(world.members(), [W2]);
    assert_eq!(world.read_all(), pairs(&[("a", "1"), ("b", "1")]));
}

#[test]
fn a_person_may_go_on_with_one_that_was_rolled_back() {
    let mut world = alone_and_rolled_back(Rules::ALL, true);
    assert!(!world.serves(), "the other one may come back");
    world.replace(W1, W3);
    world.view_change_times_out();
    assert_eq!(world.members(), [W2]);
    assert_eq!(world.record().curtailed, Some(world.last_view()));
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
}

/// Two of three hold a commit that the third one's log, which was put back, does not hold, and the coordinator is another one by then.
fn seen_by_others(rules: Rules) -> Vec<NodeId> {
    let (mut world, older) = with_older_log_of(W3, World::keeping(rules, 3));
    world.stop_coordinator();
    roll_back(&mut world, W3, older);
    world.start_coordinator();
    world.members()
}

#[test]
fn another_coordinator_sees_it_by_what_others_report_as_committed() {
    assert_eq!(seen_by_others(Rules::ALL), [W1, W2]);
    assert_eq!(seen_by_others(Rules::without(Omission::RollBackUnseen)), [W1, W2, W3]);
}

/// A new coordinator learns from one of two workers that the other one's log was put back; then the first one stops, and the other
/// connects again.
fn comes_back_without_its_witness(rules: Rules) -> World {
    let (mut world, older) = with_older_log_of(W2, World::keeping(rules, 2));
    world.stop_coordinator();
    roll_back(&mut world, W2, older);
    // The view without the second one does not come about: the swap that would announce it fails until its member has gone.
    world.slow_down_swaps();
    world.start_coordinator();
    while world.said.rolled_back == 0 && world.swap_answered() {}
    assert!(world.said.rolled_back > 0, "the first one's report shows it");
    world.stop([W1, W2]);
    world.speed_up_swaps();
    world.restart(W2);
    try_again(&mut world);
    world
}

#[test]
fn what_one_lacked_is_remembered_when_it_comes_back_and_its_witness_is_gone() {
    let mut world = comes_back_without_its_witness(Rules::ALL);
    assert!(!world.serves());
    world.restart(W1);
    world.view_change_times_out();
    world.admit_and_beat(6);
    assert_eq!(world.read_all(), pairs(&[("a", "1"), ("b", "1")]));

    let mut broken = comes_back_without_its_witness(Rules::without(Omission::LackForgotten));
    assert_eq!(broken.read_all(), pairs(&[("a", "1")]), "what was acknowledged is gone");
}

/// One of two has voted, and its log is put back to before that. The other one's vote is late: it comes when the next view is being
/// swapped in without it. Gives what the client heard, and what is read after that.
fn late_vote(rules: Rules) -> (Option<Reply>, Vec<(String, String)>) {
    let mut world = World::keeping(rules, 2);
    world.write("a", "1");
    let older = world.log_of(W1);
    world.hang(W2);
    let late = world.begin_write("b", "1");
    roll_back(&mut world, W1, older);
    // The second one does not answer in time, so the next attempt goes without it.
    world.slow_down_swaps();
    world.view_change_times_out();
    world.swap_answered();
    // It votes now, while the record of that view is swapped in.
    world.resume();
    world.speed_up_swaps();
    for _ in 0..6 {
        world.view_change_times_out();
        world.retry();
        world.admit_and_beat(6);
    }
    (world.replies.remove(&late), world.read_all())
}

#[test]
fn a_vote_that_comes_while_a_view_is_swapped_in_does_not_contradict_it() {
    let (reply, rows) = late_vote(Rules::ALL);
    assert!(matches!(reply, Some(Reply::Committed { .. })), "{reply:?}");
    assert_eq!(rows, pairs(&[("a", "1"), ("b", "1")]));
    let broken = std::panic::catch_unwind(|| late_vote(Rules::without(Omission::RollBackUnseen)));
    assert!(broken.is_err(), "it breaks R13");
}

#[test]
fn a_member_whose_log_was_put_back_is_left_out_and_the_others_serve() {
    let mut world = World::new(3);
    world.write("a", "1");
    let older = world.log_of(W1);
    // A view later, with more written.
    world.stop(W2);
    world.restart(W2);
    world.write("a", "2");
    roll_back(&mut world, W1, older);
    assert_eq!(world.members(), [W2, W3]);
    world.stop(W1);
    assert_eq!(world.read_all(), pairs(&[("a", "2")]));
    assert!(world.replicas_agree());
}
