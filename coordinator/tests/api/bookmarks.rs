//! Each row of the contract on bookmarks: mark, list, remove; what is whose, what a deleted tweet leaves, and every bound.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::Method;
use serde_json::{Value, json};
use skein_coordinator::bookmarks::BOOKMARKS_MAX;
use skein_coordinator::config::{Auth, SurfaceConfig};
use skein_coordinator::store::cluster::Error;
use skein_coordinator::store::memory::Memory;
use skein_coordinator::store::tables::{BOOKMARKS, IDEMPOTENCY, SESSIONS, TWEETS};
use skein_protocol::step::AbortReason;

use crate::harness::surface::{ask, surface};
use crate::harness::{Client, Cluster};

/// A tweet that there never was.
const NEVER: &str = "01a1f798-19cc-72da-bbfe-5131235b7b99";

/// Where a tweet, by its own path, is marked.
fn mark_of(tweet: &str) -> String {
    tweet.replace("/api/tweet/", "/api/bookmarks/")
}

async fn put(client: &mut Client, tweet: &str) -> crate::harness::Answer {
    client.send(Method::PUT, &mark_of(tweet), &[], None).await
}

/// The texts of a page's tweets; null for those that are gone.
fn texts(page: &Value) -> Vec<Value> {
    page["bookmarks"].as_array().unwrap().iter().map(|bookmark| bookmark["tweet"]["text"].clone()).collect()
}

#[tokio::test]
async fn every_request_is_a_persons_and_that_comes_first() {
    let cluster = Cluster::start().await;
    let path = cluster.logged_in("ann").await.tweet("hidden").await;
    let (form, operator) = (json!({ "name": "program", "scope": "write" }), [("authorization", "Skein-Operator local")]);
    let made = cluster.client().send(Method::POST, "/api/tokens", &operator, Some(form)).await.ok(201).json();
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let mut nobody = cluster.client();
    for cookie in [None, Some("skein_session=AAAAAAAAAAAAAAAAAAAAAA".to_owned())] {
        nobody.cookie = cookie;
        for headers in [&[][..], &[("authorization", bearer.as_str())]] {
            for path in ["/api/bookmarks", "/api/bookmarks?limit=0", "/api/bookmarks?tweets=x"] {
                nobody.send(Method::GET, path, headers, None).await.problem(401, 700);
            }
            for path in [&mark_of(&path), "/api/bookmarks/none"] {
                nobody.send(Method::PUT, path, headers, None).await.problem(401, 700);
                nobody.send(Method::DELETE, path, headers, None).await.problem(401, 700);
            }
        }
    }
}

#[tokio::test]
async fn a_tweet_is_marked_listed_and_removed() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let mut bob = cluster.logged_in("bob").await;
    let (first, second) = (bob.tweet("first").await, bob.tweet("second").await);
    let empty = json!({ "bookmarks": [], "next": null });
    assert_eq!(ann.get("/api/bookmarks").await.ok(200).json(), empty);

    // The order is that of the marks, not that of the tweets.
    put(&mut ann, &second).await.ok(201);
    let made = put(&mut ann, &first).await.ok(201);
    assert!(!made.header("skein-transaction").is_empty());
    assert_eq!(first, format!("/api/tweet/{}", made.json()["tweet_id"].as_str().unwrap()));
    let page = ann.get("/api/bookmarks").await.ok(200).json();
    assert_eq!((texts(&page), &page["next"]), (vec![json!("first"), json!("second")], &Value::Null));
    let listed = &page["bookmarks"][0];
    assert_eq!((&listed["tweet_id"], &listed["created_at"]), (&made.json()["tweet_id"], &made.json()["created_at"]));
    assert_eq!(listed["tweet"], ann.get(&first).await.ok(200).json());

    // A mark that is there stays what it was, in its place.
    let again = put(&mut ann, &second).await.ok(200);
    assert!(!again.header("skein-transaction").is_empty());
    assert_eq!(again.json()["created_at"], page["bookmarks"][1]["created_at"]);
    assert_eq!(ann.get("/api/bookmarks").await.ok(200).json(), page);

    // A tweet is shown as it is by now.
    bob.put(&first, json!({ "text": "edited" })).await.ok(200);
    assert_eq!(texts(&ann.get("/api/bookmarks").await.ok(200).json()), ["edited", "second"]);

    for _ in 0..2 {
        let removed = ann.delete(&mark_of(&first)).await.ok(204);
        assert!(removed.text.is_empty() && !removed.header("skein-transaction").is_empty());
    }
    assert_eq!(texts(&ann.get("/api/bookmarks").await.ok(200).json()), ["second"]);
    ann.delete(&mark_of(&second)).await.ok(204);
    assert_eq!(ann.get("/api/bookmarks").await.ok(200).json(), empty);
}

