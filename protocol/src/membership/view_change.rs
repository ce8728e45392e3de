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

use crate::commit::outcome::{self, Settlement};
use crate::id::{ClusterId, Incarnation, NodeId, ViewNumber};
use crate::limits;
use crate::membership::copy::Copies;
use crate::membership::view::{ActiveView, Member, Outcomes, Shard, Standing, View, ViewRecord};
use crate::message::{Chunk, Message, Outcome, Report, Seal};
use crate::omission::{Omission, Omissions};
use crate::step::{CopyProgress, Event, Halt, Output, Peer, Swapped, Timer};

/// How often the wait before a worker is taken in is doubled at the most.
const FLAPS_MAX: u8 = 7;

/// A leader's settings; see [`crate::node::coordinator::CoordinatorConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaderConfig {
    /// Its run.
    pub incarnation: Incarnation,
    /// The identity of a cluster that begins here.
    pub new_cluster: ClusterId,
    /// The addresses of the workers that the first view must have.
    pub workers: Vec<String>,
    /// Milliseconds that a lost member is waited for.
    pub grace_ms: u64,
    /// The same when nobody has been there yet.
    pub start_grace_ms: u64,
    /// Milliseconds that a member may take to answer.
    pub answer_ms: u64,
    /// Milliseconds that a worker that wants to join waits for others, so that they are taken in together.
    pub join_ms: u64,
    /// Rules left out, by tests only.
    pub omissions: Omissions,
}

