//! Connections between nodes of one process: the same contract as over TCP, without bytes. What a driver sends in one batch
//! is handed over as it is, in one queue per direction, and the other driver is woken once; values stay shared by all
//! replicas of the process. A node is found here under its name or else the address that it listens on, so that the one that
//! dials it needs not know where it runs, and falls back on TCP when it is not here.
//!
//! The queues' keeper is the task that dialled. When it ends, or either driver wants the connection closed or is gone, both
//! drivers hear so; what was not taken by then is lost with the connection, as on any other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use skein_protocol::id::NodeId;
use skein_protocol::message::Message;
use skein_protocol::step::{Peer, Role};
use tokio::sync::{Notify, mpsc};

use super::peers::{ConnectionId, Inbound, NotQueued, Way};
use super::{Bound, Durability};

/// Messages that may wait for one peer; beyond that its connection is closed. What a coordinator may have under way at once
/// is a fraction of it.
const MESSAGES_WAITING_MAX: usize = 256 * 1024;

/// The nodes of one process that can be met without a socket, by their names or the addresses that they listen on. Clones share it.
#[derive(Clone, Default)]
pub struct Neighbours(Arc<Mutex<BTreeMap<String, Door>>>);

/// A node of this process, as whoever meets it sees it.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) node: NodeId,
    pub(crate) role: Role,
    pub(crate) bound: Bound,
    pub(crate) durability: Durability,
    /// What its driver reads. It holds at most three things for each connection: opened, something waits, closed.
    pub(crate) inbox: mpsc::UnboundedSender<Inbound>,
}

/// One direction of a connection: what one driver has sent and the other has not taken yet.
#[derive(Debug)]
pub(crate) struct Queue {
    connection: ConnectionId,
    from: NodeId,
    state: Mutex<State>,
    inbox: mpsc::UnboundedSender<Inbound>,
    /// Wakes the connection's keeper when it is to close.
    close: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    closed: bool,
}

impl Neighbours {
    /// The node that has this name or listens on this address, if it runs in this process.
    pub(crate) fn find(&self, address: &str) -> Option<Door> {
        let door = self.0.lock().expect("no holder of this lock panics").get(address).cloned();
        door.filter(|door| !door.inbox.is_closed())
    }

    /// A node has this name or listens on this address.
    pub(crate) fn enter(&self, address: String, door: Door) {
        self.0.lock().expect("no holder of this lock panics").insert(address, door);
    }
}

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.lock().expect("no holder of this lock panics").keys()).finish()
    }
}

impl Queue {
    /// From whom the messages are, and over which connection.
    pub(crate) fn origin(&self) -> (ConnectionId, NodeId) {
        (self.connection, self.from)
    }

    /// Hands these messages over, which leaves the vector empty. On an error the connection is to be closed.
    pub(crate) fn put(self: &Arc<Self>, messages: &mut Vec<Message>) -> Result<(), NotQueued> {
        let mut state = self.lock();
        if state.closed {
            messages.clear();
            return Ok(());
        }
        if state.messages.len() + messages.len() > MESSAGES_WAITING_MAX {
            return Err(NotQueued::Full);
        }
        let slept = state.messages.is_empty();
        if slept {
            std::mem::swap(&mut state.messages, messages);
        } else {
            state.messages.append(messages);
        }
        drop(state);
        if slept {
            // A driver that is gone has its connections closed by their keepers.
            let _driver_gone = self.inbox.send(Inbound::Queued(Arc::clone(self)));
        }
        Ok(())
    }

    /// Takes all that waits.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.lock().messages)
    }

    /// Has the connection closed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.close.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

/// Closes a connection for both ends, however its keeper ends.
struct Keeper([Arc<Queue>; 2]);

impl Drop for Keeper {
    fn drop(&mut self) {
        for queue in &self.0 {
            queue.lock().closed = true;
            let closed = Inbound::Closed { connection: queue.connection, node: queue.from };
            let _driver_gone = queue.inbox.send(closed);
        }
    }
}

/// Connects two nodes of this process and returns when the connection is closed. `address` is where the second was found.
pub(crate) async fn meet(ours: Door, theirs: Door, address: String) {
    let connection = ConnectionId::next();
    let close = Arc::new(Notify::new());
    let queue = |from: &Door, to: &Door| {
        let (state, inbox, close) = (Mutex::default(), to.inbox.clone(), Arc::clone(&close));
        Arc::new(Queue { connection, from: from.node, state, inbox, close })
    };
    let (there, here) = (queue(&ours, &theirs), queue(&theirs, &ours));
    let keeper = Keeper([Arc::clone(&there), Arc::clone(&here)]);
    let opened = |door: &Door, address, queue: &Arc<Queue>| {
        let peer = Peer {
            node: door.node,
            role: door.role,
            address,
            cluster: door.bound.get(),
            logged: door.durability.is_logged(),
            salvaged: door.bound.is_salvaged(),
        };
        Inbound::Opened { connection, peer, way: Way::Near(Arc::clone(queue)) }
    };
    {
        // Held until both have been told, so that neither's first message arrives before the other knows the connection.
        let _held = (there.lock(), here.lock());
        let _driver_gone = ours.inbox.send(opened(&theirs, address, &there));
        let _driver_gone = theirs.inbox.send(opened(&ours, String::new(), &here));
    }
    tokio::select! {
        () = close.notified() => {}
        () = theirs.inbox.closed() => {}
    }
    drop(keeper);
}

