//! The log on disk, kept by sled. It holds not the records but what they add up to: each group of records is one atomic
//! batch of the changes that [`Snapshot::fold`](skein_protocol::record::Snapshot::fold) would make, so recovery is a scan and
//! the size follows the data, not its history. Rule R12: the identity is made with the log and synced before anybody hears of
//! it. While a log is synced at an interval only, a mark stands beside it, which closing it in order removes; a log that is
//! found with the mark may lack its end, so it is set aside, and its node is gone with it.
//!
//! ```text
//! 0 name                        node, cluster, view, writer, standing, active, copy; clean: closed in order; salvaged, outvoted
//! 1 copy table key              -> Stored
//! 2 bundle                      -> Prepared ...  numbers in keys are big-endian, so that they sort;
//! 3 bundle                      -> Decided ...   values are in postcard's encoding
//! 4 incarnation                 -> low-water mark
//! ```
//!
//! A learner starts over with an empty store: that is the next copy number. The last copy of which the worker was a member is kept
//! until it is one again (`kept.rs`). Records of other copies are removed bit by bit with the groups that follow, so that no write
//! waits for it (R9). So there are two copies at the most, but for what is being removed.

mod bundle;
mod kept;
mod salvage;

pub use salvage::{counts, holds_all, newest_of_a_member, note_use};

use std::cmp::Ordering;
use std::collections::BTreeMap;
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
use crate::formats;
use crate::transport::frame::Growing;
use bundle::Bundles;
use kept::{Head, KEPT_DECIDED, KEPT_PREPARED, Kept};

const DATA: u8 = 1;
const PREPARED: u8 = 2;
const DECIDED: u8 = 3;
const FORGOTTEN: u8 = 4;

const NODE_KEY: &[u8] = b"\0node";
const CLUSTER_KEY: &[u8] = b"\0cluster";
const VIEW_KEY: &[u8] = b"\0view";
const WRITER_KEY: &[u8] = b"\0writer";
const STANDING_KEY: &[u8] = b"\0standing";
const ACTIVE_KEY: &[u8] = b"\0active";
const COPY_KEY: &[u8] = b"\0copy";
const KEPT_KEY: &[u8] = b"\0kept";
const STAMP_KEY: &[u8] = b"\0stamp";
const SALVAGED_KEY: &[u8] = b"\0salvaged";
const OUTVOTED_KEY: &[u8] = b"\0outvoted";
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
    /// The copy that is kept until the worker is a member again, if it is not.
    kept: Option<Kept>,
    /// Whether records of other copies may be left.
    leftovers: bool,
    /// What the worker was sealed as, and for which view.
    standing: Option<Standing>,
    view: ViewNumber,
    prepared: Bundles,
    decided: Bundles,
    /// The view of each decision that is remembered, to find those that a record forgets.
    views: BTreeMap<TxnId, ViewNumber>,
    /// The low-water marks.
    forgotten: BTreeMap<Incarnation, u64>,
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
    // What another Skein can still read is not ours to set aside.
    let kept = matches!(opened, Err(DiskError::Locked(_) | DiskError::Full { .. } | DiskError::Format { .. }));
    if salvage::is_incomplete(&path) && !accepted && !kept {
        drop(opened);
        set_aside = Some(salvage::set_aside(data)?);
        opened = read(&path);
    }
    let (mut database, mut contents) = opened?;
    let mut gone_back = None;
    if accepted && contents.snapshot.standing == Some(Standing::Learner) && contents.kept.is_some() {
        gone_back = Some(kept::go_back(&mut database, &contents)?);
        drop(database);
        (database, contents) = read(&path)?;
    }
    let created = database.is_new();
    if created {
        contents.node = Some(NodeId(uuid::Uuid::new_v4().as_u128()));
    }
    let node = contents.node.ok_or_else(|| database.damaged("it has no identity"))?;
    contents.snapshot.node = node;
    let damaged = contents.damaged();
    if salvage.discard_damaged {
        for key in &damaged {
            database.remove(data_key(contents.copy, key));
            contents.snapshot.records.remove(key);
        }
    }
    if accepted || (salvage.discard_damaged && !damaged.is_empty()) {
        contents.snapshot.salvaged = true;
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

    let Contents { snapshot, clean, copy, kept, leftovers, prepared, decided, .. } = contents;
    let keeps = kept.as_ref().map(|kept| kept.head.view);
    let used_before = salvage.accept_incomplete && !accepted;
    let recovery = Recovery {
        created,
        clean,
        set_aside,
        accepted,
        used_before,
        damaged,
        gone_back,
        keeps,
        ..Recovery::of(&snapshot, start.elapsed())
    };
    let views = snapshot.decided.iter().map(|(txn, decided)| (*txn, decided.view)).collect();
    let (forgotten, stamp) = (snapshot.forgotten.clone(), snapshot.stamp);
    let (standing, view, buffer) = (snapshot.standing, snapshot.view, Vec::new());
    let engine =
        Sled { database, copy, kept, leftovers, standing, view, prepared, decided, views, forgotten, stamp, buffer, path };
    let engine = Box::new(engine);
    Ok(Opened { engine, snapshot, recovery })
}

/// What the entries of a log say.
struct Contents {
    node: Option<NodeId>,
    clean: bool,
    copy: u32,
    kept: Option<Kept>,
    leftovers: bool,
    snapshot: Snapshot,
    prepared: Bundles,
    decided: Bundles,
}

