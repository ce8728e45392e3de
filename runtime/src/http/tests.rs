//! The server under random connections: requests of all forms follow one another, cut into pieces anywhere, and each must be
//! answered as the one that it is. What divides the bytes before the HTTP library sees them must never disagree with it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::head::Unreadable;
use super::places::Bounds;
use super::server::{self, Limits};
use crate::metrics::RuntimeMetrics;
use crate::shutdown;

const CONNECTIONS: u64 = 300;

/// How long a connection may take on a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

const LIMITS: Limits = Limits {
    connections: Bounds { all: 64, per_address: 64, per_loopback: 64 },
    header_time_max: ANSWERED_WITHIN,
    write_time_max: ANSWERED_WITHIN,
    drain_time_max: Duration::from_secs(1),
};

/// Nothing.
struct Empty;

impl Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

/// Says in a header what the request was: its path, the length and sum of its body, and what of its head was refused.
async fn describe(mut request: Request<Incoming>) -> Response<Empty> {
    let refused = request.extensions().get::<Unreadable>().map(|Unreadable(refused)| refused.field);
    let (mut length, mut sum) = (0, 0);
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(request.body_mut()).poll_frame(context)).await {
        let data = frame.ok().and_then(|frame| frame.into_data().ok()).unwrap_or_default();
        length += data.len();
        sum += data.iter().map(|byte| usize::from(*byte)).sum::<usize>();
    }
    let seen = seen(request.uri().path(), length, sum, refused);
    Response::builder().header("x-seen", seen).body(Empty).unwrap()
}

fn seen(path: &str, length: usize, sum: usize, refused: Option<&str>) -> String {
    format!("{path} {length} {sum} {}", refused.unwrap_or("taken"))
}

/// Bytes that look like heads, ends of heads and fragments.
fn random_body(random: &mut StdRng) -> Vec<u8> {
    let parts: [&[u8]; 5] = [b"\r\n\r\n", b"GET /#x HTTP/1.1\r\n", b"#", b"\n\n", b"0\r\n\r\n"];
    let count = if random.random_bool(0.1) { random.random_range(0..20_000) } else { random.random_range(0..8) };
    (0..count).flat_map(|_| parts[random.random_range(0..parts.len())]).copied().collect()
}

/// One request, and what must be seen of it. Only the last one of a connection says so, and may come in chunks.
fn random_request(random: &mut StdRng, number: usize, is_last: bool) -> (Vec<u8>, String) {
    let end = if random.random_bool(0.2) { "\n" } else { "\r\n" };
    let path = format!("/{number}");
    let has_body = random.random_bool(0.6);
    // Whose head is refused is the last one, and a body that is not read could cost its answer.
    let fault = if is_last && !has_body { random.random_range(0..6) } else { 3 };
    let body = if has_body { random_body(random) } else { Vec::new() };
    let mut bytes = Vec::new();
    bytes.extend_from_slice(if random.random_bool(0.1) { b"\r\n" } else { b"" });
    let query = if random.random_bool(0.3) { "?a=b" } else { "" };
    let method = if has_body { "POST" } else { "GET" };
    let (fragment, mark, refused) = match fault {
        0 => ("#f", "#", Some("target")),
        1 => ("", "\0", Some("headers")),
        2 => (" ", "#", Some("request line")),
        _ => ("", "#", None),
    };
    bytes.extend(format!("{method} {path}{query}{fragment} HTTP/1.1{end}Host: localhost{end}X-Any: {mark} a{end}").bytes());
    if is_last {
        bytes.extend(format!("Connection: close{end}").bytes());
    }
    if has_body && is_last && random.random_bool(0.5) {
        bytes.extend(format!("Transfer-Encoding: chunked{end}{end}").bytes());
        for chunk in body.chunks(random.random_range(1..5_000)) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        let length = if has_body { format!("Content-Length: {}{end}", body.len()) } else { String::new() };
        bytes.extend(format!("{length}{end}").bytes());
        bytes.extend_from_slice(&body);
    }
    let sum = body.iter().map(|byte| usize::from(*byte)).sum();
    (bytes, seen(if refused.is_some() { "/" } else { &path }, body.len(), sum, refused))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_requests_and_their_pieces_each_is_answered_as_the_one_that_it_is() {
    let metrics = RuntimeMetrics::register(&prometheus::Registry::new(), "test", "none").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = shutdown::channel();
    let serving = tokio::spawn(server::serve(listener, LIMITS, metrics.http("test"), describe, shutdown));
    for seed in 0..CONNECTIONS {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(1..7);
        let requests: Vec<_> = (1..=count).map(|number| random_request(&mut random, number, number == count)).collect();
        let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes).copied().collect();
        let piece_max = [1 << 20, 4_096, 100, 7][random.random_range(0..4)];
        let sending = tokio::spawn(async move {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                // Tiny pieces for heads, and not for all of a long body.
                let length = random.random_range(1..=piece_max.max(rest.len() / 50)).min(rest.len());
                // A head that is refused may be refused before it is whole.
                if writing.write_all(&rest[..length]).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
                rest = &rest[length..];
            }
            writing
        });
        let mut answer = String::new();
        let read = tokio::time::timeout(ANSWERED_WITHIN, reading.read_to_string(&mut answer)).await;
        read.unwrap_or_else(|_| panic!("seed {seed}: the connection stands still after {answer}")).unwrap();
        drop(sending.await.unwrap());
        let seen: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("x-seen: ")).collect();
        let expected: Vec<&str> = requests.iter().map(|(_, seen)| seen.as_str()).collect();
        assert_eq!(seen, expected, "seed {seed}: {answer}");
    }
    trigger.start();
    serving.await.unwrap();
}
