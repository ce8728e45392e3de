//! How some runs end: with something that only an operator can do, or that only an operator can mend. The control store is lost or
//! put back, all memory is lost at once, or nothing is left of a cluster but workers of which a part was given up. Where the cluster
//! may go on with less than was acknowledged, an era of its own begins: what is left is all that may be lost no more.

use std::collections::BTreeMap;

use skein_protocol::id::{TxnId, ViewNumber};
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::operation::{Action, Expect, Key, Operation};
use skein_protocol::record::{Prepared, Stored};
use skein_protocol::step::Halt;

use super::checks::{Violation, views};
use super::client::Client;
use super::disk::Disk;
use super::faults::Sight;
use super::ledger::{Ledger, Progress};
use super::node::Slot;
use super::queue::{MS, SECOND, Time};
use super::random::Random;
use super::recorder::Recorder;
use super::world::{Event, World};

/// Within this a coordinator that must not go on has seen it.
const HALT_MAX: Time = 20 * SECOND;

/// Within this the cluster goes on with what is left.
const BEGIN_MAX: Time = 30 * SECOND;

/// Calls that clients make while there is a coordinator that must not go on.
const CALLS: u32 = 40;

/// What an operator does, or has to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// The control store is lost.
    LoseControl,
    /// The coordinator is started with a control store as it once was.
    OldControl,
    /// All workers die, and none of them has a log.
    LoseMemory,
    /// All workers die; of each that is not lost a part is given up.
    LoseAll,
}

impl Epilogue {
    /// One of those that fit these workers.
    pub(crate) fn draw(random: &mut Random, logged: &[bool]) -> Self {
        let lost = if logged.iter().all(|logged| *logged) {
            Epilogue::LoseAll
        } else if !logged.contains(&true) {
            Epilogue::LoseMemory
        } else {
            Epilogue::OldControl
        };
        random.pick(&[Epilogue::OldControl, lost, lost])
    }
}

impl World {
    pub(super) fn epilogue(&mut self) -> Result<(), Violation> {
        // With a worker gone for good everybody would wait for that one.
        let Some(epilogue) = self.plan.epilogue.filter(|_| self.hung_for_good.is_empty()) else { return Ok(()) };
        let leader = self.leader();
        self.say(leader, "fault", "", || format!("epilogue {epilogue:?}"));
        match epilogue {
            Epilogue::LoseControl => self.lose_control(),
            Epilogue::OldControl => self.put_control_back(),
            Epilogue::LoseMemory | Epilogue::LoseAll => self.lose_all(),
        }
    }

    /// The control store is empty, the workers are not: a coordinator must not make a new cluster of them.
    fn lose_control(&mut self) -> Result<(), Violation> {
        let leader = self.leader();
        self.crash(leader);
        self.control.record = None;
        self.control.swap = None;
        // The settings name one of the workers at least where it is; the others may have been added by other names since.
        self.nodes[0].named = self.nodes[0].address.clone();
        self.start(leader);
        self.expects_halt = true;
        self.until(self.now + HALT_MAX, |_| false);
        if !matches!(self.halted, Some(Halt::WorkerHoldsView { .. })) {
            return Err(Violation::new("identity", "a coordinator without a view took workers that belong to one"));
        }
        // That they would refuse to be sealed is no reason to try.
        if self.control.record.is_some() {
            return Err(Violation::new(
                "identity",
                "a coordinator without a view announced one to workers that belong to another",
            ));
        }
        self.coverage.saw(Sight::ControlLost);
        views::check(&self.stances(), &self.ledger)
    }

    /// The control store is as it once was: a coordinator that starts from it must end, and change nothing.
    fn put_control_back(&mut self) -> Result<(), Violation> {
        let leader = self.leader();
        self.crash(leader);
        let now = std::mem::take(&mut self.control);
        let Some(past) = now.an_earlier_one(&mut self.random) else {
            self.control = now;
            return Ok(());
        };
        self.control = past;
        self.say(leader, "fault", "", || "the control store is put back".into());
        self.start(leader);
        self.expects_halt = true;
        self.calls_max = self.oracle.next() + CALLS;
        self.wake_clients();
        self.until(self.now + HALT_MAX, |_| false);
        if !matches!(self.halted.take(), Some(Halt::Superseded | Halt::SharedRun { .. })) {
            return Err(Violation::new("identity", "a coordinator with an old control store went on"));
        }
        self.coverage.saw(Sight::OldControlEnded);
        self.crash(leader);
        self.expects_halt = false;
        // Whatever it has written went to the store that was put back.
        self.control = now;
        self.say(leader, "heal", "", || "the control store is the right one again".into());
        self.start(leader);
        self.recover()?;
        self.rest()
    }

