//! The log on disk, kept by sled. It holds not the records but what they add up to: each group of records is one atomic
//! batch of the changes that [`Snapshot::fold`](skein_protocol::record::Snapshot::fold) would make, so recovery is a scan and
//! the size follows the data, not its history. Rule R12: the identity is made with the log and synced before anybody hears of
//! it. While a log is synced at an interval only, a mark stands beside it, which closing it in order removes; a log that is
//! found with the mark may lack its end, so it is set aside, and its node is gone with it.
//!
//! ```text
//! 0 name                        node, cluster, view, standing, copy; clean: closed in order; salvaged
//! 1 copy table key              -> Stored
//! 2 bundle                      -> Prepared ...  numbers in keys are big-endian, so that they sort;
//! 3 bundle                      -> Decided ...   values are in postcard's encoding
//! 4 incarnation                 -> low-water mark
//! ```
//!
//! A learner starts over with an empty store: that is the next copy number, and the records of earlier copies are removed bit
//! by bit with the groups that follow, so that nobody waits for it (R9).

mod bundle;
mod salvage;

pub use salvage::{counts, newest_of_a_member, note_use};

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::id::{ClusterId, Incarnation, NodeId, TxnId, ViewNumber};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Key, TableId};
use skein_protocol::record::{Decided, Prepared, Record, Snapshot};

use super::{Opened, Recovery, Salvage, SyncPolicy, Wal};
use crate::disk::{Database, DiskError, sync_file};
use crate::transport::frame::Growing;
use bundle::Bundles;

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 3;

const DATA: u8 = 1;
const PREPARED: u8 = 2;
const DECIDED: u8 = 3;
const FORGOTTEN: u8 = 4;

const NODE_KEY: &[u8] = b"\0node";
const CLUSTER_KEY: &[u8] = b"\0cluster";
const VIEW_KEY: &[u8] = b"\0view";
const STANDING_KEY: &[u8] = b"\0standing";
const COPY_KEY: &[u8] = b"\0copy";
const STAMP_KEY: &[u8] = b"\0stamp";
const SALVAGED_KEY: &[u8] = b"\0salvaged";
const CLEAN_KEY: &[u8] = b"\0clean";

/// Records of earlier copies that are removed with one group.
const LEFTOVERS_PER_GROUP: usize = 256;

/// The file that stands beside a log while records are reported as persisted before they are synced.
const MARK: &str = "synced-at-interval";

/// The engine.
struct Sled {
    database: Database,
    /// The copy that the store is: 0, or how often it has started over.
    copy: u32,
    /// Whether records of earlier copies may be left.
    leftovers: bool,
    prepared: Bundles,
    decided: Bundles,
    /// The view of each decision that is remembered, to find those that a record forgets.
    views: BTreeMap<TxnId, ViewNumber>,
    /// The runs that have a low-water mark.
    forgotten: BTreeSet<Incarnation>,
    /// The greatest age stamp of what was prepared.
    stamp: u64,
    /// Where values are encoded.
    buffer: Vec<u8>,
    path: PathBuf,
}

