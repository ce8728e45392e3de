//! Restarts of whole clusters, and of coordinators that name the same workers otherwise: each member is known again by what its log
//! says that it is, so all are members at once, no copy is thrown away, and nothing is lost. A worker of `skein up` whose log is
//! damaged is left out, and its directory stays.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use skein_runtime::control;
use skein_runtime::wal::{self, Salvage, SyncPolicy};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, free_port};
use crate::harness::process::{self, Process};
use crate::harness::wait::until;

const SOON: Duration = Duration::from_secs(30);

/// `skein up` with logs below a directory, and what its clients have written.
struct Up {
    http: String,
    data: std::path::PathBuf,
    process: Process,
    written: Vec<Value>,
}

impl Up {
    fn start(data: &Path) -> Self {
        let http = format!("127.0.0.1:{}", free_port());
        let process = Process::start("up", &Up::line(&http, data, &[]), &[]);
        Up { http, data: data.to_owned(), process, written: Vec::new() }
    }

    fn line<'a>(http: &'a str, data: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        [&["up", "--http", http, "--data", data.to_str().expect("a path of ours")], more].concat()
    }

    /// Ends, in order or not, and starts again, perhaps with more flags.
    fn restart(&mut self, killed: bool, more: &[&str]) {
        self.end(killed);
        self.process = Process::start("up", &Up::line(&self.http, &self.data, more), &[]);
    }

    fn end(&mut self, killed: bool) {
        if killed {
            self.process.kill_and_wait();
        } else {
            self.process.signal("TERM");
            assert_eq!(self.process.wait().code(), Some(0));
        }
    }

    async fn write(&mut self, text: &str) {
        let mut client = Client::logged_in(self.process.url(), "ada").await;
        let tweet = client.tweet(text).await;
        self.written.insert(0, tweet);
    }

    /// The first view of this start had so many members and learners, and all that was written is there.
    async fn begins_with(&self, members: usize, learners: usize) {
        let views = format!("is active with {members} members and {learners} learners");
        assert_eq!(first_view(&self.process), views, "{}", self.process.log_text());
        let mut client = Client::logged_in(self.process.url(), "ada").await;
        assert_eq!(client.all_tweets().await, self.written);
    }

    async fn comes_to(&self, members: usize) {
        let mut client = Client::new(self.process.url());
        let what = format!("{members} members hold the same");
        let there = async || {
            let standing = client.get("/api/cluster").await.json();
            let learners = standing["learners"].as_array()?.len();
            (standing["members"].as_array()?.len() == members && learners == 0 && standing["replicas_agree"] == true)
                .then_some(())
        };
        until(&what, SOON, there).await;
    }
}

