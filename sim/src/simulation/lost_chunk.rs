//! After all faults, once in some runs: a chunk of a copy is lost with the learner's connection. The learner is connected again before the
//! next view is announced, and the control store fails to announce it, so what its donor still gives reaches it over the new connection.
//! A copy that goes on so has a gap, and must not count as complete.

use skein_protocol::id::NodeId;
use skein_protocol::message::Message;

use super::control::Fate;
use super::faults::Sight;
use super::node::Slot;
use super::queue::MS;
use super::world::World;

impl World {
    /// If this is a chunk that is to be lost.
    pub(super) fn lose_chunk(&mut self, slot: Slot, to: NodeId, message: &Message) {
        let continues = matches!(message, Message::Chunk(chunk) if !chunk.last);
        if !continues || self.danger || slot != self.leader() || !self.plan.lose_chunk {
            return;
        }
        if let Some(connection) = self.nodes[slot].peers.get(&to).copied() {
            self.plan.lose_chunk = false;
            self.coverage.saw(Sight::ChunkLost);
            self.say(slot, "cut", "", || "with a chunk of a copy".into());
            self.sever(connection, None);
            self.failing_swap = Some(std::mem::replace(&mut self.plan.swap, (300 * MS, 400 * MS)));
        }
    }

    /// How the next swap ends. One that follows a lost chunk takes its time, and fails.
    pub(super) fn fate_of_swap(&mut self) -> (Fate, u64) {
        let fails = self.failing_swap.take();
        let fate = if fails.is_some() { Fate::FailsBefore } else { self.swap_fate() };
        let takes = self.random.between(self.plan.swap.0, self.plan.swap.1);
        self.plan.swap = fails.unwrap_or(self.plan.swap);
        (fate, takes)
    }
}
