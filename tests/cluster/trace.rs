//! One trace tells the whole way of one write: the request at the coordinator, and on each worker the prepare, the commit and
//! the sync of the log. The receiver here speaks OTLP as a collector does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use hyper::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::wait::until;

/// How long it may take until all spans of a trace have come in; they are sent in batches.
const TRACED_WITHIN: Duration = Duration::from_secs(15);

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

type Spans = Arc<Mutex<Vec<Span>>>;

async fn receive(State(spans): State<Spans>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("what comes in is OTLP");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
}

/// Starts a receiver, and says where it is and what it has got.
async fn receiver() -> (String, Spans) {
    let spans = Spans::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&spans));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (endpoint, spans)
}

/// The nodes that have a span of this name.
fn nodes(spans: &[Span], name: &str) -> BTreeSet<String> {
    let of_name = spans.iter().filter(|span| span.name == name);
    of_name
        .filter_map(|span| span.attributes.iter().find(|attribute| attribute.key == "node.id"))
        .map(|attribute| format!("{:?}", attribute.value))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_shows_the_request_and_what_each_worker_did_for_it() {
    let (endpoint, received) = receiver().await;
    let mut plan = Plan::logged();
    plan.environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
    plan.environment.push(("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()));
    let cluster = Cluster::start(plan);
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let headers = [("traceparent", parent.as_str())];
    let answer = client.send(Method::POST, "/api/tweet", &headers, Some(&json!({ "text": "traced" }))).await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");

    let whole = async || {
        let trace: Vec<Span> = received.lock().unwrap().iter().filter(|span| hex(&span.trace_id) == TRACE_ID).cloned().collect();
        let everywhere = ["prepare", "commit", "wal.sync"].iter().all(|name| nodes(&trace, name).len() == 3);
        let request = trace.iter().any(|span| hex(&span.parent_span_id) == "00f067aa0ba902b7");
        (everywhere && request).then_some(trace)
    };
    let (trace, _) =
        until("the request, and prepare, commit and log sync of three workers, are traced", TRACED_WITHIN, whole).await;
    // It is one tree: every span but the request's has its parent in the trace, too.
    let ids: BTreeSet<&[u8]> = trace.iter().map(|span| span.span_id.as_slice()).collect();
    let strays: Vec<&str> = trace
        .iter()
        .filter(|span| hex(&span.parent_span_id) != "00f067aa0ba902b7" && !ids.contains(span.parent_span_id.as_slice()))
        .map(|span| span.name.as_str())
        .collect();
    assert!(strays.is_empty(), "these have no parent in the trace: {strays:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
