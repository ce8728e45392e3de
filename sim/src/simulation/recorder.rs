//! Who records how transactions ended that somebody may still ask for, as `coordinator/src/store/outcomes/recorder.rs` does it: in rows that
//! are written by transactions of the cluster itself, and only then may the workers forget. Its writes are calls like those of
//! clients, so all that is checked of these is checked of them.
//!
//! What somebody would hear who asks is looked up again and again: *committed* is never followed by *aborted*, no two answers
//! contradict each other, and once all has healed everyone who heard *unknown* can learn how it ended.

use std::collections::BTreeMap;

use skein_protocol::id::{Incarnation, RequestId, TraceContext, TxnId};
use skein_protocol::limits::OPERATIONS_MAX;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Expect, Key, Operation, Shared, TableId};
use skein_protocol::step::{AbortReason, EarlierRuns, KnownOutcome, Reply, Request, Unrecorded};

use super::checks::Violation;
use super::faults::Sight;
use super::node::Pending;
use super::oracle::Ask;
use super::queue::MS;
use super::world::{Event, World};

/// The table of its rows: the one that the core knows as the cluster's own.
const OUTCOMES: TableId = TableId::HOUSEKEEPING;

/// The first byte of the keys of outcomes, and of runs.
const OF_OUTCOME: u8 = 0;
const OF_RUN: u8 = 1;

/// The requests by which it asks what is to be recorded, and says what is: beyond the numbers of all calls.
const ASKS: RequestId = RequestId(1 << 62);
const TELLS: RequestId = RequestId(ASKS.0 + 1);

/// Answers that are looked up with each round.
const ASKED_PER_ROUND: u64 = 6;

/// The recorder, and what those would have heard who asked.
#[derive(Default)]
pub(crate) struct Recorder {
    stage: Stage,
    /// Whether its turns are withheld.
    pub(crate) withheld: bool,
    /// Whether its last rows found no room.
    is_full: bool,
    /// The answers that were found for those who heard *unknown*.
    found: BTreeMap<TxnId, Outcome>,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Asking,
    /// In this call, the rows of these.
    Writing(u64, Unrecorded),
    Telling,
}

impl Recorder {
    /// Whether what it is to record finds no room.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }
}

impl World {
    /// The recorder's turn has come.
    pub(crate) fn record(&mut self) {
        self.queue.push(self.now + self.plan.record_every, Event::Record);
        let leader = self.leader();
        if matches!(self.recorder.stage, Stage::Idle) && self.nodes[leader].is_up() && !self.recorder.withheld {
            self.recorder.stage = Stage::Asking;
            self.request(leader, ASKS, Request::Unrecorded);
        }
        let calls = self.oracle.calls.len() as u64;
        for _ in 0..ASKED_PER_ROUND.min(calls) {
            let place = self.random.below(calls);
            self.look_up(usize::try_from(place).expect("a call's number"));
        }
    }

    /// Whether this is an answer to the recorder, which has then taken it.
    pub(crate) fn recorder_heard(&mut self, id: RequestId, reply: &Reply) -> bool {
        let stage = std::mem::take(&mut self.recorder.stage);
        self.recorder.stage = match (stage, reply) {
            (Stage::Asking, Reply::Unrecorded(unrecorded)) if id == ASKS && *unrecorded != Unrecorded::default() => {
                self.write_rows(unrecorded.clone())
            }
            (Stage::Writing(call, unrecorded), Reply::Committed { .. }) if id.0 == call => {
                self.recorder.is_full = false;
                self.coverage.saw_many(Sight::OutcomesRecorded, unrecorded.outcomes.len() as u64);
                let outcomes = unrecorded.outcomes.into_iter().map(|(txn, _)| txn).collect();
                self.ask_later(TELLS, Request::Recorded { outcomes, runs: unrecorded.runs.is_some() });
                Stage::Telling
            }
            (Stage::Writing(call, _), Reply::Aborted { reason: AbortReason::Memory, .. }) if id.0 == call => {
                self.recorder.is_full = true;
                self.coverage.saw(Sight::ReserveUsedUp);
                Stage::Idle
            }
            // The next round begins with the same, whatever has become of it.
            (Stage::Writing(call, _), _) if id.0 == call => Stage::Idle,
            // There may be more than one transaction takes.
            (Stage::Telling, _) if id == TELLS => {
                self.ask_later(ASKS, Request::Unrecorded);
                Stage::Asking
            }
            (_, _) if id == ASKS || id == TELLS => Stage::Idle,
            (stage, _) => {
                self.recorder.stage = stage;
                return false;
            }
        };
        // A death between two steps of the recorder is what all this is about.
        let busy = id == TELLS || !matches!(self.recorder.stage, Stage::Idle);
        if busy && self.danger && self.random.chance(4 * self.plan.aim) {
            self.dies_after_step = true;
        }
        id == ASKS || id == TELLS
    }

    /// The coordinator is gone: its successor says what is to be recorded.
    pub(crate) fn recorder_lost(&mut self) {
        self.recorder.stage = Stage::Idle;
    }

    fn ask_later(&mut self, id: RequestId, request: Request) {
        let (leader, wait) = (self.leader(), self.random.between(1, 20 * MS));
        let life = self.nodes[leader].life;
        self.queue.push(self.now + wait, Event::Within(leader, life, Pending::Request(id, request)));
    }