/// What the log of a coordinator says of the first view that it made active.
fn first_view(process: &Process) -> String {
    process.await_log("is active with");
    let log = process.log_text();
    let (_, rest) = log.split_once("is active with").expect("it was waited for");
    let end = rest.find("learners").expect("it says how many") + "learners".len();
    format!("is active with{}", &rest[..end])
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_of_up_are_members_at_once_whenever_and_however_it_is_started_again() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.write("before").await;
    up.begins_with(3, 0).await;
    for (number, killed) in [(1, false), (2, true), (3, true), (4, false)] {
        up.restart(killed, &[]);
        up.begins_with(3, 0).await;
        up.write(&format!("after restart {number}")).await;
    }
    // Fewer are no reason to wait, and more begin as learners.
    up.restart(false, &["--workers", "2"]);
    up.begins_with(2, 0).await;
    up.write("with two").await;
    up.restart(true, &["--workers", "4"]);
    up.comes_to(4).await;
    up.restart(true, &["--workers", "4"]);
    up.begins_with(4, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_up_that_were_recorded_under_ports_are_members_at_once() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.write("before").await;
    up.end(true);
    // As an earlier Skein left it: the workers had ports that the system picked.
    let mut control = control::sled::open(&up.data.join("coordinator")).expect("a control store");
    let record = control.load().expect("a disk").expect("a view");
    let mut earlier = record.clone();
    let shards = earlier.active.as_mut().expect("an active view").view.shards.iter_mut();
    for (member, port) in shards.flat_map(|shard| &mut shard.members).zip([31_001, 31_002, 31_003]) {
        assert!(member.address.starts_with("worker-"), "{member:?}");
        member.address = format!("127.0.0.1:{port}");
    }
    control.swap(Some(&record), &earlier).expect("a disk");
    drop(control);
    up.process = Process::start("up", &Up::line(&up.http, &up.data, &[]), &[]);
    up.begins_with(3, 0).await;
    assert!(!up.process.log_text().contains("127.0.0.1:3100"), "no stranger's port is dialed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_up_is_removed_for_good_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let http = format!("127.0.0.1:{}", free_port());
    let data = directory.path().join("data");
    let known = [("SKEIN_CLUSTER_SECRET", crate::harness::cluster::SECRET)];
    let line = Up::line(&http, &data, &[]);
    let mut up = Process::start("up", &line, &known);
    let url = up.url().to_owned();
    let removed = process::run(&["worker", "remove", "worker-2", &url], &known);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    up.kill_and_wait();
    let up = Process::start("up", &line, &known);
    assert_eq!(first_view(&up), "is active with 2 members and 0 learners");
    let refused = process::run(&["worker", "add", "worker-9", &url], &known);
    assert_eq!(refused.code, Some(1), "there is none of this name: {refused:?}");
    let added = process::run(&["worker", "add", "worker-2", &url], &known);
    assert_eq!(added.code, Some(0), "{added:?}");
    up.await_log("is active with 3 members and 0 learners");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_names_its_workers_otherwise_has_the_same_members_at_once() {
    let mut cluster = Cluster::start(Plan::logged());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let put = client.send(Method::PUT, "/api/data/kept", &[], Some(&json!("all the while"))).await.expect("an answer");
    assert_eq!(put.status, 201);
    let plain: Vec<String> = (0..3).map(|index| cluster.worker_address(index)).collect();
    let by_name: Vec<String> = plain.iter().map(|address| address.replace("127.0.0.1", "localhost")).collect();
    for (names, all) in [(&by_name, false), (&plain, true), (&by_name, true)] {
        if all {
            cluster.kill_all();
        } else {
            cluster.kill_coordinator();
        }
        for (index, name) in names.iter().enumerate() {
            cluster.rename_worker(index, name.clone());
        }
        cluster.start_all();
        assert_eq!(first_view(cluster.coordinator()), "is active with 3 members and 0 learners");
        let standing = cluster.agreed(3).await;
        let found: Vec<&str> =
            standing["members"].as_array().expect("a list").iter().filter_map(|member| member["address"].as_str()).collect();
        assert!(names.iter().all(|name| found.contains(&name.as_str())), "{standing}");
        assert_eq!(client.get("/api/data/kept").await.json(), json!("all the while"));
    }
}

/// Changes what the log's engine keeps, but for its beginning.
fn damage(log: &Path) {
    let file = log.join("db");
    let mut bytes = std::fs::read(&file).expect("the log has a file");
    // What is nothing but zeros is room that it has not used yet.
    bytes.iter_mut().skip(512).filter(|byte| **byte != 0).for_each(|byte| *byte = !*byte);
    std::fs::write(&file, bytes).expect("a disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_starts_without_a_worker_whose_log_is_damaged_until_a_person_has_it_begin_again() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.write("before").await;
    up.end(false);
    let log = up.data.join("worker-2").join("log");
    damage(&log);
    // What is left of it is no more taken for a log at the second start than at the first.
    for _ in 0..2 {
        up.process = Process::spawn("up", &Up::line(&up.http, &up.data, &[]), &[]);
        up.process.announce("worker-2 IS LEFT OUT");
        up.process.await_ready();
        up.begins_with(2, 0).await;
        up.write("with one copy fewer").await;
        assert!(log.join("db").exists(), "it was not removed");
        if up.written.len() == 2 {
            up.end(false);
        }
    }
    let mut client = Client::new(up.process.url());
    let standing = client.get("/api/cluster").await.json();
    assert!(standing["others"].to_string().contains("worker-2"), "one can see that it is missing: {standing}");
    // A person has looked, and has it begin again.
    up.end(false);
    let log_text = up.process.log_text();
    assert!(log_text.contains("no node of this name runs in this process") && !log_text.contains("socket address"), "{log_text}");
    std::fs::rename(up.data.join("worker-2"), directory.path().join("damaged")).expect("a disk");
    up.process = Process::start("up", &Up::line(&up.http, &up.data, &[]), &[]);
    up.comes_to(3).await;
    // With no log left that can be used nothing starts, and least of all an empty cluster.
    up.end(false);
    (1..=3).for_each(|number| damage(&up.data.join(format!("worker-{number}")).join("log")));
    let refused = process::run(&Up::line(&up.http, &up.data, &[]), &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("no other worker's log says that it holds all records"), "{refused:?}");
    // The process of before has ended long ago.
    up.process = Process::start("another", &["up", "--http", "0", "--workers", "1"], &[]);
}

/// The cluster says nowhere that records were given up.
async fn nothing_is_given_up(up: &Up) {
    let standing = Client::new(up.process.url()).get("/api/cluster").await.json();
    assert!(standing["curtailed_in_view"].is_null(), "{standing}");
    let log = up.process.log_text();
    assert!(!log.contains("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_does_not_go_on_with_older_logs_when_the_only_one_that_holds_all_is_damaged() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.write("on all three").await;
    up.restart(false, &["--workers", "1"]);
    up.begins_with(1, 0).await;
    up.write("on worker-1 alone").await;
    up.end(false);
    let (worker, intact) = (up.data.join("worker-1"), directory.path().join("intact"));
    let copied = std::process::Command::new("cp").arg("-a").args([&worker, &intact]).status().expect("cp runs");
    assert!(copied.success());
    damage(&worker.join("log"));
    let refused = process::run(&Up::line(&up.http, &up.data, &[]), &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("worker-1 can't start, and no other worker's log says that it holds all"), "{refused:?}");
    assert!(refused.log.contains("DO NOT REMOVE") && !refused.log.contains("IS LEFT OUT"), "{refused:?}");
    // With the log as it was, nothing is lost.
    std::fs::rename(&worker, directory.path().join("damaged")).expect("a disk");
    std::fs::rename(&intact, &worker).expect("a disk");
    up.process = Process::start("up", &Up::line(&up.http, &up.data, &[]), &[]);
    up.comes_to(3).await;
    let mut client = Client::logged_in(up.process.url(), "ada").await;
    assert_eq!(client.all_tweets().await, up.written);
}

/// What a start with `--accept-incomplete-log` leaves of a worker's log.
fn salvage(worker: &Path) {
    let accept = Salvage { accept_incomplete: true, ..Salvage::default() };
    let mut opened = wal::sled::open(worker, SyncPolicy::Always, accept).expect("a log");
    assert!(opened.snapshot.salvaged);
    opened.engine.close().expect("a disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn up_goes_on_with_the_only_member_of_the_last_view_though_a_part_of_its_log_was_given_up() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.write("on all three").await;
    up.restart(false, &["--workers", "1"]);
    up.begins_with(1, 0).await;
    up.write("on worker-1 alone").await;
    up.end(false);
    salvage(&up.data.join("worker-1"));
    damage(&up.data.join("worker-2/log"));
    // Whether the flag is still given or not: worker-2 was left out of the view, so nothing of it is missed.
    for more in [&["--accept-incomplete-log"][..], &[]] {
        up.process = Process::spawn("up", &Up::line(&up.http, &up.data, more), &[]);
        up.process.announce("worker-2 IS LEFT OUT");
        up.process.announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
        up.process.await_ready();
        up.comes_to(2).await;
        let mut client = Client::logged_in(up.process.url(), "ada").await;
        assert_eq!(client.all_tweets().await, up.written);
        up.end(false);
    }
    up.process = Process::start("another", &["up", "--http", "0", "--workers", "1"], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_says_what_to_do_when_one_log_is_damaged_and_a_part_of_the_other_was_given_up() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.restart(false, &["--workers", "2"]);
    up.write("on both").await;
    up.end(false);
    salvage(&up.data.join("worker-1"));
    damage(&up.data.join("worker-2/log"));
    let line = Up::line(&up.http, &up.data, &["--workers", "2"]);
    let refused = process::run(&line, &[]);
    assert_eq!(refused.code, Some(1), "worker-2 may hold more: {refused:?}");
    assert!(refused.log.contains("DO NOT REMOVE") && refused.log.contains("move the directory of worker-2 away"), "{refused:?}");
    // A person has decided.
    std::fs::rename(up.data.join("worker-2"), directory.path().join("damaged")).expect("a disk");
    up.process = Process::spawn("up", &line, &[]);
    up.process.announce("WRITES THAT WERE ACKNOWLEDGED MAY BE LOST");
    up.process.await_ready();
    up.comes_to(2).await;
    let mut client = Client::logged_in(up.process.url(), "ada").await;
    assert_eq!(client.all_tweets().await, up.written);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_gives_nothing_up_for_an_acceptance_while_a_log_holds_all() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mut up = Up::start(&directory.path().join("data"));
    up.write("before").await;
    up.begins_with(3, 0).await;
    // The second time the flag has stayed in the settings.
    for said in ["holds all records, so nothing has to be given up", "was given at an earlier one"] {
        up.restart(true, &["--accept-incomplete-log"]);
        up.begins_with(3, 0).await;
        up.process.await_log(said);
        nothing_is_given_up(&up).await;
    }
    up.restart(false, &[]);
    up.end(false);
    // One whose end may be missing copies what the others hold.
    std::fs::write(up.data.join("worker-2/log/synced-at-interval"), b"").expect("a disk");
    up.process = Process::start("up", &Up::line(&up.http, &up.data, &["--accept-incomplete-log"]), &[]);
    up.comes_to(3).await;
    nothing_is_given_up(&up).await;
    let mut client = Client::logged_in(up.process.url(), "ada").await;
    assert_eq!(client.all_tweets().await, up.written);
}
