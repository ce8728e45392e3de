//! Signing up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use skein_coordinator::caller::attempts::Allowance;
use skein_coordinator::config::{Auth, SurfaceConfig};
use tokio::task::JoinSet;

use crate::harness::{Cluster, eventually};

fn form(username: &str) -> Value {
    json!({ "username": username, "name": "Ann Example", "email": "ann@example.org", "password": "correct horse" })
}

#[tokio::test]
async fn an_account_is_made_once_whatever_the_case() {
    let cluster = Cluster::with(SurfaceConfig::new(Auth::Password)).await;
    let mut client = cluster.client();
    let answer = client.post("/api/account", form("Ann")).await.ok(201);
    assert!(!answer.header("skein-transaction").is_empty());
    let account = answer.json();
    assert_eq!(
        (&account["username"], &account["name"], &account["email"]),
        (&json!("Ann"), &json!("Ann Example"), &json!("ann@example.org"))
    );
    assert!(!answer.text.contains("correct horse") && !answer.text.contains("argon2"));
    client.post("/api/account", form("aNN")).await.problem_in(409, 607, "username");
    client.post("/api/login", json!({ "username": "ann", "password": "correct horse" })).await.ok(200);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_form_is_said_at_once() {
    let cluster = Cluster::start().await;
    let wrong = json!({ "username": "a b", "name": "", "email": "nowhere", "password": "short" });
    let document = cluster.client().post("/api/account", wrong).await.problem(400, 606);
    let errors = document["errors"].as_array().unwrap();
    let fields: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["username", "name", "email", "password"]);
    assert!(errors.iter().all(|error| error["bound"].is_u64()), "{errors:?}");
    cluster.client().post("/api/account", json!({ "username": "ann" })).await.problem_in(400, 708, "name");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_first_account() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let key = [("idempotency-key", "sign-up-1")];
    let first = client.send(Method::POST, "/api/account", &key, Some(form("ann"))).await.ok(201);
    let again = client.send(Method::POST, "/api/account", &key, Some(form("ann"))).await.ok(201);
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("skein-transaction"), again.header("skein-transaction"));
    let mut other = form("ann");
    other["password"] = json!("another horse");
    client.send(Method::POST, "/api/account", &key, Some(other)).await.problem(422, 713);
    // Without the key it is simply taken.
    client.post("/api/account", form("ann")).await.problem(409, 607);
}

#[tokio::test]
async fn of_many_who_want_one_name_one_gets_it() {
    let cluster = Cluster::start().await;
    let tries = (0..8).map(|_| {
        let mut client = cluster.client();
        tokio::spawn(async move { client.post("/api/account", form("ann")).await.status })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn sign_ups_are_limited_by_address() {
    let mut settings = SurfaceConfig::new(Auth::Password);
    assert_eq!(settings.limits.sign_ups, Some(Allowance { tries: 30, per: Duration::from_secs(3600) }));
    settings.limits.sign_ups = Some(Allowance { tries: 2, per: Duration::from_secs(3600) });
    let cluster = Cluster::with(settings).await;
    let mut client = cluster.client();
    let key = [("idempotency-key", "k")];
    let malformed = json!({ "username": "a b", "name": "A", "email": "nowhere", "password": "short" });
    for _ in 0..5 {
        client.post("/api/account", malformed.clone()).await.problem(400, 606);
    }
    client.send(Method::POST, "/api/account", &key, Some(form("a"))).await.ok(201);
    client.post("/api/account", form("b")).await.ok(201);
    let refused = client.post("/api/account", form("c")).await;
    refused.problem(429, 720);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    // A repeat makes no account, and so it is answered still.
    client.send(Method::POST, "/api/account", &key, Some(form("a"))).await.ok(201);
}

#[tokio::test]
async fn a_sign_up_that_fails_takes_no_place_and_finds_out_no_more_names_than_a_log_in() {
    let mut settings = SurfaceConfig::new(Auth::Password);
    settings.limits.sign_ups = Some(Allowance { tries: 2, per: Duration::from_secs(3600) });
    settings.limits.login_failures = Allowance { tries: 1, per: Duration::from_secs(3600) };
    let cluster = Cluster::with(settings).await;
    let mut client = cluster.client();
    client.post("/api/account", form("ann")).await.ok(201);
    for _ in 0..5 {
        client.post("/api/account", form("Ann")).await.problem(409, 607);
    }
    client.post("/api/account", form("bob")).await.ok(201);
    client.post("/api/account", form("cy")).await.problem(429, 720);
    // Ten times the failed log-ins of one name, which is what one address may find out by logging in.
    let mut settings = SurfaceConfig::new(Auth::Password);
    settings.limits.sign_ups = None;
    settings.limits.login_failures = Allowance { tries: 1, per: Duration::from_secs(3600) };
    let cluster = Cluster::with(settings).await;
    let mut client = cluster.client();
    client.post("/api/account", form("ann")).await.ok(201);
    for _ in 0..10 {
        client.post("/api/account", form("ann")).await.problem(409, 607);
    }
    let refused = client.post("/api/account", form("ann")).await;
    assert!(refused.problem(429, 720)["detail"].as_str().unwrap().contains("failed sign-ups"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn a_repeat_tries_no_more_passwords_than_a_log_in() {
    let mut settings = SurfaceConfig::new(Auth::Password);
    settings.limits.login_failures.tries = 3;
    let cluster = Cluster::with(settings).await;
    let mut client = cluster.client();
    let key = [("idempotency-key", "sign-up-1")];
    client.send(Method::POST, "/api/account", &key, Some(form("ann"))).await.ok(201);
    let guess = |number: u32| {
        let mut guess = form("ann");
        guess["password"] = json!(format!("a guess, number {number}"));
        Some(guess)
    };
    for number in 0..3 {
        client.send(Method::POST, "/api/account", &key, guess(number)).await.problem(422, 713);
    }
    let refused = client.send(Method::POST, "/api/account", &key, guess(3)).await;
    refused.problem(429, 719);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    // It counts for log-ins, too: the two are one limit.
    client.post("/api/login", json!({ "username": "ann", "password": "correct horse" })).await.problem(429, 719);
}

/// Log-ins that must get through while others sign up without end.
const LOG_INS: usize = 15;

/// Connections that sign up without end.
const SIGNING_UP: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_without_end_do_not_keep_people_from_logging_in() {
    let mut settings = SurfaceConfig::new(Auth::Password);
    settings.limits.sign_ups = None;
    let cluster = Cluster::with(settings).await;
    for person in 0..LOG_INS {
        cluster.client().post("/api/account", form(&format!("person-{person}"))).await.ok(201);
    }
    let busy = Arc::new(AtomicUsize::new(0));
    let mut flood = JoinSet::new();
    for connection in 0..SIGNING_UP {
        let (mut client, busy) = (cluster.client(), Arc::clone(&busy));
        flood.spawn(async move {
            for number in 0.. {
                let answer = client.post("/api/account", form(&format!("flood-{connection}-{number}"))).await;
                if answer.status == 503 {
                    busy.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    eventually("more sign up than can wait", || async { busy.load(Ordering::Relaxed) > SIGNING_UP }).await;
    for person in 0..LOG_INS {
        let credentials = json!({ "username": format!("person-{person}"), "password": "correct horse" });
        cluster.client().post("/api/login", credentials).await.ok(200);
    }
    flood.abort_all();
}
