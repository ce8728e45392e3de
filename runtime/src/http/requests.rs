//! The bytes of a connection, divided into requests before the HTTP library sees them. It gives the library one head at a time,
//! and the next one only when the body of the request before has gone by. That shows two things which the library hides: a
//! fragment in a request's target, which it drops without a word, and whether a connection is in the middle of something. A
//! body without a length ends what can be divided, so that the answer to it must be the last one on its connection.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The library has not taken a head yet.
const NOT_TAKEN: u64 = u64::MAX;
/// The body has no length: it comes in chunks.
const NO_LENGTH: u64 = u64::MAX - 1;

/// What the bytes and the server tell each other about the request at hand.
#[derive(Debug)]
pub struct AtHand {
    fragment: AtomicBool,
    body: AtomicU64,
    /// Something was written that the other end has yet to take.
    unsent: AtomicBool,
}

/// A socket whose requests come one at a time.
pub struct Requests<S> {
    socket: S,
    at_hand: std::sync::Arc<AtHand>,
    stage: Stage,
    /// Bytes of later stages, which came with those of an earlier one.
    surplus: BytesMut,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// They belong to a head.
    Head(Head),
    /// Nothing may come before the library has taken the head.
    Taken,
    /// So many bytes belong to a body.
    Body(u64),
    /// They can't be told apart any more.
    Rest,
}

/// How much of a head has come.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    begun: bool,
    in_target: bool,
    in_first_line: bool,
    line_is_empty: bool,
    fragment: bool,
}

impl AtHand {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        AtHand { fragment: AtomicBool::new(false), body: AtomicU64::new(NOT_TAKEN), unsent: AtomicBool::new(false) }
    }

    /// The library has taken a head whose body has this length, or comes in chunks. Says whether the target has a fragment.
    pub fn take(&self, length: Option<u64>) -> bool {
        self.body.store(length.unwrap_or(NO_LENGTH), Ordering::Relaxed);
        self.fragment.swap(false, Ordering::Relaxed)
    }

    /// Whether the other end has yet to take something.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        self.unsent.load(Ordering::Relaxed)
    }
}

impl Head {
    fn new() -> Self {
        Head { begun: false, in_target: false, in_first_line: true, line_is_empty: true, fragment: false }
    }

    /// Goes through these bytes up to the end of the head, and says where that is. As the library does, it takes a line feed
    /// alone for the end of a line, and passes over empty lines before the first.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.line_is_empty && self.begun => return Some(at + 1),
                b'\n' => {
                    self.in_first_line &= !self.begun;
                    self.line_is_empty = true;
                }
                b'\r' => {}
                _ => {
                    self.in_target |= *byte == b' ';
                    self.fragment |= self.in_first_line && self.in_target && *byte == b'#';
                    (self.begun, self.line_is_empty) = (true, false);
                }
            }
        }
        None
    }
}

impl<S> Requests<S> {
    /// The requests that come from this socket.
    pub fn new(socket: S, at_hand: std::sync::Arc<AtHand>) -> Self {
        Requests { socket, at_hand, stage: Stage::Head(Head::new()), surplus: BytesMut::new() }
    }

    /// Moves on to the next stage when the library has taken the head.
    fn follow(&mut self) {
        if self.stage == Stage::Taken {
            self.stage = match self.at_hand.body.swap(NOT_TAKEN, Ordering::Relaxed) {
                NOT_TAKEN => Stage::Taken,
                NO_LENGTH => Stage::Rest,
                0 => Stage::Head(Head::new()),
                length => Stage::Body(length),
            };
        }
    }

    /// How many of these bytes belong to this stage. They count as given.
    fn admit(&mut self, bytes: &[u8]) -> usize {
        match &mut self.stage {
            Stage::Head(head) => {
                let Some(end) = head.end_in(bytes) else { return bytes.len() };
                self.at_hand.fragment.store(head.fragment, Ordering::Relaxed);
                self.stage = Stage::Taken;
                end
            }
            Stage::Taken => 0,
            Stage::Body(left) => {
                let given = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= given as u64;
                if *left == 0 {
                    self.stage = Stage::Head(Head::new());
                }
                given
            }
            Stage::Rest => bytes.len(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Requests<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.follow();
        if this.stage == Stage::Taken {
            // The library has found fault with the head, and reads no further: to it this is the end.
            return Poll::Ready(Ok(()));
        }
        if !this.surplus.is_empty() {
            let surplus = std::mem::take(&mut this.surplus);
            let given = this.admit(&surplus[..surplus.len().min(buffer.remaining())]);
            buffer.put_slice(&surplus[..given]);
            this.surplus = surplus;
            this.surplus.advance(given);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(context, buffer))?;
        let given = this.admit(&buffer.filled()[before..]);
        this.surplus.extend_from_slice(&buffer.filled()[before + given..]);
        buffer.set_filled(before + given);
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Requests<S> {
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
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tokio::io::AsyncReadExt;

    /// Reads a connection as the library does, in pieces of this many bytes, and gives each request's head and body with
    /// whether its target has a fragment.
    async fn divide(bytes: &[u8], piece: usize, lengths: &[Option<u64>]) -> Vec<(String, bool, String)> {
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
            let fragment = at_hand.take(*length);
            let mut body = Vec::new();
            while length.is_none_or(|length| (body.len() as u64) < length) {
                let count = requests.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                body.extend_from_slice(&buffer[..count]);
            }
            seen.push((String::from_utf8(head).unwrap(), fragment, String::from_utf8(body).unwrap()));
        }
        seen
    }

    #[tokio::test]
    async fn requests_are_told_apart_however_their_bytes_come() {
        let bytes = b"\r\nGET /a HTTP/1.1\r\nX: #\r\n\r\nPOST /b#c HTTP/1.1\nX: y\n\nbody GET / #G#T /d HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\n\r\nGET #";
        let lengths = [Some(0), Some(11), Some(0), None];
        for piece in [1, 2, 3, 7, 16, 4096] {
            let seen = divide(bytes, piece, &lengths).await;
            let expected = [
                ("\r\nGET /a HTTP/1.1\r\nX: #\r\n\r\n", false, ""),
                ("POST /b#c HTTP/1.1\nX: y\n\n", true, "body GET / "),
                ("#G#T /d HTTP/1.1\r\n\r\n", false, ""),
                ("PUT / HTTP/1.1\r\n\r\n", false, "GET #"),
            ];
            for (seen, (head, fragment, body)) in seen.iter().zip(expected) {
                assert_eq!((seen.0.as_str(), seen.1, seen.2.as_str()), (head, fragment, body), "in pieces of {piece}");
            }
            assert_eq!(seen.len(), expected.len());
        }
    }
}
