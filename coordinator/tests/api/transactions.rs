//! Transactions over several keys: all or nothing, what was read at one instant, which expectations failed.

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Cluster};

async fn run(client: &mut Client, reads: Value, writes: Value) -> crate::harness::Answer {
    client.post("/api/transactions", json!({ "reads": reads, "writes": writes })).await
}

#[tokio::test]
async fn all_is_done_or_nothing() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    ann.put("/api/data/gone", json!(0)).await.ok(201);
    let writes = json!([
        { "key": "a", "value": null, "expect": "absent" },
        { "key": "b", "value": { "n": 1 } },
        { "key": "gone", "delete": true, "expect": "present" },
        { "key": "never", "delete": true },
    ]);
    let answer = run(&mut ann, json!(["a", "gone", "other"]), writes.clone()).await.ok(200);
    let done = answer.json();
    let txn = answer.header("skein-transaction").to_owned();
    assert_eq!(done["transaction"], txn);
    assert_eq!(done["reads"][0], json!({ "key": "a", "value": null, "version": null }));
    assert_eq!((&done["reads"][1]["key"], &done["reads"][1]["value"]), (&json!("gone"), &json!(0)));
    assert!(done["reads"][1]["version"].is_string());
    assert_eq!(done["reads"][2], json!({ "key": "other", "value": null, "version": null }));
    for (write, (key, deleted)) in
        done["writes"].as_array().unwrap().iter().zip([("a", false), ("b", false), ("gone", true), ("never", true)])
    {
        assert_eq!((write["key"].as_str().unwrap(), write["version"].is_null()), (key, deleted));
    }
    let read = ann.get("/api/data/b").await.ok(200);
    assert_eq!(read.header("etag"), format!("\"{}\"", done["writes"][1]["version"].as_str().unwrap()));
    assert_eq!(ann.get(&format!("/api/transactions/{txn}")).await.ok(200).json()["outcome"], "committed");
    // Once more nothing holds of what was expected, and nothing is written.
    let refused = run(&mut ann, json!(["b"]), writes.clone()).await;
    let document = refused.problem(409, 727);
    let version = &done["writes"][0]["version"];
    let expected = json!([
        { "index": 0, "key": "a", "expected": "absent", "found": version },
        { "index": 2, "key": "gone", "expected": "present", "found": null },
    ]);
    assert_eq!(document["expectations"], expected);
    assert_eq!(ann.get("/api/data/b").await.ok(200).header("etag"), read.header("etag"));
    let wrong = json!([{ "key": "a", "value": 2, "expect": { "version": "7" } }]);
    let refused = run(&mut ann, json!([]), wrong).await;
    let document = refused.problem(409, 727);
    let expected = json!([{ "index": 0, "key": "a", "expected": { "version": "7" }, "found": version }]);
    assert_eq!(document["expectations"], expected);
    let txn = refused.header("skein-transaction");
    assert_eq!(ann.get(&format!("/api/transactions/{txn}")).await.ok(200).json()["outcome"], "aborted");
    let right = json!([{ "key": "a", "value": 2, "expect": { "version": version } }]);
    run(&mut ann, json!(["a"]), right).await.ok(200);
}

#[tokio::test]
async fn a_transaction_that_only_reads_has_no_id() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let version = ann.put("/api/data/a", json!("x")).await.ok(201).json()["version"].clone();
    let answer = run(&mut ann, json!(["b", "a"]), json!([])).await.ok(200);
    assert_eq!(answer.header("skein-transaction"), "");
    let reads = json!([{ "key": "b", "value": null, "version": null }, { "key": "a", "value": "x", "version": version }]);
    assert_eq!(answer.json(), json!({ "transaction": null, "reads": reads, "writes": [] }));
    let keys: Vec<String> = (0..30).map(|key| format!("k{key}")).collect();
    assert_eq!(run(&mut ann, json!(keys), json!([])).await.ok(200).json()["reads"].as_array().unwrap().len(), 30);
}

