//! Views over the whole cluster: who is left out, comes back, is copied to, and what becomes of what was under way.

use super::world::*;

#[test]
fn a_lost_worker_is_left_out_and_what_was_under_way_ends() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.lose = |message| matches!(message, Message::Prepare(prepare) if prepare.txn.sequence == 2);
    let write = world.begin(vec![put("a", "2")]);
    world.lose = |_| false;
    world.stop(NodeId(3));
    world.run();
    assert!(!world.coordinator.status().serving);
    let queued = world.begin(vec![put("b", "1")]);
    world.timeout(Timer::ViewChange);
    assert!(world.coordinator.status().serving);
    // Prepared nowhere: aborted, and as its own coordinator knows that, tried again.
    assert!(matches!(world.replies[&write], Reply::Committed { txn, .. } if txn.sequence > 2), "{:?}", world.replies);
    assert!(matches!(world.replies[&queued], Reply::Committed { .. }));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2"), ("b", "1")]));
    assert!(world.digests_agree());
    let left_out = (NodeId(3), "w3".to_owned());
    assert_eq!(world.outsiders, std::slice::from_ref(&left_out), "said once, when the view without it is active");
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
}

#[test]
fn one_that_was_left_out_comes_back_as_a_learner_and_becomes_a_member() {
    let mut world = World::new(3);
    world.fill();
    world.stop(NodeId(3));
    world.run();
    world.timeout(Timer::ViewChange);
    world.commit(vec![put("k0001", "new"), operation("k0002", Expect::Any, Action::Delete), put("n", "new")]);
    world.restart(NodeId(3));
    world.run();
    world.hold = |message| matches!(message, Message::Copy { .. });
    world.timeout(Timer::Join);
    assert_eq!((world.members(), world.learners()), (vec![NodeId(1), NodeId(2)], vec![NodeId(3)]));
    assert!(world.workers[&NodeId(3)].0.records().is_empty());
    // It takes part in what is written meanwhile, whatever it knows of it.
    let write = vec![operation("k0003", Expect::Present, Action::Put(Shared::from("during"))), put("m", "during")];
    assert!(matches!(world.commit(write), Reply::Committed { .. }));
    assert!(matches!(world.commit(vec![operation("k0004", Expect::Any, Action::Delete)]), Reply::Committed { .. }));
    for _ in 0..6 {
        assert_eq!(world.read(Query::Keys(vec![key("k0005")]), Consistency::Arrival), pairs(&[("k0005", "old")]));
    }
    world.let_go();
    assert_eq!((world.members().len(), world.learners().len()), (3, 0));
    assert!(world.digests_agree());
    assert_eq!(world.workers[&NodeId(3)].0.records().len(), 2_400);
    // As good as any other now: it alone is enough.
    world.stop(NodeId(1));
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(3)]);
    let keys = ["k0001", "k0002", "k0003", "k0004", "m", "n"].map(key).to_vec();
    let expected = pairs(&[("k0001", "new"), ("k0003", "during"), ("m", "during"), ("n", "new")]);
    assert_eq!(world.read(Query::Keys(keys), Consistency::Strict), expected);
}

#[test]
fn a_chunk_brings_back_nothing_that_was_changed_since() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    // Another machine in its place: nothing on disk, another identity.
    world.down.clear();
    world.start_at(NodeId(3), "w2", Snapshot::new(NodeId(3)));
    world.run();
    world.hold = |message| matches!(message, Message::Chunk(_));
    world.timeout(Timer::Join);
    assert_eq!(world.learners(), [NodeId(3)]);
    // The chunk is on its way with the old values.
    world.commit(vec![put("k0001", "new"), operation("k0002", Expect::Any, Action::Delete)]);
    // One is prepared, and undecided while the copy is completed and the learner becomes a member.
    world.lose = |message| matches!(message, Message::Decide { .. });
    let write = world.begin(vec![put("k0003", "newer"), operation("k0004", Expect::Any, Action::Delete)]);
    world.lose = |_| false;
    world.let_go();
    assert!(matches!(world.replies[&write], Reply::Committed { .. }));
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    assert!(world.digests_agree());
    let keys = ["k0001", "k0002", "k0003", "k0004"].map(key).to_vec();
    assert_eq!(world.read(Query::Keys(keys), Consistency::Strict), pairs(&[("k0001", "new"), ("k0003", "newer")]));
}

