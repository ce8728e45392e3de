//! The window by itself: whom it admits, what it has workers forget, and what it hands on until that is recorded.

use alloc::vec;

use super::*;
use Outcome::{Aborted, Committed};

const RUN: Incarnation = Incarnation(3);

fn txn(sequence: u64) -> TxnId {
    TxnId { incarnation: RUN, sequence }
}

fn of_earlier_run(sequence: u64) -> TxnId {
    TxnId { incarnation: Incarnation(2), sequence }
}

fn window(size: usize) -> Window {
    Window::new(RUN, size, true, Rules::ALL)
}

/// A window in which so many have begun.
fn begun(size: usize, count: u64) -> Window {
    let mut window = window(size);
    (1..=count).for_each(|sequence| assert_eq!(window.begin(), txn(sequence)));
    window
}

fn settlement(outcomes: &[(TxnId, Outcome)], marks: &[(u64, u64)]) -> Settlement {
    let marks = marks.iter().map(|(run, below)| (Incarnation(*run), *below)).collect();
    Settlement { outcomes: outcomes.to_vec(), marks, ..Settlement::default() }
}

/// Of all that has begun and is not forgotten, how much is admitted: for clients and for the cluster's own rows.
fn admitted(size: usize) -> (u64, u64) {
    let most = |own| {
        let mut window = window(size);
        while window.admits(own) {
            assert!(window.is_kept());
            window.begin();
        }
        window.used()
    };
    (most(false), most(true))
}

#[test]
fn a_part_is_kept_for_the_clusters_own_rows() {
    assert_eq!(admitted(64), (60, 64));
    assert_eq!(admitted(16), (15, 16));
    assert_eq!(admitted(15), (14, 15));
    assert_eq!(admitted(2), (1, 2));
    assert_eq!(admitted(0), (1, 2), "one for each at the least");
}

#[test]
fn more_than_its_size_breaks_its_bound() {
    assert!(begun(4, 4).is_kept());
    assert!(!begun(4, 5).is_kept());
}

#[test]
fn what_workers_forget_makes_room() {
    let mut window = begun(4, 3);
    assert!(!window.admits(false) && window.admits(true));
    window.forgot(2);
    assert!(window.admits(false));
    window.begin();
    window.begin();
    assert!(!window.admits(true));
}

#[test]
fn clients_wait_while_twice_its_size_is_unrecorded_and_the_cluster_does_not() {
    let mut window = window(4);
    for sequence in 1..=8 {
        assert!(window.admits(false), "{sequence}");
        window.doubted(of_earlier_run(sequence), Committed);
    }
    assert!(!window.admits(false) && window.admits(true));
    window.recorded(&[of_earlier_run(1)], false);
    assert!(window.admits(false));
}

#[test]
fn workers_remember_what_runs_and_what_a_client_may_ask_for() {
    let mut window = begun(64, 9);
    assert_eq!(window.low_water(None), 10);
    assert_eq!(window.low_water(Some(5)), 5);
    window.doubted(txn(3), Committed);
    window.doubted(txn(4), Aborted);
    assert_eq!([None, Some(2), Some(5)].map(|running| window.low_water(running)), [3, 2, 3]);
    window.recorded(&[txn(3), of_earlier_run(4)], false);
    assert_eq!(window.low_water(Some(5)), 4);
    window.recorded(&[txn(4)], false);
    assert_eq!(window.low_water(Some(5)), 5);
}

#[test]
fn nothing_is_kept_for_clients_where_nobody_records() {
    let mut window = Window::new(RUN, 64, false, Rules::ALL);
    window.begin();
    window.doubted(txn(1), Committed);
    assert_eq!((window.low_water(None), window.outcome(&txn(1))), (2, None));
    window.settled(&settlement(&[(of_earlier_run(1), Committed)], &[(2, 7)]), false);
    assert_eq!(window.unrecorded(), Unrecorded { outcomes: vec![], runs: None });
    assert!(window.is_cleared());
    let mut next = settlement(&[(txn(1), Committed)], &[(2, 7)]);
    window.hand_over(&mut next, 2);
    assert_eq!(next, settlement(&[(txn(1), Committed)], &[]));
}

#[test]
fn workers_are_told_to_forget_an_eighth_of_the_window_at_once() {
    for (size, batch) in [(64, 8), (80, 10), (4, 1), (2, 1), (100 * FORGET_BATCH, FORGET_BATCH)] {
        let mut window = window(usize::try_from(size).unwrap());
        assert_eq!((window.should_forget(batch), window.should_forget(1 + batch)), (false, true), "{size}");
        window.forgot(100);
        assert_eq!((window.should_forget(99 + batch), window.should_forget(100 + batch)), (false, true), "{size}");
    }
    let mut window = window(64);
    window.forgot(5);
    assert_eq!([5, 6].map(|low_water| window.may_forget(low_water)), [false, true]);
}

#[test]
fn the_transactions_of_a_view_are_those_that_began_in_it() {
    let mut window = begun(64, 2);
    assert_eq!(window.of_view(), 1..3);
    window.settled(&settlement(&[], &[]), true);
    assert_eq!(window.of_view(), 3..3);
    window.begin();
    assert_eq!(window.of_view(), 3..4);
}

