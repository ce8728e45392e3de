//! The faults as they happen: which one is next, to whom, for how long. What would lose data that no protocol could keep is
//! left out: a worker without log dies only while another member of each view that may be needed still lives.

use skein_protocol::id::{ClusterId, Incarnation, NodeId, ViewId, ViewNumber, Writer};
use skein_protocol::membership::view::{Standing, View, ViewRecord};
use skein_protocol::message::{Message, Outcome, Seal};
use skein_protocol::step::{Input, Peer, Role};

use super::disk::Disk;
use super::faults::{FaultKind, Sight};
use super::network::SILENCE;
use super::node::{Pending, Slot};
use super::queue::{MS, SECOND, Time};
use super::world::{Event, World};

impl World {
    /// The time of a fault has come: one of those that this run has, and then the next.
    pub(crate) fn fault(&mut self) {
        if !self.danger {
            return;
        }
        let total: u64 = self.plan.faults.iter().sum();
        if total == 0 {
            return;
        }
        let next = self.random.between(1, 2 * self.plan.fault_interval);
        self.queue.push(self.now + next, Event::Fault);
        self.keep_image();
        self.keep_disk();
        let mut place = self.random.below(total);
        let kind = FaultKind::ALL.iter().copied().find(|kind| {
            let weight = self.plan.faults[*kind as usize];
            let here = place < weight;
            place = place.saturating_sub(weight);
            here
        });
        if let Some(kind) = kind
            && self.inject(kind)
        {
            self.coverage.fault(kind);
        }
    }

    /// Makes it happen; false if there was nobody to whom it could.
    fn inject(&mut self, kind: FaultKind) -> bool {
        let coordinator = self.some_coordinator();
        let worker = self.random.index(self.plan.logged.len());
        let node = self.random.index(self.nodes.len());
        let brief = self.random.magnitude(MS, 4 * SECOND);
        match kind {
            FaultKind::WorkerCrash if self.plan.logged[worker] => self.try_crash(worker),
            FaultKind::WorkerLost if !self.plan.logged[worker] => self.try_crash(worker),
            FaultKind::DiskLost => self.lose_disk(worker),
            FaultKind::CoordinatorCrash => self.try_crash(coordinator),
            FaultKind::PowerFailure => self.power_failure(),
            FaultKind::Cut | FaultKind::HalfOpen => {
                let Some(connection) = self.network.link(coordinator, worker).connection else { return false };
                let late = (kind == FaultKind::HalfOpen).then(|| self.random.index(2));
                self.say(coordinator, "cut", worker, || kind.name().into());
                self.sever(connection, late);
                true
            }
            FaultKind::PartitionOneWay => {
                let to_worker = self.random.chance(500);
                self.partition(coordinator, worker, [to_worker, !to_worker], brief)
            }
            FaultKind::PartitionBothWays => self.partition(coordinator, worker, [true, true], brief),
            FaultKind::PartitionPartial => {
                let workers: Vec<Slot> = self.workers().filter(|it| *it != worker).collect();
                for it in workers {
                    self.partition(coordinator, it, [true, true], brief);
                }
                true
            }
            FaultKind::Pause => self.pause(node, brief),
            FaultKind::Hang => {
                let lasts = self.random.between(SECOND, 12 * SECOND);
                self.hang(worker, lasts)
            }
            FaultKind::SlowNode => {
                self.nodes[node].service = self.random.magnitude(20, 5 * MS);
                self.usual_after(node, kind)
            }
            FaultKind::SlowSync => {
                self.nodes[worker].sync_percent = self.random.magnitude(300, 30_000);
                self.plan.logged[worker] && self.usual_after(worker, kind)
            }
            FaultKind::HungDisk => match &mut self.nodes[worker].disk {
                Some(disk) => {
                    disk.hung = true;
                    self.usual_after(worker, kind)
                }
                None => false,
            },
            FaultKind::SlowLink => {
                let percent = self.random.magnitude(200, 20_000);
                self.network.link(coordinator, worker).percent = percent;
                self.say(coordinator, "slow", worker, || format!("{percent} %"));
                self.queue.push(self.now + brief, Event::LinkUsual(coordinator, worker));
                true
            }
            FaultKind::SlowReceiver => {
                let rate = self.random.magnitude(1 << 17, 1 << 24);
                self.network.link(coordinator, worker).rate = Some(rate);
                self.say(coordinator, "slow", worker, || format!("{rate} bytes a second"));
                self.queue.push(self.now + brief, Event::LinkUsual(coordinator, worker));
                true
            }
            FaultKind::TimerDrift => {
                self.nodes[node].timer_percent = self.random.between(50, 200);
                self.usual_after(node, kind)
            }
            FaultKind::ClockJump => {
                let jump = i64::try_from(self.random.magnitude(MS, 3_600 * SECOND)).expect("an hour fits");
                self.clock_skew += if self.random.chance(500) { jump } else { -jump };
                true
            }
            FaultKind::Stranger => self.stranger(worker),
            FaultKind::OldDisk => self.put_disk_back(worker),
            FaultKind::Salvage => self.salvage(worker),
            FaultKind::Rot => self.rot_in_danger(worker),
            FaultKind::RosterChange => self.change_workers(),
            // It comes with the swaps.
            FaultKind::SwapError | FaultKind::WorkerCrash | FaultKind::WorkerLost => false,
        }
    }

