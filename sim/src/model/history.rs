//! What an observer outside of the world remembers, so that promises about the past can be checked: which transactions ran
//! for which request and in which view, which were applied somewhere, and how the first view above settled each.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{TxnId, Version, ViewNumber};
use skein_protocol::membership::view::ActiveView;
use skein_protocol::message::{Outcome, Prepare};
use skein_protocol::operation::{Action, Key, Operation};
use skein_protocol::step::Reply;

use super::scenario::Scenario;

/// The observer's notes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Every transaction that was sent to a worker.
    pub ran: BTreeMap<TxnId, Run>,
    /// Those that some worker has applied, whether it remembers that or not.
    pub applied: BTreeSet<TxnId>,
    /// How the first active view above its own settled each.
    pub settled: BTreeMap<TxnId, Outcome>,
    /// What was committed before the exploration began: the version of each key that was there then.
    pub before: BTreeMap<Key, Version>,
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

    /// What was committed before the exploration began, or without the worker that was away.
    pub fn note_before(&mut self, scenario: &Scenario, reply: &Reply) {
        let Reply::Committed { versions, .. } = reply else { return };
        let operations = if self.before.is_empty() { &scenario.before } else { &scenario.missed };
        for (operation, version) in operations.iter().zip(versions) {
            match operation.action {
                Action::Put(_) => drop(self.before.insert(operation.key.clone(), *version)),
                Action::Delete => drop(self.before.remove(&operation.key)),
                Action::Check => {}
            }
        }
    }

    /// Whether a request that deletes this key has taken effect.
    pub fn is_deleted(&self, scenario: &Scenario, key: &Key) -> bool {
        let deletes = |operation: &Operation| operation.key == *key && operation.action == Action::Delete;
        let took_effect = self.ran.iter().filter(|(txn, _)| self.applied.contains(txn));
        took_effect.flat_map(|(_, run)| &scenario.requests[run.request]).any(deletes)
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
