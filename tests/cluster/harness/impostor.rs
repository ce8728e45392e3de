//! A coordinator that a test plays itself: it knows the cluster's secret and says to a worker what the test wants. So a test decides
//! how far that coordinator gets, which with a real process depends on how fast the machine is.

use skein_protocol::id::NodeId;
use skein_protocol::message::Message;
use skein_protocol::step::Role;
use skein_runtime::transport::Secret;
use skein_runtime::transport::frame::{Decoded, Frames, HEADER_BYTES, decode, messages};
use skein_runtime::transport::handshake::{self, Hello};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cluster::SECRET;

/// A connection to one worker, which ends when this is dropped.
pub struct Impostor {
    stream: TcpStream,
    /// The identity that it has claimed.
    pub node: NodeId,
}

impl Impostor {
    pub async fn connect(worker: &str) -> Self {
        let mut stream = TcpStream::connect(worker).await.expect("the worker listens");
        let hello = Hello::new(Role::Coordinator, NodeId(rand::random()), None);
        let secret = Secret::parse(SECRET).expect("a secret of ours");
        handshake::dial(&mut stream, &hello, Some(&secret)).await.expect("the secret is right");
        Impostor { stream, node: hello.node }
    }

    /// Sends one message and gives the first that comes back.
    pub async fn exchange(&mut self, message: &Message) -> Message {
        let mut frames = Frames::default();
        frames.push(message).expect("it is short");
        frames.seal();
        self.stream.write_all(frames.bytes()).await.expect("the worker reads");
        let mut received = Vec::new();
        loop {
            while let Decoded::Frame { body, .. } = decode(&received).expect("a worker sends whole frames") {
                let length = HEADER_BYTES + body.len();
                if let Some(answer) = messages(body).expect("a worker sends messages").into_iter().next() {
                    return answer;
                }
                received.drain(..length);
            }
            let read = self.stream.read_buf(&mut received).await.expect("the worker writes");
            assert_ne!(read, 0, "the worker closed the connection");
        }
    }
}
