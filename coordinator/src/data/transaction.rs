//! Transactions over several keys: all or nothing, serializable, single-shot. What is read is read at one instant; if
//! something is written, the commit checks that all that was read is still so, and the transaction is tried again when it is not.
//! One that only reads is that one read. Expectations of the writes are the client's own: when one does not hold nothing is
//! written, and the answer says which.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use skein_protocol::id::{TxnId, Version};
use skein_protocol::limits::{OPERATIONS_MAX, READ_KEYS_MAX, TRANSACTION_BYTES_MAX};
use skein_protocol::operation::{Expect, Key, Operation, Shared};

use super::{Data, DataKey, Error, Value, let_in, refusal};
use crate::store::cluster::Cluster;
use crate::store::once::Once;
use crate::store::write::{self, Found, Plan, Race};

/// Rows that come along with a transaction: what lets in, and what is remembered.
const COMPANIONS: usize = 2;

/// Keys that one transaction reads: they and what comes along are read at one instant.
pub const READS_MAX: usize = READ_KEYS_MAX - COMPANIONS;

/// Keys that one transaction writes.
pub const WRITES_MAX: usize = OPERATIONS_MAX - READ_KEYS_MAX;

/// Bytes of all keys, and of the values to be written, of one transaction. The rest of what the store takes is for what
/// comes along.
pub const BYTES_MAX: usize = TRANSACTION_BYTES_MAX - 4 * 1024;

/// What a client asks a transaction to read and write. No key is twice among the reads or among the writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What it reads, at most [`READS_MAX`].
    pub reads: Vec<DataKey>,
    /// What it writes, at most [`WRITES_MAX`].
    pub writes: Vec<Write>,
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Of what.
    pub key: DataKey,
    /// What is expected of it.
    pub expect: Expect,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Put(Value),
    /// There is none.
    Delete,
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transacted {
    /// Its id, the first one's of a repeat; one that only reads has none.
    pub txn: Option<TxnId>,
    /// What was read, in the order asked for.
    pub reads: Vec<Option<VersionedValue>>,
    /// What was written, in the order asked for.
    pub writes: Vec<Wrote>,
}

/// The value of a key, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedValue {
    /// Its version.
    pub version: Version,
    /// Its JSON text.
    pub value: Shared,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// There is a value of this version now.
    Put(Version),
    /// There is none.
    Deleted,
}

/// What is remembered of a transaction; keys stand in the request.
#[derive(Serialize, Deserialize)]
struct Remembered {
    reads: Vec<Option<VersionedValue>>,
    writes: Vec<RememberedWrite>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum RememberedWrite {
    /// With the version of the row that says so.
    Created,
    Replaced(u64),
    /// Of a version that only its transaction knows, and so never remembered.
    #[serde(skip)]
    Put,
    Deleted,
}

/// A transaction that writes.
struct Transact<'a> {
    cluster: &'a Cluster,
    submission: &'a Submission,
    /// Whether the versions of all that is written must be known, since the answer that is remembered names them.
    pinned: bool,
    /// The transaction that found that an expectation of the client's own does not hold.
    refused: Option<TxnId>,
}

/// What a transaction expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// A record that was read is as it was found.
    AsFound,
    /// A record that was not read is as the client expects.
    AsAsked,
}

impl Submission {
    /// Bytes of the keys, and of the values to be written.
    fn bytes(&self) -> usize {
        let keys = self.reads.iter().filter(|key| !self.writes_to(key)).chain(self.writes.iter().map(|write| &write.key));
        let values = self.writes.iter().map(|write| match &write.change {
            Change::Put(value) => value.bytes(),
            Change::Delete => 0,
        });
        keys.map(|key| key.as_str().len()).sum::<usize>() + values.sum::<usize>()
    }

    fn writes_to(&self, key: &DataKey) -> bool {
        self.writes.iter().any(|write| write.key == *key)
    }

    fn found(&self, rows: &Found) -> Vec<Option<VersionedValue>> {
        let found = |key: &DataKey| {
            let row = rows.row(&key.row())?;
            Some(VersionedValue { version: row.version, value: row.value.clone() })
        };
        self.reads.iter().map(found).collect()
    }
}

impl Transact<'_> {
    /// Whether the version of what is to be written is known before the commit.
    fn knows(&self, write: &Write) -> bool {
        self.pinned || self.submission.reads.contains(&write.key)
    }

    /// Says which expectations do not hold; says nothing if all of them do by now.
    async fn refuse(&self, txn: Option<TxnId>) -> Result<(), Error> {
        let expecting = self.submission.writes.iter().filter(|write| write.expect != Expect::Any);
        let rows = self.cluster.read_at_once(expecting.map(|write| write.key.row()).collect()).await?;
        let unmet = refusal::unmet(&self.submission.writes, &rows.into(), |_| true);
        if unmet.is_empty() { Ok(()) } else { Err(Error::Unmet { unmet, txn }) }
    }
}

