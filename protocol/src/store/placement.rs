//! Which shard a key lies in, and who takes part in a transaction. There is one shard, replicated on every member;
//! partitioning the key space is a change of this file.

use alloc::vec::Vec;

use crate::id::{NodeId, ShardId};
use crate::membership::view::{View, nodes};
use crate::operation::{Key, Operation};

/// Shards of a cluster.
pub const SHARDS: u16 = 1;

/// The shard of a key.
#[must_use]
pub fn shard_of(_key: &Key) -> ShardId {
    ShardId(0)
}

/// The shards that a transaction touches, each once, in order.
#[must_use]
pub fn shards(operations: &[Operation]) -> Vec<ShardId> {
    let mut shards = Vec::with_capacity(usize::from(SHARDS));
    for operation in operations {
        let shard = shard_of(&operation.key);
        if let Err(place) = shards.binary_search(&shard) {
            shards.insert(place, shard);
        }
    }
    shards
}

/// The members and learners of all these shards, each once, in the order of identities: the participants of a transaction.
#[must_use]
pub fn participants(view: &View, shards: &[ShardId]) -> Vec<NodeId> {
    let shards = shards.iter().filter_map(|shard| view.shard(*shard));
    nodes(shards.flat_map(|shard| shard.members.iter().chain(&shard.learners)))
}

/// The members of all these shards, each once, in the order of identities: those by whom an outcome is settled.
#[must_use]
pub fn members(view: &View, shards: &[ShardId]) -> Vec<NodeId> {
    nodes(shards.iter().filter_map(|shard| view.shard(*shard)).flat_map(|shard| &shard.members))
}
