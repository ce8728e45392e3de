//! What the recipe promises, on the rooms that follow it.

use std::time::Duration;

use skein_protocol::operation::{Action, Expect, Key, Operation};

use super::{ATTEMPTS_MAX, Error, Writer};
use crate::data::{self, Change, Condition, Data, DataKey, Done, Submission, Value, Wrote};
use crate::store::cluster;
use crate::store::memory::Memory;
use crate::store::once::{Fingerprint, IdempotencyKey, Once};
use crate::store::tables::{DATA, IDEMPOTENCY, SESSIONS, TWEETS};
use crate::tweets::{self, Tweets};

const HOUR: Duration = Duration::from_secs(3_600);

/// A store in which somebody is logged in, and all that can be done there.
struct World {
    memory: Memory,
    tweets: Tweets,
    data: Data,
}

impl World {
    fn new() -> Self {
        let memory = Memory::default();
        memory.put(session(), "{}");
        let writer = Writer::new(memory.cluster(), HOUR);
        let tweets = Tweets::new(memory.cluster(), writer.clone(), 100);
        World { tweets, data: Data::new(memory.cluster(), writer), memory }
    }

    /// Checks that the session is there.
    fn stands(&self) -> Operation {
        Operation { key: session(), expect: Expect::Present, action: Action::Check }
    }

    async fn posted(&self) -> tweets::Tweet {
        let written = self.tweets.post("ann", "one", None, &self.stands()).await.unwrap();
        let tweets::Done::Posted(tweet) = written.answer else { panic!("it was posted") };
        tweet
    }

    async fn change(
        &self,
        tweet: &tweets::Tweet,
        edits: bool,
        once: Option<&Once>,
    ) -> Result<super::Written<tweets::Done>, tweets::Error> {
        let nothing = &tweets::Condition::None;
        if edits {
            self.tweets.edit("ann", (tweet.id, "two"), nothing, once, &self.stands()).await
        } else {
            self.tweets.delete("ann", tweet.id, nothing, once, &self.stands()).await
        }
    }

    async fn put(&self, once: Option<&Once>) -> Result<data::Written, data::Error> {
        let value = Value::parse(b"1").unwrap();
        self.data.put(&DataKey::parse("k").unwrap(), &value, &Condition::default(), once, &self.stands()).await
    }

    async fn transact(&self, once: Option<&Once>) -> Result<data::Transacted, data::Error> {
        let key = |text| DataKey::parse(text).unwrap();
        let change = Change::Put(Value::parse(b"1").unwrap());
        let write = data::Write { key: key("new"), expect: Expect::Any, change };
        let submission = Submission { reads: vec![key("k")], writes: vec![write] };
        self.data.transact(&submission, once, &self.stands()).await
    }

    /// Has others do this before each of so many commits.
    fn disturb(&self, times: u32, others: impl Fn(&Memory) + Copy + Send + 'static) {
        (0..times).for_each(|_| self.memory.meanwhile(others));
    }
}

fn session() -> Key {
    Key::new(SESSIONS.id, "ann's")
}

fn once(kept_for: Duration) -> Once {
    Once::new("ann", &IdempotencyKey::parse(b"k").unwrap(), Fingerprint::of(&[b"the same"]), kept_for)
}

fn others_value(memory: &Memory) {
    memory.put(Key::new(DATA, "k"), "2");
}

#[tokio::test]
async fn a_repeat_has_the_first_version_though_an_expired_answer_stood_under_its_key() {
    let world = World::new();
    world.tweets.post("ann", "long ago", Some(&once(Duration::ZERO)), &world.stands()).await.unwrap();
    assert_eq!(world.memory.rows(IDEMPOTENCY.id).len(), 1);
    let first = world.put(Some(&once(HOUR))).await.unwrap();
    assert_eq!(first.done, Done::Created(world.memory.rows(DATA)[0].version));
    assert_eq!(world.put(Some(&once(HOUR))).await.unwrap(), first);

    let world = World::new();
    world.put(Some(&once(Duration::ZERO))).await.unwrap();
    let first = world.transact(Some(&once(HOUR))).await.unwrap();
    let [_, new] = &world.memory.rows(DATA)[..] else { panic!("there are two values") };
    assert_eq!(first.writes, [Wrote::Put(new.version)]);
    assert_eq!(world.transact(Some(&once(HOUR))).await.unwrap(), first);
}

