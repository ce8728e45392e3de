//! Processes die with `kill -9` while 64 people post: whatever was acknowledged is there afterwards, whatever was refused is
//! not, and the replicas hold the same. Rules R1 to R7 seen from outside.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::crowd::{Crowd, Told};
use crate::harness::client::{Client, Failure};
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::stall;
use crate::harness::wait::{until, until_promised};

const PEOPLE: usize = 64;

/// How soon writes must go on after a worker died, or the cluster said that it is ready.
const RESUME_WITHIN: Duration = Duration::from_secs(2);

/// How soon what was in doubt is known once the cluster is ready again.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies_and_nothing_acknowledged_is_lost() {
    stall::holds("writes go on after a worker died", RESUME_WITHIN, a_worker_dies).await;
}

/// Says how soon writes went on.
async fn a_worker_dies() -> Duration {
    let mut cluster = Cluster::start(Plan::logged());
    let before = cluster.agreed(3).await;
    let crowd = Crowd::start(&cluster.url(), PEOPLE).await;
    crowd.posts(500).await;
    cluster.kill_worker(1);
    let killed = Instant::now();
    crowd.posts(1000).await;
    let verdict = crowd.stop().await;
    let resumed = verdict.resumed_after(killed);
    assert_eq!(verdict.count(|told| matches!(told, Told::Lost { .. })), 0, "the coordinator lived and answers everybody");
    verdict.hold(true).await;
    let after = cluster.agreed(2).await;
    assert!(after["view"].as_u64() > before["view"].as_u64(), "{before} {after}");
    assert_eq!(after["durability"], "logged and synced");
    resumed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_dies_and_comes_back_and_nothing_acknowledged_is_lost() {
    stall::holds("writes go on once the coordinator is ready again", RESUME_WITHIN, the_coordinator_dies).await;
}

/// Says how soon writes went on once it was ready again.
async fn the_coordinator_dies() -> Duration {
    let mut cluster = Cluster::start(Plan::logged());
    let crowd = Crowd::start(&cluster.url(), PEOPLE).await;
    crowd.posts(500).await;
    cluster.kill_coordinator();
    cluster.start_all();
    let ready = Instant::now();
    crowd.posts(500).await;
    let mut verdict = crowd.stop().await;
    let resumed = verdict.resumed_after(ready);
    assert!(verdict.count(|told| matches!(told, Told::Lost { .. })) > 0, "nothing was under way when the coordinator died");
    verdict.ask_lost_again().await;
    verdict.hold(false).await;
    cluster.agreed(3).await;
    resumed
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_dies_at_once_and_comes_back_with_all_that_was_acknowledged() {
    let mut cluster = Cluster::start(Plan::logged());
    let crowd = Crowd::start(&cluster.url(), PEOPLE).await;
    crowd.posts(500).await;
    cluster.kill_all();
    cluster.start_all();
    crowd.posts(500).await;
    let mut verdict = crowd.stop().await;
    verdict.ask_lost_again().await;
    verdict.hold(false).await;
    cluster.agreed(3).await;
    let log = cluster.worker(0).log_text();
    let recovered = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find(|line| {
        let said = |name: &str| line[name].as_u64().is_some_and(|number| number > 0);
        said("record.count") && said("record.bytes") && said("view.number") && line["transaction.prepared"].is_u64()
    });
    assert!(recovered.is_some(), "a worker says what it recovered: {log}");
}

/// A log that is synced at intervals may have lost what was acknowledged when its worker was killed, so such a worker must not
/// be taken for the one that it was; after an orderly end nothing is missing, and it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_synced_at_intervals_is_trusted_only_after_an_orderly_end() {
    let mut cluster = Cluster::start(Plan { worker_flags: vec!["--sync", "interval:50"], ..Plan::logged() });
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    client.tweet("before").await;
    assert_eq!(cluster.agreed(3).await["durability"], "logged");
    for index in 0..3 {
        cluster.worker(index).signal("TERM");
        assert_eq!(cluster.worker(index).wait().code(), Some(0));
        cluster.workers[index] = None;
    }
    cluster.start_all();
    cluster.agreed(3).await;
    client.tweet("after an orderly end").await;
    cluster.agreed(3).await;

    cluster.kill_worker(2);
    cluster.start_all();
    assert!(cluster.worker(2).log_text().contains("set aside"), "{}", cluster.worker(2).log_text());
    client.tweet("after a crash").await;
    // It comes back as somebody else, who has everything to learn.
    cluster.agreed(3).await;
    assert_eq!(client.all_tweets().await.len(), 3);
}

/// Without logs a dead worker's copy is gone for good, and with the last copy all is lost; while one lives, nothing is, and
/// others learn from it.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_copy_in_memory_is_enough() {
    let mut cluster = Cluster::start(Plan::in_memory());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    for (dead, left) in [(0, 2), (2, 1)] {
        client.tweet(&format!("with {} copies", left + 1)).await;
        cluster.kill_worker(dead);
        client.tweet(&format!("worker {dead} has died")).await;
        assert_eq!(cluster.agreed(left).await["copies"], left);
    }
    assert_eq!(client.all_tweets().await.len(), 4);
    // A worker that comes back without a log is another one: not the copy that died, but one that learns from the last.
    cluster.start_all();
    client.tweet("strangers have come").await;
    assert_eq!(cluster.agreed(3).await["copies"], 3);
    cluster.kill_worker(1);
    assert_eq!(client.all_tweets().await.len(), 5);
}

