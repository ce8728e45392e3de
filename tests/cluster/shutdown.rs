//! An orderly end: a process that is asked to end answers what is under way, closes its log, and exits with 0.

use crate::crowd::Crowd;
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::process::Process;

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_interrupted_answers_what_is_under_way() {
    let mut cluster = Cluster::start(Plan::logged());
    let crowd = Crowd::start(&cluster.url(), 16).await;
    crowd.posts(200).await;
    cluster.coordinator().signal("INT");
    assert_eq!(cluster.coordinator().wait().code(), Some(0));
    cluster.coordinator = None;
    let mut verdict = crowd.stop().await;
    verdict.lost_never_happened();
    for index in 0..3 {
        cluster.worker(index).signal("TERM");
        assert_eq!(cluster.worker(index).wait().code(), Some(0));
        cluster.workers[index] = None;
    }
    cluster.start_all();
    verdict.hold(false).await;
    cluster.agreed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cluster_in_one_process_starts_serves_and_ends() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let data = directory.path().join("data");
    let flags = ["up", "--http", "127.0.0.1:0", "--data", data.to_str().expect("a path of ours")];
    let mut first = Process::start("up", &flags, &[]);
    let mut client = Client::logged_in(first.url(), "ada").await;
    let tweet = client.tweet("kept").await;
    first.signal("INT");
    assert_eq!(first.wait().code(), Some(0));

    let second = Process::start("up", &flags, &[]);
    let tweets = Client::logged_in(second.url(), "ada").await.all_tweets().await;
    assert_eq!(tweets, [tweet]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_two_tweets_by_two_people() {
    let up = Process::start("up", &["up", "--http", "127.0.0.1:0", "--workers", "2", "--demo"], &[]);
    let tweets = Client::logged_in(up.url(), "ada").await.all_tweets().await;
    assert_eq!(tweets.len(), 2, "{tweets:?}");
    assert_ne!(tweets[0]["author"], tweets[1]["author"]);
    let page = Client::new(up.url()).get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<script"), "the app is in the executable");
}
