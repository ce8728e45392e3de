//! Data of applications: one key at a time, conditions, repeats, lists, and what strangers may try.

use hyper::Method;
use serde_json::{Value, json};
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::{Answer, Client, Cluster};

fn etag(answer: &Answer) -> String {
    answer.header("etag").to_owned()
}

async fn put(client: &mut Client, key: &str, headers: &[(&str, &str)], value: Value) -> Answer {
    client.send(Method::PUT, &format!("/api/data/{key}"), headers, Some(value)).await
}

#[tokio::test]
async fn a_value_is_written_read_replaced_and_deleted() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    ann.get("/api/data/a").await.problem(404, 726);
    let created = ann.put("/api/data/a", json!({ "n": 1 })).await.ok(201);
    assert!(!created.header("skein-transaction").is_empty());
    let document = created.json();
    assert_eq!(document["key"], "a");
    assert_eq!(etag(&created), format!("\"{}\"", document["version"].as_str().unwrap()));
    let read = ann.get("/api/data/a").await.ok(200);
    assert_eq!((read.header("content-type"), read.json()), ("application/json", json!({ "n": 1 })));
    assert_eq!(etag(&read), etag(&created));
    let replaced = ann.put("/api/data/a", json!([null])).await.ok(200);
    assert_ne!(etag(&replaced), etag(&created));
    let deleted = ann.delete("/api/data/a").await.ok(204);
    assert!(!deleted.header("skein-transaction").is_empty());
    ann.delete("/api/data/a").await.problem(404, 726);
    ann.get("/api/data/a").await.problem(404, 726);
    // What is made again is never taken for what was there before.
    let again = ann.put("/api/data/a", json!(1)).await.ok(201);
    assert!(etag(&again) != etag(&created) && etag(&again) != etag(&replaced));
    let txn = again.header("skein-transaction").to_owned();
    assert_eq!(ann.get(&format!("/api/transactions/{txn}")).await.ok(200).json()["outcome"], "committed");
}

#[tokio::test]
async fn a_value_is_answered_as_it_was_sent() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let json = [("content-type", "application/json")];
    for text in ["null", "1.10", "123456789012345678901234567890", "\"\\u00e4\"", "{\"b\": 1,\n \"a\":[ ]}"] {
        let sent = format!(" {text}\n");
        assert!(ann.raw(Method::PUT, "/api/data/x", &json, sent.into()).await.status <= 201);
        assert_eq!(ann.get("/api/data/x").await.ok(200).text, text);
        let page: Value = ann.get("/api/data?prefix=x").await.ok(200).json();
        assert_eq!(page["data"][0]["key"], "x");
        let done = ann.post("/api/transactions", json!({ "reads": ["x"] })).await.ok(200).text;
        assert!(done.contains(text), "{done}");
    }
}

#[tokio::test]
async fn conditions_are_judged_by_the_version_that_is_there() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let absent = [("if-match", "*")];
    put(&mut ann, "a", &absent, json!(0)).await.problem(412, 706);
    put(&mut ann, "a", &[("if-match", "\"1\"")], json!(0)).await.problem(412, 706);
    ann.send(Method::DELETE, "/api/data/a", &absent, None).await.problem(412, 706);
    let only_new = [("if-none-match", "*")];
    let one = etag(&put(&mut ann, "a", &only_new, json!(1)).await.ok(201));
    put(&mut ann, "a", &only_new, json!(2)).await.problem(412, 706);
    let two = etag(&put(&mut ann, "a", &[("if-match", &one)], json!(2)).await.ok(200));
    put(&mut ann, "a", &[("if-match", &one)], json!(3)).await.problem(412, 706);
    put(&mut ann, "a", &[("if-match", &format!("W/{two}"))], json!(3)).await.problem(412, 706);
    put(&mut ann, "a", &[("if-none-match", &two)], json!(3)).await.problem(412, 706);
    put(&mut ann, "a", &[("if-none-match", &format!("W/{two}"))], json!(3)).await.problem(412, 706);
    put(&mut ann, "a", &[("if-match", "\"x\"")], json!(3)).await.problem(412, 706);
    put(&mut ann, "a", &[("if-match", "3")], json!(3)).await.problem_in(400, 709, "If-Match");
    put(&mut ann, "a", &[("if-none-match", "\"3")], json!(3)).await.problem_in(400, 709, "If-None-Match");
    let three = etag(&put(&mut ann, "a", &[("if-match", &format!("{one}, {two}"))], json!(3)).await.ok(200));
    let four = etag(&put(&mut ann, "a", &[("if-none-match", &two)], json!(4)).await.ok(200));
    let unread = ann.send(Method::GET, "/api/data/a", &[("if-none-match", &four)], None).await.ok(304);
    assert_eq!((unread.text.as_str(), etag(&unread)), ("", four.clone()));
    ann.send(Method::GET, "/api/data/a", &[("if-none-match", &three)], None).await.ok(200);
    ann.send(Method::GET, "/api/data/a", &[("if-match", &three)], None).await.problem(412, 706);
    ann.send(Method::DELETE, "/api/data/a", &[("if-match", &three)], None).await.problem(412, 706);
    ann.send(Method::DELETE, "/api/data/a", &[("if-none-match", &four)], None).await.problem(412, 706);
    ann.send(Method::DELETE, "/api/data/a", &[("if-match", &four)], None).await.ok(204);
    assert_eq!(put(&mut ann, "a", &[("if-none-match", &four)], json!(5)).await.status, 201);
}

