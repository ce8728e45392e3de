//! How transactions ended, for those who ask later. Whoever heard *unknown* may ask when the coordinator that told them so, or
//! the workers that knew, are long gone: so what somebody may still ask for is written to rows of the store, and only then may
//! the workers forget it. Beside the outcomes there is a row for each run of a coordinator that has found others before it:
//! what they left that stands in no row was aborted, as [`EarlierRuns`] says.
//!
//! Two orders make the absence of a row mean something. A run's row is written only when all outcomes are that it knew of, and
//! ends no later than they do; and whoever asks looks for the run first, and for the outcome after that.

mod ledger;
mod recorder;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{Incarnation, TxnId};
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Consistency, Key, Range, Shared};
use skein_protocol::step::{EarlierRuns, KnownOutcome};

use super::clock::Timestamp;
use super::cluster::{Cluster, Error};
use super::tables::OUTCOMES;
pub use ledger::Ledger;
pub use recorder::record;

/// Rows of runs that are looked at. There is one for each start of a coordinator within the time that they are kept.
const RUNS_MAX: u32 = 1_000;

/// The first byte of the keys of outcomes, and of runs.
const OF_OUTCOME: u8 = 0;
const OF_RUN: u8 = 1;

/// How transactions ended, as far as the coordinator and the rows know.
#[derive(Clone)]
pub struct Outcomes {
    cluster: Cluster,
    ledger: Arc<dyn Ledger>,
}

#[derive(Serialize, Deserialize)]
struct OutcomeRow {
    outcome: Ended,
    expires_at: Timestamp,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ended {
    Committed,
    Aborted,
}

#[derive(Serialize, Deserialize)]
struct RunRow {
    /// Runs and how far their transactions had ended for all who may ask.
    marks: Vec<(u64, u64)>,
    expires_at: Timestamp,
}

impl Outcomes {
    /// The outcomes of this cluster.
    #[must_use]
    pub fn new(cluster: Cluster, ledger: Arc<dyn Ledger>) -> Self {
        Outcomes { cluster, ledger }
    }

    /// How a transaction ended. While the rows can't be read, what they might say is unknown.
    ///
    /// # Errors
    /// When this coordinator can't tell.
    pub async fn outcome(&self, txn: TxnId) -> Result<KnownOutcome, Error> {
        if let said @ KnownOutcome::Known(_) = self.ledger.outcome(txn).await? {
            return Ok(said);
        }
        // What earlier runs left may find no room in rows. Then this run knows of them, which it says first: what it knows and has no
        // row by now it knows in the next moment too, or a row has it when they are read.
        let runs = self.ledger.unrecorded().await?.runs;
        let said = self.ledger.outcome(txn).await?;
        // Until a view serves, whoever asks for what may still come need not wait for the rows.
        let known = matches!(said, KnownOutcome::Known(_));
        if known || (said == KnownOutcome::Unknown && !self.ledger.serves().await?) {
            return Ok(said);
        }
        match (self.recorded(txn, runs).await, said) {
            (Ok(Some(outcome)), _) => Ok(KnownOutcome::Known(outcome)),
            (Ok(None), said) => Ok(said),
            (Err(Error::Unavailable | Error::Overloaded), KnownOutcome::Unknown) => Ok(KnownOutcome::Unknown),
            (Err(error), _) => Err(error),
        }
    }

    /// What the rows say, and where none of them is of a run, what this run has learned of those before it.
    async fn recorded(&self, txn: TxnId, learned: Option<EarlierRuns>) -> Result<Option<Outcome>, Error> {
        let runs = self.next_run(txn.incarnation).await?.or(learned);
        let row = self.cluster.read_one(outcome_key(txn)).await?;
        if let Some(row) = row {
            return Ok(Some(OUTCOMES.decode::<OutcomeRow>(&row.value)?.outcome.into()));
        }
        Ok(runs.and_then(|runs| runs.outcome(txn)))
    }

    /// What the first run after this one that is still remembered has learned.
    async fn next_run(&self, run: Incarnation) -> Result<Option<EarlierRuns>, Error> {
        let from = Some(Shared::from(run_key(Incarnation(run.0.saturating_add(1)))));
        let until = Some(Shared::from(vec![OF_RUN + 1]));
        let range = Range { table: OUTCOMES.id, from, until, descending: false, rows_max: RUNS_MAX };
        let page = self.cluster.scan(range, Consistency::Arrival).await?;
        let now = Timestamp::now();
        // The order of the keys is the order of the runs.
        for row in &page.rows {
            let found: RunRow = OUTCOMES.decode(&row.value)?;
            if found.expires_at > now {
                let incarnation = run_of(&row.key).ok_or(OUTCOMES.malformed())?;
                let marks = found.marks.into_iter().map(|(run, below)| (Incarnation(run), below)).collect();
                return Ok(Some(EarlierRuns { incarnation, marks }));
            }
        }
        Ok(None)
    }
}

/// The run that a row is about.
fn run_of(key: &Key) -> Option<Incarnation> {
    Some(Incarnation(u64::from_be_bytes(key.bytes.get(1..)?.try_into().ok()?)))
}

fn outcome_key(txn: TxnId) -> Key {
    let mut bytes = vec![OF_OUTCOME];
    bytes.extend_from_slice(&txn.incarnation.0.to_be_bytes());
    bytes.extend_from_slice(&txn.sequence.to_be_bytes());
    Key::new(OUTCOMES.id, bytes)
}

fn run_key(run: Incarnation) -> Vec<u8> {
    let mut bytes = vec![OF_RUN];
    bytes.extend_from_slice(&run.0.to_be_bytes());
    bytes
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Committed => Ended::Committed,
            Outcome::Aborted => Ended::Aborted,
        }
    }
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Committed => Outcome::Committed,
            Ended::Aborted => Outcome::Aborted,
        }
    }
}
