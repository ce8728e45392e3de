//! The surface alone, on a store in memory: for what a real cluster shows only with luck (an outcome that stays unknown, a full
//! store), and for rows that another program wrote. Requests go straight to the router; the coordinator behind it knows of no
//! transaction but from the rows.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::BodyExt;
use prometheus::Registry;
use serde_json::Value;
use skein_coordinator::app::{App, Parts};
use skein_coordinator::config::SurfaceConfig;
use skein_coordinator::http::router;
use skein_coordinator::metrics::CoordinatorMetrics;
use skein_coordinator::operators::cluster::Members;
use skein_coordinator::operators::console::{Console, Questions};
use skein_coordinator::operators::roster::Roster;
use skein_coordinator::store::cluster::Promise;
use skein_coordinator::store::memory::Memory;
use skein_coordinator::store::outcomes::Ledger;
use skein_protocol::id::{NodeId, TxnId, ViewNumber};
use skein_protocol::operation::Digest;
use skein_protocol::step::{CoordinatorStatus, KnownOutcome, RosterChange, RosterRefusal, Unrecorded};
use skein_runtime::transport::Met;
use tower::ServiceExt;

/// A coordinator that knows nothing by itself.
struct Nobody;

impl Questions for Nobody {
    fn status(&self) -> Promise<'_, CoordinatorStatus> {
        unreachable!("no request here asks for it")
    }

    fn digests(&self) -> Promise<'_, (ViewNumber, Vec<(NodeId, Digest)>)> {
        unreachable!("no request here asks for it")
    }

    fn change_roster(&self, _: RosterChange) -> Promise<'_, Result<Vec<String>, RosterRefusal>> {
        unreachable!("no request here asks for it")
    }
}

impl Ledger for Nobody {
    fn outcome(&self, _: TxnId) -> Promise<'_, KnownOutcome> {
        Box::pin(std::future::ready(Ok(KnownOutcome::Unknown)))
    }

    fn serves(&self) -> Promise<'_, bool> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn unrecorded(&self) -> Promise<'_, Unrecorded> {
        Box::pin(std::future::ready(Ok(Unrecorded::default())))
    }

    fn recorded(&self, _: Vec<TxnId>, _: bool) -> Promise<'_, ()> {
        unreachable!("nothing is recorded here")
    }
}

/// The surface of a coordinator of this store.
pub fn surface(memory: &Memory, settings: SurfaceConfig) -> Router {
    let registry = Registry::new();
    let metrics = CoordinatorMetrics::register(&registry).unwrap().node("test", &[]);
    let console = Console::new(Nobody);
    let roster = Roster::new(console.clone(), Vec::new(), false);
    router(App::new(Parts {
        settings,
        operator_key: None,
        cluster: memory.cluster(),
        ledger: Arc::new(Nobody),
        console,
        roster,
        members: Members { met: Met::default(), control_is_logged: true },
        registry,
        metrics,
    }))
}

/// Asks the surface; an answer without JSON has the value null.
pub async fn ask(surface: &Router, mut request: Request<Body>) -> (u16, HeaderMap, Value) {
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let (parts, body) = surface.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}
