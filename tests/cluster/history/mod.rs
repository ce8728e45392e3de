//! What clients did and were told, as they saw it from outside, and the judges of it. Every value that is written names the
//! event that wrote it, so whoever reads it knows the writer, and a write that was made upon an expectation also names what it
//! replaced, so the order of such writes shows itself (Kingsbury and Alvaro 2020). Nothing here knows the protocol; a history
//! is judged after the run, when the cluster is whole again.

pub mod fates;
pub mod linearizability;
pub mod orders;
pub mod pauses;
pub mod recorder;
pub mod serializability;
pub mod survival;
pub mod verdicts;

#[cfg(test)]
mod example;

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// Nanoseconds since the run began.
pub type Moment = u64;

/// One event of one client: the number of the client, and of the event with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    pub client: u32,
    pub number: u32,
}

/// A record as somebody read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    pub key: String,
    /// Who had written it; none if it was not there.
    pub found: Option<EventId>,
    pub version: Option<u64>,
}

/// A change of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    /// What it expected to replace, if it expected anything; `Some(None)` expects that nothing is there.
    pub after: Option<Option<EventId>>,
    pub deletes: bool,
    pub version: Option<u64>,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is done, for good.
    Acknowledged,
    /// It was not done and never will be.
    Refused,
    /// Nobody knew yet; with the transaction to ask for, if that was said.
    Unknown(Option<String>),
}

/// One request and its answer. All that it reads and changes, it does at once.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub began: Moment,
    pub ended: Moment,
    pub reads: Vec<Sight>,
    pub writes: Vec<Change>,
    pub end: End,
}

/// All events of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub events: BTreeMap<EventId, Event>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: &'static str,
    /// How.
    pub detail: String,
}

/// How a record is used, which its key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Written once and never again.
    Kept,
    /// Written, replaced, deleted and read, a few times in all.
    Register,
    /// Each write expects the one before and names it.
    Chain,
}

impl Use {
    /// The key of this number in this use.
    pub fn key(self, number: impl Display) -> String {
        format!("{}{number}", self.prefix())
    }

    /// What the keys in this use begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Use::Kept => "kept-",
            Use::Register => "register-",
            Use::Chain => "chain-",
        }
    }

    /// The use of a key.
    pub fn of(key: &str) -> Self {
        let uses = [Use::Kept, Use::Register, Use::Chain];
        uses.into_iter().find(|this| key.starts_with(this.prefix())).unwrap_or_else(|| panic!("{key:?} is no key of ours"))
    }
}

impl History {
    /// Of these events.
    pub fn new(events: impl IntoIterator<Item = Event>) -> Self {
        let mut history = History::default();
        for event in events {
            let id = event.id;
            assert!(history.events.insert(id, event).is_none(), "{id} was recorded twice");
        }
        history
    }

    /// The events that read or change each key.
    pub fn by_key(&self) -> BTreeMap<&str, Vec<EventId>> {
        let mut keys: BTreeMap<&str, Vec<EventId>> = BTreeMap::new();
        for event in self.events.values() {
            let read = event.reads.iter().map(|sight| sight.key.as_str());
            let touched = read.chain(event.writes.iter().map(|change| change.key.as_str()));
            for key in touched {
                let events = keys.entry(key).or_default();
                if events.last() != Some(&event.id) {
                    events.push(event.id);
                }
            }
        }
        keys
    }

    /// How many events ended like this.
    pub fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.values().filter(|event| which(event)).count()
    }
}

impl Violation {
    pub fn new(promise: &'static str, detail: impl Into<String>) -> Self {
        Violation { promise, detail: detail.into() }
    }
}

impl Display for EventId {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.client, self.number)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(client, number)| Some((client.parse().ok()?, number.parse().ok()?)));
        let (client, number) = parts.ok_or_else(|| format!("{text:?} names no event"))?;
        Ok(EventId { client, number })
    }
}
