//! A cluster in this process, and clients of it. The workers are the protocol's machines with the runtime's driver; the
//! coordinator is all of [`skein_coordinator::run`]. Everything ends when the cluster is dropped.

mod client;
pub mod surface;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use skein_coordinator::Instruments;
use skein_coordinator::config::membership::MembershipConfig;
use skein_coordinator::config::{Auth, CoordinatorConfig, SurfaceConfig};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_runtime::driver::{self, Parts, Running};
use skein_runtime::metrics::RuntimeMetrics;
use skein_runtime::shutdown::{self, Trigger};
use skein_runtime::transport::{Endpoint, Secret};
use skein_runtime::wal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use client::{Answer, Client};

/// How long a test waits for a condition.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Three workers unless told, and a coordinator.
pub struct Cluster {
    pub address: SocketAddr,
    workers: Vec<Option<Running>>,
    pub addresses: Vec<String>,
    surface: SurfaceConfig,
    pub membership: MembershipConfig,
    pub operator_secret: Option<Secret>,
    data: Option<PathBuf>,
    coordinator: Option<(Trigger, JoinHandle<anyhow::Result<()>>)>,
}

impl Cluster {
    /// A cluster in which people log in by name.
    pub async fn start() -> Self {
        Cluster::with(SurfaceConfig::new(Auth::Name)).await
    }

    /// A cluster with these settings.
    pub async fn with(surface: SurfaceConfig) -> Self {
        Cluster::on(surface, None).await
    }

    /// A cluster with these settings whose coordinator keeps the view in this directory.
    pub async fn on(surface: SurfaceConfig, data: Option<PathBuf>) -> Self {
        Cluster::of(surface, data, None).await
    }

    /// A cluster whose operators must know this secret.
    pub async fn kept_by(surface: SurfaceConfig, secret: &str) -> Self {
        Cluster::of(surface, None, Some(Secret::parse(secret).unwrap())).await
    }

    async fn of(surface: SurfaceConfig, data: Option<PathBuf>, secret: Option<Secret>) -> Self {
        let mut workers = Vec::new();
        let mut addresses = Vec::new();
        for number in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap().to_string());
            workers.push(Some(worker(number, listener)));
        }
        let address = "127.0.0.1:0".parse().unwrap();
        let membership = MembershipConfig::default();
        let mut cluster =
            Cluster { address, workers, addresses, surface, membership, operator_secret: secret, data, coordinator: None };
        cluster.start_coordinator().await;
        cluster
    }

    /// Starts the coordinator and waits until it is ready.
    pub async fn start_coordinator(&mut self) {
        let (ready, is_ready) = oneshot::channel();
        let running = self.spawn_coordinator(move || ready.send(()).unwrap()).await;
        tokio::time::timeout(PATIENCE, is_ready).await.expect("ready in time").expect("ready at all");
        self.coordinator = Some(running);
    }

    async fn spawn_coordinator(&mut self, ready: impl FnOnce() + Send + 'static) -> (Trigger, JoinHandle<anyhow::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address = listener.local_addr().unwrap();
        let config = CoordinatorConfig {
            http: self.address,
            workers: self.addresses.clone(),
            secret: None,
            operator_secret: self.operator_secret.clone(),
            data: self.data.clone(),
            neighbours: skein_runtime::transport::Neighbours::default(),
            membership: self.membership,
            surface: self.surface.clone(),
        };
        let registry = Registry::new();
        let runtime = RuntimeMetrics::register(&registry, "test", "none").unwrap();
        let (trigger, shutdown) = shutdown::channel();
        let run = skein_coordinator::run(config, listener, Instruments { registry, runtime }, shutdown, ready);
        (trigger, tokio::spawn(run))
    }

    /// Runs a coordinator that can't go on, to its end.
    pub async fn run_coordinator(&mut self) -> anyhow::Result<()> {
        let (_trigger, task) = self.spawn_coordinator(|| panic!("it became ready")).await;
        tokio::time::timeout(PATIENCE, task).await.expect("it ends in time").unwrap()
    }

    /// Ends the coordinator in order and says how it ended.
    pub async fn stop_coordinator(&mut self) -> anyhow::Result<()> {
        let (trigger, task) = self.coordinator.take().unwrap();
        trigger.start();
        tokio::time::timeout(PATIENCE, task).await.expect("it ends in time").unwrap()
    }

    /// Starts one more worker, of which the settings do not know, and gives its address.
    pub async fn start_worker(&mut self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        self.workers.push(Some(worker(self.workers.len(), listener)));
        address
    }

    /// Kills a worker as a crash would.
    pub async fn kill_worker(&mut self, number: usize) {
        self.workers[number].take().unwrap().kill().await;
    }

    /// A client that is nobody yet.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A client that has logged in by name.
    pub async fn logged_in(&self, name: &str) -> Client {
        let mut client = self.client();
        client.log_in(name).await;
        client
    }
}

fn worker(number: usize, listener: TcpListener) -> Running {
    let snapshot = wal::memory::empty();
    let network = Endpoint::worker(snapshot.node, snapshot.cluster, listener, None);
    let machine = Worker::recover(WorkerConfig::default(), snapshot);
    let metrics = RuntimeMetrics::register(&Registry::new(), "test", "none").unwrap();
    let metrics = Arc::clone(&metrics);
    let name = format!("worker-{number}");
    driver::spawn(machine, Parts { name, network, log: None, control: None, metrics, invariants: None })
}

/// Sends bytes and reads until the other end closes.
pub async fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    rest(stream).await
}

/// Reads until the other end closes.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end, too.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("the connection is closed in time").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks until the answer is yes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "it did not come true in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
