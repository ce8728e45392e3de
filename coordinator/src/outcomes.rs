//! How transactions ended, for those who ask later. Whoever heard *unknown* may ask when the coordinator that told them so, or
//! the workers that knew, are long gone: so what somebody may still ask for is written to rows of the store, and only then may
//! the workers forget it. Beside the outcomes there is a row for each run of a coordinator that has found others before it:
//! what they left that stands in no row was aborted, as [`EarlierRuns`] says.
//!
//! Two orders make the absence of a row mean something. A run's row is written only when all outcomes are that it knew of, and
//! ends no later than they do; and whoever asks looks for the run first, and for the outcome after that.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{Incarnation, TxnId};
use skein_protocol::limits::OPERATIONS_MAX;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Range, Shared};
use skein_protocol::step::{EarlierRuns, KnownOutcome, Unrecorded};
use skein_runtime::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info};

use crate::clock::Timestamp;
use crate::cluster::{Cluster, Error};
use crate::tables::OUTCOMES;

/// How often it is looked whether there is something to be recorded.
const RECORD_EVERY: Duration = Duration::from_millis(250);

/// By how much an outcome outlives the rows of runs that were written with it, so that nobody who has seen one of these
/// comes too late for the outcome.
const OUTLIVES_BY: Duration = Duration::from_secs(60);

/// Rows of runs that are looked at. There is one for each start of a coordinator within the time that they are kept.
const RUNS_MAX: u32 = 1_000;

/// The first byte of the keys of outcomes, and of runs.
const OF_OUTCOME: u8 = 0;
const OF_RUN: u8 = 1;

/// How transactions ended, as far as the coordinator and the rows know.
#[derive(Clone, Debug)]
pub struct Outcomes {
    cluster: Cluster,
}

/// Writes down what somebody may still ask for.
#[derive(Debug)]
struct Recorder {
    cluster: Cluster,
    kept_for: Duration,
    /// When the first outcomes were written that the row of this run speaks of.
    begun: Option<Timestamp>,
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

/// Only what the sweep needs.
#[derive(Deserialize)]
struct Expiry {
    expires_at: Timestamp,
}

impl Outcomes {
    /// The outcomes of this cluster.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Outcomes { cluster }
    }

    /// How a transaction ended. While the rows can't be read, what they might say is unknown.
    ///
    /// # Errors
    /// When this coordinator can't tell.
    pub async fn outcome(&self, txn: TxnId) -> Result<KnownOutcome, Error> {
        let said = self.cluster.outcome(txn).await?;
        // Until a view serves, whoever asks for what may still come need not wait for the rows.
        let known = matches!(said, KnownOutcome::Known(_));
        if known || (said == KnownOutcome::Unknown && !self.cluster.status().await?.serving) {
            return Ok(said);
        }
        match (self.recorded(txn).await, said) {
            (Ok(Some(outcome)), _) => Ok(KnownOutcome::Known(outcome)),
            (Ok(None), said) => Ok(said),
            (Err(Error::Unavailable | Error::Overloaded), KnownOutcome::Unknown) => Ok(KnownOutcome::Unknown),
            (Err(error), _) => Err(error),
        }
    }

    /// What the rows say.
    async fn recorded(&self, txn: TxnId) -> Result<Option<Outcome>, Error> {
        let runs = self.next_run(txn.incarnation).await?;
        let row = self.cluster.read_one(outcome_key(txn)).await?;
        if let Some(row) = row.and_then(|row| serde_json::from_slice::<OutcomeRow>(&row.value).ok()) {
            return Ok(Some(row.outcome.into()));
        }
        Ok(runs.and_then(|runs| runs.outcome(txn)))
    }

    /// What the first run after this one that is still remembered has learned.
    async fn next_run(&self, run: Incarnation) -> Result<Option<EarlierRuns>, Error> {
        let from = Some(Shared::from(run_key(Incarnation(run.0.saturating_add(1)))));
        let until = Some(Shared::from(vec![OF_RUN + 1]));
        let range = Range { table: OUTCOMES, from, until, descending: false, rows_max: RUNS_MAX };
        let page = self.cluster.scan(range, Consistency::Arrival).await?;
        let now = Timestamp::now();
        let kept = page.rows.iter().filter_map(|row| {
            let incarnation = Incarnation(u64::from_be_bytes(row.key.bytes.get(1..)?.try_into().ok()?));
            let found = serde_json::from_slice::<RunRow>(&row.value).ok().filter(|found| found.expires_at > now)?;
            let marks = found.marks.into_iter().map(|(run, below)| (Incarnation(run), below)).collect();
            Some(EarlierRuns { incarnation, marks })
        });
        Ok(kept.min_by_key(|runs| runs.incarnation))
    }
}

