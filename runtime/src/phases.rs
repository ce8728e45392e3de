//! How long each phase of two-phase commit takes at the coordinator, from the steps that its machine publishes: `prepare` from
//! the prepares to the last vote that was waited for, `commit` from the decision until the last participant has acknowledged
//! it, `abort` likewise for what was refused. A client of a commit waits for the first, one of an abort for two. A transaction
//! that a view change settles belongs to no phase and is left out; nothing is kept for longer than it is under way.

use std::collections::BTreeMap;
use std::time::Instant;

use prometheus::Histogram;
use skein_protocol::id::TxnId;
use skein_protocol::limits;
use skein_protocol::message::Outcome;
use skein_protocol::step::{Event, TransactionStep};

/// The phases, as labels, in the order of the histograms.
pub(crate) const PHASES: [&str; 3] = ["prepare", "commit", "abort"];

const PREPARE: usize = 0;
const COMMIT: usize = 1;
const ABORT: usize = 2;

/// The transactions under way.
pub(crate) struct Phases {
    /// By phase.
    durations: [Histogram; 3],
    under_way: BTreeMap<TxnId, Phase>,
}

/// The phase that a transaction is in.
struct Phase {
    since: Instant,
    refused: bool,
    /// Participants that voted yes and have not acknowledged a decision.
    awaited: u32,
}

impl Phases {
    pub(crate) fn new(durations: [Histogram; 3]) -> Self {
        Phases { durations, under_way: BTreeMap::new() }
    }

    /// Something happened at this moment, which is asked for only if it matters.
    pub(crate) fn published(&mut self, event: &Event, now: impl Fn() -> Instant) {
        match event {
            Event::Transaction { txn, step } => self.step(*txn, *step, now),
            // What ran in earlier views is settled by this one.
            Event::ViewActive { .. } => self.under_way.clear(),
            _ => {}
        }
    }

    fn step(&mut self, txn: TxnId, step: TransactionStep, now: impl Fn() -> Instant) {
        if step == TransactionStep::Prepared {
            if self.under_way.len() >= limits::IN_FLIGHT_MAX {
                self.under_way.pop_first();
            }
            self.under_way.insert(txn, Phase { since: now(), refused: false, awaited: 0 });
            return;
        }
        let Some(phase) = self.under_way.get_mut(&txn) else { return };
        match step {
            TransactionStep::Voted { yes: true, .. } => phase.awaited += 1,
            TransactionStep::Voted { yes: false, .. } => {
                let now = now();
                self.durations[PREPARE].observe(now.duration_since(phase.since).as_secs_f64());
                (phase.since, phase.refused) = (now, true);
            }
            TransactionStep::Decided(Outcome::Committed) => {
                let now = now();
                self.durations[PREPARE].observe(now.duration_since(phase.since).as_secs_f64());
                phase.since = now;
            }
            // It is known as aborted once every participant has acknowledged that.
            TransactionStep::Decided(Outcome::Aborted) => self.end(txn, ABORT, now()),
            TransactionStep::Acknowledged { .. } if !phase.refused => {
                phase.awaited = phase.awaited.saturating_sub(1);
                if phase.awaited == 0 {
                    self.end(txn, COMMIT, now());
                }
            }
            TransactionStep::Acknowledged { .. } | TransactionStep::Prepared | TransactionStep::Retried { .. } => {}
        }
    }

    fn end(&mut self, txn: TxnId, phase: usize, now: Instant) {
        if let Some(ended) = self.under_way.remove(&txn) {
            self.durations[phase].observe(now.duration_since(ended.since).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    use prometheus::HistogramOpts;
    use skein_protocol::id::{Incarnation, NodeId, ViewNumber};

    struct World {
        phases: Phases,
        now: Cell<Instant>,
    }

    impl World {
        fn new() -> Self {
            let durations = PHASES.map(|phase| Histogram::with_opts(HistogramOpts::new(phase, phase)).unwrap());
            World { phases: Phases::new(durations), now: Cell::new(Instant::now()) }
        }

        /// These steps of one transaction, each a second after the one before.
        fn steps(&mut self, steps: &[TransactionStep]) {
            let txn = TxnId { incarnation: Incarnation(1), sequence: 1 };
            for step in steps {
                self.now.set(self.now.get() + Duration::from_secs(1));
                self.phases.published(&Event::Transaction { txn, step: *step }, || self.now.get());
            }
        }

        /// How many there were, and how many seconds they took together, by phase.
        fn seen(&self) -> [(u64, f64); 3] {
            let [prepare, commit, abort] = &self.phases.durations;
            [prepare, commit, abort].map(|histogram| (histogram.get_sample_count(), histogram.get_sample_sum().round()))
        }
    }

    fn voted(node: u128, yes: bool) -> TransactionStep {
        TransactionStep::Voted { node: NodeId(node), yes }
    }

    fn acknowledged(node: u128) -> TransactionStep {
        TransactionStep::Acknowledged { node: NodeId(node) }
    }

    #[test]
    fn a_commit_is_a_prepare_until_the_last_vote_and_then_a_commit_until_the_last_acknowledgement() {
        let mut world = World::new();
        let decided = TransactionStep::Decided(Outcome::Committed);
        world.steps(&[TransactionStep::Prepared, voted(1, true), voted(2, true), decided, acknowledged(1), acknowledged(2)]);
        assert_eq!(world.seen(), [(1, 3.0), (1, 2.0), (0, 0.0)]);
        assert!(world.phases.under_way.is_empty());
    }

    #[test]
    fn what_is_refused_is_a_prepare_until_the_refusal_and_then_an_abort() {
        let mut world = World::new();
        let decided = TransactionStep::Decided(Outcome::Aborted);
        world.steps(&[TransactionStep::Prepared, voted(1, true), voted(2, false), acknowledged(1), acknowledged(2), decided]);
        assert_eq!(world.seen(), [(1, 2.0), (0, 0.0), (1, 3.0)]);
        assert!(world.phases.under_way.is_empty());
    }

    #[test]
    fn what_a_view_change_settles_belongs_to_no_phase() {
        let mut world = World::new();
        world.steps(&[TransactionStep::Prepared, voted(1, true)]);
        let active = Event::ViewActive { view: ViewNumber(2), members: vec![], learners: vec![], committed: 1, aborted: 0 };
        world.phases.published(&active, Instant::now);
        world.steps(&[TransactionStep::Decided(Outcome::Committed), acknowledged(1)]);
        assert_eq!(world.seen(), [(0, 0.0); 3]);
    }

    #[test]
    fn no_more_is_kept_than_can_be_under_way() {
        let mut world = World::new();
        for sequence in 0..=limits::IN_FLIGHT_MAX as u64 {
            let txn = TxnId { incarnation: Incarnation(1), sequence };
            world.phases.published(&Event::Transaction { txn, step: TransactionStep::Prepared }, Instant::now);
        }
        assert_eq!(world.phases.under_way.len(), limits::IN_FLIGHT_MAX);
    }
}
