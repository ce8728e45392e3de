//! One run from its beginning to its end. In danger: faults happen while clients make their calls. Then all faults end, and
//! within a bound the cluster must serve again. In calm: further calls, each of which must be answered soon, without any
//! view change. In trial: one thing goes wrong, see [`super::trial`]. In a crowd: very many read, see [`super::crowd`]. With a second
//! leader: see [`super::rival`], and with one that only comes and goes, see [`super::visit`]. At rest: nothing is asked, and nothing may be left. Some runs go on with what an operator may do
//! then, see [`super::afterwards`], and some end with an epilogue, in which an operator has made a mistake or has one to mend, see
//! [`super::epilogue`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use skein_protocol::step::Reply;

use super::checks::convergence::{self, Replica};
use super::checks::healing::{self, Left};
use super::checks::views::{self, Stance};
use super::checks::{self, Violation, memory};
use super::disk::Disk;
use super::faults::{Coverage, Sight};
use super::mistake::Mistakes;
use super::node::{Machine, Slot};
use super::oracle::{Ask, Call};
use super::plan::Plan;
use super::queue::{MS, SECOND, Time};
use super::random::Random;
use super::trace::Trace;
use super::world::{CLUSTER, Event, World};

/// The time in which faults happen, at the most.
const DANGER_MAX: Time = 60 * SECOND;

/// After the end of all faults the cluster serves again within this.
const HEALING_MAX: Time = 60 * SECOND;

/// A worker whose disk hangs for good is let be for so long.
const HUNG_FOR: Time = 20 * SECOND;

/// For so long the view must have stayed the same before it counts as calm: longer than a dead connection goes unnoticed and a
/// doubt lasts, together.
const STEADY: Time = 9 * SECOND;

/// In calm, a call is answered within this.
pub(super) const ANSWER_MAX: Time = 3 * SECOND;

/// How long nothing is asked before nothing may be left.
const REST: Time = 4 * SECOND;

/// The phases of a run, in order.
const PHASES: [Phase; 12] = [
    World::danger,
    World::healing,
    World::calm,
    World::trial,
    World::crowd,
    World::second_leader,
    World::visit,
    World::rest,
    World::afterwards,
    World::epilogue,
    World::makes_again,
    World::witness,
];

type Phase = fn(&mut World) -> Result<(), Violation>;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The seed, from which all follows.
    pub seed: u64,
    /// Calls that clients make, about.
    pub calls: u32,
    /// What is done wrong.
    pub mistakes: Mistakes,
    /// Whether to write a trace.
    pub trace: bool,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// What happened, and how often.
    pub coverage: Coverage,
    /// Line by line, if it was asked for.
    pub trace: String,
    /// Calls that clients made.
    pub calls: u64,
    /// Inputs that the machines took.
    pub steps: u64,
    /// Virtual time at the end, in microseconds.
    pub lasted: u64,
}

/// Runs a seed.
#[must_use]
pub fn run(settings: Settings) -> Report {
    let mut random = Random::new(settings.seed);
    let plan = Plan::draw(&mut random, settings.calls);
    let mut world = World::new(random, plan, settings.mistakes, Trace::new(settings.trace));
    if catch_unwind(AssertUnwindSafe(|| world.play())).is_err() {
        // An assertion of the core, or one of the simulation itself: both are mistakes of ours.
        world.violate(Violation::new("panic", "an assertion failed"));
    }
    Report {
        violation: world.violation.take(),
        coverage: world.coverage,
        calls: world.oracle.calls.len() as u64,
        steps: world.steps,
        lasted: world.now,
        trace: world.trace.into_text(),
    }
}

impl World {
    /// All of a run, or as much of it as keeps its promises.
    fn play(&mut self) {
        let plan = format!("{:?}", self.plan);
        self.say(self.leader(), "plan", "", || plan);
        for phase in PHASES {
            if let Err(violation) = phase(self) {
                self.violate(violation);
            }
            if self.violation.is_some() {
                return;
            }
        }
    }

