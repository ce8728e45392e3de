//! Crowds: in calm, many readers ask for long lists at once while the links take only so much, and clients write. None of this is a
//! fault, so the view must stay, each write must be answered soon, and each reader must get an answer. Then a member dies while lists
//! are under way: another member must answer each of them.

use skein_protocol::id::RequestId;
use skein_protocol::limits::{self, ROWS_MAX};
use skein_protocol::operation::{Consistency, Query, Range};
use skein_protocol::step::{Refusal, Reply, Request};

use super::checks::Violation;
use super::faults::Sight;
use super::node::{Pending, Slot};
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::random::Random;
use super::trial::PATIENT_SWEEPS;
use super::workload;
use super::world::{Event, World};

/// Requests of readers have names from here on.
const FIRST: u64 = 1 << 63;

/// How long readers go on asking.
const LASTS: Time = 4 * SECOND;

/// A reader that was told to come back does so after this.
const COMES_BACK: Time = 100 * MS;

/// After this a reader has heard something: the deadline of its read, and some.
const HEARD_MAX: Time = 8 * SECOND;

/// Calls that clients make meanwhile, at the most.
const CALLS: u32 = 100;

/// Lists that are under way when a member dies.
const WHEN_ONE_DIES: u64 = 12;

/// How many read, and how fast the links are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    readers: u64,
    /// Bytes a second that each link takes.
    rate: u64,
}

/// How the readers of a run stand.
#[derive(Default)]
pub(crate) struct Readers {
    /// Whether they go on asking.
    asking: bool,
    begun: u64,
    found: u64,
    overloaded: u64,
    unavailable: u64,
}

impl Crowd {
    /// In some runs there is one.
    pub(crate) fn draw(random: &Random) -> Option<Self> {
        let mut random = random.sub("crowd");
        let (readers, rate) = (random.between(200, 600), random.magnitude(1 << 20, 1 << 26));
        random.chance(200).then_some(Crowd { readers, rate })
    }
}

impl Readers {
    fn under_way(&self) -> u64 {
        self.begun - self.found - self.overloaded - self.unavailable
    }
}

impl World {
    pub(super) fn crowd(&mut self) -> Result<(), Violation> {
        let Some(crowd) = self.plan.crowd else { return Ok(()) };
        if self.plan.request_sweeps < PATIENT_SWEEPS || self.plan.window < limits::IN_FLIGHT_MAX || self.plan.tight {
            // Then some are refused for another reason.
            return Ok(());
        }
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        let view = self.view_number();
        self.set_rates(Some(crowd.rate));
        self.say(self.leader(), "fault", "", || format!("{crowd:?}"));
        self.readers.asking = true;
        (0..crowd.readers).for_each(|_| self.ask_for_list(0));
        let first = self.oracle.calls.len();
        self.writes_only = true;
        self.calls_max = self.oracle.next() + CALLS;
        self.wake_clients();
        self.until(self.now + LASTS, |_| false);
        self.readers.asking = false;
        self.calls_max = 0;
        self.until(self.now + HEARD_MAX, |world| world.readers.under_way() == 0 && world.calls_under_way() == 0);
        self.writes_only = false;
        self.set_rates(None);
        let broken = |detail: String| Err(Violation::new("congestion", detail));
        if self.view_number() != view {
            return broken(format!("view {view} ended because many read"));
        }
        if self.readers.under_way() > 0 {
            return broken(format!("{} readers have heard nothing", self.readers.under_way()));
        }
        for (place, call) in self.oracle.calls.iter().enumerate().skip(first).filter(|(_, call)| self.must_be_answered(call)) {
            let took = call.ended_at.saturating_sub(call.begun_at);
            if matches!(call.reply, None | Some(Reply::Unknown { .. } | Reply::Refused(_))) || took > ANSWER_MAX {
                let detail = format!("call {place} was answered {:?} after {} ms next to readers", call.reply, took / MS);
                return broken(detail);
            }
        }
        self.coverage.saw_many(Sight::CrowdServed, self.readers.found);
        self.coverage.saw_many(Sight::CrowdRefused, self.readers.overloaded + self.readers.unavailable);
        self.one_dies()
    }

    /// A member dies while lists are under way: another answers them.
    fn one_dies(&mut self) -> Result<(), Violation> {
        let fit: Vec<Slot> = self.members().into_iter().filter(|slot| self.is_dispensable(*slot)).collect();
        if fit.is_empty() {
            return Ok(());
        }
        let victim = self.random.pick(&fit);
        let refused = self.readers.overloaded + self.readers.unavailable;
        (0..WHEN_ONE_DIES).for_each(|_| self.ask_for_list(0));
        self.until(self.now, |_| false);
        self.crash_and_restart(victim);
        self.until(self.now + HEARD_MAX, |world| world.readers.under_way() == 0);
        let Readers { overloaded, unavailable, .. } = self.readers;
        if self.readers.under_way() > 0 || overloaded + unavailable > refused {
            let detail = format!("lists that were under way when {} died were not answered by another", self.nodes[victim].name);
            return Err(Violation::new("congestion", detail));
        }
        self.coverage.saw(Sight::AskedAgain);
        self.recover()
    }

    /// Somebody asks for all of the longest table.
    fn ask_for_list(&mut self, after: Time) {
        let leader = self.leader();
        let records = self.workers().filter_map(|slot| self.nodes[slot].worker()).map(|worker| worker.records()).next();
        let count = |table| records.map_or(0, |records| records.keys().filter(|key| key.table == table).count());
        let table = workload::TABLES.into_iter().max_by_key(|table| count(*table)).expect("there are tables");
        let range = Range { table, from: None, until: None, descending: false, rows_max: ROWS_MAX };
        let request =
            Request::Read { query: Query::Range(range), consistency: Consistency::Arrival, clock: self.clock(), trace: None };
        let id = RequestId(FIRST + self.readers.begun);
        self.readers.begun += 1;
        let life = self.nodes[leader].life;
        self.queue.push(self.now + after, Event::Within(leader, life, Pending::Request(id, request)));
    }

    /// Whether this is the answer to a reader, who may ask again.
    pub(crate) fn reader_heard(&mut self, id: RequestId, reply: &Reply) -> bool {
        if id.0 < FIRST || id.0 == u64::MAX {
            return false;
        }
        let after = match reply {
            Reply::Refused(Refusal::Overloaded) => {
                self.readers.overloaded += 1;
                COMES_BACK
            }
            Reply::Refused(_) => {
                self.readers.unavailable += 1;
                COMES_BACK
            }
            _ => {
                self.readers.found += 1;
                1
            }
        };
        if self.readers.asking {
            self.ask_for_list(after);
        }
        true
    }

    fn set_rates(&mut self, rate: Option<u64>) {
        let leader = self.leader();
        for worker in self.workers() {
            self.network.link(leader, worker).rate = rate;
        }
    }
}
