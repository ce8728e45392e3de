//! A coordinator: runs transactions and reads for its clients and, as the leader, changes views. It keeps nothing on disk:
//! what must outlive it is in the control store and at the workers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::commit::coordinator::{Bounds, Transactions};
use crate::id::{ClusterId, Incarnation, NodeId, RequestId, Writer};
use crate::invariant;
use crate::limits::{self, Limits};
use crate::membership::view::ViewRecord;
use crate::membership::view_change::{Activated, LeaderConfig, ViewChange};
use crate::message::Message;
use crate::read::router::Reads;
use crate::rules::Rules;
use crate::step::{CoordinatorStatus, Input, Machine, Output, Reply, Request, Role, Swapped, Timer};

/// A coordinator's settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoordinatorConfig {
    /// Its identity in this run.
    pub node: NodeId,
    /// Its run, given out by the control store.
    pub incarnation: Incarnation,
    /// The identity that a new cluster gets, if the control store is empty.
    pub new_cluster: ClusterId,
    /// The addresses of the workers, as named in the settings. The first view forms when all have answered.
    pub workers: Vec<String>,
    /// What the control store held at the start.
    pub record: Option<ViewRecord>,
    /// Milliseconds between two rounds of housekeeping.
    pub sweep_ms: u64,
    /// Rounds that a request may take before its client is told what is known by then.
    pub request_sweeps: u8,
    /// Rounds after which a transaction whose participants are silent ends its view, and so does a window that stays full (R11).
    pub doubt_sweeps: u8,
    /// Transactions that are not yet known to be applied everywhere, or whose clients may still ask how they ended, at the most.
    pub window: usize,
    /// Milliseconds that a view change waits for a member whose connection was lost before it leaves it out.
    pub grace_ms: u64,
    /// The same at the start, when machines may all be coming up.
    pub start_grace_ms: u64,
    /// Milliseconds that a member may take to answer within a view change.
    pub answer_ms: u64,
    /// Milliseconds that a worker that wants to join waits for others, so that they are taken in together.
    pub join_ms: u64,
    /// Milliseconds between two beats, by which it is seen who is gone without a word.
    pub beat_ms: u64,
    /// Beats in a row that a worker may leave unanswered before it is suspected and its connection closed; 0 suspects nobody.
    pub misses_max: u8,
    /// Milliseconds between two comparisons of the replicas.
    pub compare_ms: u64,
    /// Milliseconds after a view has become active until its replicas are compared for the first time.
    pub compare_first_ms: u64,
    /// Whether somebody records how the transactions ended that clients may ask for when this run is over. Workers must not
    /// forget them before.
    pub record_outcomes: bool,
    /// Milliseconds before refused transactions and reads are tried again.
    pub retry_ms: u64,
    /// What it holds and has under way at once, at the most.
    pub limits: Limits,
    /// The rules that it keeps: all of them, but for what a test leaves out.
    pub rules: Rules,
}

/// The state machine of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    config: CoordinatorConfig,
    leader: ViewChange,
    transactions: Transactions,
    reads: Reads,
    /// Whether the retry timer runs.
    retry_set: bool,
    /// The comparison of the replicas that is under way.
    comparing: Option<RequestId>,
    /// Comparisons that were begun.
    comparisons: u64,
}

impl CoordinatorConfig {
    /// The usual settings of this run.
    #[must_use]
    pub fn new(
        node: NodeId,
        incarnation: Incarnation,
        new_cluster: ClusterId,
        workers: Vec<String>,
        record: Option<ViewRecord>,
    ) -> Self {
        CoordinatorConfig {
            node,
            incarnation,
            new_cluster,
            workers,
            record,
            sweep_ms: 250,
            request_sweeps: 20,
            doubt_sweeps: 12,
            window: limits::IN_FLIGHT_MAX,
            grace_ms: 1_000,
            start_grace_ms: 3_000,
            answer_ms: 5_000,
            join_ms: 250,
            beat_ms: 250,
            misses_max: 4,
            compare_ms: 60_000,
            compare_first_ms: 250,
            record_outcomes: true,
            retry_ms: 5,
            limits: Limits::SHIPPED,
            rules: Rules::ALL,
        }
    }
}

impl Coordinator {
    /// A coordinator that knows only what the control store held.
    #[must_use]
    pub fn new(mut config: CoordinatorConfig) -> Self {
        let leader = LeaderConfig {
            writer: Writer { run: config.incarnation, node: config.node },
            new_cluster: config.new_cluster,
            workers: core::mem::take(&mut config.workers),
            grace_ms: config.grace_ms,
            start_grace_ms: config.start_grace_ms,
            answer_ms: config.answer_ms,
            join_ms: config.join_ms,
            beat_ms: config.beat_ms,
            misses_max: config.misses_max,
            limits: config.limits,
            rules: config.rules,
        };
        let CoordinatorConfig { window, request_sweeps, doubt_sweeps, limits, .. } = config;
        limits.assert_sound();
        let bounds = Bounds { window, request_sweeps, doubt_sweeps, limits };
        Coordinator {
            leader: ViewChange::new(leader, config.record.take()),
            transactions: Transactions::new(config.incarnation, bounds, config.record_outcomes, config.rules),
            reads: Reads::new(limits, config.rules),
            retry_set: false,
            comparing: None,
            comparisons: 0,
            config,
        }
    }

