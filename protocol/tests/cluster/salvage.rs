//! Workers of whose records a person has given up a part: they count only where nobody can come back who holds more, and then one of them
//! alone; whoever does not count copies from who does.

use super::world::*;

const RECORDS: usize = 2_400;

/// All stop at once; of these logs the end is missing, and somebody accepts that.
fn crash(world: &mut World, salvaged: &[u128]) {
    for node in world.workers.keys().copied().collect::<Vec<_>>() {
        world.stop(node);
    }
    for node in salvaged {
        let disk = world.down.get_mut(&NodeId(*node)).unwrap();
        disk.records.pop_last();
        disk.salvaged = true;
    }
    world.run();
    // Nobody is waited for any more.
    world.timeout(Timer::ViewChange);
}

fn restart(world: &mut World, node: u128) {
    world.restart(NodeId(node));
    world.run();
    world.timeout(Timer::ViewChange);
}

/// Lets workers join until these are the members, each with so many records, and nobody is salvaged any more.
fn comes_to(world: &mut World, members: &[u128], records: usize) {
    let members: Vec<NodeId> = members.iter().map(|node| NodeId(*node)).collect();
    for _ in 0..20 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.members(), members);
    assert!(world.coordinator.status().serving && world.digests_agree());
    for (node, (worker, disk)) in &world.workers {
        assert_eq!((worker.records().len(), disk.salvaged), (records, false), "{node}");
    }
}

#[test]
fn a_member_that_holds_all_counts_and_the_salvaged_one_begins_anew() {
    let mut world = World::new(2);
    world.fill();
    crash(&mut world, &[1]);
    world.restart(NodeId(1));
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(2)]);
    comes_to(&mut world, &[1, 2], RECORDS);
    assert_eq!(world.control.as_ref().unwrap().curtailed, None);
}

#[test]
fn it_is_waited_for_one_that_holds_more_as_long_as_it_may_come_back() {
    let mut world = World::new(2);
    world.fill();
    crash(&mut world, &[1]);
    restart(&mut world, 1);
    for _ in 0..5 {
        world.timeout(Timer::ViewChange);
        assert!(!world.coordinator.status().serving);
    }
    restart(&mut world, 2);
    comes_to(&mut world, &[1, 2], RECORDS);
}

#[test]
fn one_counts_when_another_process_has_taken_the_place_of_each_other_member() {
    let mut world = World::new(3);
    world.fill();
    crash(&mut world, &[1]);
    restart(&mut world, 1);
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    world.timeout(Timer::ViewChange);
    assert!(!world.coordinator.status().serving, "worker 3 may come back");
    world.start_at(NodeId(13), "w3", Snapshot::new(NodeId(13)));
    world.run();
    world.timeout(Timer::ViewChange);
    assert!(world.coordinator.status().serving);
    let curtailed = world.control.as_ref().unwrap().curtailed;
    assert_eq!(curtailed, Some(world.control.as_ref().unwrap().number()));
    comes_to(&mut world, &[1, 12, 13], RECORDS - 1);
    assert_eq!(
        world.control.as_ref().unwrap().curtailed,
        curtailed,
        "it is said of the view that went on with less, and of no other"
    );
}

#[test]
fn one_of_an_older_view_counts_when_the_last_member_is_gone_for_good() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.commit(vec![put("k0001", "newer")]);
    world.stop(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    restart(&mut world, 2);
    assert!(!world.coordinator.status().serving, "nobody has decided anything");
    world.stop(NodeId(2));
    world.down.get_mut(&NodeId(2)).unwrap().salvaged = true;
    restart(&mut world, 2);
    assert!(!world.coordinator.status().serving, "worker 1 may come back");
    world.start_at(NodeId(11), "w1", Snapshot::new(NodeId(11)));
    world.run();
    world.timeout(Timer::ViewChange);
    assert!(world.coordinator.status().serving, "{:?}", world.control);
    comes_to(&mut world, &[2, 11], RECORDS);
    assert_eq!(world.read(Query::Keys(vec![key("k0001")]), Consistency::Strict), pairs(&[("k0001", "old")]));
    world.commit(vec![put("k0001", "anew")]);
}

