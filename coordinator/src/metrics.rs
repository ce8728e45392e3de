//! What a coordinator counts beside the runtime: requests, transactions, views. Names and units follow Prometheus, every
//! series carries the label `node`, and those that can be known in advance are there from the start, so that zero can be
//! seen. Gauges are set from the machine's own status once in a while, so that no transaction waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use skein_protocol::step::CoordinatorStatus;

/// The metrics of all coordinators of one process.
#[derive(Clone, Debug)]
pub struct CoordinatorMetrics {
    requests: IntCounterVec,
    request_duration: HistogramVec,
    body_bytes: IntGaugeVec,
    answer_bytes: IntGaugeVec,
    answers_refused: IntCounterVec,
    read_bytes: IntGaugeVec,
    transactions: IntCounterVec,
    transaction_duration: HistogramVec,
    in_flight: IntGaugeVec,
    in_doubt: IntGaugeVec,
    queued: IntGaugeVec,
    view_number: IntGaugeVec,
    view_changes: IntCounterVec,
    members: IntGaugeVec,
    learners: IntGaugeVec,
    records: IntGaugeVec,
    full: IntGaugeVec,
    emptied_view: IntGaugeVec,
    curtailed_view: IntGaugeVec,
    comparisons: IntCounterVec,
    differences: IntCounterVec,
    repaired: IntCounterVec,
    undecided: IntGaugeVec,
    distrusted: IntGaugeVec,
}

/// The metrics of one coordinator.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    node: Arc<str>,
    all: Arc<CoordinatorMetrics>,
    outcomes: BTreeMap<&'static str, (IntCounter, Histogram)>,
    /// Bytes of request bodies that are under way.
    pub body_bytes: IntGauge,
    in_flight: IntGauge,
    in_doubt: IntGauge,
    queued: IntGauge,
    answer_bytes: IntGauge,
    answers_refused: IntCounter,
    read_bytes: IntGauge,
    view_number: IntGauge,
    view_changes: IntCounter,
    connected: IntGauge,
    missing: IntGauge,
    learners: IntGauge,
    records_copied: IntGauge,
    records_to_copy: IntGauge,
    full: IntGauge,
    emptied_view: IntGauge,
    curtailed_view: IntGauge,
    comparisons: IntCounter,
    differences: IntCounter,
    repaired: IntCounter,
    undecided: IntGauge,
    distrusted: IntGauge,
}

/// How a transaction ended, as a label.
const OUTCOMES: [&str; 4] = ["committed", "aborted", "unknown", "refused"];

