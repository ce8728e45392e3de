//! The HTTP surface: all routes on one page, what they share, and the order of the layers around them. Handlers speak to the
//! domain; only those below `/api/cluster` ask the cluster itself.

pub mod address;
pub mod code;
pub mod error;
pub mod limits;
pub mod openapi;

mod accounts;
mod answers;
mod assets;
mod body;
mod body_memory;
mod caller;
mod cluster;
mod cookie;
mod data;
mod gate;
mod health;
mod login;
mod number;
mod observed;
mod operator;
mod parameter;
mod precondition;
mod settings;
mod tokens;
mod transactions;
mod tweets;
mod workers;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::body::Incoming;
use prometheus::Registry;
use skein_runtime::http::server;
use skein_runtime::metrics::HttpMetrics;
use skein_runtime::shutdown::Shutdown;
use skein_runtime::transport::Met;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Accounts;
use crate::config::SurfaceConfig;
use crate::data::Data;
use crate::metrics::NodeMetrics;
use crate::operators::console::Console;
use crate::operators::key::OperatorKey;
use crate::operators::roster::Roster;
use crate::sessions::Sessions;
use crate::store::cluster::Cluster;
use crate::store::outcomes::{Ledger, Outcomes};
use crate::store::write::Writer;
use crate::tokens::Tokens;
use crate::tweets::Tweets;
use body_memory::BodyMemory;
use caller::Person;
use code::Code;
use error::Problem;

/// What the handlers share.
pub type App = Arc<Shared>;

/// What the handlers share.
pub struct Shared {
    settings: SurfaceConfig,
    accounts: Accounts,
    sessions: Sessions,
    tokens: Tokens,
    operators: operator::Operators,
    tweets: Tweets,
    data: Data,
    console: Console,
    outcomes: Outcomes,
    limits: limits::RateLimits,
    digests: cluster::DigestCache,
    under_way: Semaphore,
    body_memory: BodyMemory,
    answers: answers::Answers,
    roster: Roster,
    members: Members,
    registry: Registry,
    metrics: NodeMetrics,
}

/// What is known of how the records are kept.
pub struct Members {
    /// What the workers say of themselves.
    pub met: Met,
    /// Whether this coordinator's own control store outlives it: without it nobody can use the workers' logs.
    pub control_is_logged: bool,
}

impl Shared {
    /// The surface of a coordinator of these workers. Without a key whoever is on this machine counts as its operator.
    #[must_use]
    pub fn new(
        settings: SurfaceConfig,
        operators: Option<OperatorKey>,
        (cluster, ledger): (Cluster, Arc<dyn Ledger>),
        (console, roster, members): (Console, Roster, Members),
        registry: Registry,
        metrics: NodeMetrics,
    ) -> Self {
        let limits = &settings.limits;
        let writer = Writer::new(cluster.clone(), limits.turn_time_max);
        Shared {
            accounts: Accounts::new(cluster.clone(), writer.clone(), limits.hashes_at_once_max, settings.idempotency_lifetime),
            sessions: Sessions::new(cluster.clone(), settings.session_lifetime),
            tokens: Tokens::new(cluster.clone(), writer.clone()),
            operators: operator::Operators::new(operators),
            tweets: Tweets::new(cluster.clone(), writer.clone(), limits.tweet_characters_max),
            data: Data::new(cluster.clone(), writer),
            limits: limits::RateLimits::new(limits),
            digests: cluster::DigestCache::default(),
            outcomes: Outcomes::new(cluster, ledger),
            under_way: Semaphore::new(limits.requests_max),
            body_memory: BodyMemory::new(limits.body_bytes_max, metrics.body_bytes.clone()),
            answers: answers::Answers::new(limits.answers.clone(), metrics.answer_bytes(), metrics.answers_refused()),
            console,
            roster,
            members,
            registry,
            metrics,
            settings,
        }
    }
}