/// Opens the log in the directory `log` of `data`, or makes it, with a new identity. If what is there was synced at an interval
/// and not closed in order, it is set aside and a new one made, unless a person has decided otherwise. Such a decision counts at the
/// first start that is told of it.
///
/// # Errors
///
/// When the disk fails or is nearly full, the log is in use, damaged or of another format, or nothing is there to accept.
pub fn open(data: &Path, policy: SyncPolicy, salvage: Salvage) -> Result<Opened, DiskError> {
    let start = Instant::now();
    let path = salvage::log(data);
    let accepted = counts(data, salvage.accept_incomplete)?;
    let mut set_aside = if accepted { salvage::take_up(data)? } else { None };
    let mut opened = read(&path);
    if salvage::is_incomplete(&path) && !accepted && !matches!(opened, Err(DiskError::Locked(_) | DiskError::Full { .. })) {
        drop(opened);
        set_aside = Some(salvage::set_aside(data)?);
        opened = read(&path);
    }
    let (mut database, mut found) = opened?;
    let created = database.is_new();
    if created {
        found.node = Some(NodeId(uuid::Uuid::new_v4().as_u128()));
    }
    let node = found.node.ok_or_else(|| database.damaged("it has no identity"))?;
    found.snapshot.node = node;
    let damaged = found.damaged();
    if salvage.discard_damaged {
        for key in &damaged {
            database.remove(data_key(found.copy, key));
            found.snapshot.records.remove(key);
        }
    }
    if accepted || (salvage.discard_damaged && !damaged.is_empty()) {
        found.snapshot.salvaged = true;
        database.put(SALVAGED_KEY, &[]);
    }
    database.put(NODE_KEY, &node.0.to_be_bytes());
    database.remove(CLEAN_KEY);
    database.apply()?;
    database.sync()?;
    if accepted {
        note_use(data)?;
    }
    let mark = path.join(MARK);
    let marked = match policy {
        SyncPolicy::Interval(_) => File::create(&mark).and_then(|mark| mark.sync_all()).and_then(|()| sync_file(&path)),
        // Nothing more will be missing than is missing now.
        SyncPolicy::Always if salvage::is_incomplete(&path) => fs::remove_file(&mark).and_then(|()| sync_file(&path)),
        SyncPolicy::Always => Ok(()),
    };
    marked.map_err(|error| DiskError::Io { path: path.clone(), error })?;

    let Found { snapshot, clean, copy, leftovers, prepared, decided, .. } = found;
    let used_before = salvage.accept_incomplete && !accepted;
    let recovery =
        Recovery { created, clean, set_aside, accepted, used_before, damaged, ..Recovery::of(&snapshot, start.elapsed()) };
    let views = snapshot.decided.iter().map(|(txn, decided)| (*txn, decided.view)).collect();
    let forgotten = snapshot.forgotten.keys().copied().collect();
    let stamp = snapshot.stamp;
    let buffer = Vec::new();
    let engine = Sled { database, copy, leftovers, prepared, decided, views, forgotten, stamp, buffer, path };
    let engine = Box::new(engine);
    Ok(Opened { engine, snapshot, recovery })
}

/// What the entries of a log say.
struct Found {
    node: Option<NodeId>,
    clean: bool,
    copy: u32,
    leftovers: bool,
    snapshot: Snapshot,
    prepared: Bundles,
    decided: Bundles,
}

/// Opens the database and puts the snapshot together from all that is there.
fn read(path: &Path) -> Result<(Database, Found), DiskError> {
    let mut found = Found {
        node: None,
        clean: false,
        copy: 0,
        leftovers: false,
        snapshot: Snapshot::new(NodeId(0)),
        prepared: Bundles::new(PREPARED),
        decided: Bundles::new(DECIDED),
    };
    let database = Database::open(path, FORMAT, |key, value| found.take(key, value))?;
    Ok((database, found))
}

