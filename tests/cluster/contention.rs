//! Many clients at one tweet: of two that expect the same version exactly one wins, and a crowd of editors neither starves
//! anybody nor locks itself up. Rule R10 seen from outside.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::client::{Answer, Client};
use crate::harness::cluster::{Cluster, Plan};

const RACES: usize = 2_000;
const EDITORS: usize = 64;
const EDITS_OF_EACH: usize = 20;

async fn edit(client: &mut Client, id: &str, text: &str, version: Option<&str>) -> Answer {
    let headers: Vec<(&str, &str)> = version.map(|version| ("If-Match", version)).into_iter().collect();
    let sent = client.send(Method::PUT, &format!("/api/tweet/{id}"), &headers, Some(&json!({ "text": text }))).await;
    sent.unwrap_or_else(|failure| panic!("{text}: {failure:?}"))
}

fn id(tweet: &Value) -> String {
    tweet["id"].as_str().expect("a tweet has an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_expect_the_same_version_exactly_one_wins() {
    let cluster = Cluster::start(Plan::in_memory());
    let mut left = Client::logged_in(&cluster.url(), "ada").await;
    let mut right = Client::logged_in(&cluster.url(), "ada").await;
    let tweet = left.tweet("the start").await;
    let id = id(&tweet);
    let mut etag = left.get(&format!("/api/tweet/{id}")).await.header("etag").to_owned();
    let mut wins = [0, 0];
    for race in 0..RACES {
        let texts = [format!("left {race}"), format!("right {race}")];
        let answers = tokio::join!(edit(&mut left, &id, &texts[0], Some(&etag)), edit(&mut right, &id, &texts[1], Some(&etag)),);
        let statuses = [answers.0.status, answers.1.status];
        let winner = match statuses {
            [200, 412] => 0,
            [412, 200] => 1,
            _ => panic!("race {race}: {answers:?}"),
        };
        wins[winner] += 1;
        let won = [&answers.0, &answers.1][winner];
        let now = left.get(&format!("/api/tweet/{id}")).await;
        assert_eq!(now.json()["text"], texts[winner].as_str(), "race {race}: the loser's text is there");
        assert_eq!((now.header("etag"), now.json()), (won.header("etag"), won.json()));
        assert_ne!(now.header("etag"), etag);
        etag = now.header("etag").to_owned();
    }
    assert!(wins.iter().all(|wins| *wins > 0), "it was no race: {wins:?}");
    cluster.agreed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_editors_starves_nobody_and_locks_nothing_up() {
    let cluster = Cluster::start(Plan::in_memory());
    let mut author = Client::logged_in(&cluster.url(), "ada").await;
    let tweet = author.tweet("the start").await;
    let mut editors = JoinSet::new();
    for editor in 0..EDITORS {
        let mut client = Client::logged_in(&cluster.url(), "ada").await;
        let id = id(&tweet);
        editors.spawn(async move {
            let mut accepted = Vec::new();
            for number in 0..EDITS_OF_EACH {
                let answer = edit(&mut client, &id, &format!("edit {number} of {editor}"), None).await;
                let document = answer.json();
                if answer.status == 200 {
                    accepted.push(document["version"].as_u64().expect("a version"));
                } else {
                    let reason = (answer.status, document["code"].is_i64(), document["transaction"].is_null());
                    assert!(matches!(reason, (409 | 503, true, true)), "no reason: {answer:?}");
                }
            }
            accepted
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(60), editors.join_all()).await.expect("nothing locks up");
    for (editor, accepted) in all.iter().enumerate() {
        assert!(!accepted.is_empty(), "editor {editor} starved");
        assert!(accepted.is_sorted(), "editor {editor} saw its own edits out of order");
    }
    let mut versions: Vec<u64> = all.into_iter().flatten().collect();
    versions.sort_unstable();
    let first = tweet["version"].as_u64().expect("a version");
    let expected: Vec<u64> = (first + 1..).take(versions.len()).collect();
    assert_eq!(versions, expected, "each acknowledged edit made one version, and nothing else did");
    let last = author.get(&format!("/api/tweet/{}", id(&tweet))).await.json();
    assert_eq!(last["version"].as_u64(), versions.last().copied());
    cluster.agreed(3).await;
}
