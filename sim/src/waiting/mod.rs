//! Who may wait for whom (R10), over the worker's machine alone. Inside one coordinator transactions on the same key queue
//! before they are sent, so a world with one coordinator never shows two of them at odds; here each transaction has a
//! coordinator of its own, played by the book: it prepares, commits when all vote yes, aborts when one refuses, and tries
//! again with its old age. Every order in which the workers can receive this is explored.
//!
//! A transaction that waits for one that waits for it would leave a moment in which nothing is under way and not all has
//! ended; [`ALL_END`] says that there is none. [`crate::model`] has the promises about outcomes.

use skein_protocol::id::{Age, ClusterId, Incarnation, NodeId, TxnId, ViewId, ViewNumber, Writer};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::{Message, NoReason, Outcome, Prepare, Seal, Vote};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::operation::{Expect, Operation};
use skein_protocol::record::Snapshot;
use skein_protocol::rules::Rules;
use skein_protocol::step::{Input, Output, Peer, Role};
use stateright::{Model, Property};

use crate::guard;
use crate::model::network::{Order, Queue};
use crate::model::scenario::put;
use crate::part::Part;

const VIEW: ViewNumber = ViewNumber(1);

/// When nothing is under way, every transaction has ended.
pub const ALL_END: &str = "all end";
/// The oldest transaction is never refused for an older one.
pub const OLDEST_GOES: &str = "the oldest goes";
/// Of those that hold a key to write it, there is one at each worker.
pub const ONE_HOLDER: &str = "one holder";
/// A transaction was refused for an older one, tried again, and committed.
pub const RETRIED: &str = "refused, then committed";

/// Some transactions, the oldest first, each with the keys that it writes.
#[derive(Clone, Debug)]
pub struct WaitingModel {
    /// Names it.
    pub name: &'static str,
    /// How many workers there are.
    pub workers: usize,
    /// The keys of each transaction.
    pub keys: Vec<Vec<&'static str>>,
    /// How often each may be tried.
    pub attempts: u64,
    /// The rules that the machines keep.
    pub rules: Rules,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// The workers.
    pub workers: Vec<Part<Worker>>,
    /// The transactions, each with its coordinator.
    pub runs: Vec<Run>,
    /// Whether a machine panicked.
    pub panicked: bool,
}

/// A transaction and what its coordinator knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Counts its attempts from 1.
    pub attempt: u64,
    /// How far it is.
    pub phase: Phase,
    /// Whether it was ever refused for an older one.
    pub refused: bool,
    /// Messages to each worker.
    pub down: Vec<Queue>,
    /// Messages from each worker.
    pub up: Vec<Queue>,
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing was sent.
    Begun,
    /// It has so many votes, all yes.
    Voting(usize),
    /// One refused; so many have acknowledged the abort.
    Aborting(usize),
    /// All have voted yes.
    Committed,
    /// It was tried as often as it may be.
    GivenUp,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A transaction is sent to all workers.
    Send(usize),
    /// The next message of a transaction's coordinator reaches a worker.
    Down(usize, usize),
    /// The next message of a worker reaches a transaction's coordinator.
    Up(usize, usize),
}

/// Two transactions that write the same two keys on two workers, where they come in in any order.
pub fn crossing() -> WaitingModel {
    let keys = vec![vec!["a", "b"], vec!["b", "a"]];
    WaitingModel { name: "crossing", workers: 2, keys, attempts: 3, rules: Rules::ALL }
}

/// Three transactions that write one key.
pub fn crowd() -> WaitingModel {
    WaitingModel { name: "crowd", keys: vec![vec!["a"]; 3], attempts: 2, ..crossing() }
}

impl WaitingModel {
    fn operations(&self, run: usize) -> Vec<Operation> {
        self.keys[run].iter().map(|key| put(key, Expect::Any, "v")).collect()
    }

    fn txn(run: usize, attempt: u64) -> TxnId {
        TxnId { incarnation: Incarnation(run as u64 + 1), sequence: attempt }
    }

    fn send_all(&self, next: &mut Waiting, run: usize, message: &Message) {
        for queue in &mut next.runs[run].down {
            queue.push(message.clone(), Order::Kept);
        }
    }

    fn prepare(&self, next: &mut Waiting, run: usize) {
        next.runs[run].phase = Phase::Voting(0);
        let txn = WaitingModel::txn(run, next.runs[run].attempt);
        let age = Age { stamp: run as u64 + 1, incarnation: txn.incarnation };
        let prepare = Prepare { txn, age, view: VIEW, operations: self.operations(run), trace: None };
        self.send_all(next, run, &Message::Prepare(prepare));
    }

    fn decide(&self, next: &mut Waiting, run: usize, outcome: Outcome) {
        let txn = WaitingModel::txn(run, next.runs[run].attempt);
        next.runs[run].phase = if outcome == Outcome::Committed { Phase::Committed } else { Phase::Aborting(0) };
        self.send_all(next, run, &Message::Decide { txn, view: VIEW, outcome, versions: Vec::new() });
    }

