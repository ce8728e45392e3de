//! One process of the real executable: started with its ready line awaited, killed, interrupted, its log kept. A log line
//! of level ERROR that the test has not announced fails the test, and no process outlives it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::wait::until_blocking;

/// The executable under test.
pub const SKEIN: &str = env!("CARGO_BIN_EXE_skein");

/// How long a process may take until it is ready: on a busy machine with two cores, far longer than it ever needs.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a process may take to end once it was asked to, or has reason to.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// A running process.
pub struct Process {
    name: String,
    child: Child,
    /// The ready line, without its first word.
    ready: String,
    /// Its standard error is a file and no pipe: what it logged before it did something that a test has seen is there to
    /// be read, without a thread that must have run in between.
    log: File,
    announced: Vec<&'static str>,
}

/// How a process ended that was not expected to become ready.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
    pub log: String,
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(SKEIN);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("SKEIN_") || text.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command.envs(environment.iter().copied());
    command
}

/// Runs the executable to its end.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let mut child = command(arguments, environment).spawn().expect("the executable starts");
    let (mut output, mut log) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let output = std::thread::spawn(move || read_all(&mut output));
    let log = std::thread::spawn(move || read_all(&mut log));
    let status = wait_for(&mut child, &format!("skein {} ends", arguments.join(" ")));
    Ended { code: status.code(), output: output.join().expect("read"), log: log.join().expect("read") }
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait_for(child: &mut Child, what: &str) -> ExitStatus {
    let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until_blocking(what, ENDS_WITHIN, || child.try_wait().expect("a child of ours"))
    }));
    waited.unwrap_or_else(|panic| {
        child.kill().ok();
        child.wait().ok();
        std::panic::resume_unwind(panic)
    })
}

impl Process {
    /// Starts the executable and waits for its ready line.
    pub fn start(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut process = Process::spawn(name, arguments, environment);
        process.await_ready();
        process
    }

    /// Starts the executable and does not wait.
    pub fn spawn(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = tempfile::tempfile().expect("a file for the log");
        let stderr = log.try_clone().expect("another handle of the file");
        let child = command(arguments, environment).stderr(stderr).spawn().expect("the executable starts");
        Process { name: name.to_owned(), child, ready: String::new(), log, announced: Vec::new() }
    }

    /// Waits for the ready line of a process that was only spawned; at once if that was done before.
    pub fn await_ready(&mut self) {
        assert!(self.is_ready(), "{} did not become ready:\n{}", self.name, self.log_text());
    }

    /// Waits for the ready line of a process that was only spawned, or for its end: whether it is ready.
    pub fn is_ready(&mut self) -> bool {
        let Some(stdout) = self.child.stdout.take() else { return true };
        let mut stdout = BufReader::new(stdout);
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).ok();
            send.send(line).ok();
            // Nothing else belongs on standard output, but a full pipe must not stop a process either.
            std::io::copy(&mut stdout, &mut std::io::sink()).ok();
        });
        let line = match receive.recv_timeout(READY_WITHIN) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("{} is not ready after {READY_WITHIN:?}:\n{}", self.name, self.log_text()),
            Err(RecvTimeoutError::Disconnected) => String::new(),
        };
        let Some(ready) = line.trim_end().strip_prefix("ready ") else {
            assert_eq!(line, "", "{} says nothing but that it is ready", self.name);
            return false;
        };
        self.ready = ready.to_owned();
        true
    }

    /// `http://HOST:PORT` from the ready line.
    pub fn url(&self) -> &str {
        self.ready.split(' ').next().expect("split gives at least one part")
    }

    /// A worker's cluster address from the ready line.
    pub fn cluster_address(&self) -> &str {
        self.ready.split_once(" cluster ").expect("a worker's ready line names its cluster address").1
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says that log lines of level ERROR that contain this text are part of the test.
    pub fn announce(&mut self, text: &'static str) {
        self.announced.push(text);
    }

    /// All that it has logged so far.
    pub fn log_text(&self) -> String {
        let mut bytes = vec![0; self.log.metadata().expect("a file of ours").len().try_into().expect("it fits into memory")];
        // At a position of its own: the handles share one, at which the process writes.
        self.log.read_exact_at(&mut bytes, 0).expect("a log only grows");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a log line contains the text.
    pub fn await_log(&self, text: &str) {
        until_blocking(&format!("{} logs {text:?}", self.name), ENDS_WITHIN, || self.log_text().contains(text).then_some(()));
    }

    /// Kills it at once, as `kill -9` does, without waiting for the end.
    pub fn kill(&mut self) {
        self.child.kill().expect("a process of ours can be killed");
    }

    /// Kills it, waits until it is gone, and says how it ended.
    pub fn kill_and_wait(&mut self) -> ExitStatus {
        self.kill();
        self.child.wait().expect("a killed process ends")
    }

    /// Stops it where it is, as `kill -STOP` does: it keeps its memory and its sockets, and does nothing.
    pub fn pause(&self) {
        self.signal("STOP");
        until_blocking(&format!("{} is paused", self.name), ENDS_WITHIN, || self.is_paused().then_some(()));
    }

    /// Whether it is stopped where it was, which the system says.
    pub fn is_paused(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Sends it a signal by name, `INT` or `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill(1) is there").success(), "{} can't be sent {name}", self.name);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for(&mut self.child, &format!("{} ends", self.name))
    }

    fn unannounced_errors(&self) -> Vec<String> {
        let log = self.log_text();
        let is_error = |line: &&str| line.contains("\"level\":\"ERROR\"") || line.contains("panicked at");
        let unannounced = |line: &&str| !self.announced.iter().any(|text| line.contains(text));
        log.lines().filter(is_error).filter(unannounced).map(str::to_owned).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log_text();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the last lines of {}:", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
            return;
        }
        let errors = self.unannounced_errors();
        assert!(errors.is_empty(), "{} logged errors that the test did not announce:\n{}", self.name, errors.join("\n"));
    }
}
