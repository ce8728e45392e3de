//! A worker's disk: what is synced, and what was appended since. A restart keeps the first and any prefix of the second,
//! since a system may write out more than it was asked to, but never out of order.

use std::hash::{Hash, Hasher};

use skein_protocol::record::{Record, Snapshot};

use crate::part::Part;

/// The log of one worker.
#[derive(Clone, Debug)]
pub struct Disk {
    /// What the synced records add up to.
    pub synced: Part<Snapshot>,
    /// Records appended and not yet reported as synced, in order.
    pub unsynced: Part<Vec<Record>>,
    /// What all records add up to: the worker's state as its log tells it.
    pub whole: Part<Snapshot>,
}

impl Disk {
    /// An empty log that starts from `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        let synced = Part::new(snapshot);
        Disk { whole: synced.clone(), synced, unsynced: Part::new(Vec::new()) }
    }

    /// Takes one more record, unsynced.
    pub fn append(&mut self, record: Record) {
        self.whole.update(|whole| fold(whole, &record));
        self.unsynced.update(|unsynced| unsynced.push(record));
    }

    /// The first `records` unsynced ones reach the disk.
    pub fn sync(&mut self, records: usize) {
        let synced = self.unsynced.update(|unsynced| unsynced.drain(..records).collect::<Vec<_>>());
        self.synced.update(|snapshot| synced.iter().for_each(|record| fold(snapshot, record)));
    }

    /// The process ends; the first `kept` unsynced records were written out nevertheless.
    pub fn lose(&mut self, kept: usize) {
        self.sync(kept);
        *self = Disk::new((*self.synced).clone());
    }
}

/// Takes a record in. What a learner keeps of its time as a member is left out: no step of a world goes back to it.
fn fold(snapshot: &mut Snapshot, record: &Record) {
    snapshot.fold(record);
    snapshot.kept = None;
}

// `whole` follows from the other two.
impl Hash for Disk {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.synced.hash(state);
        self.unsynced.hash(state);
    }
}

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.synced == other.synced && self.unsynced == other.unsynced
    }
}

impl Eq for Disk {}
