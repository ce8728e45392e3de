//! In which order the writes to each record took effect. Writes that name what they replaced form a chain, which needs nobody's
//! word; of the others the versions tell, which a record's later states have greater. A write whose place nobody knows (it was
//! never read, and its client was not told its version) has none, and the judges do without it.

use std::collections::BTreeMap;

use super::fates::{Fate, Fates};
use super::{EventId, History, Use, Violation};

/// The writes to one record.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub writes: Vec<EventId>,
    places: BTreeMap<EventId, usize>,
    /// Whether it may have been deleted, so that *absent* is more than one state.
    pub deleted: bool,
}

/// The writes to each record.
#[derive(Clone, Debug, Default)]
pub struct Orders<'a>(BTreeMap<&'a str, Order>);

impl Order {
    fn new(writes: Vec<EventId>, deleted: bool) -> Self {
        let places = writes.iter().enumerate().map(|(place, event)| (*event, place)).collect();
        Order { writes, places, deleted }
    }

    /// Whose write came next after what somebody found, if that is known.
    pub fn after(&self, found: Option<EventId>) -> Option<EventId> {
        let place = match found {
            Some(event) => self.places.get(&event)? + 1,
            None if self.deleted => return None,
            None => 0,
        };
        self.writes.get(place).copied()
    }

    /// Whether this write has a place.
    pub fn holds(&self, event: EventId) -> bool {
        self.places.contains_key(&event)
    }
}

impl<'a> Orders<'a> {
    /// Of all records of a history.
    pub fn of(history: &'a History, fates: &Fates) -> Result<Self, Violation> {
        let mut orders = BTreeMap::new();
        for (key, events) in history.by_key() {
            let order = match Use::of(key) {
                Use::Chain => chain(key, &events, history, fates)?,
                Use::Kept | Use::Register => by_version(key, &events, history, fates)?,
            };
            orders.insert(key, order);
        }
        Ok(Orders(orders))
    }

    /// Of one record.
    pub fn get(&self, key: &str) -> Option<&Order> {
        self.0.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &Order)> {
        self.0.iter().map(|(key, order)| (*key, order))
    }
}

/// Follows the chain of who replaced whom. Two that replaced the same are a violation, and so is one that hangs on nothing.
fn chain(key: &str, events: &[EventId], history: &History, fates: &Fates) -> Result<Order, Violation> {
    let broken = |detail: String| Err(Violation::new("lost updates", detail));
    let mut next: BTreeMap<Option<EventId>, EventId> = BTreeMap::new();
    for id in events.iter().filter(|id| fates.committed(**id)) {
        let Some(change) = history.events[id].writes.iter().find(|change| change.key == key) else { continue };
        let after = change.after.expect("each write to a chain names what it replaced");
        if let Some(other) = next.insert(after, *id) {
            let replaced = after.map_or("nothing".to_owned(), |after| after.to_string());
            return broken(format!("{other} and {id} both replaced {replaced} in {key}"));
        }
    }
    let mut writes = Vec::with_capacity(next.len());
    let mut last = None;
    while let Some(id) = next.remove(&last) {
        writes.push(id);
        last = Some(id);
    }
    match next.into_iter().next() {
        Some((after, id)) => broken(format!("{id} replaced {after:?} in {key}, which no chain of writes leads to")),
        None => Ok(Order::new(writes, false)),
    }
}

/// Sorts by version. A write of two versions is a violation, and so is a version of two writes.
fn by_version(key: &str, events: &[EventId], history: &History, fates: &Fates) -> Result<Order, Violation> {
    let mut versions: BTreeMap<u64, EventId> = BTreeMap::new();
    let mut known: BTreeMap<EventId, u64> = BTreeMap::new();
    let mut deleted = false;
    for id in events {
        let event = &history.events[id];
        let own = event.writes.iter().filter(|change| change.key == key);
        for change in own {
            let done = fates.get(*id) != Some(Fate::Aborted);
            deleted |= done && change.deletes;
        }
        let written = event.writes.iter().filter(|change| change.key == key && !change.deletes && fates.committed(*id));
        let written = written.filter_map(|change| Some((*id, change.version?)));
        let read = event.reads.iter().filter(|sight| sight.key == key);
        let read = read.filter_map(|sight| Some((sight.found?, sight.version?)));
        for (writer, version) in written.chain(read) {
            let other = *versions.entry(version).or_insert(writer);
            if other != writer {
                return Err(Violation::new("versions", format!("version {version} of {key} is {other}'s and {writer}'s")));
            }
            let other = *known.entry(writer).or_insert(version);
            if other != version {
                return Err(Violation::new("versions", format!("{writer}'s {key} has the versions {other} and {version}")));
            }
        }
    }
    Ok(Order::new(versions.into_values().collect(), deleted))
}
