//! A set: each element is a record of its own, inserted once, perhaps removed, and listed.

use skein_protocol::operation::{Action, Expect, Key, Operation, Query, Range};

use super::{SETS, put, value};
use crate::simulation::client::{Client, any_consistency};
use crate::simulation::ledger::CallId;
use crate::simulation::oracle::Ask;
use crate::simulation::random::Random;

pub(super) fn next(random: &mut Random, client: &Client, call: CallId) -> Ask {
    let elements = || client.seen.iter().filter(|(key, seen)| key.table == SETS && seen.is_some());
    match random.below(10) {
        0..5 => {
            let key = Key::new(SETS, format!("e{call:06}").as_str());
            Ask::Commit(vec![put(key, Expect::Absent, value(call, b"element"))])
        }
        5..7 if elements().next().is_some() => {
            let place = random.index(elements().count());
            let (key, seen) = elements().nth(place).expect("there are as many");
            let expect = if random.chance(500) { Expect::Present } else { super::as_seen(seen) };
            Ask::Commit(vec![Operation { key: key.clone(), expect, action: Action::Delete }])
        }
        _ => {
            let rows_max = random.pick(&[3, 20, 1_000]);
            let range = Range { table: SETS, from: None, until: None, descending: random.chance(500), rows_max };
            Ask::Read(Query::Range(range), any_consistency(random))
        }
    }
}
