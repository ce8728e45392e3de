//! Bearer tokens with real processes: the command line makes, lists and revokes them, proves itself by the cluster's secret
//! without sending it, and no log on any disk holds what would let anybody in.

use std::path::Path;

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::client::{Answer, Client};
use crate::harness::cluster::{Cluster, Plan, SECRET, free_port};
use crate::harness::process::{Ended, Process, run};

const KNOWN: [(&str, &str); 1] = [("SKEIN_CLUSTER_SECRET", SECRET)];

/// Runs `skein token`.
fn token(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    run(&[&["token"], arguments].concat(), environment)
}

/// Makes a token that must be made; gives it and its id.
fn create(url: &str, scope: &str, environment: &[(&str, &str)]) -> (String, String) {
    let made = token(&["create", "of the test", url, "--scope", scope], environment);
    assert_eq!(made.code, Some(0), "{made:?}");
    let secret = made.output.strip_suffix('\n').expect("one line").to_owned();
    assert!(secret.starts_with("skein_") && secret.len() == 49 && !secret.contains('\n'), "{made:?}");
    assert!(!made.log.contains(&secret), "it is printed twice: {made:?}");
    let id = made.log.split_whitespace().nth(1).expect("made ID").to_owned();
    (secret, id)
}

fn list(url: &str, environment: &[(&str, &str)]) -> Vec<Value> {
    let listed = token(&["list", url, "--json"], environment);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let document: Value = serde_json::from_str(&listed.output).expect("JSON");
    document["tokens"].as_array().expect("a list").clone()
}

async fn with(client: &mut Client, secret: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let header = format!("Bearer {secret}");
    client.send(method, path, &[("authorization", &header)], body).await.expect("an answer")
}

/// How many files below this folder hold these bytes.
fn holders(folder: &Path, bytes: &[u8]) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder of ours").map(|entry| entry.expect("readable").path());
    let holds = |path: &Path| std::fs::read(path).expect("a file of ours").windows(bytes.len()).any(|part| part == bytes);
    entries.map(|path| if path.is_dir() { holders(&path, bytes) } else { usize::from(holds(&path)) }).sum()
}

