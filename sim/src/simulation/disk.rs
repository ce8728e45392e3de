//! A worker's disk: what its log adds up to as of the last sync, and the records that were appended since. A sync takes all
//! that had been appended when it began; a crash keeps a prefix of what was not synced, cut at a record, which is what a log
//! with checksums gives back after a torn write.

use std::collections::VecDeque;

use skein_protocol::id::{NodeId, TxnId};
use skein_protocol::membership::view::Standing;
use skein_protocol::operation::Key;
use skein_protocol::record::{Record, Snapshot};

use super::ledger::Progress;
use super::random::Random;

/// A disk.
#[derive(Clone)]
pub(crate) struct Disk {
    synced: Snapshot,
    /// How far each key's writes had come at the last sync.
    progress: Progress,
    unsynced: VecDeque<Record>,
    /// Aborts that have become durable and were not asked for yet.
    aborted: Vec<TxnId>,
    /// How many of these a running sync covers; 0 when none runs.
    syncing: usize,
    /// How many of the first were reported as persisted before they are synced, and by no sync again.
    reported: usize,
    /// A disk that hangs: no sync ends any more.
    pub(crate) hung: bool,
}

/// What a crash left of the records that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// There were none.
    None,
    /// All of them survived.
    Kept,
    /// Some of them.
    Torn,
    /// None of them.
    Lost,
}

impl Disk {
    pub(crate) fn new(node: NodeId) -> Self {
        Disk {
            synced: Snapshot::new(node),
            progress: Progress::default(),
            unsynced: VecDeque::new(),
            aborted: Vec::new(),
            syncing: 0,
            reported: 0,
            hung: false,
        }
    }

    /// No sync ends from now on.
    pub(crate) fn hang(&mut self) {
        self.hung = true;
    }

    pub(crate) fn append(&mut self, record: Record) {
        self.unsynced.push_back(record);
    }

    /// Begins a sync of all there is; false if one runs or there is nothing to sync.
    pub(crate) fn begin_sync(&mut self) -> bool {
        if self.syncing > 0 || self.unsynced.is_empty() {
            return false;
        }
        self.syncing = self.unsynced.len();
        true
    }

    /// With an interval: what was appended last counts as persisted before it is synced, unless a sync runs, or it says which view
    /// the worker is in. Says how many records are persisted by it.
    pub(crate) fn report_early(&mut self) -> Option<u32> {
        let news = self.unsynced.iter().skip(self.reported);
        let about_membership = |record: &Record| matches!(record, Record::Bound { .. } | Record::Sealed { .. });
        if self.syncing > 0 || news.clone().any(about_membership) {
            return None;
        }
        let records = news.count();
        self.reported += records;
        Some(u32::try_from(records).expect("few records are under way"))
    }

    /// The running sync has ended. Says how many records are persisted by it.
    pub(crate) fn end_sync(&mut self) -> u32 {
        let records = std::mem::take(&mut self.syncing);
        self.fold(records);
        let known = self.reported.min(records);
        self.reported -= known;
        u32::try_from(records - known).expect("few records are under way")
    }

    /// The process, or the machine, has died.
    pub(crate) fn crash(&mut self, random: &mut Random) -> Tail {
        let length = self.unsynced.len();
        let kept = match random.below(4) {
            0 => 0,
            1 => length,
            _ => random.index(length + 1),
        };
        self.fold(kept);
        self.unsynced.clear();
        self.syncing = 0;
        self.reported = 0;
        match kept {
            _ if length == 0 => Tail::None,
            0 => Tail::Lost,
            kept if kept == length => Tail::Kept,
            _ => Tail::Torn,
        }
    }

    fn fold(&mut self, records: usize) {
        for record in self.unsynced.drain(..records) {
            if let Record::Aborted { txn, .. } = &record {
                self.aborted.push(*txn);
            }
            self.progress.fold(&record);
            self.synced.fold(&record);
        }
    }

    /// The aborts that have become durable since the last time.
    pub(crate) fn take_aborted(&mut self) -> Vec<TxnId> {
        std::mem::take(&mut self.aborted)
    }

