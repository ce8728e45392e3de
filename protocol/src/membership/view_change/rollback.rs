//! Members whose logs were put back to an older state within the last active view (R15). They are left out, and are waited with until
//! another member is there: that the cluster goes on with such a copy alone, only a person may decide.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::commit::coordinator::Transactions;
use crate::commit::outcome;
use crate::id::NodeId;
use crate::message::Report;
use crate::omission::Omission;
use crate::step::{Event, Output};

impl ViewChange {
    /// The members whose reports contradict what they have said to this coordinator, or what another one reports. Of a part that a
    /// person has given up, it is known that it is missing.
    pub(super) fn rolled_back_in(&self, reports: &BTreeMap<NodeId, Report>, transactions: &Transactions) -> Vec<NodeId> {
        let seen = !self.config.omissions.has(Omission::RollBackUnseen);
        let active = self.active().filter(|_| seen && self.follows_active());
        let lacking = active.map(|active| outcome::lacking(active, reports)).unwrap_or_default();
        let is_so = |node: &NodeId, report: &Report| lacking.contains(node) || transactions.contradicts(*node, report);
        let found = reports.iter().filter(|(node, report)| !self.situation().is_salvaged(**node) && is_so(node, report));
        found.map(|(node, _)| *node).collect()
    }

    /// Whether the pending view takes over from the last active one, and does not begin anew.
    fn follows_active(&self) -> bool {
        self.record().is_none_or(|record| record.emptied != record.pending.as_ref().map(|pending| pending.number))
    }

    /// The next attempt goes without them.
    pub(super) fn leave_rolled_back(&mut self, nodes: Vec<NodeId>, out: &mut Vec<Output>) {
        for node in nodes {
            self.say_rolled_back(node, out);
            self.rolled_back.insert(node);
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
