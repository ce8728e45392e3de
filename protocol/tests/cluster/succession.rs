//! One run of the coordinator follows the other. What the last one left is settled, and a clock that was set back changes no order. A
//! coordinator whose control store was lost or put back takes nothing from any worker, and ends.

use skein_protocol::id::ClusterId;

use super::world::*;

#[test]
fn a_new_coordinator_settles_what_the_old_one_left_and_all_may_restart_at_once() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.lose(votes());
    world.begin_write("a", "2");
    world.lose(prepares());
    world.begin_write("b", "never sent");
    world.lose_nothing();
    world.stop_coordinator();
    world.stop([W1, W2, W3]);
    world.start_coordinator();
    world.restart([W1, W2, W3]);
    assert_eq!(world.read_all(), pairs(&[("a", "2")]));
    let left = TxnId { incarnation: Incarnation(1), sequence: 2 };
    assert_eq!(world.outcome_of(left), KnownOutcome::Known(Outcome::Committed));
    assert_eq!(world.outcome_of(TxnId { incarnation: Incarnation(9), sequence: 2 }), KnownOutcome::NotKnown);
    world.write("a", "3");
    assert!(world.replicas_agree());
}

#[test]
fn a_record_that_is_made_again_after_a_restart_with_a_clock_set_back_has_a_greater_version() {
    let mut world = World::new(2);
    for _ in 0..20 {
        world.write("a", "x");
    }
    let (_, last) = world.committed_all(vec![operation("a", Expect::Present, Action::Delete)]);
    world.stop_coordinator();
    world.stop([W1, W2]);
    world.clock = 0;
    world.start_coordinator();
    // It is asked before it can know how far the clock had come.
    let again = world.begin_transaction(vec![put_expecting("a", Expect::Absent, "new")]);
    world.restart([W1, W2]);
    assert!(version(&world.replies[&again]) > last);
}

#[test]
fn an_empty_control_store_does_not_take_workers_that_hold_a_view() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_coordinator();
    world.put_back_control_store(None);
    world.start_coordinator();
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w1".into(), cluster: ClusterId(7) }));
}

#[test]
fn a_coordinator_whose_control_store_is_out_of_date_ends_instead_of_seeming_to_serve() {
    let mut world = World::new(2);
    let old = world.control.clone();
    world.stop_past_grace(W2);
    world.restart(W2);
    world.admit();
    assert!(world.halt.is_none() && world.members().len() == 2);
    world.stop_coordinator();
    world.put_back_control_store(old);
    world.start_coordinator();
    for _ in 0..4 {
        world.view_change_times_out();
        world.beat(1);
    }
    assert_eq!(world.halt, Some(Halt::Superseded));
}

#[test]
fn a_coordinator_ends_when_a_view_of_its_own_is_another_ones_too() {
    let mut world = World::new(3);
    let old = world.control.clone();
    world.stop_past_grace(W3);
    world.write("a", "1");
    world.stop([W1, W2]);
    // The directory was put back to what it had been before, and worker 3 is the first to be there.
    world.stop_coordinator();
    world.put_back_control_store(old);
    world.restart(W3);
    world.start_coordinator();
    world.view_change_times_out();
    assert_eq!(world.members(), [W3]);
    world.beat(1);
    assert_eq!(world.halt, None);
    world.restart(W1);
    assert_eq!(world.halt, Some(Halt::Superseded));
    assert_eq!(world.records_at(W1), 1, "nothing was taken from it");
}
