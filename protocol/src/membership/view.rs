//! Views: who the members of each shard are, and how the transactions of earlier views ended. The control store holds one
//! [`ViewRecord`], swapped as a whole and by exact revision, so that of two leaders only one can change it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{ClusterId, Incarnation, NodeId, ShardId, TxnId, ViewId, ViewNumber, Writer};
use crate::membership::roster::Changes;
use crate::message::Outcome;

/// Settled transactions in the order of their ids. One that is absent was aborted, as far as its own coordinator is concerned.
pub type Outcomes = Vec<(TxnId, Outcome)>;

/// An agreed membership.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Its number.
    pub number: ViewNumber,
    /// The coordinator that announced it.
    pub writer: Writer,
    /// Who holds each shard. Indexed by [`ShardId`].
    pub shards: Vec<Shard>,
}

/// Who holds a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shard {
    /// Those that hold all of its records: each of them alone is enough to lose nothing.
    pub members: Vec<Member>,
    /// Those that take part in its transactions while they copy its records from a member; not read from.
    pub learners: Vec<Member>,
}

/// What a worker is in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Standing {
    /// It holds all records.
    Member,
    /// It copies them, beginning with an empty store.
    Learner,
}

/// A worker in a view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub node: NodeId,
    /// Where it was last reached, `host:port`.
    pub address: String,
    /// Whether it keeps its records in a log; else they are gone with its process.
    pub logged: bool,
}

/// A view that has been agreed, with the outcomes that were settled when it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ActiveView {
    /// The view.
    pub view: View,
    /// How the transactions of earlier views ended that were in doubt or still remembered, or that somebody may still ask for.
    pub outcomes: Outcomes,
    /// For each run whose clients may still ask: those below had ended when this view began, and are listed above, or stand in a
    /// row of the store, or their clients had their answers.
    pub ended: Vec<(Incarnation, u64)>,
}

/// What the control store holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ViewRecord {
    /// The cluster.
    pub cluster: ClusterId,
    /// The coordinator that wrote it.
    pub writer: Writer,
    /// The last active view, whole; `None` before the first.
    pub active: Option<ActiveView>,
    /// The view that is being changed to, if one is.
    pub pending: Option<View>,
    /// What people have changed about the workers named in the settings.
    pub roster: Changes,
    /// The last view that began with an empty store because all records were gone, if that ever happened.
    pub emptied: Option<ViewNumber>,
    /// The last view that went on from less than was acknowledged, because a person has said so.
    pub curtailed: Option<ViewNumber>,
}

impl View {
    /// Its number and its announcer.
    #[must_use]
    pub fn id(&self) -> ViewId {
        ViewId { number: self.number, writer: self.writer }
    }

    /// One shard.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.shards.get(usize::from(shard.0))
    }

    /// Every member, each once, in the order of identities.
    #[must_use]
    pub fn members(&self) -> Vec<NodeId> {
        nodes(self.shards.iter().flat_map(|shard| &shard.members))
    }

    /// Every learner, each once, in the order of identities.
    #[must_use]
    pub fn learners(&self) -> Vec<NodeId> {
        nodes(self.shards.iter().flat_map(|shard| &shard.learners))
    }

    /// Whether a worker that was sealed last as this, for the view of this number, holds all records if this view was the last active
    /// one: it is a member of it, and its log was not put back to an older state. One that has copied all since is not counted.
    #[must_use]
    pub fn is_held_by(&self, node: NodeId, standing: Option<Standing>, sealed: ViewNumber) -> bool {
        standing == Some(Standing::Member) && sealed >= self.number && self.members().contains(&node)
    }

    /// Every member and learner, each once, in the order of identities: all that can take part in a transaction.
    #[must_use]
    pub fn participants(&self) -> Vec<NodeId> {
        nodes(self.shards.iter().flat_map(|shard| shard.members.iter().chain(&shard.learners)))
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

/// The identities, each once, in order.
pub(crate) fn nodes<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = members.map(|member| member.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}
