//! What is left to a person: the last copy has a record that is not what was written, or all logs may lack their ends. Nothing is
//! given up until somebody says so, at the start of one worker; then the cluster is whole again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use skein_protocol::id::{Incarnation, TxnId};
use skein_protocol::record::{Record, Write};
use skein_runtime::wal::{self, Salvage, SyncPolicy};

use crate::harness::bits;
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, free_port};
use crate::harness::process::{self, Process};
use crate::harness::proxy::Weather;
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(20);

async fn put(client: &mut Client, key: &str, value: &Value) -> u16 {
    client.send(Method::PUT, &format!("/api/data/{key}"), &[], Some(value)).await.expect("an answer").status
}

async fn reads(client: &mut Client, key: &str, status: u16) {
    let what = format!("reading {key} gives {status}");
    until(&what, SOON, async || (client.get(&format!("/api/data/{key}")).await.status == status).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rots_in_the_memory_of_the_last_copy_is_sound_in_its_log() {
    // Nobody is to take the last copy for dead while it is paused: a read would be refused for that.
    let mut cluster = Cluster::start(Plan::logged().patient());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let value = json!("Kepler found that planets move on ellipses, 1609");
    assert_eq!(put(&mut client, "precious", &value).await, 201);
    cluster.kill_workers(&[1, 2]);
    cluster.agreed(1).await;
    cluster.coordinator().announce("holds records that are not what was written");
    // One bit of the store's own, not of what the log's engine keeps beside it. The last copy stays, and tells nobody what was
    // never written.
    let process = cluster.worker(0).id();
    let (sound, mut rotten) = (value.to_string().into_bytes(), value.to_string().into_bytes());
    *rotten.last_mut().expect("it is not empty") ^= 1;
    let mut unread = false;
    for place in bits::places(process, &sound) {
        // It holds something else by now where it has answered requests since; and nothing moves while a bit is flipped.
        cluster.worker(0).pause();
        let is_rotten = bits::flip_if(process, place, &sound);
        cluster.worker(0).resume();
        if !is_rotten {
            continue;
        }
        unread = client.get("/api/data/precious").await.status == 503;
        if unread {
            break;
        }
        cluster.worker(0).pause();
        bits::flip_if(process, place, &rotten);
        cluster.worker(0).resume();
    }
    assert!(unread, "the record is in the worker's memory");
    assert_eq!(put(&mut client, "another", &json!(1)).await, 201);
    let standing = client.get("/api/cluster").await.json();
    assert_eq!(standing["comparison"]["distrusted"].as_array().map(Vec::len), Some(1), "{standing}");

    // The others may be back before it has shown for long enough that nothing is wrong with it any more.
    cluster.coordinator().announce("has a copy that is trusted");
    cluster.kill_worker(0);
    cluster.start_worker(0);
    reads(&mut client, "precious", 200).await;
    assert_eq!(client.get("/api/data/precious").await.json(), value);
    cluster.start_all();
    cluster.agreed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_in_the_last_log_is_given_up_only_when_a_person_says_so() {
    let mut cluster = Cluster::start(Plan::logged());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    for number in 0..20 {
        assert_eq!(put(&mut client, &format!("key-{number}"), &json!(number)).await, 201);
    }
    cluster.agreed(3).await;
    cluster.kill_workers(&[1, 2]);
    cluster.agreed(1).await;
    cluster.kill_worker(0);
    damage(&cluster.worker_directory(0), b"key-7");
    cluster.coordinator().announce("holds records that are not what was written");

    cluster.start_worker(0);
    reads(&mut client, "key-8", 200).await;
    reads(&mut client, "key-7", 503).await;
    cluster.worker(0).await_log("nobody is told what it holds");
    let log = cluster.worker(0).log_text();
    assert!(log.contains("key-7") && !log.contains("key-8"), "{log}");
    assert_ne!(put(&mut client, "key-7", &json!("written over")).await, 200);

    cluster.kill_worker(0);
    cluster.coordinator().announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
    cluster.start_worker_with(0, &["--discard-damaged"]);
    reads(&mut client, "key-7", 404).await;
    cluster.worker(0).await_log("it is removed");
    cluster.worker(0).await_log("1 records of the log");
    cluster.start_all();
    let standing = cluster.agreed(3).await;
    assert_eq!(standing["comparison"]["distrusted"], json!([]), "{standing}");
    assert_eq!(put(&mut client, "key-7", &json!("back from a backup")).await, 201);
    for number in (0..20).filter(|number| *number != 7) {
        assert_eq!(client.get(&format!("/api/data/key-{number}")).await.json(), json!(number));
    }
    // For good, without the flag.
    cluster.kill_all();
    cluster.start_all();
    reads(&mut client, "key-7", 200).await;
}

/// Changes a record in a log as no program does it: under a checksum that does not fit any more.
fn damage(data: &Path, key: &[u8]) {
    let opened = wal::sled::open(data, SyncPolicy::Always, Salvage::default()).expect("a log");
    let (key, mut stored) = opened
        .snapshot
        .records
        .into_iter()
        .find(|(found, _)| found.bytes.as_slice().windows(key.len()).any(|part| part == key))
        .expect("the record is in the log");
    stored.value = b"\"what nobody wrote\"".to_vec().into();
    let txn = TxnId { incarnation: Incarnation(1), sequence: 1 };
    let writes = vec![Write { key, stored: Some(stored) }];
    let mut engine = opened.engine;
    engine.append(&[Record::Committed { txn, view: opened.snapshot.view, writes }]).expect("there is room");
    engine.close().expect("a disk");
}

/// Returns when each log of this server has done a sync that began after this was called.
async fn synced(server: &mut Client, client: &mut Client) {
    let before = syncs(server).await;
    let each_twice = async || {
        client.tweet("something to sync").await;
        let now = syncs(server).await;
        before.iter().all(|(log, count)| now[log] >= count + 2).then_some(())
    };
    until("each log is synced", SOON, each_twice).await;
}

/// How many syncs each log of this server has done.
async fn syncs(server: &mut Client) -> BTreeMap<String, u64> {
    let text = server.get("/metrics").await.text();
    let of_syncs =
        text.lines().filter(|line| line.starts_with("skein_wal_sync_duration_seconds_count") && line.contains("worker-"));
    let counts = of_syncs.filter_map(|line| line.rsplit_once(' '));
    let counts: BTreeMap<String, u64> = counts.map(|(log, count)| (log.to_owned(), count.parse().expect("a count"))).collect();
    assert!(!counts.is_empty(), "no log: {text}");
    counts
}

async fn all_there(client: &mut Client, numbers: usize) {
    let tweets = client.all_tweets().await;
    let numbered = tweets.iter().filter(|tweet| tweet["text"].as_str().is_some_and(|text| text.starts_with("number "))).count();
    assert_eq!(numbered, numbers, "{tweets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_without_their_ends_are_taken_up_only_when_a_person_accepts_that() {
    let mut cluster = Cluster::start(Plan { worker_flags: vec!["--sync", "interval:20"], ..Plan::logged() });
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    for number in 0..20 {
        client.tweet(&format!("number {number}")).await;
    }
    let url = cluster.worker(1).url().to_owned();
    synced(&mut Client::new(&url), &mut client).await;
    cluster.kill_all();
    cluster.spawn_all();
    let mut client = Client::new(&cluster.url());
    // Nobody has waited for it to listen.
    let waits = async || client.send(Method::GET, "/readyz", &[], None).await.ok().filter(|answer| answer.status == 503);
    until("it is known that nobody has a log that can be trusted", SOON, waits).await;
    // It says so after the time within which it would have begun with whoever is there.
    cluster.coordinator().await_log("waiting for workers; connected so far");
    assert_eq!(client.get("/readyz").await.status, 503, "nobody has decided anything");
    let standing = client.get("/api/cluster").await.json();
    assert_eq!((&standing["durability"], &standing["serving"]), (&Value::Null, &json!(false)), "{standing}");
    for index in 0..3 {
        cluster.worker(index).await_log("its end may be missing");
    }

    cluster.kill_worker(1);
    cluster.start_worker_with(1, &["--accept-incomplete-log"]);
    cluster.worker(1).await_log("though it may lack what was acknowledged last");
    cluster.coordinator().announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
    let standing = cluster.agreed(3).await;
    assert_eq!(standing["durability"], "logged");
    assert!(standing["curtailed_in_view"].is_u64() && standing["started_empty_in_view"].is_null(), "{standing}");
    assert!(client.get("/readyz").await.text().contains("records: degraded, the cluster has gone on from an incomplete copy"));
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    all_there(&mut client, 20).await;
    client.tweet("life goes on").await;
}

/// Said of a worker whose like is there with more: it does no harm, since it begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_end_does_not_count_beside_others_that_may_hold_more() {
    let mut cluster = Cluster::start(Plan { worker_flags: vec!["--sync", "interval:60000"], ..Plan::logged() });
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    for number in 0..20 {
        client.tweet(&format!("number {number}")).await;
    }
    // While others live: back at once, within the time in which it might be taken for the one that it was.
    cluster.kill_worker(1);
    cluster.start_worker_with(1, &["--accept-incomplete-log"]);
    cluster.worker(1).await_log("though it may lack what was acknowledged last");
    cluster.agreed(3).await;
    all_there(&mut client, 20).await;

    let nothing_is_lost = async |url: &str| {
        let standing = Client::new(url).get("/api/cluster").await.json();
        assert!(standing["curtailed_in_view"].is_null(), "{standing}");
    };
    nothing_is_lost(&cluster.url()).await;

    // While others are away and have ended in order: nothing is served until one of them is back.
    cluster.kill_coordinator();
    cluster.kill_worker(1);
    for index in [0, 2] {
        cluster.worker(index).signal("TERM");
        assert_eq!(cluster.worker(index).wait().code(), Some(0));
        cluster.workers[index] = None;
    }
    cluster.start_worker_with(1, &["--accept-incomplete-log"]);
    cluster.begin_coordinator();
    cluster.coordinator().await_log("waiting for workers; connected so far");
    let mut client = Client::new(&cluster.url());
    assert_eq!(client.get("/readyz").await.status, 503, "others hold more");
    cluster.start_all();
    cluster.agreed(3).await;
    nothing_is_lost(&cluster.url()).await;
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    all_there(&mut client, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_is_gone_on_with_when_the_last_member_is_gone_for_good_and_a_person_says_so() {
    let mut cluster = Cluster::start(Plan { workers: 2, ..Plan::logged() });
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    assert_eq!(put(&mut client, "old", &json!("on both")).await, 201);
    cluster.agreed(2).await;
    cluster.kill_worker(1);
    cluster.agreed(1).await;
    assert_eq!(put(&mut client, "new", &json!("on the last alone")).await, 201);
    cluster.kill_worker(0);
    std::fs::remove_dir_all(cluster.worker_directory(0)).expect("its disk is gone");

    cluster.coordinator().announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
    cluster.start_worker_with(1, &["--accept-incomplete-log"]);
    reads(&mut client, "old", 503).await;
    let standing = client.get("/api/cluster").await.json();
    assert!(standing["curtailed_in_view"].is_null(), "the last member may come back: {standing}");
    cluster.start_worker(0);
    reads(&mut client, "old", 200).await;
    reads(&mut client, "new", 404).await;
    let standing = cluster.agreed(2).await;
    assert!(standing["curtailed_in_view"].is_u64(), "{standing}");
    assert_eq!(put(&mut client, "new", &json!("once more")).await, 201);
}

/// Records of a copy that takes a while, bytes of each, and how slow the network is that they take.
const RECORDS: usize = 2_200;
const RECORD_BYTES: usize = 4_000;
const DELAY: Duration = Duration::from_millis(300);

/// The steps of the runbook: what a worker held as a member is there to go back to when the member it copies from is lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_learner_held_as_a_member_is_gone_back_to_when_the_last_member_is_gone_for_good() {
    let mut cluster = Cluster::start(Plan::proxied(2).patient());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let value = "x".repeat(RECORD_BYTES);
    for batch in 0..RECORDS / 22 {
        let write = |number: usize| json!({ "key": format!("{batch}/{number}"), "value": value });
        let writes: Vec<Value> = (0..22).map(write).collect();
        let answer = client.post("/api/transactions", &json!({ "writes": writes })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    cluster.agreed(2).await;
    cluster.kill_worker(1);
    cluster.agreed(1).await;
    assert_eq!(put(&mut client, "new", &json!("on the last alone")).await, 201);
    // The learner has begun its copy when the last member's disk dies.
    cluster.proxy(1).set(Weather::slow(DELAY));
    cluster.start_worker(1);
    let copying = async || {
        let standing = client.get("/api/cluster").await.json();
        let copied = standing["learners"][0]["records_copied"].as_u64()?;
        (copied > 0).then_some(copied)
    };
    let (copied, _) = until("the worker copies", SOON, copying).await;
    assert!(copied < RECORDS as u64, "it has all already");
    cluster.kill_workers(&[0, 1]);
    cluster.proxy(1).heal();
    std::fs::remove_dir_all(cluster.worker_directory(0)).expect("its disk is gone");

    // Whoever starts it in the ordinary way hears that there is something to go back to, and nothing is given up.
    cluster.start_worker(1);
    cluster.worker(1).await_log("is kept until this worker is a member again");
    cluster.start_worker(0);
    assert_eq!(client.get("/readyz").await.status, 503, "nobody has decided anything");
    cluster.worker(1).signal("TERM");
    assert_eq!(cluster.worker(1).wait().code(), Some(0));
    cluster.workers[1] = None;

    cluster.coordinator().announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
    cluster.start_worker_with(1, &["--accept-incomplete-log"]);
    cluster.worker(1).await_log("is taken up again, which was kept while this worker made a new one");
    let standing = cluster.agreed(2).await;
    assert!(standing["curtailed_in_view"].is_u64(), "{standing}");
    let status = process::run(&["status", &cluster.url()], &[]);
    assert!(status.output.contains("members: ok, 2 connected of 2 in the view"), "{status:?}");
    reads(&mut client, "new", 404).await;
    for batch in 0..RECORDS / 22 {
        let answer = client.get(&format!("/api/data?prefix={batch}/&limit=22")).await;
        let records = answer.json()["data"].as_array().expect("a list").clone();
        assert!(
            records.len() == 22 && records.iter().all(|record| record["value"] == value.as_str()),
            "batch {batch}: {answer:?}"
        );
    }
    // Once both are members again nothing is kept any more.
    cluster.kill_all();
    cluster.start_all();
    cluster.agreed(2).await;
    assert!(!cluster.worker(1).log_text().contains("is kept until"), "{}", cluster.worker(1).log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn up_goes_on_after_a_crash_with_logs_without_their_ends_when_a_person_accepts_that() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let (data, http) = (directory.path().join("data"), format!("127.0.0.1:{}", free_port()));
    let base = ["up", "--http", &http, "--data", data.to_str().expect("a path of ours"), "--sync", "interval:20"];
    let mut up = Process::start("up", &base, &[]);
    let mut client = Client::logged_in(up.url(), "ada").await;
    client.tweet("number 0").await;
    synced(&mut Client::new(up.url()), &mut client).await;
    up.kill_and_wait();

    let nowhere = directory.path().join("nowhere");
    let asked = [&base[..3], &["--data", nowhere.to_str().expect("a path of ours"), "--accept-incomplete-log"]].concat();
    let refused = process::run(&asked, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("nothing to accept"), "{refused:?}");
    assert!(!nowhere.join("worker-1").exists(), "nothing was begun");

    let mut up = Process::start("up", &[&base[..], &["--accept-incomplete-log"]].concat(), &[]);
    up.announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
    let mut client = Client::logged_in(up.url(), "ada").await;
    all_there(&mut client, 1).await;
    client.tweet("after the crash").await;
    let whole = async || {
        let standing = client.get("/api/cluster").await.json();
        (standing["members"].as_array()?.len() == 3 && standing["replicas_agree"] == true).then_some(())
    };
    until("the other workers have copied all", SOON, whole).await;
    // Somebody has left the flag in the settings: it decides nothing about this start.
    let standing = client.get("/api/cluster").await.json();
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));
    let up = Process::start("up", &[&base[..], &["--accept-incomplete-log"]].concat(), &[]);
    up.await_log("is active with 3 members and 0 learners");
    up.await_log("--accept-incomplete-log has no effect");
    assert!(!up.log_text().contains("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST"), "{}", up.log_text());
    let again = Client::new(up.url()).get("/api/cluster").await.json();
    assert_eq!(again["curtailed_in_view"], standing["curtailed_in_view"]);
}
