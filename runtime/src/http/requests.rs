//! The bytes of a connection, divided into requests before the HTTP library sees them. It gives the library one whole head at a time,
//! and the next one only when the body of the request before has gone by. A head that the library could not read, or would read other
//! than it is written, is replaced by one that says so. It also shows whether a connection is in the middle of something, which the
//! library hides. A body without a length ends what can be divided, so that the answer to it must be the last one on its connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::head::Refused;
use super::syntax::{self, HEAD_BYTES_MAX};

/// The library has not taken a head yet.
const NOT_TAKEN: u64 = u64::MAX;
/// The body has no length: it comes in chunks.
const NO_LENGTH: u64 = u64::MAX - 1;

/// What the library gets in the place of a head that is refused. Nothing that follows on its connection can be relied on.
const REPLACEMENT: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// How long, and for how many reads at a time, what comes behind such a head is passed over.
const LINGER_TIME_MAX: Duration = Duration::from_millis(500);
const LINGER_READS_MAX: usize = 64;

/// What the bytes and the server tell each other about the request at hand.
#[derive(Debug)]
pub struct AtHand {
    /// Why the head is refused that the library gets next.
    refused: Mutex<Option<Refused>>,
    body: AtomicU64,
    /// A part of a head has come, and the rest has not.
    begun: AtomicBool,
    /// Something was written that the other end has yet to take.
    unsent: AtomicBool,
}

/// A socket whose requests come one at a time.
pub struct Requests<S> {
    socket: S,
    at_hand: Arc<AtHand>,
    stage: Stage,
    /// Bytes that have come and that the library does not have yet.
    kept: BytesMut,
    /// When what comes behind a refused head is no longer passed over.
    lingers: Option<Pin<Box<Sleep>>>,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// They belong to a head.
    Head(Head),
    /// So many of those that are kept are a whole head.
    Whole(usize),
    /// Nothing may come before the library has taken the head.
    Taken,
    /// So many bytes belong to a body.
    Body(u64),
    /// They can't be told apart any more.
    Rest,
    /// A head was refused: nothing is taken any more.
    Refused,
}

/// How much of a head has come.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    looked_at: usize,
    begun: bool,
    line_is_empty: bool,
}

impl AtHand {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        AtHand {
            refused: Mutex::default(),
            body: AtomicU64::new(NOT_TAKEN),
            begun: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
        }
    }

    /// The library has taken a head whose body has this length, or comes in chunks. Says why it is refused, if it is.
    pub fn take(&self, length: Option<u64>) -> Option<Refused> {
        self.body.store(length.unwrap_or(NO_LENGTH), Ordering::Relaxed);
        self.lock().clone()
    }

    /// Whether a part of a head has come, and the rest has not.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Notes whether a part of a head has come, and the rest has not.
    pub(super) fn note_begun(&self, begun: bool) {
        self.begun.store(begun, Ordering::Relaxed);
    }

    /// Whether the other end has yet to take something.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.unsent.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    fn new() -> Self {
        Head { looked_at: 0, begun: false, line_is_empty: true }
    }

    /// Goes on through these bytes up to the end of the head, and says where that is. As the library does, it takes a line feed
    /// alone for the end of a line, and passes over empty lines before the first.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate().skip(self.looked_at) {
            match byte {
                b'\n' if self.line_is_empty && self.begun => return Some(at + 1),
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => (self.begun, self.line_is_empty) = (true, false),
            }
        }
        self.looked_at = bytes.len();
        None
    }
}

impl<S> Requests<S> {
    /// The requests that come from this socket.
    pub fn new(socket: S, at_hand: Arc<AtHand>) -> Self {
        Requests { socket, at_hand, stage: Stage::Head(Head::new()), kept: BytesMut::new(), lingers: None }
    }

