//! Who may wait for whom (R10): with the rule every transaction ends, without either half of it some wait for each other.

use skein_protocol::rules::{Omission, Rules};
use skein_sim::waiting::{ALL_END, WaitingModel, crossing, crowd};
use stateright::{Checker, HasDiscoveries, Model};

fn explore(model: WaitingModel) -> usize {
    let checker = model.checker().spawn_dfs().join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// Searches for two that wait for each other; after how many states one is found.
fn cycle_without(omission: Omission, model: WaitingModel) -> usize {
    let model = WaitingModel { rules: Rules::without(omission), ..model };
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("R10 without {omission:?}: found after {} states", checker.unique_state_count());
    checker.assert_any_discovery(ALL_END);
    checker.unique_state_count()
}

#[test]
fn two_transactions_in_opposite_orders_both_end() {
    assert_eq!(explore(crossing()), 2_364);
}

#[test]
fn three_transactions_on_one_key_all_end() {
    assert_eq!(explore(crowd()), 240_012);
}

#[test]
fn waiting_for_older_ones_too_is_seen_to_end_in_a_cycle() {
    assert!(cycle_without(Omission::WaitForOlder, crossing()) > 0);
}

#[test]
fn judging_by_holders_alone_is_seen_to_end_in_a_cycle() {
    assert!(cycle_without(Omission::IgnoreWaiting, crowd()) > 0);
}
