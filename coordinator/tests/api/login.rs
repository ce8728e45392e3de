//! Log in, who is logged in, log out: by name alone and by password, and what becomes of sessions.

use hyper::Method;
use serde_json::json;
use skein_coordinator::config::{Auth, SurfaceConfig};
use skein_coordinator::sessions::PER_ACCOUNT_MAX;

use crate::harness::{Client, Cluster};

async fn sign_up(client: &mut Client, username: &str, password: &str) {
    let form = json!({ "username": username, "name": "Somebody", "email": "some@body.example", "password": password });
    client.post("/api/account", form).await.ok(201);
}

#[tokio::test]
async fn by_name_alone_the_account_is_made_on_the_way_and_a_password_is_ignored() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.client();
    ann.get("/api/login").await.problem(401, 700);
    let answer = ann.post("/api/login", json!({ "username": "Ann", "password": "ignored" })).await.ok(200);
    assert_eq!(answer.json()["username"], "Ann");
    assert!(!answer.header("skein-transaction").is_empty());
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("skein_session=") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert!(cookie.contains("Path=/") && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(ann.get("/api/login").await.ok(200).json()["username"], "Ann");
    // The same account, whatever the case.
    let mut again = cluster.client();
    assert_eq!(again.post("/api/login", json!({ "username": "aNN" })).await.ok(200).json()["username"], "Ann");
}

#[tokio::test]
async fn logging_out_ends_the_session_and_not_only_the_cookie() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let mut thief = ann.another();
    thief.get("/api/login").await.ok(200);
    let answer = ann.delete("/api/login").await.ok(204);
    assert!(answer.header("set-cookie").starts_with("skein_session=;"), "{answer:?}");
    assert!(answer.text.is_empty());
    ann.get("/api/login").await.problem(401, 700);
    thief.get("/api/login").await.problem(401, 700);
    // Nobody to log out is no error.
    cluster.client().delete("/api/login").await.ok(204);
}

#[tokio::test]
async fn a_token_that_was_made_up_costs_no_transaction() {
    let cluster = Cluster::start().await;
    let mut nobody = cluster.client();
    nobody.cookie = Some("skein_session=AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let answer = nobody.delete("/api/login").await.ok(204);
    assert!(answer.header("set-cookie").starts_with("skein_session=;"), "{answer:?}");
    assert!(answer.header("skein-transaction").is_empty(), "{answer:?}");
    let mut ann = cluster.logged_in("ann").await;
    assert!(!ann.delete("/api/login").await.ok(204).header("skein-transaction").is_empty());
}

#[tokio::test]
async fn one_session_more_than_an_account_may_have_ends_the_oldest() {
    let cluster = Cluster::start().await;
    let mut bob = cluster.logged_in("bob").await;
    let mut browsers = Vec::new();
    for _ in 0..PER_ACCOUNT_MAX + 2 {
        browsers.push(cluster.logged_in("ann").await);
    }
    for (place, browser) in browsers.iter_mut().enumerate() {
        let expected = if place < 2 { 401 } else { 200 };
        assert_eq!(browser.get("/api/login").await.status, expected, "the browser that logged in as number {place}");
    }
    bob.get("/api/login").await.ok(200);
    // In place of its own session a browser ends no other's.
    browsers[3].log_in("ann").await;
    browsers[2].get("/api/login").await.ok(200);
}

#[tokio::test]
async fn logging_in_again_ends_the_session_before() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let mut before = ann.another();
    let mut elsewhere = cluster.logged_in("ann").await;
    ann.log_in("ann").await;
    before.get("/api/login").await.problem(401, 700);
    before.post("/api/tweet", json!({ "text": "x" })).await.problem(401, 700);
    ann.get("/api/login").await.ok(200);
    elsewhere.get("/api/login").await.ok(200);
}

#[tokio::test]
async fn of_several_session_cookies_none_counts() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let mut planted = cluster.logged_in("eve").await;
    planted.cookie = Some(format!("{}; {}", planted.cookie.unwrap(), ann.cookie.clone().unwrap()));
    planted.get("/api/login").await.problem(401, 700);
    planted.post("/api/tweet", json!({ "text": "x" })).await.problem(401, 700);
    ann.get("/api/login").await.ok(200);
}

