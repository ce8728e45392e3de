//! The second judge of single records, which shares nothing with the first: it knows no versions and no graph, but searches for
//! an order in which a plain register gives the same answers (Stateright's `LinearizabilityTester`). The search takes
//! exponential time in the events that overlap, so it looks at records with short histories only, and says how many it passed by.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::fates::{Fate, Fates};
use super::{End, EventId, History, Moment, Use, Violation};

/// Events of one record, and how many of them may be under way at once, for a search to be worth it.
const EVENTS_MAX: usize = 24;
const OVERLAPPING_MAX: usize = 7;

/// How many records were searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    pub records: usize,
    pub events: usize,
    /// Records whose histories were too long or too tangled.
    pub passed_by: usize,
}

/// A record as clients know it: whose write it holds.
#[derive(Clone, Debug)]
struct Register(Option<EventId>);

#[derive(Clone, Debug)]
enum Act {
    Read,
    Write { expected: Option<Option<EventId>>, to: Option<EventId> },
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Found(Option<EventId>),
    Done,
    Refused,
}

impl SequentialSpec for Register {
    type Op = Act;
    type Ret = Told;

    fn invoke(&mut self, act: &Act) -> Told {
        match act {
            Act::Read => Told::Found(self.0),
            Act::Write { expected: Some(expected), .. } if *expected != self.0 => Told::Refused,
            Act::Write { to, .. } => {
                self.0 = *to;
                Told::Done
            }
        }
    }
}

/// Searches each register's history.
pub fn check(history: &History, fates: &Fates) -> Result<Searched, Violation> {
    let mut searched = Searched::default();
    for (key, events) in history.by_key().into_iter().filter(|(key, _)| Use::of(key) == Use::Register) {
        let mut steps = Vec::new();
        for id in &events {
            for (act, told) in acts(history, fates, *id, key) {
                let thread = steps.len();
                steps.push((thread, history.events[id].began, history.events[id].ended, act, told));
            }
        }
        let mut moments: Vec<(Moment, bool, usize)> = Vec::new();
        for (thread, began, ended, _, told) in &steps {
            moments.push((*began, false, *thread));
            moments.extend(told.is_some().then_some((*ended, true, *thread)));
        }
        // Of two events at the same moment, neither came first: beginnings before ends.
        moments.sort_unstable();
        if steps.len() > EVENTS_MAX || overlapping(&moments) > OVERLAPPING_MAX {
            searched.passed_by += 1;
            continue;
        }
        let mut tester = LinearizabilityTester::new(Register(None));
        for (_, ends, thread) in moments {
            let (_, _, _, act, told) = &steps[thread];
            let taken = match (ends, told) {
                (false, _) => tester.on_invoke(thread, act.clone()),
                (true, Some(told)) => tester.on_return(thread, told.clone()),
                (true, None) => unreachable!("what was not answered has no end"),
            };
            taken.expect("each event is a thread of its own");
        }
        if !tester.is_consistent() {
            return Err(Violation::new("linearizability by search", format!("no order explains {key}: {}", list(&steps))));
        }
        searched.records += 1;
        searched.events += steps.len();
    }
    Ok(searched)
}

/// What an event did with this record; a write that may not have happened has no answer.
fn acts(history: &History, fates: &Fates, id: EventId, key: &str) -> Vec<(Act, Option<Told>)> {
    let event = &history.events[&id];
    let acknowledged = event.end == End::Acknowledged;
    let mut acts = Vec::new();
    if acknowledged {
        let sights = event.reads.iter().filter(|sight| sight.key == key);
        acts.extend(sights.map(|sight| (Act::Read, Some(Told::Found(sight.found)))));
    }
    if matches!(fates.get(id), Some(Fate::Committed | Fate::Open)) {
        for change in event.writes.iter().filter(|change| change.key == key) {
            let act = Act::Write { expected: change.after, to: (!change.deletes).then_some(id) };
            acts.push((act, acknowledged.then_some(Told::Done)));
        }
    }
    acts
}

fn overlapping(moments: &[(Moment, bool, usize)]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for (_, ends, _) in moments {
        now = if *ends { now - 1 } else { now + 1 };
        most = most.max(now);
    }
    most
}

fn list(steps: &[(usize, Moment, Moment, Act, Option<Told>)]) -> String {
    let lines = steps.iter().map(|(_, began, ended, act, told)| format!("{began}..{ended} {act:?} {told:?}"));
    lines.collect::<Vec<_>>().join("; ")
}