    /// The disk as it would be found now, if all that is not synced were lost.
    pub(crate) fn image(&self) -> Disk {
        Disk { synced: self.synced.clone(), progress: self.progress.clone(), ..Disk::new(self.synced.node) }
    }

    /// Whether it was written by a member.
    pub(crate) fn holds_all(&self) -> bool {
        self.synced.standing == Some(Standing::Member)
    }

    /// An era begins with what is left: all that was written before counts as written with it.
    pub(crate) fn enter_era(&mut self) {
        self.progress = Progress::holding(&self.synced.records);
    }

    /// A person gives up a part of what it held.
    pub(crate) fn salvage(&mut self) {
        self.synced.salvaged = true;
    }

    /// A record is removed, since it is not what was written.
    pub(crate) fn give_up(&mut self, key: &Key) {
        self.synced.records.remove(key);
    }

    /// What has been synced.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.synced
    }

    /// Whether something of this transaction is on it.
    pub(crate) fn knows(&self, txn: TxnId) -> bool {
        self.synced.prepared.contains_key(&txn) || self.synced.decided.contains_key(&txn)
    }

    /// What a start reads from it.
    pub(crate) fn recovered(&self) -> (Snapshot, Progress) {
        (self.synced.clone(), self.progress.clone())
    }

    /// What the log adds up to, when all is synced.
    pub(crate) fn settled(&self) -> Option<&Snapshot> {
        self.unsynced.is_empty().then_some(&self.synced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::{Incarnation, ViewId, ViewNumber, Writer};

    fn sealed(view: u64) -> Record {
        let view = ViewId { number: ViewNumber(view), writer: Writer::UNKNOWN };
        Record::Sealed { view, standing: Standing::Member, last_active: None }
    }

    #[test]
    fn a_sync_covers_what_was_there_when_it_began() {
        let mut disk = Disk::new(NodeId(1));
        assert!(!disk.begin_sync());
        disk.append(sealed(1));
        assert!(disk.begin_sync());
        disk.append(sealed(2));
        assert!(!disk.begin_sync(), "one at a time");
        assert_eq!(disk.end_sync(), 1);
        assert_eq!(disk.recovered().0.view, ViewNumber(1));
        assert!(disk.settled().is_none());
        assert!(disk.begin_sync());
        assert_eq!(disk.end_sync(), 1);
        assert_eq!(disk.settled().map(|snapshot| snapshot.view), Some(ViewNumber(2)));
    }

    #[test]
    fn with_an_interval_what_says_no_view_is_persisted_before_the_sync_and_only_once() {
        let aborted = |sequence| Record::Aborted { txn: TxnId { incarnation: Incarnation(1), sequence }, view: ViewNumber(1) };
        let mut disk = Disk::new(NodeId(1));
        (1..=2).for_each(|sequence| disk.append(aborted(sequence)));
        assert_eq!((disk.report_early(), disk.report_early()), (Some(2), Some(0)));
        disk.append(sealed(2));
        assert_eq!(disk.report_early(), None, "it says which view the worker is in");
        assert!(disk.begin_sync());
        disk.append(aborted(3));
        assert_eq!(disk.report_early(), None, "the log is busy");
        assert_eq!(disk.end_sync(), 1);
        assert_eq!(disk.report_early(), Some(1));
        assert_eq!(disk.crash(&mut Random::new(3)), Tail::Lost, "it may be lost for all that");
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let mut seen = Vec::new();
        for seed in 0..64 {
            let mut disk = Disk::new(NodeId(1));
            disk.append(sealed(1));
            disk.begin_sync();
            disk.end_sync();
            (2..=4).for_each(|view| disk.append(sealed(view)));
            let tail = disk.crash(&mut Random::new(seed));
            let view = disk.recovered().0.view.0;
            assert!(matches!((tail, view), (Tail::Lost, 1) | (Tail::Torn, 2..=3) | (Tail::Kept, 4)), "{tail:?} {view}");
            seen.push(view);
        }
        assert!((1..=4).all(|view| seen.contains(&view)));
    }
}
