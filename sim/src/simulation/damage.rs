//! Faults of what a worker keeps: its disk is lost or put back to an earlier state, a person gives up a part of it.
//! None of them may cost anything that was acknowledged while another member holds it, so each happens only then; the promises
//! are the same as without them.

use skein_protocol::id::{NodeId, TxnId, ViewNumber};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::Message;
use skein_protocol::operation::Key;
use skein_protocol::record::Record;
use skein_protocol::step::{Output, Reply};

use super::disk::Disk;
use super::epilogue::Epilogue;
use super::faults::{FaultKind, Sight};
use super::mistake::Mistake;
use super::node::Slot;
use super::world::World;

/// Records that are given up at once, at the most.
const GIVEN_UP_MAX: u64 = 3;

impl World {
    /// Whether what a worker has acknowledged survives its crash.
    pub(crate) fn keeps(&self, worker: Slot) -> bool {
        self.plan.logged[worker] && self.plan.sync_every.is_none()
    }

    /// Dies, and is started again with an empty disk, if all that it holds is kept by another.
    pub(super) fn lose_disk(&mut self, worker: Slot) -> bool {
        if !self.nodes[worker].is_up() || !self.plan.logged[worker] || !self.is_dispensable(worker) {
            return false;
        }
        self.crash_and_restart(worker);
        self.say(worker, "fault", "", || "its disk is lost".into());
        self.forget_disk(worker);
        true
    }

    /// All that was on the disk is gone: a worker that starts here has another identity.
    pub(super) fn forget_disk(&mut self, worker: Slot) {
        self.nodes[worker].disk = None;
        self.nodes[worker].id = NodeId(0);
    }

    /// Keeps a disk as it is, to be put back to that later.
    pub(super) fn keep_disk(&mut self) {
        let wanted = [FaultKind::OldDisk, FaultKind::Salvage].iter().any(|kind| self.plan.faults[*kind as usize] > 0);
        if wanted || self.plan.epilogue == Some(Epilogue::LoseAll) {
            let slot = self.random.index(self.plan.logged.len());
            self.kept_disks.extend(self.nodes[slot].disk.as_ref().map(|disk| (slot, disk.image())));
        }
    }

    /// Dies, and is started again with its disk as it was in an earlier view.
    pub(super) fn put_disk_back(&mut self, worker: Slot) -> bool {
        let active = self.control.record.as_ref().and_then(|record| record.active.as_ref());
        let active = active.map_or(ViewNumber(0), |active| active.view.number);
        let id = self.nodes[worker].id;
        let fits = |disk: &&Disk| disk.snapshot().node == id && disk.snapshot().view < active;
        let Some(disk) = self.kept_disks.get(&worker).filter(fits).cloned() else { return false };
        if !self.gives_up(worker) {
            return false;
        }
        self.say(worker, "fault", "", || format!("its disk is put back to {}", disk.snapshot().view));
        self.nodes[worker].disk = Some(disk);
        true
    }

    /// Dies, and is started again with the word of a person that a part of what it held may be missing: its end, some
    /// records, or nothing at all.
    pub(super) fn salvage(&mut self, worker: Slot) -> bool {
        let id = self.nodes[worker].id;
        if self.nodes[worker].disk.as_ref().is_none_or(|disk| !disk.holds_all()) || !self.gives_up(worker) {
            return false;
        }
        let older = self.kept_disks.get(&worker).filter(|disk| disk.snapshot().node == id).cloned();
        let what = match (self.random.below(3), older) {
            (0, Some(older)) => {
                self.nodes[worker].disk = Some(older);
                "its end"
            }
            (1, _) => {
                for _ in 0..self.random.between(1, GIVEN_UP_MAX) {
                    if let Some((key, disk)) = self.some_record(worker) {
                        disk.give_up(&key);
                    }
                }
                "records"
            }
            _ => "nothing that was there",
        };
        self.say(worker, "fault", "", || format!("a part of its disk is given up: {what}"));
        self.nodes[worker].disk.iter_mut().for_each(Disk::salvage);
        true
    }

    /// A worker without which the others can go on dies, and will not hold what it held.
    fn gives_up(&mut self, worker: Slot) -> bool {
        if !self.nodes[worker].is_up() || !self.keeps(worker) || !self.is_dispensable(worker) {
            return false;
        }
        self.crash_and_restart(worker);
        self.astray.insert(worker, false);
        true
    }

    /// One of the records on a worker's disk.
    fn some_record(&mut self, worker: Slot) -> Option<(Key, &mut Disk)> {
        let keys: Vec<Key> = self.nodes[worker].disk.as_ref()?.snapshot().records.keys().cloned().collect();
        let place = self.random.index(keys.len());
        Some((keys.into_iter().nth(place)?, self.nodes[worker].disk.as_mut()?))
    }

    /// A worker that went astray has started over; as a member it holds all again.
    pub(super) fn note_repair(&mut self, slot: Slot, record: &Record) {
        if matches!(record, Record::Sealed { standing: Standing::Learner, .. }) && self.forget_rot(slot) {
            self.coverage.saw(Sight::RottenBegan);
        }
        let (Record::Sealed { standing, .. }, Some(begun)) = (record, self.astray.get_mut(&slot)) else { return };
        match standing {
            Standing::Learner => {
                *begun = true;
                if self.nodes[slot].disk.as_ref().is_some_and(|disk| disk.snapshot().salvaged) {
                    self.coverage.saw(Sight::SalvagedBegan);
                }
            }
            Standing::Member if *begun => {
                self.astray.remove(&slot);
            }
            Standing::Member => {}
        }
    }

    /// If a client now hears that a transaction is committed for which a worker has voted since its disk was kept: no worker hears the
    /// decision, and that worker is back at once with the disk that was kept.
    pub(super) fn lose_vote(&mut self, leader: Slot, out: &mut Vec<Output>) -> bool {
        let Some((worker, before)) = &self.lost_vote else { return false };
        let told = out.iter().find_map(|output| match output {
            Output::Reply { reply: Reply::Committed { txn, .. }, .. } => Some(*txn),
            _ => None,
        });
        let now = self.nodes[*worker].disk.as_ref();
        let voted = |txn: &TxnId| now.is_some_and(|now| now.knows(*txn)) && !before.knows(*txn);
        if told.filter(voted).is_none() || leader != self.leader() {
            return false;
        }
        out.retain(|output| !matches!(output, Output::Send { message: Message::Decide { .. }, .. }));
        true
    }

    /// The rest of it, when that step is over.
    pub(super) fn put_vote_back(&mut self, leader: Slot) {
        let Some((worker, before)) = self.lost_vote.take() else { return };
        let connections: Vec<_> = self.nodes[leader].peers.values().copied().collect();
        connections.into_iter().for_each(|connection| self.sever(connection, None));
        self.say(worker, "fault", "", || "its disk is put back to before its vote".into());
        self.crash(worker);
        self.astray.insert(worker, false);
        self.nodes[worker].disk = Some(before);
        self.start(worker);
    }

    /// A log that is synced at an interval and was not closed in order may lack its end: it is set aside.
    pub(super) fn set_log_aside(&mut self, slot: Slot) {
        if self.plan.sync_every.is_some() && self.nodes[slot].disk.is_some() && !self.mistakes.has(Mistake::LogTakenUp) {
            self.coverage.saw(Sight::LogSetAside);
            let log = self.nodes[slot].disk.take().filter(Disk::holds_all);
            self.set_aside.extend(log.map(|log| (slot, log)));
            self.forget_disk(slot);
        }
    }
}
