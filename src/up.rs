//! `skein up`: a whole cluster in one process. The coordinator meets the workers within the process, by names that are the same at
//! each start; they listen on loopback all the same, on ports that the system picks and with a secret that never leaves the
//! process. With a data directory each part has its own below it, and a later `up` goes on where this one ended. The parts start
//! from the workers upwards and end in the opposite order. A worker whose log is damaged is left out, loudly, if the cluster
//! goes on without it: if another log holds all records, or all members of the last active view are there. So is one that has no room
//! on its disk to start over.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use skein_coordinator::config::membership::{MembershipArgs, MembershipConfig};
use skein_coordinator::config::{Auth, CoordinatorConfig, SurfaceArgs, SurfaceConfig, number, worker_address};
use skein_protocol::id::NodeId;
use skein_protocol::limits::MEMBERS_MAX;
use skein_protocol::membership::view::View;
use skein_protocol::step::WorkerStatus;
use skein_runtime::control;
use skein_runtime::disk::DiskError;
use skein_runtime::disk::access::check_directory;
use skein_runtime::driver::Stopped;
use skein_runtime::shutdown::{self, Trigger};
use skein_runtime::transport::{Neighbours, Secret};
use skein_runtime::wal::{self, Salvage};
use skein_worker::config::{SalvageArgs, StoreArgs, StoreConfig, WorkerConfig, parse_address};
use skein_worker::metrics::WorkerMetrics;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{error, warn};

use crate::process::{Counters, say_ready};
use crate::settings::random_secret;

/// The command line of `skein up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Where HTTP is served: PORT or ADDR:PORT
    #[arg(long, value_name = "ADDR", env = "SKEIN_HTTP", hide_env_values = true, default_value = "127.0.0.1:8080")]
    http: String,

    /// How many workers, each with a copy of everything (1 to 32)
    #[arg(long, value_name = "N", env = "SKEIN_WORKERS_COUNT", hide_env_values = true, default_value = "3")]
    workers: String,

    /// Directory of the logs and the control store, made if it is not there; without it everything is kept in memory alone
    #[arg(long, value_name = "DIR", env = "SKEIN_DATA", hide_env_values = true)]
    data: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    salvage: SalvageArgs,

    #[command(flatten)]
    membership: MembershipArgs,

    #[command(flatten)]
    surface: SurfaceArgs,
}

/// The settings of a whole cluster, checked.
#[derive(Clone, Debug)]
pub struct UpConfig {
    http: SocketAddr,
    workers: usize,
    data: Option<PathBuf>,
    operator_secret: Option<Secret>,
    store: StoreConfig,
    salvage: Salvage,
    membership: MembershipConfig,
    surface: SurfaceConfig,
}

impl UpArgs {
    /// Checks everything and says all that is wrong. What operators must know comes beside the flags, since none may carry it.
    ///
    /// # Errors
    ///
    /// One sentence for each setting that can't be used.
    pub fn check(&self, operator_secret: Option<Secret>) -> Result<UpConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let http = parse_address("--http", &self.http).map_err(|error| wrong.push(error)).ok();
        let workers = number("--workers", &self.workers, 1..=MEMBERS_MAX as u32, &mut wrong) as usize;
        if let Some(error) = self.data.as_deref().and_then(|data| check_directory(data).err()) {
            wrong.push(error);
        }
        wrong.extend(self.salvage.needs(self.data.as_deref()));
        let store = self.store.check().map_err(|errors| wrong.extend(errors)).ok();
        let membership = self.membership.check().map_err(|errors| wrong.extend(errors)).ok();
        let surface = self.surface.check(Auth::Name).map_err(|errors| wrong.extend(errors)).ok();
        match (http, store, membership, surface) {
            (Some(http), Some(store), Some(membership), Some(surface)) if wrong.is_empty() => {
                let (data, salvage) = (self.data.clone(), self.salvage.into());
                Ok(UpConfig { http, workers, data, operator_secret, store, salvage, membership, surface })
            }
            _ => Err(wrong),
        }
    }
}

impl UpConfig {
    fn part(&self, name: &str) -> Option<PathBuf> {
        self.data.as_deref().map(|data| Path::join(data, name))
    }

    fn data_of_worker(&self, number: usize) -> Option<PathBuf> {
        self.part(&format!("worker-{number}"))
    }

    /// The view that was active last, if the control store of an earlier start knows one.
    fn last_active(&self) -> Result<Option<View>, DiskError> {
        self.part("coordinator").map_or(Ok(None), |data| control::sled::last_active(&data))
    }

    fn data_of_workers(&self) -> impl Iterator<Item = (usize, PathBuf)> {
        (1..=self.workers).filter_map(|number| Some((number, self.data_of_worker(number)?)))
    }

