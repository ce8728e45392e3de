//! The leader's part of a view change (after Viewstamped Replication, Oki and Liskov 1988, with the log replaced by what
//! the members hold prepared).
//!
//! ```text
//!              all members there,             swapped in                all have reported
//!  gathering --------------------> announcing ----------> sealing -----------------------> deciding
//!     ^   ^    or the grace is over                          |  one doesn't answer             |  swapped in,
//!     |   +--------------------------------------------------+                                 v  outcomes inside
//!     +-------- a member is lost or back, or a doubt lasts too long ------------------------ steady
//! ```
//!
//! Each attempt has a number of its own. Members come from the last *active* view only (R5), whose outcomes each attempt
//! carries to those who missed them (R4). Nobody hears an outcome before the swap that holds it (R3).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::commit::coordinator::Transactions;
use crate::commit::outcome::{self, Settlement};
use crate::id::{ClusterId, NodeId, RequestId, TxnId, ViewId, ViewNumber, Writer};
use crate::limits::Limits;
use crate::membership::choice::{Choice, Situation};
use crate::membership::comparison::Comparison;
use crate::membership::copy::Copies;
use crate::membership::failure_detector::FailureDetector;
use crate::membership::joiners::Joiners;
use crate::membership::roster::Changes;
use crate::membership::view::{ActiveView, Outcomes, Standing, View, ViewRecord};
use crate::message::{Message, Outcome, Report, Seal};
use crate::rules::Rules;
use crate::step::{Event, Halt, Output, Peer, Reply, Swapped, Timer};

mod joining;
mod refusal;
mod repair;
mod rollback;
mod roster;
mod watch;

/// A leader's settings; see [`crate::node::coordinator::CoordinatorConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaderConfig {
    /// Its identity and its run.
    pub writer: Writer,
    /// The identity of a cluster that begins here.
    pub new_cluster: ClusterId,
    /// The addresses of the workers named in the settings; the first view must have them all.
    pub workers: Vec<String>,
    /// Milliseconds that a lost member is waited for.
    pub grace_ms: u64,
    /// The same when nobody has been there yet.
    pub start_grace_ms: u64,
    /// Milliseconds that a member may take to answer.
    pub answer_ms: u64,
    /// Milliseconds that a worker that wants to join waits for others, so that they are taken in together.
    pub join_ms: u64,
    /// Milliseconds between two beats.
    pub beat_ms: u64,
    /// Beats in a row that a worker may leave unanswered before it is suspected.
    pub misses_max: u8,
    /// How much of a copy is under way at once.
    pub limits: Limits,
    /// The rules that it keeps: all of them, but for what a test leaves out.
    pub rules: Rules,
}

/// The leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewChange {
    config: LeaderConfig,
    /// What the control store holds, as last read or written.
    record: Option<ViewRecord>,
    /// The greatest view number that had been used when this run began: it has used all later ones itself.
    begun: ViewNumber,
    stage: Stage,
    /// Workers with a connection.
    connected: BTreeMap<NodeId, Peer>,
    /// Members that did not answer an attempt since the last active view.
    silent: BTreeSet<NodeId>,
    /// Members that have not yet said that the outcomes of the active view are synced.
    activating: BTreeSet<NodeId>,
    copies: Copies,
    joiners: Joiners,
    /// Milliseconds for which the timer of those who join was set; 0 if it does not run.
    joining_ms: u64,
    detector: FailureDetector,
    /// Workers that said at the last beat that their memory is full.
    full: BTreeSet<NodeId>,
    /// Counts the beats.
    beat: u64,
    /// How often they were asked again since then though one that is not trusted was there.
    asked_again: u8,
    /// Members whose logs were put back to an older state within the last active view (R15).
    rolled_back: BTreeSet<NodeId>,
    /// What members lacked of what others reported as committed, since the last view became active.
    lacked: BTreeMap<NodeId, BTreeSet<TxnId>>,
    /// Members whose silence was waited for already, or that are lost again and again: no grace for them.
    suspected: BTreeSet<NodeId>,
    /// Members of whose records a part was given up, and of whom it was said that the cluster goes on with them.
    curtailing: BTreeSet<NodeId>,
    comparison: Comparison,
    /// Whether it was said of the active view that no worker can start over, since no member's copy is trusted.
    said_untrusted: bool,
    /// Whether the record of the active view is no longer needed for its outcomes: they stand in rows, or their clients had answers.
    cleared: bool,
    /// Whether a learner of the pending view may not have been sealed for it.
    unsealed: bool,
    /// The change of the roster that the next view brings, and who asked for it.
    wanted: Option<Wanted>,
    /// Whom the transport was last told to connect to.
    dialed: Vec<String>,
    /// Whether members are also connected to where they were reached last, if the settings name another address for them. Not at
    /// once: by that of the settings a member is known for what it is, and the old one may be somebody else's by now.
    reaches_back: bool,
}

