//! `/api/cluster`: how the cluster stands, for people. The digests of the replicas are taken at a common point, so that equal
//! digests show equal replicas; they are kept for a second, so that any number of pages may watch without asking the workers
//! each time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::membership::view::Member;
use skein_protocol::operation::Digest;
use skein_protocol::step::{ComparisonStatus, CoordinatorStatus, Peer, Role};
use skein_runtime::transport::{self, Met};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::http::contract::problem::{Problem, ProblemDocument};
use crate::operators::console::Console;
use crate::store::cluster;

/// How long the digests are good for.
const DIGESTS_KEPT_FOR: Duration = Duration::from_secs(1);

/// How the cluster stands.
#[derive(Serialize, ToSchema)]
pub struct ClusterStatus {
    /// The cluster's identity; null before the first view.
    #[schema(required)]
    cluster: Option<String>,
    /// The number of the active view; null before the first.
    #[schema(required)]
    view: Option<u64>,
    /// The number of the view that is being changed to; null if none is.
    #[schema(required)]
    pending_view: Option<u64>,
    /// Whether a write would be accepted now.
    serving: bool,
    /// Whether writes that need room are refused with 507, since the memory of a member is full; deletes and log-ins of existing accounts go on.
    full: bool,
    /// What an acknowledged write is worth; null if this coordinator has met no member yet that could tell. No more than memory if this
    /// coordinator has no data directory, since nobody can use the members' logs when it has ended.
    #[schema(required)]
    durability: Option<Durability>,
    /// Copies of each record: the members of the active view.
    copies: usize,
    /// The last view that began with an empty store because all records were gone with the memory of those that held them; null
    /// if that never happened. What was written before it is lost.
    #[schema(required)]
    started_empty_in_view: Option<u64>,
    /// The last view that went on from less than was acknowledged, because a person has said so at the start of a worker; null if that
    /// never happened. What was acknowledged last before it may be lost.
    #[schema(required)]
    curtailed_in_view: Option<u64>,
    /// The workers that the cluster is meant to have, by address: those of the settings, and what operators have changed.
    #[schema(example = json!(["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"]))]
    roster: Vec<String>,
    /// The members of the active view.
    members: Vec<ClusterMember>,
    /// Workers that copy the records, to become members.
    learners: Vec<ClusterLearner>,
    /// The workers that the cluster is meant to have, or that are connected, and are neither members nor learners of the active
    /// view: not met yet, or left out. They hold nothing that counts as a copy.
    others: Vec<OtherWorker>,
    /// Whether all members' replicas are the same at a common point; null if not all have answered.
    #[schema(required)]
    replicas_agree: Option<bool>,
    /// What comparing the replicas has found since this coordinator started.
    comparison: ClusterComparison,
    /// Transactions of this coordinator that are under way.
    in_flight: u64,
    /// Transactions whose outcome waits for a view change.
    in_doubt: u64,
    /// Requests that wait for a key or a view.
    queued: u64,
    /// Reads that are under way.
    reads: u64,
}

/// A replica.
#[derive(Serialize, ToSchema)]
pub struct ClusterMember {
    /// Its identity.
    node: String,
    /// Where it was last reached.
    #[schema(example = "127.0.0.1:7001")]
    address: String,
    /// Whether it is connected now.
    connected: bool,
    /// Whether it said at the last beat that its memory is full.
    full: bool,
    /// Records that it holds; null if it has not answered.
    #[schema(required)]
    records: Option<u64>,
    /// Bytes of their keys and values; null if it has not answered.
    #[schema(required)]
    bytes: Option<u64>,
    /// The sum of its records: equal sums mean equal replicas. Null if it has not answered.
    #[schema(required)]
    digest: Option<String>,
}

/// A worker that copies the records of a member, to become one.
#[derive(Serialize, ToSchema)]
pub struct ClusterLearner {
    /// Its identity.
    node: String,
    /// Where it was last reached.
    #[schema(example = "127.0.0.1:7004")]
    address: String,
    /// Whether it is connected now.
    connected: bool,
    /// The member that gives.
    donor: Option<String>,
    /// Records copied so far.
    records_copied: u64,
    /// Records that the member has.
    records_total: u64,
}

