//! What only a log on disk can show: that the kernel is really asked to sync, that a copy of the files as of the last sync
//! recovers, that a torn or garbled file loses nothing that was synced or is refused, and that the size follows the data.

mod formats;
mod room;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use prometheus::Registry;
use skein_protocol::id::{Version, ViewId, Writer};
use skein_protocol::record::{Stored, Write};

use super::super::conformance::{self, Records};
use super::super::thread::LogThread;
use super::super::{Log, Opened};
use super::*;
use crate::formats::LOG as FORMATS;
use crate::metrics::RuntimeMetrics;

const ALWAYS: SyncPolicy = SyncPolicy::Always;
const INTERVAL: SyncPolicy = SyncPolicy::Interval(Duration::from_millis(10));

fn open_in(data: &Path) -> Opened {
    open(data, ALWAYS, Salvage::default()).unwrap()
}

fn error_of(data: &Path, policy: SyncPolicy) -> DiskError {
    match open(data, policy, Salvage::default()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), target) {
                // A blob that sled has removed meanwhile; then nothing refers to it any more.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

fn put(sequence: u64, key: u64, value: Vec<u8>) -> Record {
    let txn = TxnId { incarnation: Incarnation(1), sequence };
    let key = Key::new(TableId(1), key.to_string().into_bytes());
    let stored = Stored::new(&key, Version(sequence), txn, value.into());
    let writes = vec![Write { key, stored: Some(stored) }];
    Record::Committed { txn, view: ViewNumber(1), writes }
}

#[test]
fn it_conforms() {
    let directory = tempfile::tempdir().unwrap();
    conformance::suite(|| open_in(directory.path()));
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_ne!(conformance::identity(|| open_in(one.path())), conformance::identity(|| open_in(other.path())));
}

#[test]
fn it_keeps_what_a_member_held() {
    let directory = tempfile::tempdir().unwrap();
    let (live, mut copies) = (directory.path().join("live"), 0);
    let back = || {
        copies += 1;
        let past = directory.path().join(copies.to_string());
        copy(&live, &past);
        open(&past, ALWAYS, conformance::ACCEPT).unwrap()
    };
    conformance::keeps_what_a_member_held(|| open_in(&live), back);
}

#[test]
fn two_copies_are_on_the_disk_at_the_most_and_one_once_the_worker_is_a_member_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let copies_found = || {
        let mut found = BTreeMap::<u32, usize>::new();
        let database = Database::open(&path, FORMATS, |key, _| {
            if let [DATA, c0, c1, c2, c3, ..] = key {
                *found.entry(u32::from_be_bytes([*c0, *c1, *c2, *c3])).or_default() += 1;
            }
            Ok(())
        });
        drop(database.unwrap());
        found
    };
    let records = |from: u64| (from..from + 600).map(|key| put(key, key, vec![1])).collect::<Vec<_>>();
    let mut engine = open_in(directory.path()).engine;
    engine.append(&[sealed(1, Standing::Member)]).unwrap();
    engine.append(&records(0)).unwrap();
    for view in 2..6 {
        // Each is interrupted by the next.
        engine.append(&[sealed(view, Standing::Learner)]).unwrap();
        engine.append(&records(view)).unwrap();
        (0..4).for_each(|_| _ = engine.append(&[Record::ForgotViews { before: ViewNumber(1) }]).unwrap());
    }
    drop(engine);
    assert_eq!(copies_found(), [(0, 600), (4, 600)].into());
    let mut engine = open_in(directory.path()).engine;
    engine.append(&[sealed(6, Standing::Member)]).unwrap();
    (0..4).for_each(|_| _ = engine.append(&[Record::ForgotViews { before: ViewNumber(1) }]).unwrap());
    drop(engine);
    assert_eq!(copies_found(), [(4, 600)].into());
    assert!(open(directory.path(), ALWAYS, conformance::ACCEPT).unwrap().recovery.gone_back.is_none());
}