#[test]
fn of_several_that_lack_something_one_counts() {
    let mut world = World::new(3);
    world.fill();
    crash(&mut world, &[1, 2, 3]);
    // What is missing at one is there at another.
    world.down.get_mut(&NodeId(2)).unwrap().records.pop_first();
    for node in [1, 2, 3] {
        world.restart(NodeId(node));
    }
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(1)]);
    comes_to(&mut world, &[1, 2, 3], RECORDS - 1);
}

#[test]
fn a_member_that_holds_all_and_does_not_answer_in_time_is_asked_again() {
    let mut world = World::new(2);
    world.fill();
    crash(&mut world, &[1]);
    world.lose_to = Some(NodeId(2));
    world.restart(NodeId(1));
    world.restart(NodeId(2));
    world.run();
    for _ in 0..3 {
        world.timeout(Timer::ViewChange);
        assert!(!world.coordinator.status().serving);
    }
    world.lose_to = None;
    world.timeout(Timer::ViewChange);
    comes_to(&mut world, &[1, 2], RECORDS);
}

#[test]
fn one_that_has_begun_anew_is_not_salvaged_any_more() {
    let mut world = World::new(2);
    world.fill();
    crash(&mut world, &[1]);
    world.restart(NodeId(1));
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    comes_to(&mut world, &[1, 2], RECORDS);
    // A member of a later view than it was ever sealed for it can't be now.
    let seal = seal_by(7, view_id(100), Standing::Member, Some(view_id(99)));
    let mut out = Vec::new();
    let (worker, _) = world.workers.get_mut(&NodeId(1)).unwrap();
    worker.handle(Input::Message { from: COORDINATOR, message: seal }, &mut out);
    assert!(matches!(out[..], [Output::Send { message: Message::SealRefused { .. }, .. }]), "{out:?}");
}

#[test]
fn one_of_an_older_view_that_is_slow_once_is_asked_again() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.stop(NodeId(1));
    world.down.get_mut(&NodeId(2)).unwrap().salvaged = true;
    world.run();
    world.timeout(Timer::ViewChange);
    world.lose_to = Some(NodeId(2));
    restart(&mut world, 2);
    world.start_at(NodeId(11), "w1", Snapshot::new(NodeId(11)));
    world.run();
    for _ in 0..3 {
        world.timeout(Timer::ViewChange);
    }
    assert!(!world.coordinator.status().serving);
    world.lose_to = None;
    for _ in 0..2 {
        world.timeout(Timer::ViewChange);
    }
    comes_to(&mut world, &[2, 11], RECORDS);
}

#[test]
fn a_record_that_only_the_old_copy_of_a_learner_holds_can_be_got_back() {
    let (first, second) = (NodeId(1), NodeId(2));
    let mut world = World::new(2);
    world.fill();
    world.stop(second);
    world.run();
    world.timeout(Timer::ViewChange);
    world.commit(vec![put("since", "1")]);
    // It starts over as a learner; the record rots at the only member before it has been copied.
    world.hold = |message| matches!(message, Message::Chunk(_));
    world.restart(second);
    world.run();
    for _ in 0..3 {
        world.timeout(Timer::Join);
    }
    assert_eq!((world.members(), world.learners()), (vec![first], vec![second]));
    let (worker, disk) = world.workers.get_mut(&first).unwrap();
    assert!(worker.corrupt(&key("k0007"), false));
    disk.records.clone_from(worker.records());
    world.held.clear();
    world.let_go();
    for _ in 0..5 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.members(), [first], "no learner can copy that record");
    assert!(!world.workers[&second].0.records().contains_key(&key("k0007")));

    // An operator ends both, has the learner go back, and puts another process in the place of the member.
    world.stop(second);
    world.stop(first);
    let disk = world.down.get_mut(&second).unwrap();
    assert_eq!(disk.go_back(), Some(ViewNumber(1)));
    assert_eq!((disk.records.len(), disk.salvaged), (RECORDS, true));
    world.start_at(NodeId(11), "w1", Snapshot::new(NodeId(11)));
    world.run();
    restart(&mut world, 2);
    assert_eq!(world.members(), [second]);
    let found = world.read(Query::Keys(vec![key("k0007"), key("since")]), Consistency::Strict);
    assert_eq!(found, pairs(&[("k0007", "old")]), "what was written since is given up");
    assert!(world.control.as_ref().unwrap().curtailed.is_some());
    comes_to(&mut world, &[2, 11], RECORDS);
}