    /// All workers die, and whatever they still have is less than they acknowledged, as a person says. The cluster goes on with it,
    /// and from then on nothing is lost any more.
    fn lose_all(&mut self) -> Result<(), Violation> {
        let (empty, before) = (self.plan.epilogue == Some(Epilogue::LoseMemory), self.view_number());
        let keeps = self.random.index(self.plan.logged.len());
        self.calls_max = 0;
        for worker in self.workers() {
            self.crash(worker);
            let wait = self.random.magnitude(MS, 2 * SECOND);
            self.queue.push(self.now + wait, Event::Restart(worker, self.nodes[worker].life));
            if !empty && (worker == keeps || self.random.chance(500)) {
                self.give_up_end(worker);
            } else {
                self.forget_disk(worker);
            }
        }
        self.awaits_era = true;
        let is_sealed =
            move |world: &World, slot: Slot| world.nodes[slot].worker().is_some_and(|worker| worker.view() > ViewNumber(before));
        self.until(self.now + BEGIN_MAX, |world| world.workers().any(|slot| is_sealed(world, slot)));
        if self.random.chance(600) {
            // Its successor finds workers that were sealed for a view that never became active.
            let later = self.now + self.random.magnitude(10, 20 * MS);
            self.until(later, |world| !world.awaits_era);
            if self.awaits_era {
                self.coverage.saw(Sight::BeginningInterrupted);
            }
            let leader = self.leader();
            self.crash(leader);
            self.start(leader);
        }
        self.until(self.now + BEGIN_MAX, |world| !world.awaits_era);
        if std::mem::take(&mut self.awaits_era) {
            let record = self.control.record.as_ref().map(super::trace::view_record).unwrap_or_default();
            return Err(Violation::new("healing", format!("the cluster does not go on with what is left: {record}")));
        }
        self.coverage.saw(if empty { Sight::BegunEmpty } else { Sight::WentOnWithLess });
        self.recover()?;
        self.rest()
    }

    /// A worker that is down will start with what a person has accepted: perhaps the log that was set aside, perhaps one without its
    /// end.
    fn give_up_end(&mut self, worker: Slot) {
        let id = self.nodes[worker].id;
        let older = self.kept_disks.get(&worker).filter(|disk| disk.snapshot().node == id && disk.holds_all()).cloned();
        let disk = self.nodes[worker].disk.take().or_else(|| self.set_aside.remove(&worker));
        let older = older.filter(|_| self.random.chance(500));
        self.nodes[worker].disk = older.or(disk);
        self.nodes[worker].disk.iter_mut().for_each(Disk::salvage);
        self.say(worker, "fault", "", || "its end is given up".into());
    }

    /// The first view that goes on with what is left is about to become active.
    pub(super) fn enter_era(&mut self, record: &ViewRecord) {
        let Some(active) = record.active.as_ref().filter(|_| self.awaits_era) else { return };
        let number = Some(active.view.number);
        if self.ledger.views.last().map(|last| last.view.number) >= number {
            return;
        }
        let empty = record.emptied == number;
        if !empty && record.curtailed != number {
            self.violate(Violation::new("views", format!("view {} goes on with less, and does not say so", active.view.number)));
        }
        self.awaits_era = false;
        let members = active.view.members();
        let survivor = self.workers().find(|slot| members.contains(&self.nodes[*slot].id)).filter(|_| !empty);
        let survivor = survivor.and_then(|slot| self.nodes[slot].worker());
        let records = survivor.map(|worker| worker.records().clone()).unwrap_or_default();
        let prepared: Vec<Prepared> = survivor.map(|worker| worker.prepared().cloned().collect()).unwrap_or_default();
        self.oracle.forget();
        self.ledger = Ledger::default();
        self.recorder = Recorder::default();
        self.clients.iter_mut().for_each(Client::forget);
        let mut left: BTreeMap<TxnId, Vec<(Key, Stored)>> = BTreeMap::new();
        for (key, stored) in &records {
            left.entry(stored.written_by).or_default().push((key.clone(), stored.clone()));
        }
        for (txn, left) in left {
            let put = |(key, stored): &(Key, Stored)| {
                let (key, action) = (key.clone(), Action::Put(stored.value.clone()));
                Operation { key, expect: Expect::Any, action }
            };
            let versions = left.iter().map(|(_, stored)| stored.version).collect();
            let call = self.oracle.found(left.iter().map(put).collect(), Some((txn, versions)));
            self.ledger.found(txn, call, left);
        }
        for Prepared { txn, operations, .. } in prepared {
            let call = self.oracle.found(operations, None);
            self.ledger.sent(txn, call);
        }
        for slot in self.workers() {
            if members.contains(&self.nodes[slot].id) {
                self.nodes[slot].progress = Progress::holding(&records);
                self.nodes[slot].disk.iter_mut().for_each(Disk::enter_era);
            }
        }
    }
}
