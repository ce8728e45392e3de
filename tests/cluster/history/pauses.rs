//! For how long no write was acknowledged to anybody: what clients notice of a fault.

use std::time::{Duration, Instant};

use super::{End, History, Moment};
use crate::harness::stall;

/// A time without an acknowledged write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pause {
    pub took: Duration,
    pub began: Moment,
}

impl Pause {
    /// When the next write was acknowledged.
    pub fn ended(&self) -> Moment {
        self.began + u64::try_from(self.took.as_nanos()).expect("a run ends within centuries")
    }

    /// How long it took without the time in which the machine itself stood still; moments are counted from this one.
    pub fn fair(&self, origin: Instant) -> Duration {
        let began = origin + Duration::from_nanos(self.began);
        self.took.saturating_sub(stall::between(began, began + self.took))
    }
}

/// All pauses between these two moments, in order: each acknowledged write ends one.
pub fn all(history: &History, from: Moment, until: Moment) -> Vec<Pause> {
    let wrote = history.events.values().filter(|event| event.end == End::Acknowledged && !event.writes.is_empty());
    let mut ends: Vec<Moment> = wrote.map(|event| event.ended).filter(|ended| (from..until).contains(ended)).collect();
    ends.push(until);
    ends.sort_unstable();
    let begins = std::iter::once(&from).chain(&ends);
    begins.zip(&ends).map(|(began, ended)| Pause { took: Duration::from_nanos(ended - began), began: *began }).collect()
}

/// The longest of them.
pub fn longest(history: &History, from: Moment, until: Moment) -> Pause {
    all(history, from, until).into_iter().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Change, Event, EventId};

    #[test]
    fn a_pause_lasts_from_one_acknowledged_write_to_the_next() {
        let change = || Change { key: "kept-1".to_owned(), after: None, deletes: false, version: None };
        let event = |number: u32, ended: Moment, writes: usize, end: End| Event {
            id: EventId { client: 0, number },
            began: 0,
            ended,
            reads: Vec::new(),
            writes: (0..writes).map(|_| change()).collect(),
            end,
        };
        let events = [
            event(0, 10, 1, End::Acknowledged),
            event(1, 20, 0, End::Acknowledged),
            event(2, 25, 1, End::Refused),
            event(3, 50, 1, End::Acknowledged),
            event(4, 70, 1, End::Acknowledged),
        ];
        let history = History::new(events);
        assert_eq!(longest(&history, 0, 80), Pause { took: Duration::from_nanos(40), began: 10 });
        assert_eq!(longest(&history, 0, 200), Pause { took: Duration::from_nanos(130), began: 70 });
        assert_eq!(longest(&history, 51, 60), Pause { took: Duration::from_nanos(9), began: 51 });
    }
}