#[tokio::test]
async fn all_that_is_allowed_fits_and_no_more() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let keys = |count: usize, tag: char| -> Vec<String> { (0..count).map(|key| format!("{tag}{key}")).collect() };
    let puts = |keys: &[String]| -> Value { keys.iter().map(|key| json!({ "key": key, "value": key })).collect() };
    // As many keys as may be, some of them read and written, with and without a key of idempotency.
    let (reads, writes) = (keys(30, 'r'), keys(32, 'w'));
    let all = json!({ "reads": reads, "writes": puts(&writes) });
    ann.post("/api/transactions", all.clone()).await.ok(200);
    for _ in 0..2 {
        ann.send(Method::POST, "/api/transactions", &[("idempotency-key", "all")], Some(all.clone())).await.ok(200);
    }
    run(&mut ann, json!(writes[..30]), puts(&writes)).await.ok(200);
    let document = run(&mut ann, json!(keys(31, 'r')), json!([])).await.problem_in(400, 606, "reads");
    assert_eq!(document["errors"][0]["bound"], 30);
    let document = run(&mut ann, json!([]), puts(&keys(33, 'w'))).await.problem_in(400, 606, "writes");
    assert_eq!(document["errors"][0]["bound"], 32);
    // Bytes: a longest value with a longest key, and the longest transaction, however its keys are written.
    let longest = |value: usize| json!("x".repeat(value - 2));
    run(&mut ann, json!([]), json!([{ "key": "k".repeat(512), "value": longest(65_536) }])).await.ok(200);
    let document = run(&mut ann, json!([]), json!([{ "key": "a", "value": longest(65_537) }])).await;
    assert_eq!(document.problem_in(413, 728, "writes[0].value")["errors"][0]["bound"], 65_536);
    let two = |value: usize| json!([{ "key": "a", "value": longest(47_103) }, { "key": "b", "value": longest(value) }]);
    let key = [("idempotency-key", "two")];
    let body = |value| Some(json!({ "writes": two(value) }));
    ann.send(Method::POST, "/api/transactions", &key, body(47_103)).await.ok(200);
    let document = run(&mut ann, json!([]), two(47_104)).await.problem_in(413, 728, "body");
    assert_eq!(document["errors"][0]["bound"], 94_208);
    let escaped: Vec<String> = (0..30).map(|key| format!("\"{}\"", format!("\\u00{:02x}", 0x41 + key).repeat(512))).collect();
    let text = format!("{{\"reads\":[{}]}}", escaped.join(","));
    ann.raw(Method::POST, "/api/transactions", &[("content-type", "application/json")], text.into()).await.ok(200);
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for (body, field) in [
        (json!({}), "body"),
        (json!({ "reads": [""] }), "reads[0]"),
        (json!({ "reads": ["a", "b", "a"] }), "reads[2]"),
        (json!({ "reads": ["k".repeat(513)] }), "reads[0]"),
        (json!({ "writes": [{ "key": "a", "value": 1 }, { "key": "a", "delete": true }] }), "writes[1].key"),
        (json!({ "writes": [{ "key": "a" }] }), "writes[0]"),
        (json!({ "writes": [{ "key": "a", "value": null, "delete": true }] }), "writes[0]"),
        (json!({ "writes": [{ "key": "a", "delete": false }] }), "writes[0]"),
        (json!({ "writes": [{ "key": "a", "value": 1, "expect": { "version": "x" } }] }), "writes[0].expect"),
        (json!({ "writes": [{ "key": "a", "value": 1, "expect": { "version": "+7" } }] }), "writes[0].expect"),
    ] {
        ann.post("/api/transactions", body).await.problem_in(400, 606, field);
    }
    let one = |write: Value| json!({ "writes": [{ "key": "first", "value": null }, write] });
    for (body, field) in [
        (json!({ "reads": "a" }), "reads"),
        (json!({ "reads": ["a", 1] }), "reads[1]"),
        (json!({ "reads": null }), "reads"),
        (json!({ "writes": [["a", 1]] }), "writes[0]"),
        (one(json!({ "value": 1 })), "writes[1].key"),
        (one(json!({ "key": 7, "value": 1 })), "writes[1].key"),
        (one(json!({ "key": "a", "delete": "yes" })), "writes[1].delete"),
        (one(json!({ "key": "a", "value": 1, "expects": "absent" })), "writes[1].expects"),
        (one(json!({ "key": "a", "value": 1, "expect": "maybe" })), "writes[1].expect"),
        (one(json!({ "key": "a", "value": 1, "expect": null })), "writes[1].expect"),
        (one(json!({ "key": "a", "value": 1, "expect": true })), "writes[1].expect"),
        (one(json!({ "key": "a", "value": 1, "expect": {} })), "writes[1].expect"),
        (one(json!({ "key": "a", "value": 1, "expect": { "absent": null } })), "writes[1].expect"),
        (one(json!({ "key": "a", "value": 1, "expect": { "version": 7 } })), "writes[1].expect.version"),
        (one(json!({ "key": "a", "value": 1, "expect": { "version": null } })), "writes[1].expect.version"),
        (one(json!({ "key": "a", "value": 1, "expect": { "version": "7", "absent": null } })), "writes[1].expect"),
        (json!({ "read": ["a"] }), "read"),
        (json!([]), "body"),
    ] {
        ann.post("/api/transactions", body).await.problem_in(400, 708, field);
    }
    let json = [("content-type", "application/json")];
    let deep = "[".repeat(128) + &"]".repeat(128);
    for (value, bound) in [("1e999", None), ("{\"a\":1,\"a\":2}", None), (deep.as_str(), Some(127))] {
        let text = format!("{{\"writes\":[{{\"key\":\"a\",\"value\":{value}}}]}}");
        let answer = ann.raw(Method::POST, "/api/transactions", &json, text.into()).await;
        assert_eq!(answer.problem_in(400, 708, "writes[0].value")["errors"][0]["bound"].as_u64(), bound);
    }
    for text in ["{\"writes\":[{\"key\":\"a\"", "{\"writes\":[{\"key\":\"a\",\"value\":nul}]}", "{\"reads\":[\"\\ud800\"]}"] {
        ann.raw(Method::POST, "/api/transactions", &json, text.into()).await.problem_in(400, 708, "body");
    }
    let twice = "{\"writes\":[{\"key\":\"a\",\"value\":1,\"value\":2}]}";
    ann.raw(Method::POST, "/api/transactions", &json, twice.into()).await.problem_in(400, 708, "writes[0].value");
    let long = format!("{{\"reads\":[\"{}\"]}}", "x".repeat(400_000));
    ann.raw(Method::POST, "/api/transactions", &json, long.into()).await.problem_in(413, 710, "body");
    ann.send(Method::PUT, "/api/transactions", &[], None).await.problem(405, 705);
    assert_eq!(ann.get("/api/data").await.ok(200).json()["data"], json!([]));
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_with_what_was_read_then() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    ann.put("/api/data/a", json!({ "n": 1 })).await.ok(201);
    let key = [("idempotency-key", "k")];
    let body = |value: i32| {
        let writes = json!([{ "key": "a", "value": value }, { "key": "new", "value": value }, { "key": "c", "delete": true }]);
        Some(json!({ "reads": ["a", "b"], "writes": writes }))
    };
    let first = ann.send(Method::POST, "/api/transactions", &key, body(2)).await.ok(200);
    for (key, write) in [("a", 0), ("new", 1)] {
        let etag = ann.get(&format!("/api/data/{key}")).await.ok(200).header("etag").to_owned();
        assert_eq!(etag, format!("\"{}\"", first.json()["writes"][write]["version"].as_str().unwrap()));
    }
    ann.put("/api/data/a", json!(3)).await.ok(200);
    let again = ann.send(Method::POST, "/api/transactions", &key, body(2)).await.ok(200);
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("skein-transaction"), again.header("skein-transaction"));
    assert_eq!(ann.get("/api/data/a").await.ok(200).json(), json!(3));
    ann.send(Method::POST, "/api/transactions", &key, body(4)).await.problem_in(422, 713, "Idempotency-Key");
    // What was read must fit into what is remembered.
    for key in ["long-1", "long-2"] {
        ann.put(&format!("/api/data/{key}"), json!("x".repeat(60_000))).await.ok(201);
    }
    let long = json!({ "reads": ["long-1", "long-2"], "writes": [{ "key": "a", "value": 5 }] });
    ann.send(Method::POST, "/api/transactions", &[("idempotency-key", "l")], Some(long.clone())).await.problem(422, 729);
    ann.post("/api/transactions", long).await.ok(200);
}

