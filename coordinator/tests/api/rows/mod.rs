//! Rows outlive the program that wrote them. Each `tests/fixtures/rows-N` holds what one program left behind when people and
//! programs had used it for a while: all rows of every table, and each request that they sent with the answer that it had. Every
//! later program serves these rows, and gives a repeated request its first answer. The rows of the first set have no format yet.
//!
//! Who changes what a row holds adds a set: `SKEIN_ACCEPT=rows cargo test -p skein-coordinator --test api rows` writes down what the
//! program as it is leaves behind. A set that has landed is never changed.

mod newer;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skein_coordinator::config::{Auth, SurfaceConfig};
use skein_coordinator::store::cluster::Promise;
use skein_coordinator::store::memory::Memory;
use skein_coordinator::store::outcomes::{self, Ledger};
use skein_coordinator::store::tables::{self, DATA, SESSIONS, TWEETS};
use skein_coordinator::store::write::Writer;
use skein_coordinator::tokens::{Scope, Tokens};
use skein_protocol::id::{Incarnation, TxnId, Version};
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Key, Row, TableId};
use skein_protocol::step::{EarlierRuns, KnownOutcome, Unrecorded};
use skein_runtime::shutdown;

use crate::harness::surface::{ask, surface};
use crate::harness::{PATIENCE, eventually};

/// Longer than anybody keeps this program.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A row, as the fixtures hold it: the key in hexadecimal digits, the value as text.
#[derive(Serialize, Deserialize)]
struct Kept {
    table: u8,
    key: String,
    version: u64,
    transaction: (u64, u64),
    value: String,
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Exchange {
    auth: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Value,
    status: u16,
    etag: Option<String>,
    transaction: Option<String>,
    answer: Value,
}

/// Somebody who uses the store, and what was said.
struct Conversation {
    by_name: Router,
    by_password: Router,
    said: Vec<Exchange>,
}

fn settings(auth: Auth) -> SurfaceConfig {
    let mut settings = SurfaceConfig::new(auth);
    settings.session_lifetime = CENTURY;
    settings.idempotency_lifetime = CENTURY;
    settings
}

impl Conversation {
    fn with(memory: &Memory) -> Self {
        let by_name = surface(memory, settings(Auth::Name));
        let by_password = surface(memory, settings(Auth::Password));
        Conversation { by_name, by_password, said: Vec::new() }
    }

    async fn hear(&self, exchange: &Exchange) -> (Exchange, Option<String>) {
        let mut request = Request::builder().method(exchange.method.as_str()).uri(&exchange.path);
        for (name, value) in &exchange.headers {
            request = request.header(name, value);
        }
        let text = if exchange.body.is_null() { String::new() } else { exchange.body.to_string() };
        let surface = if exchange.auth == "name" { &self.by_name } else { &self.by_password };
        let (status, headers, answer) = ask(surface, request.body(Body::from(text)).unwrap()).await;
        let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let cookie = said("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned());
        let (etag, transaction) = (said("etag"), said("skein-transaction"));
        (Exchange { status, etag, transaction, answer, ..exchange.clone() }, cookie)
    }

    /// Asks for the first time; gives the answer and the cookie that came with it.
    async fn say(&mut self, auth: &str, line: &str, headers: &[(&str, &str)], body: Value) -> (Value, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (auth, method, path) = (auth.to_owned(), method.to_owned(), path.to_owned());
        let asked = Exchange { auth, method, path, headers, body, status: 0, etag: None, transaction: None, answer: Value::Null };
        let (heard, cookie) = self.hear(&asked).await;
        assert!(heard.status < 300, "{heard:?}");
        let answer = heard.answer.clone();
        self.said.push(heard);
        (answer, cookie.unwrap_or_default())
    }
}

impl Exchange {
    fn has_key(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == "idempotency-key")
    }

