//! Where several things go wrong at once: what must not be lost, begin anew, hold up everybody or be believed then.

use std::sync::atomic::{AtomicU64, Ordering};

use super::world::*;

fn change_roster(world: &mut World, change: RosterChange) -> Option<Reply> {
    let id = world.ask(Request::Roster(change));
    world.replies.remove(&id)
}

fn corrupt(world: &mut World, node: u128, name: &str, unseen: bool) {
    let (worker, disk) = world.workers.get_mut(&NodeId(node)).unwrap();
    assert!(worker.corrupt(&key(name), unseen));
    disk.records.clone_from(worker.records());
}

/// What the driver does on a change of the roster: whoever was reached elsewhere is disconnected and not dialled again.
fn follow_roster(world: &mut World) {
    let reached: Vec<NodeId> =
        world.coordinator.leader().peers().values().filter(|it| !world.roster.contains(&it.address)).map(|it| it.node).collect();
    for node in reached {
        world.input(COORDINATOR, Input::Disconnected { node });
        world.input(node, Input::Disconnected { node: COORDINATOR });
    }
    world.run();
}

#[test]
fn a_cluster_that_begins_anew_while_a_learner_is_there_does_not_seal_it_for_ever() {
    static SEALS: AtomicU64 = AtomicU64::new(0);
    let mut world = World::in_memory(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    world.hold = |message| matches!(message, Message::Copy { .. });
    world.timeout(Timer::Join);
    assert_eq!(world.learners(), [NodeId(12)]);
    world.stop(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    world.lose = |message| {
        if matches!(message, Message::Seal(_)) {
            assert!(SEALS.fetch_add(1, Ordering::Relaxed) < 100, "a view change that never ends, and never rests");
        }
        false
    };
    world.start_at(NodeId(11), "w1", Snapshot::new(NodeId(11)));
    world.run();
    assert!(world.coordinator.status().serving);
}

#[test]
fn a_cluster_that_begins_anew_does_so_also_when_its_coordinator_restarts_in_between() {
    let mut world = World::in_memory(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(1));
    world.stop(NodeId(2));
    world.down.clear();
    world.run();
    world.timeout(Timer::ViewChange);
    world.hold = |message| matches!(message, Message::Sealed(_));
    world.start_at(NodeId(11), "w1", Snapshot::new(NodeId(11)));
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    world.hold = |_| false;
    world.held.clear();
    // It dies before the swap that makes the view active.
    world.queue.clear();
    world.incarnation += 1;
    world.coordinator = coordinator(world.incarnation, addresses(2), world.control.clone());
    world.input(COORDINATOR, Input::Start);
    for (node, address) in [(11, "w1"), (12, "w2")] {
        let cluster = world.workers[&NodeId(node)].0.cluster();
        let peer =
            Peer { node: NodeId(node), role: Role::Worker, address: address.into(), cluster, logged: false, salvaged: false };
        world.input(COORDINATOR, Input::Connected(peer));
    }
    world.run();
    for _ in 0..10 {
        world.timeout(Timer::ViewChange);
    }
    assert!(world.coordinator.status().serving, "{:?}", world.control);
}

#[test]
fn a_cluster_that_begins_anew_takes_nobody_with_old_records() {
    let mut world = World::in_memory(2);
    world.commit(vec![put("a", "1")]);
    // Worker 1 does not hear of the next view in time and is left out; its connection stands.
    world.lose_to = Some(NodeId(1));
    world.input(COORDINATOR, Input::Message { from: NodeId(2), message: Message::InDoubt { view: ViewNumber(1) } });
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(2)]);
    world.lose_to = None;
    world.commit(vec![put("a", "2")]);
    world.stop(NodeId(2));
    world.down.clear();
    world.run();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    for _ in 0..4 {
        world.timeout(Timer::ViewChange);
        world.timeout(Timer::Join);
    }
    assert!(world.coordinator.status().serving);
    assert!(world.digests_agree(), "{:?}", world.control);
    assert!(world.read(all(10, false), Consistency::Arrival).is_empty());
}