#[test]
fn a_log_in_use_and_one_of_another_format_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open_in(directory.path());
    assert!(matches!(error_of(directory.path(), ALWAYS), DiskError::Locked(_)));
    drop(opened);
    for (other, hint) in [(FORMATS.start() - 1, "use an older Skein"), (FORMATS.end() + 1, "use a newer Skein")] {
        let directory = tempfile::tempdir().unwrap();
        let mut database = Database::open(&directory.path().join("log"), other..=other, |_, _| Ok(())).unwrap();
        database.apply().unwrap();
        drop(database);
        let error = error_of(directory.path(), ALWAYS);
        assert!(matches!(error, DiskError::Format { found, known, .. } if found == other && known == *FORMATS.end()), "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[test]
fn a_log_of_an_earlier_format_is_read_and_says_nothing_of_what_came_later() {
    for format in *FORMATS.start()..*FORMATS.end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut database = Database::open(&path, format..=format, |_, _| Ok(())).unwrap();
        database.put(NODE_KEY, &7_u128.to_be_bytes());
        database.put(VIEW_KEY, &5_u64.to_be_bytes());
        database.put(STANDING_KEY, postcard::to_allocvec(&Standing::Member).unwrap());
        let writer = (format > 3).then_some(Writer { run: Incarnation(2), node: NodeId(9) });
        if let Some(writer) = &writer {
            database.put(WRITER_KEY, postcard::to_allocvec(writer).unwrap());
        }
        database.apply().unwrap();
        drop(database);
        let Opened { mut engine, snapshot, .. } = open_in(directory.path());
        assert_eq!((snapshot.node, snapshot.view, snapshot.standing), (NodeId(7), ViewNumber(5), Some(Standing::Member)));
        assert_eq!((snapshot.writer, snapshot.last_active, snapshot.outvoted), (writer, None, false));
        engine.append(&[sealed(6, Standing::Member), Record::Outvoted]).unwrap();
        drop(engine);
        let snapshot = open_in(directory.path()).snapshot;
        assert!(snapshot.writer.is_some() && snapshot.outvoted);
        let as_before = Database::open(&path, format..=format, |_, _| Ok(()));
        assert!(matches!(as_before, Err(DiskError::Format { found: 5, .. })), "an older Skein must not take it up");
    }
}

#[test]
fn what_makes_no_sense_is_an_error_and_no_panic() {
    for (key, value) in [
        (&b"\x01\0\0\0\0\x01key"[..], &b"\xff\xff"[..]),
        (b"\x01\0\0\0\x01\x01key", b"of a copy that was never begun"),
        (b"\x02short", b""),
        (b"\x04\0\0\0\0\0\0\0\x01", b"short"),
        (b"\x09", b"unknown kind"),
        (NODE_KEY, b"no number"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        drop(open_in(directory.path()));
        let mut database = Database::open(&directory.path().join("log"), FORMATS, |_, _| Ok(())).unwrap();
        database.put(key, value);
        database.apply().unwrap();
        drop(database);
        let error = error_of(directory.path(), ALWAYS);
        assert!(matches!(error, DiskError::Damaged { .. }), "{key:?}: {error}");
    }
}

#[test]
fn a_log_synced_at_an_interval_is_trusted_only_when_it_was_closed_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let first = open(data, INTERVAL, Salvage::default()).unwrap();
    let node = first.snapshot.node;
    let mut engine = first.engine;
    engine.append(&[put(1, 1, vec![1])]).unwrap();
    engine.close().unwrap();
    drop(engine);

    let second = open(data, INTERVAL, Salvage::default()).unwrap();
    assert_eq!((second.snapshot.node, second.snapshot.records.len()), (node, 1));
    let mut engine = second.engine;
    engine.append(&[put(2, 2, vec![2])]).unwrap();
    drop(engine);

    // Even one who would sync each record from now on can't know what is missing.
    let third = open(data, ALWAYS, Salvage::default()).unwrap();
    assert_ne!(third.snapshot.node, node);
    assert!(third.snapshot.records.is_empty() && third.recovery.created);
    let aside = third.recovery.set_aside.unwrap();
    assert!(aside.starts_with(data) && aside.join("db").exists(), "{}", aside.display());
    let node = third.snapshot.node;
    drop(third.engine);
    let fourth = open(data, ALWAYS, Salvage::default()).unwrap();
    assert_eq!((fourth.snapshot.node, fourth.recovery.set_aside), (node, None));
}

fn sealed(view: u64, standing: Standing) -> Record {
    let view = ViewId { number: ViewNumber(view), writer: Writer { run: Incarnation(1), node: NodeId(9) } };
    Record::Sealed { view, standing, last_active: None }
}

/// A member's log of this view with one record, not closed.
fn crashed(data: &Path, policy: SyncPolicy, view: u64, standing: Standing) -> NodeId {
    let Opened { mut engine, snapshot, .. } = open(data, policy, Salvage::default()).unwrap();
    engine.append(&[sealed(view, standing), put(view, view, vec![1])]).unwrap();
    engine.sync().unwrap();
    snapshot.node
}

#[test]
fn a_log_whose_end_may_be_missing_is_taken_up_when_a_person_accepts_that() {
    let accept = Salvage { accept_incomplete: true, ..Salvage::default() };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let refused = |data: &Path| assert!(matches!(open(data, ALWAYS, accept), Err(DiskError::NothingToAccept(_))));
    refused(&data.join("nowhere"));
    refused(data);

    // Where it lies, and from now on it is as good as any.
    let node = crashed(data, INTERVAL, 3, Standing::Member);
    let taken = open(data, ALWAYS, accept).unwrap();
    assert_eq!((taken.snapshot.node, taken.snapshot.records.len()), (node, 1));
    assert!(taken.recovery.accepted && taken.recovery.set_aside.is_none(), "{:?}", taken.recovery);
    drop(taken.engine);
    // What is missing stays missing until it has begun anew.
    let Opened { mut engine, snapshot, recovery } = open(data, ALWAYS, Salvage::default()).unwrap();
    assert_eq!((snapshot.node, snapshot.salvaged, recovery.set_aside), (node, true, None));
    engine.append(&[sealed(4, Standing::Member)]).unwrap();
    drop(engine);
    let Opened { mut engine, snapshot, .. } = open_in(data);
    assert!(snapshot.salvaged);
    engine.append(&[sealed(5, Standing::Learner)]).unwrap();
    drop(engine);
    let learner = open_in(data);
    assert!(!learner.snapshot.salvaged);
    drop(learner.engine);

    // Set aside meanwhile, once and again, by who was started without a word: the newest of a member counts, also if it is of another
    // cluster, whose views began anew.
    crashed(data, INTERVAL, 14, Standing::Member);
    let latest = crashed(data, INTERVAL, 9, Standing::Member);
    let learner = crashed(data, INTERVAL, 12, Standing::Learner);
    let taken = open(data, INTERVAL, accept).unwrap();
    assert_eq!((taken.snapshot.node, taken.snapshot.view), (latest, ViewNumber(9)));
    let aside = taken.recovery.set_aside.clone().unwrap();
    assert!(taken.recovery.accepted && !taken.recovery.created, "{:?}", taken.recovery);
    drop(taken.engine);
    assert_eq!(read(&aside).unwrap().1.node, Some(learner), "nothing is thrown away");
    // Accepted once, not for ever.
    let next = open(data, INTERVAL, Salvage::default()).unwrap();
    assert!(next.recovery.created && next.recovery.set_aside.is_some(), "{:?}", next.recovery);
    drop(next.engine);

    let learners = tempfile::tempdir().unwrap();
    crashed(learners.path(), INTERVAL, 3, Standing::Learner);
    refused(learners.path());
}

#[test]
fn an_acceptance_counts_once_though_it_stays_in_the_settings() {
    let accept = Salvage { accept_incomplete: true, ..Salvage::default() };
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    crashed(data, INTERVAL, 3, Standing::Member);
    let Opened { mut engine, recovery, .. } = open(data, ALWAYS, accept).unwrap();
    assert!(recovery.accepted && !recovery.used_before, "{recovery:?}");
    // It begins again, and is a member by its own log then.
    engine.append(&[sealed(4, Standing::Learner)]).unwrap();
    engine.append(&[sealed(5, Standing::Member)]).unwrap();
    engine.close().unwrap();
    drop(engine);
    for _ in 0..2 {
        let Opened { mut engine, snapshot, recovery } = open(data, INTERVAL, accept).unwrap();
        assert!(!snapshot.salvaged && !recovery.accepted && recovery.used_before, "{recovery:?}");
        engine.close().unwrap();
    }
    // Nor is a log taken up that was not closed in order since.
    let node = crashed(data, INTERVAL, 6, Standing::Member);
    note_use(data).unwrap();
    let next = open(data, INTERVAL, accept).unwrap();
    assert!(next.recovery.used_before && next.recovery.set_aside.is_some(), "{:?}", next.recovery);
    drop(next.engine);
    // After a start without it a person may decide again.
    drop(open(data, ALWAYS, Salvage::default()).unwrap().engine);
    let again = open(data, ALWAYS, accept).unwrap();
    assert_eq!((again.recovery.accepted, again.snapshot.node, again.snapshot.salvaged), (true, node, true));
}

#[test]
fn records_that_are_not_what_was_written_are_named_and_removed_only_when_a_person_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut engine = open_in(data).engine;
    let mut bad = put(2, 2, vec![2]);
    if let Record::Committed { writes, .. } = &mut bad
        && let Some(stored) = &mut writes[0].stored
    {
        stored.checksum ^= 1;
    }
    engine.append(&[put(1, 1, vec![1]), bad, put(3, 3, vec![3])]).unwrap();
    engine.close().unwrap();
    drop(engine);

    let damaged = [Key::new(TableId(1), "2")];
    let found = open_in(data);
    assert_eq!((found.recovery.damaged.as_slice(), found.snapshot.records.len()), (&damaged[..], 3));
    drop(found.engine);
    let discarded = open(data, ALWAYS, Salvage { discard_damaged: true, ..Salvage::default() }).unwrap();
    assert_eq!((discarded.recovery.damaged.as_slice(), discarded.snapshot.records.len()), (&damaged[..], 2));
    drop(discarded.engine);
    let after = open_in(data);
    assert_eq!((after.recovery.damaged.len(), after.snapshot.records.len(), after.snapshot.salvaged), (0, 2, true));
    drop(after.engine);

    // Where nothing is damaged nothing is given up.
    let sound = tempfile::tempdir().unwrap();
    drop(open_in(sound.path()).engine);
    let found = open(sound.path(), ALWAYS, Salvage { discard_damaged: true, ..Salvage::default() }).unwrap();
    assert!(!found.snapshot.salvaged && !found.recovery.created);
}

