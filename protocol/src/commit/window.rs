//! How many transactions one coordinator may have begun that the workers can't forget yet, and what keeps them from it: those
//! that run, and those whose clients heard *unknown* and may still ask. An outcome of the second kind is forgotten by the workers
//! when it stands in a row of the store, or before that in the record of the active view, which hands it on until it does.
//!
//! The rows are written by transactions of the same coordinator. They go first, a part of the window is kept for them, and when
//! they fail nevertheless, a view change takes over what they were to write. So the window never waits for itself.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;

use crate::commit::outcome::Settlement;
use crate::id::{Incarnation, TxnId};
use crate::limits;
use crate::message::Outcome;
use crate::rules::Rules;
use crate::step::{EarlierRuns, Unrecorded};

#[cfg(test)]
mod tests;

/// Decisions that workers may remember needlessly before they are told to forget, when housekeeping is not due yet.
const FORGET_BATCH: u64 = 4_096;

/// The part of the window that is kept for the cluster's own rows.
const KEPT_PART: u64 = 16;

/// Rounds of housekeeping in which a full window has not moved, after which the coordinator says that it is stalled.
const STALLED_SWEEPS: u8 = 2;

/// The window of one coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    incarnation: Incarnation,
    rules: Rules,
    /// Transactions that may be within it.
    size: u64,
    /// Whether anybody records what is unrecorded.
    records: bool,
    next_sequence: u64,
    /// What the workers were last told to forget.
    forgotten_below: u64,
    /// The first sequence of the active view.
    first_of_view: u64,
    /// Outcomes of transactions that somebody may still ask for when this run is over, and that stand in no row yet.
    unrecorded: BTreeMap<TxnId, Outcome>,
    /// Those of this run among them that do not stand in the record of the active view either: only the workers remember them.
    held: BTreeSet<u64>,
    /// What the first view has learned of earlier runs, until it is recorded.
    runs: Option<EarlierRuns>,
    /// Whether the first view of this run is still to come.
    first: bool,
    /// Where the window ended at the last round of housekeeping, and for how many rounds it has been full and ended there.
    ended_at: u64,
    full_sweeps: u8,
}

impl Window {
    /// The window of a run that has begun nothing.
    #[must_use]
    pub fn new(incarnation: Incarnation, size: usize, records: bool, rules: Rules) -> Self {
        Window {
            incarnation,
            rules,
            size: (size as u64).max(2),
            records,
            next_sequence: 1,
            forgotten_below: 1,
            first_of_view: 1,
            unrecorded: BTreeMap::new(),
            held: BTreeSet::new(),
            runs: None,
            first: true,
            ended_at: 1,
            full_sweeps: 0,
        }
    }

    /// Whether one more transaction may be sent; `own` if it writes only rows of the cluster itself.
    #[must_use]
    pub fn admits(&self, own: bool) -> bool {
        if self.rules.may_fill_window(own) {
            return self.used() < self.size;
        }
        !self.is_full() && self.unrecorded.len() < 2 * usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    fn used(&self) -> u64 {
        self.next_sequence - self.forgotten_below
    }

    /// Whether the part that is for clients is used up.
    fn is_full(&self) -> bool {
        self.used() >= self.size - (self.size / KEPT_PART).max(1)
    }

    /// Whether it keeps its bound.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.used() <= self.size
    }

    /// The id of the next transaction.
    pub fn begin(&mut self) -> TxnId {
        let txn = TxnId { incarnation: self.incarnation, sequence: self.next_sequence };
        self.next_sequence += 1;
        txn
    }

    /// A transaction of this run has ended so, and its client has heard *unknown* and will ask.
    pub fn doubted(&mut self, txn: TxnId, outcome: Outcome) {
        if self.records {
            self.unrecorded.insert(txn, outcome);
            self.held.insert(txn.sequence);
        }
    }

    /// The first sequence that the workers must remember. `running`: the first that runs.
    #[must_use]
    pub fn low_water(&self, running: Option<u64>) -> u64 {
        let held = self.held.first().copied().filter(|_| self.rules.remembers_doubted());
        running.into_iter().chain(held).min().unwrap_or(self.next_sequence)
    }

    /// Whether workers remember so much needlessly that they should be told at once, and not with the next round.
    #[must_use]
    pub fn should_forget(&self, low_water: u64) -> bool {
        low_water - self.forgotten_below >= (self.size / 8).clamp(1, FORGET_BATCH)
    }

    /// Whether workers remember anything needlessly.
    #[must_use]
    pub fn may_forget(&self, low_water: u64) -> bool {
        low_water > self.forgotten_below
    }

