//! What an observer outside of the world remembers, so that promises about the past can be checked: which transactions ran
//! for which request and in which view, which were applied somewhere, and how the first view above settled each.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{TxnId, ViewNumber};
use skein_protocol::membership::view::ActiveView;
use skein_protocol::message::{Outcome, Prepare};
use skein_protocol::operation::Operation;

/// The observer's notes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Every transaction that was sent to a worker.
    pub ran: BTreeMap<TxnId, Run>,
    /// Those that some worker has applied, whether it remembers that or not.
    pub applied: BTreeSet<TxnId>,
    /// How the first active view above its own settled each.
    pub settled: BTreeMap<TxnId, Outcome>,
    /// Whether a worker has said of itself what was not yet on its disk (R6).
    pub unbacked: bool,
    /// The invariants that a machine's own state broke after an input.
    pub violations: BTreeSet<&'static str>,
}

/// One attempt at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The request, by its place in the scenario.
    pub request: usize,
    /// The view that it ran in.
    pub view: ViewNumber,
}

impl History {
    /// A prepare was sent.
    pub fn note_prepare(&mut self, prepare: &Prepare, requests: &[Vec<Operation>]) {
        if let Some(request) = requests.iter().position(|operations| *operations == prepare.operations) {
            self.ran.entry(prepare.txn).or_insert(Run { request, view: prepare.view });
        }
    }

    /// A view became active. Absence from its outcomes is *aborted*, but for what was known everywhere and forgotten (R7).
    pub fn note_active(&mut self, active: &ActiveView) {
        for (txn, run) in &self.ran {
            if run.view < active.view.number && !self.settled.contains_key(txn) {
                let listed = active.outcomes.iter().find(|(listed, _)| listed == txn).map(|(_, outcome)| *outcome);
                let absent = if self.applied.contains(txn) { Outcome::Committed } else { Outcome::Aborted };
                self.settled.insert(*txn, listed.unwrap_or(absent));
            }
        }
    }

    /// The transactions of a request.
    pub fn attempts(&self, request: usize) -> impl Iterator<Item = TxnId> + '_ {
        self.ran.iter().filter(move |(_, run)| run.request == request).map(|(txn, _)| *txn)
    }
}
