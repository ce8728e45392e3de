//! Nothing acknowledged is lost: what was written once is there at the end, with the version that its client was told; a record
//! whose writes are known in their order holds the last of them. The end is what a last reader found when everything was whole
//! again, or when a single copy was left.

use std::collections::BTreeMap;

use super::fates::{Fate, Fates};
use super::orders::Orders;
use super::{EventId, History, Sight, Use, Violation};

/// What a last reader found, by key.
pub type Survivors = BTreeMap<String, Sight>;

/// Judges what was found at the end; says how many records had to be there.
pub fn check(history: &History, fates: &Fates, orders: &Orders<'_>, found: &Survivors) -> Result<usize, Violation> {
    let mut there = 0;
    let by_key = history.by_key();
    for (key, order) in orders.iter() {
        let sight = found.get(key).and_then(|sight| sight.found);
        let lost =
            |what: &str| Err(Violation::new("nothing acknowledged is lost", format!("{key} holds {sight:?} at the end: {what}")));
        for event in writers(history, &by_key, key).filter(|event| fates.committed(*event)) {
            let change = history.events[&event].writes.iter().find(|change| change.key == key).expect("it wrote it");
            match Use::of(key) {
                Use::Kept => {
                    let version = found.get(key).and_then(|sight| sight.version);
                    if sight != Some(event) || (change.version.is_some() && change.version != version) {
                        return lost(&format!("{event} wrote it once and was told version {:?}", change.version));
                    }
                    there += 1;
                }
                Use::Chain if !order.holds(event) => return lost(&format!("{event} is not in its chain")),
                Use::Chain | Use::Register => {}
            }
        }
        if Use::of(key) == Use::Kept || order.writes.is_empty() {
            continue;
        }
        let last = order.writes.last().copied();
        let open = writers(history, &by_key, key)
            .any(|event| fates.get(event) == Some(Fate::Open) || (fates.committed(event) && !order.holds(event)));
        if !order.deleted && sight != last && (sight.is_none_or(|sight| order.holds(sight)) || !open) {
            return lost(&format!("{last:?} was the last to write it"));
        }
        there += usize::from(!order.deleted);
    }
    Ok(there)
}

/// Who wrote this record, or may have.
fn writers<'a>(
    history: &'a History,
    by_key: &'a BTreeMap<&str, Vec<EventId>>,
    key: &'a str,
) -> impl Iterator<Item = EventId> + 'a {
    let wrote = move |event: &&EventId| history.events[event].writes.iter().any(|change| change.key == key);
    by_key.get(key).into_iter().flatten().filter(wrote).copied()
}
