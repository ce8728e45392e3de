//! A client that heard *unknown* learns the outcome from this coordinator or a later one, and no client is told that what was
//! acknowledged was aborted.

use super::world::*;

/// The rows in which the outcomes stand that somebody may still ask for.
#[derive(Default)]
pub struct Rows {
    pub outcomes: BTreeMap<TxnId, Outcome>,
    pub runs: BTreeMap<Incarnation, EarlierRuns>,
}

impl Rows {
    /// Writes down all that is to be recorded.
    pub fn record(&mut self, world: &mut World) {
        loop {
            let id = world.ask(Request::Unrecorded);
            let Some(Reply::Unrecorded(unrecorded)) = world.replies.remove(&id) else { panic!("no answer") };
            if unrecorded == Unrecorded::default() {
                return;
            }
            let Unrecorded { outcomes, runs } = unrecorded;
            let recorded = Request::Recorded { outcomes: outcomes.iter().map(|(txn, _)| *txn).collect(), runs: runs.is_some() };
            self.outcomes.extend(outcomes);
            self.runs.extend(runs.map(|runs| (runs.incarnation, runs)));
            world.ask(recorded);
        }
    }

    /// What a client hears that asks.
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        let next = || self.runs.range(txn.incarnation..).find(|(run, _)| **run > txn.incarnation);
        self.outcomes.get(&txn).copied().or_else(|| next()?.1.outcome(txn))
    }
}

