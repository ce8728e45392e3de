//! Tweets: post, read, list, edit, delete, each write one transaction. A post writes one row that is expected to be absent; an
//! edit replaces the version that it read, so that of two racing edits exactly one wins; a delete needs no version, since
//! whose a tweet is never changes and an id is never used again.
//!
//! Without `If-Match` the last edit wins: one that lost a race is planned again from the tweet as it is by then.

mod problem;
pub mod routes;

mod tweet;

use serde::{Deserialize, Serialize};
use skein_protocol::id::TxnId;
use skein_protocol::operation::{Consistency, Expect, Key, Operation, Range};
use uuid::Uuid;

use crate::store::cluster::{self, Cluster};
use crate::store::cursor;
use crate::store::once::Once;
use crate::store::row::Unreadable;
use crate::store::tables::TWEETS;
use crate::store::write::{self, Found, Plan, Race, Write, Writer, Written};
use tweet::Row;
pub(crate) use tweet::check_text;
pub use tweet::{Tweet, key};

/// Tweets of one page.
pub const PAGE_MAX: u32 = 200;

/// All that can be done with tweets.
pub struct Tweets {
    cluster: Cluster,
    writer: Writer,
    characters_max: usize,
}

/// What a client demands of the version that it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: the last write wins.
    None,
    /// It is one of these versions.
    OneOf(Vec<u64>),
}

/// What a write did. Kept under its `Idempotency-Key`, so that a repeat gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// Posted.
    Posted(Tweet),
    /// Edited.
    Edited(Tweet),
    /// Deleted.
    Deleted,
}

/// A page of tweets, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The tweets.
    pub tweets: Vec<Tweet>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// Why a tweet was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was written in it.
    #[error("a tweet has at least one visible character, and at most {max} characters")]
    EmptyText {
        /// The bound.
        max: usize,
    },
    /// It has too many Unicode scalar values.
    #[error("the text has {characters} characters; at most {max} are allowed")]
    TooLong {
        /// How many it has.
        characters: usize,
        /// The bound.
        max: usize,
    },
    /// It has a character that shows nothing and may confuse whatever does show it.
    #[error("U+{:04X} is a control character; a tweet has none but line feed and tab", u32::from(*.0))]
    ControlCharacter(char),
    /// There is no such tweet.
    #[error("there is no such tweet")]
    NotFound,
    /// It is another's.
    #[error("only its author may change a tweet")]
    NotOwner,
    /// It is not of the version that was demanded. `txn` is the transaction that found out, if it came to one.
    #[error("the tweet has another version than was demanded")]
    VersionMismatch {
        /// The transaction.
        txn: Option<TxnId>,
    },
    /// A row is not one that this program can read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It was not written.
    #[error(transparent)]
    Write(#[from] write::Error),
    /// The store did not do it.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

/// What a write of tweets expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The tweet is there, or not, as the write wants it.
    Tweet,
}

/// A new tweet.
struct Post<'a> {
    author: &'a str,
    text: &'a str,
}

/// Another text for a tweet.
struct Edit<'a> {
    of: Owned<'a>,
    text: &'a str,
}

/// The end of a tweet.
struct Delete<'a> {
    of: Owned<'a>,
}

/// A tweet that somebody wants to change.
struct Owned<'a> {
    id: Uuid,
    user: &'a str,
    condition: &'a Condition,
}

impl Tweets {
    /// Tweets in this cluster, of at most so many Unicode scalar values.
    #[must_use]
    pub fn new(cluster: Cluster, writer: Writer, characters_max: usize) -> Self {
        Tweets { cluster, writer, characters_max }
    }

    /// Posts a tweet, while what `stands` checks does: the author's session.
    ///
    /// # Errors
    /// The text's bounds, and those of any write.
    pub async fn post(&self, author: &str, text: &str, once: Option<&Once>, stands: &Operation) -> Result<Written<Done>, Error> {
        check_text(text, self.characters_max)?;
        self.writer.begin().guard(stands).once(once).run(Post { author, text }).await
    }