#[test]
fn a_learner_that_starts_again_begins_again() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    world.hold = |message| matches!(message, Message::Stored { last: true, .. });
    world.timeout(Timer::Join);
    assert_eq!(world.workers[&NodeId(2)].0.records().len(), 2_400);
    let progress = world.coordinator.status().copies;
    let CopyProgress { copied, total, .. } = progress[0];
    assert!(0 < copied && copied < total, "what it has not said to have stored does not count: {copied} of {total}");
    world.stop(NodeId(2));
    world.run();
    world.commit(vec![operation("k0001", Expect::Any, Action::Delete)]);
    world.held.clear();
    world.hold = |_| false;
    // The old copy's number counts no more.
    world.restart(NodeId(2));
    world.run();
    // Lost twice, it waits twice as long.
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(1)]);
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert!(world.digests_agree());
}

#[test]
fn who_does_not_hold_all_records_refuses_to_be_a_member() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    let seal = |view, standing| Input::Message {
        from: COORDINATOR,
        message: seal_by(7, view_id(view), standing, Some(view_id(view - 1))),
    };
    let refused = |worker: &mut Worker, input| {
        let mut out = Vec::new();
        worker.handle(input, &mut out);
        out.iter().any(|output| matches!(output, Output::Send { message: Message::SealRefused { .. }, .. }))
    };
    let mut fresh = Worker::recover(WorkerConfig::default(), Snapshot::new(NodeId(9)));
    assert!(refused(&mut fresh, seal(5, Standing::Member)));
    assert!(!refused(&mut fresh, seal(5, Standing::Learner)));
    assert!(refused(&mut fresh, seal(6, Standing::Member)));
}

#[test]
fn a_worker_that_comes_back_within_the_grace_stays_a_member() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.lose = |message| matches!(message, Message::Vote { .. });
    let write = world.begin(vec![put("a", "2")]);
    world.stop(NodeId(2));
    world.run();
    world.lose = |_| false;
    world.restart(NodeId(2));
    world.run();
    assert!(matches!(world.replies[&write], Reply::Committed { txn, .. } if txn.sequence == 2));
    assert_eq!(world.control.as_ref().unwrap().active.as_ref().unwrap().view.members().len(), 3);
    assert_eq!(world.outsiders, []);
    assert!(world.digests_agree());
}

#[test]
fn a_new_coordinator_settles_what_the_old_one_left_and_all_may_restart_at_once() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.lose = |message| matches!(message, Message::Vote { .. });
    world.begin(vec![put("a", "2")]);
    world.lose = |message| matches!(message, Message::Prepare(_));
    world.begin(vec![put("b", "never sent")]);
    world.lose = |_| false;
    for node in 1..=3 {
        world.stop(NodeId(node));
    }
    world.queue.clear();
    world.restart_coordinator();
    for node in 1..=3 {
        world.restart(NodeId(node));
    }
    world.run();
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2")]));
    let txn = TxnId { incarnation: Incarnation(1), sequence: 2 };
    let id = world.ask(Request::Outcome { txn });
    assert_eq!(world.replies[&id], Reply::Outcome(KnownOutcome::Known(Outcome::Committed)));
    let id = world.ask(Request::Outcome { txn: TxnId { incarnation: Incarnation(9), sequence: 2 } });
    assert_eq!(world.replies[&id], Reply::Outcome(KnownOutcome::NotKnown));
    assert!(matches!(world.commit(vec![put("a", "3")]), Reply::Committed { .. }));
    assert!(world.digests_agree());
}

