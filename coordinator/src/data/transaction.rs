//! Transactions over several keys: all or nothing, serializable, single-shot. What is read is read at one instant; if
//! something is written, the commit checks that all that was read is still so, and is tried again a bounded number of times
//! when it is not, from the second time on in turn with others of this coordinator that want the same keys. A transaction that only reads is that one read. Expectations of the writes are the client's own: when one
//! does not hold nothing is written, and the answer says which.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use skein_protocol::id::{TxnId, Version};
use skein_protocol::limits::{OPERATIONS_MAX, READ_KEYS_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX};
use skein_protocol::operation::{Action, Expect, Key, Operation, Row, Shared};
use skein_protocol::step::AbortReason;

use super::{ATTEMPTS_MAX, Data, DataKey, Error, Value, let_in, refusal, version_of};
use crate::cluster;
use crate::idempotency::{Claim, Past};

/// Rows that come along with a transaction: what lets in, and what is remembered.
const COMPANIONS: usize = 2;

/// Keys that one transaction reads: they and what comes along are read at one instant.
pub const READS_MAX: usize = READ_KEYS_MAX - COMPANIONS;

/// Keys that one transaction writes.
pub const WRITES_MAX: usize = OPERATIONS_MAX - READ_KEYS_MAX;

/// Bytes of all keys, and of the values to be written, of one transaction. The rest of what the store takes is for what
/// comes along.
pub const BYTES_MAX: usize = TRANSACTION_BYTES_MAX - 4 * 1024;

/// What a transaction reads and writes. No key is twice among the reads or among the writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
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
    pub reads: Vec<Option<Found>>,
    /// What was written, in the order asked for.
    pub writes: Vec<Wrote>,
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
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
    reads: Vec<Option<(u64, Box<RawValue>)>>,
    writes: Vec<RememberedWrite>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum RememberedWrite {
    /// With the version of the row that says so.
    Created,
    Replaced(u64),
    Deleted,
}

/// What a transaction's commit depends on.
struct Before {
    rows: Vec<Row>,
    /// Whether those to be written were read as well, so that the commit names their versions.
    pinned: bool,
}

impl Transaction {
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

    fn expects(&self) -> bool {
        self.writes.iter().any(|write| write.expect != Expect::Any)
    }

    fn found(&self, rows: &[Row]) -> Vec<Option<Found>> {
        let found = |key: &DataKey| {
            let row = rows.iter().find(|row| row.key == key.row())?;
            Some(Found { version: row.version, value: row.value.clone() })
        };
        self.reads.iter().map(found).collect()
    }

    /// What is to be committed: what lets in, the writes, checks of what was only read. Client's expectations were judged
    /// where the version is known.
    fn operations(&self, before: &Before, stands: &Operation) -> Vec<Operation> {
        let as_found = |key: &Key| version_of(key, &before.rows).map_or(Expect::Absent, Expect::Version);
        let mut operations = vec![stands.clone()];
        operations.extend(self.writes.iter().map(|write| {
            let key = write.key.row();
            let known = before.pinned || self.reads.contains(&write.key);
            let expect = if known { as_found(&key) } else { write.expect };
            let action = match &write.change {
                Change::Put(value) => Action::Put(value.text()),
                Change::Delete => Action::Delete,
            };
            Operation { key, expect, action }
        }));
        operations.extend(self.reads.iter().filter(|key| !self.writes_to(key)).map(|key| {
            let key = key.row();
            Operation { expect: as_found(&key), key, action: Action::Check }
        }));
        operations
    }

    fn remembered(&self, before: &Before, found: &[Option<Found>]) -> Result<Remembered, Error> {
        let reads = found.iter().map(|found| found.as_ref().map(|found| Ok((found.version.0, raw(&found.value)?))).transpose());
        let writes = self.writes.iter().map(|write| match (&write.change, version_of(&write.key.row(), &before.rows)) {
            (Change::Delete, _) => RememberedWrite::Deleted,
            (Change::Put(_), None) => RememberedWrite::Created,
            (Change::Put(_), Some(version)) => RememberedWrite::Replaced(version.0 + 1),
        });
        Ok(Remembered { reads: reads.collect::<Result<_, Error>>()?, writes: writes.collect() })
    }
}

impl Remembered {
    /// The first answer, remembered by a row of this version that this transaction wrote.
    fn told(self, txn: TxnId, row: Version) -> Transacted {
        let found = |(version, value): (u64, Box<RawValue>)| Found { version: Version(version), value: value.get().into() };
        let wrote = |write| match write {
            RememberedWrite::Created => Wrote::Put(row),
            RememberedWrite::Replaced(version) => Wrote::Put(Version(version)),
            RememberedWrite::Deleted => Wrote::Deleted,
        };
        Transacted {
            txn: Some(txn),
            reads: self.reads.into_iter().map(|read| read.map(found)).collect(),
            writes: self.writes.into_iter().map(wrote).collect(),
        }
    }
}

