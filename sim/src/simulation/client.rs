//! Clients: each makes one call after the other, remembers what it last saw of each record, and goes on when its answer has
//! come or its coordinator has died. Some of them bring their transactions to the second coordinator.

use std::collections::BTreeMap;

use skein_protocol::id::{RequestId, TraceContext, TxnId, Version};
use skein_protocol::operation::{Action, Answer, Consistency, Key, Query, Shared};
use skein_protocol::step::{AbortReason, Reply, Request};

use super::faults::Sight;
use super::node::Slot;
use super::oracle::Ask;
use super::queue::{MS, Time};
use super::workload::{self, OncePost};
use super::world::{Event, World};

/// What a client saw of a record: its version and value, or that it was not there.
pub(crate) type Seen = Option<(Version, Shared)>;

/// A client.
#[derive(Default)]
pub(crate) struct Client {
    at_guest: bool,
    pub(crate) seen: BTreeMap<Key, Seen>,
    /// The call under way.
    waiting: Option<u64>,
    /// A write that wants to happen once, and has not been heard to have happened.
    pub(crate) once: Option<OncePost>,
    /// A transaction whose outcome it wants to know.
    pub(crate) doubt: Option<TxnId>,
}

impl Client {
    pub(crate) fn new(at_guest: bool) -> Self {
        Client { at_guest, ..Client::default() }
    }

    /// What it knew is not so any more.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
        (self.once, self.doubt) = (None, None);
    }

    /// Takes in what an answer says of the records.
    fn learn(&mut self, ask: &Ask, reply: &Reply) {
        match (ask, reply) {
            (Ask::Commit(operations), Reply::Committed { versions, .. }) => {
                for (operation, version) in operations.iter().zip(versions) {
                    let seen = match &operation.action {
                        Action::Put(value) => Some((*version, value.clone())),
                        Action::Delete => None,
                        Action::Check => continue,
                    };
                    self.seen.insert(operation.key.clone(), seen);
                }
                if self.once.as_ref().is_some_and(|once| operations.iter().any(|operation| operation.key == once.key)) {
                    self.once = None;
                }
            }
            (Ask::Commit(operations), Reply::Aborted { reason, .. }) => {
                let repeated = |once: &OncePost| match reason {
                    AbortReason::Expectation { operation, .. } => operations[usize::from(*operation)].key == once.key,
                    AbortReason::Memory | AbortReason::Contention => false,
                };
                if self.once.as_ref().is_some_and(repeated) {
                    self.once = None;
                }
                operations.iter().for_each(|operation| drop(self.seen.remove(&operation.key)));
            }
            (Ask::Commit(operations), Reply::Unknown { txn }) => {
                self.doubt = Some(*txn);
                operations.iter().for_each(|operation| drop(self.seen.remove(&operation.key)));
            }
            (Ask::Read(query, _), Reply::Found(Answer::Rows { rows, .. })) => {
                if let Query::Keys(keys) = query {
                    keys.iter().for_each(|key| drop(self.seen.insert(key.clone(), None)));
                }
                for row in rows {
                    self.seen.insert(row.key.clone(), Some((row.version, row.value.clone())));
                }
            }
            (Ask::Outcome(_), Reply::Outcome(_)) => self.doubt = None,
            _ => {}
        }
    }
}