#[test]
fn the_size_follows_the_data_and_not_its_history() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = open_in(directory.path()).engine;
    let size = |directory: &Path| -> u64 {
        let sizes = walk(directory).into_iter().map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()));
        sizes.sum()
    };
    // 1 MB of data, written 150 times over; every tenth value is long.
    let value = |round: u64, key: u64| vec![round as u8; if key.is_multiple_of(100) { 50_000 } else { 500 }];
    let mut largest = 0;
    for round in 0..150_u64 {
        for chunk in 0..10 {
            let keys = chunk * 100..(chunk + 1) * 100;
            let mut records: Vec<Record> = keys.map(|key| put(round * 1_000 + key, key, value(round, key))).collect();
            records.push(Record::Forgot { incarnation: Incarnation(1), below: round * 1_000 + chunk * 100 });
            engine.append(&records).unwrap();
        }
        engine.sync().unwrap();
        largest = size(directory.path()).max(largest);
    }
    // Usually 5 MB; sled gives space back in the background, so now and then it is some more.
    assert!(largest < 50_000_000, "{largest} bytes for 1 MB of data, written 150 times");
    drop(engine);
    let snapshot = open_in(directory.path()).snapshot;
    assert_eq!(snapshot.records.len(), 1_000);
    assert!(snapshot.records.values().all(|stored| stored.value[0] == 149));
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_copy_as_of_the_last_sync_recovers_all_that_was_synced() {
    let directory = tempfile::tempdir().unwrap();
    let Opened { mut engine, snapshot: mut expected, .. } = open_in(&directory.path().join("live"));
    let mut records = Records::new(3);
    for round in 0..12 {
        let group = records.group(round);
        group.iter().for_each(|record| expected.fold(record));
        engine.append(&group).unwrap();
        engine.sync().unwrap();
        let frozen = directory.path().join(round.to_string());
        copy(&directory.path().join("live"), &frozen);
        // Goes on after the copy; the copy must not care.
        assert!(open_in(&frozen).snapshot == conformance::shown(&expected), "round {round}");
    }
}