    /// What becomes of a person's acceptance of logs whose ends may be missing. Where the log of a worker holds all, nothing has to be
    /// accepted. Else it makes sure that there is a log to accept, and notes the acceptance as used for the workers that have none
    /// and start empty.
    fn acceptance(&self, active: Option<&View>) -> anyhow::Result<Acceptance> {
        let Some(data) = self.data.as_deref().filter(|_| self.salvage.accept_incomplete) else { return Ok(Acceptance::None) };
        let (mut fresh, mut used) = (Vec::new(), false);
        for (number, directory) in self.data_of_workers() {
            if wal::sled::counts(&directory, true)? {
                fresh.push((number, directory));
            } else {
                used = true;
            }
        }
        if fresh.is_empty() {
            return Ok(Acceptance::None);
        }
        if let Some(active) = active {
            for (number, directory) in self.data_of_workers() {
                if wal::sled::holds_all(&directory, active)? {
                    let name = worker_address::in_process(number);
                    warn!(
                        worker.address = name,
                        "--accept-incomplete-log has no effect: the log of {name} holds all records, so nothing has to be given up"
                    );
                    return Ok(Acceptance::NotNeeded);
                }
            }
        }
        let mut without = Vec::new();
        for (_, directory) in &fresh {
            if wal::sled::newest_of_a_member(directory)?.is_none() {
                without.push(directory);
            }
        }
        if without.len() == fresh.len() && !used {
            return Err(DiskError::NothingToAccept(data.to_owned()).into());
        }
        let counts = without.len() < fresh.len();
        without.into_iter().try_for_each(|directory| wal::sled::note_use(directory))?;
        Ok(if counts { Acceptance::Counts } else { Acceptance::None })
    }

    fn worker(&self, number: usize, secret: &Secret, neighbours: &Neighbours) -> WorkerConfig {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        WorkerConfig {
            cluster: loopback,
            http: loopback,
            secret: Some(secret.clone()),
            data: self.data_of_worker(number),
            neighbours: neighbours.clone(),
            name: Some(worker_address::in_process(number)),
            store: self.store,
            salvage: self.salvage,
        }
    }
}

/// What a person's acceptance of logs whose ends may be missing does at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acceptance {
    /// There is none, or it was used at an earlier start.
    None,
    /// It was given, but a log is there that holds all: it is used up, and does nothing.
    NotNeeded,
    /// No log holds all, and one at least is taken up as it is.
    Counts,
}

/// Runs the cluster until the shutdown starts or a part can't go on.
pub async fn up(mut config: UpConfig, counters: Counters, trigger: Trigger) -> anyhow::Result<()> {
    let http = TcpListener::bind(config.http).await.with_context(|| format!("can't listen on {}", config.http))?;
    let url = http.local_addr()?;
    let secret = random_secret()?;
    let neighbours = Neighbours::default();
    let instruments = skein_worker::Instruments {
        worker: WorkerMetrics::register(&counters.registry)?,
        registry: counters.registry.clone(),
        runtime: counters.runtime.clone(),
    };

    // The workers end only after the coordinator, which needs them for what is still under way.
    let (end_workers, _) = shutdown::channel();
    let mut workers = JoinSet::new();
    let (mut started, mut damaged) = (Vec::new(), Vec::new());
    let active = config.last_active()?;
    let acceptance = config.acceptance(active.as_ref())?;
    config.salvage.accept_incomplete &= acceptance != Acceptance::NotNeeded;
    for number in 1..=config.workers {
        let worker = config.worker(number, &secret, &neighbours);
        let listener = TcpListener::bind(worker.cluster).await.context("a worker can't listen on loopback")?;
        let listeners = skein_worker::Listeners { cluster: listener, http: None };
        let (recovered, is_recovered) = oneshot::channel();
        let run = skein_worker::run(worker, listeners, instruments.clone(), end_workers.watch(), move |status| {
            // The receiver is gone only when the whole process ends.
            recovered.send(status.clone()).ok();
        });
        workers.spawn(async move { (number, run.await) });
        match is_recovered.await {
            Ok(status) => started.push((number, status)),
            Err(_) => {
                let ended = workers.join_next().await.expect("the worker was spawned");
                match ended.context("a worker panicked")?.1 {
                    Err(error) if is_damaged(&error) => damaged.push((number, error)),
                    ended => ended?,
                }
            }
        }
    }
    go_on_without(damaged, &started, active.as_ref())?;
    if acceptance == Acceptance::NotNeeded {
        // Only now: a worker that starts without the flag forgets that it was used before.
        config.data_of_workers().try_for_each(|(_, directory)| wal::sled::note_use(&directory))?;
    }

    let coordinator = CoordinatorConfig {
        http: url,
        workers: (1..=config.workers).map(worker_address::in_process).collect(),
        secret: Some(secret),
        data: config.part("coordinator"),
        operator_secret: config.operator_secret,
        neighbours,
        membership: config.membership,
        surface: config.surface,
    };
    let instruments = skein_coordinator::Instruments { registry: counters.registry, runtime: counters.runtime };
    let run = skein_coordinator::run(coordinator, http, instruments, trigger.watch(), || say_ready(&format!("http://{url}")));
    let mut run = std::pin::pin!(run);
    let outcome = loop {
        tokio::select! {
            outcome = &mut run => break outcome,
            Some(ended) = workers.join_next() => match ended {
                Ok((number, Err(error))) if has_no_room(&error) && !workers.is_empty() => leave_out_for_room(number, &error),
                ended => {
                    trigger.start();
                    run.await?;
                    break ended.context("a worker panicked")?.1.and(Err(anyhow::anyhow!("a worker has ended")));
                }
            },
        }
    };
    end_workers.start();
    let ended = workers.join_all().await.into_iter().try_for_each(|(_, ended)| ended);
    outcome.and(ended)
}

