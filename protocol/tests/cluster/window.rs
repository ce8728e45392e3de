//! Writes never stop for good while all members are healthy: however small the window is, however many clients wait and hear
//! *unknown*, and whether or not the outcomes of their transactions can be recorded. And a client that asks later is told the truth.

use skein_protocol::limits;

use super::outcomes::{Rows, three_unknown};
use super::world::*;

/// Asks for so many writes at once, each of a record of its own, and gives the numbers of the requests.
fn write(world: &mut World, count: usize, name: &str) -> Vec<u64> {
    let asked: Vec<u64> = (0..count).map(|place| later(world, vec![put(&format!("{name}{place}"), "1")])).collect();
    world.run();
    asked
}

fn later(world: &mut World, operations: Vec<Operation>) -> u64 {
    world.requests += 1;
    let request = Request::Commit { operations, clock: 10 * world.requests, trace: None };
    world.input(COORDINATOR, Input::Request { id: RequestId(world.requests), request });
    world.requests
}

/// What the recorder does with its turn: it writes what is to be recorded in a transaction of its own and then says so. Gives
/// whether anything was recorded.
fn record(world: &mut World, rows: &mut Rows) -> bool {
    let id = world.ask(Request::Unrecorded);
    let Some(Reply::Unrecorded(Unrecorded { outcomes, runs })) = world.replies.remove(&id) else { panic!("no answer") };
    if outcomes.is_empty() && runs.is_none() {
        return false;
    }
    let row = |place: usize| Operation {
        key: Key::new(TableId::HOUSEKEEPING, format!("{place}").as_str()),
        expect: Expect::Any,
        action: Action::Put("an outcome".into()),
    };
    let written = later(world, (0..=outcomes.len().min(limits::OPERATIONS_MAX - 1)).map(row).collect());
    world.run();
    if !matches!(world.replies.get(&written), Some(Reply::Committed { .. })) {
        return false;
    }
    let recorded = Request::Recorded { outcomes: outcomes.iter().map(|(txn, _)| *txn).collect(), runs: runs.is_some() };
    rows.outcomes.extend(outcomes);
    rows.runs.extend(runs.map(|runs| (runs.incarnation, runs)));
    world.ask(recorded);
    true
}

/// So many clients hear *unknown* of what commits right after that.
fn doubt(world: &mut World, count: usize) -> Vec<TxnId> {
    world.hold = |message| matches!(message, Message::Vote { .. });
    let asked = write(world, count, "doubt");
    (0..8).for_each(|_| world.timeout(Timer::Sweep));
    let txn = |id| match world.replies.get(id) {
        Some(Reply::Unknown { txn }) => *txn,
        other => panic!("{other:?}"),
    };
    let unknown = asked.iter().map(txn).collect();
    world.let_go();
    unknown
}

fn committed(world: &World, asked: &[u64]) -> usize {
    asked.iter().filter(|id| matches!(world.replies.get(id), Some(Reply::Committed { .. }))).count()
}

/// Whether all of many writers are served while what was in doubt is recorded behind them.
fn records_behind_writers(rules: Rules) -> bool {
    let mut world = World::with_window(2, 32, rules);
    let mut rows = Rows::default();
    let unknown = doubt(&mut world, 20);
    let writers = write(&mut world, 100, "a");
    while record(&mut world, &mut rows) {}
    world.timeout(Timer::Sweep);
    let served = committed(&world, &writers) == writers.len();
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
    let mut world = World::with_window(3, 64, Rules::ALL);
    let mut rows = Rows::default();
    let mut acknowledged = Vec::new();
    for life in 0..6 {
        // It dies with all that was sent: a part is prepared everywhere, a part nowhere.
        world.hold = |message| matches!(message, Message::Vote { .. });
        write(&mut world, 300, &format!("lost{life}-"));
        world.held.clear();
        world.hold = |_| false;
        world.restart_coordinator();
        world.run();
        let writers = write(&mut world, 300, &format!("life{life}-"));
        // Not all is recorded before the next death.
        for _ in 0..life {
            record(&mut world, &mut rows);
        }
        (0..4).for_each(|_| world.timeout(Timer::Sweep));
        assert_eq!(committed(&world, &writers), writers.len(), "in life {life}: {:?}", world.coordinator.status());
        acknowledged.extend(writers.iter().filter_map(|id| match &world.replies[id] {
            Reply::Committed { txn, .. } => Some(*txn),
            _ => None,
        }));
        for txn in &acknowledged {
            assert_ne!(rows.outcome(*txn), Some(Outcome::Aborted), "{txn} was acknowledged");
        }
    }
    while record(&mut world, &mut rows) {}
    (0..3).for_each(|_| world.timeout(Timer::Sweep));
    assert!(world.workers.values().all(|(worker, _)| worker.decided().is_empty()), "nothing is kept for ever");
}

