//! A socket that is patient, but not for ever: when the other end takes less of what is sent than a bound allows, the connection
//! fails. Time counts only while something waits to be taken, so a client that is idle, or asks for little, is left alone. Reading
//! has its own bounds (the head's at the server, the body's at the handler).

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What the other end must take at the least.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many bytes ...
    pub bytes: u64,
    /// ... in each such time of waiting.
    pub per: Duration,
}

/// A socket whose writes fail when they make too little way for too long.
pub struct Patient<S> {
    socket: S,
    pace: Pace,
    /// How long it was waited for the other end since it last kept its pace, and what it has taken since.
    waited: Duration,
    taken: u64,
    /// Since when it is waited for it now, if it is.
    since: Option<Instant>,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    /// Waits for the other end as long as it keeps this pace.
    pub fn new(socket: S, pace: Pace) -> Self {
        let deadline = Box::pin(tokio::time::sleep(pace.per));
        Patient { socket, pace, waited: Duration::ZERO, taken: 0, since: None, deadline }
    }

    /// The other end has taken so many bytes.
    fn took(&mut self, bytes: usize) {
        self.waited += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.taken += bytes as u64;
        if self.taken >= self.pace.bytes {
            (self.waited, self.taken) = (Duration::ZERO, 0);
        }
    }

    /// Lets a finished write through, of which `bytes` says how many were taken; gives up on one that waits for too long.
    fn bounded<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(done)) => self.took(bytes(done)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.since.is_none() {
                    let now = Instant::now();
                    self.since = Some(now);
                    self.deadline.as_mut().reset(now + self.pace.per.saturating_sub(self.waited));
                }
                ready!(self.deadline.as_mut().poll(context));
                let what = "the other end reads what is sent too slowly";
                return Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, what)));
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.bounded(written, |bytes| *bytes, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.bounded(written, |bytes| *bytes, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.bounded(flushed, |()| 0, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    use super::*;

    const PACE: Pace = Pace { bytes: 64, per: Duration::from_secs(10) };

    /// How writing so much ends when the other end takes `sip` bytes, and that again each second.
    async fn write_to(sip: usize, bytes: usize) -> io::Result<()> {
        let (near, mut far) = duplex(16);
        let reader = tokio::spawn(async move {
            let mut taken = vec![0; sip];
            while far.read_exact(&mut taken).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let written = Patient::new(near, PACE).write_all(&vec![1; bytes]).await;
        reader.abort();
        written
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_or_too_little_is_given_up_on_and_whoever_keeps_the_pace_is_not() {
        let (near, _far) = duplex(16);
        let mut near = Patient::new(near, PACE);
        near.write_all(&[1; 16]).await.unwrap();
        assert_eq!(near.write_all(&[2; 16]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(write_to(4, 1024).await.unwrap_err().kind(), ErrorKind::TimedOut);
        write_to(8, 1024).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_nothing_waits_does_not_count() {
        let (near, mut far) = duplex(16);
        let mut near = Patient::new(near, PACE);
        for _ in 0..20 {
            near.write_all(&[1; 16]).await.unwrap();
            let write = async { near.write_all(&[2; 4]).await.unwrap() };
            let read = async {
                sleep(Duration::from_millis(100)).await;
                far.read_exact(&mut [0; 20]).await.unwrap();
            };
            tokio::join!(write, read);
            sleep(Duration::from_secs(60)).await;
        }
    }
}