#[test]
fn a_removal_does_not_empty_a_cluster_whose_records_are_there() {
    let mut world = World::in_memory(2);
    world.commit(vec![put("a", "1")]);
    // The next view is to be worker 2 alone, but it dies before that is active.
    world.hold = |message| matches!(message, Message::Sealed(_));
    let removal = change_roster(&mut world, RosterChange::Remove("w1".to_owned()));
    assert_eq!(removal, None, "not answered");
    world.hold = |_| false;
    world.held.clear();
    world.stop(NodeId(2));
    world.down.clear();
    // Worker 1 is cut off for a moment as well.
    world.input(COORDINATOR, Input::Disconnected { node: NodeId(1) });
    world.run();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    world.timeout(Timer::ViewChange);
    world.connect(NodeId(1), Some(ClusterId(7)));
    world.run();
    for _ in 0..4 {
        world.timeout(Timer::ViewChange);
    }
    assert_eq!(world.emptied, None, "worker 1 held all that was acknowledged, and is there");
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
}

#[test]
fn a_removal_does_not_take_away_the_last_copy() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.hold = |message| matches!(message, Message::Sealed(_));
    assert_eq!(change_roster(&mut world, RosterChange::Remove("w1".to_owned())), None);
    world.hold = |_| false;
    world.held.clear();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    // Worker 1 alone is left, and stays.
    assert_eq!(world.members(), [NodeId(1)]);
    assert_eq!(world.replies.values().next(), Some(&Reply::RosterRefused(RosterRefusal::LastCopy)));
    follow_roster(&mut world);
    assert!(world.coordinator.status().serving, "the last copy is connected to no more: {:?}", world.roster);
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
}

#[test]
fn a_removal_that_did_not_happen_is_not_remembered_by_the_next_run() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.hold = |message| matches!(message, Message::Sealed(_));
    assert_eq!(change_roster(&mut world, RosterChange::Remove("w1".to_owned())), None);
    world.hold = |_| false;
    world.held.clear();
    world.stop(NodeId(2));
    world.restart_coordinator();
    world.run();
    assert!(world.roster.contains(&"w1".to_owned()), "a member of the last active view is not connected to: {:?}", world.roster);
}

#[test]
fn a_member_that_dies_of_each_seal_does_not_hold_up_the_others_for_ever() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    let write = {
        world.stop(NodeId(3));
        world.run();
        world.begin(vec![put("a", "2")])
    };
    for _ in 0..50 {
        // It is back within the grace, hears of the view that begins, and dies of it: its disk takes nothing. No timer of the
        // view change ever goes off, since each of these steps sets it anew.
        world.paused = Some(NodeId(3));
        world.restart(NodeId(3));
        world.run();
        world.waiting.clear();
        world.paused = None;
        world.stop(NodeId(3));
        world.run();
        world.timeout(Timer::Beat);
    }
    assert!(matches!(world.replies.get(&write), Some(Reply::Committed { .. })), "{:?}", world.control.as_ref().unwrap().number());
}

#[test]
fn a_copy_of_a_replica_that_somebody_has_to_look_at_has_no_vote() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "right")]);
    world.stop(NodeId(3));
    world.run();
    world.timeout(Timer::ViewChange);
    corrupt(&mut world, 1, "a", true);
    world.timeout(Timer::Compare);
    assert!(world.coordinator.status().comparison.undecided, "a person has to decide");
    world.restart(NodeId(3));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members().len(), 3);
    world.timeout(Timer::Compare);
    assert_eq!(
        world.workers[&NodeId(2)].0.records()[&key("a")].value,
        Shared::from("right"),
        "the wrong copy has won by being copied"
    );
}

#[test]
fn workers_that_are_added_before_a_view_is_there_are_connected_to() {
    let mut world = World::new(0);
    world.coordinator = coordinator(1, addresses(2), None);
    world.input(COORDINATOR, Input::Start);
    world.start(NodeId(1), Snapshot::new(NodeId(1)));
    world.run();
    // Worker 2 never comes; another machine is to take its place.
    let add = change_roster(&mut world, RosterChange::Add("w3".to_owned()));
    assert!(
        world.roster.contains(&"w3".to_owned()),
        "nobody connects to it, so the view that needs it never forms: {add:?} {:?}",
        world.roster
    );
}

