//! Rule R12: a worker belongs to one cluster for good, and a coordinator that has lost its control store, or never had one,
//! does not found a new cluster over workers that hold an old one.

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET};
use crate::harness::process::run;

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
    let first = Cluster::start(Plan::logged());
    let mut second = Cluster::start(Plan::logged());
    let ids = [first.agreed(3).await["cluster"].clone(), second.agreed(3).await["cluster"].clone()];
    assert_ne!(ids[0], ids[1]);
    Client::logged_in(&first.url(), "ada").await.tweet("in the first").await;
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
    assert_eq!((&after["cluster"], &after["members"]), (&before["cluster"], &before["members"]));
}
