//! What reaches a process waits in its inbox until the process looks at it, in order; what was meant for an earlier
//! connection, or for a timer that was set anew, is dropped then, as the runtime does it.

use skein_protocol::step::{Input, Output, Peer};

use super::guest::Guest;
use super::network::ConnectionId;
use super::node::{Pending, Slot};
use super::world::{Event, World};

impl World {
    /// Something has arrived at a process.
    pub(crate) fn deliver(&mut self, slot: Slot, pending: Pending) {
        let node = &mut self.nodes[slot];
        if !node.is_up() {
            return;
        }
        if node.inbox.is_empty() && node.awake_at <= self.now {
            self.look_at(slot, pending);
            return;
        }
        node.inbox.push_back(pending);
        self.wake_later(slot);
    }

    pub(crate) fn wake_later(&mut self, slot: Slot) {
        let node = &mut self.nodes[slot];
        if !node.inbox.is_empty() && !std::mem::replace(&mut node.waking, true) {
            let at = node.awake_at.max(self.now);
            self.queue.push(at, Event::Wake(slot, node.life));
        }
    }

    pub(super) fn wake(&mut self, slot: Slot) {
        self.nodes[slot].waking = false;
        while self.nodes[slot].awake_at <= self.now {
            let Some(pending) = self.nodes[slot].inbox.pop_front() else { return };
            self.look_at(slot, pending);
        }
        self.wake_later(slot);
    }

    /// A process takes what has arrived as an input of its machine.
    pub(super) fn look_at(&mut self, slot: Slot, pending: Pending) {
        let service = self.nodes[slot].service;
        self.nodes[slot].awake_at = self.now + service;
        let input = match pending {
            Pending::Start => Input::Start,
            Pending::Request(id, request) => Input::Request { id, request },
            Pending::Persisted(records) => Input::Persisted { records },
            Pending::Swapped(swapped) => Input::Swapped(swapped),
            Pending::Timer(timer, number) => {
                if !self.nodes[slot].timer_is_due(timer, number) {
                    return;
                }
                Input::Timeout(timer)
            }
            Pending::Message(connection, message) => {
                let end = &self.network.connections[connection].ends;
                let from = if end[0].slot == slot { end[1].node } else { end[0].node };
                if self.nodes[slot].peers.get(&from) != Some(&connection) {
                    return;
                }
                Input::Message { from, message }
            }
            Pending::Opened(connection, peer) => return self.opened(slot, connection, peer),
            Pending::Closed(connection) => return self.closed(slot, connection),
            Pending::Record(record) => return self.guest_step(slot, |guest, out| guest.active(&record, out)),
            Pending::MayForget(view) => return self.guest_step(slot, |guest, _| guest.may_forget(view)),
            Pending::Stranger(from, message) | Pending::Plea(from, message) => Input::Message { from, message },
        };
        self.step(slot, input);
    }

    pub(super) fn opened(&mut self, slot: Slot, connection: ConnectionId, peer: Peer) {
        let end = usize::from(self.network.connections[connection].ends[0].slot != slot);
        if let Some(old) = self.nodes[slot].peers.insert(peer.node, connection) {
            let old_end = usize::from(self.network.connections[old].ends[0].slot != slot);
            self.closed_by(old, old_end);
            self.step(slot, Input::Disconnected { node: peer.node });
            if self.network.connections[connection].ends[end].closed {
                // It died over this.
                return;
            }
        }
        self.say(slot, "connect", "", || format!("{:?} {}", peer.node, peer.address));
        self.step(slot, Input::Connected(peer));
    }

    pub(super) fn closed(&mut self, slot: Slot, connection: ConnectionId) {
        let ends = &self.network.connections[connection].ends;
        let end = usize::from(ends[0].slot != slot);
        if ends[end].closed {
            return;
        }
        let (peer, worker) = (ends[1 - end].node, ends[1].slot);
        self.closed_by(connection, end);
        if end == 0 {
            self.redial(slot, worker);
        }
        if self.nodes[slot].peers.get(&peer) == Some(&connection) {
            self.nodes[slot].peers.remove(&peer);
            self.say(slot, "lost", "", || format!("{peer:?}"));
            self.step(slot, Input::Disconnected { node: peer });
        }
    }

    pub(super) fn guest_step(&mut self, slot: Slot, change: impl FnOnce(&mut Guest, &mut Vec<Output>)) {
        let mut out = std::mem::take(&mut self.outputs);
        if let Some(guest) = self.nodes[slot].guest() {
            change(guest, &mut out);
        }
        self.perform(slot, out);
    }
}