    /// Goes on until then, or until something is broken.
    pub(super) fn until(&mut self, end: Time, done: impl Fn(&World) -> bool) {
        while self.violation.is_none() && self.halted.is_none() && !done(self) && self.advance(end) {}
        if let Some(halt) = self.halted.as_ref().filter(|_| !self.expects_halt) {
            let violation = Violation::new("halted", format!("{halt:?}"));
            self.violate(violation);
        }
    }

    fn danger(&mut self) -> Result<(), Violation> {
        self.calls_max = self.plan.calls_in_danger;
        (0..self.nodes.len()).for_each(|slot| self.start(slot));
        self.wake_clients();
        self.queue.push(self.plan.fault_interval, Event::Fault);
        if self.plan.records {
            self.queue.push(0, Event::Record);
        }
        self.until(DANGER_MAX, |world| world.oracle.next() >= world.calls_max);
        views::check(&self.stances(), &self.ledger)
    }

    fn healing(&mut self) -> Result<(), Violation> {
        self.look_up_all(false)?;
        self.heal();
        self.recover()
    }

    /// Goes on until the cluster serves, with every worker a member, and the view has stayed the same for a while.
    pub(super) fn recover(&mut self) -> Result<(), Violation> {
        let (healed, first) = (self.now, self.oracle.calls.len());
        let mut view = (self.view_number(), self.now);
        let mut served = false;
        while self.now < healed + HEALING_MAX && self.violation.is_none() {
            self.calls_max = self.oracle.next() + 4;
            self.wake_clients();
            self.want_all();
            self.until(self.now + 500 * MS, |_| false);
            let decided = |reply: &Option<Reply>| matches!(reply, Some(Reply::Committed { .. } | Reply::Aborted { .. }));
            served |= self.oracle.calls[first..].iter().any(|call| decided(&call.reply));
            if served && self.now >= healed + HUNG_FOR {
                self.stop_the_hung();
            }
            if view.0 != self.view_number() || !self.is_steady() || !self.all_are_back() || self.rots_in_danger() {
                view = (self.view_number(), self.now);
            }
            if served && view.1 + STEADY <= self.now {
                self.astray.clear();
                self.rotted.clear();
                return views::check(&self.stances(), &self.ledger);
            }
        }
        let record = self.control.record.as_ref().map(super::trace::view_record).unwrap_or_default();
        Err(Violation::new("healing", format!("{} s after the last fault: served {served}, {record}", HEALING_MAX / SECOND)))
    }

    /// An operator stops a worker whose disk hangs for good: it is taken in and given up again and again.
    fn stop_the_hung(&mut self) {
        let members = self.members();
        let hung: Vec<Slot> = self.hung_for_good.iter().copied().filter(|slot| !members.contains(slot)).collect();
        hung.into_iter().for_each(|slot| self.crash(slot));
    }

    /// Whether every worker is a member again, or stopped for good.
    pub(super) fn all_are_back(&self) -> bool {
        let members = self.members();
        self.workers().all(|slot| members.contains(&slot) || self.hung_for_good.contains(&slot) && !self.nodes[slot].is_up())
    }

    fn calm(&mut self) -> Result<(), Violation> {
        let (begun, first, view) = (self.now, self.oracle.calls.len(), self.view_number());
        self.calls_max = self.oracle.next() + self.plan.calls_in_calm;
        self.wake_clients();
        let longest = u64::from(self.plan.calls_in_calm) * (ANSWER_MAX + self.plan.think);
        self.until(begun + longest, |world| world.oracle.next() >= world.calls_max);
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        if self.view_number() != view {
            return Err(Violation::new("healing", format!("view {view} ended without any fault")));
        }
        for (place, call) in self.oracle.calls.iter().enumerate().skip(first).filter(|(_, call)| self.must_be_answered(call)) {
            let took = call.ended_at.saturating_sub(call.begun_at);
            let told = !matches!(call.reply, None | Some(Reply::Unknown { .. } | Reply::Refused(_)))
                || call.reply.as_ref().is_some_and(|reply| self.plan.allows(reply));
            if !told && !matches!(call.ask, Ask::Digests) || took > ANSWER_MAX {
                let detail = format!("call {place} was answered {:?} after {} ms, without any fault", call.reply, took / MS);
                return Err(Violation::new("healing", detail));
            }
        }
        Ok(())
    }

