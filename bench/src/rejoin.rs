//! What clients notice when a worker comes back that has everything to copy: a cluster with a million records and a steady load
//! of writes loses a worker and gets it back, and the writes a second are counted before, without it, and while it copies.
//! They are counted in one run, so their ratio says more than either. It is that of a whole cluster that is held against the
//! bar: with fewer members a write costs less, whether anybody copies or not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Client, log_in};
use crate::processes::Process;

/// Replicas.
const WORKERS: usize = 3;

/// Records that one transaction makes, and transactions at a time, while the store is filled.
const RECORDS_AT_ONCE: usize = 32;
const FILLERS: usize = 16;

/// Clients that write all the time.
const WRITERS: usize = 32;

/// What must be left of the writes a second while a worker copies.
const BAR: f64 = 2.0 / 3.0;

/// How long the load settles before it is counted, and how long anything else may take.
const SETTLES: Duration = Duration::from_secs(2);
const LEFT_OUT_WITHIN: Duration = Duration::from_secs(30);
const BACK_WITHIN: Duration = Duration::from_secs(900);

/// How long writes are counted for one figure.
const WINDOW: Duration = Duration::from_secs(1);

/// How often the cluster is asked how it stands.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Fills a cluster, kills a worker under load, and starts it again; `false` if too little is left of the writes.
pub async fn run(skein: &Path, directory: &Path, records: usize, seconds: u64) -> anyhow::Result<bool> {
    let start = |index: usize, port: &str, run: &str| {
        let data = directory.join(format!("worker-{index}")).display().to_string();
        let args = ["worker", port, "--data", &data, "--memory-max", "8GiB"];
        Process::start(skein, &args, &directory.join(format!("worker-{index}{run}.log")))
    };
    let mut workers = (0..WORKERS).map(|index| start(index, "0", "")).collect::<anyhow::Result<Vec<_>>>()?;
    let control = directory.join("coordinator").display().to_string();
    let mut args = vec!["coordinator", "0"];
    args.extend(workers.iter().map(Process::cluster));
    args.extend(["--data", &control, "--auth", "name"]);
    let coordinator = Process::start(skein, &args, &directory.join("coordinator.log"))?;
    let host = coordinator.http().to_owned();
    let cookie = log_in(&host, "bench").await?;

    let begun = Instant::now();
    fill(&host, &cookie, records).await?;
    println!("{records} records made in {:.1} s", begun.elapsed().as_secs_f64());

    let load = Load::start(&host, &cookie);
    let mut watcher = Client::connect(&host, &cookie).await?;
    tokio::time::sleep(SETTLES).await;
    let whole = load.measure(Duration::from_secs(seconds)).await;
    println!("writes a second with {WORKERS} members: {whole:.0}");

    let last = workers.pop().context("there are workers")?;
    let address = last.cluster().to_owned();
    // Killed, not asked: it must have everything to copy, as after a crash.
    drop(last);
    until("the worker is left out", LEFT_OUT_WITHIN, &mut watcher, |standing| !named(standing, "members", &address)).await?;
    tokio::time::sleep(SETTLES).await;
    let without = load.measure(Duration::from_secs(seconds)).await;
    println!("writes a second without it: {without:.0}");

    let again = start(WORKERS - 1, address.rsplit(':').next().unwrap_or_default(), "-again")?;
    until("the worker is a learner", LEFT_OUT_WITHIN, &mut watcher, |standing| {
        named(standing, "learners", &address) || named(standing, "members", &address)
    })
    .await?;
    let begun = Instant::now();
    let mut windows = Windows::new(&load);
    let mut progress = Vec::new();
    let standing = until("the worker is a member again", BACK_WITHIN, &mut watcher, |standing| {
        let learner = standing["learners"].as_array().and_then(|learners| learners.first());
        progress.extend(learner.and_then(|learner| learner["records_copied"].as_u64()));
        windows.look(&load);
        named(standing, "members", &address)
    })
    .await?;
    let took = begun.elapsed();
    let during = windows.median(&load);
    println!("writes a second while it copied: {during:.0}, for {:.1} s", took.as_secs_f64());
    ensure!(progress.is_sorted() && progress.last().is_some_and(|last| *last > 0), "no progress was shown: {progress:?}");
    let refused = load.stop().await?;
    let whole_again = standing["members"].as_array().is_some_and(|members| members.len() == WORKERS);
    ensure!(whole_again, "not everybody is a member: {standing}");
    println!("{refused} writes were refused or unknown in all that time");
    drop((again, workers));
    let (of_whole, of_without) = (during / whole, during / without);
    println!(
        "left of the writes: {of_whole:.2} of those with {WORKERS} members, {of_without:.2} of those without it; the bar is {BAR:.2}"
    );
    Ok(of_whole >= BAR)
}