    fn some_coordinator(&mut self) -> Slot {
        match self.guest() {
            Some(guest) if self.random.chance(300) => guest,
            _ => self.leader(),
        }
    }

    fn try_crash(&mut self, slot: Slot) -> bool {
        let may = self.nodes[slot].is_up() && self.may_crash(slot);
        if may {
            self.crash_and_restart(slot);
        }
        may
    }

    /// Dies, and is started again after a while: at once, within the grace of a view change, or much later.
    pub(crate) fn crash_and_restart(&mut self, slot: Slot) {
        self.crash(slot);
        let down = self.random.magnitude(MS, 8 * SECOND);
        self.queue.push(self.now + down, Event::Restart(slot, self.nodes[slot].life));
    }

    /// Whether a crash here loses nothing that must be kept.
    pub(crate) fn may_crash(&self, slot: Slot) -> bool {
        !self.workers().contains(&slot) || self.keeps(slot) || self.is_dispensable(slot)
    }

    /// Whether each view that may be the last active one, now or after the swap under way, has another member that lives.
    pub(crate) fn is_dispensable(&self, slot: Slot) -> bool {
        let swapping = self.control.swap.as_ref().map(|swap| &swap.record);
        let records: Vec<&ViewRecord> = self.control.record.iter().chain(swapping).collect();
        let views = |record: &ViewRecord| -> Vec<View> {
            record.active.iter().map(|active| active.view.clone()).chain(record.pending.clone()).collect()
        };
        let survivor = |node: &NodeId| {
            let same = |it: &Slot| *it != slot && self.nodes[*it].id == *node;
            self.workers().any(|it| same(&it) && self.is_sound(it))
        };
        records.into_iter().flat_map(views).all(|view| view.members().iter().any(survivor))
    }

    /// Whether it will take part again, however long that takes.
    fn is_sound(&self, worker: Slot) -> bool {
        let node = &self.nodes[worker];
        let holds_all = !self.astray.contains_key(&worker) && self.rotten != Some(worker);
        (node.is_up() || self.keeps(worker)) && !self.hung_for_good.contains(&worker) && holds_all
    }

    fn power_failure(&mut self) -> bool {
        if !self.workers().all(|worker| self.keeps(worker)) {
            return false;
        }
        for slot in 0..self.nodes.len() {
            if self.nodes[slot].is_up() {
                self.crash_and_restart(slot);
            }
        }
        true
    }

    fn partition(&mut self, coordinator: Slot, worker: Slot, directions: [bool; 2], lasts: Time) -> bool {
        let epoch = self.block(coordinator, worker, directions);
        self.say(coordinator, "part", worker, || format!("to {} back {} for {lasts}", directions[0], directions[1]));
        self.queue.push(self.now + lasts, Event::Unblock(coordinator, worker, epoch));
        true
    }

