//! `/api/data`: values of any JSON under keys of the clients' own. One key is read and written strictly serializable; lists
//! say how they are read. Who is let in comes first ([`crate::caller`]), then the key, then the body, which is taken only
//! from those who are.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

mod document;
pub mod transactions;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use skein_protocol::id::Version;
use skein_protocol::limits::{ANSWER_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::caller::{Caller, Callers};
use crate::data::{self, Condition, Data, DataKey, Done, NESTING_MAX, PAGE_MAX, Value, ValueError, Versions, Written};
use crate::http::contract::body;
use crate::http::contract::code::Code;
use crate::http::contract::parameter::{self, Parameters, Query};
use crate::http::contract::precondition::{self, Named};
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::contract::text_header;
use crate::http::edge::Edge;
use crate::http::edge::address::Client;
use crate::store::outcomes::Outcomes;
use crate::tokens::Scope;
pub use document::AnyJson;
use document::{DataEntry, DataPage, DataWritten};

/// All that is done with data.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Data>: FromRef<S>,
    Arc<Outcomes>: FromRef<S>,
    Arc<Callers>: FromRef<S>,
    Arc<Edge>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(transactions::run))
        .routes(routes!(transactions::get))
}

/// Values of a page unless told.
const PAGE_DEFAULT: u32 = 100;

/// Bytes of values that are made into an answer before other tasks have their turn.
const BYTES_AT_A_TIME: usize = 64 * 1024;

/// Which values to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DataParameters {
    /// Only keys that begin so; all if it is empty or missing.
    #[param(max_length = 512)]
    prefix: Option<String>,
    /// How many values to give at the most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<String>,
    /// Where to go on: `next` of the page before, with the same prefix. Opaque.
    #[param(pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
    /// `strict` reads all as of one instant; the default reads each value as of the request's arrival.
    #[param(value_type = Option<crate::http::contract::parameter::ConsistencyParameter>)]
    consistent: Option<String>,
}

impl Parameters for DataParameters {
    const NAMES: &'static [&'static str] = &["prefix", "limit", "cursor", "consistent"];
}

