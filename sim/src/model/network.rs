//! Connections between the coordinator and the workers, with the messages under way on them.
//!
//! A connection keeps order and ends as a whole: what is still under way is lost at both ends at once. Messages of a
//! coordinator that died may come in long after its successor's. Loss of a single message needs no step of its own: whatever
//! can happen after it, can happen while the message is never delivered.

use skein_protocol::id::NodeId;
use skein_protocol::message::Message;

use crate::part::Part;

/// In which order the messages of one connection come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// In the order in which they were sent, as the contract of the core has it.
    Kept,
    /// In any order: harsher than the contract.
    Any,
    /// In any order those to the first worker; all others as they were sent.
    AnyToFirst,
}

impl Order {
    /// That of the messages to a worker: kept or any.
    #[must_use]
    pub fn down(self, worker: usize) -> Self {
        match self {
            Order::AnyToFirst if worker == 0 => Order::Any,
            Order::AnyToFirst => Order::Kept,
            order => order,
        }
    }

    /// That of the messages to the coordinator: kept or any.
    #[must_use]
    pub fn up(self) -> Self {
        if self == Order::AnyToFirst { Order::Kept } else { self }
    }
}

/// Messages under way in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Queue(Vec<Part<Message>>);

/// A connection that stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Link {
    /// To the worker.
    pub down: Queue,
    /// To the coordinator.
    pub up: Queue,
}

/// What is left of the connection of a coordinator that died.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Remnant {
    /// The coordinator.
    pub from: NodeId,
    /// Its last messages; the worker hears that the connection is gone when none is left.
    pub down: Queue,
}

impl Queue {
    /// Sends a message. Without order the queue is a multiset, kept in one fixed order so that equal ones look equal.
    pub fn push(&mut self, message: Message, order: Order) {
        let message = Part::new(message);
        match order {
            Order::Kept => self.0.push(message),
            Order::Any | Order::AnyToFirst => {
                let place = self.0.partition_point(|other| other.print() < message.print());
                self.0.insert(place, message);
            }
        }
    }

    /// The places from which a message can be taken next; equal messages count once.
    pub fn places(&self, order: Order) -> impl Iterator<Item = usize> + '_ {
        let upto = if order == Order::Kept { self.0.len().min(1) } else { self.0.len() };
        (0..upto).filter(|&place| place == 0 || self.0[place] != self.0[place - 1])
    }

    /// Takes the message at this place.
    pub fn take(&mut self, place: usize) -> Message {
        (*self.0.remove(place)).clone()
    }

    /// The message at this place.
    pub fn get(&self, place: usize) -> Option<&Message> {
        self.0.get(place).map(|message| &**message)
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