impl Found {
    /// The records that are not what was written.
    fn damaged(&self) -> Vec<Key> {
        self.snapshot.records.iter().filter(|(key, stored)| !stored.is_intact(key)).map(|(key, _)| key.clone()).collect()
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let snapshot = &mut self.snapshot;
        match key {
            NODE_KEY => self.node = Some(NodeId(u128::from_be_bytes(number(value)?))),
            CLEAN_KEY => self.clean = true,
            SALVAGED_KEY => snapshot.salvaged = true,
            CLUSTER_KEY => snapshot.cluster = Some(ClusterId(u128::from_be_bytes(number(value)?))),
            VIEW_KEY => snapshot.view = ViewNumber(u64::from_be_bytes(number(value)?)),
            STAMP_KEY => snapshot.stamp = u64::from_be_bytes(number(value)?),
            // The copy's number sorts before all records.
            COPY_KEY => self.copy = u32::from_be_bytes(number(value)?),
            STANDING_KEY => snapshot.standing = Some(decode(value)?),
            [DATA, c0, c1, c2, c3, table, bytes @ ..] => match u32::from_be_bytes([*c0, *c1, *c2, *c3]).cmp(&self.copy) {
                Ordering::Less => self.leftovers = true,
                Ordering::Equal => drop(snapshot.records.insert(Key::new(TableId(*table), bytes), decode(value)?)),
                Ordering::Greater => return Err("it has a record of a copy that was never begun".into()),
            },
            [PREPARED, name @ ..] => {
                let number = u64::from_be_bytes(number(name)?);
                each(value, |prepared: Prepared, encoded| {
                    self.prepared.found(number, prepared.txn, encoded);
                    snapshot.prepared.insert(prepared.txn, prepared);
                })?;
            }
            [DECIDED, name @ ..] => {
                let number = u64::from_be_bytes(number(name)?);
                each(value, |(txn, decided): (TxnId, Decided), encoded| {
                    self.decided.found(number, txn, encoded);
                    snapshot.decided.insert(txn, decided);
                })?;
            }
            [FORGOTTEN, name @ ..] => {
                let incarnation = Incarnation(u64::from_be_bytes(number(name)?));
                snapshot.forgotten.insert(incarnation, u64::from_be_bytes(number(value)?));
            }
            _ => return Err("it has an entry of unknown kind".into()),
        }
        Ok(())
    }
}

fn number<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("a number has {} bytes, not {N}", bytes.len()))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err("a value can't be decoded".into()),
    }
}

/// Shows each of the values that stand behind each other, with its bytes.
fn each<T: DeserializeOwned>(mut bytes: &[u8], mut visit: impl FnMut(T, &[u8])) -> Result<(), String> {
    while !bytes.is_empty() {
        let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| "a value can't be decoded")?;
        visit(value, &bytes[..bytes.len() - rest.len()]);
        bytes = rest;
    }
    Ok(())
}

fn incarnation_key(incarnation: Incarnation) -> [u8; 9] {
    let mut key = [FORGOTTEN; 9];
    key[1..9].copy_from_slice(&incarnation.0.to_be_bytes());
    key
}

/// The part of a record's key that comes before its table.
fn copy_key(copy: u32) -> [u8; 5] {
    let mut key = [DATA; 5];
    key[1..].copy_from_slice(&copy.to_be_bytes());
    key
}

fn data_key(copy: u32, key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(6 + key.bytes.len());
    bytes.extend_from_slice(&copy_key(copy));
    bytes.push(key.table.0);
    bytes.extend_from_slice(&key.bytes);
    bytes
}

impl Sled {
    /// The changes that `Snapshot::fold` makes for this record. Says how many bytes the larger of them have.
    fn fold(&mut self, record: &Record) -> usize {
        match record {
            Record::Bound { cluster } => self.database.put(CLUSTER_KEY, &cluster.0.to_be_bytes()),
            Record::Sealed { view, standing } => {
                self.database.put(VIEW_KEY, &view.0.to_be_bytes());
                self.put(STANDING_KEY, standing);
                if *standing == Standing::Learner {
                    self.start_over();
                }
            }
            Record::Copied { records, stamp } => {
                self.note_stamp(*stamp);
                return records.iter().map(|(key, stored)| self.put(&data_key(self.copy, key), stored)).sum();
            }
            Record::Prepared(prepared) => {
                self.note_stamp(prepared.age.stamp);
                self.encode(prepared);
                self.prepared.put(prepared.txn, &self.buffer);
                return self.buffer.len();
            }
            Record::Committed { txn, view, writes } => {
                let decided = self.decide(*txn, *view, Outcome::Committed);
                let written = writes.iter().map(|write| {
                    let key = data_key(self.copy, &write.key);
                    match &write.stored {
                        Some(stored) => self.put(&key, stored),
                        None => {
                            self.database.remove(key.as_slice());
                            key.len()
                        }
                    }
                });
                return decided + written.sum::<usize>();
            }
            Record::Aborted { txn, view } => return self.decide(*txn, *view, Outcome::Aborted),
            Record::Forgot { incarnation, below } => {
                let txn = |sequence| TxnId { incarnation: *incarnation, sequence };
                let gone: Vec<TxnId> = self.views.range(txn(0)..txn(*below)).map(|(txn, _)| *txn).collect();
                for txn in gone {
                    self.views.remove(&txn);
                    self.decided.remove(txn);
                }
                self.forgotten.insert(*incarnation);
                self.database.put(&incarnation_key(*incarnation), &below.to_be_bytes());
            }
            Record::ForgotViews { before } => {
                self.forget_marks();
                let Sled { decided, views, .. } = self;
                views.retain(|txn, view| {
                    let kept = *view >= *before;
                    if !kept {
                        decided.remove(*txn);
                    }
                    kept
                });
            }
        }
        0
    }

