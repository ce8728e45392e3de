//! What the runtime counts: driver, transport, log and invariants. Names and units follow Prometheus; every series carries
//! the label `node`, since several nodes may share a process, and is there from the start, so that zero can be seen. The
//! counters that a node needs are looked up once, in [`RuntimeMetrics::node`]; counting is one atomic addition.

use std::sync::Arc;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::http::places::{Bound, Kind};
use crate::phases::PHASES;
use crate::transport::{Direction, Fault, FrameKind};

/// What happens to the membership, as labels.
pub(crate) const MEMBERSHIP_EVENTS: [&str; 6] =
    ["suspected", "left_out", "not_taken", "rolled_back", "started_empty", "curtailed"];

/// The runtime's metrics of one process.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    queue_length: IntGaugeVec,
    queue_rejected: IntCounterVec,
    inputs: IntCounterVec,
    batches: IntCounterVec,
    sync_duration: HistogramVec,
    phase_duration: HistogramVec,
    membership_events: IntCounterVec,
    appended_bytes: IntCounterVec,
    appended_records: IntCounterVec,
    frames: IntCounterVec,
    messages: IntCounterVec,
    bytes: IntCounterVec,
    faults: IntCounterVec,
    reconnects: IntCounterVec,
    connections: IntGaugeVec,
    overflows: IntCounterVec,
    violations: IntCounterVec,
    http_connections: IntGaugeVec,
    http_without_place: IntCounterVec,
}

/// The metrics of one node's HTTP server.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    connections: [IntGauge; 2],
    without_place: [IntCounter; 2],
}

/// A connection that is counted.
pub(crate) struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The metrics of one node.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    /// Inputs that the driver took with its last batch.
    pub queue_length: IntGauge,
    /// Requests refused because the driver's queue was full.
    pub queue_rejected: IntCounter,
    /// Inputs handled.
    pub inputs: IntCounter,
    /// Batches handled.
    pub batches: IntCounter,
    /// Seconds that each sync of the log took.
    pub sync_duration: Histogram,
    /// Bytes of records appended to the log.
    pub appended_bytes: IntCounter,
    /// Records appended to the log.
    pub appended_records: IntCounter,
    /// Connections that stand, both ends having proved that they know the secret.
    pub connections: IntGauge,
    /// Connections closed because their peer didn't take what was sent to it.
    pub overflows: IntCounter,
    messages: [IntCounter; 2],
    bytes: [IntCounter; 2],
    frames: [[IntCounter; 4]; 2],
    faults: [IntCounter; Fault::ALL.len()],
    reconnects: IntCounterVec,
    violations: IntCounterVec,
    phase_duration: HistogramVec,
    membership_events: IntCounterVec,
    name: Arc<str>,
}

