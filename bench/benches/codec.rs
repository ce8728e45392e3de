//! What a message costs on the wire: into a frame, and out of it again.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use skein_protocol::id::{Age, Incarnation, TxnId, ViewNumber};
use skein_protocol::message::{Message, Outcome, Prepare};
use skein_protocol::operation::{Action, Expect, Key, Operation, TableId};
use skein_runtime::transport::frame::{Decoded, Frames, decode, messages};

/// Messages of one frame, about as many as a busy connection gathers.
const MESSAGES: u64 = 32;

fn prepare(sequence: u64) -> Message {
    let txn = TxnId { incarnation: Incarnation(1), sequence };
    let age = Age { stamp: 1_763_617_739_250_000, incarnation: Incarnation(1) };
    let action = Action::Put(vec![b'x'; 200].into());
    let operations = vec![Operation { key: Key::new(TableId(1), [7; 16].as_slice()), expect: Expect::Absent, action }];
    Message::Prepare(Prepare { txn, age, view: ViewNumber(2), operations, trace: None })
}

fn decide(sequence: u64) -> Message {
    let txn = TxnId { incarnation: Incarnation(1), sequence };
    Message::Decide { txn, view: ViewNumber(2), outcome: Outcome::Committed, versions: vec![] }
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(MESSAGES));
    for (name, message) in [("prepare", prepare as fn(u64) -> Message), ("decide", decide)] {
        let sent: Vec<Message> = (0..MESSAGES).map(message).collect();
        let mut frames = Frames::default();
        let mut fill = || {
            frames.clear();
            sent.iter().for_each(|message| frames.push(message).expect("it fits"));
            frames.seal();
            frames.bytes().to_vec()
        };
        let bytes = fill();
        group.bench_function(format!("{name}, {MESSAGES} into a frame"), |bench| bench.iter(&mut fill));
        group.bench_function(format!("{name}, {MESSAGES} out of a frame"), |bench| {
            bench.iter(|| {
                let Ok(Decoded::Frame { body, .. }) = decode(black_box(&bytes)) else { panic!("a whole frame") };
                messages(body).expect("whole messages")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
