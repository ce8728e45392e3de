//! Data of applications: any JSON under a key. A read of one key is strictly serializable; a write of one is a transaction
//! that names what it expects, so that a condition is judged by the store under the key's lock and by nobody else. Each
//! write checks that the session or token of its sender still stands, and each read reads that, too.
//!
//! A write with an `Idempotency-Key` remembers its answer in its own transaction. The version of what it wrote belongs to the
//! answer: of a record that was there it is known, because the version replaced is expected; of a new one it is that of the
//! row that remembers it (see [`Past::Repeat`](crate::store::once::Past::Repeat)).

mod problem;
pub mod routes;

mod condition;
mod cursor;
mod key;
mod refusal;
mod transaction;
mod value;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Consistency, Expect, Key, Operation, Row, Shared};

use crate::store::cluster::{self, Cluster};
use crate::store::once::Once;
use crate::store::write::{self, Found, Plan, Race, Writer};
pub use condition::{Condition, Versions};
pub use cursor::{read as read_cursor, write as write_cursor};
pub use key::{DataKey, KeyLength};
pub use refusal::Unmet;
pub use transaction::{BYTES_MAX, Change, READS_MAX, Submission, Transacted, VersionedValue, WRITES_MAX, Write, Wrote};
pub use value::{NESTING_MAX, Value, ValueError};

/// Values of one page.
pub const PAGE_MAX: u32 = skein_protocol::limits::ROWS_MAX;

/// All that can be done with data.
pub struct Data {
    cluster: Cluster,
    writer: Writer,
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
    /// Of a version that only its transaction knows, and so never remembered.
    #[serde(skip)]
    Overwritten,
    Deleted,
}

/// Why data was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing of this name.
    #[error("there is no value under this key")]
    NotFound,
    /// What is there, or that nothing is, is not as demanded. `txn` is the transaction that found out, if it came to one.
    #[error("the value is not as was demanded")]
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
    /// The row is not one that this program can read.
    #[error("the record can't be read")]
    Unreadable,
    /// It was not written, or the session or token has ended.
    #[error(transparent)]
    Write(#[from] write::Error),
    /// The store did not do it.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

/// What a write of one key expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The value is there, or not, as the write wants it.
    Value,
}

/// A value for one key.
struct Put<'a> {
    key: &'a DataKey,
    value: &'a Value,
    condition: &'a Condition,
    /// Whether the version that is replaced must be known: an answer that is remembered names the next one, and some conditions
    /// can be judged of a known version alone.
    pinned: bool,
}

/// The end of one value.
struct Delete<'a> {
    key: &'a DataKey,
    condition: &'a Condition,
}

impl Entry {
    fn read(row: &Row) -> Result<Self, Error> {
        let key = DataKey::of(row).ok_or(Error::Unreadable)?;
        Ok(Entry { key, version: row.version, value: row.value.clone() })
    }
}

impl Data {
    /// Data in this cluster.
    #[must_use]
    pub fn new(cluster: Cluster, writer: Writer) -> Self {
        Data { cluster, writer }
    }

    /// Reads one value, while what `stands` checks does: the session or token of the sender.
    ///
    /// # Errors
    /// There is none, the session or token has ended, or the store's.
    pub async fn get(&self, key: &DataKey, stands: &Operation) -> Result<Entry, Error> {
        let rows = self.cluster.read(vec![stands.key.clone(), key.row()]).await?;
        let row = rows.iter().find(|row| row.key == key.row());
        if !let_in(stands, &rows) {
            return Err(write::Error::Ended.into());
        }
        Entry::read(row.ok_or(Error::NotFound)?)
    }

    /// Lists values whose keys begin so, in the order of keys, those behind `after` if it is given.
    ///
    /// # Errors
    /// The session or token has ended, or the store's.
    pub async fn list(
        &self,
        (prefix, after): (&str, Option<&DataKey>),
        limit: u32,
        consistency: Consistency,
        stands: &Operation,
    ) -> Result<Page, Error> {
        if !let_in(stands, &self.cluster.read(vec![stands.key.clone()]).await?) {
            return Err(write::Error::Ended.into());
        }
        let page = self.cluster.scan(key::stretch(prefix, after, limit.clamp(1, PAGE_MAX)), consistency).await?;
        let entries = page.rows.iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?;
        let next = entries.last().filter(|_| page.more).map(|last| write_cursor(&last.key));
        Ok(Page { entries, next })
    }