/// Whether a worker ended because it was to start over and has no room to keep what it held. It is no member then, so the members,
/// which hold all records, can go on without it.
fn has_no_room(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Stopped::NoRoomToStartOver(_)))
}

fn leave_out_for_room(number: usize, error: &anyhow::Error) {
    let name = worker_address::in_process(number);
    error!(
        worker.address = name,
        "{name} IS LEFT OUT: {error:#}. The cluster goes on with the other workers, one copy fewer, until skein up is started again"
    );
}

fn is_damaged(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DiskError::Damaged { .. }))
}

/// Leaves out the workers whose logs are damaged, if the cluster goes on without them. Their directories stay: what can still be read
/// there may be of use, and only a person may delete it.
///
/// The cluster goes on if the log of another worker holds all records. It also does if each member of the last active view has started,
/// even with a log of which a person has given up a part: then nothing is in the damaged ones that the cluster had. Otherwise it would
/// wait for the damaged ones, which may hold more than the others, so the start fails and says what a person can decide.
fn go_on_without(
    damaged: Vec<(usize, anyhow::Error)>,
    started: &[(usize, WorkerStatus)],
    active: Option<&View>,
) -> anyhow::Result<()> {
    let is_held = |it: &WorkerStatus| active.is_some_and(|active| active.is_held_by(it.node, it.standing, it.view));
    let holds_all = started.iter().any(|(_, it)| is_held(it) && !it.salvaged);
    let has_started = |member: &NodeId| started.iter().any(|(_, it)| it.node == *member);
    let members = active.map(View::members).unwrap_or_default();
    let goes_on = holds_all || !members.is_empty() && members.iter().all(has_started);
    let names: Vec<String> = damaged.iter().map(|(number, _)| worker_address::in_process(*number)).collect();
    for ((_, error), name) in damaged.into_iter().zip(&names) {
        if !goes_on {
            let names = names.join(", ");
            let less = started.iter().find(|(_, it)| it.salvaged).map_or_else(String::new, |(number, _)| {
                let less = worker_address::in_process(*number);
                format!(
                    ". A part of the log of {less} was given up, and the others would be waited for, since they may hold more. To go on \
                     with {less} all the same, move the directory of {names} away, do not delete it, and start again"
                )
            });
            return Err(error.context(format!(
                "{names} can't start, and no other worker's log says that it holds all records. What was acknowledged last may be \
                 nowhere else: DO NOT REMOVE the directory, make a copy of it, and see \"A worker does not start: its log is damaged\" \
                 in ops/runbooks.md{less}"
            )));
        }
        error!(
            worker.address = name,
            "{name} IS LEFT OUT: its log can't be used ({error:#}). The cluster goes on with the other workers, one copy fewer. To have \
             it copy all records again, move its directory away and start again"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        up: UpArgs,
    }

    fn check(line: &[&str]) -> Result<UpConfig, Vec<String>> {
        Line::parse_from(["up"].iter().chain(line)).up.check(None)
    }

    #[test]
    fn everything_has_a_default_and_people_log_in_by_name() {
        let config = check(&[]).unwrap();
        assert_eq!((config.http, config.workers), (SocketAddr::from(([127, 0, 0, 1], 8080)), 3));
        assert_eq!((config.surface.auth, config.data), (Auth::Name, None));
    }

    #[test]
    fn each_part_has_a_directory_of_its_own() {
        let config = check(&["--data", "somewhere"]).unwrap();
        let secret = random_secret().unwrap();
        assert_eq!(config.worker(2, &secret, &Neighbours::default()).data, Some("somewhere/worker-2".into()));
        assert_eq!(config.part("coordinator"), Some("somewhere/coordinator".into()));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let said =
            check(&["--http", "x", "--workers", "0", "--data", "/dev/null", "--sync", "x", "--tweet-max", "0"]).unwrap_err();
        for name in ["--http", "--workers", "--data", "--sync", "--tweet-max"] {
            assert!(said.iter().any(|error| error.starts_with(name)), "{name} is missing in {said:?}");
        }
    }
}
