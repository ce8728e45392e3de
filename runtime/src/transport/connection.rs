//! Connections over TCP: a listener that lets in who proves to belong to the cluster, dialers that connect again and again
//! with a jittered back-off, and the loops that read and write frames on a connection that stands. The end of a connection,
//! however it comes, is told to the driver at once; what a peer did wrong is logged and counted, and ends its own connection
//! only.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use rustix::net::sockopt;
use skein_protocol::id::NodeId;
use skein_protocol::step::{Peer, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::bulk::Parts;
use super::frame::{Decoded, FrameKind, Frames, HEADER_BYTES, decode, frame_header};
use super::handshake::{self, HandshakeError, Hello};
use super::near::{self, Door};
use super::peers::{ConnectionId, Inbound, Outbox, Way};
use super::{Bound, Direction, Durability, Endpoint, Fault, Limits, Met, Neighbours, Secret};
use crate::metrics::NodeMetrics;

/// Bytes that one read asks for at the least.
const READ_BYTES: usize = 64 * 1024;

/// Bytes that the kernel may hold of what is sent, and of what has come.
const SOCKET_BUFFER_BYTES: usize = 512 * 1024;

/// So many silences long the other end may take nothing. A node whose disk is slow reads late, but is alive.
const STALLS_MAX: u32 = 5;

/// A fault is logged again after so long.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// All that a connection of this node needs to know.
struct Context {
    node: NodeId,
    role: Role,
    bound: Bound,
    secret: Option<Secret>,
    durability: Durability,
    met: Met,
    limits: Limits,
    neighbours: Neighbours,
    metrics: NodeMetrics,
    told: Told,
    inbox: mpsc::Sender<Inbound>,
    /// Those that this node has dialled and is connected to.
    dialed: Mutex<HashSet<NodeId>>,
    /// What comes from nodes of this process.
    near_inbox: mpsc::UnboundedSender<Inbound>,
}

/// Faults that were logged. Whoever can connect can commit one as often as they like, and must not fill the log by it.
#[derive(Default)]
struct Told(Mutex<[Option<(Instant, u64)>; Fault::ALL.len()]>);

impl Told {
    /// How many of this fault were left out since it was logged last; `None` if this one is to be left out as well.
    fn tell(&self, fault: Fault, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().expect("no holder of this lock panics");
        match &mut told[fault as usize] {
            Some((last, left_out)) if now.duration_since(*last) < TELL_AFTER => {
                *left_out += 1;
                None
            }
            before => before.replace((now, 0)).map_or(Some(0), |(_, left_out)| Some(left_out)),
        }
    }
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The other end closed it between two frames.
    Closed,
    /// This node's driver wants it closed, or is gone.
    Dropped,
    /// The other end did something wrong.
    Fault(Fault),
    /// The network failed.
    Io(std::io::Error),
}

/// The connections of a node, with those who make them.
pub(crate) struct Network {
    context: Arc<Context>,
    tasks: JoinSet<()>,
    /// Whom to connect to, and who does it.
    dialed: HashMap<String, AbortHandle>,
}

/// Listens and dials as the endpoint says, until the network is dropped.
pub(crate) fn start(
    endpoint: Endpoint,
    metrics: NodeMetrics,
    inbox: mpsc::Sender<Inbound>,
    near_inbox: mpsc::UnboundedSender<Inbound>,
) -> Network {
    let Endpoint { node, role, bound, secret, listener, dial, durability, met, neighbours, name, limits } = endpoint;
    let context = Arc::new(Context {
        node,
        role,
        bound,
        secret,
        durability,
        met,
        limits,
        neighbours,
        metrics,
        told: Told::default(),
        dialed: Mutex::default(),
        inbox,
        near_inbox,
    });
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        if let Some(name) = name.or_else(|| Some(listener.local_addr().ok()?.to_string())) {
            context.neighbours.enter(name, context.door());
        }
        tasks.spawn(accept(listener, context.clone()));
    }
    let mut network = Network { context, tasks, dialed: HashMap::new() };
    network.dial_only(&dial);
    network
}

impl Network {
    /// Connects to these and to no others. A connection to somebody who is not among them ends without a word.
    pub(crate) fn dial_only(&mut self, addresses: &[String]) {
        self.dialed.retain(|address, dialer| {
            let stays = addresses.contains(address);
            if !stays {
                dialer.abort();
            }
            stays
        });
        for address in addresses {
            if !self.dialed.contains_key(address) {
                let dialer = self.tasks.spawn(keep_dialing(address.clone(), self.context.clone()));
                self.dialed.insert(address.clone(), dialer);
            }
        }
        self.context.met.name(addresses);
    }

