//! Every end that a transaction can have, as its client hears of it. The store here is one in memory that ends commits as told,
//! since some ends (an outcome that stays unknown, a full store) need more luck than a test should.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request as HttpRequest, header};
use serde_json::{Value, json};
use skein_coordinator::caller::attempts::Allowance;
use skein_coordinator::config::{Auth, SurfaceConfig};
use skein_coordinator::store::cluster::Error;
use skein_coordinator::store::memory::Memory;
use skein_coordinator::store::tables::{DATA, SESSIONS, TOKENS};
use skein_coordinator::store::write::Writer;
use skein_coordinator::tokens::{Scope, Tokens};
use skein_protocol::id::{Incarnation, TxnId};
use skein_protocol::operation::Key;
use skein_protocol::step::AbortReason;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::harness::PATIENCE;
use crate::harness::surface::{ask, surface};

const TXN: TxnId = TxnId { incarnation: Incarnation(7), sequence: 42 };

/// What somebody hears who is logged in when the commit of this request ends so; `None` never ends.
async fn told(
    request: axum::http::request::Builder,
    body: &str,
    end: Option<Error>,
    settings: SurfaceConfig,
) -> (u16, HeaderMap, Value) {
    let memory = Memory::default();
    let surface = surface(&memory, settings);
    let login = HttpRequest::post("/api/login").body(Body::from(json!({ "username": "ann" }).to_string())).unwrap();
    let (status, headers, _) = ask(&surface, login).await;
    assert_eq!(status, 200);
    let cookie = headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    // Seen here, so that the request is one commit and nothing else.
    let who = HttpRequest::get("/api/login").header(header::COOKIE, cookie).body(Body::empty()).unwrap();
    assert_eq!(ask(&surface, who).await.0, 200);
    match end {
        Some(end) => memory.end_next(end),
        None => memory.hang_next(),
    }
    let commits = memory.commits();
    let answer = ask(&surface, request.header(header::COOKIE, cookie).body(Body::from(body.to_owned())).unwrap()).await;
    assert_eq!(memory.commits(), commits + 1);
    answer
}

/// What a client hears that posts while the commit ends so.
async fn post(end: Option<Error>, settings: SurfaceConfig) -> (u16, HeaderMap, Value) {
    told(HttpRequest::post("/api/tweet"), "{\"text\":\"x\"}", end, settings).await
}

#[tokio::test]
async fn every_end_of_a_transaction_has_its_answer() {
    let aborted = |reason| Error::Aborted { txn: TXN, reason };
    // How it ends; then status, code, whether the header names the transaction, whether the document does, whether to try again.
    let rows = [
        (Error::Unknown { txn: TXN }, 503, 714, true, true, false),
        // The first operation checks the session: it has ended since it was seen here.
        (aborted(AbortReason::Expectation { operation: 0, found: None }), 401, 700, false, false, false),
        (aborted(AbortReason::Memory), 507, 717, true, false, false),
        (aborted(AbortReason::Contention), 409, 718, true, false, true),
        (Error::Overloaded, 503, 715, false, false, true),
        (Error::Unavailable, 503, 716, false, false, true),
        (Error::Invalid, 500, 799, false, false, false),
        (Error::Stopped, 502, 724, false, false, false),
    ];
    for (error, status, code, in_header, in_document, again) in rows {
        let said = format!("{error:?}");
        let (found, headers, document) = post(Some(error), SurfaceConfig::new(Auth::Name)).await;
        assert_eq!((found, &document["code"]), (status, &Value::from(code)), "{said}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{said}");
        assert_eq!(headers.get("skein-transaction").map(|value| value.to_str().unwrap()), in_header.then_some("7-42"), "{said}");
        assert_eq!(document.get("transaction").and_then(Value::as_str), in_document.then_some("7-42"), "{said}");
        assert_eq!(headers.contains_key(header::RETRY_AFTER), again, "{said}");
    }
}

