//! Connections as the runtime makes them: a coordinator dials each worker, again and again with a back-off; what is sent
//! over one connection arrives in order or not at all, and once it does not, the connection is over for both ends, though
//! they may learn that at very different times. Nothing is ever delivered twice: the transport has no repeats, so neither
//! has the simulation. Only between connections may things overtake each other.

use std::collections::{BTreeMap, VecDeque};

use skein_protocol::id::NodeId;
use skein_protocol::message::{Lane, Message};
use skein_protocol::node::worker::Worker;
use skein_protocol::step::{Peer, Role};

use super::faults::Sight;
use super::mistake::Mistake;
use super::node::{Pending, Slot};
use super::outbox::Outbox;
use super::queue::{MS, SECOND, Time};
use super::world::{Event, World};

/// Names a connection.
pub(crate) type ConnectionId = usize;

/// After so long without a sign of life a connection is taken for dead.
pub(crate) const SILENCE: Time = 3 * SECOND;

const RECONNECT_MIN: Time = 20 * MS;
const RECONNECT_MAX: Time = 500 * MS;

/// The end that dialed, and the end that listened.
pub(crate) const ENDS: [usize; 2] = [0, 1];

/// A connection; `[0]` is the coordinator's end or what goes to the worker, `[1]` the worker's or what goes back.
pub(crate) struct Connection {
    pub(crate) ends: [End; 2],
    /// When the last message to arrive at each end arrives, and when the last long one does if that is later.
    last: [Time; 2],
    last_long: [Time; 2],
    /// What waits to be sent to each end, if the connection is slow.
    pub(crate) outboxes: [Outbox; 2],
    /// What would arrive at an end after this is lost.
    cutoff: [Time; 2],
    /// What waits at each direction for a partition to end.
    held: [VecDeque<Message>; 2],
    /// Whether nothing that is sent from now on arrives.
    severed: bool,
}

/// One end of a connection.
pub(crate) struct End {
    pub(crate) slot: Slot,
    pub(crate) life: u32,
    pub(crate) node: NodeId,
    pub(crate) closed: bool,
}

/// The way between a coordinator and a worker.
#[derive(Clone, Default)]
pub(crate) struct Link {
    /// Whether nothing gets through, to the worker and back.
    pub(crate) blocked: [bool; 2],
    /// Counts partitions, so that one that is over ends nothing of the next.
    pub(crate) epoch: u64,
    /// What a message takes, in hundredths of the usual.
    pub(crate) percent: u64,
    /// Bytes that it takes in a second, if that is bounded.
    pub(crate) rate: Option<u64>,
    /// How long the coordinator waits before it dials again.
    back_off: Time,
    /// The connection that was made last.
    pub(crate) connection: Option<ConnectionId>,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) connections: Vec<Connection>,
    pub(crate) links: BTreeMap<(Slot, Slot), Link>,
}

impl Network {
    pub(crate) fn link(&mut self, coordinator: Slot, worker: Slot) -> &mut Link {
        self.links.entry((coordinator, worker)).or_insert_with(|| Link { percent: 100, ..Link::default() })
    }
}

impl World {
    fn latency(&mut self, coordinator: Slot, worker: Slot) -> Time {
        let (from, to) = self.plan.latency;
        let usual = self.random.between(from, to);
        let percent = self.network.link(coordinator, worker).percent;
        usual * percent / 100
    }

