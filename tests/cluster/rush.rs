//! Three thousand connections that write without a pause, and a coordinator that is killed under them: what it leaves behind, and what
//! they ask meanwhile, must not keep the next one from serving. The window is small enough to be filled many times over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::client::{Client, Failure};
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::stall;
use crate::harness::wait::until;

const WRITERS: usize = 3_000;

/// Transactions of one coordinator that workers have to remember: a part of what the writers ask at once.
const WINDOW: &str = "1024";

/// Files that a process may have open: the coordinator has a socket for each writer, and so has this one.
const FILES_MIN: usize = WRITERS + 256;

/// Writes before the first death and after each: more than the window.
const WRITES: usize = 2_500;

/// After a coordinator is ready again, a write is acknowledged within this that was begun after that.
const RESUMED_WITHIN: Duration = Duration::from_secs(5);

/// How long so many writes may take on a slow machine.
const WRITES_WITHIN: Duration = Duration::from_secs(60);

/// Once the clients have stopped, writes are served within this.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The pause after an answer that was no.
const PAUSE: Duration = Duration::from_millis(50);

/// The writers, and what they were told.
struct Rush {
    writers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    /// The keys that were acknowledged, with the moment at which each write was begun.
    acknowledged: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Rush {
    async fn start(url: &str) -> Self {
        let session = Client::logged_in(url, "rush").await;
        let mut rush = Rush { writers: JoinSet::new(), stop: Arc::default(), acknowledged: Arc::default() };
        for writer in 0..WRITERS {
            let mut client = Client::new(url);
            client.share_session(&session);
            let (stop, acknowledged) = (Arc::clone(&rush.stop), Arc::clone(&rush.acknowledged));
            rush.writers.spawn(async move {
                let mut pause = tokio::time::interval(PAUSE);
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (key, began) = (format!("rush-{writer}-{number}"), Instant::now());
                    match client.send(Method::PUT, &format!("/api/data/{key}"), &[], Some(&json!(number))).await {
                        Ok(answer) if answer.status == 201 => {
                            acknowledged.lock().expect("nobody panics with it").push((key, began));
                        }
                        Ok(answer) => {
                            assert!(matches!(answer.status, 429 | 503), "{key}: {answer:?}");
                            pause.reset();
                            pause.tick().await;
                        }
                        Err(Failure::NotSent | Failure::Lost) => {
                            pause.reset();
                            pause.tick().await;
                        }
                        Err(Failure::Silent) => panic!("{key}: no answer at all"),
                    }
                }
            });
        }
        rush
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("nobody panics with it").len()
    }

    /// Waits until so many more writes were acknowledged.
    async fn writes(&self, more: usize) {
        let target = self.count() + more;
        let enough = async || (self.count() >= target).then_some(());
        until(&format!("{more} more writes are acknowledged"), WRITES_WITHIN, enough).await;
    }

    /// Waits for the first write that was begun after this moment; gives how long that took, without the time in which the machine
    /// itself stood still.
    async fn resumed_after(&self, moment: Instant) -> Duration {
        let begun =
            || self.acknowledged.lock().expect("nobody panics with it").iter().rev().take(WRITERS).any(|it| it.1 > moment);
        until("a write is acknowledged again", WRITES_WITHIN, async || begun().then_some(())).await;
        stall::fair_since(moment)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_writers_outlive_a_coordinator_that_is_killed_under_them_twice() {
    assert!(files_max() >= FILES_MIN, "this test opens {FILES_MIN} files at once: raise the limit with `ulimit -n`");
    let mut plan = Plan::logged().patient();
    plan.coordinator_flags.extend(["--window", WINDOW]);
    let mut cluster = Cluster::start(plan);
    let rush = Rush::start(&cluster.url()).await;
    rush.writes(WRITES).await;
    for death in ["first", "second"] {
        let what = format!("writes go on after the {death} death under {WRITERS} writers");
        let took = stall::holds(&what, RESUMED_WITHIN, async || {
            cluster.kill_coordinator();
            cluster.start_all();
            let resumed = rush.resumed_after(Instant::now()).await;
            rush.writes(WRITES).await;
            resumed
        })
        .await;
        println!("{what}: {took:?}");
    }
    rush.stop.store(true, Ordering::Relaxed);
    rush.writers.join_all().await;
    let mut watcher = Client::new(&cluster.url());
    let ready = async || (watcher.get("/readyz").await.status == 200).then_some(());
    until("writes are served once the clients have stopped", READY_WITHIN, ready).await;
    let there = keys(&cluster.url()).await;
    let acknowledged = std::mem::take(&mut *rush.acknowledged.lock().expect("nobody panics with it"));
    let lost: Vec<&String> = acknowledged.iter().map(|(key, _)| key).filter(|key| !there.contains(*key)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged records are lost: {:?}", lost.len(), acknowledged.len(), lost.first());
    cluster.agreed(3).await;
}

/// The keys of all that is there.
async fn keys(url: &str) -> BTreeSet<String> {
    let mut client = Client::logged_in(url, "rush").await;
    let (mut keys, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let answer = client.get(&format!("/api/data?prefix=rush-&limit=1000{cursor}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let data = page["data"].as_array().expect("a list of records");
        keys.extend(data.iter().map(|record| record["key"].as_str().expect("a key").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return keys,
        }
    }
}

/// How many files a process may have open at once.
fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the system says");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line about files");
    line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).unwrap_or(usize::MAX)
}
