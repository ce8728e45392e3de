//! Connections between nodes: TCP, or queues between nodes of one process; one per pair, on which each side sends frames of many messages. Coordinators dial,
//! workers listen. Before anything else both ends prove that they know the cluster's secret ([`handshake`]); nothing that a
//! stranger sends reaches a machine. Whatever breaks the rules of a frame closes its connection, is counted as a [`Fault`]
//! and logged, and harms nobody else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skein_protocol::id::{ClusterId, NodeId};
use skein_protocol::step::Role;
use tokio::net::TcpListener;

pub mod bulk;
pub mod connection;
pub mod frame;
pub mod handshake;
mod near;
pub(crate) mod peers;

pub use frame::{FRAME_BYTES_MAX, FrameKind};
pub use handshake::{InvalidSecret, Secret};
pub use near::Neighbours;

/// Where a node meets its peers, and as whom.
#[derive(Debug)]
pub struct Endpoint {
    /// The node's identity.
    pub node: NodeId,
    /// Its role.
    pub role: Role,
    /// The cluster that a worker is bound to, told to whoever connects. The driver keeps it up to date.
    pub bound: Bound,
    /// What both ends must know; without one, an empty secret, as is fit for loopback only.
    pub secret: Option<Secret>,
    /// Where others connect, for a worker.
    pub listener: Option<TcpListener>,
    /// Whom to connect to, `host:port` each, for a coordinator.
    pub dial: Vec<String>,
    /// For a worker: what its votes are worth, told to whoever connects.
    pub durability: Durability,
    /// For a coordinator: what the workers that it met said of the worth of their votes.
    pub met: Met,
    /// The nodes of this process, which are met without a socket.
    pub neighbours: Neighbours,
    /// The name under which they meet a worker, over all its starts; without one, the address that it listens on.
    pub name: Option<String>,
    /// Bounds on what peers may do.
    pub limits: Limits,
}

/// What a worker's vote is worth, and so an acknowledged write: from the worker's live settings, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Kept in memory: lost when all members stop.
    #[default]
    Memory = 0,
    /// Logged, and synced a moment later: the last moments are lost when all members crash at once.
    Logged = 1,
    /// Logged and synced before the vote.
    LoggedAndSynced = 2,
}

/// The workers that a coordinator was told of, and what each said of the worth of its votes when it was connected to last, by
/// the address that was dialled; shared by the connections, which learn it, and whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Met {
    named: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<BTreeMap<String, (NodeId, Durability)>>>,
}

/// The cluster that a worker is bound to, and whether a person has given up a part of what it held: shared by the driver, which
/// learns it, and the handshakes, which tell it.
#[derive(Clone, Debug, Default)]
pub struct Bound(Arc<Mutex<(Option<ClusterId>, bool)>>);

/// Bounds on what peers may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a handshake may take, the connecting included.
    pub handshake: Duration,
    /// Connections that may be in their handshake at once; further ones are closed.
    pub handshakes_max: usize,
    /// Connections that others may hold to this node at once.
    pub connections_max: usize,
    /// A heartbeat is sent when nothing else was for so long.
    pub heartbeat: Duration,
    /// A connection on which nothing came for so long is taken for dead.
    pub silence: Duration,
    /// Bytes that may wait for one peer in each lane; beyond that its connection is closed. What the nodes have under way is bounded
    /// well below, so that only a fault comes to it.
    pub send_queue_bytes_max: usize,
    /// The shortest wait before a dead connection is made again.
    pub reconnect_min: Duration,
    /// The longest.
    pub reconnect_max: Duration,
}

/// What the other end of a connection can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It doesn't know the cluster's secret, or sent back our own proof.
    Secret,
    /// It doesn't speak the protocol of the cluster at all.
    Protocol,
    /// It speaks another version of it.
    Version,
    /// It has this very node's identity.
    Myself,
    /// It did not finish the handshake in time.
    HandshakeTimeout,
    /// There are as many connections as may be.
    Crowded,
    /// A frame is longer than allowed.
    FrameTooLong,
    /// A frame's checksum doesn't match.
    Checksum,
    /// A frame's content is no sequence of messages.
    Undecodable,
    /// The connection ended in the middle of a frame or handshake.
    Truncated,
    /// Nothing came for too long.
    Silent,
    /// It is the node that is connected at another address already.
    Twice,
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this node.
    In = 0,
    /// From this node.
    Out = 1,
}

impl Endpoint {
    /// A worker's: listens, and tells which cluster it is bound to.
    #[must_use]
    pub fn worker(node: NodeId, cluster: Option<ClusterId>, listener: TcpListener, secret: Option<Secret>) -> Self {
        let bound = Bound::default();
        bound.set(cluster);
        Endpoint {
            node,
            role: Role::Worker,
            bound,
            secret,
            listener: Some(listener),
            dial: Vec::new(),
            durability: Durability::default(),
            met: Met::default(),
            neighbours: Neighbours::default(),
            name: None,
            limits: Limits::default(),
        }
    }

