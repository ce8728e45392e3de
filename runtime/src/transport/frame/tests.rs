//! What frames promise: many messages in one, none lost or changed, and no bytes from outside that do harm. The corpus of the
//! fuzzer is replayed here.

use skein_protocol::id::{Incarnation, TxnId, ViewNumber};
use skein_protocol::message::{Outcome, Prepare};
use skein_protocol::operation::{Action, Expect, Key, Operation, TableId};

use super::super::bulk::{Bulk, PART_BYTES_MAX};
use super::*;

fn decide(sequence: u64) -> Message {
    let txn = TxnId { incarnation: Incarnation(1), sequence };
    Message::Decide { txn, view: ViewNumber(2), outcome: Outcome::Committed, versions: vec![] }
}

fn prepare(value_bytes: usize) -> Message {
    let txn = TxnId { incarnation: Incarnation(1), sequence: 1 };
    let age = skein_protocol::id::Age { stamp: 5, incarnation: Incarnation(1) };
    let action = Action::Put(vec![7; value_bytes].into());
    let operations = vec![Operation { key: Key::new(TableId(1), "k"), expect: Expect::Any, action }];
    Message::Prepare(Prepare { txn, age, view: ViewNumber(2), operations, trace: None })
}

fn read_all(mut bytes: &[u8]) -> Vec<Vec<Message>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Decoded::Frame { kind: FrameKind::Messages, body } = decode(bytes).unwrap() else { panic!("no frame") };
        frames.push(messages(body).unwrap());
        bytes = &bytes[HEADER_BYTES + body.len()..];
    }
    frames
}

#[test]
fn what_was_queued_goes_out_as_one_frame_and_comes_back() {
    let mut frames = Frames::default();
    for round in 0..2 {
        let sent: Vec<Message> = (round..100).map(decide).collect();
        sent.iter().for_each(|message| frames.push(message).unwrap());
        assert_eq!((frames.frames(), frames.messages()), (1, sent.len()));
        frames.seal();
        assert_eq!(read_all(frames.bytes()), [sent]);
        frames.clear();
        assert!(frames.is_empty());
    }
}

#[test]
fn a_long_queue_is_split_and_a_message_too_long_leaves_no_trace() {
    let overhead = postcard::to_allocvec(&prepare(FRAME_BYTES_MAX)).unwrap().len() - FRAME_BYTES_MAX;
    let longest = prepare(FRAME_BYTES_MAX - overhead);
    let mut frames = Frames::default();
    frames.push(&decide(1)).unwrap();
    frames.push(&longest).unwrap();
    assert!(matches!(frames.push(&prepare(FRAME_BYTES_MAX)), Err(MessageTooLong(_))));
    frames.push(&decide(2)).unwrap();
    assert!(matches!(Frames::default().push(&prepare(FRAME_BYTES_MAX)), Err(MessageTooLong(_))));
    frames.seal();
    let read = read_all(frames.bytes());
    assert_eq!(read, [vec![decide(1)], vec![longest], vec![decide(2)]]);

    let mut first = Frames::default();
    first.push(&prepare(FRAME_BYTES_MAX)).unwrap_err();
    assert!(first.is_empty() && first.bytes().is_empty());
    (0..64).for_each(|_| first.push(&prepare(64 * 1024)).unwrap());
    assert!(first.frames() > 10, "{} frames", first.frames());
    first.seal();
    assert_eq!(read_all(first.bytes()).concat().len(), 64);
}

#[test]
fn a_frame_has_so_many_messages_and_no_more() {
    let short = Message::Activated { view: ViewNumber(1) };
    let mut frames = Frames::default();
    for _ in 0..2 {
        (0..=FRAME_MESSAGES_MAX).for_each(|_| frames.push(&short).unwrap());
        frames.seal();
        let lengths: Vec<usize> = read_all(frames.bytes()).iter().map(Vec::len).collect();
        assert_eq!(lengths, [FRAME_MESSAGES_MAX, 1]);
        frames.clear();
    }
    let one = postcard::to_allocvec(&short).unwrap();
    assert_eq!(messages(&one.repeat(FRAME_MESSAGES_MAX)).map(|messages| messages.len()), Ok(FRAME_MESSAGES_MAX));
    assert_eq!(messages(&one.repeat(FRAME_MESSAGES_MAX + 1)), Err(Fault::FrameTooLong));
}