/// A worker that is no member of the active view.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OtherWorker {
    /// Its identity; null while nobody answers at its address.
    #[schema(required)]
    node: Option<String>,
    /// Where it is to be reached.
    #[schema(example = "127.0.0.1:7003")]
    address: String,
    /// Whether it is connected now.
    connected: bool,
    /// Why it is none.
    state: OtherState,
}

/// Why a worker is neither member nor learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtherState {
    /// Nobody answers at its address. Whoever does so again is taken in.
    Silent,
    /// It is there, and is taken in with the next view.
    Waiting,
    /// It belongs to another cluster, or is not one of those that the cluster is meant to have, and is not taken in.
    Foreign,
}

/// What comparing the replicas has found since this coordinator started.
#[derive(Serialize, ToSchema)]
pub struct ClusterComparison {
    /// How often all members were compared.
    compared: u64,
    /// Copies that were found to differ, or to be damaged.
    differences: u64,
    /// Of these, copies that have been made anew.
    repaired: u64,
    /// Whether the last comparison found a difference and no majority: a person has to decide which copy is right.
    undecided: bool,
    /// Workers whose copy is not trusted, or is being made anew.
    distrusted: Vec<DistrustedWorker>,
}

/// A worker whose copy is not trusted, or is being made anew.
#[derive(Serialize, ToSchema)]
pub struct DistrustedWorker {
    /// Its identity.
    node: String,
    /// Where it was last reached; null if that is not known any more.
    #[schema(required, example = "127.0.0.1:7003")]
    address: Option<String>,
}

/// What an acknowledged write is worth, from the members' live settings: the weakest of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub enum Durability {
    /// Kept in the members' memory: lost when all of them stop.
    #[serde(rename = "memory")]
    Memory,
    /// Logged, and synced a moment later: the last moments are lost when all members crash at once.
    #[serde(rename = "logged")]
    Logged,
    /// Logged and synced before it is acknowledged.
    #[serde(rename = "logged and synced")]
    LoggedAndSynced,
}

impl From<transport::Durability> for Durability {
    fn from(durability: transport::Durability) -> Self {
        match durability {
            transport::Durability::Memory => Durability::Memory,
            transport::Durability::Logged => Durability::Logged,
            transport::Durability::LoggedAndSynced => Durability::LoggedAndSynced,
        }
    }
}

type Digests = (ViewNumber, BTreeMap<NodeId, Digest>);

/// What is known of how the records are kept.
pub struct Members {
    /// What the workers say of themselves.
    pub met: Met,
    /// Whether this coordinator's own control store outlives it: without it the workers' logs are of no use.
    pub control_is_logged: bool,
}

/// What shows how the cluster stands.
pub struct Overview {
    console: Console,
    members: Members,
    digests: DigestCache,
}

/// The digests as of a moment ago.
#[derive(Default)]
struct DigestCache {
    last: Mutex<Option<(Instant, Arc<Digests>)>>,
}

impl Overview {
    /// An overview of the cluster that this console asks.
    #[must_use]
    pub fn new(console: Console, members: Members) -> Self {
        Overview { console, members, digests: DigestCache::default() }
    }

    async fn status(&self) -> Result<ClusterStatus, cluster::Error> {
        let status = self.console.status().await?;
        // Without digests the rest is still worth knowing; it is what people look at when no view serves.
        let digests = if status.serving { self.digests.get(&self.console).await.ok() } else { None };
        Ok(describe(&status, digests.as_deref(), &self.members))
    }
}

impl DigestCache {
    /// The digests, asked for anew when they are too old. Whoever comes meanwhile waits for the same answer.
    async fn get(&self, console: &Console) -> Result<Arc<Digests>, cluster::Error> {
        let mut last = self.last.lock().await;
        if let Some((at, digests)) = &*last
            && at.elapsed() < DIGESTS_KEPT_FOR
        {
            return Ok(Arc::clone(digests));
        }
        let (view, digests) = console.digests().await?;
        let digests = Arc::new((view, digests.into_iter().collect()));
        *last = Some((Instant::now(), Arc::clone(&digests)));
        Ok(digests)
    }
}

