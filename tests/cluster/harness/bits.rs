//! Failing memory: bits of a running process are flipped from outside, through `/proc`, as no program of its own would do it and
//! without its knowing. What is flipped is found by its content, so it should be like nothing else, and the process should be
//! paused meanwhile, so that nothing comes between the last look and the flip.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;

/// The last byte of each place in the process's writable memory that holds this. To look at all of it takes seconds.
pub fn places(process: u32, content: &[u8]) -> Vec<u64> {
    let memory = memory(process);
    let begins = regions(process).into_iter().flat_map(|(from, until)| places_within(&memory, from, until, content));
    begins.map(|at| at + content.len() as u64 - 1).collect()
}

/// Flips the lowest bit of the last byte of what ends at this place, if that is still this.
pub fn flip_if(process: u32, place: u64, content: &[u8]) -> bool {
    let mut found = vec![0; content.len()];
    let begin = place + 1 - content.len() as u64;
    let is_there = memory(process).read_exact_at(&mut found, begin).is_ok() && found == content;
    if is_there {
        flip_at(process, place);
    }
    is_there
}

/// Flips the lowest bit of a byte.
fn flip_at(process: u32, place: u64) {
    let (memory, mut byte) = (memory(process), [0]);
    memory.read_exact_at(&mut byte, place).expect("its memory can be read");
    memory.write_all_at(&[byte[0] ^ 1], place).expect("its memory can be written");
}

fn memory(process: u32) -> File {
    OpenOptions::new().read(true).write(true).open(format!("/proc/{process}/mem")).expect("its memory can be opened")
}

/// Where its memory lies that it can write and shares with nobody.
fn regions(process: u32) -> Vec<(u64, u64)> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("its maps can be read");
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        let (from, until) = range.split_once('-')?;
        let bound = |text| u64::from_str_radix(text, 16).ok();
        rights.starts_with("rw-p").then_some((bound(from)?, bound(until)?))
    };
    maps.lines().filter_map(parse).collect()
}

fn places_within(memory: &File, from: u64, until: u64, content: &[u8]) -> Vec<u64> {
    const STEP: usize = 1 << 20;
    let finder = Finder::new(content);
    let (mut found, mut at) = (Vec::new(), from);
    while at < until {
        let mut bytes = vec![0; usize::try_from(until - at).unwrap().min(STEP + content.len() - 1)];
        // A page that was never touched may refuse to be read.
        if memory.read_exact_at(&mut bytes, at).is_ok() {
            found.extend(finder.find_iter(&bytes).map(|begin| at + begin as u64));
        }
        at += STEP as u64;
    }
    found
}
