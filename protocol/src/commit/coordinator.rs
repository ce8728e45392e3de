//! The coordinator's half of two-phase commit.
//!
//! ```text
//!            a key is taken         sent                all voted yes
//!  request ----------------> queued ----> preparing ------------------------> committing --- all acknowledged --> settled
//!                               ^            |  one voted no                      client hears: committed
//!                               |            v
//!                               +-------- aborting --- all acknowledged --> tried again, or the client hears why
//! ```
//!
//! A submission is what a client asked; a transaction is one attempt at it. Submissions on the same key queue here before
//! they are sent, so that refusals happen only between coordinators. Losing contact decides nothing: a transaction whose
//! votes don't come ends with its view, by the outcomes of the view change.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::commit::outcome::Settlement;
use crate::commit::participant::spans;
use crate::commit::window::Window;
use crate::id::{Age, Incarnation, NodeId, RequestId, TraceContext, TxnId, Version, ViewNumber};
use crate::limits::{self, Limits};
use crate::membership::view::View;
use crate::message::{Message, NoReason, Outcome, Prepare, Vote};
use crate::operation::{Action, Operation, TableId};
use crate::rules::Rules;
use crate::step::{AbortReason, EarlierRuns, Event, KnownOutcome, Output, Refusal, Reply, TransactionStep, Unrecorded};
use crate::store::lock::{Claimed, LockTable, Policy};
use crate::store::placement;

mod rollback;

#[cfg(test)]
mod tests;

/// The bounds that one coordinator keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Transactions that workers can't forget yet, at the most; see [`limits::IN_FLIGHT_MAX`].
    pub window: usize,
    /// Rounds of housekeeping that a request may take before its client is told what is known by then.
    pub request_sweeps: u8,
    /// Rounds after which a transaction whose participants are silent ends its view, and so does a window that stays full (R11).
    pub doubt_sweeps: u8,
    /// What it holds and has under way at once, at the most.
    pub limits: Limits,
}

/// The transactions of one coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transactions {
    incarnation: Incarnation,
    rules: Rules,
    bounds: Bounds,
    window: Window,
    /// The greatest age stamp given out or seen.
    stamp: u64,
    submissions: BTreeMap<RequestId, Submission>,
    running: BTreeMap<TxnId, Transaction>,
    /// Who may be sent, by key.
    queue: LockTable<RequestId>,
    /// Granted by the queue, to be sent as soon as the view is open and the window allows: first those that write only rows of the
    /// cluster itself, since the window may wait for these.
    own: VecDeque<RequestId>,
    ready: VecDeque<RequestId>,
    /// Refused by an older one of another coordinator, to be tried again when the timer goes off.
    refused: Vec<RequestId>,
    /// Outcomes of ended transactions, for those who ask.
    known: BTreeMap<TxnId, Outcome>,
    view: Option<View>,
    /// The view's members and learners in the order of identities: a participant is a bit of a mask.
    nodes: Vec<NodeId>,
    /// The bits of the learners among them.
    learners: u32,
    /// Operations of all that are running.
    running_operations: usize,
    /// Bytes of their keys and values.
    running_bytes: usize,
    /// Whether new transactions are sent. Not while a view change is under way.
    open: bool,
    /// Whether all members have the outcomes of earlier views synced.
    may_forget: bool,
}

/// What a client asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Submission {
    operations: Vec<Operation>,
    /// Whether it writes only rows of the cluster itself.
    own: bool,
    age: Age,
    trace: Option<TraceContext>,
    attempts: u8,
    sweeps: u8,
    /// Whether the client has been told that the outcome is unknown: it is not tried again.
    given_up: bool,
    /// The attempt under way, or the last.
    txn: Option<TxnId>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Transaction {
    request: RequestId,
    view: ViewNumber,
    /// How many operations it has.
    operations: usize,
    /// Bytes of its keys and values.
    bytes: usize,
    participants: u32,
    /// Participants whose vote or acknowledgement is still to come.
    awaited: u32,
    versions: Vec<Version>,
    phase: Phase,
    /// Rounds of housekeeping since a participant was last heard.
    silent_sweeps: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Preparing,
    Committing,
    Aborting(NoReason),
}

