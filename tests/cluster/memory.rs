//! The memory bound: beyond it writes are refused with 507 and a reason, reads and deletes go on, and what deletes give back
//! can be written again.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_refuses_writes_and_nothing_else() {
    let cluster = Cluster::start(Plan { worker_flags: vec!["--memory-max", "1MiB"], ..Plan::in_memory() });
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let text = "x".repeat(100);
    let mut posts = 0;
    let refused = loop {
        posts += 1;
        assert!(posts < 20_000, "1 MiB never fills");
        let answer = client.post("/api/tweet", &json!({ "text": text })).await;
        if answer.status != 201 {
            break answer;
        }
    };
    assert_eq!(refused.status, 507, "{refused:?}");
    let problem = refused.json();
    assert!(problem["code"].is_i64() && problem["transaction"].is_null(), "{problem}");

    let tweets = client.all_tweets().await;
    assert!(tweets.len() > 1_000, "1 MiB holds more than {} tweets", tweets.len());
    for tweet in tweets.iter().take(100) {
        let path = format!("/api/tweet/{}", tweet["id"].as_str().expect("an id"));
        assert_eq!(client.get(&path).await.status, 200);
        assert_eq!(client.delete(&path).await.status, 204);
        assert_eq!(client.get(&path).await.status, 404);
    }
    client.tweet("there is room again").await;
    cluster.agreed(3).await;
}
