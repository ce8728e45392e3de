//! Repeats with an `Idempotency-Key` get the first answer and do nothing; of concurrent duplicates exactly one writes.

use hyper::Method;
use serde_json::json;
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::{Answer, Client, Cluster};

fn same(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    for header in ["location", "etag", "skein-transaction", "content-type"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
}

async fn count(client: &mut Client) -> usize {
    client.get("/api/tweet?limit=200").await.ok(200).json()["tweets"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_whatever_happened_since() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let key = |key| [("idempotency-key", key)];
    let text = |text: &str| Some(json!({ "text": text }));
    let posted = ann.send(Method::POST, "/api/tweet", &key("post"), text("one")).await.ok(201);
    let path = posted.header("location").to_owned();
    let edited = ann.send(Method::PUT, &path, &key("edit"), text("two")).await.ok(200);
    same(&posted, &ann.send(Method::POST, "/api/tweet", &key("post"), text("one")).await);
    ann.put(&path, json!({ "text": "three" })).await.ok(200);
    same(&edited, &ann.send(Method::PUT, &path, &key("edit"), text("two")).await);
    assert_eq!(ann.get(&path).await.ok(200).json()["text"], "three", "the repeat wrote nothing");
    let deleted = ann.send(Method::DELETE, &path, &key("delete"), None).await.ok(204);
    same(&deleted, &ann.send(Method::DELETE, &path, &key("delete"), None).await);
    same(&edited, &ann.send(Method::PUT, &path, &key("edit"), text("two")).await);
    same(&posted, &ann.send(Method::POST, "/api/tweet", &key("post"), text("one")).await);
    assert_eq!(count(&mut ann).await, 0);
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_user() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let key = [("idempotency-key", "k")];
    let posted = ann.send(Method::POST, "/api/tweet", &key, Some(json!({ "text": "one" }))).await.ok(201);
    let path = posted.header("location").to_owned();
    ann.send(Method::POST, "/api/tweet", &key, Some(json!({ "text": "two" }))).await.problem_in(422, 713, "Idempotency-Key");
    ann.send(Method::PUT, &path, &key, Some(json!({ "text": "one" }))).await.problem(422, 713);
    ann.send(Method::DELETE, &path, &key, None).await.problem(422, 713);
    let mut bob = cluster.logged_in("bob").await;
    let bobs = bob.send(Method::POST, "/api/tweet", &key, Some(json!({ "text": "one" }))).await.ok(201);
    assert_ne!(bobs.header("location"), path);
    assert_eq!(count(&mut ann).await, 2);
}

#[tokio::test]
async fn an_answer_that_was_no_write_is_not_remembered() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("one").await;
    let headers = [("idempotency-key", "k"), ("if-match", "\"2\"")];
    ann.send(Method::PUT, &path, &headers, Some(json!({ "text": "x" }))).await.problem(412, 706);
    ann.put(&path, json!({ "text": "two" })).await.ok(200);
    ann.send(Method::PUT, &path, &headers, Some(json!({ "text": "x" }))).await.ok(200);
}

#[tokio::test]
async fn keys_have_bounds() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let long = "k".repeat(256);
    for key in ["", " ", "a b", "\u{e9}", long.as_str()] {
        let answer = ann.send(Method::POST, "/api/tweet", &[("idempotency-key", key)], Some(json!({ "text": "x" }))).await;
        let document = answer.problem_in(400, 709, "Idempotency-Key");
        assert_eq!(document["errors"][0]["bound"], 255);
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    ann.send(Method::POST, "/api/tweet", &twice, Some(json!({ "text": "x" }))).await.problem(400, 709);
    ann.send(Method::POST, "/api/tweet", &[("idempotency-key", &long[..255])], Some(json!({ "text": "x" }))).await.ok(201);
    assert_eq!(count(&mut ann).await, 1);
}

#[tokio::test]
async fn concurrent_duplicates_write_exactly_once() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for round in 0..20 {
        let key = format!("round-{round}");
        let duplicates = (0..8).map(|_| {
            let (mut client, key) = (ann.another(), key.clone());
            tokio::spawn(async move {
                let headers = [("idempotency-key", key.as_str())];
                client.send(Method::POST, "/api/tweet", &headers, Some(json!({ "text": "once" }))).await
            })
        });
        let mut answers = Vec::new();
        for one in duplicates.collect::<Vec<_>>() {
            answers.push(one.await.unwrap().ok(201));
        }
        answers.iter().for_each(|answer| same(&answers[0], answer));
        assert_eq!(count(&mut ann).await, round + 1);
    }
    // The same for an edit and a delete: all get the one answer.
    let path = ann.tweet("to be edited").await;
    for (method, body, status) in [(Method::PUT, Some(json!({ "text": "edited" })), 200), (Method::DELETE, None, 204)] {
        let key = method.as_str().to_owned();
        let duplicates = (0..8).map(|_| {
            let (mut client, key, path) = (ann.another(), key.clone(), path.clone());
            let (method, body) = (method.clone(), body.clone());
            tokio::spawn(async move { client.send(method, &path, &[("idempotency-key", key.as_str())], body).await })
        });
        let mut answers = Vec::new();
        for one in duplicates.collect::<Vec<_>>() {
            answers.push(one.await.unwrap().ok(status));
        }
        answers.iter().for_each(|answer| same(&answers[0], answer));
    }
}

#[tokio::test]
async fn a_key_that_has_expired_may_be_used_again() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.idempotency_lifetime = std::time::Duration::ZERO;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    for text in ["one", "two", "two"] {
        ann.send(Method::POST, "/api/tweet", &[("idempotency-key", "k")], Some(json!({ "text": text }))).await.ok(201);
    }
    assert_eq!(count(&mut ann).await, 3);
}
