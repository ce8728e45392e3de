//! What a worker writes to its log, and the state that the records of a log add up to. [`Snapshot::fold`] is the one
//! definition of what a record means: engines, recovery and the checkers all answer to it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::id::{Age, ClusterId, Incarnation, NodeId, TxnId, Version, ViewId, ViewNumber, Writer};
use crate::membership::view::Standing;
use crate::message::Outcome;
use crate::operation::{Key, Operation, Shared};

/// One record of a worker's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Record {
    /// The worker belongs to this cluster for good (R12).
    Bound {
        /// The cluster.
        cluster: ClusterId,
    },
    /// The worker takes nothing of older views (R2).
    Sealed {
        /// The view that it was sealed for, and its announcer.
        view: ViewId,
        /// What it is in it. A learner starts over from nothing (R9).
        standing: Standing,
        /// The last active view before it, as the leader said.
        last_active: Option<ViewId>,
    },
    /// The view that it was sealed for has become active: the worker follows no coordinator that does not know of it (R14).
    Activated {
        /// The view.
        view: ViewId,
    },
    /// A learner has taken records in from a member.
    Copied {
        /// Those that it did not have.
        records: Vec<(Key, Stored)>,
        /// The greatest age stamp that the member had seen.
        stamp: u64,
    },
    /// A transaction is locked, checked and can be committed. Synced before the vote (R6).
    Prepared(Prepared),
    /// A transaction was committed and applied; it is remembered until it may be forgotten.
    Committed {
        /// The transaction.
        txn: TxnId,
        /// The view that it ran in.
        view: ViewNumber,
        /// What it wrote.
        writes: Vec<Write>,
    },
    /// A transaction was aborted, prepared here or not. Synced before the acknowledgement (R6).
    Aborted {
        /// The transaction.
        txn: TxnId,
        /// The view that it ran in.
        view: ViewNumber,
    },
    /// The decisions of one coordinator's run below this sequence are forgotten (R7).
    Forgot {
        /// The run.
        incarnation: Incarnation,
        /// The low-water mark.
        below: u64,
    },
    /// The decisions of all views before this one are forgotten (R7).
    ForgotViews {
        /// The first view that is not meant.
        before: ViewNumber,
    },
    /// Most replicas held something else than this one: it is not trusted until it has begun anew.
    Outvoted,
}

/// A prepared transaction: all that is needed to commit it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prepared {
    /// The transaction.
    pub txn: TxnId,
    /// Its age.
    pub age: Age,
    /// The view that it was prepared in.
    pub view: ViewNumber,
    /// What it does.
    pub operations: Vec<Operation>,
    /// The version for each operation, as voted; empty at a learner, which gets them with the decision.
    pub versions: Vec<Version>,
}

/// One record written or removed by a committed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Write {
    /// Which.
    pub key: Key,
    /// Its new content; `None` removes it.
    pub stored: Option<Stored>,
}

/// A record as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stored {
    /// Its version.
    pub version: Version,
    /// The transaction that wrote it.
    pub written_by: TxnId,
    /// Its value.
    pub value: Shared,
    /// A hash (XXH3, 64 bits) of its key and all of this, made when it was written and never again: whoever holds, logs, copies
    /// or reads the record can tell whether it still is what was written.
    pub checksum: u64,
}

impl Stored {
    /// The record that a transaction writes under `key`.
    #[must_use]
    pub fn new(key: &Key, version: Version, written_by: TxnId, value: Shared) -> Self {
        let checksum = checksum(key, version, written_by, &value);
        Stored { version, written_by, value, checksum }
    }

    /// Whether it is what was written under this key.
    #[must_use]
    pub fn is_intact(&self, key: &Key) -> bool {
        self.checksum == checksum(key, self.version, self.written_by, &self.value)
    }
}

/// The value's hash, seeded with those of everything else that makes the record what it is.
fn checksum(key: &Key, version: Version, written_by: TxnId, value: &Shared) -> u64 {
    let name = xxh3_64_with_seed(&key.bytes, u64::from(key.table.0));
    let mut head = [0; 24];
    head[..8].copy_from_slice(&version.0.to_le_bytes());
    head[8..16].copy_from_slice(&written_by.incarnation.0.to_le_bytes());
    head[16..].copy_from_slice(&written_by.sequence.to_le_bytes());
    xxh3_64_with_seed(value, xxh3_64_with_seed(&head, name))
}

/// A decision that a worker remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decided {
    /// The view that the transaction ran in.
    pub view: ViewNumber,
    /// How it ended.
    pub outcome: Outcome,
}

/// The last copy of which a worker was a member, kept while it makes a new one (R9): until that is complete it may be the only one that
/// holds some record, and a person can go back to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    /// The view that the worker was a member of.
    pub view: ViewNumber,
    /// The store.
    pub records: BTreeMap<Key, Stored>,
    /// Transactions in doubt.
    pub prepared: BTreeMap<TxnId, Prepared>,
    /// Decisions remembered.
    pub decided: BTreeMap<TxnId, Decided>,
    /// Low-water marks.
    pub forgotten: BTreeMap<Incarnation, u64>,
}

