//! What the replicas did, as the simulator sees it from outside: every transaction that was applied or aborted anywhere, the
//! writes to each key in their order, every view that became active. Promises are checked against it; the machines never
//! see it. Two replicas that contradict each other are a violation the moment the second one speaks. A learner begins with
//! nothing, so its writes and what is copied to it find their places among those of the others by the transaction's name.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{NodeId, TxnId, Version, ViewId, ViewNumber};
use skein_protocol::membership::view::{ActiveView, Standing, ViewRecord};
use skein_protocol::message::Outcome;
use skein_protocol::operation::Key;
use skein_protocol::record::{Prepared, Record, Stored, Write};

use super::checks::Violation;

/// The call that a transaction is an attempt of.
pub(crate) type CallId = u32;

/// How far a replica has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The last write of each key that it holds.
    last: BTreeMap<Key, TxnId>,
    begun: Begun,
    /// What it prepared while it learned: what that writes may be part of what was copied.
    early: BTreeSet<TxnId>,
}

/// How a replica began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Begun {
    /// With the cluster: it holds all writes of every key.
    #[default]
    AtFirst,
    /// As a learner, which it still is: any write may be missing.
    Learns,
    /// As a learner: what it did not get was gone when it was copied.
    Learned,
}

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
    /// A record that is another one than was written, on purpose.
    pub(crate) other_than_written: Option<Key>,
    /// All views that became active, in order.
    pub(crate) views: Vec<ActiveView>,
    /// Learners that have said that they hold all records, with the view in which they do.
    pub(crate) learned: BTreeSet<(NodeId, ViewNumber)>,
}

impl Progress {
    /// That of a replica with which an era begins: it holds these, and nothing was before.
    pub(crate) fn holding(records: &BTreeMap<Key, Stored>) -> Self {
        let last = records.iter().map(|(key, stored)| (key.clone(), stored.written_by)).collect();
        Progress { last, ..Progress::default() }
    }

    /// Takes a record of the log in.
    pub(crate) fn fold(&mut self, record: &Record) {
        match record {
            Record::Sealed { standing: Standing::Learner, .. } => {
                *self = Progress { begun: Begun::Learns, ..Progress::default() };
            }
            Record::Sealed { standing: Standing::Member, .. } if self.begun == Begun::Learns => self.begun = Begun::Learned,
            Record::Copied { records, .. } => {
                records.iter().for_each(|(key, stored)| self.holds(key, stored.written_by));
            }
            Record::Prepared(prepared) if self.begun == Begun::Learns => _ = self.early.insert(prepared.txn),
            Record::Committed { txn, writes, .. } => {
                self.early.remove(txn);
                writes.iter().for_each(|write| self.holds(&write.key, *txn));
            }
            Record::Aborted { txn, .. } => _ = self.early.remove(txn),
            _ => {}
        }
    }

    fn holds(&mut self, key: &Key, txn: TxnId) {
        match self.last.get_mut(key) {
            Some(last) => *last = txn,
            None => drop(self.last.insert(key.clone(), txn)),
        }
    }
}

impl Ledger {
    /// A coordinator has sent a prepare.
    pub(crate) fn sent(&mut self, txn: TxnId, call: CallId) {
        self.attempts.insert(txn, call);
    }

    /// An era begins with what is left of this transaction.
    pub(crate) fn found(&mut self, txn: TxnId, call: CallId, left: Vec<(Key, Stored)>) {
        self.attempts.insert(txn, call);
        self.versions.insert(txn, left.iter().map(|(_, stored)| stored.version).collect());
        let mut writes = Vec::new();
        for (key, stored) in left {
            self.chains.insert(key.clone(), vec![Applied { txn, stored: Some(stored.clone()) }]);
            writes.push(Write { key, stored: Some(stored) });
        }
        self.ended.insert(txn, Ended { outcome: Outcome::Committed, writes });
    }