impl write::Write for Transact<'_> {
    type Name = Expected;
    type Answer = Remembered;
    type Error = Error;

    const READS_AT_ONCE: bool = true;

    fn reads(&self) -> Vec<Key> {
        self.submission.reads.iter().map(DataKey::row).collect()
    }

    fn turns(&self) -> Vec<Key> {
        let written = self.submission.writes.iter().map(|write| &write.key);
        self.submission.reads.iter().chain(written).map(DataKey::row).collect()
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let submission = self.submission;
        if let Some(txn) = self.refused.take() {
            self.refuse(Some(txn)).await?;
        }
        let mut rows = found.clone();
        if self.pinned {
            let others = submission.writes.iter().map(|write| &write.key).filter(|key| !submission.reads.contains(key));
            let others: Vec<Key> = others.map(DataKey::row).collect();
            if !others.is_empty() {
                rows.extend(self.cluster.read(others).await?);
            }
        }
        if !refusal::unmet(&submission.writes, &rows, |write| self.knows(write)).is_empty() {
            self.refuse(None).await?;
            return Ok(None);
        }
        let wrote = |write: &Write| match (&write.change, rows.version(&write.key.row())) {
            (Change::Delete, _) => RememberedWrite::Deleted,
            (Change::Put(_), _) if !self.knows(write) => RememberedWrite::Put,
            (Change::Put(_), None) => RememberedWrite::Created,
            (Change::Put(_), Some(version)) => RememberedWrite::Replaced(version.0 + 1),
        };
        let writes = submission.writes.iter().map(wrote).collect();
        let mut plan = Plan::new(Remembered { reads: submission.found(&rows), writes });
        for write in &submission.writes {
            let key = write.key.row();
            let (name, expect) = match self.knows(write) {
                true => (Expected::AsFound, rows.unchanged(&key)),
                false => (Expected::AsAsked, write.expect),
            };
            plan = match &write.change {
                Change::Put(value) => plan.put(name, key, expect, value.text()),
                Change::Delete => plan.delete(name, key, expect),
            };
        }
        for key in submission.reads.iter().filter(|key| !submission.writes_to(key)).map(DataKey::row) {
            let expect = rows.unchanged(&key);
            plan = plan.check(Expected::AsFound, key, expect);
        }
        Ok(Some(plan))
    }

    fn lost(&mut self, name: Expected, race: Race) -> Result<(), Error> {
        if let Expected::AsAsked = name {
            self.refused = Some(race.txn);
        }
        Ok(())
    }
}

impl From<write::Written<Remembered>> for Transacted {
    fn from(written: write::Written<Remembered>) -> Self {
        let wrote = |(step, write): (usize, &RememberedWrite)| match write {
            RememberedWrite::Created | RememberedWrite::Put => Wrote::Put(written.version(step)),
            RememberedWrite::Replaced(version) => Wrote::Put(Version(*version)),
            RememberedWrite::Deleted => Wrote::Deleted,
        };
        let writes = written.answer.writes.iter().enumerate().map(wrote).collect();
        Transacted { txn: Some(written.txn), writes, reads: written.answer.reads }
    }
}

impl Data {
    /// Runs a submission as one transaction, for the caller that `stands` lets in.
    ///
    /// # Errors
    /// The bounds, expectations that do not hold, and those of any write.
    pub async fn transact(&self, submission: &Submission, once: Option<&Once>, stands: &Operation) -> Result<Transacted, Error> {
        let bytes = submission.bytes();
        if bytes > BYTES_MAX {
            return Err(Error::TooLong { bytes });
        }
        if submission.writes.is_empty() {
            return self.read_all(submission, stands).await;
        }
        let transact = Transact { cluster: &self.cluster, submission, pinned: once.is_some(), refused: None };
        Ok(self.writer.begin().guard(stands).once(once).run(transact).await?.into())
    }

    /// Reads all that is to be read at one instant, and what lets in.
    async fn read_all(&self, submission: &Submission, stands: &Operation) -> Result<Transacted, Error> {
        let mut keys = vec![stands.key.clone()];
        keys.extend(submission.reads.iter().map(DataKey::row));
        let rows = self.cluster.read_at_once(keys).await?;
        if !let_in(stands, &rows) {
            return Err(write::Error::Ended.into());
        }
        Ok(Transacted { txn: None, reads: submission.found(&rows.into()), writes: Vec::new() })
    }
}

/// As it is remembered: the version, and the value as it stands in a JSON text.
impl Serialize for VersionedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_slice(&self.value).map_err(S::Error::custom)?;
        (self.version.0, value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for VersionedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (version, value) = <(u64, Box<RawValue>)>::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(VersionedValue { version: Version(version), value: value.get().into() })
    }
}
