//! What may happen next in a world.
//!
//! Ordinary steps (messages, syncs, swaps, connections) are as many as the machines make of them; faults, timers and
//! questions are bounded by the scenario.

use skein_protocol::step::Timer;

use super::client::Client;
use super::scenario::Scenario;
use super::world::World;

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
    /// The next reader asks.
    Read {
        /// Which reader.
        reader: usize,
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
    /// A worker dies with all that it held; another one, of another identity, starts in its place.
    ReplaceWorker {
        /// Which worker.
        worker: usize,
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
        if let Some(reader) = self.readers.iter().position(|reader| reader.asked.is_none()) {
            actions.push(Action::Read { reader });
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
                actions.extend(link.down.places(scenario.order.down(worker)).map(|place| Action::Down { worker, place }));
                actions.extend(link.up.places(scenario.order.up()).map(|place| Action::Up { worker, place }));
                if self.left.cuts > 0 {
                    actions.push(Action::Cut { worker });
                }
            }
            None => actions.push(Action::Connect { worker }),
        }
        for (remnant, old) in process.remnants.iter().enumerate() {
            actions.extend(old.down.places(scenario.order.down(worker)).map(|place| Action::Late { worker, remnant, place }));
        }
        let unsynced = process.disk.unsynced.len();
        let fewest = if scenario.partial_syncs { 1 } else { unsynced.max(1) };
        actions.extend((fewest..=unsynced).rev().map(|records| Action::Sync { worker, records }));
        if self.left.worker_restarts > 0 {
            actions.extend((0..=unsynced).map(|kept| Action::RestartWorker { worker, kept }));
        }
        if self.left.replacements > 0 {
            actions.push(Action::ReplaceWorker { worker });
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
            Timer::Join => self.left.joins,
            Timer::Beat | Timer::Compare => 0,
        }
    }
}
