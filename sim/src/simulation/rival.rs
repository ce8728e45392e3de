//! A second leader: in calm, somebody starts a coordinator from a copy of the control store, a current or a slightly older one, while
//! the first coordinator runs or starts. Each reaches all workers or some of them, and at least one worker hears both. In every case
//! there is one history: no view becomes active that does not follow the last one, whichever coordinator announced it. The conflict
//! is also noticed soon: of two runs one ends, and of two coordinators with the same run both end. Then an operator starts the one with
//! the newest directory, and all is as before.

use std::collections::BTreeMap;

use skein_protocol::id::{Incarnation, ViewId};
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::{Halt, Role};

use super::checks::Violation;
use super::control::Control;
use super::faults::Sight;
use super::node::{Node, Slot};
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::random::Random;
use super::world::{Event, World};

/// Control stores that are kept to be copied later, at the most.
const KEPT_MAX: usize = 6;

/// Within this those have ended that must: a start's grace, a few beats and answers, and an attempt at a view.
const END_MAX: Time = 12 * SECOND;

/// Calls that clients make meanwhile, at the most.
const CALLS: u32 = 200;

/// What there is of a second leader.
#[derive(Default)]
pub(crate) struct Rivalry {
    /// The control store as it was after the last swaps, the latest last.
    kept: Vec<Control>,
    /// The second leader and its control store, while there is one.
    rival: Option<(Slot, Control)>,
    /// The coordinators that have ended, and why.
    halts: BTreeMap<Slot, Halt>,
}

impl Rivalry {
    /// A second coordinator is about to lead, or to try, with this control store.
    pub(super) fn begin(&mut self, rival: Slot, control: Control) {
        self.rival = Some((rival, control));
    }

    /// There is no second one any more. Gives those that have ended meanwhile, and why.
    pub(super) fn end(&mut self) -> BTreeMap<Slot, Halt> {
        self.rival = None;
        std::mem::take(&mut self.halts)
    }
}

impl World {
    /// The control store of a coordinator that leads.
    pub(crate) fn control_of(&mut self, slot: Slot) -> &mut Control {
        match &mut self.rivalry.rival {
            Some((rival, control)) if *rival == slot => control,
            _ => &mut self.control,
        }
    }

    /// Whether this coordinator leads: the guest does not.
    pub(crate) fn leads(&self, slot: Slot) -> bool {
        slot == self.leader() || self.rival() == Some(slot)
    }

    /// The second leader, while there is one.
    pub(crate) fn rival(&self) -> Option<Slot> {
        self.rivalry.rival.as_ref().map(|(slot, _)| *slot)
    }

    /// Keeps the control store as it is, in runs in which somebody copies it later.
    pub(crate) fn keep_control(&mut self) {
        if self.plan.second_leader {
            self.rivalry.kept.push(self.control.copy());
            if self.rivalry.kept.len() > KEPT_MAX {
                self.rivalry.kept.remove(0);
            }
        }
    }

    /// A coordinator has ended. With a second leader that may be right; the process is gone when its step is over.
    pub(crate) fn note_halt(&mut self, slot: Slot, halt: Halt) {
        if self.rivalry.rival.is_some() {
            self.rivalry.halts.insert(slot, halt);
        } else {
            self.halted = Some(halt);
        }
    }

    /// Whether this process has ended with the step that it made.
    pub(crate) fn has_halted(&self, slot: Slot) -> bool {
        self.rivalry.halts.contains_key(&slot)
    }

