//! Writes never stop for good while all members are healthy: however small the window is, however many clients wait and hear
//! *unknown*, and whether or not the outcomes of their transactions can be recorded. And a client that asks later is told the truth.

use super::outcomes::three_unknown;
use super::world::*;

/// Workers, and a coordinator with so small a window, which keep these rules.
fn with_window(workers: usize, window: usize, rules: Rules) -> World {
    World::set_up(Setup { workers, window, rules, ..Setup::default() })
}

/// Asks for so many writes at once, each of a record of its own, and gives the numbers of the requests.
fn write(world: &mut World, count: usize, name: &str) -> Vec<u64> {
    let asked: Vec<u64> = (0..count).map(|place| world.begin_at_once(vec![put(&format!("{name}{place}"), "1")])).collect();
    world.settle();
    asked
}

/// So many clients hear *unknown* of what commits right after that.
fn doubt(world: &mut World, count: usize) -> Vec<TxnId> {
    world.hold(votes());
    let asked = write(world, count, "doubt");
    world.patience_ends();
    let unknown = asked.into_iter().map(|id| world.take_unknown(id)).collect();
    world.let_go();
    unknown
}

/// Whether all of many writers are served while what was in doubt is recorded behind them.
fn records_behind_writers(rules: Rules) -> bool {
    let mut world = with_window(2, 32, rules);
    let mut rows = Rows::default();
    let unknown = doubt(&mut world, 20);
    let writers = write(&mut world, 100, "a");
    while rows.record(&mut world) {}
    world.keep_house(1);
    let served = world.committed(&writers) == writers.len();
    assert!(!served || unknown.iter().all(|txn| rows.outcome(*txn) == Some(Outcome::Committed)));
    served
}

#[test]
fn what_is_to_be_recorded_goes_before_all_that_clients_ask() {
    assert!(records_behind_writers(Rules::ALL));
    assert!(!records_behind_writers(Rules::without(Omission::WindowBlocks)));
}

#[test]
fn many_writers_and_a_coordinator_that_dies_under_them_again_and_again_fill_no_window_for_good() {
    let mut world = with_window(3, 64, Rules::ALL);
    let mut rows = Rows::default();
    let mut acknowledged = Vec::new();
    for life in 0..6 {
        // It dies with all that was sent: a part is prepared everywhere, a part nowhere.
        world.hold(votes());
        write(&mut world, 300, &format!("lost{life}-"));
        world.lose_held();
        world.restart_coordinator();
        let writers = write(&mut world, 300, &format!("life{life}-"));
        // Not all is recorded before the next death.
        for _ in 0..life {
            rows.record(&mut world);
        }
        world.keep_house(4);
        assert_eq!(world.committed(&writers), writers.len(), "in life {life}: {:?}", world.coordinator.status());
        acknowledged.extend(writers.iter().map(|id| world.txn_of(*id)));
        for txn in &acknowledged {
            assert_ne!(rows.outcome(*txn), Some(Outcome::Aborted), "{txn} was acknowledged");
        }
    }
    while rows.record(&mut world) {}
    world.keep_house(3);
    assert!(world.nothing_is_remembered(), "nothing is kept for ever");
}

/// The worker takes no rows any more; gives whether writes that need no room go on.
fn goes_on_without_recording(rules: Rules) -> bool {
    let mut world = with_window(2, 32, rules);
    let mut rows = Rows::default();
    world.write("a", "1");
    let unknown = doubt(&mut world, 20);
    // From here on the recorder is told each time that there is no memory for its rows.
    let full = |world: &mut World| {
        let writers = write(world, 40, "b");
        world.keep_house(16);
        assert!(world.coordinator.leader().is_steady());
        world.committed(&writers)
    };
    full(&mut world);
    let stalled = world.coordinator.status().stalled;
    let served = full(&mut world) == 40;
    assert_ne!(stalled, served, "it says so as long as nothing is served");
    if served {
        assert_eq!(world.last_view(), ViewNumber(2), "one view change is enough");
        // A client that asks is told the outcome: by this coordinator, by the next, and by the rows that it writes.
        for _ in 0..2 {
            for txn in &unknown {
                assert_eq!(world.outcome_of(*txn), KnownOutcome::Known(Outcome::Committed));
            }
            world.restart_coordinator();
        }
        while rows.record(&mut world) {}
        assert!(unknown.iter().all(|txn| rows.outcome(*txn) == Some(Outcome::Committed)));
    }
    served
}

