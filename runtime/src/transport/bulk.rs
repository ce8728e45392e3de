//! Long messages on their way. The messages of [`Lane::Bulk`](skein_protocol::message::Lane) that wait for a peer are gathered into
//! bodies, and a body leaves in parts of a bounded size, so that between two parts everything else can go first. At the other end
//! the parts are joined again. Nothing comes between the parts of one body but frames of other kinds.

use std::collections::VecDeque;

use skein_protocol::message::Message;

use super::Fault;
use super::frame::{
    FRAME_BYTES_MAX, FRAME_MESSAGES_MAX, FrameKind, HEADER_BYTES, MessageTooLong, encode, frame_header, messages,
};

/// Bytes of one part at the most: what everything else may have to wait for.
pub const PART_BYTES_MAX: usize = 64 * 1024;

/// What waits to be sent in parts.
#[derive(Debug, Default)]
pub struct Bulk {
    bodies: VecDeque<Body>,
    /// Bytes of the first body that have been sent already.
    sent: usize,
    /// Bytes of all bodies.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Body {
    bytes: Vec<u8>,
    messages: usize,
}

/// The parts of a body that have come so far.
#[derive(Debug, Default)]
pub struct Parts(Vec<u8>);

impl Bulk {
    /// Adds a message, to the last body as long as it is short or to a new one.
    pub fn push(&mut self, message: &Message) -> Result<(), MessageTooLong> {
        let mut encoded = Vec::new();
        encode(message, &mut encoded);
        if encoded.len() > FRAME_BYTES_MAX {
            return Err(MessageTooLong(encoded.len()));
        }
        self.bytes += encoded.len();
        let under_way = self.bodies.len() == 1 && self.sent > 0;
        match self.bodies.back_mut() {
            Some(body)
                if !under_way && body.bytes.len() + encoded.len() <= PART_BYTES_MAX && body.messages < FRAME_MESSAGES_MAX =>
            {
                body.bytes.append(&mut encoded);
                body.messages += 1;
            }
            _ => self.bodies.push_back(Body { bytes: encoded, messages: 1 }),
        }
        Ok(())
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes - self.sent
    }

    /// Appends the next part as a frame, if anything waits. Gives the number of messages that have left with it.
    pub fn take_part(&mut self, frame: &mut Vec<u8>) -> Option<usize> {
        let body = self.bodies.front()?;
        let rest = &body.bytes[self.sent..];
        let (part, kind) = match rest.split_at_checked(PART_BYTES_MAX) {
            Some((part, behind)) if !behind.is_empty() => (part, FrameKind::Part),
            _ => (rest, FrameKind::LastPart),
        };
        frame.reserve(HEADER_BYTES + part.len());
        frame.extend_from_slice(&frame_header(kind, part));
        frame.extend_from_slice(part);
        self.sent += part.len();
        if kind == FrameKind::Part {
            return Some(0);
        }
        let gone = self.bodies.pop_front()?;
        self.bytes -= gone.bytes.len();
        self.sent = 0;
        Some(gone.messages)
    }
}