#[test]
fn a_learner_that_belongs_to_another_cluster_does_not_hold_up_writes() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.down.clear();
    world.run();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(3), "w2", Snapshot::new(NodeId(3)));
    world.run();
    // Another cluster takes it while it waits to be taken in by this one.
    let seal = seal_by(9, view_id(50), Standing::Member, None);
    world.input(NodeId(3), Input::Message { from: NodeId(200), message: seal });
    world.run();
    world.timeout(Timer::Join);
    let write = world.begin(vec![put("a", "2")]);
    for _ in 0..60 {
        world.timeout(Timer::Retry);
        world.timeout(Timer::Beat);
    }
    assert!(
        matches!(world.replies.get(&write), Some(Reply::Committed { .. })),
        "{:?} {:?}",
        world.replies.get(&write),
        world.learners()
    );
}

#[test]
fn a_member_that_loses_its_trust_gives_up_nothing_before_the_view_without_it_is_active() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1"), put("b", "2")]);
    corrupt(&mut world, 2, "a", false);
    world.hold = |message| matches!(message, Message::Sealed(_));
    world.input(NodeId(2), Input::Timeout(Timer::Sweep));
    world.run();
    world.hold = |_| false;
    world.held.clear();
    // Worker 1 dies for good before the view is active: worker 2 holds all but one record.
    world.stop(NodeId(1));
    world.run();
    for _ in 0..4 {
        world.timeout(Timer::ViewChange);
    }
    assert!(world.coordinator.status().serving, "{:?}", world.workers[&NodeId(2)].0.records().len());
    assert_eq!(world.read(Query::Keys(vec![key("b")]), Consistency::Strict), pairs(&[("b", "2")]));
}