    fn reads(&self) -> bool {
        self.method == "GET"
    }
}

fn tokens(memory: &Memory) -> Tokens {
    Tokens::new(memory.cluster(), Writer::new(memory.cluster(), PATIENCE))
}

/// Uses all that leaves rows behind.
async fn converse(memory: &Memory) -> Vec<Exchange> {
    let mut all = Conversation::with(memory);
    let ann = json!({ "username": "Ann", "name": "Ann \u{e9}", "email": "ann@example.org", "password": "correct horse" });
    all.say("password", "POST /api/account", &[("idempotency-key", "sign-up")], ann).await;
    let login = json!({ "username": "ann", "password": "correct horse" });
    let (_, cookie) = all.say("password", "POST /api/login", &[], login).await;
    // Only by name: an account without a password.
    let (_, bobs) = all.say("name", "POST /api/login", &[], json!({ "username": "Bob" })).await;
    let ann = |key: &'static str| [("cookie", cookie.clone().leak() as &str), ("idempotency-key", key)];
    let text = |text: &str| json!({ "text": text });

    let (tweet, _) = all.say("name", "POST /api/tweet", &ann("post"), text("one\n\"quoted\" \u{1f9f6}")).await;
    let path = format!("/api/tweet/{}", tweet["id"].as_str().unwrap());
    all.say("name", &format!("PUT {path}"), &ann("edit"), text("two")).await;
    let (gone, _) = all.say("name", "POST /api/tweet", &ann("post-2"), text("gone soon")).await;
    let gone = format!("DELETE /api/tweet/{}", gone["id"].as_str().unwrap());
    all.say("name", &gone, &ann("delete"), Value::Null).await;
    all.say("name", "POST /api/tweet", &[("cookie", &bobs)], text("without a key")).await;

    let mark = path.replace("/api/tweet/", "/api/bookmarks/");
    all.say("name", &format!("PUT {mark}"), &ann("mark"), Value::Null).await;
    all.say("name", &format!("PUT {mark}"), &ann("mark-again"), Value::Null).await;
    all.say("name", &format!("PUT {mark}"), &[("cookie", &bobs)], Value::Null).await;
    all.say("name", &format!("DELETE {mark}"), &[("cookie", &bobs), ("idempotency-key", "unmark")], Value::Null).await;

    all.say("name", "PUT /api/data/a", &ann("put"), json!({ "a": [1, 2.50, null] })).await;
    all.say("name", "PUT /api/data/a", &ann("put-2"), json!("again")).await;
    all.say("name", "PUT /api/data/b", &ann("put-3"), json!(3)).await;
    all.say("name", "DELETE /api/data/b", &ann("remove"), Value::Null).await;
    let writes = json!([{ "key": "a", "value": 1 }, { "key": "c", "value": "new" }, { "key": "d", "delete": true }]);
    let transaction = json!({ "reads": ["a", "nothing"], "writes": writes });
    all.say("name", "POST /api/transactions", &ann("transact"), transaction).await;

    let (secret, ..) = tokens(memory).create("without end", Scope::Write, None).await.unwrap();
    tokens(memory).create("for ten years", Scope::Read, Some(3_660)).await.unwrap();
    let bearer = format!("Bearer {}", secret.reveal());
    all.say("name", "PUT /api/data/by-token", &[("authorization", &bearer), ("idempotency-key", "k")], json!(true)).await;

    // A session of a program that did not yet say in a token whose it is.
    let secret = [7; 16];
    let old = memory.rows(SESSIONS.id).remove(0).value;
    memory.put(Key::new(SESSIONS.id, Sha256::digest(secret).as_slice()), old);

    record(memory).await;
    for (path, auth) in [
        ("/api/login", [("cookie", cookie.as_str())]),
        ("/api/login", [("cookie", "skein_session=BwcHBwcHBwcHBwcHBwcHBw")]),
        ("/api/tweet?limit=10", [("cookie", &cookie)]),
        (&path, [("cookie", &bobs)]),
        ("/api/bookmarks", [("cookie", &cookie)]),
        (&path.replace("/api/tweet/", "/api/bookmarks?tweets="), [("cookie", &cookie)]),
        ("/api/data/by-token", [("authorization", &bearer)]),
        ("/api/transactions/4-100", [("cookie", &cookie)]),
        ("/api/transactions/4-103", [("cookie", &cookie)]),
        ("/api/transactions/4-1000", [("cookie", &cookie)]),
    ] {
        all.say("name", &format!("GET {path}"), &auth, Value::Null).await;
    }
    all.said
}

/// What a coordinator of run 5 found of run 4.
#[derive(Clone)]
struct Found(Arc<Mutex<Unrecorded>>);

impl Ledger for Found {
    fn outcome(&self, _: TxnId) -> Promise<'_, KnownOutcome> {
        unreachable!("it is asked for what is to be recorded")
    }

    fn serves(&self) -> Promise<'_, bool> {
        unreachable!("it is asked for what is to be recorded")
    }

    fn unrecorded(&self) -> Promise<'_, Unrecorded> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().clone())))
    }

    fn recorded(&self, _: Vec<TxnId>, _: bool) -> Promise<'_, ()> {
        *self.0.lock().unwrap() = Unrecorded::default();
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn record(memory: &Memory) {
    let txn = |sequence| TxnId { incarnation: Incarnation(4), sequence };
    let outcomes = vec![(txn(100), Outcome::Committed), (txn(103), Outcome::Aborted)];
    let runs = Some(EarlierRuns { incarnation: Incarnation(5), marks: vec![(Incarnation(4), 100)] });
    let found = Found(Arc::new(Mutex::new(Unrecorded { outcomes, runs })));
    let (trigger, shutdown) = shutdown::channel();
    let recorder = tokio::spawn(outcomes::record(memory.cluster(), Arc::new(found.clone()), CENTURY, shutdown));
    eventually("all is recorded", || async { *found.0.lock().unwrap() == Unrecorded::default() }).await;
    trigger.start();
    recorder.await.unwrap();
}

fn directory(set: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/rows-{set}"))
}

/// The sets that there are.
fn sets() -> impl Iterator<Item = u32> {
    (1..).take_while(|set| directory(*set).exists())
}

