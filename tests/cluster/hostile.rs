//! Strangers and broken peers at a real worker's port: each is logged, counted and cut off, and neither the process nor the
//! cluster that it serves takes notice.

use std::time::Duration;

use skein_protocol::id::NodeId;
use skein_protocol::step::Role;
use skein_runtime::formats::PROTOCOL_VERSION;
use skein_runtime::transport::frame::FRAME_BYTES_MAX;
use skein_runtime::transport::handshake::{self, HELLO_BYTES, Hello};
use skein_runtime::transport::{Fault, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan, SECRET};
use crate::harness::wait::until;

/// How soon a connection that broke a rule must be closed; the longest is that of a handshake that never ends.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

struct Worker {
    url: String,
    address: String,
}

impl Worker {
    /// How often connections were closed for this.
    async fn faults(&self, fault: Fault) -> u64 {
        let metrics = Client::new(&self.url).get("/metrics").await.text();
        let series = format!("skein_transport_faults_total{{kind=\"{}\",", fault.label());
        let line = metrics.lines().find(|line| line.starts_with(&series)).unwrap_or_else(|| panic!("no {series} in {metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("the worker listens")
    }

    /// A connection whose other end has proved that it belongs to the cluster.
    async fn connect_as_peer(&self) -> TcpStream {
        let mut stream = self.connect().await;
        let hello = Hello::new(Role::Coordinator, NodeId(rand::random()), None);
        let secret = Secret::parse(SECRET).unwrap();
        handshake::dial(&mut stream, &hello, Some(&secret)).await.expect("the secret is right");
        stream
    }

    /// Sends these bytes and ends its side; the worker must count one such fault and close the connection.
    async fn must_close(&self, mut stream: TcpStream, bytes: &[u8], end: bool, fault: Fault) {
        let before = self.faults(fault).await;
        // The worker may close while the bytes are still being sent.
        stream.write_all(bytes).await.ok();
        if end {
            stream.shutdown().await.ok();
        }
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(CLOSED_WITHIN, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "{fault:?}: the connection stays open");
        let what = format!("{fault:?} is counted");
        until(&what, CLOSED_WITHIN, async || (self.faults(fault).await == before + 1).then_some(())).await;
    }
}

fn frame(version: u8, kind: u8, body: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = u32::try_from(length).unwrap().to_le_bytes().to_vec();
    bytes.extend([version, kind]);
    bytes.extend(crc32c::crc32c(body).to_le_bytes());
    bytes.extend(body);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_peers_are_cut_off_counted_and_harm_nobody() {
    let mut cluster = Cluster::start(Plan::in_memory().patient());
    let worker = Worker { url: cluster.worker(0).url().to_owned(), address: cluster.worker_address(0) };
    let mut client = Client::logged_in(&cluster.url(), "ada").await;
    let before = cluster.agreed(3).await;
    let hello = Hello::new(Role::Coordinator, NodeId(rand::random()), None);

    // Strangers, who do not get past the handshake.
    let mut stream = worker.connect().await;
    let counted = worker.faults(Fault::Secret).await;
    let guess = Secret::parse("not the secret, but as long").unwrap();
    handshake::dial(&mut stream, &hello, Some(&guess)).await.expect_err("the secret is wrong");
    until("the bad secret is counted", CLOSED_WITHIN, async || (worker.faults(Fault::Secret).await == counted + 1).then_some(()))
        .await;
    worker.must_close(worker.connect().await, b"GET / HTTP/1.1\r\nHost: worker\r\n\r\n", false, Fault::Protocol).await;
    let mut newer = hello.encode();
    newer[6] = PROTOCOL_VERSION + 1;
    worker.must_close(worker.connect().await, &newer, false, Fault::Version).await;
    worker.must_close(worker.connect().await, &hello.encode()[..HELLO_BYTES / 2], true, Fault::Truncated).await;
    worker.must_close(worker.connect().await, &hello.encode()[..HELLO_BYTES / 2], false, Fault::HandshakeTimeout).await;

    // Peers that know the secret and send what is no frame.
    let peer = async || worker.connect_as_peer().await;
    let too_long = frame(PROTOCOL_VERSION, 0, &[], FRAME_BYTES_MAX + 1);
    worker.must_close(peer().await, &too_long, false, Fault::FrameTooLong).await;
    let mut garbled = frame(PROTOCOL_VERSION, 0, b"some messages", 13);
    *garbled.last_mut().unwrap() ^= 1;
    worker.must_close(peer().await, &garbled, false, Fault::Checksum).await;
    worker.must_close(peer().await, &frame(PROTOCOL_VERSION, 0, &[0xff; 40], 40), false, Fault::Undecodable).await;
    worker.must_close(peer().await, &frame(PROTOCOL_VERSION, 0, &[0; 20], 4000), true, Fault::Truncated).await;
    worker.must_close(peer().await, &frame(PROTOCOL_VERSION + 1, 0, &[], 0), false, Fault::Version).await;
    for _ in 0..50 {
        let mut noise: [u8; 512] = rand::random();
        noise[4] = PROTOCOL_VERSION;
        let mut stream = peer().await;
        stream.write_all(&noise).await.ok();
        stream.shutdown().await.ok();
        let mut rest = Vec::new();
        tokio::time::timeout(CLOSED_WITHIN, stream.read_to_end(&mut rest)).await.expect("noise is cut off").ok();
    }

    // Nobody else has noticed: same process, same view, and writes are taken.
    client.tweet("as if nothing had happened").await;
    let standing = cluster.agreed(3).await;
    assert_eq!(standing["view"], before["view"], "{standing}");
    for said in ["does not know the cluster's secret", "frame is longer", "checksum does not match", "another version"] {
        cluster.worker(0).await_log(said);
    }
}
