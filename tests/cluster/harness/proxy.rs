//! A TCP proxy that goes wrong on demand. One stands before each worker's cluster port, so that every connection of the
//! coordinator runs through it; each direction can be delayed, held back as a network that is cut holds back packets, or
//! swallowed, and connections can be reset. It never changes the order of bytes: a direction that has swallowed any forwards
//! nothing more, ever. What was really injected is counted, so that a test can tell a fault that happened from one that did not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Bytes that are read at once, and how many such pieces wait for their time in each direction of a connection; what more there
/// is waits in the sockets.
const PIECE_BYTES: usize = 16 * 1024;
const PIECES_MAX: usize = 512;

/// The proxies have a runtime of their own: a test that blocks or loads its runtime must not slow the network down.
static NETWORK: LazyLock<Runtime> = LazyLock::new(|| {
    let network = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("network").enable_all().build();
    network.expect("a runtime for the network")
});

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They are forwarded.
    #[default]
    Open,
    /// They wait until the direction is open again, as packets are sent again until the network lets them through.
    Held,
    /// They vanish, and so do all later ones of the same connection, open or not: to the sender the connection stands.
    Swallowed,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    pub flow: Flow,
    pub delay: Duration,
}

/// How the proxy behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    pub to_worker: Path,
    pub from_worker: Path,
}

/// What each connection watches.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    weather: Weather,
    /// Counts the cuts: connections that are older than the last one are reset.
    cuts: u64,
}

/// What was injected so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Bytes that were held back until the direction was open again, or that still are.
    pub bytes_held: u64,
    pub bytes_swallowed: u64,
    /// Bytes that came later than they would have.
    pub bytes_delayed: u64,
    /// Connections that were reset.
    pub connections_cut: u64,
    /// Connections that were taken while no new one could come about.
    pub connections_stalled: u64,
    /// Connections that got through.
    pub connections_made: u64,
}

#[derive(Default)]
struct Counts {
    held: AtomicU64,
    swallowed: AtomicU64,
    delayed: AtomicU64,
    cut: AtomicU64,
    stalled: AtomicU64,
    made: AtomicU64,
}

/// A proxy before one worker. It listens at one address or at several.
pub struct Proxy {
    worker: SocketAddr,
    doors: Vec<Door>,
    orders: watch::Sender<Orders>,
    counts: Arc<Counts>,
}

/// Where it listens, and what takes connections there.
struct Door {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Weather {
    /// Nothing gets through in either direction until it is over; then everything does.
    pub fn partition() -> Self {
        Weather { to_worker: Path::held(), from_worker: Path::held() }
    }

    /// The worker hears nothing, and can be heard.
    pub fn deaf() -> Self {
        Weather { to_worker: Path::held(), ..Weather::default() }
    }

    /// The worker hears all, and can't be heard.
    pub fn mute() -> Self {
        Weather { from_worker: Path::held(), ..Weather::default() }
    }

    /// Connections stand and are dead, for good; new ones are taken, and dead as well while it lasts.
    pub fn half_open() -> Self {
        let swallowed = Path { flow: Flow::Swallowed, ..Path::default() };
        Weather { to_worker: swallowed, from_worker: swallowed }
    }

    /// Everything takes this much longer, in each direction.
    pub fn slow(delay: Duration) -> Self {
        let slow = Path { delay, ..Path::default() };
        Weather { to_worker: slow, from_worker: slow }
    }

    fn lets_connect(&self) -> bool {
        self.to_worker.flow == Flow::Open && self.from_worker.flow == Flow::Open
    }
}

impl Path {
    fn held() -> Self {
        Path { flow: Flow::Held, ..Path::default() }
    }
}

impl Proxy {
    /// A proxy on this port of loopback, before the worker at this address.
    pub fn start(port: u16, worker: SocketAddr) -> Self {
        let mut proxy = Proxy { worker, doors: Vec::new(), orders: watch::Sender::default(), counts: Arc::default() };
        proxy.open((Ipv4Addr::LOCALHOST, port).into());
        proxy
    }

    /// Listens at one more address of loopback.
    pub fn open(&mut self, address: SocketAddr) {
        let listener = std::net::TcpListener::bind(address).expect("the port is free");
        listener.set_nonblocking(true).expect("a socket of ours");
        let address = listener.local_addr().expect("it is bound");
        let (worker, seen, counts) = (self.worker, self.orders.subscribe(), Arc::clone(&self.counts));
        let accepting = NETWORK.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a socket of ours");
            accept(listener, worker, seen, counts).await;
        });
        self.doors.push(Door { address, accepting: accepting.abort_handle() });
    }

    /// Listens no longer anywhere but where it began to listen last. Connections stay.
    pub fn close_others(&mut self) {
        let others = self.doors.len() - 1;
        for door in self.doors.drain(..others) {
            door.accepting.abort();
        }
    }

    /// Where it began to listen last.
    pub fn address(&self) -> SocketAddr {
        self.doors.last().expect("it listens somewhere").address
    }

    /// From now on it behaves like this.
    pub fn set(&self, weather: Weather) {
        self.orders.send_modify(|now| now.weather = weather);
    }

    /// From now on all is well; connections that lost bytes stay dead.
    pub fn heal(&self) {
        self.set(Weather::default());
    }

    /// Resets every connection, at both ends.
    pub fn cut(&self) {
        self.orders.send_modify(|now| now.cuts += 1);
    }

    /// What was injected so far.
    pub fn injected(&self) -> Injected {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Injected {
            bytes_held: get(&self.counts.held),
            bytes_swallowed: get(&self.counts.swallowed),
            bytes_delayed: get(&self.counts.delayed),
            connections_cut: get(&self.counts.cut),
            connections_stalled: get(&self.counts.stalled),
            connections_made: get(&self.counts.made),
        }
    }
}