#[test]
fn an_empty_control_store_does_not_take_workers_that_hold_a_view() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.control = None;
    world.restart_coordinator();
    world.run();
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w1".into(), cluster: ClusterId(7) }));
}

#[test]
fn a_record_that_is_made_again_after_a_restart_with_a_clock_set_back_has_a_greater_version() {
    let mut world = World::new(2);
    (0..20).for_each(|_| drop(world.commit(vec![put("a", "x")])));
    let last = version(&world.commit(vec![operation("a", Expect::Present, Action::Delete)]));
    for node in [1, 2] {
        world.stop(NodeId(node));
    }
    world.queue.clear();
    (world.requests, world.replies) = (0, BTreeMap::new());
    world.restart_coordinator();
    // It is asked before it can know how far the clock had come.
    let again = world.begin(vec![operation("a", Expect::Absent, Action::Put(Shared::from("new")))]);
    for node in [1, 2] {
        world.restart(NodeId(node));
    }
    world.run();
    assert!(version(&world.replies[&again]) > last);
}

#[test]
fn a_member_whose_log_was_put_back_is_left_out_and_the_others_serve() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    let old = world.workers[&NodeId(1)].1.clone();
    // A view later, with more written.
    world.stop(NodeId(2));
    world.restart(NodeId(2));
    world.run();
    world.commit(vec![put("a", "2")]);
    world.stop(NodeId(1));
    world.down.insert(NodeId(1), old);
    world.restart(NodeId(1));
    world.run();
    assert_eq!(world.control.as_ref().unwrap().active.as_ref().unwrap().view.members(), [NodeId(2), NodeId(3)]);
    world.workers.remove(&NodeId(1));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2")]));
    assert!(world.digests_agree());
}

#[test]
fn a_worker_of_another_cluster_is_said_though_one_before_it_never_comes() {
    let mut world = World::new(0);
    world.coordinator = coordinator(1, addresses(2), None);
    world.input(COORDINATOR, Input::Start);
    world.start(NodeId(2), Snapshot { cluster: Some(ClusterId(9)), ..Snapshot::new(NodeId(2)) });
    world.run();
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w2".into(), cluster: ClusterId(9) }));
}

#[test]
fn of_two_clusters_founded_over_one_worker_the_later_says_so() {
    let mut world = World::new(0);
    world.coordinator = coordinator(1, addresses(2), None);
    world.input(COORDINATOR, Input::Start);
    world.start(NodeId(1), Snapshot::new(NodeId(1)));
    world.start(NodeId(2), Snapshot { cluster: Some(ClusterId(9)), ..Snapshot::new(NodeId(2)) });
    // It was taken after it had connected.
    for (_, input) in &mut world.queue {
        if let Input::Connected(peer) = input {
            peer.cluster = None;
        }
    }
    world.run();
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w2".into(), cluster: ClusterId(9) }));
}

/// The workers that are still there answer; the leader sends another beat.
fn beat(world: &mut World, times: usize) {
    (0..times).for_each(|_| world.timeout(Timer::Beat));
}

#[test]
fn who_leaves_beats_unanswered_is_left_out_without_a_grace_and_comes_back_as_a_learner() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    beat(&mut world, 20);
    assert_eq!(world.members().len(), 3);
    // Paused: what is sent to it waits, and it says nothing.
    world.paused = Some(NodeId(3));
    beat(&mut world, 4);
    let write = world.begin(vec![put("a", "2")]);
    assert!(!world.replies.contains_key(&write), "its vote is missing");
    beat(&mut world, 1);
    assert!(matches!(world.replies[&write], Reply::Committed { .. }), "no timer but the beat was needed");
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    world.resume();
    assert_eq!(world.members(), [NodeId(1), NodeId(2)], "what it says over its old connection counts no more");
    world.connect(NodeId(3), Some(ClusterId(7)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members().len(), 3);
    assert!(world.digests_agree());
}