/// List values
///
/// In the order of the keys' bytes. Consistency: *arrival* (the default) holds everything that was acknowledged before the
/// request came in, each value whole and current; two lists that are read at the same time may see unrelated new values in
/// different order. `consistent=strict` reads all of the page as of one instant, and queues with the writers for it. Pages are
/// read one by one.
#[utoipa::path(
    get, path = "/api/data", tag = "data", operation_id = "listData",
    params(DataParameters),
    responses(
        (status = 200, description = "A page of values", body = DataPage),
        (status = 400, description = "709: `prefix`, `limit`, `cursor` or `consistent` is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700 or 731: nobody is logged in, and there is no token; or the token is of no use", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub async fn list(
    State(data): State<Arc<Data>>,
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    client: Client,
    query: Result<Query<DataParameters>, Problem>,
) -> Result<Response, Problem> {
    let listing = async {
        let Query(parameters) = query?;
        let prefix = parameters.prefix.unwrap_or_default();
        if prefix.len() > DataKey::BYTES_MAX {
            let detail = format!("at most {} bytes, as a key has", DataKey::BYTES_MAX);
            return Err(Problem::field(Code::MalformedParameter, "prefix", detail, Some(DataKey::BYTES_MAX as u64)));
        }
        let limit = parameter::limit(parameters.limit.as_deref(), PAGE_DEFAULT, PAGE_MAX)?;
        let after = parameter::cursor(parameters.cursor.as_deref(), |text| data::read_cursor(text, &prefix))?;
        let consistency = parameter::consistent(parameters.consistent.as_deref())?;
        let room = edge.answers.room(&caller.name, &client.address, page_bytes_max(limit)).await?;
        let page = data.list((&prefix, after.as_ref()), limit, consistency, caller.guard()).await?;
        let mut data = Vec::with_capacity(page.entries.len());
        let mut looked_at = 0;
        for entry in page.entries {
            looked_at += entry.value.len();
            if looked_at > BYTES_AT_A_TIME {
                looked_at = 0;
                tokio::task::yield_now().await;
            }
            let value = AnyJson::stored(&entry.value)?;
            data.push(DataEntry { key: entry.key, value, version: entry.version.0.to_string() });
        }
        let page = DataPage { data, next: page.next };
        Ok(room.hold(Json(page).into_response()).await)
    };
    caller.attempt(listing).await
}

/// Read a value
///
/// Strictly serializable: what was acknowledged before the request came in is seen. The answer is the value itself, as it was
/// sent but for white space around it.
#[utoipa::path(
    get, path = "/api/data/{*key}", tag = "data", operation_id = "getData",
    params(
        ("key" = String, Path, description = "1 to 512 bytes of UTF-8, percent-encoded; slashes may stand as they are", example = "users/1"),
        ("If-Match" = Option<String>, Header, description = "ETags in quotes or `*`: if the value has none of them, the answer is 412"),
        ("If-None-Match" = Option<String>, Header, description = "ETags in quotes or `*`: if the value has one of them still, the answer is 304"),
    ),
    responses(
        (status = 200, description = "The value", body = AnyJson, headers(("ETag" = String, description = "Its version in quotes"))),
        (status = 304, description = "The value still has a version named in If-None-Match", headers(("ETag" = String, description = "Its version in quotes"))),
        (status = 400, description = "606 or 709: the key or a header is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700 or 731: nobody is logged in, and there is no token; or the token is of no use", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "726: there is no value under this key", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "706: the value has another version than If-Match names", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub async fn get(
    State(data): State<Arc<Data>>,
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    client: Client,
    key: Result<PathKey, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = async { key.and_then(|PathKey(key)| Ok((key, condition(&headers)?))) };
    let (key, condition) = caller.attempt(asked).await?;
    let entry = match data.get(&key, caller.guard()).await {
        Err(data::Error::Write(ended)) => caller.attempt(async { Err(ended.into()) }).await?,
        // Who asked was found to be let in by the very read that found this.
        found => found?,
    };
    if !(data::Condition { not_matching: None, ..condition.clone() }).holds(Some(entry.version)) {
        return Err(data::Error::ConditionFailed { txn: None }.into());
    }
    let tag = [(header::ETAG, etag(entry.version))];
    if !condition.holds(Some(entry.version)) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let room = edge.answers.room(&caller.name, &client.address, entry.value.len()).await?;
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok(room.hold((tag, json, entry.value.to_vec()).into_response()).await)
}

/// Write a value
///
/// One transaction across all replicas: 201 and 200 say that every one of them has it. Conditions are judged within it: of
/// several clients that replace the same version exactly one wins, the others get 412. Without a condition the last write wins.
#[utoipa::path(
    put, path = "/api/data/{*key}", tag = "data", operation_id = "putData",
    params(
        ("key" = String, Path, description = "1 to 512 bytes of UTF-8, percent-encoded; slashes may stand as they are", example = "users/1"),
        ("If-Match" = Option<String>, Header, description = "ETags in quotes: only if the value has one of them. `*`: only if there is a value"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no value. ETags in quotes: only if the value has none of them"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key, body and conditions gets the first answer", min_length = 1, max_length = 255),
    ),
    request_body(content = AnyJson, description = "Any JSON, at most 65536 bytes, nested at most 127 deep, each member of an object once", content_type = "application/json"),
    responses(
        (status = 200, description = "Replaced", body = DataWritten, headers(
            ("ETag" = String, description = "The new version in quotes"),
            ("Skein-Transaction" = String, description = "The transaction that wrote it"))),
        (status = 201, description = "Created", body = DataWritten, headers(
            ("ETag" = String, description = "The version in quotes"),
            ("Skein-Transaction" = String, description = "The transaction that wrote it"))),
        (status = 400, description = "606, 708 or 709: key, body or a header", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700 or 731: nobody is logged in, and there is no token; or the token is of no use", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "730: the token may only read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "706: the value is not as If-Match or If-None-Match demands", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "710: the value is longer than 65536 bytes", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub async fn put(
    State(data): State<Arc<Data>>,
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    key: Result<PathKey, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    let writing = async {
        caller.may(Scope::Write)?;
        let PathKey(key) = key?;
        let headers = request.headers().clone();
        let condition = condition(&headers)?;
        let body = body::collect(&edge, request, Value::BYTES_MAX).await?;
        let value = Value::parse(&body).map_err(|error| refused("body", error))?;
        let conditions = format!("{condition:?}");
        let same = [b"PUT /api/data".as_slice(), key.as_str().as_bytes(), conditions.as_bytes(), &body];
        let once = caller.once(&headers, &same)?;
        caller.count_write()?;
        let written = data.put(&key, &value, &condition, once.as_ref(), caller.guard()).await?;
        Ok(answer(key, written))
    };
    caller.attempt(writing).await
}

/// Delete a value
///
/// It is gone from every replica when the answer comes.
#[utoipa::path(
    delete, path = "/api/data/{*key}", tag = "data", operation_id = "deleteData",
    params(
        ("key" = String, Path, description = "1 to 512 bytes of UTF-8, percent-encoded; slashes may stand as they are", example = "users/1"),
        ("If-Match" = Option<String>, Header, description = "ETags in quotes: only if the value has one of them. `*`: only if there is a value"),
        ("If-None-Match" = Option<String>, Header, description = "ETags in quotes: only if the value has none of them"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key and conditions gets the first answer", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 204, description = "Deleted", headers(("Skein-Transaction" = String, description = "The transaction that deleted it"))),
        (status = 400, description = "606 or 709: key or a header", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700 or 731: nobody is logged in, and there is no token; or the token is of no use", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "730: the token may only read", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "726: there is no value under this key", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "706: the value is not as If-Match or If-None-Match demands", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub async fn delete(
    State(data): State<Arc<Data>>,
    caller: Caller,
    key: Result<PathKey, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deleting = async {
        caller.may(Scope::Write)?;
        let PathKey(key) = key?;
        let condition = condition(&headers)?;
        let conditions = format!("{condition:?}");
        let same = [b"DELETE /api/data".as_slice(), key.as_str().as_bytes(), conditions.as_bytes()];
        let once = caller.once(&headers, &same)?;
        caller.count_write()?;
        let written = data.delete(&key, &condition, once.as_ref(), caller.guard()).await?;
        Ok(answer(key, written))
    };
    caller.attempt(deleting).await
}

/// Bytes that a page of so many values may have.
fn page_bytes_max(limit: u32) -> usize {
    (limit as usize).saturating_mul(KEY_BYTES_MAX + VALUE_BYTES_MAX).min(ANSWER_BYTES_MAX)
}

/// The key from the path, decoded.
pub struct PathKey(DataKey);

impl<S: Send + Sync> FromRequestParts<S> for PathKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = |detail: String| Problem::field(Code::MalformedField, "key", detail, Some(DataKey::BYTES_MAX as u64));
        // The router leaves an escape that is none as it stands, and another key would be meant.
        if parameter::decoded(parts.uri.path()).is_none() {
            return Err(refused(parameter::ENCODING.to_owned()));
        }
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|_| refused(parameter::ENCODING.to_owned()))?;
        DataKey::parse(text).map(PathKey).map_err(|error| refused(error.to_string()))
    }
}

/// What is wrong with a value.
pub fn refused(field: impl Into<Cow<'static, str>>, error: ValueError) -> Problem {
    let detail = error.to_string();
    match error {
        ValueError::TooLong(_) => Problem::field(Code::TransactionTooLong, field, detail, Some(Value::BYTES_MAX as u64)),
        ValueError::TooDeep => Problem::field(Code::MalformedBody, field, detail, Some(NESTING_MAX as u64)),
        ValueError::NoJson(_) => Problem::field(Code::MalformedBody, field, detail, None),
    }
}

/// The answer to a write; a repeat's is made the same way from what was remembered, and so is the same.
fn answer(key: DataKey, written: Written) -> Response {
    let transaction = [(TRANSACTION, text_header(written.txn.to_string()))];
    let (status, version) = match written.done {
        Done::Created(version) => (StatusCode::CREATED, version),
        Done::Replaced(version) => (StatusCode::OK, version),
        Done::Deleted => return (StatusCode::NO_CONTENT, transaction).into_response(),
    };
    let document = Json(DataWritten { key, version: version.0.to_string() });
    (status, transaction, [(header::ETAG, etag(version))], document).into_response()
}

/// What `If-Match` and `If-None-Match` demand.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let versions = |named| match named {
        Named::Any => Versions::Any,
        Named::OneOf(numbers) => {
            let mut versions: Vec<Version> = Vec::new();
            for version in numbers.into_iter().map(Version) {
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
            Versions::OneOf(versions)
        }
    };
    let matching = precondition::if_match(headers)?.map(versions);
    let not_matching = precondition::if_none_match(headers)?.map(versions);
    Ok(Condition { matching, not_matching })
}

fn etag(version: Version) -> HeaderValue {
    text_header(format!("\"{}\"", version.0))
}