/// What the records of a log add up to: a worker starts from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// The worker's identity, made with the log.
    pub node: NodeId,
    /// The cluster that it is bound to.
    pub cluster: Option<ClusterId>,
    /// The view that it was last sealed for; 0 before the first.
    pub view: ViewNumber,
    /// The coordinator that sealed it for that view; `None` before the first, and where that was not noted.
    pub writer: Option<Writer>,
    /// What it is in that view.
    pub standing: Option<Standing>,
    /// The last view that it knows to have become active.
    pub last_active: Option<ViewId>,
    /// The store.
    pub records: BTreeMap<Key, Stored>,
    /// Transactions in doubt.
    pub prepared: BTreeMap<TxnId, Prepared>,
    /// Decisions remembered.
    pub decided: BTreeMap<TxnId, Decided>,
    /// Low-water marks of the current view, or of the last that was cleared up after: sequences below are forgotten.
    pub forgotten: BTreeMap<Incarnation, u64>,
    /// The greatest age stamp of what was ever prepared. Versions are made from it, so whoever comes later must start above it,
    /// whatever its clock says and whichever records are gone.
    pub stamp: u64,
    /// Whether a person has given up a part of it: records that were not what was written, or an end that may be missing. It stays so
    /// until the worker has begun anew.
    pub salvaged: bool,
    /// Whether most replicas held something else. It stays so until the worker has begun anew.
    pub outvoted: bool,
    /// At a learner: what it held when it was a member last. Nothing starts from it unless a person has said so.
    pub kept: Option<Kept>,
}

impl Snapshot {
    /// The state of an empty log of this identity.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Snapshot {
            node,
            cluster: None,
            view: ViewNumber(0),
            writer: None,
            standing: None,
            last_active: None,
            records: BTreeMap::new(),
            prepared: BTreeMap::new(),
            decided: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            stamp: 0,
            salvaged: false,
            outvoted: false,
            kept: None,
        }
    }

    /// Goes back to the copy that a learner keeps, because a person has said so: the worker is a member of that copy's view again, and a
    /// part of its records was given up. What it has promised since still holds: the coordinator that it follows, and the greatest
    /// stamp. Gives the copy's view; nothing changes where none is kept.
    pub fn go_back(&mut self) -> Option<ViewNumber> {
        let Kept { view, records, prepared, decided, forgotten } = self.kept.take()?;
        (self.records, self.prepared, self.decided, self.forgotten) = (records, prepared, decided, forgotten);
        (self.view, self.standing, self.salvaged) = (view, Some(Standing::Member), true);
        Some(view)
    }

    /// Takes one more record in.
    pub fn fold(&mut self, record: &Record) {
        match record {
            Record::Bound { cluster } => self.cluster = Some(*cluster),
            Record::Sealed { view, standing, last_active } => {
                match standing {
                    Standing::Member => self.kept = None,
                    Standing::Learner => {
                        let left = Kept {
                            view: self.view,
                            records: mem::take(&mut self.records),
                            prepared: mem::take(&mut self.prepared),
                            decided: mem::take(&mut self.decided),
                            forgotten: mem::take(&mut self.forgotten),
                        };
                        // A copy that was interrupted is no copy to go back to.
                        if self.standing == Some(Standing::Member) {
                            self.kept = Some(left);
                        }
                        self.salvaged = false;
                        self.outvoted = false;
                    }
                }
                self.view = view.number;
                self.writer = Some(view.writer);
                self.standing = Some(*standing);
                self.last_active = last_active.or(self.last_active);
            }
            Record::Activated { view } => self.last_active = Some(*view),
            Record::Copied { records, stamp } => {
                self.records.extend(records.iter().cloned());
                self.stamp = self.stamp.max(*stamp);
            }
            Record::Prepared(prepared) => {
                self.stamp = self.stamp.max(prepared.age.stamp);
                self.prepared.insert(prepared.txn, prepared.clone());
            }
            Record::Committed { txn, view, writes } => {
                self.prepared.remove(txn);
                self.decided.insert(*txn, Decided { view: *view, outcome: Outcome::Committed });
                for write in writes {
                    match &write.stored {
                        Some(stored) => self.records.insert(write.key.clone(), stored.clone()),
                        None => self.records.remove(&write.key),
                    };
                }
            }
            Record::Aborted { txn, view } => {
                self.prepared.remove(txn);
                self.decided.insert(*txn, Decided { view: *view, outcome: Outcome::Aborted });
            }
            Record::Forgot { incarnation, below } => {
                let txn = |sequence| TxnId { incarnation: *incarnation, sequence };
                let kept = self.decided.split_off(&txn(0));
                for (id, decided) in kept {
                    if id.incarnation != *incarnation || id.sequence >= *below {
                        self.decided.insert(id, decided);
                    }
                }
                self.forgotten.insert(*incarnation, *below);
            }
            Record::ForgotViews { before } => {
                self.decided.retain(|_, decided| decided.view >= *before);
                self.forgotten.clear();
            }
            Record::Outvoted => self.outvoted = true,
        }
    }
}
