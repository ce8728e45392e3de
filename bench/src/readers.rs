//! What writers notice of readers: a cluster with a list of a megabyte, a few clients that write all the time, and the p99 of their
//! writes before and while 64 others ask for the list without end. A reader that is told to come back later does so. Both are counted
//! in one run, so their ratio says more than either.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Client, log_in};
use crate::http::Cluster;

/// Records of the list, their bytes, and how many of them one transaction makes.
const RECORDS: usize = 1_000;
const RECORD_BYTES: usize = 1_000;
const RECORDS_AT_ONCE: usize = 25;

const READERS: usize = 64;
const WRITERS: usize = 8;

/// How long the load settles before it is counted.
const SETTLES: Duration = Duration::from_secs(1);

/// After this a reader that was told to come back does so.
const COMES_BACK: Duration = Duration::from_secs(1);

/// Measures, and prints both figures with their ratio.
pub async fn run(skein: &Path, directory: &Path, seconds: u64) -> anyhow::Result<()> {
    let cluster = Cluster::start(skein, directory)?;
    let host = cluster.coordinator.http().to_owned();
    let cookie = log_in(&host, "bench").await?;
    fill(&host, &cookie).await?;
    let lasts = Duration::from_secs(seconds);
    let alone = write(&host, &cookie, lasts).await?;
    let (stop, lists, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let cookie = log_in(&host, &format!("reader-{reader}")).await?;
        let mut client = Client::connect(&host, &cookie).await?;
        let (stop, lists, refused) = (Arc::clone(&stop), Arc::clone(&lists), Arc::clone(&refused));
        readers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match client.send_json("GET", "/api/data?prefix=L&limit=1000", String::new()).await?.0 {
                    200 => _ = lists.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        refused.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(COMES_BACK).await;
                    }
                    status => anyhow::bail!("a list was answered {status}"),
                }
            }
            Ok(())
        });
    }
    tokio::time::sleep(SETTLES).await;
    let (begun, before) = (Instant::now(), lists.load(Ordering::Relaxed));
    let among = write(&host, &cookie, lasts).await?;
    let rate = (lists.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(reader) = readers.join_next().await {
        reader??;
    }
    let (alone, among) = (p99(alone), p99(among));
    println!(
        "p99 of writes: {:.1} ms alone, {:.1} ms next to {READERS} readers of 1 MB lists, {:.1} times that; {rate:.0} lists a second, {} \
         refused",
        alone.as_secs_f64() * 1e3,
        among.as_secs_f64() * 1e3,
        among.as_secs_f64() / alone.as_secs_f64(),
        refused.load(Ordering::Relaxed)
    );
    Ok(())
}

/// Makes the records of the list.
async fn fill(host: &str, cookie: &str) -> anyhow::Result<()> {
    let mut client = Client::connect(host, cookie).await?;
    let value = "x".repeat(RECORD_BYTES);
    for batch in 0..RECORDS / RECORDS_AT_ONCE {
        let record = |number| json!({ "key": format!("L{:04}", batch * RECORDS_AT_ONCE + number), "value": value });
        let writes: Vec<Value> = (0..RECORDS_AT_ONCE).map(record).collect();
        let (status, answer) = client.send_json("POST", "/api/transactions", json!({ "writes": writes }).to_string()).await?;
        ensure!(status == 200, "a transaction was answered {status}: {answer}");
    }
    Ok(())
}

/// Writes for so long; how long each write took.
async fn write(host: &str, cookie: &str, lasts: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut client = Client::connect(host, cookie).await?;
        writers.spawn(async move {
            let (begun, mut took) = (Instant::now(), Vec::new());
            for number in 0_u64.. {
                if begun.elapsed() >= lasts {
                    break;
                }
                let sent = Instant::now();
                let path = format!("/api/data/write-{writer}-{}", number % 100);
                let (status, answer) = client.send_json("PUT", &path, json!({ "number": number }).to_string()).await?;
                ensure!(status == 200 || status == 201, "a write was answered {status}: {answer}");
                took.push(sent.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = writers.join_next().await {
        all.extend(took??);
    }
    Ok(all)
}

fn p99(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[(took.len() - 1) * 99 / 100]
}