#[tokio::test]
async fn by_password_a_wrong_user_and_a_wrong_password_are_told_apart_by_code() {
    let cluster = Cluster::with(SurfaceConfig::new(Auth::Password)).await;
    let mut ann = cluster.client();
    sign_up(&mut ann, "Ann", "correct horse").await;
    ann.post("/api/login", json!({ "username": "nobody", "password": "correct horse" })).await.problem(401, 601);
    ann.post("/api/login", json!({ "username": "ann", "password": "wrong horse" })).await.problem(401, 602);
    ann.post("/api/login", json!({ "username": "ann" })).await.problem_in(400, 606, "password");
    ann.post("/api/login", json!({ "username": "a b", "password": "x" })).await.problem_in(400, 606, "username");
    ann.post("/api/login", json!({ "username": "ann", "password": "x".repeat(257) })).await.problem_in(400, 606, "password");
    ann.get("/api/login").await.problem(401, 700);
    let answer = ann.post("/api/login", json!({ "username": "ANN", "password": "correct horse" })).await.ok(200);
    assert_eq!(answer.json()["username"], "Ann");
}

#[tokio::test]
async fn failed_tries_are_limited_per_name_and_right_ones_are_not() {
    let mut settings = SurfaceConfig::new(Auth::Password);
    settings.limits.login_failures.tries = 3;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.client();
    sign_up(&mut ann, "ann", "correct horse").await;
    for _ in 0..8 {
        ann.post("/api/login", json!({ "username": "ann", "password": "correct horse" })).await.ok(200);
    }
    for _ in 0..3 {
        ann.post("/api/login", json!({ "username": "bob", "password": "x" })).await.problem(401, 601);
    }
    let refused = ann.post("/api/login", json!({ "username": "Bob", "password": "x" })).await;
    refused.problem(429, 719);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    ann.post("/api/login", json!({ "username": "ann", "password": "correct horse" })).await.ok(200);
    // What could be nobody's name or password is told so and counts nowhere, however often.
    for number in 0..40 {
        let name = json!({ "username": format!("no name {number}"), "password": "x" });
        ann.post("/api/login", name).await.problem_in(400, 606, "username");
        let long = json!({ "username": "carl", "password": "x".repeat(257) });
        ann.post("/api/login", long).await.problem_in(400, 606, "password");
    }
    // One address has but so many failures in all.
    let mut names = 0..100;
    let refused = loop {
        let name = names.next().expect("it is refused at some time");
        let answer = ann.post("/api/login", json!({ "username": format!("name-{name}"), "password": "x" })).await;
        if answer.status != 401 {
            break answer;
        }
    };
    refused.problem(429, 719);
    assert!(names.start >= 10, "{names:?}");
}

#[tokio::test]
async fn a_restart_of_the_coordinator_logs_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::on(SurfaceConfig::new(Auth::Name), Some(directory.path().to_owned())).await;
    let mut ann = cluster.logged_in("ann").await;
    let mut gone = cluster.logged_in("gone").await;
    let path = ann.tweet("before the restart").await;
    let mut thief = gone.another();
    gone.delete("/api/login").await.ok(204);
    cluster.stop_coordinator().await.unwrap();
    cluster.start_coordinator().await;
    ann.move_to(cluster.address);
    thief.move_to(cluster.address);
    assert_eq!(ann.get("/api/login").await.ok(200).json()["username"], "ann");
    assert_eq!(ann.get(&path).await.ok(200).json()["text"], "before the restart");
    thief.get("/api/login").await.problem(401, 700);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.session_lifetime = std::time::Duration::ZERO;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    ann.cookie = Some(ann.cookie.unwrap_or_else(|| "skein_session=AAAAAAAAAAAAAAAAAAAAAA".to_owned()));
    ann.get("/api/login").await.problem(401, 700);
}

#[tokio::test]
async fn a_cookie_is_secure_behind_tls_that_a_trusted_proxy_tells_of() {
    let tls = [("x-forwarded-proto", "https")];
    let credentials = || Some(json!({ "username": "ann" }));
    let cluster = Cluster::start().await;
    let answer = cluster.client().send(Method::POST, "/api/login", &tls, credentials()).await.ok(200);
    assert!(!answer.header("set-cookie").contains("Secure"), "a stranger was believed: {answer:?}");
    let cluster = Cluster::with(SurfaceConfig { trust_proxy: true, ..SurfaceConfig::new(Auth::Name) }).await;
    let answer = cluster.client().send(Method::POST, "/api/login", &tls, credentials()).await.ok(200);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-skein_session=") && cookie.ends_with("; Secure"), "{answer:?}");
    let pair = cookie.split(';').next().unwrap();
    let with = [("x-forwarded-proto", "https"), ("cookie", pair)];
    cluster.client().send(Method::GET, "/api/login", &with, None).await.ok(200);
    let plain = pair.replace("__Host-", "");
    let with = [("x-forwarded-proto", "https"), ("cookie", plain.as_str())];
    cluster.client().send(Method::GET, "/api/login", &with, None).await.problem(401, 700);
    let answer = cluster.client().send(Method::POST, "/api/login", &[], credentials()).await.ok(200);
    assert!(!answer.header("set-cookie").contains("Secure"), "{answer:?}");
}
