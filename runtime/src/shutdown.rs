//! The order in which a process ends: its surfaces stop taking requests, the driver drains and syncs the log, and
//! telemetry goes last. One signal, seen by any number of tasks, starts it; each step is bounded in time by whoever waits.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Starts the shutdown. It also starts when the last trigger is dropped, so that nothing outlives what started it.
#[derive(Clone, Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Tells a task that the shutdown has started. Clones are independent.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A signal and those who see it.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Starts the shutdown; once is enough.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Another view of the same signal.
    #[must_use]
    pub fn watch(&self) -> Shutdown {
        Shutdown(self.0.subscribe())
    }
}

impl Shutdown {
    /// Whether it has started.
    #[must_use]
    pub fn started(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when it has started; may be dropped and called again.
    pub async fn wait(&mut self) {
        let _ended = self.0.wait_for(|started| *started).await;
    }
}

/// Returns when the process is asked to end: by the terminal (SIGINT) or by whoever runs it (SIGTERM).
pub async fn requested() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_watcher_sees_it_whether_started_or_dropped() {
        let (trigger, mut early) = channel();
        assert!(!early.started());
        let mut other = trigger.watch();
        trigger.start();
        early.wait().await;
        other.wait().await;
        assert!(trigger.watch().started());

        let (trigger, mut orphan) = channel();
        drop(trigger);
        orphan.wait().await;
        assert!(orphan.started());
    }
}
