//! A disk that is full: a log stops before it comes to that, is not touched while it lasts, and holds all that was synced once
//! there is room again. The disk is a small one in memory, which only root can mount; without root there is nothing to test.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use super::super::super::thread::Failure;
use super::*;

/// A mounted disk of so many megabytes.
struct Disk {
    at: tempfile::TempDir,
}

impl Disk {
    /// None where the tests don't run as root.
    fn mount(megabytes: u32) -> Option<Disk> {
        let at = tempfile::tempdir().unwrap();
        if at.path().metadata().unwrap().uid() != 0 {
            return None;
        }
        run("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "skein-test"], at.path());
        Some(Disk { at })
    }

    fn enlarge(&self, megabytes: u32) {
        run("mount", &["-o", &format!("remount,size={megabytes}m")], self.at.path());
    }

    /// Leaves not a byte free.
    fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.at.path().join("filler")).unwrap();
        while filler.write_all(&[7; 4096]).map_err(|error| assert_eq!(error.kind(), ErrorKind::StorageFull)).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.at.path());
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let ran = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(ran.status.success(), "{program} {}: {}", path.display(), String::from_utf8_lossy(&ran.stderr));
}

/// All files below, and what is in them.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    walk(directory).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Appends and syncs until it is refused.
fn append_until_full(engine: &mut dyn Wal, expected: &mut Snapshot) -> DiskError {
    for key in 0.. {
        let record = put(key, key, vec![key as u8; if key % 7 == 0 { 200_000 } else { 9_000 }]);
        if let Err(error) = engine.append(std::slice::from_ref(&record)) {
            assert!(key > 100, "refused after {key} records: {error}");
            return error;
        }
        expected.fold(&record);
        engine.sync().unwrap();
    }
    unreachable!("keys do not end")
}

#[test]
fn a_full_disk_costs_nothing_that_was_synced() {
    let Some(disk) = Disk::mount(56) else { return };
    let data = disk.at.path().join("data");
    let Opened { mut engine, snapshot: mut expected, .. } = open_in(&data);
    let error = append_until_full(engine.as_mut(), &mut expected);
    assert!(matches!(error, DiskError::Full { .. }), "{error}");
    drop(engine);

    disk.fill();
    let before = contents(&data);
    for _ in 0..3 {
        let error = error_of(&data, ALWAYS);
        assert!(matches!(error, DiskError::Full { free: 0, .. }), "{error}");
    }
    assert!(contents(&data) == before, "the log was touched on a full disk");

    disk.enlarge(256);
    assert!(open_in(&data).snapshot == expected, "something synced is missing");
}

#[test]
fn a_log_synced_at_an_interval_is_closed_in_order_before_the_disk_is_full() {
    let Some(disk) = Disk::mount(48) else { return };
    let data = disk.at.path().join("data");
    let Opened { engine, snapshot: mut expected, .. } = open(&data, INTERVAL, Salvage::default()).unwrap();
    let registry = Registry::new();
    let metrics = RuntimeMetrics::register(&registry, "0", "0").unwrap().node("full");
    let mut log = LogThread::start(Log { engine, sync: INTERVAL }, metrics);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut key = 0;
    let reason = loop {
        let record = put(key, key, vec![7; 50_000]);
        log.append(&mut vec![record.clone()]);
        match runtime.block_on(std::future::poll_fn(|cx| log.poll_persisted(cx))) {
            Ok(_) => expected.fold(&record),
            Err(Failure::Final(reason)) => break reason,
            Err(other) => panic!("{other:?}"),
        }
        key += 1;
    };
    assert!(key > 100 && reason.contains("make room"), "{reason} after {key} records");
    drop(log);

    disk.enlarge(64);
    let Opened { snapshot, recovery, engine } = open(&data, INTERVAL, Salvage::default()).unwrap();
    assert!(snapshot == expected && recovery.clean && recovery.set_aside.is_none(), "{recovery:?}");
    // It is not closed in order now, but that is for one to judge who can open it.
    drop(engine);
    disk.fill();
    assert!(matches!(error_of(&data, INTERVAL), DiskError::Full { .. }));
    assert!(data.join("log").join(MARK).exists() && !data.join("log.set-aside.1").exists());
}

#[test]
fn a_log_that_found_the_disk_full_after_all_ends_and_holds_what_was_synced() {
    let Some(disk) = Disk::mount(64) else { return };
    let data = disk.at.path().join("data");
    let Opened { mut engine, snapshot: mut expected, .. } = open_in(&data);
    let groups = (0..60).map(|key| put(key, key, vec![7; 30_000]));
    for record in groups {
        expected.fold(&record);
        engine.append(&[record]).unwrap();
    }
    engine.sync().unwrap();
    // Somebody else takes all there is, between two looks.
    disk.fill();
    let mut key = 60;
    let (error, unsynced) = loop {
        let record = put(key, key, vec![7; 30_000]);
        let mut with = expected.clone();
        with.fold(&record);
        match engine.append(&[record]).and_then(|_| engine.sync()) {
            Ok(()) => (expected, key) = (with, key + 1),
            Err(error) => break (error, with),
        }
    };
    assert!(matches!(&error, DiskError::Io { error, .. } if error.kind() == ErrorKind::StorageFull), "{error}");
    // The engine that failed keeps its lock as long as its process lives, so it is a copy that is opened.
    drop(engine);
    let kept = tempfile::tempdir().unwrap();
    copy(&data, kept.path());
    let found = open_in(kept.path()).snapshot;
    assert!(found == expected || found == unsynced, "something synced is missing");
}

#[test]
fn a_copy_begins_only_where_there_is_room_to_keep_the_one_before() {
    let Some(disk) = Disk::mount(48) else { return };
    let data = disk.at.path().join("data");
    let Opened { mut engine, snapshot: mut expected, .. } = open_in(&data);
    let held: Vec<Record> =
        std::iter::once(sealed(1, Standing::Member)).chain((0..100).map(|key| put(key, key, vec![7; 50_000]))).collect();
    for record in held {
        expected.fold(&record);
        engine.append(&[record]).unwrap();
    }
    engine.sync().unwrap();
    let error = engine.append(&[sealed(2, Standing::Learner)]).unwrap_err();
    assert!(matches!(error, DiskError::NoRoomToStartOver { .. }), "{error}");
    engine.close().unwrap();
    drop(engine);
    let Opened { snapshot, mut engine, recovery } = open_in(&data);
    assert!(snapshot == expected && recovery.clean && recovery.keeps.is_none(), "it was touched: {recovery:?}");

    disk.enlarge(96);
    engine.append(&[sealed(2, Standing::Learner)]).unwrap();
    engine.close().unwrap();
    drop(engine);
    assert!(open_in(&data).recovery.keeps.is_some());
}
