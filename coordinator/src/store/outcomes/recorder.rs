//! The recorder: writes to rows how transactions ended, so that the workers may forget it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use skein_protocol::limits::{OPERATIONS_MAX, READ_KEYS_MAX};
use skein_protocol::operation::{Action, Expect, Key, Operation};
use skein_protocol::step::Unrecorded;
use skein_runtime::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info};

use super::{Ledger, OutcomeRow, RunRow, outcome_key, run_key};
use crate::store::clock::Timestamp;
use crate::store::cluster::{Cluster, Error};
use crate::store::tables::OUTCOMES;
use crate::store::write::Found;

/// How often it is looked whether there is something to be recorded.
const RECORD_EVERY: Duration = Duration::from_millis(250);

/// By how much an outcome outlives the rows of runs that were written with it, so that nobody who has seen one of these
/// comes too late for the outcome.
pub(super) const OUTLIVES_BY: Duration = Duration::from_secs(60);

/// Writes down what somebody may still ask for.
pub(super) struct Recorder {
    pub(super) cluster: Cluster,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) kept_for: Duration,
    /// When the first outcomes were written that the row of this run speaks of.
    pub(super) begun: Option<Timestamp>,
}

/// Records what is to be recorded, once in a while, until the shutdown starts.
pub async fn record(cluster: Cluster, ledger: Arc<dyn Ledger>, kept_for: Duration, mut shutdown: Shutdown) {
    let mut said = None;
    let mut recorder = Recorder { cluster, ledger, kept_for, begun: None };
    let mut ticks = tokio::time::interval(RECORD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = recorder.round().await {
            // The next round begins with the same, and would say the same.
            match error {
                Error::Unreadable(unreadable) if said != Some(unreadable) => {
                    error!("outcomes are not recorded: {unreadable}");
                    said = Some(unreadable);
                }
                error => debug!(%error, "outcomes could not be recorded yet"),
            }
        }
    }
}

impl Recorder {
    /// Records all that there is by now.
    pub(super) async fn round(&mut self) -> Result<(), Error> {
        loop {
            let unrecorded = self.ledger.unrecorded().await?;
            if unrecorded == Unrecorded::default() {
                return Ok(());
            }
            self.batch(unrecorded).await?;
        }
    }

    /// Records these, in one transaction.
    pub(super) async fn batch(&mut self, Unrecorded { outcomes, runs }: Unrecorded) -> Result<(), Error> {
        let now = Timestamp::now();
        let begun = *self.begun.get_or_insert(now);
        // As many as one transaction takes may not be all, and a run's row says that they are.
        let runs = runs.filter(|_| outcomes.len() < OPERATIONS_MAX - 1);
        let mut operations = Vec::with_capacity(outcomes.len() + 1);
        for (txn, outcome) in &outcomes {
            let row = OutcomeRow { outcome: (*outcome).into(), expires_at: now.after(self.kept_for + OUTLIVES_BY) };
            operations.push(put(outcome_key(*txn), &row));
        }
        if let Some(runs) = &runs {
            let marks = runs.marks.iter().map(|(run, below)| (run.0, *below)).collect();
            let row = RunRow { marks, expires_at: begun.after(self.kept_for) };
            operations.push(put(Key::new(OUTCOMES.id, run_key(runs.incarnation)), &row));
        }
        self.keep_newer(&mut operations).await?;
        self.cluster.commit(operations).await?;
        let count = outcomes.len();
        let done = runs.is_some();
        self.ledger.recorded(outcomes.into_iter().map(|(txn, _)| txn).collect(), done).await?;
        if done {
            self.begun = None;
        }
        info!(
            outcome.count = count,
            run.recorded = done,
            "recorded how {count} transactions ended that somebody may still ask for"
        );
        Ok(())
    }

    /// Lets these writes replace only what this program can read. An earlier coordinator may have been of a newer program.
    ///
    /// # Errors
    /// When there is a row of a newer format: as long as it can't be renewed, no run's row may count on it.
    async fn keep_newer(&self, writes: &mut [Operation]) -> Result<(), Error> {
        for part in writes.chunks_mut(READ_KEYS_MAX) {
            let rows = self.cluster.read(part.iter().map(|write| write.key.clone()).collect()).await?;
            rows.iter().try_for_each(|row| OUTCOMES.check(&row.value))?;
            let found = Found::from(rows);
            for write in part {
                write.expect = found.unchanged(&write.key);
            }
        }
        Ok(())
    }
}

fn put(key: Key, row: &impl Serialize) -> Operation {
    let value = OUTCOMES.encode(row).expect("a row is plain data with text keys");
    Operation { key, expect: Expect::Any, action: Action::Put(value.into()) }
}