    /// Ends all connections.
    pub(crate) async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Lets connections in, each in a task of its own.
async fn accept(listener: TcpListener, context: Arc<Context>) {
    let handshakes = Arc::new(Semaphore::new(context.limits.handshakes_max));
    let connections = Arc::new(Semaphore::new(context.limits.connections_max));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(node.name = context.metrics.name(), %error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let permits = (handshakes.clone().try_acquire_owned(), connections.clone().try_acquire_owned());
        let (Ok(handshake_permit), Ok(connection_permit)) = permits else {
            context.fault(&from.to_string(), Fault::Crowded);
            continue;
        };
        let context = context.clone();
        tasks.spawn(async move {
            let _connection_permit = connection_permit;
            let from = from.to_string();
            match context.shake_hands(stream, false).await {
                Ok((stream, hello)) => {
                    drop(handshake_permit);
                    context.run(stream, hello, String::new(), &from).await;
                }
                Err(HandshakeError::Fault(fault)) => context.fault(&from, fault),
                Err(error) => debug!(node.name = context.metrics.name(), peer.address = from, %error, "handshake failed"),
            }
        });
    }
}

/// Connects, and again whenever the connection is lost.
async fn keep_dialing(address: String, context: Arc<Context>) {
    let reconnects = context.metrics.reconnects(&address);
    let mut back_off = context.limits.reconnect_min;
    let mut connected_before = false;
    let mut told = String::new();
    loop {
        if let Some(door) = context.neighbours.find(&address) {
            // Found under two names, it is met under the first.
            if let Some(_sole) = context.sole_connection(door.node) {
                if std::mem::replace(&mut connected_before, true) {
                    reconnects.inc();
                }
                context.met.note(&address, door.node, door.durability);
                info!(node.name = context.metrics.name(), peer.id = %door.node, peer.address = address, "connected in this process");
                near::meet(context.door(), door, address.clone()).await;
                info!(node.name = context.metrics.name(), peer.address = address, "connection in this process closed");
            }
            sleep(back_off.mul_f64(rand::random_range(0.5..1.0))).await;
            continue;
        }
        let attempt = async {
            if !address.contains(':') {
                return Err(HandshakeError::NotHere);
            }
            let stream = TcpStream::connect(&address).await.map_err(HandshakeError::Io)?;
            context.shake_hands(stream, true).await
        };
        let within = timeout(context.limits.handshake, attempt).await;
        let met = within.unwrap_or(Err(HandshakeError::Fault(Fault::HandshakeTimeout)));
        // Two addresses of one node would throw each other's connection out without end.
        let met = met.and_then(|(stream, hello)| {
            let sole = context.sole_connection(hello.node).ok_or(HandshakeError::Fault(Fault::Twice))?;
            Ok((stream, hello, sole))
        });
        match met {
            Ok((stream, hello, _sole)) => {
                if std::mem::replace(&mut connected_before, true) {
                    reconnects.inc();
                }
                back_off = context.limits.reconnect_min;
                told.clear();
                context.met.note(&address, hello.node, hello.durability);
                context.run(stream, hello, address.clone(), &address).await;
            }
            Err(error) => {
                if let HandshakeError::Fault(fault) = &error {
                    context.metrics.fault(*fault);
                }
                // A peer that is down is tried twice a second; that is said once for each new reason.
                let reason = error.to_string();
                if told != reason {
                    warn!(node.name = context.metrics.name(), peer.address = address, %error, "cannot connect; will try on");
                    told = reason;
                }
            }
        }
        sleep(back_off.mul_f64(rand::random_range(0.5..1.0))).await;
        back_off = (back_off * 2).min(context.limits.reconnect_max);
    }
}

/// Says that a node is connected at an address, for as long as this is kept.
struct SoleConnection<'a> {
    context: &'a Context,
    node: NodeId,
}

impl Drop for SoleConnection<'_> {
    fn drop(&mut self) {
        self.context.dialed().remove(&self.node);
    }
}

