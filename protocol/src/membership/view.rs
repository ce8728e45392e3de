//! Views: who the members of each shard are, and how the transactions of earlier views ended. The control store holds one
//! [`ViewRecord`], swapped as a whole and by exact revision, so that of two leaders only one can change it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{ClusterId, Incarnation, NodeId, ShardId, TxnId, ViewNumber};
use crate::message::Outcome;

/// Settled transactions in the order of their ids. One that is absent was aborted, as far as its own coordinator is concerned.
pub type Outcomes = Vec<(TxnId, Outcome)>;

/// An agreed membership.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Its number.
    pub number: ViewNumber,
    /// The members of each shard, which all hold all of its records. Indexed by [`ShardId`].
    pub shards: Vec<Vec<Member>>,
}

/// A worker in a view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub node: NodeId,
    /// Where it was last reached, `host:port`.
    pub address: String,
}

/// A view that has been agreed, with the outcomes that were settled when it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActiveView {
    /// The view.
    pub view: View,
    /// How the transactions of earlier views ended that were in doubt or still remembered.
    pub outcomes: Outcomes,
}

/// What the control store holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ViewRecord {
    /// The cluster.
    pub cluster: ClusterId,
    /// The run of the coordinator that wrote it.
    pub writer: Incarnation,
    /// The last active view, whole; `None` before the first.
    pub active: Option<ActiveView>,
    /// The view that is being changed to, if one is.
    pub pending: Option<View>,
}

impl View {
    /// The members of one shard.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> &[Member] {
        self.shards.get(usize::from(shard.0)).map_or(&[], Vec::as_slice)
    }

    /// Every member, each once, in the order of identities.
    #[must_use]
    pub fn members(&self) -> Vec<NodeId> {
        let mut members: Vec<NodeId> = self.shards.iter().flatten().map(|member| member.node).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

impl ViewRecord {
    /// The greatest view number that has been used.
    #[must_use]
    pub fn number(&self) -> ViewNumber {
        let active = self.active.as_ref().map_or(ViewNumber(0), |active| active.view.number);
        self.pending.as_ref().map_or(active, |pending| pending.number.max(active))
    }
}