#[cfg(test)]
mod tests {
    use skein_protocol::id::ViewNumber;

    use super::*;

    fn message(number: u64) -> Message {
        Message::Activated { view: ViewNumber(number) }
    }

    fn door(node: u128, role: Role) -> (Door, mpsc::UnboundedReceiver<Inbound>) {
        let (inbox, inbound) = mpsc::unbounded_channel();
        (Door { node: NodeId(node), role, bound: Bound::default(), durability: Durability::Memory, inbox }, inbound)
    }

    async fn opened(inbound: &mut mpsc::UnboundedReceiver<Inbound>) -> (Peer, Arc<Queue>) {
        match inbound.recv().await {
            Some(Inbound::Opened { peer, way: Way::Near(queue), .. }) => (peer, queue),
            other => panic!("not opened but {other:?}"),
        }
    }

    async fn queued(inbound: &mut mpsc::UnboundedReceiver<Inbound>) -> (NodeId, Vec<Message>) {
        match inbound.recv().await {
            Some(Inbound::Queued(queue)) => (queue.origin().1, queue.take()),
            other => panic!("nothing queued but {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_batch_wakes_the_other_end_once_and_comes_in_order() {
        let ((one, mut one_inbound), (two, mut two_inbound)) = (door(1, Role::Coordinator), door(2, Role::Worker));
        let keeper = tokio::spawn(meet(one, two, "w:1".into()));
        let (peer, to_two) = opened(&mut one_inbound).await;
        assert_eq!((peer.node, peer.role, peer.address.as_str()), (NodeId(2), Role::Worker, "w:1"));
        let (peer, to_one) = opened(&mut two_inbound).await;
        assert_eq!((peer.node, peer.role, peer.address.as_str()), (NodeId(1), Role::Coordinator, ""));

        to_two.put(&mut vec![message(1), message(2)]).unwrap();
        to_two.put(&mut vec![message(3)]).unwrap();
        to_one.put(&mut vec![message(4)]).unwrap();
        assert_eq!(queued(&mut two_inbound).await, (NodeId(1), vec![message(1), message(2), message(3)]));
        assert_eq!(queued(&mut one_inbound).await, (NodeId(2), vec![message(4)]));
        assert!(two_inbound.is_empty(), "it was woken once");

        to_one.close();
        keeper.await.unwrap();
        assert!(matches!(one_inbound.recv().await, Some(Inbound::Closed { node: NodeId(2), .. })));
        assert!(matches!(two_inbound.recv().await, Some(Inbound::Closed { node: NodeId(1), .. })));
        to_two.put(&mut vec![message(5)]).unwrap();
        assert!(two_inbound.is_empty(), "nothing comes after the end");
    }

    #[tokio::test]
    async fn the_end_of_either_driver_or_of_the_keeper_closes_it() {
        let ((one, mut one_inbound), (two, two_inbound)) = (door(1, Role::Coordinator), door(2, Role::Worker));
        let keeper = tokio::spawn(meet(one.clone(), two, "w".into()));
        opened(&mut one_inbound).await;
        drop(two_inbound);
        keeper.await.unwrap();
        assert!(matches!(one_inbound.recv().await, Some(Inbound::Closed { .. })));

        let (two, mut two_inbound) = door(2, Role::Worker);
        let keeper = tokio::spawn(meet(one, two, "w".into()));
        opened(&mut two_inbound).await;
        keeper.abort();
        assert!(matches!(two_inbound.recv().await, Some(Inbound::Closed { .. })));
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up_at_the_bound() {
        let ((one, mut one_inbound), (two, _two_inbound)) = (door(1, Role::Coordinator), door(2, Role::Worker));
        let _keeper = tokio::spawn(meet(one, two, "w".into()));
        let (_, to_two) = opened(&mut one_inbound).await;
        to_two.put(&mut (0..MESSAGES_WAITING_MAX as u64).map(message).collect()).unwrap();
        assert_eq!(to_two.put(&mut vec![message(0)]), Err(NotQueued::Full));
    }

    #[test]
    fn a_node_that_is_gone_is_no_neighbour() {
        let neighbours = Neighbours::default();
        let (door, inbound) = door(1, Role::Worker);
        neighbours.enter("w".into(), door);
        assert!(neighbours.find("w").is_some() && neighbours.find("v").is_none());
        drop(inbound);
        assert!(neighbours.find("w").is_none());
    }
}
