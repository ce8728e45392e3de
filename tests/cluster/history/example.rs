//! Histories made by hand, one event after the other, for the tests of the judges: a test bends one thing and expects to be told.

use std::collections::BTreeMap;

use super::fates::Fate;
use super::survival::Survivors;
use super::verdicts::Verdicts;
use super::{Change, End, Event, EventId, History, Moment, Sight, Violation};

/// A history in the making. Events are numbered from 0 and each ends before the next begins.
#[derive(Default)]
struct Example {
    events: Vec<Event>,
    told: BTreeMap<EventId, Fate>,
    found: Survivors,
    versions: BTreeMap<String, u64>,
}

fn event(number: u32) -> EventId {
    EventId { client: 1, number }
}

impl Example {
    fn add(&mut self, reads: Vec<Sight>, writes: Vec<Change>) -> &mut Self {
        let number = u32::try_from(self.events.len()).unwrap();
        let began = u64::from(number) * 10;
        let event = Event { id: event(number), began, ended: began + 5, reads, writes, end: End::Acknowledged };
        self.events.push(event);
        self
    }

    fn change(&mut self, key: &str, after: Option<Option<u32>>) -> Change {
        let version = self.versions.entry(key.to_owned()).or_insert(0);
        *version += 1;
        Change { key: key.to_owned(), after: after.map(|after| after.map(event)), deletes: false, version: Some(*version) }
    }

    fn sight(&self, key: &str, found: Option<u32>) -> Sight {
        let wrote = |found: u32| self.events[found as usize].writes.iter().find(|change| change.key == key);
        let version = found.and_then(wrote).and_then(|change| change.version);
        Sight { key: key.to_owned(), found: found.map(event), version }
    }

    /// A write that expects nothing.
    fn write(&mut self, key: &str) -> &mut Self {
        let change = self.change(key, None);
        self.add(Vec::new(), vec![change])
    }

    /// A write upon that of another event.
    fn upon(&mut self, key: &str, after: Option<u32>) -> &mut Self {
        let change = self.change(key, Some(after));
        self.add(Vec::new(), vec![change])
    }

    fn read(&mut self, key: &str, found: Option<u32>) -> &mut Self {
        let sight = self.sight(key, found);
        self.add(vec![sight], Vec::new())
    }

    /// A transaction that reads one record and writes another.
    fn transact(&mut self, read: (&str, Option<u32>), write: (&str, Option<u32>)) -> &mut Self {
        let (sight, change) = (self.sight(read.0, read.1), self.change(write.0, Some(write.1)));
        self.add(vec![sight], vec![change])
    }

    fn began(&mut self, began: Moment) -> &mut Self {
        self.events.last_mut().unwrap().began = began;
        self
    }

    fn end(&mut self, end: End) -> &mut Self {
        self.events.last_mut().unwrap().end = end;
        self
    }

    /// What is there at the end.
    fn at_last(&mut self, key: &str, found: Option<u32>) -> &mut Self {
        let sight = self.sight(key, found);
        self.found.insert(key.to_owned(), sight);
        self
    }

    fn verdicts(&self) -> Result<Verdicts, Violation> {
        Verdicts::of(&History::new(self.events.iter().cloned()), &self.told, &self.found)
    }

    fn must_break(&self, promise: &str) {
        let violation = self.verdicts().expect_err("nobody noticed");
        assert_eq!(violation.promise, promise, "{}", violation.detail);
    }
}

#[test]
fn a_history_in_order_breaks_nothing() {
    let mut example = Example::default();
    example.write("kept-1").write("register-1").read("register-1", Some(1)).write("register-1").read("register-1", Some(3));
    example.upon("chain-1", None).upon("chain-2", None).transact(("chain-1", Some(5)), ("chain-2", Some(6)));
    example.at_last("kept-1", Some(0)).at_last("register-1", Some(3)).at_last("chain-1", Some(5)).at_last("chain-2", Some(7));
    let verdicts = example.verdicts().unwrap();
    assert_eq!((verdicts.committed, verdicts.there, verdicts.ordered), (6, 4, 8));
    assert_eq!((verdicts.searched.records, verdicts.searched.events), (1, 4));
}

