//! What the replicas did, as the simulator sees it from outside: every transaction that was applied or aborted anywhere, the
//! writes to each key in their order, every view that became active. Promises are checked against it; the machines never
//! see it. Two replicas that contradict each other are a violation the moment the second one speaks.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{NodeId, TxnId, Version};
use skein_protocol::membership::view::{ActiveView, ViewRecord};
use skein_protocol::message::Outcome;
use skein_protocol::operation::Key;
use skein_protocol::record::{Prepared, Record, Stored, Write};

use super::checks::Violation;

/// The call that a transaction is an attempt of.
pub(crate) type CallId = u32;

/// How many writes of each key a replica has applied.
pub(crate) type Progress = Counts;

/// A count for each key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<Key, usize>);

/// One write in the order of a key's writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) txn: TxnId,
    pub(crate) stored: Option<Stored>,
}

/// A transaction that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) writes: Vec<Write>,
}

/// What the replicas did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// The call of each attempt that was sent.
    pub(crate) attempts: BTreeMap<TxnId, CallId>,
    /// The versions of each attempt that was prepared.
    pub(crate) versions: BTreeMap<TxnId, Vec<Version>>,
    /// Attempts that two replicas prepared with different versions.
    pub(crate) disputed: BTreeSet<TxnId>,
    pub(crate) ended: BTreeMap<TxnId, Ended>,
    /// Who has aborted each transaction.
    pub(crate) aborters: BTreeMap<TxnId, BTreeSet<NodeId>>,
    /// For each key, all writes in their order.
    pub(crate) chains: BTreeMap<Key, Vec<Applied>>,
    /// All views that became active, in order.
    pub(crate) views: Vec<ActiveView>,
}

impl Counts {
    /// Takes a record of the log in.
    pub(crate) fn fold(&mut self, record: &Record) {
        if let Record::Committed { writes, .. } = record {
            for write in writes {
                self.next(&write.key);
            }
        }
    }

    /// Counts one more, and says how many there were before.
    fn next(&mut self, key: &Key) -> usize {
        match self.0.get_mut(key) {
            Some(count) => {
                *count += 1;
                *count - 1
            }
            None => {
                self.0.insert(key.clone(), 1);
                0
            }
        }
    }
}

impl Ledger {
    /// A coordinator has sent a prepare.
    pub(crate) fn sent(&mut self, txn: TxnId, call: CallId) {
        self.attempts.insert(txn, call);
    }

    /// A replica has handed this record to its log.
    pub(crate) fn recorded(&mut self, record: &Record, progress: &mut Progress) -> Result<(), Violation> {
        match record {
            Record::Prepared(prepared) => self.prepared(prepared),
            Record::Committed { txn, writes, .. } => {
                self.committed(*txn, writes)?;
                writes.iter().try_for_each(|write| self.applied(*txn, write, progress.next(&write.key)))
            }
            Record::Aborted { txn, .. } => {
                self.ended.entry(*txn).or_insert(Ended { outcome: Outcome::Aborted, writes: Vec::new() });
                Ok(())
            }
            Record::Bound { .. }
            | Record::Sealed { .. }
            | Record::Copied { .. }
            | Record::Forgot { .. }
            | Record::ForgotViews { .. } => Ok(()),
        }
    }

    /// Replicas that differ in what they would write may do so as long as it does not come to that: another transaction may
    /// have gone first at one of them, so that this one can't commit any more.
    fn prepared(&mut self, prepared: &Prepared) -> Result<(), Violation> {
        let txn = prepared.txn;
        // A learner takes them from the decision.
        if prepared.versions.is_empty() {
            return Ok(());
        }
        let known = self.versions.entry(txn).or_insert_with(|| prepared.versions.clone());
        if *known != prepared.versions {
            self.disputed.insert(txn);
        }
        let committed = self.ended.get(&txn).is_some_and(|ended| ended.outcome == Outcome::Committed);
        if committed { self.undisputed(txn) } else { Ok(()) }
    }

    fn undisputed(&self, txn: TxnId) -> Result<(), Violation> {
        if self.disputed.contains(&txn) {
            return Err(Violation::new("convergence", format!("{txn} is committed, with different versions at two replicas")));
        }
        Ok(())
    }

    fn committed(&mut self, txn: TxnId, writes: &[Write]) -> Result<(), Violation> {
        self.undisputed(txn)?;
        match self.ended.get(&txn) {
            Some(known) if known.outcome == Outcome::Committed => {
                if known.writes != writes {
                    return Err(Violation::new("atomicity", format!("{txn} wrote different things at two replicas")));
                }
                return Ok(());
            }
            Some(_) => self.part(txn)?,
            None => {}
        }
        self.ended.insert(txn, Ended { outcome: Outcome::Committed, writes: writes.to_vec() });
        Ok(())
    }

    /// An abort has become durable at a replica; before that it may be lost, and nobody has been told.
    pub(crate) fn aborted(&mut self, node: NodeId, txn: TxnId) -> Result<(), Violation> {
        self.aborters.entry(txn).or_default().insert(node);
        let committed = self.ended.get(&txn).is_some_and(|ended| ended.outcome == Outcome::Committed);
        if committed { self.part(txn) } else { Ok(()) }
    }