/// Writes whose clients hear *unknown*: the first reaches both workers, the second one of them, the third none.
pub fn three_unknown(world: &mut World) -> [TxnId; 3] {
    world.lose = |message| matches!(message, Message::Vote { .. });
    let both = world.begin(vec![put("a", "1")]);
    world.lose = |message| match message {
        Message::Prepare(prepare) => prepare.txn.sequence % 2 == 1,
        _ => matches!(message, Message::Vote { .. }),
    };
    let none = world.begin(vec![put("b", "1")]);
    world.lose_to = Some(NodeId(2));
    world.lose = |message| matches!(message, Message::Vote { .. });
    let one = world.begin(vec![put("c", "1")]);
    world.lose_to = None;
    world.lose = |_| false;
    (0..8).for_each(|_| world.timeout(Timer::Sweep));
    [both, one, none].map(|id| match world.replies.remove(&id) {
        Some(Reply::Unknown { txn }) => txn,
        other => panic!("{other:?}"),
    })
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
        let before = world.commit(vec![put("z", "1")]);
        let Reply::Committed { txn: before, .. } = before else { panic!("{before:?}") };
        let unknown = three_unknown(&mut world);
        if settled {
            world.input(COORDINATOR, Input::Message { from: NodeId(1), message: Message::InDoubt { view: ViewNumber(1) } });
            world.run();
        }
        if recorded {
            rows.record(&mut world);
            (0..3).for_each(|_| world.timeout(Timer::Sweep));
        }
        for restart in 0..restarts {
            world.restart_coordinator();
            world.run();
            if restart + 1 == restarts {
                rows.record(&mut world);
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
        (0..3).for_each(|_| world.timeout(Timer::Sweep));
        assert!(world.workers.values().all(|(worker, _)| worker.decided().is_empty()));
    }
}

#[test]
fn outcomes_are_handed_on_by_views_whose_members_never_knew_them() {
    let mut world = World::new(2);
    let mut rows = Rows::default();
    let before = (0..5).map(|_| world.commit(vec![put("z", "1")])).collect::<Vec<_>>();
    world.lose = |message| matches!(message, Message::Vote { .. });
    let unknown = world.begin(vec![put("a", "1")]);
    world.lose = |_| false;
    (0..8).for_each(|_| world.timeout(Timer::Sweep));
    let Some(Reply::Unknown { txn: unknown }) = world.replies.remove(&unknown) else { panic!("{:?}", world.replies) };
    world.stop(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    // One that begins with nothing becomes a member, and the only one; nothing has been recorded.
    world.start_at(NodeId(3), "w2", Snapshot::new(NodeId(3)));
    world.run();
    world.timeout(Timer::Join);
    assert_eq!(world.members(), [NodeId(1), NodeId(3)]);
    world.stop(NodeId(1));
    world.run();
    world.timeout(Timer::ViewChange);
    assert_eq!(world.members(), [NodeId(3)]);
    world.restart_coordinator();
    world.run();
    world.timeout(Timer::ViewChange);
    rows.record(&mut world);
    assert!(rows.outcome(unknown).is_some(), "{:?}", rows.runs);
    for reply in before {
        let Reply::Committed { txn, .. } = reply else { panic!("{reply:?}") };
        assert_ne!(rows.outcome(txn), Some(Outcome::Aborted));
    }
}

#[test]
fn a_late_end_that_is_not_recorded_yet_is_not_forgotten_either() {
    let mut world = World::new(2);
    let mut rows = Rows::default();
    world.commit(vec![put("z", "1")]);
    // The votes come after the client's patience, and the transaction ends within its view.
    world.hold = |message| matches!(message, Message::Vote { .. });
    let late = world.begin(vec![put("a", "1")]);
    (0..8).for_each(|_| world.timeout(Timer::Sweep));
    let Some(Reply::Unknown { txn }) = world.replies.remove(&late) else { panic!("{:?}", world.replies) };
    world.let_go();
    // Others end after it, and housekeeping goes on for long.
    world.commit(vec![put("b", "1")]);
    (0..5).for_each(|_| world.timeout(Timer::Sweep));
    world.restart_coordinator();
    world.run();
    rows.record(&mut world);
    assert_eq!(rows.outcome(txn), Some(Outcome::Committed));
}

/// A client has heard *committed*, the decisions are lost, and a member comes back within the grace with its log as it was before.
/// Gives what is read after that, and the members.
fn put_back_within_a_view(rules: Rules) -> (Vec<(String, String)>, Vec<NodeId>) {
    let mut world = World::with_window(3, 64, rules);
    world.commit(vec![put("a", "1")]);
    let before = world.workers[&NodeId(2)].1.clone();
    world.lose = |message| matches!(message, Message::Decide { .. });
    assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
    world.lose = |_| false;
    world.stop(NodeId(2));
    world.down.insert(NodeId(2), before);
    world.restart(NodeId(2));
    world.run();
    (world.read(all(10, false), Consistency::Strict), world.members())
}

#[test]
fn what_a_client_was_told_to_be_committed_is_so_whatever_the_members_report() {
    let (rows, members) = put_back_within_a_view(Rules::ALL);
    assert_eq!(rows, pairs(&[("a", "1"), ("b", "1")]));
    assert_eq!(members, [NodeId(1), NodeId(3)], "a member that has lost what it had synced starts over");
    let broken = std::panic::catch_unwind(|| put_back_within_a_view(Rules::without(Omission::SettleByReports)));
    assert!(broken.is_err(), "it breaks R13");
}

#[test]
fn the_only_copy_of_what_a_client_was_told_to_be_committed_is_waited_for() {
    let mut world = World::with_window(2, 64, Rules::ALL);
    world.commit(vec![put("a", "1")]);
    let before = world.workers[&NodeId(2)].1.clone();
    world.lose = |message| matches!(message, Message::Decide { .. });
    assert!(matches!(world.commit(vec![put("b", "1")]), Reply::Committed { .. }));
    world.lose = |_| false;
    world.stop(NodeId(2));
    world.stop(NodeId(1));
    world.run();
    world.down.insert(NodeId(2), before);
    world.restart(NodeId(2));
    world.run();
    world.timeout(Timer::ViewChange);
    world.restart(NodeId(1));
    world.run();
    for _ in 0..6 {
        world.timeout(Timer::Join);
        world.timeout(Timer::Beat);
    }
    assert_eq!(world.read(all(10, false), Consistency::Strict), pairs(&[("a", "1"), ("b", "1")]));
}