    /// Moves on to the next stage when the library has taken the head.
    fn follow(&mut self) {
        if self.stage != Stage::Taken {
            return;
        }
        let body = self.at_hand.body.swap(NOT_TAKEN, Ordering::Relaxed);
        self.stage = match body {
            NOT_TAKEN => Stage::Taken,
            _ if self.at_hand.lock().is_some() => Stage::Refused,
            NO_LENGTH => Stage::Rest,
            0 => Stage::Head(Head::new()),
            length => Stage::Body(length),
        };
    }

    /// Looks for the end of the head among the bytes that are kept, and says whether it is there, or there is a fault.
    fn look(&mut self) -> bool {
        let Stage::Head(head) = &mut self.stage else { return true };
        let is_first = head.looked_at == 0;
        let found = match head.end_in(&self.kept) {
            Some(end) => syntax::check(&self.kept[..end]).map(|()| Some(end)),
            None if self.kept.len() >= HEAD_BYTES_MAX => Err(syntax::too_long(&self.kept)),
            None if is_first => syntax::check_beginning(&self.kept).map(|()| None),
            None => Ok(None),
        };
        match found {
            Ok(None) => return false,
            Ok(Some(end)) => self.stage = Stage::Whole(end),
            Err(refused) => {
                *self.at_hand.lock() = Some(refused);
                self.kept = BytesMut::from(REPLACEMENT);
                self.stage = Stage::Whole(REPLACEMENT.len());
            }
        }
        true
    }

    /// Gives as many of the bytes that are kept as there is room for, and this many at the most. Says how many.
    fn give(&mut self, most: usize, buffer: &mut ReadBuf<'_>) -> usize {
        let given = most.min(self.kept.len()).min(buffer.remaining());
        buffer.put_slice(&self.kept[..given]);
        self.kept.advance(given);
        if self.kept.is_empty() {
            // An idle connection keeps no memory.
            self.kept = BytesMut::new();
        }
        given
    }
}

