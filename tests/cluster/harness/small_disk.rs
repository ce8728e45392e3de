//! A disk of a few megabytes, in memory, that a test can fill. Only root can mount one; tests that need it have nothing to test
//! elsewhere, and the container of continuous integration is root.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the filler is written in.
const PIECE: [u8; 4096] = [7; 4096];

/// A mounted disk; it is unmounted when dropped.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// At this directory, which is there; none where the tests don't run as root.
    pub fn mount(at: &Path, megabytes: u32) -> Option<SmallDisk> {
        if at.metadata().expect("it is there").uid() != 0 {
            return None;
        }
        run("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=700"), "skein-test"], at);
        Some(SmallDisk { at: at.to_owned() })
    }

    /// Leaves so many bytes free, or a little less.
    pub fn fill(&self, free: u64) {
        let mut filler = File::create(self.filler()).expect("a file");
        while self.free() > free {
            match filler.write_all(&PIECE) {
                Ok(()) => {}
                Err(error) => return assert_eq!(error.kind(), ErrorKind::StorageFull),
            }
        }
    }

    /// Gives the room back.
    pub fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("it was made");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.at).expect("it is mounted");
        disk.f_bavail * disk.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.at);
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let ran = Command::new(program).args(arguments).arg(path).output().expect("the program is there");
    assert!(ran.status.success(), "{program} {}: {}", path.display(), String::from_utf8_lossy(&ran.stderr));
}