    /// Writes one value, new or not, while what `stands` checks does.
    ///
    /// # Errors
    /// The condition, and those of any write.
    pub async fn put(
        &self,
        key: &DataKey,
        value: &Value,
        condition: &Condition,
        once: Option<&Once>,
        stands: &Operation,
    ) -> Result<Written, Error> {
        let pinned = once.is_some() || condition.expectation().is_none();
        let put = Put { key, value, condition, pinned };
        Ok(self.writer.begin().guard(stands).once(once).run(put).await?.into())
    }

    /// Deletes one value, while what `stands` checks does.
    ///
    /// # Errors
    /// As for a write, and that there is none.
    pub async fn delete(
        &self,
        key: &DataKey,
        condition: &Condition,
        once: Option<&Once>,
        stands: &Operation,
    ) -> Result<Written, Error> {
        Ok(self.writer.begin().guard(stands).once(once).run(Delete { key, condition }).await?.into())
    }
}

impl Put<'_> {
    /// What the store judges by itself, so that nothing has to be read.
    fn at_once(&self) -> Option<Expect> {
        self.condition.expectation().filter(|expect| !self.pinned && *expect != Expect::Any)
    }
}

impl write::Write for Put<'_> {
    type Name = Expected;
    type Answer = Remembered;
    type Error = Error;

    fn reads(&self) -> Vec<Key> {
        if self.at_once().is_some() { Vec::new() } else { vec![self.key.row()] }
    }

    /// With a condition at most one of many can win, so there is nothing to wait for.
    fn turns(&self) -> Vec<Key> {
        if self.pinned && self.condition.is_none() { vec![self.key.row()] } else { Vec::new() }
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let key = self.key.row();
        let expect = match (self.at_once(), found.version(&key)) {
            (Some(expect), _) => expect,
            (None, found) if !self.condition.holds(found) => return Err(Error::ConditionFailed { txn: None }),
            (None, None) => Expect::Absent,
            (None, Some(version)) if self.pinned => Expect::Version(version),
            (None, Some(_)) => Expect::Present,
        };
        let answer = match expect {
            Expect::Absent => Remembered::Created,
            Expect::Version(version) => Remembered::Replaced(version.0 + 1),
            // Never remembered: what is remembered is pinned.
            Expect::Present | Expect::Any => Remembered::Overwritten,
        };
        Ok(Some(Plan::new(answer).put(Expected::Value, key, expect, self.value.text())))
    }

    fn lost(&mut self, Expected::Value: Expected, race: Race) -> Result<(), Error> {
        if self.at_once().is_some() { Err(Error::ConditionFailed { txn: Some(race.txn) }) } else { Ok(()) }
    }
}

impl Delete<'_> {
    /// What the store judges by itself, so that nothing has to be read.
    fn at_once(&self) -> Option<Expect> {
        match self.condition.expectation() {
            Some(Expect::Any) => Some(Expect::Present),
            expect => expect.filter(|expect| *expect != Expect::Absent),
        }
    }
}

impl write::Write for Delete<'_> {
    type Name = Expected;
    type Answer = Remembered;
    type Error = Error;

    fn reads(&self) -> Vec<Key> {
        if self.at_once().is_some() { Vec::new() } else { vec![self.key.row()] }
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let key = self.key.row();
        let expect = match (self.at_once(), found.version(&key)) {
            (Some(expect), _) => expect,
            (None, found) if !self.condition.holds(found) => return Err(Error::ConditionFailed { txn: None }),
            (None, None) => return Err(Error::NotFound),
            (None, Some(version)) => Expect::Version(version),
        };
        Ok(Some(Plan::new(Remembered::Deleted).delete(Expected::Value, key, expect)))
    }

    fn lost(&mut self, Expected::Value: Expected, race: Race) -> Result<(), Error> {
        match self.at_once() {
            None => Ok(()),
            Some(_) if self.condition.is_none() => Err(Error::NotFound),
            Some(_) => Err(Error::ConditionFailed { txn: Some(race.txn) }),
        }
    }
}

impl From<write::Written<Remembered>> for Written {
    fn from(written: write::Written<Remembered>) -> Self {
        let done = match written.answer {
            Remembered::Created => Done::Created(written.version(0)),
            Remembered::Replaced(version) => Done::Replaced(Version(version)),
            Remembered::Overwritten => Done::Replaced(written.version(0)),
            Remembered::Deleted => Done::Deleted,
        };
        Written { done, txn: written.txn }
    }
}

/// Whether what `stands` checks was found as it expects.
fn let_in(stands: &Operation, rows: &[Row]) -> bool {
    write::meets(stands.expect, rows.iter().find(|row| row.key == stands.key).map(|row| row.version))
}
