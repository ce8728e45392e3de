//! What a write of one key answers under each kind of condition, and how it gets there: what the store can judge by itself is not read
//! before, and what was read is tried again when others were faster.

use std::time::Duration;

use skein_protocol::operation::Action;

use super::write::Write as _;
use super::*;
use crate::store::memory::Memory;
use crate::store::once::{Fingerprint, IdempotencyKey};
use crate::store::tables::{DATA, SESSIONS};

/// A store in which somebody is logged in.
struct World {
    memory: Memory,
    data: Data,
    key: DataKey,
}

/// What came of a write, with the reads and commits that it took.
type Ended = (Result<Done, Error>, usize, usize);

impl World {
    /// With a value under the key, or without.
    fn new(is_there: bool) -> Self {
        let memory = Memory::default();
        memory.put(Key::new(SESSIONS.id, "ann's"), "{}");
        let data = Data::new(memory.cluster(), Writer::new(memory.cluster(), Duration::from_secs(3_600)));
        let world = World { memory, data, key: DataKey::parse("k").unwrap() };
        if is_there {
            world.memory.put(world.key.row(), "1");
        }
        world
    }

    fn stands(&self) -> Operation {
        Operation { key: Key::new(SESSIONS.id, "ann's"), expect: Expect::Present, action: Action::Check }
    }

    fn found(&self) -> Option<Version> {
        self.memory.rows(DATA).first().map(|row| row.version)
    }

    async fn delete(&self, condition: &Condition) -> Ended {
        let before = (self.memory.reads(), self.memory.commits());
        let done = self.data.delete(&self.key, condition, None, &self.stands()).await.map(|written| written.done);
        (done, self.memory.reads() - before.0, self.memory.commits() - before.1)
    }

    async fn put(&self, condition: &Condition, once: Option<&Once>) -> Ended {
        let before = (self.memory.reads(), self.memory.commits());
        let value = Value::parse(b"2").unwrap();
        let done = self.data.put(&self.key, &value, condition, once, &self.stands()).await.map(|written| written.done);
        (done, self.memory.reads() - before.0, self.memory.commits() - before.1)
    }

    /// Others write the value just before the next commit.
    fn overwritten(&self) {
        let key = self.key.row();
        self.memory.meanwhile(move |memory| memory.put(key, "9"));
    }

    /// Others remove the value just before the next commit.
    fn removed(&self) {
        let key = self.key.row();
        self.memory.meanwhile(move |memory| memory.delete(key));
    }

    /// The condition was judged by the store, in the last transaction.
    fn failed_in_store(&self) -> Result<Done, Error> {
        Err(Error::ConditionFailed { txn: Some(self.memory.last()) })
    }
}

/// The condition was judged by what had been read.
const FAILED: Result<Done, Error> = Err(Error::ConditionFailed { txn: None });

fn next(version: Version) -> Version {
    Version(version.0 + 1)
}

fn one_of(versions: &[Version]) -> Option<Versions> {
    Some(Versions::OneOf(versions.to_vec()))
}

fn matching(versions: Option<Versions>) -> Condition {
    Condition { matching: versions, not_matching: None }
}

fn not_matching(versions: Option<Versions>) -> Condition {
    Condition { matching: None, not_matching: versions }
}

#[tokio::test]
async fn a_value_that_is_there_is_deleted_if_it_is_as_demanded() {
    let version = World::new(true).found().unwrap();
    let (other, third) = (next(version), next(next(version)));
    for (condition, reads) in [
        (Condition::default(), 0),
        (matching(Some(Versions::Any)), 0),
        (matching(one_of(&[version])), 0),
        (matching(one_of(&[other, version])), 1),
        (not_matching(one_of(&[other])), 1),
    ] {
        let world = World::new(true);
        assert_eq!(world.delete(&condition).await, (Ok(Done::Deleted), reads, 1), "{condition:?}");
        assert_eq!(world.found(), None);
    }
    for condition in [matching(one_of(&[other, third])), not_matching(Some(Versions::Any)), not_matching(one_of(&[version]))] {
        let world = World::new(true);
        assert_eq!(world.delete(&condition).await, (FAILED, 1, 0), "{condition:?}");
        assert_eq!(world.found(), Some(version));
    }
    let world = World::new(true);
    assert_eq!(world.delete(&matching(one_of(&[other]))).await, (world.failed_in_store(), 0, 1));
    assert_eq!(world.found(), Some(version));
}

#[tokio::test]
async fn a_value_that_is_not_there_is_not_found_unless_it_was_demanded() {
    let one = one_of(&[Version(1)]);
    for (condition, reads, commits) in
        [(Condition::default(), 0, 1), (not_matching(Some(Versions::Any)), 1, 0), (not_matching(one.clone()), 1, 0)]
    {
        assert_eq!(World::new(false).delete(&condition).await, (Err(Error::NotFound), reads, commits), "{condition:?}");
    }
    for versions in [Some(Versions::Any), one] {
        let world = World::new(false);
        assert_eq!(world.delete(&matching(versions)).await, (world.failed_in_store(), 0, 1));
    }
    let two = one_of(&[Version(1), Version(2)]);
    assert_eq!(World::new(false).delete(&matching(two)).await, (FAILED, 1, 0));
}

