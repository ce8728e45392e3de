//! What was acknowledged stays: over the kill of a worker's container under load, and over a restart of everything.

use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::harness::client::Client;
use crate::harness::stall;
use crate::harness::wait::until;
use crate::stack::Stack;

/// How long writes may stand still after a kill. The cluster alone takes less than two seconds; here it shares the machine
/// with the engine. The time in which the machine itself stood still does not count.
const RESUMED_WITHIN: Duration = Duration::from_secs(5);

/// How long the replicas may take to be seen equal once nobody writes.
const AGREE_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_killed_worker_and_a_restart_of_everything() {
    stall::watch();
    let stack = Stack::start(&[], &[("SKEIN_AUTH", "name")]);
    assert_eq!(members(&stack).await, 3);

    let crowd = Crowd::start(&stack.url(), 16).await;
    crowd.posts(200).await;
    stack.run(&["kill", "--signal", "SIGKILL", "worker-2"]);
    let killed = Instant::now();
    crowd.posts(200).await;
    let verdict = crowd.stop().await;
    let resumed = verdict.resumed_after(killed);
    assert!(resumed < RESUMED_WITHIN, "writes resumed only {resumed:?} after the kill");
    verdict.hold(true).await;
    replicas_agree(&stack, 2).await;

    stack.run(&["down", "--timeout", "20"]);
    stack.start_again();
    verdict.hold(false).await;
    // The one that was killed has copied what it missed, and is a member again.
    replicas_agree(&stack, 3).await;

    let mut client = Client::logged_in(&stack.url(), "judge").await;
    client.tweet("after the restart").await;
}

async fn members(stack: &Stack) -> usize {
    let cluster = Client::new(&stack.url()).get("/api/cluster").await.json();
    assert_eq!(cluster["serving"], true, "{cluster}");
    assert_eq!(cluster["durability"], "logged and synced", "{cluster}");
    cluster["members"].as_array().map_or(0, Vec::len)
}

async fn replicas_agree(stack: &Stack, copies: usize) {
    let mut client = Client::new(&stack.url());
    let agree = async || {
        let cluster = client.get("/api/cluster").await.json();
        (cluster["copies"] == copies && cluster["replicas_agree"] == true).then_some(())
    };
    until(&format!("{copies} replicas agree"), AGREE_WITHIN, agree).await;
}
