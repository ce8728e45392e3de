//! Rule R12: a worker belongs to one cluster for good, and a coordinator that has lost its control store, or never had one,
//! does not found a new cluster over workers that hold an old one.

use std::time::Duration;

use skein_protocol::id::{ClusterId, Incarnation, ViewId, ViewNumber, Writer};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::{Message, Seal, SealReason};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET};
use crate::harness::impostor::Impostor;
use crate::harness::process::{Process, run};
use crate::scene::members;

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_with_an_empty_control_store_does_not_take_workers_that_hold_a_view() {
    let mut cluster = Cluster::start(Plan::logged());
    Client::logged_in(&cluster.url(), "ada").await.tweet("still there").await;
    cluster.kill_coordinator();
    let addresses: Vec<String> = (0..3).map(|index| cluster.worker_address(index)).collect();
    let empty = tempfile::tempdir().expect("a directory for the test");
    let data = empty.path().join("coordinator");
    for flags in [vec!["--data", data.to_str().expect("a path of ours")], vec![]] {
        let mut arguments = vec!["coordinator", "0"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.extend(&flags);
        let ended = run(&arguments, &[("SKEIN_CLUSTER_SECRET", SECRET)]);
        assert_eq!(ended.code, Some(1), "{flags:?}: {ended:?}");
        assert_eq!(ended.output, "", "it never was ready");
        assert!(ended.log.contains("--data"), "{flags:?}: it does not say what to do: {}", ended.log);
        assert!(addresses.iter().any(|address| ended.log.contains(address)), "{flags:?}: it does not say which worker");
    }
    // The right control store still finds everything as it was.
    cluster.start_all();
    let tweets = Client::logged_in(&cluster.url(), "ada").await.all_tweets().await;
    assert_eq!(tweets.len(), 1);
    cluster.agreed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_one_cluster_is_not_taken_into_another() {
    let first = Cluster::start(Plan::logged().patient());
    let mut second = Cluster::start(Plan::logged());
    let ids = [first.agreed(3).await["cluster"].clone(), second.agreed(3).await["cluster"].clone()];
    assert_ne!(ids[0], ids[1]);
    let mut ada = Client::logged_in(&first.url(), "ada").await;
    ada.tweet("in the first").await;
    let before = first.agreed(3).await;

    // The second's coordinator comes back with a worker of the first in place of one of its own.
    second.kill_coordinator();
    let stranger = first.worker_address(0);
    second.rename_worker(0, stranger.clone());
    second.start_all();
    second.coordinator().await_log(&stranger);
    Client::logged_in(&second.url(), "bob").await.tweet("in the second").await;
    let standing = second.agreed(2).await;
    assert!(!standing["members"].to_string().contains(&stranger), "{standing}");

    // And the worker is where it was, with what it had.
    let after = first.agreed(3).await;
    assert_eq!((&after["cluster"], &after["view"]), (&before["cluster"], &before["view"]));
    assert_eq!(members(&after), members(&before));
    assert_eq!(after["members"][0]["node"], before["members"][0]["node"]);
    assert_eq!(ada.all_tweets().await.len(), 1);
}

/// The coordinator would not even try, so this one speaks to the worker itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_not_sealed_by_another_cluster_that_knows_the_secret() {
    let cluster = Cluster::start(Plan::in_memory().patient());
    let before = cluster.agreed(3).await;
    let mut impostor = Impostor::connect(&cluster.worker_address(0)).await;
    let view = ViewId { number: ViewNumber(1_000), writer: Writer { run: Incarnation(1), node: impostor.node } };
    let (cluster_id, outcomes) = (ClusterId(rand::random()), Vec::new());
    let seal = Message::Seal(Seal { cluster: cluster_id, view, standing: Standing::Member, last_active: None, outcomes });
    let answer = tokio::time::timeout(Duration::from_secs(5), impostor.exchange(&seal)).await.expect("it answers");
    let Message::SealRefused { view: refused, reason, follows } = answer else { panic!("{answer:?}") };
    assert_eq!((refused, reason), (view.number, SealReason::Foreign));
    assert_eq!(follows.cluster.unwrap().to_string(), before["cluster"].as_str().unwrap());
    Client::logged_in(&cluster.url(), "ada").await.tweet("nothing has happened").await;
    assert_eq!(cluster.agreed(3).await["view"], before["view"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_under_two_addresses_is_one_worker() {
    let mut cluster = Cluster::start(Plan::in_memory().patient());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let port = cluster.worker_address(1).rsplit(':').next().unwrap().to_owned();
    let secret = [("SKEIN_CLUSTER_SECRET", SECRET)];
    let added = run(&["worker", "add", &format!("localhost:{port}"), &cluster.url()], &secret);
    assert_eq!(added.code, Some(0), "{}", added.log);
    cluster.coordinator().await_log("connected at another address already");
    let view = client.get("/api/cluster").await.json()["view"].clone();
    for number in 0..50 {
        client.tweet(&format!("tweet {number}")).await;
    }
    let standing = cluster.agreed(3).await;
    assert_eq!(standing["view"], view, "nobody was thrown out: {standing}");
}

/// The workers' logs are of no use to anybody once the view is gone with the coordinator's memory, so it says so while it lives.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_keeps_the_view_in_memory_promises_no_more_than_memory() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let path = |name: &str| directory.path().join(name).to_str().expect("a path of ours").to_owned();
    for (data, expected) in [(Some(path("coordinator")), "logged and synced"), (None, "memory")] {
        let worker = Process::start("worker", &["worker", "0", "--data", &path(expected)], &[]);
        let mut arguments = vec!["coordinator", "0", worker.cluster_address(), "--auth", "name"];
        if let Some(data) = &data {
            arguments.extend(["--data", data]);
        }
        let coordinator = Process::start("coordinator", &arguments, &[]);
        let standing = Client::new(coordinator.url()).get("/api/cluster").await.json();
        assert_eq!(standing["durability"], expected, "{standing}");
        if data.is_none() {
            coordinator.await_log("keeps the view in memory alone");
        } else {
            assert!(!coordinator.log_text().contains("keeps the view in memory alone"));
        }
    }
}
