//! The control store: one record, replaced only by whoever knows exactly what it holds, and the numbers of the runs of
//! coordinators. It is what makes a view *agreed*: of two leaders only one can swap (R3, R5), and a swap counts once it is
//! synced (R6). The record is compared as a whole.

use std::path::PathBuf;

use skein_protocol::id::Incarnation;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::Swapped;

#[cfg(test)]
mod conformance;
pub mod memory;
pub mod sled;

/// A control store.
pub trait Control: Send {
    /// What it holds.
    fn load(&mut self) -> Result<Option<ViewRecord>, ControlError>;

    /// Replaces what it holds by `record`, if that is still `expected`, and syncs. Where it is not known whether the swap
    /// was done, the store is read again and the answer is what it holds. An error means that it can't even be read; the
    /// process must stop then.
    fn swap(&mut self, expected: Option<&ViewRecord>, record: &ViewRecord) -> Result<Swapped, ControlError>;

    /// A number for a run of a coordinator, greater than all before it, given out once and synced.
    fn next_incarnation(&mut self) -> Result<Incarnation, ControlError>;
}

/// Why a control store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another process has it open.
    #[error("the control store in {0} is in use by another process")]
    Locked(PathBuf),
    /// It was written by a newer Skein.
    #[error("the control store in {path} has format {found}, this Skein reads formats up to {known}: use a newer Skein")]
    Format {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one that is known here.
        known: u32,
    },
    /// What it holds makes no sense.
    #[error("the control store in {path} is damaged: {what}")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The disk failed.
    #[error("the control store in {path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// How.
        error: std::io::Error,
    },
}
