//! What an operator may do, or meet, when all else of a run has been looked at: everything is started again, perhaps under other
//! names; the last copy is bad, or was outvoted, while others that were away still hold what was written; a copy is bad and the others
//! are held up together; or two replicas differ, and only a person can say which is right. What is drawn here comes from a sequence of
//! its own.

use std::collections::BTreeMap;

use skein_protocol::id::{NodeId, RequestId};
use skein_protocol::operation::{Consistency, Key, Query};
use skein_protocol::record::Stored;
use skein_protocol::step::{Reply, Request, RosterChange};

use super::checks::Violation;
use super::disk::Disk;
use super::faults::Sight;
use super::node::Slot;
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::random::Random;
use super::world::{Event, World};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// Everything dies and is started again.
    StartAgain,
    /// A record of the last copy rots, and then the others come back.
    LastIsBad,
    /// A record rots, and when that is found all others stand still for a moment.
    OthersHeldUp,
    /// Of the last two replicas one holds another record, whose checksum fits.
    Differ,
    /// A copy is outvoted, the others die, another coordinator is started, and then the others come back.
    LastIsOutvoted,
}

/// What is asked in addition to the calls of clients.
#[derive(Debug, Default)]
pub(crate) struct Inquiries(BTreeMap<u64, Option<Reply>>);

/// The first of their numbers: no client comes so far.
const FIRST_INQUIRY: u64 = 1 << 60;

/// All that is started again is up within this.
const UP_WITHIN: Time = 200 * MS;

/// Within this a view is active again, with the grace of a start and of a member that is lost.
const SERVES_WITHIN: Time = 20 * SECOND;

/// For so long it is watched that nothing is given up.
const WATCHED: Time = 10 * SECOND;

/// Within this a copy that is bad is made again, though the others were held up.
const REPAIRED_WITHIN: Time = 30 * SECOND;

/// How often a record is read of which there are two.
const READS: usize = 6;

impl Afterwards {
    pub(crate) const ALL: [Afterwards; 4] =
        [Afterwards::StartAgain, Afterwards::LastIsBad, Afterwards::OthersHeldUp, Afterwards::Differ];

    /// What happens in one run, if anything does. What the plan draws separately is not among them.
    pub(crate) fn draw(random: &mut Random) -> Option<Self> {
        random.chance(300).then(|| random.pick(&Afterwards::ALL))
    }
}

impl Inquiries {
    /// Whether this answers one of them.
    pub(crate) fn heard(&mut self, id: RequestId, reply: &Reply) -> bool {
        match self.0.get_mut(&id.0) {
            Some(answer) => {
                *answer = Some(reply.clone());
                true
            }
            None => false,
        }
    }
}

impl World {
    pub(super) fn afterwards(&mut self) -> Result<(), Violation> {
        // A worker without a log, or with one that may lack its end, comes back as somebody else, and what hangs for good never does.
        let Some(afterwards) = self.plan.afterwards else { return Ok(()) };
        let keep_identity = !self.plan.logged.contains(&false) && self.plan.sync_every.is_none();
        if !keep_identity || !self.hung_for_good.is_empty() {
            return Ok(());
        }
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        match afterwards {
            Afterwards::StartAgain => self.start_again()?,
            Afterwards::LastIsBad => self.last_is_bad()?,
            Afterwards::OthersHeldUp => self.others_held_up()?,
            Afterwards::Differ => self.differ()?,
            Afterwards::LastIsOutvoted => self.last_is_outvoted()?,
        }
        if self.violation.is_some() {
            return Ok(());
        }
        self.recover()?;
        self.calls_max = 0;
        self.rest()
    }

    /// From now on coordinators that start name all workers otherwise.
    pub(super) fn rename_workers(&mut self) {
        self.renamed += 1;
        for worker in self.workers() {
            self.nodes[worker].address = format!("{}.{}", self.nodes[worker].name, self.renamed);
            self.nodes[worker].named = self.nodes[worker].address.clone();
        }
        self.coverage.saw(Sight::Renamed);
    }