    pub(super) fn second_leader(&mut self) -> Result<(), Violation> {
        if !self.plan.second_leader || self.plan.crowd.is_some() || !self.hung_for_good.is_empty() {
            return Ok(());
        }
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        let mut random = self.random.sub("what a second leader has");
        let (leader, rival) = (self.leader(), self.nodes.len());
        let newest = self.rivalry.kept.len().saturating_sub(1);
        // What is copied while a view is announced is the last store but one: its next number is unused.
        let place = match random.below(3) {
            0 => newest,
            1 => newest.saturating_sub(1),
            _ => random.index(newest + 1),
        };
        let mut control = self.rivalry.kept.get(place).map_or_else(|| self.control.copy(), Control::copy);
        let again = random.chance(400);
        if again && random.chance(700) {
            // Both begin with what is there now, so both get the same run.
            control = self.control.copy();
        }
        self.nodes.push(Node::new(Role::Coordinator, "r".into()));
        self.rivalry.begin(rival, control);
        self.divide(&mut random);
        self.writes_only = true;
        self.calls_max = self.oracle.next() + CALLS;
        if again {
            self.crash(leader);
            self.start(leader);
        }
        self.wake_clients();
        // At any moment of a view change, if one of them has to make one.
        let wait = random.magnitude(MS, 4 * SECOND);
        self.until(self.now + if again { wait / 64 } else { wait }, |_| false);
        if self.violation.is_none() {
            self.start(rival);
        }
        let runs = [leader, rival].map(|slot| self.run_of(slot));
        // One that knows less than the workers ends alone, whatever its run is.
        let active = [leader, rival].map(|slot| self.active_of(slot));
        let shared = runs[0].is_some() && runs[0] == runs[1] && active[0] == active[1];
        let needed = if shared { 2 } else { 1 };
        let begun = self.now;
        self.until(begun + END_MAX, |world| world.rivalry.halts.len() >= needed);
        // A coordinator that hears of it a beat later ends a beat later.
        self.until(self.now + SECOND, |_| false);
        let ended = self.rivalry.halts.len();
        // Or it finds no member of the last view that it knows, and never leads.
        let never_led = !shared && self.nodes[rival].coordinator().is_none_or(|rival| !rival.leader().is_steady());
        if self.violation.is_none() && ended < needed && !never_led {
            let detail = format!("of two leaders, of the runs {runs:?}, {ended} have ended after {} s", END_MAX / SECOND);
            return Err(Violation::new("leaders", detail));
        }
        self.coverage.saw(if shared { Sight::SharedRun } else { Sight::SecondLeader });
        self.keep_one();
        self.writes_only = false;
        self.recover()
    }

    /// The last active view that a coordinator knows.
    fn active_of(&self, slot: Slot) -> Option<ViewId> {
        self.nodes[slot].coordinator().and_then(|coordinator| coordinator.leader().active()).map(|active| active.view.id())
    }

    /// The run of a coordinator that is up, or would be.
    fn run_of(&self, slot: Slot) -> Option<Incarnation> {
        self.nodes[slot].coordinator().map(|coordinator| coordinator.leader().writer().run)
    }

    /// Each of the two leaders reaches all workers or some, and at least one worker is reached by both.
    fn divide(&mut self, random: &mut Random) {
        let (leader, rival) = (self.leader(), self.nodes.len() - 1);
        let both = random.index(self.plan.logged.len());
        for slot in [leader, rival] {
            let all = random.chance(400);
            for worker in self.workers() {
                if !all && worker != both && random.chance(500) {
                    self.block(slot, worker, [true, true]);
                }
            }
        }
    }

    /// The operator keeps the directory that was written last, and starts one coordinator with it.
    fn keep_one(&mut self) {
        let leader = self.leader();
        let Some((rival, control)) = self.rivalry.rival.take() else { return };
        let written = |control: &Control| {
            let record = control.record.as_ref();
            let active = record.and_then(|record| record.active.as_ref()).map(|active| active.view.number);
            (active, record.map(ViewRecord::number))
        };
        let taken_over = written(&control) > written(&self.control);
        self.say(leader, "heal", "", || format!("one is kept; the second has taken over {taken_over}"));
        self.crash(rival);
        self.crash(leader);
        self.rivalry.halts.clear();
        // One that begins with a run that the other one had ends once more, and is started again.
        let runs = self.control.runs().max(control.runs());
        if taken_over {
            self.control = control;
            self.coverage.saw(Sight::TakenOver);
        }
        self.control.pass_over(runs);
        self.queue.push(self.now, Event::Restart(leader, self.nodes[leader].life));
        for worker in self.workers() {
            self.unblock(leader, worker);
        }
    }
}