impl Transactions {
    /// No transactions yet, in this run.
    #[must_use]
    pub fn new(incarnation: Incarnation, bounds: Bounds, records: bool, rules: Rules) -> Self {
        Transactions {
            incarnation,
            rules,
            bounds,
            window: Window::new(incarnation, bounds.window, records, rules),
            stamp: 0,
            submissions: BTreeMap::new(),
            running: BTreeMap::new(),
            queue: LockTable::new(Policy::Queue, Rules::ALL),
            own: VecDeque::new(),
            ready: VecDeque::new(),
            refused: Vec::new(),
            known: BTreeMap::new(),
            view: None,
            nodes: Vec::new(),
            learners: 0,
            running_operations: 0,
            running_bytes: 0,
            open: false,
            may_forget: false,
        }
    }

    /// The age of a new transaction or read.
    pub fn next_age(&mut self, clock: u64) -> Age {
        self.stamp = clock.max(self.stamp) + 1;
        Age { stamp: self.stamp, incarnation: self.incarnation }
    }

    /// Another node has seen this stamp: ages from now on are greater. One that no clock can have given is not believed.
    pub fn saw_stamp(&mut self, stamp: u64) {
        if stamp <= limits::STAMP_MAX {
            self.stamp = self.stamp.max(stamp);
        }
    }

