//! Every end that a transaction can have, as its client hears of it. The engine here is one that answers as told, since some
//! ends (an outcome that stays unknown, a full store) need more luck than a test should.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{Request as HttpRequest, header};
use http_body_util::BodyExt;
use prometheus::Registry;
use serde_json::Value;
use skein_coordinator::cluster::{Cluster, Engine};
use skein_coordinator::config::{Auth, SurfaceConfig};
use skein_coordinator::http::{Members, Shared, router};
use skein_coordinator::metrics::CoordinatorMetrics;
use skein_coordinator::roster::Roster;
use skein_coordinator::tables::{IDEMPOTENCY, SESSIONS, TWEETS};
use skein_protocol::id::{Incarnation, TxnId, Version};
use skein_protocol::operation::{Action, Answer, Key, Operation, Query, Row};
use skein_protocol::step::{AbortReason, Refusal, Reply, Request};
use skein_runtime::transport::Met;
use tower::ServiceExt;

const TXN: TxnId = TxnId { incarnation: Incarnation(7), sequence: 42 };

const COOKIE: &str = "skein_session=AAAAAAAAAAAAAAAAAAAAAA";

/// A tweet as it is stored.
const TWEET: &[u8] = br#"{"author":"ann","text":"one","created_at":0,"edited_at":null,"version":1}"#;

/// Finds everybody logged in, and answers all else as told; `None` never answers.
struct Told(Mutex<Option<Option<Reply>>>);

impl Engine for Told {
    fn request(&self, request: Request) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send + '_>> {
        if let Request::Read { query: Query::Keys(keys), .. } = &request
            && let [key] = keys.as_slice()
            && key.table == SESSIONS
        {
            let rows = vec![session(key)];
            return Box::pin(async move { Some(Reply::Found(Answer::Rows { rows, more: false })) });
        }
        let told = self.0.lock().unwrap().take();
        Box::pin(async move {
            match told {
                Some(reply) => reply,
                None => std::future::pending().await,
            }
        })
    }
}

fn session(key: &Key) -> Row {
    let value = br#"{"username":"ann","created_at":0,"expires_at":18446744073709551615}"#;
    Row { key: key.clone(), version: Version(1), written_by: TXN, value: value.as_slice().into() }
}

fn surface(engine: impl Engine, settings: SurfaceConfig) -> Router {
    let registry = Registry::new();
    let metrics = CoordinatorMetrics::register(&registry).unwrap().node("test", &[]);
    let cluster = Cluster::new(engine, metrics.clone());
    let roster = Roster::new(cluster.clone(), Vec::new(), false);
    router(Arc::new(Shared::new(
        settings,
        None,
        cluster,
        (roster, Members { met: Met::default(), control_is_logged: true }),
        registry,
        metrics,
    )))
}

/// What a client hears that posts while the engine answers so: status, headers and document.
async fn post(told: Option<Option<Reply>>, settings: SurfaceConfig) -> (u16, header::HeaderMap, Value) {
    let request = HttpRequest::post("/api/tweet")
        .header(header::COOKIE, COOKIE)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{\"text\":\"x\"}"))
        .unwrap();
    ask(request, told, settings).await
}

