//! Members that come back with their logs as they were earlier in the same view: what they have said shows that something is missing, so
//! they are left out, and do not count alone unless a person has said so.

use super::world::*;

/// Two workers hold two records, and the second one's log is put back to before the second record. Both stop, and only that worker is
/// started again.
fn alone_and_rolled_back(rules: Rules, salvaged: bool) -> World {
    let mut world = World::with_window(2, 64, rules);
    world.commit(vec![put("a", "1")]);
    let mut before = world.workers[&NodeId(2)].1.clone();
    world.commit(vec![put("b", "1")]);
    assert_eq!(world.coordinator.status().in_flight, 0, "all have acknowledged it");
    world.stop(NodeId(2));
    world.stop(NodeId(1));
    world.run();
    before.salvaged = salvaged;
    world.down.insert(NodeId(2), before);
    world.restart(NodeId(2));
    world.run();
    for _ in 0..6 {
        // It may even come back again and again.
        world.timeout(Timer::ViewChange);
        world.timeout(Timer::Beat);
    }
    world
}

/// Lets workers join.
fn joins(world: &mut World) {
    for _ in 0..6 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
}

#[test]
fn one_that_was_rolled_back_within_its_view_does_not_count_alone() {
    let mut world = alone_and_rolled_back(Rules::ALL, false);
    assert!(!world.coordinator.status().serving);
    assert!(world.rolled_back > 0, "it is said");
    world.restart(NodeId(1));
    world.run();
    assert_eq!(world.members(), [NodeId(1)]);
    joins(&mut world);
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1"), ("b", "1")]));
    assert!(world.digests_agree());

    let mut broken = alone_and_rolled_back(Rules::without(Omission::RollBackUnseen), false);
    assert_eq!(broken.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]), "what was acknowledged is gone");
}

#[test]
fn its_log_may_be_mended_meanwhile() {
    let mut world = alone_and_rolled_back(Rules::ALL, false);
    let mended = world.down[&NodeId(1)].clone();
    world.stop(NodeId(2));
    world.run();
    world.down.insert(NodeId(2), Snapshot { node: NodeId(2), ..mended });
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(2)]);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1"), ("b", "1")]));
}

#[test]
fn a_person_may_go_on_with_one_that_was_rolled_back() {
    let mut world = alone_and_rolled_back(Rules::ALL, true);
    assert!(!world.coordinator.status().serving, "the other one may come back");
    // Another worker answers in the place of the other one.
    world.start_at(NodeId(3), "w1", Snapshot::new(NodeId(3)));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(2)]);
    assert_eq!(world.control.as_ref().unwrap().curtailed, Some(world.coordinator.leader().record().unwrap().number()));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
}

/// Two of three hold a commit that the third one's log, which was put back, does not hold, and the coordinator is another one by then.
fn seen_by_others(rules: Rules) -> Vec<NodeId> {
    let mut world = World::with_window(3, 64, rules);
    world.commit(vec![put("a", "1")]);
    let before = world.workers[&NodeId(3)].1.clone();
    world.commit(vec![put("b", "1")]);
    world.stop(NodeId(3));
    world.down.insert(NodeId(3), before);
    world.queue.clear();
    world.restart(NodeId(3));
    world.restart_coordinator();
    world.run();
    world.members()
}

#[test]
fn another_coordinator_sees_it_by_what_others_report_as_committed() {
    assert_eq!(seen_by_others(Rules::ALL), [NodeId(1), NodeId(2)]);
    let broken = seen_by_others(Rules::without(Omission::RollBackUnseen));
    assert_eq!(broken, [NodeId(1), NodeId(2), NodeId(3)]);
}

/// A new coordinator learns from one of two workers that the other one's log was put back; then the first one stops, and the other
/// connects again.
fn comes_back_without_its_witness(rules: Rules) -> World {
    let mut world = World::with_window(2, 64, rules);
    world.commit(vec![put("a", "1")]);
    let before = world.workers[&NodeId(2)].1.clone();
    world.commit(vec![put("b", "1")]);
    world.stop(NodeId(2));
    world.down.insert(NodeId(2), before);
    world.queue.clear();
    world.restart(NodeId(2));
    world.restart_coordinator();
    // The view without the second one does not come about: the swap that would announce it fails until its member has gone.
    world.slow_swaps = true;
    world.run();
    while world.rolled_back == 0 && world.swapped() {}
    assert!(world.rolled_back > 0, "the first one's report shows it");
    world.stop(NodeId(1));
    world.stop(NodeId(2));
    world.slow_swaps = false;
    while world.swapped() {}
    world.run();
    world.restart(NodeId(2));
    world.run();
    for _ in 0..6 {
        world.timeout(Timer::ViewChange);
        world.timeout(Timer::Beat);
    }
    world
}

#[test]
fn what_one_lacked_is_remembered_when_it_comes_back_and_its_witness_is_gone() {
    let mut world = comes_back_without_its_witness(Rules::ALL);
    assert!(!world.coordinator.status().serving);
    world.restart(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    joins(&mut world);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1"), ("b", "1")]));

    let mut broken = comes_back_without_its_witness(Rules::without(Omission::LackForgotten));
    assert_eq!(broken.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]), "what was acknowledged is gone");
}

/// One of two has voted, and its log is put back to before that. The other one's vote is late: it comes when the next view is being
/// swapped in without it. Gives what the client heard, and what is read after that.
fn late_vote(rules: Rules) -> (Option<Reply>, Vec<(String, String)>) {
    let mut world = World::with_window(2, 64, rules);
    world.commit(vec![put("a", "1")]);
    let before = world.workers[&NodeId(1)].1.clone();
    world.paused = Some(NodeId(2));
    let late = world.begin(vec![put("b", "1")]);
    world.stop(NodeId(1));
    world.down.insert(NodeId(1), before);
    world.restart(NodeId(1));
    world.run();
    // The second one does not answer in time, so the next attempt goes without it.
    world.slow_swaps = true;
    world.timeout(Timer::ViewChange);
    world.swapped();
    // It votes now, while the record of that view is swapped in.
    world.resume();
    world.slow_swaps = false;
    while world.swapped() {}
    for _ in 0..6 {
        world.timeout(Timer::ViewChange);
        world.timeout(Timer::Retry);
        joins(&mut world);
    }
    (world.replies.remove(&late), world.read(all(10, false), Consistency::Strict))
}

#[test]
fn a_vote_that_comes_while_a_view_is_swapped_in_does_not_contradict_it() {
    let (reply, rows) = late_vote(Rules::ALL);
    assert!(matches!(reply, Some(Reply::Committed { .. })), "{reply:?}");
    assert_eq!(rows, pairs(&[("a", "1"), ("b", "1")]));
    let broken = std::panic::catch_unwind(|| late_vote(Rules::without(Omission::RollBackUnseen)));
    assert!(broken.is_err(), "it breaks R13");
}
