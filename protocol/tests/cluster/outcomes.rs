//! A client that heard *unknown* learns the outcome from this coordinator or a later one, and no client is told that what was
//! acknowledged was aborted.

use skein_protocol::record::Snapshot;

use super::world::*;

/// Writes whose clients hear *unknown*: the first reaches both workers, the second one of them, the third none.
pub fn three_unknown(world: &mut World) -> [TxnId; 3] {
    world.lose(votes());
    let both = world.begin_write("a", "1");
    world.lose(prepares());
    let none = world.begin_write("b", "1");
    world.lose_nothing();
    world.lose(votes());
    world.lose(everything().to(W2));
    let one = world.begin_write("c", "1");
    world.lose_nothing();
    world.patience_ends();
    [both, one, none].map(|id| world.take_unknown(id))
}

const ENDS: [Option<Outcome>; 3] = [Some(Outcome::Committed), Some(Outcome::Aborted), Some(Outcome::Aborted)];

#[test]
fn whoever_heard_unknown_learns_the_outcome_also_from_later_coordinators() {
    // The coordinator goes on; or dies before, or after, its own view has settled them; or two of its followers die as well.
    for (settled, recorded, restarts) in
        [(true, true, 0), (true, true, 1), (true, false, 1), (false, false, 1), (false, false, 3)]
    {
        let mut world = World::new(2);
        let mut rows = Rows::default();
        let (before, _) = world.write("z", "1");
        let unknown = three_unknown(&mut world);
        if settled {
            world.report_doubt(W1);
        }
        if recorded {
            rows.record_all(&mut world);
            world.keep_house(3);
        }
        for restart in 0..restarts {
            world.restart_coordinator();
            if restart + 1 == restarts {
                rows.record_all(&mut world);
            }
        }
        let found = unknown.map(|txn| rows.outcome(txn));
        assert_eq!(found, ENDS, "{settled} {recorded} {restarts}");
        assert_ne!(
            rows.outcome(before),
            Some(Outcome::Aborted),
            "{settled} {recorded} {restarts}: its client was told that it is committed"
        );
        // Nothing is kept for ever: with all recorded, the workers forget.
        world.keep_house(3);
        assert!(world.nothing_is_remembered());
    }
}

#[test]
fn outcomes_are_handed_on_by_views_whose_members_never_knew_them() {
    let mut world = World::new(2);
    let mut rows = Rows::default();
    let before = [(); 5].map(|()| world.write("z", "1").0);
    world.lose(votes());
    let unknown = world.begin_write("a", "1");
    world.lose_nothing();
    world.patience_ends();
    let unknown = world.take_unknown(unknown);
    world.stop_past_grace(W2);
    // One that begins with nothing becomes a member, and the only one; nothing has been recorded.
    world.replace(W2, W3);
    world.admit();
    assert_eq!(world.members(), [W1, W3]);
    world.stop_past_grace(W1);
    assert_eq!(world.members(), [W3]);
    world.restart_coordinator();
    world.view_change_times_out();
    rows.record_all(&mut world);
    assert!(rows.outcome(unknown).is_some(), "{:?}", rows.runs);
    for txn in before {
        assert_ne!(rows.outcome(txn), Some(Outcome::Aborted));
    }
}

#[test]
fn a_late_end_that_is_not_recorded_yet_is_not_forgotten_either() {
    let mut world = World::new(2);
    let mut rows = Rows::default();
    world.write("z", "1");
    // The votes come after the client's patience, and the transaction ends within its view.
    world.hold(votes());
    let late = world.begin_write("a", "1");
    world.patience_ends();
    let late = world.take_unknown(late);
    world.let_go();
    // Others end after it, and housekeeping goes on for long.
    world.write("b", "1");
    world.keep_house(5);
    world.restart_coordinator();
    rows.record_all(&mut world);
    assert_eq!(rows.outcome(late), Some(Outcome::Committed));
}

/// A client has heard that a write is committed, and the decisions are lost. Gives the log of worker 2 from before that write as well.
fn told_and_not_decided(mut world: World) -> (World, Snapshot) {
    world.write("a", "1");
    let older = world.log_of(W2);
    world.lose(decisions());
    world.write("b", "1");
    world.lose_nothing();
    (world, older)
}

/// A member comes back within the grace with its log from before what a client was told. Gives what is read after that, and the
/// members.
fn put_back_within_a_view(rules: Rules) -> (Vec<(String, String)>, Vec<NodeId>) {
    let (mut world, older) = told_and_not_decided(World::keeping(rules, 3));
    world.stop(W2);
    world.put_back(W2, older);
    world.restart(W2);
    (world.read_all(), world.members())
}

#[test]
fn what_a_client_was_told_to_be_committed_is_so_whatever_the_members_report() {
    let (rows, members) = put_back_within_a_view(Rules::ALL);
    assert_eq!(rows, pairs(&[("a", "1"), ("b", "1")]));
    assert_eq!(members, [W1, W3], "a member that has lost what it had synced starts over");
    let broken = std::panic::catch_unwind(|| put_back_within_a_view(Rules::without(Omission::SettleByReports)));
    assert!(broken.is_err(), "it breaks R13");
}

#[test]
fn the_only_copy_of_what_a_client_was_told_to_be_committed_is_waited_for() {
    let (mut world, older) = told_and_not_decided(World::new(2));
    world.stop([W2, W1]);
    world.put_back(W2, older);
    world.restart(W2);
    world.view_change_times_out();
    world.restart(W1);
    world.admit_and_beat(6);
    assert_eq!(world.read_all(), pairs(&[("a", "1"), ("b", "1")]));
}
