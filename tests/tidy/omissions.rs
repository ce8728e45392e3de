//! What a test can leave out of the core is asked for by its rules alone. The compiler keeps the question within `protocol/src/rules/`; here
//! it is seen that the rest of the core does not even name an omission, and that none is left that no rule asks for.

use std::path::{Path, PathBuf};

use super::{all_files, has_extension, shown};

#[test]
fn what_a_test_can_leave_out_is_asked_for_in_the_rules_and_nowhere_else_in_the_core() {
    let is_test = |path: &PathBuf| shown(path).contains("/tests");
    let of_core = |path: &&PathBuf| shown(path).starts_with("protocol/src/") && has_extension(path, &["rs"]) && !is_test(path);
    let files = all_files();
    let (rules, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().filter(of_core).partition(|path| shown(path).starts_with("protocol/src/rules/"));
    let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let naming: Vec<String> = others.iter().filter(|path| text(path).contains("Omission")).map(|path| shown(path)).collect();
    assert!(naming.is_empty(), "these name an omission: {naming:?}");

    let names = text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/src/rules/omission.rs"));
    let names: Vec<&str> = names.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(',')).collect();
    assert!(names.len() > 50, "the omissions were found");
    let asked: String = rules.iter().map(|path| text(path)).collect();
    let is_asked = |name: &&str| asked.contains(&format!("Omission::{name})")) || asked.contains(&format!("Omission::{name},"));
    let idle: Vec<&str> = names.into_iter().filter(|name| !is_asked(name)).collect();
    assert!(idle.is_empty(), "no rule asks for these: {idle:?}");
}
