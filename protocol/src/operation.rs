//! What a client asks of the store: the operations of a transaction, the queries of a read, and what comes back. Every
//! transaction is single-shot: all it does and all it expects is known when it starts.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{TxnId, Version};

/// Bytes that are shared, never changed: a value travels from the socket to the store and the log without a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shared(Arc<[u8]>);

/// A table: a part of the key space with one kind of record. The numbers are given out by the layers above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u8);

/// The full name of a record. Keys order by table, then by bytes; range reads go along that order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The table.
    pub table: TableId,
    /// The key within the table, at most [`crate::limits::KEY_BYTES_MAX`] bytes.
    pub bytes: Shared,
}

/// One step of a transaction, on one key. A transaction names each key once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operation {
    /// The record it is about.
    pub key: Key,
    /// What must hold of the record, checked under its lock; else the whole transaction aborts.
    pub expect: Expect,
    /// What becomes of the record.
    pub action: Action,
}

/// What a transaction expects of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expect {
    /// Nothing: the last write wins.
    Any,
    /// There is no such record.
    Absent,
    /// There is one.
    Present,
    /// There is one, of this version.
    Version(Version),
}

/// What a transaction does with a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Writes it, new or not.
    Put(Shared),
    /// Removes it, if it is there.
    Delete,
    /// Leaves it as it is: only the expectation counts. Checks of the same key don't hinder each other.
    Check,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Query {
    /// These records, at most [`crate::limits::READ_KEYS_MAX`]; absent ones are left out of the answer.
    Keys(Vec<Key>),
    /// Records of one table in the order of their keys.
    Range(Range),
    /// The sums of all records of a replica, to compare it with another.
    Digest,
}

/// A stretch of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The table.
    pub table: TableId,
    /// The first key that belongs to it; `None` is the table's beginning.
    pub from: Option<Shared>,
    /// The first key that no longer belongs to it; `None` is the table's end.
    pub until: Option<Shared>,
    /// From the end backwards.
    pub descending: bool,
    /// How many rows to give at the most, up to [`crate::limits::ROWS_MAX`].
    pub rows_max: u32,
}

/// Which moment a read shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// Each key as of the read's arrival, with the transactions prepared at that moment that then commit. Strictly
    /// serializable for one key; holds everything acknowledged before it began; delays no writer.
    Arrival,
    /// All as of one instant at which no transaction is prepared that touches it. Queues with the writers.
    Strict,
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub key: Key,
    /// Its version.
    pub version: Version,
    /// The transaction that wrote it.
    pub written_by: TxnId,
    /// Its value.
    pub value: Shared,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The rows in the order of their keys, backwards for a descending range.
    Rows {
        /// Those that are there.
        rows: Vec<Row>,
        /// Whether a range goes on after the last row.
        more: bool,
    },
    /// The sums of a replica.
    Digest(Digest),
}

/// The sums of all records of a replica: two replicas that hold the same have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    /// How many records.
    pub records: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The sum of all records' checksums: it doesn't depend on order, and each write changes it by the difference of two.
    pub sum: u128,
}

impl TableId {
    /// The table of the rows that let people in. With the two below it has room of its own when memory is full, see
    /// [`crate::store::room`]; what else stands in them is the business of the layers above.
    pub const SESSIONS: TableId = TableId(2);

    /// The table of the rows that let programs in, which operators write.
    pub const TOKENS: TableId = TableId(6);

    /// The table of the cluster's own rows, which no client writes.
    pub const HOUSEKEEPING: TableId = TableId(7);

    /// Whether people or programs get in with its rows.
    #[must_use]
    pub fn lets_in(self) -> bool {
        matches!(self, TableId::SESSIONS | TableId::TOKENS)
    }
}

impl Key {
    /// The record of `table` under `bytes`.
    pub fn new(table: TableId, bytes: impl Into<Shared>) -> Self {
        Key { table, bytes: bytes.into() }
    }
}

impl Shared {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl core::ops::Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Shared {
    fn from(bytes: &[u8]) -> Self {
        Shared(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Shared {
    fn from(bytes: Vec<u8>) -> Self {
        Shared(Arc::from(bytes))
    }
}

impl From<&str> for Shared {
    fn from(text: &str) -> Self {
        Shared(Arc::from(text.as_bytes()))
    }
}

impl fmt::Debug for Shared {
    /// Prints text as text and other bytes as hexadecimal, at most 32 of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.0[..self.0.len().min(32)];
        match core::str::from_utf8(head) {
            Ok(text) => write!(f, "{text:?}")?,
            Err(_) => head.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
        }
        if head.len() < self.0.len() { write!(f, "..({} bytes)", self.0.len()) } else { Ok(()) }
    }
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(SharedVisitor)
    }
}

struct SharedVisitor;

impl<'de> Visitor<'de> for SharedVisitor {
    type Value = Shared;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Shared, E> {
        Ok(Shared::from(bytes))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Shared, E> {
        Ok(Shared::from(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shared, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(Shared::from(bytes))
    }
}
