//! Reads at a worker.
//!
//! A read *as of arrival* takes what is there at once and waits only for the transactions that are prepared at that moment
//! and touch it: if one of them commits, what it wrote is put in place of what was taken. Every write that was acknowledged
//! before the read began is prepared or applied here by then, so it is in the answer. It holds no lock and delays nobody.
//!
//! A *strict* read claims all that it touches, shared, by the rule of a prepare, and is executed in the moment that the claim
//! is granted.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::commit::participant::{Change, Owner, Participant};
use crate::id::{NodeId, ReadId, TxnId};
use crate::limits;
use crate::message::{Read, ReadResult};
use crate::operation::{Action, Answer, Consistency, Digest, Key, Operation, Query, Range, Row};
use crate::record::Stored;
use crate::store::lock::{Claimed, Span};
use crate::store::replace;

#[cfg(test)]
mod tests;

/// A coordinator's read, as a worker names it.
pub type ReadKey = (NodeId, ReadId);

/// Reads that wait, for transactions or for locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ReplicaReads {
    arrived: BTreeMap<ReadKey, Arrived>,
    strict: BTreeMap<ReadKey, Query>,
    /// The reads that wait for each transaction.
    awaited: BTreeMap<TxnId, BTreeSet<ReadKey>>,
}

/// A read as of arrival that waits for transactions prepared when it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Arrived {
    query: Query,
    gathered: Gathered,
    awaits: BTreeSet<TxnId>,
}

/// What a read has gathered so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Gathered {
    Rows(BTreeMap<Key, Stored>),
    Digest(Digest),
}

impl ReplicaReads {
    /// Takes a read. Gives its result, unless it waits.
    pub fn arrive(&mut self, from: NodeId, read: Read, participant: &mut Participant) -> Option<ReadResult> {
        if self.waiting() >= participant.limits.reads_waiting_max {
            if !participant.rules.refused_reads_claim_nothing() && read.consistency == Consistency::Strict {
                participant.locks.claim(Owner::Read(from, read.read), read.age, spans(&read.query));
            }
            return Some(ReadResult::Overloaded);
        }
        let key = (from, read.read);
        match read.consistency {
            Consistency::Strict if !participant.rules.strict_reads_claim() => {
                Some(Gathered::take(&read.query, 0, participant).result(&read.query))
            }
            Consistency::Arrival => self.arrive_unlocked(key, read.query, participant),
            Consistency::Strict => {
                match participant.locks.claim(Owner::Read(from, read.read), read.age, spans(&read.query)) {
                    Claimed::Granted => {
                        // Nobody can have come to wait for it yet.
                        participant.locks.release(Owner::Read(from, read.read), &mut Vec::new());
                        Some(Gathered::take(&read.query, 0, participant).result(&read.query))
                    }
                    Claimed::Waits => {
                        self.strict.insert(key, read.query);
                        None
                    }
                    Claimed::Refused { older } => Some(ReadResult::Older { stamp: older.stamp }),
                }
            }
        }
    }

    fn arrive_unlocked(&mut self, key: ReadKey, query: Query, participant: &Participant) -> Option<ReadResult> {
        let awaits: BTreeSet<TxnId> = match &query {
            _ if !participant.rules.reads_wait_for_prepared() => BTreeSet::new(),
            Query::Keys(keys) => keys.iter().filter_map(|key| participant.writer(key)).collect(),
            Query::Range(range) => participant.locks.writers(range).filter_map(Owner::txn).collect(),
            // A prepare that waits came before the digest, at a member where nothing is in its way it is prepared already.
            Query::Digest => {
                let waiting =
                    participant.waiting().filter(|_| participant.rules.digests_await_waiting()).map(|prepare| prepare.txn);
                participant.prepared().map(|prepared| prepared.txn).chain(waiting).collect()
            }
        };
        // Each delete of a transaction waited for can take a row away.
        let margin = match &query {
            Query::Range(range) => {
                let awaited = participant.prepared().filter(|prepared| awaits.contains(&prepared.txn));
                let deletes = |operation: &&Operation| operation.action == Action::Delete && within(range, &operation.key);
                awaited.map(|prepared| prepared.operations.iter().filter(deletes).count()).sum()
            }
            Query::Keys(_) | Query::Digest => 0,
        };
        let gathered = Gathered::take(&query, margin, participant);
        if awaits.is_empty() {
            return Some(gathered.result(&query));
        }
        for txn in &awaits {
            self.awaited.entry(*txn).or_default().insert(key);
        }
        self.arrived.insert(key, Arrived { query, gathered, awaits });
        None
    }

    /// A test's mistake: all that wait wait for this transaction as well, which came later.
    pub(crate) fn wrongly_await_later(&mut self, txn: TxnId) {
        for (key, read) in &mut self.arrived {
            read.awaits.insert(txn);
            self.awaited.entry(txn).or_default().insert(*key);
        }
    }

    /// A strict read's claim was granted: executes it and lets go, which may grant others. `None` if it isn't there any more.
    pub fn granted(&mut self, key: ReadKey, participant: &mut Participant, granted: &mut Vec<Owner>) -> Option<ReadResult> {
        let query = self.strict.remove(&key);
        let result = query.map(|query| Gathered::take(&query, 0, participant).result(&query));
        participant.locks.release(Owner::Read(key.0, key.1), granted);
        result
    }

