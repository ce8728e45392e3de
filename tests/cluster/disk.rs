//! A disk that fails: a worker that can't sync its log no longer knows what it holds, so it stops rather than promise anything,
//! and the others go on without it. The failure is injected into the real process by `strace`. Rule R6 seen from outside.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};

/// Makes every sync of a process fail from now on; ends with the process.
fn fail_syncs(process: u32) -> Child {
    let mut strace = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"])
        .args(["-p", &process.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed");
    let mut lines = BufReader::new(strace.stderr.take().expect("piped"));
    let mut said = String::new();
    lines.read_line(&mut said).expect("strace says something");
    assert!(said.contains("attached"), "strace can't attach: {said}");
    // What it says later is of no use, but a closed pipe would end it.
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    strace
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_disk_fails_stops_and_the_others_go_on() {
    let mut cluster = Cluster::start(Plan::logged());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    client.tweet("all is well").await;
    cluster.worker(1).announce("the log failed");
    // The engine syncs once more when it is dropped, and takes it ill that it can't.
    cluster.worker(1).announce("sled-0.34.7/src/pagecache/logger.rs");
    let mut strace = fail_syncs(cluster.worker(1).id());
    client.tweet("one disk has failed").await;
    assert_eq!(cluster.worker(1).wait().code(), Some(1));
    strace.wait().expect("it ends with its process");
    cluster.worker(1).await_log("the log failed");
    cluster.workers[1] = None;
    cluster.agreed(2).await;
    assert_eq!(client.all_tweets().await.len(), 2);
}
