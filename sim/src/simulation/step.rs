//! One step of a process: an input for its machine, then all that the machine wants done, in order. A crash or a cut may fall
//! between any two of these outputs. After each step the machine's own invariants are asked, and what it wrote to its log
//! is compared with what the others wrote.

use skein_protocol::id::{NodeId, TxnId};
use skein_protocol::membership::view::{Standing, ViewRecord};
use skein_protocol::message::Message;
use skein_protocol::record::Record;
use skein_protocol::step::{Event as Published, Input, Output, Swapped, TransactionStep};

use super::checks::Violation;
use super::control::{Fate, Swap};
use super::disk::Disk;
use super::faults::{FaultKind, Sight};
use super::node::{Machine, Pending, Slot};
use super::queue::{MS, SECOND};
use super::world::{Event, World};

/// Where a crash or a cut falls within a step.
enum Point {
    Crash(usize),
    Cut(usize),
}

/// Whether a worker has taken a seal, which it reports once that is synced, or says that it does not.
fn answers_seal(output: &Output) -> bool {
    matches!(output, Output::Persist(Record::Sealed { .. }) | Output::Send { message: Message::SealRefused { .. }, .. })
}

impl World {
    /// One input, then all that the machine wants done.
    pub(crate) fn step(&mut self, slot: Slot, input: Input) {
        if self.trace.is_on() && self.nodes[slot].is_up() {
            let (at, name) = (self.now, &self.nodes[slot].name);
            self.trace.input(at, name, &input, &self.nodes);
        }
        let Some(machine) = &mut self.nodes[slot].machine else { return };
        self.moment += 1;
        self.steps += 1;
        let mut out = std::mem::take(&mut self.outputs);
        let before = self.waits.before(slot, machine, &input);
        let given = match &input {
            Input::Message { message: Message::Chunk(chunk), .. } => chunk.records.len(),
            _ => 0,
        };
        let is_seal = matches!(input, Input::Message { message: Message::Seal(_), .. });
        machine.handle(input, &mut out);
        let broken = machine.violations();
        let unanswered = is_seal && !out.iter().any(answers_seal);
        let waited = self.waits.after(slot, machine, before, &out);
        if let Machine::Worker(worker) = machine
            && worker.waiting().len() > 0
        {
            self.coverage.saw(Sight::PrepareWaited);
        }
        if let Machine::Guest(guest) = machine
            && let Some(plea) = guest.plea()
        {
            self.plead(plea);
        }
        let stores = |output: &Output| matches!(output, Output::Persist(Record::Copied { .. }));
        if let Some(Output::Persist(Record::Copied { records, .. })) = out.iter().find(|output| stores(output))
            && records.len() < given
        {
            self.coverage.saw(Sight::ChunkOvertaken);
        }
        match waited {
            Ok(true) => self.coverage.saw(Sight::ReadWaited),
            Ok(false) => {}
            Err(violation) => self.violate(violation),
        }
        if unanswered {
            let name = self.nodes[slot].name.clone();
            self.violate(Violation::new("leaders", format!("{name} neither takes a seal nor refuses it")));
        }
        if let Some(name) = broken.first() {
            let name = *name;
            let node = self.nodes[slot].name.clone();
            self.violate(Violation::new("invariants", format!("{node} breaks {name}")));
        }
        self.note_limits(slot, &out);
        self.perform(slot, out);
    }

    /// A coordinator that is gone, or new, is a reason for a view change.
    pub(super) fn plead_for_guest(&mut self) {
        let view = self.ledger.views.last().map(|active| active.view.number).unwrap_or_default();
        self.plead(Message::InDoubt { view });
    }

    /// The leader is asked for a view change, over a way of its own.
    pub(crate) fn plead(&mut self, plea: Message) {
        let (leader, wait) = (self.leader(), self.random.between(self.plan.latency.0, self.plan.latency.1));
        let life = self.nodes[leader].life;
        self.queue.push(self.now + wait, Event::Within(leader, life, Pending::Plea(NodeId(0), plea)));
    }