impl Context {
    fn dialed(&self) -> MutexGuard<'_, HashSet<NodeId>> {
        self.dialed.lock().expect("no holder of this lock panics")
    }

    /// The right to be connected to this node by one address; none while it is connected by another.
    fn sole_connection(&self, node: NodeId) -> Option<SoleConnection<'_>> {
        self.dialed().insert(node).then(|| SoleConnection { context: self, node })
    }

    /// This node, for those of the same process.
    fn door(&self) -> Door {
        let (bound, inbox) = (self.bound.clone(), self.near_inbox.clone());
        Door { node: self.node, role: self.role, bound, durability: self.durability, inbox }
    }

    async fn shake_hands(&self, mut stream: TcpStream, dialed: bool) -> Result<(TcpStream, Hello), HandshakeError> {
        stream.set_nodelay(true).map_err(HandshakeError::Io)?;
        // What the kernel holds already nothing can overtake.
        let _best_effort = sockopt::set_socket_send_buffer_size(&stream, SOCKET_BUFFER_BYTES);
        let _best_effort = sockopt::set_socket_recv_buffer_size(&stream, SOCKET_BUFFER_BYTES);
        let ours = Hello::new(self.role, self.node, self.bound.get())
            .with_durability(self.durability)
            .with_salvaged(self.bound.is_salvaged());
        let secret = self.secret.as_ref();
        let shake = async {
            if dialed {
                // The other end would take the new connection for the one that counts, and close the old.
                let twice = |node| self.dialed().contains(&node).then_some(Fault::Twice);
                handshake::dial_unless(&mut stream, &ours, secret, twice).await
            } else {
                handshake::listen(&mut stream, &ours, secret).await
            }
        };
        let shaken = timeout(self.limits.handshake, shake).await;
        let hello = shaken.unwrap_or(Err(HandshakeError::Fault(Fault::HandshakeTimeout)))?;
        Ok((stream, hello))
    }

    /// Reads and writes until one of it ends, and tells the driver of the beginning and the end.
    async fn run(&self, mut stream: TcpStream, hello: Hello, address: String, named: &str) {
        let connection = ConnectionId::next();
        let outbox = Outbox::new(self.limits.send_queue_bytes_max);
        let Hello { node, role, cluster, durability, salvaged, .. } = hello;
        let peer = Peer { node, role, address, cluster, logged: durability.is_logged(), salvaged };
        let opened = Inbound::Opened { connection, peer, way: Way::Far(outbox.clone()) };
        if self.inbox.send(opened).await.is_err() {
            return;
        }
        let kind = if role == Role::Worker { "worker" } else { "coordinator" };
        info!(node.name = self.metrics.name(), peer.id = %node, peer.role = kind, peer.address = named, "connected");
        let end = {
            let (reader, writer) = stream.split();
            let mut reading = pin!(self.read(reader, connection, node));
            let mut writing = pin!(self.write(writer, &outbox));
            std::future::poll_fn(|cx| match writing.as_mut().poll(cx) {
                std::task::Poll::Ready(end) => std::task::Poll::Ready(end),
                std::task::Poll::Pending => reading.as_mut().poll(cx),
            })
            .await
        };
        drop(stream);
        match end {
            End::Fault(fault) => self.fault(named, fault),
            End::Closed => info!(node.name = self.metrics.name(), peer.id = %node, peer.address = named, "connection closed"),
            End::Dropped => info!(node.name = self.metrics.name(), peer.id = %node, peer.address = named, "connection dropped"),
            End::Io(error) => {
                info!(node.name = self.metrics.name(), peer.id = %node, peer.address = named, %error, "connection lost");
            }
        }
        let _driver_gone = self.inbox.send(Inbound::Closed { connection, node }).await;
    }

    async fn read(&self, mut socket: ReadHalf<'_>, connection: ConnectionId, from: NodeId) -> End {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        let mut parts = Parts::default();
        loop {
            let needed = loop {
                let (kind, length, messages) = match decode(&buffer) {
                    Ok(Decoded::Incomplete(needed)) => break needed,
                    Err(fault) => return End::Fault(fault),
                    Ok(Decoded::Frame { kind, body }) => match parts.join(kind, body) {
                        Ok(messages) => (kind, HEADER_BYTES + body.len(), messages),
                        Err(fault) => return End::Fault(fault),
                    },
                };
                buffer.advance(length);
                self.metrics.frame(Direction::In, kind, length);
                self.metrics.messages(Direction::In, messages.len());
                if !messages.is_empty() {
                    let inbound = Inbound::Messages { connection, from, messages };
                    if self.inbox.send(inbound).await.is_err() {
                        return End::Dropped;
                    }
                }
            };
            // A header announces up to a whole frame; memory is taken for what has come, and at the most as much again.
            buffer.reserve((needed - buffer.len()).min(buffer.len()).max(READ_BYTES));
            match timeout(self.limits.silence, socket.read_buf(&mut buffer)).await {
                Ok(Ok(0)) if buffer.is_empty() => return End::Closed,
                Ok(Ok(0)) => return End::Fault(Fault::Truncated),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return End::Io(error),
                Err(_) => return End::Fault(Fault::Silent),
            }
        }
    }

    /// Writes what goes first, then one part of the rest, and so on.
    async fn write(&self, mut socket: WriteHalf<'_>, outbox: &Outbox) -> End {
        let (mut frames, mut part) = (Frames::default(), Vec::new());
        let heartbeat = frame_header(FrameKind::Heartbeat, &[]);
        loop {
            let (wanted, left) = outbox.take(&mut frames, &mut part);
            if !wanted {
                return End::Dropped;
            }
            if frames.is_empty() && left.is_none() {
                if timeout(self.limits.heartbeat, outbox.ready()).await.is_err() {
                    if let Err(end) = self.write_bytes(&mut socket, &heartbeat, outbox).await {
                        return end;
                    }
                    self.metrics.frame(Direction::Out, FrameKind::Heartbeat, heartbeat.len());
                }
                // Whatever else is ready runs first: it may have more to send, which then goes in the same frame.
                tokio::task::yield_now().await;
                continue;
            }
            frames.seal();
            for bytes in [frames.bytes(), &part] {
                if let Err(end) = self.write_bytes(&mut socket, bytes, outbox).await {
                    return end;
                }
            }
            self.metrics.frames(Direction::Out, frames.frames(), frames.bytes().len());
            if left.is_some() {
                self.metrics.frame(Direction::Out, FrameKind::Part, part.len());
            }
            self.metrics.messages(Direction::Out, frames.messages() + left.unwrap_or(0));
            frames.clear();
            part.clear();
        }
    }

    /// Writes all of it, as long as the other end goes on taking some and the connection is wanted.
    async fn write_bytes(&self, socket: &mut WriteHalf<'_>, mut bytes: &[u8], outbox: &Outbox) -> Result<(), End> {
        let mut stalls = 0;
        while !bytes.is_empty() {
            match timeout(self.limits.silence, socket.write(bytes)).await {
                Ok(Ok(0)) => return Err(End::Closed),
                Ok(Ok(written)) => (bytes, stalls) = (&bytes[written..], 0),
                Ok(Err(error)) => return Err(End::Io(error)),
                Err(_) => stalls += 1,
            }
            if !bytes.is_empty() && outbox.is_closed() {
                return Err(End::Dropped);
            }
            if stalls == STALLS_MAX {
                let what = "it takes nothing of what is sent to it";
                return Err(End::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what)));
            }
        }
        Ok(())
    }

    /// Counts what somebody did wrong, and logs it unless the same was logged within the last second.
    fn fault(&self, peer: &str, fault: Fault) {
        self.metrics.fault(fault);
        let Some(left_out) = self.told.tell(fault, Instant::now()) else { return };
        warn!(
            node.name = self.metrics.name(),
            peer.address = peer,
            fault = fault.label(),
            left_out,
            "connection to {peer} closed: {fault}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_told_once_a_second_with_the_number_left_out() {
        let (told, start) = (Told::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(told.tell(Fault::Secret, at(0)), Some(0));
        assert_eq!(told.tell(Fault::Secret, at(1)), None);
        assert_eq!(told.tell(Fault::Checksum, at(2)), Some(0));
        assert_eq!(told.tell(Fault::Secret, at(999)), None);
        assert_eq!(told.tell(Fault::Secret, at(1_000)), Some(2));
        assert_eq!(told.tell(Fault::Secret, at(1_001)), None);
        assert_eq!(told.tell(Fault::Secret, at(9_000)), Some(1));
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_given_up() {
        let registry = prometheus::Registry::new();
        let metrics = crate::metrics::RuntimeMetrics::register(&registry, "0", "0").unwrap().node("n");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_deaf, _) = listener.accept().await.unwrap();
        let (inbox, _inbound) = mpsc::channel(1);
        let (near_inbox, _near_inbound) = mpsc::unbounded_channel();
        let limits = Limits { silence: Duration::from_millis(50), ..Limits::default() };
        let context = Context {
            node: NodeId(1),
            role: Role::Worker,
            bound: Bound::default(),
            secret: None,
            durability: Durability::default(),
            met: Met::default(),
            limits,
            neighbours: Neighbours::default(),
            metrics,
            told: Told::default(),
            dialed: Mutex::default(),
            inbox,
            near_inbox,
        };
        let (_, mut writer) = stream.split();
        let bytes = vec![0; 64 * 1024 * 1024];
        let outbox = Outbox::new(1);
        let within = Duration::from_secs(20);
        let written = timeout(within, context.write_bytes(&mut writer, &bytes, &outbox)).await.unwrap();
        assert!(matches!(&written, Err(End::Io(error)) if error.kind() == std::io::ErrorKind::TimedOut), "{written:?}");
        Way::Far(outbox.clone()).close();
        let written = timeout(within, context.write_bytes(&mut writer, &bytes, &outbox)).await.unwrap();
        assert!(matches!(written, Err(End::Dropped)), "{written:?}");
    }
}
