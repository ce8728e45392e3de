//! What the log costs: a group of transactions as a busy worker hands them over, appended and synced.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skein_protocol::id::{Age, Incarnation, TxnId, Version, ViewNumber};
use skein_protocol::operation::{Action, Expect, Key, Operation, Shared, TableId};
use skein_protocol::record::{Prepared, Record, Stored, Write};
use skein_runtime::wal::{Salvage, SyncPolicy, sled};

/// Transactions of one group.
const TRANSACTIONS: u64 = 32;

/// What a worker logs of the transactions from this sequence on: each is prepared, then committed.
fn group(from: u64) -> Vec<Record> {
    let view = ViewNumber(1);
    let txn = |sequence| TxnId { incarnation: Incarnation(1), sequence };
    let key = |sequence: u64| Key::new(TableId(1), (u128::from(sequence) << 64).to_be_bytes().as_slice());
    let value = Shared::from(vec![b'x'; 200]);
    let prepared = (from..from + TRANSACTIONS).map(|sequence| {
        let operations = vec![Operation { key: key(sequence), expect: Expect::Absent, action: Action::Put(value.clone()) }];
        let age = Age { stamp: sequence, incarnation: Incarnation(1) };
        Record::Prepared(Prepared { txn: txn(sequence), age, view, operations, versions: vec![Version(sequence)] })
    });
    // Decisions come a group after the votes.
    let committed = (from.saturating_sub(TRANSACTIONS)..from).map(|sequence| {
        let stored = Stored::new(&key(sequence), Version(sequence), txn(sequence), value.clone());
        Record::Committed { txn: txn(sequence), view, writes: vec![Write { key: key(sequence), stored: Some(stored) }] }
    });
    let forgot = Record::Forgot { incarnation: Incarnation(1), below: from.saturating_sub(4_096) };
    let forgotten = (from % 4_096 == 0 && from > 4_096).then_some(forgot);
    prepared.chain(committed).chain(forgotten).collect()
}

fn log(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = sled::open(directory.path(), SyncPolicy::Always, Salvage::default()).expect("a new log").engine;
    let mut next = 0;
    let mut some = || {
        next += TRANSACTIONS;
        group(next)
    };
    let mut measured = criterion.benchmark_group("log");
    measured.throughput(Throughput::Elements(TRANSACTIONS));
    measured.bench_function(format!("append {TRANSACTIONS} transactions"), |bench| {
        bench.iter_batched(&mut some, |records| engine.append(&records).expect("the disk works"), BatchSize::PerIteration);
    });
    measured.bench_function(format!("append {TRANSACTIONS} transactions and sync"), |bench| {
        bench.iter_batched(
            &mut some,
            |records| {
                engine.append(&records).expect("the disk works");
                engine.sync().expect("the disk works");
            },
            BatchSize::PerIteration,
        );
    });
    measured.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
