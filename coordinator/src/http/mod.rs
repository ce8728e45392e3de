//! The HTTP surface: all routes on one page, what they share, and the order of the layers around them. Handlers speak to the
//! domain; only those below `/api/cluster` ask the cluster itself.

mod api;
pub mod contract;
pub mod edge;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts, Request, State};
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hyper::body::Incoming;
use skein_runtime::http::server;
use skein_runtime::metrics::HttpMetrics;
use skein_runtime::shutdown::Shutdown;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::app::App;
use crate::caller::{Caller, Callers, Person};
use crate::config::SurfaceConfig;
use crate::operators;
pub use api::known_answers;
use api::{Door, Doors};
use contract::code::Code;
use contract::problem::Problem;
use edge::{Edge, assets, observed};

/// Serves the surface until the shutdown starts, and then until what is under way has ended.
pub async fn serve(listener: TcpListener, app: App, metrics: HttpMetrics, shutdown: Shutdown) {
    let limits = Arc::<SurfaceConfig>::from_ref(&app).server_limits();
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
    let (router, document) = api::routes();
    let doors = Arc::new(api::doors(&document));
    router
        .merge(operators::probes())
        .fallback_service(any(elsewhere).layer(assets::compression()).with_state((Arc::<Callers>::from_ref(&app), doors)))
        .method_not_allowed_fallback(another_method)
        .layer(from_fn_with_state(Arc::<Edge>::from_ref(&app), observed::observe))
        .with_state(app)
}

/// A path that has no route: below `/api` a problem, elsewhere the app's concern. Where every path needs a login, that comes first
/// here as well, so that nobody learns without one what is there.
async fn elsewhere(State((callers, doors)): State<(Arc<Callers>, Arc<Doors>)>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let path = parts.uri.path();
    if path != "/api" && !path.starts_with("/api/") {
        return assets::serve(&parts.method, &parts.uri, &parts.headers);
    }
    let nothing = Problem::new(Code::NoSuchPath, "see /api/docs for what there is");
    let caller = match doors.of(path) {
        Door::Open => return nothing.into_response(),
        Door::Login => Person::from_request_parts(&mut parts, &callers).await.map(|person| person.caller),
        Door::LoginOrToken => Caller::from_request_parts(&mut parts, &callers).await,
    };
    match caller {
        Ok(caller) => caller.attempt(async { Err::<Response, _>(nothing) }).await.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// A method that the path does not take; axum adds `Allow`.
async fn another_method(uri: Uri) -> Response {
    Problem::new(Code::MethodNotAllowed, format!("{} takes the methods that Allow lists", uri.path())).into_response()
}
