//! Tweets as the product makes them: a row under the bytes of a UUID of version 7, expected to be absent; with it, if the
//! client wants its post to happen once, a row under the client's key, expected to be absent too; edits that replace the
//! version they read, deletes, and pages from the newest backwards. A client that has not heard what came of a post with a
//! key sends it again, under a new id.

use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Query, Range, Shared};

use super::{CLAIMS, TWEETS, as_seen, put, value};
use crate::simulation::client::{Client, any_consistency};
use crate::simulation::ledger::CallId;
use crate::simulation::oracle::Ask;
use crate::simulation::queue::Time;
use crate::simulation::random::Random;

/// A post that wants to happen once.
#[derive(Clone, Debug)]
pub(crate) struct OncePost {
    /// The row that says that it has happened.
    pub(crate) key: Key,
    text: Vec<u8>,
}

pub(super) fn next(random: &mut Random, client: &mut Client, call: CallId, now: Time) -> Ask {
    if client.once.is_some() {
        return post(random, client, call, now);
    }
    let tweets: Vec<&Key> =
        client.seen.iter().filter(|(key, seen)| key.table == TWEETS && seen.is_some()).map(|(key, _)| key).collect();
    match random.below(20) {
        0..7 => post(random, client, call, now),
        7..10 if !tweets.is_empty() => {
            let key = random.pick(&tweets).clone();
            let edited = value(call, b"ann: another text");
            let expect = as_seen(&client.seen[&key]);
            let mut operations = vec![put(key, expect, edited)];
            if random.chance(400) {
                operations.push(once_row(call, call));
            }
            Ask::Commit(operations)
        }
        10 if !tweets.is_empty() => {
            let key = random.pick(&tweets).clone();
            let expect = if random.chance(700) { Expect::Present } else { as_seen(&client.seen[&key]) };
            Ask::Commit(vec![Operation { key, expect, action: Action::Delete }])
        }
        11..14 if !tweets.is_empty() => {
            let key = random.pick(&tweets).clone();
            Ask::Read(Query::Keys(vec![key]), any_consistency(random))
        }
        _ => {
            let until = (!tweets.is_empty() && random.chance(300)).then(|| random.pick(&tweets).bytes.clone());
            let rows_max = random.pick(&[5, 20, 50]);
            let consistency = if random.chance(850) { Consistency::Arrival } else { Consistency::Strict };
            Ask::Read(Query::Range(Range { table: TWEETS, from: None, until, descending: true, rows_max }), consistency)
        }
    }
}

fn post(random: &mut Random, client: &mut Client, call: CallId, now: Time) -> Ask {
    if client.once.is_none() && random.chance(500) {
        client.once = Some(OncePost { key: once_key(call), text: b"ann: a text that is posted once".into() });
    }
    let text = client.once.as_ref().map_or(b"ann: a text".as_slice(), |once| &once.text);
    let mut operations = vec![put(Key::new(TWEETS, uuid(random, now)), Expect::Absent, value(call, text))];
    if let Some(once) = &client.once {
        operations.push(put(once.key.clone(), Expect::Absent, value(call, b"posted")));
    }
    Ask::Commit(operations)
}

fn once_key(of: CallId) -> Key {
    Key::new(CLAIMS, format!("ann\0{of}").as_str())
}

fn once_row(of: CallId, call: CallId) -> Operation {
    put(once_key(of), Expect::Absent, value(call, b"edited"))
}

/// A UUID of version 7: the time in milliseconds, then chance.
fn uuid(random: &mut Random, now: Time) -> Shared {
    const EPOCH_MS: u128 = 1_700_000_000_000;
    let time = (EPOCH_MS + u128::from(now / 1_000)) << 80;
    let chance = random.wide() >> 48;
    let version_and_variant = 0x7 << 76 | 0b10 << 62;
    let bits = time | version_and_variant | (chance & !(0xf << 76 | 0b11 << 62));
    Shared::from(&bits.to_be_bytes()[..])
}
