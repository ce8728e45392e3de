//! The rows in which outcomes stand that somebody may still ask for, and the recorder that writes them, as that of the coordinator's
//! process does.

use skein_protocol::limits;
use skein_protocol::operation::Key;
use skein_protocol::step::{EarlierRuns, Unrecorded};

use super::*;

#[derive(Default)]
pub struct Rows {
    pub outcomes: BTreeMap<TxnId, Outcome>,
    pub runs: BTreeMap<Incarnation, EarlierRuns>,
}

impl Rows {
    /// Writes down all that is to be recorded, without a transaction.
    pub fn record_all(&mut self, world: &mut World) {
        while let Some(unrecorded) = unrecorded(world) {
            self.take(world, unrecorded);
        }
    }

    /// Has its turn: writes some of what is to be recorded in a transaction, and then says so. Gives whether anything was recorded.
    pub fn record(&mut self, world: &mut World) -> bool {
        let Some(unrecorded) = unrecorded(world) else { return false };
        let row = |place: usize| Operation {
            key: Key::new(TableId::HOUSEKEEPING, format!("{place}").as_str()),
            expect: Expect::Any,
            action: Action::Put("an outcome".into()),
        };
        let rows = unrecorded.outcomes.len().min(limits::OPERATIONS_MAX - 1);
        let written = world.begin_transaction((0..=rows).map(row).collect());
        if !world.is_committed(written) {
            return false;
        }
        self.take(world, unrecorded);
        true
    }

    fn take(&mut self, world: &mut World, Unrecorded { outcomes, runs }: Unrecorded) {
        let recorded = Request::Recorded { outcomes: outcomes.iter().map(|(txn, _)| *txn).collect(), runs: runs.is_some() };
        self.outcomes.extend(outcomes);
        self.runs.extend(runs.map(|runs| (runs.incarnation, runs)));
        world.ask(recorded);
    }

    /// What a client hears that asks.
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        let next = || self.runs.range(txn.incarnation..).find(|(run, _)| **run > txn.incarnation);
        self.outcomes.get(&txn).copied().or_else(|| next()?.1.outcome(txn))
    }
}

/// What is to be recorded next, if anything is.
fn unrecorded(world: &mut World) -> Option<Unrecorded> {
    let id = world.ask(Request::Unrecorded);
    let Reply::Unrecorded(unrecorded) = world.take_reply(id) else { panic!("no answer") };
    (unrecorded != Unrecorded::default()).then_some(unrecorded)
}