/// How the cluster stands
///
/// The view and its members, the workers beside them, the digest of every replica at a common point, and what is under way.
#[utoipa::path(
    get, path = "/api/cluster", tag = "cluster", operation_id = "getCluster",
    responses(
        (status = 200, description = "How it stands", body = ClusterStatus),
        (status = 503, description = "715 or 716: this coordinator can't tell", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn get(State(overview): State<Arc<Overview>>) -> Result<Json<ClusterStatus>, Problem> {
    Ok(Json(overview.status().await?))
}

fn describe(status: &CoordinatorStatus, digests: Option<&Digests>, kept: &Members) -> ClusterStatus {
    let record = status.record.as_ref();
    let active = record.and_then(|record| record.active.as_ref());
    let shards = || active.into_iter().flat_map(|active| &active.view.shards);
    let named = |member: &Member| (member.node, member.address.clone());
    let members: BTreeMap<NodeId, String> = shards().flat_map(|shard| &shard.members).map(named).collect();
    let learners: BTreeMap<NodeId, String> = shards().flat_map(|shard| &shard.learners).map(named).collect();
    let connected = |node: &NodeId| status.connected.iter().any(|peer| peer.node == *node);
    let digests = digests.filter(|(view, _)| active.is_some_and(|active| active.view.number == *view));
    let of = |node: &NodeId| digests.and_then(|(_, digests)| digests.get(node));
    let sums: Option<Vec<u128>> = members.keys().map(|node| of(node).map(|digest| digest.sum)).collect();
    let described = members.iter().map(|(node, address)| ClusterMember {
        node: node.to_string(),
        address: address.clone(),
        connected: connected(node),
        full: status.full.contains(node),
        records: of(node).map(|digest| digest.records),
        bytes: of(node).map(|digest| digest.bytes),
        digest: of(node).map(|digest| format!("{:032x}", digest.sum)),
    });
    let learning = learners.iter().map(|(node, address)| {
        let copy = status.copies.iter().find(|copy| copy.learner == *node);
        ClusterLearner {
            node: node.to_string(),
            address: address.clone(),
            connected: connected(node),
            donor: copy.map(|copy| copy.donor.to_string()),
            records_copied: copy.map_or(0, |copy| copy.copied),
            records_total: copy.map_or(0, |copy| copy.total),
        }
    });
    ClusterStatus {
        cluster: record.map(|record| record.cluster.to_string()),
        view: active.map(|active| active.view.number.0),
        pending_view: record.and_then(|record| record.pending.as_ref()).map(|pending| pending.number.0),
        serving: status.serving,
        full: !status.full.is_empty(),
        durability: weakest(members.keys().map(|node| kept.met.durability(*node)))
            .map(|weakest| if kept.control_is_logged { weakest } else { Durability::Memory }),
        copies: members.len(),
        started_empty_in_view: record.and_then(|record| record.emptied).map(|view| view.0),
        curtailed_in_view: record.and_then(|record| record.curtailed).map(|view| view.0),
        roster: status.roster.clone(),
        members: described.collect(),
        learners: learning.collect(),
        others: others(&members, &learners, status),
        comparison: compared(&members, &learners, status),
        replicas_agree: sums.filter(|sums| !sums.is_empty()).map(|sums| sums.iter().all(|sum| *sum == sums[0])),
        in_flight: status.in_flight,
        in_doubt: status.in_doubt,
        queued: status.queued,
        reads: status.reads,
    }
}

/// The durability of a write that all these acknowledge, if any of them was met.
fn weakest(members: impl Iterator<Item = Option<transport::Durability>> + Clone) -> Option<Durability> {
    // Beside others, a member that was never met by this run is not known to log anything.
    let is_known = members.clone().any(|met| met.is_some());
    members.map(Option::unwrap_or_default).min().filter(|_| is_known).map(Durability::from)
}

/// What comparing has found.
fn compared(
    members: &BTreeMap<NodeId, String>,
    learners: &BTreeMap<NodeId, String>,
    status: &CoordinatorStatus,
) -> ClusterComparison {
    let ComparisonStatus { compared, differences, repaired, undecided, distrusted } = &status.comparison;
    let met = |node: &NodeId| status.connected.iter().find(|peer| peer.node == *node).map(|peer| &peer.address);
    let address = |node: &NodeId| members.get(node).or_else(|| learners.get(node)).or_else(|| met(node)).cloned();
    let distrusted = distrusted.iter().map(|node| DistrustedWorker { node: node.to_string(), address: address(node) });
    ClusterComparison {
        compared: *compared,
        differences: *differences,
        repaired: *repaired,
        undecided: *undecided,
        distrusted: distrusted.collect(),
    }
}

/// The workers beside members and learners: those connected, and those of the roster at whose address nobody answers and
/// neither a member nor a learner was.
fn others(
    members: &BTreeMap<NodeId, String>,
    learners: &BTreeMap<NodeId, String>,
    status: &CoordinatorStatus,
) -> Vec<OtherWorker> {
    let CoordinatorStatus { connected, roster, record, .. } = status;
    let takes_part = |node: &NodeId| members.contains_key(node) || learners.contains_key(node);
    let state = |peer: &Peer| {
        let bound_elsewhere = peer.cluster.is_some_and(|bound| record.as_ref().is_some_and(|record| record.cluster != bound));
        if bound_elsewhere || !roster.contains(&peer.address) { OtherState::Foreign } else { OtherState::Waiting }
    };
    let strangers = connected.iter().filter(|peer| peer.role == Role::Worker && !takes_part(&peer.node));
    let mut others: Vec<OtherWorker> = strangers
        .map(|peer| OtherWorker {
            node: Some(peer.node.to_string()),
            address: peer.address.clone(),
            connected: true,
            state: state(peer),
        })
        .collect();
    let known = |address: &String| {
        members.values().chain(learners.values()).any(|there| there == address)
            || connected.iter().any(|peer| peer.address == *address)
    };
    let silent = roster.iter().filter(|address| !known(address));
    others.extend(silent.map(|address| OtherWorker {
        node: None,
        address: address.clone(),
        connected: false,
        state: OtherState::Silent,
    }));
    others.sort_by(|one, other| one.address.cmp(&other.address));
    others
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::ClusterId;

    #[test]
    fn whoever_is_no_member_is_told_of_once() {
        let peer = |node, address: &str, cluster| Peer {
            node: NodeId(node),
            role: Role::Worker,
            address: address.to_owned(),
            cluster,
            logged: true,
            salvaged: false,
        };
        let members = BTreeMap::from([(NodeId(1), "a:1".to_owned()), (NodeId(2), "a:2".to_owned())]);
        let none = BTreeMap::new();
        let record = skein_protocol::membership::view::ViewRecord {
            cluster: ClusterId(1),
            writer: skein_protocol::id::Writer::UNKNOWN,
            active: None,
            pending: None,
            roster: skein_protocol::membership::roster::Changes::default(),
            emptied: None,
            curtailed: None,
        };
        let status = |connected: &[Peer], roster: &[&str]| CoordinatorStatus {
            record: Some(record.clone()),
            serving: true,
            full: Vec::new(),
            roster: roster.iter().map(ToString::to_string).collect(),
            connected: connected.to_vec(),
            in_flight: 0,
            queued: 0,
            in_doubt: 0,
            stalled: false,
            reads: 0,
            read_bytes: 0,
            copies: Vec::new(),
            comparison: ComparisonStatus { distrusted: vec![NodeId(2), NodeId(3), NodeId(4)], ..ComparisonStatus::default() },
        };
        let roster = ["a:1", "a:2", "a:3", "a:4"];
        let silent =
            |address: &str| OtherWorker { node: None, address: address.to_owned(), connected: false, state: OtherState::Silent };
        let met = |node: u128, address: &str, state| OtherWorker {
            node: Some(NodeId(node).to_string()),
            address: address.to_owned(),
            connected: true,
            state,
        };
        let told = |connected: &[Peer], roster: &[&str]| others(&members, &none, &status(connected, roster));
        assert_eq!(told(&[peer(1, "a:1", None)], &roster), [silent("a:3"), silent("a:4")]);
        // One that was left out is back, another stands where a member was, and one belongs elsewhere.
        let connected =
            [peer(9, "a:2", None), peer(3, "a:3", Some(ClusterId(1))), peer(4, "a:4", Some(ClusterId(2))), peer(1, "a:1", None)];
        let expected =
            [met(9, "a:2", OtherState::Waiting), met(3, "a:3", OtherState::Waiting), met(4, "a:4", OtherState::Foreign)];
        assert_eq!(told(&connected, &roster), expected);
        assert_eq!(told(&connected[3..], &roster[..2]), []);
        // Where those are whose copies are not trusted, as far as that is known.
        let of = compared(&members, &none, &status(&connected[..2], &roster));
        let places: Vec<Option<&str>> = of.distrusted.iter().map(|worker| worker.address.as_deref()).collect();
        assert_eq!(places, [Some("a:2"), Some("a:3"), None]);
    }
}
