//! Logs that can't be taken up as they are. One that was synced at an interval and not closed in order may lack its end: it is set
//! aside, since what its node acknowledged last may be gone, so nobody may take it for that node again. While another member
//! lives that loses nothing. When all have crashed at once nothing else is left, and a person may say that one goes on with
//! what it has.

use std::fs;
use std::path::{Path, PathBuf};

use skein_protocol::membership::view::Standing;
use tracing::warn;

use super::{MARK, read};
use crate::disk::{DiskError, sync_file};

/// What a log that was set aside is called, before its number.
const ASIDE: &str = "log.set-aside.";

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
    let names = (1..).map(|number| data.join(format!("{ASIDE}{number}")));
    let aside = names.into_iter().find(|aside| !aside.exists()).expect("numbers do not end");
    rename(data, &log(data), &aside)?;
    Ok(aside)
}

/// Puts that log in its place which knows most, of the one that is there and those that were set aside: a member's of the latest
/// view. Says where the one went that was there, if it was another.
pub(super) fn take_up_the_best(data: &Path) -> Result<Option<PathBuf>, DiskError> {
    let io = |error| DiskError::Io { path: data.into(), error };
    let mut best = None;
    let entries = if data.exists() { Some(fs::read_dir(data).map_err(io)?) } else { None };
    for entry in entries.into_iter().flatten() {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if (path != log(data) && !name.starts_with(ASIDE)) || !path.join("db").exists() {
            continue;
        }
        let found = match read(&path) {
            Ok((_, found)) => found,
            Err(error @ DiskError::Locked(_)) => return Err(error),
            Err(error) => {
                warn!(wal.path = %path.display(), "{} is passed over: {error}", path.display());
                continue;
            }
        };
        let is_member = found.snapshot.standing == Some(Standing::Member);
        best = best.max(is_member.then_some((found.snapshot.view, path)));
    }
    let Some((_, best)) = best else { return Err(DiskError::NothingToAccept(data.into())) };
    if best == log(data) {
        return Ok(None);
    }
    let replaced = if log(data).exists() { Some(set_aside(data)?) } else { None };
    rename(data, &best, &log(data))?;
    Ok(replaced)
}

fn rename(data: &Path, from: &Path, to: &Path) -> Result<(), DiskError> {
    let renamed = fs::rename(from, to).and_then(|()| sync_file(data));
    renamed.map_err(|error| DiskError::Io { path: from.into(), error })
}