    /// The same, of a worker whose votes are worth this.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Endpoint { durability, ..self }
    }

    /// The same, of a worker of whose records a person has given up a part, or not.
    #[must_use]
    pub fn with_salvaged(self, salvaged: bool) -> Self {
        self.bound.set_salvaged(salvaged);
        self
    }

    /// The same, among these nodes of the same process, which meet it under this name if it has one.
    #[must_use]
    pub fn among(self, neighbours: Neighbours, name: Option<String>) -> Self {
        Endpoint { neighbours, name, ..self }
    }

    /// A coordinator's: dials these workers, and again whenever a connection is lost.
    #[must_use]
    pub fn coordinator(node: NodeId, workers: Vec<String>, secret: Option<Secret>) -> Self {
        Endpoint {
            node,
            role: Role::Coordinator,
            bound: Bound::default(),
            secret,
            listener: None,
            met: Met::default(),
            dial: workers,
            durability: Durability::default(),
            neighbours: Neighbours::default(),
            name: None,
            limits: Limits::default(),
        }
    }
}

impl Durability {
    /// All kinds.
    pub const ALL: [Durability; 3] = [Durability::Memory, Durability::Logged, Durability::LoggedAndSynced];

    /// Whether the records outlive the process.
    #[must_use]
    pub fn is_logged(self) -> bool {
        self != Durability::Memory
    }

    /// Its name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Logged => "logged",
            Durability::LoggedAndSynced => "logged and synced",
        }
    }
}

impl Met {
    /// The addresses that are dialled, whether anybody was met there or not.
    #[must_use]
    pub fn named(&self) -> Vec<String> {
        self.named.lock().expect("no holder of this lock panics").clone()
    }

    /// From now on these are dialled.
    pub(crate) fn name(&self, addresses: &[String]) {
        *self.named.lock().expect("no holder of this lock panics") = addresses.to_vec();
    }

    /// What this worker said, if it is one of those that were dialled.
    #[must_use]
    pub fn durability(&self, worker: NodeId) -> Option<Durability> {
        let met = self.said.lock().expect("no holder of this lock panics");
        met.values().find(|(node, _)| *node == worker).map(|(_, durability)| *durability)
    }

    /// A worker was connected to at this address.
    pub(crate) fn note(&self, address: &str, worker: NodeId, durability: Durability) {
        self.said.lock().expect("no holder of this lock panics").insert(address.to_owned(), (worker, durability));
    }
}

impl Bound {
    /// The cluster, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<ClusterId> {
        self.0.lock().expect("no holder of this lock panics").0
    }

    /// From now on it is this one.
    pub fn set(&self, cluster: Option<ClusterId>) {
        self.0.lock().expect("no holder of this lock panics").0 = cluster;
    }

    /// Whether a person has given up a part of what it held.
    #[must_use]
    pub fn is_salvaged(&self) -> bool {
        self.0.lock().expect("no holder of this lock panics").1
    }

    /// From now on it is so, or not any more.
    pub fn set_salvaged(&self, salvaged: bool) {
        self.0.lock().expect("no holder of this lock panics").1 = salvaged;
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(2),
            handshakes_max: 64,
            connections_max: 256,
            heartbeat: Duration::from_millis(500),
            silence: Duration::from_secs(3),
            send_queue_bytes_max: 64 * 1024 * 1024,
            reconnect_min: Duration::from_millis(20),
            reconnect_max: Duration::from_millis(500),
        }
    }
}

impl Fault {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Fault; 12] = [
        Fault::Secret,
        Fault::Protocol,
        Fault::Version,
        Fault::Myself,
        Fault::HandshakeTimeout,
        Fault::Crowded,
        Fault::FrameTooLong,
        Fault::Checksum,
        Fault::Undecodable,
        Fault::Truncated,
        Fault::Silent,
        Fault::Twice,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Fault::Secret => "secret",
            Fault::Protocol => "protocol",
            Fault::Version => "version",
            Fault::Myself => "myself",
            Fault::HandshakeTimeout => "handshake_timeout",
            Fault::Crowded => "crowded",
            Fault::FrameTooLong => "frame_too_long",
            Fault::Checksum => "checksum",
            Fault::Undecodable => "undecodable",
            Fault::Truncated => "truncated",
            Fault::Silent => "silent",
            Fault::Twice => "twice",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Secret => "it does not know the cluster's secret",
            Fault::Protocol => "it does not speak the cluster's protocol",
            Fault::Version => "it speaks another version of the cluster's protocol",
            Fault::Myself => "it has this node's own identity",
            Fault::HandshakeTimeout => "it did not finish the handshake in time",
            Fault::Crowded => "there are too many connections already",
            Fault::FrameTooLong => "a frame is longer than allowed",
            Fault::Checksum => "a frame's checksum does not match",
            Fault::Undecodable => "a frame's content is no sequence of messages",
            Fault::Truncated => "the connection ended in the middle",
            Fault::Silent => "nothing came from it for too long",
            Fault::Twice => "it is a node that is connected at another address already: name each worker once",
        })
    }
}

impl Direction {
    /// Its name in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}
