//! Replicas that no longer hold what was written: who finds it, who loses, and that nobody is told a wrong thing meanwhile.

use super::world::*;

/// Every worker looks at its records.
fn scrub(world: &mut World) {
    for node in world.workers.keys().copied().collect::<Vec<_>>() {
        world.input(node, Input::Timeout(Timer::Sweep));
    }
    world.run();
}

fn corrupt(world: &mut World, node: u128, name: &str, unseen: bool) {
    let (worker, disk) = world.workers.get_mut(&NodeId(node)).unwrap();
    assert!(worker.corrupt(&key(name), unseen));
    // The world compares memory and log, which differ now.
    disk.records.clone_from(worker.records());
}

fn comparison(world: &World) -> (u64, u64, bool) {
    let status = world.coordinator.status().comparison;
    (status.differences, status.repaired, status.undecided)
}

#[test]
fn a_record_that_rots_in_one_memory_is_found_and_repaired() {
    let mut world = World::new(2);
    world.fill();
    scrub(&mut world);
    assert_eq!(comparison(&world), (0, 0, false));
    corrupt(&mut world, 2, "k0007", false);
    assert!(world.digests_agree(), "the sums were made when it was written");
    // All records are looked at in slices.
    for _ in 0..200 {
        scrub(&mut world);
    }
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert_eq!(comparison(&world), (1, 1, false));
    world.stop(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    let found = world.read(Query::Keys(vec![key("k0007")]), Consistency::Strict);
    assert_eq!(found, pairs(&[("k0007", "old")]));
}

#[test]
fn nobody_reads_what_was_never_written_nor_builds_on_it() {
    for consistency in [Consistency::Arrival, Consistency::Strict] {
        let mut world = World::new(2);
        world.commit(vec![put("a", "1"), put("b", "2")]);
        corrupt(&mut world, 1, "a", false);
        let read = Request::Read { query: all(10, false), consistency, clock: 0, trace: None };
        let reads: Vec<u64> = (0..4).map(|_| world.ask(read.clone())).collect();
        world.timeout(Timer::Retry);
        for id in reads {
            assert_eq!(rows(world.replies.remove(&id).unwrap()), pairs(&[("a", "1"), ("b", "2")]));
        }
        assert_eq!(comparison(&world), (1, 1, false), "the read has found it");
    }
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    corrupt(&mut world, 1, "a", false);
    let write = world.begin(vec![operation("a", Expect::Present, Action::Put(Shared::from("2")))]);
    world.timeout(Timer::Retry);
    assert!(matches!(world.replies[&write], Reply::Committed { .. }));
    assert_eq!(comparison(&world), (1, 1, false), "the write has found it");
    assert!(world.digests_agree());
}

#[test]
fn reads_of_what_rots_in_the_last_copy_pause_before_they_ask_again() {
    let mut world = World::new(1);
    world.commit(vec![put("a", "1")]);
    corrupt(&mut world, 1, "a", false);
    let read = Request::Read { query: all(10, false), consistency: Consistency::Arrival, clock: 0, trace: None };
    let reads = [world.ask(read.clone()), world.ask(read)];
    assert!(!reads.iter().any(|id| world.replies.contains_key(id)), "it may be repaired yet");
    let found = |world: &World| world.workers[&NodeId(1)].0.status().damaged;
    assert_eq!(found(&world), 2, "that one found it damaged is no reason for the other to ask again");
    world.timeout(Timer::Retry);
    assert_eq!(found(&world), 4);
}

#[test]
fn what_most_hold_wins_and_without_a_majority_a_person_decides() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1"), put("b", "2")]);
    world.timeout(Timer::Compare);
    assert_eq!(comparison(&world), (0, 0, false));
    corrupt(&mut world, 3, "a", true);
    scrub(&mut world);
    assert_eq!(comparison(&world), (0, 0, false), "it looks like something that was written");
    world.timeout(Timer::Compare);
    assert_eq!(comparison(&world), (1, 1, false));
    assert!(world.digests_agree());
    assert_eq!(world.workers[&NodeId(3)].0.records()[&key("a")].value, Shared::from("1"));

    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    corrupt(&mut world, 2, "a", true);
    let before = world.control.clone();
    world.timeout(Timer::Compare);
    assert_eq!((comparison(&world), &world.control), ((1, 0, true), &before), "nothing is changed");
    // Somebody has looked, and has the wrong one made anew.
    for change in [RosterChange::Remove("w2".to_owned()), RosterChange::Add("w2".to_owned())] {
        world.ask(Request::Roster(change));
    }
    world.timeout(Timer::Join);
    world.timeout(Timer::Compare);
    assert!(world.digests_agree() && world.members().len() == 2 && !world.coordinator.status().comparison.undecided);
}

#[test]
fn the_last_copy_stays_however_bad_it_is() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1"), put("b", "2")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    corrupt(&mut world, 1, "a", false);
    scrub(&mut world);
    assert_eq!((world.members(), comparison(&world)), (vec![NodeId(1)], (1, 0, false)));
    assert_eq!(world.read(Query::Keys(vec![key("b")]), Consistency::Strict), pairs(&[("b", "2")]));
    let bad =
        world.ask(Request::Read { query: Query::Keys(vec![key("a")]), consistency: Consistency::Strict, clock: 0, trace: None });
    (0..40).for_each(|_| world.timeout(Timer::Sweep));
    assert_eq!(world.replies[&bad], Reply::Refused(Refusal::Unavailable));
    // It gives nothing away either: nobody becomes a member with a copy of it.
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!((world.members(), world.learners()), (vec![NodeId(1)], vec![NodeId(2)]));
}

/// One member's digest comes so late that the comparison is over, and the next one under way. Gives how many differences were found.
fn late_digest(omissions: Omissions) -> u64 {
    let mut world = World::with_window(3, 64, omissions);
    world.commit(vec![put("a", "1")]);
    world.hold = |message| matches!(message, Message::Answered { .. });
    world.timeout(Timer::Compare);
    let late = world.held.remove(0);
    world.let_go();
    (0..8).for_each(|_| world.timeout(Timer::Sweep));
    assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
    world.hold = |message| matches!(message, Message::Answered { .. });
    world.timeout(Timer::Compare);
    world.queue.push_back(late);
    world.run();
    // Its own answer is the last.
    world.held.reverse();
    world.let_go();
    assert_eq!(world.coordinator.status().comparison.compared, 1, "the second one has come to its end");
    comparison(&world).0
}

#[test]
fn a_digest_that_comes_late_does_not_count_in_the_next_comparison() {
    assert_eq!(late_digest(Omissions::NONE), 0);
    assert_eq!(late_digest(Omissions::only(Omission::LateDigest)), 1);
}
