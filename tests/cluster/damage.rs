//! A record that rots in the memory of one worker: nobody is told what was never written, and within a period of comparison the
//! copy is found out and made anew from another.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::bits;
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::stall::say;
use crate::harness::wait::{until, until_promised};

/// How soon damage is found: within a period of comparison, as it is by default, and the time that a comparison takes.
const FOUND_WITHIN: Duration = Duration::from_secs(65);

/// How often a record is made to rot at the most: a worker that a machine which stands still makes the others lose copies all records
/// from them, and nothing is left to be found.
const TRIES: usize = 3;

/// How soon a copy that was found out is made anew, and how soon it serves alone.
const SERVES_WITHIN: Duration = Duration::from_secs(30);

async fn put(client: &mut Client, key: &str, value: &Value) {
    let answer = client.send(Method::PUT, &format!("/api/data/{key}"), &[], Some(value)).await.unwrap();
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_rots_in_one_memory_and_is_not_read_is_found_and_made_anew() {
    rot(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_a_record_that_rots_in_one_memory() {
    rot(true).await;
}

/// Lets a value rot in the memory of a worker once all members hold it, and says in which view.
async fn rot_in(cluster: &mut Cluster, index: usize, value: &Value) -> Value {
    let view = cluster.agreed(3).await["view"].clone();
    let (process, content) = (cluster.worker(index).id(), value.to_string().into_bytes());
    let places = bits::places(process, &content);
    cluster.worker(index).pause();
    let flipped = places.into_iter().filter(|place| bits::flip_if(process, *place, &content)).count();
    cluster.worker(index).resume();
    assert!(flipped > 0, "the record is in the worker's memory");
    view
}

async fn view_of(url: &str) -> Value {
    Client::new(url).get("/api/cluster").await.json()["view"].clone()
}

async fn rot(is_read: bool) {
    let mut cluster = Cluster::start(Plan::in_memory().patient());
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    for number in 0..2_000 {
        put(&mut client, &format!("sound-{number}"), &json!(number)).await;
    }
    let value = json!("Galilei measured the fall of bodies on an inclined plane, 1604");
    put(&mut client, "precious", &value).await;
    cluster.coordinator().announce("holds records that are not what was written");

    let mut look = async |name: &str| {
        if is_read {
            // Members take turns in answering.
            let read = client.get("/api/data/precious").await;
            assert!((read.status, read.json()) == (200, value.clone()), "{read:?}");
        }
        let standing = client.get("/api/cluster").await.json();
        // More than one, if the machine holds the repair up until it is begun anew.
        standing["comparison"][name].as_u64().is_some_and(|number| number >= 1).then_some(standing)
    };
    let mut found = false;
    for _ in 0..TRIES {
        let view = rot_in(&mut cluster, 1, &value).await;
        let end = async || match look("differences").await {
            Some(_) => Some(true),
            None => (view_of(&cluster.url()).await != view).then_some(false),
        };
        found = until_promised("the copy is found out", FOUND_WITHIN, end).await || look("differences").await.is_some();
        if found {
            break;
        }
        say("the worker was lost before its copy was found out, and has copied all since: once more");
    }
    assert!(found, "the worker was lost again and again");
    let (standing, _) = until("the copy is made anew", SERVES_WITHIN, async || look("repaired").await).await;
    assert_eq!(standing["members"].as_array().unwrap().len(), 3, "{standing}");
    assert_eq!(standing["comparison"]["distrusted"], json!([]), "{standing}");
    cluster.agreed(3).await;

    // What was bad is as good as any other now: it alone is enough.
    cluster.kill_workers(&[0, 2]);
    let alone = async || {
        let read = client.get("/api/data/precious").await;
        (read.status == 200).then(|| assert_eq!(read.json(), value))
    };
    until("the repaired copy serves alone", SERVES_WITHIN, alone).await;
    for number in (0..2_000).step_by(100) {
        assert_eq!(client.get(&format!("/api/data/sound-{number}")).await.json(), json!(number));
    }
}