/// Serves the surface until the shutdown starts, and then until what is under way has ended.
pub async fn serve(listener: TcpListener, app: App, metrics: HttpMetrics, shutdown: Shutdown) {
    let limits = app.settings.server_limits();
    let router = router(app);
    let answer = move |request: hyper::Request<Incoming>| {
        let answering = router.clone().oneshot(request.map(axum::body::Body::new));
        async move { answering.await.unwrap_or_else(|never| match never {}) }
    };
    server::serve(listener, limits, metrics, answer, shutdown).await;
}

/// Everything that is served. One layer is around all of it, since each costs every request some microseconds: within it a
/// request is observed, its panics are caught, and it passes the gate. Only files of text have the layer that compresses them.
pub fn router(app: App) -> Router {
    let (router, _) = routes();
    router
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback_service(any(elsewhere).layer(compression()).with_state(Arc::clone(&app)))
        .method_not_allowed_fallback(another_method)
        .layer(from_fn_with_state(Arc::clone(&app), observed::observe))
        .with_state(app)
}

/// The methods, routes and statuses of the contract.
#[must_use]
pub fn known_answers() -> Vec<(String, String, u16)> {
    let (_, document) = routes();
    let mut known = Vec::new();
    for (path, item) in &document.paths.paths {
        let operations = [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)];
        for (method, operation) in operations {
            let statuses = operation.iter().flat_map(|operation| operation.responses.responses.keys());
            known.extend(statuses.filter_map(|status| Some((method.to_owned(), path.clone(), status.parse().ok()?))));
        }
    }
    known
}

/// All routes below `/api` that the contract names, and the contract itself.
fn routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(login::log_in, login::who, login::log_out))
        .routes(routes!(accounts::create))
        .routes(routes!(tweets::list, tweets::post))
        .routes(routes!(tweets::get, tweets::edit, tweets::delete))
        .routes(routes!(data::list))
        .routes(routes!(data::get, data::put, data::delete))
        .routes(routes!(transactions::run))
        .routes(routes!(transactions::get))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(cluster::get))
        .routes(routes!(workers::list, workers::add))
        .routes(routes!(workers::remove))
        .routes(routes!(settings::get))
        .split_for_parts();
    openapi::complete(&mut document);
    let docs = Router::new()
        .route("/api/docs", get(openapi::page))
        .route("/api/docs/", get(openapi::page))
        .route("/api/docs/{*path}", get(openapi::docs))
        .layer(compression());
    (router.route("/api/openapi.json", get(openapi::document)).merge(docs), document)
}

/// Compresses what is worth it.
fn compression() -> CompressionLayer<assets::Compressed> {
    CompressionLayer::new().compress_when(assets::Compressed)
}

/// A path that has no route: below `/api` a problem, elsewhere the app's concern. Below `/api/tweet` a login comes first, so
/// that nobody learns without one what is there.
async fn elsewhere(State(app): State<App>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let path = parts.uri.path();
    if path != "/api" && !path.starts_with("/api/") {
        return assets::serve(&parts.method, &parts.uri, &parts.headers);
    }
    if path.starts_with("/api/tweet/")
        && let Err(problem) = <Person as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, &app).await
    {
        return problem.into_response();
    }
    Problem::new(Code::NoSuchPath, "see /api/docs for what there is").into_response()
}

/// A handler has panicked, which is a fault of this program: the client hears so, and the process goes on.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!("a handler panicked: {}", text.unwrap_or("without a message"));
    let detail = "this program has a fault; whether what was asked for has happened is not known";
    Problem::new(Code::Internal, detail).into_response()
}

/// A method that the path does not take; axum adds `Allow`.
async fn another_method(uri: Uri) -> Response {
    Problem::new(Code::MethodNotAllowed, format!("{} takes the methods that Allow lists", uri.path())).into_response()
}

/// A header's value made of what this program writes: numbers, paths and names of media types.
fn text_header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("what is written here is visible ASCII")
}

#[cfg(test)]
mod tests {
    use axum::middleware::{Next, from_fn};

    use super::*;
    use axum::body::Body;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem() {
        async fn fault() {
            panic!("a fault made for this test");
        }
        let caught = async |request: Request, next: Next| observed::unpanicked(next.run(request)).await;
        let router: Router = Router::new().route("/", get(fault)).layer(from_fn(caught));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