/// The groups that are written after the last sync, the ways in which the file `db` ends then, and what may be there.
struct Torn {
    live: PathBuf,
    /// All files as they were right before all groups were synced: what the engine removes once it has them is still there.
    before: PathBuf,
    /// The file `db` as of the last sync, and the note of that sync.
    synced: Vec<u8>,
    noted: Vec<u8>,
    /// The file `db` with all groups.
    whole: Vec<u8>,
    /// Where the two begin to differ.
    from: usize,
    /// What a recovery may find: all that was synced and any number of the groups after it.
    prefixes: Vec<Snapshot>,
}

impl Torn {
    fn new(directory: &Path, groups: u64) -> Self {
        let live = directory.join("live");
        let Opened { mut engine, mut snapshot, .. } = open_in(&live);
        let mut records = Records::new(11);
        for round in 0..10 {
            let group = records.group(round);
            group.iter().for_each(|record| snapshot.fold(record));
            engine.append(&group).unwrap();
        }
        engine.sync().unwrap();
        let synced = fs::read(live.join("log/db")).unwrap();
        let noted = fs::read(live.join("log/synced")).unwrap();
        let mut prefixes = vec![snapshot.clone()];
        for round in 10..10 + groups {
            let group: Vec<Record> = (0..3).flat_map(|_| records.group(round)).collect();
            group.iter().for_each(|record| snapshot.fold(record));
            engine.append(&group).unwrap();
            prefixes.push(snapshot.clone());
        }
        let before = directory.join("before");
        copy(&live, &before);
        engine.sync().unwrap();
        let whole = fs::read(live.join("log/db")).unwrap();
        let from = synced.iter().zip(&whole).position(|(before, after)| before != after).unwrap_or(synced.len());
        assert!(from < whole.len(), "nothing was written after the sync");
        Torn { live, before, synced, noted, whole, from, prefixes }
    }

