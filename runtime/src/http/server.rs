//! The loop that accepts connections and serves them. Everything that a stranger can do to a connection has a bound: how many
//! there are, how long the head of a request may take and how long it may be, how long nothing may be taken of an answer. On
//! shutdown no more are accepted, those that stand finish what they are at, and after a bound they are closed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::head::Unreadable;
use super::patient::{Pace, Patient};
use super::places::{Bounds, Busy, Kind, Place, Places};
use super::remote::Remote;
use super::requests::Requests;
use super::syntax::HEAD_BYTES_MAX;
use crate::metrics::HttpMetrics;
use crate::shutdown::Shutdown;

/// Bytes that the kernel may keep of what is sent to one client.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Bytes that a client must take in a second while more waits for it.
const WRITE_RATE_MIN: u64 = 16 * 1024;

/// The pause after a failed accept, as when file handles have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection in the reserve may take for its one request.
const RESERVE_HEADER_TIME_MAX: Duration = Duration::from_secs(2);

/// How long a connection in the reserve may last altogether: longer than a process may take to say how it stands.
const RESERVE_LASTS_MAX: Duration = Duration::from_secs(5);

/// What is said to a connection for which there is no place, before it is closed.
const CROWDED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n\
    Connection: close\r\nContent-Length: 161\r\n\r\n{\"type\":\"urn:skein:problem:overloaded\",\"title\":\"Too much is under way; \
    nothing was done.\",\"status\":503,\"code\":715,\"detail\":\"the bound on connections is reached\"}";

/// The bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections there may be.
    pub connections: Bounds,
    /// How long the head of a request may take to arrive, and how long a connection may be idle.
    pub header_time_max: Duration,
    /// How long a client may take nothing, or very little, of what is sent to it.
    pub write_time_max: Duration,
    /// How long requests under way may take once the process is asked to end.
    pub drain_time_max: Duration,
}

/// Serves until the shutdown starts, then until all connections have ended or the bound for that has passed. `answer` gets each
/// request, with its [`Remote`] and, where its head could not be taken, [`Unreadable`] among the extensions.
pub async fn serve<A, F, B>(listener: TcpListener, limits: Limits, metrics: HttpMetrics, answer: A, mut shutdown: Shutdown)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let places = Places::new(limits.connections);
    let at_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let (standing, ended) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "can't accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (place, bound) = places.take(address.ip());
        if let Some(bound) = bound {
            metrics.without_place(bound);
        }
        let Some(place) = place else {
            // What fits into the socket's buffer at once, or nothing: a stranger is not waited for.
            let _told = stream.try_write(CROWDED);
            continue;
        };
        let remote = Remote { address, at_loopback, place: place.kind() };
        let in_reserve = remote.place == Kind::Reserve;
        let (answer, shutdown, metrics, ended) = (answer.clone(), shutdown.clone(), metrics.clone(), ended.clone());
        tokio::spawn(async move {
            let _counted = metrics.connected(remote.place);
            let serving = connection(stream, remote, place, answer, limits, shutdown);
            match remote.place {
                Kind::Regular => serving.await,
                // One that takes too long is closed in the middle.
                Kind::Reserve => tokio::time::timeout(RESERVE_LASTS_MAX, serving).await.unwrap_or_default(),
            }
            drop(ended);
        });
        if in_reserve {
            // What has come on this connection is looked at before the next one takes a place from others: whose request is whole
            // keeps its place, and whose is not makes way.
            tokio::task::yield_now().await;
        }
    }
    drop((listener, ended));
    if tokio::time::timeout(limits.drain_time_max, standing.closed()).await.is_err() {
        warn!("closing connections that did not end within {:?}", limits.drain_time_max);
    }
}

async fn connection<A, F, B>(stream: TcpStream, remote: Remote, place: Place, answer: A, limits: Limits, mut shutdown: Shutdown)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Answers are written whole; waiting for more to send would only delay them.
    let _best_effort = stream.set_nodelay(true);
    // What the kernel keeps for a client is memory, too, which no other bound counts.
    let _best_effort = rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
    let in_reserve = remote.place == Kind::Reserve;
    let header_time_max = if in_reserve { RESERVE_HEADER_TIME_MAX } else { limits.header_time_max };
    let per = limits.write_time_max;
    let pace = Pace { bytes: WRITE_RATE_MIN.saturating_mul(per.as_secs().max(1)), per };
    let activity = place.activity();
    let at_hand = activity.at_hand();
    let requests = Requests::new(Patient::new(stream, pace), Arc::clone(&at_hand));
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy = place.busy();
        let length = request.body().size_hint().exact();
        if let Some(refused) = at_hand.take(length) {
            request.extensions_mut().insert(Unreadable(refused));
        }
        request.extensions_mut().insert(remote);
        let answering = answer(request);
        async move {
            let mut response = answering.await;
            if in_reserve || length.is_none() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Answer { body, _busy: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time_max)
        // A head has gone through a check before; what is longer does not get here.
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(requests), service);
    tokio::pin!(connection);
    let mut leaving = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = shutdown.wait() => {
                connection.as_mut().graceful_shutdown();
                break tokio::time::timeout(limits.drain_time_max, connection).await.unwrap_or(Ok(()));
            }
            () = activity.asked_to_leave(), if !leaving => {
                if in_reserve || activity.is_idle() && !at_hand.is_unsent() {
                    return;
                }
                // A request has come in the meantime; it is the last one.
                connection.as_mut().graceful_shutdown();
                leaving = true;
            }
        }
    };
    if let Err(error) = ended {
        // It concerns only the client that made the connection.
        debug!(%error, "an HTTP connection broke");
    }
}

/// The body of an answer. Until it has gone, its request is under way.
struct Answer<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
