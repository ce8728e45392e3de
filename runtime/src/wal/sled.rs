//! The log on disk, kept by sled. It holds not the records but what they add up to, in one tree: each group of records is
//! one atomic batch of the changes that [`Snapshot::fold`](skein_protocol::record::Snapshot::fold) would make, so recovery is
//! a scan and the size follows the data, not its history. Rule R12: the identity is made with the log and synced before anybody
//! hears of it; a log that may lack its end, since it was synced at an interval and not closed in order, is set aside, and its
//! node is gone with it.
//!
//! ```text
//! 0 name                        format, node, cluster, view; lossy: synced at an interval; clean: closed in order
//! 1 table key                   -> Stored
//! 2 incarnation sequence        -> Prepared      numbers in keys are big-endian, so that they sort;
//! 3 incarnation sequence        -> Decided       values are in postcard's encoding
//! 4 incarnation                 -> low-water mark
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::id::{ClusterId, Incarnation, NodeId, TxnId, ViewNumber};
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Key, TableId};
use skein_protocol::record::{Decided, Record, Snapshot};
use sled::{Batch, IVec};
use tracing::warn;

use super::{Opened, Recovery, SyncPolicy, Wal};
use crate::disk::{Database, DiskError, failed, sync_file};

/// The format that is written, and the newest that is read.
const FORMAT: u32 = 1;

const META: u8 = 0;
const DATA: u8 = 1;
const PREPARED: u8 = 2;
const DECIDED: u8 = 3;
const FORGOTTEN: u8 = 4;

const FORMAT_KEY: &[u8] = b"\0format";
const NODE_KEY: &[u8] = b"\0node";
const CLUSTER_KEY: &[u8] = b"\0cluster";
const VIEW_KEY: &[u8] = b"\0view";
const LOSSY_KEY: &[u8] = b"\0lossy";
const CLEAN_KEY: &[u8] = b"\0clean";

/// The engine.
struct Sled {
    database: Database,
    /// The view of each decision that is remembered, to find those that a record forgets.
    decided: BTreeMap<TxnId, ViewNumber>,
    /// The runs that have a low-water mark.
    forgotten: BTreeSet<Incarnation>,
    /// Where values are encoded.
    buffer: Vec<u8>,
}

/// Opens the log in the directory `log` of `data`, or makes it, with a new identity. If what is there was synced at an
/// interval and not closed in order, it is set aside, loudly, and a new one made.
pub fn open(data: &Path, policy: SyncPolicy) -> Result<Opened, DiskError> {
    let start = Instant::now();
    let path = data.join("log");
    let mut database = Database::open(&path)?;
    let mut set_aside = None;
    let mut created = database.format(FORMAT_KEY, FORMAT)?.is_none();
    let clean = database.get(CLEAN_KEY)?.is_some();
    if !created && !clean && database.get(LOSSY_KEY)?.is_some() {
        drop(database);
        set_aside = Some(move_aside(data, &path)?);
        database = Database::open(&path)?;
        created = true;
    }
    let mut batch = Batch::default();
    if created {
        batch.insert(FORMAT_KEY, &FORMAT.to_be_bytes());
        batch.insert(NODE_KEY, &uuid::Uuid::new_v4().as_u128().to_be_bytes());
    }
    batch.remove(CLEAN_KEY);
    match policy {
        SyncPolicy::Always => batch.remove(LOSSY_KEY),
        SyncPolicy::Interval(_) => batch.insert(LOSSY_KEY, &[]),
    }
    database.apply(batch)?;
    database.sync()?;

    let snapshot = read(&database)?;
    let recovery = Recovery { created, clean, set_aside, ..Recovery::of(&snapshot, start.elapsed()) };
    let decided = snapshot.decided.iter().map(|(txn, decided)| (*txn, decided.view)).collect();
    let forgotten = snapshot.forgotten.keys().copied().collect();
    let engine = Box::new(Sled { database, decided, forgotten, buffer: Vec::new() });
    Ok(Opened { engine, snapshot, recovery })
}

fn move_aside(data: &Path, path: &Path) -> Result<PathBuf, DiskError> {
    let names = (1..).map(|number| data.join(format!("log.set-aside.{number}")));
    let aside = names.into_iter().find(|aside| !aside.exists()).expect("numbers do not end");
    let io = |error| DiskError::Io { path: path.into(), error };
    fs::rename(path, &aside).map_err(io)?;
    sync_file(data).map_err(io)?;
    warn!(
        "the log in {} was synced at an interval and not closed in order, so its end may be missing: it is set aside as {}, \
         and this node starts empty, with a new identity",
        path.display(),
        aside.display()
    );
    Ok(aside)
}

/// Puts the snapshot together from all that is there.
fn read(database: &Database) -> Result<Snapshot, DiskError> {
    let mut snapshot = Snapshot::new(NodeId(0));
    let mut node = None;
    for entry in database.tree() {
        let (key, value) = entry.map_err(|error| failed(database.path(), error))?;
        let (kind, name) = key.split_first().ok_or_else(|| database.damaged("a key is empty"))?;
        match (*kind, name) {
            (META, b"node") => node = Some(NodeId(u128::from_be_bytes(number(database, &value)?))),
            (META, b"cluster") => snapshot.cluster = Some(ClusterId(u128::from_be_bytes(number(database, &value)?))),
            (META, b"view") => snapshot.view = ViewNumber(u64::from_be_bytes(number(database, &value)?)),
            (META, b"format" | b"lossy" | b"clean") => {}
            (DATA, [table, bytes @ ..]) => {
                snapshot.records.insert(Key::new(TableId(*table), bytes), decode(database, &value)?);
            }
            (PREPARED, name) => {
                snapshot.prepared.insert(txn(database, name)?, decode(database, &value)?);
            }
            (DECIDED, name) => {
                snapshot.decided.insert(txn(database, name)?, decode(database, &value)?);
            }
            (FORGOTTEN, name) => {
                let incarnation = Incarnation(u64::from_be_bytes(number(database, name)?));
                snapshot.forgotten.insert(incarnation, u64::from_be_bytes(number(database, &value)?));
            }
            _ => return Err(database.damaged(format!("a key of unknown kind {kind}"))),
        }
    }
    snapshot.node = node.ok_or_else(|| database.damaged("it has no identity"))?;
    Ok(snapshot)
}

