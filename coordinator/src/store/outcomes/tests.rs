//! What those hear who ask later, and in which order rows are written.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use skein_protocol::limits::OPERATIONS_MAX;
use skein_protocol::step::Unrecorded;

use super::recorder::{OUTLIVES_BY, Recorder};
use super::*;
use crate::store::cluster::Promise;
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
