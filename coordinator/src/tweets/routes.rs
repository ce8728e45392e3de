//! `/api/tweet`: list, post, read, edit, delete. Every request needs a login, and that is asked first: who is not logged in
//! learns nothing about which tweets exist. Each handler owns its documentation, request and response.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use skein_protocol::limits::ANSWER_BYTES_MAX;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::caller::{Callers, Person};
use crate::config::Limits;
use crate::http::contract::body::{self, JsonBody};
use crate::http::contract::parameter::{self, Parameters, Query};
use crate::http::contract::precondition::{self, Named};
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::contract::text_header;
use crate::http::edge::Edge;
use crate::http::edge::address::Client;
use crate::store::clock::Timestamp;
use crate::store::cursor;
use crate::store::write::Written;
use crate::tweets::{self, Condition, Done, PAGE_MAX, Tweets};

/// All that is done with tweets.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Tweets>: FromRef<S>,
    Arc<Callers>: FromRef<S>,
    Arc<Edge>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new().routes(routes!(list, post)).routes(routes!(get, edit, delete))
}

/// Tweets of a page unless told.
const PAGE_DEFAULT: u32 = 50;

/// Bytes that a tweet in a list has in addition to its text, at the most.
const TWEET_BYTES_BESIDE_TEXT: usize = 512;

/// A tweet.
#[derive(Serialize, ToSchema)]
pub struct Tweet {
    /// Its name (UUID, version 7).
    id: Uuid,
    /// The username of who wrote it.
    #[schema(example = "ann")]
    author: String,
    /// What it says: 1 to 100 Unicode scalar values, or as many as `/api/settings` tells.
    #[schema(example = "Hello")]
    text: String,
    /// When it was posted (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was edited last (RFC 3339); null if never.
    #[schema(format = DateTime, required)]
    edited_at: Option<String>,
    /// Counts its texts from 1. In quotes it is the ETag.
    #[schema(minimum = 1)]
    version: u64,
}

/// A page of tweets, newest first.
#[derive(Serialize, ToSchema)]
pub struct TweetPage {
    /// The tweets.
    tweets: Vec<Tweet>,
    /// The cursor of the next page; null if this is the last.
    #[schema(required)]
    next: Option<String>,
}

/// The text of a tweet.
#[derive(Deserialize, ToSchema)]
pub struct TweetText {
    /// 1 to 100 Unicode scalar values, of which one at least is visible, no control characters but line feed and tab; the upper bound is a setting that `/api/settings` tells.
    #[schema(example = "Hello", min_length = 1)]
    text: String,
}

/// Bytes that a scalar value has at the most in JSON: two escapes of a UTF-16 half each.
const SCALAR_BYTES_MAX: usize = 12;

/// Bytes of a tweet's body beside the characters of its text: names, quotes, white space.
const FRAME_BYTES_MAX: usize = 1024;

impl body::Form for TweetText {
    /// A text that the settings allow always fits, however it is written.
    fn bytes_max(limits: &Limits) -> usize {
        body::BODY_BYTES_MAX.max(limits.tweet_characters_max * SCALAR_BYTES_MAX + FRAME_BYTES_MAX)
    }
}

/// Which tweets to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// How many tweets to give at the most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Where to go on: `next` of the page before. Opaque.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
    /// `strict` reads all as of one instant; the default reads each tweet as of the request's arrival.
    #[param(value_type = Option<crate::http::contract::parameter::ConsistencyParameter>)]
    consistent: Option<String>,
}

impl Parameters for ListParameters {
    const NAMES: &'static [&'static str] = &["limit", "cursor", "consistent"];
}

impl From<tweets::Tweet> for Tweet {
    fn from(tweet: tweets::Tweet) -> Self {
        Tweet {
            id: tweet.id,
            author: tweet.author,
            text: tweet.text,
            created_at: tweet.created_at.to_string(),
            edited_at: tweet.edited_at.as_ref().map(Timestamp::to_string),
            version: tweet.version,
        }
    }
}

