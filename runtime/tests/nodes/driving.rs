//! What a driver does with requests, records, timers, its log and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skein_protocol::id::{ClusterId, NodeId, Writer};
use skein_protocol::membership::roster::Changes;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::record::Record;
use skein_protocol::step::{Halt, Input, Machine, Output, Refusal, Reply, Request};
use skein_runtime::control;
use skein_runtime::disk::DiskError;
use skein_runtime::driver::{Gone, Parts, Stopped, spawn};
use skein_runtime::metrics::{RuntimeMetrics, encode};
use skein_runtime::transport::Endpoint;
use skein_runtime::wal::memory::Memory;
use skein_runtime::wal::{self, Log, Salvage, SyncPolicy, Wal};

use crate::toy::{BLOCK, CLUSTER, HALT, IGNORE, Node, PANIC, SERVER, ask, done, txn, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_over_the_wire_once_the_record_is_persisted() {
    let memory = Memory::new();
    let directory = tempfile::tempdir().unwrap();
    let sled = wal::sled::open(directory.path(), SyncPolicy::Always, Salvage::default()).unwrap().engine;
    for engine in [None, Some(memory.open().engine), Some(sled)] {
        let log = engine.map(|engine| Log { engine, sync: SyncPolicy::Always });
        let (server, address) = Node::server(log).await;
        let client = Node::client(&[&address]);
        client.noted("connected 2 Worker 0").await;
        server.noted("connected 1 Coordinator 0").await;
        client.noted("timeout Sweep").await;
        let asking: Vec<_> = (1..=500)
            .map(|sequence| {
                let handle = client.handle();
                tokio::spawn(async move { handle.request(ask(sequence)).await })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap(), Ok(done()));
        }
        assert_eq!(server.running.shutdown(Duration::from_secs(5)).await, Stopped::Shutdown);
        client.noted("disconnected 2").await;
    }
    assert_eq!(memory.open().snapshot.decided.len(), 500);
    let reopened = wal::sled::open(directory.path(), SyncPolicy::Always, Salvage::default()).unwrap();
    assert_eq!((reopened.snapshot.decided.len(), reopened.snapshot.cluster), (500, Some(CLUSTER)));
    assert!(reopened.recovery.clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_later_is_told_the_cluster_that_the_worker_was_bound_to() {
    let (server, address) = Node::server(Some(Log { engine: Memory::new().open().engine, sync: SyncPolicy::Always })).await;
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 0").await;
    assert_eq!(client.handle().request(ask(1)).await, Ok(done()));
    client.running.kill().await;
    server.noted("disconnected 1").await;
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 77").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_requests_under_way_but_not_for_ever_and_takes_no_more() {
    let (_server, address) = Node::server(None).await;
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 0").await;
    let handle = client.handle();
    // Taken before the next one, and never answered.
    let mut ignored = Box::pin(handle.request(ask(IGNORE)));
    assert!(futures_poll_once(ignored.as_mut()).is_none());
    assert_eq!(handle.request(ask(1)).await, Ok(done()));
    // Long enough for a test that is held up to look in between.
    let stopping = tokio::spawn(client.running.shutdown(Duration::from_secs(10)));
    until("refusal of new requests", || {
        // A request that is still taken is answered or dropped; only the end of it matters here.
        futures_poll_once(handle.request(ask(2))) == Some(Err(Gone))
    })
    .await;
    assert!(!stopping.is_finished(), "a request is under way");
    assert_eq!(stopping.await.unwrap(), Stopped::Shutdown);
    assert_eq!(ignored.await, Err(Gone));
}

/// Polls a future once.
fn futures_poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_too_much_waits_a_request_is_refused_at_once_and_counted() {
    let node = Node::client(&[]);
    let handle = node.handle();
    let blocked = tokio::spawn({
        let handle = handle.clone();
        async move { handle.request(ask(BLOCK)).await }
    });
    node.noted("blocked").await;
    let mut waiting = Vec::new();
    let refused = loop {
        let mut request = Box::pin(handle.request(ask(IGNORE)));
        match futures_poll_once(request.as_mut()) {
            None => waiting.push(request),
            Some(answer) => break answer,
        }
        assert!(waiting.len() < 100_000, "the queue has no bound");
    };
    assert_eq!(refused, Ok(Reply::Refused(Refusal::Overloaded)));
    assert_eq!(node.metrics.queue_rejected.get(), 1);
    drop(waiting);
    // The machine goes on once nobody else holds its journal.
    let Node { running, journal, .. } = node;
    drop(journal);
    until("room for requests", || {
        futures_poll_once(handle.request(Request::Status)) != Some(Ok(Reply::Refused(Refusal::Overloaded)))
    })
    .await;
    running.kill().await;
    assert_eq!(blocked.await.unwrap(), Err(Gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_says_why_it_stopped() {
    let mut halted = Node::client(&[]);
    assert_eq!(halted.handle().request(ask(HALT)).await, Err(Gone));
    assert_eq!(halted.running.stopped().await, Stopped::Halted(Halt::Superseded));
    assert_eq!(halted.running.stopped().await, Stopped::Halted(Halt::Superseded));
    assert_eq!(halted.handle().request(ask(1)).await, Err(Gone));

    let mut panicked = Node::client(&[]);
    assert_eq!(panicked.handle().request(ask(PANIC)).await, Err(Gone));
    assert_eq!(panicked.running.stopped().await, Stopped::Panicked("as asked".into()));
}

/// A log whose disk fails at the second sync.
struct Failing(u32);

impl Wal for Failing {
    fn append(&mut self, _records: &[Record]) -> Result<u64, DiskError> {
        Ok(0)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        self.0 += 1;
        let error = std::io::Error::other("no more disk");
        if self.0 < 2 { Ok(()) } else { Err(DiskError::Io { path: "log".into(), error }) }
    }

    fn close(&mut self) -> Result<(), DiskError> {
        panic!("a log that failed is not marked as closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_fails_stops_its_node_before_anything_is_promised() {
    let (mut server, address) = Node::server(Some(Log { engine: Box::new(Failing(0)), sync: SyncPolicy::Always })).await;
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 0").await;
    assert_eq!(client.handle().request(ask(2)).await, Ok(done()));
    let handle = client.handle();
    let asked = tokio::spawn(async move { handle.request(ask(3)).await });
    assert_eq!(server.running.stopped().await, Stopped::Log("log: no more disk".into()));
    client.noted("disconnected 2").await;
    assert!(!asked.is_finished(), "it was acknowledged though the log had failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_invariant_is_counted_by_its_name() {
    let (server, address) = Node::server(None).await;
    let text = || encode(&server.registry);
    assert!(text().contains("skein_invariant_violations_total{id=\"few-peers\",node=\"toy\"} 0"));
    let clients: Vec<Node> = (10..13)
        .map(|node| {
            let secret = Some(crate::toy::secret());
            Node::start(Endpoint::coordinator(NodeId(node), vec![address.clone()], secret), None)
        })
        .collect();
    until("violation", || server.metrics.violations("few-peers").get() > 0).await;
    assert_eq!(clients.len(), 3);
    assert!(server.notes().iter().all(|note| note.starts_with("connected") || note.starts_with("timeout")));
}

/// Swaps at each request and answers when that is answered.
struct Swapper(ViewRecord, Arc<AtomicU64>);

impl Machine for Swapper {
    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Request { .. } => {
                // Two at once: the second one finds what the first one left.
                out.push(Output::Swap { expected: None, record: self.0.clone() });
                out.push(Output::Swap { expected: None, record: self.0.clone() });
            }
            Input::Swapped(skein_protocol::step::Swapped::Done) => {
                assert_eq!(self.1.fetch_add(1, Ordering::SeqCst), 0, "the first is answered first");
            }
            Input::Swapped(skein_protocol::step::Swapped::Current(current)) => {
                assert_eq!(current.as_ref(), Some(&self.0));
                assert_eq!(self.1.fetch_add(1, Ordering::SeqCst), 1, "the second is answered second");
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swaps_are_done_one_after_the_other_and_without_a_store_the_node_stops() {
    let record = ViewRecord {
        cluster: ClusterId(1),
        writer: Writer::UNKNOWN,
        active: None,
        pending: None,
        roster: Changes::default(),
        emptied: None,
        curtailed: None,
    };
    let registry = prometheus::Registry::new();
    let metrics = RuntimeMetrics::register(&registry, "0", "0").unwrap();
    let parts = |control| Parts {
        name: "swapper".into(),
        network: Endpoint::coordinator(SERVER, Vec::new(), None),
        log: None,
        control,
        metrics: metrics.clone(),
        invariants: None,
    };
    let answered = Arc::new(AtomicU64::new(0));
    let store: Box<dyn control::Control> = Box::new(control::memory::Memory::new());
    let running = spawn(Swapper(record.clone(), answered.clone()), parts(Some(store)));
    let _pending = futures_poll_once(running.handle().request(Request::Outcome { txn: txn(1) }));
    until("answer to both", || answered.load(Ordering::SeqCst) == 2).await;
    assert_eq!(running.shutdown(Duration::ZERO).await, Stopped::Shutdown);

    let mut without = spawn(Swapper(record, Arc::default()), parts(None));
    assert_eq!(without.handle().request(Request::Status).await, Err(Gone));
    assert!(matches!(without.stopped().await, Stopped::Control(_)));
}
