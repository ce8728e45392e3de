//! Trials: in calm, one thing goes wrong with one worker, of a kind that shows itself to nobody. Since nothing else does, there
//! are bounds: when a worker goes silent or is put back to an earlier state of itself, writes go on within a few seconds; when
//! a record rots, it is found and repaired as soon, and no client reads it.

use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::node::worker::Worker;
use skein_protocol::operation::Key;
use skein_protocol::step::Reply;

use super::checks::Violation;
use super::disk::Disk;
use super::faults::Sight;
use super::ledger::Progress;
use super::node::{Machine, Slot};
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::world::World;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It stands still, and its connections seem to live.
    Hang,
    /// Its disk syncs nothing.
    HungDisk,
    /// Nothing reaches it.
    Deaf,
    /// Nothing that it says reaches anybody.
    Mute,
    /// It is put back to an earlier view, with its disk and its connections, as a virtual machine is to a snapshot.
    PutBack,
    /// A bit of a record flips in its memory.
    Rot,
    /// A record is another one, whose checksum fits.
    Wrong,
    /// A client hears *committed* and the decision is lost; a member is back at once, with its disk as it was before it voted.
    VoteLost,
    /// It is back with its disk as it was earlier in the same view.
    RollBack,
    /// Its answer to a comparison of the replicas comes when the next one is under way.
    DigestLate,
    /// Its votes come so late that clients hear *unknown*, and nothing is recorded while the small window fills behind them.
    NotRecorded,
}

/// A worker as it once was.
pub(crate) struct Image {
    node: NodeId,
    view: ViewNumber,
    worker: Worker,
    disk: Option<Disk>,
    progress: Progress,
}

/// Within this the others write without one that went silent: five beats, a grace, an answer that does not come, and the
/// way of it all.
const SILENT_MAX: Time = 6 * SECOND;

/// The same for one that was put back, or whose disk hangs: only its beats show it.
const ODD_BEATS_MAX: Time = 4 * SECOND;

/// Rounds after which a doubt ends the view in runs where only beats are to show it: later than that.
pub(crate) const PATIENT_SWEEPS: u8 = 20;

/// Within this a damaged record is repaired: it is looked at four times a second, and copied at once.
const REPAIR_MAX: Time = 8 * SECOND;

/// Calls that clients make meanwhile, at the most.
const CALLS: u32 = 200;

impl Trial {
    pub(crate) const ALL: [Trial; 7] =
        [Trial::Hang, Trial::HungDisk, Trial::Deaf, Trial::Mute, Trial::PutBack, Trial::Rot, Trial::Wrong];
}

impl World {
    /// Keeps a worker as it is, to be put back to that later. Only one without unfinished business with its disk.
    pub(crate) fn keep_image(&mut self) {
        if self.plan.trial != Some(Trial::PutBack) {
            return;
        }
        let slot = self.random.index(self.plan.logged.len());
        if self.rotten == Some(slot) {
            return;
        }
        let node = &self.nodes[slot];
        let Some(worker) = node.worker().filter(|worker| worker.unsynced() == 0 && worker.standing().is_some()) else { return };
        let (worker, disk, progress) = (worker.clone(), node.disk.clone(), node.progress.clone());
        self.images.insert(slot, Image { node: node.id, view: worker.view(), worker, disk, progress });
    }

    pub(super) fn trial(&mut self) -> Result<(), Violation> {
        let Some(trial) = self.plan.trial else { return Ok(()) };
        // What clients still ask ends first.
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        let Some(slot) = self.victim(trial) else { return Ok(()) };
        self.writes_only = !matches!(trial, Trial::Rot);
        self.calls_max = self.oracle.next() + CALLS;
        self.wake_clients();
        let tried = match trial {
            Trial::Rot | Trial::Wrong => self.rots(slot, trial == Trial::Wrong),
            Trial::VoteLost => self.loses_a_vote(slot),
            Trial::RollBack => self.rolls_back(slot),
            Trial::DigestLate => self.answers_late(slot),
            Trial::NotRecorded => self.is_not_recorded(slot),
            _ => self.goes_silent(slot, trial),
        };
        self.writes_only = false;
        tried
    }

