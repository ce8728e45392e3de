//! The suite that every control store passes: of two who swap only one wins, the other is told what is there, and nothing
//! that was reported is forgotten or given out twice.

use skein_protocol::id::{ClusterId, Incarnation, NodeId, TxnId, ViewNumber, Writer};
use skein_protocol::membership::roster::Changes;
use skein_protocol::membership::view::{ActiveView, Member, Shard, View, ViewRecord};
use skein_protocol::message::Outcome;
use skein_protocol::step::Swapped;

use super::Control;

/// Runs the suite on an engine; `open` opens the same store each time.
pub(super) fn suite(mut open: impl FnMut() -> Box<dyn Control>) {
    let mut store = open();
    assert_eq!(store.load().unwrap(), None);
    let (first, second, third) = (record(1, 0), record(2, 3), record(3, 20_000));
    assert_eq!(store.swap(Some(&first), &second).unwrap(), Swapped::Current(None));
    assert_eq!(store.swap(None, &first).unwrap(), Swapped::Done);
    assert_eq!(store.swap(None, &second).unwrap(), Swapped::Current(Some(first.clone())));
    assert_eq!(store.swap(Some(&second), &third).unwrap(), Swapped::Current(Some(first.clone())));
    assert_eq!(store.load().unwrap(), Some(first.clone()));
    drop(store);

    let mut store = open();
    assert_eq!(store.swap(Some(&first), &second).unwrap(), Swapped::Done);
    // A record that differs in its outcomes alone is another record.
    let mut other = second.clone();
    other.active.as_mut().unwrap().outcomes.pop();
    assert_eq!(store.swap(Some(&other), &third).unwrap(), Swapped::Current(Some(second.clone())));
    assert_eq!(store.swap(Some(&second), &third).unwrap(), Swapped::Done);
    drop(store);
    let mut store = open();
    assert_eq!(store.load().unwrap(), Some(third.clone()), "a record of {} outcomes", 20_000);

    let numbers: Vec<Incarnation> = (0..5)
        .map(|_| {
            let number = store.next_incarnation().unwrap();
            // Closed and opened again between the two.
            drop(std::mem::replace(&mut store, Box::new(super::memory::Memory::new())));
            store = open();
            number
        })
        .collect();
    assert!(numbers.is_sorted_by(|earlier, later| earlier < later) && numbers[0] > Incarnation(0), "{numbers:?}");
    assert_eq!(store.load().unwrap(), Some(third));
}

fn record(number: u64, outcomes: u64) -> ViewRecord {
    let writer = Writer { run: Incarnation(number), node: NodeId(u128::from(number) << 70) };
    let members =
        (0..3).map(|node| Member { node: NodeId(node << 90 | 1), address: format!("127.0.0.1:{node}"), logged: node == 1 });
    let view = View { number: ViewNumber(number), writer, shards: vec![Shard { members: members.collect(), learners: vec![] }] };
    let outcomes = (0..outcomes).map(|sequence| (TxnId { incarnation: Incarnation(1), sequence }, Outcome::Committed)).collect();
    let pending = number.is_multiple_of(2).then(|| View { number: ViewNumber(number + 1), ..view.clone() });
    let active = Some(ActiveView { view, outcomes, ended: vec![(Incarnation(1), number), (Incarnation(2), 7)] });
    let roster = Changes { added: vec!["127.0.0.1:7".into()], removed: vec!["127.0.0.1:8".into()] };
    let emptied = (number > 1).then_some(ViewNumber(number - 1));
    ViewRecord { cluster: ClusterId(9), writer, active, pending, roster, emptied, curtailed: emptied }
}

#[test]
fn the_store_in_memory_conforms() {
    let store = super::memory::Memory::new();
    suite(|| Box::new(store.clone()));
}

#[test]
fn the_store_on_disk_conforms() {
    let directory = tempfile::tempdir().unwrap();
    suite(|| super::sled::open(directory.path()).unwrap());
}
