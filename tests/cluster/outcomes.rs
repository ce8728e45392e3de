//! Whoever heard that an outcome is unknown learns it within seconds of the healing, whoever has died meanwhile, and what it
//! learns is true and stays so. What was acknowledged is never called aborted, whoever is asked.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::wait::until_promised;

/// How soon an outcome must be known once all processes run again.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// Who dies while nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dies {
    Nobody,
    Coordinator,
    Everybody,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_known_within_seconds_of_the_healing_and_stays_so() {
    let mut cluster = Cluster::start(Plan::logged());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let mut ended = Vec::new();
    let mut acknowledged = Vec::new();
    for (round, dies) in [Dies::Nobody, Dies::Coordinator, Dies::Everybody].into_iter().enumerate() {
        // With it the session is known to the coordinator, so that nothing has to be read before the next write is sent.
        acknowledged.push(post(&mut client, &format!("before {round}"), 201).await);
        (0..3).for_each(|index| cluster.worker(index).pause());
        let text = format!("unknown {round}");
        let txn = post(&mut client, &text, 503).await;
        match dies {
            Dies::Nobody => {}
            Dies::Coordinator => cluster.kill_coordinator(),
            Dies::Everybody => cluster.kill_all(),
        }
        cluster.workers.iter().flatten().for_each(|worker| worker.resume());
        cluster.start_all();
        let what = format!("{txn} is known, {dies:?} died");
        let outcome = until_promised(&what, KNOWN_WITHIN, async || known(&mut client, &txn).await).await;
        let is_there = client.all_tweets().await.iter().any(|tweet| tweet["text"] == text.as_str());
        assert_eq!(outcome, if is_there { "committed" } else { "aborted" }, "{dies:?}");
        // Whoever sends the same again with its Idempotency-Key gets what is still missing, and nothing twice.
        let again = post(&mut client, &text, 201).await;
        assert_eq!(again == txn, is_there, "{dies:?}: the first answer is that of {txn}, not of {again}");
        let times = client.all_tweets().await.iter().filter(|tweet| tweet["text"] == text.as_str()).count();
        assert_eq!(times, 1, "{dies:?}");
        ended.push((txn, outcome));
        never_aborted(&mut client, &acknowledged).await;
    }
    for _ in 0..2 {
        cluster.kill_coordinator();
        cluster.start_all();
        for (txn, outcome) in &ended {
            let what = format!("{txn} is known again");
            let again = until_promised(&what, KNOWN_WITHIN, async || known(&mut client, txn).await).await;
            assert_eq!(again, *outcome, "{txn}");
        }
        never_aborted(&mut client, &acknowledged).await;
    }
}

/// Posts, with the text for an Idempotency-Key; gives the transaction.
async fn post(client: &mut Client, text: &str, status: u16) -> String {
    let key = text.replace(' ', "-");
    let headers = [("idempotency-key", key.as_str())];
    let answer = client.send(Method::POST, "/api/tweet", &headers, Some(&json!({ "text": text }))).await.expect("an answer");
    assert_eq!(answer.status, status, "{answer:?}");
    if status == 503 {
        let document = answer.json();
        assert!(document["code"] == 714 && document["transaction"].is_string(), "{answer:?}");
    }
    answer.header("skein-transaction").to_owned()
}

/// How the transaction ended, if that is known.
async fn known(client: &mut Client, txn: &str) -> Option<String> {
    let answer = client.get(&format!("/api/transactions/{txn}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let outcome = answer.json()["outcome"].as_str().expect("an outcome").to_owned();
    (outcome != "unknown").then_some(outcome)
}

/// What was acknowledged may be forgotten; it is not called aborted.
async fn never_aborted(client: &mut Client, acknowledged: &[String]) {
    for txn in acknowledged {
        let answer = client.get(&format!("/api/transactions/{txn}")).await;
        let outcome = if answer.status == 200 { answer.json()["outcome"].clone() } else { json!(null) };
        assert_ne!(outcome, "aborted", "{txn} was acknowledged");
    }
}