    /// A transaction has ended, with these changes if it committed. Gives the reads that it was the last to hold up.
    pub fn settled(&mut self, txn: TxnId, changes: &[Change]) -> Vec<(ReadKey, ReadResult)> {
        let mut done = Vec::new();
        for key in self.awaited.remove(&txn).into_iter().flatten() {
            let Some(read) = self.arrived.get_mut(&key) else { continue };
            changes.iter().for_each(|change| read.gathered.change(&read.query, change));
            read.awaits.remove(&txn);
            if read.awaits.is_empty()
                && let Some(read) = self.arrived.remove(&key)
            {
                done.push((key, read.gathered.result(&read.query)));
            }
        }
        done
    }

    /// Drops all that wait, and says which they are: their coordinator asks again in the new view.
    pub fn discard(&mut self, participant: &mut Participant) -> Vec<ReadKey> {
        self.awaited.clear();
        let mut dropped: Vec<ReadKey> = core::mem::take(&mut self.arrived).into_keys().collect();
        for (from, read) in core::mem::take(&mut self.strict).into_keys() {
            participant.locks.release(Owner::Read(from, read), &mut Vec::new());
            dropped.push((from, read));
        }
        dropped
    }

    /// Drops what a coordinator waits for that is gone. Appends to `granted` whom that lets on.
    pub fn discard_of(&mut self, from: NodeId, participant: &mut Participant, granted: &mut Vec<Owner>) {
        self.arrived.retain(|(of, _), _| *of != from);
        self.awaited.retain(|_, keys| {
            keys.retain(|(of, _)| *of != from);
            !keys.is_empty()
        });
        let gone: Vec<ReadKey> = self.strict.keys().filter(|(of, _)| *of == from).copied().collect();
        for key in gone {
            self.strict.remove(&key);
            participant.locks.release(Owner::Read(key.0, key.1), granted);
        }
    }

    /// Reads that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.arrived.len() + self.strict.len()
    }
}

impl Gathered {
    /// What is there now, with `margin` rows more than a range asks for.
    fn take(query: &Query, margin: usize, participant: &Participant) -> Self {
        let store = &participant.store;
        match query {
            Query::Keys(keys) => {
                Gathered::Rows(keys.iter().filter_map(|key| store.get(key).map(|stored| (key.clone(), stored.clone()))).collect())
            }
            Query::Range(range) => {
                let rows = store.range(range).take(rows_max(range) + 1 + margin);
                Gathered::Rows(rows.map(|(key, stored)| (key.clone(), stored.clone())).collect())
            }
            Query::Digest => Gathered::Digest(store.digest()),
        }
    }

    /// Puts what a transaction wrote in place of what was taken.
    fn change(&mut self, query: &Query, change: &Change) {
        let key = &change.write.key;
        match (self, query) {
            (Gathered::Digest(digest), _) => replace(digest, key, change.old.as_ref(), change.write.stored.as_ref()),
            (Gathered::Rows(rows), Query::Keys(keys)) if keys.contains(key) => set(rows, change),
            (Gathered::Rows(rows), Query::Range(range)) if within(range, key) => set(rows, change),
            (Gathered::Rows(_), _) => {}
        }
    }

    /// The answer, unless it would tell of something that was never written.
    fn result(self, query: &Query) -> ReadResult {
        let intact = match &self {
            Gathered::Rows(rows) => rows.iter().all(|(key, stored)| stored.is_intact(key)),
            Gathered::Digest(_) => true,
        };
        if intact { ReadResult::Found(self.answer(query)) } else { ReadResult::Damaged }
    }

    /// The answer, within its bounds.
    fn answer(self, query: &Query) -> Answer {
        let rows = match self {
            Gathered::Digest(digest) => return Answer::Digest(digest),
            Gathered::Rows(rows) => rows,
        };
        let row = |(key, stored): (Key, Stored)| Row {
            key,
            version: stored.version,
            written_by: stored.written_by,
            value: stored.value,
        };
        match query {
            Query::Range(range) if range.descending => cut(rows.into_iter().rev().map(row), range),
            Query::Range(range) => cut(rows.into_iter().map(row), range),
            Query::Keys(_) | Query::Digest => Answer::Rows { rows: rows.into_iter().map(row).collect(), more: false },
        }
    }
}

fn set(rows: &mut BTreeMap<Key, Stored>, change: &Change) {
    match &change.write.stored {
        Some(stored) => rows.insert(change.write.key.clone(), stored.clone()),
        None => rows.remove(&change.write.key),
    };
}

fn within(range: &Range, key: &Key) -> bool {
    key.table == range.table
        && range.from.as_ref().is_none_or(|from| *from <= key.bytes)
        && range.until.as_ref().is_none_or(|until| key.bytes < *until)
}

fn rows_max(range: &Range) -> usize {
    range.rows_max.min(limits::ROWS_MAX) as usize
}

/// As many rows as the bounds on their number and bytes allow, the first one in any case.
fn cut(all: impl Iterator<Item = Row>, range: &Range) -> Answer {
    let (rows_max, bytes_max) = (rows_max(range), limits::range_bytes_max(range));
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for row in all {
        bytes += row.key.bytes.len() + row.value.len();
        if rows.len() == rows_max || (!rows.is_empty() && bytes > bytes_max) {
            return Answer::Rows { rows, more: true };
        }
        rows.push(row);
    }
    Answer::Rows { rows, more: false }
}

/// What a strict read claims.
fn spans(query: &Query) -> Vec<Span> {
    match query {
        Query::Keys(keys) => keys.iter().cloned().map(Span::Read).collect(),
        Query::Range(range) => {
            alloc::vec![Span::Range { table: range.table, from: range.from.clone(), until: range.until.clone() }]
        }
        Query::Digest => alloc::vec![Span::Everything],
    }
}
