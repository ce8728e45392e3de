//! Frames: what one write to a socket carries. A frame is a header of ten bytes and a body, which is a sequence of
//! messages in postcard's encoding; everything that waited for a peer goes out at once. The decoder takes bytes from
//! anybody: it never panics, and allocates in proportion to what has really arrived. A frame has so many messages at the most
//! that what they take in memory is bounded too.
//!
//! ```text
//! 0        4         5      6            10
//! | length | version | kind | crc32c     | body ... |      numbers are little-endian; length and crc32c are the body's
//! ```

use postcard::ser_flavors::Flavor;
use skein_protocol::message::Message;

use super::Fault;
use super::bulk::Parts;
use super::handshake::Hello;
use crate::formats::PROTOCOL_VERSION;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 10;

/// Bytes of a frame's body at the most. The largest single message, a worker's report of what it holds prepared
/// ([`OPERATIONS_IN_FLIGHT_MAX`](skein_protocol::limits::OPERATIONS_IN_FLIGHT_MAX)), is below.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Messages of a frame at the most. In memory each takes some hundred bytes, however short it was.
pub const FRAME_MESSAGES_MAX: usize = 16 * 1024;

/// A frame that has come to this size is closed and the next begun, so that the other end can start on it.
const FRAME_BYTES_ENOUGH: usize = 256 * 1024;

/// Bytes that a buffer keeps for its next use.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Messages, one or more.
    Messages = 0,
    /// Nothing; it shows that the connection is alive.
    Heartbeat = 1,
    /// A part of long messages, and there are more.
    Part = 2,
    /// The last part, or the only one.
    LastPart = 3,
}

/// The message is longer than a frame may be and can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes does not fit into a frame of {FRAME_BYTES_MAX}")]
pub struct MessageTooLong(pub usize);

/// Frames that are being filled: messages are encoded right behind each other, headers are written last.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each frame begins.
    starts: Vec<usize>,
    messages: usize,
    /// Those of the frame under way.
    messages_under_way: usize,
}

/// What stands at the beginning of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Not a whole frame yet; there must be so many bytes before it is worth another look.
    Incomplete(usize),
    /// A frame.
    Frame {
        /// What it carries.
        kind: FrameKind,
        /// Its body, checked against the checksum.
        body: &'a [u8],
    },
}

impl FrameKind {
    /// Its name in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            FrameKind::Messages => "messages",
            FrameKind::Heartbeat => "heartbeat",
            FrameKind::Part | FrameKind::LastPart => "part",
        }
    }
}

impl Frames {
    /// Adds a message, to the frame under way or to a new one.
    pub fn push(&mut self, message: &Message) -> Result<(), MessageTooLong> {
        match self.starts.last() {
            Some(start) if self.bytes.len() - start < FRAME_BYTES_ENOUGH && self.messages_under_way < FRAME_MESSAGES_MAX => {}
            _ => self.begin(),
        }
        let before = self.bytes.len();
        encode(message, &mut self.bytes);
        let start = *self.starts.last().expect("a frame was begun above");
        if self.bytes.len() - start - HEADER_BYTES > FRAME_BYTES_MAX {
            let length = self.bytes.len() - before;
            if length > FRAME_BYTES_MAX {
                self.bytes.truncate(before);
                if before == start + HEADER_BYTES {
                    self.bytes.truncate(start);
                    self.starts.pop();
                }
                return Err(MessageTooLong(length));
            }
            self.starts.push(before);
            self.bytes.splice(before..before, [0; HEADER_BYTES]);
            self.messages_under_way = 0;
        }
        self.messages += 1;
        self.messages_under_way += 1;
        Ok(())
    }

    /// Writes the headers; then [`bytes`](Self::bytes) is what goes to the socket.
    pub fn seal(&mut self) {
        let mut end = self.bytes.len();
        for start in self.starts.iter().rev() {
            let (header, body) = self.bytes[*start..end].split_at_mut(HEADER_BYTES);
            header.copy_from_slice(&frame_header(FrameKind::Messages, body));
            end = *start;
        }
    }

