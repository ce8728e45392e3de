//! What is watched and what is served are the same: each metric that the dashboard or an alert asks for is there, and each that
//! is there is explained. Whether the queries also have an answer is asked of a real Prometheus, by the container tests.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::process::Process;

// Written for the tests of whole clusters; these here use a part of it.
#[allow(dead_code)]
#[path = "../cluster/harness/mod.rs"]
mod harness;

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The metrics that a text names, without the endings that a histogram's series have.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("skein_"));
    let family = |word: &str| {
        let histogram = ["_seconds_bucket", "_seconds_count", "_seconds_sum"].iter().any(|ending| word.ends_with(ending));
        if histogram { word.rsplit_once('_').map_or(word, |(family, _)| family).to_owned() } else { word.to_owned() }
    };
    words.map(family).collect()
}

/// The metrics that a whole cluster with logs serves, one of its people having posted.
async fn served() -> (BTreeSet<String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let process = Process::start("up", &["up", "--http", "127.0.0.1:0", "--data", data], &[]);
    let mut client = Client::logged_in(process.url(), "ada").await;
    client.tweet("counted").await;
    let text = client.get("/metrics").await.text();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    (names, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_is_watched_is_served_and_every_one_that_is_served_is_explained() {
    let (served, text) = served().await;
    assert!(served.len() > 30, "{served:?}");

    let watched: BTreeSet<String> = ["ops/grafana/dashboards/overview.json", "ops/prometheus/alerts.yml"]
        .iter()
        .flat_map(|path| named_in(&file(path)))
        .collect();
    assert!(watched.len() > 15, "the dashboard and the alerts were read: {watched:?}");
    let missing: Vec<&String> = watched.difference(&served).collect();
    assert!(missing.is_empty(), "these are watched and not served: {missing:?}");

    let guide = file("docs/observability.md");
    let explained: BTreeSet<String> = guide.lines().filter(|line| line.starts_with("| `skein_")).flat_map(named_in).collect();
    let silent: Vec<&String> = served.difference(&explained).collect();
    assert!(silent.is_empty(), "these are served and docs/observability.md does not explain them: {silent:?}");
    let gone: Vec<&String> = explained.difference(&served).collect();
    assert!(gone.is_empty(), "docs/observability.md explains these and nothing serves them: {gone:?}");

    for line in text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("skein_build_info")) {
        assert!(line.contains("node=\""), "{line} does not say whose it is");
    }
}

#[test]
fn every_panel_asks_the_data_source_that_is_provisioned_and_says_what_it_shows() {
    let sources = file("ops/grafana/provisioning/datasources/skein.yaml");
    let dashboard: Value = serde_json::from_str(&file("ops/grafana/dashboards/overview.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id {}", panel["id"]);
        if panel["type"] == "row" {
            continue;
        }
        let title = panel["title"].as_str().unwrap();
        assert!(panel["description"].as_str().is_some_and(|said| said.len() > 20), "{title} does not say what it shows");
        let uid = panel["datasource"]["uid"].as_str().unwrap();
        assert!(sources.contains(&format!("uid: {uid}\n")), "{title} asks {uid}, which is not provisioned");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"], panel["datasource"], "{title}");
        }
    }
    assert!(ids.len() > 20, "{ids:?}");
    assert_eq!(dashboard["uid"], json!("skein-overview"));
}

#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let tests = file("ops/prometheus/alerts_test.yml");
    let guide = file("docs/observability.md");
    let alerts = file("ops/prometheus/alerts.yml");
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let fires = tests.contains(&format!("alertname: {name}\n        exp_alerts:\n"));
        assert!(fires, "no test sees {name} fire");
        assert!(guide.contains(&format!("**{name}**")), "docs/observability.md does not say what to do about {name}");
    }
}
