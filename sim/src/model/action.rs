//! What may happen next in a world, and what it does.
//!
//! Ordinary steps (messages, syncs, swaps, connections) are as many as the machines make of them; faults, timers and
//! questions are bounded by the scenario.

use skein_protocol::operation::Operation;
use skein_protocol::step::{Input, Request, Swapped, Timer};

use super::client::Client;
use super::network::{Link, Remnant};
use super::scenario::Scenario;
use super::world::{CoordinatorProcess, World, worker_node};
use crate::part::Part;

/// One step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A client makes its request.
    Request {
        /// Which client.
        client: usize,
    },
    /// A client that was told *unknown* asks how its transaction ended.
    Question {
        /// Which client.
        client: usize,
    },
    /// A connection comes to stand; both ends hear it.
    Connect {
        /// Which worker.
        worker: usize,
    },
    /// A connection is lost with all that is under way; both ends hear it.
    Cut {
        /// Which worker.
        worker: usize,
    },
    /// A message of the coordinator reaches a worker.
    Down {
        /// Which worker.
        worker: usize,
        /// The message, by its place among those under way.
        place: usize,
    },
    /// A message of a coordinator that died reaches a worker.
    Late {
        /// Which worker.
        worker: usize,
        /// The connection, by its place among those of dead coordinators.
        remnant: usize,
        /// The message, by its place among those under way.
        place: usize,
    },
    /// A worker's message reaches the coordinator.
    Up {
        /// Which worker.
        worker: usize,
        /// The message, by its place among those under way.
        place: usize,
    },
    /// A worker's first unsynced records are synced.
    Sync {
        /// Which worker.
        worker: usize,
        /// How many.
        records: usize,
    },
    /// The control store makes the swap and says so.
    SwapDone,
    /// The control store can't say that it made the swap, whether it did or not, and is read again.
    SwapUnclear {
        /// Whether it was made.
        made: bool,
    },
    /// A timer of the coordinator goes off.
    CoordinatorTimer(Timer),
    /// A timer of a worker goes off.
    WorkerTimer {
        /// Which worker.
        worker: usize,
        /// Which timer.
        timer: Timer,
    },
    /// A worker dies and starts again; of its unsynced records this many are found.
    RestartWorker {
        /// Which worker.
        worker: usize,
        /// How many are found.
        kept: usize,
    },
    /// The coordinator dies and starts again; its swap under way was made or not.
    RestartCoordinator {
        /// Whether the swap under way was made.
        swap_made: bool,
    },
}

impl Action {
    /// Whether it happens of itself when nothing is in the way.
    pub fn is_ordinary(&self) -> bool {
        use Action::{Connect, Down, Late, SwapDone, Sync, Up};
        matches!(self, Connect { .. } | Down { .. } | Late { .. } | Up { .. } | Sync { .. } | SwapDone)
    }
}