#[test]
fn nobody_is_blamed_for_what_holds_up_all_members() {
    let mut world = World::new(3);
    world.lose = |message| matches!(message, Message::Beating { .. });
    beat(&mut world, 20);
    assert_eq!((world.members().len(), world.control.as_ref().unwrap().number()), (3, ViewNumber(1)));
    world.lose = |_| false;
    beat(&mut world, 2);
    assert!(matches!(world.commit(vec![put("a", "1")]), Reply::Committed { .. }));
}

#[test]
fn an_answer_from_a_view_before_the_active_one_is_no_sign_of_life() {
    let mut world = World::new(3);
    let before = world.workers[&NodeId(3)].clone();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    // A machine put back as a whole to what it was a moment ago, its connections with it.
    world.workers.insert(NodeId(3), before);
    let write = world.begin(vec![put("a", "1")]);
    beat(&mut world, 5);
    assert_eq!(world.members(), [NodeId(1)]);
    assert!(matches!(world.replies[&write], Reply::Committed { .. }));
}

#[test]
fn a_worker_that_is_lost_again_and_again_waits_longer_each_time() {
    let mut world = World::new(2);
    let mut waits = Vec::new();
    for _ in 0..5 {
        world.stop(NodeId(2));
        world.run();
        world.timeout(Timer::ViewChange);
        world.restart(NodeId(2));
        world.run();
        let mut waited = 0;
        while world.members().len() < 2 {
            waited += world.join_ms;
            assert!(waited <= 16_000, "it waits for ever");
            world.timeout(Timer::Join);
        }
        waits.push(waited);
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000]);
}

#[test]
fn a_worker_that_waits_is_not_kept_waiting_by_one_that_comes_and_goes() {
    let mut world = World::new(3);
    for _ in 0..6 {
        world.stop(NodeId(2));
        world.run();
        world.timeout(Timer::ViewChange);
        world.restart(NodeId(2));
        world.run();
        while world.members().len() < 3 {
            world.timeout(Timer::Join);
        }
    }
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    // Worker 3 is lost before each step of the timer is over, and back at once. A timer that is set anew begins anew.
    for _ in 0..100 {
        let set = |world: &World| world.timers.iter().filter(|timer| **timer == Timer::Join).count();
        let before = set(&world);
        world.stop(NodeId(3));
        world.run();
        world.timeout(Timer::ViewChange);
        world.restart(NodeId(3));
        world.run();
        if set(&world) == before {
            world.timeout(Timer::Join);
        }
        if world.members().contains(&NodeId(2)) {
            return;
        }
    }
    panic!("worker 2 still waits: {:?}", world.members());
}

fn change_roster(world: &mut World, change: RosterChange) -> Reply {
    let id = world.ask(Request::Roster(change));
    world.replies.remove(&id).expect("answered")
}

#[test]
fn workers_are_added_and_removed_for_good() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    let three = ["w1", "w2", "w3"].map(str::to_owned).to_vec();
    assert_eq!(change_roster(&mut world, RosterChange::Add("w3".to_owned())), Reply::Roster(three.clone()));
    assert_eq!(world.roster, three);
    world.start(NodeId(3), Snapshot::new(NodeId(3)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members().len(), 3);
    assert_eq!(change_roster(&mut world, RosterChange::Remove("w1".to_owned())), Reply::Roster(three[1..].to_vec()));
    assert_eq!(world.members(), [NodeId(2), NodeId(3)]);
    assert!(matches!(world.commit(vec![put("a", "2")]), Reply::Committed { .. }));
    let refused = |world: &mut World, address: &str| change_roster(world, RosterChange::Remove(address.to_owned()));
    assert_eq!(refused(&mut world, "w1"), Reply::RosterRefused(RosterRefusal::NotThere));
    world.stop(NodeId(1));
    world.stop(NodeId(3));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(refused(&mut world, "w2"), Reply::RosterRefused(RosterRefusal::LastCopy));
    // Another run of the coordinator is told of the old workers, and knows better.
    world.restart_coordinator();
    world.run();
    assert_eq!(world.roster, three[1..]);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "2")]));
    // What was removed is not taken back when it comes, unless it is added again.
    world.connect(NodeId(1), Some(ClusterId(7)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(2)]);
}

