//! The participant's half of two-phase commit over one replica.
//!
//! ```text
//!            claim waits          granted             expectations hold
//!  Prepare ---------------> waiting -------> locked ---------------------> prepared --- Commit --> decided --> forgotten
//!     |                        |               |                              |                      ^
//!     | refused (wait-die)     | sealed        | they don't                   | Abort                |
//!     v                        v               v                              +----------------------+
//!   vote no                 discarded        vote no
//! ```
//!
//! What is decided is remembered until the coordinator says that nobody will ask for it again (R7).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound;

use crate::id::{Age, Incarnation, NodeId, ReadId, TxnId, Version, ViewNumber};
use crate::limits::Limits;
use crate::membership::view::Standing;
use crate::message::{NoReason, Outcome, Prepare, PreparedReport, Vote};
use crate::operation::{Action, Expect, Key, Operation};
use crate::record::{Decided, Prepared, Record, Snapshot, Stored, Write};
use crate::rules::Rules;
use crate::store::lock::{Claimed, LockTable, Policy, Span};
use crate::store::room::{Room, Usage};
use crate::store::{Store, placement};

#[cfg(test)]
mod tests;

/// Who may hold a lock at a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A transaction.
    Txn(TxnId),
    /// A strict read of a coordinator.
    Read(NodeId, ReadId),
}

/// A participant and its replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Participant {
    pub(crate) store: Store,
    pub(crate) locks: LockTable<Owner>,
    prepared: BTreeMap<TxnId, Held>,
    waiting: BTreeMap<TxnId, (NodeId, Prepare)>,
    decided: BTreeMap<TxnId, Decided>,
    forgotten: BTreeMap<Incarnation, u64>,
    /// Set while this is a learner's replica.
    learning: Option<Learning>,
    /// Bytes that the prepared transactions will write.
    reserved: Usage,
    room: Room,
    pub(crate) limits: Limits,
    pub(crate) rules: Rules,
}

/// A copy under way (R9): the learner locks, logs and votes like a member, but can't check expectations, and takes the
/// versions from the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Learning {
    /// Keys behind the last that it was given which it has deleted itself, and which a chunk must not bring back.
    deleted: BTreeSet<Key>,
    /// The last key that it was given.
    after: Option<Key>,
    /// Whether it holds all records.
    complete: bool,
}

/// A prepared transaction, and for how many rounds of housekeeping it has been.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    prepared: Prepared,
    sweeps: u8,
}

/// What a prepare led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is prepared: log this, then vote yes with its versions.
    Prepared(Prepared),
    /// It waits for locks.
    Waits,
    /// Vote no.
    Refused(NoReason),
}

/// What a decision changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// To be logged.
    pub record: Record,
    /// Each record written, with the one that was there before. Empty for an abort.
    pub changes: Vec<Change>,
}

/// One record written or removed, with the one that was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was written.
    pub write: Write,
    /// What was there.
    pub old: Option<Stored>,
}

impl Participant {
    /// A participant that starts from what its log adds up to: what was prepared is locked again.
    #[must_use]
    pub fn recover(snapshot: Snapshot, room: Room, limits: Limits, rules: Rules) -> Self {
        let mut participant = Participant {
            store: Store::new(snapshot.records),
            locks: LockTable::new(Policy::WaitDie, rules),
            prepared: BTreeMap::new(),
            waiting: BTreeMap::new(),
            decided: snapshot.decided,
            forgotten: snapshot.forgotten,
            learning: (snapshot.standing == Some(Standing::Learner)).then(Learning::default),
            reserved: Usage::default(),
            room,
            limits,
            rules,
        };
        for (txn, prepared) in snapshot.prepared {
            let claimed = participant.locks.claim(Owner::Txn(txn), prepared.age, spans(&prepared.operations));
            assert_eq!(claimed, Claimed::Granted, "prepared transactions of one log never conflict");
            participant.reserved = participant.reserved.plus(&Usage::of_puts(&prepared.operations));
            participant.prepared.insert(txn, Held { prepared, sweeps: 0 });
        }
        if participant.learning.is_none() {
            participant.complete_versions();
        }
        participant
    }

