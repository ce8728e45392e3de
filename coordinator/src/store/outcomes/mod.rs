//! How transactions ended, for those who ask later. Whoever heard *unknown* may ask when the coordinator that told them so, or
//! the workers that knew, are long gone: so what somebody may still ask for is written to rows of the store, and only then may
//! the workers forget it. Beside the outcomes there is a row for each run of a coordinator that has found others before it:
//! what they left that stands in no row was aborted, as [`EarlierRuns`] says.
//!
//! Two orders make the absence of a row mean something. A run's row is written only when all outcomes are that it knew of, and
//! ends no later than they do; and whoever asks looks for the run first, and for the outcome after that.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{Incarnation, TxnId};
use skein_protocol::limits::{OPERATIONS_MAX, READ_KEYS_MAX};
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Range, Shared};
use skein_protocol::step::{EarlierRuns, KnownOutcome, Reply, Request, Unrecorded};
use skein_runtime::driver::Handle;
use skein_runtime::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;
use tracing::{debug, error, info};

use super::clock::Timestamp;
use super::cluster::{Cluster, Error, Promise, ask};
use super::tables::OUTCOMES;
use super::write::Found;

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
#[derive(Clone)]
pub struct Outcomes {
    cluster: Cluster,
    ledger: Arc<dyn Ledger>,
}

/// What this coordinator itself knows of how transactions ended.
pub trait Ledger: Send + Sync + 'static {
    /// How a transaction ended, as far as this coordinator knows.
    fn outcome(&self, txn: TxnId) -> Promise<'_, KnownOutcome>;

    /// Whether a view serves.
    fn serves(&self) -> Promise<'_, bool>;

    /// What has ended that somebody may still ask for, and stands in no row yet.
    fn unrecorded(&self) -> Promise<'_, Unrecorded>;

    /// These outcomes stand in rows now; with `runs`, so does what is known of the runs before this one.
    fn recorded(&self, outcomes: Vec<TxnId>, runs: bool) -> Promise<'_, ()>;
}

