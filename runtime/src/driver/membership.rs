//! What people are told of a cluster's membership: views that begin and become active, members that are lost or left out, and
//! workers that are not taken. Each is one event of the log, with its fields and, where it can be known, the address that
//! somebody has to look after. What costs a copy is a warning.

use std::collections::HashMap;

use prometheus::IntCounter;
use skein_protocol::id::NodeId;
use skein_protocol::step::{Event, Peer, Role};
use tracing::{error, info, warn};

use crate::metrics::MEMBERSHIP_EVENTS;

/// Keeps what a line needs beside the event: who is a member, and where each was reached.
#[derive(Debug, Default)]
pub(super) struct Membership {
    members: Vec<NodeId>,
    addresses: HashMap<NodeId, String>,
    /// Where it is counted what happens, if this node is a coordinator.
    events: Option<[IntCounter; MEMBERSHIP_EVENTS.len()]>,
}

impl Membership {
    /// Counts here what happens.
    pub(super) fn counting(events: Option<[IntCounter; MEMBERSHIP_EVENTS.len()]>) -> Self {
        Membership { events, ..Membership::default() }
    }

    fn count(&self, event: &Event) {
        let place = match event {
            Event::Suspected { .. } => 0,
            Event::LeftOut { .. } => 1,
            Event::NotTaken { .. } => 2,
            Event::RolledBack { .. } => 3,
            Event::StartedEmpty { .. } => 4,
            Event::Curtailed { .. } => 5,
            _ => return,
        };
        if let Some(events) = &self.events {
            events[place].inc();
        }
    }

    /// A connection stands. Only those that this node dialled have an address, so their number is bounded by its settings.
    pub(super) fn connected(&mut self, peer: &Peer) {
        if peer.role == Role::Worker && !peer.address.is_empty() {
            self.addresses.retain(|_, address| *address != peer.address);
            self.addresses.insert(peer.node, peer.address.clone());
        }
    }

    /// Those who were reached at none of these addresses.
    pub(super) fn outside(&self, addresses: &[String]) -> Vec<NodeId> {
        self.addresses.iter().filter(|(_, address)| !addresses.contains(address)).map(|(node, _)| *node).collect()
    }

    /// A connection is gone.
    pub(super) fn disconnected(&self, name: &str, node: NodeId) {
        if self.members.contains(&node) {
            let address = self.addresses.get(&node).map_or("", String::as_str);
            warn!(node.name = name, member.id = %node, member.address = address, "membership: member {node} at {address} is lost");
        }
    }

    /// Says what the machine has to say.
    pub(super) fn published(&mut self, name: &str, event: &Event) {
        self.count(event);
        match event {
            Event::Transaction { .. } => {}
            Event::ViewPending { view, members } => info!(
                node.name = name,
                view.number = view.0,
                member.count = members.len(),
                "membership: view {view} is begun with {} members",
                members.len()
            ),
            Event::ViewActive { view, members, learners, committed, aborted } => {
                self.members.clone_from(members);
                info!(
                    node.name = name,
                    view.number = view.0,
                    member.count = members.len(),
                    learner.count = learners.len(),
                    doubt.committed = committed,
                    doubt.aborted = aborted,
                    "membership: view {view} is active with {} members and {} learners",
                    members.len(),
                    learners.len()
                );
            }
            Event::RolledBack { node, address } => error!(
                node.name = name,
                member.id = %node,
                member.address = address,
                "the worker at {address} does not hold what it had synced: its log was put back to an older state. It is left out and \
                 copies from another member. If none comes back, only a person may go on with it: restart it with \
                 --accept-incomplete-log"
            ),
            Event::Suspected { node, address } => warn!(
                node.name = name,
                member.id = %node,
                member.address = address,
                "membership: worker {node} at {address} does not answer: its connection is closed"
            ),
            Event::StartedEmpty { view } => error!(
                node.name = name,
                view.number = view.0,
                "all members kept their records in memory and were started anew: EVERY RECORD IS LOST, and the cluster has begun \
                 anew, empty, with view {view}"
            ),
            Event::Curtailed { view } => error!(
                node.name = name,
                view.number = view.0,
                "no member is left that holds all records, and a person has said to go on with less: WRITES THAT WERE ACKNOWLEDGED \
                 MAY BE LOST, and the cluster goes on without them, with view {view}"
            ),
            Event::Distrusted { node, address, damaged } => error!(
                node.name = name,
                member.id = %node,
                member.address = address,
                member.damaged = damaged,
                "comparison: the copy of worker {node} at {address} {}: it is made anew from another, unless it is the last",
                if *damaged { "holds records that are not what was written" } else { "is not what most others hold" }
            ),
            Event::Differ { view } => error!(
                node.name = name,
                view.number = view.0,
                "comparison: the replicas differ, and no more than half of them hold the same; look which is right, remove the wrong \
                 worker and add it again: it will be copied to"
            ),
            Event::NoDonor { view } => error!(
                node.name = name,
                view.number = view.0,
                "membership: no member of view {view} has a copy that is trusted, so no other worker is taken in, and copies that have \
                 begun do not end: the log of each worker keeps what it held; find out which copy is right before you stop or remove \
                 anything (see the runbooks)"
            ),
            Event::LeftOut { node, address } => warn!(
                node.name = name,
                member.id = %node,
                member.address = address,
                "membership: worker {node} at {address} is left out: writes go on without it; when it is back, it copies all records and is a member again"
            ),
            Event::NotTaken { node, address, bound, foreign } => {
                let bound = bound.map_or_else(|| "none".to_owned(), |cluster| cluster.to_string());
                warn!(
                    node.name = name,
                    member.id = %node,
                    member.address = address,
                    cluster.id = bound,
                    "membership: worker {node} at {address} is not taken: {}; the cluster that it belongs to: {bound}",
                    if *foreign { "it belongs to another cluster" } else { "it is not one of those that this cluster is meant to have" }
                );
            }
        }
    }
}
