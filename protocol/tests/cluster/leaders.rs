//! Two coordinators that lead from copies of one control store (R14). Whatever copy the second one has, and whichever workers it
//! reaches, there are never two histories once one worker has heard both, and the coordinator that must end learns of it.

use crate::world::*;

const W1: NodeId = NodeId(1);
const W2: NodeId = NodeId(2);
const W3: NodeId = NodeId(3);

/// Both coordinators ask for signs of life.
fn beat(world: &mut World) {
    world.input(COORDINATOR, Input::Timeout(Timer::Beat));
    world.input(RIVAL, Input::Timeout(Timer::Beat));
    world.run();
}

/// The second one waits no longer.
fn rival_waited(world: &mut World) {
    world.input(RIVAL, Input::Timeout(Timer::ViewChange));
    world.run();
}

fn rival_halt(world: &World) -> Option<Halt> {
    world.rival.as_ref().unwrap().halt.clone()
}

/// Asks the second coordinator to write. Whether it has said that this is done.
fn rival_writes(world: &mut World, name: &str) -> bool {
    let operations = vec![put(name, "of the rival")];
    let id = RequestId(1);
    world.input(RIVAL, Input::Request { id, request: Request::Commit { operations, clock: 5, trace: None } });
    world.run();
    let replies = &mut world.rival.as_mut().unwrap().replies;
    matches!(replies.remove(&1), Some(Reply::Committed { .. }))
}

/// A worker's records, by name.
fn held(world: &World, node: NodeId) -> Vec<String> {
    let records = world.workers[&node].0.records();
    records.keys().map(|key| String::from_utf8(key.bytes.to_vec()).unwrap()).collect()
}

/// Cuts a worker off from the first coordinator, which goes on without it.
fn cut_off(world: &mut World, node: NodeId) {
    world.input(COORDINATOR, Input::Disconnected { node });
    world.input(node, Input::Disconnected { node: COORDINATOR });
    world.run();
    world.timeout(Timer::ViewChange);
}

#[test]
fn two_of_one_run_end_as_soon_as_a_worker_has_heard_both() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.start_rival(1, world.control.clone());
    world.run();
    beat(&mut world);
    assert_eq!((&world.halt, rival_halt(&world)), (&None, None), "no worker has heard both");
    world.connect_rival(W2);
    beat(&mut world);
    let shared = Some(Halt::SharedRun { run: Incarnation(1) });
    assert_eq!((&world.halt, rival_halt(&world)), (&shared, shared.clone()));
    assert_eq!(world.rival.as_ref().unwrap().control, world.control, "the second one has not written");
    assert!([W1, W2, W3].into_iter().all(|node| held(&world, node) == ["a"]));
}

#[test]
fn two_that_were_both_started_again_hear_of_each_other_from_a_worker_that_follows_neither() {
    let mut world = World::new(3);
    let copy = world.control.clone();
    world.hold = |message| matches!(message, Message::Beating { .. });
    // Neither gets as far as sealing: each waits for a worker that only the other one reaches.
    world.restart_naming(&["w1", "w2", "w3"]);
    world.queue.retain(|(node, input)| *node != W3 && !matches!(input, Input::Connected(peer) if peer.node == W3));
    world.run();
    world.start_rival(2, copy);
    world.connect_rival(W2);
    beat(&mut world);
    world.let_go();
    let shared = Some(Halt::SharedRun { run: Incarnation(2) });
    // Whichever was heard first, the answers to the next beats say it.
    beat(&mut world);
    assert_eq!((&world.halt, rival_halt(&world)), (&shared, shared.clone()));
    assert_eq!(world.members(), [W1, W2, W3]);
}

/// The second coordinator dies: its connections to these workers are gone.
fn rival_dies(world: &mut World, reached: &[NodeId]) {
    world.rival = None;
    for node in reached {
        world.input(*node, Input::Disconnected { node: RIVAL });
    }
    world.run();
}

#[test]
fn a_later_run_that_connects_and_dies_before_it_leads_changes_nothing() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    // As an operator starts a coordinator from a copy by mistake, and stops it. It waits for a member that it does not reach.
    for run in [2, 9] {
        world.start_rival(run, world.control.clone());
        world.connect_rival(W1);
        world.connect_rival(W2);
        beat(&mut world);
        assert_eq!((&world.halt, rival_halt(&world)), (&None, None), "run {run} has changed nothing yet");
        rival_dies(&mut world, &[W1, W2]);
        beat(&mut world);
        assert_eq!(world.halt, None, "run {run} is gone");
    }
    assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
    // Nor does it matter to the leader's successor, which has the same run as the first that was started by mistake.
    world.restart_coordinator();
    world.run();
    beat(&mut world);
    assert_eq!((&world.halt, world.members()), (&None, vec![W1, W2, W3]));
    assert!(matches!(world.commit(vec![put("c", "1")]), Reply::Committed { .. }));
}