    /// The leader's part.
    #[must_use]
    pub fn leader(&self) -> &ViewChange {
        &self.leader
    }

    /// The transactions.
    #[must_use]
    pub fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// The reads.
    #[must_use]
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> CoordinatorStatus {
        CoordinatorStatus {
            record: self.leader.record().cloned(),
            serving: self.leader.is_steady() && !self.transactions.is_stalled(),
            full: self.leader.full_members(),
            roster: self.leader.roster(),
            connected: self.leader.peers().values().cloned().collect(),
            in_flight: self.transactions.in_flight() as u64,
            queued: self.transactions.queued() as u64,
            in_doubt: self.transactions.in_doubt() as u64,
            stalled: self.transactions.is_stalled(),
            reads: self.reads.len() as u64,
            read_bytes: self.reads.bytes_under_way(),
            copies: self.leader.copies(),
            comparison: self.leader.comparison(),
        }
    }

    fn request(&mut self, id: RequestId, request: Request, out: &mut Vec<Output>) {
        match request {
            Request::Commit { operations, clock, trace } => self.transactions.submit(id, operations, clock, trace, out),
            Request::Read { query, consistency, clock, trace } => {
                let age = self.transactions.next_age(clock);
                self.reads.submit(id, query, consistency, age, trace, out);
            }
            Request::Digests => {
                let age = self.transactions.next_age(0);
                self.reads.submit_digests(id, age, out);
            }
            Request::Outcome { txn } => {
                out.push(Output::Reply { id, reply: Reply::Outcome(self.transactions.outcome(txn)) });
            }
            Request::Unrecorded => {
                let unrecorded = self.transactions.unrecorded();
                out.push(Output::Reply { id, reply: Reply::Unrecorded(unrecorded) });
            }
            Request::Recorded { outcomes, runs } => {
                self.transactions.recorded(&outcomes, runs, out);
                self.clear_views();
                out.push(Output::Reply { id, reply: Reply::Noted });
            }
            Request::Roster(change) => {
                self.leader.change_roster(id, &change, out);
                self.follow_view(out);
            }
            Request::Status => out.push(Output::Reply { id, reply: Reply::Coordinator(Box::new(self.status())) }),
        }
    }

