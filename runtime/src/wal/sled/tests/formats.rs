//! Logs of other programs: those of earlier ones are read, and those of newer ones stay as they are.

use skein_protocol::id::Age;
use skein_protocol::operation::{Action, Expect, Operation};

use super::*;
use crate::disk::fixture;

/// A record of every kind, as a worker has them that was a member and is a learner now.
fn records() -> Vec<Record> {
    let txn = |sequence| TxnId { incarnation: Incarnation(3), sequence };
    let key = |text: &str| Key::new(TableId(1), text);
    let stored =
        |text: &str, version| (key(text), Stored::new(&key(text), Version(version), txn(version), b"value".as_slice().into()));
    let view = |number| ViewId { number: ViewNumber(number), writer: Writer { run: Incarnation(3), node: NodeId(9) } };
    let operation = Operation { key: key("c"), expect: Expect::Absent, action: Action::Put(b"new".as_slice().into()) };
    let prepared = Prepared {
        txn: txn(20),
        age: Age { stamp: 50, incarnation: Incarnation(3) },
        view: ViewNumber(5),
        operations: vec![operation],
        versions: vec![Version(60)],
    };
    let (new, gone) = (stored("a", 10), stored("b", 11));
    let writes = vec![Write { key: new.0, stored: Some(new.1) }, Write { key: gone.0, stored: None }];
    vec![
        Record::Bound { cluster: ClusterId(1 << 100) },
        Record::Sealed { view: view(4), standing: Standing::Member, last_active: None },
        put(1, 1, b"of a member".to_vec()),
        Record::Sealed { view: view(5), standing: Standing::Learner, last_active: Some(view(4)) },
        Record::Copied { records: vec![stored("a", 8), stored("b", 9)], stamp: 40 },
        Record::Committed { txn: txn(10), view: ViewNumber(5), writes },
        Record::Aborted { txn: txn(12), view: ViewNumber(5) },
        Record::Prepared(prepared),
        Record::Forgot { incarnation: Incarnation(2), below: 100 },
        Record::Activated { view: view(5) },
        Record::Outvoted,
    ]
}

#[test]
fn logs_that_earlier_programs_wrote_are_read() {
    let written = tempfile::tempdir().unwrap();
    let mut engine = open_in(written.path()).engine;
    engine.append(&records()).unwrap();
    engine.sync().unwrap();
    drop(engine);
    fixture::keep(&format!("log-{}", FORMATS.end()), &written.path().join("log"));

    for format in 5..=*FORMATS.end() {
        let directory = tempfile::tempdir().unwrap();
        fixture::restore(&format!("log-{format}"), &directory.path().join("log"));
        let Opened { snapshot, recovery, .. } = open_in(directory.path());
        let mut expected = Snapshot::new(snapshot.node);
        records().iter().for_each(|record| expected.fold(record));
        assert_eq!(snapshot, conformance::shown(&expected));
        assert_eq!((recovery.keeps, recovery.created, recovery.clean), (Some(ViewNumber(4)), false, false));
    }
}

/// A log that a newer program wrote, which may lack its end, in front of an older one that was set aside.
fn newer() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (log, aside) = (directory.path().join("log"), directory.path().join("log.set-aside.1"));
    let mut engine = open_in(directory.path()).engine;
    engine.append(&[sealed(1, Standing::Member)]).unwrap();
    engine.close().unwrap();
    drop(engine);
    fs::rename(&log, &aside).unwrap();
    let mut database = Database::open(&log, FORMATS.end() + 1..=FORMATS.end() + 1, |_, _| Ok(())).unwrap();
    database.put(b"\0what this program does not know", b"1".as_slice());
    database.apply().unwrap();
    database.sync().unwrap();
    drop(database);
    File::create(log.join(MARK)).unwrap();
    directory
}

#[test]
fn a_log_of_a_newer_format_is_left_as_it_is() {
    let discard = Salvage { accept_incomplete: false, discard_damaged: true };
    for (policy, salvage) in
        [(ALWAYS, Salvage::default()), (INTERVAL, Salvage::default()), (ALWAYS, conformance::ACCEPT), (INTERVAL, discard)]
    {
        let directory = newer();
        let names = || {
            let names =
                |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
            (names(directory.path()), directory.path().join("log").join(MARK).exists())
        };
        let log = directory.path().join("log");
        let before = (names(), fixture::entries(&log), fixture::entries(&directory.path().join("log.set-aside.1")));
        let Err(error) = open(directory.path(), policy, salvage) else { panic!("it was opened") };
        assert!(error.is_newer() && error.to_string().contains("use a newer Skein"), "{error}");
        let after = (names(), fixture::entries(&log), fixture::entries(&directory.path().join("log.set-aside.1")));
        assert_eq!(after, before);
    }
}

#[test]
fn a_log_of_a_newer_format_is_not_passed_over_for_an_older_one() {
    let directory = newer();
    assert!(newest_of_a_member(directory.path()).unwrap_err().is_newer());
    let view = skein_protocol::membership::view::View { number: ViewNumber(1), writer: Writer::UNKNOWN, shards: Vec::new() };
    fs::remove_file(directory.path().join("log").join(MARK)).unwrap();
    assert!(holds_all(directory.path(), &view).unwrap_err().is_newer());
}
