//! Workers that come back, or come for the first time, at the leader: they are taken in as learners, a few moments after they came,
//! and become members when all that learn hold all records (R9).

use alloc::string::String;
use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::id::{ClusterId, NodeId, ViewNumber};
use crate::membership::view::View;
use crate::message::Chunk;
use crate::step::{CopyProgress, Event, Output, Peer, Timer};

impl ViewChange {
    /// Workers that want to join have waited for one more step: those who have waited long enough are taken in.
    pub fn join(&mut self, out: &mut Vec<Output>) {
        self.joiners.waited(core::mem::take(&mut self.joining_ms));
        if self.stage != Stage::Steady {
            return;
        }
        // A new view would make those that copy begin again.
        let ready = self.joiners.next() == Some(0) && !self.copies.is_busy();
        if ready && self.has_donor() {
            self.change(out);
            return;
        }
        if ready {
            self.say_untrusted(out);
        }
        self.await_joiners(out);
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
        // In short steps, and a step that has begun goes on: who waits for longer must not begin again with each that comes.
        if self.joiners.next().is_some() && self.joining_ms == 0 {
            self.joining_ms = self.config.join_ms;
            out.push(Output::SetTimer { timer: Timer::Join, after_ms: self.joining_ms });
        }
    }

    /// A learner could not be sealed, since another cluster has taken it meanwhile: it would refuse all writes, whether the view is
    /// active by now or not.
    pub(super) fn learner_refused(&mut self, from: NodeId, view: ViewNumber, bound: ClusterId, out: &mut Vec<Output>) {
        let learns = |it: &View| it.number == view && it.learners().contains(&from);
        let pending = self.pending().is_some_and(learns);
        if !pending && !self.active().is_some_and(|active| learns(&active.view)) {
            return;
        }
        if let Some(peer) = self.connected.get_mut(&from) {
            peer.cluster = Some(bound);
            self.joiners.gone(from);
            let (address, bound) = (peer.address.clone(), Some(bound));
            out.push(Output::Publish(Event::NotTaken { node: from, address, bound, foreign: true }));
        }
        self.unsealed |= pending;
        if self.stage == Stage::Steady {
            self.change(out);
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

    /// Chunks that are under way in one of the copies, the most of them.
    #[must_use]
    pub fn chunks_under_way(&self) -> usize {
        self.copies.chunks_under_way()
    }
}