#[test]
fn a_full_cluster_takes_deletes_however_many_writes_it_has_refused() {
    // Without the world's checks, which look at everything after each input.
    let mut coordinator = {
        let config = CoordinatorConfig::new(COORDINATOR, Incarnation(2), ClusterId(7), vec!["w1".into()], None);
        Coordinator::new(config)
    };
    let full = WorkerConfig { memory_bytes_max: 100_000, ..WorkerConfig::default() };
    let mut worker = Worker::recover(full, Snapshot::new(NodeId(1)));
    let mut replies: BTreeMap<u64, Reply> = BTreeMap::new();
    let mut queue: VecDeque<(NodeId, Input)> = VecDeque::new();
    let mut control: Vec<ViewRecord> = Vec::new();
    macro_rules! run {
        () => {
            while let Some((node, input)) = queue.pop_front() {
                let mut out = Vec::new();
                if node == COORDINATOR {
                    coordinator.handle(input, &mut out)
                } else {
                    worker.handle(input, &mut out)
                }
                let mut records = 0;
                for output in out {
                    match output {
                        Output::Persist(_) => records += 1,
                        Output::Send { to, message } => queue.push_back((to, Input::Message { from: node, message })),
                        Output::Reply { id, reply } => drop(replies.insert(id.0, reply)),
                        Output::Swap { record: next, .. } => {
                            control.push(next);
                            queue.push_back((COORDINATOR, Input::Swapped(Swapped::Done)));
                        }
                        _ => {}
                    }
                }
                if records > 0 {
                    queue.push_back((node, Input::Persisted { records }));
                }
            }
        };
    }
    let peer =
        |cluster| Peer { node: NodeId(1), role: Role::Worker, address: "w1".into(), cluster, logged: true, salvaged: false };
    queue.push_back((COORDINATOR, Input::Start));
    queue.push_back((COORDINATOR, Input::Connected(peer(None))));
    run!();
    let mut id = 0;
    macro_rules! commit {
        ($operations:expr) => {{
            id += 1;
            let request = Request::Commit { operations: $operations, clock: 0, trace: None };
            queue.push_back((COORDINATOR, Input::Request { id: RequestId(id), request }));
            run!();
            replies.remove(&id)
        }};
    }
    for name in ["a", "c"] {
        assert!(matches!(commit!(vec![put(name, &"x".repeat(49_700))]), Some(Reply::Committed { .. })));
    }
    // Another run of the coordinator: it has a row to write, before the workers may forget anything.
    let config = CoordinatorConfig::new(COORDINATOR, Incarnation(3), ClusterId(7), vec!["w1".into()], control.last().cloned());
    coordinator = Coordinator::new(config);
    queue.push_back((COORDINATOR, Input::Start));
    queue.push_back((COORDINATOR, Input::Connected(peer(Some(ClusterId(7))))));
    run!();
    for round in 0..40_000 {
        // Somebody wants to write; and now and then what is to be recorded is tried, as the coordinator's `store/outcomes/recorder.rs` does it.
        assert!(
            commit!(vec![put("b", &"x".repeat(300))])
                .is_none_or(|reply| matches!(reply, Reply::Aborted { .. } | Reply::Refused(_)))
        );
        if round % 250 == 0 {
            queue.push_back((COORDINATOR, Input::Request { id: RequestId(u64::MAX - 1), request: Request::Unrecorded }));
            run!();
            let Some(Reply::Unrecorded(unrecorded)) = replies.remove(&(u64::MAX - 1)) else { panic!("no answer") };
            if unrecorded != Unrecorded::default() {
                let row = Key::new(TableId::HOUSEKEEPING, "row");
                let row = Operation { key: row, expect: Expect::Any, action: Action::Put("r".repeat(60).as_str().into()) };
                if matches!(commit!(vec![row]), Some(Reply::Committed { .. })) {
                    let outcomes = unrecorded.outcomes.iter().map(|(txn, _)| *txn).collect();
                    let request = Request::Recorded { outcomes, runs: unrecorded.runs.is_some() };
                    queue.push_back((COORDINATOR, Input::Request { id: RequestId(u64::MAX - 1), request }));
                    run!();
                }
            }
        }
        queue.push_back((COORDINATOR, Input::Timeout(Timer::Sweep)));
        run!();
    }
    let reply = commit!(vec![operation("a", Expect::Any, Action::Delete)]);
    assert!(matches!(reply, Some(Reply::Committed { .. })), "{reply:?} {:?}", coordinator.status());
}

#[test]
fn a_worker_that_never_comes_back_is_not_shown_as_being_repaired_for_ever() {
    let mut world = World::in_memory(3);
    world.commit(vec![put("a", "1")]);
    corrupt(&mut world, 3, "a", false);
    world.hold = |message| matches!(message, Message::Copy { .. });
    world.input(NodeId(3), Input::Timeout(Timer::Sweep));
    world.run();
    assert_eq!(world.coordinator.status().comparison.distrusted, [NodeId(3)]);
    world.stop(NodeId(3));
    world.down.clear();
    world.run();
    world.hold = |_| false;
    world.held.clear();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(13), "w3", Snapshot::new(NodeId(13)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members().len(), 3);
    assert_eq!(world.coordinator.status().comparison.distrusted, []);
}

