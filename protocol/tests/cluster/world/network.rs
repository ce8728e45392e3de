//! What becomes of messages between the machines: a story holds some of them until it lets them go, or loses them, cuts a worker from
//! its coordinator, or has a worker hang with all that comes to it. Everything else arrives, in the order in which it was sent.

use std::collections::{BTreeSet, VecDeque};

use skein_protocol::step::{Peer, Role};

use super::*;

/// Some of the messages: those of a kind, and of these all, or those of one sender or to one receiver.
#[derive(Clone, Copy)]
pub struct Traffic {
    kind: fn(&Message) -> bool,
    from: Option<NodeId>,
    to: Option<NodeId>,
}

impl Traffic {
    /// Those that this node has sent.
    pub fn of(self, node: NodeId) -> Self {
        Traffic { from: Some(node), ..self }
    }

    /// Those that are sent to this node.
    pub fn to(self, node: NodeId) -> Self {
        Traffic { to: Some(node), ..self }
    }

    fn has(&self, from: NodeId, to: NodeId, message: &Message) -> bool {
        self.from.is_none_or(|it| it == from) && self.to.is_none_or(|it| it == to) && (self.kind)(message)
    }
}

/// All messages of which this is true.
pub fn messages(kind: fn(&Message) -> bool) -> Traffic {
    Traffic { kind, from: None, to: None }
}

pub fn everything() -> Traffic {
    messages(|_| true)
}

pub fn prepares() -> Traffic {
    messages(|message| matches!(message, Message::Prepare(_)))
}

pub fn votes() -> Traffic {
    messages(|message| matches!(message, Message::Vote { .. }))
}

pub fn decisions() -> Traffic {
    messages(|message| matches!(message, Message::Decide { .. }))
}

/// Decisions that tell a learner the versions of what is committed.
pub fn decisions_with_versions() -> Traffic {
    messages(|message| matches!(message, Message::Decide { versions, .. } if !versions.is_empty()))
}

pub fn acknowledgements() -> Traffic {
    messages(|message| matches!(message, Message::Acknowledged { .. }))
}

/// Answers to reads and to comparisons of the replicas.
pub fn answers() -> Traffic {
    messages(|message| matches!(message, Message::Answered { .. }))
}

pub fn seals() -> Traffic {
    messages(|message| matches!(message, Message::Seal(_)))
}

/// What sealed workers report.
pub fn reports() -> Traffic {
    messages(|message| matches!(message, Message::Sealed(_)))
}

/// What a member is asked for on behalf of a learner.
pub fn copy_orders() -> Traffic {
    messages(|message| matches!(message, Message::Copy { .. }))
}

pub fn chunks() -> Traffic {
    messages(|message| matches!(message, Message::Chunk(_)))
}

/// A learner's word that it has stored all of its copy.
pub fn completed_copies() -> Traffic {
    messages(|message| matches!(message, Message::Stored { last: true, .. }))
}

pub fn answers_to_beats() -> Traffic {
    messages(|message| matches!(message, Message::Beating { .. }))
}

#[derive(Default)]
pub struct Network {
    pub(super) queue: VecDeque<(NodeId, Input)>,
    held: Vec<(NodeId, NodeId, Message)>,
    holding: Vec<Traffic>,
    losing: Vec<Traffic>,
    /// Connections that stand.
    linked: BTreeSet<(NodeId, NodeId)>,
    hanging: Option<NodeId>,
    /// What has come to the worker that hangs.
    waiting: Vec<Input>,
    sent: usize,
}

impl Network {
    pub(super) fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        if self.losing.iter().any(|traffic| traffic.has(from, to, &message)) {
            return;
        }
        if self.holding.iter().any(|traffic| traffic.has(from, to, &message)) {
            self.held.push((from, to, message));
        } else {
            self.sent += 1;
            self.queue.push_back((to, Input::Message { from, message }));
        }
    }

    /// The next input for a machine that takes it.
    pub(super) fn next(&mut self) -> Option<(NodeId, Input)> {
        loop {
            let (node, input) = self.queue.pop_front()?;
            if self.hanging == Some(node) {
                self.waiting.push(input);
                continue;
            }
            match &input {
                Input::Connected(peer) => drop(self.linked.insert((node, peer.node))),
                Input::Disconnected { node: gone } => drop(self.linked.remove(&(node, *gone))),
                // It was sent over a connection that is gone by now.
                Input::Message { from, .. } if node == COORDINATOR && !self.linked.contains(&(node, *from)) => continue,
                _ => {}
            }
            return Some((node, input));
        }
    }

    /// All connections of this node are gone, and what was under way to it.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.queue.retain(|(to, _)| *to != node);
        self.linked.retain(|(one, other)| *one != node && *other != node);
    }
}