impl World {
    /// All that may happen next, in a fixed order.
    pub fn actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        if self.fault.is_some() {
            return;
        }
        self.actions_of_clients(actions);
        for worker in 0..self.workers.len() {
            self.actions_of_worker(scenario, worker, actions);
        }
        self.actions_of_coordinator(actions);
    }

    fn actions_of_clients(&self, actions: &mut Vec<Action>) {
        if let Some(client) = self.clients.iter().position(|client| client.asked.is_none()) {
            actions.push(Action::Request { client });
        }
        if self.left.questions > 0 {
            let asks = |client: &Client| client.in_doubt().is_some() && client.questions != Some(self.coordinator.run);
            let clients = (0..self.clients.len()).filter(|&client| asks(&self.clients[client]));
            actions.extend(clients.map(|client| Action::Question { client }));
        }
    }

    fn actions_of_worker(&self, scenario: &Scenario, worker: usize, actions: &mut Vec<Action>) {
        let process = &self.workers[worker];
        match &process.link {
            Some(link) => {
                actions.extend(link.down.places(scenario.order).map(|place| Action::Down { worker, place }));
                actions.extend(link.up.places(scenario.order).map(|place| Action::Up { worker, place }));
                if self.left.cuts > 0 {
                    actions.push(Action::Cut { worker });
                }
            }
            None => actions.push(Action::Connect { worker }),
        }
        for (remnant, old) in process.remnants.iter().enumerate() {
            actions.extend(old.down.places(scenario.order).map(|place| Action::Late { worker, remnant, place }));
        }
        let unsynced = process.disk.unsynced.len();
        let fewest = if scenario.partial_syncs { 1 } else { unsynced.max(1) };
        actions.extend((fewest..=unsynced).rev().map(|records| Action::Sync { worker, records }));
        if self.left.worker_restarts > 0 {
            actions.extend((0..=unsynced).map(|kept| Action::RestartWorker { worker, kept }));
        }
        if self.left.worker_sweeps > 0 {
            actions.extend(process.timers.iter().map(|&timer| Action::WorkerTimer { worker, timer }));
        }
    }

    fn actions_of_coordinator(&self, actions: &mut Vec<Action>) {
        let swapping = self.coordinator.swap.is_some();
        if swapping {
            actions.push(Action::SwapDone);
        }
        if swapping && self.left.failed_swaps > 0 {
            actions.extend([Action::SwapUnclear { made: false }, Action::SwapUnclear { made: true }]);
        }
        let timers = self.coordinator.timers.iter().filter(|&&timer| self.firings(timer) > 0);
        actions.extend(timers.map(|&timer| Action::CoordinatorTimer(timer)));
        if self.left.coordinator_restarts > 0 {
            actions.push(Action::RestartCoordinator { swap_made: false });
            if swapping {
                actions.push(Action::RestartCoordinator { swap_made: true });
            }
        }
    }

    fn firings(&self, timer: Timer) -> u8 {
        match timer {
            Timer::Sweep => self.left.coordinator_sweeps,
            Timer::ViewChange => self.left.view_changes,
            Timer::Retry => self.left.retries,
        }
    }

    /// Lets one of [`World::actions`] happen.
    pub fn apply(&mut self, scenario: &Scenario, action: &Action) {
        match *action {
            Action::Request { client } => {
                self.clients[client].update(|asking| asking.asked = Some(self.coordinator.run));
                let request = commit(scenario.requests[client].clone());
                self.coordinator_handles(scenario, Input::Request { id: Client::request(client), request });
            }
            Action::Question { client } => {
                self.left.questions -= 1;
                self.clients[client].update(|asking| asking.questions = Some(self.coordinator.run));
                let txn = self.clients[client].in_doubt().expect("only a client in doubt asks");
                let request = Request::Outcome { txn };
                self.coordinator_handles(scenario, Input::Request { id: Client::question(client), request });
            }
            Action::Connect { worker } => self.connect(scenario, worker),
            Action::Cut { worker } => {
                self.left.cuts -= 1;
                self.workers[worker].link = None;
                let node = self.coordinator.node();
                self.worker_handles(scenario, worker, Input::Disconnected { node });
                self.coordinator_handles(scenario, Input::Disconnected { node: worker_node(worker) });
            }
            Action::Down { worker, place } => {
                let link = self.workers[worker].link.as_mut().expect("a message comes over a connection");
                let message = link.down.take(place);
                let from = self.coordinator.node();
                self.worker_handles(scenario, worker, Input::Message { from, message });
            }
            Action::Late { worker, remnant, place } => self.deliver_late(scenario, worker, remnant, place),
            Action::Up { worker, place } => {
                let link = self.workers[worker].link.as_mut().expect("a message comes over a connection");
                let message = link.up.take(place);
                self.coordinator_handles(scenario, Input::Message { from: worker_node(worker), message });
            }
            Action::Sync { worker, records } => {
                self.workers[worker].disk.sync(records);
                let records = u32::try_from(records).expect("few records");
                self.worker_handles(scenario, worker, Input::Persisted { records });
            }
            Action::SwapDone => {
                let made = self.end_swap(true);
                let answer = if made { Swapped::Done } else { Swapped::Current((*self.store).clone()) };
                self.coordinator_handles(scenario, Input::Swapped(answer));
            }
            Action::SwapUnclear { made } => {
                self.left.failed_swaps -= 1;
                self.end_swap(made);
                let answer = Swapped::Current((*self.store).clone());
                self.coordinator_handles(scenario, Input::Swapped(answer));
            }
            Action::CoordinatorTimer(timer) => {
                self.count_firing(timer);
                self.coordinator.timers.remove(&timer);
                self.coordinator_handles(scenario, Input::Timeout(timer));
            }
            Action::WorkerTimer { worker, timer } => {
                self.left.worker_sweeps -= 1;
                self.workers[worker].timers.remove(&timer);
                self.worker_handles(scenario, worker, Input::Timeout(timer));
            }
            Action::RestartWorker { worker, kept } => {
                self.left.worker_restarts -= 1;
                let linked = self.workers[worker].link.is_some();
                self.workers[worker].restart(scenario, worker, kept);
                self.worker_handles(scenario, worker, Input::Start);
                if linked {
                    self.coordinator_handles(scenario, Input::Disconnected { node: worker_node(worker) });
                }
            }
            Action::RestartCoordinator { swap_made } => self.restart_coordinator(scenario, swap_made),
        }
    }

    fn connect(&mut self, scenario: &Scenario, worker: usize) {
        self.workers[worker].link = Some(Link::default());
        let (worker_peer, coordinator_peer) = (self.workers[worker].peer(worker), self.coordinator.peer());
        self.worker_handles(scenario, worker, Input::Connected(coordinator_peer));
        self.coordinator_handles(scenario, Input::Connected(worker_peer));
    }

    fn deliver_late(&mut self, scenario: &Scenario, worker: usize, remnant: usize, place: usize) {
        let remnants = &mut self.workers[worker].remnants;
        let from = remnants[remnant].from;
        let message = remnants[remnant].down.take(place);
        let last = remnants[remnant].down.is_empty();
        if last {
            remnants.remove(remnant);
        }
        self.worker_handles(scenario, worker, Input::Message { from, message });
        if last {
            self.worker_handles(scenario, worker, Input::Disconnected { node: from });
        }
    }

    /// Ends the swap under way; whether the control store holds its record now.
    fn end_swap(&mut self, attempted: bool) -> bool {
        let Some(swap) = self.coordinator.swap.take() else { return false };
        let made = attempted && *self.store == swap.expected;
        if made {
            let before = self.store.as_ref().and_then(|record| record.active.as_ref()).map(|active| active.view.number);
            if let Some(active) = swap.record.active.as_ref().filter(|active| Some(active.view.number) != before) {
                self.history.update(|history| history.note_active(active));
            }
            self.store = Part::new(Some(swap.record.clone()));
        }
        made
    }

    fn count_firing(&mut self, timer: Timer) {
        match timer {
            Timer::Sweep => self.left.coordinator_sweeps -= 1,
            Timer::ViewChange => self.left.view_changes -= 1,
            Timer::Retry => self.left.retries -= 1,
        }
    }

    fn restart_coordinator(&mut self, scenario: &Scenario, swap_made: bool) {
        self.left.coordinator_restarts -= 1;
        self.end_swap(swap_made);
        let from = self.coordinator.node();
        self.coordinator = CoordinatorProcess::new(scenario, self.coordinator.run + 1, (*self.store).clone());
        for worker in 0..self.workers.len() {
            let Some(link) = self.workers[worker].link.take() else { continue };
            if link.down.is_empty() {
                self.worker_handles(scenario, worker, Input::Disconnected { node: from });
            } else {
                self.workers[worker].remnants.push(Remnant { from, down: link.down });
            }
        }
        self.coordinator_handles(scenario, Input::Start);
    }
}

fn commit(operations: Vec<Operation>) -> Request {
    Request::Commit { operations, clock: 10, trace: None }
}