#[tokio::test]
async fn what_is_no_tweet_cannot_be_marked() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for id in ["none", "%ff", "a%2Fb", "%00", &"0".repeat(37)] {
        put(&mut ann, &format!("/api/tweet/{id}")).await.problem(404, 702);
        ann.delete(&format!("/api/bookmarks/{id}")).await.problem(404, 702);
    }
    put(&mut ann, &format!("/api/tweet/{NEVER}")).await.problem(404, 702);
    ann.delete(&format!("/api/bookmarks/{NEVER}")).await.ok(204);
    put(&mut ann, "/api/tweet/a/b").await.problem(404, 704);
    ann.get(&format!("/api/bookmarks/{NEVER}")).await.problem(405, 705);
    ann.post("/api/bookmarks", json!({})).await.problem(405, 705);
    assert_eq!(texts(&ann.get("/api/bookmarks").await.ok(200).json()), [Value::Null; 0]);
}

#[tokio::test]
async fn the_mark_of_a_tweet_that_was_deleted_shows_it_as_gone_until_it_is_removed() {
    let cluster = Cluster::start().await;
    let (mut ann, mut bob) = (cluster.logged_in("ann").await, cluster.logged_in("bob").await);
    let (gone, there) = (bob.tweet("gone soon").await, bob.tweet("there").await);
    put(&mut ann, &gone).await.ok(201);
    put(&mut ann, &there).await.ok(201);
    bob.delete(&gone).await.ok(204);
    let page = ann.get("/api/bookmarks").await.ok(200).json();
    assert_eq!(texts(&page), [json!("there"), Value::Null]);
    let listed = &page["bookmarks"][1];
    assert_eq!((format!("/api/tweet/{}", listed["tweet_id"].as_str().unwrap()), &listed["tweet"]), (gone.clone(), &Value::Null));
    put(&mut ann, &gone).await.problem(404, 702);
    ann.delete(&mark_of(&gone)).await.ok(204);
    assert_eq!(texts(&ann.get("/api/bookmarks").await.ok(200).json()), ["there"]);
}

#[tokio::test]
async fn bookmarks_are_their_owners_alone() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("Ann").await;
    let path = ann.tweet("mine").await;
    put(&mut ann, &path).await.ok(201);
    for other in ["an", "annp", "ann.t", "bob"] {
        let mut other = cluster.logged_in(other).await;
        assert_eq!(texts(&other.get("/api/bookmarks").await.ok(200).json()), [Value::Null; 0]);
        other.delete(&mark_of(&path)).await.ok(204);
        // What others have marked doesn't count as marked already.
        put(&mut other, &path).await.ok(201);
        other.delete(&mark_of(&path)).await.ok(204);
    }
    // Names are the same without regard to case.
    let mut same = cluster.logged_in("aNN").await;
    assert_eq!(texts(&same.get("/api/bookmarks").await.ok(200).json()), ["mine"]);
    put(&mut same, &path).await.ok(200);
}

