//! `/api/transactions`: run one over several keys of data, all or nothing; and `/api/transactions/{id}`: how one ended, as far
//! as this coordinator or the rows of [`crate::outcomes`] know. After an answer that said *unknown* this is where to ask.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use skein_protocol::id::{TxnId, Version};
use skein_protocol::limits::{TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX};
use skein_protocol::message::Outcome;
use skein_protocol::operation::Expect;
use skein_protocol::step::KnownOutcome;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::data::routes::{AnyJson, refused};
use crate::data::{Change, Data, DataKey, READS_MAX, Transacted, Value, WRITES_MAX, Write, Wrote};
use crate::http::contract::body;
use crate::http::contract::body::JsonBody;
use crate::http::contract::code::Code;
use crate::http::contract::expectation::Expectation;
use crate::http::contract::precondition;
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::contract::text_header;
use crate::http::edge::Edge;
use crate::http::edge::address::Client;
use crate::store::outcomes::Outcomes;
use crate::tokens::Scope;

/// How a transaction ended.
#[derive(Serialize, ToSchema)]
pub struct Transaction {
    /// The transaction.
    #[schema(example = "3-1042")]
    id: String,
    /// How it ended.
    outcome: TransactionOutcome,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionOutcome {
    /// All of it holds, for good.
    Committed,
    /// None of it holds, nor ever will.
    Aborted,
    /// Not known yet.
    Unknown,
}

/// The id from the path; what is none was never heard of.
pub struct Id(TxnId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.ok().and_then(|text| text.parse().ok()).map(Id).ok_or_else(not_known)
    }
}

fn not_known() -> Problem {
    Problem::new(Code::NoSuchTransaction, "no transaction of this id is known, or it is no longer")
}

/// How a transaction ended
///
/// A transaction whose client heard that its outcome is unknown (714) is known here within seconds of the cluster's healing, and
/// for a day after that unless the server is set otherwise, also by coordinators that come later. Of others the outcome is
/// known for as long as the coordinator that ran them remembers it.
#[utoipa::path(
    get, path = "/api/transactions/{id}", tag = "cluster", operation_id = "getTransaction",
    params(("id" = String, Path, description = "The id from Skein-Transaction, or from a problem document", example = "3-1042")),
    responses(
        (status = 200, description = "What is known", body = Transaction),
        (status = 404, description = "703: never heard of, or no longer known", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn get(State(outcomes): State<Arc<Outcomes>>, id: Id) -> Result<Json<Transaction>, Problem> {
    let outcome = match outcomes.outcome(id.0).await? {
        KnownOutcome::Known(Outcome::Committed) => TransactionOutcome::Committed,
        KnownOutcome::Known(Outcome::Aborted) => TransactionOutcome::Aborted,
        KnownOutcome::Unknown => TransactionOutcome::Unknown,
        KnownOutcome::NotKnown => return Err(not_known()),
    };
    Ok(Json(Transaction { id: id.0.to_string(), outcome }))
}

/// Bytes of a transaction's body: all that one may hold, each byte of a key as the six of an escape, and its members' names.
const BODY_BYTES_MAX: usize = TRANSACTION_BYTES_MAX + (READS_MAX + WRITES_MAX) * (6 * DataKey::BYTES_MAX + 256);

/// What a transaction reads and writes: at least one key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransactionForm {
    /// The keys to be read, each once.
    #[serde(default)]
    #[schema(max_items = 30, example = json!(["accounts/1"]))]
    reads: Vec<String>,
    /// The writes, of each key at most one.
    #[serde(default)]
    #[schema(max_items = 32, value_type = Vec<WriteForm>)]
    writes: Vec<Object<WriteForm>>,
}

/// One write of a transaction: a value, or `"delete": true`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteForm {
    /// Of what.
    #[schema(example = "accounts/1", min_length = 1, max_length = 512)]
    key: String,
    /// The new value: any JSON, null as well.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = AnyJson, required = false)]
    value: Option<Box<RawValue>>,
    /// Takes the value away; that there is none is no error.
    #[serde(default)]
    delete: bool,
    /// What must hold of the key, else nothing is written.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Expectation, required = false)]
    expect: Option<Expectation>,
}

/// What was sent as an object: serde would take an array for one, too, its elements in the order of the members.
pub struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// What a transaction did.
#[derive(Serialize, ToSchema)]
pub struct TransactionDone {
    /// Its id; null if it only read.
    #[schema(required, example = "3-1042")]
    transaction: Option<String>,
    /// What was read, in the order asked for, all at the instant of the transaction.
    reads: Vec<DataRead>,
    /// What was written, in the order asked for.
    writes: Vec<DataWrote>,
}

/// What a transaction read under one key.
#[derive(Serialize, ToSchema)]
pub struct DataRead {
    /// The key.
    key: String,
    /// The value; null as well if there is none.
    #[schema(value_type = AnyJson, required)]
    value: Option<AnyJson>,
    /// Its version; null if there is no value.
    #[schema(required)]
    version: Option<String>,
}

/// What a transaction wrote under one key.
#[derive(Serialize, ToSchema)]
pub struct DataWrote {
    /// The key.
    key: String,
    /// The version that was written; null if it was deleted.
    #[schema(required)]
    version: Option<String>,
}

