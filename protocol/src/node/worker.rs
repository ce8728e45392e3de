//! A worker: one replica of the store, participant in transactions, member of views.
//!
//! ```text
//!             Seal(n)                    Activate(n)
//!  unbound ------------> sealed for n ----------------> active in n
//!                           ^   refuses older views          |
//!                           +---------- Seal(m > n) ---------+
//! ```
//!
//! It answers reads and votes for the view that it was sealed for last (R2), applies the outcomes of a view change only when
//! the leader says that they were swapped in (R3, R4), and lets no message out before the records it speaks of are synced (R6).

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::commit::participant::{Change, Judged, Owner, Participant, Settled};
use crate::id::{ClusterId, NodeId, ReadId, TxnId, Version, ViewNumber};
use crate::invariant;
use crate::journal::Journal;
use crate::limits::{self, Limits};
use crate::membership::allegiance::Allegiance;
use crate::membership::view::{Outcomes, Standing};
use crate::message::{Chunk, Message, NoReason, Outcome, Prepare, Read, ReadResult, Report, Seal, SealReason, Vote};
use crate::operation::Key;
use crate::read::replica::ReplicaReads;
use crate::record::{Decided, Prepared, Record, Snapshot, Stored};
use crate::rules::Rules;
use crate::step::{Input, Machine, Output, Refusal, Reply, Request, Role, Timer, WorkerStatus};
use crate::store::room::Room;

/// Records that one round of housekeeping looks at, at the most: more would hold up everybody.
const SCRUBBED_AT_ONCE_MAX: usize = 32 * 1024;

/// A worker's settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerConfig {
    /// Bytes of records, prepared ones included, beyond which writes are refused; deletes and reads go on.
    pub memory_bytes_max: u64,
    /// Milliseconds between two rounds of housekeeping.
    pub sweep_ms: u64,
    /// Rounds after which a transaction without decision is reported to be in doubt (R11).
    pub doubt_sweeps: u8,
    /// Milliseconds in which every record is looked at once, whether it still is what was written.
    pub scrub_ms: u64,
    /// What it holds at once, at the most.
    pub limits: Limits,
    /// The rules that it keeps: all of them, but for what a test leaves out.
    pub rules: Rules,
}

/// The state machine of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    config: WorkerConfig,
    node: NodeId,
    cluster: Option<ClusterId>,
    view: ViewNumber,
    /// What it is in that view; `None` before the first.
    standing: Option<Standing>,
    /// Whether the leader has said that this view is active.
    active: bool,
    allegiance: Allegiance,
    /// The greatest age stamp seen.
    stamp: u64,
    participant: Participant,
    reads: ReplicaReads,
    journal: Journal,
    coordinators: BTreeSet<NodeId>,
    /// How many records were found not to be what was written, since this replica began.
    damaged: u64,
    /// Whether a person has given up a part of what it held.
    salvaged: bool,
    /// Whether most replicas held something else, since this replica began.
    outvoted: bool,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            memory_bytes_max: 1 << 30,
            sweep_ms: 250,
            doubt_sweeps: 8,
            scrub_ms: 30_000,
            limits: Limits::SHIPPED,
            rules: Rules::ALL,
        }
    }
}

impl Worker {
    /// A worker that starts from what its log adds up to.
    #[must_use]
    pub fn recover(config: WorkerConfig, snapshot: Snapshot) -> Self {
        config.limits.assert_sound();
        let room = Room::new(config.memory_bytes_max, &config.limits);
        let snapshot_damaged = snapshot.records.iter().filter(|(key, stored)| !stored.is_intact(key)).count() as u64;
        let (salvaged, outvoted) = (snapshot.salvaged, snapshot.outvoted);
        Worker {
            node: snapshot.node,
            cluster: snapshot.cluster,
            view: snapshot.view,
            standing: snapshot.standing,
            active: !config.rules.awaits_activation(),
            allegiance: Allegiance::new(snapshot.writer, snapshot.last_active, config.rules),
            stamp: snapshot.stamp,
            participant: Participant::recover(snapshot, room, config.limits, config.rules),
            reads: ReplicaReads::default(),
            journal: Journal::default(),
            coordinators: BTreeSet::new(),
            damaged: snapshot_damaged,
            salvaged,
            outvoted,
            config,
        }
    }

