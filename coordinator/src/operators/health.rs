//! For probes and tools: `/livez` says that the process answers, `/readyz` has a line per part and is 200 while requests are
//! served, `/metrics` has everything that is counted. They are answered even when all other requests are refused. A store that is
//! full counts as ready: reads, deletes and log-ins of existing accounts are served, and if a load balancer took the coordinator away, no client could
//! delete.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::Registry;
use skein_protocol::membership::view::{Member, Shard, ViewRecord};
use skein_protocol::step::{ComparisonStatus, CoordinatorStatus};
use skein_runtime::metrics::encode;

use super::console::Console;

/// How long the machine may take to say how it stands before it counts as stuck.
const STATUS_WITHIN: Duration = Duration::from_secs(2);

/// The process answers.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// How each part stands.
pub async fn readyz(State(console): State<Arc<Console>>) -> Response {
    let (code, text) = match tokio::time::timeout(STATUS_WITHIN, console.status()).await {
        Ok(Ok(status)) => (if status.serving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, parts(&status)),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("core: failed, {error}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, format!("core: failed, no answer within {STATUS_WITHIN:?}\n")),
    };
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (code, headers, text).into_response()
}

/// Everything that is counted, in Prometheus' text format.
pub async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], encode(&registry)).into_response()
}

/// A line per part: its name, `ok`, `degraded` or `failed`, and what a person may want to know.
fn parts(status: &CoordinatorStatus) -> String {
    let record = status.record.as_ref();
    let active = record.and_then(|record| record.active.as_ref());
    let pending = record.and_then(|record| record.pending.as_ref());
    let members: BTreeSet<_> = active.map(|active| active.view.members()).unwrap_or_default().into_iter().collect();
    let connected = status.connected.iter().filter(|peer| members.contains(&peer.node)).count();
    let workers = status.roster.len();
    let serving = serving(status);
    let view = match (active, pending) {
        (_, Some(pending)) => format!("degraded, changing to {}", pending.number),
        (Some(active), None) if connected == 0 => {
            format!("failed, {} active, but none of its members is connected", active.view.number)
        }
        (Some(active), None) if !status.serving => format!("degraded, {} active, but it does not serve", active.view.number),
        (Some(active), None) => format!("ok, {} active", active.view.number),
        (None, None) => "failed, waiting for all workers to answer".to_owned(),
    };
    let all = match connected {
        0 => "failed",
        _ if members.len() == workers && connected == workers => "ok",
        _ => "degraded",
    };
    let outside: Vec<&str> = match active {
        Some(active) => {
            let of_shard = |shard: &Shard, address: &String| {
                shard.members.iter().chain(&shard.learners).any(|member| member.address == *address)
            };
            let is_inside = |address: &String| active.view.shards.iter().any(|shard| of_shard(shard, address));
            status.roster.iter().filter(|address| !is_inside(address)).map(String::as_str).collect()
        }
        None => Vec::new(),
    };
    let outside = if outside.is_empty() { String::new() } else { format!("; not in the view: {}", outside.join(", ")) };
    let doubt = if status.in_doubt == 0 { "ok" } else { "degraded" };
    let lost = lost(record);
    format!(
        "store: {serving}\nview: {view}\nmembers: {all}, {connected} connected of {} in the view, {workers} wanted{outside}\n\
         learners: {}\nreplicas: {}\nrecords: {lost}\n\
         doubt: {doubt}, {} transactions in doubt\nload: ok, {} transactions in flight, {} requests queued, {} reads\n",
        members.len(),
        learners(status),
        replicas(&status.comparison),
        status.in_doubt,
        status.in_flight,
        status.queued,
        status.reads,
    )
}

/// Which requests are served.
fn serving(status: &CoordinatorStatus) -> String {
    if status.stalled {
        return "failed, writes are held back until the outcomes of earlier ones are recorded".to_owned();
    }
    if !status.serving {
        return "failed, writes are not served".to_owned();
    }
    if status.full.is_empty() {
        return "ok, writes are served".to_owned();
    }
    let members = status.connected.iter().filter(|peer| status.full.contains(&peer.node)).map(|peer| peer.address.as_str());
    format!(
        "degraded, the memory of {} is full: writes that need room are refused with 507; reads, deletes and log-ins of existing accounts are served",
        members.collect::<Vec<_>>().join(", ")
    )
}

/// What is known to be lost.
fn lost(record: Option<&ViewRecord>) -> String {
    let emptied = record
        .and_then(|record| record.emptied)
        .map(|view| format!("the cluster has begun anew and empty with view {view}: all that was written before is lost"));
    let curtailed = record.and_then(|record| record.curtailed).map(|view| {
        format!("the cluster has gone on from an incomplete copy with view {view}: what was acknowledged last before may be lost")
    });
    let all: Vec<String> = emptied.into_iter().chain(curtailed).collect();
    if all.is_empty() { "ok, nothing was lost".to_owned() } else { format!("degraded, {}", all.join("; ")) }
}

