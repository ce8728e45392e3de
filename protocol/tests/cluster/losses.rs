//! A worker is lost: it is left out, or it is back within the grace, and what was under way ends. A worker that is lost again and again
//! waits longer each time, and does not hold up the others.

use skein_protocol::step::Timer;

use super::world::*;

#[test]
fn a_lost_worker_is_left_out_and_what_was_under_way_ends() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.lose(prepares());
    let write = world.begin_write("a", "2");
    world.lose_nothing();
    world.stop(W3);
    assert!(!world.serves());
    let queued = world.begin_write("b", "1");
    world.view_change_times_out();
    assert!(world.serves());
    // Prepared nowhere: aborted, and as its own coordinator knows that, tried again.
    assert!(world.txn_of(write).sequence > 2, "{:?}", world.replies);
    assert!(world.is_committed(queued));
    assert_eq!(world.read_all(), pairs(&[("a", "2"), ("b", "1")]));
    assert!(world.replicas_agree());
    assert_eq!(world.said.outsiders, [(W3, "w3".to_owned())], "said once, when the view without it is active");
    assert_eq!(world.members(), [W1, W2]);
}

#[test]
fn a_worker_that_comes_back_within_the_grace_stays_a_member() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.lose(votes());
    let write = world.begin_write("a", "2");
    world.stop(W2);
    world.lose_nothing();
    world.restart(W2);
    assert_eq!(world.txn_of(write).sequence, 2);
    assert_eq!(world.members().len(), 3);
    assert_eq!(world.said.outsiders, []);
    assert!(world.replicas_agree());
}

#[test]
fn after_all_were_gone_the_first_to_come_back_waits_for_the_others() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.stop_past_grace([W1, W2, W3]);
    world.restart(W1);
    assert!(!world.serves(), "the others may come within the grace");
    world.restart([W2, W3]);
    assert_eq!((world.serves(), world.members()), (true, vec![W1, W2, W3]));
    assert_eq!(world.said.outsiders, []);
}

#[test]
fn a_member_that_dies_of_each_seal_does_not_hold_up_the_others_for_ever() {
    let mut world = World::new(3);
    world.write("a", "1");
    world.stop(W3);
    let write = world.begin_write("a", "2");
    for _ in 0..50 {
        // It is back within the grace, hears of the view that begins, and dies of it: its disk takes nothing. No timer of the
        // view change ever goes off, since each of these steps sets it anew.
        world.hang(W3);
        world.restart(W3);
        world.stop_hanging();
        world.beat(1);
    }
    assert!(world.is_committed(write), "{:?}", world.last_view());
}

#[test]
fn a_worker_that_is_lost_again_and_again_waits_longer_each_time() {
    let mut world = World::new(2);
    let mut waits = Vec::new();
    for _ in 0..5 {
        world.stop_past_grace(W2);
        world.restart(W2);
        let mut waited = 0;
        while world.members().len() < 2 {
            waited += world.timers.after_ms(Timer::Join);
            assert!(waited <= 16_000, "it waits for ever");
            world.admit();
        }
        waits.push(waited);
    }
    assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000]);
}

#[test]
fn a_worker_that_waits_is_not_kept_waiting_by_one_that_comes_and_goes() {
    let mut world = World::new(3);
    for _ in 0..6 {
        world.stop_past_grace(W2);
        world.restart(W2);
        while world.members().len() < 3 {
            world.admit();
        }
    }
    world.stop_past_grace(W2);
    world.restart(W2);
    // Worker 3 is lost before each step of the timer is over, and back at once. A timer that is set anew begins anew.
    for _ in 0..100 {
        let before = world.timers.times_set(Timer::Join);
        world.stop_past_grace(W3);
        world.restart(W3);
        if world.timers.times_set(Timer::Join) == before {
            world.admit();
        }
        if world.members().contains(&W2) {
            return;
        }
    }
    panic!("worker 2 still waits: {:?}", world.members());
}