/// Opens the database and puts the snapshot together from all that is there.
fn read(path: &Path) -> Result<(Database, Contents), DiskError> {
    let mut contents = Contents {
        node: None,
        clean: false,
        copy: 0,
        kept: None,
        leftovers: false,
        snapshot: Snapshot::new(NodeId(0)),
        prepared: Bundles::new(PREPARED),
        decided: Bundles::new(DECIDED),
    };
    let database = Database::open(path, formats::LOG, |key, value| contents.take(key, value))?;
    Ok((database, contents))
}

impl Contents {
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
            OUTVOTED_KEY => snapshot.outvoted = true,
            CLUSTER_KEY => snapshot.cluster = Some(ClusterId(u128::from_be_bytes(number(value)?))),
            VIEW_KEY => snapshot.view = ViewNumber(u64::from_be_bytes(number(value)?)),
            STAMP_KEY => snapshot.stamp = u64::from_be_bytes(number(value)?),
            // The copies' numbers sort before all records.
            COPY_KEY => self.copy = u32::from_be_bytes(number(value)?),
            KEPT_KEY => self.kept = Some(Kept { head: decode(value)?, bundles: Vec::new() }),
            STANDING_KEY => snapshot.standing = Some(decode(value)?),
            WRITER_KEY => snapshot.writer = Some(decode(value)?),
            ACTIVE_KEY => snapshot.last_active = Some(decode(value)?),
            [DATA, c0, c1, c2, c3, table, bytes @ ..] => {
                let copy = u32::from_be_bytes([*c0, *c1, *c2, *c3]);
                match copy.cmp(&self.copy) {
                    Ordering::Less if self.kept.as_ref().is_some_and(|kept| kept.head.copy == copy) => {}
                    Ordering::Less => self.leftovers = true,
                    Ordering::Equal => drop(snapshot.records.insert(Key::new(TableId(*table), bytes), decode(value)?)),
                    Ordering::Greater => return Err("it has a record of a copy that was never begun".into()),
                }
            }
            [KEPT_PREPARED | KEPT_DECIDED, ..] => {
                self.kept.as_mut().ok_or("it has a part of a copy that is not kept")?.bundles.push(key.into());
            }
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
            Record::Sealed { view, standing, last_active } => {
                self.database.put(VIEW_KEY, &view.number.0.to_be_bytes());
                self.put(WRITER_KEY, &view.writer);
                self.put(STANDING_KEY, standing);
                if let Some(active) = last_active {
                    self.put(ACTIVE_KEY, active);
                }
                match standing {
                    Standing::Learner => self.start_over(),
                    Standing::Member => self.give_up_kept(),
                }
                (self.standing, self.view) = (Some(*standing), view.number);
            }
            Record::Activated { view } => _ = self.put(ACTIVE_KEY, view),
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
                self.forgotten.insert(*incarnation, *below);
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
            Record::Outvoted => self.database.put(OUTVOTED_KEY, &[]),
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

    /// Empties the store, and what speaks of it. What a member held is kept.
    fn start_over(&mut self) {
        if self.standing == Some(Standing::Member) {
            self.give_up_kept();
            let head = Head { copy: self.copy, view: self.view, forgotten: self.forgotten.clone() };
            self.put(KEPT_KEY, &head);
            let mut bundles = self.prepared.copy_to(KEPT_PREPARED, &mut self.database);
            bundles.extend(self.decided.copy_to(KEPT_DECIDED, &mut self.database));
            self.kept = Some(Kept { head, bundles });
        }
        self.forget_marks();
        self.copy += 1;
        self.leftovers = true;
        self.database.put(COPY_KEY, &self.copy.to_be_bytes());
        self.database.remove(SALVAGED_KEY);
        self.database.remove(OUTVOTED_KEY);
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
        for incarnation in std::mem::take(&mut self.forgotten).into_keys() {
            self.database.remove(&incarnation_key(incarnation));
        }
    }

    /// The kept copy is not needed any more: its records are removed as leftovers are.
    fn give_up_kept(&mut self) {
        let Some(Kept { bundles, .. }) = self.kept.take() else { return };
        self.leftovers = true;
        self.database.remove(KEPT_KEY);
        bundles.into_iter().for_each(|key| self.database.remove(key));
    }

    /// Removes some records of other copies than the one in use and the one that is kept.
    fn remove_leftovers(&mut self) -> Result<(), DiskError> {
        let (first, end) = (vec![DATA], copy_key(self.copy).to_vec());
        let ranges = match &self.kept {
            Some(Kept { head, .. }) => {
                vec![(first, copy_key(head.copy).to_vec()), (copy_key(head.copy + 1).to_vec(), end)]
            }
            None => vec![(first, end)],
        };
        let mut left = LEFTOVERS_PER_GROUP;
        for (from, until) in ranges {
            let found = self.database.keys(&from, &until, left)?;
            left -= found.len();
            found.into_iter().for_each(|key| self.database.remove(key));
        }
        self.leftovers = left == 0;
        Ok(())
    }

    /// Whether these records begin a copy while another one is to be kept.
    fn begins_beside(&self, records: &[Record]) -> bool {
        let begins = |record: &Record| matches!(record, Record::Sealed { standing: Standing::Learner, .. });
        self.standing == Some(Standing::Member) && records.iter().any(begins)
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
        if self.begins_beside(records) {
            self.database.require_room_for_another()?;
        }
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