async fn ask(
    mut request: HttpRequest<Body>,
    told: Option<Option<Reply>>,
    settings: SurfaceConfig,
) -> (u16, header::HeaderMap, Value) {
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
    let (parts, body) = surface(Told(Mutex::new(told)), settings).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn every_end_of_a_transaction_has_its_answer() {
    let aborted = |reason| Reply::Aborted { txn: TXN, reason };
    // The reply; then status, code, whether the header names the transaction, whether the document does, whether to try again.
    let rows = [
        (Some(Reply::Unknown { txn: TXN }), 503, 714, true, true, false),
        // The first operation checks the session: it has ended since it was seen here.
        (Some(aborted(AbortReason::Expectation { operation: 0, found: None })), 401, 700, false, false, false),
        (Some(aborted(AbortReason::Memory)), 507, 717, true, false, false),
        (Some(aborted(AbortReason::Contention)), 409, 718, true, false, true),
        (Some(Reply::Refused(Refusal::Overloaded)), 503, 715, false, false, true),
        (Some(Reply::Refused(Refusal::Unavailable)), 503, 716, false, false, true),
        (Some(Reply::Refused(Refusal::Invalid)), 500, 799, false, false, false),
        (None, 502, 724, false, false, false),
    ];
    for (reply, status, code, in_header, in_document, again) in rows {
        let said = format!("{reply:?}");
        let (found, headers, document) = post(Some(reply), SurfaceConfig::new(Auth::Name)).await;
        assert_eq!((found, &document["code"]), (status, &Value::from(code)), "{said}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{said}");
        assert_eq!(headers.get("skein-transaction").map(|value| value.to_str().unwrap()), in_header.then_some("7-42"), "{said}");
        assert_eq!(document.get("transaction").and_then(Value::as_str), in_document.then_some("7-42"), "{said}");
        assert_eq!(headers.contains_key(header::RETRY_AFTER), again, "{said}");
    }
}

#[tokio::test]
async fn writes_of_data_have_the_same_ends() {
    let aborted = |reason| Reply::Aborted { txn: TXN, reason };
    let rows = [
        (Some(Reply::Unknown { txn: TXN }), 503, 714),
        (Some(aborted(AbortReason::Expectation { operation: 0, found: None })), 401, 700),
        (Some(aborted(AbortReason::Memory)), 507, 717),
        (Some(aborted(AbortReason::Contention)), 409, 718),
        (Some(Reply::Refused(Refusal::Overloaded)), 503, 715),
        (Some(Reply::Refused(Refusal::Unavailable)), 503, 716),
        (None, 502, 724),
    ];
    for (reply, status, code) in rows {
        // Each is one commit and nothing else.
        let put = HttpRequest::put("/api/data/a").header(header::IF_NONE_MATCH, "*");
        let run = HttpRequest::post("/api/transactions");
        for (request, body) in [(put, "1"), (run, r#"{"writes":[{"key":"a","value":1}]}"#)] {
            let request = request.header(header::COOKIE, COOKIE).header(header::CONTENT_TYPE, "application/json");
            let request = request.body(Body::from(body)).unwrap();
            let (found, headers, document) = ask(request, Some(reply.clone()), SurfaceConfig::new(Auth::Name)).await;
            assert_eq!((found, &document["code"]), (status, &Value::from(code)), "{reply:?}");
            let unknown = (code == 714).then_some("7-42");
            assert_eq!(document.get("transaction").and_then(Value::as_str), unknown, "{reply:?}");
            assert_eq!(headers.contains_key(header::RETRY_AFTER), matches!(code, 715 | 716 | 718), "{reply:?}");
        }
    }
}

/// Finds a token under every key that is asked for, with this end.
struct Grants(u64);

impl Engine for Grants {
    fn request(&self, request: Request) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send + '_>> {
        let Request::Read { query: Query::Keys(keys), .. } = request else { panic!("{request:?} was asked for") };
        let value = format!(r#"{{"name":"x","scope":"write","created_at":0,"expires_at":{}}}"#, self.0).into_bytes();
        let row = |key: &Key| Row { key: key.clone(), version: Version(1), written_by: TXN, value: value.clone().into() };
        let rows = keys.iter().map(row).collect();
        Box::pin(async move { Some(Reply::Found(Answer::Rows { rows, more: false })) })
    }
}

#[tokio::test]
async fn a_token_that_has_ended_opens_nothing() {
    for (ends, status) in [(1, 401), (u64::MAX, 200)] {
        let token = format!("Bearer skein_{}", "A".repeat(43));
        let request = HttpRequest::get("/api/data/a")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, token)
            .body(Body::empty())
            .unwrap();
        let answer = surface(Grants(ends), SurfaceConfig::new(Auth::Name)).oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
}

/// Finds everybody logged in and a tweet of theirs, aborts each write because the tweet is gone, and then finds what that
/// write would have remembered: as if its duplicate had been the one that got through, and the tweet was deleted after that.
#[derive(Default)]
struct Overtaken(Mutex<Option<Row>>);

impl Engine for Overtaken {
    fn request(&self, request: Request) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send + '_>> {
        let mut remembered = self.0.lock().unwrap();
        let reply = match request {
            Request::Read { query: Query::Keys(keys), .. } => {
                let row = |key: &Key| match key.table {
                    SESSIONS => Some(session(key)),
                    TWEETS => Some(Row { value: TWEET.into(), ..session(key) }),
                    _ => remembered.clone(),
                };
                Reply::Found(Answer::Rows { rows: keys.iter().filter_map(row).collect(), more: false })
            }
            Request::Commit { operations, .. } => {
                let claim = operations.iter().find(|operation| operation.key.table == IDEMPOTENCY);
                if let Some(Operation { key, action: Action::Put(value), .. }) = claim {
                    *remembered = Some(Row { value: value.clone(), ..session(key) });
                }
                Reply::Aborted { txn: TXN, reason: AbortReason::Expectation { operation: 0, found: None } }
            }
            other => panic!("{other:?} was asked for"),
        };
        Box::pin(std::future::ready(Some(reply)))
    }
}

#[tokio::test]
async fn a_duplicate_that_was_overtaken_and_finds_the_tweet_gone_gets_the_first_answer() {
    let path = "/api/tweet/00000000-0000-7000-8000-000000000000";
    for (method, body, status) in [("PUT", "{\"text\":\"edited\"}", 200), ("DELETE", "", 204)] {
        for (key, status) in [(Some("k"), status), (None, 404)] {
            let mut request =
                HttpRequest::builder().method(method).uri(path).header(header::HOST, "localhost").header(header::COOKIE, COOKIE);
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
            let surface = surface(Overtaken::default(), SurfaceConfig::new(Auth::Name));
            let answer = surface.oneshot(request).await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{method} with the key {key:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_all_the_same() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.request_time_max = std::time::Duration::from_millis(50);
    let (status, headers, document) = post(None, settings).await;
    assert_eq!((status, &document["code"]), (504, &Value::from(722)));
    assert!(!headers.contains_key(header::RETRY_AFTER), "it may have happened: nobody is told to try again");
}