    /// The transactions that were begun in the active view.
    #[must_use]
    pub fn of_view(&self) -> Range<u64> {
        self.first_of_view..self.next_sequence
    }

    /// The workers were told to forget all below.
    pub fn forgot(&mut self, below: u64) {
        self.forgotten_below = below;
    }

    /// A view is active that settles this. `begins`: whether nothing was there before that somebody may ask for.
    pub fn settled(&mut self, settlement: &Settlement, begins: bool) {
        if self.records {
            let earlier = settlement.outcomes.iter().filter(|(txn, _)| txn.incarnation != self.incarnation);
            self.unrecorded.extend(earlier.copied());
        }
        if core::mem::take(&mut self.first) && self.records && !begins {
            let earlier = settlement.marks.iter().filter(|(run, _)| **run < self.incarnation);
            let marks = earlier.map(|(run, below)| (*run, *below)).collect();
            self.runs = Some(EarlierRuns { incarnation: self.incarnation, marks });
        }
        let stands = |sequence: &u64| {
            let txn = TxnId { incarnation: self.incarnation, sequence: *sequence };
            settlement.outcomes.binary_search_by_key(&txn, |(txn, _)| *txn).is_ok()
        };
        self.held.retain(|sequence| self.rules.holds_up_window(stands(sequence)));
        self.first_of_view = self.next_sequence;
        self.full_sweeps = 0;
    }

    /// Has a view change carry the outcomes that clients may still ask for, until they are recorded. Outcomes of this run that no
    /// client will ask for are left out, and so are earlier runs once they are recorded.
    pub fn hand_over(&self, settlement: &mut Settlement, low_water: u64) {
        if !self.records {
            settlement.marks.clear();
            return;
        }
        if self.rules.hands_on_unrecorded() {
            settlement.carry(&self.unrecorded.iter().map(|(txn, outcome)| (*txn, *outcome)).collect());
            let ended = |txn: &TxnId| txn.incarnation == self.incarnation && txn.sequence < low_water;
            settlement.outcomes.retain(|(txn, _)| !ended(txn) || self.unrecorded.contains_key(txn));
            if !self.first && self.runs.is_none() {
                settlement.marks.clear();
            }
        }
        settlement.marks.insert(self.incarnation, low_water);
    }

    /// What is to be recorded, so much of it at once.
    #[must_use]
    pub fn unrecorded(&self) -> Unrecorded {
        let outcomes: Vec<(TxnId, Outcome)> =
            self.unrecorded.iter().take(limits::OPERATIONS_MAX - 1).map(|(txn, outcome)| (*txn, *outcome)).collect();
        Unrecorded { outcomes, runs: self.runs.clone() }
    }

    /// What the first view has learned of earlier runs, until it is recorded.
    #[must_use]
    pub fn runs(&self) -> Option<&EarlierRuns> {
        self.runs.as_ref()
    }

    /// This is recorded.
    pub fn recorded(&mut self, outcomes: &[TxnId], runs: bool) {
        for txn in outcomes {
            self.unrecorded.remove(txn);
            if txn.incarnation == self.incarnation {
                self.held.remove(&txn.sequence);
            }
        }
        if runs {
            self.runs = None;
        }
    }

    /// Whether all is recorded that ended before the active view.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        let in_view = TxnId { incarnation: self.incarnation, sequence: self.first_of_view };
        !self.records || self.runs.is_none() && self.unrecorded.range(..in_view).next().is_none()
    }

    /// What is known of a transaction that ended and is not recorded.
    #[must_use]
    pub fn outcome(&self, txn: &TxnId) -> Option<Outcome> {
        self.unrecorded.get(txn).copied()
    }

    /// One more round of housekeeping. Says whether it has been full for so many of them without an end of it coming.
    pub fn sweep(&mut self, doubt_sweeps: u8) -> bool {
        let moved = core::mem::replace(&mut self.ended_at, self.forgotten_below) != self.forgotten_below;
        self.full_sweeps = if moved || self.admits(false) { 0 } else { self.full_sweeps.saturating_add(1) };
        // What is unrecorded beyond its bound no view change makes less.
        let stuck = self.rules.full_window_ends_view(self.is_full() && self.full_sweeps >= doubt_sweeps);
        if stuck {
            self.full_sweeps = STALLED_SWEEPS;
        }
        stuck
    }

    /// Whether clients' transactions have been held back for a while, since the workers may forget nothing.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.full_sweeps >= STALLED_SWEEPS
    }
}
