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
    // What another one still holds may be the last intact copy, so it keeps it, and does not begin again from the bad one.
    world.restart(NodeId(2));
    world.run();
    (0..3).for_each(|_| world.timeout(Timer::Join));
    assert_eq!((world.members(), world.learners()), (vec![NodeId(1)], vec![]));
    let intact = |world: &World| world.workers[&NodeId(2)].1.records.get(&key("a")).map(|stored| stored.is_intact(&key("a")));
    assert_eq!((intact(&world), world.untrusted), (Some(true), 1), "and it is said once");
    // The next coordinator hears of the damage before it takes anybody in.
    world.restart_coordinator();
    world.run();
    world.timeout(Timer::ViewChange);
    (0..3).for_each(|_| world.timeout(Timer::Join));
    assert_eq!((world.members(), world.learners(), intact(&world)), (vec![NodeId(1)], vec![], Some(true)));
    // A person has decided: what is bad is given up, and the rest is what counts.
    world.stop(NodeId(1));
    let disk = world.down.get_mut(&NodeId(1)).unwrap();
    disk.records.remove(&key("a"));
    disk.salvaged = true;
    world.restart(NodeId(1));
    world.run();
    for _ in 0..4 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("b", "2")]));
}

#[test]
fn a_last_copy_that_was_outvoted_says_so_to_the_next_coordinator() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    corrupt(&mut world, 3, "a", true);
    // The others die before the view is there that leaves it out.
    world.hold = |message| matches!(message, Message::Seal(_));
    world.timeout(Timer::Compare);
    assert_eq!(comparison(&world), (1, 0, false));
    world.stop(NodeId(1));
    world.stop(NodeId(2));
    world.hold = |_| false;
    world.held.clear();
    (0..8).for_each(|_| world.timeout(Timer::ViewChange));
    assert_eq!((world.members(), world.coordinator.status().serving), (vec![NodeId(3)], true));
    let nobody_learns = |world: &mut World| {
        (0..20).for_each(|_| {
            scrub(world);
            world.timeout(Timer::Beat);
            world.timeout(Timer::Join);
        });
        assert_eq!((world.members(), world.learners()), (vec![NodeId(3)], vec![]));
        for node in [NodeId(1), NodeId(2)] {
            assert_eq!(world.workers[&node].1.records[&key("a")].value, Shared::from("1"), "{node:?} keeps the intact record");
        }
    };
    // The next coordinator has not compared anything, nor has the one after it, and the worker was started again.
    world.restart_coordinator();
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(1));
    world.restart(NodeId(2));
    world.run();
    nobody_learns(&mut world);
    world.stop(NodeId(3));
    world.run();
    world.restart(NodeId(3));
    world.restart_coordinator();
    world.run();
    world.timeout(Timer::ViewChange);
    nobody_learns(&mut world);
    // A person has decided to go on with it.
    world.stop(NodeId(3));
    world.run();
    world.down.get_mut(&NodeId(3)).unwrap().salvaged = true;
    world.restart(NodeId(3));
    world.run();
    for _ in 0..6 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.members(), [NodeId(1), NodeId(2), NodeId(3)]);
    assert!(!world.workers[&NodeId(3)].1.outvoted && world.digests_agree());
}

#[test]
fn one_that_was_started_again_from_an_intact_log_is_trusted_again() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    let log = world.workers[&NodeId(1)].1.clone();
    corrupt(&mut world, 1, "a", false);
    scrub(&mut world);
    world.restart(NodeId(2));
    world.run();
    (0..20).for_each(|_| {
        scrub(&mut world);
        world.timeout(Timer::Beat);
        world.timeout(Timer::Join);
    });
    assert_eq!((world.members(), world.learners()), (vec![NodeId(1)], vec![]), "it says so again and again");
    world.stop(NodeId(1));
    world.down.get_mut(&NodeId(1)).unwrap().records.clone_from(&log.records);
    world.restart(NodeId(1));
    world.run();
    (0..20).for_each(|_| {
        scrub(&mut world);
        world.timeout(Timer::Beat);
        world.timeout(Timer::Join);
    });
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert!(world.digests_agree());
}

