//! The peers of a node as its driver sees them: who is connected, over which connection, and what waits to be sent. A
//! connection of any kind reports [`Inbound`] to the driver and has a [`Way`] by which messages leave; this file knows
//! nothing of sockets. It keeps the rule that there is one connection per pair: a newer one replaces the older, the
//! machine hears that the peer is gone before it hears that it is back, and what the old one still brings is dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use skein_protocol::id::NodeId;
use skein_protocol::message::{Lane, Message};
use skein_protocol::step::Peer;
use tokio::sync::Notify;

use super::bulk::Bulk;
use super::frame::Frames;
use super::near::Queue;

/// Names one connection, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId(u64);

/// What a connection reports to the driver, in this order: opened, frames, closed.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// It stands, and both ends have proved who they are.
    Opened { connection: ConnectionId, peer: Peer, way: Way },
    /// These messages came in one frame.
    Messages { connection: ConnectionId, from: NodeId, messages: Vec<Message> },
    /// Messages wait here, which a node of this process has sent.
    Queued(Arc<Queue>),
    /// It is gone.
    Closed { connection: ConnectionId, node: NodeId },
}

/// How messages leave over one connection.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// As bytes.
    Far(Arc<Outbox>),
    /// As they are, to a node of this process.
    Near(Arc<Queue>),
}

/// What waits to be sent over one connection: the driver fills it, the connection empties it.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<OutboxState>,
    /// Wakes the connection when there is something to send or it is to close.
    ready: Notify,
    /// Bytes that may wait.
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct OutboxState {
    /// What goes first.
    frames: Frames,
    /// What goes a part at a time, behind it.
    bulk: Bulk,
    closed: bool,
}

/// Why a message could not be queued; the connection must be closed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotQueued {
    #[error("it does not take what is sent to it")]
    Full,
    #[error(transparent)]
    TooLong(#[from] super::frame::MessageTooLong),
}

impl ConnectionId {
    /// One that was never given out before.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Outbox {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Outbox { state: Mutex::default(), ready: Notify::new(), bytes_max })
    }

    fn push(&self, message: &Message) -> Result<(), NotQueued> {
        let mut state = self.lock();
        let lane = message.lane();
        let waiting = match lane {
            Lane::Orders => state.frames.bytes().len(),
            Lane::Bulk => state.bulk.bytes(),
        };
        if waiting > self.bytes_max {
            return Err(NotQueued::Full);
        }
        match lane {
            Lane::Orders => state.frames.push(message)?,
            Lane::Bulk => state.bulk.push(message)?,
        }
        Ok(())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Exchanges what goes first for these empty frames, and appends the next part of the rest to `part`; false if the connection is
    /// to close. Gives the number of messages that have left with the part, if there is one.
    pub(crate) fn take(&self, empty: &mut Frames, part: &mut Vec<u8>) -> (bool, Option<usize>) {
        let mut state = self.lock();
        std::mem::swap(&mut state.frames, empty);
        let messages = state.bulk.take_part(part);
        (!state.closed, messages)
    }

    /// Whether the connection is to close.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Returns once there may be something to take.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OutboxState> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// The peers of one node.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    links: HashMap<NodeId, Link>,
    /// Those that have something new in their outbox.
    filled: Vec<NodeId>,
}

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    way: Way,
    /// What goes to a node of this process with the next flush.
    pending: Vec<Message>,
    filled: bool,
}

impl Way {
    pub(crate) fn close(&self) {
        match self {
            Way::Far(outbox) => outbox.close(),
            Way::Near(queue) => queue.close(),
        }
    }
}

impl Peers {
    /// Takes a new connection up. True if it replaces one: then the peer must be reported gone first.
    pub(crate) fn opened(&mut self, connection: ConnectionId, node: NodeId, way: Way) -> bool {
        match self.links.insert(node, Link { connection, way, pending: Vec::new(), filled: false }) {
            Some(old) => {
                old.way.close();
                true
            }
            None => false,
        }
    }

    /// A connection is gone. True if it was the peer's current one: then the peer must be reported gone.
    pub(crate) fn closed(&mut self, connection: ConnectionId, node: NodeId) -> bool {
        let current = self.is_current(connection, node);
        if current {
            self.links.remove(&node);
        }
        current
    }

    /// Closes the connection to this peer. True if there was one: then the peer must be reported gone.
    pub(crate) fn disconnect(&mut self, node: NodeId) -> bool {
        let link = self.links.remove(&node);
        if let Some(link) = &link {
            link.way.close();
        }
        link.is_some()
    }

    /// Whether what comes over this connection counts.
    pub(crate) fn is_current(&self, connection: ConnectionId, node: NodeId) -> bool {
        self.links.get(&node).is_some_and(|link| link.connection == connection)
    }