    /// A recorder whose rows find no room tries again and again.
    pub(super) fn must_be_answered(&self, call: &Call) -> bool {
        call.client < self.clients.len() || !self.recorder.is_full()
    }

    pub(super) fn rest(&mut self) -> Result<(), Violation> {
        // Slow clients may still be asking.
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        // A recorder whose rows find no room would try for ever.
        self.recorder.withheld = self.recorder.is_full();
        self.until(self.now + REST, |_| false);
        // A comparison of the replicas may just be under way.
        self.until(self.now + ANSWER_MAX, |world| {
            world.nodes[world.leader()].coordinator().is_some_and(|it| it.status().reads == 0)
        });
        self.recorder.withheld = false;
        self.look_up_all(true)?;
        let members = self.members();
        healing::check(&self.left(&members))?;
        for slot in &members {
            let node = &self.nodes[*slot];
            let in_log = node.disk.as_ref().and_then(Disk::settled).map(|log| log.decided.len());
            if self.recorder.is_full() {
                // What nobody can record the workers remember.
                continue;
            }
            memory::check(&node.name, node.worker().map_or(0, |worker| worker.decided().len()), in_log)?;
        }
        let replicas: Vec<Replica> = members
            .iter()
            .filter_map(|slot| {
                let (node, worker) = (&self.nodes[*slot], self.nodes[*slot].worker()?);
                let log = node.disk.as_ref().and_then(Disk::settled);
                Some(Replica { name: &node.name, records: worker.records(), digest: worker.status().digest, log })
            })
            .collect();
        convergence::check(&replicas, &self.ledger)?;
        views::check(&self.stances(), &self.ledger)?;
        checks::all(&self.oracle, &self.ledger, self.guest())?;
        if !self.plan.guest {
            // With two coordinators there is no one place in the order of transactions.
            let compared = convergence::check_digests(&self.oracle)?;
            self.coverage.saw_many(Sight::DigestsCompared, compared);
            // Nor do their clocks agree on the version of a record that is made again.
            checks::versions::check(&self.ledger)?;
        }
        if !self.hung_for_good.is_empty() && !members.iter().any(|slot| self.hung_for_good.contains(slot)) {
            self.coverage.saw(Sight::HungForGood);
        }
        Ok(())
    }

    pub(super) fn view_number(&self) -> u64 {
        self.control.record.as_ref().map_or(0, |record| record.number().0)
    }

    pub(super) fn is_steady(&self) -> bool {
        self.nodes[self.leader()].coordinator().is_some_and(|coordinator| coordinator.leader().is_steady())
    }

    /// The members of the active view.
    pub(super) fn members(&self) -> Vec<Slot> {
        let active = self.ledger.views.last().map(|active| active.view.members()).unwrap_or_default();
        self.workers().filter(|slot| active.contains(&self.nodes[*slot].id)).collect()
    }

    pub(super) fn stances(&self) -> Vec<Stance> {
        let stance = |slot: Slot| {
            let worker = self.nodes[slot].worker()?;
            let ours = worker.cluster().is_none_or(|cluster| cluster == CLUSTER);
            Some(Stance {
                node: worker.node(),
                view: worker.view(),
                active: worker.is_active(),
                standing: worker.standing(),
                ours,
            })
        };
        self.workers().filter_map(stance).collect()
    }

    fn left(&self, members: &[Slot]) -> Left<'_> {
        let workers = members.iter().filter_map(|slot| {
            let node = &self.nodes[*slot];
            Some((node.name.as_str(), node.worker()?.status()))
        });
        let coordinators = self.nodes.iter().filter_map(|node| {
            let counts = match &node.machine {
                Some(Machine::Coordinator(coordinator)) => {
                    let status = coordinator.status();
                    [status.in_flight, status.queued, status.in_doubt, status.reads]
                }
                Some(Machine::Guest(guest)) => [guest.in_flight() as u64, 0, 0, 0],
                Some(Machine::Worker(_)) | None => return None,
            };
            Some((node.name.as_str(), counts))
        });
        Left { workers: workers.collect(), coordinators: coordinators.collect(), calls: self.calls_under_way() }
    }
}
