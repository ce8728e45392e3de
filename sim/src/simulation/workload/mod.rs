//! What clients do: registers with expectations, bank transfers, appends to several lists, sets, scans, tweets as the
//! product makes them. Each run has its own mix. Every value begins with the number of the call that wrote it, so that
//! whoever reads it knows where it is from.

mod append;
pub(crate) mod bank;
mod registers;
mod scans;
mod sets;
mod tweets;

use skein_protocol::id::Version;
use skein_protocol::operation::{Action, Expect, Key, Operation, Query, Shared, TableId};

pub(crate) use tweets::OncePost;

use super::client::{Client, Seen};
use super::ledger::CallId;
use super::oracle::Ask;
use super::queue::Time;
use super::random::Random;

pub(crate) const REGISTERS: TableId = TableId(1);
pub(crate) const ACCOUNTS: TableId = TableId(2);
pub(crate) const LISTS: TableId = TableId(3);
pub(crate) const SETS: TableId = TableId(4);
pub(crate) const TWEETS: TableId = TableId(5);
pub(crate) const CLAIMS: TableId = TableId(6);

/// All tables that are read as ranges.
pub(crate) const TABLES: [TableId; 6] = [REGISTERS, ACCOUNTS, LISTS, SETS, TWEETS, CLAIMS];

/// How much of each workload a run has, and how narrow it is.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    weights: [u64; 8],
    registers: u64,
    accounts: u64,
    lists: u64,
}

impl Weights {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut weights = [0; 8];
        while weights[..6].iter().sum::<u64>() == 0 {
            weights = std::array::from_fn(|_| if random.chance(600) { random.magnitude(1, 16) } else { 0 });
        }
        weights[6] = weights[6].min(2);
        weights[7] = weights[7].min(2);
        Weights { weights, registers: random.between(1, 6), accounts: random.between(2, 6), lists: random.between(1, 4) }
    }
}

/// The next thing that a client asks.
pub(crate) fn next(weights: &Weights, random: &mut Random, client: &mut Client, call: CallId, now: Time) -> Ask {
    if let Some(txn) = client.doubt
        && random.chance(300)
    {
        return Ask::Outcome(txn);
    }
    let mut place = random.below(weights.weights.iter().sum());
    let workload = weights.weights.iter().position(|weight| {
        let here = place < *weight;
        place = place.saturating_sub(*weight);
        here
    });
    match workload.unwrap_or(0) {
        0 => registers::next(random, client, weights.registers, call),
        1 => bank::next(random, client, weights.accounts, call),
        2 => append::next(random, client, weights.lists, call),
        3 => sets::next(random, client, call),
        4 | 5 => tweets::next(random, client, call, now),
        6 => scans::next(random),
        _ => Ask::Digests,
    }
}

/// A write that depends on nothing.
pub(crate) fn plain_write(call: CallId) -> Ask {
    Ask::Commit(vec![put(Key::new(REGISTERS, "plain"), Expect::Any, value(call, b"written"))])
}

/// A value: the call that writes it, then its content.
fn value(call: CallId, content: &[u8]) -> Shared {
    let mut bytes = call.to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.into()
}

/// The content of a value.
pub(crate) fn content(value: &Shared) -> &[u8] {
    value.get(4..).unwrap_or_default()
}

fn put(key: Key, expect: Expect, value: Shared) -> Operation {
    Operation { key, expect, action: Action::Put(value) }
}

/// Expects a record to be as it was seen.
fn as_seen(seen: &Seen) -> Expect {
    seen.as_ref().map_or(Expect::Absent, |(version, _)| Expect::Version(*version))
}

/// An expectation that may or may not hold.
fn any_expectation(random: &mut Random, seen: Option<&Seen>) -> Expect {
    match (random.below(8), seen) {
        (0, _) => Expect::Absent,
        (1, _) => Expect::Present,
        (2, _) => Expect::Version(Version(random.below(1_000))),
        (3..=6, Some(seen)) => as_seen(seen),
        _ => Expect::Any,
    }
}

/// Some different ones of `count` things.
fn some(random: &mut Random, count: u64, at_most: u64) -> Vec<u64> {
    let mut chosen: Vec<u64> = (0..random.between(1, at_most.min(count))).map(|_| random.below(count)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn read(keys: Vec<Key>, random: &mut Random) -> Ask {
    Ask::Read(Query::Keys(keys), super::client::any_consistency(random))
}
