//! Each row of the contract on tweets: list, post, read, edit, delete.

use hyper::Method;
use serde_json::{Value, json};
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::Cluster;

#[tokio::test]
async fn every_request_needs_a_login_and_that_comes_first() {
    let cluster = Cluster::start().await;
    let path = cluster.logged_in("ann").await.tweet("hidden").await;
    let mut nobody = cluster.client();
    for path in [path.as_str(), "/api/tweet/none", "/api/tweet", "/api/tweet?limit=0", "/api/tweet/a/b", "/api/tweet/"] {
        nobody.get(path).await.problem(401, 700);
    }
    nobody.post("/api/tweet", json!({ "text": "x" })).await.problem(401, 700);
    nobody.raw(Method::POST, "/api/tweet", &[("content-type", "text/plain")], "x".into()).await.problem(401, 700);
    nobody.put(&path, json!({})).await.problem(401, 700);
    nobody.delete("/api/tweet/none").await.problem(401, 700);
    nobody.cookie = Some("skein_session=AAAAAAAAAAAAAAAAAAAAAA".to_owned());
    nobody.get("/api/tweet").await.problem(401, 700);
}

#[tokio::test]
async fn a_tweet_is_posted_read_edited_and_deleted() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("Ann").await;
    let posted = ann.post("/api/tweet", json!({ "text": "one" })).await.ok(201);
    let tweet = posted.json();
    let path = posted.header("location").to_owned();
    assert_eq!(path, format!("/api/tweet/{}", tweet["id"].as_str().unwrap()));
    assert_eq!((posted.header("etag"), &tweet["version"]), ("\"1\"", &json!(1)));
    assert!(!posted.header("skein-transaction").is_empty());
    assert_eq!((&tweet["author"], &tweet["text"], &tweet["edited_at"]), (&json!("Ann"), &json!("one"), &Value::Null));
    assert!(tweet["created_at"].as_str().unwrap().ends_with('Z'));

    let read = ann.get(&path).await.ok(200);
    assert_eq!((read.json(), read.header("etag")), (tweet.clone(), "\"1\""));
    let unchanged = ann.send(Method::GET, &path, &[("if-none-match", "\"1\"")], None).await.ok(304);
    assert!(unchanged.text.is_empty());

    let edited = ann.put(&path, json!({ "text": "two" })).await.ok(200);
    let after = edited.json();
    assert_eq!((edited.header("etag"), &after["version"], &after["text"]), ("\"2\"", &json!(2), &json!("two")));
    assert_eq!(after["created_at"], tweet["created_at"]);
    assert!(after["edited_at"].is_string() && !edited.header("skein-transaction").is_empty());
    assert_eq!(ann.get(&path).await.ok(200).json(), after);

    let deleted = ann.delete(&path).await.ok(204);
    assert!(deleted.text.is_empty() && !deleted.header("skein-transaction").is_empty());
    ann.get(&path).await.problem(404, 702);
    ann.put(&path, json!({ "text": "three" })).await.problem(404, 702);
    ann.delete(&path).await.problem(404, 702);
    assert_eq!(ann.get("/api/tweet").await.ok(200).json(), json!({ "tweets": [], "next": null }));
}

#[tokio::test]
async fn a_tweet_is_changed_by_its_author_alone() {
    let cluster = Cluster::start().await;
    let path = cluster.logged_in("ann").await.tweet("mine").await;
    let mut bob = cluster.logged_in("bob").await;
    bob.put(&path, json!({ "text": "yours" })).await.problem(403, 701);
    bob.delete(&path).await.problem(403, 701);
    assert_eq!(bob.get(&path).await.ok(200).json()["text"], "mine");
    // Whether it is another's is said before which version it has.
    bob.send(Method::DELETE, &path, &[("if-match", "\"9\"")], None).await.problem(403, 701);
}

