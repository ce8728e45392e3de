//! Replicas that are not what they should be, at the leader: whose copy has lost begins anew with the next view, as long as somebody
//! is left to copy from.

use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::id::{NodeId, ViewNumber};
use crate::membership::comparison::Verdict;
use crate::membership::view::Member;
use crate::message::Message;
use crate::operation::Digest;
use crate::step::{ComparisonStatus, Event, Output, Peer};

impl ViewChange {
    /// A worker says that its replica is not to be trusted: records of it are not what was written, or else it was outvoted.
    pub fn damaged(&mut self, from: NodeId, view: ViewNumber, damaged: bool, out: &mut Vec<Output>) {
        let of_active = self.active().is_some_and(|active| active.view.number == view);
        if of_active && self.takes_part(from) && self.comparison.damaged(from) {
            self.distrust(from, damaged, out);
            self.repair(out);
        }
    }

    /// The members of this view have summed up their records at the same place in the order of transactions.
    pub fn compared(&mut self, view: ViewNumber, digests: &[(NodeId, Digest)], out: &mut Vec<Output>) {
        let Some(active) = self.active().filter(|active| active.view.number == view) else { return };
        if active.view.members().len() != digests.len() {
            return;
        }
        match self.comparison.compare(digests, self.config.rules) {
            Verdict::Same => {}
            Verdict::Outvoted(nodes) => {
                nodes.into_iter().for_each(|node| self.distrust(node, false, out));
                self.tell_outvoted(out);
            }
            Verdict::Undecided => out.push(Output::Publish(Event::Differ { view })),
        }
        self.repair(out);
    }

    /// Members that were outvoted hear of it, so that they can tell the next leader: again in each view, since what was sent in the one
    /// before may be lost.
    pub(super) fn tell_outvoted(&self, out: &mut Vec<Output>) {
        let Some(view) = self.active().map(|active| &active.view) else { return };
        let outvoted = view.members().into_iter().filter(|node| self.comparison.outvoted(*node));
        out.extend(outvoted.map(|to| Output::Send { to, message: Message::Outvoted { view: view.number } }));
    }

    fn distrust(&self, node: NodeId, damaged: bool, out: &mut Vec<Output>) {
        let address = self.connected.get(&node).map(|peer| peer.address.clone()).unwrap_or_default();
        out.push(Output::Publish(Event::Distrusted { node, address, damaged }));
    }

    /// Whoever is not trusted begins anew with the next view, and whoever is not wanted is left out, if another member is there.
    pub(super) fn repair(&mut self, out: &mut Vec<Output>) {
        let Some(active) = self.active().filter(|_| self.stage == Stage::Steady) else { return };
        let situation = self.situation();
        let members = || active.view.shards.iter().flat_map(|shard| &shard.members);
        let bad = |member: &Member| {
            let node = member.node;
            self.comparison.distrusts(node) || situation.is_salvaged(node) || situation.is_unwanted(member)
        };
        let good = |member: &Member| self.connected.contains_key(&member.node) && !bad(member);
        let learner_is_bad = active.view.learners().into_iter().any(|node| self.comparison.distrusts(node));
        let waits = |peer: &Peer| self.comparison.repairs(peer.node) && !self.takes_part(peer.node) && situation.is_wanted(peer);
        let wanted = learner_is_bad || members().any(bad) || self.connected.values().any(waits);
        if wanted && members().any(good) {
            self.change(out);
        } else if self.config.rules.says_copies_are_stuck(self.copies.is_busy() && !self.has_donor()) {
            // What is copied now will not be complete: a damaged record is given to nobody.
            self.say_untrusted(out);
        }
    }

    /// Whether a member of the active view has a copy that others may begin from.
    pub(super) fn has_donor(&self) -> bool {
        let members = self.active().map(|active| active.view.members()).unwrap_or_default();
        members.into_iter().any(|node| self.situation().is_donor(node))
    }

    /// No worker can be copied to, since no member's copy is trusted: a person has to decide, and is told once in each view.
    pub(super) fn say_untrusted(&mut self, out: &mut Vec<Output>) {
        if !core::mem::replace(&mut self.said_untrusted, true) {
            let view = self.active().map(|active| active.view.number).unwrap_or_default();
            out.push(Output::Publish(Event::NoDonor { view }));
        }
    }

    /// The only member that may answer reads, while replicas differ and it is not known which is right.
    #[must_use]
    pub fn answers(&self) -> Option<NodeId> {
        self.comparison.answers().filter(|_| self.config.rules.one_answers_while_undecided())
    }

    /// What comparing the replicas has found.
    #[must_use]
    pub fn comparison(&self) -> ComparisonStatus {
        self.comparison.status()
    }
}
