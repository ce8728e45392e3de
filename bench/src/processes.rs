//! Processes under measurement: started with their logs in a file, ready when they say so, ended when dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// One process that said that it is ready.
pub struct Process {
    child: Child,
    /// What it said: `ready http://HOST:PORT cluster HOST:PORT`.
    ready: String,
}

impl Process {
    /// Starts it and waits for its one line.
    pub fn start(program: &Path, args: &[&str], log: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()))?;
        let mut ready = String::new();
        BufReader::new(child.stdout.take().context("its output is a pipe")?).read_line(&mut ready)?;
        if !ready.starts_with("ready ") {
            bail!("{} {args:?} ended before it was ready; see {}", program.display(), log.display());
        }
        Ok(Process { child, ready: ready.trim_end().to_owned() })
    }

    /// `HOST:PORT` of its HTTP surface.
    pub fn http(&self) -> &str {
        self.word(1).trim_start_matches("http://")
    }

    /// `HOST:PORT` where a worker speaks the cluster's protocol.
    pub fn cluster(&self) -> &str {
        self.word(3)
    }

    fn word(&self, place: usize) -> &str {
        self.ready.split(' ').nth(place).unwrap_or_default()
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { bail!("{} ended with {status}", self.ready) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