    /// A member without which the others can go on, and which has what the trial takes.
    fn victim(&mut self, trial: Trial) -> Option<Slot> {
        let members = self.members();
        let has_it = |slot: &Slot| {
            let node = &self.nodes[*slot];
            let active = self.ledger.views.last().map(|active| active.view.number).unwrap_or_default();
            match trial {
                // A log that is synced at an interval says what it has before that, so a worker that writes nothing more seems well.
                Trial::HungDisk => node.disk.is_some() && self.plan.sync_every.is_none(),
                Trial::VoteLost | Trial::RollBack => {
                    self.keeps(*slot) && node.worker().is_some_and(|worker| worker.unsynced() == 0)
                }
                Trial::PutBack => {
                    let quiet = node.inbox.is_empty() && node.worker().is_some_and(|worker| worker.unsynced() == 0);
                    quiet && self.images.get(slot).is_some_and(|image| image.node == node.id && image.view < active)
                }
                Trial::Rot => node.worker().is_some_and(|worker| !worker.records().is_empty()),
                // Nobody compares replicas with a second coordinator, and two can't outvote each other.
                Trial::Wrong => {
                    !self.plan.guest && members.len() > 2 && node.worker().is_some_and(|worker| !worker.records().is_empty())
                }
                Trial::DigestLate => members.len() > 1,
                Trial::Hang | Trial::Deaf | Trial::Mute | Trial::NotRecorded => true,
            }
        };
        let fit: Vec<Slot> = members.iter().copied().filter(|slot| self.is_dispensable(*slot) && has_it(slot)).collect();
        (!fit.is_empty()).then(|| self.random.pick(&fit))
    }

    /// It goes silent: it must be left out, and the others write without it. Then all is as before.
    fn goes_silent(&mut self, slot: Slot, trial: Trial) -> Result<(), Violation> {
        let begun = self.now;
        self.say(slot, "fault", "", || format!("trial {trial:?}"));
        let coordinators: Vec<Slot> = (self.leader()..self.nodes.len()).collect();
        match trial {
            Trial::Hang => {
                self.hang(slot, 3_600 * SECOND);
            }
            Trial::HungDisk => self.nodes[slot].disk.iter_mut().for_each(Disk::hang),
            Trial::PutBack => self.put_back(slot),
            _ => {
                for coordinator in &coordinators {
                    self.block(*coordinator, slot, [trial == Trial::Deaf, trial == Trial::Mute]);
                }
            }
        }
        let most = if matches!(trial, Trial::PutBack | Trial::HungDisk) { ODD_BEATS_MAX } else { SILENT_MAX };
        let node = self.nodes[slot].id;
        self.until(begun + most, |world| world.is_without(node));
        let left_out = self.is_without(node);
        let first = self.oracle.calls.len();
        self.calls_max = self.oracle.next() + CALLS;
        self.wake_clients();
        let written = |world: &World| {
            world.oracle.calls[first..]
                .iter()
                .any(|call| matches!(call.reply, Some(Reply::Committed { .. } | Reply::Aborted { .. })))
        };
        self.until(self.now + ANSWER_MAX, |world| left_out && written(world));
        if !left_out || !written(self) {
            let name = self.nodes[slot].name.clone();
            let detail = format!("{trial:?} of {name}: left out {left_out}, and written after that {}", written(self));
            return Err(Violation::new("healing", detail));
        }
        self.coverage.saw(if trial == Trial::PutBack { Sight::PutBack } else { Sight::SilentLeftOut });
        let took = self.now - begun;
        self.say(slot, "heal", "", || format!("left out after {} ms", took / MS));
        for coordinator in coordinators {
            self.unblock(coordinator, slot);
        }
        self.nodes[slot].disk.iter_mut().for_each(|disk| disk.hung = false);
        self.awaken(slot);
        self.wake_later(slot);
        self.recover()
    }

    /// It votes, the decision is lost that a client has heard of, and its vote is lost, too: what the client heard must stay so, which
    /// the checks at the end of the run look at.
    fn loses_a_vote(&mut self, slot: Slot) -> Result<(), Violation> {
        self.lost_vote = self.nodes[slot].disk.as_ref().map(|disk| (slot, disk.image()));
        self.until(self.now + ANSWER_MAX, |world| world.lost_vote.is_none());
        if self.lost_vote.take().is_none() {
            self.coverage.saw(Sight::VoteLost);
        }
        self.recover()
    }

    /// Whether the cluster serves in a view that this one is no member of.
    fn is_without(&self, node: NodeId) -> bool {
        let active = self.ledger.views.last().map(|active| active.view.members()).unwrap_or_default();
        self.is_steady() && !active.contains(&node)
    }

    /// Machine, disk and connections are as they once were.
    fn put_back(&mut self, slot: Slot) {
        let Some(Image { worker, disk, progress, .. }) = self.images.remove(&slot) else { return };
        let node = &mut self.nodes[slot];
        node.machine = Some(Machine::Worker(worker));
        node.disk = disk;
        node.progress = progress;
        self.waits.gone(slot);
    }

