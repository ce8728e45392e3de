//! Measures what the runtime costs for each message: one coordinator and three workers in one process, speaking over
//! loopback TCP, with machines that do next to nothing. Each request is a prepare to every worker, a vote from each, a decision
//! to each and an acknowledgement from each, so twelve messages; the processor time of the whole process is divided by them.
//!
//! `cargo run --release -p skein-runtime --example round_trips [REQUESTS] [AT ONCE]`

use std::collections::HashMap;
use std::time::{Duration, Instant};

use skein_protocol::id::{Age, Incarnation, NodeId, RequestId, TxnId, ViewNumber};
use skein_protocol::message::{Message, Outcome, Prepare, Vote};
use skein_protocol::operation::{Action, Expect, Key, Operation, TableId};
use skein_protocol::record::Record;
use skein_protocol::step::{Input, KnownOutcome, Machine, Output, Reply, Request};
use skein_runtime::driver::{Parts, Running, spawn};
use skein_runtime::metrics::{RuntimeMetrics, encode};
use skein_runtime::transport::Endpoint;
use tokio::net::TcpListener;

const VIEW: ViewNumber = ViewNumber(1);

/// A coordinator without any of a coordinator's thoughts.
#[derive(Default)]
struct Asking {
    workers: Vec<NodeId>,
    under_way: HashMap<TxnId, (RequestId, usize)>,
    sequence: u64,
}

impl Machine for Asking {
    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Connected(peer) => self.workers.push(peer.node),
            Input::Request { id, request: Request::Commit { operations, trace, .. } } => {
                self.sequence += 1;
                let txn = TxnId { incarnation: Incarnation(1), sequence: self.sequence };
                let age = Age { stamp: self.sequence, incarnation: Incarnation(1) };
                self.under_way.insert(txn, (id, 0));
                for to in &self.workers {
                    let prepare = Prepare { txn, age, view: VIEW, operations: operations.clone(), trace };
                    out.push(Output::Send { to: *to, message: Message::Prepare(prepare) });
                }
            }
            Input::Request { id, .. } => {
                let outcome = if self.workers.len() == 3 { KnownOutcome::Unknown } else { KnownOutcome::NotKnown };
                out.push(Output::Reply { id, reply: Reply::Outcome(outcome) });
            }
            Input::Message { message: Message::Vote { txn, .. }, .. } => {
                let Some((id, votes)) = self.under_way.get_mut(&txn) else { return };
                *votes += 1;
                if *votes == self.workers.len() {
                    out.push(Output::Reply { id: *id, reply: Reply::Outcome(KnownOutcome::Known(Outcome::Committed)) });
                    self.under_way.remove(&txn);
                    for to in &self.workers {
                        let decide = Message::Decide { txn, view: VIEW, outcome: Outcome::Committed, versions: Vec::new() };
                        out.push(Output::Send { to: *to, message: decide });
                    }
                }
            }
            _ => {}
        }
    }
}

/// A worker that agrees to everything.
struct Agreeing;

impl Machine for Agreeing {
    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Message { from, message: Message::Prepare(prepare) } => {
                let Prepare { txn, view, .. } = prepare;
                out.push(Output::Persist(Record::ForgotViews { before: view }));
                let vote = Vote::Yes { versions: Vec::new() };
                out.push(Output::Send { to: from, message: Message::Vote { txn, view, vote } });
            }
            Input::Message { from, message: Message::Decide { txn, view, .. } } => {
                out.push(Output::Persist(Record::ForgotViews { before: view }));
                out.push(Output::Send { to: from, message: Message::Acknowledged { txn, view } });
            }
            _ => {}
        }
    }
}

fn start<M: Machine + Send + 'static>(machine: M, name: &str, network: Endpoint, registry: &prometheus::Registry) -> Running {
    let metrics = RuntimeMetrics::register(registry, "0", "0").expect("registered once");
    spawn(machine, Parts { name: name.into(), network, log: None, control: None, metrics, invariants: None })
}

/// Processor time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<i64> = stat.rsplit(')').next().into_iter().flat_map(str::split_whitespace).flat_map(str::parse).collect();
    // utime and stime, in hundredths of a second; the state before them is no number.
    Duration::from_millis((fields[10] + fields[11]).unsigned_abs() * 10)
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let requests: u64 = arguments.next().unwrap_or(300_000);
    let at_once: u64 = arguments.next().unwrap_or(64);
    let mut workers = Vec::new();
    let mut addresses = Vec::new();
    let registries = [(); 4].map(|()| prometheus::Registry::new());
    for number in 1..=3_u8 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        addresses.push(listener.local_addr().expect("it is bound").to_string());
        let endpoint = Endpoint::worker(NodeId(number.into()), None, listener, None);
        workers.push(start(Agreeing, "worker", endpoint, &registries[usize::from(number)]));
    }
    let endpoint = Endpoint::coordinator(NodeId(9), addresses, None);
    let coordinator = start(Asking::default(), "coordinator", endpoint, &registries[0]);
    let handle = coordinator.handle();
    while handle.request(Request::Status).await.ok() != Some(Reply::Outcome(KnownOutcome::Unknown)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let (start, busy) = (Instant::now(), processor_time());
    let clients: Vec<_> = (0..at_once)
        .map(|client| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let action = Action::Put(vec![7; 300].into());
                let key = Key::new(TableId(1), client.to_string().as_str());
                let operations = vec![Operation { key, expect: Expect::Any, action }];
                for _ in 0..requests / at_once {
                    let request = Request::Commit { operations: operations.clone(), clock: 0, trace: None };
                    handle.request(request).await.expect("the coordinator runs");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client ends");
    }
    let (took, busy) = (start.elapsed(), processor_time() - busy);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / requests as f64;
    println!("{:.0} requests/s, {:.2} us of processor time each", requests as f64 / took.as_secs_f64(), each(busy));
    for line in
        encode(&registries[0]).lines().filter(|line| line.starts_with("skein_transport_frames") || line.contains("batches"))
    {
        println!("{line}");
    }
}
