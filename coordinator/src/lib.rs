//! The coordinator process of Skein: the surface that clients meet, the domain behind it, and the machine that runs their
//! transactions. [`run`] puts it together: the control store is opened and gives this run its number, the machine of
//! [`skein_protocol::node::coordinator`] starts from what it held, the driver dials the workers, and [`http`] serves from the
//! first moment, so that whoever asks can see what is being waited for.
//!
//! The way of a write: [`http`] -> [`tweets`] -> [`store`] -> the driver -> the machine. Nothing on this way but the machine
//! decides anything about transactions.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accounts;
pub mod app;
pub mod bookmarks;
pub mod caller;
pub mod config;
pub mod data;
pub mod http;
pub mod metrics;
pub mod operators;
pub mod sessions;
pub mod store;
pub mod tokens;
pub mod tweets;

mod demo;
mod field;
mod visible;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use skein_protocol::id::{ClusterId, NodeId};
use skein_protocol::invariant;
use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig as MachineConfig};
use skein_protocol::step::Halt;
use skein_runtime::control::{self, Control};
use skein_runtime::driver::{self, Invariants, Parts, Stopped};
use skein_runtime::metrics::RuntimeMetrics;
use skein_runtime::shutdown::Shutdown;
use skein_runtime::transport::Endpoint;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::app::App;
use crate::config::CoordinatorConfig;
use crate::config::membership::MembershipConfig;
use crate::metrics::CoordinatorMetrics;
use crate::operators::cluster::Members;
use crate::operators::console::Console;
use crate::operators::gauges;
use crate::operators::key::OperatorKey;
use crate::operators::roster::Roster;
use crate::store::cluster::Cluster;
use crate::store::outcomes::{self, Ledger};

/// The node's name in metrics. A process has one coordinator; which machine it is on is the scraper's to say.
const NAME: &str = "coordinator";

/// How long the machine waits for what is under way once the surface has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the machine is asked whether it serves yet.
const READY_EVERY: Duration = Duration::from_millis(20);

/// How often it is said that it does not.
const WAITING_SAID_EVERY: Duration = Duration::from_secs(5);

/// Where a coordinator counts.
#[derive(Clone, Debug)]
pub struct Instruments {
    /// What `/metrics` shows.
    pub registry: Registry,
    /// The runtime's part of it.
    pub runtime: Arc<RuntimeMetrics>,
}