    /// Takes a client's transaction.
    pub fn submit(
        &mut self,
        id: RequestId,
        operations: Vec<Operation>,
        clock: u64,
        trace: Option<TraceContext>,
        out: &mut Vec<Output>,
    ) {
        let own = self.rules.goes_first(operations.iter().all(|operation| operation.key.table == TableId::HOUSEKEEPING));
        let requests_max = self.bounds.limits.requests_max + if own { limits::OWN_REQUESTS_MAX } else { 0 };
        let refusal = if !is_valid(&operations) {
            Some(Refusal::Invalid)
        } else if self.submissions.len() >= requests_max {
            Some(Refusal::Overloaded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            if !self.rules.refused_leave_the_line() && refusal == Refusal::Overloaded {
                self.wrongly_queue_refused(id, &operations, clock);
            }
            out.push(Output::Reply { id, reply: Reply::Refused(refusal) });
            return;
        }
        let age = self.next_age(clock);
        let claimed = self.queue.claim(id, age, spans(&operations));
        let submission = Submission { operations, own, age, trace, attempts: 0, sweeps: 0, given_up: false, txn: None };
        self.submissions.insert(id, submission);
        if claimed == Claimed::Granted {
            self.make_ready([id]);
        }
        self.send_ready(out);
    }

    /// These may be sent as soon as there is room for them, if they are still wanted.
    fn make_ready(&mut self, ids: impl IntoIterator<Item = RequestId>) {
        for id in ids {
            match self.submissions.get(&id) {
                Some(submission) if submission.own => self.own.push_back(id),
                Some(_) => self.ready.push_back(id),
                None => {}
            }
        }
    }

    /// Sends what is ready, as far as the view and the window allow.
    fn send_ready(&mut self, out: &mut Vec<Output>) {
        let Limits { operations_in_flight_max, transaction_bytes_in_flight_max, .. } = self.bounds.limits;
        while self.open && self.running_operations < operations_in_flight_max {
            let own = !self.own.is_empty();
            let is_heavy = self.running_bytes >= transaction_bytes_in_flight_max;
            if !self.window.admits(own) || is_heavy && !own {
                return;
            }
            let next = if own { self.own.pop_front() } else { self.ready.pop_front() };
            let Some(id) = next else { return };
            let (Some(view), Some(submission)) = (&self.view, self.submissions.get_mut(&id)) else { continue };
            let txn = self.window.begin();
            if let Some(last) = submission.txn.replace(txn) {
                out.push(Output::Publish(Event::Transaction { txn: last, step: TransactionStep::Retried { txn } }));
            }
            submission.attempts += 1;
            let mut participants = 0;
            for node in placement::participants(view, &placement::shards(&submission.operations)) {
                participants |= bit(&self.nodes, node).expect("participants belong to their view");
                let Submission { operations, age, trace, .. } = &*submission;
                let prepare = Prepare { txn, age: *age, view: view.number, operations: operations.clone(), trace: *trace };
                out.push(Output::Send { to: node, message: Message::Prepare(prepare) });
            }
            out.push(Output::Publish(Event::Transaction { txn, step: TransactionStep::Prepared }));
            let transaction = Transaction {
                request: id,
                view: view.number,
                operations: submission.operations.len(),
                bytes: bytes_of(&submission.operations),
                participants,
                awaited: participants,
                versions: Vec::new(),
                phase: Phase::Preparing,
                silent_sweeps: 0,
            };
            self.running_operations += transaction.operations;
            self.running_bytes += transaction.bytes;
            self.running.insert(txn, transaction);
        }
    }

    /// A participant has voted.
    pub fn voted(&mut self, from: NodeId, txn: TxnId, view: ViewNumber, vote: Vote, out: &mut Vec<Output>) {
        let Some(transaction) = self.running.get_mut(&txn) else { return };
        if transaction.view != view || transaction.phase != Phase::Preparing {
            return;
        }
        let Some(bit) = bit(&self.nodes, from) else { return };
        let yes = matches!(vote, Vote::Yes { .. });
        out.push(Output::Publish(Event::Transaction { txn, step: TransactionStep::Voted { node: from, yes } }));
        transaction.silent_sweeps = 0;
        match vote {
            Vote::Yes { versions } => {
                // A learner does not know them.
                if self.learners & bit == 0 {
                    if transaction.versions.len() == versions.len() {
                        // They differ where the replicas do, which is found by comparing them. Then the greater was given by nobody
                        // before.
                        transaction.versions.iter_mut().zip(versions).for_each(|(known, said)| *known = said.max(*known));
                    } else {
                        transaction.versions = versions;
                    }
                }
                transaction.awaited &= !bit;
                if self.rules.is_unanimous(transaction.awaited) {
                    self.decide(txn, Outcome::Committed, Phase::Committing, out);
                    self.commit(txn, out);
                }
            }
            Vote::No(reason) => {
                if let NoReason::Older { stamp } = reason {
                    self.saw_stamp(stamp);
                }
                self.decide(txn, Outcome::Aborted, Phase::Aborting(reason), out);
                if !self.rules.aborts_await_acknowledgements() {
                    self.aborted(txn, reason, out);
                }
            }
        }
    }

    /// Sends a decision to every participant.
    fn decide(&mut self, txn: TxnId, outcome: Outcome, phase: Phase, out: &mut Vec<Output>) {
        let transaction = self.running.get_mut(&txn).expect("only a running transaction is decided");
        transaction.phase = phase;
        transaction.awaited = transaction.participants;
        let view = transaction.view;
        for (place, to) in self.nodes.iter().enumerate() {
            if transaction.participants & (1 << place) != 0 {
                let informed = outcome == Outcome::Committed && self.learners & (1 << place) != 0;
                let versions = if informed { transaction.versions.clone() } else { Vec::new() };
                out.push(Output::Send { to: *to, message: Message::Decide { txn, view, outcome, versions } });
            }
        }
    }

    /// The transaction is committed: its client hears so, and the next one on its keys is sent.
    fn commit(&mut self, txn: TxnId, out: &mut Vec<Output>) {
        let Some(transaction) = self.running.get(&txn) else { return };
        let (id, versions) = (transaction.request, transaction.versions.clone());
        out.push(Output::Publish(Event::Transaction { txn, step: TransactionStep::Decided(Outcome::Committed) }));
        self.remember(txn, Outcome::Committed);
        self.finish(id, Reply::Committed { txn, versions }, out);
    }

    /// The transaction is aborted everywhere: its client hears why, or it is tried again.
    fn aborted(&mut self, txn: TxnId, reason: NoReason, out: &mut Vec<Output>) {
        let Some(transaction) = self.running.get(&txn) else { return };
        let id = transaction.request;
        out.push(Output::Publish(Event::Transaction { txn, step: TransactionStep::Decided(Outcome::Aborted) }));
        self.remember(txn, Outcome::Aborted);
        let Some(submission) = self.submissions.get(&id) else { return };
        let reason = match reason {
            NoReason::Expectation { operation, found } => AbortReason::Expectation { operation, found },
            NoReason::Memory => AbortReason::Memory,
            NoReason::Older { .. } | NoReason::Damaged | NoReason::Overloaded | NoReason::Stale => {
                if submission.attempts < self.bounds.limits.attempts_max && !submission.given_up {
                    self.refused.push(id);
                    return;
                }
                AbortReason::Contention
            }
        };
        self.finish(id, Reply::Aborted { txn, reason }, out);
    }

    /// Answers a submission, unless its client has given up, and sends those that queue behind it.
    fn finish(&mut self, id: RequestId, reply: Reply, out: &mut Vec<Output>) {
        self.answer(id, reply, out);
        self.send_ready(out);
    }

    /// The same, without sending anything.
    fn answer(&mut self, id: RequestId, reply: Reply, out: &mut Vec<Output>) {
        let Some(submission) = self.submissions.remove(&id) else { return };
        if !submission.given_up {
            out.push(Output::Reply { id, reply });
        } else if let Some(txn) = submission.txn {
            let outcome = if matches!(reply, Reply::Committed { .. }) { Outcome::Committed } else { Outcome::Aborted };
            self.window.doubted(txn, outcome);
        }
        let mut granted = Vec::new();
        self.queue.release(id, &mut granted);
        self.make_ready(granted);
    }

    /// A participant has applied the decision and synced it.
    pub fn acknowledged(&mut self, from: NodeId, txn: TxnId, view: ViewNumber, out: &mut Vec<Output>) {
        let Some(transaction) = self.running.get_mut(&txn) else { return };
        let Some(bit) = bit(&self.nodes, from) else { return };
        if transaction.view != view || transaction.phase == Phase::Preparing {
            return;
        }
        transaction.silent_sweeps = 0;
        transaction.awaited &= !bit;
        out.push(Output::Publish(Event::Transaction { txn, step: TransactionStep::Acknowledged { node: from } }));
        if transaction.awaited == 0 {
            if let Phase::Aborting(reason) = transaction.phase {
                self.aborted(txn, reason, out);
            }
            if let Some(ended) = self.running.remove(&txn) {
                self.running_operations -= ended.operations;
                self.running_bytes -= ended.bytes;
            }
            if self.window.should_forget(self.low_water()) {
                self.forget(out);
            }
            self.send_ready(out);
        }
    }

    /// A test's mistake: a request that was refused queues for its keys.
    fn wrongly_queue_refused(&mut self, id: RequestId, operations: &[Operation], clock: u64) {
        let age = self.next_age(clock);
        self.queue.claim(id, age, spans(operations));
    }

    /// A test's mistake: a participant that is lost counts as one that has acknowledged each abort.
    pub(crate) fn wrongly_acknowledge_lost(&mut self, node: NodeId, out: &mut Vec<Output>) {
        let aborting = self.running.iter().filter(|(_, transaction)| matches!(transaction.phase, Phase::Aborting(_)));
        let aborting: Vec<(TxnId, ViewNumber)> = aborting.map(|(txn, transaction)| (*txn, transaction.view)).collect();
        aborting.into_iter().for_each(|(txn, view)| self.acknowledged(node, txn, view, out));
    }

    /// Whether some refused ones wait for the retry timer.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Tries the refused ones again.
    pub fn retry(&mut self, out: &mut Vec<Output>) {
        let refused = core::mem::take(&mut self.refused);
        self.make_ready(refused);
        self.send_ready(out);
    }

    /// Nothing new is sent until a view is active.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// A view is active: settles all that ran in earlier ones, and goes on. `anew`: with an empty store.
    pub fn activate(&mut self, view: View, settlement: &Settlement, anew: bool, out: &mut Vec<Output>) {
        for (txn, outcome) in &settlement.outcomes {
            self.remember(*txn, *outcome);
        }
        self.open = false;
        (self.running_operations, self.running_bytes) = (0, 0);
        for (txn, transaction) in core::mem::take(&mut self.running) {
            if transaction.phase == Phase::Committing {
                self.remember(txn, Outcome::Committed);
                continue;
            }
            let settled = self.rules.settled_as(settlement.outcome(txn), self.known.get(&txn).copied());
            let committed = settled == Some(Outcome::Committed);
            let told = settlement.versions.get(&txn).filter(|_| self.rules.tells_settled_versions());
            let versions = told.cloned().unwrap_or(transaction.versions.clone());
            let phase = transaction.phase;
            self.running.insert(txn, Transaction { versions, ..transaction });
            match phase {
                _ if self.rules.is_over(committed) => self.commit(txn, out),
                Phase::Aborting(reason) => self.aborted(txn, reason, out),
                Phase::Preparing | Phase::Committing => self.aborted(txn, NoReason::Stale, out),
            }
            self.running.remove(&txn);
        }
        self.window.settled(settlement, anew || view.number.0 == 1);
        // Versions are made from ages.
        for submission in self.submissions.values_mut().filter(|submission| self.rules.gets_new_age(submission.txn.is_some())) {
            self.stamp += 1;
            submission.age.stamp = self.stamp;
        }
        self.nodes = view.participants();
        self.learners = view.learners().into_iter().filter_map(|node| bit(&self.nodes, node)).sum();
        self.view = Some(view);
        self.open = true;
        self.may_forget = false;
        self.retry(out);
    }

    /// Has a view change settle as committed what its client may have been told to be committed, whatever the members report
    /// (R13), and carry the outcomes that clients may still ask for, until they are recorded.
    pub fn hand_over(&self, settlement: &mut Settlement) {
        if self.rules.commits_stand() {
            self.committing().for_each(|(txn, transaction)| settlement.insist(*txn, &transaction.versions));
        }
        self.window.hand_over(settlement, self.low_water());
    }

    /// Transactions that are committed, and not yet known to be so everywhere.
    fn committing(&self) -> impl Iterator<Item = (&TxnId, &Transaction)> {
        self.running.iter().filter(|(_, transaction)| transaction.phase == Phase::Committing)
    }

    /// Whether this settlement says of each of them that it is committed (R13).
    #[must_use]
    pub fn stands_by(&self, settlement: &Settlement) -> bool {
        self.committing().all(|(txn, _)| settlement.outcome(*txn) == Some(Outcome::Committed))
    }

    /// What is to be recorded.
    #[must_use]
    pub fn unrecorded(&self) -> Unrecorded {
        self.window.unrecorded()
    }

    /// What the first view has learned of earlier runs, until it is recorded.
    #[must_use]
    pub fn earlier_runs(&self) -> Option<&EarlierRuns> {
        self.window.runs()
    }

    /// This is recorded: the workers may forget it.
    pub fn recorded(&mut self, outcomes: &[TxnId], runs: bool, out: &mut Vec<Output>) {
        self.window.recorded(outcomes, runs);
        if self.window.should_forget(self.low_water()) {
            self.forget(out);
        }
        self.send_ready(out);
    }

    /// Whether all is recorded that ended before the active view.
    #[must_use]
    pub fn is_cleared(&self) -> bool {
        self.window.is_cleared()
    }

    /// All members have the outcomes of earlier views synced.
    pub fn allow_forgetting(&mut self) {
        self.may_forget = true;
    }

    /// One more round of housekeeping: tells clients whose deadline has come what is known, and workers what to forget. Says
    /// whether a doubt has lasted too long: a transaction waits for a participant, or nothing can be sent (R11).
    pub fn sweep(&mut self, out: &mut Vec<Output>) -> bool {
        let Bounds { request_sweeps, doubt_sweeps, .. } = self.bounds;
        let mut late = Vec::new();
        for (id, submission) in &mut self.submissions {
            submission.sweeps = submission.sweeps.saturating_add(1);
            let runs = submission.txn.is_some_and(|txn| self.running.contains_key(&txn));
            // Sent in its last round it would most likely end as *unknown*, where a refusal is clean.
            let most = if runs { request_sweeps } else { request_sweeps.saturating_sub(1).max(1) };
            if submission.sweeps >= most && !submission.given_up {
                late.push(*id);
            }
        }
        if !late.is_empty() {
            late.into_iter().for_each(|id| self.expire(id, out));
            for ready in [&mut self.own, &mut self.ready] {
                ready.retain(|id| self.submissions.contains_key(id));
            }
            self.refused.retain(|id| self.submissions.contains_key(id));
        }
        if self.window.may_forget(self.low_water()) {
            self.forget(out);
        }
        let mut doubt = self.window.sweep(doubt_sweeps);
        for transaction in self.running.values_mut() {
            transaction.silent_sweeps = transaction.silent_sweeps.saturating_add(1);
            doubt |= transaction.silent_sweeps >= doubt_sweeps;
        }
        self.send_ready(out);
        self.rules.doubt_ends_view(doubt && self.open)
    }

    fn expire(&mut self, id: RequestId, out: &mut Vec<Output>) {
        let Some(submission) = self.submissions.get_mut(&id) else { return };
        match submission.txn {
            Some(txn) if self.running.contains_key(&txn) => {
                submission.given_up = true;
                out.push(Output::Reply { id, reply: self.rules.reply_at_deadline(txn) });
            }
            // The ones behind it in the queue may be as late, so nothing is sent before all late ones are told.
            Some(txn) => self.answer(id, Reply::Aborted { txn, reason: AbortReason::Contention }, out),
            None => self.answer(id, Reply::Refused(Refusal::Unavailable), out),
        }
    }

    /// Tells every member to forget what all participants have synced (R7).
    fn forget(&mut self, out: &mut Vec<Output>) {
        let (Some(view), true) = (&self.view, self.open && self.may_forget) else { return };
        let below = self.low_water();
        for to in &self.nodes {
            let message = Message::Forget { view: view.number, incarnation: self.incarnation, below };
            out.push(Output::Send { to: *to, message });
        }
        self.window.forgot(below);
    }

    /// The first sequence that the workers must remember.
    fn low_water(&self) -> u64 {
        self.window.low_water(self.running.keys().next().map(|txn| txn.sequence))
    }

    fn remember(&mut self, txn: TxnId, outcome: Outcome) {
        self.known.insert(txn, outcome);
        while self.known.len() > self.bounds.limits.outcomes_remembered_max {
            self.known.pop_first();
        }
    }

    /// What is known of a transaction's end. One of an earlier run may have been in doubt when that run ended, and what is not
    /// listed there only its own coordinator could have read as aborted.
    #[must_use]
    pub fn outcome(&self, txn: TxnId) -> KnownOutcome {
        match self.known.get(&txn).copied().or_else(|| self.window.outcome(&txn)) {
            Some(outcome) => KnownOutcome::Known(outcome),
            None if self.running.contains_key(&txn) => KnownOutcome::Unknown,
            None if txn.incarnation < self.incarnation && txn.incarnation.0 > 0 && txn.sequence > 0 => KnownOutcome::Unknown,
            None => KnownOutcome::NotKnown,
        }
    }

    /// Whether each client whose transaction is being aborted still waits for its answer, as long as a participant has not
    /// acknowledged the abort (R1).
    #[must_use]
    pub fn aborts_are_unanswered(&self) -> bool {
        let aborting = |transaction: &&Transaction| matches!(transaction.phase, Phase::Aborting(_)) && transaction.awaited != 0;
        self.running.values().filter(aborting).all(|transaction| self.submissions.contains_key(&transaction.request))
    }

    /// Whether what is under way keeps its bound.
    #[must_use]
    pub fn is_within_window(&self) -> bool {
        self.window.is_kept()
    }

    /// Whether clients' transactions are held back because the workers may forget nothing.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.window.is_stalled()
    }

