//! What each action does to a world: which machines hear what, and what becomes of disks, connections and the control store.

use skein_protocol::id::Version;
use skein_protocol::operation::{Key, Operation};
use skein_protocol::step::{Input, Reply, Request, Swapped, Timer};

use super::action::Action;
use super::client::Client;
use super::network::{Link, Remnant};
use super::scenario::Scenario;
use super::world::{CoordinatorProcess, WorkerProcess, World};
use crate::part::Part;

impl World {
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
            Action::Read { reader } => {
                let key = &scenario.requests[0][0].key;
                let floor = self.acknowledged(scenario, key);
                self.readers[reader].update(|asking| (asking.asked, asking.floor) = (Some(self.coordinator.run), floor));
                let request = scenario.readers[reader].request(key);
                self.coordinator_handles(scenario, Input::Request { id: Client::reader(reader), request });
            }
            Action::Connect { worker } => self.connect(scenario, worker),
            Action::Cut { worker } => {
                self.left.cuts -= 1;
                self.workers[worker].link = None;
                let node = self.coordinator.node();
                self.worker_handles(scenario, worker, Input::Disconnected { node });
                let node = self.workers[worker].node();
                self.coordinator_handles(scenario, Input::Disconnected { node });
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
                let from = self.workers[worker].node();
                self.coordinator_handles(scenario, Input::Message { from, message });
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
                self.restart_worker(scenario, worker, |process| process.restart(scenario, worker, kept));
            }
            Action::ReplaceWorker { worker } => {
                self.left.replacements -= 1;
                self.restart_worker(scenario, worker, |process| process.replace(scenario, worker));
            }
            Action::RestartCoordinator { swap_made } => self.restart_coordinator(scenario, swap_made),
        }
    }

    /// The version of a key that someone was told of by now, by an acknowledgement or an answer.
    fn acknowledged(&self, scenario: &Scenario, key: &Key) -> Option<Version> {
        let written = self.clients.iter().zip(&scenario.requests).filter_map(|(client, operations)| {
            let place = operations.iter().position(|operation| operation.key == *key)?;
            client.replies.iter().find_map(|reply| match reply {
                Reply::Committed { versions, .. } => versions.get(place).copied(),
                _ => None,
            })
        });
        let read = self.readers.iter().filter_map(|reader| reader.version(key));
        written.chain(read).chain(self.history.before.get(key).copied()).max()
    }

    fn restart_worker(&mut self, scenario: &Scenario, worker: usize, restart: impl FnOnce(&mut WorkerProcess)) {
        let process = &mut self.workers[worker];
        let lost = process.link.as_ref().map(|_| process.node());
        restart(process);
        self.worker_handles(scenario, worker, Input::Start);
        if let Some(node) = lost {
            self.coordinator_handles(scenario, Input::Disconnected { node });
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
            Timer::Join => self.left.joins -= 1,
            Timer::Beat | Timer::Compare => {}
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

pub(super) fn commit(operations: Vec<Operation>) -> Request {
    Request::Commit { operations, clock: 10, trace: None }
}
