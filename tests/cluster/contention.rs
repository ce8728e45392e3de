//! Many clients at one tweet: of two that expect the same version exactly one wins, and a crowd of editors neither starves
//! anybody nor locks itself up. Rule R10 seen from outside.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::client::{Answer, Client};
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::wait::until;

const RACES: usize = 2_000;
const EDITORS: usize = 64;
const EDITS_OF_EACH: usize = 20;

/// How long all edits may take on a slow machine, and how long it may take until it is known what became of one.
const EDITS_WITHIN: Duration = Duration::from_secs(240);
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

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
    let cluster = Cluster::start(Plan::in_memory().patient());
    let mut left = Client::logged_in(&cluster.url(), "ada").await;
    let mut right = Client::logged_in(&cluster.url(), "ada").await;
    let tweet = left.tweet("the start").await;
    let id = id(&tweet);
    let mut etag = left.get(&format!("/api/tweet/{id}")).await.header("etag").to_owned();
    let mut wins = [0, 0];
    for race in 0..RACES {
        let texts = [format!("left {race}"), format!("right {race}")];
        // Each is sent first every other time.
        let (ours, theirs) = (edit(&mut left, &id, &texts[0], Some(&etag)), edit(&mut right, &id, &texts[1], Some(&etag)));
        let answers = if race % 2 == 0 {
            tokio::join!(ours, theirs)
        } else {
            let (theirs, ours) = tokio::join!(theirs, ours);
            (ours, theirs)
        };
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
    let cluster = Cluster::start(Plan::in_memory().patient());
    let mut author = Client::logged_in(&cluster.url(), "ada").await;
    let tweet = author.tweet("the start").await;
    let mut editors = JoinSet::new();
    for editor in 0..EDITORS {
        let mut client = Client::logged_in(&cluster.url(), "ada").await;
        let id = id(&tweet);
        editors.spawn(async move {
            let (mut accepted, mut unknown) = (Vec::new(), Vec::new());
            for number in 0..EDITS_OF_EACH {
                let answer = edit(&mut client, &id, &format!("edit {number} of {editor}"), None).await;
                let document = answer.json();
                if answer.status == 200 {
                    accepted.push(document["version"].as_u64().expect("a version"));
                } else {
                    let reason = (answer.status, document["code"].is_i64());
                    assert!(matches!(reason, (409 | 503, true)), "no reason: {answer:?}");
                    // A machine that stands still for as long as clients wait leaves an outcome open.
                    unknown.extend(document["transaction"].as_str().map(str::to_owned));
                }
            }
            (accepted, unknown)
        });
    }
    let all = tokio::time::timeout(EDITS_WITHIN, editors.join_all()).await.expect("nothing locks up");
    let (all, unknown): (Vec<Vec<u64>>, Vec<Vec<String>>) = all.into_iter().unzip();
    let mut untold = 0;
    for transaction in unknown.iter().flatten() {
        untold += usize::from(is_committed(&mut author, transaction).await);
    }
    for (editor, accepted) in all.iter().enumerate() {
        assert!(!accepted.is_empty(), "editor {editor} starved");
        assert!(accepted.is_sorted(), "editor {editor} saw its own edits out of order");
    }
    let mut versions: Vec<u64> = all.into_iter().flatten().collect();
    versions.sort_unstable();
    let first = tweet["version"].as_u64().expect("a version");
    let all_made: Vec<u64> = (first + 1..).take(versions.len() + untold).collect();
    let missing = all_made.iter().filter(|version| versions.binary_search(version).is_err()).count();
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]) && missing == untold, "each edit made one version: {versions:?}");
    let last = author.get(&format!("/api/tweet/{}", id(&tweet))).await.json();
    assert_eq!(last["version"].as_u64(), all_made.last().copied(), "nothing else made one");
    assert!(unknown.iter().flatten().count() < EDITORS, "hardly anybody is left without an answer: {unknown:?}");
    cluster.agreed(3).await;
}

/// What became of an edit whose editor was not told.
async fn is_committed(client: &mut Client, transaction: &str) -> bool {
    let known = async || {
        let document = client.get(&format!("/api/transactions/{transaction}")).await.json();
        match document["outcome"].as_str() {
            Some("committed") => Some(true),
            Some("aborted") => Some(false),
            Some("unknown") => None,
            _ => panic!("no outcome: {document}"),
        }
    };
    until(&format!("the outcome of {transaction} is known"), KNOWN_WITHIN, known).await.0
}
