//! Replicas hold different records though each checksum fits. The leader compares them, and what most of them hold wins. Where no
//! majority decides, a person does, and until then one replica answers all reads.

use std::collections::BTreeSet;

use skein_protocol::step::Timer;

use super::world::*;

#[test]
fn what_most_hold_wins_and_without_a_majority_a_person_decides() {
    let mut world = World::new(3);
    world.committed_all(vec![put("a", "1"), put("b", "2")]);
    world.compare();
    assert_eq!(world.differences(), (0, 0, false));
    world.forge(W3, "a");
    world.scrub();
    assert_eq!(world.differences(), (0, 0, false), "it looks like something that was written");
    world.compare();
    assert_eq!(world.differences(), (1, 1, false));
    assert!(world.replicas_agree());
    assert_eq!(world.value_at(W3, "a"), "1");

    let mut world = World::new(2);
    world.write("a", "1");
    world.forge(W2, "a");
    let before = world.control.clone();
    world.compare();
    assert_eq!((world.differences(), &world.control), ((1, 0, true), &before), "nothing is changed");
    // Somebody has looked, and has the wrong one made anew.
    world.remove_worker("w2");
    world.add_worker("w2");
    world.admit();
    world.compare();
    assert!(world.replicas_agree() && world.members().len() == 2 && !world.comparison().undecided);
}

#[test]
fn a_last_copy_that_was_outvoted_says_so_to_the_next_coordinator() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.forge(W3, "a");
    // The others die before the view is there that leaves it out.
    world.hold(seals());
    world.compare();
    assert_eq!(world.differences(), (1, 0, false));
    world.stop([W1, W2]);
    world.lose_held();
    (0..8).for_each(|_| world.view_change_times_out());
    assert_eq!((world.members(), world.serves()), (vec![W3], true));
    let nobody_learns = |world: &mut World| {
        world.let_time_pass(20);
        assert_eq!((world.members(), world.learners()), (vec![W3], vec![]));
        for node in [W1, W2] {
            assert_eq!(world.value_at(node, "a"), "1", "{node:?} keeps the intact record");
        }
    };
    // The next coordinator has not compared anything, nor has the one after it, and the worker was started again.
    world.restart_coordinator();
    world.view_change_times_out();
    world.restart([W1, W2]);
    nobody_learns(&mut world);
    world.stop_coordinator();
    world.stop(W3);
    world.restart(W3);
    world.start_coordinator();
    world.view_change_times_out();
    nobody_learns(&mut world);
    // A person has decided to go on with it.
    world.stop(W3);
    world.accept_incomplete_log_of(W3);
    world.restart(W3);
    world.admit_and_beat(6);
    assert_eq!(world.members(), [W1, W2, W3]);
    assert!(!world.log_of(W3).outvoted && world.replicas_agree());
}

#[test]
fn while_replicas_differ_and_nobody_knows_which_is_right_one_of_them_answers() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.forge(W2, "a");
    let several = |world: &mut World| {
        let one = |it: u32| if it.is_multiple_of(2) { Consistency::Strict } else { Consistency::Arrival };
        (0..8).map(|it| world.read(keys(&["a"]), one(it))).collect::<BTreeSet<_>>()
    };
    assert_eq!(several(&mut world).len(), 2, "nothing has been compared yet");
    world.compare();
    assert!(world.comparison().undecided);
    let said = several(&mut world);
    assert_eq!(said.len(), 1, "{said:?}");
    world.compare();
    assert_eq!(several(&mut world), said, "it stays the same one");
    // It may be back within the grace; until then no other member answers in its place.
    world.stop(W1);
    let waits = world.begin_read(keys(&["a"]), Consistency::Strict);
    assert!(!world.is_answered(waits));
    world.restart(W1);
    assert_eq!(BTreeSet::from([world.take_rows(waits)]), said);
    assert_eq!((world.members().len(), several(&mut world)), (2, said));
    // It is gone: then the other one is all that there is.
    world.stop_past_grace(W1);
    assert_eq!(several(&mut world).len(), 1);
}

/// One member's digest comes so late that the comparison is over, and the next one under way. Gives how many differences were found.
fn late_digest(rules: Rules) -> u64 {
    let mut world = World::keeping(rules, 3);
    world.write("a", "1");
    world.hold(answers().of(W1));
    world.compare();
    world.patience_ends();
    world.write("b", "1");
    world.compare();
    assert_eq!(world.held(), 2, "the late one, and its own after it");
    world.let_go();
    assert_eq!(world.comparison().compared, 1, "the second one has come to its end");
    world.differences().0
}

#[test]
fn a_digest_that_comes_late_does_not_count_in_the_next_comparison() {
    assert_eq!(late_digest(Rules::ALL), 0);
    assert_eq!(late_digest(Rules::without(Omission::LateDigest)), 1);
}

#[test]
fn a_copy_of_a_replica_that_somebody_has_to_look_at_has_no_vote() {
    let mut world = World::new(3);
    world.write("a", "right");
    world.stop_past_grace(W3);
    world.forge(W1, "a");
    world.compare();
    assert!(world.comparison().undecided, "a person has to decide");
    world.restart(W3);
    world.admit();
    assert_eq!(world.members().len(), 3);
    world.compare();
    assert_eq!(world.value_at(W2, "a"), "right", "the wrong copy has won by being copied");
}

#[test]
fn whoever_comes_back_with_less_is_found_at_once() {
    let mut world = World::new(3);
    world.fill();
    world.stop([W1, W2, W3]);
    // A directory was put back to what it had been a moment before.
    world.log_on_disk(W3).records.pop_last();
    world.restart([W1, W2, W3]);
    world.view_change_times_out();
    assert_eq!(world.members().len(), 3);
    let after_ms = world.timers.after_ms(Timer::Compare);
    assert!(after_ms <= 250, "not only after a minute: {after_ms}");
    world.compare();
    (0..4).for_each(|_| world.admit());
    assert_eq!(world.members().len(), 3);
    assert!(world.replicas_agree());
    assert_eq!(world.comparison().repaired, 1);
}
