//! The control store: one record, replaced only by whoever knows exactly what it holds, and the numbers of the runs of
//! coordinators. It is what makes a view *agreed*: of two leaders only one can swap (R3, R5), and a swap counts once it is
//! synced (R6). The record is compared as a whole.

use skein_protocol::id::Incarnation;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::Swapped;

use crate::disk::DiskError;

#[cfg(test)]
mod conformance;
pub mod memory;
pub mod sled;

/// A control store.
pub trait Control: Send {
    /// What it holds.
    fn load(&mut self) -> Result<Option<ViewRecord>, DiskError>;

    /// Replaces what it holds by `record`, if that is still `expected`, and syncs. Where it is not known whether the swap
    /// was done, the store is read again and the answer is what it holds. An error means that it can't even be read; the
    /// process must stop then.
    fn swap(&mut self, expected: Option<&ViewRecord>, record: &ViewRecord) -> Result<Swapped, DiskError>;

    /// A number for a run of a coordinator, greater than all before it, given out once and synced.
    fn next_incarnation(&mut self) -> Result<Incarnation, DiskError>;
}
