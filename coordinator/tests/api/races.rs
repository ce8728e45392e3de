//! Many at once on one tweet: exactly one of two wins where a version was named; everybody gets through where none was.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::Cluster;

/// Rounds of two racers. The whole-cluster tests race thousands of times; here the answers are what counts.
const ROUNDS: usize = 300;

/// How long all edits of a crowd may take on a slow machine: each waits for its turn for so long at the most.
const EDITS_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_name_the_same_version_exactly_one_wins() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("0").await;
    let mut racers = [ann.another(), ann.another()];
    for round in 1..=ROUNDS {
        let tag = format!("\"{round}\"");
        let headers = [("if-match", tag.as_str())];
        let [one, two] = &mut racers;
        let edit = |who: usize| Some(json!({ "text": format!("{round} by {who}") }));
        let (one, two) =
            tokio::join!(one.send(Method::PUT, &path, &headers, edit(1)), two.send(Method::PUT, &path, &headers, edit(2)));
        let (winner, loser) = if one.status == 200 { (one, two) } else { (two, one) };
        let won = winner.ok(200).json();
        loser.problem(412, 706);
        assert_eq!(won["version"], round + 1);
        assert_eq!(ann.get(&path).await.ok(200).json(), won);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_who_name_none_all_get_through() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.turn_time_max = EDITS_WITHIN;
    settings.limits.request_time_max = EDITS_WITHIN;
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("start").await;
    let begun = Instant::now();
    let editors = (0..64).map(|editor| {
        let (mut client, path) = (ann.another(), path.clone());
        tokio::spawn(async move {
            for edit in 0..4 {
                client.put(&path, json!({ "text": format!("{editor}/{edit}") })).await.ok(200);
            }
        })
    });
    for editor in editors.collect::<Vec<_>>() {
        editor.await.unwrap();
    }
    assert_eq!(ann.get(&path).await.ok(200).json()["version"], 1 + 64 * 4, "every edit counted");
    assert!(begun.elapsed() < EDITS_WITHIN, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_delete_one_does() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("gone soon").await;
    let deleters = (0..16).map(|number| {
        let (mut client, path) = (ann.another(), path.clone());
        tokio::spawn(async move {
            if number % 2 == 0 {
                client.delete(&path).await.status
            } else {
                client.put(&path, json!({ "text": "too late?" })).await.status
            }
        })
    });
    let mut deleted = 0;
    for deleter in deleters.collect::<Vec<_>>() {
        match deleter.await.unwrap() {
            204 => deleted += 1,
            200 | 404 => {}
            other => panic!("an answer of {other}"),
        }
    }
    assert_eq!(deleted, 1);
    ann.get(&path).await.problem(404, 702);
}
