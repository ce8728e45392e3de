//! Which files and directories other users of the machine can get at. Records hold hashes of passwords, and a user who can write to a
//! log, a control store or the cluster's secret decides what the cluster believes. So what others may write to, own, or put something
//! else in the place of is refused. A secret that others may read leads to a warning only, since secrets that are mounted into a
//! container often are readable for all. A directory above that is closed to others keeps them out of all that is below it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The permission bits for others to read a file, or to list a directory or go through it.
const READ: u32 = 0o055;

/// The permission bits for others to write.
const WRITE: u32 = 0o022;

/// The permission bits for others to go through a directory.
const PASS: u32 = 0o011;

/// The permission bit for everybody to write. Of the directories above it alone counts: where a user has a group of their own, these
/// often are writable for it.
const WRITE_ALL: u32 = 0o002;

/// The permission bit that lets users rename and remove only what is their own, as in `/tmp`.
const STICKY: u32 = 0o1000;

/// Says why a directory can't be one to keep data in, as far as that shows without making it. What it holds already, such as the
/// parts of a cluster in one process, is looked at, too.
///
/// # Errors
///
/// When something else is in its place, or others can change what is in it.
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
    match exposed_directory(path) {
        Ok(None) => Ok(()),
        Ok(Some(said)) => Err(format!("--data must be closed to others, but {said}")),
        Err(error) => Err(format!("--data {}: {error}", path.display())),
    }
}

/// Says why a file can't hold a secret that is to be trusted.
///
/// # Errors
///
/// When others can change it, or its permissions can't be read.
pub fn check_secret(path: &Path) -> Result<(), String> {
    exposed(path).map_err(|error| error.to_string())?.map_or(Ok(()), Err)
}