    /// A record rots: it must be repaired, and the worker be a member again.
    fn rots(&mut self, slot: Slot, unseen: bool) -> Result<(), Violation> {
        let keys: Vec<Key> = self.nodes[slot].worker().map(|it| it.records().keys().cloned().collect()).unwrap_or_default();
        let (begun, key) = (self.now, keys[self.random.index(keys.len())].clone());
        self.rotten = Some(slot);
        self.say(slot, "fault", "", || format!("{key:?} rots, unseen {unseen}"));
        let Some(worker) = self.nodes[slot].worker_mut().filter(|worker| worker.records().contains_key(&key)) else {
            return Ok(());
        };
        worker.corrupt(&key, unseen);
        self.lose_another(slot);
        let most = REPAIR_MAX + 2 * self.plan.compare_ms * MS * u64::from(unseen);
        let node = self.nodes[slot].id;
        self.until(begun + most, |world| world.is_repaired(slot, &key));
        if !self.is_repaired(slot, &key) {
            let detail =
                format!("{key:?} at {} ({node:?}) is still not what was written, unseen {unseen}", self.nodes[slot].name);
            return Err(Violation::new("convergence", detail));
        }
        self.coverage.saw(if unseen { Sight::OutvotedRepaired } else { Sight::DamageRepaired });
        let took = self.now - begun;
        self.say(slot, "heal", "", || format!("repaired after {} ms", took / MS));
        self.rotten = None;
        self.recover()
    }

    /// At the very end, in some runs: a record is another one, whose checksum fits, at the member that a third one then copies from.
    /// Two hold it now and one does not, but the two are one witness: no member may be distrusted, and a person is called.
    pub(super) fn witness(&mut self) -> Result<(), Violation> {
        let mut members = self.members();
        let is_whole =
            self.workers().all(|slot| members.contains(&slot) && self.keeps(slot) && self.nodes[slot].worker().is_some());
        if !self.plan.witness
            || self.plan.epilogue.is_some()
            || self.plan.afterwards.is_some()
            || members.len() != 3
            || !is_whole
            || self.plan.guest
        {
            return Ok(());
        }
        // The first of the members gives to the first of the learners.
        members.sort_by_key(|slot| self.nodes[*slot].id);
        let (donor, learner) = (members[0], members[2]);
        let keys: Vec<Key> = self.nodes[donor].worker().map(|it| it.records().keys().cloned().collect()).unwrap_or_default();
        if keys.is_empty() {
            return Ok(());
        }
        let key = keys[self.random.index(keys.len())].clone();
        self.crash(learner);
        self.forget_disk(learner);
        self.differs = Some(false);
        self.say(donor, "fault", "", || format!("{key:?} is another record, and is copied on"));
        let Some(worker) = self.nodes[donor].worker_mut() else { return Ok(()) };
        worker.corrupt(&key, true);
        self.ledger.other_than_written = Some(key);
        self.start(learner);
        self.until(self.now + 30 * SECOND, |world| world.members().len() == 3 && world.is_steady());
        self.differs = Some(false);
        self.until(self.now + 3 * (self.plan.compare_ms + 1_000) * MS, |world| world.differs == Some(true));
        if self.violation.is_none() && self.differs != Some(true) {
            return Err(Violation::new("convergence", "replicas that differ are said to be the same"));
        }
        self.coverage.saw(Sight::OneWitness);
        Ok(())
    }

    /// Sometimes another one loses its memory meanwhile, and may be copied to from the one whose record has rotted.
    fn lose_another(&mut self, rotten: Slot) {
        let others: Vec<Slot> = self.members().into_iter().filter(|slot| *slot != rotten && self.is_dispensable(*slot)).collect();
        if !self.writes_only && !others.is_empty() && self.random.chance(400) {
            let other = self.random.pick(&others);
            self.crash_and_restart(other);
        }
    }

    /// Whether this worker is a member, and this record of its is as others hold it.
    pub(super) fn is_repaired(&self, slot: Slot, key: &Key) -> bool {
        let members = self.members();
        let held = |slot: &Slot| self.nodes[*slot].worker().and_then(|worker| worker.records().get(key));
        let intact = held(&slot).is_none_or(|stored| stored.is_intact(key));
        members.contains(&slot) && self.is_steady() && intact && members.iter().all(|it| held(it) == held(&slot))
    }
}