    /// Lists tweets, newest first, those before `cursor` if one is given.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, limit: u32, before: Option<Uuid>, consistency: Consistency) -> Result<Timeline, Error> {
        let until = before.map(|id| id.as_bytes().as_slice().into());
        let rows_max = limit.clamp(1, PAGE_MAX);
        let range = Range { table: TWEETS.id, from: None, until, descending: true, rows_max };
        let page = self.cluster.scan(range, consistency).await?;
        let mut tweets = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            tweets.push(Tweet::of(row)?);
        }
        let next = tweets.last().filter(|_| page.more).map(|last| cursor::write(last.id));
        Ok(Timeline { tweets, next })
    }

    /// Gives a tweet another text, while what `stands` checks does.
    ///
    /// # Errors
    /// The text's bounds, no such tweet, another's, another version, and those of any write.
    pub async fn edit(
        &self,
        user: &str,
        (id, text): (Uuid, &str),
        condition: &Condition,
        once: Option<&Once>,
        stands: &Operation,
    ) -> Result<Written<Done>, Error> {
        check_text(text, self.characters_max)?;
        let edit = Edit { of: Owned { id, user, condition }, text };
        self.writer.begin().guard(stands).once(once).run(edit).await
    }

    /// Deletes a tweet, while what `stands` checks does.
    ///
    /// # Errors
    /// No such tweet, another's, another version, and those of any write.
    pub async fn delete(
        &self,
        user: &str,
        id: Uuid,
        condition: &Condition,
        once: Option<&Once>,
        stands: &Operation,
    ) -> Result<Written<Done>, Error> {
        let delete = Delete { of: Owned { id, user, condition } };
        self.writer.begin().guard(stands).once(once).run(delete).await
    }
}

impl Write for Post<'_> {
    type Name = Expected;
    type Answer = Done;
    type Error = Error;

    async fn plan(&mut self, _: &Found) -> Result<Option<Plan<Self>>, Error> {
        let tweet = Tweet::new(Uuid::now_v7(), self.author, self.text);
        let (key, value) = (key(tweet.id), tweet.value());
        Ok(Some(Plan::new(Done::Posted(tweet)).put(Expected::Tweet, key, Expect::Absent, value)))
    }

    /// An id that is taken: the next one isn't.
    fn lost(&mut self, Expected::Tweet: Expected, _: Race) -> Result<(), Error> {
        Ok(())
    }
}

impl Write for Edit<'_> {
    type Name = Expected;
    type Answer = Done;
    type Error = Error;

    fn reads(&self) -> Vec<Key> {
        vec![key(self.of.id)]
    }

    /// With a condition at most one of many can win, so there is nothing to wait for.
    fn turns(&self) -> Vec<Key> {
        if *self.of.condition == Condition::None { self.reads() } else { Vec::new() }
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let row = self.of.find(found)?;
        let next = row.tweet.edited(self.text);
        let (expect, value) = (Expect::Version(row.version), next.value());
        Ok(Some(Plan::new(Done::Edited(next)).put(Expected::Tweet, key(self.of.id), expect, value)))
    }

    fn lost(&mut self, Expected::Tweet: Expected, race: Race) -> Result<(), Error> {
        match self.of.condition {
            _ if race.found.is_none() => Err(Error::NotFound),
            Condition::None => Ok(()),
            Condition::OneOf(_) => Err(Error::VersionMismatch { txn: Some(race.txn) }),
        }
    }
}

impl Write for Delete<'_> {
    type Name = Expected;
    type Answer = Done;
    type Error = Error;

    fn reads(&self) -> Vec<Key> {
        vec![key(self.of.id)]
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let row = self.of.find(found)?;
        let expect = match self.of.condition {
            Condition::None => Expect::Present,
            Condition::OneOf(_) => Expect::Version(row.version),
        };
        Ok(Some(Plan::new(Done::Deleted).delete(Expected::Tweet, key(self.of.id), expect)))
    }

    fn lost(&mut self, Expected::Tweet: Expected, race: Race) -> Result<(), Error> {
        Err(if race.found.is_none() { Error::NotFound } else { Error::VersionMismatch { txn: Some(race.txn) } })
    }
}

impl Owned<'_> {
    /// The tweet, if it is there, the user's, and of the version that is demanded.
    fn find(&self, found: &Found) -> Result<Row, Error> {
        let row = Row::read(found.row(&key(self.id)).ok_or(Error::NotFound)?)?;
        if !row.tweet.author.eq_ignore_ascii_case(self.user) {
            return Err(Error::NotOwner);
        }
        match self.condition {
            Condition::OneOf(versions) if !versions.contains(&row.tweet.version) => Err(Error::VersionMismatch { txn: None }),
            Condition::None | Condition::OneOf(_) => Ok(row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;

    /// A write's fingerprint holds its condition as this text, for as long as its `Idempotency-Key` is remembered: through an
    /// upgrade too.
    #[test]
    fn a_condition_is_written_as_it_always_was() {
        let texts = [Condition::None, Condition::OneOf(vec![3, 4])].map(|condition| format!("{condition:?}"));
        assert_eq!(texts, ["None", "OneOf([3, 4])"]);
    }
}