#[test]
fn the_first_view_says_what_is_known_of_earlier_runs() {
    let mut window = window(64);
    let learned = [(of_earlier_run(4), Committed), (of_earlier_run(5), Aborted), (txn(1), Committed)];
    window.settled(&settlement(&learned, &[(1, 9), (2, 7), (3, 1), (4, 1)]), false);
    let runs = EarlierRuns { incarnation: RUN, marks: vec![(Incarnation(1), 9), (Incarnation(2), 7)] };
    assert_eq!(window.runs(), Some(&runs));
    assert_eq!(window.unrecorded(), Unrecorded { outcomes: learned[..2].to_vec(), runs: Some(runs) });
    assert_eq!(window.outcome(&of_earlier_run(5)), Some(Aborted));
    assert!(!window.is_cleared());
    window.recorded(&[], true);
    assert_eq!(window.runs(), None);
    assert!(!window.is_cleared());
    window.recorded(&[of_earlier_run(4), of_earlier_run(5)], false);
    assert!(window.is_cleared());
    window.settled(&settlement(&[], &[(2, 7)]), false);
    assert_eq!(window.runs(), None, "a later view learns nothing more");
}

#[test]
fn earlier_runs_are_to_be_recorded_before_all_is_clear() {
    let mut window = window(64);
    window.settled(&settlement(&[], &[(2, 7)]), false);
    assert!(!window.is_cleared());
    window.recorded(&[], true);
    assert!(window.is_cleared());
}

#[test]
fn a_cluster_that_begins_has_no_earlier_runs() {
    let mut window = window(64);
    window.settled(&settlement(&[], &[]), true);
    assert_eq!(window.runs(), None);
}

#[test]
fn what_ended_in_the_active_view_need_not_be_recorded_for_it_to_be_clear() {
    let mut window = begun(64, 1);
    window.settled(&settlement(&[], &[]), true);
    let begun = window.begin();
    window.doubted(begun, Committed);
    assert!(window.is_cleared());
    window.settled(&settlement(&[], &[]), true);
    assert!(!window.is_cleared());
}

#[test]
fn what_stands_in_the_record_of_the_view_the_workers_may_forget() {
    let mut window = begun(64, 3);
    window.doubted(txn(1), Committed);
    window.doubted(txn(2), Aborted);
    window.settled(&settlement(&[(txn(1), Committed)], &[]), true);
    assert_eq!(window.low_water(None), 2, "the other one only they remember");
    assert_eq!(window.outcome(&txn(1)), Some(Committed), "it is to be recorded all the same");
}

#[test]
fn a_view_change_hands_on_what_clients_may_ask_for_and_nothing_else() {
    let mut window = begun(64, 5);
    window.doubted(txn(1), Aborted);
    window.doubted(of_earlier_run(9), Committed);
    let mut next = settlement(
        &[(of_earlier_run(3), Committed), (txn(1), Committed), (txn(2), Committed), (txn(4), Aborted), (txn(5), Committed)],
        &[(1, 5), (3, 1)],
    );
    window.hand_over(&mut next, 4);
    let expected = [
        (of_earlier_run(3), Committed),
        (of_earlier_run(9), Committed),
        (txn(1), Committed),
        (txn(4), Aborted),
        (txn(5), Committed),
    ];
    assert_eq!(next.outcomes, expected, "2 had ended, and nobody asks");
    let marks = |next: &Settlement| next.marks.iter().map(|(run, below)| (run.0, *below)).collect::<Vec<_>>();
    assert_eq!(marks(&next), [(1, 5), (3, 4)]);
    // Earlier runs are handed on until they are recorded.
    window.settled(&next, false);
    let mut next = settlement(&[], &[(1, 5)]);
    window.hand_over(&mut next, 6);
    assert_eq!(marks(&next), [(1, 5), (3, 6)]);
    window.recorded(&[], true);
    window.hand_over(&mut next, 6);
    assert_eq!(marks(&next), [(3, 6)]);
}

#[test]
fn no_more_is_recorded_at_once_than_a_transaction_holds() {
    let mut window = window(64);
    let most = limits::OPERATIONS_MAX as u64 - 1;
    (0..2 * most).for_each(|sequence| window.doubted(txn(sequence), Committed));
    let expected: Vec<(TxnId, Outcome)> = (0..most).map(|sequence| (txn(sequence), Committed)).collect();
    assert_eq!(window.unrecorded().outcomes, expected);
}

#[test]
fn a_window_that_stays_full_ends_its_view() {
    let mut window = begun(4, 3);
    assert_eq!(
        [(); 4].map(|()| (window.sweep(3), window.is_stalled())),
        [(false, false), (false, true), (true, true), (true, true)]
    );
    window.settled(&settlement(&[], &[]), true);
    assert!(!window.is_stalled());
    assert_eq!([(); 3].map(|()| window.sweep(3)), [false, false, true]);
}

#[test]
fn a_window_that_moves_is_not_stalled() {
    let mut window = begun(4, 3);
    for moved in 2..9 {
        assert_eq!((window.sweep(2), window.is_stalled()), (false, false));
        window.forgot(moved);
        window.begin();
        assert!(!window.admits(false), "it is as full as before");
    }
    window.forgot(9);
    assert!(window.admits(false));
    assert_eq!([(); 4].map(|()| (window.sweep(2), window.is_stalled())), [(false, false); 4], "it has room");
}

#[test]
fn what_is_unrecorded_beyond_its_bound_stalls_clients_and_ends_no_view() {
    let mut window = window(2);
    (1..=4).for_each(|sequence| window.doubted(of_earlier_run(sequence), Committed));
    assert_eq!([(); 4].map(|()| window.sweep(2)), [false; 4]);
    assert!(window.is_stalled());
}
