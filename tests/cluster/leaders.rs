//! Rule R14 on real processes: two coordinators from copies of one directory. Whichever is first, at most one of them goes on, each
//! that ends says what to do, and every write that either acknowledged is there when one is started again.

use std::path::Path;
use std::time::Duration;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET};
use crate::harness::process::Process;
use crate::harness::wait::until;

/// How long two coordinators may take until those have ended that must.
const SOON: Duration = Duration::from_secs(30);

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory for the test");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it is there");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it has one").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// A second coordinator of this cluster, with a directory of its own.
fn second(cluster: &Cluster, data: &Path) -> Process {
    let addresses: Vec<String> = (0..3).map(|index| cluster.worker_address(index)).collect();
    let mut arguments = vec!["coordinator", "0", "--auth", "name", "--data", data.to_str().expect("a path of ours")];
    arguments.extend(addresses.iter().map(String::as_str));
    let mut process = Process::spawn("second coordinator", &arguments, &[("SKEIN_CLUSTER_SECRET", SECRET)]);
    process.announce("another coordinator");
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_from_copies_of_one_directory_both_end_and_lose_nothing() {
    let mut cluster = Cluster::start(Plan::logged().patient());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    for number in 0..5 {
        client.tweet(&format!("number {number}")).await;
    }
    cluster.kill_coordinator();
    let copies = tempfile::tempdir().expect("a directory for the test");
    let data = copies.path().join("coordinator");
    copy(&cluster.coordinator_directory(), &data);

    // Both are started from what there was, so both have the same run.
    let mut second = second(&cluster, &data);
    cluster.begin_coordinator();
    let first = cluster.coordinator();
    first.announce("another coordinator");
    until("both have ended", SOON, async || (first.ended().is_some() && second.ended().is_some()).then_some(())).await;
    for process in [first, &mut second] {
        assert_eq!(process.wait().code(), Some(1));
        assert!(process.log_text().contains("copy of the other's --data directory"), "{}", process.log_text());
    }

    // The one with the newest directory goes on: whichever of the two led the workers last.
    cluster.coordinator = None;
    cluster.begin_coordinator();
    let first = cluster.coordinator();
    first.announce("another coordinator");
    if !first.is_ready() {
        assert!(first.log_text().contains("only one may run"), "{}", first.log_text());
        cluster.coordinator = None;
        let kept = cluster.coordinator_directory();
        std::fs::remove_dir_all(&kept).expect("a directory of ours");
        copy(&data, &kept);
        cluster.begin_coordinator();
        cluster.coordinator().await_ready();
    }
    cluster.agreed(3).await;
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    assert_eq!(client.all_tweets().await.len(), 5);
    client.tweet("life goes on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_from_an_older_copy_ends_beside_the_one_that_leads_and_disturbs_nobody() {
    let mut cluster = Cluster::start(Plan::logged().patient());
    cluster.kill_coordinator();
    let copies = tempfile::tempdir().expect("a directory for the test");
    let data = copies.path().join("coordinator");
    copy(&cluster.coordinator_directory(), &data);
    // The cluster goes on to later views, in a later run than the copy will give out.
    for _ in 0..2 {
        cluster.start_all();
        cluster.kill_coordinator();
    }
    cluster.start_all();
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    client.tweet("before").await;
    let before = cluster.agreed(3).await;

    let mut second = second(&cluster, &data);
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.log_text().contains("only one may run"), "{}", second.log_text());
    client.tweet("after").await;
    assert_eq!(cluster.agreed(3).await["view"], before["view"]);
    assert_eq!(client.all_tweets().await.len(), 2);
}