impl Data {
    /// Runs a transaction, for whoever `stands` lets in.
    ///
    /// # Errors
    /// The bounds, expectations that do not hold, the end of what lets in, a key used otherwise, or the store's.
    pub async fn transact(
        &self,
        transaction: &Transaction,
        claim: Option<&Claim>,
        stands: &Operation,
    ) -> Result<Transacted, Error> {
        let bytes = transaction.bytes();
        if bytes > BYTES_MAX {
            return Err(Error::TooLong { bytes });
        }
        if transaction.writes.is_empty() {
            let rows = self.read_first(transaction, None, stands).await?;
            return Ok(Transacted { txn: None, reads: transaction.found(&rows), writes: Vec::new() });
        }
        let mut turns = None;
        for attempt in 0..ATTEMPTS_MAX {
            // Most are done at once. Those that were not would lose again and again where many want the same, so that who
            // comes while one of them has its turn waits, too.
            let keys = || transaction.reads.iter().chain(transaction.writes.iter().map(|write| &write.key));
            if turns.is_none() && (attempt > 0 || self.turns.are_taken(keys())) {
                turns = Some(self.turns.take_all(keys()).await.ok_or(Error::Busy)?);
            }
            let before = match self.look(transaction, claim, stands).await? {
                Ok(before) => before,
                Err(repeat) => return Ok(repeat),
            };
            let judged = transaction.writes.iter().filter(|write| before.pinned || transaction.reads.contains(&write.key));
            let judged: Vec<_> = judged.cloned().collect();
            if !refusal::unmet(&judged, &before.rows).is_empty() {
                self.refuse(transaction, None).await?;
                continue;
            }
            let found = transaction.found(&before.rows);
            let mut operations = transaction.operations(&before, stands);
            if let Some(claim) = claim {
                let remembered = claim.remember(&transaction.remembered(&before, &found)?, None);
                fits(&operations, &remembered)?;
                operations.push(remembered);
            }
            match self.cluster.commit(operations).await {
                Ok(committed) => {
                    let wrote = |(write, version): (&Write, &Version)| match write.change {
                        Change::Put(_) => Wrote::Put(*version),
                        Change::Delete => Wrote::Deleted,
                    };
                    let versions = committed.versions.iter().skip(1);
                    let writes = transaction.writes.iter().zip(versions).map(wrote).collect();
                    return Ok(Transacted { txn: Some(committed.txn), reads: found, writes });
                }
                Err(cluster::Error::Aborted { txn, reason: AbortReason::Expectation { operation, .. } }) => {
                    let write = usize::from(operation).checked_sub(1).ok_or(Error::Ended)?;
                    let known = |write: &Write| before.pinned || transaction.reads.contains(&write.key);
                    if transaction.writes.get(write).is_some_and(|write| !known(write)) {
                        self.refuse(transaction, Some(txn)).await?;
                    }
                    // Else what was read is so no longer, or this request's duplicate was faster: all is looked at anew.
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contention)
    }

    /// Reads what the commit depends on; gives the first answer if this request was committed before.
    async fn look(
        &self,
        transaction: &Transaction,
        claim: Option<&Claim>,
        stands: &Operation,
    ) -> Result<Result<Before, Transacted>, Error> {
        let pinned = claim.is_some();
        if transaction.reads.is_empty() && !pinned {
            return Ok(Ok(Before { rows: Vec::new(), pinned }));
        }
        let mut rows = self.read_first(transaction, claim, stands).await?;
        if let Some(claim) = claim {
            match claim.judge::<Remembered>(rows.iter().find(|row| row.key == claim.key())) {
                Past::Free(None) => {}
                Past::Free(Some(expired)) => claim.make_room(&self.cluster, expired).await?,
                Past::Reused => return Err(Error::KeyReused),
                Past::Repeat { answer, txn, row } => return Ok(Err(answer.told(txn, row))),
            }
            let others = transaction.writes.iter().map(|write| &write.key).filter(|key| !transaction.reads.contains(key));
            let others: Vec<Key> = others.map(DataKey::row).collect();
            if !others.is_empty() {
                rows.extend(self.cluster.read(others).await?);
            }
        }
        Ok(Ok(Before { rows, pinned }))
    }

    /// Reads all that is to be read at one instant, with what lets in and what was remembered.
    async fn read_first(&self, transaction: &Transaction, claim: Option<&Claim>, stands: &Operation) -> Result<Vec<Row>, Error> {
        let mut keys = vec![stands.key.clone()];
        keys.extend(claim.map(Claim::key));
        keys.extend(transaction.reads.iter().map(DataKey::row));
        let rows = self.cluster.read_at_once(keys).await?;
        if let_in(stands, &rows) { Ok(rows) } else { Err(Error::Ended) }
    }

    /// Says which expectations do not hold; says nothing if all of them do by now.
    async fn refuse(&self, transaction: &Transaction, txn: Option<TxnId>) -> Result<(), Error> {
        if !transaction.expects() {
            return Ok(());
        }
        let expecting = transaction.writes.iter().filter(|write| write.expect != Expect::Any);
        let rows = self.cluster.read_at_once(expecting.map(|write| write.key.row()).collect()).await?;
        let unmet = refusal::unmet(&transaction.writes, &rows);
        if unmet.is_empty() { Ok(()) } else { Err(Error::Unmet { unmet, txn }) }
    }
}

/// Whether what is to be remembered fits beside the rest.
fn fits(operations: &[Operation], remembered: &Operation) -> Result<(), Error> {
    let bytes = |operation: &Operation| match &operation.action {
        Action::Put(value) => value.len(),
        Action::Delete | Action::Check => 0,
    };
    let others: usize = operations.iter().map(|operation| operation.key.bytes.len() + bytes(operation)).sum();
    let room = TRANSACTION_BYTES_MAX.saturating_sub(others + remembered.key.bytes.len());
    let (bytes, max) = (bytes(remembered), room.min(VALUE_BYTES_MAX));
    if bytes > max { Err(Error::AnswerTooLong { bytes, max }) } else { Ok(()) }
}

/// A value as it stands in a JSON text.
pub(super) fn raw(value: &[u8]) -> Result<Box<RawValue>, Error> {
    let text = std::str::from_utf8(value).map_err(|_| Error::Unreadable)?;
    RawValue::from_string(text.to_owned()).map_err(|_| Error::Unreadable)
}