    /// All frames.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many frames there are.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.starts.len()
    }

    /// How many messages are in them.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Forgets all, but keeps a moderate part of the memory for the next time.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(BUFFER_BYTES_KEPT);
        self.starts.clear();
        (self.messages, self.messages_under_way) = (0, 0);
    }

    fn begin(&mut self) {
        self.starts.push(self.bytes.len());
        self.messages_under_way = 0;
        self.bytes.extend_from_slice(&[0; HEADER_BYTES]);
    }
}

/// Appends a message's encoding.
pub(super) fn encode(message: &Message, bytes: &mut Vec<u8>) {
    postcard::serialize_with_flavor(message, Growing(bytes)).expect("messages are plain data and memory grows");
}

/// Lets postcard write to the end of a buffer that is kept.
pub(crate) struct Growing<'a>(pub(crate) &'a mut Vec<u8>);

impl Flavor for Growing<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// The header of a frame with this body.
#[must_use]
pub fn frame_header(kind: FrameKind, body: &[u8]) -> [u8; HEADER_BYTES] {
    let length = u32::try_from(body.len()).expect("a body is at most FRAME_BYTES_MAX long");
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&length.to_le_bytes());
    header[4] = PROTOCOL_VERSION;
    header[5] = kind as u8;
    header[6..10].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    header
}

/// Looks at the beginning of what was received.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Fault> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Decoded::Incomplete(HEADER_BYTES));
    };
    let [l0, l1, l2, l3, version, kind, c0, c1, c2, c3] = *header;
    if version != PROTOCOL_VERSION {
        return Err(Fault::Version);
    }
    let kind = match kind {
        0 => FrameKind::Messages,
        1 => FrameKind::Heartbeat,
        2 => FrameKind::Part,
        3 => FrameKind::LastPart,
        _ => return Err(Fault::Undecodable),
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(Fault::FrameTooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Decoded::Incomplete(HEADER_BYTES + length));
    };
    if crc32c::crc32c(body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(Fault::Checksum);
    }
    Ok(Decoded::Frame { kind, body })
}

/// The messages of a body, which may be [`FRAME_MESSAGES_MAX`].
pub fn messages(mut body: &[u8]) -> Result<Vec<Message>, Fault> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        if messages.len() == FRAME_MESSAGES_MAX {
            return Err(Fault::FrameTooLong);
        }
        let (message, rest) = postcard::take_from_bytes(body).map_err(|_| Fault::Undecodable)?;
        messages.push(message);
        body = rest;
    }
    Ok(messages)
}

/// Gives these bytes to every decoder that a stranger can reach: as a greeting, as a stream of frames, and as the body of a
/// frame with the right checksum. Whatever is decoded must come back the same after it was encoded again. This is the fuzzer's
/// target, and the tests replay its corpus.
///
/// # Panics
///
/// When a decoder breaks its promise.
pub fn replay(bytes: &[u8]) {
    if let Some(hello) = bytes.first_chunk()
        && let Ok(greeting) = Hello::decode(hello)
    {
        assert_eq!(Hello::decode(&greeting.encode()), Ok(greeting));
    }
    let (mut rest, mut parts) = (bytes, Parts::default());
    while let Ok(Decoded::Frame { kind, body }) = decode(rest) {
        reencode(body);
        if parts.join(kind, body).is_err() {
            break;
        }
        rest = &rest[HEADER_BYTES + body.len()..];
    }
    reencode(bytes);
}

fn reencode(body: &[u8]) {
    let Ok(decoded) = messages(body) else { return };
    let mut frames = Frames::default();
    for message in &decoded {
        frames.push(message).expect("what came in one frame fits into one");
    }
    frames.seal();
    let (mut rest, mut again) = (frames.bytes(), Vec::new());
    while let Ok(Decoded::Frame { body, .. }) = decode(rest) {
        again.extend(messages(body).expect("what was encoded here can be decoded"));
        rest = &rest[HEADER_BYTES + body.len()..];
    }
    assert!(rest.is_empty() && again == decoded, "messages changed on their way");
}

#[cfg(test)]
mod tests;
