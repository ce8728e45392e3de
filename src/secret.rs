//! `skein secret`: makes the secret of a cluster, in a file for `SKEIN_CLUSTER_SECRET_FILE`, and its folder if there is none.
//! The file appears whole and synced or not at all, only its owner can read it, and one that is there is never replaced: a cluster that lost its secret would
//! fall apart at the next restart. The secret itself is printed nowhere.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::settings;

/// The command line of `skein secret`.
#[derive(Clone, Debug, Args)]
pub struct SecretArgs {
    /// Where the secret is kept; its folder is made if it is not there
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Makes the file, or looks whether the one that is there can be used.
pub fn make(args: &SecretArgs) -> ExitCode {
    match ensure(&args.file) {
        Ok(made) => {
            println!("{} {}", if made { "made" } else { "kept" }, args.file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the file had to be made.
fn ensure(file: &Path) -> anyhow::Result<bool> {
    if file.exists() {
        settings::secret_from_file(file).map_err(anyhow::Error::msg)?;
        return Ok(false);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("can't make the folder {}", folder.display()))?;
    }
    let begun = file.with_extension(format!("begun-{}", std::process::id()));
    // In a container every process has the same number, and the last one may have been cut short.
    let _left_over = fs::remove_file(&begun);
    let written = write(&begun, &settings::random_text()?).and_then(|()| fs::hard_link(&begun, file));
    // It has its name by now, or is of no use.
    let _gone = fs::remove_file(&begun);
    match written {
        // Somebody else was faster; theirs holds.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && file.exists() => ensure(file),
        written => {
            written.with_context(|| format!("can't write {}", file.display()))?;
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .with_context(|| format!("can't sync {}", folder.display()))?;
            Ok(true)
        }
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster");
        fs::write(file.with_extension(format!("begun-{}", std::process::id())), "cut sho").unwrap();
        assert!(ensure(&file).unwrap());
        let made = fs::read(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(settings::secret_from_file(&file).is_ok());
        assert!(!ensure(&file).unwrap());
        assert_eq!(fs::read(&file).unwrap(), made);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_folder_that_is_missing_is_made_for_its_owner_alone() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("data");
        assert!(ensure(&folder.join("cluster")).unwrap());
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!ensure(&folder.join("cluster")).unwrap());
    }

    #[test]
    fn two_secrets_differ() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        ensure(&one).unwrap();
        ensure(&other).unwrap();
        assert_ne!(fs::read(one).unwrap(), fs::read(other).unwrap());
    }

    #[test]
    fn what_can_not_be_a_secret_is_neither_used_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster");
        fs::write(&file, "short").unwrap();
        let said = format!("{:#}", ensure(&file).unwrap_err());
        assert!(said.contains("cluster") && !said.contains("short:"), "{said}");
        assert_eq!(fs::read(&file).unwrap(), b"short");
        let said = format!("{:#}", ensure(&file.join("cluster")).unwrap_err());
        assert!(said.contains("can't make the folder"), "{said}");
    }
}