/// Runs a coordinator on a listener that is bound already, until the shutdown starts; then drains it. `ready` is called once
/// a write would be accepted.
///
/// # Errors
/// When the control store can't be opened or fails, or the machine can't go on; the message says what to do.
pub async fn run(
    config: CoordinatorConfig,
    listener: TcpListener,
    instruments: Instruments,
    mut shutdown: Shutdown,
    ready: impl FnOnce(),
) -> anyhow::Result<()> {
    log_settings(&config);
    let (machine, control, node) = open(&config).await?;
    let network =
        Endpoint::coordinator(node, config.workers.clone(), config.secret.clone()).among(config.neighbours.clone(), None);
    let members = Members { met: network.met.clone(), control_is_logged: config.data.is_some() };
    let parts = Parts {
        name: NAME.to_owned(),
        network,
        log: None,
        control: Some(control),
        metrics: Arc::clone(&instruments.runtime),
        invariants: Some(Invariants { ids: &invariant::ALL, check: invariant::of_coordinator }),
    };
    let served = instruments.runtime.http(NAME);
    let metrics = CoordinatorMetrics::register(&instruments.registry)?.node(NAME, &http::known_answers());
    let mut running = driver::spawn(machine, parts);
    let cluster = Cluster::new(running.handle(), metrics.clone());
    let console = Console::new(running.handle());
    let ledger: Arc<dyn Ledger> = Arc::new(running.handle());
    let in_memory = config.data.is_none();
    let (demo, sweep_every, outcomes_kept_for) =
        (config.surface.demo, config.surface.limits.sweep_every, config.surface.outcome_lifetime);
    let app = App::new(app::Parts {
        settings: config.surface,
        operator_key: config.operator_secret.as_ref().map(OperatorKey::of),
        cluster: cluster.clone(),
        ledger: Arc::clone(&ledger),
        roster: Roster::new(console.clone(), config.workers, config.secret.is_some()),
        console: console.clone(),
        members,
        registry: instruments.registry,
        metrics: metrics.clone(),
    });
    let surface = tokio::spawn(http::serve(listener, app, served, shutdown.clone()));
    let polled = tokio::spawn(gauges::poll(console.clone(), metrics, shutdown.clone()));
    let swept = tokio::spawn(store::expiry::sweep(cluster.clone(), sweep_every, shutdown.clone()));
    let recorded = tokio::spawn(outcomes::record(cluster.clone(), ledger, outcomes_kept_for, shutdown.clone()));

    let begun = async {
        let is_logged = until_serving(&console).await;
        if is_logged && in_memory {
            warn!(
                "the workers log their records, and this coordinator keeps the view in memory alone: when it ends, nobody can use \
                 what they hold; start it with --data instead"
            );
        }
        if demo && let Err(error) = demo::preload(&cluster).await {
            warn!(%error, "the store could not be preloaded");
        }
        ready();
        std::future::pending::<()>().await;
    };
    let halted = tokio::select! {
        () = begun => None,
        () = shutdown.wait() => None,
        stopped = running.stopped() => Some(stopped),
    };
    let stopped = match halted {
        Some(stopped) => {
            surface.abort();
            stopped
        }
        None => {
            info!("shutting down: no new connections, requests under way are finished");
            // It bounds its own end.
            let _ended = surface.await;
            running.shutdown(DRAIN).await
        }
    };
    polled.abort();
    swept.abort();
    recorded.abort();
    match stopped {
        Stopped::Shutdown => {
            info!("the coordinator has ended in order");
            Ok(())
        }
        Stopped::Halted(halt) => Err(anyhow::anyhow!(advice(&halt))),
        reason => Err(anyhow::Error::new(reason).context("the coordinator can't go on")),
    }
}

/// Opens the control store and makes the machine that starts from what it holds.
async fn open(config: &CoordinatorConfig) -> anyhow::Result<(Coordinator, Box<dyn Control>, NodeId)> {
    let data = config.data.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let mut control: Box<dyn Control> = match data {
            Some(directory) => control::sled::open(&directory)?,
            None => Box::new(control::memory::Memory::new()),
        };
        let incarnation = control.next_incarnation()?;
        let record = control.load()?;
        Ok::<_, anyhow::Error>((control, incarnation, record))
    });
    let (control, incarnation, record) = opening.await.context("opening the control store")??;
    let node = NodeId(rand::random());
    info!(
        node.id = %node,
        run.incarnation = incarnation.0,
        view.number = record.as_ref().map_or(0, |record| record.number().0),
        "run {} begins from view {}",
        incarnation.0,
        record.as_ref().map_or(0, |record| record.number().0),
    );
    operators::roster::log_changes(&config.workers, record.as_ref());
    let MembershipConfig { beat_ms, misses_max, compare_ms, window } = config.membership;
    let machine = MachineConfig {
        beat_ms,
        misses_max,
        compare_ms,
        window,
        ..MachineConfig::new(node, incarnation, ClusterId(rand::random()), config.workers.clone(), record)
    };
    Ok((Coordinator::new(machine), control, node))
}

/// Returns once a write would be accepted, and whether a member of the view logs its records; says now and then what is missing.
async fn until_serving(console: &Console) -> bool {
    let mut ticks = tokio::time::interval(READY_EVERY);
    let mut said = tokio::time::Instant::now();
    loop {
        ticks.tick().await;
        let Ok(status) = console.status().await else { continue };
        if status.serving {
            let active = status.record.as_ref().and_then(|record| record.active.as_ref());
            let mut members = active.iter().flat_map(|active| &active.view.shards).flat_map(|shard| &shard.members);
            return members.any(|member| member.logged);
        }
        if said.elapsed() >= WAITING_SAID_EVERY {
            said = tokio::time::Instant::now();
            let connected: Vec<&str> = status.connected.iter().map(|peer| peer.address.as_str()).collect();
            info!("waiting for workers; connected so far: {}", connected.join(", "));
        }
    }
}