/// List tweets
///
/// Newest first. Consistency: *arrival* (the default) holds everything that was acknowledged before the request came in, each
/// tweet whole and current; two lists that are read at the same time may see unrelated new tweets in different order.
/// `consistent=strict` reads all as of one instant, and queues with the writers for it.
#[utoipa::path(
    get, path = "/api/tweet", tag = "tweets", operation_id = "listTweets",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of tweets", body = TweetPage),
        (status = 400, description = "709: `limit`, `cursor` or `consistent` is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn list(
    State(tweets): State<Arc<Tweets>>,
    State(edge): State<Arc<Edge>>,
    person: Person,
    client: Client,
    query: Result<Query<ListParameters>, Problem>,
) -> Result<Response, Problem> {
    let asked = async {
        let Query(parameters) = query?;
        let limit = parameter::limit(parameters.limit.as_deref(), PAGE_DEFAULT, PAGE_MAX)?;
        let before = parameter::cursor(parameters.cursor.as_deref(), cursor::read)?;
        Ok((limit, before, parameter::consistent(parameters.consistent.as_deref())?))
    };
    let (limit, before, consistency) = person.caller.attempt(asked).await?;
    let bytes_max = limit as usize * (TWEET_BYTES_BESIDE_TEXT + 4 * edge.settings.limits.tweet_characters_max);
    let room = person.room(&edge, &client, bytes_max.min(ANSWER_BYTES_MAX)).await?;
    let page = tweets.list(limit, before, consistency).await?;
    let page = TweetPage { tweets: page.tweets.into_iter().map(Tweet::from).collect(), next: page.next };
    Ok(room.hold(Json(page).into_response()).await)
}

/// Post a tweet
///
/// One transaction across all replicas: 201 says that every one of them has it.
#[utoipa::path(
    post, path = "/api/tweet", tag = "tweets", operation_id = "postTweet",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key and body gets the first answer and posts nothing", min_length = 1, max_length = 255)),
    request_body = TweetText,
    responses(
        (status = 201, description = "The tweet", body = Tweet, headers(
            ("Location" = String, description = "The path of the tweet"),
            ("ETag" = String, description = "Its version in quotes"),
            ("Skein-Transaction" = String, description = "The transaction that wrote it"))),
        (status = 400, description = "512, 606, 708 or 709: text, body or key", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn post(
    State(tweets): State<Arc<Tweets>>,
    person: Person,
    headers: HeaderMap,
    body: Result<JsonBody<TweetText>, Problem>,
) -> Result<Response, Problem> {
    let Person { caller, session } = &person;
    let posting = async {
        let body = body?;
        let once = caller.once(&headers, &[b"POST", b"/api/tweet", &body.bytes])?;
        caller.count_write()?;
        Ok(tweets.post(&session.username, &body.value.text, once.as_ref(), caller.guard()).await?)
    };
    caller.attempt(posting).await.map(answer)
}

/// Read a tweet
///
/// Strictly serializable: what was acknowledged before the request came in is seen.
#[utoipa::path(
    get, path = "/api/tweet/{id}", tag = "tweets", operation_id = "getTweet",
    params(
        ("id" = Uuid, Path, description = "The tweet's id"),
        ("If-None-Match" = Option<String>, Header, description = "ETags in quotes: if the tweet has one of them still, the answer is 304"),
    ),
    responses(
        (status = 200, description = "The tweet", body = Tweet, headers(("ETag" = String, description = "Its version in quotes"))),
        (status = 304, description = "The tweet still has the version named in If-None-Match", headers(("ETag" = String, description = "Its version in quotes"))),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "702: there is no such tweet", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn get(person: Person, id: Result<TweetId, Problem>, request: Request) -> Result<Response, Problem> {
    let TweetId(id) = person.caller.attempt(async { id }).await?;
    let row = person.read(tweets::key(id)).await?;
    let tweet = tweets::Tweet::read(row.as_ref())?;
    if precondition::is_current(request.headers(), tweet.version)? {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(tweet.version))]).into_response());
    }
    Ok(([(header::ETAG, etag(tweet.version))], Json(Tweet::from(tweet))).into_response())
}

