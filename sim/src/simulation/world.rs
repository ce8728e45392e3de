//! A whole cluster in virtual time, and everything around it: the processes, the connections, the control store, the clients,
//! and the one queue of what will happen. It takes the next thing that happens and hands it to whom it is for.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{ClusterId, NodeId, RequestId, ViewNumber};
use skein_protocol::step::{Halt, Output, Request, Role};

use super::afterwards::Inquiries;
use super::checks::Violation;
use super::checks::waits::Waits;
use super::client::Client;
use super::control::Control;
use super::crowd::Readers;
use super::disk::Disk;
use super::faults::{Coverage, FaultKind};
use super::ledger::Ledger;
use super::mistake::Mistakes;
use super::network::{ConnectionId, Network};
use super::node::{Node, Pending, Slot};
use super::oracle::Oracle;
use super::plan::Plan;
use super::queue::{Queue, Time};
use super::random::Random;
use super::recorder::Recorder;
use super::rival::Rivalry;
use super::roster::Roster;
use super::tight::Attempts;
use super::trace::Trace;
use super::trial::Image;
use super::withheld::LateDigest;

/// What will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something reaches an end of a connection.
    Arrive(ConnectionId, usize, Pending),
    /// Something reaches a process of this life from within its machine: a timer, its disk, the control store.
    Within(Slot, u32, Pending),
    Dial(Slot, u32, Slot),
    Synced(Slot, u32),
    /// A log that is synced at an interval has something that is to be synced by now.
    SyncDue(Slot, u32),
    SwapEffect(Slot, u32),
    /// A process that was busy looks at its inbox.
    Wake(Slot, u32),
    Silence(ConnectionId, usize, u64),
    /// A client makes its next call.
    Call(usize),
    /// The recorder looks for something to be recorded.
    Record,
    /// The next fault.
    Fault,
    Restart(Slot, u32),
    /// A worker dies for long.
    Leave(Slot, u32),
    /// A person looks at what the leader has said of this view.
    PersonLooks(ViewNumber),
    /// A person who has read that a copy is bad removes this worker, which has another one.
    PersonErrs(Slot),
    Unblock(Slot, Slot, u64),
    Usual(Slot, FaultKind),
    LinkUsual(Slot, Slot),
    /// The next part of what waits leaves on a slow connection.
    Drain(ConnectionId, usize),
}

