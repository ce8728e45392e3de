//! Rows that have ended are removed, and no others.

use std::time::Duration;

use hyper::Method;
use serde_json::json;
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::{Cluster, eventually};

async fn records(cluster: &Cluster) -> u64 {
    let status = cluster.client().get("/api/cluster").await.ok(200).json();
    status["members"][0]["records"].as_u64().unwrap()
}

#[tokio::test]
async fn expired_answers_give_their_room_back_and_the_rest_stays() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.idempotency_lifetime = Duration::ZERO;
    settings.limits.sweep_every = Duration::from_millis(20);
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    // More than one transaction of the sweep deletes.
    for number in 0..40 {
        let key = format!("key-{number}");
        let body = Some(json!({ "text": "x" }));
        ann.send(Method::POST, "/api/tweet", &[("idempotency-key", &key)], body).await.ok(201);
    }
    eventually("an account, a session and the tweets are left", || async { records(&cluster).await == 42 }).await;
    ann.get("/api/login").await.ok(200);
}

#[tokio::test]
async fn expired_sessions_give_their_room_back() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.session_lifetime = Duration::ZERO;
    settings.limits.sweep_every = Duration::from_millis(20);
    let cluster = Cluster::with(settings).await;
    for _ in 0..5 {
        cluster.logged_in("ann").await;
    }
    eventually("only the account is left", || async { records(&cluster).await == 1 }).await;
}
