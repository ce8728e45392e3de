//! Peers that mean no good, or are broken: each is logged, counted by kind and cut off, and the node goes on serving.

use std::time::Duration;

use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::message::Message;
use skein_protocol::step::Role;
use skein_runtime::formats::PROTOCOL_VERSION;
use skein_runtime::transport::frame::{FRAME_BYTES_MAX, FrameKind, Frames, frame_header};
use skein_runtime::transport::handshake::{self, HELLO_BYTES, Hello};
use skein_runtime::transport::{Fault, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::reconnecting::connect_as;
use crate::toy::{Node, SERVER, ask, done, until};

/// Waits until the other end has closed.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    // A reset is an end, too.
    let _end = read.expect("the connection was left open");
}

/// The node still serves, and counted this once.
async fn still_serves(server: &Node, address: &str, fault: Fault) {
    until(&format!("fault {fault:?}"), || server.metrics.faults(fault) == 1).await;
    for other in Fault::ALL {
        assert_eq!(server.metrics.faults(other), u64::from(other == fault), "{other:?} beside {fault:?}");
    }
    let client = Node::client(&[address]);
    client.noted("connected 2 Worker 0").await;
    assert_eq!(client.handle().request(ask(2)).await, Ok(done()));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_further_than_the_handshake() {
    let hello = Hello::new(Role::Coordinator, NodeId(9), None).encode();
    let mut newer = hello;
    newer[6] = PROTOCOL_VERSION + 1;
    let mut myself = Hello::new(Role::Coordinator, SERVER, None).encode().to_vec();
    myself.extend([0; 32]);
    let mut guess = hello.to_vec();
    guess.extend([0; 32]);
    let cases: [(&[u8], Fault); 6] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Fault::Protocol),
        (&newer, Fault::Version),
        (&myself, Fault::Myself),
        (&guess, Fault::Secret),
        (&hello[..40], Fault::Truncated),
        (b"", Fault::Truncated),
    ];
    for (bytes, fault) in cases {
        let (server, address) = Node::server(None).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        closed(&mut stream).await;
        still_serves(&server, &address, fault).await;
        assert!(!server.notes().iter().any(|note| note.starts_with("connected 9")), "a stranger came in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_with_another_secret_is_told_apart_and_tried_again() {
    let (server, address) = Node::server(None).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let hello = Hello::new(Role::Coordinator, NodeId(9), None);
    let wrong = Secret::parse("not the secret of the tests").unwrap();
    let error = handshake::dial(&mut stream, &hello, Some(&wrong)).await.unwrap_err();
    assert!(error.to_string().contains("secrets may differ"), "{error}");
    still_serves(&server, &address, Fault::Secret).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_mirrors_the_dialer_is_not_believed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Node::client(&[&listener.local_addr().unwrap().to_string()]);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = [0; HELLO_BYTES];
    stream.read_exact(&mut hello).await.unwrap();
    hello[8] ^= 0xff;
    stream.write_all(&hello).await.unwrap();
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await.unwrap();
    stream.write_all(&proof).await.unwrap();
    closed(&mut stream).await;
    until("fault", || client.metrics.faults(Fault::Secret) == 1).await;
    assert!(!client.notes().iter().any(|note| note.starts_with("connected")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_the_handshake_is_cut_off_and_only_so_many_may_try() {
    let (server, address) = Node::server_at("127.0.0.1:0", SERVER, None, |endpoint| {
        // Long enough for all three to be there on a machine that stands still for a while.
        endpoint.limits.handshake = Duration::from_secs(3);
        endpoint.limits.handshakes_max = 2;
    })
    .await;
    let mut slow = [TcpStream::connect(&address).await.unwrap(), TcpStream::connect(&address).await.unwrap()];
    let mut crowded = TcpStream::connect(&address).await.unwrap();
    closed(&mut crowded).await;
    assert_eq!(server.metrics.faults(Fault::Crowded), 1);
    for stream in &mut slow {
        closed(stream).await;
    }
    until("two faults", || server.metrics.faults(Fault::HandshakeTimeout) == 2).await;
    let client = Node::client(&[&address]);
    client.noted("connected 2 Worker 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_frame_ends_its_connection_and_nothing_else() {
    let mut good = Frames::default();
    good.push(&Message::Activated { view: ViewNumber(1) }).unwrap();
    good.seal();
    let good = good.bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        bytes
    };
    let mut too_long = frame_header(FrameKind::Messages, &[]).to_vec();
    too_long[0..4].copy_from_slice(&(FRAME_BYTES_MAX as u32 + 1).to_le_bytes());
    let mut nonsense = frame_header(FrameKind::Messages, &[0xff; 20]).to_vec();
    nonsense.extend([0xff; 20]);
    let cases = [
        (too_long, Fault::FrameTooLong),
        (with(4, 99), Fault::Version),
        (with(5, 99), Fault::Undecodable),
        (with(good.len() - 1, !good[good.len() - 1]), Fault::Checksum),
        (nonsense, Fault::Undecodable),
        (good[..good.len() - 1].to_vec(), Fault::Truncated),
        (good[..5].to_vec(), Fault::Truncated),
    ];
    for (bytes, fault) in cases {
        let (server, address) = Node::server(None).await;
        let mut stream = connect_as(NodeId(9), &address).await;
        server.noted("connected 9 Coordinator 0").await;
        stream.write_all(good).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        closed(&mut stream).await;
        server.noted("disconnected 9").await;
        still_serves(&server, &address, fault).await;
    }
}