#[tokio::test]
async fn what_is_no_tweet_is_not_found() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for id in ["none", "01a1f798-19cc-72da-bbfe-5131235b7b99", "%ff", "a%2Fb"] {
        ann.get(&format!("/api/tweet/{id}")).await.problem(404, 702);
        ann.put(&format!("/api/tweet/{id}"), json!({ "text": "x" })).await.problem(404, 702);
        ann.delete(&format!("/api/tweet/{id}")).await.problem(404, 702);
    }
    ann.get("/api/tweet/a/b").await.problem(404, 704);
}

#[tokio::test]
async fn a_text_has_bounds_in_unicode_scalar_values() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let long = "\u{1f9f6}".repeat(100);
    let path = ann.tweet(&long).await;
    assert_eq!(ann.get(&path).await.ok(200).json()["text"], long);
    for text in ["x".repeat(101), "\u{1f9f6}".repeat(101)] {
        let document = ann.post("/api/tweet", json!({ "text": text })).await.problem_in(400, 512, "text");
        assert_eq!(document["errors"][0]["bound"], 100);
        ann.put(&path, json!({ "text": text })).await.problem_in(400, 512, "text");
    }
    for text in ["", "  "] {
        ann.post("/api/tweet", json!({ "text": text })).await.problem_in(400, 606, "text");
    }
    for text in ["null \0", "escape \u{1b}[31m", "\r\n."] {
        ann.post("/api/tweet", json!({ "text": text })).await.problem_in(400, 606, "text");
        ann.put(&path, json!({ "text": text })).await.problem_in(400, 606, "text");
    }
    ann.tweet("two\n\tlines").await;
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.tweet_characters_max = 5;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    ann.tweet("12345").await;
    ann.post("/api/tweet", json!({ "text": "123456" })).await.problem_in(400, 512, "text");
    assert_eq!(ann.get("/api/settings").await.ok(200).json()["tweet_characters_max"], 5);
}

#[tokio::test]
async fn the_longest_text_that_can_be_set_fits_however_it_is_written() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.tweet_characters_max = 10_000;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    let escaped = format!("{{\"text\":\"{}\"}}", "\\ud83e\\uddf6".repeat(10_000));
    let headers = [("content-type", "application/json"), ("idempotency-key", "long")];
    let posted = ann.raw(Method::POST, "/api/tweet", &headers, escaped.into()).await.ok(201);
    let text = ann.get(posted.header("location")).await.ok(200).json()["text"].clone();
    assert_eq!(text, "\u{1f9f6}".repeat(10_000));
    ann.post("/api/tweet", json!({ "text": "\u{1f9f6}".repeat(10_001) })).await.problem_in(400, 512, "text");
    let document = ann.post("/api/tweet", json!({ "text": "x".repeat(200_000) })).await.problem_in(413, 710, "body");
    assert_eq!(document["errors"][0]["bound"], 121_024);
    // What has no text of that length keeps the smaller bound.
    ann.post("/api/login", json!({ "username": "x".repeat(20_000) })).await.problem_in(413, 710, "body");
}

#[tokio::test]
async fn lists_go_from_the_newest_to_the_oldest_page_by_page() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for number in 0..55 {
        ann.tweet(&number.to_string()).await;
    }
    let texts = |page: &Value| -> Vec<String> {
        page["tweets"].as_array().unwrap().iter().map(|tweet| tweet["text"].as_str().unwrap().to_owned()).collect()
    };
    let first = ann.get("/api/tweet").await.ok(200).json();
    let expected: Vec<String> = (5..55).rev().map(|number| number.to_string()).collect();
    assert_eq!(texts(&first), expected, "fifty a page unless told");
    let cursor = first["next"].as_str().unwrap();
    // What is posted meanwhile does not shift the next page.
    ann.tweet("meanwhile").await;
    let second = ann.get(&format!("/api/tweet?cursor={cursor}")).await.ok(200).json();
    assert_eq!(texts(&second), ["4", "3", "2", "1", "0"]);
    assert_eq!(second["next"], Value::Null);
    assert_eq!(texts(&ann.get("/api/tweet?limit=200").await.ok(200).json()).len(), 56);
    let strict = ann.get("/api/tweet?limit=2&consistent=strict").await.ok(200).json();
    assert_eq!(texts(&strict), ["meanwhile", "54"]);
    assert!(strict["next"].is_string());
}