/// How far those are that copy the records.
fn learners(status: &CoordinatorStatus) -> String {
    let active = status.record.as_ref().and_then(|record| record.active.as_ref());
    let learners: Vec<&Member> = active.iter().flat_map(|active| &active.view.shards).flat_map(|shard| &shard.learners).collect();
    if learners.is_empty() {
        return "ok, none".to_owned();
    }
    let each = learners.iter().map(|learner| {
        let copy = status.copies.iter().find(|copy| copy.learner == learner.node);
        let (copied, total) = copy.map_or((0, 0), |copy| (copy.copied, copy.total));
        format!("{} has copied {copied} of {total} records", learner.address)
    });
    format!("degraded, {}", each.collect::<Vec<_>>().join("; "))
}

/// What comparing has found.
fn replicas(comparison: &ComparisonStatus) -> String {
    let ComparisonStatus { compared, differences, repaired, undecided, distrusted } = comparison;
    let counts = format!("compared {compared} times, {differences} differences, {repaired} repaired");
    if *undecided {
        format!("degraded, they differ and no more than half of them hold the same: a person has to decide; {counts}")
    } else if distrusted.is_empty() {
        format!("ok, {counts}")
    } else {
        format!("degraded, {} not trusted and to be made anew; {counts}", distrusted.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{ClusterId, NodeId, ViewNumber, Writer};
    use skein_protocol::membership::roster::Changes;
    use skein_protocol::membership::view::{ActiveView, View};
    use skein_protocol::step::{CopyProgress, Peer, Role};

    #[test]
    fn a_member_that_is_gone_shows_as_degraded() {
        let member = |node| Member { node: NodeId(node), address: format!("127.0.0.1:{node}"), logged: true };
        let shard = Shard { members: vec![member(1), member(2)], learners: Vec::new() };
        let view = View { number: ViewNumber(2), writer: Writer::UNKNOWN, shards: vec![shard] };
        let record = ViewRecord {
            cluster: ClusterId(1),
            writer: Writer::UNKNOWN,
            active: Some(ActiveView { view, outcomes: Vec::new(), ended: Vec::new() }),
            pending: None,
            roster: Changes::default(),
            emptied: None,
            curtailed: None,
        };
        let mut status = CoordinatorStatus {
            roster: Vec::new(),
            record: None,
            serving: false,
            full: Vec::new(),
            connected: Vec::new(),
            in_flight: 0,
            queued: 0,
            in_doubt: 0,
            stalled: false,
            reads: 0,
            read_bytes: 0,
            copies: Vec::new(),
            comparison: ComparisonStatus::default(),
        };
        let roster = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(str::to_owned);
        status.roster = roster[..2].to_vec();
        let text = parts(&status);
        assert!(text.contains("view: failed"), "{text}");
        assert!(!text.contains("not in the view"), "there is none yet: {text}");
        status.record = Some(record);
        let text = parts(&status);
        assert!(text.contains("store: failed") && text.contains("view: failed, 2 active, but none of its members"), "{text}");
        assert!(text.contains("members: failed, 0 connected of 2 in the view, 2 wanted\n"), "{text}");
        let address = roster[0].clone();
        status.connected.push(Peer {
            node: NodeId(1),
            role: Role::Worker,
            address,
            cluster: None,
            logged: true,
            salvaged: false,
        });
        let text = parts(&status);
        assert!(text.contains("view: degraded, 2 active, but it does not serve\n"), "{text}");
        status.serving = true;
        let text = parts(&status);
        assert!(text.contains("store: ok") && text.contains("view: ok, 2 active\n"), "{text}");
        status.stalled = true;
        assert!(parts(&status).contains("store: failed, writes are held back"), "{}", parts(&status));
        status.stalled = false;
        assert!(text.contains("members: degraded, 1 connected of 2 in the view, 2 wanted\n"), "{text}");
        for healthy in ["learners: ok, none\n", "replicas: ok, compared 0 times", "records: ok"] {
            assert!(text.contains(healthy), "{text}");
        }
        status.full = vec![NodeId(1)];
        let text = parts(&status);
        assert!(
            text.starts_with("store: degraded, the memory of 127.0.0.1:1 is full: writes that need room are refused"),
            "{text}"
        );
        status.roster = roster.to_vec();
        let text = parts(&status);
        assert!(text.contains("3 wanted; not in the view: 127.0.0.1:3\n"), "{text}");

        let record = status.record.as_mut().unwrap();
        record.active.as_mut().unwrap().view.shards[0].learners.push(member(3));
        record.emptied = Some(ViewNumber(2));
        record.curtailed = Some(ViewNumber(4));
        status.copies.push(CopyProgress { learner: NodeId(3), donor: NodeId(1), copied: 5, total: 9 });
        status.comparison.distrusted.push(NodeId(3));
        let text = parts(&status);
        for told in [
            "3 wanted\n",
            "learners: degraded, 127.0.0.1:3 has copied 5 of 9 records\n",
            "replicas: degraded, 1 not trusted",
            "records: degraded, the cluster has begun anew and empty with view 2",
            "; the cluster has gone on from an incomplete copy with view 4",
        ] {
            assert!(text.contains(told), "{told} is missing in {text}");
        }
        status.comparison.undecided = true;
        assert!(parts(&status).contains("replicas: degraded, they differ"));
    }
}