    /// How many of the groups are found when the file is this instead; `None` if it is refused as damaged.
    fn recover(&self, directory: &Path, name: &str, db: Vec<u8>) -> Option<usize> {
        let broken = directory.join(name);
        copy(&self.before, &broken);
        copy(&self.live, &broken);
        fs::write(broken.join("log/db"), db).unwrap();
        fs::write(broken.join("log/synced"), &self.noted).unwrap();
        let snapshot = match open(&broken, ALWAYS, Salvage::default()) {
            Ok(opened) => opened.snapshot,
            Err(DiskError::Damaged { .. }) => return None,
            Err(error) => panic!("{name}: {error}"),
        };
        fs::remove_dir_all(broken).unwrap();
        let found = self.prefixes.iter().position(|prefix| conformance::shown(prefix) == snapshot);
        Some(found.unwrap_or_else(|| panic!("{name}: something synced is missing, and nobody noticed")))
    }

    /// So many places from where the synced part ends.
    fn cuts(&self, count: usize) -> impl Iterator<Item = usize> {
        let (from, length) = (self.from, self.whole.len() - self.from);
        (0..count).map(move |step| from + length * step / count)
    }
}

/// What is found with the tail torn in these ways at so many places, when so many groups were written after the last sync.
fn torn(groups: u64, cuts: usize) -> Vec<Option<usize>> {
    let directory = tempfile::tempdir().unwrap();
    let torn = Torn::new(directory.path(), groups);
    let whole = &torn.whole;
    let mut found = Vec::new();
    for cut in torn.cuts(cuts) {
        // Only what was written since the sync can be torn; behind it may lie what was synced long ago.
        let tear = |torn_byte: &dyn Fn(usize) -> u8| -> Vec<u8> {
            let unsynced = |at: usize| torn.synced.get(at) != Some(&whole[at]);
            (0..whole.len()).map(|at| if at >= cut && unsynced(at) { torn_byte(at) } else { whole[at] }).collect()
        };
        let ends: [(&str, Vec<u8>); 3] = [
            ("unwritten", tear(&|at| torn.synced.get(at).copied().unwrap_or(0))),
            ("zeroed", tear(&|_| 0)),
            ("garbled", tear(&|at| whole[at] ^ 0x5a)),
        ];
        found.extend(ends.map(|(how, db)| torn.recover(directory.path(), &format!("{how} at {cut}"), db)));
    }
    found
}