#[tokio::test]
async fn an_expired_answer_that_another_removes_first_is_in_nobodys_way() {
    let world = World::new();
    world.put(Some(&once(Duration::ZERO))).await.unwrap();
    let expired = world.memory.rows(IDEMPOTENCY.id)[0].key.clone();
    world.memory.meanwhile(move |memory| memory.delete(expired));
    let again = world.put(Some(&once(HOUR))).await.unwrap();
    assert!(matches!(again.done, Done::Replaced(_)));
    assert_eq!(world.memory.rows(IDEMPOTENCY.id).len(), 1);
}

#[tokio::test]
async fn an_expired_answer_that_may_not_have_been_removed_is_no_unknown_outcome_of_the_write() {
    for error in [cluster::Error::Unknown { txn: Memory::default().last() }, cluster::Error::Stopped] {
        let world = World::new();
        world.put(Some(&once(Duration::ZERO))).await.unwrap();
        world.memory.end_next(error);
        let commits = world.memory.commits();
        let refused = world.put(Some(&once(HOUR))).await;
        assert_eq!(refused, Err(Error::Cluster(cluster::Error::Unavailable).into()));
        assert_eq!(world.memory.commits(), commits + 1, "the write itself was not begun");
        world.put(Some(&once(HOUR))).await.unwrap();
    }
}

#[tokio::test]
async fn no_write_overtakes_the_end_of_its_session() {
    let logged_out = |memory: &Memory| memory.delete(session());
    let nothing = &tweets::Condition::None;

    let world = World::new();
    world.memory.meanwhile(logged_out);
    let posted = world.tweets.post("ann", "two", None, &world.stands()).await;
    assert_eq!(posted, Err(Error::Ended.into()));
    assert_eq!(world.memory.rows(TWEETS.id).len(), 0);

    let world = World::new();
    let tweet = world.posted().await;
    world.memory.meanwhile(logged_out);
    let edited = world.tweets.edit("ann", (tweet.id, "two"), nothing, None, &world.stands()).await;
    assert_eq!(edited, Err(Error::Ended.into()));
    assert_eq!(tweets::Tweet::read(world.memory.rows(TWEETS.id).first()).unwrap(), tweet);

    let world = World::new();
    let tweet = world.posted().await;
    world.memory.meanwhile(logged_out);
    let deleted = world.tweets.delete("ann", tweet.id, nothing, None, &world.stands()).await;
    assert_eq!(deleted, Err(Error::Ended.into()));
    assert_eq!(world.memory.rows(TWEETS.id).len(), 1);

    let world = World::new();
    world.memory.meanwhile(logged_out);
    assert_eq!(world.put(None).await, Err(Error::Ended.into()));
    assert_eq!(world.transact(None).await, Err(Error::Ended.into()));
    assert_eq!(world.memory.rows(DATA).len(), 0);
}

#[tokio::test]
async fn all_writes_give_up_after_as_many_attempts_and_say_the_same() {
    let world = World::new();
    let tweet = world.posted().await;
    let (id, value) = (tweet.id, tweet.value());
    for _ in 0..ATTEMPTS_MAX {
        let value = value.clone();
        world.memory.meanwhile(move |memory| memory.put(tweets::key(id), value));
    }
    let before = world.memory.commits();
    let edited = world.tweets.edit("ann", (id, "two"), &tweets::Condition::None, None, &world.stands()).await;
    assert_eq!(edited, Err(Error::Contention.into()));
    assert_eq!(world.memory.commits() - before, ATTEMPTS_MAX as usize);

    let world = World::new();
    world.disturb(ATTEMPTS_MAX, others_value);
    assert_eq!(world.put(Some(&once(HOUR))).await, Err(Error::Contention.into()));
    world.disturb(ATTEMPTS_MAX, others_value);
    assert_eq!(world.transact(None).await, Err(Error::Contention.into()));
    assert_eq!(world.memory.commits(), 2 * ATTEMPTS_MAX as usize);
    assert_eq!(world.memory.rows(IDEMPOTENCY.id).len(), 0);
}