/// The cluster and everything around it.
pub(crate) struct World {
    pub(crate) now: Time,
    /// Counts what happened, so that two things at one time have an order.
    pub(crate) moment: u64,
    pub(crate) random: Random,
    /// Chance for what was thought of later, so that it leaves a seed's other choices as they are.
    pub(crate) chance_afterwards: Random,
    pub(crate) plan: Plan,
    pub(crate) mistakes: Mistakes,
    pub(crate) queue: Queue<Event>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) control: Control,
    pub(crate) rivalry: Rivalry,
    pub(crate) roster: Roster,
    pub(crate) attempts: Attempts,
    pub(crate) clients: Vec<Client>,
    pub(crate) oracle: Oracle,
    pub(crate) recorder: Recorder,
    pub(crate) ledger: Ledger,
    pub(crate) waits: Waits,
    pub(crate) coverage: Coverage,
    pub(crate) trace: Trace,
    pub(crate) violation: Option<Violation>,
    /// Whether faults happen at all.
    pub(crate) danger: bool,
    /// How the clock that ages are taken from differs from the true time.
    pub(crate) clock_skew: i64,
    /// Steps until the next crash or cut within one.
    pub(crate) steps_to_point: u64,
    /// Whether the process whose step this is dies with it.
    pub(crate) dies_after_step: bool,
    pub(crate) steps: u64,
    /// Why a coordinator would not go on.
    pub(crate) halted: Option<Halt>,
    /// Workers whose disk hangs until the end of the run.
    pub(crate) hung_for_good: Vec<Slot>,
    /// A worker that holds a record that is not what was written.
    pub(crate) rotten: Option<Slot>,
    /// Workers of which a record rotted while faults happened.
    pub(crate) rotted: BTreeSet<NodeId>,
    /// Workers that do not hold what they have acknowledged, and whether they have started over since.
    pub(crate) astray: BTreeMap<Slot, bool>,
    /// Whether it was seen that replicas differ, if they do and none of them is an independent witness.
    pub(crate) differs: Option<bool>,
    /// Disks as they once were, by slot.
    pub(crate) kept_disks: BTreeMap<Slot, Disk>,
    /// When it is found, all other members stand still for so long.
    pub(crate) held_up_when_found: Option<Time>,
    /// Whether replicas differ, and no majority can say which is right.
    pub(crate) may_differ: bool,
    /// Requests that are made in addition to those of clients, with the answer to the last.
    pub(crate) inquiries: Inquiries,
    /// How often the workers were given other names.
    pub(crate) renamed: u32,
    /// Logs that were set aside, by slot.
    pub(crate) set_aside: BTreeMap<Slot, Disk>,
    /// That the next swap fails, and how long swaps take after that.
    pub(crate) failing_swap: Option<(Time, Time)>,
    /// Whether a coordinator is to end.
    pub(crate) expects_halt: bool,
    /// Whether the next active view goes on with less than was acknowledged.
    pub(crate) awaits_era: bool,
    /// Workers as they once were, by slot.
    pub(crate) images: BTreeMap<Slot, Image>,
    /// A worker whose next vote is lost when a client has heard of what it voted for, and its disk before that.
    pub(crate) lost_vote: Option<(Slot, Disk)>,
    /// The worker of which it was said last that its log was put back.
    pub(crate) accused: Option<NodeId>,
    /// A member whose answer to a comparison comes late.
    pub(crate) late_digest: Option<LateDigest>,
    /// Whether clients only write.
    pub(crate) writes_only: bool,
    pub(crate) readers: Readers,
    /// Calls that may be made at the most.
    pub(crate) calls_max: u32,
    pub(crate) outputs: Vec<Output>,
}

/// The identity of the cluster that a run begins.
pub(crate) const CLUSTER: ClusterId = ClusterId(7);

impl World {
    pub(crate) fn new(mut random: Random, plan: Plan, mistakes: Mistakes, trace: Trace) -> Self {
        let workers = plan.logged.len();
        let mut nodes: Vec<Node> = (1..=workers).map(|it| Node::new(Role::Worker, format!("w{it}"))).collect();
        nodes.push(Node::new(Role::Coordinator, "c".into()));
        if plan.guest {
            nodes.push(Node::new(Role::Coordinator, "g".into()));
        }
        let clients = (0..plan.clients).map(|it| Client::new(plan.guest && it % 2 == 1)).collect();
        let steps_to_point = plan.point_interval.map_or(u64::MAX, |interval| random.between(1, 2 * interval));
        World {
            now: 0,
            moment: 0,
            mistakes,
            queue: Queue::new(),
            nodes,
            network: Network::default(),
            control: Control::default(),
            rivalry: Rivalry::default(),
            roster: Roster::default(),
            attempts: Attempts::default(),
            clients,
            oracle: Oracle::default(),
            recorder: Recorder::default(),
            ledger: Ledger::default(),
            waits: Waits::default(),
            coverage: Coverage::default(),
            trace,
            violation: None,
            danger: true,
            clock_skew: 0,
            steps_to_point,
            dies_after_step: false,
            steps: 0,
            halted: None,
            hung_for_good: Vec::new(),
            rotten: None,
            rotted: BTreeSet::new(),
            astray: BTreeMap::new(),
            differs: None,
            kept_disks: BTreeMap::new(),
            held_up_when_found: None,
            may_differ: false,
            inquiries: Inquiries::default(),
            renamed: 0,
            set_aside: BTreeMap::new(),
            failing_swap: None,
            expects_halt: false,
            awaits_era: false,
            images: BTreeMap::new(),
            lost_vote: None,
            accused: None,
            late_digest: None,
            writes_only: false,
            readers: Readers::default(),
            calls_max: 0,
            outputs: Vec::new(),
            chance_afterwards: random.sub("afterwards"),
            random,
            plan,
        }
    }

