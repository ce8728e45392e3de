//! Flame graphs of the two writes: `perf` samples the servers while the load runs, `inferno` draws. All processes of a cluster
//! go into one picture, so that its width is the whole price of a write.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::client::log_in;
use crate::http::{Cluster, body, up};
use crate::load::{Load, Request};

/// Connections of the load.
const CONNECTIONS: usize = 64;

/// Samples a second. No divisor of any timer's period, so that it does not run along with one.
const SAMPLES_PER_SECOND: &str = "497";

/// Draws both pictures into a directory.
pub async fn run(skein: &Path, script: &Path, directory: &Path, seconds: u64, output: &Path) -> anyhow::Result<()> {
    let memory = up(skein, &directory.join("up.log"))?;
    let load = Load {
        host: memory.http().to_owned(),
        cookie: log_in(memory.http(), "bench").await?,
        request: Request::Post("/api/tweet".to_owned(), body()),
        connections: CONNECTIONS,
        pids: vec![memory.pid()],
    };
    draw(&load, script, directory, seconds, &output.join("flame-post-in-memory.svg"), "POST /api/tweet on skein up, in memory")?;
    memory.stop()?;
    let cluster = Cluster::start(skein, directory)?;
    let host = cluster.coordinator.http().to_owned();
    let load = Load { cookie: log_in(&host, "bench").await?, host, pids: cluster.pids(), ..load };
    let title = "POST /api/tweet on a coordinator and three workers, each write synced";
    draw(&load, script, directory, seconds, &output.join("flame-post-synced.svg"), title)
}

fn draw(load: &Load, script: &Path, directory: &Path, seconds: u64, svg: &Path, title: &str) -> anyhow::Result<()> {
    let data: PathBuf = directory.join("perf.data");
    let pids: Vec<String> = load.pids.iter().map(u32::to_string).collect();
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "-F", SAMPLES_PER_SECOND, "--call-graph", "dwarf,16384", "-p", &pids.join(","), "-o"]);
    perf.arg(&data).args(["--", "sleep", &seconds.to_string()]);
    let mut recording = perf.spawn().context("perf can't be started; `ops/setup bench` installs it")?;
    load.measure(script, seconds)?;
    ensure!(recording.wait()?.success(), "perf could not sample the servers");
    let piped = |program: &str, args: &[&str], input: Stdio| {
        let mut command = Command::new(program);
        command.args(args).stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("{program} can't be started; `ops/setup bench` installs it"))
    };
    let path = data.to_str().context("a path that is no text")?;
    let mut samples = piped("perf", &["script", "--no-inline", "-i", path], Stdio::null())?;
    let stacks = samples.stdout.take().context("its output is a pipe")?;
    let mut folded = piped("inferno-collapse-perf", &[], stacks.into())?;
    let lines = folded.stdout.take().context("its output is a pipe")?;
    let drawing = Command::new("inferno-flamegraph")
        .args(["--title", title, "--countname", "samples", "--minwidth", "0.3"])
        .stdin(Stdio::from(lines))
        .stdout(File::create(svg)?)
        .status()?;
    let all = [samples.wait()?, folded.wait()?, drawing];
    ensure!(all.iter().all(|status| status.success()), "drawing {} failed: {all:?}", svg.display());
    println!("{}", svg.display());
    Ok(())
}
