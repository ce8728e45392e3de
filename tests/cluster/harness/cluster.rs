//! A whole cluster of processes: workers and one coordinator, with logs in a directory of the test's own or in memory. Each
//! process keeps its address over restarts, as machines do.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::process::Process;
use super::proxy::Proxy;
use super::stall;
use super::wait::until;

/// The secret of all clusters under test.
pub const SECRET: &str = "a secret for tests only";

/// The ports of processes that are started again lie below those that the system gives to outgoing connections, so that
/// none of these can take a port while its process is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A coordinator may show digests that are this old; whoever wants to know how the replicas are now looks on for longer.
const DIGESTS_KEPT_FOR: Duration = Duration::from_millis(1_100);

/// How long replicas may take until their digests are the same, once nobody writes any more; one may still have to come back and
/// to copy first.
const AGREE_WITHIN: Duration = Duration::from_secs(30);

/// How a cluster is made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: usize,
    pub logged: bool,
    /// Whether the coordinator reaches each worker by way of a proxy.
    pub proxied: bool,
    pub worker_flags: Vec<&'static str>,
    pub coordinator_flags: Vec<&'static str>,
    pub environment: Vec<(&'static str, String)>,
}

/// A running cluster.
pub struct Cluster {
    pub plan: Plan,
    worker_ports: Vec<u16>,
    worker_directories: Vec<PathBuf>,
    /// One before each worker, if the plan says so.
    proxies: Vec<Proxy>,
    /// What the coordinator is told of where its workers are.
    worker_addresses: Vec<String>,
    coordinator_port: u16,
    pub workers: Vec<Option<Process>>,
    pub coordinator: Option<Process>,
    /// Goes after the processes whose logs it holds.
    directory: TempDir,
}

impl Plan {
    /// Three workers and a coordinator, all with logs.
    pub fn logged() -> Self {
        Plan { logged: true, ..Plan::in_memory() }
    }

    /// So many workers and a coordinator, all with logs, and a proxy before each worker.
    pub fn proxied(workers: usize) -> Self {
        Plan { workers, proxied: true, ..Plan::logged() }
    }

    /// Takes nobody for dead because it says nothing for a while: for tests in which that would only be the machine's doing. Who
    /// is killed, or loses its connection, is left out as ever.
    pub fn patient(mut self) -> Self {
        self.coordinator_flags.extend(["--heartbeats-missed", "100"]);
        self
    }

    /// Three workers and a coordinator, all in memory.
    pub fn in_memory() -> Self {
        Plan {
            workers: 3,
            logged: false,
            proxied: false,
            worker_flags: Vec::new(),
            coordinator_flags: vec!["--auth", "name"],
            environment: vec![("SKEIN_CLUSTER_SECRET", SECRET.to_owned())],
        }
    }
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    let start = u16::try_from(std::process::id() % u32::from(span)).expect("within a u16");
    loop {
        let offset = (u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(span);
        let port = PORTS.start + u16::try_from(offset).expect("within a u16");
        // Not by listening there: a process that is just being started by another test has our sockets until it becomes what it
        // is to be, and would keep the port.
        let nobody =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if nobody {
            return port;
        }
    }
}

/// All signals are sent before the first end is waited for.
fn kill_together(processes: &mut [Process]) {
    processes.iter_mut().for_each(Process::kill);
    for process in processes {
        process.kill_and_wait();
    }
}

impl Cluster {
    /// Starts all processes and waits until the coordinator would accept a write.
    pub fn start(plan: Plan) -> Self {
        stall::watch();
        let worker_ports: Vec<u16> = (0..plan.workers).map(|_| free_port()).collect();
        let proxied = worker_ports.iter().filter(|_| plan.proxied);
        let proxies: Vec<Proxy> = proxied.map(|port| Proxy::start(free_port(), (Ipv4Addr::LOCALHOST, *port).into())).collect();
        let seen: Vec<u16> =
            if plan.proxied { proxies.iter().map(|proxy| proxy.address().port()).collect() } else { worker_ports.clone() };
        let directory = tempfile::tempdir().expect("a directory for the test");
        let mut cluster = Cluster {
            worker_addresses: seen.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
            proxies,
            worker_ports,
            coordinator_port: free_port(),
            workers: (0..plan.workers).map(|_| None).collect(),
            coordinator: None,
            worker_directories: (0..plan.workers).map(|index| directory.path().join(format!("worker-{index}"))).collect(),
            directory,
            plan,
        };
        cluster.start_all();
        cluster
    }

    /// Starts every process that is not running and waits until they are ready.
    pub fn start_all(&mut self) {
        self.spawn_all();
        self.workers.iter_mut().flatten().chain(&mut self.coordinator).for_each(Process::await_ready);
    }

    /// Starts the coordinator, if it does not run, and does not wait for it.
    pub fn begin_coordinator(&mut self) {
        if self.coordinator.is_none() {
            self.coordinator = Some(self.spawn_coordinator());
        }
    }

    /// Starts every process that is not running; waits for the workers, which need nobody, and not for the coordinator.
    pub fn spawn_all(&mut self) {
        for index in 0..self.workers.len() {
            if self.workers[index].is_none() {
                self.workers[index] = Some(self.spawn_worker(index, &[]));
            }
        }
        self.begin_coordinator();
        self.workers.iter_mut().flatten().for_each(Process::await_ready);
    }

