//! The suite that every log engine passes: whatever is appended and synced, in whatever groups, adds up to what
//! [`Snapshot::fold`] says, and survives opening again; what was not synced may be lost, but only from its end on and by whole
//! groups. The records are made from a seed, of every kind, over few keys and transactions, so that they meet.

use skein_protocol::id::{Age, ClusterId, Incarnation, NodeId, TxnId, Version, ViewId, ViewNumber, Writer};
use skein_protocol::membership::view::Standing;
use skein_protocol::operation::{Action, Expect, Key, Operation, TableId};
use skein_protocol::record::{Prepared, Record, Snapshot, Stored, Write};

use super::{Opened, Salvage, Wal};

/// The flags of an operator who wants to go back.
pub(super) const ACCEPT: Salvage = Salvage { accept_incomplete: true, discard_damaged: false };

/// Runs the suite on an engine; `open` opens the same log each time, as after a crash.
pub(super) fn suite(mut open: impl FnMut() -> Opened) {
    let Opened { mut engine, snapshot, .. } = open();
    assert_eq!(snapshot, Snapshot::new(snapshot.node), "a new log is empty");
    let mut expected = snapshot;
    drop(engine);

    engine = reopened(&mut open, &expected);
    let mut records = Records::new(7);
    let mut seen = [false; 6];
    for round in 0..40 {
        for _ in 0..records.below(4) {
            let group = records.group(round);
            group.iter().for_each(|record| expected.fold(record));
            engine.append(&group).unwrap();
        }
        engine.sync().unwrap();
        let Snapshot { cluster, view, records: kept, prepared, decided, forgotten, .. } = &expected;
        let present =
            [cluster.is_some(), view.0 > 0, !kept.is_empty(), !prepared.is_empty(), !decided.is_empty(), !forgotten.is_empty()];
        seen.iter_mut().zip(present).for_each(|(seen, present)| *seen |= present);
        if records.below(3) == 0 {
            drop(engine);
            engine = reopened(&mut open, &expected);
        }
    }
    assert_eq!(seen, [true; 6], "the records are of every kind");

    // What was not synced: any number of whole groups may be there, from the first on.
    let mut prefixes = vec![expected.clone()];
    for round in 40..45 {
        let group = records.group(round);
        group.iter().for_each(|record| expected.fold(record));
        engine.append(&group).unwrap();
        prefixes.push(expected.clone());
    }
    drop(engine);
    let Opened { mut engine, snapshot, recovery } = open();
    assert!(prefixes.iter().any(|prefix| shown(prefix) == snapshot), "neither synced nor a prefix of what was appended");
    assert!(!recovery.clean);
    expected = prefixes.into_iter().find(|prefix| shown(prefix) == snapshot).unwrap();

    let group = records.group(46);
    group.iter().for_each(|record| expected.fold(record));
    engine.append(&group).unwrap();
    engine.close().unwrap();
    drop(engine);
    let Opened { engine, snapshot, recovery } = open();
    assert!(snapshot == shown(&expected), "closing syncs");
    assert!(recovery.clean && !recovery.created);
    let counted = (recovery.records, recovery.prepared, recovery.decided);
    assert_eq!(counted, (expected.records.len() as u64, expected.prepared.len() as u64, expected.decided.len() as u64));
    drop(engine);
    assert!(!open().recovery.clean, "the mark counts once");
}

/// What an ordinary opening shows of it.
pub(super) fn shown(expected: &Snapshot) -> Snapshot {
    Snapshot { kept: None, ..expected.clone() }
}

/// What a learner's log keeps of the time when its worker was a member, at every point from there until it is one again: `open` opens the
/// log as after a crash, `back` opens a copy of it as one whose operator wants to go back.
pub(super) fn keeps_what_a_member_held(mut open: impl FnMut() -> Opened, mut back: impl FnMut() -> Opened) {
    let Opened { engine, snapshot: mut expected, .. } = open();
    drop(engine);
    let mut records = Records::new(23);
    let mut sealed =
        |view: u64, standing| Record::Sealed { view: records.view_id(ViewNumber(view)), standing, last_active: None };
    let learner = Standing::Learner;
    let seals =
        [sealed(1, Standing::Member), sealed(2, learner), sealed(3, learner), sealed(4, Standing::Member), sealed(5, learner)];
    let (mut kept, mut interrupted) = (0, 0);
    for seal in seals {
        // A copy that is larger than what is removed with one group, so that several groups find leftovers.
        let many: Vec<(Key, Stored)> = (0..700_u64).map(|number| records.small(number)).collect();
        let mut groups = vec![vec![seal, Record::Copied { records: many, stamp: 1 }]];
        groups.extend((0..6).map(|_| records.group_within(9)));
        for group in groups {
            let mut engine = open().engine;
            group.iter().for_each(|record| expected.fold(record));
            engine.append(&group).unwrap();
            engine.sync().unwrap();
            drop(engine);
            let Opened { engine, snapshot, recovery } = open();
            drop(engine);
            assert!(snapshot == shown(&expected), "the copy in use is what was written to it");
            assert_eq!(recovery.keeps, expected.kept.as_ref().map(|kept| kept.view));
            let mut past = expected.clone();
            let went = past.go_back();
            past.salvaged = true;
            let Opened { snapshot, recovery, .. } = back();
            assert_eq!((recovery.gone_back, recovery.accepted), (went, true));
            assert!(snapshot == past, "view {} is not what was left at {went:?}", expected.view);
            kept += usize::from(went == Some(ViewNumber(1)));
            interrupted += usize::from(expected.view == ViewNumber(3) && went == Some(ViewNumber(1)));
        }
    }
    assert!(kept > 10 && interrupted > 5 && expected.kept.is_some(), "{kept} {interrupted}");
}

