//! What waits to be sent to a slow receiver, as the runtime's transport keeps it: two lanes, with long messages sent a part at a time,
//! so that everything else goes before them; and a bound on each lane, beyond which the connection is closed. A simulated record
//! counts as one of the greatest length, so that few records reach the bounds of the product.

use std::collections::VecDeque;

use skein_protocol::limits::{ANSWER_BYTES_MAX, CHUNK_BYTES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use skein_protocol::message::{Lane, Message, ReadResult};
use skein_protocol::operation::Answer;

use super::checks::Violation;
use super::mistake::Mistake;
use super::network::ConnectionId;
use super::node::Pending;
use super::queue::{SECOND, Time};
use super::world::{Event, World};

/// Bytes that may wait in one lane, as in the runtime.
const LANE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of a long message that leave at once, as in the runtime.
const PART_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of a message that is not long.
const SHORT_BYTES: u64 = 100;

/// One direction of a connection.
#[derive(Default)]
pub(crate) struct Outbox {
    lanes: [VecDeque<(Message, u64)>; 2],
    waiting: [u64; 2],
    /// Bytes of the first long message that have left.
    sent: u64,
    /// Whether the socket is busy.
    busy: bool,
}

/// What leaves next.
enum Unit {
    Whole(Message, u64),
    Part(u64),
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// None of it will be sent any more.
    pub(crate) fn clear(&mut self) {
        *self = Outbox { busy: self.busy, ..Outbox::default() };
    }

    fn next(&mut self) -> Option<Unit> {
        if let Some((message, bytes)) = self.lanes[0].pop_front() {
            self.waiting[0] -= bytes;
            return Some(Unit::Whole(message, bytes));
        }
        let (_, bytes) = self.lanes[1].front()?;
        let rest = *bytes - self.sent;
        if rest > PART_BYTES_MAX {
            self.sent += PART_BYTES_MAX;
            return Some(Unit::Part(PART_BYTES_MAX));
        }
        let (message, bytes) = self.lanes[1].pop_front()?;
        self.waiting[1] -= bytes;
        self.sent = 0;
        Some(Unit::Whole(message, rest))
    }
}

/// Bytes that a message stands for.
fn bytes_of(message: &Message) -> u64 {
    let rows = |rows: usize, most: usize| SHORT_BYTES + (rows * (KEY_BYTES_MAX + VALUE_BYTES_MAX)).min(most) as u64;
    match message {
        Message::Answered { result: ReadResult::Found(Answer::Rows { rows: found, .. }), .. } => {
            rows(found.len(), ANSWER_BYTES_MAX)
        }
        Message::Chunk(chunk) => rows(chunk.records.len(), CHUNK_BYTES_MAX),
        _ => SHORT_BYTES,
    }
}

impl World {
    /// Puts a message into the outbox of a slow connection, on its way to this end.
    pub(crate) fn enqueue(&mut self, connection: ConnectionId, end: usize, message: Message) {
        let bytes = bytes_of(&message);
        let lane = match message.lane() {
            Lane::Orders if !self.mistakes.has(Mistake::OneLane) => 0,
            Lane::Orders | Lane::Bulk => 1,
        };
        let outbox = &mut self.network.connections[connection].outboxes[end];
        if outbox.waiting[lane] > LANE_BYTES_MAX {
            let sender = 1 - end;
            // The transport closes the connection then; but nothing that is meant to be may come to this.
            self.violate(Violation::new("congestion", format!("more than {LANE_BYTES_MAX} bytes wait for one peer")));
            self.queue.push(self.now, Event::Arrive(connection, sender, Pending::Closed(connection)));
            return;
        }
        outbox.waiting[lane] += bytes;
        outbox.lanes[lane].push_back((message, bytes));
        if !std::mem::replace(&mut outbox.busy, true) {
            self.drain(connection, end);
        }
    }

    /// The socket takes the next part.
    pub(crate) fn drain(&mut self, connection: ConnectionId, end: usize) {
        let rate = self.rate(connection);
        let outbox = &mut self.network.connections[connection].outboxes[end];
        let takes = |bytes: u64| rate.map_or(0, |rate| bytes * SECOND / rate);
        match outbox.next() {
            None => outbox.busy = false,
            Some(Unit::Part(bytes)) => self.queue.push(self.now + takes(bytes), Event::Drain(connection, end)),
            Some(Unit::Whole(message, bytes)) => {
                let left: Time = takes(bytes);
                self.queue.push(self.now + left, Event::Drain(connection, end));
                self.carry(connection, end, message, left);
            }
        }
    }

    /// How many bytes the ends of a connection take in a second, if that is bounded.
    pub(crate) fn rate(&mut self, connection: ConnectionId) -> Option<u64> {
        let ends = &self.network.connections[connection].ends;
        let (coordinator, worker) = (ends[0].slot, ends[1].slot);
        self.network.link(coordinator, worker).rate
    }
}