/// Records what is to be recorded, once in a while, until the shutdown starts.
pub async fn record(cluster: Cluster, kept_for: Duration, mut shutdown: Shutdown) {
    let mut recorder = Recorder { cluster, kept_for, begun: None };
    let mut ticks = tokio::time::interval(RECORD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = recorder.round().await {
            // The next round begins with the same.
            debug!(%error, "outcomes could not be recorded yet");
        }
    }
}

impl Recorder {
    /// Records all that there is by now.
    async fn round(&mut self) -> Result<(), Error> {
        loop {
            let unrecorded = self.cluster.unrecorded().await?;
            if unrecorded == Unrecorded::default() {
                return Ok(());
            }
            self.batch(unrecorded).await?;
        }
    }

    /// Records these, in one transaction.
    async fn batch(&mut self, Unrecorded { outcomes, runs }: Unrecorded) -> Result<(), Error> {
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
            operations.push(put(Key::new(OUTCOMES, run_key(runs.incarnation)), &row));
        }
        self.cluster.commit(operations).await?;
        let count = outcomes.len();
        let done = runs.is_some();
        self.cluster.recorded(outcomes.into_iter().map(|(txn, _)| txn).collect(), done).await?;
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
}

/// Whether a row of the table has outlived its time.
#[must_use]
pub fn expired(value: &[u8], now: Timestamp) -> bool {
    serde_json::from_slice::<Expiry>(value).is_ok_and(|row| row.expires_at <= now)
}

fn put(key: Key, row: &impl Serialize) -> Operation {
    let value = serde_json::to_vec(row).expect("a row is plain data with text keys");
    Operation { key, expect: Expect::Any, action: Action::Put(value.into()) }
}