/// What to do when the machine can't go on.
fn advice(halt: &Halt) -> String {
    match halt {
        Halt::WorkerHoldsView { address, cluster } => format!(
            "the worker at {address} belongs to cluster {cluster} already, but this coordinator's control store is empty: \
             start it with the --data directory that the cluster's coordinator had; or, to begin anew and give up what the \
             workers hold, start them with empty --data directories"
        ),
        Halt::SharedRun { run } => format!(
            "another coordinator has run {} of this cluster too, so one of the two was started from a copy of the other's --data \
             directory, and both have ended: start the one whose directory was written last, make sure that the other is never \
             started again, and delete its directory once the cluster serves",
            run.0
        ),
        Halt::Superseded => "another coordinator has taken over the workers or the control store since this one started, or its \
                             --data directory was put back to an older state: only one may run; start the one with the newest \
                             directory, and no other"
            .to_owned(),
    }
}

fn log_settings(config: &CoordinatorConfig) {
    let surface = &config.surface;
    let limits = &surface.limits;
    let auth = match surface.auth {
        config::Auth::Password => "password",
        config::Auth::Name => "name",
    };
    let access = match surface.data_access {
        config::DataAccess::Accounts => "accounts and tokens",
        config::DataAccess::Tokens => "tokens",
    };
    info!(
        http.address = %config.http,
        worker.addresses = config.workers.join(","),
        data.path = config.data.as_deref().map_or("none", |path| path.to_str().unwrap_or("a path that is no text")),
        cluster.secret = if config.secret.is_some() { "set" } else { "none" },
        heartbeat.interval_ms = config.membership.beat_ms,
        heartbeat.missed_max = config.membership.misses_max,
        comparison.interval_seconds = config.membership.compare_ms / 1_000,
        transaction.window = config.membership.window,
        login.auth = auth,
        data.access = access,
        operator.proof = if config.operator_secret.is_some() { "the cluster's secret" } else { "being on this machine" },
        login.failures_per_minute = limits.login_failures.tries,
        session.lifetime_seconds = surface.session_lifetime.as_secs(),
        idempotency.lifetime_seconds = surface.idempotency_lifetime.as_secs(),
        outcome.lifetime_seconds = surface.outcome_lifetime.as_secs(),
        tweet.characters_max = limits.tweet_characters_max,
        sign_up.per_hour = limits.sign_ups.as_ref().map_or(0, |allowance| allowance.tries),
        write.per_minute = limits.writes.as_ref().map_or(0, |allowance| allowance.tries),
        request.in_flight_max = limits.requests_max,
        connection.count_max = limits.connections_max,
        connection.per_address_max = limits.connections_per_address_max,
        body.bytes_max = limits.body_bytes_max,
        hash.at_once_max = limits.hashes_at_once_max,
        store.demo = surface.demo,
        proxy.trusted = surface.trust_proxy,
        cookie.secure = surface.secure_cookies,
        "settings of the coordinator"
    );
    if config.secret.is_none() {
        warn!("no cluster secret is set: every process on this machine can pretend to be a worker");
    }
    if surface.auth == config::Auth::Name {
        warn!("people log in by name alone: everybody can be anybody");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::Incarnation;

    #[test]
    fn a_halt_says_what_to_do() {
        let halt = Halt::WorkerHoldsView { address: "127.0.0.1:7001".to_owned(), cluster: ClusterId(7) };
        assert!(advice(&halt).contains("127.0.0.1:7001") && advice(&halt).contains("--data"));
        assert!(advice(&Halt::Superseded).contains("only one may run"));
        let shared = advice(&Halt::SharedRun { run: Incarnation(12) });
        assert!(shared.contains("run 12") && shared.contains("copy of the other's --data"), "{shared}");
    }
}