impl CoordinatorMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When they are registered there already.
    pub fn register(registry: &Registry) -> Result<Arc<Self>, prometheus::Error> {
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
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            let buckets = prometheus::exponential_buckets(0.000_25, 2.0, 16)?;
            let histogram = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let node = &["node"];
        Ok(Arc::new(CoordinatorMetrics {
            requests: counter("skein_http_requests_total", "HTTP requests answered.", &["node", "method", "route", "status"])?,
            request_duration: histogram(
                "skein_http_request_duration_seconds",
                "Time from the head of a request to its answer.",
                &["node", "route"],
            )?,
            body_bytes: gauge("skein_http_body_bytes", "Bytes of memory that request bodies under way take.", node)?,
            answer_bytes: gauge(
                "skein_http_answer_bytes",
                "Bytes of long answers that are being made or written to clients.",
                node,
            )?,
            answers_refused: counter(
                "skein_http_answers_refused_total",
                "Requests for long answers that were refused because too many bytes of them were under way.",
                node,
            )?,
            read_bytes: gauge(
                "skein_coordinator_read_bytes_reserved",
                "Bytes that are reserved for answers of workers to reads.",
                node,
            )?,
            transactions: counter(
                "skein_coordinator_transactions_total",
                "Transactions that ended for their client.",
                &["node", "outcome"],
            )?,
            transaction_duration: histogram(
                "skein_coordinator_transaction_duration_seconds",
                "Time from a transaction's request to its answer.",
                &["node", "outcome"],
            )?,
            in_flight: gauge("skein_coordinator_transactions_in_flight", "Transactions that are under way.", node)?,
            in_doubt: gauge(
                "skein_coordinator_in_doubt_transactions",
                "Transactions whose outcome waits for a view change.",
                node,
            )?,
            queued: gauge("skein_coordinator_requests_queued", "Requests that wait for a key or a view.", node)?,
            view_number: gauge("skein_membership_view_number", "The number of the active view; 0 before the first.", node)?,
            view_changes: counter("skein_membership_view_changes_total", "Times that another view was found active.", node)?,
            members: gauge(
                "skein_membership_members",
                "Members of the active view, by whether they are connected.",
                &["node", "state"],
            )?,
            learners: gauge("skein_membership_learners", "Workers that copy all records to become members.", node)?,
            records: gauge(
                "skein_membership_learner_records",
                "Records that learners have copied, and those that they have yet to copy.",
                &["node", "state"],
            )?,
            full: gauge(
                "skein_membership_members_full",
                "Members of the active view whose memory is full, so that writes that need room are refused.",
                node,
            )?,
            emptied_view: gauge(
                "skein_membership_started_empty_view",
                "The last view that began empty because all records were gone; 0 if none did.",
                node,
            )?,
            curtailed_view: gauge(
                "skein_membership_curtailed_view",
                "The last view that went on from less than was acknowledged, because a person has said so; 0 if none did.",
                node,
            )?,
            comparisons: counter("skein_comparison_runs_total", "Times that all replicas were compared.", node)?,
            differences: counter(
                "skein_comparison_differences_total",
                "Replicas found to differ from most, or to be damaged, and comparisons without a majority.",
                node,
            )?,
            repaired: counter("skein_comparison_repairs_total", "Replicas that were made anew because of a difference.", node)?,
            undecided: gauge(
                "skein_comparison_undecided",
                "1 if the last comparison found a difference and no majority; a person has to decide.",
                node,
            )?,
            distrusted: gauge("skein_comparison_distrusted", "Replicas that are not trusted, or are being made anew.", node)?,
        }))
    }

    /// The metrics of one coordinator. `routes` are the methods, routes and statuses that are known in advance.
    #[must_use]
    pub fn node<'a>(self: &Arc<Self>, node: &str, routes: impl IntoIterator<Item = &'a (String, String, u16)>) -> NodeMetrics {
        for (method, route, status) in routes {
            self.requests.with_label_values(&[node, method, route, &status.to_string()]);
            self.request_duration.with_label_values(&[node, route]);
        }
        let outcomes = OUTCOMES.map(|outcome| {
            let labels = &[node, outcome];
            (outcome, (self.transactions.with_label_values(labels), self.transaction_duration.with_label_values(labels)))
        });
        NodeMetrics {
            node: node.into(),
            all: Arc::clone(self),
            outcomes: outcomes.into(),
            body_bytes: self.body_bytes.with_label_values(&[node]),
            in_flight: self.in_flight.with_label_values(&[node]),
            in_doubt: self.in_doubt.with_label_values(&[node]),
            queued: self.queued.with_label_values(&[node]),
            answer_bytes: self.answer_bytes.with_label_values(&[node]),
            answers_refused: self.answers_refused.with_label_values(&[node]),
            read_bytes: self.read_bytes.with_label_values(&[node]),
            view_number: self.view_number.with_label_values(&[node]),
            view_changes: self.view_changes.with_label_values(&[node]),
            connected: self.members.with_label_values(&[node, "connected"]),
            missing: self.members.with_label_values(&[node, "missing"]),
            learners: self.learners.with_label_values(&[node]),
            records_copied: self.records.with_label_values(&[node, "copied"]),
            records_to_copy: self.records.with_label_values(&[node, "to_copy"]),
            full: self.full.with_label_values(&[node]),
            emptied_view: self.emptied_view.with_label_values(&[node]),
            curtailed_view: self.curtailed_view.with_label_values(&[node]),
            comparisons: self.comparisons.with_label_values(&[node]),
            differences: self.differences.with_label_values(&[node]),
            repaired: self.repaired.with_label_values(&[node]),
            undecided: self.undecided.with_label_values(&[node]),
            distrusted: self.distrusted.with_label_values(&[node]),
        }
    }
}