    /// Writes these rows, in one transaction.
    fn write_rows(&mut self, mut unrecorded: Unrecorded) -> Stage {
        // As many as one transaction takes may not be all, and a run's row says that they are.
        unrecorded.runs = unrecorded.runs.filter(|_| unrecorded.outcomes.len() < OPERATIONS_MAX - 1);
        let put = |key: Key, value: Vec<u8>| Operation { key, expect: Expect::Any, action: Action::Put(value.into()) };
        let outcomes = unrecorded.outcomes.iter();
        let mut operations: Vec<Operation> =
            outcomes.map(|(txn, outcome)| put(outcome_key(*txn), vec![u8::from(*outcome == Outcome::Committed)])).collect();
        if let Some(runs) = &unrecorded.runs {
            let marks = runs.marks.iter().flat_map(|(run, below)| [run.0.to_be_bytes(), below.to_be_bytes()].concat());
            operations.push(put(run_key(runs.incarnation.0), marks.collect()));
        }
        let call = self.oracle.next();
        let trace = Some(TraceContext { trace: u128::from(call), span: 0, flags: 0 });
        self.moment += 1;
        let (leader, client, clock) = (self.leader(), self.clients.len(), self.clock());
        self.say(leader, "call", "", || format!("#{call} of the recorder: {} rows", operations.len()));
        self.oracle.begin(client, leader, Ask::Commit(operations.clone()), self.moment, self.now);
        self.ask_later(RequestId(u64::from(call)), Request::Commit { operations, clock, trace });
        Stage::Writing(u64::from(call), unrecorded)
    }

    /// What somebody hears who asks now how this transaction ended.
    fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        let coordinator = self.nodes[self.leader()].coordinator()?;
        match coordinator.transactions().outcome(txn) {
            KnownOutcome::Known(outcome) => Some(outcome),
            KnownOutcome::Unknown if !coordinator.leader().is_steady() => None,
            KnownOutcome::Unknown | KnownOutcome::NotKnown => {
                let recorded = self.row(&outcome_key(txn)).map(|value| match value.first() {
                    Some(1) => Outcome::Committed,
                    _ => Outcome::Aborted,
                });
                let runs = || self.next_run(txn.incarnation).or_else(|| coordinator.transactions().earlier_runs().cloned());
                recorded.or_else(|| runs()?.outcome(txn))
            }
        }
    }

    /// What a row holds.
    fn row(&self, key: &Key) -> Option<Shared> {
        self.ledger.chains.get(key)?.last()?.stored.as_ref().map(|stored| stored.value.clone())
    }

    /// What the first run after this one has learned.
    fn next_run(&self, run: Incarnation) -> Option<EarlierRuns> {
        let rows = self.ledger.chains.range(run_key(run.0 + 1)..run_key(u64::MAX));
        let (key, value) = rows.into_iter().find_map(|(key, _)| Some((key, self.row(key)?)))?;
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
        let marks = value.chunks(16).map(|mark| (Incarnation(number(&mark[..8])), number(&mark[8..]))).collect();
        Some(EarlierRuns { incarnation: Incarnation(number(&key.bytes[1..])), marks })
    }

    /// Looks up what the client of this call would hear.
    fn look_up(&mut self, place: usize) {
        let call = &self.oracle.calls[place];
        let wanted = call.reply.as_ref().and_then(|reply| match reply {
            Reply::Committed { txn, .. } => Some((*txn, Some(Outcome::Committed))),
            Reply::Aborted { txn, .. } => Some((*txn, Some(Outcome::Aborted))),
            Reply::Unknown { txn } => Some((*txn, self.recorder.found.get(txn).copied())),
            _ => None,
        });
        let Some((txn, wanted)) = wanted.filter(|_| call.slot == self.leader()) else { return };
        let Some(found) = self.outcome(txn) else { return };
        if wanted.is_some_and(|wanted| wanted != found) {
            let detail = format!("call {place} was told that {txn} is {wanted:?}, and whoever asks now hears {found:?}");
            self.violate(Violation::new("promises", detail));
        }
        if matches!(self.oracle.calls[place].reply, Some(Reply::Unknown { .. })) {
            self.recorder.found.insert(txn, found);
        }
    }

    /// Looks up all; in the end everybody must hear how it ended, and hear the truth.
    pub(crate) fn look_up_all(&mut self, is_over: bool) -> Result<(), Violation> {
        if !self.plan.records {
            return Ok(());
        }
        (0..self.oracle.calls.len()).for_each(|place| self.look_up(place));
        for (place, call) in self.oracle.calls.iter().enumerate().filter(|(_, call)| call.slot == self.leader()) {
            let Some(Reply::Unknown { txn }) = &call.reply else { continue };
            let is_committed = self.ledger.ended.get(txn).is_some_and(|ended| ended.outcome == Outcome::Committed);
            let truth = if is_committed { Outcome::Committed } else { Outcome::Aborted };
            let found = self.recorder.found.get(txn);
            if is_over && found != Some(&truth) {
                let detail =
                    format!("call {place} heard that the end of {txn} is unknown; it is {truth:?}, and who asks hears {found:?}");
                return Err(Violation::new("promises", detail));
            }
        }
        Ok(())
    }
}

fn outcome_key(txn: TxnId) -> Key {
    let mut bytes = vec![OF_OUTCOME];
    bytes.extend_from_slice(&txn.incarnation.0.to_be_bytes());
    bytes.extend_from_slice(&txn.sequence.to_be_bytes());
    Key::new(OUTCOMES, bytes)
}

fn run_key(run: u64) -> Key {
    let mut bytes = vec![OF_RUN];
    bytes.extend_from_slice(&run.to_be_bytes());
    Key::new(OUTCOMES, bytes)
}
