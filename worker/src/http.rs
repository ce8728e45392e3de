//! The worker's own HTTP surface: `/livez`, `/readyz` with a line per part, and `/metrics`. It is for probes and people, not
//! for clients of the store; connections, heads and the time that each may take are bounded, so that it can't be used to
//! starve the replica behind it, and a page of another site can't read it by a name that leads here. A worker that its
//! coordinator has not taken in, or that still copies the records, is not ready, see [`crate::exclusion`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{self, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use prometheus::Registry;
use skein_protocol::membership::view::Standing;
use skein_protocol::step::{Reply, Request, WorkerStatus};
use skein_runtime::driver::Handle;
use skein_runtime::http::head::{self, Fault, Refused};
use skein_runtime::http::places::Bounds;
use skein_runtime::http::remote::Remote;
use skein_runtime::http::server;
use skein_runtime::metrics::{HttpMetrics, encode};
use skein_runtime::shutdown::Shutdown;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::config::WorkerConfig;
use crate::durability;
use crate::exclusion::Exclusion;

/// The bounds of the surface. All that it serves is for probes, so that a connection beyond the bounds, which gets a place in
/// the server's reserve, is answered too, if only once.
const LIMITS: server::Limits = server::Limits {
    connections: Bounds { all: 64, per_address: 32, per_loopback: 32 },
    header_time_max: Duration::from_secs(10),
    write_time_max: Duration::from_secs(10),
    drain_time_max: Duration::from_secs(1),
};

/// How long the machine may take to say how it stands before it counts as stuck.
const STATUS_WITHIN: Duration = Duration::from_secs(2);

/// What the surface shows.
#[derive(Clone)]
pub struct Surface {
    handle: Handle,
    exclusion: Exclusion,
    registry: Registry,
    durability: &'static str,
    memory_bytes_max: u64,
}

impl Surface {
    /// The surface of one worker.
    #[must_use]
    pub fn new(handle: Handle, exclusion: Exclusion, registry: Registry, config: &WorkerConfig) -> Self {
        Surface {
            handle,
            exclusion,
            registry,
            durability: durability(config.data.as_deref(), config.store.sync).label(),
            memory_bytes_max: config.store.memory_bytes_max,
        }
    }

    fn router(self) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .layer(from_fn(pass))
            .with_state(Arc::new(self))
    }
}

