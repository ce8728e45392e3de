//! The write-ahead log of a worker, behind a trait, so that the driver knows no engine. A log is what its records add up to:
//! [`Snapshot::fold`](skein_protocol::record::Snapshot::fold) is the one definition, and the conformance suite holds every
//! engine to it. Rule R6 rests on [`Wal::sync`]: a record counts once a sync that began after its append has returned.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use skein_protocol::id::ViewNumber;
use skein_protocol::operation::Key;
use skein_protocol::record::{Record, Snapshot};

use crate::disk::DiskError;

#[cfg(test)]
mod conformance;
pub mod memory;
pub mod sled;
pub(crate) mod thread;

/// A log engine. One thread owns it.
///
/// What a member held is kept when it starts over as a learner, until it is sealed as a member again and that is synced
/// ([`Kept`](skein_protocol::record::Kept)): records, what was prepared, what was decided. An interrupted copy never takes its
/// place and may go at once, so a log holds two copies at the most. Opened in the ordinary way it does not show the kept copy, which
/// would take as much memory again; opened with [`Salvage::accept_incomplete`] a learner's log goes back to it.
pub trait Wal: Send {
    /// Takes these records in, in order and as one group: after a crash either all of the group are there or none, and
    /// never without the groups before it. Says how many bytes of records it took. An error is final: what the log holds is
    /// not known any more, and the process must stop. After [`DiskError::Full`] and [`DiskError::NoRoomToStartOver`] it must stop as
    /// well, but nothing of the group was taken in, and the log can still be closed in order.
    fn append(&mut self, records: &[Record]) -> Result<u64, DiskError>;

    /// Returns once all that was appended survives a power cut.
    fn sync(&mut self) -> Result<(), DiskError>;

    /// Syncs, and notes durably that nothing is missing, so that the next opening can trust even a log that is not synced
    /// for each record. Nothing is appended after it.
    fn close(&mut self) -> Result<(), DiskError>;
}

/// A log as opened.
pub struct Opened {
    /// The engine, to be given to the driver.
    pub engine: Box<dyn Wal>,
    /// What the log adds up to: where the machine starts.
    pub snapshot: Snapshot,
    /// What was found, for people.
    pub recovery: Recovery,
}

/// What was found when a log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the log, and with it the identity, was made just now.
    pub created: bool,
    /// Whether it had been closed in order.
    pub clean: bool,
    /// Records of the store.
    pub records: u64,
    /// Transactions in doubt.
    pub prepared: u64,
    /// Decisions remembered.
    pub decided: u64,
    /// Where a log went that was found here and not taken up.
    pub set_aside: Option<PathBuf>,
    /// Whether a person has accepted that it may lack what was acknowledged last.
    pub accepted: bool,
    /// Whether somebody has said so at this start as well as at an earlier one, for which alone it counted.
    pub used_before: bool,
    /// The view of the copy that a person has gone back to, if this was a learner's log that kept one.
    pub gone_back: Option<ViewNumber>,
    /// The view of the copy that is kept until the worker is a member again, if it is not.
    pub keeps: Option<ViewNumber>,
    /// Records that were not what was written; they are gone if a person has said so.
    pub damaged: Vec<Key>,
    /// How long opening took.
    pub duration: Duration,
}

/// What a person has decided about a log that can't be taken up as it is; by default nothing. Either gives up what no machine
/// may give up by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// To go on with the newest copy of a member that is there, though it may lack what was acknowledged last: the log in use, or the
    /// copy that it keeps while it makes a new one, or a log that was set aside. It counts once: at the following starts it has no
    /// effect, until there was one without it.
    pub accept_incomplete: bool,
    /// To remove the records that are not what was written.
    pub discard_damaged: bool,
}

/// When a log is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before each group of records counts as persisted.
    Always,
    /// At this interval; records count as persisted once they are appended. A crash may lose the last interval, so a log
    /// that was not closed in order is not taken up again.
    Interval(Duration),
}

/// Milliseconds that a sync interval may have at the most.
pub const SYNC_INTERVAL_MS_MAX: u64 = 60_000;

/// The log of a driver: an engine and when it is synced.
pub struct Log {
    /// The engine, as opened.
    pub engine: Box<dyn Wal>,
    /// When it is synced.
    pub sync: SyncPolicy,
}

/// Why a text is no sync policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sync is `always` or `interval:MS` with MS from 1 to {SYNC_INTERVAL_MS_MAX}, not {0:?}")]
pub struct InvalidSyncPolicy(pub String);

impl FromStr for SyncPolicy {
    type Err = InvalidSyncPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidSyncPolicy> {
        let invalid = || InvalidSyncPolicy(text.chars().take(64).collect());
        if text == "always" {
            return Ok(SyncPolicy::Always);
        }
        let ms = text.strip_prefix("interval:").ok_or_else(invalid)?.parse::<u64>().map_err(|_| invalid())?;
        if (1..=SYNC_INTERVAL_MS_MAX).contains(&ms) {
            Ok(SyncPolicy::Interval(Duration::from_millis(ms)))
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncPolicy::Always => f.write_str("always"),
            SyncPolicy::Interval(interval) => write!(f, "interval:{}", interval.as_millis()),
        }
    }
}

impl Recovery {
    /// What a snapshot holds, as found in a log that was opened in this time.
    pub(crate) fn of(snapshot: &Snapshot, duration: Duration) -> Self {
        Recovery {
            created: false,
            clean: false,
            records: snapshot.records.len() as u64,
            prepared: snapshot.prepared.len() as u64,
            decided: snapshot.decided.len() as u64,
            set_aside: None,
            accepted: false,
            used_before: false,
            gone_back: None,
            keeps: None,
            damaged: Vec::new(),
            duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_policy_reads_back_what_it_writes_and_nothing_else() {
        for text in ["always", "interval:1", "interval:60000"] {
            assert_eq!(text.parse::<SyncPolicy>().unwrap().to_string(), text);
        }
        for wrong in ["", "never", "interval", "interval:", "interval:0", "interval:60001", "interval:-1"] {
            assert!(wrong.parse::<SyncPolicy>().is_err(), "{wrong:?} was taken");
        }
    }
}