/// Each reads what it replaces. In any serial order each version is read by one and no more, and the chain has no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_read_and_replace_the_same_keys_all_get_through_one_after_the_other() {
    const CLIENTS: usize = 16;
    const ROUNDS: usize = 6;
    let cluster = Cluster::start().await;
    let ann = cluster.logged_in("ann").await;
    let clients = (0..CLIENTS).map(|number| {
        let mut client = ann.another();
        tokio::spawn(async move {
            let mut steps = Vec::new();
            for round in 0..ROUNDS {
                let id = format!("{number}/{round}");
                // Some name the keys in another order, some want to be done once.
                let keys = if number % 2 == 0 { ["x", "y"] } else { ["y", "x"] };
                let writes = json!([{ "key": keys[0], "value": id }, { "key": keys[1], "value": id }]);
                let body = Some(json!({ "reads": keys, "writes": writes }));
                let headers = [("idempotency-key", id.as_str())];
                let done = client.send(Method::POST, "/api/transactions", &headers[number % 4 / 2..], body).await.ok(200).json();
                let values: Vec<&Value> = done["reads"].as_array().unwrap().iter().map(|read| &read["value"]).collect();
                assert_eq!(values[0], values[1], "both are always written together");
                let at = keys.iter().position(|key| *key == "x").unwrap();
                steps.push((done["reads"][at]["version"].clone(), done["writes"][at]["version"].clone()));
            }
            steps
        })
    });
    let mut steps = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        steps.extend(client.await.unwrap());
    }
    let mut last = Value::Null;
    while let Some(at) = steps.iter().position(|(read, _)| *read == last) {
        last = steps.swap_remove(at).1;
    }
    assert_eq!(steps, [], "these read what another had replaced already");
}

