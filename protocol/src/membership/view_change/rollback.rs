//! Members whose logs were put back to an older state within the last active view (R15). They are left out, and are waited with until
//! another member is there: that the cluster goes on with such a copy alone, only a person may decide.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::commit::coordinator::Transactions;
use crate::commit::outcome;
use crate::id::{NodeId, TxnId};
use crate::message::Report;
use crate::step::{Event, Output};

impl ViewChange {
    /// The members whose reports contradict what they have said to this coordinator, or lack what another one reports, now or in an
    /// attempt before. Of a part that a person has given up, it is known that it is missing.
    pub(super) fn rolled_back_in(
        &self,
        reports: &BTreeMap<NodeId, Report>,
        transactions: &Transactions,
    ) -> BTreeMap<NodeId, BTreeSet<TxnId>> {
        let rules = self.config.rules;
        let seen = rules.leaves_out_rolled_back();
        let active = self.active().filter(|_| seen && self.follows_active());
        let lacking = active.map(|active| outcome::lacking(active, reports)).unwrap_or_default();
        let lacks_still = |node: &NodeId, report: &Report| {
            let lacked = self.lacked.get(node).filter(|_| seen && rules.remembers_what_was_lacked());
            lacked.is_some_and(|lacked| lacked.iter().any(|txn| !outcome::knows(report, *txn)))
        };
        let is_so = |node: &NodeId, report: &Report| {
            lacking.contains_key(node) || lacks_still(node, report) || transactions.contradicts(*node, report)
        };
        let found = reports.iter().filter(|(node, report)| !self.situation().is_salvaged(**node) && is_so(node, report));
        let found = found.map(|(node, _)| (*node, lacking.get(node).cloned().unwrap_or_default()));
        found.collect()
    }

    /// Whether the pending view takes over from the last active one, and does not begin anew.
    fn follows_active(&self) -> bool {
        self.record().is_none_or(|record| record.emptied != record.pending.as_ref().map(|pending| pending.number))
    }

    /// The next attempt goes without them. What they lack is remembered until a view is active, since the one that reported it may be
    /// gone when they come back.
    pub(super) fn leave_rolled_back(&mut self, found: BTreeMap<NodeId, BTreeSet<TxnId>>, out: &mut Vec<Output>) {
        for (node, lacks) in found {
            self.say_rolled_back(node, out);
            self.rolled_back.insert(node);
            self.lacked.entry(node).or_default().extend(lacks);
        }
        self.stage = Stage::Gathering { over: true };
        self.advance(out);
    }

    /// This one's log was put back to an older state.
    pub(super) fn say_rolled_back(&self, node: NodeId, out: &mut Vec<Output>) {
        let address = self.connected.get(&node).map(|peer| peer.address.clone()).unwrap_or_default();
        out.push(Output::Publish(Event::RolledBack { node, address }));
    }
}