    /// Flips a bit of a record in its memory: see [`crate::store::Store::corrupt`].
    #[cfg(feature = "omissions")]
    pub fn corrupt(&mut self, key: &Key, unseen: bool) -> bool {
        self.participant.store.corrupt(key, unseen)
    }

    /// Its identity.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The cluster that it is bound to.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.cluster
    }

    /// The view that it was sealed for last.
    #[must_use]
    pub fn view(&self) -> ViewNumber {
        self.view
    }

    /// What it is in that view; `None` before the first.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// Whether it knows that this view became active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Whether a person has given up a part of what it held, and it has not started over since.
    #[must_use]
    pub fn is_salvaged(&self) -> bool {
        self.salvaged
    }

    /// The coordinator that it follows.
    #[must_use]
    pub fn allegiance(&self) -> &Allegiance {
        &self.allegiance
    }

    /// The records of its replica.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<Key, Stored> {
        self.participant.store.records()
    }

    /// What is prepared here, undecided.
    pub fn prepared(&self) -> impl ExactSizeIterator<Item = &Prepared> {
        self.participant.prepared()
    }

    /// What waits for locks.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Prepare> {
        self.participant.waiting()
    }

    /// Decisions that it remembers.
    #[must_use]
    pub fn decided(&self) -> &BTreeMap<TxnId, Decided> {
        self.participant.decided()
    }

    /// The participant.
    #[must_use]
    pub fn participant(&self) -> &Participant {
        &self.participant
    }

    /// What it has handed to its log and what waits for that.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Records handed to the log that are not known to be synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.journal.unsynced()
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> WorkerStatus {
        WorkerStatus {
            node: self.node,
            cluster: self.cluster,
            view: self.view,
            standing: self.standing,
            active: self.active,
            digest: self.participant.store.digest(),
            memory_bytes: self.participant.memory_bytes(),
            full: self.participant.is_full(),
            prepared: self.participant.prepared().len() as u64,
            oldest_prepared: self.participant.prepared().map(|prepared| (prepared.age, prepared.txn)).min().map(|(_, txn)| txn),
            waiting: self.participant.waiting().len() as u64,
            reads_waiting: self.reads.waiting() as u64,
            remembered: self.participant.decided().len() as u64,
            locks: self.participant.locks.len() as u64,
            damaged: self.damaged,
            salvaged: self.salvaged,
        }
    }

    fn message(&mut self, from: NodeId, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Seal(seal) => self.seal(from, seal, out),
            Message::Beat { beat, cluster, writer, active } => {
                if cluster.is_some() && cluster == self.cluster {
                    self.allegiance.hear(from, writer, active);
                }
                let follows = self.allegiance.told(writer, self.cluster, self.view);
                let message = Message::Beating { beat, follows, full: self.participant.is_full() };
                self.say(from, message, self.config.rules.syncs_before_beating(), out);
            }
            // It leads, and this worker follows another: whatever view it names is not this one's (R14).
            message if !self.allegiance.listens_to(from) => turn_away(from, &message, out),
            Message::Prepare(prepare) => self.prepare(from, prepare, out),
            Message::Decide { txn, view, outcome, versions } => self.decide(from, txn, view, outcome, versions, out),
            Message::Read(read) => self.read(from, read, out),
            Message::Copy { copy, learner, after, records_max } => {
                let records_max = usize::try_from(records_max).unwrap_or(usize::MAX);
                self.give_chunk(from, (copy, learner), after.as_ref(), records_max, out);
            }
            Message::Chunk(chunk) => self.take_chunk(from, chunk, out),
            Message::Forget { view, incarnation, below } if view == self.view => {
                self.participant.forget(incarnation, below);
                self.journal.persist(Record::Forgot { incarnation, below }, out);
            }
            Message::ForgetViews { before } if before <= self.view => {
                self.participant.forget_views(before);
                self.journal.persist(Record::ForgotViews { before }, out);
            }
            Message::Activate { view, outcomes } if view == self.view && self.allegiance.is_led_by(from) => {
                self.active = true;
                self.settle_before(view, &outcomes, out);
                if self.repeats_damage() {
                    // Before any other worker copies what is here.
                    self.tell_damage(out);
                }
                if let Some(view) = self.allegiance.activated(view) {
                    self.journal.persist(Record::Activated { view }, out);
                }
                self.journal.send_when_synced(from, Message::Activated { view }, out);
            }
            Message::Outvoted { view } if view == self.view && self.standing == Some(Standing::Member) => self.lose_vote(out),
            // Of another view than the worker's: R2.
            Message::Forget { .. } | Message::ForgetViews { .. } | Message::Activate { .. } | Message::Outvoted { .. } => {}
            // What workers say; none listens to another.
            Message::Vote { .. }
            | Message::Acknowledged { .. }
            | Message::Answered { .. }
            | Message::Sealed(_)
            | Message::SealRefused { .. }
            | Message::Activated { .. }
            | Message::Stored { .. }
            | Message::Beating { .. }
            | Message::Damaged { .. }
            | Message::InDoubt { .. } => {}
        }
    }

    fn prepare(&mut self, from: NodeId, prepare: Prepare, out: &mut Vec<Output>) {
        let (txn, view) = (prepare.txn, prepare.view);
        if prepare.age.stamp > limits::STAMP_MAX {
            let vote = Vote::No(NoReason::Stale);
            out.push(Output::Send { to: from, message: Message::Vote { txn, view, vote } });
            return;
        }
        self.stamp = self.stamp.max(prepare.age.stamp);
        if !self.config.rules.votes_in(view, self.view) {
            let vote = Vote::No(NoReason::Stale);
            out.push(Output::Send { to: from, message: Message::Vote { txn, view, vote } });
            return;
        }
        let mut granted = Vec::new();
        let judged = self.participant.prepare(from, prepare, &mut granted);
        self.judged(from, txn, view, judged, out);
        self.take_up(granted, out);
    }

    /// Votes as judged: a yes only when it is on disk.
    fn judged(&mut self, to: NodeId, txn: TxnId, view: ViewNumber, judged: Judged, out: &mut Vec<Output>) {
        let Some(vote) = judged.vote() else { return };
        let message = Message::Vote { txn, view, vote };
        if !self.config.rules.reads_ignore_later() && matches!(judged, Judged::Prepared(_)) {
            self.reads.wrongly_await_later(txn);
        }
        match judged {
            Judged::Prepared(prepared) => {
                self.journal.persist(Record::Prepared(prepared), out);
                self.promise(to, message, self.config.rules.syncs_before_vote(), out);
            }
            // A no promises nothing.
            Judged::Refused(reason) => {
                if reason == NoReason::Damaged {
                    self.found_damage(1, out);
                }
                out.push(Output::Send { to, message });
            }
            Judged::Waits => out.push(Output::Send { to, message }),
        }
    }

    /// Takes up those whose claims were granted, and those that this lets on.
    fn take_up(&mut self, granted: Vec<Owner>, out: &mut Vec<Output>) {
        let mut next = VecDeque::from(granted);
        let mut more = Vec::new();
        while let Some(owner) = next.pop_front() {
            match owner {
                Owner::Txn(txn) => {
                    if let Some((from, view, judged)) = self.participant.granted(txn, &mut more) {
                        self.judged(from, txn, view, judged, out);
                    }
                }
                Owner::Read(from, read) => {
                    if let Some(result) = self.reads.granted((from, read), &mut self.participant, &mut more) {
                        self.answer(from, read, result, out);
                    }
                }
            }
            next.extend(more.drain(..));
        }
    }

    fn decide(
        &mut self,
        from: NodeId,
        txn: TxnId,
        view: ViewNumber,
        outcome: Outcome,
        versions: Vec<Version>,
        out: &mut Vec<Output>,
    ) {
        if !self.config.rules.takes_decision_of(view, self.view) {
            return;
        }
        let mut granted = Vec::new();
        let settled = match outcome {
            Outcome::Committed => self.participant.commit(txn, versions, &mut granted),
            Outcome::Aborted => self.participant.abort(txn, view, &mut granted),
        };
        let Some(settled) = settled else { return };
        self.settled(txn, settled, out);
        let message = Message::Acknowledged { txn, view };
        self.promise(from, message, self.config.rules.syncs_before_acknowledgement(outcome), out);
        self.take_up(granted, out);
    }

    /// A member sends it once all that it speaks of is synced (R6). A learner's word counts for nothing until it is a member: whatever it
    /// loses with its memory, it begins anew, and it is sealed as a member only when all of it is synced. So its log holds up nobody.
    fn promise(&mut self, to: NodeId, message: Message, syncs_before: bool, out: &mut Vec<Output>) {
        self.say(to, message, syncs_before && self.standing != Some(Standing::Learner), out);
    }

    /// Sends a message, once all that was logged before it is synced if `syncs_before`.
    fn say(&mut self, to: NodeId, message: Message, syncs_before: bool, out: &mut Vec<Output>) {
        if syncs_before {
            self.journal.send_when_synced(to, message, out);
        } else {
            out.push(Output::Send { to, message });
        }
    }

    /// Logs a decision and answers the reads that waited for it.
    fn settled(&mut self, txn: TxnId, settled: Settled, out: &mut Vec<Output>) {
        let Settled { record, changes } = settled;
        self.journal.persist(record, out);
        if !self.config.rules.remembers_all_decided() {
            self.participant.wrongly_forget_oldest();
        }
        self.answer_reads(txn, &changes, out);
    }

    fn answer_reads(&mut self, txn: TxnId, changes: &[Change], out: &mut Vec<Output>) {
        for ((to, read), result) in self.reads.settled(txn, changes) {
            self.answer(to, read, result, out);
        }
    }

    fn read(&mut self, from: NodeId, read: Read, out: &mut Vec<Output>) {
        let id = read.read;
        self.stamp = self.stamp.max(read.age.stamp.min(limits::STAMP_MAX));
        let readable = self.active && self.standing == Some(Standing::Member);
        let result = if read.view == self.view && readable {
            self.reads.arrive(from, read, &mut self.participant)
        } else {
            Some(ReadResult::Stale)
        };
        if let Some(result) = result {
            self.answer(from, id, result, out);
        }
    }

    fn answer(&mut self, to: NodeId, read: ReadId, result: ReadResult, out: &mut Vec<Output>) {
        if result == ReadResult::Damaged {
            self.found_damage(1, out);
        }
        out.push(Output::Send { to, message: Message::Answered { read, result } });
    }

    /// Records here are not what was written: whoever leads hears of it, now and with each round of housekeeping.
    fn found_damage(&mut self, records: u64, out: &mut Vec<Output>) {
        self.damaged += records;
        self.tell_damage(out);
    }

    /// Whether there is damage to be told again.
    fn repeats_damage(&self) -> bool {
        self.config.rules.repeats_damage(self.damaged > 0 || self.outvoted)
    }

    /// Most replicas hold something else: later leaders hear of it from this worker, also when it was started again.
    fn lose_vote(&mut self, out: &mut Vec<Output>) {
        if !self.outvoted && self.config.rules.logs_that_it_was_outvoted() {
            self.outvoted = true;
            self.journal.persist(Record::Outvoted, out);
            self.tell_damage(out);
        }
    }

    fn tell_damage(&self, out: &mut Vec<Output>) {
        for to in &self.coordinators {
            self.tell_damage_to(*to, out);
        }
    }

    fn tell_damage_to(&self, to: NodeId, out: &mut Vec<Output>) {
        out.push(Output::Send { to, message: Message::Damaged { view: self.view, records: self.damaged } });
    }

    /// Looks at the next slice of the records, so many that all are looked at in time.
    fn scrub(&mut self, out: &mut Vec<Output>) {
        let records = self.participant.store.records().len() as u64;
        let slice = records.saturating_mul(self.config.sweep_ms) / self.config.scrub_ms.max(1) + 1;
        let damaged = self.participant.store.scrub(usize::try_from(slice).unwrap_or(usize::MAX).clamp(256, SCRUBBED_AT_ONCE_MAX));
        // What was found before may have been found again, which does no harm.
        let news = damaged > self.damaged;
        if news {
            self.damaged = damaged;
        }
        if self.repeats_damage() || news {
            self.tell_damage(out);
        }
    }

    fn seal(&mut self, from: NodeId, seal: Seal, out: &mut Vec<Output>) {
        if let Some(reason) = self.reason_against(&seal) {
            if reason == SealReason::Led {
                self.allegiance.hear(from, seal.view.writer, seal.last_active);
            }
            if self.config.rules.answers_seal(seal.view.number, self.view) {
                let follows = self.allegiance.told(seal.view.writer, self.cluster, self.view);
                let message = Message::SealRefused { view: seal.view.number, reason, follows };
                out.push(Output::Send { to: from, message });
            }
            return;
        }
        self.allegiance.sealed(from, &seal);
        let Seal { cluster, view: id, standing, last_active, outcomes } = seal;
        let view = id.number;
        if self.cluster.is_none() {
            self.cluster = Some(cluster);
            self.journal.persist(Record::Bound { cluster }, out);
        }
        self.participant.discard_waiting();
        for (to, read) in self.reads.discard(&mut self.participant) {
            // It is asked again in the new view; its coordinator keeps room for an answer until it has one.
            self.answer(to, read, ReadResult::Stale, out);
        }
        match standing {
            Standing::Member => {
                self.participant.become_member();
                if let Some(active) = last_active.filter(|_| self.config.rules.seal_carries_outcomes()) {
                    self.settle_before(active.number, &outcomes, out);
                }
            }
            Standing::Learner => {
                self.participant.start_over();
                self.damaged = 0;
                self.salvaged = false;
                self.outvoted = false;
            }
        }
        if !self.config.rules.stays_prepared_when_sealed() {
            self.settle_before(view, &Outcomes::new(), out);
        }
        self.view = view;
        self.standing = Some(standing);
        self.active = false;
        self.journal.persist(Record::Sealed { view: id, standing, last_active }, out);
        let (prepared, decided) = self.participant.report();
        let marks = self.participant.marks().iter().map(|(run, below)| (*run, *below)).collect();
        let message = Message::Sealed(Report { view, prepared, decided, marks, stamp: self.stamp });
        self.say(from, message, self.config.rules.syncs_before_report(), out);
    }

    /// Why it can't be sealed so, if it can't.
    fn reason_against(&self, seal: &Seal) -> Option<SealReason> {
        if !self.config.rules.may_be_sealed_by(seal.cluster, self.cluster) {
            Some(SealReason::Foreign)
        } else if !self.allegiance.takes(self.view, seal) {
            Some(SealReason::Led)
        } else if !self.can_be(seal.standing, seal.last_active.map(|view| view.number)) {
            Some(SealReason::Lacks)
        } else {
            None
        }
    }

    /// Whether it can be this in a view that follows `last_active`. A member holds all records: it was one when it was last
    /// sealed, or has completed its copy in the last active view, or begins with the cluster (R9).
    fn can_be(&self, standing: Standing, last_active: Option<ViewNumber>) -> bool {
        let rules = self.config.rules;
        rules.may_be_member(match (standing, self.standing) {
            (Standing::Learner, _) => true,
            // Every member of the last active view has synced that it was sealed for it (R6). Who has not, belongs to an older
            // view, or its log was put back to an older state: it lacks writes that were acknowledged.
            // A cluster that begins, or begins anew, takes only who has nothing.
            (Standing::Member, Some(Standing::Member)) => match last_active {
                // Unless a person has decided to go on with what it has.
                Some(active) => rules.holds_view(active, self.view) || self.salvaged,
                None => self.participant.is_untouched(),
            },
            (Standing::Member, None) => last_active.is_none(),
            (Standing::Member, Some(Standing::Learner)) => {
                let is_complete = !self.participant.is_incomplete() && self.damaged == 0;
                rules.may_become_member(is_complete && last_active == Some(self.view))
            }
        })
    }

    /// Gives the next records to a learner of the active view, once nothing prepared in an earlier one is left here.
    fn give_chunk(
        &mut self,
        from: NodeId,
        (copy, learner): (ViewNumber, NodeId),
        after: Option<&Key>,
        records_max: usize,
        out: &mut Vec<Output>,
    ) {
        if copy != self.view || !self.config.rules.may_give_records(self.active) || self.standing != Some(Standing::Member) {
            return;
        }
        let Some((records, last)) = self.participant.chunk(after, records_max) else {
            self.found_damage(1, out);
            return;
        };
        let total = self.participant.store.records().len() as u64;
        let stamp = self.config.rules.stamp_to_give(self.stamp);
        let chunk = Chunk { copy, learner, after: after.cloned(), records, last, total, stamp };
        out.push(Output::Send { to: from, message: Message::Chunk(chunk) });
    }

    /// Takes records in that were copied for it. Those of another copy are dropped.
    fn take_chunk(&mut self, from: NodeId, chunk: Chunk, out: &mut Vec<Output>) {
        let Chunk { copy, after, records, last, stamp, .. } = chunk;
        if copy != self.view || self.standing != Some(Standing::Learner) || !self.participant.continues(after.as_ref()) {
            return;
        }
        let Some(records) = self.participant.copy(records, last) else {
            self.found_damage(1, out);
            return;
        };
        let stamp = stamp.min(limits::STAMP_MAX);
        if !records.is_empty() || stamp > self.stamp {
            self.stamp = self.stamp.max(stamp);
            self.journal.persist(Record::Copied { records, stamp }, out);
        }
        self.journal.send_when_synced(from, Message::Stored { copy, last }, out);
    }

    /// Settles what is still prepared of the views before `view` by the outcomes that were swapped in with it.
    fn settle_before(&mut self, view: ViewNumber, outcomes: &Outcomes, out: &mut Vec<Output>) {
        let mut granted = Vec::new();
        for (txn, prepared_in) in self.participant.prepared_before(view) {
            let outcome =
                outcomes.binary_search_by_key(&txn, |(txn, _)| *txn).map_or(Outcome::Aborted, |place| outcomes[place].1);
            let settled = match outcome {
                Outcome::Committed => self.participant.commit(txn, Vec::new(), &mut granted),
                Outcome::Aborted => self.participant.abort(txn, prepared_in, &mut granted),
            };
            if let Some(settled) = settled {
                self.settled(txn, settled, out);
            }
        }
        self.take_up(granted, out);
    }
}