#[test]
fn a_lost_write_is_found() {
    let mut example = Example::default();
    example.write("kept-1").at_last("kept-1", None).must_break("nothing acknowledged is lost");
    let mut example = Example::default();
    example.write("register-1").write("register-1").at_last("register-1", Some(0)).must_break("nothing acknowledged is lost");
    let mut example = Example::default();
    example.upon("chain-1", None).upon("chain-1", Some(0)).at_last("chain-1", Some(0)).must_break("nothing acknowledged is lost");
    // The same write, of which its client was never told that it is done.
    example.end(End::Unknown(None));
    assert_eq!(example.verdicts().map(|verdicts| verdicts.open), Ok(1));
    // And the same, once its transaction was found to be committed.
    example.told.insert(event(1), Fate::Committed);
    example.must_break("nothing acknowledged is lost");
}

#[test]
fn an_update_that_overwrites_another_unseen_is_found() {
    let mut example = Example::default();
    example.upon("chain-1", None).upon("chain-1", Some(0)).upon("chain-1", Some(0)).at_last("chain-1", Some(2));
    example.must_break("lost updates");
}

#[test]
fn a_stale_read_is_found() {
    let mut example = Example::default();
    example.write("register-1").write("register-1").read("register-1", Some(0)).at_last("register-1", Some(1));
    example.must_break("linearizability of each record");
    // It is none while the write is still under way.
    example.began(12);
    example.events[1].ended = 40;
    assert!(example.verdicts().is_ok());
    // And a record that was seen can't be gone.
    let mut example = Example::default();
    example.write("register-1").read("register-1", None).at_last("register-1", Some(0));
    example.must_break("linearizability of each record");
}

#[test]
fn the_search_finds_a_stale_read_by_itself() {
    let mut example = Example::default();
    example.write("register-1").write("register-1").read("register-1", Some(0));
    let history = || History::new(example.events.iter().cloned());
    let fates = super::fates::Fates::of(&history(), &example.told).unwrap();
    assert_eq!(super::linearizability::check(&history(), &fates).unwrap_err().promise, "linearizability by search");
    // Without versions, too: a delete that was acknowledged and a read that still finds the record.
    let mut example = Example::default();
    example.write("register-1").write("register-1").read("register-1", Some(0));
    example.events[1].writes[0].deletes = true;
    example.events[1].writes[0].version = None;
    example.at_last("register-1", None).must_break("linearizability by search");
}

#[test]
fn an_aborted_read_is_found() {
    let mut example = Example::default();
    example.write("register-1").end(End::Refused).read("register-1", Some(0)).must_break("aborted reads");
    let mut example = Example::default();
    example.write("register-1").end(End::Unknown(Some("1-1".to_owned()))).read("register-1", Some(0));
    example.at_last("register-1", Some(0));
    assert!(example.verdicts().is_ok(), "whoever reads it shows that it was done");
    example.told.insert(event(0), Fate::Aborted);
    example.must_break("aborted reads");
    let mut example = Example::default();
    example.write("register-1").read("register-1", Some(0));
    example.events[1].reads[0].found = Some(event(9));
    example.must_break("aborted reads");
}

#[test]
fn write_skew_is_found() {
    // Each reads what the other replaces, and both find it as it was.
    let mut example = Example::default();
    example.upon("chain-1", None).upon("chain-2", None);
    example.transact(("chain-1", Some(0)), ("chain-2", Some(1)));
    example.transact(("chain-2", Some(1)), ("chain-1", Some(0))).began(20);
    example.at_last("chain-1", Some(3)).at_last("chain-2", Some(2));
    example.must_break("strict serializability");
    // One after the other in that order is no skew.
    let mut example = Example::default();
    example.upon("chain-1", None).upon("chain-2", None);
    example.transact(("chain-1", Some(0)), ("chain-2", Some(1)));
    example.transact(("chain-2", Some(2)), ("chain-1", Some(0))).began(20);
    example.at_last("chain-1", Some(3)).at_last("chain-2", Some(2));
    assert!(example.verdicts().is_ok());
}

#[test]
fn a_read_of_no_moment_is_found() {
    // The new second record without the new first one, which was acknowledged before.
    let mut example = Example::default();
    example.upon("chain-1", None).upon("chain-2", None).upon("chain-1", Some(0)).upon("chain-2", Some(1));
    let sights = vec![example.sight("chain-1", Some(0)), example.sight("chain-2", Some(3))];
    example.add(sights, Vec::new()).began(20);
    example.at_last("chain-1", Some(2)).at_last("chain-2", Some(3));
    example.must_break("strict serializability");
}

#[test]
fn a_version_of_two_writes_is_found() {
    let mut example = Example::default();
    example.write("register-1").write("register-1");
    example.events[1].writes[0].version = Some(1);
    example.must_break("versions");
}
