//! Judges that find nothing in the histories of a real cluster might be blind to them. Here a real history, in which they found
//! nothing, is bent in one place at a time, in as many places as there are, and each bend must be found.

use std::collections::BTreeMap;

use crate::history::verdicts::Verdicts;
use crate::history::{End, Event, EventId, History, Sight, Use};
use crate::scene::{Judged, Scene};

/// Bends of each kind.
const BENDS: usize = 25;

/// Acknowledged events, with the places in them that this gives.
fn events<T>(judged: &Judged, place: impl Fn(&Event) -> Option<T>) -> Vec<(EventId, T)> {
    let done = judged.history.events.values().filter(|event| event.end == End::Acknowledged);
    done.filter_map(|event| Some((event.id, place(event)?))).collect()
}

/// Some of them, from all over the run.
fn spread<T>(mut all: Vec<T>) -> Vec<T> {
    assert!(all.len() >= BENDS, "only {} places to bend", all.len());
    let step = all.len() / BENDS;
    let mut place = 0;
    all.retain(|_| {
        place += 1;
        place % step == 0
    });
    all
}

/// What each write to a chain replaced.
fn chains(history: &History) -> BTreeMap<(&str, EventId), EventId> {
    let changes = history.events.values().flat_map(|event| event.writes.iter().map(move |change| (event.id, change)));
    changes.filter_map(|(id, change)| Some(((change.key.as_str(), id), change.after??))).collect()
}

fn must_be_found(judged: &Judged, what: &str, bend: impl FnOnce(&mut History)) {
    let mut history = judged.history.clone();
    bend(&mut history);
    let verdicts = Verdicts::of(&history, &judged.told, &judged.found);
    assert!(verdicts.is_err(), "{what} was not found");
}

fn event(history: &mut History, id: EventId) -> &mut Event {
    history.events.get_mut(&id).expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_history_that_is_bent_anywhere_is_rejected() {
    let scene = Scene::begin(2, 8, 31).await;
    scene.clients.writes(900).await;
    let mut judged = scene.judge().await;
    assert!(Verdicts::of(&judged.history, &judged.told, &judged.found).is_ok());
    let replaced: BTreeMap<(String, EventId), EventId> =
        chains(&judged.history).into_iter().map(|((key, id), after)| ((key.to_owned(), id), after)).collect();

    // A read of what had been replaced before it began.
    let stale = |sight: &Sight, began: u64| {
        let (found, older) = (sight.found?, *replaced.get(&(sight.key.clone(), sight.found?))?);
        (judged.history.events[&found].ended < began).then_some(older)
    };
    let reads = events(&judged, |event| {
        let places = event.reads.iter().enumerate();
        let mut old = places.filter_map(|(place, sight)| Some((place, stale(sight, event.began)?)));
        event.writes.is_empty().then(|| old.next())?
    });
    for (id, (place, older)) in spread(reads) {
        must_be_found(&judged, &format!("a stale read in {id}"), |history| event(history, id).reads[place].found = Some(older));
    }

    // A write upon what had been replaced already.
    let writes = events(&judged, |event| {
        let mut upon = event.writes.iter().enumerate();
        upon.find_map(|(place, change)| Some((place, *replaced.get(&(change.key.clone(), change.after??))?)))
    });
    for (id, (place, older)) in spread(writes) {
        must_be_found(&judged, &format!("a lost update in {id}"), |history| {
            event(history, id).writes[place].after = Some(Some(older));
        });
    }

    // A write that somebody read and that was refused.
    let read = events(&judged, |event| event.reads.iter().find_map(|sight| sight.found));
    for (id, writer) in spread(read) {
        must_be_found(&judged, &format!("an aborted read in {id}"), |history| event(history, writer).end = End::Refused);
    }

    // A record that is gone at the end.
    let kept = events(&judged, |event| {
        event.writes.iter().find(|change| Use::of(&change.key) == Use::Kept).map(|change| change.key.clone())
    });
    for (id, key) in spread(kept) {
        let sight =
            judged.found.insert(key.clone(), Sight { key: key.clone(), found: None, version: None }).expect("it was there");
        must_be_found(&judged, &format!("the loss of {id}"), |_| {});
        judged.found.insert(key, sight);
    }
}