#[test]
fn with_all_memory_gone_the_cluster_begins_anew_and_says_so() {
    let mut world = World::in_memory(2);
    world.commit(vec![put("a", "1")]);
    let stopped = world.begin(vec![put("b", "1")]);
    assert!(matches!(world.replies[&stopped], Reply::Committed { .. }));
    for node in [1, 2] {
        world.stop(NodeId(node));
    }
    world.run();
    world.timeout(Timer::ViewChange);
    world.start_at(NodeId(11), "w1", Snapshot::new(NodeId(11)));
    world.run();
    world.timeout(Timer::ViewChange);
    assert!(!world.coordinator.status().serving, "the other may still live");
    let waiting = world.begin(vec![put("c", "1")]);
    world.start_at(NodeId(12), "w2", Snapshot::new(NodeId(12)));
    world.run();
    assert!(matches!(world.replies[&waiting], Reply::Committed { .. }));
    assert_eq!(world.members(), [NodeId(11), NodeId(12)]);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("c", "1")]));
    let emptied = world.control.as_ref().unwrap().emptied;
    assert_eq!(emptied, Some(world.control.as_ref().unwrap().number()));
    assert_eq!(world.emptied, emptied);
}

#[test]
fn records_in_a_log_are_waited_for_however_long() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    for node in [1, 2] {
        world.stop(NodeId(node));
    }
    world.run();
    world.timeout(Timer::ViewChange);
    for (node, address) in [(11, "w1"), (12, "w2")] {
        world.start_at(NodeId(node), address, Snapshot::new(NodeId(node)));
    }
    world.run();
    world.timeout(Timer::ViewChange);
    assert!(!world.coordinator.status().serving);
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
}

#[test]
fn a_copy_of_which_a_chunk_was_lost_with_the_connection_does_not_count() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    world.hold = |message| matches!(message, Message::Chunk(_));
    world.timeout(Timer::Join);
    assert_eq!(world.learners(), [NodeId(2)]);
    let pass_chunks = |world: &mut World| {
        let held = std::mem::take(&mut world.held);
        let chunk = |it: &Input| matches!(it, Input::Message { message: Message::Chunk(_), .. });
        let (chunks, rest): (Vec<_>, Vec<_>) = held.into_iter().partition(|(_, it)| chunk(it));
        world.held = rest;
        world.queue.extend(chunks);
        world.run();
    };
    // The last is on its way to the leader when the learner's connection is lost, and with it those before.
    for _ in 0..2 {
        pass_chunks(&mut world);
        world.held.retain(|(to, _)| *to != NodeId(2));
    }
    world.hold = |message| matches!(message, Message::Chunk(_) | Message::Sealed(_));
    world.input(COORDINATOR, Input::Disconnected { node: NodeId(2) });
    world.run();
    world.connect(NodeId(2), Some(ClusterId(7)));
    world.run();
    for _ in 0..8 {
        pass_chunks(&mut world);
    }
    // The member does not answer in time, and is asked again.
    world.timeout(Timer::ViewChange);
    world.timeout(Timer::ViewChange);
    world.let_go();
    world.timeout(Timer::ViewChange);
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(1), NodeId(2)]);
    assert!(world.digests_agree());
}

/// Worker 2 is away, and another machine without any records comes in its place, as worker 3.
fn with_newcomer() -> World {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.down.clear();
    world.start_at(NodeId(3), "w2", Snapshot::new(NodeId(3)));
    world.run();
    world
}