/// The bytes that base64url without padding stands for.
fn decode(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let digit = digits.iter().position(|digit| *digit == byte).expect("a digit of base64url");
        held = (held << 6 | u32::try_from(digit).expect("one of 64")) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).expect("a byte"));
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_listed_used_and_revoked_and_no_disk_holds_it() {
    let mut cluster = Cluster::start(Plan::logged());
    let url = cluster.url();
    let (writer, writer_id) = create(&url, "write", &KNOWN);
    let (reader, reader_id) = create(&url, "read", &KNOWN);
    let tokens = list(&url, &KNOWN);
    let ids: Vec<&str> = tokens.iter().map(|token| token["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, [writer_id.as_str(), reader_id.as_str()]);
    let lines = token(&["list", &url], &KNOWN).output;
    assert!(
        lines.lines().any(|line| line.starts_with(&reader_id) && line.contains("read") && line.contains("of the test")),
        "{lines}"
    );
    assert!(!lines.contains("skein_"), "{lines}");

    let mut program = Client::new(&url);
    assert_eq!(with(&mut program, &writer, Method::PUT, "/api/data/a", Some(&json!(1))).await.status, 201);
    assert_eq!(with(&mut program, &reader, Method::GET, "/api/data/a", None).await.json(), json!(1));
    assert_eq!(with(&mut program, &reader, Method::DELETE, "/api/data/a", None).await.status, 403);

    let revoked = token(&["revoke", &writer_id, &url], &KNOWN);
    assert_eq!((revoked.code, revoked.output.trim()), (Some(0), format!("revoked {writer_id}").as_str()), "{revoked:?}");
    let refused = with(&mut program, &writer, Method::PUT, "/api/data/a", Some(&json!(2))).await;
    assert_eq!((refused.status, &refused.json()["code"]), (401, &json!(731)));
    assert_eq!(with(&mut program, &reader, Method::GET, "/api/data/a", None).await.json(), json!(1));
    let again = token(&["revoke", &writer_id, &url], &KNOWN);
    assert!(again.code == Some(1) && again.output.is_empty() && again.log.contains("no token of this id"), "{again:?}");

    // What was given out stays so when everything has been killed at once, and what was revoked too.
    cluster.kill_all();
    for secret in [&writer, &reader] {
        let bytes = decode(secret.trim_start_matches("skein_"));
        assert_eq!(bytes.len(), 32);
        for (index, bytes) in (0..3).flat_map(|index| [(index, bytes.as_slice()), (index, secret.as_bytes())]) {
            let folder = cluster.worker_directory(index);
            assert_eq!(holders(&folder, bytes), 0, "worker {index} holds a token");
            assert!(holders(&folder, b"of the test") > 0, "what is looked through is the log");
        }
        assert_eq!(holders(&cluster.coordinator_directory(), secret.as_bytes()), 0);
    }
    cluster.start_all();
    assert_eq!(with(&mut program, &reader, Method::GET, "/api/data/a", None).await.json(), json!(1));
    assert_eq!(with(&mut program, &writer, Method::GET, "/api/data/a", None).await.status, 401);
    let log = cluster.coordinator().log_text();
    assert!(!log.contains(&reader) && !log.contains(SECRET), "a secret is logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_clusters_secret_makes_tokens() {
    let cluster = Cluster::start(Plan::in_memory());
    let url = cluster.url();
    let file = tempfile::NamedTempFile::new().expect("a file for the test");
    std::fs::write(file.path(), format!("{SECRET}\n")).expect("written");
    let (_, id) = create(&url, "read", &[("SKEIN_CLUSTER_SECRET_FILE", file.path().to_str().expect("a path of ours"))]);
    let others: [&[(&str, &str)]; 2] = [&[], &[("SKEIN_CLUSTER_SECRET", "another secret for tests")]];
    for environment in others {
        for arguments in [["create", "x", "--scope=write", &url].as_slice(), &["list", &url], &["revoke", &id, &url]] {
            let refused = token(arguments, environment);
            assert!(refused.code == Some(1) && refused.output.is_empty() && refused.log.contains("401"), "{refused:?}");
        }
    }
    assert_eq!(list(&url, &KNOWN).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cluster_in_one_process_believes_its_machine_unless_it_has_a_secret() {
    let alone = Process::start("up", &["up", "--http", "0", "--workers", "1", "--data-access", "tokens"], &[]);
    let (secret, _) = create(alone.url(), "write", &[]);
    let mut program = Client::new(alone.url());
    assert_eq!(with(&mut program, &secret, Method::PUT, "/api/data/a", Some(&json!(1))).await.status, 201);
    let mut person = Client::logged_in(alone.url(), "ada").await;
    assert_eq!(person.get("/api/data/a").await.status, 401);

    let kept = Process::start("up", &["up", "--http", "0", "--workers", "1"], &KNOWN);
    assert_eq!(token(&["list", kept.url()], &[]).code, Some(1));
    create(kept.url(), "read", &KNOWN);
}

#[test]
fn bad_settings_and_nobody_at_the_other_end_have_their_exit_codes() {
    let ended = token(&["create", "", "nowhere", "--scope", "all", "--days", "x"], &[("SKEIN_CLUSTER_SECRET", "short")]);
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{ended:?}");
    for name in ["NAME", "--scope", "--days", "the URL", "SKEIN_CLUSTER_SECRET"] {
        assert!(ended.log.contains(name), "{name} is not said in {}", ended.log);
    }
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ended = token(&["list", &nobody], &[]);
    assert!(ended.code == Some(1) && ended.output.is_empty() && ended.log.contains("can't connect"), "{ended:?}");
}
