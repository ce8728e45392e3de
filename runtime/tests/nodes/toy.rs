//! The toy machines: a client that sends each request to its peer as a decision and answers when that is acknowledged, and a
//! server that logs each decision and acknowledges it once the record is persisted. Both write down what happens to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus::Registry;
use skein_protocol::id::{ClusterId, Incarnation, NodeId, RequestId, TxnId, ViewNumber};
use skein_protocol::message::{Message, Outcome};
use skein_protocol::record::Record;
use skein_protocol::step::{Halt, Input, KnownOutcome, Machine, Output, Reply, Request, Timer};
use skein_runtime::driver::{Handle, Invariants, Parts, Running, spawn};
use skein_runtime::metrics::{NodeMetrics, RuntimeMetrics};
use skein_runtime::transport::{Endpoint, Secret};
use skein_runtime::wal::Log;
use tokio::net::TcpListener;

pub const VIEW: ViewNumber = ViewNumber(1);
pub const CLIENT: NodeId = NodeId(1);
pub const SERVER: NodeId = NodeId(2);
pub const CLUSTER: ClusterId = ClusterId(77);

/// A request for this sequence is answered with as many large messages to every peer as fit.
pub const FLOOD: u64 = 1_000_000;
/// A request for this one halts the machine, for the next one panics, for the next one is never answered.
pub const HALT: u64 = 1_000_001;
pub const PANIC: u64 = 1_000_002;
pub const IGNORE: u64 = 1_000_003;
/// A request for this one blocks the machine until nobody else holds its journal.
pub const BLOCK: u64 = 1_000_004;

/// What happened to a machine, in words; shared with the test.
pub type Journal = Arc<Mutex<Vec<String>>>;

#[derive(Default)]
pub struct Toy {
    journal: Journal,
    peers: BTreeMap<NodeId, ()>,
    asked: BTreeMap<TxnId, RequestId>,
    unsynced: VecDeque<(NodeId, TxnId)>,
    /// Whether it has logged its cluster, which it does with the first decision.
    bound: bool,
}

pub fn txn(sequence: u64) -> TxnId {
    TxnId { incarnation: Incarnation(1), sequence }
}

/// An address for a server that comes back to it. Its port lies below those that the system gives to outgoing connections, so
/// that none of these can take it meanwhile.
pub fn free_address() -> String {
    let free = (0..100).map(|_| format!("127.0.0.1:{}", rand::random_range(10_000..32_000)));
    free.clone().find(|address| std::net::TcpListener::bind(address).is_ok()).expect("one of a hundred ports is free")
}

pub fn secret() -> Secret {
    Secret::parse("the secret of the tests").unwrap()
}

impl Machine for Toy {
    fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Start => out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: 1 }),
            Input::Timeout(timer) => self.note(format!("timeout {timer:?}")),
            Input::Connected(peer) => {
                self.peers.insert(peer.node, ());
                self.note(format!("connected {} {:?} {}", peer.node.0, peer.role, peer.cluster.map_or(0, |c| c.0)));
            }
            Input::Disconnected { node } => {
                self.peers.remove(&node);
                self.note(format!("disconnected {}", node.0));
            }
            Input::Request { id, request: Request::Outcome { txn } } => self.asked(id, txn, out),
            Input::Request { id, .. } => out.push(Output::Reply { id, reply: Reply::Outcome(KnownOutcome::NotKnown) }),
            Input::Message { from, message: Message::Decide { txn, .. } } => {
                if !std::mem::replace(&mut self.bound, true) {
                    out.push(Output::Persist(Record::Bound { cluster: CLUSTER }));
                    self.unsynced.push_back((from, TxnId { incarnation: Incarnation(0), sequence: 0 }));
                }
                out.push(Output::Persist(Record::Aborted { txn, view: VIEW }));
                self.unsynced.push_back((from, txn));
            }
            Input::Message { from, message: Message::Acknowledged { txn, .. } } => match self.asked.remove(&txn) {
                Some(id) => out.push(Output::Reply { id, reply: Reply::Outcome(KnownOutcome::Known(Outcome::Aborted)) }),
                None => self.note(format!("acknowledged {} by {}", txn.sequence, from.0)),
            },
            Input::Message { .. } => {}
            Input::Persisted { records } => {
                for (to, txn) in self.unsynced.drain(..records as usize) {
                    out.push(Output::Send { to, message: Message::Acknowledged { txn, view: VIEW } });
                }
            }
            Input::Swapped(swapped) => self.note(format!("{swapped:?}")),
        }
    }
}

