//! Locks and memory: a cycle of waiting can't close, and what a transaction has taken it gives back when it ends. R10 of
//! `docs/protocol.md`, then what has no number.

use super::{Omission, Rules};
use crate::id::Age;

impl Rules {
    /// R10: a claim waits for younger ones only, whether they hold what it needs or wait themselves.
    pub(crate) fn may_wait_for(self, other: Age, other_waits: bool, age: Age) -> bool {
        other >= age || self.omits(Omission::WaitForOlder) || other_waits && self.omits(Omission::IgnoreWaiting)
    }

    /// An abort releases the transaction's locks.
    pub(crate) fn abort_releases_locks(self) -> bool {
        !self.omits(Omission::LeakLocks)
    }

    /// An abort gives back the memory that was reserved for what the transaction would have written.
    pub(crate) fn abort_gives_back_memory(self) -> bool {
        !self.omits(Omission::ReserveKept)
    }

    /// A write gives back the bytes of the record that it replaces.
    pub(crate) fn replacing_gives_back_bytes(self) -> bool {
        !self.omits(Omission::ReplacedKept)
    }
}
