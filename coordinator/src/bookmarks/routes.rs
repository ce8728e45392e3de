//! `/api/bookmarks`: list, mark, remove. Every request is a person's and concerns what is theirs alone; a bearer token is no
//! person and has no bookmarks.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use skein_protocol::limits::READ_KEYS_MAX;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::bookmarks::{Bookmark, Bookmarked, Bookmarks, Done, PAGE_BYTES, PAGE_MAX, Page, TWEETS_ASKED_MAX};
use crate::caller::{Callers, Person};
use crate::http::contract::code::Code;
use crate::http::contract::parameter::{self, Parameters, Query};
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::contract::text_header;
use crate::http::edge::Edge;
use crate::http::edge::address::Client;
use crate::store::cursor;
use crate::store::write::Written;
use crate::tweets::routes::{Tweet, TweetId};

/// All that is done with bookmarks.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Bookmarks>: FromRef<S>,
    Arc<Callers>: FromRef<S>,
    Arc<Edge>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, remove))
}

/// Bookmarks of a page unless told.
const PAGE_DEFAULT: u32 = 50;

/// Bytes that a bookmark in a list has in addition to the text of its tweet, at the most.
const BYTES_BESIDE_TEXT: usize = 768;

/// A tweet's id as a list of them has it.
const ID_CHARACTERS: usize = 36;

/// A tweet that the person has marked.
#[derive(Serialize, ToSchema)]
pub struct BookmarkMade {
    /// The tweet's id.
    tweet_id: Uuid,
    /// When it was marked (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
}

/// A bookmark with its tweet.
#[derive(Serialize, ToSchema)]
pub struct BookmarkedTweet {
    /// The tweet's id.
    tweet_id: Uuid,
    /// When it was marked (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// The tweet as it is now; null if it was deleted.
    #[schema(required)]
    tweet: Option<Tweet>,
}

/// A page of bookmarks, the newest mark first.
#[derive(Serialize, ToSchema)]
pub struct BookmarkPage {
    /// The bookmarks.
    bookmarks: Vec<BookmarkedTweet>,
    /// The cursor of the next page; null if this is the last.
    #[schema(required)]
    next: Option<String>,
}

/// Which bookmarks to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BookmarkParameters {
    /// How many bookmarks to give at the most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// Where to go on: `next` of the page before. Opaque.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
    /// Ids of 1 to 32 tweets with commas between them: only the bookmarks of these, in this order and in one page, whatever `limit` and `cursor` say.
    #[param(
        pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(,[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}){0,31}$"
    )]
    tweets: Option<String>,
}

impl Parameters for BookmarkParameters {
    const NAMES: &'static [&'static str] = &["limit", "cursor", "tweets"];
}

impl From<Bookmark> for BookmarkMade {
    fn from(bookmark: Bookmark) -> Self {
        BookmarkMade { tweet_id: bookmark.tweet, created_at: bookmark.created_at.to_string() }
    }
}

impl From<Bookmarked> for BookmarkedTweet {
    fn from(Bookmarked { bookmark, tweet }: Bookmarked) -> Self {
        let created_at = bookmark.created_at.to_string();
        BookmarkedTweet { tweet_id: bookmark.tweet, created_at, tweet: tweet.map(Tweet::from) }
    }
}

