//! Databases that earlier programs wrote, kept as text: a line for each entry, key and value in hexadecimal digits, with what the
//! database says of itself. They are put back into sled as they stand, past all that this program would write.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the fixture of this name is.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.txt"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// All entries of the database in this directory.
pub(crate) fn entries(path: &Path) -> String {
    let tree = sled::Config::new().path(path).open().unwrap();
    tree.iter().map(Result::unwrap).map(|(key, value)| format!("{} {}\n", hex(&key), hex(&value))).collect()
}

/// Makes the database of this name in this directory.
pub(crate) fn restore(name: &str, path: &Path) {
    let tree = sled::Config::new().path(path).open().unwrap();
    for line in fs::read_to_string(file(name)).unwrap().lines() {
        let (key, value) = line.split_once(' ').unwrap();
        tree.insert(bytes(key), bytes(value)).unwrap();
    }
    tree.flush().unwrap();
}

/// Keeps the database in this directory by this name, if whoever changes a format says so. What is kept is never changed.
#[allow(clippy::disallowed_methods)] // Whoever changes the format says so by it.
pub(crate) fn keep(name: &str, path: &Path) {
    if std::env::var("SKEIN_ACCEPT").is_ok_and(|accepted| accepted == "formats") && !file(name).exists() {
        fs::create_dir_all(file(name).parent().unwrap()).unwrap();
        fs::write(file(name), entries(path)).unwrap();
    }
}
