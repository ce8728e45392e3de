//! Who is there: connections that stand and end, and beats that show who is gone without a word.

use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::id::{NodeId, ViewNumber};
use crate::message::{Follows, Message};
use crate::step::{Event, Output, Peer, Timer};

impl ViewChange {
    /// The next beat is due: whoever has left too many unanswered is given up.
    pub fn beat(&mut self, out: &mut Vec<Output>) {
        let missing = self.detector.beat();
        self.joiners.beat();
        self.beat += 1;
        let members = self.active().map(|active| active.view.members()).unwrap_or_default();
        let is_missing = |node: &NodeId| missing.contains(node) || !self.connected.contains_key(node);
        // What holds up all members is no fault of theirs.
        let all_missing = members.iter().all(is_missing);
        for node in missing.into_iter().filter(|node| !all_missing || !members.contains(node)) {
            let address = self.connected.get(&node).map(|peer| peer.address.clone()).unwrap_or_default();
            self.suspected.insert(node);
            out.push(Output::Publish(Event::Suspected { node, address }));
            out.push(Output::Disconnect { node });
        }
        for to in self.connected.keys() {
            out.push(Output::Send { to: *to, message: self.beat_message() });
        }
        out.push(Output::SetTimer { timer: Timer::Beat, after_ms: self.config.beat_ms });
    }

    /// A worker has answered a beat. One that takes part must be in the active view at least: else it can't do anything.
    pub fn beating(&mut self, from: NodeId, follows: Follows, full: bool, out: &mut Vec<Output>) {
        if full {
            self.full.insert(from);
        } else {
            self.full.remove(&from);
        }
        let active = self.active().map_or(ViewNumber(0), |active| active.view.number);
        if let Some(halt) = self.conflict(from, follows) {
            out.push(Output::Halt(halt));
            return;
        }
        if self.config.rules.beat_counts(follows.view >= active || !self.takes_part(from)) {
            let news = !self.detector.knows(from);
            self.detector.answered(from);
            if self.stage == Stage::Steady && follows.view == active {
                self.comparison.answered(from);
            }
            if news && self.stage == Stage::Steady && !self.takes_part(from) {
                self.await_joiners(out);
            }
        }
    }

    /// The members of the active view that have said that their memory is full.
    #[must_use]
    pub fn full_members(&self) -> Vec<NodeId> {
        let members = self.active().map(|active| active.view.members()).unwrap_or_default();
        self.full.iter().copied().filter(|node| members.contains(node)).collect()
    }

    fn beat_message(&self) -> Message {
        let cluster = self.record().map(|record| record.cluster);
        let active = self.active().map(|active| active.view.id());
        Message::Beat { beat: self.beat, cluster, writer: self.config.writer, active }
    }

    /// A worker is there.
    pub fn connected(&mut self, peer: Peer, out: &mut Vec<Output>) {
        let node = peer.node;
        let foreign = self.record.as_ref().is_some_and(|record| peer.cluster.is_some_and(|bound| bound != record.cluster));
        if foreign || (!self.situation().is_wanted(&peer) && !self.takes_part(node)) {
            let (address, bound) = (peer.address.clone(), peer.cluster);
            out.push(Output::Publish(Event::NotTaken { node, address, bound, foreign }));
        }
        let first = self.candidates().next().is_none();
        self.detector.connected(node);
        self.suspected.remove(&node);
        // It may have its log again, which its next report shows, or a person's word that a part of it is given up.
        self.rolled_back.remove(&node);
        if peer.salvaged {
            self.lacked.remove(&node);
        }
        self.connected.insert(node, peer);
        if self.detector.is_on() {
            // Whoever wants to join has to show that it can answer.
            out.push(Output::Send { to: node, message: self.beat_message() });
        }
        let learns = self.pending().is_some_and(|view| view.learners().contains(&node));
        if learns && matches!(self.stage, Stage::Sealing { .. } | Stage::Deciding { .. }) {
            // What it was sealed with may have been lost with the connection before.
            self.unsealed |= self.config.rules.repeats_lost_seal();
        }
        match &self.stage {
            // It was lost in between, and what was sent to it last may be lost too.
            Stage::Steady if self.takes_part(node) => self.change(out),
            Stage::Steady => self.await_joiners(out),
            Stage::Sealing { view, reports } if view.members().contains(&node) && !reports.contains_key(&node) => {
                self.change(out)
            }
            // Everybody was gone for longer than the grace: the first to come back waits for the others, like at the start.
            Stage::Gathering { over: true } if first => {
                self.stage = Stage::Gathering { over: false };
                out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.start_grace_ms });
            }
            _ => {}
        }
        self.advance(out);
    }

    /// A worker is gone. If it is a member, the view ends.
    pub fn disconnected(&mut self, node: NodeId, out: &mut Vec<Output>) {
        self.detector.disconnected(node);
        self.full.remove(&node);
        self.joiners.gone(node);
        if self.config.rules.copy_ends_with_connection() {
            self.copies.lost(node);
        }
        if let Some(peer) = self.connected.remove(&node)
            && self.takes_part(node)
        {
            self.joiners.lost(&peer.address);
            if self.joiners.flaps(&peer.address) {
                self.suspected.insert(node);
            }
        }
        match &self.stage {
            Stage::Steady if self.takes_part(node) => self.change(out),
            Stage::Gathering { .. } => self.advance(out),
            // It had time enough to answer, so the next attempt goes without it, also if it is connected again by then.
            Stage::Sealing { view, .. } if view.members().contains(&node) && self.suspected.contains(&node) => {
                self.silent.insert(node);
                self.change(out);
            }
            // It won't answer over this connection, so it is waited for no longer than anybody who is lost.
            Stage::Sealing { view, reports } if view.members().contains(&node) && !reports.contains_key(&node) => {
                out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.grace_ms });
            }
            _ => {}
        }
    }
}
