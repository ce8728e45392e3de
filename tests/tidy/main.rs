//! Habits that no compiler checks: every Rust file says what it is, files are named after things of the domain, nothing is
//! left unfinished or switched off, no file has grown beyond reading, the documents name files and types that exist, files don't
//! import each other in circles, and the core's rules are where they are looked for.

#![allow(clippy::unwrap_used)]

mod imports;
mod omissions;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// File and folder names that say nothing about the domain.
const EMPTY_NAMES: [&str; 14] = [
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "misc",
    "manager",
    "service",
    "services",
    "types",
    "models",
    "constants",
    "base",
    "impl",
];

/// Folders that hold what was built, fetched or recorded.
const NOT_OURS: [&str; 6] = [".git", "target", "node_modules", "dist", "test-results", "playwright-report"];

/// Lines of a Rust file beyond which it has become two things.
const LINES_MAX: usize = 700;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if NOT_OURS.iter().any(|not_ours| name == *not_ours) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

fn all_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    found.sort();
    assert!(found.len() > 50, "the tree was found");
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().and_then(|extension| extension.to_str()).is_some_and(|extension| extensions.contains(&extension))
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent: Vec<String> = all_files()
        .iter()
        .filter(|path| has_extension(path, &["rs"]))
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| shown(path))
        .collect();
    assert!(silent.is_empty(), "these begin without a word on what they are: {silent:?}");
}

#[test]
fn files_are_named_after_things_of_the_domain() {
    let empty: Vec<String> = all_files()
        .iter()
        .filter(|path| has_extension(path, &["rs", "ts", "tsx"]))
        .map(|path| shown(path))
        .filter(|path| path.split(['/', '.']).any(|part| EMPTY_NAMES.contains(&part)))
        .collect();
    assert!(empty.is_empty(), "these names say nothing: {empty:?}");
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // In pieces, so that this file does not find itself.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
        concat!("dbg", "!("),
        concat!("it.", "only("),
        concat!("test.", "only("),
        concat!("it.", "skip("),
        concat!("test.", "skip("),
    ];
    let mut found = Vec::new();
    for path in all_files().iter().filter(|path| has_extension(path, &["rs", "ts", "tsx", "mjs", "sh", "md", "toml", "yaml"])) {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", shown(path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_rust_file_has_grown_beyond_reading() {
    let long: Vec<String> = all_files()
        .iter()
        .filter(|path| has_extension(path, &["rs"]))
        .map(|path| (std::fs::read_to_string(path).unwrap().lines().count(), shown(path)))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path} has {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_core_depends_on_no_other_member_and_the_two_processes_not_on_each_other() {
    let manifest =
        |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("Cargo.toml")).unwrap();
    let names = |text: &str, member: &str| text.lines().any(|line| line.starts_with(member));
    for member in ["skein-runtime", "skein-worker", "skein-coordinator", "skein-sim"] {
        assert!(!names(&manifest("protocol"), member), "protocol depends on {member}");
    }
    assert!(!names(&manifest("coordinator"), "skein-worker"), "coordinator depends on worker");
    assert!(!names(&manifest("worker"), "skein-coordinator"), "worker depends on coordinator");
    assert!(!names(&manifest("sim"), "skein-runtime"), "sim depends on runtime");
}

/// A document may name a file by the end of its path (`http/api.rs`), since the text around it says which folder it means.
#[test]
fn every_path_that_a_document_names_exists() {
    let files = all_files();
    let tree: Vec<String> = files.iter().map(|path| format!("/{}", shown(path))).collect();
    let mut lost = Vec::new();
    let mut checked = 0;
    for document in files.iter().filter(|path| has_extension(path, &["md"])) {
        // What stands between two backticks is every second part; a block of code has six of them, and so stays even.
        let text = std::fs::read_to_string(document).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter(|name| is_path(name, &tree)) {
            checked += 1;
            let (file, folder) = (format!("/{name}"), format!("/{}/", name.trim_end_matches('/')));
            if !tree.iter().any(|path| path.ends_with(&file) || path.contains(&folder)) {
                lost.push(format!("{}: {name}", shown(document)));
            }
        }
    }
    assert!(checked > 100, "only {checked} paths were found");
    assert!(lost.is_empty(), "these are named and not there: {lost:#?}");
}

#[test]
fn every_type_that_the_glossary_names_exists() {
    let code: String = all_files()
        .iter()
        .filter(|path| has_extension(path, &["rs"]))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let defined: HashSet<&str> = ["struct ", "enum ", "trait ", "type "]
        .iter()
        .flat_map(|keyword| code.split(keyword).skip(1))
        .filter_map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next())
        .collect();
    let glossary = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/glossary.md")).unwrap();
    let is_type = |name: &&str| {
        name.starts_with(|letter: char| letter.is_ascii_uppercase()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let named: Vec<&str> = glossary.split('`').skip(1).step_by(2).filter(is_type).collect();
    let lost: Vec<&&str> = named.iter().filter(|name| !defined.contains(**name)).collect();
    assert!(named.len() > 20, "only {named:?} were found");
    assert!(lost.is_empty(), "the glossary explains types that are not there: {lost:?}");
}

/// Whether a word in a document is the path of one of our files or folders: it has a slash, and an end or a beginning as they have.
fn is_path(name: &str, tree: &[String]) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let Some((first, rest)) = name.split_once('/') else { return false };
    if first.is_empty() || NOT_OURS.contains(&first) || !name.bytes().all(is_plain) {
        return false;
    }
    let last = rest.rsplit('/').next().unwrap_or(rest);
    last.is_empty() || last.contains('.') || tree.iter().any(|path| path.starts_with(&format!("/{first}/")))
}

/// The code of a file, without the tests at its end.
fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

#[test]
fn the_rooms_know_nothing_of_http_and_http_knows_no_room() {
    const ROOMS: [&str; 5] = ["accounts", "sessions", "tokens", "tweets", "data"];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in all_files().iter().filter(|path| has_extension(path, &["rs"])) {
        let name = shown(path);
        let Some(inner) = name.strip_prefix("coordinator/src/") else { continue };
        let code = code_of(path);
        let foreign: Vec<String> = if inner.starts_with("http/") && inner != "http/api.rs" {
            ROOMS.iter().map(|room| format!("crate::{room}")).collect()
        } else if ROOMS.iter().any(|room| inner.starts_with(&format!("{room}/"))) && !inner.contains("/routes") {
            let problem = inner.ends_with("/problem.rs");
            if problem { Vec::new() } else { vec!["axum".to_owned(), "crate::http".to_owned(), "crate::caller".to_owned()] }
        } else {
            continue;
        };
        seen += 1;
        wrong.extend(foreign.iter().filter(|word| code.contains(*word)).map(|word| format!("{name} names {word}")));
    }
    assert!(seen > 30, "only {seen} files were looked at");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Cargo reads the manifests of all members, so an image can't be built when one of them is not copied.
#[test]
fn the_image_is_built_from_every_member_of_the_workspace() {
    let read = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let (manifest, dockerfile, ignored) = (read("Cargo.toml"), read("Dockerfile"), read(".dockerignore"));
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("a line of members");
    let members: Vec<&str> = members.trim_end_matches(']').split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.len() > 4, "{members:?}");
    for member in members {
        let copies = dockerfile.matches(&format!("COPY {member} {member}\n")).count();
        assert_eq!(copies, 2, "{member} is copied for its manifest and for its sources");
        assert!(ignored.lines().any(|line| line == format!("!{member}")), "{member} is in the build's context");
    }
}