impl RuntimeMetrics {
    /// Registers the metrics, and `skein_build_info` with these two labels.
    pub fn register(registry: &Registry, version: &str, revision: &str) -> Result<Arc<Self>, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let node = &["node"];
        let sync_duration = HistogramVec::new(
            HistogramOpts::new("skein_wal_sync_duration_seconds", "Time that one sync of the log took.")
                .buckets(prometheus::exponential_buckets(0.000_05, 2.0, 16)?),
            node,
        )?;
        registry.register(Box::new(sync_duration.clone()))?;
        let phase_duration = HistogramVec::new(
            HistogramOpts::new(
                "skein_coordinator_commit_phase_duration_seconds",
                "Time from the prepares to the last vote needed (prepare), and from there to the last acknowledgement of the \
                 decision (commit, abort).",
            )
            .buckets(prometheus::exponential_buckets(0.000_1, 2.0, 16)?),
            &["node", "phase"],
        )?;
        registry.register(Box::new(phase_duration.clone()))?;
        let info = gauge("skein_build_info", "The build that runs; always 1.", &["version", "revision"])?;
        info.with_label_values(&[version, revision]).set(1);
        Ok(Arc::new(RuntimeMetrics {
            queue_length: gauge("skein_driver_queue_length", "Inputs that the driver took with its last batch.", node)?,
            queue_rejected: counter(
                "skein_driver_queue_rejected_total",
                "Requests refused at once because the driver's queue was full.",
                node,
            )?,
            inputs: counter("skein_driver_inputs_total", "Inputs that the driver gave to its machine.", node)?,
            batches: counter("skein_driver_batches_total", "Batches in which the driver took its inputs.", node)?,
            sync_duration,
            phase_duration,
            membership_events: counter(
                "skein_membership_events_total",
                "Times that a worker was suspected because it left beats unanswered (suspected), that one was left out of a view \
                 (left_out), that one was not taken in (not_taken), that a log turned out to be put back to an older state \
                 (rolled_back), and that the cluster began empty because all records were gone (started_empty), or went on with less than was acknowledged because a person has \
                 said so (curtailed).",
                &["node", "event"],
            )?,
            appended_bytes: counter("skein_wal_appended_bytes_total", "Bytes of records appended to the log.", node)?,
            appended_records: counter("skein_wal_appended_records_total", "Records appended to the log.", node)?,
            frames: counter(
                "skein_transport_frames_total",
                "Frames sent (out) and received (in), those with messages and those that only keep the connection alive.",
                &["node", "direction", "kind"],
            )?,
            messages: counter("skein_transport_messages_total", "Messages sent and received.", &["node", "direction"])?,
            bytes: counter("skein_transport_bytes_total", "Bytes sent and received, headers included.", &["node", "direction"])?,
            faults: counter(
                "skein_transport_faults_total",
                "Connections closed because of what the other end did, by kind.",
                &["node", "kind"],
            )?,
            reconnects: counter("skein_transport_reconnects_total", "Connections made again to a peer.", &["node", "peer"])?,
            connections: gauge("skein_transport_connections", "Connections that stand.", node)?,
            overflows: counter(
                "skein_transport_overflows_total",
                "Connections closed because the peer did not take what was sent to it.",
                node,
            )?,
            violations: counter(
                "skein_invariant_violations_total",
                "Times that an invariant of the protocol was found broken.",
                &["node", "id"],
            )?,
            http_connections: gauge(
                "skein_http_connections",
                "HTTP connections that stand: those with a regular place, and those in the reserve that is kept for probes.",
                &["node", "place"],
            )?,
            http_without_place: counter(
                "skein_http_connections_refused_total",
                "HTTP connections that got no regular place, because as many stood as may, of all or of their address.",
                &["node", "bound"],
            )?,
        }))
    }

    /// The metrics of one node's HTTP server, all series made.
    #[must_use]
    pub fn http(&self, name: &str) -> HttpMetrics {
        HttpMetrics {
            connections: ["regular", "reserve"].map(|place| self.http_connections.with_label_values(&[name, place])),
            without_place: ["all", "address"].map(|bound| self.http_without_place.with_label_values(&[name, bound])),
        }
    }

    /// The metrics of one node, all series made.
    #[must_use]
    pub fn node(&self, name: &str) -> NodeMetrics {
        let directions = [Direction::In, Direction::Out];
        let by_direction = |counter: &IntCounterVec| directions.map(|d| counter.with_label_values(&[name, d.label()]));
        let kinds = [FrameKind::Messages, FrameKind::Heartbeat, FrameKind::Part, FrameKind::LastPart];
        NodeMetrics {
            queue_length: self.queue_length.with_label_values(&[name]),
            queue_rejected: self.queue_rejected.with_label_values(&[name]),
            inputs: self.inputs.with_label_values(&[name]),
            batches: self.batches.with_label_values(&[name]),
            sync_duration: self.sync_duration.with_label_values(&[name]),
            appended_bytes: self.appended_bytes.with_label_values(&[name]),
            appended_records: self.appended_records.with_label_values(&[name]),
            connections: self.connections.with_label_values(&[name]),
            overflows: self.overflows.with_label_values(&[name]),
            messages: by_direction(&self.messages),
            bytes: by_direction(&self.bytes),
            frames: directions.map(|d| kinds.map(|kind| self.frames.with_label_values(&[name, d.label(), kind.label()]))),
            faults: Fault::ALL.map(|fault| self.faults.with_label_values(&[name, fault.label()])),
            reconnects: self.reconnects.clone(),
            violations: self.violations.clone(),
            phase_duration: self.phase_duration.clone(),
            membership_events: self.membership_events.clone(),
            name: name.into(),
        }
    }
}

