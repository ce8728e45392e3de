//! The worker process of Skein: one replica of the store and participant in its transactions. [`run`] puts it together: the
//! log is opened and says what it held, the machine of [`skein_protocol::node::worker`] starts from that, the driver gives
//! it sockets, disk and time, and a small HTTP surface shows how it stands. A worker needs no coordinator to start; the
//! first one that proves to know the secret and seals it binds it to its cluster (R12).

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use skein_protocol::invariant;
use skein_protocol::node::worker::{Worker, WorkerConfig as MachineConfig};
use skein_protocol::operation::Key;
use skein_protocol::record::Snapshot;
use skein_protocol::step::WorkerStatus;
use skein_runtime::driver::{self, Invariants, Parts, Stopped};
use skein_runtime::metrics::RuntimeMetrics;
use skein_runtime::shutdown::Shutdown;
use skein_runtime::transport::{Durability, Endpoint};
use skein_runtime::wal::{self, Log, Recovery, Salvage, SyncPolicy};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::config::{StoreConfig, WorkerConfig};
use crate::exclusion::Exclusion;
use crate::http::Surface;
use crate::metrics::WorkerMetrics;

pub mod config;
pub mod exclusion;
pub mod http;
pub mod metrics;

/// How long a worker that is asked to end waits for what is under way.
const DRAIN: Duration = Duration::from_secs(5);

/// How many damaged records of a log are named.
const DAMAGED_LOGGED_MAX: usize = 100;

/// The sockets of a worker, bound already, so that a test can pick port 0 and an error shows before anything starts.
#[derive(Debug)]
pub struct Listeners {
    /// For coordinators.
    pub cluster: TcpListener,
    /// For people and their tools; a worker inside a larger process has none of its own.
    pub http: Option<TcpListener>,
}

impl Listeners {
    /// Binds both addresses of the settings.
    ///
    /// # Errors
    ///
    /// When one can't be bound, naming it.
    pub async fn bind(config: &WorkerConfig) -> anyhow::Result<Self> {
        let bind = async |address: std::net::SocketAddr| {
            TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))
        };
        Ok(Listeners { cluster: bind(config.cluster).await?, http: Some(bind(config.http).await?) })
    }
}

/// Where a worker counts. Several workers in one process share it.
#[derive(Clone, Debug)]
pub struct Instruments {
    /// What `/metrics` shows.
    pub registry: Registry,
    /// The runtime's part of it.
    pub runtime: Arc<RuntimeMetrics>,
    /// The workers' part of it.
    pub worker: Arc<WorkerMetrics>,
}

/// Runs a worker until the shutdown starts, then drains it and closes its log. `ready` is called once it has recovered and
/// takes connections, with how it stands by its log alone.
///
/// # Errors
///
/// When the log can't be opened or fails, or the machine can't go on.
pub async fn run(
    config: WorkerConfig,
    listeners: Listeners,
    instruments: Instruments,
    mut shutdown: Shutdown,
    ready: impl FnOnce(&WorkerStatus),
) -> anyhow::Result<()> {
    log_settings(&config);
    let (log, snapshot) = open(&config).await?;
    let node = snapshot.node;
    let name = format!("worker-{:08x}", node.0 >> 96);

    let network = Endpoint::worker(node, snapshot.cluster, listeners.cluster, config.secret.clone())
        .with_salvaged(snapshot.salvaged)
        .among(config.neighbours.clone(), config.name.clone())
        .with_durability(durability(config.data.as_deref(), config.store.sync));
    let StoreConfig { memory_bytes_max, scrub_ms, .. } = config.store;
    let machine_config = MachineConfig { memory_bytes_max, scrub_ms, ..MachineConfig::default() };
    let machine = Worker::recover(machine_config, snapshot);
    let recovered = machine.status();
    log_recovery(&name, &config, &recovered);
    let parts = Parts {
        name: name.clone(),
        network,
        log,
        control: None,
        metrics: Arc::clone(&instruments.runtime),
        invariants: Some(Invariants { ids: &invariant::ALL, check: invariant::of_worker }),
    };
    let mut running = driver::spawn(machine, parts);
    let gauges = instruments.worker.node(&name, memory_bytes_max);
    let exclusion = Exclusion::new(instruments.runtime.node(&name).connections);
    let poll = tokio::spawn(metrics::poll(running.handle(), gauges, exclusion.clone(), shutdown.clone()));
    let surface = Surface::new(running.handle(), exclusion, instruments.registry, &config);
    let http = listeners.http.map(|listener| {
        let metrics = instruments.runtime.http(&name);
        tokio::spawn(http::serve(listener, surface, metrics, shutdown.clone()))
    });
    ready(&recovered);

    let halted = tokio::select! {
        () = shutdown.wait() => None,
        stopped = running.stopped() => Some(stopped),
    };
    let stopped = match halted {
        Some(stopped) => stopped,
        None => {
            info!(node.name = name, "shutting down");
            running.shutdown(DRAIN).await
        }
    };
    poll.abort();
    http.inspect(tokio::task::JoinHandle::abort);
    match stopped {
        Stopped::Shutdown => {
            info!(node.name = name, "the worker has ended in order");
            Ok(())
        }
        reason => Err(anyhow::Error::new(reason).context(format!("the worker {name} can't go on"))),
    }
}

