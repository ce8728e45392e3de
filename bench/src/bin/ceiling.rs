//! The ceiling: what HTTP costs on this machine. It answers the two requests that are measured with the same JSON as Skein,
//! from a map in its own memory, without login, replication, log, metrics or bounds. Everything that Skein needs beyond it is
//! the price of what Skein does.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, RwLock};

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

type Tweets = Arc<RwLock<BTreeMap<Uuid, Post>>>;

#[derive(Clone)]
struct Post {
    author: String,
    text: String,
    created_at: OffsetDateTime,
    edited_at: Option<OffsetDateTime>,
    version: u64,
}

#[derive(Deserialize)]
struct TweetText {
    text: String,
}

#[derive(Serialize)]
struct Tweet {
    id: Uuid,
    author: String,
    text: String,
    created_at: String,
    edited_at: Option<String>,
    version: u64,
}

fn shown(id: Uuid, stored: Post) -> Json<Tweet> {
    let rfc3339 = |moment: OffsetDateTime| moment.format(&Rfc3339).expect("this century can be written");
    let Post { author, text, created_at, edited_at, version } = stored;
    Json(Tweet { id, author, text, created_at: rfc3339(created_at), edited_at: edited_at.map(rfc3339), version })
}

async fn create(State(tweets): State<Tweets>, Json(TweetText { text }): Json<TweetText>) -> Response {
    let id = Uuid::now_v7();
    let stored = Post { author: "bench".into(), text, created_at: OffsetDateTime::now_utc(), edited_at: None, version: 1 };
    tweets.write().expect("no holder of this lock panics").insert(id, stored.clone());
    let location = [(header::LOCATION, format!("/api/tweet/{id}"))];
    (StatusCode::CREATED, location, [(header::ETAG, "\"1\"")], shown(id, stored)).into_response()
}

async fn read(State(tweets): State<Tweets>, Path(id): Path<Uuid>) -> Response {
    let found = tweets.read().expect("no holder of this lock panics").get(&id).cloned();
    match found {
        Some(stored) => ([(header::ETAG, format!("\"{}\"", stored.version))], shown(id, stored)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let router =
        Router::new().route("/api/tweet", post(create)).route("/api/tweet/{id}", get(read)).with_state(Tweets::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "ready http://{}", listener.local_addr()?)?;
    axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| {
            // As Skein does; answers are written whole.
            let _best_effort = stream.set_nodelay(true);
        }),
        router,
    )
    .await
}
