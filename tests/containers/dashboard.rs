//! The profiles `observe` and `load`: a real Prometheus scrapes the cluster as its file says, k6 puts load on it, and then each
//! query of each panel of the dashboard is asked and must have an answer. A trace that a client began is looked for where
//! the collector says what it took.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::wait::until_blocking;
use crate::stack::Stack;

/// Twelve scrapes: what the load left behind is within.
const WINDOW: &str = "1m";

/// How long scrapes, rules and batches of spans may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_data_of_a_cluster_under_load() {
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
        ("COLLECTOR_VERBOSITY", "detailed"),
    ];
    let stack = Stack::start(&["observe"], &settings);
    until_blocking("all four nodes are scraped", ARRIVES_WITHIN, || {
        let up = query(&stack, "sum(up{job=\"skein\"})");
        (number(&up) == Some(4.0)).then_some(())
    });

    traced_post(&stack).await;
    for script in ["smoke.js", "classic.js", "load.js"] {
        let load =
            ["run", "--rm", "--no-deps", "-T", "-e", "RATE=40", "-e", "DURATION=20s", "-e", "SLACK=10", "k6", "run", "--quiet"];
        let path = format!("/scripts/{script}");
        let done = stack.compose(&[load.as_slice(), &[path.as_str()]].concat());
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{script} failed:\n{said}");
        println!("{script}:\n{said}");
    }

    let mut silent = Vec::new();
    let targets = targets();
    assert!(targets.len() >= 20, "the dashboard was read: {targets:?}");
    for (panel, expression) in &targets {
        let answer = query(&stack, expression);
        println!("{panel}: {expression}\n    {} series, the first {:?}", answer.as_array().map_or(0, Vec::len), number(&answer));
        if number(&answer).is_none() {
            silent.push(format!("{panel}: {expression}: {answer}"));
        }
    }
    assert!(silent.is_empty(), "these show nothing:\n{}", silent.join("\n"));

    // What only load can make greater than zero.
    for busy in [
        "sum(rate(skein_coordinator_transactions_total{outcome=\"committed\"}[1m]))",
        "sum(rate(skein_coordinator_commit_phase_duration_seconds_count{phase=\"prepare\"}[1m]))",
        "sum(rate(skein_coordinator_commit_phase_duration_seconds_count{phase=\"commit\"}[1m]))",
        "min(rate(skein_wal_sync_duration_seconds_count{role=\"worker\"}[1m]))",
    ] {
        let answer = query(&stack, busy);
        assert!(number(&answer).is_some_and(|rate| rate > 0.0), "{busy}: {answer}");
    }
    assert_eq!(query(&stack, "ALERTS{alertstate=\"firing\"}"), json!([]), "a healthy cluster raises no alert");

    let rules = ["exec", "-T", "prometheus", "promtool", "test", "rules", "/etc/prometheus/alerts_test.yml"];
    stack.run(&rules);
    stack.run(&["exec", "-T", "prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml"]);
}

/// A post as part of a trace of the client's own: its id arrives at the collector, from the coordinator and the workers.
async fn traced_post(stack: &Stack) {
    let mut client = Client::new(&stack.url());
    let account = json!({ "username": "ada", "name": "Ada", "email": "ada@example.org", "password": "a long password" });
    assert_eq!(client.post("/api/account", &account).await.status, 201);
    assert_eq!(client.post("/api/login", &json!({ "username": "ada", "password": "a long password" })).await.status, 200);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let sent = client.send(Method::POST, "/api/tweet", &[("traceparent", &parent)], Some(&json!({ "text": "traced" }))).await;
    assert_eq!(sent.unwrap().status, 201);
    until_blocking("the trace has arrived at the collector", ARRIVES_WITHIN, || {
        let logs = stack.run(&["logs", "--no-color", "--no-log-prefix", "collector"]);
        let spans = ["http.request", "txn", "prepare", "commit", "wal.sync"];
        (logs.contains(TRACE) && spans.iter().all(|span| logs.contains(span))).then_some(())
    });
}

/// Asks Prometheus and gives the vector.
fn query(stack: &Stack, expression: &str) -> Value {
    let ask = ["exec", "-T", "prometheus", "promtool", "query", "instant", "--format=json", "http://127.0.0.1:9090", expression];
    let said = stack.run(&ask);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{expression}: {error}: {said}"))
}

/// The first number of a vector that is one.
fn number(vector: &Value) -> Option<f64> {
    let values = vector.as_array()?.iter().filter_map(|sample| sample["value"][1].as_str()?.parse().ok());
    values.into_iter().find(|value: &f64| value.is_finite())
}

/// Each panel's title with each of its queries, as Grafana would ask it.
fn targets() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/grafana/dashboards/overview.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut targets = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        let of_panel = panel["targets"].as_array().unwrap();
        assert!(!of_panel.is_empty(), "{title} asks nothing");
        for target in of_panel {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", WINDOW);
            targets.push((title.to_owned(), expression));
        }
    }
    targets
}
