//! Logs that can't be taken up as they are. One that was synced at an interval and not closed in order may lack its end: it is set
//! aside, since what its node acknowledged last may be gone, so nobody may take it for that node again. While another member
//! lives that loses nothing. When all have crashed at once nothing else is left, and a person may say that one goes on with
//! what it has. That counts once: a flag that stays in somebody's settings decides nothing about what happens later.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use skein_protocol::membership::view::{Standing, View};
use tracing::warn;

use super::{Contents, MARK, read};
use crate::disk::{DiskError, sync_file};

/// What a log that was set aside is called, before its number.
const ASIDE: &str = "log.set-aside.";

/// The file next to the log which says that a person's acceptance was used, until a start without it.
const USED: &str = "accepted-incomplete-log";

/// Whether a person has accepted that the log of this directory may be incomplete, and that was not used at an earlier start
/// already. A start that is not asked to forgets the use, so that the next decision counts again.
///
/// # Errors
/// When the disk fails.
pub fn counts(data: &Path, asked: bool) -> Result<bool, DiskError> {
    let used = data.join(USED);
    if asked || !used.exists() {
        return Ok(asked && !used.exists());
    }
    let removed = fs::remove_file(&used).and_then(|()| sync_file(data));
    removed.map(|()| false).map_err(|error| DiskError::Io { path: used, error })
}

/// Notes that a person's acceptance was used: it is given at this start, and has no effect at those that follow while it is given.
///
/// # Errors
/// When the disk fails.
pub fn note_use(data: &Path) -> Result<(), DiskError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    let noted = made.and_then(|()| File::create(data.join(USED))).and_then(|file| file.sync_all()).and_then(|()| sync_file(data));
    noted.map_err(|error| DiskError::Io { path: data.into(), error })
}

/// Where the log of a worker's directory is.
pub(super) fn log(data: &Path) -> PathBuf {
    data.join("log")
}

/// Whether the end of this log may be missing.
pub(super) fn is_incomplete(log: &Path) -> bool {
    log.join(MARK).exists()
}

/// Sets the log aside, and says where it is now.
pub(super) fn set_aside(data: &Path) -> Result<PathBuf, DiskError> {
    let number = asides(data)?.last_key_value().map_or(1, |(number, _)| number + 1);
    let aside = data.join(format!("{ASIDE}{number}"));
    rename(data, &log(data), &aside)?;
    Ok(aside)
}

/// Puts the newest log of a member in its place, of the one that is there and those that were set aside. Says where the one went that
/// was there, if it was another.
pub(super) fn take_up(data: &Path) -> Result<Option<PathBuf>, DiskError> {
    let Some(newest) = newest_of_a_member(data)? else { return Err(DiskError::NothingToAccept(data.into())) };
    if newest == log(data) {
        return Ok(None);
    }
    let replaced = if log(data).exists() { Some(set_aside(data)?) } else { None };
    rename(data, &newest, &log(data))?;
    Ok(replaced)
}

/// Where the newest log is that held all records when it was last written, or keeps a copy that did: in its place, or set aside.
///
/// # Errors
///
/// When the disk fails or is nearly full, or a log is in use or of a newer Skein, which alone can tell what it holds.
pub fn newest_of_a_member(data: &Path) -> Result<Option<PathBuf>, DiskError> {
    let asides = asides(data)?.into_iter().rev().map(|(_, path)| path);
    for path in std::iter::once(log(data)).chain(asides).filter(|path| path.join("db").exists()) {
        match read(&path) {
            Ok((_, contents)) if contents.snapshot.standing == Some(Standing::Member) || contents.kept.is_some() => {
                return Ok(Some(path));
            }
            Ok(_) => {}
            Err(error) if error.is_newer() => return Err(error),
            Err(error @ (DiskError::Damaged { .. } | DiskError::Format { .. })) => {
                warn!(wal.path = %path.display(), "{} is passed over: {error}", path.display());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether the log in its place holds all records if this view was the last active one: its worker is a member of that view, its end
/// can't be missing, and no person has given up a part of it.
///
/// # Errors
///
/// When the disk fails or is nearly full, or the log is in use or of a newer Skein.
pub fn holds_all(data: &Path, active: &View) -> Result<bool, DiskError> {
    let path = log(data);
    if !path.join("db").exists() || is_incomplete(&path) {
        return Ok(false);
    }
    match read(&path) {
        Ok((_, Contents { node: Some(node), snapshot, .. })) => {
            Ok(!snapshot.salvaged && active.is_held_by(node, snapshot.standing, snapshot.view))
        }
        Err(error) if error.is_newer() => Err(error),
        Ok(_) | Err(DiskError::Damaged { .. } | DiskError::Format { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The logs that were set aside, by their numbers.
fn asides(data: &Path) -> Result<BTreeMap<u32, PathBuf>, DiskError> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries,
    };
    let numbered = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.strip_prefix(ASIDE)?.parse().ok()?;
        Some((number, path))
    };
    let found = entries.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
    let found = found.map_err(|error| DiskError::Io { path: data.into(), error })?;
    Ok(found.into_iter().filter_map(numbered).collect())
}

fn rename(data: &Path, from: &Path, to: &Path) -> Result<(), DiskError> {
    let renamed = fs::rename(from, to).and_then(|()| sync_file(data));
    renamed.map_err(|error| DiskError::Io { path: from.into(), error })
}