/// Nothing is appended before the last group is synced, so a crash tears one group only: it is gone, and no more. When the engine
/// removes and writes over what it needs no more is up to its own threads; should they do so in the middle of that group, the log
/// is refused, and another one must show it.
fn one_group_is_gone_and_no_more(tear: impl Fn() -> Vec<Option<usize>>) {
    let mut all = Vec::new();
    for _ in 0..3 {
        let found = tear();
        if found.contains(&Some(0)) && !found.contains(&None) {
            return;
        }
        println!("of a log of which one group was torn was found: {found:?}");
        all.push(found);
    }
    panic!("{all:?}");
}

#[test]
fn a_torn_or_garbled_tail_loses_nothing_that_was_synced() {
    one_group_is_gone_and_no_more(|| torn(1, 20));
    // Of a log that is synced at an interval more may be torn, synced parts that were written over included. Not all of it can
    // be read again, but what can't is refused. What the engine wrote over by then is up to its own threads: once in a while
    // it is so much that nothing can be read, which shows nothing.
    let is_readable = (0..10).any(|_| torn(10, 10).iter().any(Option::is_some));
    assert!(is_readable, "no tear of ten logs left anything that could be read");
}

#[test]
fn a_page_missing_from_the_last_group_takes_the_group_with_it_and_nothing_else() {
    one_group_is_gone_and_no_more(|| {
        let directory = tempfile::tempdir().unwrap();
        let torn = Torn::new(directory.path(), 1);
        let hole = |cut: usize| {
            let mut db = torn.whole.clone();
            for at in cut..(cut + 4096).min(db.len()) {
                db[at] = torn.synced.get(at).copied().unwrap_or(0);
            }
            torn.recover(directory.path(), &format!("hole at {cut}"), db)
        };
        torn.cuts(30).map(hole).collect()
    });
}

/// Set for the child that writes under the eyes of strace: the directory.
const TRACED: &str = "SKEIN_TEST_TRACED_LOG";

