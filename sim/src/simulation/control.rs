//! The control store: one record, swapped by exact content, and the numbers of coordinators' runs. A swap takes effect at
//! one moment between its request and its answer; when the coordinator dies in between, it has taken effect or never will.
//! An error is answered with what the store holds then, whether the swap was made or not.

use skein_protocol::id::Incarnation;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::Swapped;

use super::random::Random;

/// The store.
#[derive(Default)]
pub(crate) struct Control {
    pub(crate) record: Option<ViewRecord>,
    incarnations: u64,
    /// What it held before, with the runs that it had numbered by then.
    past: Vec<(ViewRecord, u64)>,
    /// The swap that has not taken effect yet.
    pub(crate) swap: Option<Swap>,
}

/// A swap that was asked for.
pub(crate) struct Swap {
    pub(crate) expected: Option<ViewRecord>,
    pub(crate) record: ViewRecord,
    pub(crate) fate: Fate,
}

/// What will come of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// An error, and nothing was written.
    FailsBefore,
    /// An error, but it was written.
    FailsAfter,
}

impl Control {
    /// A copy of it, as of its directory: what is under way is not in it.
    pub(crate) fn copy(&self) -> Self {
        Control { record: self.record.clone(), incarnations: self.incarnations, past: self.past.clone(), swap: None }
    }

    /// How many runs it has numbered.
    pub(crate) fn runs(&self) -> u64 {
        self.incarnations
    }

    /// It has numbered so many runs.
    pub(crate) fn pass_over(&mut self, runs: u64) {
        self.incarnations = runs;
    }

    pub(crate) fn next_incarnation(&mut self) -> Incarnation {
        self.incarnations += 1;
        Incarnation(self.incarnations)
    }

    /// The store as it once was, when the cluster had a view: what a copy of it holds.
    pub(crate) fn an_earlier_one(&self, random: &mut Random) -> Option<Control> {
        let number = self.record.as_ref()?.number();
        let fits = |record: &ViewRecord| record.active.is_some() && record.number().next() < number;
        let formed: Vec<&(ViewRecord, u64)> = self.past.iter().filter(|(record, _)| fits(record)).collect();
        let (record, incarnations) = formed.get(random.index(formed.len()))?;
        Some(Control { record: Some(record.clone()), incarnations: *incarnations, ..Control::default() })
    }

    /// The moment in which the swap takes effect, if it does.
    pub(crate) fn take_effect(&mut self) -> Option<Swapped> {
        let Swap { expected, record, fate } = self.swap.take()?;
        let matches = expected == self.record;
        if matches && fate != Fate::FailsBefore {
            self.past.extend(self.record.replace(record).map(|before| (before, self.incarnations)));
        }
        Some(if matches && fate == Fate::Done { Swapped::Done } else { Swapped::Current(self.record.clone()) })
    }
}