/// Answers a coordinator that is not followed where it waits for an answer.
fn turn_away(to: NodeId, message: &Message, out: &mut Vec<Output>) {
    let answer = match message {
        Message::Prepare(Prepare { txn, view, .. }) => Message::Vote { txn: *txn, view: *view, vote: Vote::No(NoReason::Stale) },
        Message::Read(read) => Message::Answered { read: read.read, result: ReadResult::Stale },
        _ => return,
    };
    out.push(Output::Send { to, message: answer });
}

impl Machine for Worker {
    fn violations(&self) -> Vec<&'static str> {
        invariant::of_worker(self)
    }

    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Start => out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: self.config.sweep_ms }),
            Input::Message { from, message } => self.message(from, message, out),
            Input::Persisted { records } => self.journal.persisted(records, out),
            Input::Connected(peer) => {
                if peer.role == Role::Coordinator {
                    self.coordinators.insert(peer.node);
                    if self.repeats_damage() {
                        // Before it reports for a view that this coordinator begins now.
                        self.tell_damage_to(peer.node, out);
                    }
                }
            }
            Input::Disconnected { node } => {
                self.coordinators.remove(&node);
                self.allegiance.gone(node);
                let mut granted = Vec::new();
                self.reads.discard_of(node, &mut self.participant, &mut granted);
                self.take_up(granted, out);
            }
            Input::Timeout(Timer::Sweep) => {
                let doubt = self.participant.sweep(self.config.doubt_sweeps);
                if self.config.rules.doubt_ends_view(doubt) {
                    for to in &self.coordinators {
                        out.push(Output::Send { to: *to, message: Message::InDoubt { view: self.view } });
                    }
                }
                self.scrub(out);
                out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: self.config.sweep_ms });
            }
            Input::Request { id, request } => {
                let reply = match request {
                    Request::Status => Reply::Worker(self.status()),
                    Request::Commit { .. }
                    | Request::Read { .. }
                    | Request::Digests
                    | Request::Outcome { .. }
                    | Request::Roster(_)
                    | Request::Unrecorded
                    | Request::Recorded { .. } => Reply::Refused(Refusal::Invalid),
                };
                out.push(Output::Reply { id, reply });
            }
            Input::Timeout(Timer::ViewChange | Timer::Retry | Timer::Join | Timer::Beat | Timer::Compare) | Input::Swapped(_) => {
            }
        }
    }
}