    /// Whether what is under way leaves no room for another transaction: its operations, or its bytes.
    #[must_use]
    pub fn is_crowded(&self) -> [bool; 2] {
        let Limits { operations_in_flight_max, transaction_bytes_in_flight_max, .. } = self.bounds.limits;
        [self.running_operations >= operations_in_flight_max, self.running_bytes >= transaction_bytes_in_flight_max]
    }

    /// Outcomes that are remembered for those who ask.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.known.len()
    }

    /// Attempts that are not yet acknowledged by all their participants.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.running.len()
    }

    /// Submissions that wait for a key, a view or their next attempt.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.waiting() + self.own.len() + self.ready.len() + self.refused.len()
    }

    /// Attempts whose votes are not all in, while a view change is under way.
    #[must_use]
    pub fn in_doubt(&self) -> usize {
        if self.open { 0 } else { self.running.values().filter(|transaction| transaction.phase != Phase::Committing).count() }
    }
}

fn bit(nodes: &[NodeId], node: NodeId) -> Option<u32> {
    nodes.binary_search(&node).ok().map(|place| 1 << place)
}

/// Bytes of all keys and values.
fn bytes_of(operations: &[Operation]) -> usize {
    let value = |operation: &Operation| match &operation.action {
        Action::Put(value) => value.len(),
        Action::Delete | Action::Check => 0,
    };
    operations.iter().map(|operation| operation.key.bytes.len() + value(operation)).sum()
}

/// Whether a transaction keeps the bounds of [`limits`] and names each key once.
fn is_valid(operations: &[Operation]) -> bool {
    let sound = |operation: &Operation| {
        let value_fits = !matches!(&operation.action, Action::Put(value) if value.len() > limits::VALUE_BYTES_MAX);
        operation.key.bytes.len() <= limits::KEY_BYTES_MAX && value_fits
    };
    let repeats = |place: usize| operations[..place].iter().any(|other| other.key == operations[place].key);
    !operations.is_empty()
        && operations.len() <= limits::OPERATIONS_MAX
        && operations.iter().all(sound)
        && bytes_of(operations) <= limits::TRANSACTION_BYTES_MAX
        && !(1..operations.len()).any(repeats)
}
