//! Which files and directories other users of the machine can get at. Records hold hashes of passwords, and a user who can write to a
//! log, a control store or the cluster's secret decides what the cluster believes. So what others may write to is refused. A secret
//! that others may read leads to a warning only, since secrets that are mounted into a container often are readable for all.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The permission bits for others to read a file, or to list a directory or go through it.
const READ: u32 = 0o055;

/// The permission bits for others to write.
const WRITE: u32 = 0o022;

/// Says why a directory can't be one to keep data in, as far as that shows without making it.
///
/// # Errors
///
/// When something else is in its place, or others may write to it.
pub fn check_directory(path: &Path) -> Result<(), String> {
    if path.as_os_str().is_empty() {
        return Err("--data must name a directory, not nothing".to_owned());
    }
    if !path.exists() {
        return Ok(());
    }
    if !path.is_dir() {
        return Err(format!("--data must be a directory, but {} is something else", path.display()));
    }
    match is_open(path, WRITE) {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!("--data must be closed to others, but {}", exposed(path))),
        Err(error) => Err(format!("--data {}: {error}", path.display())),
    }
}

/// Says why a file can't hold a secret that is to be trusted.
///
/// # Errors
///
/// When others may write to it, or its permissions can't be read.
pub fn check_secret(path: &Path) -> Result<(), String> {
    let mode = fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode();
    if mode & WRITE == 0 { Ok(()) } else { Err(exposed(path)) }
}

/// Whether others may read this file.
#[must_use]
pub fn is_readable_by_others(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// What is wrong with what others may write to, and what to do.
pub(super) fn exposed(path: &Path) -> String {
    let path = path.display();
    format!("others on this machine may write to {path}: make sure that it holds what it should, then chmod go-w {path}")
}

/// Whether a user other than the owner may write in this directory.
pub(super) fn is_writable_by_others(directory: &Path) -> io::Result<bool> {
    is_open(directory, WRITE)
}

/// Whether a user other than the owner can get at what is in this directory.
pub(super) fn is_readable_within(directory: &Path) -> io::Result<bool> {
    is_open(directory, READ | WRITE)
}

/// Whether others may do that in this directory, as far as it and its parent say: a parent that is closed to others keeps them out.
fn is_open(directory: &Path, bits: u32) -> io::Result<bool> {
    let mode = |path: &Path| fs::metadata(path).map(|metadata| metadata.permissions().mode());
    let above = directory.parent().filter(|above| !above.as_os_str().is_empty());
    let is_kept_out = match above {
        Some(above) => mode(above)? & 0o011 == 0,
        None => false,
    };
    Ok(!is_kept_out && mode(directory)? & bits != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_to_which_others_may_write_is_refused_with_what_to_do() {
        let above = tempfile::tempdir().unwrap();
        set(above.path(), 0o755);
        let data = above.path().join("data");
        assert_eq!(check_directory(&data), Ok(()), "it is yet to be made");
        fs::create_dir(&data).unwrap();
        for (mode, taken) in [(0o700, true), (0o755, true), (0o750, true), (0o770, false), (0o775, false), (0o1777, false)] {
            set(&data, mode);
            let said = check_directory(&data);
            assert_eq!(said.is_ok(), taken, "{mode:o}: {said:?}");
            assert!(taken || said.unwrap_err().contains("chmod go-w"));
        }
        set(above.path(), 0o700);
        assert_eq!(check_directory(&data), Ok(()), "the directory above it keeps others out");
        assert!(check_directory(Path::new("")).unwrap_err().contains("nothing"));
        assert!(check_directory(Path::new("/dev/null")).unwrap_err().contains("something else"));
    }

    #[test]
    fn a_secret_to_which_others_may_write_is_refused_and_one_that_they_may_read_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "text").unwrap();
        for (mode, taken, readable) in [
            (0o400, true, false),
            (0o600, true, false),
            (0o640, true, true),
            (0o644, true, true),
            (0o620, false, false),
            (0o606, false, true),
        ] {
            set(&file, mode);
            assert_eq!((check_secret(&file).is_ok(), is_readable_by_others(&file)), (taken, readable), "{mode:o}");
        }
        assert!(check_secret(&file).unwrap_err().contains("chmod go-w"));
        assert!(check_secret(&folder.path().join("none")).is_err());
    }
}