    /// A coordinator tries to connect.
    pub(crate) fn dial(&mut self, coordinator: Slot, life: u32, worker: Slot) {
        if self.nodes[coordinator].life != life || !self.nodes[coordinator].is_up() || !self.may_dial(coordinator, worker) {
            return;
        }
        let last = self.network.link(coordinator, worker).connection;
        if last.map(|last| &self.network.connections[last].ends[0]).is_some_and(|end| end.life == life && !end.closed) {
            // It was told to connect to it while it still was.
            return;
        }
        let blocked = self.network.link(coordinator, worker).blocked;
        let there = &self.nodes[worker];
        let listening = there.is_up() && (there.hangs || there.awake_at <= self.now + SECOND);
        if blocked[0] || blocked[1] || !listening {
            self.redial(coordinator, worker);
            return;
        }
        let connection = self.network.connections.len();
        let (there, back) = (self.latency(coordinator, worker), self.latency(coordinator, worker));
        let at = [self.now + there + back, self.now + there + self.random.below(2 * back + 1)];
        let end =
            |slot: Slot, nodes: &[super::node::Node]| End { slot, life: nodes[slot].life, node: nodes[slot].id, closed: false };
        self.network.connections.push(Connection {
            ends: [end(coordinator, &self.nodes), end(worker, &self.nodes)],
            last: [at[0], at[1]],
            last_long: [at[0], at[1]],
            outboxes: Default::default(),
            cutoff: [Time::MAX; 2],
            held: [VecDeque::new(), VecDeque::new()],
            severed: false,
        });
        let link = self.network.link(coordinator, worker);
        link.connection = Some(connection);
        link.back_off = RECONNECT_MIN;
        let cluster = self.nodes[worker].worker().and_then(|worker| worker.cluster());
        let address = self.nodes[worker].address.clone();
        let logged = self.plan.logged[worker];
        let salvaged = self.nodes[worker].worker().is_some_and(Worker::is_salvaged) && !self.mistakes.has(Mistake::SalvageUnsaid);
        let worker_peer = Peer { node: self.nodes[worker].id, role: Role::Worker, address, cluster, logged, salvaged };
        let coordinator_peer = Peer {
            node: self.nodes[coordinator].id,
            role: Role::Coordinator,
            address: String::new(),
            cluster: None,
            logged: true,
            salvaged: false,
        };
        self.queue.push(at[0], Event::Arrive(connection, 0, Pending::Opened(connection, worker_peer)));
        self.queue.push(at[1], Event::Arrive(connection, 1, Pending::Opened(connection, coordinator_peer)));
    }

    /// The coordinator will try again.
    pub(crate) fn redial(&mut self, coordinator: Slot, worker: Slot) {
        let link = self.network.link(coordinator, worker);
        let back_off = link.back_off.max(RECONNECT_MIN);
        link.back_off = (2 * back_off).min(RECONNECT_MAX);
        let wait = self.random.between(back_off / 2, back_off);
        let life = self.nodes[coordinator].life;
        self.queue.push(self.now + wait, Event::Dial(coordinator, life, worker));
    }

    /// Something reaches an end of a connection. Whether anybody is still there is for the process to see.
    pub(crate) fn arrive(&mut self, connection: ConnectionId, end: usize, pending: Pending) {
        let there = &self.network.connections[connection];
        let lost = matches!(pending, Pending::Message(..)) && there.cutoff[end] < self.now;
        let End { slot, life, closed, .. } = there.ends[end];
        if !lost && !closed && self.nodes[slot].life == life {
            self.deliver(slot, pending);
        }
    }

    /// A process sends a message.
    pub(crate) fn transmit(&mut self, slot: Slot, to: NodeId, message: Message) {
        let Some(connection) = self.nodes[slot].peers.get(&to).copied() else { return };
        let Connection { ends, severed, outboxes, .. } = &self.network.connections[connection];
        let end = usize::from(slot == ends[0].slot);
        if *severed {
            return;
        }
        if !outboxes[end].is_empty() || self.rate(connection).is_some() {
            self.enqueue(connection, end, message);
        } else {
            self.carry(connection, end, message, 0);
        }
    }

    /// A message leaves after so long.
    pub(crate) fn carry(&mut self, connection: ConnectionId, end: usize, message: Message, left: Time) {
        let ends = &self.network.connections[connection].ends;
        let (coordinator, worker) = (ends[0].slot, ends[1].slot);
        if self.network.link(coordinator, worker).blocked[1 - end] {
            self.network.connections[connection].held[end].push_back(message);
            return;
        }
        let mut latency = self.latency(coordinator, worker);
        let long = message.lane() == Lane::Bulk && self.plan.lanes;
        if long {
            latency *= self.random.between(1, 8);
        }
        let now = self.now + left;
        let there = &mut self.network.connections[connection];
        let at = if long {
            (now + latency).max(there.last[end]).max(there.last_long[end])
        } else {
            (now + latency).max(there.last[end])
        };
        if at < there.last_long[end] {
            self.coverage.saw(Sight::Overtaken);
        }
        let last = if long { &mut there.last_long[end] } else { &mut there.last[end] };
        *last = at;
        self.queue.push(at, Event::Arrive(connection, end, Pending::Message(connection, message)));
    }