    fn spawn_worker(&self, index: usize, flags: &[&str]) -> Process {
        let port = self.worker_ports[index].to_string();
        let data = self.worker_directory(index);
        let mut arguments = vec!["worker", &port];
        if self.plan.logged {
            arguments.extend(["--data", data.to_str().expect("a path of ours")]);
        }
        arguments.extend(&self.plan.worker_flags);
        arguments.extend(flags);
        Process::spawn(&format!("worker {index}"), &arguments, &self.environment())
    }

    fn spawn_coordinator(&self) -> Process {
        let port = self.coordinator_port.to_string();
        let data = self.coordinator_directory();
        let mut arguments = vec!["coordinator", &port];
        arguments.extend(self.worker_addresses.iter().map(String::as_str));
        if self.plan.logged {
            arguments.extend(["--data", data.to_str().expect("a path of ours")]);
        }
        arguments.extend(&self.plan.coordinator_flags);
        Process::spawn("coordinator", &arguments, &self.environment())
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.plan.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// Where a worker keeps its log.
    pub fn worker_directory(&self, index: usize) -> PathBuf {
        self.worker_directories[index].clone()
    }

    /// Where a worker keeps its log from its next start on.
    pub fn move_worker(&mut self, index: usize, directory: PathBuf) {
        self.worker_directories[index] = directory;
    }

    /// Where the coordinator keeps its control store.
    pub fn coordinator_directory(&self) -> PathBuf {
        self.directory.path().join("coordinator")
    }

    /// `HOST:PORT` where a worker speaks the cluster's protocol.
    pub fn worker_address(&self, index: usize) -> String {
        format!("127.0.0.1:{}", self.worker_ports[index])
    }

    /// Where the coordinator finds a worker, which is its name in `/api/cluster`.
    pub fn seen_address(&self, index: usize) -> &str {
        &self.worker_addresses[index]
    }

    /// The proxy before a worker.
    pub fn proxy(&self, index: usize) -> &Proxy {
        &self.proxies[index]
    }

    /// The proxy before a worker, to open and close addresses of it.
    pub fn proxy_mut(&mut self, index: usize) -> &mut Proxy {
        &mut self.proxies[index]
    }

    /// Names another worker to the coordinator, from its next start on, in the place of this one.
    pub fn rename_worker(&mut self, index: usize, address: String) {
        self.worker_addresses[index] = address;
    }

    /// Where clients go; the same over restarts.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.coordinator_port)
    }

    /// The coordinator, which must be running.
    pub fn coordinator(&mut self) -> &mut Process {
        self.coordinator.as_mut().expect("the coordinator runs")
    }

    /// A worker, which must be running.
    pub fn worker(&mut self, index: usize) -> &mut Process {
        self.workers[index].as_mut().expect("the worker runs")
    }

    /// Starts a worker that is not running and waits until it is ready.
    pub fn start_worker(&mut self, index: usize) {
        self.start_worker_with(index, &[]);
    }

    /// The same, with these flags for this once.
    pub fn start_worker_with(&mut self, index: usize, flags: &[&str]) {
        let mut worker = self.spawn_worker(index, flags);
        worker.await_ready();
        self.workers[index] = Some(worker);
    }

    /// Starts a worker that is not running and that may refuse to start; whether it did start.
    pub fn try_start_worker(&mut self, index: usize, announced: &'static str) -> bool {
        let mut worker = self.spawn_worker(index, &[]);
        worker.announce(announced);
        let ready = worker.is_ready();
        self.workers[index] = ready.then_some(worker);
        ready
    }

    /// Kills a worker with `kill -9` and says how it ended.
    pub fn kill_worker(&mut self, index: usize) -> ExitStatus {
        self.workers[index].take().expect("the worker runs").kill_and_wait()
    }

    /// Kills these workers at once.
    pub fn kill_workers(&mut self, indices: &[usize]) {
        let mut all: Vec<Process> = indices.iter().filter_map(|index| self.workers[*index].take()).collect();
        kill_together(&mut all);
    }

    /// Kills the coordinator with `kill -9`.
    pub fn kill_coordinator(&mut self) {
        self.coordinator.take().expect("the coordinator runs").kill_and_wait();
    }

    /// Kills everything at once.
    pub fn kill_all(&mut self) {
        let mut all: Vec<Process> = self.workers.iter_mut().filter_map(Option::take).chain(self.coordinator.take()).collect();
        kill_together(&mut all);
    }

    /// Waits until so many members hold the same, by digests that were taken after this was called and at a common point, and
    /// returns what `/api/cluster` said.
    pub async fn agreed(&self, members: usize) -> Value {
        let mut client = Client::new(&self.url());
        let called = Instant::now();
        let what = format!("{members} replicas agree");
        let agree = async || {
            let standing = client.get("/api/cluster").await.json();
            let digests: Vec<&Value> = standing["members"].as_array()?.iter().map(|member| &member["digest"]).collect();
            let whole = digests.len() == members && digests.iter().all(|digest| digest.is_string());
            let same = whole && digests.windows(2).all(|pair| pair[0] == pair[1]) && standing["replicas_agree"] == true;
            (same && called.elapsed() > DIGESTS_KEPT_FOR).then_some(standing)
        };
        until(&what, AGREE_WITHIN, agree).await.0
    }
}
