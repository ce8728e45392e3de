//! What a worker counts beside the runtime: locks, doubts, the store. The gauges are set from the machine's own status once
//! in a while, so that nothing on the path of a transaction waits for them; every series is there from the start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};
use skein_protocol::id::TxnId;
use skein_protocol::step::{Reply, Request, WorkerStatus};
use skein_runtime::driver::Handle;
use skein_runtime::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;

use crate::exclusion::Exclusion;

/// How often the gauges are set.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// The gauges of all workers of one process.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    locks_held: IntGaugeVec,
    in_doubt: IntGaugeVec,
    in_doubt_age: GaugeVec,
    waiting: IntGaugeVec,
    reads_waiting: IntGaugeVec,
    decisions: IntGaugeVec,
    records: IntGaugeVec,
    damaged_records: IntGaugeVec,
    record_bytes: IntGaugeVec,
    memory_bytes: IntGaugeVec,
    memory_bytes_max: IntGaugeVec,
    full: IntGaugeVec,
    view_number: IntGaugeVec,
}

/// The gauges of one worker.
#[derive(Clone, Debug)]
pub struct WorkerGauges {
    locks_held: IntGauge,
    in_doubt: IntGauge,
    in_doubt_age: Gauge,
    waiting: IntGauge,
    reads_waiting: IntGauge,
    decisions: IntGauge,
    records: IntGauge,
    damaged_records: IntGauge,
    record_bytes: IntGauge,
    memory_bytes: IntGauge,
    full: IntGauge,
    view_number: IntGauge,
    /// The oldest transaction in doubt at the last look, and the look at which it was first seen to be that.
    oldest: Option<(TxnId, Instant)>,
}

impl WorkerMetrics {
    /// Registers the gauges.
    ///
    /// # Errors
    ///
    /// When they are registered there already.
    pub fn register(registry: &Registry) -> Result<Arc<Self>, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["node"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let in_doubt_age = GaugeVec::new(
            Opts::new(
                "skein_worker_in_doubt_age_seconds",
                "Time for which the oldest transaction in doubt has been seen to be so.",
            ),
            &["node"],
        )?;
        registry.register(Box::new(in_doubt_age.clone()))?;
        Ok(Arc::new(WorkerMetrics {
            locks_held: gauge("skein_worker_locks_held", "Keys and ranges that are locked.")?,
            in_doubt: gauge("skein_worker_in_doubt_transactions", "Transactions prepared here whose decision is not known.")?,
            in_doubt_age,
            waiting: gauge("skein_worker_prepares_waiting", "Prepares that wait for a lock.")?,
            reads_waiting: gauge("skein_worker_reads_waiting", "Reads that wait for a prepared transaction or a lock.")?,
            decisions: gauge("skein_worker_decisions_remembered", "Decisions remembered until every member has them.")?,
            records: gauge("skein_worker_records", "Records of the store.")?,
            damaged_records: gauge(
                "skein_worker_damaged_records",
                "Records found not to be what was written, since this replica began.",
            )?,
            record_bytes: gauge("skein_worker_record_bytes", "Bytes of keys and values of the store.")?,
            memory_bytes: gauge("skein_worker_memory_bytes", "Bytes that count against the memory bound.")?,
            memory_bytes_max: gauge("skein_worker_memory_bytes_max", "The memory bound.")?,
            full: gauge("skein_worker_memory_full", "1 if the memory is full, so that writes that need room are refused.")?,
            view_number: gauge("skein_worker_view_number", "The view that the worker was sealed for last.")?,
        }))
    }

    /// The gauges of one worker with this memory bound, all others at zero.
    #[must_use]
    pub fn node(&self, name: &str, memory_bytes_max: u64) -> WorkerGauges {
        let of = |gauge: &IntGaugeVec| gauge.with_label_values(&[name]);
        of(&self.memory_bytes_max).set(i64::try_from(memory_bytes_max).unwrap_or(i64::MAX));
        WorkerGauges {
            locks_held: of(&self.locks_held),
            in_doubt: of(&self.in_doubt),
            in_doubt_age: self.in_doubt_age.with_label_values(&[name]),
            waiting: of(&self.waiting),
            reads_waiting: of(&self.reads_waiting),
            decisions: of(&self.decisions),
            records: of(&self.records),
            damaged_records: of(&self.damaged_records),
            record_bytes: of(&self.record_bytes),
            memory_bytes: of(&self.memory_bytes),
            full: of(&self.full),
            view_number: of(&self.view_number),
            oldest: None,
        }
    }
}