impl Toy {
    fn asked(&mut self, id: RequestId, txn: TxnId, out: &mut Vec<Output>) {
        match txn.sequence {
            FLOOD => {
                let outcomes = (0..100_000).map(|sequence| (self::txn(sequence), Outcome::Aborted)).collect();
                let large = Message::Activate { view: VIEW, outcomes };
                for to in self.peers.keys() {
                    out.extend((0..200).map(|_| Output::Send { to: *to, message: large.clone() }));
                }
                out.push(Output::Reply { id, reply: Reply::Outcome(KnownOutcome::Unknown) });
            }
            HALT => out.push(Output::Halt(Halt::Superseded)),
            PANIC => panic!("as asked"),
            IGNORE => {}
            BLOCK => {
                self.note("blocked".into());
                while Arc::strong_count(&self.journal) > 1 {
                    std::thread::yield_now();
                }
            }
            _ => {
                self.asked.insert(txn, id);
                for to in self.peers.keys() {
                    out.push(Output::Send {
                        to: *to,
                        message: Message::Decide { txn, view: VIEW, outcome: Outcome::Aborted, versions: vec![] },
                    });
                }
            }
        }
    }

    fn note(&self, line: String) {
        self.journal.lock().unwrap().push(line);
    }
}

/// A node with a toy machine.
pub struct Node {
    pub running: Running,
    pub journal: Journal,
    pub metrics: NodeMetrics,
    pub registry: Registry,
}

impl Node {
    pub fn start(endpoint: Endpoint, log: Option<Log>) -> Node {
        let registry = Registry::new();
        let metrics = RuntimeMetrics::register(&registry, "0", "0").unwrap();
        let journal = Journal::default();
        let machine = Toy { journal: journal.clone(), ..Toy::default() };
        let node = metrics.node("toy");
        let invariants = Some(Invariants { ids: &["few-peers"], check: |toy: &Toy| few_peers(toy) });
        let parts = Parts { name: "toy".into(), network: endpoint, log, control: None, metrics, invariants };
        Node { running: spawn(machine, parts), journal, metrics: node, registry }
    }

    /// A server on a port of its own, and its address.
    pub async fn server(log: Option<Log>) -> (Node, String) {
        Node::server_at("127.0.0.1:0", SERVER, log, |_| {}).await
    }

    pub async fn server_at(address: &str, node: NodeId, log: Option<Log>, change: impl Fn(&mut Endpoint)) -> (Node, String) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut endpoint = Endpoint::worker(node, None, listener, Some(secret()));
        change(&mut endpoint);
        (Node::start(endpoint, log), address)
    }

    pub fn client(servers: &[&str]) -> Node {
        let servers = servers.iter().map(ToString::to_string).collect();
        Node::start(Endpoint::coordinator(CLIENT, servers, Some(secret())), None)
    }

    pub fn notes(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }

    /// Waits until the node's journal holds this line.
    pub async fn noted(&self, line: &str) {
        until(&format!("{line:?} in the journal"), || self.notes().iter().any(|noted| noted == line)).await;
    }

    pub fn handle(&self) -> Handle {
        self.running.handle()
    }
}

/// Asks for this sequence.
pub fn ask(sequence: u64) -> Request {
    Request::Outcome { txn: txn(sequence) }
}

/// The answer to all requests that reached the other side.
pub fn done() -> Reply {
    Reply::Outcome(KnownOutcome::Known(Outcome::Aborted))
}

/// Waits for a condition, but not for ever.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "no {what} in 20 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn few_peers(toy: &Toy) -> Vec<&'static str> {
    if toy.peers.len() > 2 { vec!["few-peers"] } else { vec![] }
}