impl World {
    /// A client's turn has come.
    pub(crate) fn call(&mut self, client: usize) {
        if self.clients[client].waiting.is_some() || self.oracle.next() >= self.calls_max {
            return;
        }
        let call = self.oracle.next();
        let mut ask = workload::next(&self.plan.weights, &mut self.random, &mut self.clients[client], call, self.now);
        if self.writes_only && !matches!(ask, Ask::Commit(_)) {
            ask = workload::plain_write(call);
        }
        let guest = self.guest().filter(|_| self.clients[client].at_guest && matches!(ask, Ask::Commit(_)));
        let rival = self.rival().filter(|slot| client % 2 == 1 && self.nodes[*slot].is_up());
        let slot = guest.or(rival).unwrap_or(self.leader());
        if !self.nodes[slot].is_up() {
            let wait = self.random.between(20 * MS, 200 * MS);
            self.queue.push(self.now + wait, Event::Call(client));
            return;
        }
        self.moment += 1;
        let clock = self.clock();
        let trace = Some(TraceContext { trace: u128::from(call), span: 0, flags: 0 });
        let request = match &ask {
            Ask::Commit(operations) => Request::Commit { operations: operations.clone(), clock, trace },
            Ask::Read(query, consistency) => Request::Read { query: query.clone(), consistency: *consistency, clock, trace },
            Ask::Digests => Request::Digests,
            Ask::Outcome(txn) => Request::Outcome { txn: *txn },
        };
        self.say(slot, "call", "", || format!("#{call} of client {client}: {}", super::trace::ask(&ask)));
        self.oracle.begin(client, slot, ask, self.moment, self.now);
        self.clients[client].waiting = Some(u64::from(call));
        self.request(slot, RequestId(u64::from(call)), request);
    }

    /// The clock that coordinators take ages from: it may be wrong, and it may go back.
    pub(crate) fn clock(&self) -> u64 {
        const EPOCH: u64 = 1_700_000_000_000_000;
        (EPOCH + self.now).saturating_add_signed(self.clock_skew)
    }

    /// An answer has come.
    pub(crate) fn replied(&mut self, id: RequestId, reply: Reply) {
        let is_taken = self.reader_heard(id, &reply) || self.recorder_heard(id, &reply) || self.roster_heard(id, &reply);
        if is_taken || self.inquiries.heard(id, &reply) {
            return;
        }
        self.moment += 1;
        match &reply {
            Reply::Unknown { .. } => self.coverage.saw(Sight::ToldUnknown),
            Reply::Aborted { reason: AbortReason::Memory, .. } => self.coverage.saw(Sight::MemoryRefused),
            Reply::Aborted { .. } => self.coverage.saw(Sight::ToldAborted),
            _ => {}
        }
        let (moment, now) = (self.moment, self.now);
        match self.oracle.end(id.0, reply, moment, now) {
            Err(violation) => self.violate(violation),
            Ok(call) => {
                let (client, slot) = (call.client, call.slot);
                if let Some(reply) = &call.reply {
                    if let Some(client) = self.clients.get_mut(client) {
                        client.learn(&call.ask, reply);
                    }
                    if self.trace.is_on() {
                        let name = &self.nodes[slot].name;
                        self.trace.line(now, name, "reply", "", || format!("#{} {}", id.0, super::trace::reply(reply)));
                    }
                }
                if self.clients.get(client).is_some_and(|client| client.waiting == Some(id.0)) {
                    self.clients[client].waiting = None;
                    self.call_later(client);
                }
            }
        }
    }

    fn call_later(&mut self, client: usize) {
        let wait: Time = 1 + self.random.below(self.plan.think);
        self.queue.push(self.now + wait, Event::Call(client));
    }

    /// A coordinator has died: nobody answers its clients.
    pub(crate) fn orphan_calls(&mut self, slot: Slot) {
        if slot == self.leader() {
            self.recorder_lost();
        }
        for client in 0..self.clients.len() {
            let Some(call) = self.clients[client].waiting else { continue };
            let place = usize::try_from(call).expect("a call's number");
            if self.oracle.calls[place].slot == slot {
                self.coverage.saw(Sight::NeverAnswered);
                self.clients[client].waiting = None;
                self.clients[client].seen.clear();
                self.call_later(client);
            }
        }
    }

    /// Every client makes calls again.
    pub(crate) fn wake_clients(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].waiting.is_none() {
                self.call_later(client);
            }
        }
    }

    /// Whether a client still waits for an answer.
    pub(crate) fn calls_under_way(&self) -> usize {
        self.clients.iter().filter(|client| client.waiting.is_some()).count()
    }
}

/// A consistency, both as likely.
pub(crate) fn any_consistency(random: &mut super::random::Random) -> Consistency {
    if random.chance(500) { Consistency::Arrival } else { Consistency::Strict }
}
