//! A sled database that keeps what it promises when the power goes, and notices when it could not.
//!
//! Sled 0.34 ends its flush with `sync_file_range`, which writes pages out but neither the file's size nor the disk's own
//! cache, and never syncs the files in `blobs/` to which it puts pages over a quarter of a segment. [`Database::sync`] adds
//! what is missing: it syncs each new blob and then the file `db`, through a handle of its own. `conf` and the directories are
//! synced once, when the database is made. Before an existing database is opened it is synced as well, since the snapshot that
//! sled then writes speaks of all it has read.
//!
//! What sled can't read it takes for the end of what was written, or for a page that was never there. That is right after a
//! crash, and wrong when a disk has lost what was synced. So each group of changes is numbered and carries the sum of the hashes
//! of all entries; when the database is opened the sum must be right, and the number not below the last synced one, which is noted
//! in a file beside.

pub mod access;
#[cfg(test)]
pub(crate) mod fixture;

mod hashes;
mod room;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sled::{Batch, IVec};
use tracing::warn;
use xxhash_rust::xxh3::xxh3_64;

use hashes::{Hashes, SECRET_BYTES};
use room::Room;

/// Bytes of pages that sled keeps in memory. Little is enough: everything is read once, at the start, and what is written
/// later lies mostly together, at the tables' ends.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How long an opening waits for the lock: who had the database open may just be on the way out.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Takes an entry in, or says what is wrong with it.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), String> + 'a;

/// The entry that each group writes: [`State`].
const STATE_KEY: &[u8] = b"\0";

/// Why a database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// It was written by another Skein.
    #[error("{path} has format {found}, this Skein reads format {known}: use {} Skein", if found > known { "a newer" } else { "an older" })]
    Format {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The one that is known here.
        known: u32,
    },
    /// What it holds makes no sense.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Others can change it; this is how, and what to do.
    #[error("{0}")]
    Exposed(String),
    /// The disk is nearly full; nothing was written.
    #[error(
        "{path}: {free} bytes are free on its disk and {needed} must be, or what it holds is at risk: make room, then start again"
    )]
    Full {
        /// Where.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// The disk has no room for a second copy of what is there; nothing was written.
    #[error(
        "{path}: {free} bytes are free on its disk, and {needed} must be to start over: what it held as a member is kept until it is a \
         member again. Make room and start it again; or, if enough other members hold all records, move the directory away and start \
         it without one"
    )]
    NoRoomToStartOver {
        /// Where.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        needed: u64,
    },
    /// A person has accepted a log whose end may be missing, and there is none.
    #[error("{0} has no log of a member, neither in use nor set aside, so there is nothing to accept")]
    NothingToAccept(PathBuf),
    /// The disk failed.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
}

impl DiskError {
    /// Whether a newer Skein wrote what was to be opened.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, DiskError::Format { found, known, .. } if found > known)
    }
}

/// An open database.
pub(crate) struct Database {
    tree: sled::Db,
    /// Our own handle on the file `db`.
    file: File,
    /// Where the number of the last synced group is noted.
    noted: File,
    path: PathBuf,
    /// Files in `blobs/` that are synced; a blob never changes once it is written.
    blobs: HashSet<OsString>,
    /// The formats that are read, of which the last is written.
    formats: RangeInclusive<u32>,
    /// The format that was found.
    found: u32,
    /// The number of the last group.
    group: u64,
    /// The changes of the next.
    batch: Batch,
    hashes: Hashes,
    room: Room,
}

/// What a database says of itself.
struct State {
    format: u32,
    /// The number of the last group.
    group: u64,
    /// The sum of the hashes of all other entries.
    sum: u64,
    /// What the hashes rest on.
    secret: [u8; SECRET_BYTES],
}

impl Database {
    /// Opens the database in this directory, shows each of its entries, in the order of their keys, and checks that none is
    /// missing; or makes an empty one of the last of these formats. Another format than these is refused.
    pub(crate) fn open(
        path: &Path,
        formats: RangeInclusive<u32>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
    ) -> Result<Self, DiskError> {
        // On some damages sled panics instead of returning an error.
        catch_unwind(AssertUnwindSafe(|| Database::open_or_panic(path, formats, &mut visit)))
            .unwrap_or_else(|_| Err(DiskError::Damaged { path: path.into(), what: "sled can't read it".into() }))
    }

