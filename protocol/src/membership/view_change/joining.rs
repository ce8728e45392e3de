//! Workers that come back, or come for the first time, at the leader: they are taken in as learners, a few moments after they came,
//! and become members when all that learn hold all records (R9).

use alloc::string::String;
use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::id::{NodeId, ViewNumber};
use crate::message::Chunk;
use crate::step::{CopyProgress, Output, Peer, Timer};

impl ViewChange {
    /// Workers that want to join have waited: those who have waited long enough are taken in.
    pub fn join(&mut self, out: &mut Vec<Output>) {
        self.joiners.waited(core::mem::take(&mut self.joining_ms));
        if self.stage != Stage::Steady {
            return;
        }
        // A new view would make those that copy begin again.
        if self.joiners.next() == Some(0) && !self.copies.is_busy() {
            self.change(out);
        } else {
            self.await_joiners(out);
        }
    }

    /// Connected workers that could belong to the active view and don't wait for their turn.
    pub(super) fn await_joiners(&mut self, out: &mut Vec<Output>) {
        let taken = self.active().map(|active| active.view.participants()).unwrap_or_default();
        let outside =
            |peer: &&Peer| !taken.contains(&peer.node) && self.detector.knows(peer.node) && self.situation().is_wanted(peer);
        let outside: Vec<(NodeId, String)> =
            self.connected.values().filter(outside).map(|peer| (peer.node, peer.address.clone())).collect();
        for node in taken {
            self.joiners.gone(node);
        }
        for (node, address) in outside {
            self.joiners.came(node, &address, self.config.join_ms);
        }
        if let Some(wait) = self.joiners.next() {
            self.joining_ms = wait.max(self.config.join_ms);
            out.push(Output::SetTimer { timer: Timer::Join, after_ms: self.joining_ms });
        }
    }

    /// A member has given records for a learner.
    pub fn given(&mut self, from: NodeId, chunk: Chunk, busy: bool, out: &mut Vec<Output>) {
        self.copies.given(from, chunk, busy, out);
    }

    /// A learner has stored some. When all learners are complete, the next view makes them members.
    pub fn stored(&mut self, from: NodeId, copy: ViewNumber, last: bool, busy: bool, out: &mut Vec<Output>) {
        if self.copies.stored(from, copy, last, busy, out) && self.stage == Stage::Steady {
            self.change(out);
        }
    }

    /// How far each copy is.
    #[must_use]
    pub fn copies(&self) -> Vec<CopyProgress> {
        self.copies.progress()
    }
}