    pub(crate) fn workers(&self) -> std::ops::Range<Slot> {
        0..self.plan.logged.len()
    }

    pub(crate) fn leader(&self) -> Slot {
        self.plan.logged.len()
    }

    pub(crate) fn guest(&self) -> Option<Slot> {
        self.plan.guest.then_some(self.plan.logged.len() + 1)
    }

    pub(crate) fn violate(&mut self, violation: Violation) {
        let at = self.now;
        self.trace.line(at, "!", "violation", "", || format!("{}: {}", violation.property, violation.detail));
        self.violation.get_or_insert(violation);
    }

    /// The next thing happens; false when it lies beyond `until`.
    pub(crate) fn advance(&mut self, until: Time) -> bool {
        if self.queue.next_at().is_none_or(|at| at > until) {
            self.now = self.now.max(until);
            return false;
        }
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = at;
        match event {
            Event::Arrive(connection, end, pending) => self.arrive(connection, end, pending),
            Event::Within(slot, life, pending) if self.nodes[slot].life == life => self.deliver(slot, pending),
            Event::Dial(coordinator, life, worker) => self.dial(coordinator, life, worker),
            Event::Synced(slot, life) if self.nodes[slot].life == life => self.synced(slot),
            Event::SyncDue(slot, life) if self.nodes[slot].life == life => self.begin_sync(slot),
            Event::SwapEffect(slot, life) if self.nodes[slot].life == life => {
                if let Some(swapped) = self.swap_takes_effect(slot) {
                    let wait = self.random.between(self.plan.swap.0, self.plan.swap.1);
                    self.queue.push(self.now + wait, Event::Within(slot, life, Pending::Swapped(swapped)));
                }
            }
            Event::Wake(slot, life) if self.nodes[slot].life == life => self.wake(slot),
            Event::Silence(connection, end, epoch) => self.silence(connection, end, epoch),
            Event::Call(client) => self.call(client),
            Event::Record => self.record(),
            Event::Fault => self.fault(),
            Event::Restart(slot, life) if self.nodes[slot].life == life => self.start(slot),
            Event::Leave(slot, life) if self.nodes[slot].life == life => self.leave(slot),
            Event::PersonLooks(view) => self.person_looks(view),
            Event::PersonErrs(worker) => self.person_errs(worker),
            Event::Unblock(coordinator, worker, epoch) => {
                if self.network.link(coordinator, worker).epoch == epoch {
                    self.say(coordinator, "heal", worker, String::new);
                    self.unblock(coordinator, worker);
                }
            }
            Event::Usual(slot, kind) => self.usual(slot, kind),
            Event::LinkUsual(coordinator, worker) => {
                let link = self.network.link(coordinator, worker);
                (link.percent, link.rate) = (100, None);
            }
            Event::Drain(connection, end) => self.drain(connection, end),
            Event::Within(..)
            | Event::Synced(..)
            | Event::SyncDue(..)
            | Event::SwapEffect(..)
            | Event::Wake(..)
            | Event::Restart(..)
            | Event::Leave(..) => {}
        }
        true
    }

    /// A line of the trace.
    pub(crate) fn say<P: TracePeer>(&mut self, slot: Slot, kind: &str, peer: P, detail: impl FnOnce() -> String) {
        if self.trace.is_on() {
            let peer = peer.name(&self.nodes);
            self.trace.line(self.now, &self.nodes[slot].name, kind, &peer, detail);
        }
    }

    /// Asks a coordinator something.
    pub(crate) fn request(&mut self, slot: Slot, id: RequestId, request: Request) {
        self.deliver(slot, Pending::Request(id, request));
    }
}

/// Whom a line of the trace is about, beside the process itself.
pub(crate) trait TracePeer {
    fn name(self, nodes: &[Node]) -> String;
}

impl TracePeer for &str {
    fn name(self, _: &[Node]) -> String {
        self.into()
    }
}

impl TracePeer for Slot {
    fn name(self, nodes: &[Node]) -> String {
        nodes[self].name.clone()
    }
}
