//! The memory bound: beyond it writes are refused with 507 and a reason, reads, deletes and log-ins of existing accounts go on, and what deletes give
//! back can be written again. What *full* means is the same for the refusal, the pages, the metrics and `skein status`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET};
use crate::harness::process::run;
use crate::harness::wait::until;

/// How long a page may take to say what has changed.
const WITHIN: Duration = Duration::from_secs(30);

/// Three workers in memory that hold little.
fn small() -> Cluster {
    Cluster::start(Plan { worker_flags: vec!["--memory-max", "1MiB"], ..Plan::in_memory() })
}

/// Posts until there is no room.
async fn fill(client: &mut Client) -> Value {
    let text = "x".repeat(100);
    for _ in 0..20_000 {
        let answer = client.post("/api/tweet", &json!({ "text": text })).await;
        if answer.status != 201 {
            assert_eq!(answer.status, 507, "{answer:?}");
            return answer.json();
        }
    }
    panic!("1 MiB never fills");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_refuses_writes_and_nothing_else() {
    let cluster = small();
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let problem = fill(&mut client).await;
    assert!(problem["code"].is_i64() && problem["transaction"].is_null(), "{problem}");

    let tweets = client.all_tweets().await;
    assert!(tweets.len() > 1_000, "1 MiB holds more than {} tweets", tweets.len());
    for tweet in tweets.iter().take(500) {
        let path = format!("/api/tweet/{}", tweet["id"].as_str().expect("an id"));
        assert_eq!(client.get(&path).await.status, 200);
        assert_eq!(client.delete(&path).await.status, 204);
        assert_eq!(client.get(&path).await.status, 404);
    }
    client.tweet("there is room again").await;
    cluster.agreed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_operators_get_into_a_full_store_and_make_room_again() {
    let cluster = small();
    let url = cluster.url();
    let mut client = Client::logged_in(&url, "ada").await;
    fill(&mut client).await;
    assert_eq!(client.delete("/api/login").await.status, 204);

    // No session is left. A hundred log-ins use up nothing that others need.
    let mut others = Vec::new();
    for _ in 0..100 {
        others.push(Client::logged_in(&url, "ada").await);
    }
    let mut again = Client::logged_in(&url, "ada").await;
    let made = run(&["token", "create", "clean-up", &url, "--scope", "write"], &[("SKEIN_CLUSTER_SECRET", SECRET)]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let stranger = &mut Client::new(&url);
    let stranger = stranger.post("/api/login", &json!({ "username": "grace" })).await;
    assert_eq!(stranger.status, 507, "an account is a record like others: {stranger:?}");
    let said = stranger.json()["detail"].to_string();
    assert!(said.contains("log-ins of existing accounts go on"), "what it says is true of new names as well: {said}");

    for tweet in again.all_tweets().await.iter().take(500) {
        let path = format!("/api/tweet/{}", tweet["id"].as_str().expect("an id"));
        assert_eq!(again.delete(&path).await.status, 204);
    }
    Client::logged_in(&url, "grace").await.tweet("there is room again").await;
    cluster.agreed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_is_said_to_be_full_everywhere_for_as_long_as_it_refuses() {
    let mut cluster = small();
    let url = cluster.url();
    let mut client = Client::logged_in(&url, "ada").await;
    let mut worker = Client::new(cluster.worker(0).url());
    let said = async |client: &mut Client, worker: &mut Client| {
        let page = client.get("/readyz").await;
        let members = client.get("/api/cluster").await.json();
        let metrics = worker.get("/metrics").await.text();
        let gauge = metrics.lines().find_map(|line| line.strip_prefix("skein_worker_memory_full{")).map(str::to_owned);
        [
            page.text().contains("store: degraded, the memory of "),
            members["full"] == json!(true) && members["members"][0]["full"] == json!(true),
            worker.get("/readyz").await.text().contains("memory: degraded, full"),
            gauge.is_some_and(|line| line.ends_with("} 1")),
        ]
    };
    assert_eq!(said(&mut client, &mut worker).await, [false; 4]);
    fill(&mut client).await;
    until("full is said", WITHIN, async || (said(&mut client, &mut worker).await == [true; 4]).then_some(())).await;
    // Requests are served: only those that need room are refused.
    assert_eq!(client.get("/readyz").await.status, 200);
    let status = run(&["status", &url], &[]);
    assert!(status.code == Some(0) && status.output.contains("is full: writes that need room are refused"), "{status:?}");

    for tweet in client.all_tweets().await.iter().take(500) {
        client.delete(&format!("/api/tweet/{}", tweet["id"].as_str().expect("an id"))).await;
    }
    until("room is said", WITHIN, async || (said(&mut client, &mut worker).await == [false; 4]).then_some(())).await;
    client.tweet("there is room again").await;
}
