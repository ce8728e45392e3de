//! The HTTP surface: all routes on one page, what they share, and the order of the layers around them. Handlers speak to the
//! domain; only `/api/cluster` and `/api/transactions` ask the cluster itself.

pub mod address;
pub mod code;
pub mod error;
pub mod limits;
pub mod openapi;

mod accounts;
mod body;
mod cluster;
mod login;
mod parameter;
mod precondition;
mod session;
mod settings;
mod transactions;
mod tweets;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Accounts;
use crate::cluster::Cluster;
use crate::config::SurfaceConfig;
use crate::sessions::Sessions;
use crate::tweets::Tweets;

/// What the handlers share.
pub type App = Arc<Shared>;

/// What the handlers share.
pub struct Shared {
    /// The settings.
    pub settings: SurfaceConfig,
    /// The domain: accounts.
    pub accounts: Accounts,
    /// The domain: sessions.
    pub sessions: Sessions,
    /// The domain: tweets.
    pub tweets: Tweets,
    /// The cluster, for what operators ask.
    pub cluster: Cluster,
    /// The limits in rate.
    pub limits: limits::RateLimits,
    /// The replicas' digests as of a moment ago.
    pub digests: cluster::DigestCache,
}

/// All routes below `/api` that the contract names, and the contract itself.
fn routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(login::log_in, login::who, login::log_out))
        .routes(routes!(accounts::create))
        .routes(routes!(tweets::list, tweets::post))
        .routes(routes!(tweets::get, tweets::edit, tweets::delete))
        .routes(routes!(transactions::get))
        .routes(routes!(cluster::get))
        .routes(routes!(settings::get))
        .split_for_parts();
    openapi::complete(&mut document);
    let router = router
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/docs", get(openapi::to_docs))
        .route("/api/docs/", get(openapi::docs))
        .route("/api/docs/{*path}", get(openapi::docs));
    (router, document)
}

/// A header's value made of what this program writes: numbers, paths and names of media types.
fn text_header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("what is written here is visible ASCII")
}
