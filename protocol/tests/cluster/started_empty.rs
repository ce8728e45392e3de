//! A cluster whose members have all lost their records starts again, empty, and says so. It does that only when the records are gone
//! for good, and it always comes to its end. Records in a log are waited for, and so is a member that may come back.

use super::world::*;

#[test]
fn with_all_memory_gone_the_cluster_begins_anew_and_says_so() {
    let mut world = World::in_memory(2);
    world.write("a", "1");
    world.write("b", "1");
    world.stop_past_grace([W1, W2]);
    world.replace(W1, W11);
    world.view_change_times_out();
    assert!(!world.serves(), "the other may still live");
    let waiting = world.begin_write("c", "1");
    world.replace(W2, W12);
    assert!(world.is_committed(waiting));
    assert_eq!(world.members(), [W11, W12]);
    assert_eq!(world.read_all(), pairs(&[("c", "1")]));
    assert_eq!(world.record().emptied, Some(world.last_view()));
    assert_eq!(world.said.emptied, world.record().emptied);
}

#[test]
fn records_in_a_log_are_waited_for_however_long() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace([W1, W2]);
    world.replace(W1, W11);
    world.replace(W2, W12);
    world.view_change_times_out();
    assert!(!world.serves());
    world.restart(W2);
    world.view_change_times_out();
    assert_eq!(world.read_all(), pairs(&[("a", "1")]));
}

#[test]
fn a_cluster_that_begins_anew_while_a_learner_is_there_does_not_seal_it_for_ever() {
    let mut world = World::in_memory(2);
    world.write("a", "1");
    world.stop_past_grace(W2);
    world.replace(W2, W12);
    world.hold(copy_orders());
    world.admit();
    assert_eq!(world.learners(), [W12]);
    world.stop_past_grace(W1);
    // A view change that never ends would seal more than a hundred times.
    world.inputs_max = 400;
    world.replace(W1, W11);
    assert!(world.serves());
}

#[test]
fn a_cluster_that_begins_anew_does_so_also_when_its_coordinator_restarts_in_between() {
    let mut world = World::in_memory(2);
    world.write("a", "1");
    world.stop([W1, W2]);
    world.lose_log_of([W1, W2]);
    world.view_change_times_out();
    world.hold(reports());
    world.replace(W1, W11);
    world.replace(W2, W12);
    // The coordinator dies before the swap that makes the view active.
    world.lose_held();
    world.restart_coordinator();
    (0..10).for_each(|_| world.view_change_times_out());
    assert!(world.serves(), "{:?}", world.control);
}

#[test]
fn a_cluster_that_begins_anew_takes_nobody_with_old_records() {
    let mut world = World::in_memory(2);
    world.write("a", "1");
    // Worker 1 does not hear of the next view in time and is left out; its connection stands.
    world.lose(everything().to(W1));
    world.report_doubt(W2);
    world.view_change_times_out();
    assert_eq!(world.members(), [W2]);
    world.lose_nothing();
    world.write("a", "2");
    world.stop_past_grace(W2);
    world.lose_log_of(W2);
    world.replace(W2, W12);
    for _ in 0..4 {
        world.view_change_times_out();
        world.admit();
    }
    assert!(world.serves());
    assert!(world.replicas_agree(), "{:?}", world.control);
    assert!(world.read(all(10, false), Consistency::Arrival).is_empty());
}