/// Writes down what somebody may still ask for.
struct Recorder {
    cluster: Cluster,
    ledger: Arc<dyn Ledger>,
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
    async fn round(&mut self) -> Result<(), Error> {
        loop {
            let unrecorded = self.ledger.unrecorded().await?;
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

/// The run that a row is about.
fn run_of(key: &Key) -> Option<Incarnation> {
    Some(Incarnation(u64::from_be_bytes(key.bytes.get(1..)?.try_into().ok()?)))
}

impl Ledger for Handle {
    fn outcome(&self, txn: TxnId) -> Promise<'_, KnownOutcome> {
        Box::pin(async move {
            match ask(self, Request::Outcome { txn }).await? {
                Reply::Outcome(outcome) => Ok(outcome),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn serves(&self) -> Promise<'_, bool> {
        Box::pin(async {
            match ask(self, Request::Status).await? {
                Reply::Coordinator(status) => Ok(status.serving),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn unrecorded(&self) -> Promise<'_, Unrecorded> {
        Box::pin(async {
            match ask(self, Request::Unrecorded).await? {
                Reply::Unrecorded(unrecorded) => Ok(unrecorded),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn recorded(&self, outcomes: Vec<TxnId>, runs: bool) -> Promise<'_, ()> {
        Box::pin(async move {
            match ask(self, Request::Recorded { outcomes, runs }).await? {
                Reply::Noted => Ok(()),
                _ => Err(Error::Invalid),
            }
        })
    }
}

fn put(key: Key, row: &impl Serialize) -> Operation {
    let value = OUTCOMES.encode(row).expect("a row is plain data with text keys");
    Operation { key, expect: Expect::Any, action: Action::Put(value.into()) }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::store::memory::Memory;

    const RUN: Incarnation = Incarnation(5);

    /// A coordinator of run 5, which knows of nothing but what is to be recorded, and the rows.
    #[derive(Clone, Default)]
    struct Left {
        memory: Memory,
        known: Arc<Mutex<Known>>,
    }

    #[derive(Default)]
    struct Known {
        outcomes: BTreeMap<TxnId, Outcome>,
        runs: Option<EarlierRuns>,
    }

    impl Ledger for Left {
        fn outcome(&self, txn: TxnId) -> Promise<'_, KnownOutcome> {
            let known = self.known.lock().unwrap().outcomes.get(&txn).copied();
            let none = if txn.incarnation < RUN { KnownOutcome::Unknown } else { KnownOutcome::NotKnown };
            Box::pin(std::future::ready(Ok(known.map_or(none, KnownOutcome::Known))))
        }

        fn serves(&self) -> Promise<'_, bool> {
            Box::pin(std::future::ready(Ok(true)))
        }

        fn unrecorded(&self) -> Promise<'_, Unrecorded> {
            let known = self.known.lock().unwrap();
            let outcomes = known.outcomes.iter().take(OPERATIONS_MAX - 1).map(|(txn, outcome)| (*txn, *outcome)).collect();
            Box::pin(std::future::ready(Ok(Unrecorded { outcomes, runs: known.runs.clone() })))
        }

        fn recorded(&self, outcomes: Vec<TxnId>, runs: bool) -> Promise<'_, ()> {
            let mut known = self.known.lock().unwrap();
            for txn in outcomes {
                assert!(self.rows().iter().any(|row| row.key == outcome_key(txn)), "it is not recorded");
                known.outcomes.remove(&txn);
            }
            if runs {
                assert!(known.outcomes.is_empty(), "a run is recorded before all that it knew of is");
                known.runs = None;
            }
            Box::pin(std::future::ready(Ok(())))
        }
    }

    impl Left {
        fn rows(&self) -> Vec<skein_protocol::operation::Row> {
            self.memory.rows(OUTCOMES.id)
        }

        fn recorder(&self, kept_for: Duration) -> Recorder {
            Recorder { cluster: self.memory.cluster(), ledger: Arc::new(self.clone()), kept_for, begun: None }
        }

        async fn outcome(&self, txn: TxnId) -> KnownOutcome {
            Outcomes::new(self.memory.cluster(), Arc::new(self.clone())).outcome(txn).await.unwrap()
        }
    }

    fn txn(run: u64, sequence: u64) -> TxnId {
        TxnId { incarnation: Incarnation(run), sequence }
    }

    /// Run 4 had ended with all below its hundredth transaction; of those after it every third was committed, so many.
    fn left(count: u64) -> Left {
        let left = Left::default();
        let mut known = left.known.lock().unwrap();
        known.runs = Some(EarlierRuns { incarnation: RUN, marks: vec![(Incarnation(4), 100)] });
        known.outcomes = (0..count).map(|number| (txn(4, 100 + 3 * number), Outcome::Committed)).collect();
        drop(known);
        left
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn what_is_recorded_is_known_and_what_a_run_left_nowhere_was_aborted() {
        for count in [0, 1, 62, 63, 64, 300] {
            let store = left(count);
            assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Known(Outcome::Aborted), "this run knows");
            assert_eq!(store.outcome(txn(4, 99)).await, KnownOutcome::Unknown, "it does not know of that");
            store.recorder(HOUR).round().await.unwrap();
            assert_eq!(store.rows().len() as u64, count + 1);
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
    async fn as_long_as_one_is_not_recorded_a_later_run_takes_none_for_aborted() {
        let store = left(64);
        let knows = store.known.lock().unwrap().runs.clone();
        let later = || store.known.lock().unwrap().runs = None;
        let same = || store.known.lock().unwrap().runs.clone_from(&knows);
        let mut recorder = store.recorder(HOUR);
        let first = recorder.ledger.unrecorded().await.unwrap();
        recorder.batch(first).await.unwrap();
        assert_eq!(store.rows().len(), 63, "the run's row is not among them");
        later();
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown);
        assert_eq!(store.outcome(txn(4, 100)).await, KnownOutcome::Known(Outcome::Committed));
        same();
        store.memory.end_next(Error::Unavailable);
        assert_eq!(recorder.round().await, Err(Error::Unavailable));
        assert_eq!(
            store.outcome(txn(4, 1_000)).await,
            KnownOutcome::Known(Outcome::Aborted),
            "this run knows all that is not recorded"
        );
        later();
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown);
        same();
        recorder.round().await.unwrap();
        later();
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Known(Outcome::Aborted));
    }

    #[tokio::test]
    async fn a_run_is_forgotten_before_the_outcomes_that_it_goes_with() {
        let store = left(3);
        store.recorder(Duration::ZERO).round().await.unwrap();
        let now = Timestamp::now();
        let rows = store.rows();
        let gone = |now: Timestamp| {
            rows.iter().filter(|row| OUTCOMES.has_ended(&row.value, now).unwrap()).map(|row| row.key.bytes[0]).collect::<Vec<_>>()
        };
        assert_eq!(gone(now), [OF_RUN]);
        assert_eq!(gone(now.after(OUTLIVES_BY)), [OF_OUTCOME, OF_OUTCOME, OF_OUTCOME, OF_RUN]);
        assert_eq!(store.outcome(txn(4, 1_000)).await, KnownOutcome::Unknown, "swept or not");
        assert_eq!(store.outcome(txn(4, 100)).await, KnownOutcome::Known(Outcome::Committed));
    }

    /// Has a newer program write this row.
    fn make_newer(store: &Left, key: &Key) {
        let row = store.rows().into_iter().find(|row| row.key == *key).unwrap();
        let text = String::from_utf8(row.value.to_vec()).unwrap();
        let (now, next) = (format!("\"format\":{}", OUTCOMES.format), format!("\"format\":{}", OUTCOMES.format + 1));
        store.memory.put(key.clone(), text.replacen(&now, &next, 1).into_bytes());
    }

    #[tokio::test]
    async fn an_outcome_or_a_run_of_a_newer_format_never_counts_as_missing() {
        for newer in [outcome_key(txn(4, 100)), Key::new(OUTCOMES.id, run_key(RUN))] {
            let store = left(1);
            store.recorder(HOUR).round().await.unwrap();
            make_newer(&store, &newer);
            let outcome = Outcomes::new(store.memory.cluster(), Arc::new(store.clone())).outcome(txn(4, 100)).await;
            assert!(matches!(outcome, Err(Error::Unreadable(_))), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn an_outcome_of_a_newer_format_is_not_written_over_and_its_run_waits() {
        // Far enough behind the others to be in the second read.
        let store = left(60);
        let again = store.known.lock().unwrap().outcomes.clone();
        store.recorder(HOUR).round().await.unwrap();
        make_newer(&store, &outcome_key(txn(4, 100 + 3 * 50)));
        let before = store.rows();
        store.known.lock().unwrap().outcomes = again;
        store.known.lock().unwrap().runs = Some(EarlierRuns { incarnation: RUN, marks: Vec::new() });
        assert!(matches!(store.recorder(HOUR).round().await, Err(Error::Unreadable(_))));
        assert_eq!(store.rows(), before);
    }
}