    fn decide(&mut self, txn: TxnId, view: ViewNumber, outcome: Outcome) -> usize {
        self.views.insert(txn, view);
        self.prepared.remove(txn);
        self.encode(&(txn, Decided { view, outcome }));
        self.decided.put(txn, &self.buffer);
        self.buffer.len()
    }

    /// Empties the store, and what speaks of it.
    fn start_over(&mut self) {
        self.forget_marks();
        self.copy += 1;
        self.leftovers = true;
        self.database.put(COPY_KEY, &self.copy.to_be_bytes());
        self.database.remove(SALVAGED_KEY);
        self.prepared.clear();
        self.decided.clear();
        self.views.clear();
    }

    fn note_stamp(&mut self, stamp: u64) {
        if stamp > self.stamp {
            self.stamp = stamp;
            self.database.put(STAMP_KEY, &stamp.to_be_bytes());
        }
    }

    fn forget_marks(&mut self) {
        for incarnation in std::mem::take(&mut self.forgotten) {
            self.database.remove(&incarnation_key(incarnation));
        }
    }

    /// Removes some records of earlier copies.
    fn remove_leftovers(&mut self) -> Result<(), DiskError> {
        let found = self.database.keys(&[DATA], &copy_key(self.copy), LEFTOVERS_PER_GROUP)?;
        self.leftovers = found.len() == LEFTOVERS_PER_GROUP;
        found.into_iter().for_each(|key| self.database.remove(key));
        Ok(())
    }

    fn encode<T: Serialize>(&mut self, value: &T) {
        self.buffer.clear();
        let growing = Growing(&mut self.buffer);
        postcard::serialize_with_flavor(value, growing).expect("records are plain data and memory grows");
    }

    fn put<T: Serialize>(&mut self, key: &[u8], value: &T) -> usize {
        self.encode(value);
        self.database.put(key, &self.buffer[..]);
        key.len() + self.buffer.len()
    }
}

impl Wal for Sled {
    fn append(&mut self, records: &[Record]) -> Result<u64, DiskError> {
        self.database.require_room()?;
        if self.leftovers {
            self.remove_leftovers()?;
        }
        let bytes: usize = records.iter().map(|record| self.fold(record)).sum();
        self.prepared.write(&mut self.database);
        self.decided.write(&mut self.database);
        self.database.apply()?;
        Ok(bytes as u64)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        self.database.sync()
    }

    fn close(&mut self) -> Result<(), DiskError> {
        self.database.put(CLEAN_KEY, &[]);
        self.database.apply()?;
        self.database.sync()?;
        // Only now nothing is missing any more.
        match fs::remove_file(self.path.join(MARK)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DiskError::Io { path: self.path.clone(), error }),
            _ => sync_file(&self.path).map_err(|error| DiskError::Io { path: self.path.clone(), error }),
        }
    }
}

#[cfg(test)]
mod tests;
