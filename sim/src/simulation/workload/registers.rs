//! Registers: a few records that everybody reads, writes, compares and deletes, one or several in one transaction.

use skein_protocol::operation::{Action, Key, Operation};

use super::{REGISTERS, any_expectation, put, read, some, value};
use crate::simulation::client::Client;
use crate::simulation::ledger::CallId;
use crate::simulation::oracle::Ask;
use crate::simulation::random::Random;

pub(super) fn next(random: &mut Random, client: &Client, count: u64, call: CallId) -> Ask {
    let keys: Vec<Key> = some(random, count, 3).iter().map(|it| Key::new(REGISTERS, format!("r{it}").as_str())).collect();
    if random.chance(300) {
        return read(keys, random);
    }
    let operation = |key: Key| {
        let expect = any_expectation(random, client.seen.get(&key));
        match random.below(10) {
            0 => Operation { key, expect, action: Action::Delete },
            1 | 2 => Operation { key, expect, action: Action::Check },
            _ => put(key, expect, value(call, b"")),
        }
    };
    Ask::Commit(keys.into_iter().map(operation).collect())
}
