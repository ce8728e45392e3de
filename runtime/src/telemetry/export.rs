//! The exporter's way to its collector: one POST of plain HTTP/1.1 for each batch, on the exporter's own thread, where it
//! may block. A collector stands nearby and does the rest, so a whole HTTP client with TLS would be much code for nothing.
//! Sending, waiting and the size of the answer are bounded.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// How long connecting, and each read or write, may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of an answer at the most.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// A client of plain HTTP.
#[derive(Debug)]
pub(super) struct Plain;

#[async_trait::async_trait]
impl HttpClient for Plain {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
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
