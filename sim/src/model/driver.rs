//! Performs what the machines want done, as the driver of a process does, and watches that they keep to the contract: a
//! machine that panics, halts, logs where there is no log or promises what is not yet on its disk is a fault of the world.

use skein_protocol::membership::view::Standing;
use skein_protocol::message::{Message, Vote};
use skein_protocol::record::Record;
use skein_protocol::step::{Input, Machine, Output, Reply};

use super::client::{Addressee, Client};
use super::scenario::Scenario;
use super::world::{Swap, World};
use crate::guard;
use crate::part::Part;

impl World {
    /// The coordinator takes one input.
    pub fn coordinator_handles(&mut self, scenario: &Scenario, input: Input) {
        let outputs = match self.coordinator.machine.update(|machine| guard::handle(machine, input)) {
            Ok(outputs) => outputs,
            Err(said) => return self.fail(&format!("the coordinator panicked: {said}")),
        };
        self.note_violations(self.coordinator.machine.violations());
        for output in outputs {
            self.perform_for_coordinator(scenario, output);
        }
    }

    /// A worker takes one input.
    pub fn worker_handles(&mut self, scenario: &Scenario, worker: usize, input: Input) {
        let outputs = match self.workers[worker].machine.update(|machine| guard::handle(machine, input)) {
            Ok(outputs) => outputs,
            Err(said) => return self.fail(&format!("worker {worker} panicked: {said}")),
        };
        self.note_violations(self.workers[worker].machine.violations());
        let sent = |output: &Output| match output {
            Output::Send { message, .. } => Some(message.clone()),
            _ => None,
        };
        let sent: Vec<Message> = outputs.iter().filter_map(sent).collect();
        for output in outputs {
            self.perform_for_worker(scenario, worker, output);
        }
        // A learner's word counts for nothing yet; what it says when it is sealed does.
        let learns = self.workers[worker].machine.standing() == Some(Standing::Learner);
        let binds = |message: &&Message| !learns || matches!(message, Message::Sealed(_) | Message::Activated { .. });
        let sent: Vec<&Message> = sent.iter().filter(binds).collect();
        let unsynced = &self.workers[worker].disk.unsynced;
        if unsynced.iter().any(|record| sent.iter().any(|message| speaks_of(message, record))) {
            self.history.update(|history| history.unbacked = true);
        }
    }

    fn perform_for_coordinator(&mut self, scenario: &Scenario, output: Output) {
        let coordinator = &mut self.coordinator;
        match output {
            Output::Send { to, message } => {
                if let Message::Prepare(prepare) = &message {
                    self.history.update(|history| history.note_prepare(prepare, &scenario.requests));
                }
                let to = self.workers.iter_mut().enumerate().find(|(_, worker)| worker.node() == to);
                if let Some((place, Some(link))) = to.map(|(place, worker)| (place, worker.link.as_mut())) {
                    link.down.push(message, scenario.order.down(place));
                }
            }
            Output::Reply { id, reply } => match (Client::addressee(id), reply) {
                (Addressee::Question(client), Reply::Outcome(known)) => {
                    self.clients[client].update(|client| client.learn(known));
                }
                (Addressee::Request(client) | Addressee::Question(client), reply) => {
                    self.clients[client].update(|client| client.replies.push(reply));
                }
                (Addressee::Before, reply) => self.history.update(|history| history.note_before(scenario, &reply)),
                (Addressee::Reader(reader), reply) => self.readers[reader].update(|reader| reader.replies.push(reply)),
            },
            Output::SetTimer { timer, .. } => {
                coordinator.timers.insert(timer);
            }
            Output::CancelTimer(timer) => {
                coordinator.timers.remove(&timer);
            }
            Output::Swap { .. } if coordinator.swap.is_some() => self.fail("two swaps at once"),
            Output::Swap { expected, record } => coordinator.swap = Some(Part::new(Swap { expected, record })),
            Output::Publish(_) | Output::Roster { .. } => {}
            Output::Disconnect { .. } => self.fail("nobody is suspected without beats"),
            Output::Halt(halt) => self.fail(&format!("the coordinator halts: {halt:?}")),
            Output::Persist(_) => self.fail("the coordinator has no log"),
        }
    }

    fn perform_for_worker(&mut self, scenario: &Scenario, worker: usize, output: Output) {
        let process = &mut self.workers[worker];
        match output {
            Output::Send { to, message } => {
                if to == self.coordinator.node()
                    && let Some(link) = &mut process.link
                {
                    link.up.push(message, scenario.order.up());
                }
            }
            Output::Persist(record) => {
                if let Record::Committed { txn, .. } = &record {
                    self.history.update(|history| history.applied.insert(*txn));
                }
                process.disk.append(record);
            }
            Output::SetTimer { timer, .. } => {
                process.timers.insert(timer);
            }
            Output::CancelTimer(timer) => {
                process.timers.remove(&timer);
            }
            Output::Publish(_) => {}
            Output::Reply { .. } => self.fail("a worker answers a request that nobody made"),
            Output::Swap { .. } => self.fail("a worker has no control store"),
            Output::Disconnect { .. } | Output::Roster { .. } => self.fail("a worker connects to nobody"),
            Output::Halt(halt) => self.fail(&format!("a worker halts: {halt:?}")),
        }
    }

    fn note_violations(&mut self, broken: Vec<&'static str>) {
        if !broken.is_empty() {
            self.history.update(|history| history.violations.extend(broken));
        }
    }

    fn fail(&mut self, fault: &str) {
        if self.fault.is_none() {
            self.fault = Some(Part::new(fault.to_owned()));
        }
    }
}

/// Whether a message speaks of a record that is not synced yet (R6).
fn speaks_of(message: &Message, record: &Record) -> bool {
    match (message, record) {
        (Message::Vote { txn, vote: Vote::Yes { .. }, .. }, Record::Prepared(prepared)) => prepared.txn == *txn,
        (Message::Acknowledged { txn, .. }, Record::Committed { txn: decided, .. } | Record::Aborted { txn: decided, .. }) => {
            decided == txn
        }
        (Message::Sealed(report), Record::Sealed { view, .. }) => view.number == report.view,
        (Message::Activated { view }, Record::Activated { view: active }) => active.number == *view,
        (Message::Sealed(report), Record::Prepared(prepared)) => report.prepared.iter().any(|it| it.txn == prepared.txn),
        (Message::Sealed(report), Record::Committed { txn, .. } | Record::Aborted { txn, .. }) => {
            report.decided.iter().any(|(decided, _)| decided == txn)
        }
        (Message::Activated { view }, Record::Committed { view: ran, .. } | Record::Aborted { view: ran, .. }) => ran < view,
        _ => false,
    }
}