/// Whether others may read this file.
#[must_use]
pub fn is_readable_by_others(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// Whether a user other than the owner can get at what is in this directory.
pub(super) fn is_readable_within(directory: &Path) -> io::Result<bool> {
    let mode = fs::metadata(directory)?.mode();
    Ok(mode & (READ | WRITE) != 0 && !Above::of(directory)?.keeps_out)
}

/// How others could change what is in this directory or in a directory directly below it, and what to do; `None` if they can't.
pub(super) fn exposed_directory(directory: &Path) -> io::Result<Option<String>> {
    if let Some(said) = exposed(directory)? {
        return Ok(Some(said));
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // A link is looked at as what it leads to.
        if entry.path().is_dir()
            && let Some(said) = exposed(&entry.path())?
        {
            return Ok(Some(said));
        }
    }
    Ok(None)
}

/// How others could change this file or directory, or what its path leads to, and what to do; `None` if they can't.
fn exposed(path: &Path) -> io::Result<Option<String>> {
    let (link, metadata) = (fs::symlink_metadata(path)?, fs::metadata(path)?);
    let place = Above::of(path)?;
    // A link that leads to no path, as that of a pipe does, has only its own place.
    let target = path.canonicalize().map_or_else(|_| Ok(place.clone()), |target| Above::of(&target))?;
    let shown = path.display();
    for above in [&place, &target] {
        if let Some(open) = &above.open {
            let open = open.display();
            return Ok(Some(format!(
                "others on this machine may put something else in the place of {shown}, since all may write to {open}: make sure that \
                 it holds what it should, then chmod o-w {open}"
            )));
        }
    }
    if metadata.is_dir() && place.keeps_out && target.keeps_out {
        return Ok(None);
    }
    let own = rustix::process::geteuid().as_raw();
    if let Some(other) = [&link, &metadata].into_iter().map(Metadata::uid).find(|owner| is_of_another(*owner, own)) {
        return Ok(Some(format!(
            "{shown} belongs to another user of this machine (uid {other}): make sure that it holds what it should, then chown {own} \
             {shown}"
        )));
    }
    Ok((metadata.mode() & WRITE != 0).then(|| {
        format!("others on this machine may write to {shown}: make sure that it holds what it should, then chmod go-w {shown}")
    }))
}

/// Whether what this user owns is in the hands of neither the user that runs this process nor the system's.
fn is_of_another(owner: u32, own: u32) -> bool {
    owner != own && owner != 0
}

/// What the directories above a file or directory say of who can get at it.
#[derive(Clone)]
struct Above {
    /// One of them is closed to others.
    keeps_out: bool,
    /// In this one everybody may rename what belongs to others.
    open: Option<PathBuf>,
}

impl Above {
    fn of(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = parent.canonicalize()?;
        let mut above = Above { keeps_out: false, open: None };
        let own = rustix::process::geteuid().as_raw();
        let from_root: Vec<&Path> = directory.ancestors().collect();
        for directory in from_root.into_iter().rev() {
            let metadata = fs::metadata(directory)?;
            let mode = metadata.mode();
            if !above.keeps_out && mode & WRITE_ALL != 0 && mode & STICKY == 0 {
                above.open.get_or_insert_with(|| directory.to_owned());
            }
            // Another user's closed directory keeps out all but that user.
            above.keeps_out |= mode & PASS == 0 && !is_of_another(metadata.uid(), own);
        }
        Ok(above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A directory that others may look into.
    fn shared() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        set(directory.path(), 0o755);
        directory
    }

    #[test]
    fn a_directory_to_which_others_may_write_is_refused_with_what_to_do() {
        let above = shared();
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
    fn a_directory_that_others_may_replace_is_refused_by_its_own_path_and_by_a_link() {
        let above = shared();
        let (open, link) = (above.path().join("open"), above.path().join("link"));
        let data = open.join("data");
        fs::create_dir_all(&data).unwrap();
        set(&data, 0o700);
        std::os::unix::fs::symlink(&data, &link).unwrap();
        for (mode, taken) in [(0o755, true), (0o775, true), (0o777, false), (0o1777, true), (0o700, true)] {
            set(&open, mode);
            for path in [&data, &link] {
                let said = check_directory(path);
                assert_eq!(said.is_ok(), taken, "{mode:o} {}: {said:?}", path.display());
                assert!(taken || said.unwrap_err().ends_with(&format!("chmod o-w {}", open.display())));
            }
        }
        // The place of the link counts as well.
        let closed = shared();
        let link = open.join("link");
        std::os::unix::fs::symlink(closed.path(), &link).unwrap();
        assert_eq!(check_directory(&link), Ok(()));
        set(&open, 0o777);
        assert!(check_directory(&link).is_err());
    }

    #[test]
    fn the_parts_in_a_directory_are_looked_at_as_well() {
        let data = shared();
        let part = data.path().join("worker-2");
        fs::create_dir(&part).unwrap();
        set(&part, 0o777);
        assert!(check_directory(data.path()).unwrap_err().contains(&format!("chmod go-w {}", part.display())));
        set(&part, 0o755);
        assert_eq!(check_directory(data.path()), Ok(()));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        assert!(is_of_another(1000, 0) && is_of_another(1000, 1001));
        assert!(!is_of_another(1000, 1000) && !is_of_another(0, 1000) && !is_of_another(0, 0));
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let above = shared();
        let (data, secret) = (above.path().join("data"), above.path().join("secret"));
        fs::create_dir(&data).unwrap();
        fs::write(&secret, "text").unwrap();
        for path in [&data, &secret] {
            set(path, 0o700);
            std::os::unix::fs::chown(path, Some(4711), None).unwrap();
        }
        for said in [check_directory(&data).unwrap_err(), check_secret(&secret).unwrap_err()] {
            assert!(said.contains("uid 4711") && said.contains("chown 0 "), "{said}");
        }
        // A closed directory above keeps others out, but not its owner.
        set(above.path(), 0o700);
        assert_eq!(check_directory(&data), Ok(()));
        std::os::unix::fs::chown(above.path(), Some(4711), None).unwrap();
        assert!(check_directory(&data).unwrap_err().contains("uid 4711"));
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