#[tokio::test]
async fn writes_of_data_have_the_same_ends() {
    let aborted = |reason| Error::Aborted { txn: TXN, reason };
    let rows = [
        (Error::Unknown { txn: TXN }, 503, 714),
        (aborted(AbortReason::Expectation { operation: 0, found: None }), 401, 700),
        (aborted(AbortReason::Memory), 507, 717),
        (aborted(AbortReason::Contention), 409, 718),
        (Error::Overloaded, 503, 715),
        (Error::Unavailable, 503, 716),
        (Error::Stopped, 502, 724),
    ];
    for (error, status, code) in rows {
        // Each is one commit and nothing else.
        let put = HttpRequest::put("/api/data/a").header(header::IF_NONE_MATCH, "*");
        let run = HttpRequest::post("/api/transactions");
        for (request, body) in [(put, "1"), (run, r#"{"writes":[{"key":"a","value":1}]}"#)] {
            let settings = SurfaceConfig::new(Auth::Name);
            let (found, headers, document) = told(request, body, Some(error), settings).await;
            assert_eq!((found, &document["code"]), (status, &Value::from(code)), "{error:?}");
            let unknown = (code == 714).then_some("7-42");
            assert_eq!(document.get("transaction").and_then(Value::as_str), unknown, "{error:?}");
            assert_eq!(headers.contains_key(header::RETRY_AFTER), matches!(code, 715 | 716 | 718), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_has_ended_opens_nothing() {
    for (ends, status) in [(1, 401), (u64::MAX, 200)] {
        let memory = Memory::default();
        let grant = format!(r#"{{"name":"x","scope":"write","created_at":0,"expires_at":{ends}}}"#);
        let tokens = Tokens::new(memory.cluster(), Writer::new(memory.cluster(), PATIENCE));
        let (secret, ..) = tokens.create("x", Scope::Write, None).await.unwrap();
        let made = memory.rows(TOKENS.id).into_iter().find(|row| !row.key.bytes.is_empty()).unwrap();
        memory.put(made.key, grant.into_bytes());
        memory.put(Key::new(DATA, "a"), "1");
        let request = HttpRequest::get("/api/data/a").header(header::AUTHORIZATION, format!("Bearer {}", secret.reveal()));
        let (found, ..) = ask(&surface(&memory, SurfaceConfig::new(Auth::Name)), request.body(Body::empty()).unwrap()).await;
        assert_eq!(found, status);
    }
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_told_before_anything_else() {
    let paths = [
        "/api/tweet?limit=1&limit=2",
        "/api/tweet?limit=x",
        "/api/tweet/no-id",
        "/api/tweet/no/path",
        "/api/bookmarks?limit=x",
        "/api/bookmarks/no/path",
        "/api/data/",
        "/api/login",
    ];
    for path in paths {
        let memory = Memory::default();
        let surface = surface(&memory, SurfaceConfig::new(Auth::Name));
        let login = HttpRequest::post("/api/login").body(Body::from(json!({ "username": "ann" }).to_string())).unwrap();
        let (_, headers, _) = ask(&surface, login).await;
        let cookie = headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let get = |path: &str| HttpRequest::get(path).header(header::COOKIE, &cookie).body(Body::empty()).unwrap();
        assert_eq!(ask(&surface, get("/api/login")).await.0, 200, "it is seen here");
        memory.rows(SESSIONS.id).into_iter().for_each(|row| memory.delete(row.key));
        assert_eq!(ask(&surface, get(path)).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn where_all_needs_a_login_only_who_has_one_hears_that_a_path_is_none() {
    let memory = Memory::default();
    let surface = surface(&memory, SurfaceConfig::new(Auth::Name));
    let login = HttpRequest::post("/api/login").body(Body::from(json!({ "username": "ann" }).to_string())).unwrap();
    let (_, headers, _) = ask(&surface, login).await;
    let session = headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let tokens = Tokens::new(memory.cluster(), Writer::new(memory.cluster(), PATIENCE));
    let token = format!("Bearer {}", tokens.create("x", Scope::Read, None).await.unwrap().0.reveal());
    // What somebody hears without anything, with a session, with a token.
    let rows = [
        ("/api/tweet/", [700, 704, 700]),
        ("/api/tweet/a/b", [700, 704, 700]),
        ("/api/bookmarks/", [700, 704, 700]),
        ("/api/bookmarks/a/b", [700, 704, 700]),
        ("/api/data/", [700, 704, 704]),
        ("/api/data//", [700, 726, 726]),
        ("/api/transactions/a/b", [704, 704, 704]),
        ("/api/tweets/a", [704, 704, 704]),
        ("/api/x", [704, 704, 704]),
        ("/api/", [704, 704, 704]),
    ];
    for (path, told) in rows {
        let get = || HttpRequest::get(path);
        let asks = [get(), get().header(header::COOKIE, &session), get().header(header::AUTHORIZATION, &token)];
        for (request, code) in asks.into_iter().zip(told) {
            let (status, _, document) = ask(&surface, request.body(Body::empty()).unwrap()).await;
            let expected = if code == 700 { 401 } else { 404 };
            assert_eq!((status, &document["code"]), (expected, &Value::from(code)), "{path}");
        }
    }
}

#[tokio::test]
async fn a_list_that_waited_for_room_is_told_only_to_who_is_logged_in_still() {
    for path in ["/api/tweet", "/api/bookmarks", "/api/data"] {
        let memory = Memory::default();
        let mut settings = SurfaceConfig::new(Auth::Name);
        settings.limits.answers.bytes_max = 16 * 1024;
        settings.limits.answers.wait_max = PATIENCE;
        let surface = surface(&memory, settings);
        let login = HttpRequest::post("/api/login").body(Body::from(json!({ "username": "ann" }).to_string())).unwrap();
        let (_, headers, _) = ask(&surface, login).await;
        let cookie = headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let get = |path: &str| {
            HttpRequest::get(path).header(header::HOST, "localhost").header(header::COOKIE, &cookie).body(Body::empty()).unwrap()
        };
        memory.put(Key::new(DATA, "long"), format!("\"{}\"", "x".repeat(12 * 1024)).into_bytes());
        let taken = surface.clone().oneshot(get("/api/data/long")).await.unwrap();
        assert_eq!(taken.status(), 200);

        let mut list = std::pin::pin!(ask(&surface, get(path)));
        assert!(timeout(Duration::from_millis(50), &mut list).await.is_err(), "{path} waits for room");
        memory.rows(SESSIONS.id).into_iter().for_each(|row| memory.delete(row.key));
        drop(taken);
        let (status, _, document) = list.await;
        assert_eq!((status, &document["code"]), (401, &Value::from(700)), "{path}");
    }
}

#[tokio::test]
async fn a_sign_up_whose_outcome_is_not_known_counts_as_an_account_and_one_that_was_not_begun_does_not() {
    for (end, again) in [(Error::Unknown { txn: TXN }, 429), (Error::Stopped, 429), (Error::Unavailable, 201)] {
        let mut settings = SurfaceConfig::new(Auth::Password);
        settings.limits.sign_ups = Some(Allowance { tries: 1, per: PATIENCE * 100 });
        let memory = Memory::default();
        let surface = surface(&memory, settings);
        let sign_up = |name: &str| {
            let form = json!({ "username": name, "name": name, "email": "a@example.org", "password": "long enough" });
            HttpRequest::post("/api/account").body(Body::from(form.to_string())).unwrap()
        };
        memory.end_next(end);
        let (status, ..) = ask(&surface, sign_up("ann")).await;
        assert!(status >= 500, "{end:?}");
        let (status, _, document) = ask(&surface, sign_up("bob")).await;
        assert_eq!(status, again, "{end:?}: {document}");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_all_the_same() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.request_time_max = Duration::from_millis(50);
    let (status, headers, document) = post(None, settings).await;
    assert_eq!((status, &document["code"]), (504, &Value::from(722)));
    assert!(!headers.contains_key(header::RETRY_AFTER), "it may have happened: nobody is told to try again");
}
