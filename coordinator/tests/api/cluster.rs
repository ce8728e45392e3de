//! What the surface tells about the cluster, and what clients notice of a worker that dies: nothing but a pause.

use serde_json::{Value, json};
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::{Cluster, eventually};

#[tokio::test]
async fn replicas_can_be_compared_at_a_common_point() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    ann.tweet("on all of them").await;
    let status = ann.get("/api/cluster").await.ok(200).json();
    assert_eq!((&status["serving"], &status["copies"], &status["view"]), (&json!(true), &json!(3), &json!(1)));
    assert_eq!((&status["durability"], &status["replicas_agree"]), (&json!("memory"), &json!(true)));
    let members = status["members"].as_array().unwrap();
    assert_eq!(members.len(), 3);
    for member in members {
        assert_eq!(member["connected"], true);
        assert_eq!(member["digest"], members[0]["digest"]);
        assert_eq!(member["records"], 3, "an account, a session and a tweet");
        assert!(member["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    assert_eq!((&status["in_doubt"], &status["pending_view"], &status["others"]), (&json!(0), &Value::Null, &json!([])));
}

#[tokio::test]
async fn a_dead_worker_is_left_out_and_nothing_is_lost() {
    let mut cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("before").await;
    cluster.kill_worker(1).await;
    let ann = std::sync::Arc::new(tokio::sync::Mutex::new(ann));
    eventually("writes are served again", || {
        let ann = ann.clone();
        async move { ann.lock().await.post("/api/tweet", json!({ "text": "after" })).await.status == 201 }
    })
    .await;
    let mut ann = ann.lock().await;
    assert_eq!(ann.get(&path).await.ok(200).json()["text"], "before");
    let status = ann.get("/api/cluster").await.ok(200).json();
    assert_eq!((&status["copies"], &status["replicas_agree"]), (&json!(2), &json!(true)));
    assert!(status["view"].as_u64().unwrap() > 1);
    let left_out = json!({ "node": null, "address": cluster.addresses[1], "connected": false, "state": "silent" });
    assert_eq!(status["others"], json!([left_out]));
    let ready = ann.get("/readyz").await.ok(200).text;
    assert!(ready.contains("members: degraded, 2 connected of 2 in the view, 3 wanted"), "{ready}");
    assert!(ready.lines().all(|line| line.contains(": ")), "{ready}");
}

#[tokio::test]
async fn the_outcome_of_a_transaction_can_be_asked_for() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let txn = ann.post("/api/tweet", json!({ "text": "x" })).await.ok(201).header("skein-transaction").to_owned();
    let mut nobody = cluster.client();
    let answer = nobody.get(&format!("/api/transactions/{txn}")).await.ok(200).json();
    assert_eq!(answer, json!({ "id": txn, "outcome": "committed" }));
    let form = json!({ "username": "ann", "name": "Ann", "email": "a@b", "password": "12345678" });
    let aborted = ann.post("/api/account", form).await;
    aborted.problem(409, 607);
    let txn = aborted.header("skein-transaction");
    assert_eq!(nobody.get(&format!("/api/transactions/{txn}")).await.ok(200).json()["outcome"], "aborted");
    for unheard in ["999-1", "1-999999999", "x", "1", "01-1", "1-1-1", "%ff"] {
        nobody.get(&format!("/api/transactions/{unheard}")).await.problem(404, 703);
    }
}

#[tokio::test]
async fn a_later_coordinator_knows_what_was_never_done_and_calls_nothing_aborted_that_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.sweep_every = std::time::Duration::from_millis(20);
    let mut cluster = Cluster::on(settings, Some(directory.path().to_owned())).await;
    let mut ann = cluster.logged_in("ann").await;
    let mut done = Vec::new();
    for number in 0..20 {
        let answer = ann.post("/api/tweet", json!({ "text": number.to_string() })).await.ok(201);
        done.push(answer.header("skein-transaction").to_owned());
    }
    let outcome = async |cluster: &Cluster, txn: &str| {
        let answer = cluster.client().get(&format!("/api/transactions/{txn}")).await;
        if answer.status == 404 { Value::Null } else { answer.ok(200).json()["outcome"].clone() }
    };
    for run in 1..4 {
        cluster.stop_coordinator().await.unwrap();
        cluster.start_coordinator().await;
        // Nobody was ever given this one, so no member has heard of it.
        let never = format!("{run}-999999");
        eventually("what was never done is known as aborted", || async { outcome(&cluster, &never).await == "aborted" }).await;
        for txn in &done {
            assert_ne!(outcome(&cluster, txn).await, "aborted", "{txn} was acknowledged");
        }
        assert_eq!(outcome(&cluster, &format!("{}-999999", run + 1)).await, Value::Null, "this run knows its own");
    }
}

#[tokio::test]
async fn a_coordinator_without_memory_of_the_cluster_says_what_to_do() {
    let mut cluster = Cluster::start().await;
    cluster.logged_in("ann").await.tweet("held by the workers").await;
    cluster.stop_coordinator().await.unwrap();
    // The view was in the first one's memory alone; the workers still belong to its cluster.
    let said = format!("{:#}", cluster.run_coordinator().await.unwrap_err());
    assert!(said.contains("belongs to cluster") && said.contains("--data"), "{said}");
}

#[tokio::test]
async fn without_workers_nothing_is_served_and_that_is_said() {
    let mut cluster = Cluster::with(SurfaceConfig::new(Auth::Name)).await;
    let mut ann = cluster.logged_in("ann").await;
    for worker in 0..3 {
        cluster.kill_worker(worker).await;
    }
    eventually("it is no longer ready", || async { cluster.client().get("/readyz").await.status == 503 }).await;
    let answer = ann.post("/api/tweet", json!({ "text": "nowhere to go" })).await;
    let document = answer.problem(503, 716);
    assert!(document.get("transaction").is_none());
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    ann.get("/livez").await.ok(200);
    let status = ann.get("/api/cluster").await.ok(200).json();
    assert_eq!((&status["serving"], &status["replicas_agree"]), (&json!(false), &Value::Null));
}