    /// Begins as a learner: with nothing.
    pub fn start_over(&mut self) {
        let empty = Snapshot { standing: Some(Standing::Learner), ..Snapshot::new(NodeId(0)) };
        *self = Participant::recover(empty, self.room, self.limits, self.rules);
    }

    /// Whether nothing was ever written or decided here.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.store.records().is_empty() && self.prepared.is_empty() && self.decided.is_empty() && self.forgotten.is_empty()
    }

    /// Whether this is a learner's replica that lacks records.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.learning.as_ref().is_some_and(|learning| !learning.complete)
    }

    /// Whether a chunk that begins behind this key is the next: one before it may have been lost with a connection.
    #[must_use]
    pub fn continues(&self, after: Option<&Key>) -> bool {
        let continues = |learning: &Learning| self.rules.may_continue_copy(learning.after.as_ref() == after);
        self.learning.as_ref().is_some_and(|learning| !learning.complete && continues(learning))
    }

    /// Takes in what a chunk brings and this replica does not have: neither what it has written nor what it has deleted
    /// itself. Gives what is to be logged, or nothing if a record is not what was once written.
    pub fn copy(&mut self, records: Vec<(Key, Stored)>, last: bool) -> Option<Vec<(Key, Stored)>> {
        let learning = self.learning.as_mut()?;
        if !records.iter().all(|(key, stored)| stored.is_intact(key)) {
            return None;
        }
        if let Some((key, _)) = records.last() {
            learning.after = Some(key.clone());
        }
        let mut taken = records;
        taken.retain(|(key, _)| self.rules.takes_copied(self.store.get(key).is_some()) && !learning.deleted.contains(key));
        for (key, stored) in &taken {
            self.store.apply(&Write { key: key.clone(), stored: Some(stored.clone()) });
        }
        if last {
            learning.complete = true;
            learning.deleted.clear();
        } else if let Some(after) = &learning.after {
            learning.deleted = learning.deleted.split_off(after);
        }
        Some(taken)
    }

    /// The learner has become a member: it holds all records, and so knows the versions that its prepared transactions write,
    /// since nothing changes what they have locked.
    pub fn become_member(&mut self) {
        if self.learning.take().is_some() {
            self.complete_versions();
        }
    }

    fn complete_versions(&mut self) {
        for held in self.prepared.values_mut() {
            let Prepared { txn, operations, versions, age, .. } = &mut held.prepared;
            if versions.is_empty() {
                // It may be committed where this was copied from, so that its own writes have been copied.
                let copied = |operation: &Operation| self.store.get(&operation.key).filter(|stored| stored.written_by == *txn);
                let version =
                    |operation| copied(operation).map_or_else(|| version(&self.store, operation, *age), |stored| stored.version);
                *versions = operations.iter().map(version).collect();
            }
        }
    }

    /// Some records behind `after`, `records_max` at the most, for a learner, and whether they are the last; nothing if one of them is not what was once
    /// written.
    #[must_use]
    pub fn chunk(&self, after: Option<&Key>, records_max: usize) -> Option<(Vec<(Key, Stored)>, bool)> {
        let mut rest = match after {
            Some(after) => self.store.records().range((Bound::Excluded(after), Bound::Unbounded)),
            None => self.store.records().range::<Key, _>(..),
        };
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (key, stored) in rest.by_ref() {
            if !stored.is_intact(key) {
                return None;
            }
            bytes += key.bytes.len() + stored.value.len();
            records.push((key.clone(), stored.clone()));
            if records.len() >= records_max.min(self.limits.chunk_records_max) || bytes >= self.limits.chunk_bytes_max {
                break;
            }
        }
        let last = rest.next().is_none();
        Some((records, last))
    }

    /// Judges a prepare of the worker's current view, and prepares it if nothing is in its way.
    pub fn prepare(&mut self, from: NodeId, prepare: Prepare, granted: &mut Vec<Owner>) -> Judged {
        let txn = prepare.txn;
        let forgotten = self.forgotten.get(&txn.incarnation).is_some_and(|below| txn.sequence < *below);
        let known = self.decided.contains_key(&txn) || self.prepared.contains_key(&txn) || self.waiting.contains_key(&txn);
        if forgotten || known {
            return Judged::Refused(NoReason::Stale);
        }
        if self.waiting.len() >= self.limits.prepares_waiting_max {
            return Judged::Refused(NoReason::Overloaded);
        }
        match self.locks.claim(Owner::Txn(txn), prepare.age, spans(&prepare.operations)) {
            Claimed::Refused { older } => Judged::Refused(NoReason::Older { stamp: older.stamp }),
            Claimed::Waits if !self.rules.checks_under_locks() => self.wrongly_check_first(from, prepare, granted),
            Claimed::Waits => {
                self.waiting.insert(txn, (from, prepare));
                Judged::Waits
            }
            Claimed::Granted => self.check_and_hold(prepare, granted),
        }
    }

    /// Takes up a prepare whose locks have been granted after a wait; `None` if it isn't there any more.
    pub fn granted(&mut self, txn: TxnId, granted: &mut Vec<Owner>) -> Option<(NodeId, ViewNumber, Judged)> {
        let (from, prepare) = self.waiting.remove(&txn)?;
        let view = prepare.view;
        Some((from, view, self.check_and_hold(prepare, granted)))
    }

    /// A test's mistake: what is expected is checked before the wait for the locks, and not after it.
    fn wrongly_check_first(&mut self, from: NodeId, mut prepare: Prepare, granted: &mut Vec<Owner>) -> Judged {
        let txn = prepare.txn;
        if let Err(reason) = self.check(&prepare.operations, prepare.age) {
            self.locks.release(Owner::Txn(txn), granted);
            return Judged::Refused(reason);
        }
        prepare.operations.iter_mut().for_each(|operation| operation.expect = Expect::Any);
        self.waiting.insert(txn, (from, prepare));
        Judged::Waits
    }

    /// With the locks held: checks what is expected, and prepares; or lets go, which may grant others.
    fn check_and_hold(&mut self, prepare: Prepare, granted: &mut Vec<Owner>) -> Judged {
        let Prepare { txn, age, view, operations, trace: _ } = prepare;
        let versions = match self.check(&operations, age) {
            _ if self.learning.is_some() => Ok(Vec::new()),
            Ok(_) if !self.has_room(&operations) => Err(NoReason::Memory),
            checked => checked,
        };
        match versions {
            Ok(versions) => {
                self.reserved = self.reserved.plus(&Usage::of_puts(&operations));
                let prepared = Prepared { txn, age, view, operations, versions };
                self.prepared.insert(txn, Held { prepared: prepared.clone(), sweeps: 0 });
                Judged::Prepared(prepared)
            }
            Err(reason) => {
                self.locks.release(Owner::Txn(txn), granted);
                Judged::Refused(reason)
            }
        }
    }

    /// Whether the memory bound allows this transaction. What it replaces or removes counts for it.
    fn has_room(&self, operations: &[Operation]) -> bool {
        let put = Usage::of_puts(operations);
        if put.is_nothing() {
            return true;
        }
        let (before, mut removes) = (self.usage(), false);
        let mut after = before.plus(&put);
        for operation in operations.iter().filter(|operation| operation.action != Action::Check) {
            if let Some(stored) = self.store.get(&operation.key) {
                after.remove(&operation.key, stored);
                removes |= operation.action == Action::Delete;
            }
        }
        self.room.admits(operations, removes, &before, &after)
    }

    fn check(&self, operations: &[Operation], age: Age) -> Result<Vec<Version>, NoReason> {
        let mut versions = Vec::with_capacity(operations.len());
        for (place, operation) in operations.iter().enumerate() {
            let found = self.store.get(&operation.key);
            if found.is_some_and(|stored| !stored.is_intact(&operation.key)) {
                return Err(NoReason::Damaged);
            }
            let found = found.map(|stored| stored.version);
            let holds = match operation.expect {
                Expect::Any => true,
                Expect::Absent => found.is_none(),
                Expect::Present => found.is_some(),
                Expect::Version(version) => found == Some(version),
            };
            if !holds {
                let operation = u16::try_from(place).unwrap_or(u16::MAX);
                return Err(NoReason::Expectation { operation, found });
            }
            versions.push(version(&self.store, operation, age));
        }
        Ok(versions)
    }

    /// Commits what is prepared here; `None` if it isn't. A learner takes `versions` from the decision.
    pub fn commit(&mut self, txn: TxnId, versions: Vec<Version>, granted: &mut Vec<Owner>) -> Option<Settled> {
        let Held { mut prepared, .. } = self.prepared.remove(&txn)?;
        self.reserved = self.reserved.minus(&Usage::of_puts(&prepared.operations));
        if prepared.versions.is_empty() {
            prepared.versions = versions;
        }
        debug_assert_eq!(prepared.versions.len(), prepared.operations.len(), "each operation has a version");
        let mut changes = Vec::with_capacity(prepared.operations.len());
        let mut writes = Vec::with_capacity(prepared.operations.len());
        for (operation, version) in prepared.operations.into_iter().zip(prepared.versions) {
            let stored = match operation.action {
                Action::Put(value) => Some(Stored::new(&operation.key, version, txn, value)),
                Action::Delete => None,
                Action::Check => continue,
            };
            let write = Write { key: operation.key, stored };
            let old = self.store.apply(&write);
            if !self.rules.replacing_gives_back_bytes()
                && let Some(replaced) = old.as_ref().filter(|_| write.stored.is_some())
            {
                self.store.wrongly_keep_bytes(&write.key, replaced);
            }
            if let Some(learning) = &mut self.learning
                && !learning.complete
                && write.stored.is_none()
                && learning.after.as_ref().is_none_or(|after| write.key > *after)
                && self.rules.remembers_deleted()
            {
                learning.deleted.insert(write.key.clone());
            }
            writes.push(write.clone());
            changes.push(Change { write, old });
        }
        self.decided.insert(txn, Decided { view: prepared.view, outcome: Outcome::Committed });
        self.locks.release(Owner::Txn(txn), granted);
        Some(Settled { record: Record::Committed { txn, view: prepared.view, writes }, changes })
    }

    /// Aborts a transaction, whether it is prepared here, waits, or was never heard of: it must not be prepared later either.
    /// `None` if it is decided already.
    pub fn abort(&mut self, txn: TxnId, view: ViewNumber, granted: &mut Vec<Owner>) -> Option<Settled> {
        if self.decided.contains_key(&txn) {
            return None;
        }
        if let Some(Held { prepared, .. }) = self.prepared.remove(&txn)
            && self.rules.abort_gives_back_memory()
        {
            self.reserved = self.reserved.minus(&Usage::of_puts(&prepared.operations));
        }
        self.waiting.remove(&txn);
        if self.rules.abort_releases_locks() {
            self.locks.release(Owner::Txn(txn), granted);
        }
        self.decided.insert(txn, Decided { view, outcome: Outcome::Aborted });
        Some(Settled { record: Record::Aborted { txn, view }, changes: Vec::new() })
    }

    /// Lets go of every prepare that waits (R2); those never promised anything.
    pub fn discard_waiting(&mut self) {
        for txn in core::mem::take(&mut self.waiting).into_keys() {
            // Whom this grants is discarded as well, or was taken out of the table before: only prepared ones stay.
            self.locks.release(Owner::Txn(txn), &mut Vec::new());
        }
    }

    /// Forgets decisions of one run below a sequence, and refuses prepares below it from now on (R7).
    pub fn forget(&mut self, incarnation: Incarnation, below: u64) {
        let bound = |sequence| TxnId { incarnation, sequence };
        let forgotten: Vec<TxnId> = self.decided.range(bound(0)..bound(below)).map(|(txn, _)| *txn).collect();
        for txn in forgotten {
            self.decided.remove(&txn);
        }
        self.forgotten.insert(incarnation, below);
    }

    /// Forgets the decisions of all views before this one, and their marks, which the control store has taken over.
    pub fn forget_views(&mut self, before: ViewNumber) {
        self.decided.retain(|_, decided| decided.view >= before);
        self.forgotten.clear();
    }

    /// A test's mistake: the oldest decisions are forgotten when there are many.
    pub(crate) fn wrongly_forget_oldest(&mut self) {
        const DECIDED_MAX: usize = 4;
        while self.decided.len() > DECIDED_MAX {
            self.decided.pop_first();
        }
    }

    /// Transactions prepared in views before this one, to be settled.
    #[must_use]
    pub fn prepared_before(&self, view: ViewNumber) -> Vec<(TxnId, ViewNumber)> {
        self.prepared.values().map(|held| (held.prepared.txn, held.prepared.view)).filter(|(_, made)| *made < view).collect()
    }

    /// What is in doubt here, for a report.
    #[must_use]
    pub fn report(&self) -> (Vec<PreparedReport>, Vec<(TxnId, Outcome)>) {
        let prepared = self.prepared.values().map(|held| PreparedReport {
            txn: held.prepared.txn,
            shards: placement::shards(&held.prepared.operations),
            versions: held.prepared.versions.clone(),
        });
        (prepared.collect(), self.decided.iter().map(|(txn, decided)| (*txn, decided.outcome)).collect())
    }

    /// One more round of housekeeping has passed. Says whether something has now been in doubt for `doubt_sweeps` rounds,
    /// and again for as many.
    pub fn sweep(&mut self, doubt_sweeps: u8) -> bool {
        let mut doubt = false;
        for held in self.prepared.values_mut() {
            held.sweeps += 1;
            if held.sweeps >= doubt_sweeps {
                held.sweeps = 0;
                doubt = true;
            }
        }
        doubt
    }

    /// The transaction that holds this key to write it.
    #[must_use]
    pub fn writer(&self, key: &Key) -> Option<TxnId> {
        self.locks.writer(key).and_then(Owner::txn)
    }

    /// What is prepared here, undecided.
    pub fn prepared(&self) -> impl ExactSizeIterator<Item = &Prepared> {
        self.prepared.values().map(|held| &held.prepared)
    }

    /// Prepares that wait for a lock.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Prepare> {
        self.waiting.values().map(|(_, prepare)| prepare)
    }

    /// What is remembered as decided.
    #[must_use]
    pub fn decided(&self) -> &BTreeMap<TxnId, Decided> {
        &self.decided
    }

    /// Low-water marks: sequences below are forgotten.
    #[must_use]
    pub fn marks(&self) -> &BTreeMap<Incarnation, u64> {
        &self.forgotten
    }

    /// Whether exactly what is prepared is locked: nothing else holds a lock between two inputs.
    #[must_use]
    pub fn locks_what_is_prepared(&self) -> bool {
        self.locks.holders().filter_map(Owner::txn).eq(self.prepared.keys().copied())
    }

    /// Whether memory is reserved for exactly what is prepared.
    #[must_use]
    pub fn reserves_for_prepared(&self) -> bool {
        let puts = self.prepared().map(|prepared| Usage::of_puts(&prepared.operations));
        self.reserved == puts.fold(Usage::default(), |all, one| all.plus(&one))
    }

    /// Bytes that count against the memory bound.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.room.counted(&self.usage())
    }

    /// Whether it is full: what needs room is refused, but for the few things that [`crate::store::room`] lists.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room.is_full(&self.usage())
    }

    /// Bytes of the records and of those that the prepared transactions will write.
    fn usage(&self) -> Usage {
        self.store.usage().plus(&self.reserved)
    }
}