    fn open_or_panic(path: &Path, formats: RangeInclusive<u32>, visit: &mut Visit<'_>) -> Result<Self, DiskError> {
        let io = |error| DiskError::Io { path: path.into(), error };
        let file = path.join("db");
        let existed = file.exists();
        if existed {
            sync_file(&file).map_err(io)?;
            for blob in fs::read_dir(path.join("blobs")).map_err(io)? {
                match sync_file(&blob.map_err(io)?.path()) {
                    // One that is about to let go of the database has removed it; then nothing refers to it any more.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    synced => synced.map_err(io)?,
                }
            }
        } else {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        }
        if let Some(said) = access::exposed_directory(path).map_err(io)? {
            return Err(DiskError::Exposed(said));
        }
        if access::is_readable_within(path).map_err(io)? {
            warn!(path = %path.display(), "others on this machine can read {}: chmod 700 keeps them out", path.display());
        }
        room::look(path)?;
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let deadline = Instant::now() + LOCK_WAIT;
        let tree = loop {
            match config.open() {
                Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                    if Instant::now() > deadline {
                        return Err(DiskError::Locked(path.into()));
                    }
                    std::thread::sleep(LOCK_WAIT / 50);
                }
                opened => break opened.map_err(|error| failed(path, error))?,
            }
        };
        let file = File::open(file).map_err(io)?;
        let noted = File::options().read(true).write(true).create(true).truncate(false).open(path.join("synced")).map_err(io)?;
        let (batch, hashes, room) = (Batch::default(), Hashes::new(rand::random()), Room::new(path.into()));
        let path = path.to_owned();
        let found = *formats.end();
        let mut database =
            Database { tree, file, noted, path, blobs: HashSet::new(), formats, found, group: 0, batch, hashes, room };
        database.check(visit)?;
        database.sync()?;
        if !existed {
            let path = &database.path;
            for made in [&path.join("conf"), &path.join("blobs"), path].into_iter().map(PathBuf::as_path).chain(path.parent()) {
                sync_file(made).map_err(io)?;
            }
        }
        Ok(database)
    }

    /// Reads all that is there and holds it against what should be.
    fn check(&mut self, visit: &mut Visit<'_>) -> Result<(), DiskError> {
        let (mut group, mut sum) = (0, 0);
        if let Some(bytes) = self.get(STATE_KEY)? {
            let found = State::format(&bytes).ok_or_else(|| self.damaged("its format can't be decoded"))?;
            if !self.formats.contains(&found) {
                return Err(DiskError::Format { path: self.path.clone(), found, known: *self.formats.end() });
            }
            self.found = found;
            let state = State::decode(&bytes).ok_or_else(|| self.damaged("its state can't be decoded"))?;
            (group, sum) = (state.group, state.sum);
            self.hashes = Hashes::new(state.secret);
        }
        for entry in self.tree.iter() {
            let (key, value) = entry.map_err(|error| failed(&self.path, error))?;
            if *key != *STATE_KEY {
                self.hashes.put(&key, &value);
                visit(&key, &value).map_err(|what| DiskError::Damaged { path: self.path.clone(), what })?;
            }
        }
        if self.hashes.sum() != sum {
            return Err(self.damaged("some of what it held is missing"));
        }
        let synced = self.noted();
        if group < synced {
            return Err(self.damaged(format!("it ends with group {group}, though group {synced} was synced")));
        }
        self.group = group;
        Ok(())
    }

    /// Whether nothing was ever written to it.
    pub(crate) fn is_new(&self) -> bool {
        self.group == 0
    }

    /// The format that it had when it was opened.
    pub(crate) fn found_format(&self) -> u32 {
        self.found
    }

    /// An error if the disk is nearly full. To be asked before the changes of a group are made: then all is as it was, there is
    /// still room to end in order, and none to go on.
    pub(crate) fn require_room(&mut self) -> Result<(), DiskError> {
        self.room.look()
    }

    /// An error if the disk has no room for all that is here once more.
    pub(crate) fn require_room_for_another(&mut self) -> Result<(), DiskError> {
        room::look_for_another(&self.path)
    }

    /// With the next group: this key has this value.
    pub(crate) fn put(&mut self, key: impl Into<IVec>, value: impl Into<IVec>) {
        let (key, value) = (key.into(), value.into());
        self.hashes.put(&key, &value);
        self.room.take(key.len() + value.len());
        self.batch.insert(key, value);
    }

    /// With the next group: this key is gone, if it was there.
    pub(crate) fn remove(&mut self, key: impl Into<IVec>) {
        let key = key.into();
        self.hashes.remove(&key);
        self.room.take(key.len());
        self.batch.remove(key);
    }

    /// Makes the changes since the last time, all of them or none.
    pub(crate) fn apply(&mut self) -> Result<(), DiskError> {
        self.group += 1;
        let (sum, secret) = (self.hashes.sum(), self.hashes.secret());
        let state = State { format: *self.formats.end(), group: self.group, sum, secret };
        self.batch.insert(STATE_KEY, &state.encode()[..]);
        let batch = std::mem::take(&mut self.batch);
        self.tree.apply_batch(batch).map_err(|error| self.broken(error))
    }

    /// Returns once everything applied survives a power cut.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.tree.flush().map_err(|error| self.broken(error))?;
        let synced = self.sync_files().and_then(|()| self.note());
        synced.map_err(|error| DiskError::Io { path: self.path.clone(), error })
    }

    fn sync_files(&mut self) -> io::Result<()> {
        let directory = self.path.join("blobs");
        let mut present = HashSet::new();
        let mut added = false;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.blobs.contains(&name) {
                match sync_file(&entry.path()) {
                    Ok(()) => added = true,
                    // Sled has removed it since; then nothing refers to it any more.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            present.insert(name);
        }
        if added {
            sync_file(&directory)?;
        }
        self.blobs = present;
        self.file.sync_data()
    }

    /// Notes that the last group is synced. The note needs no sync of its own: an older one only shows less.
    fn note(&self) -> io::Result<()> {
        let group = self.group.to_be_bytes();
        let mut note = [0; 16];
        note[..8].copy_from_slice(&group);
        note[8..].copy_from_slice(&xxh3_64(&group).to_be_bytes());
        self.noted.write_all_at(&note, 0)
    }

    /// The last group that was noted as synced; a note that can't be read says nothing.
    fn noted(&self) -> u64 {
        let (mut group, mut hash) = ([0; 8], [0; 8]);
        let read = self.noted.read_exact_at(&mut group, 0).and_then(|()| self.noted.read_exact_at(&mut hash, 8));
        if read.is_ok() && hash == xxh3_64(&group).to_be_bytes() { u64::from_be_bytes(group) } else { 0 }
    }

    /// An error about what the database holds.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> DiskError {
        DiskError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// The first `max` keys from `from` up to but without `until`, as applied.
    pub(crate) fn keys(&self, from: &[u8], until: &[u8], max: usize) -> Result<Vec<IVec>, DiskError> {
        let keys = self.tree.range(from..until).keys().take(max);
        keys.collect::<Result<_, _>>().map_err(|error| failed(&self.path, error))
    }

    /// An error after which the database is not to be used. Sled flushes a database that is dropped, and after a failed write it
    /// waits for ever for that: so its memory is kept, and its file open, until the process ends.
    fn broken(&self, error: sled::Error) -> DiskError {
        std::mem::forget(self.tree.clone());
        failed(&self.path, error)
    }

    /// The value of a key, as applied.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<IVec>, DiskError> {
        self.tree.get(key).map_err(|error| failed(&self.path, error))
    }
}

