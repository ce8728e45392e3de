//! What became of each write. Where its client was not told, the transaction is asked for if its id is known; else whoever has
//! read it shows that it was done. What stays open even so may have been done or not, and no judge assumes either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{End, EventId, History, Violation};
use crate::harness::client::Client;
use crate::harness::stall;

/// How often those that are still unknown are asked for.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Committed,
    Aborted,
    Open,
}

/// What became of all writes.
#[derive(Clone, Debug, Default)]
pub struct Fates(BTreeMap<EventId, Fate>);

/// What was asked for and learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    pub committed: usize,
    pub aborted: usize,
    /// The coordinator that ran it is gone, and nobody else can tell.
    pub no_longer_known: usize,
    /// Nobody could tell in time.
    pub still_unknown: usize,
    /// How long the asking took.
    pub took: Duration,
}

/// Asks for every transaction whose outcome its client was not told, again and again until all are known or this time
/// is over; the time in which the machine itself stood still does not count.
pub async fn ask(url: &str, history: &History, within: Duration) -> (BTreeMap<EventId, Fate>, Learnt) {
    let mut client = Client::new(url);
    let (mut told, mut learnt) = (BTreeMap::new(), Learnt::default());
    let mut open: Vec<(EventId, &str)> = history
        .events
        .values()
        .filter_map(|event| match &event.end {
            End::Unknown(Some(transaction)) => Some((event.id, transaction.as_str())),
            _ => None,
        })
        .collect();
    let begun = Instant::now();
    let mut rounds = tokio::time::interval(ASK_EVERY);
    while !open.is_empty() && stall::fair_since(begun) < within {
        rounds.tick().await;
        let mut still = Vec::new();
        for (event, transaction) in open {
            let answer = client.get(&format!("/api/transactions/{transaction}")).await;
            let fate = match answer.status {
                404 => Some(Fate::Open),
                _ => match answer.json()["outcome"].as_str() {
                    Some("committed") => Some(Fate::Committed),
                    Some("aborted") => Some(Fate::Aborted),
                    Some("unknown") => None,
                    _ => panic!("no outcome: {answer:?}"),
                },
            };
            match fate {
                Some(Fate::Committed) => learnt.committed += 1,
                Some(Fate::Aborted) => learnt.aborted += 1,
                Some(Fate::Open) => learnt.no_longer_known += 1,
                None => still.push((event, transaction)),
            }
            told.extend(fate.map(|fate| (event, fate)));
        }
        open = still;
        learnt.took = begun.elapsed();
    }
    learnt.still_unknown = open.len();
    (told, learnt)
}

impl Fates {
    /// From what clients were told, what was learnt later, and what somebody has read. It is a violation that anybody has read
    /// what was refused or aborted, or what nobody wrote.
    pub fn of(history: &History, told: &BTreeMap<EventId, Fate>) -> Result<Self, Violation> {
        let mut fates = BTreeMap::new();
        for event in history.events.values().filter(|event| !event.writes.is_empty()) {
            let fate = match event.end {
                End::Acknowledged => Fate::Committed,
                End::Refused => Fate::Aborted,
                End::Unknown(_) => told.get(&event.id).copied().unwrap_or(Fate::Open),
            };
            fates.insert(event.id, fate);
        }
        for (reader, key, writer) in evidence(history, &fates) {
            let broken = |how: &str| Err(Violation::new("aborted reads", format!("{reader} read {key} of {writer}, {how}")));
            let changed = history.events.get(&writer).is_some_and(|event| event.writes.iter().any(|change| change.key == key));
            if !changed {
                return broken("which nobody wrote there");
            }
            match fates.get_mut(&writer) {
                Some(Fate::Aborted) => return broken("which was refused or aborted"),
                Some(fate) => *fate = Fate::Committed,
                None => return broken("which wrote nothing"),
            }
        }
        Ok(Fates(fates))
    }

    /// Of one event; an event that writes nothing has none.
    pub fn get(&self, event: EventId) -> Option<Fate> {
        self.0.get(&event).copied()
    }

    pub fn committed(&self, event: EventId) -> bool {
        self.get(event) == Some(Fate::Committed)
    }

    /// How many have this one.
    pub fn count(&self, fate: Fate) -> usize {
        self.0.values().filter(|it| **it == fate).count()
    }
}

/// Who read what of whom: in answers, and in expectations that were met.
fn evidence<'a>(history: &'a History, fates: &BTreeMap<EventId, Fate>) -> BTreeSet<(EventId, &'a str, EventId)> {
    let mut found = BTreeSet::new();
    for event in history.events.values() {
        if event.end == End::Acknowledged {
            found.extend(event.reads.iter().filter_map(|sight| Some((event.id, sight.key.as_str(), sight.found?))));
        }
        if fates.get(&event.id) == Some(&Fate::Committed) {
            found.extend(event.writes.iter().filter_map(|change| Some((event.id, change.key.as_str(), change.after??))));
        }
    }
    found
}