#[test]
fn every_kind_of_broken_frame_is_told_apart() {
    let mut frames = Frames::default();
    frames.push(&decide(1)).unwrap();
    frames.seal();
    let good = frames.bytes().to_vec();
    let broken = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(decode(&broken(3, 0xff)), Err(Fault::FrameTooLong));
    assert_eq!(decode(&broken(4, 9)), Err(Fault::Version));
    assert_eq!(decode(&broken(5, 7)), Err(Fault::Undecodable));
    assert_eq!(decode(&broken(6, !good[6])), Err(Fault::Checksum));
    assert_eq!(decode(&broken(12, !good[12])), Err(Fault::Checksum));
    for cut in 0..good.len() {
        assert!(matches!(decode(&good[..cut]), Ok(Decoded::Incomplete(needed)) if needed > cut));
    }
    assert_eq!(messages(&[0xff; 8]), Err(Fault::Undecodable));
    assert_eq!(messages(&good[HEADER_BYTES..good.len() - 1]), Err(Fault::Undecodable));
}

/// Bytes of every kind that a decoder meets: where the corpus begins.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut one = Frames::default();
    one.push(&decide(1)).unwrap();
    one.seal();
    let mut many = Frames::default();
    many.push(&prepare(300)).unwrap();
    (0..5).for_each(|sequence| many.push(&decide(sequence)).unwrap());
    many.seal();
    let heartbeat = frame_header(FrameKind::Heartbeat, &[]).to_vec();
    let mut newer = one.bytes().to_vec();
    newer[4] = PROTOCOL_VERSION + 1;
    let mut garbled = many.bytes().to_vec();
    garbled[20] ^= 0xff;
    let mut too_long = heartbeat.clone();
    too_long[3] = 0xff;
    let mut bulk = Bulk::default();
    bulk.push(&prepare(3 * PART_BYTES_MAX / 2)).unwrap();
    let mut parts = Vec::new();
    while bulk.take_part(&mut parts).is_some() {}
    let worker = Hello::new(skein_protocol::step::Role::Worker, skein_protocol::id::NodeId(5), None);
    let worker = Hello { nonce: [9; 32], ..worker }.encode().to_vec();
    vec![
        ("one-message", one.bytes().to_vec()),
        ("many-messages", many.bytes().to_vec()),
        ("two-frames", [many.bytes(), one.bytes()].concat()),
        ("heartbeat-then-message", [&heartbeat, one.bytes()].concat()),
        ("body-alone", many.bytes()[HEADER_BYTES..].to_vec()),
        ("truncated", many.bytes()[..many.bytes().len() - 3].to_vec()),
        ("newer-version", newer),
        ("garbled", garbled),
        ("too-long", too_long),
        ("two-parts", parts),
        ("hello", worker),
        ("http", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
    ]
}

#[test]
#[allow(clippy::disallowed_methods)] // Whoever changes the format says so by it.
fn the_corpus_of_the_fuzzer_does_no_harm_and_holds_every_kind() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/frames");
    if std::env::var_os("SKEIN_ACCEPT").is_some() {
        seeds().into_iter().for_each(|(name, bytes)| std::fs::write(format!("{corpus}/{name}"), bytes).unwrap());
    }
    let mut found: Vec<Vec<u8>> = Vec::new();
    for entry in std::fs::read_dir(corpus).unwrap() {
        found.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    found.iter().for_each(|bytes| replay(bytes));
    for (name, bytes) in seeds() {
        assert!(found.contains(&bytes), "{name} is not in the corpus, or the format has changed: {bytes:02x?}");
    }
}

#[test]
fn bytes_changed_at_random_do_no_harm() {
    let mut state = 1_u64;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % end as u64) as usize
    };
    for (_, seed) in seeds() {
        for _ in 0..2_000 {
            let mut bytes = seed.clone();
            for _ in 0..=below(4) {
                let at = below(bytes.len());
                bytes[at] = below(256) as u8;
            }
            bytes.truncate(below(bytes.len()) + 1);
            replay(&bytes);
        }
    }
}
