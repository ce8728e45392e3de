//! A sled database that keeps what it promises when the power goes. Sled 0.34 ends its flush with `sync_file_range`, which
//! writes pages out but neither the file's size nor the disk's own cache, and never syncs the files in `blobs/` to which it
//! puts pages over a quarter of a segment. [`Database::sync`] adds what is missing: it syncs each new blob and then the file
//! `db`, through a handle of its own. `conf` and the directories are synced once, when the database is made. Before an existing
//! database is opened it is synced as well, since the snapshot that sled then writes speaks of all it has read.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Bytes of pages that sled keeps in memory.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Why a database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Another process has it open.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// It was written by a newer Skein.
    #[error("{path} has format {found}, this Skein reads formats up to {known}: use a newer Skein")]
    Format {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one that is known here.
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
    /// The disk failed.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
}

/// An open database. It has one tree.
pub(crate) struct Database {
    tree: sled::Db,
    /// Our own handle on the file `db`.
    file: File,
    path: PathBuf,
    /// Files in `blobs/` that are synced; a blob never changes once it is written.
    blobs: HashSet<OsString>,
}

impl Database {
    /// Opens the database in this directory, or makes an empty one.
    pub(crate) fn open(path: &Path) -> Result<Self, DiskError> {
        let io = |error| DiskError::Io { path: path.into(), error };
        let file = path.join("db");
        let existed = file.exists();
        if existed {
            sync_file(&file).map_err(io)?;
            for blob in fs::read_dir(path.join("blobs")).map_err(io)? {
                sync_file(&blob.map_err(io)?.path()).map_err(io)?;
            }
        } else {
            fs::create_dir_all(path).map_err(io)?;
        }
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        // On some damages sled panics instead of returning an error.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let tree = match opened {
            Ok(Ok(tree)) => tree,
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
                return Err(DiskError::Locked(path.into()));
            }
            Ok(Err(error)) => return Err(failed(path, error)),
            Err(_) => return Err(DiskError::Damaged { path: path.into(), what: "sled can't read it".into() }),
        };
        let file = File::open(file).map_err(io)?;
        let mut database = Database { tree, file, path: path.into(), blobs: HashSet::new() };
        database.sync()?;
        if !existed {
            sync_file(&path.join("conf")).map_err(io)?;
            for directory in [&path.join("blobs"), path].into_iter().chain(path.parent()) {
                sync_file(directory).map_err(io)?;
            }
        }
        Ok(database)
    }

    /// The tree.
    pub(crate) fn tree(&self) -> &sled::Tree {
        &self.tree
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes all of this or none.
    pub(crate) fn apply(&mut self, batch: sled::Batch) -> Result<(), DiskError> {
        self.tree.apply_batch(batch).map_err(|error| failed(&self.path, error))
    }

    /// Returns once everything applied survives a power cut.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.tree.flush().map_err(|error| failed(&self.path, error))?;
        self.sync_files().map_err(|error| DiskError::Io { path: self.path.clone(), error })
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

    /// An error about what the database holds.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> DiskError {
        DiskError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// Checks the format number under `key`, or says that there is none, in an empty database.
    pub(crate) fn format(&self, key: &[u8], known: u32) -> Result<Option<u32>, DiskError> {
        let Some(value) = self.get(key)? else {
            return if self.tree.is_empty() { Ok(None) } else { Err(self.damaged("it has no format number")) };
        };
        let found = u32::from_be_bytes(value.as_ref().try_into().map_err(|_| self.damaged("its format is no number"))?);
        if found > known { Err(DiskError::Format { path: self.path.clone(), found, known }) } else { Ok(Some(found)) }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, DiskError> {
        self.tree.get(key).map_err(|error| failed(&self.path, error))
    }
}

/// What sled says, in our words.
pub(crate) fn failed(path: &Path, error: sled::Error) -> DiskError {
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