/// Takes connections until the proxy is gone.
async fn accept(listener: TcpListener, worker: SocketAddr, mut orders: watch::Receiver<Orders>, counts: Arc<Counts>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = gone(&mut orders) => return,
        };
        // One that was reset before it was taken is no connection.
        let Ok((near, _)) = accepted else { continue };
        tokio::spawn(serve(near, worker, orders.clone(), Arc::clone(&counts)));
    }
}

/// Returns when the proxy is gone.
async fn gone(orders: &mut watch::Receiver<Orders>) {
    while orders.changed().await.is_ok() {}
}

/// One connection, from its beginning to its end.
async fn serve(mut near: TcpStream, worker: SocketAddr, mut orders: watch::Receiver<Orders>, counts: Arc<Counts>) {
    let cuts = orders.borrow_and_update().cuts;
    if !orders.borrow().weather.lets_connect() {
        counts.stalled.fetch_add(1, Ordering::Relaxed);
    }
    let mut far = None;
    let run = async {
        // Through a network that is cut in one direction no connection comes about. The dialler's end is open all the
        // same, so this stands for a half-open one.
        let mut open = orders.clone();
        open.wait_for(|now| now.weather.lets_connect()).await.ok()?;
        let far = far.insert(TcpStream::connect(worker).await.ok()?);
        near.set_nodelay(true).ok()?;
        far.set_nodelay(true).ok()?;
        counts.made.fetch_add(1, Ordering::Relaxed);
        let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
        let forth = forward(near_in, far_out, orders.clone(), |now| now.to_worker, &counts);
        let back = forward(far_in, near_out, orders.clone(), |now| now.from_worker, &counts);
        tokio::join!(forth, back);
        Some(())
    };
    let mut until_cut = orders.clone();
    let ended = tokio::select! {
        ended = run => ended,
        cut = until_cut.wait_for(|now| now.cuts > cuts) => {
            if cut.is_ok() {
                counts.cut.fetch_add(1, Ordering::Relaxed);
            }
            None
        }
    };
    if ended.is_none() {
        // Both ends hear at once that the connection is gone, or that there is none.
        for stream in [Some(near), far].into_iter().flatten() {
            stream.set_zero_linger().ok();
        }
    }
}

/// Forwards one direction until its sender ends it, or for as long as there is anybody to forward to.
async fn forward(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    orders: watch::Receiver<Orders>,
    path: impl Fn(&Weather) -> Path,
    counts: &Counts,
) {
    let (pieces, waiting) = mpsc::channel(PIECES_MAX);
    let now = orders.clone();
    tokio::join!(take(from, pieces, || path(&now.borrow().weather).delay, counts), give(waiting, to, orders, &path, counts));
}

/// Reads pieces and notes when each is due.
async fn take(mut from: ReadHalf<'_>, pieces: mpsc::Sender<(Instant, Bytes)>, delay: impl Fn() -> Duration, counts: &Counts) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE_BYTES);
        // An end and an error are the same to the other side: nothing more comes.
        let Ok(length @ 1..) = from.read_buf(&mut buffer).await else { return };
        let delay = delay();
        if !delay.is_zero() {
            counts.delayed.fetch_add(length as u64, Ordering::Relaxed);
        }
        if pieces.send((Instant::now() + delay, buffer.split().freeze())).await.is_err() {
            return;
        }
    }
}

/// Writes each piece when it is due and may pass.
async fn give(
    mut pieces: mpsc::Receiver<(Instant, Bytes)>,
    mut to: WriteHalf<'_>,
    mut orders: watch::Receiver<Orders>,
    path: &impl Fn(&Weather) -> Path,
    counts: &Counts,
) {
    let mut swallowing = false;
    while let Some((due, piece)) = pieces.recv().await {
        let length = piece.len() as u64;
        // Exact to a millisecond, so what is due at once must not go this way.
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        if path(&orders.borrow().weather).flow == Flow::Held {
            counts.held.fetch_add(length, Ordering::Relaxed);
        }
        let Some(flow) = passing(&mut orders, path).await else { return };
        swallowing |= flow == Flow::Swallowed;
        if swallowing {
            counts.swallowed.fetch_add(length, Ordering::Relaxed);
        } else if to.write_all(&piece).await.is_err() {
            return;
        }
    }
    // The end of the stream goes the way of its bytes.
    if swallowing || passing(&mut orders, path).await != Some(Flow::Open) {
        // Until the other end gives up, or the connection is cut.
        std::future::pending::<()>().await;
    }
    to.shutdown().await.ok();
}

/// Waits for as long as the direction is held; what it is then, or `None` if the proxy is gone.
async fn passing(orders: &mut watch::Receiver<Orders>, path: &impl Fn(&Weather) -> Path) -> Option<Flow> {
    let now = orders.wait_for(|now| path(&now.weather).flow != Flow::Held).await.ok()?;
    Some(path(&now.weather).flow)
}
