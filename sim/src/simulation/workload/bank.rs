//! A bank: transfers between two accounts that expect both to be as they were read. Whatever happens, the sum stays.

use skein_protocol::operation::{Consistency, Expect, Key, Query, Range};

use super::{ACCOUNTS, as_seen, content, put, value};
use crate::simulation::client::Client;
use crate::simulation::ledger::CallId;
use crate::simulation::oracle::Ask;
use crate::simulation::random::Random;

/// What each account holds at first.
pub(crate) const OPENING: i64 = 100;

pub(super) fn next(random: &mut Random, client: &Client, count: u64, call: CallId) -> Ask {
    let key = |it: u64| Key::new(ACCOUNTS, format!("a{it}").as_str());
    let seen = |it: u64| client.seen.get(&key(it));
    if !(0..count).all(|it| seen(it).is_some()) || random.chance(200) {
        let keys = (0..count).map(key).collect();
        let whole = Range { table: ACCOUNTS, from: None, until: None, descending: false, rows_max: 100 };
        let query = if random.chance(300) { Query::Range(whole) } else { Query::Keys(keys) };
        return Ask::Read(query, Consistency::Strict);
    }
    let balances: Vec<Option<i64>> =
        (0..count).map(|it| seen(it).and_then(Option::as_ref).map(|(_, value)| balance(content(value)))).collect();
    if balances.contains(&None) {
        // All accounts are opened by one transaction, or none.
        return Ask::Commit((0..count).map(|it| put(key(it), Expect::Absent, value(call, &OPENING.to_be_bytes()))).collect());
    }
    let from = random.below(count);
    let to = (from + random.between(1, count - 1)) % count;
    let amount = i64::try_from(random.between(1, 20)).expect("a small sum");
    let changed = [(from, -amount), (to, amount)].map(|(it, change)| {
        let place = usize::try_from(it).expect("a small number");
        let after = balances[place].unwrap_or_default() + change;
        let expect = seen(it).map_or(Expect::Absent, as_seen);
        put(key(it), expect, value(call, &after.to_be_bytes()))
    });
    Ask::Commit(changed.into())
}

/// What an account's record says.
pub(crate) fn balance(content: &[u8]) -> i64 {
    content.try_into().map_or(0, i64::from_be_bytes)
}