    /// A replica has handed this record to its log.
    pub(crate) fn recorded(&mut self, record: &Record, progress: &mut Progress) -> Result<(), Violation> {
        match record {
            Record::Prepared(prepared) => self.prepared(prepared)?,
            Record::Committed { txn, writes, .. } => {
                self.committed(*txn, writes)?;
                writes.iter().try_for_each(|write| self.applied(*txn, write, progress))?;
            }
            Record::Aborted { txn, .. } => {
                self.ended.entry(*txn).or_insert(Ended { outcome: Outcome::Aborted, writes: Vec::new() });
            }
            Record::Copied { records, .. } => {
                records.iter().try_for_each(|(key, stored)| self.copied(key, stored, progress))?;
            }
            Record::Bound { .. }
            | Record::Sealed { .. }
            | Record::Activated { .. }
            | Record::Outvoted
            | Record::Forgot { .. }
            | Record::ForgotViews { .. } => {}
        }
        progress.fold(record);
        Ok(())
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

    fn applied(&mut self, txn: TxnId, write: &Write, progress: &Progress) -> Result<(), Violation> {
        if !self.chains.contains_key(&write.key) {
            self.chains.insert(write.key.clone(), Vec::new());
        }
        let chain = self.chains.get_mut(&write.key).expect("it was put there");
        let here = chain.iter().rposition(|known| known.txn == txn);
        let held = progress.last.get(&write.key).and_then(|last| chain.iter().rposition(|known| known.txn == *last));
        let early = progress.early.contains(&txn);
        if early && here.is_some() && held == here {
            return Ok(());
        }
        let place = match (held, progress.begun) {
            (Some(held), _) => held + 1,
            (None, Begun::AtFirst) => 0,
            (None, Begun::Learns | Begun::Learned) => here.unwrap_or(chain.len()),
        };
        let missed = place.checked_sub(1).filter(|_| held.is_none()).and_then(|before| chain[before].stored.as_ref());
        if let Some(missed) = missed.filter(|_| progress.begun == Begun::Learned && !early) {
            let detail = format!("{txn} finds no {:?} at a replica that was to hold all: {missed:?} is missing", write.key);
            return Err(Violation::new("convergence", detail));
        }
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

    /// A learner has taken in a record of another replica: as it once was, and not older than what the learner holds.
    fn copied(&self, key: &Key, stored: &Stored, progress: &Progress) -> Result<(), Violation> {
        if self.other_than_written.as_ref() == Some(key) {
            return Ok(());
        }
        let chain = self.chains.get(key).map(Vec::as_slice).unwrap_or_default();
        let place = |txn: TxnId| chain.iter().rposition(|known| known.txn == txn);
        let known = place(stored.written_by).filter(|place| chain[*place].stored.as_ref() == Some(stored));
        let held = progress.last.get(key).and_then(|last| place(*last));
        match known {
            None => Err(Violation::new("convergence", format!("{stored:?} of {key:?} is copied and was never written"))),
            Some(place) if held.is_some_and(|held| held > place) => {
                let last = held.map(|held| chain[held].txn);
                Err(Violation::new("convergence", format!("{stored:?} of {key:?} is copied over what {last:?} wrote")))
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether this learner of this view has said that it holds all records.
    pub(crate) fn has_learned(&self, learner: NodeId, copy: ViewNumber) -> bool {
        self.learned.contains(&(learner, copy))
    }

    /// Whether this one has once learned.
    pub(crate) fn has_once_learned(&self, node: NodeId) -> bool {
        self.learned.iter().any(|(learner, _)| *learner == node)
    }

    /// A learner has said that it holds all records.
    pub(crate) fn learned(&mut self, learner: NodeId, copy: ViewNumber) {
        self.learned.insert((learner, copy));
    }

    /// A control store holds this now, and held `before` as its active view. Says whether another view has become active. There may be two
    /// stores, but one history: each active view follows the last one, whichever coordinator made it active.
    pub(crate) fn swapped(&mut self, record: &ViewRecord, before: Option<ViewId>) -> Result<bool, Violation> {
        let Some(active) = &record.active else { return Ok(false) };
        if before == Some(active.view.id()) {
            return Ok(false);
        }
        if let Some(last) = self.views.last() {
            if before != Some(last.view.id()) {
                let (next, last) = (active.view.number, last.view.number);
                return Err(Violation::new("views", format!("two histories: view {next} does not follow view {last}")));
            }
            let (old, new) = (last.view.members(), active.view.members());
            let holds_all = |node: &NodeId| {
                let learned = last.view.learners().contains(node) && self.has_learned(*node, last.view.number);
                old.contains(node) || learned
            };
            if active.view.number < last.view.number || !new.iter().all(holds_all) {
                let detail = format!("{new:?} of view {} follows {old:?} of view {}", active.view.number, last.view.number);
                return Err(Violation::new("views", detail));
            }
        }
        self.views.push(active.clone());
        Ok(true)
    }

    /// A control store that was put back holds this now: a coordinator that starts from it may announce views, and makes none active.
    pub(crate) fn announced(&self, record: &ViewRecord) -> Result<(), Violation> {
        let known = |active: &ActiveView| self.views.iter().any(|view| view == active);
        if record.active.as_ref().is_none_or(known) {
            return Ok(());
        }
        Err(Violation::new("views", "a coordinator with an old control store made a view active"))
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
    use skein_protocol::id::{ClusterId, Incarnation, Writer};
    use skein_protocol::membership::roster::Changes;
    use skein_protocol::membership::view::{Member, Shard, View};
    use skein_protocol::operation::TableId;

    fn txn(sequence: u64) -> TxnId {
        TxnId { incarnation: Incarnation(1), sequence }
    }

    fn id(number: u64) -> ViewId {
        ViewId { number: ViewNumber(number), writer: Writer::UNKNOWN }
    }

    fn sealed(view: u64, standing: Standing) -> Record {
        let view = ViewId { number: ViewNumber(view), writer: Writer::UNKNOWN };
        Record::Sealed { view, standing, last_active: None }
    }

    fn committed(sequence: u64) -> Record {
        let write = Write { key: Key::new(TableId(1), "a"), stored: None };
        Record::Committed { txn: txn(sequence), view: ViewNumber(1), writes: vec![write] }
    }

    fn record(number: u64, members: &[u128], learners: &[u128]) -> ViewRecord {
        let member = |node: &u128| Member { node: NodeId(*node), address: String::new(), logged: true };
        let (members, learners) = (members.iter().map(member).collect(), learners.iter().map(member).collect());
        let view = View { number: ViewNumber(number), writer: Writer::UNKNOWN, shards: vec![Shard { members, learners }] };
        let active = Some(ActiveView { view, outcomes: Vec::new(), ended: Vec::new() });
        let roster = Changes::default();
        ViewRecord {
            cluster: ClusterId(1),
            writer: Writer::UNKNOWN,
            active,
            pending: None,
            roster,
            emptied: None,
            curtailed: None,
        }
    }

    #[test]
    fn an_outcome_that_two_members_see_differently_is_found() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.swapped(&record(1, &[1, 2], &[]), None), Ok(true));
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
        assert_eq!(ledger.swapped(&record(1, &[1], &[]), None), Ok(true));
        assert_eq!(ledger.swapped(&record(1, &[1], &[]), Some(id(1))), Ok(false));
        assert_eq!(ledger.swapped(&record(2, &[2], &[]), Some(id(1))).unwrap_err().property, "views");
    }
    #[test]
    fn a_learner_that_is_made_a_member_too_early_is_found() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.swapped(&record(1, &[1], &[2]), None), Ok(true));
        ledger.learned(NodeId(2), ViewNumber(1));
        assert_eq!(ledger.clone().swapped(&record(2, &[1, 2], &[]), Some(id(1))), Ok(true));
        assert_eq!(ledger.swapped(&record(2, &[1], &[2]), Some(id(1))), Ok(true));
        assert_eq!(ledger.swapped(&record(3, &[1, 2], &[]), Some(id(2))).unwrap_err().property, "views", "it has started over");
    }

    fn put(sequence: u64, version: u64) -> (Record, Record) {
        let key = Key::new(TableId(1), "a");
        let stored = Stored::new(&key, Version(version), txn(sequence), "v".into());
        let write = Write { key: key.clone(), stored: Some(stored.clone()) };
        let committed = Record::Committed { txn: txn(sequence), view: ViewNumber(1), writes: vec![write] };
        (committed, Record::Copied { records: vec![(key, stored)], stamp: 0 })
    }

    /// A ledger that knows of two writes of one key, and a learner that has begun.
    fn learning() -> (Ledger, Progress) {
        let (mut ledger, mut member, mut learner) = (Ledger::default(), Progress::default(), Progress::default());
        for record in [put(1, 1).0, put(2, 2).0] {
            assert_eq!(ledger.recorded(&record, &mut member), Ok(()));
        }
        learner.fold(&sealed(2, Standing::Learner));
        (ledger, learner)
    }

    #[test]
    fn a_copy_of_what_was_never_so_or_of_something_older_is_found() {
        let (mut ledger, mut learner) = learning();
        assert_eq!(ledger.recorded(&put(1, 7).1, &mut learner).unwrap_err().property, "convergence");
        assert_eq!(ledger.recorded(&put(1, 1).1, &mut learner), Ok(()));
        assert_eq!(ledger.recorded(&put(2, 2).0, &mut learner), Ok(()));
        assert_eq!(ledger.recorded(&committed(3), &mut learner), Ok(()));
        assert_eq!(ledger.recorded(&put(2, 2).1, &mut learner).unwrap_err().property, "convergence", "it has deleted it");
    }

    #[test]
    fn a_learner_may_lack_a_record_and_a_member_may_not() {
        let (ledger, learner) = learning();
        assert_eq!(ledger.clone().recorded(&put(3, 3).0, &mut learner.clone()), Ok(()));
        let mut promoted = learner;
        promoted.fold(&sealed(3, Standing::Member));
        assert_eq!(ledger.clone().recorded(&put(3, 3).0, &mut promoted).unwrap_err().property, "convergence");
    }
}