/// Makes so many records.
async fn fill(host: &str, cookie: &str, records: usize) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut fillers = JoinSet::new();
    for _ in 0..FILLERS {
        let (mut client, next) = (Client::connect(host, cookie).await?, Arc::clone(&next));
        fillers.spawn(async move {
            loop {
                let from = usize::try_from(next.fetch_add(RECORDS_AT_ONCE as u64, Ordering::Relaxed))?;
                if from >= records {
                    return anyhow::Ok(());
                }
                let keys = (from..records.min(from + RECORDS_AT_ONCE)).map(|number| format!("record-{number:08}"));
                let writes: Vec<Value> =
                    keys.map(|key| json!({ "value": { "of": key, "text": "x".repeat(60) }, "key": key })).collect();
                let body = json!({ "reads": [], "writes": writes }).to_string();
                let (status, answer) = client.send_json("POST", "/api/transactions", body).await?;
                ensure!(status == 200, "a transaction was answered {status}: {answer}");
            }
        });
    }
    while let Some(filled) = fillers.join_next().await {
        filled??;
    }
    Ok(())
}

/// Clients that write all the time.
struct Load {
    written: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    writers: JoinSet<anyhow::Result<u64>>,
}

impl Load {
    fn start(host: &str, cookie: &str) -> Self {
        let mut load = Load { written: Arc::default(), stop: Arc::default(), writers: JoinSet::new() };
        for writer in 0..WRITERS {
            let (host, cookie) = (host.to_owned(), cookie.to_owned());
            let (written, stop) = (Arc::clone(&load.written), Arc::clone(&load.stop));
            load.writers.spawn(async move {
                let mut client = Client::connect(&host, &cookie).await?;
                let mut refused = 0;
                for number in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A hundred records of its own, each written again and again: the store does not grow meanwhile.
                    let path = format!("/api/data/load-{writer}-{}", number % 100);
                    let body = json!({ "number": number, "text": "y".repeat(60) }).to_string();
                    match client.send_json("PUT", &path, body).await?.0 {
                        200 | 201 => _ = written.fetch_add(1, Ordering::Relaxed),
                        503 => refused += 1,
                        status => anyhow::bail!("a write was answered {status}"),
                    }
                }
                Ok(refused)
            });
        }
        load
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Writes a second, over this time.
    async fn measure(&self, time: Duration) -> f64 {
        let (begun, mut windows) = (Instant::now(), Windows::new(self));
        while begun.elapsed() < time {
            tokio::time::sleep(LOOK_EVERY).await;
            windows.look(self);
        }
        windows.median(self)
    }

    /// Ends it, and says how many writes were not taken.
    async fn stop(mut self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut refused = 0;
        while let Some(writer) = self.writers.join_next().await {
            refused += writer??;
        }
        Ok(refused)
    }
}

/// Writes a second in each window of a second or so. Their median counts, since others may want the machine for a moment, too.
struct Windows {
    since: (Instant, u64),
    rates: Vec<f64>,
}

impl Windows {
    fn new(load: &Load) -> Self {
        Windows { since: (Instant::now(), load.written()), rates: Vec::new() }
    }

    /// Ends a window that has lasted for long enough.
    fn look(&mut self, load: &Load) {
        if self.since.0.elapsed() >= WINDOW {
            self.end(load);
        }
    }

    fn end(&mut self, load: &Load) {
        let (now, written) = (Instant::now(), load.written());
        self.rates.push((written - self.since.1) as f64 / (now - self.since.0).as_secs_f64());
        self.since = (now, written);
    }

    fn median(mut self, load: &Load) -> f64 {
        if self.rates.is_empty() {
            self.end(load);
        }
        self.rates.sort_by(f64::total_cmp);
        self.rates[self.rates.len() / 2]
    }
}

/// Whether an address is among the members or learners.
fn named(standing: &Value, list: &str, address: &str) -> bool {
    standing[list].as_array().is_some_and(|nodes| nodes.iter().any(|node| node["address"] == address))
}

/// Asks how the cluster stands until it stands so.
async fn until(
    what: &str,
    within: Duration,
    watcher: &mut Client,
    mut enough: impl FnMut(&Value) -> bool,
) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let standing = watcher.get("/api/cluster").await?;
        if enough(&standing) {
            return Ok(standing);
        }
        ensure!(begun.elapsed() < within, "waited {within:?} in vain until {what}: {standing}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