impl World {
    /// These messages wait from now on.
    pub fn hold(&mut self, traffic: Traffic) {
        self.network.holding.push(traffic);
    }

    /// How many messages wait.
    pub fn held(&self) -> usize {
        self.network.held.len()
    }

    /// Nothing waits any more, and what has waited arrives.
    pub fn let_go(&mut self) {
        self.network.holding.clear();
        self.pass(everything());
    }

    /// Of what waits, these arrive; what is sent from now on waits as before.
    pub fn pass(&mut self, traffic: Traffic) {
        let held = std::mem::take(&mut self.network.held);
        let (passed, kept): (Vec<_>, Vec<_>) = held.into_iter().partition(|(from, to, message)| traffic.has(*from, *to, message));
        self.network.held = kept;
        self.network.queue.extend(passed.into_iter().map(|(from, to, message)| (to, Input::Message { from, message })));
        self.settle();
    }

    /// Nothing waits any more, and what has waited is lost.
    pub fn lose_held(&mut self) {
        self.network.holding.clear();
        self.network.held.clear();
    }

    /// These messages are lost from now on.
    pub fn lose(&mut self, traffic: Traffic) {
        self.network.losing.push(traffic);
    }

    /// No message is lost any more.
    pub fn lose_nothing(&mut self) {
        self.network.losing.clear();
    }

    /// How many messages have been sent, without those that were lost or wait.
    pub fn sent(&self) -> usize {
        self.network.sent
    }

    /// The connection between a worker and a coordinator is lost; both ends notice it.
    pub fn cut(&mut self, worker: NodeId, coordinator: NodeId) {
        self.disconnect(coordinator, worker);
        self.settle();
    }

    /// A worker and a coordinator are connected.
    pub fn connect(&mut self, worker: NodeId, coordinator: NodeId) {
        self.link(worker, coordinator);
        self.settle();
    }

    /// The coordinator reaches a worker at an address that it dials.
    pub fn reach(&mut self, worker: NodeId, address: &str) {
        assert!(self.roster.iter().any(|dialed| dialed == address), "{address} is not dialed: {:?}", self.roster);
        self.addresses.insert(worker, address.to_owned());
        self.connect(worker, COORDINATOR);
    }

    /// The transport follows the roster: workers that were reached at other addresses are disconnected.
    pub fn follow_roster(&mut self) {
        let peers = self.coordinator.leader().peers().values();
        let strays: Vec<NodeId> = peers.filter(|it| !self.roster.contains(&it.address)).map(|it| it.node).collect();
        strays.into_iter().for_each(|node| self.cut(node, COORDINATOR));
    }

    /// A worker hangs: what comes to it waits, and it does nothing.
    pub fn hang(&mut self, node: NodeId) {
        self.network.hanging = Some(node);
    }

    /// The worker that hangs goes on with what has come meanwhile.
    pub fn resume(&mut self) {
        let node = self.network.hanging.take().expect("a worker hangs");
        let waiting = std::mem::take(&mut self.network.waiting);
        self.network.queue.extend(waiting.into_iter().map(|input| (node, input)));
        self.settle();
    }

    /// The worker that hangs ends without having done any of what has come to it.
    pub fn stop_hanging(&mut self) {
        let node = self.network.hanging.take().expect("a worker hangs");
        self.network.waiting.clear();
        self.stop(node);
    }

    pub(super) fn disconnect(&mut self, coordinator: NodeId, worker: NodeId) {
        self.input(coordinator, Input::Disconnected { node: worker });
        self.input(worker, Input::Disconnected { node: coordinator });
    }

    pub(super) fn link(&mut self, worker: NodeId, coordinator: NodeId) {
        let (machine, log) = &self.workers[&worker];
        let peer = Peer {
            node: worker,
            role: Role::Worker,
            address: self.addresses[&worker].clone(),
            cluster: machine.cluster(),
            logged: self.setup.logged,
            salvaged: log.salvaged,
        };
        self.input(coordinator, Input::Connected(peer));
        let peer = Peer {
            node: coordinator,
            role: Role::Coordinator,
            address: String::new(),
            cluster: None,
            logged: false,
            salvaged: false,
        };
        self.input(worker, Input::Connected(peer));
    }
}