#[tokio::test]
async fn lists_go_from_the_newest_mark_to_the_oldest_page_by_page() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for number in 0..55 {
        let path = ann.tweet(&number.to_string()).await;
        put(&mut ann, &path).await.ok(201);
    }
    let numbers = |range: std::ops::Range<u32>| range.rev().map(|number| json!(number.to_string())).collect::<Vec<_>>();
    let first = ann.get("/api/bookmarks").await.ok(200).json();
    assert_eq!(texts(&first), numbers(5..55), "fifty a page unless told");
    // What is marked or removed meanwhile does not shift the next page.
    let last = format!("/api/bookmarks/{}", first["bookmarks"][49]["tweet_id"].as_str().unwrap());
    ann.delete(&last).await.ok(204);
    let meanwhile = ann.tweet("meanwhile").await;
    put(&mut ann, &meanwhile).await.ok(201);
    let cursor = first["next"].as_str().unwrap();
    let second = ann.get(&format!("/api/bookmarks?cursor={cursor}")).await.ok(200).json();
    assert_eq!((texts(&second), &second["next"]), (numbers(0..5), &Value::Null));
    let two = ann.get("/api/bookmarks?limit=2").await.ok(200).json();
    assert_eq!(texts(&two), ["meanwhile", "54"]);
    let rest = ann.get(&format!("/api/bookmarks?limit=200&cursor={}", two["next"].as_str().unwrap())).await.ok(200).json();
    assert_eq!(texts(&rest).len(), 53);
    // A cursor is a place in time: in a list of another's it leads to nothing of the first one's.
    let mut bob = cluster.logged_in("bob").await;
    assert_eq!(texts(&bob.get(&format!("/api/bookmarks?cursor={cursor}")).await.ok(200).json()), [Value::Null; 0]);
}

#[tokio::test]
async fn the_bookmarks_of_some_tweets_are_found_among_all() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let (marked, other) = (ann.tweet("marked").await, ann.tweet("other").await);
    put(&mut ann, &marked).await.ok(201);
    let id = |path: &str| path.strip_prefix("/api/tweet/").unwrap().to_owned();
    let (marked, other) = (id(&marked), id(&other));
    let twice = format!("{other},{NEVER},{marked},{}", marked.to_uppercase());
    let page = ann.get(&format!("/api/bookmarks?limit=1&tweets={twice}")).await.ok(200).json();
    assert_eq!((texts(&page), &page["next"]), (vec![json!("marked")], &Value::Null));
    ann.get(&format!("/api/bookmarks?tweets={}", [NEVER; 32].join(","))).await.ok(200);
    let simple = NEVER.replace('-', "");
    let too_many = [NEVER; 33].join(",");
    for wrong in ["", ",", "x", &format!("{NEVER},"), &simple, &format!("{{{NEVER}}}"), &too_many] {
        let document = ann.get(&format!("/api/bookmarks?tweets={wrong}")).await.problem_in(400, 709, "tweets");
        assert_eq!(document["errors"][0]["bound"], 32);
    }
}

#[tokio::test]
async fn parameters_of_a_list_are_checked() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    for limit in ["0", "201", "-1", "x", "", "1.5", "99999999999"] {
        let document = ann.get(&format!("/api/bookmarks?limit={limit}")).await.problem_in(400, 709, "limit");
        assert_eq!(document["errors"][0]["bound"], 200);
    }
    for cursor in ["", "x", "AAAA", "%00", "%ff"] {
        ann.get(&format!("/api/bookmarks?cursor={cursor}")).await.problem_in(400, 709, "cursor");
    }
    ann.get("/api/bookmarks?limit=1&limit=2").await.problem_in(400, 709, "limit");
    ann.get("/api/bookmarks?unknown=1").await.ok(200);
}

