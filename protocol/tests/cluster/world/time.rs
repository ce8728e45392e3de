//! What happens as time passes. Each timer of the machines goes off when a story says so, and its verb says what that means.

use super::*;

/// Rounds of housekeeping after which a client waits no longer.
pub const PATIENCE: usize = 8;

/// The timers that the coordinator has set.
#[derive(Default)]
pub struct Timers {
    /// How often each was set.
    set: BTreeMap<Timer, usize>,
    /// The milliseconds that it was set to last.
    after_ms: BTreeMap<Timer, u64>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, after_ms: u64) {
        *self.set.entry(timer).or_default() += 1;
        self.after_ms.insert(timer, after_ms);
    }

    /// How often the timer was set.
    pub fn times_set(&self, timer: Timer) -> usize {
        self.set.get(&timer).copied().unwrap_or(0)
    }

    /// The milliseconds that the timer was set to last.
    pub fn after_ms(&self, timer: Timer) -> u64 {
        self.after_ms[&timer]
    }
}

impl World {
    pub fn timeout(&mut self, timer: Timer) {
        self.input(COORDINATOR, Input::Timeout(timer));
        self.settle();
    }

    /// Members that are gone, or do not answer, are waited for no longer.
    pub fn view_change_times_out(&mut self) {
        self.timeout(Timer::ViewChange);
    }

    /// Workers that want to join have waited for one more step.
    pub fn admit(&mut self) {
        self.timeout(Timer::Join);
    }

    /// Workers join, one step after the other, while beats go out.
    pub fn admit_and_beat(&mut self, times: usize) {
        for _ in 0..times {
            self.admit();
            self.beat(1);
        }
    }

    /// The leader sends beats, and workers that are there answer.
    pub fn beat(&mut self, times: usize) {
        (0..times).for_each(|_| self.timeout(Timer::Beat));
    }

    /// The leader compares the replicas.
    pub fn compare(&mut self) {
        self.timeout(Timer::Compare);
    }

    /// What was refused is tried again.
    pub fn retry(&mut self) {
        self.timeout(Timer::Retry);
    }

    /// Rounds of the coordinator's housekeeping.
    pub fn keep_house(&mut self, times: usize) {
        (0..times).for_each(|_| self.timeout(Timer::Sweep));
    }

    /// Clients that wait by now wait no longer.
    pub fn patience_ends(&mut self) {
        self.keep_house(PATIENCE);
    }

    /// Every worker looks at a part of its records.
    pub fn scrub(&mut self) {
        for node in self.workers.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Timeout(Timer::Sweep));
        }
        self.settle();
    }

    /// A worker looks at a part of its records.
    pub fn scrub_at(&mut self, node: NodeId) {
        self.input(node, Input::Timeout(Timer::Sweep));
        self.settle();
    }

    /// Time passes: workers look at their records, beats go out, and workers join.
    pub fn let_time_pass(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.scrub();
            self.beat(1);
            self.admit();
        }
    }

    /// A worker has held something prepared for too long, and says so.
    pub fn report_doubt(&mut self, node: NodeId) {
        let view = self.active_view();
        self.hear(COORDINATOR, node, Message::InDoubt { view });
    }
}