    fn message(&mut self, from: NodeId, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Vote { txn, view, vote } => self.transactions.voted(from, txn, view, vote, out),
            Message::Acknowledged { txn, view } => self.transactions.acknowledged(from, txn, view, out),
            Message::Answered { read, result } => {
                if self.reads.answered(from, read, result, out) {
                    self.set_retry(out);
                }
            }
            Message::Sealed(report) => {
                self.transactions.saw_stamp(report.stamp);
                self.leader.sealed(from, report, &self.transactions, out);
            }
            Message::SealRefused { view, reason, follows } => self.leader.seal_refused(from, view, reason, follows, out),
            Message::Activated { view } => {
                if self.leader.activated(from, view) && self.leader.is_steady() {
                    self.leader.forget_views(out);
                    self.transactions.allow_forgetting();
                    self.clear_views();
                }
            }
            Message::Chunk(chunk) => self.leader.given(from, chunk, self.transactions.in_flight() > 0, out),
            Message::Damaged { view, records } => self.leader.damaged(from, view, records > 0, out),
            Message::Beating { follows, full, .. } => self.leader.beating(from, follows, full, out),
            Message::Stored { copy, last } => self.leader.stored(from, copy, last, self.transactions.in_flight() > 0, out),
            Message::InDoubt { view } => {
                let begins = self.config.rules.doubt_begins_change(self.leader.is_steady());
                if begins && self.leader.active().is_some_and(|active| active.view.number == view) {
                    self.leader.change(out);
                }
            }
            // What coordinators say; none listens to another.
            Message::Prepare(_)
            | Message::Decide { .. }
            | Message::Forget { .. }
            | Message::ForgetViews { .. }
            | Message::Read(_)
            | Message::Seal(_)
            | Message::Copy { .. }
            | Message::Beat { .. }
            | Message::Outvoted { .. }
            | Message::Activate { .. } => {}
        }
    }

    /// The next view need not carry the outcomes of this one when those that somebody may still ask for are recorded.
    fn clear_views(&mut self) {
        if self.config.rules.may_clear(self.transactions.is_cleared()) {
            self.leader.clear();
        }
    }

    fn swapped(&mut self, swapped: Swapped, out: &mut Vec<Output>) {
        if let Some(Activated { view, settlement }) = self.leader.swapped(swapped, out) {
            let anew = self.leader.record().is_some_and(|record| record.emptied == Some(view.number));
            if view.members().len() > 1 {
                // Soon, whoever has come back with what it had is held against the others.
                out.push(Output::SetTimer { timer: Timer::Compare, after_ms: self.config.compare_first_ms });
            }
            self.transactions.activate(view, &settlement, anew, out);
            self.leader.check_members(out);
        }
    }

    /// Whatever happened may have opened or closed the view, or changed who can be read from.
    fn follow_view(&mut self, out: &mut Vec<Output>) {
        if !self.leader.is_steady() {
            self.transactions.close();
        }
        let view = self.leader.active().map(|active| active.view.number).unwrap_or_default();
        self.reads.set_members(view, &self.leader.readable(), self.leader.answers(), out);
    }

    /// Begins to compare the replicas, as a client's request would.
    fn compare(&mut self, out: &mut Vec<Output>) {
        out.push(Output::SetTimer { timer: Timer::Compare, after_ms: self.config.compare_ms });
        if self.leader.is_steady() && self.comparing.is_none() {
            // Those of clients count up from 1.
            let id = RequestId(u64::MAX - self.comparisons);
            self.comparisons += u64::from(self.config.rules.names_each_comparison());
            self.comparing = Some(id);
            let age = self.transactions.next_age(0);
            self.reads.submit_digests(id, age, out);
        }
    }

    /// The comparison has nobody waiting for its answer but this coordinator.
    fn take_comparison(&mut self, comparison: RequestId, out: &mut Vec<Output>) {
        let of_comparison = |output: &Output| matches!(output, Output::Reply { id, .. } if *id == comparison);
        let Some(place) = out.iter().position(of_comparison) else { return };
        self.comparing = None;
        if let Output::Reply { reply: Reply::Digests { view, digests }, .. } = out.remove(place) {
            self.leader.compared(view, &digests, out);
            self.follow_view(out);
        }
    }

    fn set_retry(&mut self, out: &mut Vec<Output>) {
        if !self.retry_set {
            self.retry_set = true;
            out.push(Output::SetTimer { timer: Timer::Retry, after_ms: self.config.retry_ms });
        }
    }
}

impl Machine for Coordinator {
    fn violations(&self) -> Vec<&'static str> {
        invariant::of_coordinator(self)
    }

    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Request { id, request } => self.request(id, request, out),
            Input::Message { from, message } => {
                let may_change = matches!(
                    message,
                    Message::Damaged { .. }
                        | Message::Sealed(_)
                        | Message::InDoubt { .. }
                        | Message::SealRefused { .. }
                        | Message::Stored { .. }
                );
                self.message(from, message, out);
                if may_change {
                    self.follow_view(out);
                }
            }
            Input::Start => {
                out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: self.config.sweep_ms });
                out.push(Output::SetTimer { timer: Timer::Compare, after_ms: self.config.compare_ms });
                self.leader.start(out);
            }
            Input::Connected(peer) => {
                if peer.role == Role::Worker {
                    self.leader.connected(peer, out);
                    self.follow_view(out);
                }
            }
            Input::Disconnected { node } => {
                if !self.config.rules.awaits_lost_participants() {
                    self.transactions.wrongly_acknowledge_lost(node, out);
                }
                self.leader.disconnected(node, out);
                self.reads.disconnected(node, out);
                self.follow_view(out);
            }
            Input::Swapped(swapped) => {
                self.swapped(swapped, out);
                self.follow_view(out);
            }
            Input::Timeout(Timer::ViewChange) => {
                self.leader.timeout(out);
                self.follow_view(out);
            }
            Input::Timeout(Timer::Join) => {
                self.leader.join(out);
                self.follow_view(out);
            }
            Input::Timeout(Timer::Beat) => self.leader.beat(out),
            Input::Timeout(Timer::Compare) => self.compare(out),
            Input::Timeout(Timer::Retry) => {
                self.retry_set = false;
                self.transactions.retry(out);
                self.reads.retry(out);
            }
            Input::Timeout(Timer::Sweep) => {
                if self.transactions.sweep(out) {
                    self.leader.change(out);
                    self.follow_view(out);
                }
                self.reads.sweep(self.config.request_sweeps, out);
                out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: self.config.sweep_ms });
            }
            Input::Persisted { .. } => {}
        }
        if let Some(comparison) = self.comparing {
            self.take_comparison(comparison, out);
        }
        if self.transactions.has_refused() {
            self.set_retry(out);
        }
    }
}
