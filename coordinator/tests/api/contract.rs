//! What is served beside the API itself: the contract, its page, probes, metrics, the headers that every answer has.

use hyper::Method;
use serde_json::json;

use crate::harness::Cluster;

#[tokio::test]
async fn the_contract_and_its_page_are_there_for_everybody() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let document = client.get("/api/openapi.json").await.ok(200);
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.json()["openapi"], "3.1.0");
    for page in ["/api/docs", "/api/docs/"] {
        let page = client.get(page).await.ok(200);
        assert!(page.header("content-type").starts_with("text/html"));
        for part in page.text.split("\"/api/docs/").skip(1) {
            let name = part.split('"').next().unwrap();
            client.get(&format!("/api/docs/{name}")).await.ok(200);
        }
        assert!(!page.text.contains("style=") && !page.text.contains("<script>"), "the policy forbids it");
    }
    assert!(client.get("/api/docs/swagger-initializer.js").await.ok(200).text.contains("/api/openapi.json"));
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    for path in ["/", "/nowhere", "/api/tweet", "/api/cluster", "/api/docs", "/livez", "/metrics"] {
        let answer = client.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
    assert_eq!(client.get("/api/login").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn everything_that_is_counted_is_there_from_the_start_and_counts() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let post = "skein_http_requests_total{method=\"POST\",node=\"coordinator\",route=\"/api/tweet\",status=\"201\"}";
    let before = ann.get("/metrics").await.ok(200);
    assert!(before.header("content-type").starts_with("text/plain"));
    assert!(before.text.contains(&format!("{post} 0\n")), "{}", before.text);
    for name in [
        "skein_http_request_duration_seconds_bucket",
        "skein_coordinator_transactions_total",
        "skein_membership_view_number",
        "skein_membership_members",
        "skein_driver_queue_length",
        "skein_build_info",
        "skein_invariant_violations_total",
        "skein_coordinator_transaction_duration_seconds_bucket",
        "skein_membership_view_changes_total",
    ] {
        assert!(before.text.contains(&format!("{name}{{")), "{name} is missing");
    }
    let put = "skein_http_requests_total{method=\"PUT\",node=\"coordinator\",route=\"/api/data/{*key}\",status=\"201\"}";
    assert!(before.text.contains(&format!("{put} 0\n")), "{}", before.text);
    ann.put("/api/data/counted/too", json!(1)).await.ok(201);
    ann.tweet("counted").await;
    ann.send(Method::GET, "/api/tweet/01a1f798-19cc-72da-bbfe-5131235b7b99", &[], None).await.problem(404, 702);
    let after = ann.get("/metrics").await.ok(200).text;
    assert!(after.contains(&format!("{post} 1\n")) && after.contains(&format!("{put} 1\n")));
    assert!(
        after.contains(
            "skein_http_requests_total{method=\"GET\",node=\"coordinator\",route=\"/api/tweet/{id}\",status=\"404\"} 1\n"
        )
    );
    assert!(after.contains("skein_coordinator_transactions_total{node=\"coordinator\",outcome=\"unknown\"} 0\n"));
}

#[tokio::test]
async fn what_a_page_needs_before_anybody_is_logged_in_is_told() {
    let cluster = Cluster::start().await;
    let settings = cluster.client().get("/api/settings").await.ok(200).json();
    assert_eq!((&settings["auth"], &settings["tweet_characters_max"]), (&json!("name"), &json!(100)));
    assert_eq!(settings["idempotency_seconds"], 24 * 60 * 60);
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let cluster = Cluster::start().await;
    let answer = cluster.client().send(Method::HEAD, "/api/cluster", &[], None).await.ok(200);
    assert!(answer.text.is_empty());
}

#[tokio::test]
async fn files_are_sent_compressed_and_answers_are_not() {
    let cluster = Cluster::start().await;
    let mut client = cluster.logged_in("ada").await;
    for number in 0..20 {
        client.tweet(&format!("the same words again and again, number {number}")).await;
    }
    let accepts = [("accept-encoding", "gzip")];
    let script = client.send(Method::GET, "/api/docs/swagger-ui-bundle.js", &accepts, None).await.ok(200);
    assert_eq!(script.header("content-encoding"), "gzip");
    let plain = client.get("/api/docs/swagger-ui-bundle.js").await.ok(200);
    assert!(plain.text.len() > 2 * script.text.len(), "{} and {} bytes", plain.text.len(), script.text.len());
    let list = client.send(Method::GET, "/api/tweet", &accepts, None).await.ok(200);
    assert_eq!(list.header("content-encoding"), "");
}