/// Money is moved between accounts by those who read first and expect what they read; others look on all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_of_all_accounts_is_the_same_at_every_instant() {
    const ACCOUNTS: usize = 4;
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let keys: Vec<String> = (0..ACCOUNTS).map(|account| format!("account/{account}")).collect();
    for key in &keys {
        ann.put(&format!("/api/data/{key}"), json!(100)).await.ok(201);
    }
    let movers = (0..4).map(|mover| {
        let (mut client, keys) = (ann.another(), keys.clone());
        tokio::spawn(async move {
            let mut moved = 0;
            for round in 0..40 {
                let (from, to) = (&keys[(mover + round) % ACCOUNTS], &keys[(mover + 2 * round + 1) % ACCOUNTS]);
                if from == to {
                    continue;
                }
                let read = run(&mut client, json!([from, to]), json!([])).await.ok(200).json();
                let write = |at: usize, key: &str, by: i64| {
                    let value = read["reads"][at]["value"].as_i64().unwrap() + by;
                    json!({ "key": key, "value": value, "expect": { "version": read["reads"][at]["version"] } })
                };
                let answer = run(&mut client, json!([]), json!([write(0, from, -1), write(1, to, 1)])).await;
                match answer.status {
                    200 => moved += 1,
                    _ => drop(answer.problem(409, 727)),
                }
            }
            moved
        })
    });
    let movers: Vec<_> = movers.collect();
    let mut looks = 0;
    while !movers.iter().all(tokio::task::JoinHandle::is_finished) || looks < 10 {
        // Half of them by a transaction that writes as well, which must have read what it commits on.
        let writes = if looks % 2 == 0 { json!([]) } else { json!([{ "key": "looked", "value": looks }]) };
        let read = run(&mut ann, json!(keys), writes).await;
        if read.status == 409 {
            read.problem(409, 718);
            continue;
        }
        let sum: i64 = read.ok(200).json()["reads"].as_array().unwrap().iter().map(|one| one["value"].as_i64().unwrap()).sum();
        assert_eq!(sum, 100 * ACCOUNTS as i64);
        looks += 1;
    }
    let mut moved = 0;
    for mover in movers {
        moved += mover.await.unwrap();
    }
    assert!(moved > 0, "nothing was moved");
}