/// After this part of the grace at a start, members that were not met are looked for where they were reached last.
const REACH_BACK_AFTER: u64 = 3;

/// A change of the roster that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    id: RequestId,
    changes: Changes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// A view change is wanted. Whether members are waited for no longer.
    Gathering { over: bool },
    /// The pending view is being swapped in.
    Announcing { next: ViewRecord },
    /// Members are being sealed.
    Sealing { view: View, reports: BTreeMap<NodeId, Report> },
    /// The active view is being swapped in.
    Deciding { next: ViewRecord, settlement: Settlement },
    /// The view is active.
    Steady,
}

/// A view has become active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    /// The view.
    pub view: View,
    /// What it settled.
    pub settlement: Settlement,
}

impl ViewChange {
    /// A leader that knows what the control store held when it started.
    #[must_use]
    pub fn new(config: LeaderConfig, record: Option<ViewRecord>) -> Self {
        ViewChange {
            begun: record.as_ref().map(ViewRecord::number).unwrap_or_default(),
            record,
            stage: Stage::Gathering { over: false },
            connected: BTreeMap::new(),
            silent: BTreeSet::new(),
            asked_again: 0,
            rolled_back: BTreeSet::new(),
            lacked: BTreeMap::new(),
            activating: BTreeSet::new(),
            copies: Copies::new(config.limits),
            joiners: Joiners::default(),
            joining_ms: 0,
            detector: FailureDetector::new(config.misses_max),
            full: BTreeSet::new(),
            beat: 0,
            suspected: BTreeSet::new(),
            curtailing: BTreeSet::new(),
            comparison: Comparison::default(),
            said_untrusted: false,
            cleared: false,
            unsealed: false,
            wanted: None,
            dialed: Vec::new(),
            reaches_back: false,
            config,
        }
    }