impl NodeMetrics {
    /// A request was answered. The labels are bounded by the caller: routes are patterns.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.all.requests.with_label_values(&[&*self.node, method, route, &status.to_string()]).inc();
        self.all.request_duration.with_label_values(&[&*self.node, route]).observe(took.as_secs_f64());
    }

    /// Bytes of long answers that are under way.
    #[must_use]
    pub fn answer_bytes(&self) -> IntGauge {
        self.answer_bytes.clone()
    }

    /// Requests for long answers that were refused.
    #[must_use]
    pub fn answers_refused(&self) -> IntCounter {
        self.answers_refused.clone()
    }

    /// A transaction ended for its client: committed, aborted, unknown or refused.
    pub fn transaction(&self, outcome: &str, took: Duration) {
        if let Some((count, duration)) = self.outcomes.get(outcome) {
            count.inc();
            duration.observe(took.as_secs_f64());
        }
    }

    /// Shows what the machine says of itself.
    pub fn set(&self, status: &CoordinatorStatus) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.in_flight.set(gauge(status.in_flight));
        self.in_doubt.set(gauge(status.in_doubt));
        self.full.set(gauge(status.full.len() as u64));
        self.queued.set(gauge(status.queued));
        self.read_bytes.set(gauge(status.read_bytes));
        // What the machine counts is counted since it started, as these are.
        let count = |counter: &IntCounter, number: u64| counter.inc_by(number.saturating_sub(counter.get()));
        let comparison = &status.comparison;
        count(&self.comparisons, comparison.compared);
        count(&self.differences, comparison.differences);
        count(&self.repaired, comparison.repaired);
        self.undecided.set(i64::from(comparison.undecided));
        self.distrusted.set(gauge(comparison.distrusted.len() as u64));
        let copied: u64 = status.copies.iter().map(|copy| copy.copied).sum();
        let total: u64 = status.copies.iter().map(|copy| copy.total).sum();
        self.records_copied.set(gauge(copied));
        self.records_to_copy.set(gauge(total.saturating_sub(copied)));
        let Some(record) = &status.record else { return };
        self.emptied_view.set(gauge(record.emptied.unwrap_or_default().0));
        self.curtailed_view.set(gauge(record.curtailed.unwrap_or_default().0));
        let Some(active) = &record.active else { return };
        self.learners.set(gauge(active.view.learners().len() as u64));
        let number = gauge(active.view.number.0);
        if self.view_number.get() != number {
            self.view_changes.inc();
        }
        self.view_number.set(number);
        let connected: BTreeSet<_> = status.connected.iter().map(|peer| peer.node).collect();
        let members = active.view.members();
        let here = members.iter().filter(|node| connected.contains(node)).count();
        self.connected.set(gauge(here as u64));
        self.missing.set(gauge((members.len() - here) as u64));
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::id::{ClusterId, NodeId, ViewNumber, Writer};
    use skein_protocol::membership::roster::Changes;
    use skein_protocol::membership::view::{ActiveView, Member, Shard, View, ViewRecord};
    use skein_protocol::step::{ComparisonStatus, CopyProgress};

    use super::*;

    #[test]
    fn what_the_machine_says_is_shown_and_zero_before() {
        let registry = Registry::new();
        let metrics = CoordinatorMetrics::register(&registry).unwrap().node("c", &[]);
        let encode = || skein_runtime::metrics::encode(&registry);
        for series in [
            "skein_membership_learners{node=\"c\"} 0",
            "skein_http_answer_bytes{node=\"c\"} 0",
            "skein_http_answers_refused_total{node=\"c\"} 0",
            "skein_membership_learner_records{node=\"c\",state=\"to_copy\"} 0",
            "skein_membership_members_full{node=\"c\"} 0",
            "skein_membership_started_empty_view{node=\"c\"} 0",
            "skein_membership_curtailed_view{node=\"c\"} 0",
            "skein_comparison_runs_total{node=\"c\"} 0",
            "skein_comparison_differences_total{node=\"c\"} 0",
            "skein_comparison_repairs_total{node=\"c\"} 0",
        ] {
            assert!(encode().contains(series), "{series} is missing in\n{}", encode());
        }
        let member = |node| Member { node: NodeId(node), address: node.to_string(), logged: false };
        let shard = Shard { members: vec![member(1), member(2)], learners: vec![member(3)] };
        let view = View { number: ViewNumber(7), writer: Writer::UNKNOWN, shards: vec![shard] };
        let record = ViewRecord {
            cluster: ClusterId(1),
            writer: Writer::UNKNOWN,
            active: Some(ActiveView { view, outcomes: Vec::new(), ended: Vec::new() }),
            pending: None,
            roster: Changes::default(),
            emptied: Some(ViewNumber(5)),
            curtailed: Some(ViewNumber(6)),
        };
        let status = CoordinatorStatus {
            record: Some(record),
            serving: true,
            full: vec![NodeId(2)],
            roster: Vec::new(),
            connected: Vec::new(),
            in_flight: 0,
            queued: 0,
            in_doubt: 0,
            stalled: false,
            reads: 0,
            read_bytes: 3_000_000,
            copies: vec![CopyProgress { learner: NodeId(3), donor: NodeId(1), copied: 4, total: 10 }],
            comparison: ComparisonStatus {
                compared: 9,
                differences: 3,
                repaired: 2,
                undecided: true,
                distrusted: vec![NodeId(3)],
            },
        };
        metrics.set(&status);
        metrics.set(&status);
        for series in [
            "skein_membership_members{node=\"c\",state=\"missing\"} 2",
            "skein_membership_learners{node=\"c\"} 1",
            "skein_coordinator_read_bytes_reserved{node=\"c\"} 3000000",
            "skein_membership_learner_records{node=\"c\",state=\"copied\"} 4",
            "skein_membership_learner_records{node=\"c\",state=\"to_copy\"} 6",
            "skein_membership_members_full{node=\"c\"} 1",
            "skein_membership_started_empty_view{node=\"c\"} 5",
            "skein_membership_curtailed_view{node=\"c\"} 6",
            "skein_comparison_runs_total{node=\"c\"} 9",
            "skein_comparison_differences_total{node=\"c\"} 3",
            "skein_comparison_repairs_total{node=\"c\"} 2",
            "skein_comparison_undecided{node=\"c\"} 1",
            "skein_comparison_distrusted{node=\"c\"} 1",
        ] {
            assert!(encode().contains(series), "{series} is missing in\n{}", encode());
        }
    }
}
