//! A process of the simulated cluster: a machine of the core with its inbox, its timers and its connections, as the runtime
//! would give it. What has arrived and was not looked at yet waits in the inbox, so that a process that is paused or slow
//! sees the world late but in order.

use std::collections::{BTreeMap, VecDeque};

use skein_protocol::id::{NodeId, RequestId, ViewNumber};
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::message::Message;
use skein_protocol::node::coordinator::Coordinator;
use skein_protocol::node::worker::Worker;
use skein_protocol::step::{Input, Machine as _, Output, Peer, Request, Role, Swapped, Timer};

use super::disk::Disk;
use super::guest::Guest;
use super::ledger::Progress;
use super::network::ConnectionId;
use super::queue::Time;

/// The place of a process; whoever starts there again is a new life of it.
pub(crate) type Slot = usize;

/// A process, running or not.
pub(crate) struct Node {
    pub(crate) role: Role,
    /// How a trace calls it: `w1`, `c`, `g`.
    pub(crate) name: String,
    pub(crate) address: String,
    /// What the settings of coordinators call it.
    pub(crate) named: String,
    pub(crate) id: NodeId,
    /// Counts its starts; what was meant for an earlier life does not reach it.
    pub(crate) life: u32,
    pub(crate) machine: Option<Machine>,
    pub(crate) inbox: VecDeque<Pending>,
    /// Until when it looks at nothing.
    pub(crate) awake_at: Time,
    pub(crate) waking: bool,
    /// Whether it stands still while connections to it can be made and seem to live.
    pub(crate) hangs: bool,
    /// What one input costs it.
    pub(crate) service: Time,
    /// What its syncs cost, in hundredths of the usual.
    pub(crate) sync_percent: u64,
    /// How fast its timers run, in hundredths.
    pub(crate) timer_percent: u64,
    timers: BTreeMap<Timer, u64>,
    next_timer: u64,
    pub(crate) peers: BTreeMap<NodeId, ConnectionId>,
    /// The log of a worker that has one.
    pub(crate) disk: Option<Disk>,
    /// How far each key's writes have come in its memory.
    pub(crate) progress: Progress,
}

/// The machine of a process.
#[allow(clippy::large_enum_variant)] // there are eight of them at most
pub(crate) enum Machine {
    Worker(Worker),
    Coordinator(Coordinator),
    Guest(Guest),
}

/// What waits to be looked at by a process.
#[derive(Debug)]
pub(crate) enum Pending {
    Start,
    Request(RequestId, Request),
    Opened(ConnectionId, Peer),
    Closed(ConnectionId),
    Message(ConnectionId, Message),
    Persisted(u32),
    Swapped(Swapped),
    Timer(Timer, u64),
    /// For a guest: a view has become active.
    Record(Box<ViewRecord>),
    /// For a guest: all members of this view have the outcomes of earlier ones.
    MayForget(ViewNumber),
    /// A message of a coordinator of another cluster that found its way here.
    Stranger(NodeId, Message),
    /// A guest asks the leader for a view change.
    Plea(NodeId, Message),
}

impl Node {
    pub(crate) fn new(role: Role, name: String) -> Self {
        Node {
            role,
            address: name.clone(),
            named: name.clone(),
            name,
            id: NodeId(0),
            life: 0,
            machine: None,
            inbox: VecDeque::new(),
            awake_at: 0,
            waking: false,
            hangs: false,
            service: 0,
            sync_percent: 100,
            timer_percent: 100,
            timers: BTreeMap::new(),
            next_timer: 0,
            peers: BTreeMap::new(),
            disk: None,
            progress: Progress::default(),
        }
    }

    /// Begins a new life with nothing of the old one.
    pub(crate) fn begin(&mut self, id: NodeId, machine: Machine, progress: Progress) {
        self.id = id;
        self.machine = Some(machine);
        self.progress = progress;
    }

    /// Ends a life.
    pub(crate) fn end(&mut self) {
        self.life += 1;
        self.machine = None;
        self.inbox.clear();
        self.awake_at = 0;
        self.waking = false;
        self.hangs = false;
        self.service = 0;
        self.timers.clear();
        self.peers.clear();
    }

    pub(crate) fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    pub(crate) fn worker(&self) -> Option<&Worker> {
        match &self.machine {
            Some(Machine::Worker(worker)) => Some(worker),
            _ => None,
        }
    }

    pub(crate) fn worker_mut(&mut self) -> Option<&mut Worker> {
        match &mut self.machine {
            Some(Machine::Worker(worker)) => Some(worker),
            _ => None,
        }
    }

    pub(crate) fn coordinator(&self) -> Option<&Coordinator> {
        match &self.machine {
            Some(Machine::Coordinator(coordinator)) => Some(coordinator),
            _ => None,
        }
    }

    pub(crate) fn guest(&mut self) -> Option<&mut Guest> {
        match &mut self.machine {
            Some(Machine::Guest(guest)) => Some(guest),
            _ => None,
        }
    }

    /// Starts a timer. Gives the number under which it goes off.
    pub(crate) fn set_timer(&mut self, timer: Timer) -> u64 {
        self.next_timer += 1;
        self.timers.insert(timer, self.next_timer);
        self.next_timer
    }

    pub(crate) fn cancel_timer(&mut self, timer: Timer) {
        self.timers.remove(&timer);
    }

    /// Whether a timer that went off was neither cancelled nor set anew before it was looked at.
    pub(crate) fn timer_is_due(&mut self, timer: Timer, number: u64) -> bool {
        let due = self.timers.get(&timer) == Some(&number);
        if due {
            self.timers.remove(&timer);
        }
        due
    }
}

impl Machine {
    pub(crate) fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match self {
            Machine::Worker(worker) => worker.handle(input, out),
            Machine::Coordinator(coordinator) => coordinator.handle(input, out),
            Machine::Guest(guest) => guest.handle(input, out),
        }
    }

    pub(crate) fn violations(&self) -> Vec<&'static str> {
        match self {
            Machine::Worker(worker) => worker.violations(),
            Machine::Coordinator(coordinator) => coordinator.violations(),
            Machine::Guest(guest) => guest.violations(),
        }
    }
}
