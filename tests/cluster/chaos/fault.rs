//! What goes wrong in a run: the kinds of faults, how each is injected into the running cluster and ended, and whether it really
//! did anything, which the system, the proxy or the process itself must show.

use std::fmt::{Display, Formatter};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;

use skein_sim::simulation::random::Random;

use super::roster::Change;
use crate::harness::cluster::Cluster;
use crate::harness::proxy::{Injected, Weather};
use crate::harness::strace;

/// The number of the signal of `kill -9`.
const SIGKILL: i32 = 9;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A worker is killed and started again with its log.
    Kill,
    /// A worker is killed and started again without anything, as a machine that replaces it.
    Replace,
    /// A worker can't sync its log any more, stops for it, and is started again when it can.
    Disk,
    /// A worker is stopped where it is, and goes on.
    Pause,
    /// A worker's connections are reset.
    Cut,
    /// Nothing gets through to a worker, nor from it.
    Partition,
    /// Nothing gets through to a worker.
    Deaf,
    /// Nothing gets through from a worker.
    Mute,
    /// A worker's connections stand and are dead.
    HalfOpen,
    /// A worker's network is slow.
    Slow,
    /// A worker is removed from the roster, and added again.
    Roster,
    /// The coordinator is killed and started again.
    Coordinator,
    /// All processes are killed at once and started again.
    Everything,
}

/// A fault of one worker that lasts.
pub struct Fault {
    pub kind: Kind,
    pub worker: usize,
    before: Injected,
    /// Whether it has shown that it happened.
    happened: bool,
    /// Who makes system calls fail.
    failing: Option<Child>,
    /// What an operator is about to do.
    change: Option<Change>,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 13] = [
        Kind::Kill,
        Kind::Replace,
        Kind::Disk,
        Kind::Pause,
        Kind::Cut,
        Kind::Partition,
        Kind::Deaf,
        Kind::Mute,
        Kind::HalfOpen,
        Kind::Slow,
        Kind::Roster,
        Kind::Coordinator,
        Kind::Everything,
    ];

    /// Whether it is a fault of one worker.
    pub fn is_of_a_worker(self) -> bool {
        !matches!(self, Kind::Coordinator | Kind::Everything)
    }

    /// How long it lasts: some are over before anybody is left out, some last beyond every timeout.
    pub fn duration(self, random: &mut Random) -> Duration {
        let (least, most) = match self {
            Kind::Kill | Kind::Replace | Kind::Disk => (100, 3_000),
            Kind::Pause | Kind::Partition | Kind::Deaf | Kind::Mute | Kind::HalfOpen => (300, 5_000),
            Kind::Slow => (1_000, 4_000),
            Kind::Roster => (200, 2_000),
            Kind::Cut | Kind::Coordinator | Kind::Everything => (0, 0),
        };
        Duration::from_millis(random.between(least, most))
    }
}

impl Fault {
    /// Does it to a worker, for so long.
    pub fn begin(kind: Kind, worker: usize, lasts: Duration, cluster: &mut Cluster, random: &mut Random) -> Self {
        let before = cluster.proxy(worker).injected();
        let mut fault = Fault { kind, worker, before, happened: false, failing: None, change: None };
        let weather = |weather: Weather| cluster.proxy(worker).set(weather);
        match kind {
            Kind::Kill | Kind::Replace => fault.happened = cluster.kill_worker(worker).signal() == Some(SIGKILL),
            Kind::Disk => {
                strace::announce(cluster.worker(worker));
                fault.failing = Some(strace::fail(cluster.worker(worker).id(), "fdatasync,fsync", "EIO"));
            }
            Kind::Pause => cluster.worker(worker).pause(),
            Kind::Cut => cluster.proxy(worker).cut(),
            Kind::Partition => weather(Weather::partition()),
            Kind::Deaf => weather(Weather::deaf()),
            Kind::Mute => weather(Weather::mute()),
            Kind::HalfOpen => weather(Weather::half_open()),
            Kind::Slow => weather(Weather::slow(Duration::from_millis(random.between(5, 100)))),
            Kind::Roster => {
                let name = cluster.seen_address(worker).to_owned();
                fault.change = Some(Change::begin(cluster.url(), name, lasts));
            }
            Kind::Coordinator | Kind::Everything => unreachable!("no fault of a worker"),
        }
        fault
    }

    /// Whether it can be ended: a worker that was removed is added by an operator, who may have to ask more than once.
    pub fn may_end(&self) -> bool {
        self.change.as_ref().is_none_or(Change::is_over)
    }

    /// Ends it; says whether it did anything.
    pub fn end(mut self, cluster: &mut Cluster) -> bool {
        self.look(cluster);
        match self.kind {
            Kind::Kill => cluster.start_worker(self.worker),
            Kind::Replace => {
                std::fs::remove_dir_all(cluster.worker_directory(self.worker)).expect("a killed worker leaves its log");
                cluster.start_worker(self.worker);
            }
            Kind::Disk => {
                // One that had nothing to sync has not noticed.
                cluster.kill_worker(self.worker);
                cluster.start_worker(self.worker);
            }
            Kind::Pause => cluster.worker(self.worker).resume(),
            Kind::Cut | Kind::Roster => {}
            _ => cluster.proxy(self.worker).heal(),
        }
        self.happened
    }

    /// Everything is about to be killed, this fault's worker too; says whether it did anything.
    pub fn overtaken(mut self, cluster: &mut Cluster) -> bool {
        self.look(cluster);
        cluster.proxy(self.worker).heal();
        if self.kind == Kind::Replace {
            std::fs::remove_dir_all(cluster.worker_directory(self.worker)).expect("a killed worker leaves its log");
        }
        self.happened
    }

    /// Looks whether it has done anything by now.
    pub fn look(&mut self, cluster: &mut Cluster) -> bool {
        let now = cluster.proxy(self.worker).injected();
        let more = |count: fn(&Injected) -> u64| count(&now) > count(&self.before);
        self.happened |= match self.kind {
            Kind::Kill | Kind::Replace => false,
            Kind::Disk => cluster.worker(self.worker).ended().is_some_and(|status| status.code() == Some(1)),
            Kind::Pause => cluster.worker(self.worker).is_paused(),
            Kind::Cut => more(|injected| injected.connections_cut),
            Kind::Partition | Kind::Deaf | Kind::Mute => more(|injected| injected.bytes_held + injected.connections_stalled),
            Kind::HalfOpen => more(|injected| injected.bytes_swallowed + injected.connections_stalled),
            Kind::Slow => more(|injected| injected.bytes_delayed),
            Kind::Roster => self.change.as_ref().is_some_and(Change::removed),
            Kind::Coordinator | Kind::Everything => unreachable!("no fault of a worker"),
        };
        self.happened
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Some(failing) = &mut self.failing {
            // It ends with its process, which may have been killed for another reason meanwhile.
            failing.kill().ok();
            failing.wait().ok();
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Kill => "worker killed",
            Kind::Replace => "worker replaced",
            Kind::Disk => "failing sync",
            Kind::Pause => "worker paused",
            Kind::Cut => "connections cut",
            Kind::Partition => "partition",
            Kind::Deaf => "one-way to the worker",
            Kind::Mute => "one-way from the worker",
            Kind::HalfOpen => "half-open",
            Kind::Slow => "delay",
            Kind::Roster => "worker removed and added",
            Kind::Coordinator => "coordinator killed",
            Kind::Everything => "everything killed",
        })
    }
}