    /// The connection breaks: of what is on its way a part arrives, nothing that is sent later does. `late` is the end that
    /// learns of it only by the silence.
    pub(crate) fn sever(&mut self, connection: ConnectionId, late: Option<usize>) {
        if std::mem::replace(&mut self.network.connections[connection].severed, true) {
            return;
        }
        for end in ENDS {
            let there = &mut self.network.connections[connection];
            there.outboxes[end].clear();
            let last = there.last[end].max(there.last_long[end]);
            let cutoff = match self.random.below(3) {
                0 => self.now,
                1 => last,
                _ => self.random.between(self.now, last.max(self.now)),
            };
            let notice = if late == Some(end) { self.random.between(MS, SILENCE) } else { self.random.below(2 * MS) };
            let there = &mut self.network.connections[connection];
            there.cutoff[end] = cutoff;
            there.held[end].clear();
            self.queue.push(cutoff.max(self.now) + notice, Event::Arrive(connection, end, Pending::Closed(connection)));
        }
    }

    /// One end has closed the connection: the other learns of it, by the silence if nothing gets there.
    pub(crate) fn closed_by(&mut self, connection: ConnectionId, end: usize) {
        self.network.connections[connection].ends[end].closed = true;
        let (coordinator, worker) =
            (self.network.connections[connection].ends[0].slot, self.network.connections[connection].ends[1].slot);
        let other = 1 - end;
        let blocked = self.network.link(coordinator, worker).blocked[1 - other];
        let late = (blocked || self.random.chance(100)).then_some(other);
        self.sever(connection, late);
    }

    /// One of a process's connections breaks between two things that it does.
    pub(crate) fn cut_within(&mut self, slot: Slot) {
        let connections: Vec<ConnectionId> = self.nodes[slot].peers.values().copied().collect();
        if !connections.is_empty() {
            let connection = self.random.pick(&connections);
            let late = self.random.chance(200).then(|| self.random.index(2));
            self.coverage.saw(Sight::CutWithinStep);
            self.say(slot, "cut", "", || "within a step".into());
            self.sever(connection, late);
        }
    }

    /// A process has died: its connections are over.
    pub(crate) fn abandon(&mut self, slot: Slot) {
        let life = self.nodes[slot].life;
        let of = |connection: &Connection| {
            ENDS.into_iter().find(|end| connection.ends[*end].slot == slot && connection.ends[*end].life == life)
        };
        let open: Vec<(ConnectionId, usize)> = self
            .network
            .connections
            .iter()
            .enumerate()
            .filter(|(_, it)| !it.severed)
            .filter_map(|(id, it)| Some((id, of(it)?)))
            .collect();
        for (connection, end) in open {
            self.closed_by(connection, end);
        }
    }

    /// Nothing gets through one way from now on.
    pub(crate) fn block(&mut self, coordinator: Slot, worker: Slot, directions: [bool; 2]) -> u64 {
        let link = self.network.link(coordinator, worker);
        link.epoch += 1;
        for direction in ENDS {
            link.blocked[direction] |= directions[direction];
        }
        let (epoch, connection) = (link.epoch, link.connection);
        if let Some(connection) = connection {
            for direction in ENDS.into_iter().filter(|direction| directions[*direction]) {
                let after = SILENCE + self.random.below(500 * MS);
                self.queue.push(self.now + after, Event::Silence(connection, 1 - direction, epoch));
            }
        }
        epoch
    }

    /// Things get through again: what waited arrives now, in order.
    pub(crate) fn unblock(&mut self, coordinator: Slot, worker: Slot) {
        let link = self.network.link(coordinator, worker);
        link.blocked = [false; 2];
        link.epoch += 1;
        let Some(connection) = link.connection else { return };
        for end in ENDS {
            let latency = self.latency(coordinator, worker);
            let now = self.now;
            let there = &mut self.network.connections[connection];
            let held = std::mem::take(&mut there.held[end]);
            let at = (now + latency).max(there.last[end]);
            there.last[end] = at;
            for message in held {
                self.queue.push(at, Event::Arrive(connection, end, Pending::Message(connection, message)));
            }
        }
    }

    /// An end has heard nothing for too long.
    pub(crate) fn silence(&mut self, connection: ConnectionId, end: usize, epoch: u64) {
        let ends = &self.network.connections[connection].ends;
        let (coordinator, worker, closed) = (ends[0].slot, ends[1].slot, ends[end].closed);
        let link = self.network.link(coordinator, worker);
        if link.epoch == epoch && link.blocked[1 - end] && !closed {
            self.arrive(connection, end, Pending::Closed(connection));
        }
    }
}