    fn point(&mut self, slot: Slot, outputs: usize) -> Option<Point> {
        if !self.danger || outputs == 0 {
            return None;
        }
        self.steps_to_point -= 1;
        if self.steps_to_point > 0 {
            return None;
        }
        self.steps_to_point = self.plan.point_interval.map_or(u64::MAX, |interval| self.random.between(1, 2 * interval));
        let place = self.random.index(outputs + 1);
        if self.random.chance(400) {
            return Some(Point::Cut(place));
        }
        self.may_crash(slot).then_some(Point::Crash(place))
    }

    pub(super) fn perform(&mut self, slot: Slot, mut out: Vec<Output>) {
        let vote_lost = self.lose_vote(slot, &mut out);
        let point = self.point(slot, out.len());
        let mut records = 0;
        for (place, output) in out.drain(..).enumerate() {
            match point {
                Some(Point::Crash(at)) if at == place => break,
                Some(Point::Cut(at)) if at == place => self.cut_within(slot),
                _ => {}
            }
            self.perform_one(slot, output, &mut records);
        }
        self.outputs = out;
        if self.has_halted(slot) {
            self.crash(slot);
            return;
        }
        if vote_lost {
            self.put_vote_back(slot);
            return;
        }
        if std::mem::take(&mut self.dies_after_step) && self.may_crash(slot) {
            self.crash_and_restart(slot);
            return;
        }
        if let Some(Point::Crash(_)) = point {
            self.coverage.saw(Sight::CrashWithinStep);
            self.crash_and_restart(slot);
            return;
        }
        if records > 0 {
            self.appended(slot, records);
        }
    }

    pub(super) fn perform_one(&mut self, slot: Slot, output: Output, records: &mut u32) {
        match output {
            Output::Persist(record) => {
                self.say(slot, "log", "", || super::trace::record(&record));
                *records += 1;
                self.note_learning(slot, &record);
                self.note_repair(slot, &record);
                let node = &mut self.nodes[slot];
                if self.awaits_era {
                    // What is given up is not held against what was.
                    node.progress.fold(&record);
                } else if let Err(violation) = self.ledger.recorded(&record, &mut node.progress) {
                    self.violate(violation);
                }
                match (&mut self.nodes[slot].disk, record) {
                    (Some(disk), record) => disk.append(record),
                    (None, Record::Aborted { txn, .. }) => self.aborted(slot, vec![txn]),
                    (None, _) => {}
                }
            }
            Output::Send { to, message } => {
                if self.trace.is_on() {
                    let (at, name) = (self.now, &self.nodes[slot].name);
                    self.trace.sent(at, name, to, &message, &self.nodes);
                }
                self.note_sent(slot, &message);
                self.aim_at(slot, to, &message);
                self.lose_seal(slot, to, &message);
                self.lose_chunk(slot, to, &message);
                if let Some(message) = self.withhold(slot, to, message) {
                    self.transmit(slot, to, message);
                }
            }
            Output::Reply { id, reply } => self.replied(id, reply),
            Output::SetTimer { timer, after_ms } => {
                let node = &mut self.nodes[slot];
                let number = node.set_timer(timer);
                let after = after_ms * MS * node.timer_percent / 100;
                self.queue.push(self.now + after, Event::Within(slot, node.life, Pending::Timer(timer, number)));
            }
            Output::CancelTimer(timer) => self.nodes[slot].cancel_timer(timer),
            Output::Swap { expected, record } => self.swap(slot, expected, record),
            Output::Disconnect { node } => {
                if let Some(connection) = self.nodes[slot].peers.get(&node).copied() {
                    let end = usize::from(self.network.connections[connection].ends[0].slot != slot);
                    self.queue.push(self.now, Event::Arrive(connection, end, Pending::Closed(connection)));
                }
            }
            Output::Roster { workers } => self.dial_only(slot, workers),
            Output::Publish(event) => self.published(slot, event),
            Output::Halt(halt) => {
                self.say(slot, "halt", "", || format!("{halt:?}"));
                self.note_halt(slot, halt);
            }
        }
    }

    fn note_learning(&mut self, slot: Slot, record: &Record) {
        if self.nodes[slot].worker().is_none_or(|worker| worker.standing() != Some(Standing::Learner)) {
            return;
        }
        match record {
            Record::Committed { .. } => self.coverage.saw(Sight::LearnerWrote),
            Record::Copied { .. } => self.coverage.saw(Sight::LearnerCopied),
            _ => {}
        }
    }