    pub(super) fn pause(&mut self, slot: Slot, lasts: Time) -> bool {
        if !self.nodes[slot].is_up() {
            return false;
        }
        self.say(slot, "pause", "", || format!("for {lasts}"));
        self.nodes[slot].awake_at = self.now + lasts;
        if lasts > SILENCE {
            // It sends no sign of life: the others take their connections to it for dead.
            let life = self.nodes[slot].life;
            for connection in 0..self.network.connections.len() {
                let ends = &self.network.connections[connection].ends;
                if let Some(end) = (0..2).find(|end| ends[*end].slot == slot && ends[*end].life == life && !ends[*end].closed) {
                    self.queue.push(self.now + SILENCE, Event::Arrive(connection, 1 - end, Pending::Closed(connection)));
                }
            }
        }
        true
    }

    /// It looks at nothing, and nobody sees that from outside.
    pub(crate) fn hang(&mut self, worker: Slot, lasts: Time) -> bool {
        if !self.nodes[worker].is_up() {
            return false;
        }
        self.say(worker, "pause", "", || format!("hangs for {lasts}"));
        self.nodes[worker].awake_at = self.now + lasts;
        self.nodes[worker].hangs = true;
        true
    }

    fn usual_after(&mut self, slot: Slot, kind: FaultKind) -> bool {
        self.say(slot, "fault", "", || kind.name().into());
        let lasts = self.random.magnitude(20 * MS, 8 * SECOND);
        self.queue.push(self.now + lasts, Event::Usual(slot, kind));
        true
    }

    /// What was slow is as usual again.
    pub(crate) fn usual(&mut self, slot: Slot, kind: FaultKind) {
        match kind {
            FaultKind::SlowNode => self.nodes[slot].service = 0,
            FaultKind::SlowSync => self.nodes[slot].sync_percent = 100,
            FaultKind::TimerDrift => self.nodes[slot].timer_percent = 100,
            FaultKind::HungDisk if !self.hung_for_good.contains(&slot) => {
                if let Some(disk) = &mut self.nodes[slot].disk {
                    disk.hung = false;
                }
            }
            _ => {}
        }
    }

    /// A coordinator of another cluster, with the same secret, tries to take a worker that belongs to this one.
    fn stranger(&mut self, worker: Slot) -> bool {
        if self.nodes[worker].worker().is_none_or(|worker| worker.cluster().is_none()) || !self.nodes[worker].inbox.is_empty() {
            return false;
        }
        let (node, cluster) = (NodeId(self.random.wide()), ClusterId(self.random.wide()));
        self.say(worker, "stranger", "", || format!("{cluster:?}"));
        self.step(
            worker,
            Input::Connected(Peer {
                node,
                role: Role::Coordinator,
                address: String::new(),
                cluster: None,
                logged: true,
                salvaged: false,
            }),
        );
        let view = ViewId { number: ViewNumber(1_000), writer: Writer { run: Incarnation(1_000), node } };
        let seal = Seal { cluster, view, standing: Standing::Member, last_active: None, outcomes: Vec::new() };
        self.deliver(worker, Pending::Stranger(node, Message::Seal(seal)));
        if self.nodes[worker].is_up() {
            self.step(worker, Input::Disconnected { node });
        }
        true
    }

    /// Faults that fall at random seldom meet the few messages that end a doubt, or make a copy. These are aimed at: the message is lost with
    /// its connection or late, or its sender dies with it, and often another worker goes for a long while as well.
    pub(crate) fn aim_at(&mut self, slot: Slot, to: NodeId, message: &Message) {
        let ends_doubt = match message {
            Message::Decide { outcome, .. } => *outcome == Outcome::Aborted,
            Message::Activate { .. } | Message::Seal(_) | Message::Sealed(_) | Message::Acknowledged { .. } => true,
            _ => false,
        };
        let copies = matches!(message, Message::Copy { .. } | Message::Chunk(_) | Message::Stored { .. });
        if !(ends_doubt || copies) || !self.danger || !self.random.chance(self.plan.aim) {
            return;
        }
        self.coverage.saw(Sight::Aimed);
        let connection = self.nodes[slot].peers.get(&to).copied();
        match (self.random.below(3), connection) {
            (0, Some(connection)) => {
                self.say(slot, "cut", "", || "aimed".into());
                self.sever(connection, None);
            }
            (1, Some(connection)) => {
                // It is late, perhaps later than what others send, and perhaps its sender is gone by then.
                let ends = &self.network.connections[connection].ends;
                let (coordinator, worker) = (ends[0].slot, ends[1].slot);
                self.network.link(coordinator, worker).percent = self.random.magnitude(5_000, 200_000);
                self.queue.push(self.now + 2 * SECOND, Event::LinkUsual(coordinator, worker));
                self.dies_after_step = self.random.chance(300);
            }
            _ => self.dies_after_step = true,
        }
        let other = self.random.index(self.plan.logged.len());
        if self.random.chance(600) && other != slot {
            // Only when this step is over: it may end with a crash itself.
            self.queue.push(self.now, Event::Leave(other, self.nodes[other].life));
        }
    }

