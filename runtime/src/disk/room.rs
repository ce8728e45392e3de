//! Room on the disk. Sled writes while it opens a database, and when the disk is full then, it leaves a file behind that it takes
//! for damaged ever after. So a database is not even touched unless there is room for all of that; and one that is open stops
//! taking changes while there still is, so that a full disk costs a restart and never what was kept. Others may fill the disk
//! too, which is why the bound is far above what an opening writes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::DiskError;

/// Bytes that must be free, whatever the size of the database: an opening fills up one segment of sled's and zeroes some,
/// half a megabyte each, and groups of changes are under way.
const FREE_BYTES_MIN: u64 = 32 * 1024 * 1024;

/// A snapshot that sled makes of its page table takes at the most this part of the database.
const SNAPSHOT_PART: u64 = 8;

/// An open database looks again after so long,
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// or after so many bytes.
const LOOK_AFTER_BYTES: usize = 2 * 1024 * 1024;

/// Watches the room that an open database has.
pub(super) struct Room {
    path: PathBuf,
    looked: Instant,
    /// Bytes that were written since.
    written: usize,
}

impl Room {
    /// Of the database in this directory, where there was room just now.
    pub(super) fn new(path: PathBuf) -> Self {
        Room { path, looked: Instant::now(), written: 0 }
    }

    /// So many bytes of changes are added.
    pub(super) fn take(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// An error if there is too little left, as far as is known.
    pub(super) fn look(&mut self) -> Result<(), DiskError> {
        if self.written < LOOK_AFTER_BYTES && self.looked.elapsed() < LOOK_AFTER {
            return Ok(());
        }
        look(&self.path)?;
        (self.looked, self.written) = (Instant::now(), 0);
        Ok(())
    }
}

/// An error if the disk has too little room for the database in this directory, which may be a new one.
pub(super) fn look(path: &Path) -> Result<(), DiskError> {
    demand(path, FREE_BYTES_MIN + database_bytes(path) / SNAPSHOT_PART)
}

/// Bytes of the file in which sled keeps most of the database.
fn database_bytes(path: &Path) -> u64 {
    path.join("db").metadata().map_or(0, |metadata| metadata.len())
}

/// Bytes of the files in which sled keeps what is long: most of a database with values of some kB.
fn blobs_bytes(path: &Path) -> u64 {
    let blobs = path.join("blobs").read_dir().into_iter().flatten().flatten();
    // Sled may remove one at any moment.
    blobs.filter_map(|blob| Some(blob.metadata().ok()?.len())).sum()
}

/// An error if the disk has too little room for as much again as is in this directory.
pub(super) fn look_for_another(path: &Path) -> Result<(), DiskError> {
    let size = database_bytes(path) + blobs_bytes(path);
    demand(path, FREE_BYTES_MIN + size + 2 * size / SNAPSHOT_PART).map_err(|error| match error {
        DiskError::Full { path, free, needed } => DiskError::NoRoomToStartOver { path, free, needed },
        other => other,
    })
}

fn demand(path: &Path, needed: u64) -> Result<(), DiskError> {
    let disk = rustix::fs::statvfs(path).map_err(|error| DiskError::Io { path: path.into(), error: error.into() })?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < needed {
        return Err(DiskError::Full { path: path.into(), free, needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_an_error_that_names_the_place_and_both_numbers() {
        let directory = tempfile::tempdir().unwrap();
        look(directory.path()).unwrap();
        demand(directory.path(), 1).unwrap();
        let error = demand(directory.path(), u64::MAX).unwrap_err();
        let DiskError::Full { free, .. } = error else { panic!("{error}") };
        let text = error.to_string();
        for named in [directory.path().display().to_string(), free.to_string(), u64::MAX.to_string()] {
            assert!(free > 0 && text.contains(&named), "{named} is missing in {text}");
        }
    }

    #[test]
    fn the_disk_is_looked_at_after_many_bytes_or_a_while_only() {
        let mut room = Room::new("/nowhere at all".into());
        room.take(LOOK_AFTER_BYTES - 1);
        room.look().unwrap();
        room.take(1);
        room.look().unwrap_err();
        let mut room = Room::new("/nowhere at all".into());
        room.looked -= LOOK_AFTER;
        room.look().unwrap_err();
    }
}
