//! System calls of a running process that fail on demand, by `strace`: how a disk fails that is none of the test's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::process::Process;

/// Makes these system calls of a process fail like this from now on; ends with the process.
pub fn fail(process: u32, calls: &str, error: &str) -> Child {
    let mut strace = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:error={error}")])
        .args(["-p", &process.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed");
    let mut lines = BufReader::new(strace.stderr.take().expect("piped"));
    let mut said = String::new();
    lines.read_line(&mut said).expect("strace says something");
    assert!(said.contains("attached"), "strace can't attach: {said}");
    // What it says later is of no use, but a closed pipe would end it.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    strace
}

/// What a worker logs, and its engine, whose log can't be written or synced.
pub fn announce(worker: &mut Process) {
    worker.announce("the log failed");
    // The engine syncs once more when it is dropped, and takes it ill that it can't.
    worker.announce("sled-0.34.7/src/pagecache");
}