/// Opens the log, if there is one, and gives what it adds up to.
async fn open(config: &WorkerConfig) -> anyhow::Result<(Option<Log>, Snapshot)> {
    let Some(directory) = config.data.clone() else {
        return Ok((None, wal::memory::empty()));
    };
    let (sync, salvage) = (config.store.sync, config.salvage);
    let opened =
        tokio::task::spawn_blocking(move || wal::sled::open(&directory, sync, salvage)).await.context("opening the log")??;
    let recovery = &opened.recovery;
    log_salvage(recovery, salvage);
    info!(
        wal.created = recovery.created,
        wal.closed_in_order = recovery.clean,
        record.count = recovery.records,
        transaction.prepared = recovery.prepared,
        transaction.decided = recovery.decided,
        wal.open_ms = u64::try_from(recovery.duration.as_millis()).unwrap_or(u64::MAX),
        "log opened: {} records, {} transactions in doubt, {} decisions",
        recovery.records,
        recovery.prepared,
        recovery.decided,
    );
    Ok((Some(Log { engine: opened.engine, sync }), opened.snapshot))
}

/// Says what could not be taken up as it was.
fn log_salvage(recovery: &Recovery, salvage: Salvage) {
    if let Some(aside) = &recovery.set_aside {
        let path = aside.display();
        warn!(wal.path = %path, "a log was set aside as {path}; it is not needed any more once this worker is a member again");
    }
    if recovery.set_aside.is_some() && recovery.created {
        warn!(
            "it was not synced always and not closed in order, so its end may be missing: this worker starts empty and copies all"
        );
    }
    if let Some(view) = recovery.gone_back {
        warn!(view.number = view.0, "the copy of view {view} is taken up again, which was kept while this worker made a new one");
    } else if let Some(view) = recovery.keeps {
        info!(
            view.number = view.0,
            "the copy of view {view} is kept until this worker is a member again; --accept-incomplete-log goes back to it"
        );
    }
    if recovery.accepted {
        warn!(
            "the log is taken up as was asked for, though it may lack what was acknowledged last; it counts only if no member that \
                 holds all can come back"
        );
    }
    if recovery.used_before {
        warn!(
            "--accept-incomplete-log has no effect: it counts for one start, and was given at an earlier one already; remove it from the \
                 settings, and should it be needed again, start once without it before"
        );
    }
    let becomes = if salvage.discard_damaged { "it is removed" } else { "nobody is told what it holds" };
    for Key { table, bytes } in recovery.damaged.iter().take(DAMAGED_LOGGED_MAX) {
        let key = bytes.as_slice().escape_ascii();
        warn!(record.table = table.0, record.key = %key, "the record \"{key}\" of table {} is not what was written: {becomes}", table.0);
    }
    if !recovery.damaged.is_empty() {
        let count = recovery.damaged.len();
        warn!(record.count = count, "{count} records of the log are not what was written");
    }
}

fn log_settings(config: &WorkerConfig) {
    info!(
        cluster.address = %config.cluster,
        http.address = %config.http,
        data.path = config.data.as_deref().map_or("none", |path| path.to_str().unwrap_or("a path that is no text")),
        wal.sync = %config.store.sync,
        scrub.period_seconds = config.store.scrub_ms / 1_000,
        memory.bytes_max = config.store.memory_bytes_max,
        cluster.secret = if config.secret.is_some() { "set" } else { "none" },
        "settings of the worker"
    );
    if config.secret.is_none() {
        warn!("no cluster secret is set: every process on this machine can join the cluster or read from it");
    }
}

fn log_recovery(name: &str, config: &WorkerConfig, status: &WorkerStatus) {
    let cluster = status.cluster.map_or_else(|| "none".to_owned(), |cluster| cluster.to_string());
    info!(
        node.name = name,
        node.id = %status.node,
        cluster.id = cluster,
        view.number = status.view.0,
        wal.durability = durability(config.data.as_deref(), config.store.sync).label(),
        record.count = status.digest.records,
        record.bytes = status.digest.bytes,
        transaction.prepared = status.prepared,
        transaction.decided = status.remembered,
        "recovered: view {}, cluster {cluster}, {} records of {} bytes, {} transactions in doubt, {} decisions",
        status.view,
        status.digest.records,
        status.digest.bytes,
        status.prepared,
        status.remembered,
    );
}

/// What a vote of this worker is worth.
#[must_use]
pub fn durability(data: Option<&Path>, sync: SyncPolicy) -> Durability {
    match (data, sync) {
        (None, _) => Durability::Memory,
        (Some(_), SyncPolicy::Interval(_)) => Durability::Logged,
        (Some(_), SyncPolicy::Always) => Durability::LoggedAndSynced,
    }
}