fn outcome_key(txn: TxnId) -> Key {
    let mut bytes = vec![OF_OUTCOME];
    bytes.extend_from_slice(&txn.incarnation.0.to_be_bytes());
    bytes.extend_from_slice(&txn.sequence.to_be_bytes());
    Key::new(OUTCOMES, bytes)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    use prometheus::Registry;
    use skein_protocol::id::Version;
    use skein_protocol::operation::{Answer, Query, Row};
    use skein_protocol::step::{ComparisonStatus, CoordinatorStatus, Reply, Request};

    use super::*;
    use crate::cluster::Engine;
    use crate::metrics::CoordinatorMetrics;

    const RUN: Incarnation = Incarnation(5);

    /// A coordinator of run 5 and its rows; its core knows of nothing but what is to be recorded.
    #[derive(Clone, Default)]
    struct Store(Arc<Mutex<Held>>);

    #[derive(Default)]
    struct Held {
        rows: BTreeMap<Key, Shared>,
        outcomes: BTreeMap<TxnId, Outcome>,
        runs: Option<EarlierRuns>,
        /// Whether writes are refused.
        full: bool,
    }

    impl Store {
        fn answer(&self, request: Request) -> Reply {
            let mut held = self.0.lock().unwrap();
            let row = |(key, value): (&Key, &Shared)| Row {
                key: key.clone(),
                version: Version(1),
                written_by: txn(1, 1),
                value: value.clone(),
            };
            match request {
                Request::Read { query: Query::Keys(keys), .. } => {
                    let rows = keys.iter().filter_map(|key| held.rows.get_key_value(key)).map(row).collect();
                    Reply::Found(Answer::Rows { rows, more: false })
                }
                Request::Read { query: Query::Range(range), .. } => {
                    let [from, until] = [range.from, range.until].map(|end| Key::new(range.table, end.unwrap()));
                    Reply::Found(Answer::Rows { rows: held.rows.range(from..until).map(row).collect(), more: false })
                }
                Request::Commit { .. } if held.full => Reply::Refused(skein_protocol::step::Refusal::Unavailable),
                Request::Commit { operations, .. } => {
                    assert!(operations.len() <= OPERATIONS_MAX);
                    for operation in operations {
                        match operation.action {
                            Action::Put(value) => drop(held.rows.insert(operation.key, value)),
                            Action::Delete | Action::Check => panic!("the recorder only writes"),
                        }
                    }
                    Reply::Committed { txn: txn(5, 1), versions: Vec::new() }
                }
                Request::Outcome { txn } if txn.incarnation < RUN => {
                    Reply::Outcome(held.outcomes.get(&txn).map_or(KnownOutcome::Unknown, |outcome| KnownOutcome::Known(*outcome)))
                }
                Request::Outcome { .. } => Reply::Outcome(KnownOutcome::NotKnown),
                Request::Unrecorded => {
                    let outcomes = held.outcomes.iter().take(OPERATIONS_MAX - 1).map(|(txn, outcome)| (*txn, *outcome));
                    Reply::Unrecorded(Unrecorded { outcomes: outcomes.collect(), runs: held.runs.clone() })
                }
                Request::Recorded { outcomes, runs } => {
                    for txn in outcomes {
                        let key = outcome_key(txn);
                        assert!(held.rows.contains_key(&key), "it is not recorded");
                        held.outcomes.remove(&txn);
                    }
                    if runs {
                        assert!(held.outcomes.is_empty(), "a run is recorded before all that it knew of is");
                        held.runs = None;
                    }
                    Reply::Noted
                }
                Request::Status => Reply::Coordinator(Box::new(CoordinatorStatus {
                    record: None,
                    serving: true,
                    full: Vec::new(),
                    roster: Vec::new(),
                    connected: Vec::new(),
                    in_flight: 0,
                    queued: 0,
                    in_doubt: 0,
                    stalled: false,
                    reads: 0,
                    read_bytes: 0,
                    copies: Vec::new(),
                    comparison: ComparisonStatus::default(),
                })),
                other => panic!("nobody asks for {other:?}"),
            }
        }

        fn cluster(&self) -> Cluster {
            let registry = Registry::new();
            Cluster::new(self.clone(), CoordinatorMetrics::register(&registry).unwrap().node("test", &[]))
        }

        fn recorder(&self, kept_for: Duration) -> Recorder {
            Recorder { cluster: self.cluster(), kept_for, begun: None }
        }

        async fn outcome(&self, txn: TxnId) -> KnownOutcome {
            Outcomes::new(self.cluster()).outcome(txn).await.unwrap()
        }
    }

    impl Engine for Store {
        fn request(&self, request: Request) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send + '_>> {
            Box::pin(async { Some(self.answer(request)) })
        }
    }

    fn txn(run: u64, sequence: u64) -> TxnId {
        TxnId { incarnation: Incarnation(run), sequence }
    }

    /// Run 4 had ended with all below its hundredth transaction; of those after it every third was committed, so many.
    fn left(count: u64) -> Store {
        let store = Store::default();
        let mut held = store.0.lock().unwrap();
        held.runs = Some(EarlierRuns { incarnation: RUN, marks: vec![(Incarnation(4), 100)] });
        held.outcomes = (0..count).map(|number| (txn(4, 100 + 3 * number), Outcome::Committed)).collect();
        drop(held);
        store
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn what_is_recorded_is_known_and_what_a_run_left_nowhere_was_aborted() {
        for count in [0, 1, 62, 63, 64, 300] {
            let store = left(count);
            assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown, "nothing is recorded yet");
            store.recorder(HOUR).round().await.unwrap();
            let held = store.0.lock().unwrap().rows.len() as u64;
            assert_eq!(held, count + 1);
            for number in 0..count {
                assert_eq!(store.outcome(txn(4, 100 + 3 * number)).await, KnownOutcome::Known(Outcome::Committed));
            }
            assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Known(Outcome::Aborted));
            assert_eq!(store.outcome(txn(4, 99)).await, KnownOutcome::Unknown, "its client was told long ago");
            assert_eq!(store.outcome(txn(3, 200)).await, KnownOutcome::Unknown, "it was cleared up after");
            assert_eq!(store.outcome(txn(5, 1)).await, KnownOutcome::NotKnown);
        }
    }

    #[tokio::test]
    async fn as_long_as_one_is_not_recorded_none_counts_as_aborted() {
        let store = left(64);
        let mut recorder = store.recorder(HOUR);
        let first = recorder.cluster.unrecorded().await.unwrap();
        recorder.batch(first).await.unwrap();
        assert_eq!(store.0.lock().unwrap().rows.len(), 63, "the run's row is not among them");
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown);
        assert_eq!(store.outcome(txn(4, 100)).await, KnownOutcome::Known(Outcome::Committed));
        store.0.lock().unwrap().full = true;
        assert_eq!(recorder.round().await, Err(Error::Unavailable));
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown);
        store.0.lock().unwrap().full = false;
        recorder.round().await.unwrap();
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Known(Outcome::Aborted));
    }

    #[tokio::test]
    async fn a_run_is_forgotten_before_the_outcomes_that_it_goes_with() {
        let store = left(3);
        store.recorder(Duration::ZERO).round().await.unwrap();
        let now = Timestamp::now();
        let rows = store.0.lock().unwrap().rows.clone();
        let gone =
            |now: Timestamp| rows.iter().filter(|(_, row)| expired(row, now)).map(|(key, _)| key.bytes[0]).collect::<Vec<_>>();
        assert_eq!(gone(now), [OF_RUN]);
        assert_eq!(gone(now.after(OUTLIVES_BY)), [OF_OUTCOME, OF_OUTCOME, OF_OUTCOME, OF_RUN]);
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown, "swept or not");
        assert_eq!(store.outcome(txn(4, 100)).await, KnownOutcome::Known(Outcome::Committed));
    }
}
