//! A worker is reached at an address and known by its identity. A coordinator that names its workers differently from the last one
//! waits for the same members and recognises each of them; one that names fewer goes on without the rest.

use super::world::*;

/// A cluster of three members that holds a record, and a new run of its coordinator that names these workers.
fn renamed(workers: &[&str]) -> World {
    let mut world = World::new(3);
    world.commit(vec![put("a", "1")]);
    world.restart_unconnected(workers);
    world
}

fn serves(world: &World) -> bool {
    world.coordinator.status().serving
}

fn nodes(members: &[u128]) -> Vec<NodeId> {
    members.iter().copied().map(NodeId).collect()
}

#[test]
fn workers_that_are_named_otherwise_are_members_at_once() {
    let mut world = renamed(&["a", "b", "c"]);
    assert_eq!(world.roster, ["a", "b", "c"], "where they were last may be somebody else by now");
    // The names do not tell the identities either.
    for (node, address) in [(3, "a"), (1, "b")] {
        world.reach(node, address);
        assert!(!serves(&world), "the others may come within the grace");
    }
    world.reach(2, "c");
    assert!(serves(&world));
    assert_eq!((world.members(), world.learners()), (nodes(&[1, 2, 3]), vec![]));
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1")]));
    assert_eq!(world.roster, ["a", "b", "c"], "the old addresses are forgotten");
}

#[test]
fn a_member_that_is_named_otherwise_and_never_comes_is_waited_for_no_longer_than_others() {
    let mut world = renamed(&["a", "b", "c"]);
    world.reach(1, "a");
    world.reach(2, "b");
    world.timeout(Timer::ViewChange);
    assert_eq!(world.roster, ["a", "b", "c", "w1", "w2", "w3"], "it is looked for where it was last");
    assert!(!serves(&world));
    world.timeout(Timer::ViewChange);
    assert_eq!((serves(&world), world.members()), (true, nodes(&[1, 2])));
}

#[test]
fn a_member_that_answers_only_where_it_was_last_stays_until_each_name_is_answered_by_another() {
    let mut world = renamed(&["a", "b", "c"]);
    world.reach(1, "a");
    world.reach(2, "b");
    world.timeout(Timer::ViewChange);
    world.reach(3, "w3");
    assert_eq!((serves(&world), world.members()), (true, nodes(&[1, 2, 3])));
    world.start_at(NodeId(4), "c", Snapshot::new(NodeId(4)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members(), nodes(&[1, 2, 4]), "somebody else is meant");
    assert_eq!(world.roster, ["a", "b", "c"]);
}

#[test]
fn a_coordinator_that_names_fewer_waits_for_those_alone() {
    let mut world = renamed(&["w1", "b"]);
    world.reach(1, "w1");
    assert!(!serves(&world), "the second may be any of the others");
    world.reach(3, "b");
    assert_eq!((serves(&world), world.members()), (true, nodes(&[1, 3])));
    assert_eq!(world.outsiders, [(NodeId(2), "w2".to_owned())]);
}

#[test]
fn one_that_people_have_removed_is_not_waited_for() {
    let mut world = World::new(3);
    world.stop(NodeId(3));
    let id = world.ask(Request::Roster(RosterChange::Remove("w3".to_owned())));
    assert!(matches!(world.replies[&id], Reply::Roster(_)), "{:?}", world.replies[&id]);
    assert_eq!((serves(&world), world.members()), (true, nodes(&[1, 2])), "no timer was needed");
    let id = world.ask(Request::Roster(RosterChange::Add("w4".to_owned())));
    assert!(matches!(world.replies[&id], Reply::Roster(_)), "{:?}", world.replies[&id]);
    world.start(NodeId(4), Snapshot::new(NodeId(4)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members(), nodes(&[1, 2, 4]));
    // One that people had added is removed as well as one that the settings name.
    world.stop(NodeId(4));
    let id = world.ask(Request::Roster(RosterChange::Remove("w4".to_owned())));
    assert!(matches!(world.replies[&id], Reply::Roster(_)), "{:?}", world.replies[&id]);
    assert_eq!((serves(&world), world.members()), (true, nodes(&[1, 2])));
}
