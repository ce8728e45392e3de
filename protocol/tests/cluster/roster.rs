//! An operator adds and removes workers: for good, but never so that the last copy goes, and never before the view that brings the
//! change is active.

use skein_protocol::step::RosterRefusal;

use super::world::*;

/// Two members hold a record. Worker 1 is to be removed, but the view without it does not become active: worker 2, which would be its
/// only member, does not get to report. Gives the number of the request as well.
fn with_removal_under_way(mut world: World) -> (World, u64) {
    world.write("a", "1");
    world.hold(reports());
    let removal = world.remove_worker("w1");
    assert!(!world.is_answered(removal));
    world.lose_held();
    (world, removal)
}

#[test]
fn workers_are_added_and_removed_for_good() {
    let mut world = World::new(2);
    world.write("a", "1");
    let three = ["w1", "w2", "w3"].map(str::to_owned).to_vec();
    let added = world.add_worker("w3");
    assert_eq!(world.take_reply(added), Reply::Roster(three.clone()));
    assert_eq!(world.roster, three);
    world.start(W3);
    world.admit();
    assert_eq!(world.members().len(), 3);
    let removed = world.remove_worker("w1");
    assert_eq!(world.take_reply(removed), Reply::Roster(three[1..].to_vec()));
    assert_eq!(world.members(), [W2, W3]);
    assert_eq!(world.said.outsiders, [], "it is no surprise that a removed worker is left out");
    world.write("a", "2");
    let again = world.remove_worker("w1");
    assert_eq!(world.take_reply(again), Reply::RosterRefused(RosterRefusal::NotThere));
    world.stop_past_grace([W1, W3]);
    let last = world.remove_worker("w2");
    assert_eq!(world.take_reply(last), Reply::RosterRefused(RosterRefusal::LastCopy));
    // Another run of the coordinator is told of the old workers, and knows better.
    world.restart_coordinator();
    assert_eq!(world.roster, three[1..]);
    assert_eq!(world.read_all(), pairs(&[("a", "2")]));
    // What was removed is not taken back when it comes, unless it is added again.
    world.restart(W1);
    world.admit();
    assert_eq!(world.members(), [W2]);
}

#[test]
fn a_removal_does_not_empty_a_cluster_whose_records_are_there() {
    let (mut world, _) = with_removal_under_way(World::in_memory(2));
    world.stop(W2);
    world.lose_log_of(W2);
    // Worker 1 is cut off for a moment as well.
    world.cut(W1, COORDINATOR);
    world.view_change_times_out();
    world.replace(W2, W12);
    world.view_change_times_out();
    world.connect(W1, COORDINATOR);
    (0..4).for_each(|_| world.view_change_times_out());
    assert_eq!(world.said.emptied, None, "worker 1 held all that was acknowledged, and is there");
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
}

#[test]
fn a_removal_does_not_take_away_the_last_copy() {
    let (mut world, removal) = with_removal_under_way(World::new(2));
    world.stop_past_grace(W2);
    // Worker 1 alone is left, and stays.
    assert_eq!(world.members(), [W1]);
    assert_eq!(world.take_reply(removal), Reply::RosterRefused(RosterRefusal::LastCopy));
    world.follow_roster();
    assert!(world.serves(), "the last copy is connected to no more: {:?}", world.roster);
    world.restart(W2);
    world.admit();
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
}

#[test]
fn a_removal_that_did_not_happen_is_not_remembered_by_the_next_run() {
    let (mut world, _) = with_removal_under_way(World::new(2));
    world.stop_coordinator();
    world.stop(W2);
    world.start_coordinator();
    assert!(world.roster.contains(&"w1".to_owned()), "a member of the last active view is not connected to: {:?}", world.roster);
}

#[test]
fn workers_that_are_added_before_a_view_is_there_are_connected_to() {
    let mut world = World::founding(Setup::default());
    world.start(W1);
    // Worker 2 never comes; another machine is to take its place.
    let added = world.add_worker("w3");
    assert!(
        world.roster.contains(&"w3".to_owned()),
        "nobody connects to it, so the view that needs it never forms: {:?} {:?}",
        world.replies.get(&added),
        world.roster
    );
}
