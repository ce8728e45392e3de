//! A worker that starts over keeps what it held as a member, which takes room for a second copy. Where its disk has no room, it says
//! what to do and ends with its log untouched; `skein up` goes on with its other workers, and says so wherever an operator looks.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET, free_port};
use crate::harness::process::{Process, run};
use crate::harness::small_disk::SmallDisk;
use crate::harness::wait::until;

const DISK_MEGABYTES: u32 = 128;

/// Records, and bytes of each: a log that is large compared with what an opening of it writes.
const RECORDS: usize = 500;
const RECORD_BYTES: usize = 20_000;

const SOON: Duration = Duration::from_secs(30);

/// Records that one transaction writes.
const BATCH: usize = 4;

/// Writes these records and as many more as make the last transaction whole.
async fn write(client: &mut Client, from: usize, count: usize) {
    let value = "x".repeat(RECORD_BYTES);
    for batch in (from..from + count).step_by(BATCH) {
        let put = |number| json!({ "key": format!("key-{number}"), "value": value });
        let writes: Vec<Value> = (batch..batch + BATCH).map(put).collect();
        let answer = client.post("/api/transactions", &json!({ "writes": writes })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Leaves enough room on the disk to go on with the log in this directory, and too little for a second copy of it.
fn fill(disk: &SmallDisk, data: &Path) {
    let size = |directory: &Path| -> u64 {
        let entries = directory.read_dir().expect("a log").map(|entry| entry.expect("an entry").metadata().expect("it is there"));
        entries.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
    };
    let log = data.join("log");
    let size = size(&log) + size(&log.join("blobs"));
    assert!(size > 8 * 1024 * 1024, "a log of {size} bytes");
    disk.fill(32 * 1024 * 1024 + size * 5 / 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_no_room_to_start_over_says_what_to_do_and_keeps_its_log() {
    let place = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = SmallDisk::mount(place.path(), DISK_MEGABYTES) else { return };
    let mut cluster = Cluster::start(Plan::logged());
    cluster.kill_worker(1);
    cluster.agreed(2).await;
    cluster.move_worker(1, place.path().join("data"));
    cluster.start_worker(1);
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    write(&mut client, 0, RECORDS).await;
    cluster.agreed(3).await;
    cluster.kill_worker(1);
    cluster.agreed(2).await;
    fill(&disk, &cluster.worker_directory(1));

    // Again and again, as a supervisor would start it.
    for _ in 0..2 {
        cluster.start_worker(1);
        cluster.worker(1).announce("it has no room to start over");
        assert_eq!(cluster.worker(1).wait().code(), Some(1));
        for said in ["it has no room to start over", "Make room and start it again", "move the directory away"] {
            cluster.worker(1).await_log(said);
        }
        cluster.workers[1] = None;
        write(&mut client, RECORDS, 1).await;
    }
    disk.empty();
    cluster.start_worker(1);
    cluster.agreed(3).await;
    let log = cluster.worker(1).log_text();
    assert!(!log.contains("is kept until"), "no copy was begun before: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_goes_on_without_a_worker_that_has_no_room_to_start_over() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let data = directory.path().join("data");
    let place = data.join("worker-2");
    std::fs::create_dir_all(&place).expect("a directory");
    let Some(disk) = SmallDisk::mount(&place, DISK_MEGABYTES) else { return };
    let (http, known) = (format!("127.0.0.1:{}", free_port()), [("SKEIN_CLUSTER_SECRET", SECRET)]);
    let line = ["up", "--http", &http, "--data", data.to_str().expect("a path of ours")];
    let mut up = Process::start("up", &line, &known);
    let url = up.url().to_owned();
    let mut client = Client::logged_in(&url, "ada").await;
    write(&mut client, 0, RECORDS).await;
    members(&url, 3).await;
    // It is removed and added again, so it starts over.
    assert_eq!(run(&["worker", "remove", "worker-2", &url], &known).code, Some(0));
    members(&url, 2).await;
    fill(&disk, &place);
    up.announce("worker-2 IS LEFT OUT");
    up.announce("it has no room to start over");
    assert_eq!(run(&["worker", "add", "worker-2", &url], &known).code, Some(0));
    up.await_log("worker-2 IS LEFT OUT");

    write(&mut client, RECORDS, 20).await;
    members(&url, 2).await;
    let ready = client.get("/readyz").await;
    assert!(ready.status == 200 && ready.text().contains("members: degraded"), "{ready:?}");
    let status = run(&["status", &url], &[]);
    assert!(status.output.contains("members: degraded") && status.output.contains("3 wanted"), "{status:?}");
    assert_eq!(up.ended(), None);

    // Started again while there is still no room: as before. Then there is.
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));
    let mut up = Process::start("up", &line, &known);
    up.announce("worker-2 IS LEFT OUT");
    up.announce("it has no room to start over");
    up.await_log("worker-2 IS LEFT OUT");
    write(&mut client, RECORDS + 20, 20).await;
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));
    disk.empty();
    let mut up = Process::start("up", &line, &known);
    members(&url, 3).await;
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));
}

/// Waits until there are so many members.
async fn members(url: &str, count: usize) {
    let mut client = Client::new(url);
    let there = async || {
        let standing = client.get("/api/cluster").await.json();
        (standing["members"].as_array()?.len() == count && standing["serving"] == true).then_some(())
    };
    until(&format!("there are {count} members"), SOON, there).await;
}