    /// A transaction is committed here and aborted there. That is right only if all who aborted it have been left out: nobody
    /// had heard of an abort that was not acknowledged by every participant (R1), and a view change without those few may
    /// find it prepared everywhere.
    fn part(&self, txn: TxnId) -> Result<(), Violation> {
        let members = self.views.last().map(|active| active.view.members()).unwrap_or_default();
        match self.aborters.get(&txn).and_then(|aborters| aborters.iter().find(|node| members.contains(node))) {
            Some(node) => {
                Err(Violation::new("atomicity", format!("{txn} is aborted at {node:?} and committed at another member")))
            }
            None => Ok(()),
        }
    }

    fn applied(&mut self, txn: TxnId, write: &Write, place: usize) -> Result<(), Violation> {
        if !self.chains.contains_key(&write.key) {
            self.chains.insert(write.key.clone(), Vec::new());
        }
        let chain = self.chains.get_mut(&write.key).expect("it was put there");
        match chain.get(place) {
            Some(known) if known.txn == txn => Ok(()),
            None if place == chain.len() => {
                chain.push(Applied { txn, stored: write.stored.clone() });
                Ok(())
            }
            other => {
                let other = other.map(|applied| applied.txn);
                let detail = format!("write {place} of {:?} is by {other:?} at one replica, by {txn} at another", write.key);
                Err(Violation::new("convergence", detail))
            }
        }
    }

    /// The control store holds this now.
    pub(crate) fn swapped(&mut self, record: &ViewRecord) -> Result<bool, Violation> {
        let Some(active) = &record.active else { return Ok(false) };
        let last = self.views.last();
        if last.is_some_and(|last| last.view.number == active.view.number) {
            return Ok(false);
        }
        if let Some(last) = last {
            let (old, new) = (last.view.members(), active.view.members());
            if active.view.number < last.view.number || !new.iter().all(|node| old.contains(node)) {
                let detail = format!("{new:?} of view {} follows {old:?} of view {}", active.view.number, last.view.number);
                return Err(Violation::new("views", detail));
            }
        }
        self.views.push(active.clone());
        Ok(true)
    }

    /// The attempt of each call that committed.
    pub(crate) fn committed_calls(&self) -> BTreeMap<CallId, TxnId> {
        let committed = self.ended.iter().filter(|(_, ended)| ended.outcome == Outcome::Committed);
        committed.filter_map(|(txn, _)| Some((*self.attempts.get(txn)?, *txn))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{Incarnation, NodeId, ViewNumber};
    use skein_protocol::membership::roster::Changes;
    use skein_protocol::membership::view::{Member, Shard, View};
    use skein_protocol::operation::TableId;

    fn txn(sequence: u64) -> TxnId {
        TxnId { incarnation: Incarnation(1), sequence }
    }

    fn committed(sequence: u64) -> Record {
        let write = Write { key: Key::new(TableId(1), "a"), stored: None };
        Record::Committed { txn: txn(sequence), view: ViewNumber(1), writes: vec![write] }
    }

    fn record(number: u64, nodes: &[u128]) -> ViewRecord {
        let member = |node: &u128| Member { node: NodeId(*node), address: String::new(), logged: true };
        let view = View {
            number: ViewNumber(number),
            shards: vec![Shard { members: nodes.iter().map(member).collect(), learners: vec![] }],
        };
        let active = Some(ActiveView { view, outcomes: Vec::new(), ended: Vec::new() });
        let cluster = skein_protocol::id::ClusterId(1);
        ViewRecord { cluster, writer: Incarnation(1), active, pending: None, roster: Changes::default(), emptied: None }
    }

    #[test]
    fn an_outcome_that_two_members_see_differently_is_found() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.swapped(&record(1, &[1, 2])), Ok(true));
        assert_eq!(ledger.aborted(NodeId(3), txn(1)), Ok(()), "it was left out");
        assert_eq!(ledger.recorded(&committed(1), &mut Progress::default()), Ok(()));
        assert_eq!(ledger.aborted(NodeId(2), txn(1)).unwrap_err().property, "atomicity");
    }

    #[test]
    fn writes_of_one_key_in_different_order_are_found() {
        let mut ledger = Ledger::default();
        let (mut one, mut other) = (Progress::default(), Progress::default());
        assert_eq!(ledger.recorded(&committed(1), &mut one), Ok(()));
        assert_eq!(ledger.recorded(&committed(2), &mut one), Ok(()));
        assert_eq!(ledger.recorded(&committed(2), &mut other).unwrap_err().property, "convergence");
    }

    #[test]
    fn a_view_of_strangers_is_found() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.swapped(&record(1, &[1])), Ok(true));
        assert_eq!(ledger.swapped(&record(1, &[1])), Ok(false));
        assert_eq!(ledger.swapped(&record(2, &[2])).unwrap_err().property, "views");
    }
}
