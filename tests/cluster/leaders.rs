//! Rule R14 on real processes: two coordinators from copies of one directory. Whichever is first, at most one of them goes on, each
//! that ends says what to do, and every write that either acknowledged is there when one is started again.

use std::path::Path;
use std::time::Duration;

use skein_protocol::id::{Incarnation, ViewId, Writer};
use skein_protocol::message::Message;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET};
use crate::harness::impostor::Impostor;
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

/// As when an operator starts a coordinator from a copy, and stops it at once: it has the next run, and has read the current view.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_connects_and_dies_before_it_leads_changes_nothing() {
    let mut cluster = Cluster::start(Plan::logged().patient());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    client.tweet("before").await;
    let before = cluster.agreed(3).await;
    let mut impostor = Impostor::connect(&cluster.worker_address(0)).await;
    let writer = Writer { run: Incarnation(0), node: impostor.node };
    let answer = impostor.exchange(&Message::Beat { beat: 0, cluster: None, writer, active: None }).await;
    let Message::Beating { follows, .. } = answer else { panic!("{answer:?}") };
    let leader = follows.writer.expect("the worker is led");
    let writer = Writer { run: Incarnation(leader.run.0 + 1), ..writer };
    let active = Some(ViewId { number: follows.view, writer: leader });
    // It says so at the rate of a coordinator, for several beats of the leader.
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    for beat in 1..=8 {
        ticks.tick().await;
        let answer = impostor.exchange(&Message::Beat { beat, cluster: follows.cluster, writer, active }).await;
        assert!(matches!(answer, Message::Beating { .. }), "{answer:?}");
        assert_eq!(cluster.coordinator().ended(), None, "{}", cluster.coordinator().log_text());
    }
    client.tweet("meanwhile").await;
    drop(impostor);
    cluster.worker(0).await_log("connection closed");
    assert_eq!(cluster.agreed(3).await["view"], before["view"]);
    // Nor does it matter to the leader's next run, which has the same number.
    cluster.kill_coordinator();
    cluster.start_all();
    client.tweet("after").await;
    cluster.agreed(3).await;
    assert_eq!(client.all_tweets().await.len(), 3);
}