#[test]
fn what_a_learner_holds_prepared_has_the_version_that_was_copied_to_it() {
    let mut world = with_newcomer();
    world.hold = |message| matches!(message, Message::Copy { .. });
    world.timeout(Timer::Join);
    // The learner alone does not hear of the commit, as when it is another coordinator's, whose connection is lost.
    world.lose = |message| matches!(message, Message::Decide { versions, .. } if !versions.is_empty());
    let written = version(&world.commit(vec![put("a", "2")]));
    world.lose = |_| false;
    world.let_go();
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    assert_eq!(world.workers[&NodeId(3)].0.records()[&key("a")].version, written);
    assert!(world.digests_agree());
}

#[test]
fn a_former_learner_knows_the_greatest_stamp() {
    let mut world = with_newcomer();
    let put_at = |world: &mut World, clock| {
        let id = world.ask(Request::Commit { operations: vec![put("b", "1")], clock, trace: None });
        version(&world.replies.remove(&id).unwrap())
    };
    let first = put_at(&mut world, 1_000_000);
    world.commit(vec![operation("b", Expect::Any, Action::Delete)]);
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    world.stop(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    // The next run's clock was set back, and only the former learner is left to know better.
    world.restart_coordinator();
    world.run();
    let again = put_at(&mut world, 0);
    assert!(again > first, "{again:?} after {first:?}");
}

#[test]
fn a_member_that_connects_and_never_answers_is_left_out_though_another_one_is_gone() {
    let mut world = World::new(3);
    world.hold = |message| matches!(message, Message::Beating { .. } | Message::Sealed(_));
    // Of these, what worker 1 says gets through; worker 2 says nothing.
    let hear_1 = |world: &mut World| {
        world.run();
        let held = std::mem::take(&mut world.held);
        world.queue.extend(held.into_iter().filter(|(_, it)| matches!(it, Input::Message { from: NodeId(1), .. })));
        world.run();
    };
    world.stop(NodeId(3));
    for _ in 0..5 {
        hear_1(&mut world);
        world.timeout(Timer::ViewChange);
        for _ in 0..5 {
            hear_1(&mut world);
            world.timeout(Timer::Beat);
        }
        // Its connection has been closed; it connects again at once.
        hear_1(&mut world);
        world.connect(NodeId(2), Some(ClusterId(7)));
        hear_1(&mut world);
    }
    assert!(world.coordinator.status().serving, "{:?}", world.control);
}

#[test]
fn a_worker_that_hangs_is_not_taken_in_before_it_answers() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.paused = Some(NodeId(2));
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!((world.learners(), world.control.as_ref().unwrap().number()), (vec![], ViewNumber(2)), "no write waits for it");
    world.resume();
    world.timeout(Timer::Join);
    assert_eq!(world.members().len(), 2);
}

#[test]
fn a_learner_takes_nothing_behind_a_gap() {
    let mut world = World::new(2);
    world.fill();
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    world.hold = |message| matches!(message, Message::Chunk(_));
    world.timeout(Timer::Join);
    // The donor's first chunk waits at the leader; what reaches the learner says that it stands behind others, and is the last.
    let last =
        |copy| Chunk { copy, learner: NodeId(2), after: Some(key("k0100")), records: vec![], last: true, total: 2_400, stamp: 0 };
    let copy = world.control.as_ref().unwrap().number();
    world.input(NodeId(2), Input::Message { from: COORDINATOR, message: Message::Chunk(last(copy)) });
    world.run();
    assert!(world.workers[&NodeId(2)].0.participant().is_incomplete());
    world.let_go();
    assert_eq!(world.workers[&NodeId(2)].0.records().len(), 2_400);
    assert_eq!(world.members().len(), 2);
}

#[test]
fn a_last_member_that_the_settings_no_longer_name_is_connected_to_until_another_has_copied() {
    let mut world = World::new(2);
    world.commit(vec![put("a", "1")]);
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(1)]);
    world.restart_naming(&["w2"]);
    world.run();
    assert_eq!(world.roster, ["w2", "w1"], "it alone holds what was written");
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(2)]);
    assert_eq!(world.roster, ["w2"]);
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
}