/// Edit a tweet
///
/// With `If-Match` exactly one of several clients that edit the same version wins; the others get 412. Without it the last
/// write wins.
#[utoipa::path(
    put, path = "/api/tweet/{id}", tag = "tweets", operation_id = "editTweet",
    params(
        ("id" = Uuid, Path, description = "The tweet's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version to be replaced, in quotes"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key, body and If-Match gets the first answer", min_length = 1, max_length = 255),
    ),
    request_body = TweetText,
    responses(
        (status = 200, description = "The tweet, edited", body = Tweet, headers(
            ("ETag" = String, description = "Its new version in quotes"),
            ("Skein-Transaction" = String, description = "The transaction that wrote it"))),
        (status = 400, description = "512, 606, 708 or 709: text, body or header", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "701: the tweet is another's", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "702: there is no such tweet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "706: the tweet has another version", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn edit(
    State(tweets): State<Arc<Tweets>>,
    person: Person,
    id: Result<TweetId, Problem>,
    headers: HeaderMap,
    body: Result<JsonBody<TweetText>, Problem>,
) -> Result<Response, Problem> {
    let Person { caller, session } = &person;
    let editing = async {
        let (TweetId(id), body) = (id?, body?);
        let condition = condition(&headers)?;
        let (named, conditions) = (id.to_string(), format!("{condition:?}"));
        let once = caller.once(&headers, &[b"PUT", named.as_bytes(), conditions.as_bytes(), &body.bytes])?;
        caller.count_write()?;
        let edit = (id, body.value.text.as_str());
        Ok(tweets.edit(&session.username, edit, &condition, once.as_ref(), caller.guard()).await?)
    };
    caller.attempt(editing).await.map(answer)
}

/// Delete a tweet
///
/// It is gone from every replica when the answer comes.
#[utoipa::path(
    delete, path = "/api/tweet/{id}", tag = "tweets", operation_id = "deleteTweet",
    params(
        ("id" = Uuid, Path, description = "The tweet's id"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version to be deleted, in quotes"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key gets the first answer", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 204, description = "Deleted", headers(("Skein-Transaction" = String, description = "The transaction that deleted it"))),
        (status = 400, description = "709: If-Match or Idempotency-Key is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "701: the tweet is another's", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "702: there is no such tweet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "706: the tweet has another version", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn delete(
    State(tweets): State<Arc<Tweets>>,
    person: Person,
    id: Result<TweetId, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Person { caller, session } = &person;
    let deleting = async {
        let TweetId(id) = id?;
        let condition = condition(&headers)?;
        let (named, conditions) = (id.to_string(), format!("{condition:?}"));
        let once = caller.once(&headers, &[b"DELETE", named.as_bytes(), conditions.as_bytes(), b""])?;
        caller.count_write()?;
        Ok(tweets.delete(&session.username, id, &condition, once.as_ref(), caller.guard()).await?)
    };
    caller.attempt(deleting).await.map(answer)
}

/// A tweet's id from the path; what is no UUID names no tweet.
pub struct TweetId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for TweetId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|text| text.parse().ok());
        id.map(TweetId).ok_or_else(|| tweets::Error::NotFound.into())
    }
}

/// The answer to a write; a repeat's is made the same way from what was remembered, and so is the same.
fn answer(written: Written<Done>) -> Response {
    let transaction = [(TRANSACTION, text_header(written.txn.to_string()))];
    match written.answer {
        Done::Posted(tweet) => {
            let location = [(header::LOCATION, text_header(format!("/api/tweet/{}", tweet.id)))];
            let tag = [(header::ETAG, etag(tweet.version))];
            (StatusCode::CREATED, transaction, location, tag, Json(Tweet::from(tweet))).into_response()
        }
        Done::Edited(tweet) => {
            let tag = [(header::ETAG, etag(tweet.version))];
            (StatusCode::OK, transaction, tag, Json(Tweet::from(tweet))).into_response()
        }
        Done::Deleted => (StatusCode::NO_CONTENT, transaction).into_response(),
    }
}

/// What `If-Match` demands; any version will do for `*`, since a tweet that is not there is told before.
fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    Ok(match precondition::if_match(headers)? {
        None | Some(Named::Any) => Condition::None,
        Some(Named::OneOf(versions)) => Condition::OneOf(versions),
    })
}

fn etag(version: u64) -> HeaderValue {
    text_header(format!("\"{version}\""))
}
