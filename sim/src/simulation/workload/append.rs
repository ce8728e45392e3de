//! Lists to which each call appends its number, one list or several at once (the workload of Elle, Kingsbury and Alvaro
//! 2020). Each state of a list tells all that it was before.

use skein_protocol::operation::{Consistency, Key, Query};

use super::{LISTS, as_seen, content, put, some, value};
use crate::simulation::client::Client;
use crate::simulation::ledger::CallId;
use crate::simulation::oracle::Ask;
use crate::simulation::random::Random;

pub(super) fn next(random: &mut Random, client: &Client, count: u64, call: CallId) -> Ask {
    let keys: Vec<Key> = some(random, count, 3).iter().map(|it| Key::new(LISTS, format!("l{it}").as_str())).collect();
    if random.chance(250) || !keys.iter().all(|key| client.seen.contains_key(key)) {
        let consistency = if random.chance(700) { Consistency::Strict } else { Consistency::Arrival };
        return Ask::Read(Query::Keys(keys), consistency);
    }
    let append = |key: Key| {
        let seen = &client.seen[&key];
        let mut list = seen.as_ref().map(|(_, value)| content(value).to_vec()).unwrap_or_default();
        list.extend_from_slice(&call.to_be_bytes());
        put(key, as_seen(seen), value(call, &list))
    };
    Ask::Commit(keys.into_iter().map(append).collect())
}
