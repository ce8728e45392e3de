//! What a coordinator counts beside the runtime: requests, transactions, views. Names and units follow Prometheus, every
//! series carries the label `node`, and those that can be known in advance are there from the start, so that zero can be
//! seen. Gauges are set from the machine's own status once in a while, so that no transaction waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use skein_protocol::step::CoordinatorStatus;
use skein_runtime::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;

use crate::cluster::Cluster;

/// How often the gauges are set.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// The metrics of all coordinators of one process.
#[derive(Clone, Debug)]
pub struct CoordinatorMetrics {
    requests: IntCounterVec,
    request_duration: HistogramVec,
    transactions: IntCounterVec,
    transaction_duration: HistogramVec,
    in_flight: IntGaugeVec,
    in_doubt: IntGaugeVec,
    queued: IntGaugeVec,
    view_number: IntGaugeVec,
    view_changes: IntCounterVec,
    members: IntGaugeVec,
}

/// The metrics of one coordinator.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    node: Arc<str>,
    all: Arc<CoordinatorMetrics>,
    outcomes: BTreeMap<&'static str, (IntCounter, Histogram)>,
    in_flight: IntGauge,
    in_doubt: IntGauge,
    queued: IntGauge,
    view_number: IntGauge,
    view_changes: IntCounter,
    connected: IntGauge,
    missing: IntGauge,
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
            in_flight: self.in_flight.with_label_values(&[node]),
            in_doubt: self.in_doubt.with_label_values(&[node]),
            queued: self.queued.with_label_values(&[node]),
            view_number: self.view_number.with_label_values(&[node]),
            view_changes: self.view_changes.with_label_values(&[node]),
            connected: self.members.with_label_values(&[node, "connected"]),
            missing: self.members.with_label_values(&[node, "missing"]),
        }
    }
}

impl NodeMetrics {
    /// A request was answered. The labels are bounded by the caller: routes are patterns.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.all.requests.with_label_values(&[&*self.node, method, route, &status.to_string()]).inc();
        self.all.request_duration.with_label_values(&[&*self.node, route]).observe(took.as_secs_f64());
    }

    /// A transaction ended for its client: committed, aborted, unknown or refused.
    pub fn transaction(&self, outcome: &str, took: Duration) {
        if let Some((count, duration)) = self.outcomes.get(outcome) {
            count.inc();
            duration.observe(took.as_secs_f64());
        }
    }

    fn set(&self, status: &CoordinatorStatus) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.in_flight.set(gauge(status.in_flight));
        self.in_doubt.set(gauge(status.in_doubt));
        self.queued.set(gauge(status.queued));
        let active = status.record.as_ref().and_then(|record| record.active.as_ref());
        let Some(active) = active else { return };
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

/// Sets the gauges from the machine's status until the shutdown starts.
pub async fn poll(cluster: Cluster, metrics: NodeMetrics, mut shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => {}
        }
        if let Ok(status) = cluster.status().await {
            metrics.set(&status);
        }
    }
}