impl<S: AsyncRead + Unpin> Requests<S> {
    /// Reads until there is a whole head, or a fault in it. Nothing is kept if the other end has closed before.
    fn poll_head(&mut self, context: &mut Context<'_>, scratch: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.kept.is_empty() || !self.look() {
            let mut scratch = scratch.take(HEAD_BYTES_MAX - self.kept.len());
            self.at_hand.note_begun(!self.kept.is_empty());
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut scratch))?;
            if scratch.filled().is_empty() {
                self.kept.clear();
                break;
            }
            self.kept.extend_from_slice(scratch.filled());
        }
        self.at_hand.note_begun(false);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Requests<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.follow();
        if matches!(this.stage, Stage::Head(_)) {
            ready!(this.poll_head(context, buffer))?;
        }
        match this.stage {
            // The other end has closed.
            Stage::Head(_) => {}
            Stage::Whole(left) => {
                let left = left - this.give(left, buffer);
                this.stage = if left == 0 { Stage::Taken } else { Stage::Whole(left) };
            }
            // The library has found fault with the head, and reads no further: to it this is the end.
            Stage::Taken => {}
            // The answer is on its way, and then the connection ends.
            Stage::Refused => return Poll::Pending,
            Stage::Body(_) | Stage::Rest => {
                let most =
                    if let Stage::Body(left) = this.stage { usize::try_from(left).unwrap_or(usize::MAX) } else { usize::MAX };
                let given = if this.kept.is_empty() {
                    let before = buffer.filled().len();
                    ready!(Pin::new(&mut this.socket).poll_read(context, buffer))?;
                    let given = most.min(buffer.filled().len() - before);
                    this.kept.extend_from_slice(&buffer.filled()[before + given..]);
                    buffer.set_filled(before + given);
                    given
                } else {
                    this.give(most, buffer)
                };
                if let Stage::Body(left) = &mut this.stage {
                    *left -= given as u64;
                    if *left == 0 {
                        this.stage = Stage::Head(Head::new());
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Requests<S> {
    /// Notes whether the other end has taken all that was sent so far.
    fn noted<T>(&self, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.at_hand.unsent.store(sent.is_pending(), Ordering::Relaxed);
        sent
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Requests<S> {
    /// Passes over what still comes behind a head that was refused: where a socket is closed with bytes that were not read, the system
    /// may take the answer back from the other end.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = self.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER_TIME_MAX)));
        if until.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut bytes = [0; 4096];
        for _ in 0..LINGER_READS_MAX {
            let mut scratch = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.socket).poll_read(context, &mut scratch));
            if read.is_err() || scratch.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Requests<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.noted(sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.noted(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.follow();
        ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
        if this.stage == Stage::Refused {
            ready!(this.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Reads a connection as the library does, in pieces of this many bytes, and gives each request's head and body with
    /// what is wrong with the head.
    async fn divide(bytes: &[u8], piece: usize, lengths: &[Option<u64>]) -> Vec<(String, Option<&'static str>, String)> {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        tokio::io::AsyncWriteExt::write_all(&mut far, bytes).await.unwrap();
        drop(far);
        let at_hand = Arc::new(AtHand::new());
        let mut requests = Requests::new(near, Arc::clone(&at_hand));
        let mut buffer = vec![0; piece];
        let mut seen = Vec::new();
        for length in lengths {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
                let count = requests.read(&mut buffer).await.unwrap();
                assert!(count > 0, "the head ends early: {head:?}");
                head.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(requests.read(&mut buffer).await.unwrap(), 0, "nothing follows a head that is not taken");
            let refused = at_hand.take(*length).map(|refused| refused.field);
            let mut body = Vec::new();
            while refused.is_none() && length.is_none_or(|length| (body.len() as u64) < length) {
                let count = requests.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                body.extend_from_slice(&buffer[..count]);
            }
            seen.push((String::from_utf8(head).unwrap(), refused, String::from_utf8(body).unwrap()));
        }
        seen
    }

    #[tokio::test]
    async fn requests_are_told_apart_however_their_bytes_come() {
        let bytes = b"\r\nGET /a HTTP/1.1\r\nX: #\r\n\r\nPOST /b HTTP/1.1\nX: y\n\nbody GET / G#T /d HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\n\r\nGET #";
        let lengths = [Some(0), Some(11), Some(0), None];
        for piece in [1, 2, 3, 7, 16, 4096] {
            let seen = divide(bytes, piece, &lengths).await;
            let expected = [
                ("\r\nGET /a HTTP/1.1\r\nX: #\r\n\r\n", None, ""),
                ("POST /b HTTP/1.1\nX: y\n\n", None, "body GET / "),
                ("G#T /d HTTP/1.1\r\n\r\n", None, ""),
                ("PUT / HTTP/1.1\r\n\r\n", None, "GET #"),
            ];
            for (seen, (head, refused, body)) in seen.iter().zip(expected) {
                assert_eq!((seen.0.as_str(), seen.1, seen.2.as_str()), (head, refused, body), "in pieces of {piece}");
            }
            assert_eq!(seen.len(), expected.len());
        }
    }

    #[tokio::test]
    async fn a_head_that_can_not_be_read_is_replaced_and_ends_what_comes() {
        let (long_path, long_line) = ("x".repeat(HEAD_BYTES_MAX), format!("X: {}", "y".repeat(HEAD_BYTES_MAX)));
        let replacement = std::str::from_utf8(REPLACEMENT).unwrap();
        for (head, field) in [
            ("GET /b#c HTTP/1.1\r\n\r\n", "target"),
            ("GET / HTTP/1.1\r\nX\r\n\r\n", "headers"),
            ("\u{16}\u{3}\u{1}", "request line"),
            (&format!("GET /{long_path}"), "path"),
            (&format!("GET / HTTP/1.1\r\n{long_line}"), "headers"),
        ] {
            let bytes = format!("GET /a HTTP/1.1\r\n\r\n{head}");
            for piece in [7, 4096] {
                let seen = divide(bytes.as_bytes(), piece, &[Some(0), Some(0)]).await;
                assert_eq!(
                    (seen[1].0.as_str(), seen[1].1),
                    (replacement, Some(field)),
                    "{} in pieces of {piece}",
                    &head[..20.min(head.len())]
                );
            }
        }
    }
}