#[tokio::test]
async fn one_attempt_less_is_enough() {
    let world = World::new();
    world.disturb(ATTEMPTS_MAX - 1, others_value);
    let written = world.put(Some(&once(HOUR))).await.unwrap();
    assert_eq!(written.done, Done::Replaced(world.memory.rows(DATA)[0].version));
    assert_eq!(world.memory.rows(DATA)[0].value.as_slice(), b"1");
}

#[tokio::test]
async fn a_write_that_its_own_duplicate_overtook_has_the_duplicates_answer() {
    for edits in [true, false] {
        let keyed = once(HOUR);
        for once in [None, Some(&keyed)] {
            let world = World::new();
            let tweet = world.posted().await;
            // What the duplicate leaves, if the tweet is deleted after it.
            let (_, remembered) = (world.change(&tweet, edits, Some(&keyed)).await.unwrap(), world.memory.rows(IDEMPOTENCY.id));
            let world = World::new();
            world.memory.put(tweets::key(tweet.id), tweet.value());
            let id = tweet.id;
            world.memory.meanwhile(move |memory| {
                memory.delete(tweets::key(id));
                remembered.into_iter().for_each(|row| memory.put(row.key, row.value));
            });
            let changed = world.change(&tweet, edits, once).await;
            match once {
                Some(_) => assert!(changed.unwrap().is_repeat()),
                None => assert_eq!(changed, Err(tweets::Error::NotFound)),
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_stands_though_an_earlier_answer_can_not_be_looked_up() {
    let world = World::new();
    let tweet = world.posted().await;
    let id = tweet.id;
    world.memory.meanwhile(move |memory| {
        memory.delete(tweets::key(id));
        memory.fail_next_read(cluster::Error::Unavailable);
    });
    assert_eq!(world.change(&tweet, false, Some(&once(HOUR))).await, Err(tweets::Error::NotFound));
}

#[tokio::test]
async fn a_key_of_another_request_is_told_whatever_the_write_came_to() {
    let world = World::new();
    world.put(Some(&once(HOUR))).await.unwrap();
    let other = Once::new("ann", &IdempotencyKey::parse(b"k").unwrap(), Fingerprint::of(&[b"other"]), HOUR);
    assert_eq!(world.put(Some(&other)).await, Err(Error::KeyReused.into()));
    let gone = uuid::Uuid::now_v7();
    let deleted = world.tweets.delete("ann", gone, &tweets::Condition::None, Some(&other), &world.stands()).await;
    assert_eq!(deleted, Err(Error::KeyReused.into()));
}

#[tokio::test]
async fn an_answer_that_is_to_be_remembered_is_bounded() {
    let world = World::new();
    let long = format!("\"{}\"", "x".repeat(60 * 1024));
    world.memory.put(Key::new(DATA, "k"), long.clone().into_bytes());
    world.transact(None).await.unwrap();
    let change = Change::Put(Value::parse(long.as_bytes()).unwrap());
    let key = |text| DataKey::parse(text).unwrap();
    let write = data::Write { key: key("new"), expect: Expect::Any, change };
    let submission = Submission { reads: vec![key("k")], writes: vec![write] };
    let refused = world.data.transact(&submission, Some(&once(HOUR)), &world.stands()).await;
    assert!(matches!(refused, Err(data::Error::Write(Error::AnswerTooLong { .. }))), "{refused:?}");
    world.data.transact(&submission, None, &world.stands()).await.unwrap();
}