#[tokio::test]
async fn a_repeat_under_the_same_key_gets_the_first_answer() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let (one, other) = (mark_of(&ann.tweet("one").await), mark_of(&ann.tweet("other").await));
    let key = [("idempotency-key", "mark")];
    let first = ann.send(Method::PUT, &one, &key, None).await.ok(201);
    ann.delete(&one).await.ok(204);
    let repeat = ann.send(Method::PUT, &one, &key, None).await.ok(201);
    assert_eq!((repeat.json(), repeat.header("skein-transaction")), (first.json(), first.header("skein-transaction")));
    assert_eq!(texts(&ann.get("/api/bookmarks").await.ok(200).json()), [Value::Null; 0], "nothing was written again");
    ann.send(Method::PUT, &other, &key, None).await.problem(422, 713);
    ann.send(Method::DELETE, &one, &key, None).await.problem(422, 713);
    ann.send(Method::PUT, &one, &[("idempotency-key", "a b")], None).await.problem_in(400, 709, "Idempotency-Key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_mark_at_once_are_all_counted_and_of_one_tweet_one_is_first() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let mut paths = Vec::new();
    for number in 0..8 {
        paths.push(ann.tweet(&number.to_string()).await);
    }
    let all = |method: Method| {
        let tasks = paths.iter().chain(&paths).map(|path| {
            let (mut client, path, method) = (ann.another(), mark_of(path), method.clone());
            tokio::spawn(async move { client.send(method, &path, &[], None).await.status })
        });
        let tasks: Vec<_> = tasks.collect();
        async {
            let mut statuses = Vec::new();
            for task in tasks {
                statuses.push(task.await.unwrap());
            }
            statuses.sort_unstable();
            statuses
        }
    };
    assert_eq!(all(Method::PUT).await, [[200; 8], [201; 8]].concat());
    assert_eq!(texts(&ann.another().get("/api/bookmarks").await.ok(200).json()).len(), 8);
    assert_eq!(all(Method::DELETE).await, [204; 16]);
    let status = cluster.client().get("/api/cluster").await.ok(200).json();
    assert_eq!(status["members"][0]["records"], 1 + 1 + 8, "the account, the session and the tweets are all that is left");
}

#[tokio::test]
async fn marks_are_limited_as_writes_are() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.writes = Some(skein_coordinator::caller::attempts::Allowance { tries: 2, per: Duration::from_secs(3600) });
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("one").await;
    put(&mut ann, &path).await.ok(201);
    ann.delete(&mark_of(&path)).await.problem(429, 720);
    assert_eq!(texts(&ann.get("/api/bookmarks").await.ok(200).json()), ["one"]);
}

/// A person at the surface alone, on a store in memory.
struct Lone {
    memory: Memory,
    surface: Router,
    cookie: String,
}

