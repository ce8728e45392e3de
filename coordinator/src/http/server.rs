//! Accepts connections and serves the router on them. Everything that a stranger can do to a connection has a bound: how many
//! there are, how long the head of a request may take and how long it may be, how long nothing may be taken of an answer. On
//! shutdown no more are accepted, those that stand finish what they are at, and after a bound they are closed.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use skein_runtime::shutdown::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::address::Peer;
use super::patient::Patient;
use crate::config::Limits;

/// Bytes that hyper keeps of one request's head. More than [`super::gate`] allows, so that whoever is not far beyond its
/// bound gets a problem document; whoever is gets a bare 431.
const HEAD_BUFFER_BYTES: usize = 64 * 1024;

/// Header lines that hyper takes in, for the same reason more than are allowed.
const HEAD_LINES_MAX: usize = 256;

/// The pause after a failed accept, as when file handles have run out.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What is said to a connection too many, before it is closed.
const CROWDED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 166\r\n\r\n{\"type\":\"urn:skein:problem:overloaded\",\"title\":\"Too much is under way; \
    nothing was done.\",\"status\":503,\"code\":715,\"detail\":\"as many connections stand as are allowed\"}";

/// Serves until the shutdown starts, then until all connections have ended or the bound for that has passed.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut shutdown: Shutdown) {
    let connections = Arc::new(Semaphore::new(limits.connections_max));
    let at_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    loop {
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer { address, at_loopback }),
            Err(error) => {
                warn!(%error, "can't accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            // What fits into the socket's buffer at once, or nothing: a stranger is not waited for.
            let _told = stream.try_write(CROWDED);
            continue;
        };
        let (router, limits, shutdown) = (router.clone(), limits.clone(), shutdown.clone());
        tokio::spawn(async move {
            connection(stream, peer, router, &limits, shutdown).await;
            drop(permit);
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain_time_max, connections.acquire_many(all)).await.is_err() {
        warn!("closing connections that did not end within {:?}", limits.drain_time_max);
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, limits: &Limits, mut shutdown: Shutdown) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_buf_size(HEAD_BUFFER_BYTES)
        .max_headers(HEAD_LINES_MAX)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.write_time_max)), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.drain_time_max, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        // It concerns only whoever made the connection.
        debug!(%error, "an HTTP connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_one_connection_too_many_is_well_formed() {
        let text = std::str::from_utf8(CROWDED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "the body has {} bytes", body.len());
        let document: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(document["code"], 715);
    }
}