#[test]
fn a_view_change_takes_over_what_can_not_be_recorded() {
    assert!(goes_on_without_recording(Rules::ALL));
    assert!(!goes_on_without_recording(Rules::without(Omission::StuckForever)));
}

#[test]
fn all_workers_out_of_reach_for_longer_than_clients_wait() {
    let mut world = with_window(3, 2_048, Rules::ALL);
    world.checked_every = 97;
    let mut rows = Rows::default();
    let unknown = doubt(&mut world, 1_600);
    let writers = write(&mut world, 1_600, "a");
    while rows.record(&mut world) {}
    world.keep_house(1);
    assert_eq!(world.committed(&writers), writers.len(), "{:?}", world.coordinator.status());
    assert!(unknown.iter().all(|txn| rows.outcome(*txn) == Some(Outcome::Committed)));
}

/// Whether no client is told that what was acknowledged was aborted, when the first of a run's transactions is in doubt, and nothing has
/// been recorded when the coordinator dies after so many view changes, with or without some time for housekeeping.
fn marks_are_true(view_changes: usize, sweeps: usize, rules: Rules) -> bool {
    let mut world = with_window(2, 64, rules);
    let mut rows = Rows::default();
    world.write("z", "1");
    let unknown = three_unknown(&mut world);
    let acknowledged = write(&mut world, 20, "a");
    for _ in 0..view_changes {
        world.report_doubt(W1);
        world.keep_house(sweeps);
    }
    world.restart_coordinator();
    rows.record_all(&mut world);
    let ends = unknown.map(|txn| rows.outcome(txn));
    let aborted = acknowledged.iter().any(|id| rows.outcome(world.txn_of(*id)) == Some(Outcome::Aborted));
    !aborted && ends == [Some(Outcome::Committed), Some(Outcome::Aborted), Some(Outcome::Aborted)]
}

#[test]
fn what_was_acknowledged_is_never_read_as_aborted_for_a_mark_that_stayed_behind() {
    for (view_changes, sweeps) in [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0), (2, 2), (3, 0), (3, 2)] {
        assert!(marks_are_true(view_changes, sweeps, Rules::ALL), "{view_changes} {sweeps}");
    }
    assert!(!marks_are_true(2, 0, Rules::without(Omission::ForgetUnrecorded)));
}

#[test]
fn what_clients_may_ask_for_is_not_forgotten_before_it_is_recorded() {
    let lost = |rules| {
        let mut world = with_window(2, 64, rules);
        let mut rows = Rows::default();
        let unknown = doubt(&mut world, 1)[0];
        write(&mut world, 30, "a");
        world.keep_house(2);
        world.restart_coordinator();
        rows.record_all(&mut world);
        rows.outcome(unknown) != Some(Outcome::Committed)
    };
    assert!(!lost(Rules::ALL));
    assert!(lost(Rules::without(Omission::ForgetDoubted)));
}

#[test]
fn what_queues_until_its_deadline_is_refused_and_not_sent_at_the_last_moment() {
    let mut world = World::new(2);
    // All want one record; the first has it until its client gives up, and no view is open after that.
    world.lose(votes());
    let asked: Vec<u64> = (0..4).map(|_| world.begin_at_once(vec![put("a", "1")])).collect();
    world.settle();
    world.patience_ends();
    assert!(matches!(world.replies[&asked[0]], Reply::Unknown { .. }));
    for id in &asked[1..] {
        assert_eq!(world.replies[id], Reply::Refused(Refusal::Unavailable));
    }
}

#[test]
fn what_queues_in_its_last_round_is_refused_and_not_sent_though_its_key_is_free() {
    let mut world = World::new(2);
    world.hold(votes());
    let first = world.begin_at_once(vec![put("a", "1")]);
    let second = world.begin_at_once(vec![put("a", "2")]);
    world.settle();
    world.keep_house(PATIENCE - 1);
    // The first ends at the last moment. Sent now, the second would end as *unknown* in the next round.
    world.let_go();
    assert!(world.is_committed(first), "{:?}", world.replies);
    world.keep_house(1);
    assert_eq!(world.replies[&second], Reply::Refused(Refusal::Unavailable));
}