impl Lone {
    async fn ann(settings: SurfaceConfig) -> Self {
        let memory = Memory::default();
        let surface = surface(&memory, settings);
        let login = Request::post("/api/login").body(Body::from(r#"{"username":"ann"}"#)).unwrap();
        let (_, headers, _) = ask(&surface, login).await;
        let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Lone { memory, surface, cookie }
    }

    async fn asks(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("cookie", &self.cookie);
        let (status, _, answer) = ask(&self.surface, request.body(Body::from(text)).unwrap()).await;
        (status, answer)
    }

    /// Posts a tweet and gives the path of its mark.
    async fn tweet(&self, text: &str) -> String {
        let (status, tweet) = self.asks("POST", "/api/tweet", json!({ "text": text })).await;
        assert_eq!(status, 201);
        format!("/api/bookmarks/{}", tweet["id"].as_str().unwrap())
    }

    async fn does(&self, method: &str, path: &str) -> (u16, Value) {
        let (status, answer) = self.asks(method, path, Value::Null).await;
        (status, answer["code"].clone())
    }
}

#[tokio::test]
async fn nobody_has_more_bookmarks_than_the_bound_says() {
    let ann = Lone::ann(SurfaceConfig::new(Auth::Name)).await;
    let mut marks = Vec::new();
    for _ in 0..=BOOKMARKS_MAX {
        marks.push(ann.tweet("x").await);
    }
    let one_more = marks.pop().unwrap();
    for mark in &marks {
        assert_eq!(ann.does("PUT", mark).await.0, 201);
    }
    let before = ann.memory.rows(BOOKMARKS.id);
    let (status, problem) = ann.asks("PUT", &one_more, Value::Null).await;
    assert_eq!((status, &problem["code"]), (409, &json!(740)));
    assert!(problem["detail"].as_str().unwrap().contains("1000 bookmarks"), "{problem}");
    assert_eq!(ann.does("PUT", &marks[0]).await.0, 200, "what is marked stays marked");
    assert_eq!(ann.memory.rows(BOOKMARKS.id), before);

    let (mut listed, mut path) = (0, "/api/bookmarks?limit=200".to_owned());
    loop {
        let (_, page) = ann.asks("GET", &path, Value::Null).await;
        listed += texts(&page).len();
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/bookmarks?limit=200&cursor={next}");
    }
    assert_eq!(listed as u64, BOOKMARKS_MAX);

    assert_eq!(ann.does("DELETE", &marks[7]).await.0, 204);
    assert_eq!(ann.does("DELETE", &marks[7]).await.0, 204, "only one that is there makes room");
    assert_eq!(ann.does("PUT", &one_more).await.0, 201);
    assert_eq!(ann.does("PUT", &marks[7]).await, (409, json!(740)));
}

#[tokio::test]
async fn a_page_of_long_tweets_is_shorter_and_goes_on() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.tweet_characters_max = 10_000;
    let ann = Lone::ann(settings).await;
    for _ in 0..100 {
        let mark = ann.tweet(&"\u{1f9f6}".repeat(10_000)).await;
        assert_eq!(ann.does("PUT", &mark).await.0, 201);
    }
    let (mut pages, mut listed, mut path) = (0, 0, "/api/bookmarks?limit=200".to_owned());
    loop {
        let (status, page) = ann.asks("GET", &path, Value::Null).await;
        assert_eq!(status, 200);
        (pages, listed) = (pages + 1, listed + texts(&page).len());
        assert!(page.to_string().len() < 2 * 1024 * 1024);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/bookmarks?limit=200&cursor={next}");
    }
    assert_eq!(listed, 100);
    assert!(pages > 1);
}

#[tokio::test]
async fn what_changes_nothing_is_answered_though_the_store_has_no_room_for_its_answer() {
    let ann = Lone::ann(SurfaceConfig::new(Auth::Name)).await;
    let mark = ann.tweet("x").await;
    let keyed = |method: &str| {
        let request = Request::builder().method(method).uri(&mark).header("cookie", &ann.cookie).header("idempotency-key", "k");
        request.body(Body::empty()).unwrap()
    };
    let full = || ann.memory.end_next(Error::Aborted { txn: ann.memory.last(), reason: AbortReason::Memory });
    full();
    assert_eq!(ask(&ann.surface, keyed("DELETE")).await.0, 204, "nothing to remove");
    full();
    let (status, _, problem) = ask(&ann.surface, keyed("PUT")).await;
    assert_eq!((status, &problem["code"]), (507, &json!(717)), "a mark needs room");
    assert_eq!(ann.does("PUT", &mark).await.0, 201);
    full();
    assert_eq!(ask(&ann.surface, keyed("PUT")).await.0, 200, "marked already");
    assert!(ann.memory.rows(IDEMPOTENCY.id).is_empty());
    // With room it is remembered like any other answer.
    assert_eq!(ask(&ann.surface, keyed("PUT")).await.0, 200);
    assert_eq!(ann.does("DELETE", &mark).await.0, 204);
    assert_eq!(ask(&ann.surface, keyed("PUT")).await.0, 200);
    assert!(ann.memory.rows(BOOKMARKS.id).is_empty());
}

#[tokio::test]
async fn a_log_out_is_not_overtaken() {
    for (method, marked) in [("PUT", false), ("PUT", true), ("DELETE", true), ("DELETE", false)] {
        let ann = Lone::ann(SurfaceConfig::new(Auth::Name)).await;
        let mark = ann.tweet("x").await;
        if marked {
            assert_eq!(ann.does("PUT", &mark).await.0, 201);
        }
        let before = ann.memory.rows(BOOKMARKS.id);
        ann.memory.meanwhile(|memory| memory.rows(SESSIONS.id).into_iter().for_each(|row| memory.delete(row.key)));
        assert_eq!(ann.does(method, &mark).await, (401, json!(700)), "{method}");
        assert_eq!(ann.memory.rows(BOOKMARKS.id), before);
        assert_eq!(ann.does("GET", "/api/bookmarks").await, (401, json!(700)));
    }
}

#[tokio::test]
async fn a_tweet_that_is_deleted_in_the_same_moment_is_not_marked() {
    let ann = Lone::ann(SurfaceConfig::new(Auth::Name)).await;
    let mark = ann.tweet("x").await;
    ann.memory.meanwhile(|memory| memory.rows(TWEETS.id).into_iter().for_each(|row| memory.delete(row.key)));
    assert_eq!(ann.does("PUT", &mark).await, (404, json!(702)));
    assert!(ann.memory.rows(BOOKMARKS.id).is_empty());
}