#[tokio::test]
async fn a_key_is_any_text_within_its_bound() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let longest = "k".repeat(512);
    let keys = [
        ("users/1", "users/1"),
        ("users%2F2", "users/2"),
        ("%2Fx//y/", "/x//y/"),
        ("%00%0a", "\0\n"),
        ("a/../b/.", "a/../b/."),
        ("%F0%9F%A7%B6", "\u{1f9f6}"),
        ("%2a%7Bkey%7D", "*{key}"),
        ("a+b%20c", "a+b c"),
        (longest.as_str(), longest.as_str()),
    ];
    for (path, key) in keys {
        assert_eq!(put(&mut ann, path, &[], json!(key)).await.ok(201).json()["key"], key);
        assert_eq!(ann.get(&format!("/api/data/{path}")).await.ok(200).json(), json!(key));
    }
    let page = ann.get("/api/data").await.ok(200).json();
    let mut expected: Vec<&str> = keys.iter().map(|(_, key)| *key).collect();
    expected.sort_unstable();
    let listed: Vec<&str> = page["data"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap()).collect();
    assert_eq!(listed, expected);
    let malformed = ["%ff", "a%zz", "a%2", "a%", "%+1b"].map(str::to_owned);
    for wrong in malformed.into_iter().chain([format!("{longest}k"), "%C3%A4".repeat(257)]) {
        for method in [Method::GET, Method::DELETE, Method::PUT] {
            let body = (method == Method::PUT).then(|| json!(1));
            let document = ann.send(method, &format!("/api/data/{wrong}"), &[], body).await.problem_in(400, 606, "key");
            assert_eq!(document["errors"][0]["bound"], 512);
        }
    }
    // No path names the empty key.
    ann.get("/api/data/").await.problem(404, 704);
}

#[tokio::test]
async fn what_is_no_value_is_refused_with_its_bound() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let json = [("content-type", "application/json")];
    for body in ["", "{", "nonsense", "\"\\ud800\"", "1e999", "1 2", "{\"a\":1,\"a\":2}", "[{\"a\":1,\"\\u0061\":1}]"] {
        ann.raw(Method::PUT, "/api/data/a", &json, body.to_owned().into()).await.problem_in(400, 708, "body");
    }
    for depth in [128, 5000] {
        let document = ann.raw(Method::PUT, "/api/data/a", &json, "[".repeat(depth).into()).await.problem_in(400, 708, "body");
        assert_eq!(document["errors"][0]["bound"], 127);
    }
    let deepest = "[".repeat(127) + &"]".repeat(127);
    ann.raw(Method::PUT, "/api/data/deepest", &json, deepest.into()).await.ok(201);
    ann.raw(Method::PUT, "/api/data/a", &json, vec![b'"', 0xff, b'"'].into()).await.problem_in(400, 708, "body");
    ann.raw(Method::PUT, "/api/data/a", &[("content-type", "text/plain")], "1".into()).await.problem(415, 707);
    let longest = format!("\"{}\"", "x".repeat(65_534));
    ann.raw(Method::PUT, "/api/data/a", &json, longest.clone().into()).await.ok(201);
    assert_eq!(ann.get("/api/data/a").await.ok(200).text, longest);
    let document = ann.raw(Method::PUT, "/api/data/a", &json, format!("{longest} ").into()).await.problem_in(413, 710, "body");
    assert_eq!(document["errors"][0]["bound"], 65_536);
    ann.send(Method::POST, "/api/data/a", &[], Some(json!(1))).await.problem(405, 705);
    ann.send(Method::PUT, "/api/data/a", &[("sec-fetch-site", "cross-site")], Some(json!(1))).await.problem(403, 712);
}

