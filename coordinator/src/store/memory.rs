//! The store that tests stand the domain on: one replica in this process, which keeps the contract of [`Engine`] for commits,
//! reads and scans with the protocol's own table of records. A test says what happens at the next commits: what others do just
//! before, or how the commit ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::Registry;
use skein_protocol::id::{Incarnation, TraceContext, TxnId, Version};
use skein_protocol::limits::{OPERATIONS_MAX, READ_KEYS_MAX};
use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Query, Range, Row, Shared, TableId};
use skein_protocol::record::{Stored, Write};
use skein_protocol::step::AbortReason;
use skein_protocol::store::Store;

use super::cluster::{Cluster, Committed, Engine, Error, Page, Promise};
use super::write::meets;
use crate::metrics::CoordinatorMetrics;

/// The run of the coordinator that this store pretends to have.
pub const RUN: Incarnation = Incarnation(7);

/// Versions between those of new records of two transactions.
const VERSIONS_APART: u64 = 1_000;

/// A store in memory. Clones are the same store.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    store: Store,
    begun: u64,
    next: VecDeque<Next>,
    next_read: Option<Error>,
    commits: usize,
    reads: usize,
}

/// What happens at the next commit.
enum Next {
    /// Others do this before it.
    Meanwhile(Box<dyn FnOnce(&Memory) + Send>),
    /// Nothing is written, and it ends so.
    End(Error),
    /// It never ends.
    Hang,
}

impl Memory {
    /// The door to this store.
    ///
    /// # Panics
    /// Never: each store has a registry of its own.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        let metrics = CoordinatorMetrics::register(&Registry::new()).expect("an empty registry takes all metrics");
        Cluster::new(self.clone(), metrics.node("test", &[]))
    }

    /// Others do this just before the next commit, or the one after those that are said already.
    pub fn meanwhile(&self, others: impl FnOnce(&Memory) + Send + 'static) {
        self.lock().next.push_back(Next::Meanwhile(Box::new(others)));
    }

    /// The next commit writes nothing and ends so.
    pub fn end_next(&self, error: Error) {
        self.lock().next.push_back(Next::End(error));
    }

    /// The next commit never ends.
    pub fn hang_next(&self) {
        self.lock().next.push_back(Next::Hang);
    }

    /// The next read or scan fails so.
    pub fn fail_next_read(&self, error: Error) {
        self.lock().next_read = Some(error);
    }

    /// Writes a row, as others would.
    pub fn put(&self, key: Key, value: impl Into<Shared>) {
        let operation = Operation { key, expect: Expect::Any, action: Action::Put(value.into()) };
        let _written = self.apply(&[operation]);
    }

    /// Removes a row, as others would.
    pub fn delete(&self, key: Key) {
        let _removed = self.apply(&[Operation { key, expect: Expect::Any, action: Action::Delete }]);
    }

    /// Takes rows as another store held them, with their versions and transactions.
    pub fn load(&self, rows: impl IntoIterator<Item = Row>) {
        let mut held = self.lock();
        for Row { key, version, written_by, value } in rows {
            held.begun = held.begun.max(written_by.sequence);
            let stored = Stored::new(&key, version, written_by, value);
            held.store.apply(&Write { key, stored: Some(stored) });
        }
    }

    /// All rows of a table, in the order of their keys.
    #[must_use]
    pub fn rows(&self, table: TableId) -> Vec<Row> {
        let held = self.lock();
        held.store.records().iter().filter(|(key, _)| key.table == table).map(row).collect()
    }

    /// Commits that were asked for, by all.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.lock().commits
    }

    /// Reads and scans that were asked for, by all.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    /// The transaction that was begun last.
    #[must_use]
    pub fn last(&self) -> TxnId {
        TxnId { incarnation: RUN, sequence: self.lock().begun }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_read(&self) -> Option<Error> {
        let mut held = self.lock();
        held.reads += 1;
        held.next_read.take()
    }

    fn next(&self) -> Option<Next> {
        let mut held = self.lock();
        held.commits += 1;
        held.next.pop_front()
    }

    fn scan(&self, range: &Range) -> Page {
        let held = self.lock();
        let rows_max = range.rows_max as usize;
        let mut rows: Vec<Row> = held.store.range(range).take(rows_max + 1).map(row).collect();
        let more = rows.len() > rows_max;
        rows.truncate(rows_max);
        Page { rows, more }
    }

    fn get(&self, keys: &[Key]) -> Result<Page, Error> {
        if !(1..=READ_KEYS_MAX).contains(&keys.len()) {
            return Err(Error::Invalid);
        }
        let held = self.lock();
        let rows = keys.iter().filter_map(|key| held.store.records().get_key_value(key)).map(row).collect();
        Ok(Page { rows, more: false })
    }

    /// Carries out a transaction, if all that it expects is so.
    fn apply(&self, operations: &[Operation]) -> Result<Committed, Error> {
        let twice = |(at, operation): (usize, &Operation)| operations[..at].iter().any(|other| other.key == operation.key);
        if !(1..=OPERATIONS_MAX).contains(&operations.len()) || operations.iter().enumerate().any(twice) {
            return Err(Error::Invalid);
        }
        let mut held = self.lock();
        held.begun += 1;
        let txn = TxnId { incarnation: RUN, sequence: held.begun };
        for (number, operation) in (0..).zip(operations) {
            let found = held.store.get(&operation.key).map(|stored| stored.version);
            if !meets(operation.expect, found) {
                return Err(Error::Aborted { txn, reason: AbortReason::Expectation { operation: number, found } });
            }
        }
        let base = Version(held.begun * VERSIONS_APART);
        let mut versions = Vec::with_capacity(operations.len());
        for Operation { key, action, .. } in operations {
            let found = held.store.get(key).map(|stored| stored.version);
            let version = found.map_or(base, |found| Version(found.0 + 1));
            versions.push(version);
            let stored = match action {
                Action::Check => continue,
                Action::Delete => None,
                Action::Put(value) => Some(Stored::new(key, version, txn, value.clone())),
            };
            held.store.apply(&Write { key: key.clone(), stored });
        }
        Ok(Committed { txn, versions })
    }
}

impl Engine for Memory {
    fn commit(&self, operations: Vec<Operation>, _: Option<TraceContext>) -> Promise<'_, Committed> {
        Box::pin(async move {
            match self.next() {
                Some(Next::Hang) => return std::future::pending().await,
                Some(Next::End(error)) => return Err(error),
                Some(Next::Meanwhile(others)) => others(self),
                None => {}
            }
            self.apply(&operations)
        })
    }

    fn read(&self, query: Query, _: Consistency, _: Option<TraceContext>) -> Promise<'_, Page> {
        Box::pin(async move {
            if let Some(error) = self.next_read() {
                return Err(error);
            }
            match query {
                Query::Keys(keys) => self.get(&keys),
                Query::Range(range) => Ok(self.scan(&range)),
                Query::Digest => Err(Error::Invalid),
            }
        })
    }
}

fn row((key, stored): (&Key, &Stored)) -> Row {
    Row { key: key.clone(), version: stored.version, written_by: stored.written_by, value: stored.value.clone() }
}
