//! The last copy that can be trusted: while only a bad one is there, a person hears of it whatever the other workers are doing, and
//! nothing that a person does by mistake leaves the cluster with the bad one alone.

use skein_protocol::step::RosterRefusal;

use super::world::*;

const REFUSED: Reply = Reply::RosterRefused(RosterRefusal::LastCopy);

fn removed() -> Reply {
    Reply::Roster(vec!["w2".to_owned()])
}

/// The only member rots while another worker copies from it.
fn rots_while_it_gives(rules: Rules) -> World {
    let mut world = World::keeping(rules, 2);
    world.fill();
    world.stop_past_grace(W2);
    world.hold(chunks());
    world.restart(W2);
    world.beat(1);
    world.admit();
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![W2]));
    world.rot(W1, "k2399");
    world.let_go();
    (0..8).for_each(|_| world.scrub());
    world
}

#[test]
fn a_person_hears_that_the_copy_from_which_others_copy_has_turned_bad() {
    let world = rots_while_it_gives(Rules::ALL);
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![W2]), "the copy can't be completed");
    assert_eq!(world.said.untrusted, 1, "and that is said once");
    assert_eq!(rots_while_it_gives(Rules::without(Omission::StuckCopyUnsaid)).said.untrusted, 0, "nobody would ever know");
}

/// Of two members one is away for a moment, and the other one has found damage. Then a person removes the one that is away. Gives the
/// answer as well.
fn removes_the_good_one(rules: Rules) -> (World, Reply) {
    let mut world = World::keeping(rules, 2);
    world.write("a", "1");
    world.stop(W1);
    world.rot(W2, "a");
    world.scrub();
    let removal = world.remove_worker("w1");
    let reply = world.take_reply(removal);
    (world, reply)
}

#[test]
fn a_worker_is_not_removed_while_the_copy_that_would_stay_is_known_to_be_bad() {
    let (mut world, reply) = removes_the_good_one(Rules::ALL);
    assert_eq!(reply, REFUSED);
    world.restart(W1);
    world.admit_and_beat(3);
    assert_eq!((world.members(), world.is_intact_at(W2, "a")), (vec![W1, W2], true), "the bad one was made anew");
    let (broken, reply) = removes_the_good_one(Rules::without(Omission::DistrustedStays));
    assert_eq!((reply, broken.members()), (removed(), vec![W2]), "the bad one is alone");
}

/// The same under a new coordinator, which has not heard yet what the bad one has found.
fn removes_it_at_a_new_coordinator(rules: Rules) -> Reply {
    let mut world = World::keeping(rules, 2);
    world.write("a", "1");
    world.stop(W1);
    world.rot(W2, "a");
    world.scrub();
    world.restart_coordinator();
    let removal = world.remove_worker("w1");
    world.take_reply(removal)
}

#[test]
fn a_worker_says_at_once_that_it_is_damaged_when_a_coordinator_connects() {
    assert_eq!(removes_it_at_a_new_coordinator(Rules::ALL), REFUSED);
    assert_eq!(removes_it_at_a_new_coordinator(Rules::without(Omission::DamageToldOnce)), removed());
}

/// One of two members is being removed, and the other one finds damage before the view without the first is active.
fn is_found_bad_meanwhile(rules: Rules) -> (World, Reply) {
    let mut world = World::keeping(rules, 2);
    world.write("a", "1");
    world.slow_down_swaps();
    let removal = world.remove_worker("w1");
    world.rot(W2, "a");
    world.scrub();
    world.speed_up_swaps();
    let reply = world.take_reply(removal);
    (world, reply)
}

#[test]
fn a_removal_is_given_up_when_the_copy_that_would_stay_turns_out_to_be_bad() {
    let (mut world, reply) = is_found_bad_meanwhile(Rules::ALL);
    assert_eq!(reply, REFUSED);
    (0..3).for_each(|_| world.admit());
    assert_eq!((world.members(), world.is_intact_at(W2, "a")), (vec![W1, W2], true), "the bad one was made anew");
    let (broken, reply) = is_found_bad_meanwhile(Rules::without(Omission::DistrustedStays));
    assert_eq!((reply, broken.members()), (removed(), vec![W2]), "the bad one is alone");
}

#[test]
fn a_worker_outside_that_may_hold_the_last_intact_copy_is_not_removed_while_it_is_there() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace(W1);
    world.rot(W2, "a");
    world.scrub();
    world.restart(W1);
    world.admit_and_beat(3);
    assert_eq!((world.members(), world.said.untrusted, world.is_intact_at(W1, "a")), (vec![W2], 1, true));
    let removal = world.remove_worker("w1");
    assert_eq!(world.take_reply(removal), REFUSED);
    // Whoever wants it all the same stops it first.
    world.stop(W1);
    let removal = world.remove_worker("w1");
    assert_eq!(world.take_reply(removal), removed());
}

/// A member of whose records a part was given up is removed, while the only one that holds all of them does not answer. Whether the
/// cluster serves once that one answers again.
fn serves_after_it_was_held_up(rules: Rules) -> bool {
    let mut world = World::keeping(rules, 2);
    world.write("a", "1");
    world.stop(W2);
    world.accept_incomplete_log_of(W2);
    world.hang(W1);
    world.restart(W2);
    world.view_change_times_out();
    let removal = world.remove_worker("w2");
    assert!(!world.is_answered(removal), "the other one is asked once more");
    world.view_change_times_out();
    world.resume();
    (0..8).for_each(|_| world.view_change_times_out());
    world.serves()
}

#[test]
fn the_last_that_can_be_a_member_is_asked_again_when_it_was_held_up() {
    assert!(serves_after_it_was_held_up(Rules::ALL));
    assert!(!serves_after_it_was_held_up(Rules::without(Omission::BadNotAsked)), "it is waited for though it is there");
}