#[test]
fn of_two_with_the_same_later_run_the_second_is_told_though_the_first_has_gone() {
    let mut world = World::new(3);
    let copy = world.control.clone();
    world.hold = |message| matches!(message, Message::Beating { .. });
    // The successor of the leader waits for a worker, so no worker follows it yet.
    world.restart_naming(&["w1", "w2", "w3"]);
    world.queue.retain(|(node, input)| *node != W3 && !matches!(input, Input::Connected(peer) if peer.node == W3));
    world.run();
    world.start_rival(2, copy);
    world.connect_rival(W2);
    beat(&mut world);
    // The first has ended because it was told of the other one, and nobody has told that one yet.
    world.held.clear();
    rival_dies(&mut world, &[W2]);
    world.hold = |_| false;
    world.timeout(Timer::Beat);
    assert_eq!(world.halt, Some(Halt::SharedRun { run: Incarnation(2) }));
}

#[test]
fn later_runs_that_come_and_go_do_not_hide_one_that_shares_the_run() {
    let mut world = World::new(3);
    let writer = |run, node| Writer { run: Incarnation(run), node: NodeId(node) };
    let active = Some(view_id(1));
    let hear = |world: &mut World, writer: Writer| {
        let message = Message::Beat { beat: 1, cluster: Some(ClusterId(7)), writer, active };
        world.input(W1, Input::Message { from: writer.node, message });
    };
    hear(&mut world, writer(1, 50));
    (2..9).for_each(|run| hear(&mut world, writer(run, 50 + u128::from(run))));
    world.run();
    world.timeout(Timer::Beat);
    assert_eq!(world.halt, Some(Halt::SharedRun { run: Incarnation(1) }));
}

#[test]
fn a_later_run_takes_over_and_the_earlier_one_ends() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.start_rival(2, world.control.clone());
    [W1, W2, W3].into_iter().for_each(|node| world.connect_rival(node));
    beat(&mut world);
    assert_eq!(world.halt, Some(Halt::Superseded));
    assert_eq!(rival_halt(&world), None);
    assert!(rival_writes(&mut world, "b"));
    assert!([W1, W2, W3].into_iter().all(|node| held(&world, node) == ["a", "b"]));
}

#[test]
fn a_later_run_from_an_older_store_ends_and_disturbs_nobody() {
    let mut world = World::new(3);
    let old = world.control.clone();
    cut_off(&mut world, W3);
    world.commit(vec![put("a", "1")]);
    world.start_rival(9, old);
    world.connect_rival(W3);
    world.connect_rival(W1);
    beat(&mut world);
    assert_eq!(rival_halt(&world), Some(Halt::Superseded));
    // Nor does one that was left out, and knew no more than the one that has ended.
    world.connect(W3, Some(ClusterId(7)));
    beat(&mut world);
    beat(&mut world);
    assert_eq!(world.halt, None);
    // Also when it belongs to the newest view again.
    for _ in 0..5 {
        world.timeout(Timer::Join);
        beat(&mut world);
    }
    assert_eq!((world.members(), &world.halt), (vec![W1, W2, W3], &None));
    assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
}

#[test]
fn a_seal_that_follows_an_older_view_than_the_worker_knows_is_refused() {
    for restarted in [false, true] {
        let mut world = World::new(3);
        // The copy is made while the second view is announced, so the next number there is the third.
        world.hold = |message| matches!(message, Message::Sealed(_));
        world.stop(W3);
        world.run();
        world.timeout(Timer::ViewChange);
        let copy = world.control.clone();
        assert_eq!(copy.as_ref().unwrap().pending.as_ref().unwrap().number, ViewNumber(2));
        world.let_go();
        assert!(matches!(world.commit(vec![put("a", "1")]), Reply::Committed { .. }));
        if restarted {
            // What a worker knows outlives its process.
            for node in [W1, W2] {
                world.stop(node);
                world.restart(node);
            }
            world.queue.clear();
        }
        world.start_rival(7, copy);
        world.connect_rival(W1);
        world.connect_rival(W2);
        rival_waited(&mut world);
        assert_eq!(rival_halt(&world), Some(Halt::Superseded), "restarted {restarted}");
        assert!([W1, W2].into_iter().all(|node| held(&world, node) == ["a"] && world.workers[&node].0.view() == ViewNumber(2)));
    }
}