    pub(super) fn note_sent(&mut self, slot: Slot, message: &Message) {
        match message {
            Message::Prepare(prepare) => {
                if let Some(trace) = &prepare.trace {
                    self.ledger.sent(prepare.txn, u32::try_from(trace.trace).expect("a call's number"));
                }
            }
            Message::SealRefused { .. } if self.astray.contains_key(&slot) => self.coverage.saw(Sight::OldDiskRefused),
            Message::Stored { copy, last: true } => self.ledger.learned(self.nodes[slot].id, *copy),
            Message::ForgetViews { before } if slot == self.leader() => {
                let current = self.ledger.views.last().is_some_and(|active| active.view.number == *before);
                if let Some(guest) = self.guest().filter(|_| current) {
                    self.queue.push(self.now + SECOND, Event::Within(guest, self.nodes[guest].life, Pending::MayForget(*before)));
                }
            }
            _ => {}
        }
    }

    /// Records were handed to a log.
    pub(super) fn appended(&mut self, slot: Slot, records: u32) {
        let life = self.nodes[slot].life;
        let early = self.plan.sync_every.and_then(|interval| Some((interval, self.nodes[slot].disk.as_mut()?.report_early()?)));
        if self.nodes[slot].disk.is_none() {
            self.queue.push(self.now, Event::Within(slot, life, Pending::Persisted(records)));
        } else if let Some((interval, records)) = early {
            self.queue.push(self.now, Event::Within(slot, life, Pending::Persisted(records)));
            self.queue.push(self.now + interval, Event::SyncDue(slot, life));
        } else {
            self.begin_sync(slot);
        }
    }

    pub(crate) fn begin_sync(&mut self, slot: Slot) {
        let usual = self.random.between(self.plan.sync.0, self.plan.sync.1);
        let node = &mut self.nodes[slot];
        if node.disk.as_mut().is_some_and(Disk::begin_sync) {
            let takes = usual * node.sync_percent / 100;
            self.queue.push(self.now + takes, Event::Synced(slot, node.life));
        }
    }

    pub(super) fn synced(&mut self, slot: Slot) {
        let life = self.nodes[slot].life;
        let Some(disk) = &mut self.nodes[slot].disk else { return };
        if disk.hung {
            self.queue.push(self.now + 20 * MS, Event::Synced(slot, life));
            return;
        }
        let records = disk.end_sync();
        let aborted = disk.take_aborted();
        self.aborted(slot, aborted);
        self.deliver(slot, Pending::Persisted(records));
        let early = self.plan.sync_every.and_then(|interval| Some((interval, self.nodes[slot].disk.as_mut()?.report_early()?)));
        match early {
            Some((interval, records)) if records > 0 => {
                self.deliver(slot, Pending::Persisted(records));
                self.queue.push(self.now + interval, Event::SyncDue(slot, life));
            }
            Some(_) => {}
            None => self.begin_sync(slot),
        }
    }

    /// These aborts are durable here.
    pub(super) fn aborted(&mut self, slot: Slot, aborted: Vec<TxnId>) {
        let node = self.nodes[slot].id;
        if self.awaits_era {
            return;
        }
        for txn in aborted {
            if let Err(violation) = self.ledger.aborted(node, txn) {
                self.violate(violation);
            }
        }
    }

    pub(super) fn swap(&mut self, slot: Slot, expected: Option<ViewRecord>, record: ViewRecord) {
        self.say(slot, "swap", "", || super::trace::view_record(&record));
        let (fate, wait) = self.fate_of_swap();
        self.control_of(slot).swap = Some(Swap { expected, record, fate });
        self.queue.push(self.now + wait, Event::SwapEffect(slot, self.nodes[slot].life));
    }

    pub(super) fn swap_fate(&mut self) -> Fate {
        let errors = self.plan.faults[FaultKind::SwapError as usize];
        if !self.danger || errors == 0 || !self.random.chance(30 * errors) {
            return Fate::Done;
        }
        self.coverage.fault(FaultKind::SwapError);
        if self.random.chance(500) {
            self.coverage.saw(Sight::SwapFailedBefore);
            Fate::FailsBefore
        } else {
            self.coverage.saw(Sight::SwapFailedAfter);
            Fate::FailsAfter
        }
    }