fn tables() -> impl Iterator<Item = TableId> {
    tables::ALL.iter().map(|table| table.id).chain([DATA])
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // Who changes what rows hold says so by it.
async fn every_row_that_this_program_writes_begins_with_the_format_of_its_table() {
    let memory = Memory::default();
    let said = converse(&memory).await;
    for table in tables::ALL {
        let stamp = format!("{{\"format\":{},", table.format);
        for row in memory.rows(table.id) {
            assert!(row.value.starts_with(stamp.as_bytes()), "{}: {row:?}", table.name);
        }
    }
    if std::env::var("SKEIN_ACCEPT").is_ok_and(|accepted| accepted == "rows") {
        let rows: Vec<Kept> = all_rows(&memory).into_iter().map(Kept::from).collect();
        let directory = (1..).map(directory).find(|directory| !directory.exists()).unwrap();
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("rows.json"), serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
        fs::write(directory.join("exchanges.json"), serde_json::to_string_pretty(&said).unwrap() + "\n").unwrap();
    }
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        Kept {
            table: row.key.table.0,
            key: row.key.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            version: row.version.0,
            transaction: (row.written_by.incarnation.0, row.written_by.sequence),
            value: String::from_utf8(row.value.to_vec()).unwrap(),
        }
    }
}

impl From<Kept> for Row {
    fn from(kept: Kept) -> Self {
        let digits = |at| u8::from_str_radix(&kept.key[at..at + 2], 16).unwrap();
        let key: Vec<u8> = (0..kept.key.len()).step_by(2).map(digits).collect();
        let written_by = TxnId { incarnation: Incarnation(kept.transaction.0), sequence: kept.transaction.1 };
        let value = kept.value.into_bytes().into();
        Row { key: Key::new(TableId(kept.table), key), version: Version(kept.version), written_by, value }
    }
}

/// What one program left behind.
fn left_behind(set: u32) -> (Memory, Vec<Exchange>) {
    let read = |name| fs::read_to_string(directory(set).join(name)).unwrap();
    let rows: Vec<Kept> = serde_json::from_str(&read("rows.json")).unwrap();
    let memory = Memory::default();
    memory.load(rows.into_iter().map(Row::from));
    (memory, serde_json::from_str(&read("exchanges.json")).unwrap())
}

fn all_rows(memory: &Memory) -> Vec<Row> {
    tables().flat_map(|table| memory.rows(table)).collect()
}

/// Whether an answer says all that the first one said; a later program may say more.
fn holds(now: &Value, first: &Value) -> bool {
    match (now, first) {
        (Value::Object(now), Value::Object(first)) => {
            first.iter().all(|(name, said)| now.get(name).is_some_and(|now| holds(now, said)))
        }
        (Value::Array(now), Value::Array(first)) => {
            now.len() == first.len() && now.iter().zip(first).all(|(now, first)| holds(now, first))
        }
        (now, first) => now == first,
    }
}

#[tokio::test]
async fn rows_of_every_program_are_read_and_every_repeat_has_its_first_answer() {
    let mut kept = BTreeSet::new();
    for set in sets() {
        let (memory, said) = left_behind(set);
        kept.extend(tables().filter(|table| !memory.rows(*table).is_empty()));
        let before = all_rows(&memory);
        let all = Conversation::with(&memory);
        let again: Vec<&Exchange> = said.iter().filter(|first| first.has_key() || first.reads()).collect();
        assert!(again.iter().filter(|first| first.has_key()).count() >= 11);
        for first in again {
            let (heard, _) = all.hear(first).await;
            let told = |exchange: &Exchange| (exchange.status, exchange.transaction.clone(), exchange.etag.clone());
            assert_eq!(told(&heard), told(first), "set {set}: {} {}", first.method, first.path);
            assert!(holds(&heard.answer, &first.answer), "set {set}: {} {}: {}", first.method, first.path, heard.answer);
        }
        let names = tokens(&memory).list().await.unwrap().into_iter().map(|(_, grant)| (grant.name, grant.scope));
        let known = [("without end", Scope::Write), ("for ten years", Scope::Read)];
        assert!(names.eq(known.map(|(name, scope)| (name.to_owned(), scope))));
        assert_eq!(all_rows(&memory), before, "what repeats or reads leaves all as it is");
    }
    assert!(kept.iter().eq(&tables().collect::<BTreeSet<_>>()), "of some tables no set keeps a row: {kept:?}");
}

#[tokio::test]
async fn rows_without_a_format_are_written_over_with_one() {
    let (memory, said) = left_behind(1);
    let all = Conversation::with(&memory);
    let edit = said.iter().find(|first| first.method == "PUT" && first.path.starts_with("/api/tweet/")).unwrap();
    let mut edit = edit.clone();
    edit.headers.retain(|(name, _)| name == "cookie");
    let (heard, _) = all.hear(&edit).await;
    assert_eq!((heard.status, &heard.answer["version"]), (200, &json!(3)));
    let stamped = memory.rows(TWEETS.id).iter().filter(|row| row.value.starts_with(b"{\"format\":1,")).count();
    assert_eq!(stamped, 1, "only the one that was edited");
}