#[test]
fn the_others_are_asked_again_before_a_copy_that_is_not_trusted_counts() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    // The one that holds all misses an answer.
    world.lose_to = Some(NodeId(1));
    corrupt(&mut world, 2, "a", false);
    scrub(&mut world);
    world.timeout(Timer::ViewChange);
    assert!(!world.coordinator.status().serving);
    world.lose_to = None;
    world.timeout(Timer::ViewChange);
    (0..3).for_each(|_| world.timeout(Timer::Join));
    assert_eq!((world.members().len(), comparison(&world).1), (2, 1), "the bad one was made anew");
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
    // It is lost for a moment, longer than it is waited for otherwise.
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(1));
    world.run();
    corrupt(&mut world, 2, "a", false);
    scrub(&mut world);
    world.timeout(Timer::ViewChange);
    assert_eq!(comparison(&world).0, 1);
    world.restart(NodeId(1));
    world.run();
    (0..3).for_each(|_| world.timeout(Timer::Join));
    assert_eq!((world.members().len(), comparison(&world).1), (2, 1), "the bad one was made anew");
    // One that never answers does not keep the cluster from serving for ever.
    let mut world = World::new(2);
    world.commit(vec![put("a", "1"), put("b", "2")]);
    world.lose_to = Some(NodeId(1));
    corrupt(&mut world, 2, "a", false);
    scrub(&mut world);
    for _ in 0..10 {
        world.timeout(Timer::ViewChange);
    }
    assert_eq!((world.coordinator.status().serving, world.members()), (true, vec![NodeId(2)]));
}

#[test]
fn while_replicas_differ_and_nobody_knows_which_is_right_one_of_them_answers() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    corrupt(&mut world, 2, "a", true);
    let several = |world: &mut World| {
        let one = |it: u32| if it.is_multiple_of(2) { Consistency::Strict } else { Consistency::Arrival };
        (0..8).map(|it| world.read(Query::Keys(vec![key("a")]), one(it))).collect::<BTreeSet<_>>()
    };
    assert_eq!(several(&mut world).len(), 2, "nothing has been compared yet");
    world.timeout(Timer::Compare);
    assert!(world.coordinator.status().comparison.undecided);
    let said = several(&mut world);
    assert_eq!(said.len(), 1, "{said:?}");
    world.timeout(Timer::Compare);
    assert_eq!(several(&mut world), said, "it stays the same one");
    // It may be back within the grace; until then no other member answers in its place.
    world.stop(NodeId(1));
    let read = Request::Read { query: Query::Keys(vec![key("a")]), consistency: Consistency::Strict, clock: 0, trace: None };
    let waits = world.ask(read);
    assert_eq!(world.replies.get(&waits), None);
    world.restart(NodeId(1));
    world.run();
    assert_eq!(BTreeSet::from([rows(world.replies.remove(&waits).unwrap())]), said);
    assert_eq!((world.members().len(), several(&mut world)), (2, said));
    // It is gone: then the other one is all that there is.
    world.stop(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(several(&mut world).len(), 1);
}

/// One member's digest comes so late that the comparison is over, and the next one under way. Gives how many differences were found.
fn late_digest(rules: Rules) -> u64 {
    let mut world = World::with_window(3, 64, rules);
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
    assert_eq!(late_digest(Rules::ALL), 0);
    assert_eq!(late_digest(Rules::without(Omission::LateDigest)), 1);
}

#[test]
fn a_bad_copy_that_hangs_is_not_trusted_again() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1"), put("b", "2")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    corrupt(&mut world, 1, "a", false);
    scrub(&mut world);
    world.restart(NodeId(2));
    world.run();
    scrub(&mut world);
    world.timeout(Timer::Beat);
    world.paused = Some(NodeId(1));
    for _ in 0..14 {
        world.timeout(Timer::Beat);
        world.timeout(Timer::Join);
    }
    world.resume();
    scrub(&mut world);
    let intact = world.workers[&NodeId(2)].1.records.get(&key("a")).map(|stored| stored.is_intact(&key("a")));
    assert_eq!(intact, Some(true));
}

/// The only member is found to be damaged while it is late with an answer. Whether it serves again.
fn is_damaged_and_late(rules: Rules) -> bool {
    let mut world = World::with_window(2, 64, rules);
    world.commit(vec![put("a", "1"), put("b", "2")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(1)]);
    world.paused = Some(NodeId(1));
    let view = world.coordinator.leader().active().unwrap().view.number;
    world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::InDoubt { view } });
    world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::Damaged { view, records: 1 } });
    world.run();
    world.timeout(Timer::ViewChange);
    world.resume();
    (0..8).for_each(|_| world.timeout(Timer::ViewChange));
    world.coordinator.status().serving
}

#[test]
fn a_bad_copy_that_is_late_and_all_there_is_is_asked_again() {
    assert!(is_damaged_and_late(Rules::ALL));
    assert!(!is_damaged_and_late(Rules::without(Omission::BadNotAsked)), "it is waited for though it is there");
}