    pub(super) fn swap_takes_effect(&mut self, slot: Slot) -> Option<Swapped> {
        let control = self.control_of(slot);
        let active = |record: &Option<ViewRecord>| record.as_ref()?.active.as_ref().map(|active| active.view.id());
        let before = active(&control.record);
        let swapped = control.take_effect()?;
        if let Some(record) = control.record.clone() {
            self.enter_era(&record);
            let news = match self.expects_halt {
                true => self.ledger.announced(&record).map(|()| false),
                false => self.ledger.swapped(&record, before),
            };
            match news {
                Ok(true) => {
                    self.check_roster(&record);
                    self.tell_guest(record);
                }
                Ok(false) => {}
                Err(violation) => self.violate(violation),
            }
        }
        if slot == self.leader() {
            self.keep_control();
        }
        Some(swapped)
    }

    /// The guest reads every active record, in order, a little later.
    pub(super) fn tell_guest(&mut self, record: ViewRecord) {
        if let Some(guest) = self.guest() {
            let life = self.nodes[guest].life;
            self.queue.push(self.now + 2 * MS, Event::Within(guest, life, Pending::Record(Box::new(record))));
        }
    }

    pub(super) fn published(&mut self, slot: Slot, event: Published) {
        match event {
            Published::ViewPending { view, members } => {
                if self
                    .control
                    .record
                    .as_ref()
                    .is_some_and(|it| it.active.as_ref().is_some_and(|it| it.view.number.0 + 1 < view.0))
                {
                    self.coverage.saw(Sight::ViewChangeRepeated);
                }
                self.say(slot, "view", "", || format!("{view} pending {members:?}"));
            }
            Published::ViewActive { view, members, learners, committed, aborted } => {
                self.coverage.saw_many(Sight::DoubtCommitted, committed.into());
                self.coverage.saw_many(Sight::DoubtAborted, aborted.into());
                let before = self.ledger.views.len().checked_sub(2).map(|last| self.ledger.views[last].view.members().len());
                if before.is_some_and(|before| before > members.len()) {
                    self.coverage.saw(Sight::LeftOut);
                }
                self.note_learners();
                self.say(slot, "view", "", || {
                    format!("{view} active {members:?}, learners {learners:?}, {committed} committed, {aborted} aborted")
                });
            }
            Published::Suspected { node, .. } => {
                self.coverage.saw(Sight::Suspected);
                self.say(slot, "suspect", "", || format!("{node:?}"));
            }
            Published::Distrusted { node, .. } => {
                self.say(slot, "fault", "", || format!("{node:?} is not trusted"));
                if !self.has_rotted(node) {
                    self.violate(Violation::new("convergence", format!("{node:?} is not trusted, and holds what was written")));
                }
                self.hold_up_others(node);
                self.person_reads(node);
            }
            Published::NoDonor { view } => self.call_person(view),
            Published::RolledBack { node, .. } => self.accused(node),
            Published::Differ { .. } if self.differs.is_some() => self.differs = Some(true),
            Published::Differ { .. } if self.may_differ => {}
            Published::Differ { view } => {
                self.violate(Violation::new("convergence", format!("replicas are said to differ in view {view}")));
            }
            Published::Transaction { step: TransactionStep::Retried { .. }, .. } => self.coverage.saw(Sight::Retried),
            _ => {}
        }
    }
    /// What the last view says of learners, beside the one before.
    fn note_learners(&mut self) {
        let [.., before, last] = &self.ledger.views[..] else { return };
        let (members, learners) = (last.view.members(), last.view.learners());
        let seen = |node: &NodeId| self.ledger.views.iter().rev().skip(1).any(|it| it.view.participants().contains(node));
        let promoted = before.view.learners().iter().filter(|node| members.contains(node)).count();
        let sights = [
            (Sight::LearnerBegan, !learners.is_empty()),
            (Sight::LearnersBegan, learners.len() > 1),
            (Sight::NewcomerBegan, !learners.iter().all(seen)),
            (Sight::LearnerPromoted, promoted > 0),
            (Sight::CopyInterrupted, promoted < before.view.learners().len()),
            (Sight::LearnerSurvived, members.len() == 1 && self.ledger.has_once_learned(members[0])),
        ];
        sights.into_iter().filter(|(_, seen)| *seen).for_each(|(sight, _)| self.coverage.saw(sight));
    }
}