#[test]
fn the_kernel_is_asked_to_sync_between_the_last_write_and_the_report() {
    #[allow(clippy::disallowed_methods, reason = "the test speaks to its own child")]
    let traced = std::env::var_os(TRACED);
    if let Some(data) = traced {
        return write_traced(Path::new(&data));
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let test = std::thread::current().name().unwrap().to_owned();
    let traced = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync,sync_file_range,mkdir,openat", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(TRACED, directory.path().join("data"))
        .output()
        .expect("strace runs (the package strace is installed)");
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stderr));
    let trace = fs::read_to_string(trace).unwrap();
    check_trace(&trace);
    // The check itself finds a sync that is missing.
    let without: String = trace.lines().filter(|line| !line.contains("fdatasync")).flat_map(|line| [line, "\n"]).collect();
    assert!(std::panic::catch_unwind(|| check_trace(&without)).is_err());
}

/// Writes groups, small and large, and says on standard error when each is reported.
fn write_traced(data: &Path) {
    let registry = Registry::new();
    let metrics = RuntimeMetrics::register(&registry, "0", "0").unwrap().node("traced");
    let mut log = LogThread::start(Log { engine: open_in(data).engine, sync: ALWAYS }, metrics);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for group in 0..20_u64 {
        let bytes = if group % 2 == 0 { 100 } else { 60_000 };
        let mut records: Vec<Record> = (0..4).map(|key| put(group, group * 4 + key, vec![7; bytes])).collect();
        log.append(&mut records);
        let mut reported = 0;
        while reported < 4 {
            reported += runtime.block_on(std::future::poll_fn(|cx| log.poll_persisted(cx))).unwrap();
        }
        eprintln!("reported {group}");
    }
    log.close().unwrap();
}

fn check_trace(trace: &str) {
    let mut unsynced: BTreeSet<&str> = BTreeSet::new();
    let (mut reports, mut blobs, mut writes) = (0, 0, 0);
    for line in trace.lines() {
        let path = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path);
        let call = line.split_whitespace().nth(1).unwrap_or_default();
        match path {
            Some(path) if path.ends_with("/log/db") || path.contains("/log/blobs/") => {
                if call.starts_with("pwrite64") || call.starts_with("write") {
                    unsynced.insert(path);
                    writes += 1;
                    blobs += usize::from(path.contains("/blobs/"));
                } else if call.starts_with("fdatasync") || call.starts_with("fsync") {
                    assert!(line.contains("= 0") || line.contains("unfinished"), "{line}");
                    unsynced.remove(path);
                }
            }
            _ if line.contains("\"reported ") => {
                assert!(unsynced.is_empty(), "{unsynced:?} not synced before {line}");
                reports += 1;
            }
            _ => {}
        }
    }
    assert_eq!(reports, 20);
    assert!(writes >= 20 && blobs > 0, "{writes} writes, {blobs} to blobs");
    for synced in ["/log/conf>", "/log>", "/log/blobs>"] {
        assert!(trace.lines().any(|line| line.contains("fsync(") && line.contains(synced)), "{synced} was not synced");
    }
}

#[test]
fn what_was_synced_and_is_damaged_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let live = directory.path().join("live");
    let Opened { mut engine, snapshot: mut expected, .. } = open_in(&live);
    let mut records = Records::new(11);
    for round in 0..60 {
        let group = records.group(round);
        group.iter().for_each(|record| expected.fold(record));
        engine.append(&group).unwrap();
    }
    engine.sync().unwrap();
    drop(engine);
    let whole = fs::read(live.join("log/db")).unwrap();
    let mut refused = 0;
    for at in (0..40).map(|step| whole.len() * step / 40) {
        let broken = directory.path().join(at.to_string());
        copy(&live, &broken);
        let mut bytes = whole.clone();
        bytes[at..(at + 64).min(whole.len())].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(broken.join("log/db"), bytes).unwrap();
        match open(&broken, ALWAYS, Salvage::default()) {
            // Not every byte is still needed.
            Ok(opened) => assert!(
                opened.snapshot == conformance::shown(&expected),
                "garbled at {at}: something is missing and nobody noticed"
            ),
            Err(DiskError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("garbled at {at}: {error}"),
        }
    }
    assert!(refused > 0, "no damage did any harm");
}
