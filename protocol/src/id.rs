//! The names of things: nodes, clusters, transactions, views, versions. Each is a number in a type of its own, so that
//! one can't be taken for another; none of them is ever used twice.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A node's random identity. A worker's is made with its log and lives as long as that; without a log, and for a
/// coordinator, a new one is made at each start, so that a node that forgot what it promised can't be taken for the old one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u128);

/// The random identity of a cluster, made with its first view. A worker binds itself to the first one that seals it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u128);

/// One run of a coordinator process, numbered by the control store; a later run has a greater number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// A coordinator in one of its runs, as it leads. A control store gives each run's number out once, so two writers with one number
/// work from copies of one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Writer {
    /// Its run.
    pub run: Incarnation,
    /// Its identity in that run.
    pub node: NodeId,
}

/// A view by its number and its announcer: two leaders that don't know of each other may use one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewId {
    /// Its number.
    pub number: ViewNumber,
    /// The coordinator that announced it.
    pub writer: Writer,
}

/// A transaction's name: the run of the coordinator that made it, and its place in that run. Written `3-1042`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TxnId {
    /// The coordinator's run.
    pub incarnation: Incarnation,
    /// Counts up from 1 within the run; a retry under a new id takes a new number.
    pub sequence: u64,
}

/// Who goes first when two transactions want the same key (wait-die, Rosenkrantz et al. 1978): the smaller is the older.
/// A transaction that was refused keeps its age when it is tried again, so that it becomes the oldest at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Age {
    /// Microseconds of the coordinator's clock, or one more than the greatest stamp that it has seen.
    pub stamp: u64,
    /// Settles ties between coordinators.
    pub incarnation: Incarnation,
}

/// The number of a view; counts up by one with each attempt at a view change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewNumber(pub u64);

/// The version of one record: one more than that of the record it replaces, or the writer's age stamp where there was none,
/// so that a record that was deleted and made again is never mistaken for the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64);

/// A part of the key space that is replicated as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u16);

/// A client's request, as its surface knows it; never leaves the coordinator's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One attempt of a read at one worker, numbered by the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadId(pub u64);

/// The W3C trace context of a request, carried along so that one trace shows every node's part. Opaque to the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    /// The trace that the request belongs to.
    pub trace: u128,
    /// The span that sent the message.
    pub span: u64,
    /// The trace flags; bit 0 says that the trace is sampled.
    pub flags: u8,
}

impl Writer {
    /// Stands where the writer was not noted: in data of a Skein that did not note it.
    pub const UNKNOWN: Writer = Writer { run: Incarnation(0), node: NodeId(0) };
}

impl ViewNumber {
    /// The number of the next attempt.
    #[must_use]
    pub fn next(self) -> Self {
        ViewNumber(self.0 + 1)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{:x}", self.0)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:x}", self.0)
    }
}

impl fmt::Display for ViewNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.incarnation.0, self.sequence)
    }
}

impl fmt::Debug for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no transaction id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTxnId(pub String);

impl fmt::Display for InvalidTxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a transaction id is two numbers with a hyphen between them, not {:?}", self.0)
    }
}

impl core::error::Error for InvalidTxnId {}

impl FromStr for TxnId {
    type Err = InvalidTxnId;

    fn from_str(text: &str) -> Result<Self, InvalidTxnId> {
        let invalid = || InvalidTxnId(text.chars().take(64).collect());
        let number = |part: &str| {
            let canonical =
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            if canonical { part.parse::<u64>().map_err(|_| invalid()) } else { Err(invalid()) }
        };
        let (incarnation, sequence) = text.split_once('-').ok_or_else(invalid)?;
        Ok(TxnId { incarnation: Incarnation(number(incarnation)?), sequence: number(sequence)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_transaction_id_reads_back_what_it_writes_and_nothing_else() {
        let txn = TxnId { incarnation: Incarnation(3), sequence: 1042 };
        assert_eq!(txn.to_string().parse(), Ok(txn));
        for wrong in ["", "3", "3-", "-1", "03-1", "3-+1", "3-1-1", "a-1", "3-99999999999999999999"] {
            assert!(wrong.parse::<TxnId>().is_err(), "{wrong:?} was taken");
        }
    }
}
