//! One measurement: wrk puts a load on a server for some seconds, and what it saw is put beside what the servers and the rest
//! of the machine used meanwhile.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::machine;

/// A load on one server.
#[derive(Clone, Debug)]
pub struct Load {
    /// `HOST:PORT`.
    pub host: String,
    /// The cookie of a logged-in user, or nothing.
    pub cookie: String,
    /// What is sent.
    pub request: Request,
    /// Keep-alive connections.
    pub connections: usize,
    /// Processes whose processor time is counted.
    pub pids: Vec<u32>,
}

/// What a load sends again and again.
#[derive(Clone, Debug)]
pub enum Request {
    /// `POST` of this body to this path.
    Post(String, String),
    /// `GET` of this path with each of the ids in this file behind it.
    GetEach(String, PathBuf),
    /// `GET` of this path.
    Get(String),
}

/// What came of one measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// Requests answered a second.
    pub requests_per_second: f64,
    /// Half of the answers took no longer.
    pub p50_us: u64,
    /// 99 of 100 answers took no longer.
    pub p99_us: u64,
    /// Processor time of the servers for one request, in all their threads.
    pub server_cpu_us: f64,
    /// Processors that the load tool kept busy.
    pub load_processors: f64,
    /// Processors that everybody else kept busy: neither the servers nor the load tool, but the kernel's part of their
    /// network traffic that it charges to nobody.
    pub other_processors: f64,
    /// Processes that wanted a processor in the last minute.
    pub load_average: f64,
}

/// What the load's script says at its end.
#[derive(Deserialize)]
struct Said {
    requests: u64,
    duration_us: u64,
    p50_us: u64,
    p99_us: u64,
    failed: u64,
    broken: u64,
}

impl Load {
    /// Loads the server for so many seconds. Every answer must be a good one.
    pub fn measure(&self, script: &Path, seconds: u64) -> anyhow::Result<Measured> {
        let threads = self.connections.min(2);
        let mut wrk = Command::new("wrk");
        wrk.args(["-t", &threads.to_string(), "-c", &self.connections.to_string(), "-d", &format!("{seconds}s")]);
        wrk.arg("-s").arg(script).arg(format!("http://{}", self.host)).arg("--");
        match &self.request {
            Request::Post(path, body) => wrk.args(["POST", path, &self.cookie, body]),
            Request::GetEach(path, ids) => wrk.args(["GET", path, &self.cookie]).arg(ids),
            Request::Get(path) => wrk.args(["GET", path, &self.cookie, ""]),
        };
        let servers =
            || self.pids.iter().map(|pid| Ok(machine::used_by(*pid)?.0)).sum::<anyhow::Result<u64>>().map(machine::Ticks);
        let before = (servers()?, machine::used_by_ended_children()?, machine::used_by_all()?, Instant::now());
        let output = wrk.stderr(Stdio::inherit()).output().context("wrk can't be started; `ops/setup bench` installs it")?;
        let used = servers()?.since(before.0).duration();
        let tool = machine::used_by_ended_children()?.since(before.1).duration();
        let all = machine::used_by_all()?.since(before.2).duration();
        let elapsed = before.3.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.strip_prefix("result ")).with_context(|| format!("wrk said {text}"))?;
        let said: Said = serde_json::from_str(line)?;
        ensure!(said.failed == 0 && said.broken == 0, "{} answers were errors, {} did not come", said.failed, said.broken);
        ensure!(said.requests > 0, "nothing was answered in {seconds} s");
        Ok(Measured {
            requests_per_second: said.requests as f64 * 1e6 / said.duration_us as f64,
            p50_us: said.p50_us,
            p99_us: said.p99_us,
            server_cpu_us: used.as_secs_f64() * 1e6 / said.requests as f64,
            load_processors: tool.as_secs_f64() / elapsed,
            other_processors: (all.saturating_sub(used).saturating_sub(tool)).as_secs_f64() / elapsed,
            load_average: machine::load_average()?,
        })
    }
}
