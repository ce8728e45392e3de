//! Strict serializability: one order of all transactions and reads explains every answer and agrees with real time. It exists
//! exactly if the direct serialization graph has no cycle (Adya 1999); the graph is the simulator's. Of the events that touch
//! one record alone, the same graph is linearizability (Herlihy and Wing 1990), which is asked first because a cycle there is
//! easier to read.

use std::collections::{BTreeMap, BTreeSet};

use skein_sim::precedence::{Precedence, Span};

use super::fates::Fates;
use super::orders::Orders;
use super::{End, EventId, History, Violation};

/// Judges all events together; says how many there were.
pub fn check(history: &History, fates: &Fates, orders: &Orders<'_>) -> Result<usize, Violation> {
    judge("strict serializability", history, history.events.keys(), None, fates, orders)
}

/// Judges the events of each record; says how many records there were.
pub fn check_each_record(history: &History, fates: &Fates, orders: &Orders<'_>) -> Result<usize, Violation> {
    let keys = history.by_key();
    for (key, events) in &keys {
        judge("linearizability of each record", history, events, Some(key), fates, orders)?;
    }
    Ok(keys.len())
}

fn judge<'a>(
    promise: &'static str,
    history: &History,
    events: impl IntoIterator<Item = &'a EventId>,
    only: Option<&str>,
    fates: &Fates,
    orders: &Orders<'_>,
) -> Result<usize, Violation> {
    let mut graph = Precedence::default();
    let mut places = BTreeMap::new();
    let mut spans = Vec::new();
    for id in events {
        let event = &history.events[id];
        let acknowledged = event.end == End::Acknowledged;
        // What was read by an event that is not known to have happened was not read.
        let happened = if event.writes.is_empty() { acknowledged } else { fates.committed(*id) };
        if happened {
            let place = graph.add(*id);
            places.insert(*id, place);
            spans.push(Span { place, began: event.began, ended: acknowledged.then_some(event.ended) });
        }
    }
    let place = |event: Option<EventId>| event.and_then(|event| places.get(&event).copied());
    let mut touched = BTreeSet::new();
    for id in places.keys() {
        let event = &history.events[id];
        touched.extend(event.writes.iter().map(|change| change.key.as_str()));
        for sight in event.reads.iter().filter(|sight| only.is_none_or(|only| sight.key == only)) {
            let Some(order) = orders.get(&sight.key) else { continue };
            graph.edge(place(sight.found), place(Some(*id)));
            graph.edge(place(Some(*id)), place(order.after(sight.found)));
        }
    }
    for key in touched.iter().filter(|key| only.is_none_or(|only| **key == only)) {
        for pair in orders.get(key).map(|order| order.writes.windows(2)).into_iter().flatten() {
            graph.edge(place(Some(pair[0])), place(Some(pair[1])));
        }
    }
    graph.add_time(spans);
    match graph.cycle() {
        None => Ok(places.len()),
        Some(cycle) => Err(Violation::new(promise, graph.describe(&cycle))),
    }
}
