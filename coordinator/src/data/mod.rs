//! Data of applications: any JSON under a key. A read of one key is strictly serializable; a write of one is a transaction
//! that names what it expects, so that a condition is judged by the store under the key's lock and by nobody else. Each
//! write checks along that whoever asked is still let in, and each read reads that beside what was asked for.
//!
//! A write with an `Idempotency-Key` remembers its answer in its own transaction. The version of what it wrote belongs to the
//! answer: of a record that was there it is known, because the version replaced is expected; of a new one it is that of the
//! row that remembers it (see [`Past::Repeat`]).

mod condition;
mod cursor;
mod key;
mod refusal;
mod transaction;
mod value;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Row, Shared};
use skein_protocol::step::AbortReason;

use crate::cluster::{self, Cluster};
use crate::idempotency::{Claim, Past};
use crate::turns::Turns;
pub use condition::{Condition, Versions};
pub use cursor::{read as read_cursor, write as write_cursor};
pub use key::{DataKey, KeyLength};
pub use refusal::Unmet;
pub use transaction::{BYTES_MAX, Change, Found, READS_MAX, Transacted, Transaction, WRITES_MAX, Write, Wrote};
pub use value::{NESTING_MAX, Value, ValueError};

/// Times that a write which reads first, or a transaction, is tried before it gives up.
pub const ATTEMPTS_MAX: u32 = 32;

/// Values of one page.
pub const PAGE_MAX: u32 = skein_protocol::limits::ROWS_MAX;

/// All that can be done with data.
pub struct Data {
    cluster: Cluster,
    turns: Turns,
}

/// A value with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: DataKey,
    /// Its version.
    pub version: Version,
    /// Its JSON text.
    pub value: Shared,
}

/// A page of values, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The values.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A write of one key that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it did.
    pub done: Done,
    /// Its transaction; a repeat's is the first one's.
    pub txn: TxnId,
}

/// What a write of one key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// There was none.
    Created(Version),
    /// There was one.
    Replaced(Version),
    /// There is none any more.
    Deleted,
}

/// What is remembered of a write of one key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Remembered {
    /// With the version of the row that says so.
    Created,
    Replaced(u64),
    Deleted,
}

