//! All judges over one history, and what each said, to be printed at the end of a run.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use super::fates::{Fate, Fates};
use super::orders::Orders;
use super::survival::Survivors;
use super::{EventId, History, Violation, linearizability, serializability, survival};

/// What the judges said of a history that breaks no promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    pub committed: usize,
    pub aborted: usize,
    /// Writes of which nobody can tell any more.
    pub open: usize,
    /// Records that were found at the end as they had to be.
    pub there: usize,
    pub records: usize,
    pub searched: linearizability::Searched,
    /// Transactions and reads in one order.
    pub ordered: usize,
}

impl Verdicts {
    /// Asks all judges; the first promise that is broken ends it.
    pub fn of(history: &History, told: &BTreeMap<EventId, Fate>, found: &Survivors) -> Result<Self, Violation> {
        let fates = Fates::of(history, told)?;
        let orders = Orders::of(history, &fates)?;
        Ok(Verdicts {
            committed: fates.count(Fate::Committed),
            aborted: fates.count(Fate::Aborted),
            open: fates.count(Fate::Open),
            there: survival::check(history, &fates, &orders, found)?,
            records: serializability::check_each_record(history, &fates, &orders)?,
            searched: linearizability::check(history, &fates)?,
            ordered: serializability::check(history, &fates, &orders)?,
        })
    }
}

impl Display for Verdicts {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Verdicts { committed, aborted, open, there, records, searched, ordered } = self;
        writeln!(f, "writes: {committed} committed, {aborted} aborted or refused, {open} of which nobody can tell any more")?;
        writeln!(f, "no aborted reads, no lost updates, no version of two writes: holds")?;
        writeln!(f, "nothing acknowledged is lost: holds, {there} records are as they must be")?;
        writeln!(f, "linearizability of each record: holds for {records} records")?;
        writeln!(
            f,
            "linearizability by search: holds for {} registers with {} events, {} passed by",
            searched.records, searched.events, searched.passed_by
        )?;
        write!(f, "strict serializability: holds for {ordered} transactions and reads")
    }
}