fn number<const N: usize>(database: &Database, bytes: &[u8]) -> Result<[u8; N], DiskError> {
    bytes.try_into().map_err(|_| database.damaged(format!("a number has {} bytes, not {N}", bytes.len())))
}

fn txn(database: &Database, name: &[u8]) -> Result<TxnId, DiskError> {
    let both: [u8; 16] = number(database, name)?;
    let both = u128::from_be_bytes(both);
    // The upper and the lower half.
    Ok(TxnId { incarnation: Incarnation((both >> 64) as u64), sequence: both as u64 })
}

fn decode<T: DeserializeOwned>(database: &Database, bytes: &[u8]) -> Result<T, DiskError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(database.damaged("a value can't be decoded")),
    }
}

fn txn_key(kind: u8, txn: TxnId) -> [u8; 17] {
    let mut key = [kind; 17];
    key[1..9].copy_from_slice(&txn.incarnation.0.to_be_bytes());
    key[9..17].copy_from_slice(&txn.sequence.to_be_bytes());
    key
}

fn incarnation_key(incarnation: Incarnation) -> [u8; 9] {
    let mut key = [FORGOTTEN; 9];
    key[1..9].copy_from_slice(&incarnation.0.to_be_bytes());
    key
}

fn data_key(key: &Key) -> IVec {
    let mut bytes = Vec::with_capacity(2 + key.bytes.len());
    bytes.extend_from_slice(&[DATA, key.table.0]);
    bytes.extend_from_slice(&key.bytes);
    bytes.into()
}

impl Sled {
    /// The changes that `Snapshot::fold` makes for this record. Says how many bytes they have.
    fn fold(&mut self, record: &Record, batch: &mut Batch) -> usize {
        match record {
            Record::Bound { cluster } => batch.insert(CLUSTER_KEY, &cluster.0.to_be_bytes()),
            Record::Sealed { view } => {
                batch.insert(VIEW_KEY, &view.0.to_be_bytes());
                for incarnation in std::mem::take(&mut self.forgotten) {
                    batch.remove(&incarnation_key(incarnation));
                }
            }
            Record::Prepared(prepared) => {
                let value = self.encode(prepared);
                let length = value.len();
                batch.insert(&txn_key(PREPARED, prepared.txn), value);
                return length;
            }
            Record::Committed { txn, view, writes } => {
                let mut length = self.decide(*txn, *view, Outcome::Committed, batch);
                for write in writes {
                    let key = data_key(&write.key);
                    length += key.len();
                    match &write.stored {
                        Some(stored) => {
                            let value = self.encode(stored);
                            length += value.len();
                            batch.insert(key, value);
                        }
                        None => batch.remove(key),
                    }
                }
                return length;
            }
            Record::Aborted { txn, view } => return self.decide(*txn, *view, Outcome::Aborted, batch),
            Record::Forgot { incarnation, below } => {
                let first = TxnId { incarnation: *incarnation, sequence: 0 };
                let end = TxnId { incarnation: *incarnation, sequence: *below };
                let gone: Vec<TxnId> = self.decided.range(first..end).map(|(txn, _)| *txn).collect();
                for txn in gone {
                    self.decided.remove(&txn);
                    batch.remove(&txn_key(DECIDED, txn));
                }
                self.forgotten.insert(*incarnation);
                batch.insert(&incarnation_key(*incarnation), &below.to_be_bytes());
            }
            Record::ForgotViews { before } => self.decided.retain(|txn, view| {
                let kept = *view >= *before;
                if !kept {
                    batch.remove(&txn_key(DECIDED, *txn));
                }
                kept
            }),
        }
        0
    }

    fn decide(&mut self, txn: TxnId, view: ViewNumber, outcome: Outcome, batch: &mut Batch) -> usize {
        self.decided.insert(txn, view);
        batch.remove(&txn_key(PREPARED, txn));
        let value = self.encode(&Decided { view, outcome });
        let length = value.len();
        batch.insert(&txn_key(DECIDED, txn), value);
        length
    }

    fn encode<T: Serialize>(&mut self, value: &T) -> IVec {
        self.buffer.clear();
        let growing = crate::transport::frame::Growing(&mut self.buffer);
        postcard::serialize_with_flavor(value, growing).expect("records are plain data and memory grows");
        IVec::from(&self.buffer[..])
    }
}

impl Wal for Sled {
    fn append(&mut self, records: &[Record]) -> Result<u64, DiskError> {
        let mut batch = Batch::default();
        let bytes: usize = records.iter().map(|record| self.fold(record, &mut batch)).sum();
        self.database.apply(batch)?;
        Ok(bytes as u64)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        self.database.sync()
    }

    fn close(&mut self) -> Result<(), DiskError> {
        // What was appended must be safe before the mark says so.
        self.database.sync()?;
        let mut batch = Batch::default();
        batch.insert(CLEAN_KEY, &[]);
        self.database.apply(batch)?;
        self.database.sync()
    }
}
