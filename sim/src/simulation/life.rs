//! The lives of processes: how one starts from what its disk or the control store holds, and what a crash leaves. A worker
//! without log comes back as somebody else; a coordinator is always somebody else.

use skein_protocol::id::{ClusterId, NodeId};
use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::record::Snapshot;
use skein_protocol::step::Role;

use super::disk::{Disk, Tail};
use super::faults::Sight;
use super::guest::Guest;
use super::ledger::Progress;
use super::mistake::Mistake;
use super::node::{Machine, Pending, Slot};
use super::queue::MS;
use super::trial::{PATIENT_SWEEPS, Trial};
use super::world::{CLUSTER, Event, World};

impl World {
    /// Starts a process, with what its disk holds.
    pub(crate) fn start(&mut self, slot: Slot) {
        if self.nodes[slot].is_up() {
            return;
        }
        let rules = self.mistakes.rules;
        let fresh = NodeId(self.random.wide());
        let (id, machine, progress) = match self.nodes[slot].role {
            Role::Worker => {
                let (snapshot, progress) = self.recovered(slot, fresh);
                let (memory_bytes_max, limits) = (self.plan.memory_bytes_max, self.plan.limits);
                let mut config = WorkerConfig { memory_bytes_max, limits, rules, ..WorkerConfig::default() };
                if self.plan.trial == Some(Trial::HungDisk) {
                    // Only beats are to show whose disk hangs.
                    config.doubt_sweeps = PATIENT_SWEEPS;
                }
                (snapshot.node, Machine::Worker(Worker::recover(config, snapshot)), progress)
            }
            Role::Coordinator if self.leads(slot) => {
                if slot == self.leader() && self.plan.renames && self.chance_afterwards.chance(500) {
                    self.rename_workers();
                }
                (fresh, Machine::Coordinator(self.coordinator(slot, fresh)), Progress::default())
            }
            Role::Coordinator => {
                let incarnation = self.control.next_incarnation();
                (fresh, Machine::Guest(Guest::new(incarnation, self.plan.window, self.plan.limits, rules)), Progress::default())
            }
        };
        self.nodes[slot].begin(id, machine, progress);
        self.say(slot, "start", "", || format!("{id:?}"));
        self.deliver(slot, Pending::Start);
        if self.nodes[slot].role == Role::Coordinator {
            let life = self.nodes[slot].life;
            for worker in self.workers() {
                let wait = self.random.below(5 * MS);
                self.queue.push(self.now + wait, Event::Dial(slot, life, worker));
            }
        }
        if Some(slot) == self.guest()
            && let Some(record) = self.control.record.clone()
        {
            self.tell_guest(record);
            self.plead_for_guest();
        }
    }

    /// A coordinator that leads, with what its control store holds.
    fn coordinator(&mut self, slot: Slot, fresh: NodeId) -> Coordinator {
        let addresses = self.workers().map(|worker| self.nodes[worker].named.clone()).collect();
        let incarnation = self.control_of(slot).next_incarnation();
        let new_cluster = if self.ledger.views.is_empty() { CLUSTER } else { ClusterId(self.random.wide()) };
        let record = self.control_of(slot).record.clone();
        let mut config = CoordinatorConfig::new(fresh, incarnation, new_cluster, addresses, record);
        config.record_outcomes = self.plan.records;
        config.window = self.plan.window;
        config.limits = self.plan.limits;
        config.request_sweeps = self.plan.request_sweeps;
        config.misses_max = self.plan.misses_max;
        config.grace_ms = self.plan.grace_ms;
        config.start_grace_ms = self.plan.start_grace_ms;
        config.answer_ms = self.plan.answer_ms;
        config.compare_ms = self.plan.compare_ms;
        config.compare_first_ms = self.plan.compare_ms.max(config.compare_first_ms);
        if (self.plan.hang_disk || self.plan.lose_seal) && self.plan.trial.is_none() {
            // Then doubts alone must show which worker is gone.
            config.misses_max = 0;
        }
        if matches!(self.plan.trial, Some(Trial::PutBack | Trial::HungDisk)) {
            // Only beats may show that a worker's disk was put back or syncs nothing; a missing acknowledgement of an abort may not.
            config.doubt_sweeps = PATIENT_SWEEPS;
        }
        config.rules = self.mistakes.rules;
        Coordinator::new(config)
    }

    pub(super) fn recovered(&mut self, slot: Slot, fresh: NodeId) -> (Snapshot, Progress) {
        let logged = self.plan.logged[slot];
        let node = &mut self.nodes[slot];
        if !logged {
            let keeps = self.mistakes.has(Mistake::IdentityKept) && node.id != NodeId(0);
            return (Snapshot::new(if keeps { node.id } else { fresh }), Progress::default());
        }
        let (mut snapshot, progress) = node.disk.get_or_insert_with(|| Disk::new(fresh)).recovered();
        if self.mistakes.has(Mistake::StampForgotten) {
            snapshot.stamp = snapshot.prepared.values().map(|prepared| prepared.age.stamp).max().unwrap_or(0);
        }
        (snapshot, progress)
    }

    /// Ends a process at once, with whatever it had not synced.
    pub(crate) fn crash(&mut self, slot: Slot) {
        if !self.nodes[slot].is_up() {
            return;
        }
        self.note_crash(slot);
        self.forget_rot(slot);
        self.abandon(slot);
        self.waits.gone(slot);
        if let Some(disk) = &mut self.nodes[slot].disk {
            let tail = disk.crash(&mut self.random);
            let aborted = disk.take_aborted();
            self.aborted(slot, aborted);
            match tail {
                Tail::Lost => self.coverage.saw(Sight::TailLost),
                Tail::Torn => self.coverage.saw(Sight::TailTorn),
                Tail::Kept | Tail::None => {}
            }
            self.say(slot, "crash", "", || format!("tail {tail:?}"));
            self.set_log_aside(slot);
        } else {
            self.say(slot, "crash", "", String::new);
        }
        self.nodes[slot].end();
        if slot == self.leader() {
            self.crash_control();
        }
        if Some(slot) == self.guest() {
            self.plead_for_guest();
        }
        if self.nodes[slot].role == Role::Coordinator {
            self.orphan_calls(slot);
            self.forget_dialed(slot);
        }
    }

    /// What of a copy under way ends with this process.
    fn note_crash(&mut self, slot: Slot) {
        let Some(active) = self.ledger.views.last() else { return };
        let (members, learners) = (active.view.members(), active.view.learners());
        let copies = |node: &NodeId| !self.ledger.has_learned(*node, active.view.number);
        if !learners.iter().any(copies) {
            return;
        }
        let id = self.nodes[slot].id;
        if slot == self.leader() {
            self.coverage.saw(Sight::LeaderDiedInCopy);
        } else if members.contains(&id) {
            self.coverage.saw(Sight::MemberDiedInCopy);
        } else if learners.contains(&id) && copies(&id) {
            self.coverage.saw(Sight::LearnerDied);
        }
    }

    /// A swap that was under way has been made, or never will be.
    pub(super) fn crash_control(&mut self) {
        if self.control.swap.is_none() {
            return;
        }
        if self.random.chance(500) {
            self.coverage.saw(Sight::SwapMadeByTheDead);
            self.swap_takes_effect(self.leader());
        } else {
            self.coverage.saw(Sight::SwapLostWithTheDead);
            self.control.swap = None;
        }
    }
}