#[test]
fn of_two_views_of_one_number_a_worker_belongs_to_the_first_and_says_so() {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    let copy = world.control.clone();
    // Both are the second run, and each reaches two of the three.
    world.restart_naming(&["w1", "w2", "w3"]);
    world.queue.retain(|(node, input)| *node != W3 && !matches!(input, Input::Connected(peer) if peer.node == W3));
    world.hold = |message| matches!(message, Message::Beating { .. });
    world.start_rival(2, copy);
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [W1, W2]);
    assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
    world.connect_rival(W2);
    world.connect_rival(W3);
    rival_waited(&mut world);
    assert_eq!(rival_halt(&world), Some(Halt::SharedRun { run: Incarnation(2) }), "the refusal says so");
    assert!(!rival_writes(&mut world, "c"));
    world.let_go();
    beat(&mut world);
    assert_eq!(world.halt, Some(Halt::SharedRun { run: Incarnation(2) }));
    assert_eq!((held(&world, W1), held(&world, W2)), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
}

#[test]
fn two_that_reach_nobody_in_common_are_found_by_the_first_worker_that_hears_both_and_nothing_is_wiped() {
    // The second one is of the same run, or a later one, as when only one of the two was started again.
    for run in [1, 2] {
        let mut world = World::new(3);
        world.commit(vec![put("a", "1")]);
        let copy = world.control.clone();
        cut_off(&mut world, W3);
        assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
        world.start_rival(run, copy);
        world.connect_rival(W3);
        rival_waited(&mut world);
        beat(&mut world);
        // A worker that follows the first does not take a second one of its run.
        assert_eq!(rival_writes(&mut world, "c"), run == 2);
        assert_eq!(world.halt, None);
        if run == 2 {
            world.connect_rival(W1);
        } else {
            world.connect(W3, Some(ClusterId(7)));
        }
        beat(&mut world);
        assert!(world.halt.is_some(), "the first one goes on in run {run}");
        assert!(rival_halt(&world).is_some(), "the second one goes on in run {run}");
        assert_eq!(held(&world, W1), ["a", "b"]);
        assert_eq!(held(&world, W3), if run == 2 { vec!["a", "c"] } else { vec!["a"] });
    }
}

#[test]
fn what_is_said_by_a_coordinator_that_is_not_followed_counts_for_nothing() {
    let mut world = World::new(1);
    world.commit(vec![put("a", "1")]);
    let (mut worker, _) = world.workers.remove(&W1).unwrap();
    let mut say = |message: Message| {
        let mut out = Vec::new();
        worker.handle(Input::Message { from: RIVAL, message }, &mut out);
        out
    };
    let writer = Writer { run: Incarnation(1), node: RIVAL };
    say(Message::Beat { beat: 1, cluster: Some(ClusterId(7)), writer, active: Some(view_id(1)) });
    let view = ViewNumber(1);
    let txn = TxnId { incarnation: Incarnation(1), sequence: 9 };
    let age = Age { stamp: 1 << 20, incarnation: Incarnation(1) };
    let prepare = Prepare { txn, age, view, operations: vec![put("b", "1")], trace: None };
    let out = say(Message::Prepare(prepare));
    assert!(matches!(out[..], [Output::Send { to: RIVAL, message: Message::Vote { vote: Vote::No(NoReason::Stale), .. } }]));
    let settled = vec![(txn, Outcome::Committed)];
    for message in [Message::Activate { view, outcomes: settled }, Message::ForgetViews { before: view }] {
        assert_eq!(say(message), []);
    }
    // A seal with a number that the worker has is answered, and the answer names the leader that it follows.
    let out = say(seal_by(7, ViewId { number: view, writer }, Standing::Member, None));
    let [Output::Send { to: RIVAL, message: Message::SealRefused { reason: SealReason::Led, follows, .. } }] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(follows.writer, Some(Writer { run: Incarnation(1), node: COORDINATOR }));
    assert_eq!(follows.rival, None, "the rival is the coordinator that asked");
}

#[test]
fn a_coordinator_of_another_cluster_is_no_rival() {
    let mut world = World::new(2);
    let writer = Writer { run: Incarnation(1), node: RIVAL };
    for cluster in [None, Some(ClusterId(99))] {
        world.input(W1, Input::Message { from: RIVAL, message: Message::Beat { beat: 1, cluster, writer, active: None } });
        world.run();
        world.timeout(Timer::Beat);
        assert_eq!(world.halt, None, "{cluster:?}");
    }
}