/// The coordinator stops itself when all have voted yes and before any decision leaves it: the moment at which nobody but
/// the participants together can tell how the transaction ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_coordinator_dies_between_the_votes_and_the_commits() {
    let mut cluster = Cluster::start(Plan::logged());
    let url = cluster.url();
    let mut client = Client::logged_in(&url, "ada").await;
    for round in 0..6 {
        let before = client.tweet(&format!("before round {round}")).await;
        cluster.kill_coordinator();
        // The first commit of a coordinator that follows another is its own: it records what that one left.
        cluster.plan.environment.push(("SKEIN_FAIL_POINT", "after-votes:2".to_owned()));
        cluster.start_all();
        cluster.coordinator().await_log("recorded how");
        cluster.plan.environment.pop();
        let text = format!("in doubt in round {round}");
        let mut lost = Client::new(&url);
        // The session is in the store, so the login of before counts; a new one would be a transaction of its own.
        lost.share_session(&client);
        let sent = lost.send(hyper::Method::POST, "/api/tweet", &[], Some(&json!({ "text": text }))).await;
        assert_eq!(sent.err(), Some(Failure::Lost), "the coordinator was to die under this request");
        cluster.coordinator().wait();
        cluster.coordinator = None;
        // Every other time the participants die, too: what they voted for is in their logs.
        if round % 2 == 1 {
            cluster.kill_all();
        }

        cluster.start_all();
        let tweets = client.all_tweets().await;
        let there = tweets.iter().filter(|tweet| tweet["text"] == text.as_str()).count();
        // All had voted yes, and every participant is back with its log: that is all it takes to be committed.
        assert_eq!(there, 1, "{text:?}");
        assert!(tweets.iter().any(|tweet| tweet["id"] == before["id"]));
        let what = "no worker holds anything in doubt";
        until_promised(what, KNOWN_WITHIN, async || nothing_in_doubt(&mut cluster).await.then_some(())).await;
        cluster.agreed(3).await;
        let again: Vec<_> = client.all_tweets().await;
        assert_eq!(again.len(), tweets.len(), "what was there once the cluster served stays, and nothing is added");
    }
}

async fn nothing_in_doubt(cluster: &mut Cluster) -> bool {
    for index in 0..3 {
        let mut client = Client::new(cluster.worker(index).url());
        let readyz = client.get("/readyz").await.text();
        if !readyz.lines().any(|line| line == "doubt: ok, 0 transactions in doubt") {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_memory_gone_the_cluster_begins_anew_and_says_so_everywhere() {
    let mut cluster = Cluster::start(Plan { workers: 2, ..Plan::in_memory() });
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    client.tweet("held in memory alone").await;
    cluster.coordinator().announce("EVERY RECORD IS LOST");
    cluster.kill_workers(&[0, 1]);
    // One is back with nothing: the other may still live, so nothing is given up.
    cluster.start_worker(0);
    let alone = async || {
        let standing = client.get("/api/cluster").await.json();
        let is_met = standing["others"].as_array()?.iter().any(|other| other["connected"] == true);
        (is_met && standing["serving"] == false).then_some(standing)
    };
    let (standing, _) = until("the one that is back is met, and waits", Duration::from_secs(20), alone).await;
    assert_eq!(standing["started_empty_in_view"], json!(null), "{standing}");
    cluster.start_worker(1);
    let serves = async || {
        let standing = client.get("/api/cluster").await.json();
        (standing["serving"] == true).then_some(standing)
    };
    let (standing, _) = until("the cluster serves again", Duration::from_secs(20), serves).await;
    assert_eq!(standing["started_empty_in_view"], standing["view"], "{standing}");
    cluster.coordinator().await_log("EVERY RECORD IS LOST");
    // The metrics are as of a moment ago.
    let told = async || {
        let metrics = client.get("/metrics").await.text();
        let line = metrics.lines().find(|line| line.contains("started_empty_view") && !line.starts_with('#'))?;
        line.ends_with(&format!(" {}", standing["view"])).then_some(())
    };
    until("the metric names the view", Duration::from_secs(10), told).await;
    // Sessions were records, too.
    client.log_in("ada").await;
    assert!(client.all_tweets().await.is_empty());
    client.tweet("written anew").await;
    cluster.agreed(2).await;
}
