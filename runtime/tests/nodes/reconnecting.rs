//! Connections that end and come back, are replaced, or stand still.

use std::time::Duration;

use skein_protocol::id::NodeId;
use skein_protocol::step::Role;
use skein_runtime::transport::Fault;
use skein_runtime::transport::handshake::{self, Hello};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::toy::{CLIENT, FLOOD, Node, SERVER, ask, done, free_address, secret, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_back_is_met_again() {
    let (server, address) = Node::server_at(&free_address(), SERVER, None, |_| {}).await;
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 0").await;
    server.running.kill().await;
    client.noted("disconnected 2").await;
    let (_server, _) = Node::server_at(&address, NodeId(3), None, |_| {}).await;
    client.noted("connected 3 Worker 0").await;
    assert_eq!(client.handle().request(ask(1)).await, Ok(done()));
    let notes = client.notes();
    let membership: Vec<&String> = notes.iter().filter(|note| note.contains("connected")).collect();
    assert_eq!(membership, ["connected 2 Worker 0", "disconnected 2", "connected 3 Worker 0"]);
    assert_eq!(client.metrics.reconnects(&address).get(), 1);
}

/// Connects as this node by hand.
pub async fn connect_as(node: NodeId, address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let hello = Hello::new(Role::Coordinator, node, None);
    handshake::dial(&mut stream, &hello, Some(&secret())).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_of_the_same_node_replaces_the_older() {
    let (server, address) = Node::server(None).await;
    let mut first = connect_as(CLIENT, &address).await;
    server.noted("connected 1 Coordinator 0").await;
    let _second = connect_as(CLIENT, &address).await;
    // The first is closed: what comes from it ends.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), first.read_to_end(&mut rest)).await.unwrap().unwrap();
    let membership = || server.notes().into_iter().filter(|note| note.contains("connected")).collect::<Vec<_>>();
    until("second connection", || membership().len() == 3).await;
    assert_eq!(membership(), ["connected 1 Coordinator 0", "disconnected 1", "connected 1 Coordinator 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_is_cut_off_while_others_are_served() {
    let (server, address) =
        Node::server_at("127.0.0.1:0", SERVER, None, |endpoint| endpoint.limits.send_queue_bytes_max = 8 << 20).await;
    // It says nothing either, but only so briefly that nobody minds.
    let _deaf = connect_as(NodeId(9), &address).await;
    server.noted("connected 9 Coordinator 0").await;
    server.handle().request(ask(FLOOD)).await.unwrap();
    server.noted("disconnected 9").await;
    assert_eq!(server.metrics.overflows.get(), 1);
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 0").await;
    assert_eq!(client.handle().request(ask(1)).await, Ok(done()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_taken_for_dead_and_heartbeats_keep_an_idle_one_alive() {
    // So long that a machine that stands still does not cut the idle one off, too.
    let silence = Duration::from_secs(3);
    let (server, address) = Node::server_at("127.0.0.1:0", SERVER, None, |endpoint| endpoint.limits.silence = silence).await;
    let mut endpoint = skein_runtime::transport::Endpoint::coordinator(CLIENT, vec![address.clone()], Some(secret()));
    endpoint.limits.heartbeat = Duration::from_millis(20);
    let client = Node::start(endpoint, None);
    client.noted("connected 2 Worker 0").await;
    let _mute = connect_as(NodeId(9), &address).await;
    server.noted("connected 9 Coordinator 0").await;
    server.noted("disconnected 9").await;
    assert_eq!(server.metrics.faults(Fault::Silent), 1);
    assert!(!server.notes().contains(&"disconnected 1".to_owned()), "the idle client was cut off, too");
}