impl HttpMetrics {
    /// One more connection of this kind stands until what is returned is dropped.
    pub(crate) fn connected(&self, kind: Kind) -> Counted {
        let gauge = &self.connections[usize::from(kind == Kind::Reserve)];
        gauge.inc();
        Counted(gauge.clone())
    }

    /// A connection got no regular place.
    pub(crate) fn without_place(&self, bound: Bound) {
        self.without_place[usize::from(bound == Bound::Address)].inc();
    }
}

impl NodeMetrics {
    /// The name of the node, as in the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One frame of so many bytes, header included, went by.
    pub fn frame(&self, direction: Direction, kind: FrameKind, bytes: usize) {
        self.frames[direction as usize][kind as usize].inc();
        self.bytes[direction as usize].inc_by(bytes as u64);
    }

    /// So many frames with messages went by, of so many bytes together, headers included.
    pub fn frames(&self, direction: Direction, count: usize, bytes: usize) {
        self.frames[direction as usize][FrameKind::Messages as usize].inc_by(count as u64);
        self.bytes[direction as usize].inc_by(bytes as u64);
    }

    /// So many messages went by.
    pub fn messages(&self, direction: Direction, count: usize) {
        self.messages[direction as usize].inc_by(count as u64);
    }

    /// A connection was closed because of what the other end did.
    pub fn fault(&self, fault: Fault) {
        self.faults[fault as usize].inc();
    }

    /// How often connections were closed for this.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize].get()
    }

    /// Connections made again to a peer.
    #[must_use]
    pub fn reconnects(&self, peer: &str) -> IntCounter {
        self.reconnects.with_label_values(&[&*self.name, peer])
    }

    /// How long each phase of two-phase commit takes, in the order of [`PHASES`]: for a coordinator.
    pub(crate) fn phases(&self) -> [Histogram; PHASES.len()] {
        PHASES.map(|phase| self.phase_duration.with_label_values(&[&*self.name, phase]))
    }

    /// What happens to the membership, in the order of [`MEMBERSHIP_EVENTS`]: for a coordinator.
    pub(crate) fn membership_events(&self) -> [IntCounter; MEMBERSHIP_EVENTS.len()] {
        MEMBERSHIP_EVENTS.map(|event| self.membership_events.with_label_values(&[&*self.name, event]))
    }

    /// Times that this invariant was found broken.
    #[must_use]
    pub fn violations(&self, id: &str) -> IntCounter {
        self.violations.with_label_values(&[&*self.name, id])
    }
}

/// All metrics of a registry in Prometheus' text format.
#[must_use]
pub fn encode(registry: &Registry) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).expect("writing to memory does not fail");
    String::from_utf8(text).expect("the text format is text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_the_start() {
        let registry = Registry::new();
        let metrics = RuntimeMetrics::register(&registry, "1.2.3", "abc").unwrap();
        let node = metrics.node("w1");
        node.reconnects("127.0.0.1:1").inc_by(0);
        node.violations("R1").inc_by(0);
        assert!(!encode(&registry).contains("phase"), "a worker has no phases");
        let [_prepare, _commit, _abort] = node.phases();
        assert!(node.membership_events().iter().all(|event| event.get() == 0));
        let _http = metrics.http("w1");
        let text = encode(&registry);
        for series in [
            "skein_http_connections{node=\"w1\",place=\"reserve\"} 0",
            "skein_http_connections_refused_total{bound=\"address\",node=\"w1\"} 0",
            "skein_build_info{revision=\"abc\",version=\"1.2.3\"} 1",
            "skein_driver_queue_rejected_total{node=\"w1\"} 0",
            "skein_wal_sync_duration_seconds_count{node=\"w1\"} 0",
            "skein_coordinator_commit_phase_duration_seconds_count{node=\"w1\",phase=\"abort\"} 0",
            "skein_membership_events_total{event=\"started_empty\",node=\"w1\"} 0",
            "skein_transport_frames_total{direction=\"in\",kind=\"messages\",node=\"w1\"} 0",
            "skein_transport_faults_total{kind=\"secret\",node=\"w1\"} 0",
            "skein_transport_reconnects_total{node=\"w1\",peer=\"127.0.0.1:1\"} 0",
            "skein_invariant_violations_total{id=\"R1\",node=\"w1\"} 0",
        ] {
            assert!(text.contains(series), "{series} is missing in\n{text}");
        }
    }
}