impl State {
    fn encode(&self) -> [u8; 20 + SECRET_BYTES] {
        let mut bytes = [0; 20 + SECRET_BYTES];
        bytes[..4].copy_from_slice(&self.format.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.group.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.sum.to_be_bytes());
        bytes[20..].copy_from_slice(&self.secret);
        bytes
    }

    /// The format alone, which stands first in all formats.
    fn format(bytes: &[u8]) -> Option<u32> {
        bytes.first_chunk().map(|format| u32::from_be_bytes(*format))
    }

    fn decode(bytes: &[u8]) -> Option<State> {
        let (format, rest) = bytes.split_first_chunk()?;
        let (group, rest) = rest.split_first_chunk()?;
        let (sum, secret) = rest.split_first_chunk()?;
        let (format, group, sum) = (u32::from_be_bytes(*format), u64::from_be_bytes(*group), u64::from_be_bytes(*sum));
        Some(State { format, group, sum, secret: secret.try_into().ok()? })
    }
}

/// What sled says, in our words.
fn failed(path: &Path, error: sled::Error) -> DiskError {
    let path = path.into();
    match error {
        sled::Error::Io(error) => DiskError::Io { path, error },
        sled::Error::Corruption { .. } => DiskError::Damaged { path, what: "a checksum does not match".into() },
        error => DiskError::Damaged { path, what: error.to_string() },
    }
}

/// Syncs a file or directory, its size and name included.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
