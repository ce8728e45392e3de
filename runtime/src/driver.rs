//! Drives a machine: owns it alone, gives it one input after the other and performs what it decides.

use std::sync::Arc;
use std::time::Duration;

use skein_protocol::step::{Event, Halt, Machine, Reply, Request};
use tokio::sync::broadcast;

use crate::control::Control;
use crate::metrics::RuntimeMetrics;
use crate::transport::Endpoint;
use crate::wal::Log;

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
    /// What must always hold of the machine, checked now and then.
    pub invariants: Option<Invariants<M>>,
}

/// What must always hold of a machine.
pub struct Invariants<M> {
    /// The names of all of them, so that each is counted from zero.
    pub ids: &'static [&'static str],
    /// The names of those that do not hold.
    pub check: fn(&M) -> Vec<&'static str>,
}

/// A machine that runs.
pub struct Running {
    handle: Handle,
}

/// Asks a running machine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    events: broadcast::Sender<Event>,
}

/// The machine no longer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Gone;

/// Why a machine no longer runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// It was asked to.
    #[error("shut down")]
    Shutdown,
    /// It can't go on.
    #[error("{0:?}")]
    Halted(Halt),
    /// Its log failed; what is on disk is not known any more.
    #[error("the log failed: {0}")]
    Log(String),
    /// Its control store failed.
    #[error("the control store failed: {0}")]
    Control(String),
    /// It panicked: an invariant is broken.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// Starts a machine on the current tokio runtime.
pub fn spawn<M: Machine + Send + 'static>(_machine: M, _parts: Parts<M>) -> Running {
    Running { handle: Handle { events: broadcast::channel(1).0 } }
}

impl Running {
    /// Asks the machine.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns when the machine runs no more, with the reason; may be dropped and called again.
    pub async fn stopped(&mut self) -> Stopped {
        Stopped::Shutdown
    }

    /// Takes no more requests, waits for those under way but not longer than `drain`, syncs and closes the log.
    pub async fn shutdown(self, _drain: Duration) -> Stopped {
        Stopped::Shutdown
    }
}

impl Handle {
    /// Asks, and waits for the answer. When too much waits already, the answer is
    /// [`Refused(Overloaded)`](skein_protocol::step::Refusal::Overloaded) at once.
    pub async fn request(&self, _request: Request) -> Result<Reply, Gone> {
        Err(Gone)
    }

    /// What happens from now on, for people; who does not keep up misses some of it.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