    /// Queues a message; it goes out with the next [`flush`](Self::flush). To somebody who is not connected nothing is
    /// sent. On an error the connection has been closed, and the peer must be reported gone.
    pub(crate) fn send(&mut self, to: NodeId, message: Message) -> Result<(), NotQueued> {
        let Some(link) = self.links.get_mut(&to) else { return Ok(()) };
        match &link.way {
            Way::Far(outbox) => {
                if let Err(error) = outbox.push(&message) {
                    outbox.close();
                    self.links.remove(&to);
                    return Err(error);
                }
            }
            Way::Near(_) => link.pending.push(message),
        }
        if !link.filled {
            link.filled = true;
            self.filled.push(to);
        }
        Ok(())
    }

    /// Wakes the connections that have something to send. Tells whose queue was too full for it: their connections have been
    /// closed, and the end of them will be reported as any other.
    pub(crate) fn flush(&mut self, mut overflowed: impl FnMut(NodeId)) {
        for node in self.filled.drain(..) {
            let Some(link) = self.links.get_mut(&node) else { continue };
            link.filled = false;
            match &link.way {
                Way::Far(outbox) => outbox.ready.notify_one(),
                Way::Near(queue) => {
                    if queue.put(&mut link.pending).is_err() {
                        link.pending.clear();
                        queue.close();
                        overflowed(node);
                    }
                }
            }
        }
    }

    /// How many peers are connected.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::id::{Incarnation, ReadId, TxnId, Version, ViewNumber};
    use skein_protocol::message::ReadResult;
    use skein_protocol::operation::{Answer, Key, Row, Shared, TableId};

    use super::super::bulk::PART_BYTES_MAX;
    use super::super::frame::HEADER_BYTES;

    use super::*;

    const NODE: NodeId = NodeId(7);
    const MESSAGE: Message = Message::Activated { view: ViewNumber(1) };

    #[test]
    fn a_newer_connection_replaces_the_older() {
        let mut peers = Peers::default();
        let (first, second) = (ConnectionId::next(), ConnectionId::next());
        let (old, new) = (Outbox::new(100), Outbox::new(100));
        assert!(!peers.opened(first, NODE, Way::Far(old.clone())));
        assert!(peers.opened(second, NODE, Way::Far(new.clone())));
        assert!(!peers.is_current(first, NODE));
        assert!(!peers.closed(first, NODE), "the old connection's end says nothing about the peer");
        peers.send(NODE, MESSAGE).unwrap();
        let mut taken = Frames::default();
        assert!(!old.take(&mut taken, &mut Vec::new()).0, "the old connection is to close");
        assert!(taken.is_empty());
        assert!(new.take(&mut taken, &mut Vec::new()).0);
        assert_eq!(taken.messages(), 1);
        assert!(peers.closed(second, NODE));
        assert_eq!(peers.len(), 0);
    }

    #[test]
    fn a_peer_that_takes_nothing_is_cut_off_at_the_bound() {
        let mut peers = Peers::default();
        let outbox = Outbox::new(100);
        peers.opened(ConnectionId::next(), NODE, Way::Far(outbox.clone()));
        let queued = (0..1_000).take_while(|_| peers.send(NODE, MESSAGE).is_ok()).count();
        assert!((10..1_000).contains(&queued), "{queued} messages were queued");
        assert!(!outbox.take(&mut Frames::default(), &mut Vec::new()).0, "its connection is to close");
        assert_eq!(peers.send(NODE, MESSAGE), Ok(()), "nothing is sent to somebody who is gone");
        assert_eq!(peers.len(), 0);
    }

    #[test]
    fn what_goes_first_waits_for_one_part_of_a_long_answer_and_takes_none_of_its_room() {
        let mut peers = Peers::default();
        let outbox = Outbox::new(1 << 20);
        peers.opened(ConnectionId::next(), NODE, Way::Far(outbox.clone()));
        let value: Shared = vec![7; 1 << 20].into();
        let row = Row {
            key: Key::new(TableId(1), "k"),
            version: Version(1),
            written_by: TxnId { incarnation: Incarnation(1), sequence: 1 },
            value,
        };
        let found = ReadResult::Found(Answer::Rows { rows: vec![row], more: false });
        let answer = Message::Answered { read: ReadId(1), result: found };
        peers.send(NODE, answer.clone()).unwrap();
        let (mut frames, mut part) = (Frames::default(), Vec::new());
        assert_eq!(outbox.take(&mut frames, &mut part), (true, Some(0)));
        assert!(frames.is_empty() && part.len() <= PART_BYTES_MAX + HEADER_BYTES);
        peers.send(NODE, MESSAGE).unwrap();
        outbox.take(&mut frames, &mut Vec::new());
        assert_eq!(frames.messages(), 1, "it goes before the rest of the answer");
        while peers.send(NODE, answer.clone()).is_ok() && peers.len() > 0 {}
        assert_eq!(peers.len(), 0, "answers have a bound of their own");
    }
}