/// List bookmarks
///
/// The person's own, the newest mark first. A tweet that was deleted since has null in its place until its bookmark is removed.
/// Holds all that was acknowledged before the request came in, each tweet whole and current.
#[utoipa::path(
    get, path = "/api/bookmarks", tag = "bookmarks", operation_id = "listBookmarks",
    params(BookmarkParameters),
    responses(
        (status = 200, description = "A page of bookmarks", body = BookmarkPage),
        (status = 400, description = "709: `limit`, `cursor` or `tweets` is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn list(
    State(bookmarks): State<Arc<Bookmarks>>,
    State(edge): State<Arc<Edge>>,
    person: Person,
    client: Client,
    query: Result<Query<BookmarkParameters>, Problem>,
) -> Result<Response, Problem> {
    let asked = async {
        let Query(parameters) = query?;
        let limit = parameter::limit(parameters.limit.as_deref(), PAGE_DEFAULT, PAGE_MAX)?;
        let before = parameter::cursor(parameters.cursor.as_deref(), cursor::read)?;
        Ok((limit, before, parameters.tweets.as_deref().map(tweets_asked).transpose()?))
    };
    let (limit, before, asked) = person.caller.attempt(asked).await?;
    // The bound of a page counts what is stored of its tweets; each may have more beside its text in the answer.
    let bytes = |count: usize| count * (BYTES_BESIDE_TEXT + 4 * edge.settings.limits.tweet_characters_max);
    let bytes_max = match &asked {
        Some(tweets) => bytes(tweets.len()),
        None => bytes(limit as usize).min(PAGE_BYTES + limit as usize * BYTES_BESIDE_TEXT + bytes(READ_KEYS_MAX)),
    };
    let room = person.room(&edge, &client, bytes_max).await?;
    let name = &person.caller.name;
    let page = match asked {
        Some(tweets) => Page { bookmarks: bookmarks.of(name, &tweets).await?, next: None },
        None => bookmarks.list(name, limit, before).await?,
    };
    let page = BookmarkPage { bookmarks: page.bookmarks.into_iter().map(BookmarkedTweet::from).collect(), next: page.next };
    Ok(room.hold(Json(page).into_response()).await)
}

/// Mark a tweet
///
/// 201 if it was not marked, 200 if it was; the time of the mark stays that of the first one. 404 if the tweet is gone, also if it
/// was marked. A person has 1,000 bookmarks at the most.
#[utoipa::path(
    put, path = "/api/bookmarks/{tweet_id}", tag = "bookmarks", operation_id = "putBookmark",
    params(
        ("tweet_id" = Uuid, Path, description = "The tweet's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key gets the first answer", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 200, description = "The bookmark, which was there already", body = BookmarkMade, headers(("Skein-Transaction" = String, description = "The transaction that found it"))),
        (status = 201, description = "The bookmark", body = BookmarkMade, headers(("Skein-Transaction" = String, description = "The transaction that wrote it"))),
        (status = 400, description = "709: the Idempotency-Key is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "702: there is no such tweet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "740: the person has as many bookmarks as may be", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn put(
    State(bookmarks): State<Arc<Bookmarks>>,
    person: Person,
    id: Result<TweetId, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = &person.caller;
    let marking = async {
        let TweetId(id) = id?;
        let once = caller.once(&headers, &[b"PUT", b"/api/bookmarks", id.as_bytes()])?;
        caller.count_write()?;
        Ok(bookmarks.add(&caller.name, id, once.as_ref(), caller.guard()).await?)
    };
    caller.attempt(marking).await.map(answer)
}

/// Remove a bookmark
///
/// 204 says that the tweet is not marked, whether it was or not. The bookmark of a tweet that was deleted is removed in the same
/// way.
#[utoipa::path(
    delete, path = "/api/bookmarks/{tweet_id}", tag = "bookmarks", operation_id = "removeBookmark",
    params(
        ("tweet_id" = Uuid, Path, description = "The tweet's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key gets the first answer", min_length = 1, max_length = 255),
    ),
    responses(
        (status = 204, description = "The tweet is not marked", headers(("Skein-Transaction" = String, description = "The transaction that removed the bookmark, or found none"))),
        (status = 400, description = "709: the Idempotency-Key is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "702: what the path names is no id of a tweet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn remove(
    State(bookmarks): State<Arc<Bookmarks>>,
    person: Person,
    id: Result<TweetId, Problem>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = &person.caller;
    let removing = async {
        let TweetId(id) = id?;
        let once = caller.once(&headers, &[b"DELETE", b"/api/bookmarks", id.as_bytes()])?;
        caller.count_write()?;
        Ok(bookmarks.remove(&caller.name, id, once.as_ref(), caller.guard()).await?)
    };
    caller.attempt(removing).await.map(answer)
}

/// The answer to a write; a repeat's is made the same way from what was remembered, and so is the same.
fn answer(written: Written<Done>) -> Response {
    let transaction = [(TRANSACTION, text_header(written.txn.to_string()))];
    match written.answer {
        Done::Marked(bookmark) => (StatusCode::CREATED, transaction, Json(BookmarkMade::from(bookmark))).into_response(),
        Done::Kept(bookmark) => (StatusCode::OK, transaction, Json(BookmarkMade::from(bookmark))).into_response(),
        Done::Removed => (StatusCode::NO_CONTENT, transaction).into_response(),
    }
}

/// The tweets that are asked about, each once.
fn tweets_asked(text: &str) -> Result<Vec<Uuid>, Problem> {
    let mut tweets = Vec::new();
    for id in text.split(',') {
        let id = Some(id).filter(|id| id.len() == ID_CHARACTERS).and_then(|id| id.parse().ok());
        let Some(id) = id.filter(|_| tweets.len() < TWEETS_ASKED_MAX) else {
            let detail = format!("ids of 1 to {TWEETS_ASKED_MAX} tweets, with commas between them");
            return Err(Problem::field(Code::MalformedParameter, "tweets", detail, Some(TWEETS_ASKED_MAX as u64)));
        };
        tweets.push(id);
    }
    let mut seen = HashSet::new();
    tweets.retain(|id| seen.insert(*id));
    Ok(tweets)
}