    /// All that were members are members of the first view, and no worker has to copy anything.
    fn start_again(&mut self) -> Result<(), Violation> {
        let (before, views) = (self.active_members(), self.ledger.views.len());
        (0..self.nodes.len()).for_each(|slot| self.crash(slot));
        if self.chance_afterwards.chance(700) {
            self.rename_workers();
        }
        // A second leader, if there was one, stays away.
        for slot in (0..=self.leader()).chain(self.guest()) {
            let wait = self.chance_afterwards.below(UP_WITHIN);
            self.queue.push(self.now + wait, Event::Restart(slot, self.nodes[slot].life));
        }
        self.until(self.now + SERVES_WITHIN, |world| world.ledger.views.len() > views);
        let first = self.ledger.views.get(views).map(|active| (active.view.members(), active.view.learners()));
        if first != Some((before.clone(), Vec::new())) {
            let detail = format!("all were started again: {before:?} were members, and the first view has {first:?}");
            return Err(Violation::new("views", detail));
        }
        self.coverage.saw(Sight::AllStartedAgain);
        Ok(())
    }

    /// What the others still hold is the last intact copy of the record, so no worker may give it up.
    fn last_is_bad(&mut self) -> Result<(), Violation> {
        let Some((bad, key, written)) = self.rotting() else { return Ok(()) };
        let others: Vec<Slot> = self.workers().filter(|slot| *slot != bad).collect();
        others.iter().for_each(|slot| self.crash(*slot));
        let last = vec![self.nodes[bad].id];
        self.until(self.now + SERVES_WITHIN, |world| world.is_steady() && world.active_members() == last);
        self.rot(bad, &key, false);
        self.until(self.now + WATCHED, |world| world.distrusts(last[0]));
        self.come_back_intact(&others, &key, &written)?;
        self.coverage.saw(Sight::IntactKept);
        // An operator starts it again, from its log, which is intact.
        self.crash(bad);
        self.start(bad);
        self.rotten = None;
        Ok(())
    }

    /// What was found out about a copy is known to the next coordinator too.
    fn last_is_outvoted(&mut self) -> Result<(), Violation> {
        // Replicas that were copied from each other are one witness until all have been found to hold the same.
        self.until(self.now + 3 * self.plan.compare_ms * MS, |_| false);
        let Some((bad, key, written)) = self.rotting() else { return Ok(()) };
        let others: Vec<Slot> = self.workers().filter(|slot| *slot != bad).collect();
        let last = vec![self.nodes[bad].id];
        self.may_differ = true;
        self.rot(bad, &key, true);
        self.until(self.now + WATCHED + 2 * self.plan.compare_ms * MS, |world| world.distrusts(last[0]));
        // They die before the view is there that leaves the bad one out.
        others.iter().for_each(|slot| self.crash(*slot));
        let serves = |world: &World| world.is_steady() && world.active_members() == last;
        self.until(self.now + SERVES_WITHIN, serves);
        self.crash(self.leader());
        self.start(self.leader());
        self.until(self.now + SERVES_WITHIN, serves);
        if self.violation.is_none() && !serves(self) {
            return Err(Violation::new("healing", "the last copy, which was outvoted, does not serve"));
        }
        self.come_back_intact(&others, &key, &written)?;
        self.coverage.saw(Sight::OutvotedKept);
        // An operator decides to go on with it. Its log is intact, which only the simulation knows.
        self.crash(bad);
        self.nodes[bad].disk.iter_mut().for_each(Disk::salvage);
        self.start(bad);
        self.rotten = None;
        self.may_differ = false;
        Ok(())
    }

    /// These workers come back, and none gives up the intact record that it holds.
    fn come_back_intact(&mut self, others: &[Slot], key: &Key, written: &Stored) -> Result<(), Violation> {
        others.iter().for_each(|slot| self.start(*slot));
        self.until(self.now + WATCHED, |_| false);
        for slot in others {
            let held = self.nodes[*slot].worker().and_then(|worker| worker.records().get(key));
            if held != Some(written) {
                let name = &self.nodes[*slot].name;
                let detail = format!("the only member is not trusted, and {name} has given up its intact copy of {key:?}");
                return Err(Violation::new("convergence", detail));
            }
        }
        Ok(())
    }

    /// A bad copy must not count because the others could not answer for a moment.
    fn others_held_up(&mut self) -> Result<(), Violation> {
        let Some((bad, key, _)) = self.rotting() else { return Ok(()) };
        self.held_up_when_found = Some(self.chance_afterwards.between(self.plan.answer_ms * 5 / 4, self.plan.answer_ms * 2) * MS);
        self.rot(bad, &key, false);
        self.until(self.now + REPAIRED_WITHIN, |world| world.held_up_when_found.is_none() && world.is_repaired(bad, &key));
        if !self.is_repaired(bad, &key) {
            let detail = format!("{key:?} at {} is still not what was written", self.nodes[bad].name);
            return Err(Violation::new("convergence", detail));
        }
        self.coverage.saw(Sight::HeldUpTogether);
        self.rotten = None;
        Ok(())
    }

