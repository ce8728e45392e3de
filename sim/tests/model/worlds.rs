//! Every promise holds at every moment of these worlds, and each shows what it was made to show. The counts of the small
//! ones are pinned: a change of the machines that lets more or less happen is seen here, and to be understood before the
//! number is changed. `skein-model` prints them all, and visits the largest, which take too long for every day.

use skein_sim::model::scenario::Scenario;
use skein_sim::model::search::{Findings, explore};
use skein_sim::model::worlds;

/// Visits all of a world; how many moments it has.
fn hold(scenario: Scenario) -> usize {
    let findings: Findings = explore(&scenario, 1);
    if let Some(broken) = findings.broken() {
        panic!("{}: {:?} is broken by\n{}", scenario.name, broken.name, broken.trace);
    }
    assert!(findings.complete, "{} was not visited to its end", scenario.name);
    for sight in &scenario.sights {
        assert!(findings.has(sight.name()), "{} never shows: {}", scenario.name, sight.name());
    }
    println!("{}: {} states, {:.0} a second", scenario.name, findings.states, findings.states_per_second());
    findings.states
}

#[test]
fn one_transaction_without_faults() {
    assert_eq!(hold(worlds::calm()), 32);
}

#[test]
fn the_first_view_forms_while_its_leader_dies() {
    assert_eq!(hold(worlds::formation()), 156_456);
}

#[test]
fn leaders_that_die_within_a_view_change() {
    assert_eq!(hold(worlds::leaders()), 358_873);
}

#[test]
fn workers_that_restart_without_what_was_not_synced() {
    assert_eq!(hold(worlds::restarts()), 42_867);
}

#[test]
fn transactions_that_stay_in_doubt_for_too_long() {
    hold(worlds::doubt());
}

#[test]
fn three_workers_and_a_leader_that_dies() {
    assert_eq!(hold(worlds::three()), 13_123);
}

#[test]
fn two_transactions_in_conflict() {
    hold(worlds::conflict());
}

#[test]
fn readers_while_a_connection_is_lost() {
    hold(worlds::reads());
}

#[test]
fn readers_that_overtake_decisions() {
    assert_eq!(hold(worlds::overtaken()), 2_601);
}

#[test]
fn digests_while_transactions_run() {
    assert_eq!(hold(worlds::digests()), 4_538);
}

#[test]
fn an_empty_worker_in_the_place_of_one_that_died() {
    assert_eq!(hold(worlds::strangers()), 12_754);
}

#[test]
fn a_worker_that_comes_back_while_its_records_are_written_and_deleted() {
    assert_eq!(hold(worlds::rejoin()), 38_180);
}

#[test]
fn a_copy_in_the_middle_of_which_a_worker_restarts() {
    hold(worlds::relearn());
}

#[test]
fn readers_while_a_worker_comes_back() {
    hold(worlds::onlookers());
}
