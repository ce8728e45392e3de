//! Many clients read long lists, and some of them read very slowly. They must not disturb the cluster: the view and its members stay,
//! each write is accepted, and the coordinator's memory stays within a bound. Some reads may be refused for the moment, but some must
//! be answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::stall::{self, say};
use crate::load::read_slowly;

/// Records of the list, and the bytes of each: together as long as an answer may be.
const RECORDS: usize = 1_000;
const RECORD_BYTES: usize = 1_000;

/// Records that one transaction writes.
const BATCH: usize = 25;

const LIST: &str = "/api/data?prefix=L&limit=1000";

/// How long each kind of readers reads.
const LASTS: Duration = Duration::from_secs(30);

const FAST_READERS: usize = 600;
const SLOW_READERS: usize = 300;

/// Memory that the coordinator may take at the most.
const MEMORY_MIB_MAX: u64 = 700;

/// What readers were answered.
#[derive(Default)]
struct Heard {
    lists: AtomicUsize,
    refused: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_long_lists_end_no_view_and_refuse_no_write() {
    // Three times the beats of the default: a machine on which a process gets no turn for a second is not what this is about.
    let mut plan = Plan::logged();
    plan.coordinator_flags.extend(["--heartbeats-missed", "12"]);
    let mut cluster = Cluster::start(plan);
    let url = cluster.url();
    let mut writer = Client::logged_in(&url, "ada").await;
    fill(&mut writer).await;
    let reader = Client::logged_in(&url, "reader").await;

    let fast = async || {
        let heard = Arc::new(Heard::default());
        let mut readers = JoinSet::new();
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..FAST_READERS {
            let mut client = Client::new(&url);
            client.share_session(&reader);
            readers.spawn(read_fast(client, Arc::clone(&heard), Arc::clone(&stop)));
        }
        let writes = write_meanwhile(&mut writer).await;
        stop.store(true, Ordering::Relaxed);
        readers.join_all().await;
        let (lists, refused) = (heard.lists.load(Ordering::Relaxed), heard.refused.load(Ordering::Relaxed));
        println!("next to {FAST_READERS} readers: {}; {lists} lists were answered and {refused} refused", describe(&writes));
        assert!(lists > 20, "only {lists} lists were answered, {refused} refused");
    };
    keeps_its_view(&mut cluster, fast).await;

    let slow = async || {
        let mut readers = JoinSet::new();
        for _ in 0..SLOW_READERS {
            let (server, cookie) = (writer.address(), reader.cookie().expect("logged in").to_owned());
            readers.spawn(async move {
                let ended = read_slowly(server, &cookie, LIST, RECORDS * RECORD_BYTES).await;
                panic!("the coordinator listens and takes requests: {ended:?}");
            });
        }
        let writes = write_meanwhile(&mut writer).await;
        readers.shutdown().await;
        println!("next to {SLOW_READERS} slow readers: {}", describe(&writes));
    };
    keeps_its_view(&mut cluster, slow).await;
}

/// Writes the records of the list.
async fn fill(writer: &mut Client) {
    let value = "x".repeat(RECORD_BYTES);
    for batch in 0..RECORDS / BATCH {
        let put = |number| json!({ "key": format!("L{:04}", batch * BATCH + number), "value": value });
        let writes: Vec<Value> = (0..BATCH).map(put).collect();
        let answer = writer.post("/api/transactions", &json!({ "writes": writes })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Posts one tweet after the other, each of which must be taken; how long each took.
async fn write_meanwhile(writer: &mut Client) -> Vec<Duration> {
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < LASTS {
        let sent = Instant::now();
        writer.tweet("next to many readers").await;
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    took
}

fn describe(took: &[Duration]) -> String {
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    format!("{} writes, half of them within {:?}, p99 {:?}, the slowest {:?}", took.len(), at(50), at(99), at(100))
}

async fn read_fast(mut client: Client, heard: Arc<Heard>, stop: Arc<AtomicBool>) {
    // As `Retry-After` says.
    let mut pause = tokio::time::interval(Duration::from_secs(1));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        match client.send(Method::GET, LIST, &[], None).await {
            Ok(answer) if answer.status == 200 => {
                assert!(answer.body.len() > RECORDS * RECORD_BYTES, "a list of {} bytes", answer.body.len());
                heard.lists.fetch_add(1, Ordering::Relaxed);
            }
            // On a machine that has no time for it a list may come too late.
            Ok(answer) if answer.status == 504 => {}
            Ok(answer) => {
                assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{answer:?}");
                heard.refused.fetch_add(1, Ordering::Relaxed);
                pause.tick().await;
            }
            Err(failure) => panic!("a list was not answered: {failure:?}"),
        }
    }
}

/// The view and its members are as before this load, no connection was closed for what was sent over it, and memory kept its bound. A
/// machine on which a worker got no turn for seconds is given a second chance, which is said.
async fn keeps_its_view(cluster: &mut Cluster, mut load: impl AsyncFnMut()) {
    let ids = |standing: &Value| -> Vec<String> {
        standing["members"].as_array().expect("members").iter().map(|member| member["node"].to_string()).collect()
    };
    for is_last in [false, true] {
        let (before, begun) = (cluster.agreed(3).await, Instant::now());
        load().await;
        let after = cluster.agreed(3).await;
        if (&after["view"], ids(&after)) == (&before["view"], ids(&before)) {
            break;
        }
        let stood_still = stall::between(begun, Instant::now());
        assert!(!is_last, "the view has changed again; the machine stood still for {stood_still:?}: {after}");
        say(&format!("the view has changed next to readers; the machine stood still for {stood_still:?}; once more"));
    }
    for index in 0..3 {
        let url = cluster.worker(index).url().to_owned();
        let metrics = Client::new(&url).get("/metrics").await.text();
        let overflows = metrics.lines().find(|line| line.starts_with("skein_transport_overflows_total")).expect("the metric");
        assert!(overflows.ends_with(" 0"), "{overflows}");
    }
    let peak = memory_peak_mib(cluster.coordinator().id());
    println!("the coordinator took {peak} MiB at the most");
    assert!(peak < MEMORY_MIB_MAX, "the coordinator took {peak} MiB");
}

/// The most that a process has held in memory so far.
fn memory_peak_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says so");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("kB") / 1024
}