/// Why data was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing of this name.
    #[error("there is no value under this key")]
    NotFound,
    /// What is there, or that nothing is, is not as demanded. `txn` is the transaction that found out, if it came to one.
    #[error("the value is not as If-Match or If-None-Match demands")]
    ConditionFailed {
        /// The transaction.
        txn: Option<TxnId>,
    },
    /// What a transaction expects does not hold.
    #[error("{} of the transaction's expectations did not hold; nothing was written", .unmet.len())]
    Unmet {
        /// What did not, at one instant; at least one.
        unmet: Vec<Unmet>,
        /// The transaction that found out, if it came to one.
        txn: Option<TxnId>,
    },
    /// Keys and values are longer than one transaction may be.
    #[error("the keys, and the values to be written, have {bytes} bytes; at most {BYTES_MAX} are allowed in one transaction")]
    TooLong {
        /// How long they are.
        bytes: usize,
    },
    /// What was read can't be remembered under an `Idempotency-Key`.
    #[error("what the transaction read is too long to be remembered, {bytes} bytes; at most {max} are")]
    AnswerTooLong {
        /// How long it is.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Whoever asked is let in no longer.
    #[error("whoever asked is let in no longer")]
    Ended,
    /// The key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// Too many writes of the same keys wait; nothing was done.
    #[error("too many writes of the same keys are waiting")]
    Busy,
    /// What was read, or is to be replaced, was changed by others each time.
    #[error("others changed what was read, {ATTEMPTS_MAX} times in a row; nothing was written")]
    Contention,
    /// The row is not one that this program can read.
    #[error("the record can't be read")]
    Unreadable,
    /// The store did not do it.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

/// Which expectation of a transaction did not hold, or what else went wrong.
enum Lost {
    Entry { txn: TxnId },
    Claim,
    Error(Error),
}

impl Entry {
    fn read(row: &Row) -> Result<Self, Error> {
        let key = DataKey::of(row).ok_or(Error::Unreadable)?;
        Ok(Entry { key, version: row.version, value: row.value.clone() })
    }
}

impl Data {
    /// Data in this cluster; a write that must wait for others of its key waits no longer than this.
    #[must_use]
    pub fn new(cluster: Cluster, turn_wait_max: Duration) -> Self {
        Data { cluster, turns: Turns::new(turn_wait_max) }
    }

    /// Reads one value, for whoever `stands` lets in.
    ///
    /// # Errors
    /// There is none, whoever asked is let in no longer, or the store's.
    pub async fn get(&self, key: &DataKey, stands: &Operation) -> Result<Entry, Error> {
        let rows = self.cluster.read(vec![stands.key.clone(), key.row()]).await?;
        let row = rows.iter().find(|row| row.key == key.row());
        if !let_in(stands, &rows) {
            return Err(Error::Ended);
        }
        Entry::read(row.ok_or(Error::NotFound)?)
    }

    /// Lists values whose keys begin so, in the order of keys, those behind `after` if it is given.
    ///
    /// # Errors
    /// Whoever asked is let in no longer, or the store's.
    pub async fn list(
        &self,
        (prefix, after): (&str, Option<&DataKey>),
        limit: u32,
        consistency: Consistency,
        stands: &Operation,
    ) -> Result<Page, Error> {
        if !let_in(stands, &self.cluster.read(vec![stands.key.clone()]).await?) {
            return Err(Error::Ended);
        }
        let page = self.cluster.scan(key::stretch(prefix, after, limit.clamp(1, PAGE_MAX)), consistency).await?;
        let entries = page.rows.iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?;
        let next = entries.last().filter(|_| page.more).map(|last| write_cursor(&last.key));
        Ok(Page { entries, next })
    }

    /// Writes one value, new or not.
    ///
    /// # Errors
    /// The condition, the end of what lets in, a key used otherwise, too many who wait, or the store's.
    pub async fn put(
        &self,
        key: &DataKey,
        value: &Value,
        condition: &Condition,
        claim: Option<&Claim>,
        stands: &Operation,
    ) -> Result<Written, Error> {
        // An answer that is remembered names the version, so that the version replaced must be known.
        let pinned = claim.is_some() || condition.expectation().is_none();
        let _turn = match pinned && condition.is_none() {
            true => Some(self.turns.take(key).await.ok_or(Error::Busy)?),
            false => None,
        };
        for _ in 0..ATTEMPTS_MAX {
            let expect = match condition.expectation() {
                Some(expect) if !pinned && expect != Expect::Any => expect,
                _ => {
                    let found = match self.before(key, claim).await? {
                        Before::Repeat(written) => return Ok(written),
                        Before::Write(found) => found,
                    };
                    if !condition.holds(found) {
                        return Err(Error::ConditionFailed { txn: None });
                    }
                    match found {
                        None => Expect::Absent,
                        Some(version) if pinned => Expect::Version(version),
                        Some(_) => Expect::Present,
                    }
                }
            };
            let remembered = match expect {
                Expect::Version(version) => Remembered::Replaced(version.0 + 1),
                _ => Remembered::Created,
            };
            let put = Operation { key: key.row(), expect, action: Action::Put(value.text()) };
            match self.write(put, claim, remembered, stands).await {
                Ok((txn, version)) if expect == Expect::Absent => return Ok(Written { done: Done::Created(version), txn }),
                Ok((txn, version)) => return Ok(Written { done: Done::Replaced(version), txn }),
                Err(Lost::Entry { txn }) if !pinned && !condition.is_none() => {
                    return Err(Error::ConditionFailed { txn: Some(txn) });
                }
                // What was read is so no longer: it is judged anew, a concurrent duplicate of this request included.
                Err(Lost::Entry { .. } | Lost::Claim) => {}
                Err(Lost::Error(error)) => return Err(error),
            }
        }
        Err(Error::Contention)
    }

    /// Deletes one value.
    ///
    /// # Errors
    /// As for a write, and that there is none.
    pub async fn delete(
        &self,
        key: &DataKey,
        condition: &Condition,
        claim: Option<&Claim>,
        stands: &Operation,
    ) -> Result<Written, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let at_once = match condition.expectation() {
                Some(Expect::Any) => Some(Expect::Present),
                expect => expect.filter(|expect| *expect != Expect::Absent),
            };
            let expect = match at_once {
                Some(expect) => expect,
                None => match self.before(key, claim).await? {
                    Before::Repeat(written) => return Ok(written),
                    Before::Write(found) if !condition.holds(found) => return Err(Error::ConditionFailed { txn: None }),
                    Before::Write(None) => return Err(Error::NotFound),
                    Before::Write(Some(version)) => Expect::Version(version),
                },
            };
            let delete = Operation { key: key.row(), expect, action: Action::Delete };
            match self.write(delete, claim, Remembered::Deleted, stands).await {
                Ok((txn, _)) => return Ok(Written { done: Done::Deleted, txn }),
                Err(Lost::Entry { txn }) if at_once.is_some() => {
                    // The first one of this request may be what deleted it.
                    if let Some(Before::Repeat(written)) = self.past(claim).await? {
                        return Ok(written);
                    }
                    return Err(if condition.is_none() { Error::NotFound } else { Error::ConditionFailed { txn: Some(txn) } });
                }
                Err(Lost::Entry { .. }) => {}
                Err(Lost::Claim) => {
                    if let Some(Before::Repeat(written)) = self.past(claim).await? {
                        return Ok(written);
                    }
                }
                Err(Lost::Error(error)) => return Err(error),
            }
        }
        Err(Error::Contention)
    }

    /// Reads what a write of one key depends on, in one read: the record's version, and the claim's row.
    async fn before(&self, key: &DataKey, claim: Option<&Claim>) -> Result<Before, Error> {
        let mut keys = vec![key.row()];
        keys.extend(claim.map(Claim::key));
        let rows = self.cluster.read(keys).await?;
        if let Some(claim) = claim
            && let Some(repeat) = self.judge(claim, rows.iter().find(|row| row.key == claim.key())).await?
        {
            return Ok(repeat);
        }
        Ok(Before::Write(rows.iter().find(|row| row.key == key.row()).map(|row| row.version)))
    }

    /// What stands under the claim's key after a lost race.
    async fn past(&self, claim: Option<&Claim>) -> Result<Option<Before>, Error> {
        let Some(claim) = claim else { return Ok(None) };
        let row = self.cluster.read_one(claim.key()).await?;
        self.judge(claim, row.as_ref()).await
    }

    /// The first answer, if there is one. What has expired is removed.
    async fn judge(&self, claim: &Claim, row: Option<&Row>) -> Result<Option<Before>, Error> {
        match claim.judge::<Remembered>(row) {
            Past::Free(None) => Ok(None),
            Past::Free(Some(expired)) => {
                claim.make_room(&self.cluster, expired).await?;
                Ok(None)
            }
            Past::Reused => Err(Error::KeyReused),
            Past::Repeat { answer, txn, row } => {
                let done = match answer {
                    Remembered::Created => Done::Created(row),
                    Remembered::Replaced(version) => Done::Replaced(Version(version)),
                    Remembered::Deleted => Done::Deleted,
                };
                Ok(Some(Before::Repeat(Written { done, txn })))
            }
        }
    }

    /// Commits one operation, if what lets in stands, and what is remembered with it. The order decides which of several
    /// failed expectations is told: the first.
    async fn write(
        &self,
        operation: Operation,
        claim: Option<&Claim>,
        remembered: Remembered,
        stands: &Operation,
    ) -> Result<(TxnId, Version), Lost> {
        let mut operations = vec![stands.clone(), operation];
        operations.extend(claim.map(|claim| claim.remember(&remembered, None)));
        match self.cluster.commit(operations).await {
            Ok(committed) => {
                let version = committed.versions.get(1).copied();
                Ok((committed.txn, version.ok_or(Lost::Error(cluster::Error::Invalid.into()))?))
            }
            Err(cluster::Error::Aborted { txn, reason: AbortReason::Expectation { operation, .. } }) => Err(match operation {
                0 => Lost::Error(Error::Ended),
                1 => Lost::Entry { txn },
                _ => Lost::Claim,
            }),
            Err(error) => Err(Lost::Error(error.into())),
        }
    }
}

enum Before {
    Repeat(Written),
    Write(Option<Version>),
}

/// Whether what `stands` checks was found as it expects.
fn let_in(stands: &Operation, rows: &[Row]) -> bool {
    condition::meets(stands.expect, version_of(&stands.key, rows))
}

/// The version that was found under a name.
fn version_of(key: &Key, rows: &[Row]) -> Option<Version> {
    rows.iter().find(|row| row.key == *key).map(|row| row.version)
}
