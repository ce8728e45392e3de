//! Whether a worker is taken in by its coordinator. A worker that was left out of a view is told nothing of it until its
//! coordinator takes it back, as one that copies all records first. That takes its time: a view change, and the copies of others
//! that are under way. Each worker that takes part is sealed again whenever its connection was lost, so one that belongs to a
//! cluster, is connected, and has not been made active since it was alone, is outside. It says so after a while; and it counts
//! from looks at the machine's own status, so that nothing in the machine has to care.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus::IntGauge;
use skein_protocol::id::ViewNumber;
use skein_protocol::step::WorkerStatus;

/// How long a view change is waited for: longer than a coordinator waits for missing members when it starts.
const TAKEN_IN_WITHIN: Duration = Duration::from_secs(15);

/// What was seen of one worker so far.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Coordinators that are connected.
    connections: IntGauge,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The view when it was alone last, and whether it was active then.
    alone: Option<(ViewNumber, bool)>,
    /// Since when it is connected and not taken in.
    outside: Option<Instant>,
}

impl Exclusion {
    /// Of the worker whose connections this gauge counts.
    #[must_use]
    pub fn new(connections: IntGauge) -> Self {
        Exclusion { connections, seen: Arc::default() }
    }

    /// Takes in how it stands at this moment.
    pub fn look(&self, status: &WorkerStatus, now: Instant) {
        let mut seen = self.seen.lock().expect("no holder of this lock panics");
        if self.connections.get() == 0 {
            *seen = Seen { alone: Some((status.view, status.active)), outside: None };
            return;
        }
        let is_anew = seen.alone.is_none_or(|(view, active)| !active || status.view > view);
        if status.cluster.is_none() {
            // It belongs nowhere yet: the first view has all workers that are named, or does not begin.
            seen.outside = None;
        } else if status.active && is_anew {
            *seen = Seen::default();
        } else {
            seen.outside.get_or_insert(now);
        }
    }

    /// Whether it was outside for so long that this is no view change any more.
    #[must_use]
    pub fn is_outside(&self, now: Instant) -> bool {
        let seen = self.seen.lock().expect("no holder of this lock panics");
        seen.outside.is_some_and(|since| now.saturating_duration_since(since) > TAKEN_IN_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{ClusterId, NodeId};
    use skein_protocol::operation::Digest;

    /// Whether the worker counts as outside after it was seen to stand like this, for as long as a view change may take and
    /// longer: connections, view, active.
    fn outside(exclusion: &Exclusion, start: &mut Instant, (connections, view, active): (i64, u64, bool)) -> bool {
        let status = WorkerStatus {
            node: NodeId(1),
            cluster: (view > 0).then_some(ClusterId(2)),
            view: ViewNumber(view),
            active,
            digest: Digest::default(),
            memory_bytes: 0,
            full: false,
            prepared: 0,
            oldest_prepared: None,
            waiting: 0,
            reads_waiting: 0,
            remembered: 0,
            locks: 0,
            standing: None,
            damaged: 0,
            salvaged: false,
        };
        exclusion.connections.set(connections);
        exclusion.look(&status, *start);
        *start += TAKEN_IN_WITHIN;
        exclusion.look(&status, *start);
        assert!(!exclusion.is_outside(*start), "too early");
        *start += Duration::from_millis(1);
        exclusion.is_outside(*start)
    }

    fn walk(steps: &[((i64, u64, bool), bool)]) {
        let exclusion = Exclusion::new(IntGauge::new("connections", "of the test").unwrap());
        let mut now = Instant::now();
        for (at, (step, expected)) in steps.iter().enumerate() {
            assert_eq!(outside(&exclusion, &mut now, *step), *expected, "step {at}: {step:?}");
            // The next step begins with a look that is not outside.
            exclusion.seen.lock().unwrap().outside = None;
        }
    }

    #[test]
    fn a_new_worker_waits_for_its_first_view_without_complaint() {
        walk(&[((0, 0, false), false), ((1, 0, false), false), ((1, 1, true), false)]);
    }

    #[test]
    fn a_worker_that_comes_back_from_its_log_must_be_taken_in() {
        walk(&[((0, 1, false), false), ((1, 1, false), true), ((1, 2, true), false)]);
    }

    #[test]
    fn a_worker_that_was_cut_off_must_be_sealed_anew() {
        walk(&[((1, 1, true), false), ((0, 1, true), false), ((1, 1, true), true), ((1, 3, true), false)]);
    }

    #[test]
    fn a_worker_that_lost_its_connection_while_sealed_may_become_active_with_that_view() {
        walk(&[((1, 2, false), true), ((0, 2, false), false), ((1, 2, true), false)]);
    }
}