async fn readyz(State(surface): State<Arc<Surface>>) -> Response {
    let (code, text) = match tokio::time::timeout(STATUS_WITHIN, surface.handle.request(Request::Status)).await {
        Ok(Ok(Reply::Worker(status))) => {
            let outside = surface.exclusion.is_outside(Instant::now());
            let ready = !outside && status.standing != Some(Standing::Learner);
            let code = if !ready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            (code, parts(&status, outside, surface.durability, surface.memory_bytes_max))
        }
        Ok(Ok(_)) => (StatusCode::SERVICE_UNAVAILABLE, "core: failed, too much is under way\n".to_owned()),
        Ok(Err(gone)) => (StatusCode::SERVICE_UNAVAILABLE, format!("core: failed, {gone}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("core: failed, no answer within {STATUS_WITHIN:?}\n")),
    };
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

async fn metrics(State(surface): State<Arc<Surface>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], encode(&surface.registry)).into_response()
}

/// A line per part: its name, `ok`, `degraded` or `waiting`, and what a person may want to know.
fn parts(status: &WorkerStatus, outside: bool, durability: &str, memory_bytes_max: u64) -> String {
    let cluster = match status.cluster {
        Some(cluster) => format!("bound to {cluster}"),
        None => "not bound to any yet".to_owned(),
    };
    let view = match (outside, status.active) {
        (true, _) => format!("waiting, {}, not taken in by its coordinator yet", status.view),
        (false, _) if status.standing == Some(Standing::Learner) => {
            format!("waiting, {}, copies all records and is a member after that", status.view)
        }
        (false, true) => format!("ok, {} active", status.view),
        (false, false) => format!("ok, {} waiting for its coordinator", status.view),
    };
    let store = match status.damaged {
        0 => "ok".to_owned(),
        damaged => format!("degraded, {damaged} found damaged"),
    };
    let bytes = status.memory_bytes;
    let memory = if status.full {
        format!("degraded, full: writes that need room are refused, {bytes} of {memory_bytes_max} bytes")
    } else {
        format!("ok, {bytes} of {memory_bytes_max} bytes")
    };
    format!(
        "core: ok, node {}\nlog: ok, {durability}\ncluster: ok, {cluster}\nview: {view}\nstore: {store}, {} records\n\
         doubt: ok, {} transactions in doubt\nmemory: {memory}\n",
        status.node, status.digest.records, status.prepared,
    )
}

/// Checks the head of a request before it is answered.
async fn pass(request: extract::Request, next: Next) -> Response {
    let at_loopback = request.extensions().get::<Remote>().is_some_and(|remote| remote.at_loopback);
    let checked = head::check(&request).and_then(|()| if at_loopback { head::named_locally(&request) } else { Ok(()) });
    let Err(Refused { fault, field, detail, .. }) = checked else { return next.run(request).await };
    let code = match fault {
        Fault::Malformed => StatusCode::BAD_REQUEST,
        Fault::UriTooLong => StatusCode::URI_TOO_LONG,
        Fault::HeadersTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Fault::Misdirected => StatusCode::MISDIRECTED_REQUEST,
    };
    (code, [(header::CONNECTION, "close")], format!("{field}: {detail}\n")).into_response()
}

/// Serves until the shutdown starts.
pub async fn serve(listener: TcpListener, surface: Surface, metrics: HttpMetrics, shutdown: Shutdown) {
    let router = surface.router();
    let answer = move |request: hyper::Request<Incoming>| {
        let answering = router.clone().oneshot(request.map(axum::body::Body::new));
        async move { answering.await.unwrap_or_else(|never| match never {}) }
    };
    server::serve(listener, LIMITS, metrics, answer, shutdown).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{ClusterId, NodeId, ViewNumber};
    use skein_protocol::operation::Digest;

    #[test]
    fn a_full_memory_shows_as_degraded() {
        let mut status = WorkerStatus {
            node: NodeId(1),
            cluster: Some(ClusterId(2)),
            view: ViewNumber(3),
            standing: None,
            damaged: 0,
            salvaged: false,
            active: true,
            digest: Digest::default(),
            memory_bytes: 99,
            full: false,
            prepared: 0,
            oldest_prepared: None,
            waiting: 0,
            reads_waiting: 0,
            remembered: 0,
            locks: 0,
        };
        assert!(parts(&status, false, "memory", 100).contains("memory: ok, 99 of 100 bytes"));
        status.full = true;
        assert!(
            parts(&status, false, "memory", 100).contains("memory: degraded, full: writes that need room are refused, 99 of 100")
        );
        assert!(parts(&status, false, "memory", 100).contains("view: ok, 3 active\n"));
        assert!(parts(&status, true, "memory", 100).contains("view: waiting, 3, not taken in by its coordinator yet\n"));
        assert!(parts(&status, false, "memory", 100).contains("store: ok, 0 records\n"));
        status.standing = Some(Standing::Learner);
        status.damaged = 2;
        assert!(
            parts(&status, false, "memory", 100).contains("view: waiting, 3, copies all records and is a member after that\n")
        );
        assert!(parts(&status, true, "memory", 100).contains("not taken in"));
        assert!(parts(&status, false, "memory", 100).contains("store: degraded, 2 found damaged, 0 records\n"));
        status.standing = Some(Standing::Member);
        status.active = false;
        assert!(parts(&status, false, "memory", 100).contains("view: ok, 3 waiting for its coordinator\n"));
    }
}
