//! For probes and tools: `/livez` says that the process answers, `/readyz` has a line per part and is 200 while writes are
//! served, `/metrics` has everything that is counted. They are answered even when all other requests are refused.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use skein_protocol::step::CoordinatorStatus;
use skein_runtime::metrics::encode;

use super::App;

/// How long the machine may take to say how it stands before it counts as stuck.
const STATUS_WITHIN: Duration = Duration::from_secs(2);

/// The paths that are answered whatever else is under way.
pub const PATHS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The process answers.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// How each part stands.
pub async fn readyz(State(app): State<App>) -> Response {
    let (code, text) = match tokio::time::timeout(STATUS_WITHIN, app.cluster.status()).await {
        Ok(Ok(status)) => (
            if status.serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE },
            parts(&status, app.workers, &app.met.named()),
        ),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("core: failed, {error}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("core: failed, no answer within {STATUS_WITHIN:?}\n")),
    };
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (code, headers, text).into_response()
}

/// Everything that is counted, in Prometheus' text format.
pub async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], encode(&app.registry)).into_response()
}

/// A line per part: its name, `ok`, `degraded` or `failed`, and what a person may want to know.
fn parts(status: &CoordinatorStatus, workers: usize, named: &[String]) -> String {
    let active = status.record.as_ref().and_then(|record| record.active.as_ref());
    let pending = status.record.as_ref().and_then(|record| record.pending.as_ref());
    let members: BTreeSet<_> = active.map(|active| active.view.members()).unwrap_or_default().into_iter().collect();
    let connected = status.connected.iter().filter(|peer| members.contains(&peer.node)).count();
    let serving = if status.serving { "ok, writes are served" } else { "failed, writes are not served" };
    let view = match (active, pending) {
        (_, Some(pending)) => format!("degraded, changing to {}", pending.number),
        (Some(active), None) => format!("ok, {} active", active.view.number),
        (None, None) => "failed, waiting for all workers to answer".to_owned(),
    };
    let all = if members.len() == workers && connected == workers { "ok" } else { "degraded" };
    let outside: Vec<&str> = match active {
        Some(active) => {
            let inside = |address: &String| {
                active.view.shards.iter().flat_map(|shard| &shard.members).any(|member| member.address == *address)
            };
            named.iter().filter(|address| !inside(address)).map(String::as_str).collect()
        }
        None => Vec::new(),
    };
    let outside = if outside.is_empty() { String::new() } else { format!("; not in the view: {}", outside.join(", ")) };
    let doubt = if status.in_doubt == 0 { "ok" } else { "degraded" };
    format!(
        "store: {serving}\nview: {view}\nmembers: {all}, {connected} connected of {} in the view, {workers} named{outside}\n\
         doubt: {doubt}, {} transactions in doubt\nload: ok, {} transactions in flight, {} requests queued, {} reads\n",
        members.len(),
        status.in_doubt,
        status.in_flight,
        status.queued,
        status.reads,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{ClusterId, Incarnation, NodeId, ViewNumber};
    use skein_protocol::membership::roster::Changes;
    use skein_protocol::membership::view::{ActiveView, Member, Shard, View, ViewRecord};
    use skein_protocol::step::ComparisonStatus;

    #[test]
    fn a_member_that_is_gone_shows_as_degraded() {
        let member = |node| Member { node: NodeId(node), address: format!("127.0.0.1:{node}"), logged: true };
        let shard = Shard { members: vec![member(1), member(2)], learners: Vec::new() };
        let view = View { number: ViewNumber(2), shards: vec![shard] };
        let record = ViewRecord {
            cluster: ClusterId(1),
            writer: Incarnation(1),
            active: Some(ActiveView { view, outcomes: Vec::new(), ended: Vec::new() }),
            pending: None,
            roster: Changes::default(),
            emptied: None,
        };
        let mut status = CoordinatorStatus {
            roster: Vec::new(),
            record: None,
            serving: false,
            connected: Vec::new(),
            in_flight: 0,
            queued: 0,
            in_doubt: 0,
            reads: 0,
            copies: Vec::new(),
            comparison: ComparisonStatus::default(),
        };
        let named = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(str::to_owned);
        assert!(parts(&status, 2, &named).contains("view: failed"));
        assert!(!parts(&status, 2, &named).contains("not in the view"), "there is none yet");
        status.record = Some(record);
        status.serving = true;
        let text = parts(&status, 2, &named[..2]);
        assert!(text.contains("store: ok") && text.contains("view: ok, 2 active"), "{text}");
        assert!(text.contains("members: degraded, 0 connected of 2 in the view, 2 named\n"), "{text}");
        let text = parts(&status, 3, &named);
        assert!(text.contains("3 named; not in the view: 127.0.0.1:3\n"), "{text}");
    }
}
