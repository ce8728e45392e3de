//! A worker's objections to this leader: that it won't be sealed, or that it follows another coordinator (R14). A leader that has been
//! overtaken must end, since its further work would be undone, or would undo what the other one has acknowledged.

use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::id::{NodeId, ViewNumber, Writer};
use crate::message::{Follows, SealReason};
use crate::step::{Event, Halt, Output};

impl ViewChange {
    /// A worker was not sealed for this view. If it can't be a member, the next attempt goes without it; if it follows another leader,
    /// this one ends. If the cluster is only being founded, another one has taken the worker meanwhile, and this one can't be.
    pub fn seal_refused(&mut self, from: NodeId, view: ViewNumber, reason: SealReason, follows: Follows, out: &mut Vec<Output>) {
        let conflict = self.conflict(from, follows);
        let pending = self.pending().filter(|pending| pending.number == view);
        let sought = pending.or_else(|| self.active().map(|active| &active.view).filter(|active| active.number == view));
        let is_sought = sought.is_some_and(|sought| sought.participants().contains(&from));
        // Only a leader that was overtaken is told so of a seal that still matters.
        let led = (is_sought && reason == SealReason::Led).then_some(Halt::Superseded);
        if let Some(halt) = conflict.or(led) {
            out.push(Output::Halt(halt));
            return;
        }
        if let (SealReason::Foreign, Some(bound)) = (reason, follows.cluster) {
            self.learner_refused(from, view, bound, out);
        }
        let Stage::Sealing { view: pending, .. } = &self.stage else { return };
        if pending.number != view || !pending.members().contains(&from) {
            return;
        }
        let address = self.connected.get(&from).map(|peer| peer.address.clone()).unwrap_or_default();
        match (reason, follows.cluster) {
            (SealReason::Foreign, Some(cluster)) if self.active().is_none() => {
                out.push(Output::Halt(Halt::WorkerHoldsView { address, cluster }));
                return;
            }
            (SealReason::Foreign, bound) => {
                out.push(Output::Publish(Event::NotTaken { node: from, address, bound, foreign: true }))
            }
            (SealReason::Lacks | SealReason::Led, _) if self.is_member(from) => self.say_rolled_back(from, out),
            // A learner that an attempt after its copy made start over has lost nothing.
            (SealReason::Lacks | SealReason::Led, _) => {}
        }
        self.silent.insert(from);
        self.stage = Stage::Gathering { over: true };
        self.advance(out);
    }

    /// Why this coordinator must end, given the leader that a worker of its cluster follows: that leader has a later run or the same
    /// one, or it sealed the worker for a view that this control store does not have or has from another writer.
    pub(super) fn conflict(&self, from: NodeId, follows: Follows) -> Option<Halt> {
        let record = self.record().filter(|record| follows.cluster == Some(record.cluster))?;
        if !self.config.rules.ends_when_overtaken() {
            return None;
        }
        let own = self.config.writer;
        let looked_at = |_: &Writer| self.config.rules.looks_at_writer();
        let others = || follows.writer.into_iter().chain(follows.rival).filter(looked_at);
        if others().any(|other| other.run == own.run && other.node != own.node) {
            return Some(Halt::SharedRun { run: own.run });
        }
        // A worker that was left out may have heard of one that knows no more than it does.
        let active = record.active.as_ref().map(|active| active.view.number).unwrap_or_default();
        let rival = follows.rival.filter(|_| follows.view >= active);
        let is_active = record.active.as_ref().is_some_and(|active| active.view.number == follows.view);
        let is_later = follows.view > record.number()
            || follows.writer.into_iter().chain(rival).filter(looked_at).any(|other| other.run > own.run);
        // Every view that came after this run began is its own.
        let is_other = follows.view > self.begun && follows.writer.filter(looked_at).is_some_and(|writer| writer != own);
        // Where the writer of the seal was not noted, the number has to do.
        let is_unknown = follows.writer.is_none() && is_active && !self.takes_part(from);
        (is_later || is_other || is_unknown).then_some(Halt::Superseded)
    }
}
