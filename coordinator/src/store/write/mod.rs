//! The recipe of a write. A room says in a [`Write`] which records its write depends on, what it writes, and under which name each
//! record is expected to be as it was found. The recipe adds what all writes have in common:
//!
//! - **guard**: the transaction commits only if what lets its sender in still stands, so that a log-out is never overtaken;
//! - **once**: a request with an `Idempotency-Key` remembers its answer in its own transaction, and a repeat gets that answer;
//! - **turns**: writes that would race for the same records go one after the other once they have raced;
//! - **attempts**: what lost a race is planned again from what is there now, at most [`ATTEMPTS_MAX`] times.
//!
//! ```text
//! read (guard, once, the write's own) -> plan -> commit -> written
//!   ^                                               | an expectation did not hold
//!   +---- again <- the room, by the name that was lost: again, or an error
//! ```
//!
//! A write that reads nothing is tried at once and looks for an earlier answer only when it has lost.

mod recipe;

#[cfg(test)]
mod tests;

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Action, Expect, Key, Operation, Row, Shared};

use crate::store::cluster;
pub use recipe::{Writer, Writing};

/// Times that a write is tried. Within one coordinator those that have raced take turns, so that hardly any but writes of several
/// coordinators use these up.
pub const ATTEMPTS_MAX: u32 = 32;

/// One write of a room.
pub trait Write: Send {
    /// What the write expects of records, each by a name.
    type Name: Copy + Send;
    /// What it answers; remembered under an `Idempotency-Key`.
    type Answer: Serialize + DeserializeOwned + Send;
    /// The room's errors.
    type Error: From<Error> + From<cluster::Error> + Send;

    /// Whether what is read is read at one instant.
    const READS_AT_ONCE: bool = false;

    /// The records that the plan depends on. If there are none, nothing is read before the first attempt.
    fn reads(&self) -> Vec<Key> {
        Vec::new()
    }

    /// The records that this write races for with others of its kind.
    fn turns(&self) -> Vec<Key> {
        Vec::new()
    }

    /// Decides from what was found what to write; `None` looks again.
    fn plan(&mut self, found: &Found) -> impl Future<Output = Result<Option<Plan<Self>>, Self::Error>> + Send;

    /// What was expected under this name did not hold. `Ok` tries again.
    ///
    /// # Errors
    /// What the sender is told.
    fn lost(&mut self, name: Self::Name, race: Race) -> Result<(), Self::Error>;
}

/// What a write expects and writes, in this order, and what it answers. Of several expectations that fail the first is told.
pub struct Plan<W: Write + ?Sized> {
    steps: Vec<(W::Name, Operation)>,
    answer: W::Answer,
}

/// A race that a write has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// The version of the record that was found instead; `None` if there is none.
    pub found: Option<Version>,
    /// The transaction that found out.
    pub txn: TxnId,
}

/// The records that were found.
#[derive(Clone, Debug, Default)]
pub struct Found(Vec<Row>);

/// A write that is committed, by this request or by an earlier one that it repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<A> {
    /// Its answer.
    pub answer: A,
    /// Its transaction.
    pub txn: TxnId,
    versions: Versions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Versions {
    /// What each step of the plan wrote.
    Now(Vec<Version>),
    /// What all new records of the earlier transaction have.
    Earlier(Version),
}

/// Why nothing was written, or why that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What let the sender in has ended.
    #[error("the session or token has ended")]
    Ended,
    /// The key was used for another request.
    #[error("the key was used for another request")]
    KeyReused,
    /// The answer can't be remembered under an `Idempotency-Key`.
    #[error("the answer is too long to be remembered, {bytes} bytes; at most {max} are")]
    AnswerTooLong {
        /// How long it is.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The answer holds a record that is none that this program writes.
    #[error("the record can't be read")]
    Unreadable,
    /// The turn did not come in time.
    #[error("too many writes of the same records are waiting")]
    Busy,
    /// Others were faster each time.
    #[error("others changed the same records, {ATTEMPTS_MAX} times in a row; nothing was written")]
    Contention,
    /// The store did not do it.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

impl<W: Write> Plan<W> {
    /// A plan without steps.
    pub fn new(answer: W::Answer) -> Self {
        Plan { steps: Vec::new(), answer }
    }

    /// One more step: what is expected of a record, by this name, and what becomes of it.
    #[must_use]
    pub fn step(mut self, name: W::Name, key: Key, expect: Expect, action: Action) -> Self {
        self.steps.push((name, Operation { key, expect, action }));
        self
    }

    /// A step that writes a record.
    #[must_use]
    pub fn put(self, name: W::Name, key: Key, expect: Expect, value: impl Into<Shared>) -> Self {
        self.step(name, key, expect, Action::Put(value.into()))
    }

    /// A step that removes a record.
    #[must_use]
    pub fn delete(self, name: W::Name, key: Key, expect: Expect) -> Self {
        self.step(name, key, expect, Action::Delete)
    }

    /// A step that only expects.
    #[must_use]
    pub fn check(self, name: W::Name, key: Key, expect: Expect) -> Self {
        self.step(name, key, expect, Action::Check)
    }
}

impl Found {
    /// The record under this key.
    #[must_use]
    pub fn row(&self, key: &Key) -> Option<&Row> {
        self.0.iter().find(|row| row.key == *key)
    }

    /// The version of the record under this key.
    #[must_use]
    pub fn version(&self, key: &Key) -> Option<Version> {
        self.row(key).map(|row| row.version)
    }

    /// What is expected of a record that must be as it was found, there or not.
    #[must_use]
    pub fn unchanged(&self, key: &Key) -> Expect {
        self.version(key).map_or(Expect::Absent, Expect::Version)
    }

    /// Adds what was found besides.
    pub fn extend(&mut self, rows: Vec<Row>) {
        self.0.extend(rows);
    }

    /// Whether the record under this key is as expected.
    #[must_use]
    pub fn meets(&self, key: &Key, expect: Expect) -> bool {
        meets(expect, self.version(key))
    }
}

impl From<Vec<Row>> for Found {
    fn from(rows: Vec<Row>) -> Self {
        Found(rows)
    }
}

/// Whether a record of this version, or its absence, is as expected.
#[must_use]
pub fn meets(expect: Expect, found: Option<Version>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => found.is_none(),
        Expect::Present => found.is_some(),
        Expect::Version(version) => found == Some(version),
    }
}

impl<A> Written<A> {
    /// Whether an earlier request has written it.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        matches!(self.versions, Versions::Earlier(_))
    }

    /// The version that this step of the plan wrote. Of an earlier request it is the version of the records that were new.
    ///
    /// # Panics
    /// If the plan has no such step.
    #[must_use]
    pub fn version(&self, step: usize) -> Version {
        match &self.versions {
            Versions::Now(versions) => versions[step],
            Versions::Earlier(version) => *version,
        }
    }
}
