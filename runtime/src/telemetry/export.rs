//! The exporter's way to its collector: one POST of plain HTTP/1.1 for each batch, on the exporter's own thread, where it
//! may block. A collector stands nearby and does the rest, so a whole HTTP client with TLS would be much code for nothing.
//! Sending, waiting and the size of the answer are bounded. What can't be sent is lost, and that is said, though not each time.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tracing::{info, warn};

/// How long connecting, and each read or write, may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of an answer at the most.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// How often it is said that batches are lost.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// A client of plain HTTP.
#[derive(Debug, Default)]
pub(super) struct Plain {
    failures: Mutex<Failures>,
}

/// The batches that could not be sent since the last one that could.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    said: Option<Instant>,
}

#[async_trait::async_trait]
impl HttpClient for Plain {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let collector = request.uri().to_string();
        let answer = Plain::send(&request);
        let mut failures = self.failures.lock().expect("no holder of this lock panics");
        let error = match &answer {
            Ok(sent) if sent.status().is_success() => {
                if failures.succeeded() {
                    info!(collector.url = collector, "traces are sent again");
                }
                return answer;
            }
            Ok(refusal) => format!("it answers {}", refusal.status()),
            Err(error) => error.to_string(),
        };
        if failures.failed(Instant::now()) {
            warn!(
                collector.url = collector,
                batch.lost = failures.count,
                error,
                "traces can't be sent to {collector}: {error}; {} batches are lost so far",
                failures.count
            );
        }
        answer
    }
}

impl Failures {
    /// One more was lost; whether this is to be said now.
    fn failed(&mut self, now: Instant) -> bool {
        self.count += 1;
        let due = self.said.is_none_or(|said| now.saturating_duration_since(said) >= SAID_EVERY);
        if due {
            self.said = Some(now);
        }
        due
    }

    /// One was sent; whether others were lost before it.
    fn succeeded(&mut self) -> bool {
        std::mem::take(self).count > 0
    }
}

impl Plain {
    fn send(request: &Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri();
        let host = uri.host().ok_or("the endpoint names no host")?;
        let authority = uri.authority().map_or(host, |authority| authority.as_str());
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n", request.method());
        for (name, value) in request.headers().iter().filter(|(name, _)| *name != http::header::CONTENT_LENGTH) {
            head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", request.body().len()));

        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = (host, uri.port_u16().unwrap_or(80)).to_socket_addrs()?.next().ok_or("the host has no address")?;
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(request.body())?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        parse(&answer).ok_or_else(|| "the collector's answer is not HTTP".into())
    }
}

/// The status, and the body where it came in one piece.
fn parse(answer: &[u8]) -> Option<Response<Bytes>> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse::<u16>().ok()?;
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding:");
    let body = if chunked { Bytes::new() } else { Bytes::copy_from_slice(&answer[end + 4..]) };
    Response::builder().status(status).body(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_batches_are_counted_and_said_now_and_then() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        assert!(!failures.succeeded());
        assert!(failures.failed(start));
        assert!(!failures.failed(start + SAID_EVERY / 2));
        assert!(failures.failed(start + SAID_EVERY));
        assert_eq!(failures.count, 3);
        assert!(failures.succeeded() && !failures.succeeded());
        assert!(failures.failed(start + SAID_EVERY), "the next outage is said at once");
    }

    #[tokio::test]
    async fn a_collector_that_is_gone_or_refuses_is_noticed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let request = || Request::post(&url).body(Bytes::from_static(b"batch")).unwrap();
        let answering = std::thread::spawn(move || {
            for answer in ["503 Busy", "200 OK"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"batch") {
                    let mut bytes = [0; 512];
                    let count = stream.read(&mut bytes).unwrap();
                    assert!(count > 0, "the request ends early");
                    asked.extend_from_slice(&bytes[..count]);
                }
                stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).unwrap();
            }
        });
        let plain = Plain::default();
        let count = || plain.failures.lock().unwrap().count;
        assert_eq!(plain.send_bytes(request()).await.unwrap().status(), 503);
        assert_eq!(count(), 1);
        assert_eq!(plain.send_bytes(request()).await.unwrap().status(), 200);
        assert_eq!(count(), 0);
        answering.join().unwrap();
        assert!(plain.send_bytes(request()).await.is_err());
        assert_eq!(count(), 1);
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"ok"[..]));
        let answer = parse(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").unwrap();
        assert_eq!((answer.status().as_u16(), answer.body().len()), (503, 0));
        for wrong in [&b""[..], b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 two\r\n\r\n", b"SMTP 200 OK\r\n\r\n"] {
            assert!(parse(wrong).is_none());
        }
    }
}