/// Keeps a member that is there apart from one that is not, though it be null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Run a transaction
///
/// Reads and writes several keys of data: all or nothing, and strictly serializable. All reads are of one instant; if something
/// is written, that is the instant of the writes too: when a key that was read changes in between, the transaction is tried
/// again, and after 32 times given up with 409 (718). If an expectation does not hold, nothing is written, and the answer
/// (409, 727) names all that did not hold at one instant. A transaction that only reads writes nothing, has no id and takes no
/// notice of an `Idempotency-Key`.
#[utoipa::path(
    post, path = "/api/transactions", tag = "data", operation_id = "runTransaction",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key and body gets the first answer and writes nothing", min_length = 1, max_length = 255)),
    request_body = TransactionForm,
    responses(
        (status = 200, description = "Done", body = TransactionDone, headers(
            ("Skein-Transaction" = Option<String>, description = "The transaction; missing if it only read"))),
        (status = 400, description = "606, 708 or 709: a field, the body or a header", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700 or 731: nobody is logged in, and there is no token; or the token is of no use", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "730: it writes, and the token may only read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "727: expectations did not hold, as `expectations` says; 718: others changed what was read each time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "710 or 728: the body, a value, or all together is too long", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request; 729: what was read is too long to be remembered under it", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub async fn run(
    State(data): State<Arc<Data>>,
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    client: Client,
    request: Request,
) -> Result<Response, Problem> {
    let running = async {
        let headers = request.headers().clone();
        let body = JsonBody::<TransactionForm>::of(body::collect(&edge, request, BODY_BYTES_MAX).await?)?;
        let submission = body.value.check()?;
        let once = caller.once(&headers, &[b"POST /api/transactions", &body.bytes])?;
        let only_reads = submission.writes.is_empty();
        if !only_reads {
            caller.may(Scope::Write)?;
            caller.count_write()?;
        }
        let room = edge.answers.room(&caller.name, &client.address, submission.reads.len() * VALUE_BYTES_MAX).await?;
        let once = once.as_ref().filter(|_| !only_reads);
        let done = data.transact(&submission, once, caller.guard()).await?;
        Ok(room.hold(answer(&submission, done)?).await)
    };
    caller.attempt(running).await
}

impl TransactionForm {
    /// What is to be submitted, if it keeps the bounds.
    fn check(self) -> Result<crate::data::Submission, Problem> {
        for (name, length, max) in [("reads", self.reads.len(), READS_MAX), ("writes", self.writes.len(), WRITES_MAX)] {
            if length > max {
                return Err(malformed(name.to_owned(), format!("at most {max} keys are allowed, not {length}"), Some(max)));
            }
        }
        if self.reads.is_empty() && self.writes.is_empty() {
            return Err(malformed("body".to_owned(), "a transaction reads or writes at least one key".to_owned(), None));
        }
        let mut reads = Vec::with_capacity(self.reads.len());
        for (index, text) in self.reads.into_iter().enumerate() {
            reads.push(another(format!("reads[{index}]"), text, reads.iter())?);
        }
        let mut writes: Vec<Write> = Vec::with_capacity(self.writes.len());
        for (index, Object(form)) in self.writes.into_iter().enumerate() {
            let field = |name: &str| format!("writes[{index}].{name}");
            let key = another(field("key"), form.key, writes.iter().map(|write| &write.key))?;
            let change = match (form.value, form.delete) {
                (Some(value), false) => {
                    Change::Put(Value::parse(value.get().as_bytes()).map_err(|error| refused(field("value"), error))?)
                }
                (None, true) => Change::Delete,
                _ => {
                    let detail = "either a value, or \"delete\": true".to_owned();
                    return Err(malformed(format!("writes[{index}]"), detail, None));
                }
            };
            let expect = match form.expect {
                None => Expect::Any,
                Some(Expectation::Absent) => Expect::Absent,
                Some(Expectation::Present) => Expect::Present,
                Some(Expectation::Version(text)) => match precondition::version(&text) {
                    Some(version) => Expect::Version(Version(version)),
                    None => return Err(malformed(field("expect"), "no version that this server gives".to_owned(), None)),
                },
            };
            writes.push(Write { key, expect, change });
        }
        Ok(crate::data::Submission { reads, writes })
    }
}

/// A key that is none of the others.
fn another<'a>(field: String, text: String, mut others: impl Iterator<Item = &'a DataKey>) -> Result<DataKey, Problem> {
    let bound = Some(DataKey::BYTES_MAX);
    let key = DataKey::parse(text).map_err(|error| malformed(field.clone(), error.to_string(), bound))?;
    if others.any(|other| *other == key) { Err(malformed(field, "the key is named twice".to_owned(), None)) } else { Ok(key) }
}

fn malformed(field: String, detail: String, bound: Option<usize>) -> Problem {
    Problem::field(Code::MalformedField, field, detail, bound.map(|bound| bound as u64))
}

fn answer(submission: &crate::data::Submission, done: Transacted) -> Result<Response, Problem> {
    let text = |version: Version| version.0.to_string();
    let reads = submission.reads.iter().zip(done.reads).map(|(key, found)| {
        let version = found.as_ref().map(|found| text(found.version));
        let value = found.map(|found| AnyJson::stored(&found.value)).transpose()?;
        Ok(DataRead { key: key.to_string(), value, version })
    });
    let writes = submission.writes.iter().zip(done.writes).map(|(write, wrote)| {
        let version = match wrote {
            Wrote::Put(version) => Some(text(version)),
            Wrote::Deleted => None,
        };
        DataWrote { key: write.key.to_string(), version }
    });
    let id = done.txn.map(|txn| txn.to_string());
    let document =
        TransactionDone { transaction: id.clone(), reads: reads.collect::<Result<_, Problem>>()?, writes: writes.collect() };
    let mut response = Json(document).into_response();
    if let Some(id) = id {
        response.headers_mut().insert(TRANSACTION, text_header(id));
    }
    Ok(response)
}