    /// The first seal of a learner after all faults is lost with its connection. The control store takes its time meanwhile, so the
    /// learner is connected again before the view is active.
    pub(crate) fn lose_seal(&mut self, slot: Slot, to: NodeId, message: &Message) {
        let learns = matches!(message, Message::Seal(seal) if seal.standing == Standing::Learner);
        if !learns || self.danger || slot != self.leader() || !self.plan.lose_seal {
            return;
        }
        if let Some(connection) = self.nodes[slot].peers.get(&to).copied() {
            self.plan.lose_seal = false;
            self.coverage.saw(Sight::LearnerSealLost);
            self.say(slot, "cut", "", || "with a learner's seal".into());
            self.sever(connection, None);
            self.plan.swap = (300 * MS, 400 * MS);
        }
    }

    /// A worker dies for long enough to be left out.
    pub(crate) fn leave(&mut self, worker: Slot) {
        if self.danger && self.nodes[worker].is_up() && self.may_crash(worker) {
            self.crash(worker);
            let down = self.random.between(SECOND, 8 * SECOND);
            self.queue.push(self.now + down, Event::Restart(worker, self.nodes[worker].life));
        }
    }

    /// All faults end: everything is started, connected and as fast as it was. A disk that hangs for good stays so.
    pub(crate) fn heal(&mut self) {
        self.danger = false;
        self.say(self.leader(), "heal", "", || "no more faults".into());
        let (coordinators, workers) = (self.plan.logged.len()..self.nodes.len(), self.workers());
        for coordinator in coordinators {
            for worker in workers.clone() {
                let link = self.network.link(coordinator, worker);
                (link.percent, link.rate) = (100, None);
                self.unblock(coordinator, worker);
            }
        }
        for slot in 0..self.nodes.len() {
            self.awaken(slot);
            self.nodes[slot].service = 0;
            self.nodes[slot].sync_percent = 100;
            self.nodes[slot].timer_percent = 100;
            if let Some(disk) = &mut self.nodes[slot].disk {
                disk.hung = false;
            }
        }
        if self.plan.hang_disk {
            self.hang_for_good();
        }
        for slot in 0..self.nodes.len() {
            self.start(slot);
            self.wake_later(slot);
        }
    }

    /// It looks at what has arrived in the meantime.
    pub(crate) fn awaken(&mut self, slot: Slot) {
        self.nodes[slot].awake_at = self.now;
        self.nodes[slot].hangs = false;
        self.nodes[slot].waking = false;
    }

    /// One disk hangs from now on, of a worker without which the cluster can go on.
    fn hang_for_good(&mut self) {
        let Some(active) = self.control.record.as_ref().and_then(|record| record.active.as_ref()) else { return };
        let members = active.view.members();
        let may_hang = |it: &Slot| self.plan.logged[*it] && members.contains(&self.nodes[*it].id) && self.is_dispensable(*it);
        let candidates: Vec<Slot> = self.workers().filter(may_hang).collect();
        if candidates.is_empty() {
            return;
        }
        let slot = self.random.pick(&candidates);
        self.hung_for_good.push(slot);
        self.nodes[slot].disk.as_mut().map(Disk::hang);
        self.say(slot, "fault", "", || "its disk hangs for good".into());
    }
}