#[test]
fn a_learner_that_loses_what_it_promised_around_its_promotion_loses_nothing() {
    for (sealed, new_coordinator, donor_dies) in [
        (false, false, false),
        (false, true, false),
        (true, false, false),
        (true, true, false),
        (true, true, true),
        (true, false, true),
    ] {
        let mut world = World::new(2);
        world.fill();
        world.stop(NodeId(2));
        world.run();
        world.timeout(Timer::ViewChange);
        world.restart(NodeId(2));
        world.run();
        world.hold = |message| matches!(message, Message::Stored { last: true, .. });
        world.timeout(Timer::Join);
        assert_eq!(world.learners(), [NodeId(2)]);
        let synced = world.workers[&NodeId(2)].1.clone();
        let write = vec![put("k0001", "new"), operation("k0002", Expect::Any, Action::Delete)];
        assert!(matches!(world.commit(write), Reply::Committed { .. }));
        if sealed {
            // It is about to become a member: its log has not taken in that it was sealed.
            world.hold = |message| matches!(message, Message::Sealed(_));
            world.queue.extend(std::mem::take(&mut world.held));
            world.run();
            assert_eq!(world.workers[&NodeId(2)].0.standing(), Some(Standing::Member));
        }
        world.held.clear();
        world.hold = |_| false;
        world.stop(NodeId(2));
        world.down.insert(NodeId(2), synced);
        if donor_dies {
            world.stop(NodeId(1));
        }
        if new_coordinator {
            world.restart_coordinator();
        }
        world.run();
        world.restart(NodeId(2));
        world.run();
        for _ in 0..3 {
            world.timeout(Timer::ViewChange);
            world.timeout(Timer::Join);
        }
        if donor_dies {
            assert!(!world.coordinator.status().serving, "a learner is no survivor");
            world.restart(NodeId(1));
            world.run();
            for _ in 0..3 {
                world.timeout(Timer::ViewChange);
                world.timeout(Timer::Join);
            }
        }
        let found = world.read(Query::Keys(vec![key("k0001"), key("k0002")]), Consistency::Strict);
        assert_eq!(found, pairs(&[("k0001", "new")]), "{sealed} {new_coordinator} {donor_dies}");
        assert_eq!(world.members().len(), 2);
        assert!(world.digests_agree());
    }
}

#[test]
fn a_coordinator_whose_control_store_is_out_of_date_ends_instead_of_seeming_to_serve() {
    let mut world = World::new(2);
    let old = world.control.clone();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::Join);
    assert!(world.halt.is_none() && world.members().len() == 2);
    world.control = old;
    world.restart_coordinator();
    world.run();
    for _ in 0..4 {
        world.timeout(Timer::ViewChange);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.halt, Some(Halt::Superseded));
}

#[test]
fn whoever_comes_back_with_less_is_found_at_once() {
    let mut world = World::new(3);
    world.fill();
    for node in [1, 2, 3] {
        world.stop(NodeId(node));
    }
    // A directory was put back to what it had been a moment before.
    world.down.get_mut(&NodeId(3)).unwrap().records.pop_last();
    for node in [1, 2, 3] {
        world.restart(NodeId(node));
    }
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members().len(), 3);
    assert!(world.comparison_ms <= 250, "not only after a minute: {}", world.comparison_ms);
    world.timeout(Timer::Compare);
    for _ in 0..4 {
        world.timeout(Timer::Join);
    }
    assert_eq!(world.members().len(), 3);
    assert!(world.digests_agree());
    assert_eq!(world.coordinator.status().comparison.repaired, 1);
}

#[test]
fn a_coordinator_ends_when_a_view_of_its_own_is_another_ones_too() {
    let mut world = World::new(3);
    let old = world.control.clone();
    world.stop(NodeId(3));
    world.run();
    world.timeout(Timer::ViewChange);
    world.commit(vec![put("a", "1")]);
    for node in [1, 2] {
        world.stop(NodeId(node));
    }
    world.run();
    // The directory was put back to what it had been before, and worker 3 is the first to be there.
    world.control = old;
    world.restart(NodeId(3));
    world.restart_coordinator();
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(3)]);
    world.timeout(Timer::Beat);
    assert_eq!(world.halt, None);
    world.restart(NodeId(1));
    world.run();
    assert_eq!(world.halt, Some(Halt::Superseded));
    assert_eq!(world.workers[&NodeId(1)].0.records().len(), 1, "nothing was taken from it");
}

#[test]
fn a_worker_that_another_cluster_has_taken_meanwhile_does_not_end_one_view_after_the_other() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    let seal = seal_by(99, view_id(1), Standing::Member, None);
    world.input(NodeId(12), Input::Message { from: NodeId(77), message: seal });
    world.run();
    for _ in 0..8 {
        world.timeout(Timer::Join);
    }
    let settled = world.control.as_ref().unwrap().number();
    for _ in 0..20 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.control.as_ref().unwrap().number(), settled);
    assert_eq!((world.members(), &world.halt), (vec![NodeId(1)], &None));
    assert!(world.coordinator.status().serving);
}