impl Parts {
    /// Takes the body of a frame of any kind, and gives the messages that are whole with it.
    pub fn join(&mut self, kind: FrameKind, body: &[u8]) -> Result<Vec<Message>, Fault> {
        match kind {
            FrameKind::Messages | FrameKind::Heartbeat => messages(body),
            FrameKind::LastPart if self.0.is_empty() => messages(body),
            FrameKind::Part | FrameKind::LastPart => {
                if self.0.len() + body.len() > FRAME_BYTES_MAX {
                    return Err(Fault::FrameTooLong);
                }
                self.0.extend_from_slice(body);
                if kind == FrameKind::Part {
                    return Ok(Vec::new());
                }
                // Long bodies are rare, so their memory is not kept.
                messages(&std::mem::take(&mut self.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::id::{Incarnation, NodeId, TxnId, Version, ViewNumber};
    use skein_protocol::message::Chunk;
    use skein_protocol::operation::{Key, TableId};
    use skein_protocol::record::Stored;

    use super::super::frame::{Decoded, decode};
    use super::*;

    fn chunk(total: u64, bytes: usize) -> Message {
        let txn = TxnId { incarnation: Incarnation(1), sequence: 1 };
        let stored = Stored::new(&Key::new(TableId(1), "k"), Version(1), txn, vec![7; bytes].into());
        Message::Chunk(Chunk {
            copy: ViewNumber(1),
            learner: NodeId(1),
            after: None,
            records: vec![(Key::new(TableId(1), "k"), stored)],
            last: false,
            total,
            stamp: 0,
        })
    }

    /// Sends all that waits; the messages that come of it, and the length of each frame.
    fn carry(bulk: &mut Bulk) -> (Vec<Message>, Vec<usize>) {
        let (mut parts, mut arrived, mut lengths, mut left) = (Parts::default(), Vec::new(), Vec::new(), 0);
        let mut frame = Vec::new();
        while let Some(messages) = bulk.take_part(&mut frame) {
            left += messages;
            let Ok(Decoded::Frame { kind, body }) = decode(&frame) else { panic!("no frame") };
            arrived.extend(parts.join(kind, body).unwrap());
            lengths.push(body.len());
            frame.clear();
        }
        assert_eq!((left, bulk.bytes()), (arrived.len(), 0));
        (arrived, lengths)
    }

    #[test]
    fn a_long_message_leaves_in_parts_and_comes_back_whole() {
        let mut bulk = Bulk::default();
        let long = chunk(1, 5 * PART_BYTES_MAX);
        bulk.push(&long).unwrap();
        bulk.push(&chunk(2, 10)).unwrap();
        let (arrived, lengths) = carry(&mut bulk);
        assert_eq!(arrived, [long, chunk(2, 10)]);
        assert_eq!(lengths.len(), 7, "six parts of the long one, and the short one: {lengths:?}");
        assert!(lengths.iter().all(|length| *length <= PART_BYTES_MAX), "{lengths:?}");
    }

    #[test]
    fn short_messages_share_a_part_and_what_is_under_way_is_not_added_to() {
        let mut bulk = Bulk::default();
        let short: Vec<Message> = (0..100).map(|number| chunk(number, 100)).collect();
        short.iter().for_each(|message| bulk.push(message).unwrap());
        let (arrived, lengths) = carry(&mut bulk);
        assert_eq!((arrived, lengths.len()), (short, 1));

        bulk.push(&chunk(1, 2 * PART_BYTES_MAX)).unwrap();
        let mut first = Vec::new();
        assert_eq!(bulk.take_part(&mut first), Some(0));
        bulk.push(&chunk(2, 10)).unwrap();
        let mut parts = Parts::default();
        let Ok(Decoded::Frame { kind, body }) = decode(&first) else { panic!("no frame") };
        assert_eq!(parts.join(kind, body), Ok(Vec::new()));
        let mut arrived = Vec::new();
        let mut frame = Vec::new();
        while bulk.take_part(&mut frame).is_some() {
            let Ok(Decoded::Frame { kind, body }) = decode(&frame) else { panic!("no frame") };
            arrived.extend(parts.join(kind, body).unwrap());
            frame.clear();
        }
        assert_eq!(arrived, [chunk(1, 2 * PART_BYTES_MAX), chunk(2, 10)]);
    }

    #[test]
    fn what_is_too_long_is_neither_sent_nor_gathered() {
        let mut bulk = Bulk::default();
        assert!(bulk.push(&chunk(1, FRAME_BYTES_MAX)).is_err());
        assert_eq!((bulk.bytes(), bulk.take_part(&mut Vec::new())), (0, None));
        let mut parts = Parts::default();
        let part = vec![0; PART_BYTES_MAX];
        for _ in 0..FRAME_BYTES_MAX / PART_BYTES_MAX {
            assert_eq!(parts.join(FrameKind::Part, &part), Ok(Vec::new()));
        }
        assert_eq!(parts.join(FrameKind::Part, &part), Err(Fault::FrameTooLong));
    }
}
