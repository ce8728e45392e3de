//! The thread of a log. The driver hands it records and goes on; the thread appends all that has queued as one group,
//! syncs once, and says how many records are persisted now. While it syncs, the next group gathers: group commit is a
//! consequence. A failure is final, since nobody knows what an unsuccessful sync has left on the disk.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use skein_protocol::operation::Action;
use skein_protocol::record::Record;

use super::{Log, SyncPolicy, Wal};
use crate::disk::DiskError;
use crate::metrics::NodeMetrics;

/// Records that may wait for the log before the driver takes no further inputs.
const RECORDS_WAITING_MAX: u64 = 64 * 1024;

/// Bytes after which a group is written and synced before the next begins. Sled reuses a segment of its file once what was
/// in it has been written elsewhere; as long as a group is smaller than a segment (512 KiB), that elsewhere is synced by then.
const GROUP_BYTES_MAX: usize = 256 * 1024;

/// The driver's side of a log.
pub(crate) struct LogThread {
    handover: Arc<Handover>,
    thread: Option<JoinHandle<()>>,
    /// Records handed to the thread.
    appended: u64,
    /// Records reported as persisted.
    reported: u64,
}

/// Where the driver leaves records for the thread, and the thread says how far it is.
struct Handover {
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: Vec<Record>,
    /// Records that are persisted, counted from the start.
    persisted: u64,
    failed: Option<Failure>,
    ending: Option<Ending>,
    waker: Option<Waker>,
}

/// Why a log takes nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What it holds is not known, or the disk is full.
    Final(String),
    /// It was to begin a copy and has no room to keep what is there; the log was closed in order.
    NoRoomToStartOver(String),
}

/// How the thread ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// All is written, synced and marked as closed.
    Orderly,
    /// Nothing more is written, as in a crash.
    Abrupt,
}