    /// A bad copy was found: all members but this one stand still.
    pub(super) fn hold_up_others(&mut self, bad: NodeId) {
        let Some(lasts) = self.held_up_when_found.take() else { return };
        for slot in self.members().into_iter().filter(|slot| self.nodes[*slot].id != bad).collect::<Vec<_>>() {
            self.pause(slot, lasts);
        }
    }

    /// Until a person decides, one of the two answers; then the other is made again.
    fn differ(&mut self) -> Result<(), Violation> {
        if self.plan.guest {
            return Ok(());
        }
        let Some((bad, key, _)) = self.rotting() else { return Ok(()) };
        // Three could outvote one of them.
        let other = self.workers().find(|slot| *slot != bad);
        let away: Vec<Slot> = self.workers().filter(|slot| *slot != bad && Some(*slot) != other).collect();
        away.iter().for_each(|slot| self.crash(*slot));
        self.until(self.now + SERVES_WITHIN, |world| world.is_steady() && world.active_members().len() == 2);
        self.may_differ = true;
        self.rot(bad, &key, true);
        let undecided = |world: &World| {
            world.nodes[world.leader()].coordinator().is_some_and(|coordinator| coordinator.leader().comparison().undecided)
        };
        self.until(self.now + WATCHED + 2 * self.plan.compare_ms * MS, undecided);
        let query = Query::Keys(vec![key.clone()]);
        let mut answers = Vec::new();
        for number in 0..READS {
            let consistency = if number % 2 == 0 { Consistency::Strict } else { Consistency::Arrival };
            let read = Request::Read { query: query.clone(), consistency, clock: 0, trace: None };
            answers.extend(self.inquire(read));
        }
        if answers.len() < READS || answers.iter().any(|answer| *answer != answers[0]) {
            let detail = format!("two replicas differ about {key:?}, and readers were told {answers:?}");
            return Err(Violation::new("convergence", detail));
        }
        self.coverage.saw(Sight::OneAnswered);
        let address = self.nodes[bad].address.clone();
        for change in [RosterChange::Remove(address.clone()), RosterChange::Add(address)] {
            match self.inquire(Request::Roster(change.clone())) {
                Some(Reply::Roster(_)) => {}
                reply => return Err(Violation::new("healing", format!("{change:?} was answered {reply:?}"))),
            }
        }
        self.until(self.now + REPAIRED_WITHIN, |world| world.is_repaired(bad, &key));
        away.iter().for_each(|slot| self.start(*slot));
        self.may_differ = false;
        self.rotten = None;
        Ok(())
    }

    /// A member, and a record that it holds as it was written.
    fn rotting(&mut self) -> Option<(Slot, Key, Stored)> {
        let members = self.members();
        if members.len() < 2 {
            return None;
        }
        let slot = members[self.chance_afterwards.index(members.len())];
        let records = self.nodes[slot].worker()?.records();
        let place = self.chance_afterwards.index(records.len().max(1));
        let (key, written) = records.iter().nth(place)?;
        Some((slot, key.clone(), written.clone()))
    }

    fn rot(&mut self, slot: Slot, key: &Key, unseen: bool) {
        self.rotten = Some(slot);
        self.say(slot, "fault", "", || format!("{key:?} rots, unseen {unseen}"));
        if let Some(worker) = self.nodes[slot].worker_mut() {
            worker.corrupt(key, unseen);
        }
    }

    fn distrusts(&self, node: NodeId) -> bool {
        let leader = self.nodes[self.leader()].coordinator().map(|coordinator| coordinator.leader().comparison());
        leader.is_some_and(|comparison| comparison.distrusted.contains(&node))
    }

    fn active_members(&self) -> Vec<NodeId> {
        self.ledger.views.last().map(|active| active.view.members()).unwrap_or_default()
    }

    /// Asks the leader something, and waits for the answer.
    pub(super) fn inquire(&mut self, request: Request) -> Option<Reply> {
        let id = FIRST_INQUIRY + self.inquiries.0.len() as u64;
        self.inquiries.0.insert(id, None);
        self.request(self.leader(), RequestId(id), request);
        self.until(self.now + SERVES_WITHIN, |world| world.inquiries.0[&id].is_some());
        self.inquiries.0[&id].clone()
    }
}
