//! Which workers the cluster is meant to have: operators add and remove them for good, each refusal says why, and what
//! `/api/cluster` and `/readyz` tell goes along.

use hyper::Method;
use serde_json::{Value, json};
use skein_coordinator::config::{Auth, SurfaceConfig};

use crate::harness::{Answer, Client, Cluster, eventually};

const PATH: &str = "/api/cluster/workers";

const LOCAL: (&str, &str) = ("authorization", "Skein-Operator local");

async fn list(client: &mut Client) -> Value {
    client.send(Method::GET, PATH, &[LOCAL], None).await.ok(200).json()
}

async fn add(client: &mut Client, address: &str) -> Answer {
    client.send(Method::POST, PATH, &[LOCAL], Some(json!({ "address": address }))).await
}

async fn remove(client: &mut Client, address: &str) -> Answer {
    client.send(Method::DELETE, &format!("{PATH}/{address}"), &[LOCAL], None).await
}

/// Waits until these are the members, and nobody copies.
async fn members(cluster: &Cluster, addresses: &[&str]) {
    eventually("these are the members", || async {
        let status = cluster.client().get("/api/cluster").await.ok(200).json();
        let mut found: Vec<&str> =
            status["members"].as_array().unwrap().iter().map(|member| member["address"].as_str().unwrap()).collect();
        found.sort_unstable();
        let mut wanted = addresses.to_vec();
        wanted.sort_unstable();
        found == wanted && status["learners"] == json!([]) && status["serving"] == true
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_added_becomes_a_member_and_one_that_is_removed_is_none_any_more() {
    let mut cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    ann.tweet("held by all").await;
    let named = cluster.addresses.clone();
    assert_eq!(list(&mut ann).await, json!({ "workers": named, "added": [], "removed": [] }));

    let fourth = cluster.start_worker().await;
    let mut all = named.clone();
    all.push(fourth.clone());
    assert_eq!(add(&mut ann, &fourth).await.ok(200).json(), json!({ "workers": all, "added": [fourth], "removed": [] }));
    members(&cluster, &[&named[0], &named[1], &named[2], &fourth]).await;
    let again = add(&mut ann, &fourth).await.ok(200).json();
    assert_eq!(again["workers"], json!(all), "it is there already, and that is no error");
    let status = ann.get("/api/cluster").await.ok(200).json();
    assert_eq!((&status["roster"], &status["copies"], &status["others"]), (&json!(all), &json!(4), &json!([])));
    let ready = ann.get("/readyz").await.ok(200).text;
    assert!(ready.contains("members: ok, 4 connected of 4 in the view, 4 wanted\nlearners: ok, none\n"), "{ready}");

    let removed = remove(&mut ann, &named[0]).await.ok(200).json();
    assert_eq!((&removed["removed"], removed["workers"].as_array().unwrap().len()), (&json!([named[0]]), 3));
    members(&cluster, &[&named[1], &named[2], &fourth]).await;
    remove(&mut ann, &named[0]).await.problem(404, 736);
    // It is back as one that has everything to learn.
    add(&mut ann, &named[0]).await.ok(200);
    members(&cluster, &[&named[0], &named[1], &named[2], &fourth]).await;
    ann.tweet("held by all again").await;
    assert_eq!(ann.get("/api/cluster").await.ok(200).json()["started_empty_in_view"], Value::Null);
}

#[tokio::test]
async fn a_change_holds_over_a_restart_whatever_the_settings_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::on(SurfaceConfig::new(Auth::Name), Some(directory.path().to_owned())).await;
    let mut client = cluster.client();
    let named = cluster.addresses.clone();
    let fourth = cluster.start_worker().await;
    add(&mut client, &fourth).await.ok(200);
    members(&cluster, &[&named[0], &named[1], &named[2], &fourth]).await;
    remove(&mut client, &named[1]).await.ok(200);
    cluster.stop_coordinator().await.unwrap();
    cluster.start_coordinator().await;
    client.move_to(cluster.address);
    members(&cluster, &[&named[0], &named[2], &fourth]).await;
    let expected = json!({ "workers": [named[0], named[2], fourth], "added": [fourth], "removed": [named[1]] });
    assert_eq!(list(&mut client).await, expected);
}

#[tokio::test]
async fn each_refusal_says_why() {
    let mut cluster = Cluster::start().await;
    let mut client = cluster.client();
    for wrong in ["", "nowhere", "a:0", "a b:1", "a:70000", "http://a:1"] {
        add(&mut client, wrong).await.problem_in(400, 606, "address");
    }
    remove(&mut client, "no%20address").await.problem_in(400, 606, "address");
    remove(&mut client, "%ff").await.problem_in(400, 606, "address");
    let document = add(&mut client, "10.0.0.1:7000").await.problem_in(400, 606, "address");
    assert!(document["detail"].as_str().unwrap().contains("SKEIN_CLUSTER_SECRET"), "{document}");
    remove(&mut client, "127.0.0.1:1").await.problem(404, 736);
    for (body, field) in
        [(json!({}), "address"), (json!({ "address": 7 }), "address"), (json!({ "address": "127.0.0.1:1", "more": 1 }), "more")]
    {
        client.send(Method::POST, PATH, &[LOCAL], Some(body)).await.problem_in(400, 708, field);
    }
    // Nobody but an operator may even look.
    for (method, path) in [(Method::GET, PATH), (Method::POST, PATH), (Method::DELETE, "/api/cluster/workers/127.0.0.1:1")] {
        client.send(method, path, &[], None).await.problem(401, 734);
    }
    // As many as may be: nobody needs to answer at these addresses.
    for port in 1..=29 {
        add(&mut client, &port.to_string()).await.ok(200);
    }
    add(&mut client, "30").await.problem(409, 735);
    let status = client.get("/api/cluster").await.ok(200).json();
    let silent = json!({ "node": null, "address": "127.0.0.1:7", "connected": false, "state": "silent" });
    assert!(status["others"].as_array().unwrap().contains(&silent), "{status}");
    // The last copy stays.
    for worker in [0, 1] {
        cluster.kill_worker(worker).await;
    }
    members(&cluster, &[&cluster.addresses[2]]).await;
    let document = remove(&mut client, &cluster.addresses[2]).await.problem(409, 737);
    assert!(document["detail"].as_str().unwrap().contains("add another worker"), "{document}");
    remove(&mut client, &cluster.addresses[0]).await.ok(200);
}