    fn coordinator_hears(&self, next: &mut Waiting, run: usize, message: &Message) {
        let current = WaitingModel::txn(run, next.runs[run].attempt);
        let workers = self.workers;
        match (message, next.runs[run].phase) {
            (Message::Vote { txn, vote, .. }, Phase::Voting(yes)) if *txn == current => match vote {
                Vote::Yes { .. } if yes + 1 == workers => self.decide(next, run, Outcome::Committed),
                Vote::Yes { .. } => next.runs[run].phase = Phase::Voting(yes + 1),
                Vote::No(reason) => {
                    next.runs[run].refused |= matches!(reason, NoReason::Older { .. });
                    self.decide(next, run, Outcome::Aborted);
                }
            },
            (Message::Acknowledged { txn, .. }, Phase::Aborting(acknowledged)) if *txn == current => {
                if acknowledged + 1 < workers {
                    next.runs[run].phase = Phase::Aborting(acknowledged + 1);
                } else if next.runs[run].attempt < self.attempts {
                    next.runs[run].attempt += 1;
                    self.prepare(next, run);
                } else {
                    next.runs[run].phase = Phase::GivenUp;
                }
            }
            _ => {}
        }
    }
}

/// A worker takes an input; its log is synced at once.
fn worker_hears(next: &mut Waiting, worker: usize, input: Input) {
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        let Ok(outputs) = next.workers[worker].update(|machine| guard::handle(machine, input)) else {
            next.panicked = true;
            return;
        };
        let appended = outputs.iter().filter(|output| matches!(output, Output::Persist(_))).count();
        if appended > 0 {
            inputs.push(Input::Persisted { records: u32::try_from(appended).expect("few records") });
        }
        for output in outputs {
            if let Output::Send { to, message } = output
                && let Some(run) = run_of(to).filter(|&run| run < next.runs.len())
            {
                next.runs[run].up[worker].push(message, Order::Kept);
            }
        }
    }
}

fn node(run: usize) -> NodeId {
    NodeId(0x100 + run as u128)
}

fn run_of(node: NodeId) -> Option<usize> {
    usize::try_from(node.0.checked_sub(0x100)?).ok()
}

impl Model for WaitingModel {
    type State = Waiting;
    type Action = Step;

    fn init_states(&self) -> Vec<Waiting> {
        let config = WorkerConfig { rules: self.rules, ..WorkerConfig::default() };
        let machine = |worker| Part::new(Worker::recover(config.clone(), Snapshot::new(NodeId(worker as u128 + 1))));
        let queues = || vec![Queue::default(); self.workers];
        let run = |_| Run { attempt: 1, phase: Phase::Begun, refused: false, down: queues(), up: queues() };
        let (workers, runs) = ((0..self.workers).map(machine).collect(), (0..self.keys.len()).map(run).collect());
        let mut world = Waiting { workers, runs, panicked: false };
        for worker in 0..self.workers {
            worker_hears(&mut world, worker, Input::Start);
            for run in 0..self.keys.len() {
                let peer = Peer {
                    node: node(run),
                    role: Role::Coordinator,
                    address: String::new(),
                    cluster: None,
                    logged: true,
                    salvaged: false,
                };
                worker_hears(&mut world, worker, Input::Connected(peer));
            }
            let view = ViewId { number: VIEW, writer: Writer { run: Incarnation(1), node: node(0) } };
            let (standing, outcomes) = (Standing::Member, Vec::new());
            let seal = Message::Seal(Seal { cluster: ClusterId(7), view, standing, last_active: None, outcomes });
            let activate = Message::Activate { view: VIEW, outcomes: Vec::new() };
            for message in [seal, activate] {
                worker_hears(&mut world, worker, Input::Message { from: node(0), message });
            }
        }
        // The leader's part of the first view change is not of interest here.
        for queue in world.runs.iter_mut().flat_map(|run| &mut run.up) {
            *queue = Queue::default();
        }
        vec![world]
    }

    fn actions(&self, world: &Waiting, actions: &mut Vec<Step>) {
        if world.panicked {
            return;
        }
        for (place, run) in world.runs.iter().enumerate() {
            if run.phase == Phase::Begun {
                actions.push(Step::Send(place));
            }
            let below = (0..self.workers).filter(|&worker| !run.down[worker].is_empty());
            actions.extend(below.map(|worker| Step::Down(place, worker)));
            let above = (0..self.workers).filter(|&worker| !run.up[worker].is_empty());
            actions.extend(above.map(|worker| Step::Up(place, worker)));
        }
    }

    fn next_state(&self, world: &Waiting, step: Step) -> Option<Waiting> {
        let mut next = world.clone();
        match step {
            Step::Send(run) => self.prepare(&mut next, run),
            Step::Down(run, worker) => {
                let message = next.runs[run].down[worker].take(0);
                worker_hears(&mut next, worker, Input::Message { from: node(run), message });
            }
            Step::Up(run, worker) => {
                let message = next.runs[run].up[worker].take(0);
                self.coordinator_hears(&mut next, run, &message);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ALL_END, |_, world: &Waiting| {
                let under_way = |run: &Run| run.down.iter().chain(&run.up).any(|queue| !queue.is_empty());
                let ended = |run: &Run| matches!(run.phase, Phase::Begun | Phase::Committed | Phase::GivenUp);
                world.runs.iter().any(under_way) || world.runs.iter().all(ended)
            }),
            Property::always(OLDEST_GOES, |_, world: &Waiting| !world.runs[0].refused),
            Property::always(ONE_HOLDER, |_, world: &Waiting| {
                !world.panicked && world.workers.iter().all(|worker| one_holder(worker))
            }),
            Property::sometimes(RETRIED, |_, world: &Waiting| {
                world.runs.iter().any(|run| run.refused && run.phase == Phase::Committed)
            }),
        ]
    }
}

/// Whether no two transactions prepared at a worker write the same key.
fn one_holder(worker: &Worker) -> bool {
    let mut keys: Vec<_> = worker.prepared().flat_map(|prepared| &prepared.operations).map(|o| &o.key).collect();
    let written = keys.len();
    keys.sort();
    keys.dedup();
    keys.len() == written
}
