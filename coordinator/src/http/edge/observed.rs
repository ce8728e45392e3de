//! The outermost layer: each request gets a span, is counted and timed, and its answer carries the security headers. The span
//! is a child of the client's, if it sent a W3C `traceparent`, and everything that the request causes on any node is a child
//! of it. Labels are bounded: the route is the pattern and not the path, and a method that no route has is `other`.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skein_runtime::telemetry;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;
use crate::http::edge::{Edge, gate};

/// What a browser may do with what this server sends: load its own files and nothing else, run no script that stands in a
/// page, and show it in no other page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const SECURITY: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Sees a request through.
pub async fn observe(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let below_api = request.uri().path().starts_with("/api");
    let route = route.as_deref().unwrap_or(if below_api { "/api/*" } else { "/*" });
    let span = info_span!(
        "http.request",
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    if let Some(parent) = request.headers().get("traceparent").and_then(|value| value.to_str().ok()) {
        telemetry::parse_traceparent(parent).inspect(|parent| telemetry::set_parent(&span, *parent));
    }
    let mut response = unpanicked(gate::pass(&edge, request, next)).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if below_api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    edge.metrics.request(method, route, response.status().as_u16(), begun.elapsed());
    response
}

/// Answers a panic as a problem. What panicked is not polled again.
pub async fn unpanicked(answering: impl Future<Output = Response>) -> Response {
    let mut answering = pin!(answering);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)));
        polled.unwrap_or_else(|panic| Poll::Ready(panicked(panic)))
    })
    .await
}

/// A handler has panicked, which is a fault of this program: the client hears so, and the process goes on.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!("a handler panicked: {}", text.unwrap_or("without a message"));
    let detail = "this program has a fault; whether what was asked for has happened is not known";
    Problem::new(Code::Internal, detail).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem() {
        async fn fault() {
            panic!("a fault made for this test");
        }
        let caught = async |request: Request, next: Next| unpanicked(next.run(request)).await;
        let router: Router = Router::new().route("/", get(fault)).layer(from_fn(caught));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