impl WorkerGauges {
    /// Shows this status, as of this moment.
    pub fn show(&mut self, status: &WorkerStatus, now: Instant) {
        self.oldest = status.oldest_prepared.map(|txn| match self.oldest {
            Some((oldest, since)) if oldest == txn => (txn, since),
            _ => (txn, now),
        });
        self.in_doubt_age.set(self.oldest.map_or(0.0, |(_, since)| now.duration_since(since).as_secs_f64()));
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.locks_held, status.locks);
        set(&self.in_doubt, status.prepared);
        set(&self.waiting, status.waiting);
        set(&self.reads_waiting, status.reads_waiting);
        set(&self.decisions, status.remembered);
        set(&self.records, status.digest.records);
        set(&self.damaged_records, status.damaged);
        set(&self.record_bytes, status.digest.bytes);
        set(&self.memory_bytes, status.memory_bytes);
        self.full.set(i64::from(status.full));
        set(&self.view_number, status.view.0);
    }
}

/// Sets the gauges, and looks whether the worker is excluded, once in a while until the machine has stopped or the shutdown starts.
pub(crate) async fn poll(handle: Handle, mut gauges: WorkerGauges, exclusion: Exclusion, mut shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => {}
        }
        match handle.request(Request::Status).await {
            Ok(Reply::Worker(status)) => {
                let now = Instant::now();
                gauges.show(&status, now);
                exclusion.look(&status, now);
            }
            // Refused because too much is under way: the next look will do.
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{Incarnation, NodeId, ViewNumber};
    use skein_protocol::operation::Digest;

    #[test]
    fn every_number_of_the_status_is_shown_under_its_own_name() {
        let registry = Registry::new();
        let mut gauges = WorkerMetrics::register(&registry).unwrap().node("w", 64);
        assert!(skein_runtime::metrics::encode(&registry).contains("skein_worker_records{node=\"w\"} 0"));
        let status = WorkerStatus {
            node: NodeId(1),
            cluster: None,
            view: ViewNumber(2),
            standing: None,
            damaged: 11,
            salvaged: false,
            active: true,
            digest: Digest { records: 3, bytes: 4, sum: 0 },
            memory_bytes: 5,
            full: true,
            prepared: 6,
            oldest_prepared: Some(TxnId { incarnation: Incarnation(1), sequence: 1 }),
            waiting: 7,
            reads_waiting: 8,
            remembered: 9,
            locks: 10,
        };
        let start = Instant::now();
        gauges.show(&status, start);
        gauges.show(&status, start + Duration::from_secs(3));
        let text = skein_runtime::metrics::encode(&registry);
        for series in [
            "view_number{node=\"w\"} 2",
            "records{node=\"w\"} 3",
            "record_bytes{node=\"w\"} 4",
            "memory_bytes{node=\"w\"} 5",
            "memory_bytes_max{node=\"w\"} 64",
            "memory_full{node=\"w\"} 1",
            "in_doubt_transactions{node=\"w\"} 6",
            "in_doubt_age_seconds{node=\"w\"} 3",
            "prepares_waiting{node=\"w\"} 7",
            "reads_waiting{node=\"w\"} 8",
            "decisions_remembered{node=\"w\"} 9",
            "locks_held{node=\"w\"} 10",
            "damaged_records{node=\"w\"} 11",
        ] {
            assert!(text.contains(&format!("skein_worker_{series}")), "{series} is missing in\n{text}");
        }
        // Another one is the oldest now: the first was decided.
        let next = status.oldest_prepared.map(|txn| TxnId { sequence: 2, ..txn });
        gauges.show(&WorkerStatus { oldest_prepared: next, ..status }, start + Duration::from_secs(4));
        assert!(skein_runtime::metrics::encode(&registry).contains("skein_worker_in_doubt_age_seconds{node=\"w\"} 0\n"));
    }
}