#[tokio::test]
async fn a_delete_is_judged_again_when_others_were_faster() {
    let version = World::new(true).found().unwrap();
    let both = matching(one_of(&[version, next(version)]));
    let world = World::new(true);
    world.overwritten();
    assert_eq!(world.delete(&both).await, (Ok(Done::Deleted), 2, 2));
    let world = World::new(true);
    world.removed();
    assert_eq!(world.delete(&both).await, (FAILED, 2, 1));
    let world = World::new(true);
    world.removed();
    assert_eq!(world.delete(&not_matching(one_of(&[next(version)]))).await, (Err(Error::NotFound), 2, 1));
    // The store judges these as the value is by then.
    let world = World::new(true);
    world.removed();
    assert_eq!(world.delete(&Condition::default()).await, (Err(Error::NotFound), 0, 1));
    let world = World::new(true);
    world.overwritten();
    assert_eq!(world.delete(&matching(one_of(&[version]))).await, (world.failed_in_store(), 0, 1));
}

#[tokio::test]
async fn a_value_is_written_if_what_is_there_is_as_demanded() {
    let version = World::new(true).found().unwrap();
    let other = next(version);
    for (condition, reads) in [
        (Condition::default(), 1),
        (matching(Some(Versions::Any)), 0),
        (matching(one_of(&[version])), 0),
        (matching(one_of(&[other, version])), 1),
        (not_matching(one_of(&[other])), 1),
    ] {
        let world = World::new(true);
        assert_eq!(world.put(&condition, None).await, (Ok(Done::Replaced(next(version))), reads, 1), "{condition:?}");
        assert_eq!(world.found(), Some(next(version)));
    }
    for condition in [matching(one_of(&[other, next(other)])), not_matching(one_of(&[version]))] {
        assert_eq!(World::new(true).put(&condition, None).await, (FAILED, 1, 0), "{condition:?}");
    }
    for condition in [matching(one_of(&[other])), not_matching(Some(Versions::Any))] {
        let world = World::new(true);
        assert_eq!(world.put(&condition, None).await, (world.failed_in_store(), 0, 1), "{condition:?}");
        assert_eq!(world.found(), Some(version));
    }
}

#[tokio::test]
async fn a_value_is_made_if_its_absence_is_as_demanded() {
    let one = one_of(&[Version(1)]);
    for (condition, reads) in [(Condition::default(), 1), (not_matching(Some(Versions::Any)), 0), (not_matching(one.clone()), 1)]
    {
        let world = World::new(false);
        let ended = world.put(&condition, None).await;
        assert_eq!(ended, (Ok(Done::Created(world.found().unwrap())), reads, 1), "{condition:?}");
    }
    for versions in [Some(Versions::Any), one] {
        let world = World::new(false);
        assert_eq!(world.put(&matching(versions), None).await, (world.failed_in_store(), 0, 1));
    }
    let two = one_of(&[Version(1), Version(2)]);
    assert_eq!(World::new(false).put(&matching(two), None).await, (FAILED, 1, 0));
}

#[tokio::test]
async fn a_write_without_a_condition_races_for_its_version_only_if_its_answer_is_remembered() {
    let once = Once::new("ann", &IdempotencyKey::parse(b"k").unwrap(), Fingerprint::of(&[b"it"]), Duration::from_secs(60));
    let version = World::new(true).found().unwrap();
    let world = World::new(true);
    world.overwritten();
    let replaced = Ok(Done::Replaced(next(next(version))));
    assert_eq!(world.put(&Condition::default(), None).await, (replaced.clone(), 1, 1));
    let world = World::new(true);
    world.overwritten();
    assert_eq!(world.put(&Condition::default(), Some(&once)).await, (replaced, 2, 2));
    // Nor may the store judge a condition alone where the answer names the version.
    let (world, present) = (World::new(true), matching(Some(Versions::Any)));
    assert_eq!(world.put(&present, Some(&once)).await, (Ok(Done::Replaced(next(version))), 1, 1));
}

#[test]
fn writes_that_race_for_a_version_take_turns_unless_one_of_them_can_win() {
    let (key, value) = (DataKey::parse("k").unwrap(), Value::parse(b"2").unwrap());
    let (free, demanding) = (Condition::default(), matching(Some(Versions::Any)));
    for (pinned, condition, turns) in [(true, &free, 1), (false, &free, 0), (true, &demanding, 0), (false, &demanding, 0)] {
        let put = Put { key: &key, value: &value, condition, pinned };
        assert_eq!(put.turns(), vec![key.row(); turns]);
    }
}
