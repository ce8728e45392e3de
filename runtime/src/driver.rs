//! Drives a machine: owns it alone, gives it one input after the other and performs what it decides, in order, as
//! `skein_protocol::step` asks of the caller. All that has queued is taken as one batch; after the batch the records go to
//! the log and the messages to their peers at once. Nothing that is slow ever runs here: the log and the control store have
//! threads of their own, a peer that doesn't take its messages is cut off, and a client that doesn't take its reply is
//! nobody's concern.

mod membership;
mod run;
mod swap;

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;
use skein_protocol::step::{Halt, Machine, Refusal, Reply, Request};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

use crate::control::Control;
use crate::metrics::RuntimeMetrics;
use crate::transport::Endpoint;
use crate::wal::Log;
use crate::wal::thread::Failure;

/// Requests that may wait for the machine; further ones are refused at once.
const REQUESTS_WAITING_MAX: usize = 8 * 1024;

/// What a driver needs beside its machine.
pub struct Parts<M> {
    /// The node's name in logs and in the label `node` of metrics.
    pub name: String,
    /// Where the node meets its peers.
    pub network: Endpoint,
    /// The log of a worker; without one, records count as persisted at once.
    pub log: Option<Log>,
    /// The control store of a coordinator.
    pub control: Option<Box<dyn Control>>,
    /// Where to count.
    pub metrics: Arc<RuntimeMetrics>,
    /// What must always hold of the machine: checked every second, and in debug builds fifty times as often.
    pub invariants: Option<Invariants<M>>,
}

/// What must always hold of a machine.
pub struct Invariants<M> {
    /// The names of all of them, so that each is counted from zero.
    pub ids: &'static [&'static str],
    /// The names of those that do not hold.
    pub check: fn(&M) -> Vec<&'static str>,
}

/// A machine that runs. When this is dropped the machine stops as in a crash: nothing is drained and what was not synced is
/// lost.
pub struct Running {
    handle: Handle,
    task: JoinHandle<Stopped>,
    commands: mpsc::Sender<Command>,
    stopped: Option<Stopped>,
}

/// Asks a running machine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Asked>,
    rejected: IntCounter,
}

/// How a driver is asked to end.
enum Command {
    /// Take no more requests, finish those under way but not for longer than this, close the log.
    Drain(Duration),
    /// As in a crash.
    Kill,
}

/// A request on its way to the machine.
struct Asked {
    request: Request,
    reply: oneshot::Sender<Reply>,
}

/// The machine no longer runs, or is about to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping or has stopped")]
pub struct Gone;

/// Why a machine no longer runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It was asked to.
    #[error("shut down")]
    Shutdown,
    /// It can't go on.
    #[error("it can't go on: {}", explain(.0))]
    Halted(Halt),
    /// Its log failed; what is on disk is not known any more.
    #[error("the log failed: {0}")]
    Log(String),
    /// Its disk has no room to start over beside what it held before. Nothing is lost, and its log was closed in order.
    #[error("it has no room to start over: {0}")]
    NoRoomToStartOver(String),
    /// Its control store failed.
    #[error("the control store failed: {0}")]
    Control(String),
    /// It panicked: an invariant is broken.
    #[error("it panicked: {0}")]
    Panicked(String),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Final(reason) => Stopped::Log(reason),
            Failure::NoRoomToStartOver(reason) => Stopped::NoRoomToStartOver(reason),
        }
    }
}

/// Starts a machine. Must be called within a tokio runtime, which then carries it and its connections.
pub fn spawn<M: Machine + Send + 'static>(machine: M, parts: Parts<M>) -> Running {
    let (requests, asked) = mpsc::channel(REQUESTS_WAITING_MAX);
    let (commands, commanded) = mpsc::channel(1);
    let metrics = parts.metrics.node(&parts.name);
    let handle = Handle { requests, rejected: metrics.queue_rejected.clone() };
    let driver = run::Driver::new(machine, parts, metrics, run::Channels { asked, commands: commanded });
    let task = tokio::spawn(driver.run());
    Running { handle, task, commands, stopped: None }
}

impl Running {
    /// Asks the machine.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns when the machine runs no more, with the reason; may be dropped and called again.
    pub async fn stopped(&mut self) -> Stopped {
        if let Some(stopped) = &self.stopped {
            return stopped.clone();
        }
        let stopped = (&mut self.task).await.unwrap_or_else(panicked);
        self.stopped.insert(stopped).clone()
    }

    /// Takes no more requests, waits for those under way but not longer than `drain`, then syncs and closes the log.
    pub async fn shutdown(mut self, drain: Duration) -> Stopped {
        let _stopped_already = self.commands.send(Command::Drain(drain)).await;
        self.stopped().await
    }

    /// Stops the machine as in a crash, and returns when it holds nothing any more: no lock, no port.
    pub async fn kill(mut self) {
        let _stopped_already = self.commands.send(Command::Kill).await;
        self.stopped().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn explain(halt: &Halt) -> String {
    match halt {
        Halt::WorkerHoldsView { address, cluster } => {
            format!("the worker at {address} belongs to cluster {cluster} already, and the control store knows of none")
        }
        Halt::SharedRun { run } => {
            format!("another coordinator has run {} too: one of them works from a copy of the other's control store", run.0)
        }
        Halt::Superseded => {
            "another coordinator has taken over since, or this one's control store was put back to an older state".to_owned()
        }
    }
}

fn panicked(error: JoinError) -> Stopped {
    let Ok(panic) = error.try_into_panic() else { return Stopped::Shutdown };
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Stopped::Panicked(text.unwrap_or("without a message").into())
}

impl Handle {
    /// Asks, and waits for the answer. When too much waits already, the answer is
    /// [`Refused(Overloaded)`](Refusal::Overloaded) at once. A caller that stops waiting loses only the answer.
    pub async fn request(&self, request: Request) -> Result<Reply, Gone> {
        let (reply, answer) = oneshot::channel();
        match self.requests.try_send(Asked { request, reply }) {
            Ok(()) => answer.await.map_err(|_| Gone),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.rejected.inc();
                Ok(Reply::Refused(Refusal::Overloaded))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Gone),
        }
    }
}