#[tokio::test]
async fn who_is_not_logged_in_learns_nothing() {
    let cluster = Cluster::start().await;
    cluster.logged_in("ann").await.put("/api/data/a", json!(1)).await.ok(201);
    let mut nobody = cluster.client();
    let mut gone = cluster.logged_in("gone").await;
    let mut thief = gone.another();
    // Seen by this coordinator before it ended.
    thief.get("/api/data/a").await.ok(200);
    thief.put("/api/data/a", json!(2)).await.ok(200);
    gone.delete("/api/login").await.ok(204);
    for client in [&mut nobody, &mut thief] {
        for path in ["/api/data/a", "/api/data/none", "/api/data/%ff", "/api/data", "/api/data?limit=x"] {
            client.get(path).await.problem(401, 700);
        }
        client.put("/api/data/a", json!(3)).await.problem(401, 700);
        client.raw(Method::PUT, "/api/data/a", &[], "no JSON".into()).await.problem(401, 700);
        client.delete("/api/data/a").await.problem(401, 700);
        client.post("/api/transactions", json!({ "reads": ["a"] })).await.problem(401, 700);
        client.post("/api/transactions", json!({ "writes": [{ "key": "a", "value": 4 }] })).await.problem(401, 700);
        client.post("/api/transactions", json!({})).await.problem(401, 700);
    }
    assert_eq!(cluster.logged_in("bob").await.get("/api/data/a").await.ok(200).json(), json!(2));
}

#[tokio::test]
async fn pages_follow_the_order_of_keys_and_their_prefix() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for key in ["a", "b%2F1", "b%2F2", "b%2F3", "b0", "c"] {
        put(&mut ann, key, &[], json!(key)).await.ok(201);
    }
    let keys = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
    };
    for consistent in ["", "&consistent=arrival", "&consistent=strict"] {
        let first = ann.get(&format!("/api/data?prefix=b/&limit=2{consistent}")).await.ok(200).json();
        assert_eq!(keys(&first), ["b/1", "b/2"]);
        assert!(first["data"][0]["version"].is_string());
        let next = first["next"].as_str().unwrap();
        let second = ann.get(&format!("/api/data?prefix=b/&limit=2&cursor={next}{consistent}")).await.ok(200).json();
        assert_eq!((keys(&second), &second["next"]), (vec!["b/3".to_owned()], &Value::Null));
        ann.get(&format!("/api/data?prefix=c&cursor={next}")).await.problem_in(400, 709, "cursor");
        // A cursor is a place in the order of keys, whatever prefix of it the page before had.
        assert_eq!(keys(&ann.get(&format!("/api/data?prefix=b&cursor={next}")).await.ok(200).json()), ["b/3", "b0"]);
    }
    assert_eq!(keys(&ann.get("/api/data").await.ok(200).json()).len(), 6);
    assert_eq!(keys(&ann.get("/api/data?prefix=").await.ok(200).json()).len(), 6);
    assert_eq!(ann.get("/api/data?prefix=z").await.ok(200).json(), json!({ "data": [], "next": null }));
    for limit in ["0", "1001", "x", "-1", ""] {
        let document = ann.get(&format!("/api/data?limit={limit}")).await.problem_in(400, 709, "limit");
        assert_eq!(document["errors"][0]["bound"], 1000);
    }
    for wrong in ["%ff", "a%zz", "%2"] {
        ann.get(&format!("/api/data?prefix={wrong}")).await.problem_in(400, 709, "prefix");
    }
    // What no operation knows is passed over, as everywhere.
    assert_eq!(keys(&ann.get("/api/data?prefix=c&colour=%ff").await.ok(200).json()), ["c"]);
    ann.get("/api/data?cursor=*").await.problem_in(400, 709, "cursor");
    ann.get("/api/data?consistent=maybe").await.problem_in(400, 709, "consistent");
    ann.get("/api/data?prefix=a&prefix=b").await.problem_in(400, 709, "prefix");
    let document = ann.get(&format!("/api/data?prefix={}", "p".repeat(513))).await.problem_in(400, 709, "prefix");
    assert_eq!(document["errors"][0]["bound"], 512);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_whatever_happened_since() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let same = |first: &Answer, again: &Answer| {
        assert_eq!((first.status, &first.text), (again.status, &again.text));
        for header in ["etag", "skein-transaction"] {
            assert_eq!(first.header(header), again.header(header), "{header}");
        }
    };
    let created = put(&mut ann, "a", &[("idempotency-key", "1")], json!(1)).await.ok(201);
    same(&created, &put(&mut ann, "a", &[("idempotency-key", "1")], json!(1)).await);
    assert_eq!(etag(&ann.get("/api/data/a").await.ok(200)), etag(&created));
    let replaced = put(&mut ann, "a", &[("idempotency-key", "2")], json!(2)).await.ok(200);
    assert_eq!(etag(&ann.get("/api/data/a").await.ok(200)), etag(&replaced));
    ann.put("/api/data/a", json!(3)).await.ok(200);
    same(&created, &put(&mut ann, "a", &[("idempotency-key", "1")], json!(1)).await);
    same(&replaced, &put(&mut ann, "a", &[("idempotency-key", "2")], json!(2)).await);
    let key = [("idempotency-key", "3")];
    let deleted = ann.send(Method::DELETE, "/api/data/a", &key, None).await.ok(204);
    same(&deleted, &ann.send(Method::DELETE, "/api/data/a", &key, None).await);
    ann.put("/api/data/a", json!(4)).await.ok(201);
    same(&deleted, &ann.send(Method::DELETE, "/api/data/a", &key, None).await);
    same(&created, &put(&mut ann, "a", &[("idempotency-key", "1")], json!(1)).await);
    assert_eq!(ann.get("/api/data/a").await.ok(200).json(), json!(4), "no repeat wrote anything");
    put(&mut ann, "a", &[("idempotency-key", "1")], json!(2)).await.problem_in(422, 713, "Idempotency-Key");
    put(&mut ann, "b", &[("idempotency-key", "1")], json!(1)).await.problem(422, 713);
    let other = [("idempotency-key", "1"), ("if-match", "*")];
    put(&mut ann, "a", &other, json!(1)).await.problem(422, 713);
    put(&mut cluster.logged_in("bob").await, "a", &[("idempotency-key", "1")], json!(5)).await.ok(200);
}