#[tokio::test]
async fn parameters_of_a_list_are_checked() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for limit in ["0", "201", "-1", "x", "", "1.5", "99999999999"] {
        let document = ann.get(&format!("/api/tweet?limit={limit}")).await.problem_in(400, 709, "limit");
        assert_eq!(document["errors"][0]["bound"], 200);
    }
    for cursor in ["", "x", "AAAA", "%00", "%ff"] {
        ann.get(&format!("/api/tweet?cursor={cursor}")).await.problem(400, 709);
    }
    ann.get("/api/tweet?consistent=maybe").await.problem_in(400, 709, "consistent");
    for (name, query) in [
        ("limit", "limit=1&limit=2"),
        ("limit", "cursor=x&l%69mit=1&limit=1"),
        ("cursor", "cursor&cursor"),
        ("consistent", "consistent=strict&limit=1&consistent=strict"),
    ] {
        let document = ann.get(&format!("/api/tweet?{query}")).await.problem_in(400, 709, name);
        assert_eq!(document["errors"][0]["detail"], "given more than once", "{query}");
    }
    ann.get("/api/tweet?unknown=1&unknown=2").await.ok(200);
    ann.get("/api/tweet?limit=1&unknown=2").await.ok(200);
}

#[tokio::test]
async fn an_older_version_in_if_match_is_refused() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("one").await;
    let edit = |text: &str| Some(json!({ "text": text }));
    ann.send(Method::PUT, &path, &[("if-match", "\"1\"")], edit("two")).await.ok(200);
    ann.send(Method::PUT, &path, &[("if-match", "\"1\"")], edit("three")).await.problem(412, 706);
    ann.send(Method::PUT, &path, &[("if-match", "W/\"2\"")], edit("three")).await.problem(412, 706);
    ann.send(Method::PUT, &path, &[("if-match", "2")], edit("three")).await.problem_in(400, 709, "If-Match");
    ann.send(Method::DELETE, &path, &[("if-match", "\"1\"")], None).await.problem(412, 706);
    assert_eq!(ann.get(&path).await.ok(200).json()["text"], "two");
    ann.send(Method::PUT, &path, &[("if-match", "*")], edit("three")).await.ok(200);
    ann.put(&path, json!({ "text": "four" })).await.ok(200);
    ann.send(Method::PUT, &path, &[("if-match", "\"3\", \"4\"")], edit("five")).await.ok(200);
    ann.send(Method::DELETE, &path, &[("if-match", "\"5\"")], None).await.ok(204);
}

#[tokio::test]
async fn writes_are_limited_only_when_told() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.writes =
        Some(skein_coordinator::caller::attempts::Allowance { tries: 2, per: std::time::Duration::from_secs(3600) });
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("one").await;
    ann.put(&path, json!({ "text": "two" })).await.ok(200);
    ann.delete(&path).await.problem(429, 720);
    cluster.logged_in("bob").await.tweet("another's").await;
}

#[tokio::test]
async fn the_demo_preloads_an_empty_store_once() {
    let directory = tempfile::tempdir().unwrap();
    let settings = SurfaceConfig { demo: true, ..SurfaceConfig::new(Auth::Name) };
    let mut cluster = Cluster::on(settings, Some(directory.path().to_owned())).await;
    for _ in 0..2 {
        let mut ann = cluster.logged_in("ann").await;
        let page = ann.get("/api/tweet").await.ok(200).json();
        let tweets = page["tweets"].as_array().unwrap();
        assert_eq!(tweets.len(), 2);
        assert_ne!(tweets[0]["author"], tweets[1]["author"]);
        cluster.stop_coordinator().await.unwrap();
        cluster.start_coordinator().await;
    }
}