impl LogThread {
    pub(crate) fn start(log: Log, metrics: NodeMetrics) -> Self {
        let handover = Arc::new(Handover { state: Mutex::default(), work: Condvar::new() });
        let theirs = handover.clone();
        let thread = std::thread::Builder::new()
            .name("wal".into())
            .spawn(move || {
                // A panic of the engine must reach the driver as a failure, not leave it waiting.
                let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| theirs.run(log, &metrics)));
                match ran {
                    Ok(Ok(())) => {}
                    Ok(Err(error @ DiskError::NoRoomToStartOver { .. })) => {
                        theirs.fail(Failure::NoRoomToStartOver(error.to_string()))
                    }
                    Ok(Err(error)) => theirs.fail(Failure::Final(error.to_string())),
                    Err(_) => theirs.fail(Failure::Final("the engine panicked".into())),
                }
            })
            .expect("the system can start a thread while the process starts");
        LogThread { handover, thread: Some(thread), appended: 0, reported: 0 }
    }

    /// Hands these records over, which leaves the vector empty.
    pub(crate) fn append(&mut self, records: &mut Vec<Record>) {
        if records.is_empty() {
            return;
        }
        self.appended += records.len() as u64;
        let mut state = self.handover.lock();
        if state.queue.is_empty() {
            std::mem::swap(&mut state.queue, records);
        } else {
            state.queue.append(records);
        }
        drop(state);
        self.handover.work.notify_one();
    }

    /// Whether so much waits that no further inputs should be taken.
    pub(crate) fn is_crowded(&self) -> bool {
        self.appended - self.reported > RECORDS_WAITING_MAX
    }

    /// Ready with the number of records that were persisted since the last time, or with the reason of a failure.
    pub(crate) fn poll_persisted(&mut self, cx: &mut Context<'_>) -> Poll<Result<u32, Failure>> {
        let mut state = self.handover.lock();
        if let Some(failure) = &state.failed {
            return Poll::Ready(Err(failure.clone()));
        }
        let more = u32::try_from(state.persisted - self.reported).expect("the queue is bounded");
        if more == 0 {
            if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        self.reported = state.persisted;
        Poll::Ready(Ok(more))
    }

    /// Writes and syncs what is left, marks the log as closed in order and ends the thread. Blocks.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        self.end(Ending::Orderly);
        self.handover.lock().failed.take().map_or(Ok(()), Err)
    }

    fn end(&mut self, ending: Ending) {
        self.handover.lock().ending.get_or_insert(ending);
        self.handover.work.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread catches its panics");
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.end(Ending::Abrupt);
    }
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn fail(&self, failure: Failure) {
        let mut state = self.lock();
        state.failed = Some(failure);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// Reports so many more records.
    fn persisted(&self, records: usize) {
        let mut state = self.lock();
        state.persisted += records as u64;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn run(&self, log: Log, metrics: &NodeMetrics) -> Result<(), DiskError> {
        let Log { mut engine, sync } = log;
        let mut records = Vec::new();
        // With an interval: when what was appended must be synced at the latest.
        let mut due: Option<Instant> = None;
        loop {
            let ending = self.next(&mut records, due);
            if ending == Some(Ending::Abrupt) {
                return Ok(());
            }
            if !records.is_empty() {
                let bytes = match engine.append(&records) {
                    // Closed in order, even a log that is synced at an interval is trusted when there is room again.
                    Err(full @ (DiskError::Full { .. } | DiskError::NoRoomToStartOver { .. })) => {
                        return engine.close().and(Err(full));
                    }
                    appended => appended?,
                };
                metrics.appended_bytes.inc_by(bytes);
                metrics.appended_records.inc_by(records.len() as u64);
                match sync {
                    SyncPolicy::Interval(interval) if !records.iter().any(is_about_membership) => {
                        due.get_or_insert_with(|| Instant::now() + interval);
                    }
                    SyncPolicy::Always | SyncPolicy::Interval(_) => {
                        timed_sync(engine.as_mut(), metrics)?;
                        due = None;
                    }
                }
                self.persisted(records.len());
                records.clear();
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                timed_sync(engine.as_mut(), metrics)?;
                due = None;
            }
            if ending == Some(Ending::Orderly) && self.lock().queue.is_empty() {
                return engine.close();
            }
        }
    }

    /// Waits for work and takes all records that have queued; returns early when a sync is due.
    fn next(&self, records: &mut Vec<Record>, due: Option<Instant>) -> Option<Ending> {
        let mut state = self.lock();
        while state.queue.is_empty() && state.ending.is_none() {
            match due.map(|due| due.saturating_duration_since(Instant::now())) {
                None => state = self.work.wait(state).expect("no holder of this lock panics"),
                Some(left) if left.is_zero() => break,
                Some(left) => state = self.work.wait_timeout(state, left).expect("no holder of this lock panics").0,
            }
        }
        take_group(&mut state.queue, records);
        state.ending
    }
}

/// Whether it says which view the worker is in. A log that lacks the newest of these is of no use to anybody (R5), so they are synced
/// whatever the policy is; there are few.
fn is_about_membership(record: &Record) -> bool {
    matches!(record, Record::Bound { .. } | Record::Sealed { .. })
}

/// Moves a group from the head of the queue to `group`, which is empty.
fn take_group(queue: &mut Vec<Record>, group: &mut Vec<Record>) {
    let mut bytes = 0;
    let end = queue.iter().position(|record| {
        bytes += weight(record);
        bytes > GROUP_BYTES_MAX
    });
    match end {
        None => std::mem::swap(queue, group),
        // A single record is a group, however long it is.
        Some(end) => group.extend(queue.drain(..end.max(1))),
    }
}

/// About how many bytes a record takes in the log.
fn weight(record: &Record) -> usize {
    let payload: usize = match record {
        Record::Prepared(prepared) => prepared
            .operations
            .iter()
            .map(|operation| {
                let value = if let Action::Put(value) = &operation.action { value.len() } else { 0 };
                operation.key.bytes.len() + value
            })
            .sum(),
        Record::Committed { writes, .. } => {
            writes.iter().map(|write| write.key.bytes.len() + write.stored.as_ref().map_or(0, |stored| stored.value.len())).sum()
        }
        Record::Copied { records, .. } => records.iter().map(|(key, stored)| key.bytes.len() + stored.value.len()).sum(),
        _ => 0,
    };
    64 + payload
}

fn timed_sync(engine: &mut dyn Wal, metrics: &NodeMetrics) -> Result<(), DiskError> {
    let start = Instant::now();
    engine.sync()?;
    metrics.sync_duration.observe(start.elapsed().as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use prometheus::Registry;
    use skein_protocol::id::{ClusterId, Incarnation, TxnId, ViewId, ViewNumber, Writer};
    use skein_protocol::membership::view::Standing;

    use super::*;
    use crate::metrics::RuntimeMetrics;

    /// Counts how often it is synced.
    struct Counting(Arc<AtomicUsize>);

    impl Wal for Counting {
        fn append(&mut self, _: &[Record]) -> Result<u64, DiskError> {
            Ok(0)
        }

        fn sync(&mut self) -> Result<(), DiskError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn close(&mut self) -> Result<(), DiskError> {
            Ok(())
        }
    }

    #[test]
    fn what_the_worker_is_in_which_view_is_synced_whatever_the_policy() {
        let syncs = Arc::new(AtomicUsize::new(0));
        let metrics = RuntimeMetrics::register(&Registry::new(), "0", "0").unwrap().node("n");
        let sync = SyncPolicy::Interval(Duration::from_secs(60));
        let mut log = LogThread::start(Log { engine: Box::new(Counting(Arc::clone(&syncs))), sync }, metrics);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut persist = |record: Record| {
            log.append(&mut vec![record]);
            assert_eq!(runtime.block_on(poll_fn(|cx| log.poll_persisted(cx))), Ok(1));
            syncs.load(Ordering::SeqCst)
        };
        let txn = TxnId { incarnation: Incarnation(1), sequence: 1 };
        let view = ViewId { number: ViewNumber(2), writer: Writer::UNKNOWN };
        assert_eq!(persist(Record::Aborted { txn, view: ViewNumber(1) }), 0, "an interval is a minute");
        assert_eq!(persist(Record::Bound { cluster: ClusterId(7) }), 1);
        assert_eq!(persist(Record::Sealed { view, standing: Standing::Member, last_active: None }), 2);
        assert_eq!(persist(Record::Aborted { txn, view: ViewNumber(2) }), 2);
    }
}
