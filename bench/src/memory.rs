//! What a million tweets take: the resident memory of a worker that holds them, measured by the growth of its process, and the
//! time that a worker takes to start from a log with them in it.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;

use crate::client::{Client, fill, log_in};
use crate::http::body;
use crate::machine;
use crate::processes::Process;

/// Fills a cluster of one worker with a log, and looks at the worker; then starts it again.
pub async fn run(skein: &Path, directory: &Path, tweets: usize) -> anyhow::Result<()> {
    let data = directory.join("worker").display().to_string();
    let args = ["worker", "0", "--data", &data, "--sync", "interval:1000", "--memory-max", "16GiB"];
    let worker = Process::start(skein, &args, &directory.join("worker.log"))?;
    let memory = Process::start(skein, &["worker", "0", "--memory-max", "16GiB"], &directory.join("memory.log"))?;
    let control = directory.join("coordinator").display().to_string();
    let coordinator_args = ["coordinator", "0", worker.cluster(), memory.cluster(), "--data", &control, "--auth", "name"];
    let coordinator = Process::start(skein, &coordinator_args, &directory.join("coordinator.log"))?;
    let cookie = log_in(coordinator.http(), "bench").await?;
    let before = (machine::resident_bytes(worker.pid())?, machine::resident_bytes(memory.pid())?);

    let begun = Instant::now();
    fill(coordinator.http(), &cookie, &body(), tweets, 0).await?;
    println!("{tweets} tweets posted in {:.1} s", begun.elapsed().as_secs_f64());
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let each = |bytes: u64| bytes as f64 / tweets as f64;
    for (name, pid, before) in [("with a log", worker.pid(), before.0), ("in memory", memory.pid(), before.1)] {
        let resident = machine::resident_bytes(pid)?;
        println!(
            "worker {name}: {:.0} MiB resident, {:.0} bytes a tweet beyond the {:.0} MiB of an empty one",
            mib(resident),
            each(resident.saturating_sub(before)),
            mib(before)
        );
    }
    println!("coordinator: {:.0} MiB resident", mib(machine::resident_bytes(coordinator.pid())?));
    let page = Client::connect(coordinator.http(), &cookie).await?.get("/api/tweet?limit=1").await?;
    ensure!(page["tweets"].as_array().is_some_and(|tweets| tweets.len() == 1), "no tweet is there: {page}");

    coordinator.stop()?;
    worker.stop()?;
    drop(memory);
    let begun = Instant::now();
    let worker = Process::start(skein, &args, &directory.join("worker-again.log"))?;
    let elapsed = begun.elapsed().as_secs_f64();
    println!(
        "the worker was ready again after {elapsed:.2} s ({:.2} s of processor time), with {:.0} MiB resident",
        machine::used_by(worker.pid())?.duration().as_secs_f64(),
        mib(machine::resident_bytes(worker.pid())?)
    );
    Ok(())
}
