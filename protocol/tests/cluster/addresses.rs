//! A worker is reached at an address and known by its identity. A coordinator that names its workers differently from the last one
//! waits for the same members and recognises each of them; one that names fewer goes on without the rest.

use super::world::*;

/// A cluster of three members that holds a record, and a new run of its coordinator that names these workers.
fn renamed(workers: &[&str]) -> World {
    let mut world = World::new(3);
    world.write("a", "1");
    world.stop_coordinator();
    world.name_workers(workers);
    world.start_coordinator_reaching(&[]);
    world
}

#[test]
fn workers_that_are_named_otherwise_are_members_at_once() {
    let mut world = renamed(&["a", "b", "c"]);
    assert_eq!(world.roster, ["a", "b", "c"], "where they were last may be somebody else by now");
    // The names do not tell the identities either.
    for (node, address) in [(W3, "a"), (W1, "b")] {
        world.reach(node, address);
        assert!(!world.serves(), "the others may come within the grace");
    }
    world.reach(W2, "c");
    assert!(world.serves());
    assert_eq!((world.members(), world.learners()), (vec![W1, W2, W3], vec![]));
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
    assert_eq!(world.roster, ["a", "b", "c"], "the old addresses are forgotten");
}

#[test]
fn a_member_that_is_named_otherwise_and_never_comes_is_waited_for_no_longer_than_others() {
    let mut world = renamed(&["a", "b", "c"]);
    world.reach(W1, "a");
    world.reach(W2, "b");
    world.view_change_times_out();
    assert_eq!(world.roster, ["a", "b", "c", "w1", "w2", "w3"], "it is looked for where it was last");
    assert!(!world.serves());
    world.view_change_times_out();
    assert_eq!((world.serves(), world.members()), (true, vec![W1, W2]));
}

#[test]
fn a_member_that_answers_only_where_it_was_last_stays_until_each_name_is_answered_by_another() {
    let mut world = renamed(&["a", "b", "c"]);
    world.reach(W1, "a");
    world.reach(W2, "b");
    world.view_change_times_out();
    world.reach(W3, "w3");
    assert_eq!((world.serves(), world.members()), (true, vec![W1, W2, W3]));
    world.start_at(W4, "c");
    world.admit();
    assert_eq!(world.members(), vec![W1, W2, W4], "somebody else is meant");
    assert_eq!(world.roster, ["a", "b", "c"]);
}

#[test]
fn a_coordinator_that_names_fewer_waits_for_those_alone() {
    let mut world = renamed(&["w1", "b"]);
    world.reach(W1, "w1");
    assert!(!world.serves(), "the second may be any of the others");
    world.reach(W3, "b");
    assert_eq!((world.serves(), world.members()), (true, vec![W1, W3]));
    assert_eq!(world.said.outsiders, [(W2, "w2".to_owned())]);
}

/// The operator has heard that the change of the workers is done.
fn assert_done(world: &mut World, change: u64) {
    let reply = world.take_reply(change);
    assert!(matches!(reply, Reply::Roster(_)), "{reply:?}");
}

#[test]
fn one_that_people_have_removed_is_not_waited_for() {
    let mut world = World::new(3);
    world.stop(W3);
    assert!(!world.serves(), "it may come back");
    let removed = world.remove_worker("w3");
    assert_done(&mut world, removed);
    assert_eq!((world.serves(), world.members()), (true, vec![W1, W2]), "no timer was needed");
    let added = world.add_worker("w4");
    assert_done(&mut world, added);
    world.start(W4);
    world.admit();
    assert_eq!(world.members(), vec![W1, W2, W4]);
    // One that people had added is removed as well as one that the settings name.
    world.stop(W4);
    let removed = world.remove_worker("w4");
    assert_done(&mut world, removed);
    assert_eq!((world.serves(), world.members()), (true, vec![W1, W2]));
}

#[test]
fn a_last_member_that_the_settings_no_longer_name_is_connected_to_until_another_has_copied() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace(W2);
    assert_eq!(world.members(), [W1]);
    world.name_workers(&["w2"]);
    world.restart_coordinator();
    assert_eq!(world.roster, ["w2", "w1"], "it alone holds what was written");
    world.view_change_times_out();
    world.restart(W2);
    world.admit();
    assert_eq!(world.members(), [W2]);
    assert_eq!(world.roster, ["w2"]);
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
}
