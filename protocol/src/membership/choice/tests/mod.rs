//! Each test is one situation of a cluster and the view that follows. They check every condition of the choice by itself, where the
//! tests of whole clusters see only what follows from several. Here is the situation; the files below have the tests.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use super::{ASKED_AGAIN_MAX, Choice, Situation};
use crate::id::{ClusterId, NodeId, ViewNumber, Writer};
use crate::limits::{self, Limits};
use crate::membership::comparison::Comparison;
use crate::membership::copy::Copies;
use crate::membership::joiners::Joiners;
use crate::membership::roster::Changes;
use crate::membership::view::{ActiveView, Member, Shard, View, ViewRecord};
use crate::operation::Digest;
use crate::rules::Rules;
use crate::step::{Halt, Peer, Role};

mod distrust;
mod founding;
mod joining;
mod members;
mod salvage;

const CLUSTER: ClusterId = ClusterId(7);

/// What a leader knows. Worker 1 is at the address `w1` and so on, unless a test says otherwise.
struct Scene {
    named: Vec<String>,
    changes: Changes,
    record: Option<ViewRecord>,
    connected: BTreeMap<NodeId, Peer>,
    silent: BTreeSet<NodeId>,
    asked_again: u8,
    suspected: BTreeSet<NodeId>,
    rolled_back: BTreeSet<NodeId>,
    comparison: Comparison,
    joiners: Joiners,
    copies: Copies,
}

fn address(node: u128) -> String {
    format!("w{node}")
}

fn member(node: u128) -> Member {
    Member { node: NodeId(node), address: address(node), logged: true }
}

fn shard(members: &[u128], learners: &[u128]) -> Shard {
    let of = |nodes: &[u128]| nodes.iter().map(|node| member(*node)).collect();
    Shard { members: of(members), learners: of(learners) }
}

fn view(number: u64, shards: Vec<Shard>) -> View {
    View { number: ViewNumber(number), writer: Writer::UNKNOWN, shards }
}

/// This view, not begun empty.
fn goes_on(members: &[u128], learners: &[u128]) -> Choice {
    Choice::View { shards: vec![shard(members, learners)], empty: false }
}

impl Scene {
    /// A cluster without a view, of which the settings name so many workers; none is connected.
    fn unformed(workers: u128) -> Self {
        Scene {
            named: (1..=workers).map(address).collect(),
            changes: Changes::default(),
            record: None,
            connected: BTreeMap::new(),
            silent: BTreeSet::new(),
            asked_again: 0,
            suspected: BTreeSet::new(),
            rolled_back: BTreeSet::new(),
            comparison: Comparison::default(),
            joiners: Joiners::default(),
            copies: Copies::new(Limits::SHIPPED),
        }
    }

    /// A cluster in a view of these members and learners, who are connected and named in the settings, and nobody else.
    fn of(members: &[u128], learners: &[u128]) -> Self {
        let mut scene = Scene::unformed(0);
        let active = view(5, vec![shard(members, learners)]);
        scene.copies.begin(&active, false, &mut Vec::new());
        scene.record = Some(ViewRecord {
            cluster: CLUSTER,
            writer: Writer::UNKNOWN,
            active: Some(ActiveView { view: active, outcomes: Vec::new(), ended: Vec::new() }),
            pending: None,
            roster: Changes::default(),
            emptied: None,
            curtailed: None,
        });
        for node in members.iter().chain(learners) {
            scene.named.push(address(*node));
            scene.here(*node);
        }
        scene
    }

    /// The same, of workers that keep their records in memory alone.
    fn in_memory(members: &[u128]) -> Self {
        let mut scene = Scene::of(members, &[]);
        scene.members().iter_mut().for_each(|member| member.logged = false);
        scene.connected.values_mut().for_each(|peer| peer.logged = false);
        scene
    }

    fn record(&mut self) -> &mut ViewRecord {
        self.record.as_mut().expect("it has a view")
    }

    fn members(&mut self) -> &mut Vec<Member> {
        &mut self.record().active.as_mut().expect("it has a view").view.shards[0].members
    }

    /// A worker is connected that the settings name, and belongs to the cluster.
    fn here(&mut self, node: u128) -> &mut Peer {
        self.here_at(node, &address(node))
    }

    fn here_at(&mut self, node: u128, address: &str) -> &mut Peer {
        let (node, address, cluster) = (NodeId(node), address.to_string(), Some(CLUSTER));
        let peer = Peer { node, role: Role::Worker, address, cluster, logged: true, salvaged: false };
        self.connected.entry(node).insert_entry(peer).into_mut()
    }

    /// A worker that the settings name and that no view has had is connected and has waited for long enough.
    fn ready(&mut self, node: u128) -> &mut Peer {
        self.named.push(address(node));
        self.joiners.came(NodeId(node), &address(node), 0);
        self.here(node)
    }

    fn gone(&mut self, node: u128) {
        self.connected.remove(&NodeId(node));
    }

    /// Another process answers at its address.
    fn replaced(&mut self, node: u128, by: u128) -> &mut Peer {
        self.gone(node);
        self.here_at(by, &address(node))
    }

    /// It did not answer the last attempt.
    fn silent(&mut self, node: u128) {
        self.silent.insert(NodeId(node));
    }

    /// A person has given up a part of what it held.
    fn salvaged(&mut self, node: u128) {
        self.connected.get_mut(&NodeId(node)).expect("it is there").salvaged = true;
    }

    /// It has said that its copy is not what was written.
    fn damaged(&mut self, node: u128) {
        assert!(self.comparison.damaged(NodeId(node)));
    }

    fn rolled_back(&mut self, node: u128) {
        self.rolled_back.insert(NodeId(node));
    }

    /// A person has removed it.
    fn removed(&mut self, node: u128) {
        self.changes.removed.push(address(node));
    }

    /// It has copied all records.
    fn complete(&mut self, node: u128) {
        self.copies.stored(NodeId(node), ViewNumber(5), true, false, &mut Vec::new());
        assert!(self.copies.is_complete(NodeId(node)));
    }

    fn choose(&self, over: bool) -> Choice {
        let situation = Situation {
            named: &self.named,
            changes: &self.changes,
            record: self.record.as_ref(),
            connected: &self.connected,
            silent: &self.silent,
            asked_again: self.asked_again,
            suspected: &self.suspected,
            rolled_back: &self.rolled_back,
            comparison: &self.comparison,
            joiners: &self.joiners,
            copies: &self.copies,
            rules: Rules::ALL,
        };
        situation.choose(over)
    }

    /// What is chosen while those who are lost are still waited for.
    fn at_once(&self) -> Choice {
        self.choose(false)
    }

    /// What is chosen when they have been waited for.
    fn at_last(&self) -> Choice {
        self.choose(true)
    }
}