    /// The process has started: members are given time to come.
    pub fn start(&mut self, out: &mut Vec<Output>) {
        self.dial(out);
        let roster = self.roster();
        let are_named = self.last_addresses().all(|address| roster.contains(address));
        self.reaches_back = are_named;
        let after_ms = match self.reaches_back {
            true => self.config.start_grace_ms,
            false => self.config.start_grace_ms / REACH_BACK_AFTER,
        };
        out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms });
        out.push(Output::SetTimer { timer: Timer::Beat, after_ms: self.config.beat_ms });
    }

    /// A view change is wanted, with the same members if all are there.
    pub fn change(&mut self, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Steady | Stage::Sealing { .. }) {
            self.stage = Stage::Gathering { over: false };
            out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.grace_ms });
            self.advance(out);
        }
    }

    /// The timer went off: those that are not there, or don't answer, are waited for no longer.
    pub fn timeout(&mut self, out: &mut Vec<Output>) {
        match &self.stage {
            Stage::Gathering { .. } if !self.reaches_back => {
                self.reaches_back = true;
                self.dial(out);
                let after_ms = self.config.start_grace_ms - self.config.start_grace_ms / REACH_BACK_AFTER;
                out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms });
            }
            Stage::Gathering { .. } => {
                self.stage = Stage::Gathering { over: true };
                self.advance(out);
            }
            Stage::Sealing { view, reports } => {
                self.silent.extend(view.members().into_iter().filter(|node| !reports.contains_key(node)));
                self.stage = Stage::Gathering { over: true };
                self.advance(out);
            }
            Stage::Announcing { .. } | Stage::Deciding { .. } | Stage::Steady => {}
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            named: &self.config.workers,
            changes: self.changes(),
            record: self.record.as_ref(),
            connected: &self.connected,
            silent: &self.silent,
            asked_again: self.asked_again,
            suspected: &self.suspected,
            rolled_back: &self.rolled_back,
            comparison: &self.comparison,
            joiners: &self.joiners,
            copies: &self.copies,
            rules: self.config.rules,
        }
    }

    /// Begins the next attempt if the members that it needs are there.
    fn advance(&mut self, out: &mut Vec<Output>) {
        let Stage::Gathering { over } = self.stage else { return };
        let mut choice = self.situation().choose(over);
        if self.keeps_unwanted(&choice) {
            // Who should go is the last that is there.
            self.refuse_removal(out);
            choice = self.situation().choose(over);
        }
        let (shards, empty) = match choice {
            Choice::View { shards, empty } => (shards, empty),
            Choice::Wait => return,
            Choice::AskAgain => {
                self.silent.clear();
                let in_favour = self.connected.keys().any(|node| self.comparison.distrusts(*node));
                self.asked_again = self.asked_again.saturating_add(u8::from(in_favour));
                self.stage = Stage::Gathering { over: false };
                out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.answer_ms });
                return;
            }
            Choice::Halt(halt) => {
                out.push(Output::Halt(halt));
                return;
            }
        };
        let number = self.record.as_ref().map_or(ViewNumber(0), ViewRecord::number).next();
        let emptied = if empty { Some(number) } else { self.record.as_ref().and_then(|record| record.emptied) };
        let next = ViewRecord {
            cluster: self.record.as_ref().map_or(self.config.new_cluster, |record| record.cluster),
            writer: self.config.writer,
            active: self.active().cloned(),
            pending: Some(View { number, writer: self.config.writer, shards }),
            // What people want holds from the swap that makes the view active: until then whoever may be needed is connected to.
            roster: self.kept_changes(),
            emptied,
            curtailed: self.record.as_ref().and_then(|record| record.curtailed),
        };
        out.push(Output::CancelTimer(Timer::ViewChange));
        out.push(Output::Swap { expected: self.record.clone(), record: next.clone() });
        self.stage = Stage::Announcing { next };
    }

    /// Members of the last active view that are connected and answer.
    fn candidates(&self) -> impl Iterator<Item = NodeId> + '_ {
        let usable = |node: &NodeId| self.config.rules.may_be_member(self.is_member(*node)) && !self.silent.contains(node);
        self.connected.keys().copied().filter(usable)
    }

    /// The control store has answered. Gives the view if it has become active.
    pub fn swapped(&mut self, swapped: Swapped, out: &mut Vec<Output>) -> Option<Activated> {
        let (Stage::Announcing { next } | Stage::Deciding { next, .. }) = &self.stage else { return None };
        match swapped {
            Swapped::Current(current) if current.as_ref() != Some(next) => {
                if current == self.record {
                    // Not written: once more, after a while, from the beginning.
                    self.stage = Stage::Gathering { over: true };
                    out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.answer_ms });
                } else {
                    out.push(Output::Halt(Halt::Superseded));
                }
                return None;
            }
            Swapped::Done | Swapped::Current(_) => {}
        }
        let before = self.record.replace(next.clone());
        match core::mem::replace(&mut self.stage, Stage::Steady) {
            Stage::Announcing { next } => {
                self.seal(next, out);
                None
            }
            Stage::Deciding { next, settlement } => next.active.map(|active| {
                let activated = self.activate(active, settlement, out);
                let before = before.and_then(|record| record.active).map(|active| active.view);
                self.leave_out(before.as_ref(), &activated.view, out);
                activated
            }),
            Stage::Gathering { .. } | Stage::Sealing { .. } | Stage::Steady => None,
        }
    }

    fn seal(&mut self, record: ViewRecord, out: &mut Vec<Output>) {
        let Some(view) = record.pending else { return };
        let last_active: Option<(ViewId, Outcomes)> = match record.active {
            // Nothing of what was before is left, nor are those who knew of it.
            Some(_) if record.emptied == Some(view.number) => None,
            active => active.map(|active| (active.view.id(), active.outcomes)),
        };
        self.unsealed = false;
        let members = view.members();
        for to in view.participants() {
            let standing = if members.contains(&to) { Standing::Member } else { Standing::Learner };
            let (last_active, outcomes) = match &last_active {
                // A learner begins with nothing, so no outcome of earlier views concerns it.
                Some((last, outcomes)) if standing == Standing::Member => (Some(*last), outcomes.clone()),
                Some((last, _)) => (Some(*last), Outcomes::new()),
                None => (None, Outcomes::new()),
            };
            let seal = Seal { cluster: record.cluster, view: view.id(), standing, last_active, outcomes };
            // What it said when it connected is no longer so.
            if let Some(peer) = self.connected.get_mut(&to) {
                peer.cluster = Some(record.cluster);
                peer.salvaged &= standing == Standing::Member;
            }
            out.push(Output::Send { to, message: Message::Seal(seal) });
        }
        out.push(Output::Publish(Event::ViewPending { view: view.number, members: view.members() }));
        out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.answer_ms });
        let lost = view.members().iter().any(|node| !self.connected.contains_key(node));
        self.stage = Stage::Sealing { view, reports: BTreeMap::new() };
        if lost {
            self.change(out);
        }
    }

    /// A member is sealed and says what it holds. `transactions` are those of this run.
    pub fn sealed(&mut self, from: NodeId, report: Report, transactions: &Transactions, out: &mut Vec<Output>) {
        let Stage::Sealing { view, reports } = &mut self.stage else { return };
        if report.view != view.number || !view.members().contains(&from) {
            return;
        }
        reports.insert(from, report);
        if reports.len() < view.members().len() {
            return;
        }
        let Stage::Sealing { view, reports } = &self.stage else { return };
        let rolled_back = self.rolled_back_in(reports, transactions);
        if !rolled_back.is_empty() {
            self.leave_rolled_back(rolled_back, out);
            return;
        }
        if self.leaves_only_distrusted() {
            // A copy that was to stay alone has turned out to be bad: who should go is in the next attempt again.
            self.refuse_removal(out);
            self.stage = Stage::Gathering { over: false };
            out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.grace_ms });
            self.advance(out);
            return;
        }
        let mut settlement = outcome::settle(view, reports);
        if let Some(before) = self.record.as_ref().and_then(|record| record.active.as_ref()) {
            if !self.cleared {
                settlement.carry(&before.outcomes);
            }
            for (run, below) in &before.ended {
                let mark = settlement.marks.entry(*run).or_default();
                *mark = (*mark).max(*below);
            }
        }
        transactions.hand_over(&mut settlement);
        let Some(announced) = self.record.clone() else { return };
        let view = view.clone();
        if !self.config.rules.swaps_before_telling() {
            self.tell(&view, &settlement.outcomes, out);
        }
        let ended = settlement.marks.iter().map(|(run, below)| (*run, *below)).collect();
        let is_news = |node: &NodeId| self.situation().is_salvaged(*node) && !self.curtailing.contains(node);
        let curtailed = if view.members().iter().any(is_news) { Some(view.number) } else { announced.curtailed };
        let active = ActiveView { view, outcomes: settlement.outcomes.clone(), ended };
        let next = ViewRecord { active: Some(active), pending: None, roster: self.changes().clone(), curtailed, ..announced };
        out.push(Output::CancelTimer(Timer::ViewChange));
        out.push(Output::Swap { expected: self.record.clone(), record: next.clone() });
        self.stage = Stage::Deciding { next, settlement };
    }

    fn activate(&mut self, active: ActiveView, settlement: Settlement, out: &mut Vec<Output>) -> Activated {
        let ActiveView { view, outcomes, .. } = active;
        self.cleared = false;
        self.said_untrusted = false;
        self.tell(&view, &outcomes, out);
        let members = view.members();
        let committed = u32::try_from(settlement.versions.len()).unwrap_or(u32::MAX);
        let (learners, aborted) = (view.learners(), settlement.aborted);
        let event = Event::ViewActive { view: view.number, members: members.clone(), learners, committed, aborted };
        out.push(Output::Publish(event));
        if self.record.as_ref().is_some_and(|record| record.emptied == Some(view.number)) {
            out.push(Output::Publish(Event::StartedEmpty { view: view.number }));
        }
        if self.record.as_ref().is_some_and(|record| record.curtailed == Some(view.number)) {
            out.push(Output::Publish(Event::Curtailed { view: view.number }));
        }
        self.curtailing = members.iter().copied().filter(|node| self.situation().is_salvaged(*node)).collect();
        if let Some(Wanted { id, .. }) = self.wanted.take()
            && self.config.rules.swaps_before_roster_reply()
        {
            out.push(Output::Reply { id, reply: Reply::Roster(self.roster()) });
        }
        self.reaches_back = true;
        self.dial(out);
        self.silent.clear();
        self.asked_again = 0;
        self.rolled_back.clear();
        self.lacked.clear();
        self.suspected.clear();
        let rules = self.config.rules;
        for (learner, donor) in self.copies.complete().filter(|_| rules.copies_share_a_vote()) {
            self.comparison.copied(learner, donor);
        }
        self.comparison.activated(&view, |node| self.connected.contains_key(&node));
        self.tell_outvoted(out);
        self.activating = members.iter().copied().collect();
        self.copies.begin(&view, true, out);
        Activated { view, settlement }
    }

    fn tell(&self, view: &View, outcomes: &[(TxnId, Outcome)], out: &mut Vec<Output>) {
        for to in view.participants() {
            let message = Message::Activate { view: view.number, outcomes: outcomes.to_vec() };
            out.push(Output::Send { to, message });
        }
    }

    /// After a view became active: if a member was lost meanwhile, the next change begins.
    pub fn check_members(&mut self, out: &mut Vec<Output>) {
        let nodes = self.active().map(|active| active.view.participants()).unwrap_or_default();
        let lost = self.unsealed || nodes.iter().any(|node| !self.connected.contains_key(node));
        if self.stage == Stage::Steady && lost {
            self.change(out);
        } else if self.stage == Stage::Steady {
            self.await_joiners(out);
            self.repair(out);
        }
    }

    /// A member has the outcomes of the active view synced. Says whether it was the last of them.
    pub fn activated(&mut self, from: NodeId, view: ViewNumber) -> bool {
        let Some(active) = self.active() else { return false };
        if active.view.number != view {
            return false;
        }
        self.activating.remove(&from) && self.activating.is_empty()
    }

    /// Every participant of the active view may forget what was decided in those before it: all members have it synced (R7), and
    /// questions are answered from the record of the view until the outcomes are recorded.
    pub fn forget_views(&mut self, out: &mut Vec<Output>) {
        let Some(view) = self.active().map(|active| &active.view) else { return };
        let before = view.number;
        let forget = |to| Output::Send { to, message: Message::ForgetViews { before } };
        out.extend(view.participants().into_iter().map(forget));
    }

    /// What the active view settled will not be asked for any more: the next one need not carry it.
    pub fn clear(&mut self) {
        self.cleared |= self.is_steady();
    }

    /// What is to be settled by the swap that is under way.
    #[must_use]
    pub fn deciding(&self) -> Option<&Settlement> {
        match &self.stage {
            Stage::Deciding { settlement, .. } => Some(settlement),
            _ => None,
        }
    }

    /// The last active view.
    #[must_use]
    pub fn active(&self) -> Option<&ActiveView> {
        self.record.as_ref().and_then(|record| record.active.as_ref())
    }

    /// The identity and the run of this leader.
    #[must_use]
    pub fn writer(&self) -> Writer {
        self.config.writer
    }

    /// What the control store holds, as last read or written.
    #[must_use]
    pub fn record(&self) -> Option<&ViewRecord> {
        self.record.as_ref()
    }

    /// Whether a view is active and no change is under way.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.stage == Stage::Steady
    }

    /// Workers with a connection.
    #[must_use]
    pub fn peers(&self) -> &BTreeMap<NodeId, Peer> {
        &self.connected
    }

    /// Members of the active view that can be read from: none once the next view is being sealed.
    #[must_use]
    pub fn readable(&self) -> Vec<NodeId> {
        let Some(active) = self.active() else { return Vec::new() };
        match self.stage {
            Stage::Steady | Stage::Gathering { .. } if self.pending().is_none() => {
                active.view.members().into_iter().filter(|node| self.connected.contains_key(node)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn pending(&self) -> Option<&View> {
        self.record.as_ref().and_then(|record| record.pending.as_ref())
    }

    /// Whether it is a member or learner of the last active view.
    fn takes_part(&self, node: NodeId) -> bool {
        self.active().is_some_and(|active| active.view.participants().contains(&node))
    }

    fn is_member(&self, node: NodeId) -> bool {
        self.active().is_some_and(|active| active.view.members().contains(&node))
    }

    /// Says which members of the view before are not in this one. Those that nobody wants any more are no surprise, and those whose
    /// records were all lost don't come back.
    fn leave_out(&self, before: Option<&View>, view: &View, out: &mut Vec<Output>) {
        let there = view.participants();
        let emptied = self.record.as_ref().is_some_and(|record| record.emptied == Some(view.number));
        for member in before.into_iter().flat_map(|before| before.shards.iter().flat_map(|shard| &shard.members)) {
            if !there.contains(&member.node) && !self.changes().removed.contains(&member.address) && !emptied {
                out.push(Output::Publish(Event::LeftOut { node: member.node, address: member.address.clone() }));
            }
        }
    }
}