fn reopened(open: &mut impl FnMut() -> Opened, expected: &Snapshot) -> Box<dyn Wal> {
    let Opened { engine, snapshot, recovery } = open();
    assert!(snapshot == shown(expected), "what was synced is not what is there");
    assert!(!recovery.created);
    engine
}

/// Makes records from a seed.
pub(super) struct Records {
    state: u64,
    sequence: u64,
}

impl Records {
    pub(super) fn new(seed: u64) -> Self {
        Records { state: seed, sequence: 0 }
    }

    /// A number below `end` (xorshift, Marsaglia 2003).
    fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % end
    }

    /// A few records that are written as one group in this view.
    pub(super) fn group(&mut self, view: u64) -> Vec<Record> {
        (0..=self.below(12)).map(|_| self.record(ViewNumber(view))).collect()
    }

    /// A group in this view that seals no worker.
    pub(super) fn group_within(&mut self, view: u64) -> Vec<Record> {
        self.group(view).into_iter().filter(|record| !matches!(record, Record::Sealed { .. })).collect()
    }

    fn record(&mut self, view: ViewNumber) -> Record {
        match self.below(24) {
            0 => Record::Bound { cluster: ClusterId(u128::from(self.below(3)) << 100 | 5) },
            1 => {
                let standing = if self.below(6) == 0 { Standing::Learner } else { Standing::Member };
                let last_active = (self.below(3) == 0).then(|| self.view_id(ViewNumber(view.0.saturating_sub(1))));
                Record::Sealed { view: self.view_id(view), standing, last_active }
            }
            2 => Record::Forgot { incarnation: self.incarnation(), below: self.sequence.saturating_sub(self.below(20)) },
            3 => Record::ForgotViews { before: ViewNumber(view.0.saturating_sub(self.below(5))) },
            4 => Record::Copied {
                records: (0..self.below(30)).map(|_| (self.key(), self.stored())).collect(),
                stamp: self.below(1 << 50),
            },
            5 if self.below(4) == 0 => Record::Outvoted,
            5 => Record::Activated { view: self.view_id(view) },
            6..=7 => Record::Aborted { txn: self.txn(), view },
            8..=13 => Record::Prepared(self.prepared(view)),
            _ => Record::Committed { txn: self.txn(), view, writes: (0..=self.below(4)).map(|_| self.write()).collect() },
        }
    }

    fn view_id(&mut self, number: ViewNumber) -> ViewId {
        ViewId { number, writer: Writer { run: self.incarnation(), node: NodeId(u128::from(self.below(1 << 50)) << 70) } }
    }

    fn incarnation(&mut self) -> Incarnation {
        Incarnation(self.below(2) * 256 + 1)
    }

    /// A new transaction, or one of the last.
    fn txn(&mut self) -> TxnId {
        self.sequence += 1;
        TxnId { incarnation: self.incarnation(), sequence: self.sequence - self.below(30).min(self.sequence - 1) }
    }

    fn key(&mut self) -> Key {
        Key::new(TableId(self.below(3) as u8), vec![b'k'; self.below(40) as usize])
    }

    fn value(&mut self) -> Vec<u8> {
        let length = if self.below(10) == 0 { 64 * 1024 } else { self.below(300) as usize };
        vec![self.below(256) as u8; length]
    }

    fn write(&mut self) -> Write {
        let stored = (self.below(4) > 0).then(|| self.stored());
        Write { key: self.key(), stored }
    }

    fn stored(&mut self) -> Stored {
        Stored::new(&self.key(), Version(self.below(1 << 60)), self.txn(), self.value().into())
    }

    /// A small record of this number.
    fn small(&mut self, number: u64) -> (Key, Stored) {
        let (key, txn) = (Key::new(TableId(7), number.to_be_bytes().to_vec()), self.txn());
        let stored = Stored::new(&key, Version(number), txn, vec![self.below(256) as u8].into());
        (key, stored)
    }

    fn prepared(&mut self, view: ViewNumber) -> Prepared {
        let action = if self.below(3) == 0 { Action::Delete } else { Action::Put(self.value().into()) };
        let operations = vec![Operation { key: self.key(), expect: Expect::Version(Version(3)), action }];
        let txn = self.txn();
        Prepared { txn, age: Age { stamp: 9, incarnation: txn.incarnation }, view, operations, versions: vec![Version(4)] }
    }
}

/// A log's identity is made once.
pub(super) fn identity(mut open: impl FnMut() -> Opened) -> NodeId {
    let first = open();
    assert_ne!(first.snapshot.node, NodeId(0));
    let node = first.snapshot.node;
    drop(first);
    assert_eq!(open().snapshot.node, node);
    node
}