#[tokio::test]
async fn a_key_that_has_expired_may_be_used_again() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.idempotency_lifetime = std::time::Duration::ZERO;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    let key = [("idempotency-key", "k")];
    for (value, status) in [(1, 201), (2, 200), (2, 200)] {
        let written = put(&mut ann, "a", &key, json!(value)).await.ok(status);
        assert_eq!(etag(&ann.get("/api/data/a").await.ok(200)), etag(&written));
        let done = json!({ "writes": [{ "key": "t", "value": value }] });
        let done = ann.send(Method::POST, "/api/transactions", &key, Some(done)).await.ok(200).json();
        assert!(done["writes"][0]["version"].is_string());
    }
    ann.send(Method::DELETE, "/api/data/a", &key, None).await.ok(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_duplicates_exactly_one_writes() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for round in 0..10 {
        for (method, status) in [(Method::PUT, if round == 0 { 201 } else { 200 }), (Method::DELETE, 204)] {
            if method == Method::DELETE && round < 9 {
                continue;
            }
            let duplicates = (0..8).map(|_| {
                let (mut client, method) = (ann.another(), method.clone());
                tokio::spawn(async move {
                    let key = format!("{method}-{round}");
                    let body = (method == Method::PUT).then(|| json!(round));
                    client.send(method, "/api/data/a", &[("idempotency-key", &key)], body).await
                })
            });
            let mut answers = Vec::new();
            for one in duplicates.collect::<Vec<_>>() {
                answers.push(one.await.unwrap().ok(status));
            }
            for answer in &answers {
                assert_eq!(answer.header("skein-transaction"), answers[0].header("skein-transaction"));
                assert_eq!((&answer.text, etag(answer)), (&answers[0].text, etag(&answers[0])));
            }
        }
    }
    ann.get("/api/data/a").await.problem(404, 726);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_create_or_replace_the_same_exactly_one_wins() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let mut condition = ("if-none-match", "*".to_owned());
    for round in 0..30 {
        let racers = (0..4).map(|racer| {
            let (mut client, (name, tag)) = (ann.another(), condition.clone());
            tokio::spawn(async move { put(&mut client, "a", &[(name, &tag)], json!([round, racer])).await })
        });
        let mut won = None;
        for racer in racers.collect::<Vec<_>>() {
            let answer = racer.await.unwrap();
            match answer.status {
                200 | 201 => assert!(won.replace(answer).is_none(), "two have won"),
                _ => drop(answer.problem(412, 706)),
            }
        }
        condition = ("if-match", etag(&won.expect("one has won")));
        assert_eq!(etag(&ann.get("/api/data/a").await.ok(200)), condition.1);
    }
}

#[tokio::test]
async fn writes_are_limited_only_when_told_and_reads_never() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.writes =
        Some(skein_coordinator::caller::attempts::Allowance { tries: 2, per: std::time::Duration::from_secs(3600) });
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    ann.put("/api/data/a", json!(1)).await.ok(201);
    ann.post("/api/transactions", json!({ "writes": [{ "key": "a", "value": 2 }] })).await.ok(200);
    ann.delete("/api/data/a").await.problem(429, 720);
    ann.post("/api/transactions", json!({ "writes": [{ "key": "a", "value": 2 }] })).await.problem(429, 720);
    ann.post("/api/transactions", json!({ "reads": ["a"] })).await.ok(200);
    ann.get("/api/data/a").await.ok(200);
}
