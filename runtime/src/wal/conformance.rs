//! The suite that every log engine passes: whatever is appended and synced, in whatever groups, adds up to what
//! [`Snapshot::fold`] says, and survives opening again; what was not synced may be lost, but only from its end on and by whole
//! groups. The records are made from a seed, of every kind, over few keys and transactions, so that they meet.

use skein_protocol::id::{Age, ClusterId, Incarnation, NodeId, TxnId, Version, ViewNumber};
use skein_protocol::membership::view::Standing;
use skein_protocol::operation::{Action, Expect, Key, Operation, TableId};
use skein_protocol::record::{Prepared, Record, Snapshot, Stored, Write};

use super::{Opened, Wal};

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
    assert!(prefixes.contains(&snapshot), "neither synced nor a prefix of what was appended");
    assert!(!recovery.clean);
    expected = snapshot;

    let group = records.group(46);
    group.iter().for_each(|record| expected.fold(record));
    engine.append(&group).unwrap();
    engine.close().unwrap();
    drop(engine);
    let Opened { engine, snapshot, recovery } = open();
    assert!(snapshot == expected, "closing syncs");
    assert!(recovery.clean && !recovery.created);
    let counted = (recovery.records, recovery.prepared, recovery.decided);
    assert_eq!(counted, (expected.records.len() as u64, expected.prepared.len() as u64, expected.decided.len() as u64));
    drop(engine);
    assert!(!open().recovery.clean, "the mark counts once");
}

fn reopened(open: &mut impl FnMut() -> Opened, expected: &Snapshot) -> Box<dyn Wal> {
    let Opened { engine, snapshot, recovery } = open();
    assert!(&snapshot == expected, "what was synced is not what is there");
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

    fn record(&mut self, view: ViewNumber) -> Record {
        match self.below(24) {
            0 => Record::Bound { cluster: ClusterId(u128::from(self.below(3)) << 100 | 5) },
            1 => {
                let standing = if self.below(6) == 0 { Standing::Learner } else { Standing::Member };
                Record::Sealed { view, standing }
            }
            2 => Record::Forgot { incarnation: self.incarnation(), below: self.sequence.saturating_sub(self.below(20)) },
            3 => Record::ForgotViews { before: ViewNumber(view.0.saturating_sub(self.below(5))) },
            4 => Record::Copied {
                records: (0..self.below(30)).map(|_| (self.key(), self.stored())).collect(),
                stamp: self.below(1 << 50),
            },
            5..=7 => Record::Aborted { txn: self.txn(), view },
            8..=13 => Record::Prepared(self.prepared(view)),
            _ => Record::Committed { txn: self.txn(), view, writes: (0..=self.below(4)).map(|_| self.write()).collect() },
        }
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
