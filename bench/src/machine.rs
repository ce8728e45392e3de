//! What the machine did meanwhile, from `/proc`: processor time of single processes and of everybody, memory, load. It is the
//! difference between a figure and an anecdote: requests per second depend on who else was there, processor time per request
//! hardly does.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// Ticks of `/proc` a second: `USER_HZ`, fixed on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time, user and system together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks(pub u64);

impl Ticks {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0 * 1_000 / TICKS_PER_SECOND)
    }

    /// What was used since an earlier reading.
    pub fn since(self, earlier: Ticks) -> Ticks {
        Ticks(self.0.saturating_sub(earlier.0))
    }
}

/// What a process and all its threads have used so far.
pub fn used_by(pid: u32) -> anyhow::Result<Ticks> {
    let fields = stat(&format!("/proc/{pid}/stat"))?;
    Ok(Ticks(fields[11] + fields[12]))
}

/// What this process's children that have ended used.
pub fn used_by_ended_children() -> anyhow::Result<Ticks> {
    let fields = stat("/proc/self/stat")?;
    Ok(Ticks(fields[13] + fields[14]))
}

/// What everybody on the machine has used so far.
pub fn used_by_all() -> anyhow::Result<Ticks> {
    let text = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy = fields.iter().enumerate().filter(|(place, _)| !matches!(place, 3 | 4) && *place < 8).map(|(_, ticks)| ticks).sum();
    Ok(Ticks(busy))
}

/// The fields of a process's `stat` from the third on, numbers only; what is no number counts as 0.
fn stat(path: &str) -> anyhow::Result<Vec<u64>> {
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let (_, rest) = text.rsplit_once(')').with_context(|| format!("{path} has no name"))?;
    Ok(rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

/// Bytes of memory that a process has resident.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).context("VmRSS is no number")?;
    Ok(kib * 1024)
}

/// Processes that want a processor, averaged over the last minute.
pub fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    text.split_whitespace().next().and_then(|field| field.parse().ok()).context("/proc/loadavg is no number")
}

/// How many processors there are.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What processor it is, and the kernel.
pub fn description() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).map_or("unknown processor", |rest| rest);
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let meminfo = read("/proc/meminfo");
    let kib: u64 = meminfo.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{} x {model}, {} GiB of memory, Linux {}", processors(), kib >> 20, kernel.trim())
}