/// The worker takes no rows any more; gives whether writes that need no room go on.
fn goes_on_without_recording(rules: Rules) -> bool {
    let mut world = World::with_window(2, 32, rules);
    let mut rows = Rows::default();
    assert!(matches!(world.commit(vec![put("a", "1")]), Reply::Committed { .. }));
    let unknown = doubt(&mut world, 20);
    // From here on the recorder is told each time that there is no memory for its rows.
    let full = |world: &mut World| {
        let writers = write(world, 40, "b");
        for _ in 0..16 {
            world.timeout(Timer::Sweep);
        }
        assert!(world.coordinator.leader().is_steady());
        committed(world, &writers)
    };
    full(&mut world);
    let stalled = world.coordinator.status().stalled;
    let served = full(&mut world) == 40;
    assert_ne!(stalled, served, "it says so as long as nothing is served");
    if served {
        assert_eq!(world.control.as_ref().unwrap().number(), ViewNumber(2), "one view change is enough");
        // A client that asks is told the outcome: by this coordinator, by the next, and by the rows that it writes.
        for _ in 0..2 {
            for txn in &unknown {
                let id = world.ask(Request::Outcome { txn: *txn });
                assert_eq!(world.replies[&id], Reply::Outcome(KnownOutcome::Known(Outcome::Committed)));
            }
            world.restart_coordinator();
            world.run();
        }
        while record(&mut world, &mut rows) {}
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
    let mut world = World::with_window(3, 2_048, Rules::ALL);
    world.checked_every = 97;
    let mut rows = Rows::default();
    let unknown = doubt(&mut world, 1_600);
    let writers = write(&mut world, 1_600, "a");
    while record(&mut world, &mut rows) {}
    world.timeout(Timer::Sweep);
    assert_eq!(committed(&world, &writers), writers.len(), "{:?}", world.coordinator.status());
    assert!(unknown.iter().all(|txn| rows.outcome(*txn) == Some(Outcome::Committed)));
}

/// Whether no client is told that what was acknowledged was aborted, when the first of a run's transactions is in doubt, and nothing has
/// been recorded when the coordinator dies after so many view changes, with or without some time for housekeeping.
fn marks_are_true(view_changes: usize, sweeps: usize, rules: Rules) -> bool {
    let mut world = World::with_window(2, 64, rules);
    let mut rows = Rows::default();
    world.commit(vec![put("z", "1")]);
    let unknown = three_unknown(&mut world);
    let acknowledged = write(&mut world, 20, "a");
    let view_change = |world: &mut World| {
        let view = world.control.as_ref().unwrap().number();
        world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::InDoubt { view } });
        world.run();
        (0..sweeps).for_each(|_| world.timeout(Timer::Sweep));
    };
    (0..view_changes).for_each(|_| view_change(&mut world));
    world.restart_coordinator();
    world.run();
    rows.record(&mut world);
    let ends = unknown.map(|txn| rows.outcome(txn));
    let aborted = acknowledged.iter().any(|id| match &world.replies[id] {
        Reply::Committed { txn, .. } => rows.outcome(*txn) == Some(Outcome::Aborted),
        other => panic!("{other:?}"),
    });
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
        let mut world = World::with_window(2, 64, rules);
        let mut rows = Rows::default();
        let unknown = doubt(&mut world, 1)[0];
        write(&mut world, 30, "a");
        (0..2).for_each(|_| world.timeout(Timer::Sweep));
        world.restart_coordinator();
        world.run();
        rows.record(&mut world);
        rows.outcome(unknown) != Some(Outcome::Committed)
    };
    assert!(!lost(Rules::ALL));
    assert!(lost(Rules::without(Omission::ForgetDoubted)));
}

#[test]
fn what_queues_until_its_deadline_is_refused_and_not_sent_at_the_last_moment() {
    let mut world = World::new(2);
    // All want one record; the first has it until its client gives up, and no view is open after that.
    world.lose = |message| matches!(message, Message::Vote { .. });
    let asked: Vec<u64> = (0..4).map(|_| later(&mut world, vec![put("a", "1")])).collect();
    world.run();
    (0..8).for_each(|_| world.timeout(Timer::Sweep));
    assert!(matches!(world.replies[&asked[0]], Reply::Unknown { .. }));
    for id in &asked[1..] {
        assert_eq!(world.replies[id], Reply::Refused(Refusal::Unavailable));
    }
}

#[test]
fn what_queues_in_its_last_round_is_refused_and_not_sent_though_its_key_is_free() {
    let mut world = World::new(2);
    world.hold = |message| matches!(message, Message::Vote { .. });
    let first = later(&mut world, vec![put("a", "1")]);
    let second = later(&mut world, vec![put("a", "2")]);
    world.run();
    (0..7).for_each(|_| world.timeout(Timer::Sweep));
    // The first ends at the last moment. Sent now, the second would end as *unknown* in the next round.
    world.let_go();
    world.run();
    assert!(matches!(world.replies[&first], Reply::Committed { .. }), "{:?}", world.replies);
    world.timeout(Timer::Sweep);
    assert_eq!(world.replies[&second], Reply::Refused(Refusal::Unavailable));
}
