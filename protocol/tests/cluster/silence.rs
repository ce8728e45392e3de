//! Workers that say nothing though their connections stand are found by beats. A silent worker is left out without a grace, no worker is
//! blamed for what holds up all, and a worker that does not answer is not taken in.

use super::world::*;

#[test]
fn who_leaves_beats_unanswered_is_left_out_without_a_grace_and_comes_back_as_a_learner() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.beat(20);
    assert_eq!(world.members().len(), 3);
    world.hang(W3);
    world.beat(4);
    let write = world.begin_write("a", "2");
    assert!(!world.is_answered(write), "its vote is missing");
    world.beat(1);
    assert!(world.is_committed(write), "no timer but the beat was needed");
    assert_eq!(world.members(), [W1, W2]);
    world.resume();
    assert_eq!(world.members(), [W1, W2], "what it says over its old connection counts no more");
    world.connect(W3, COORDINATOR);
    world.admit();
    assert_eq!(world.members().len(), 3);
    assert!(world.replicas_agree());
}

#[test]
fn nobody_is_blamed_for_what_holds_up_all_members() {
    let mut world = World::new(3);
    world.lose(answers_to_beats());
    world.beat(20);
    assert_eq!((world.members().len(), world.last_view()), (3, ViewNumber(1)));
    world.lose_nothing();
    world.beat(2);
    world.write("a", "1");
}

#[test]
fn an_answer_from_a_view_before_the_active_one_is_no_sign_of_life() {
    let mut world = World::new(3);
    let before = world.workers[&W3].clone();
    world.stop_past_grace(W2);
    assert_eq!(world.members(), [W1, W3]);
    world.put_back_machine(W3, before);
    let write = world.begin_write("a", "1");
    world.beat(5);
    assert_eq!(world.members(), [W1]);
    assert!(world.is_committed(write));
}

#[test]
fn a_member_that_connects_and_never_answers_is_left_out_though_another_one_is_gone() {
    let mut world = World::new(3);
    world.lose(answers_to_beats().of(W2));
    world.lose(reports().of(W2));
    world.stop(W3);
    for _ in 0..5 {
        world.view_change_times_out();
        world.beat(5);
        // Its connection has been closed; it connects again at once.
        world.connect(W2, COORDINATOR);
    }
    assert!(world.serves(), "{:?}", world.control);
}

#[test]
fn a_worker_that_hangs_is_not_taken_in_before_it_answers() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace(W2);
    world.hang(W2);
    world.restart(W2);
    world.admit();
    assert_eq!((world.learners(), world.last_view()), (vec![], ViewNumber(2)), "no write waits for it");
    world.resume();
    world.admit();
    assert_eq!(world.members().len(), 2);
}
