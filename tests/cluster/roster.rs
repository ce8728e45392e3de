//! A machine is replaced while people write: the command line adds a worker and removes another, for good, and `skein status`
//! says at each step how the cluster stands. Only who knows the cluster's secret may.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET, free_port};
use crate::harness::process::{Ended, Process, run};
use crate::harness::proxy::{Proxy, Weather};
use crate::harness::wait::until;

const KNOWN: [(&str, &str); 1] = [("SKEIN_CLUSTER_SECRET", SECRET)];

/// How soon a worker is a member, however busy the machine is.
const MEMBER_WITHIN: Duration = Duration::from_secs(30);

fn change(verb: &str, worker: &str, url: &str, environment: &[(&str, &str)]) -> Ended {
    run(&["worker", verb, worker, url], environment)
}

fn done(verb: &str, worker: &str, url: &str) {
    let ended = change(verb, worker, url, &KNOWN);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.output, format!("{} {worker}\n", if verb == "add" { "added" } else { "removed" }));
}

/// Waits until these are the members, and nobody copies.
async fn members(url: &str, addresses: &[&str]) {
    let mut client = Client::new(url);
    until(&format!("{addresses:?} are the members"), MEMBER_WITHIN, async || {
        let status = client.get("/api/cluster").await.json();
        let mut found: Vec<&str> = status["members"].as_array()?.iter().filter_map(|member| member["address"].as_str()).collect();
        let mut wanted = addresses.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        (found == wanted && status["learners"].as_array()?.is_empty() && status["serving"] == true).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_replaced_by_two_commands_and_the_settings_of_before_change_nothing() {
    let mut cluster = Cluster::start(Plan::logged());
    let url = cluster.url();
    let mut client = Client::logged_in(&url, "ada").await;
    client.tweet("before").await;
    let (first, second, third) = (cluster.worker_address(0), cluster.worker_address(1), cluster.worker_address(2));
    let fourth = free_port().to_string();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let spare = Process::start("the spare worker", &["worker", &fourth, "--data", data], &KNOWN);
    let spare_address = format!("127.0.0.1:{fourth}");

    for environment in [&[][..], &[("SKEIN_CLUSTER_SECRET", "another secret than theirs")]] {
        let refused = change("add", &spare_address, &url, environment);
        assert!(refused.code == Some(1) && refused.log.contains("401"), "{refused:?}");
    }
    cluster.kill_worker(2);
    done("add", &spare_address, &url);
    done("remove", &third, &url);
    members(&url, &[&first, &second, &spare_address]).await;
    client.tweet("with another machine").await;
    let status = run(&["status", &url], &[]);
    assert_eq!(status.code, Some(0), "{status:?}");
    for line in ["members: ok, 3 connected of 3 in the view, 3 wanted", "learners: ok, none", "records: ok, nothing was lost"] {
        assert!(status.output.contains(line), "{line} is missing in {}", status.output);
    }
    let of_spare = run(&["status", spare.url()], &[]);
    assert!(of_spare.code == Some(0) && of_spare.output.contains("active"), "{of_spare:?}");

    // The old one is started again, and named by the settings: it stays out. So does nobody else.
    cluster.kill_coordinator();
    cluster.start_all();
    members(&url, &[&first, &second, &spare_address]).await;
    let log = cluster.coordinator().log_text();
    assert!(log.contains("was added by an operator") && log.contains("was removed by an operator"), "{log}");
    let again = change("remove", &third, &url, &KNOWN);
    assert!(again.code == Some(1) && again.log.contains("404") && again.log.contains(&third), "{again:?}");
    // All that is left is the last copy.
    cluster.kill_workers(&[0, 1]);
    members(&url, &[&spare_address]).await;
    assert_eq!(client.all_tweets().await.len(), 2);
    let last = change("remove", &spare_address, &url, &KNOWN);
    assert!(last.code == Some(1) && last.log.contains("no other member"), "{last:?}");
}

/// Records of a copy that takes a while, bytes of each, and how slow the network is that they take: some seventy chunks, four at a
/// time, so that there are ten seconds to look at it.
const RECORDS: usize = 4_400;
const RECORD_BYTES: usize = 4_000;
const DELAY: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_learns_is_told_of_with_its_progress_until_it_is_a_member() {
    let mut cluster = Cluster::start(Plan { workers: 1, ..Plan::in_memory() }.patient());
    let url = cluster.url();
    let mut client = Client::logged_in(&url, "ada").await;
    let value = "x".repeat(RECORD_BYTES);
    for batch in 0..RECORDS / 22 {
        let write = |number: usize| json!({ "key": format!("{batch}/{number}"), "value": value });
        let writes: Vec<Value> = (0..22).map(write).collect();
        let answer = client.post("/api/transactions", &json!({ "writes": writes })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let port = free_port();
    let spare = Process::start("the spare worker", &["worker", &port.to_string()], &KNOWN);
    let network = Proxy::start(free_port(), (Ipv4Addr::LOCALHOST, port).into());
    network.set(Weather::slow(DELAY));
    let spare_address = network.address().to_string();
    done("add", &spare_address, &url);
    let copying = async || {
        let status = client.get("/api/cluster").await.json();
        (status["learners"][0]["records_total"].as_u64()? > 0).then_some(())
    };
    until("the worker copies", MEMBER_WITHIN, copying).await;
    // What it is told takes its time, too.
    let mut itself = Client::new(spare.url());
    let told = async || Some(itself.get("/readyz").await).filter(|answer| answer.status != 200);
    let (of_spare, _) = until("the worker knows that it learns", MEMBER_WITHIN, told).await;
    let status = run(&["status", &url], &[]);
    let document = client.get("/api/cluster").await.json();
    network.heal();

    assert!(of_spare.status == 503 && of_spare.text().contains("copies all records"), "{of_spare:?}");
    assert_eq!(status.code, Some(0), "writes are served all the while: {status:?}");
    let learner = &document["learners"][0];
    let (copied, total) =
        (learner["records_copied"].as_u64().expect("a number"), learner["records_total"].as_u64().expect("one"));
    assert!(copied < total && total > RECORDS as u64, "{document}");
    assert_eq!((&learner["address"], &document["copies"]), (&json!(spare_address), &json!(1)));
    for text in [format!("learners: degraded, {spare_address} has copied "), " %, records_copied ".to_owned()] {
        assert!(status.output.contains(&text), "{text} is missing in {}", status.output);
    }
    let first = cluster.worker_address(0);
    members(&url, &[&first, &spare_address]).await;
    assert_eq!(Client::new(spare.url()).get("/readyz").await.status, 200);
    let agreed = cluster.agreed(2).await;
    assert_eq!(agreed["members"][0]["records"], agreed["members"][1]["records"]);
    // The one that had all records can go now, and nothing is lost.
    done("remove", &first, &url);
    cluster.kill_worker(0);
    members(&url, &[&spare_address]).await;
    assert_eq!(client.get("/api/data/0/0").await.json(), json!(value));
}

#[test]
fn what_is_no_change_is_said_at_once() {
    for (line, names) in [
        (&["worker", "add", "no/address", "nowhere"][..], &["a worker must be HOST:PORT", "the URL"][..]),
        (&["worker", "remove"], &["HOST:PORT"]),
        (&["worker", "7001", "add", "7002"], &["add"]),
        (&["worker"], &["PORT|ADDR:PORT"]),
    ] {
        let ended = run(line, &[]);
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
        for name in names {
            assert!(ended.log.contains(name), "{name} is not said in {}", ended.log);
        }
    }
    // The variables of a worker's own settings are no part of a change.
    let environment = [("SKEIN_CLUSTER_ADDRESS", "7001"), ("SKEIN_HTTP", "0"), ("SKEIN_CLUSTER_SECRET", SECRET)];
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ended = change("add", "7002", &nobody, &environment);
    assert!(ended.code == Some(1) && ended.log.contains("can't connect"), "{ended:?}");
}