/// The leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ViewChange {
    config: LeaderConfig,
    /// What the control store holds, as last read or written.
    record: Option<ViewRecord>,
    stage: Stage,
    /// Workers with a connection.
    connected: BTreeMap<NodeId, Peer>,
    /// Members that did not answer an attempt since the last active view.
    silent: BTreeSet<NodeId>,
    /// Members that have not yet said that the outcomes of the active view are synced.
    activating: BTreeSet<NodeId>,
    copies: Copies,
    /// Times that a learner was lost lately: each doubles the wait before the next is taken in.
    flaps: u8,
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
            config,
            record,
            stage: Stage::Gathering { over: false },
            connected: BTreeMap::new(),
            silent: BTreeSet::new(),
            activating: BTreeSet::new(),
            copies: Copies::default(),
            flaps: 0,
        }
    }

    /// The process has started: members are given time to come.
    pub fn start(&mut self, out: &mut Vec<Output>) {
        out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.start_grace_ms });
    }

    /// A worker is there.
    pub fn connected(&mut self, peer: Peer, out: &mut Vec<Output>) {
        let node = peer.node;
        if self.is_foreign(&peer) {
            out.push(Output::Publish(Event::NotTaken { node, address: peer.address.clone(), bound: peer.cluster }));
        }
        let first = self.candidates().next().is_none();
        self.connected.insert(node, peer);
        match &self.stage {
            // It was lost in between, and what was sent to it last may be lost too.
            Stage::Steady if self.takes_part(node) => self.change(out),
            Stage::Steady => self.await_joiners(out),
            Stage::Sealing { view, reports } if view.members().contains(&node) && !reports.contains_key(&node) => {
                self.change(out)
            }
            // Everybody was gone for longer than the grace: the first to come back waits for the others, like at the start.
            Stage::Gathering { over: true } if first => {
                self.stage = Stage::Gathering { over: false };
                out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.start_grace_ms });
            }
            _ => {}
        }
        self.advance(out);
    }

    /// A worker is gone. If it is a member, the view ends.
    pub fn disconnected(&mut self, node: NodeId, out: &mut Vec<Output>) {
        self.connected.remove(&node);
        self.copies.lost(node);
        match &self.stage {
            Stage::Steady if self.takes_part(node) => {
                if !self.is_member(node) {
                    self.flaps = self.flaps.saturating_add(1).min(FLAPS_MAX);
                }
                self.change(out);
            }
            // It won't answer over this connection, so it is waited for no longer than anybody who is lost.
            Stage::Sealing { view, reports } if view.members().contains(&node) && !reports.contains_key(&node) => {
                out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.grace_ms });
            }
            _ => {}
        }
    }

    /// Workers that want to join have been waited for long enough.
    pub fn join(&mut self, out: &mut Vec<Output>) {
        if self.stage != Stage::Steady || self.joiners().next().is_none() {
            return;
        }
        if self.copies.is_busy() {
            // A new view would make those that copy begin again.
            self.await_joiners(out);
        } else {
            self.change(out);
        }
    }

    fn await_joiners(&mut self, out: &mut Vec<Output>) {
        if self.joiners().next().is_some() {
            out.push(Output::SetTimer { timer: Timer::Join, after_ms: self.config.join_ms << self.flaps });
        }
    }

    /// Connected workers that could belong to the active view and don't.
    fn joiners(&self) -> impl Iterator<Item = &Peer> + '_ {
        let known = self.active().map(|active| active.view.participants()).unwrap_or_default();
        self.connected.values().filter(move |peer| !known.contains(&peer.node) && !self.is_foreign(peer))
    }

    fn is_foreign(&self, peer: &Peer) -> bool {
        self.record.as_ref().is_some_and(|record| peer.cluster.is_some_and(|bound| bound != record.cluster))
    }

    /// A member has given records for a learner.
    pub fn given(&mut self, from: NodeId, chunk: Chunk, out: &mut Vec<Output>) {
        self.copies.given(from, chunk, out);
    }

    /// A learner has stored some. When all learners are complete, the next view makes them members.
    pub fn stored(&mut self, from: NodeId, copy: ViewNumber, last: bool, out: &mut Vec<Output>) {
        if self.copies.stored(from, copy, last, out) && self.stage == Stage::Steady {
            self.flaps = 0;
            self.change(out);
        }
    }

    /// How far each copy is.
    #[must_use]
    pub fn copies(&self) -> Vec<CopyProgress> {
        self.copies.progress()
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

    /// Begins the next attempt if the members that it needs are there.
    fn advance(&mut self, out: &mut Vec<Output>) {
        let Stage::Gathering { over } = self.stage else { return };
        let Some(shards) = self.next_shards(over, out) else { return };
        let number = self.record.as_ref().map_or(ViewNumber(0), ViewRecord::number).next();
        let cluster = self.record.as_ref().map_or(self.config.new_cluster, |record| record.cluster);
        let active = self.active().cloned();
        let next = ViewRecord { cluster, writer: self.config.incarnation, active, pending: Some(View { number, shards }) };
        out.push(Output::CancelTimer(Timer::ViewChange));
        out.push(Output::Swap { expected: self.record.clone(), record: next.clone() });
        self.stage = Stage::Announcing { next };
    }

    /// The members of the next attempt; `None` while they are waited for.
    fn next_shards(&mut self, over: bool, out: &mut Vec<Output>) -> Option<Vec<Shard>> {
        let Some(active) = self.active() else { return self.first_shards(out) };
        let there: BTreeSet<NodeId> = self.candidates().collect();
        let all_there = active.view.members().iter().all(|node| there.contains(node));
        if !all_there && !over {
            return None;
        }
        if there.is_empty() && !self.silent.is_empty() {
            // Nobody answers: each is as good as any other, so all are asked again.
            self.silent.clear();
            self.stage = Stage::Gathering { over: false };
            out.push(Output::SetTimer { timer: Timer::ViewChange, after_ms: self.config.answer_ms });
            return None;
        }
        let here = |peer: &Peer| Member { node: peer.node, address: peer.address.clone() };
        let there_now = |member: &Member| self.connected.get(&member.node).filter(|_| there.contains(&member.node)).map(here);
        let early = self.config.omissions.has(Omission::LearnerTooEarly);
        let mut shards = Vec::with_capacity(active.view.shards.len());
        for shard in &active.view.shards {
            let mut members: Vec<Member> = shard.members.iter().filter_map(there_now).collect();
            if self.config.omissions.has(Omission::AnyWorker) {
                members = self.connected.values().map(here).collect();
            } else if members.is_empty() {
                return None;
            }
            // A learner that holds all records becomes a member; whoever else is there begins, or begins again.
            let rest = self.connected.values().filter(|peer| {
                let taken = members.iter().any(|member| member.node == peer.node);
                !taken && !self.is_foreign(peer) && !self.silent.contains(&peer.node)
            });
            let (complete, learners): (Vec<&Peer>, Vec<&Peer>) = rest.partition(|peer| {
                let learns = shard.learners.iter().any(|learner| learner.node == peer.node);
                learns && (early || self.copies.is_complete(peer.node))
            });
            members.extend(complete.into_iter().map(here));
            members.sort_unstable();
            let room = limits::MEMBERS_MAX.saturating_sub(members.len());
            shards.push(Shard { members, learners: learners.into_iter().take(room).map(here).collect() });
        }
        Some(shards)
    }

    /// The members of the first view: all that are named, once they are there.
    fn first_shards(&self, out: &mut Vec<Output>) -> Option<Vec<Shard>> {
        let cluster = self.record.as_ref().map(|record| record.cluster);
        let mut members = Vec::with_capacity(self.config.workers.len());
        for address in &self.config.workers {
            let peer = self.connected.values().find(|peer| peer.address == *address)?;
            match peer.cluster {
                Some(bound) if Some(bound) != cluster && !self.config.omissions.has(Omission::TakeBound) => {
                    let halt = Halt::WorkerHoldsView { address: address.clone(), cluster: bound };
                    out.push(Output::Halt(halt));
                    return None;
                }
                _ => members.push(Member { node: peer.node, address: address.clone() }),
            }
        }
        members.sort_unstable();
        Some(alloc::vec![Shard { members, learners: Vec::new() }])
    }

    /// Members of the last active view that are connected and answer.
    fn candidates(&self) -> impl Iterator<Item = NodeId> + '_ {
        let any = self.config.omissions.has(Omission::AnyWorker);
        let usable = move |node: &NodeId| (any || self.is_member(*node)) && !self.silent.contains(node);
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
                leave_out(before.as_ref(), &activated.view, out);
                activated
            }),
            Stage::Gathering { .. } | Stage::Sealing { .. } | Stage::Steady => None,
        }
    }

    fn seal(&mut self, record: ViewRecord, out: &mut Vec<Output>) {
        let Some(view) = record.pending else { return };
        let last_active: Option<(ViewNumber, Outcomes)> = match record.active {
            Some(_) if self.config.omissions.has(Omission::ForgetOutcomes) => None,
            active => active.map(|active| (active.view.number, active.outcomes)),
        };
        let members = view.members();
        for to in view.participants() {
            let standing = if members.contains(&to) { Standing::Member } else { Standing::Learner };
            // A learner begins with nothing, so nothing of earlier views concerns it.
            let last_active = last_active.clone().filter(|_| standing == Standing::Member);
            let seal = Seal { cluster: record.cluster, view: view.number, standing, last_active };
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

    /// A member is sealed and says what it holds.
    pub fn sealed(&mut self, from: NodeId, report: Report, out: &mut Vec<Output>) {
        let Stage::Sealing { view, reports } = &mut self.stage else { return };
        if report.view != view.number || !view.members().contains(&from) {
            return;
        }
        reports.insert(from, report);
        if reports.len() < view.members().len() {
            return;
        }
        let settlement = outcome::settle(view, reports);
        let (cluster, view) = (self.record.as_ref().map_or(self.config.new_cluster, |record| record.cluster), view.clone());
        if self.config.omissions.has(Omission::ApplyBeforeSwap) {
            self.tell(&view, &settlement.outcomes, out);
        }
        let active = ActiveView { view, outcomes: settlement.outcomes.clone() };
        let next = ViewRecord { cluster, writer: self.config.incarnation, active: Some(active), pending: None };
        out.push(Output::CancelTimer(Timer::ViewChange));
        out.push(Output::Swap { expected: self.record.clone(), record: next.clone() });
        self.stage = Stage::Deciding { next, settlement };
    }

    /// A worker can't be a member of this view: the next attempt goes without it. If the cluster is only being founded, another
    /// one has taken the worker meanwhile, and this one can't be.
    pub fn seal_refused(&mut self, from: NodeId, view: ViewNumber, bound: ClusterId, out: &mut Vec<Output>) {
        let Stage::Sealing { view: pending, .. } = &self.stage else { return };
        if pending.number != view || !pending.members().contains(&from) {
            return;
        }
        let address = self.connected.get(&from).map(|peer| peer.address.clone()).unwrap_or_default();
        if self.record.as_ref().is_some_and(|record| record.cluster == bound) {
            out.push(Output::Publish(Event::RolledBack { node: from, address }));
        } else if self.active().is_none() {
            out.push(Output::Halt(Halt::WorkerHoldsView { address, cluster: bound }));
            return;
        } else {
            out.push(Output::Publish(Event::NotTaken { node: from, address, bound: Some(bound) }));
        }
        self.silent.insert(from);
        self.stage = Stage::Gathering { over: true };
        self.advance(out);
    }

    fn activate(&mut self, active: ActiveView, settlement: Settlement, out: &mut Vec<Output>) -> Activated {
        let ActiveView { view, outcomes } = active;
        self.tell(&view, &outcomes, out);
        let members = view.members();
        let committed = u32::try_from(settlement.versions.len()).unwrap_or(u32::MAX);
        let (learners, aborted) = (view.learners(), settlement.aborted);
        let event = Event::ViewActive { view: view.number, members: members.clone(), learners, committed, aborted };
        out.push(Output::Publish(event));
        self.silent.clear();
        self.activating = members.iter().copied().collect();
        self.copies.begin(&view, out);
        Activated { view, settlement }
    }

    fn tell(&self, view: &View, outcomes: &[(crate::id::TxnId, Outcome)], out: &mut Vec<Output>) {
        for to in view.participants() {
            let message = Message::Activate { view: view.number, outcomes: outcomes.to_vec() };
            out.push(Output::Send { to, message });
        }
    }

    /// After a view became active: if a member was lost meanwhile, the next change begins.
    pub fn check_members(&mut self, out: &mut Vec<Output>) {
        let nodes = self.active().map(|active| active.view.participants()).unwrap_or_default();
        if self.stage == Stage::Steady && nodes.iter().any(|node| !self.connected.contains_key(node)) {
            self.change(out);
        } else if self.stage == Stage::Steady {
            self.await_joiners(out);
        }
    }

    /// A member has the outcomes of the active view synced. Says whether it was the last of them.
    pub fn activated(&mut self, from: NodeId, view: ViewNumber, out: &mut Vec<Output>) -> bool {
        let Some(active) = self.active() else { return false };
        if active.view.number != view {
            return false;
        }
        let nodes = active.view.participants();
        let last = self.activating.remove(&from) && self.activating.is_empty();
        if last {
            for to in nodes {
                out.push(Output::Send { to, message: Message::ForgetViews { before: view } });
            }
        }
        last
    }

    /// The last active view.
    #[must_use]
    pub fn active(&self) -> Option<&ActiveView> {
        self.record.as_ref().and_then(|record| record.active.as_ref())
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
}

/// Says which members of the view before are not in this one.
fn leave_out(before: Option<&View>, view: &View, out: &mut Vec<Output>) {
    let members = view.members();
    for member in before.into_iter().flat_map(|before| before.shards.iter().flat_map(|shard| &shard.members)) {
        if !members.contains(&member.node) {
            out.push(Output::Publish(Event::LeftOut { node: member.node, address: member.address.clone() }));
        }
    }
}