impl Owner {
    /// The transaction, if it is one.
    #[must_use]
    pub fn txn(self) -> Option<TxnId> {
        match self {
            Owner::Txn(txn) => Some(txn),
            Owner::Read(..) => None,
        }
    }
}

impl Judged {
    /// The vote that says so; `None` while it waits.
    #[must_use]
    pub fn vote(&self) -> Option<Vote> {
        match self {
            Judged::Prepared(prepared) => Some(Vote::Yes { versions: prepared.versions.clone() }),
            Judged::Refused(reason) => Some(Vote::No(*reason)),
            Judged::Waits => None,
        }
    }
}

/// The version that an operation writes; for a delete or check the one that it finds, 0 if none.
fn version(store: &Store, operation: &Operation, age: Age) -> Version {
    let found = store.get(&operation.key).map(|stored| stored.version);
    match (&operation.action, found) {
        (Action::Put(_), Some(found)) => Version(found.0 + 1),
        (Action::Put(_), None) => Version(age.stamp),
        (Action::Delete | Action::Check, found) => found.unwrap_or(Version(0)),
    }
}

/// What a transaction locks: what it writes exclusively, what it only checks shared.
#[must_use]
pub fn spans(operations: &[Operation]) -> Vec<Span> {
    let span = |operation: &Operation| match operation.action {
        Action::Put(_) | Action::Delete => Span::Write(operation.key.clone()),
        Action::Check => Span::Read(operation.key.clone()),
    };
    operations.iter().map(span).collect()
}
