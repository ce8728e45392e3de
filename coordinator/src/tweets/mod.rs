//! Tweets: post, read, list, edit, delete, each write one transaction. A post writes one row that is expected to be absent; an
//! edit replaces the version that it read, so that of two racing edits exactly one wins; a delete needs no version, since
//! whose a tweet is never changes and an id is never used again. A post also checks the session of who posts.
//!
//! Without `If-Match` the last edit wins: one that lost a race reads again and tries anew, as often as [`ATTEMPTS_MAX`].

mod cursor;
mod tweet;

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Action, Consistency, Expect, Operation, Range};
use skein_protocol::step::AbortReason;
use uuid::Uuid;

use crate::cluster::{self, Cluster};
use crate::idempotency::{Claim, Past};
use crate::tables::TWEETS;
use crate::turns::Turns;
pub use cursor::{read as read_cursor, write as write_cursor};
use tweet::Found;
pub(crate) use tweet::check_text;
pub use tweet::{Tweet, key};

/// Times that an edit without `If-Match` is tried before it gives up. Within one coordinator edits take turns, so that only
/// coordinators that edit the same tweet at the same time use these up.
pub const ATTEMPTS_MAX: u32 = 32;

/// Tweets of one page.
pub const PAGE_MAX: u32 = 200;

/// All that can be done with tweets.
pub struct Tweets {
    cluster: Cluster,
    characters_max: usize,
    turns: Turns,
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

/// A write that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it did.
    pub done: Done,
    /// Its transaction; a repeat's is the first one's.
    pub txn: TxnId,
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
    /// The session of who posts has ended.
    #[error("the session has ended")]
    LoggedOut,
    /// It is another's.
    #[error("only its author may change a tweet")]
    NotOwner,
    /// It is not of the version that was demanded. `txn` is the transaction that found out, if it came to one.
    #[error("the tweet has another version than the one named in If-Match")]
    VersionMismatch {
        /// The transaction.
        txn: Option<TxnId>,
    },
    /// The key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// Too many edits of this tweet wait; nothing was done.
    #[error("too many edits of this tweet are waiting")]
    Busy,
    /// The row is not one that this program can read.
    #[error("the tweet's record can't be read")]
    Unreadable,
    /// The store did not do it.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

impl Tweets {
    /// Tweets in this cluster, of at most so many Unicode scalar values.
    #[must_use]
    pub fn new(cluster: Cluster, characters_max: usize, turn_wait_max: Duration) -> Self {
        Tweets { cluster, characters_max, turns: Turns::new(turn_wait_max) }
    }

    /// Posts a tweet, if what `stands` checks does: the author's session.
    ///
    /// # Errors
    /// The text's bounds, a key used otherwise, the session's end, or the store's.
    pub async fn post(&self, author: &str, text: &str, claim: Option<&Claim>, stands: Operation) -> Result<Written, Error> {
        check_text(text, self.characters_max)?;
        let mut replaces = None;
        for _ in 0..ATTEMPTS_MAX {
            let tweet = Tweet::new(Uuid::now_v7(), author, text);
            let put = Operation { key: key(tweet.id), expect: Expect::Absent, action: Action::Put(tweet.value().into()) };
            match self.write(Some(stands.clone()), put, Done::Posted(tweet), claim, replaces).await {
                Err(Lost::Claim) => match self.past(claim).await? {
                    Settled::Answered(written) => return Ok(written),
                    Settled::Open(version) => replaces = version,
                },
                Err(Lost::Session) => return Err(Error::LoggedOut),
                // An id that is taken: the next one isn't.
                Err(Lost::Tweet { .. }) => {}
                Err(Lost::Cluster(error)) => return Err(error.into()),
                Ok(written) => return Ok(written),
            }
        }
        Err(Error::Busy)
    }

    /// Lists tweets, newest first, those before `cursor` if one is given.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, limit: u32, before: Option<Uuid>, consistency: Consistency) -> Result<Timeline, Error> {
        let until = before.map(|id| id.as_bytes().as_slice().into());
        let rows_max = limit.clamp(1, PAGE_MAX);
        let range = Range { table: TWEETS, from: None, until, descending: true, rows_max };
        let page = self.cluster.scan(range, consistency).await?;
        let mut tweets = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            tweets.push(Found::read(row)?.tweet);
        }
        let next = tweets.last().filter(|_| page.more).map(|last| write_cursor(last.id));
        Ok(Timeline { tweets, next })
    }

    /// Gives a tweet another text.
    ///
    /// # Errors
    /// All but a taken id.
    pub async fn edit(
        &self,
        user: &str,
        id: Uuid,
        text: &str,
        condition: &Condition,
        claim: Option<&Claim>,
    ) -> Result<Written, Error> {
        check_text(text, self.characters_max)?;
        // With a condition at most one of many can win, so there is nothing to wait for.
        let _turn = match condition {
            Condition::None => Some(self.turns.take(id).await.ok_or(Error::Busy)?),
            Condition::OneOf(_) => None,
        };
        for _ in 0..ATTEMPTS_MAX {
            let (found, replaces) = match self.before(user, id, condition, claim).await? {
                Before::Repeat(written) => return Ok(written),
                Before::Write { found, replaces } => (found, replaces),
            };
            let next = found.tweet.edited(text);
            let put = Operation { key: key(id), expect: Expect::Version(found.row), action: Action::Put(next.value().into()) };
            match self.write(None, put, Done::Edited(next), claim, replaces).await {
                Ok(written) => return Ok(written),
                Err(Lost::Tweet { gone, txn }) if gone || *condition != Condition::None => {
                    // A concurrent duplicate of this very request may be what won; then its answer is ours.
                    if let Settled::Answered(written) = self.past(claim).await? {
                        return Ok(written);
                    }
                    return Err(if gone { Error::NotFound } else { Error::VersionMismatch { txn: Some(txn) } });
                }
                Err(Lost::Tweet { .. } | Lost::Claim | Lost::Session) => {}
                Err(Lost::Cluster(error)) => return Err(error.into()),
            }
        }
        Err(Error::Busy)
    }

    /// Deletes a tweet.
    ///
    /// # Errors
    /// All but those of texts.
    pub async fn delete(&self, user: &str, id: Uuid, condition: &Condition, claim: Option<&Claim>) -> Result<Written, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (found, replaces) = match self.before(user, id, condition, claim).await? {
                Before::Repeat(written) => return Ok(written),
                Before::Write { found, replaces } => (found, replaces),
            };
            let expect = match condition {
                Condition::None => Expect::Present,
                Condition::OneOf(_) => Expect::Version(found.row),
            };
            let delete = Operation { key: key(id), expect, action: Action::Delete };
            match self.write(None, delete, Done::Deleted, claim, replaces).await {
                Ok(written) => return Ok(written),
                Err(Lost::Tweet { gone, txn }) => {
                    if let Settled::Answered(written) = self.past(claim).await? {
                        return Ok(written);
                    }
                    return Err(if gone { Error::NotFound } else { Error::VersionMismatch { txn: Some(txn) } });
                }
                Err(Lost::Claim | Lost::Session) => {}
                Err(Lost::Cluster(error)) => return Err(error.into()),
            }
        }
        Err(Error::Busy)
    }

    /// Reads what a change of a tweet depends on, in one read: the tweet, and the claim's row.
    async fn before(&self, user: &str, id: Uuid, condition: &Condition, claim: Option<&Claim>) -> Result<Before, Error> {
        let mut keys = vec![key(id)];
        keys.extend(claim.map(Claim::key));
        let rows = self.cluster.read(keys).await?;
        let mut replaces = None;
        if let Some(claim) = claim {
            match claim.judge::<Done>(rows.iter().find(|row| row.key == claim.key())) {
                Past::Repeat { answer, txn, .. } => return Ok(Before::Repeat(Written { done: answer, txn })),
                Past::Reused => return Err(Error::KeyReused),
                Past::Free(version) => replaces = version,
            }
        }
        let row = rows.iter().find(|row| row.key.table == TWEETS).ok_or(Error::NotFound)?;
        let found = Found::read(row)?;
        if !found.tweet.author.eq_ignore_ascii_case(user) {
            return Err(Error::NotOwner);
        }
        match condition {
            Condition::OneOf(versions) if !versions.contains(&found.tweet.version) => Err(Error::VersionMismatch { txn: None }),
            Condition::None | Condition::OneOf(_) => Ok(Before::Write { found, replaces }),
        }
    }

    /// Commits one operation on a tweet, and the claim's row with it, if what `stands` checks does. That comes first: of
    /// several expectations that fail the first is told.
    async fn write(
        &self,
        stands: Option<Operation>,
        operation: Operation,
        done: Done,
        claim: Option<&Claim>,
        replaces: Option<Version>,
    ) -> Result<Written, Lost> {
        let tweet = u16::from(stands.is_some());
        let mut operations = Vec::with_capacity(3);
        operations.extend(stands);
        operations.push(operation);
        operations.extend(claim.map(|claim| claim.remember(&done, replaces)));
        match self.cluster.commit(operations).await {
            Ok(committed) => Ok(Written { done, txn: committed.txn }),
            Err(cluster::Error::Aborted { txn, reason: AbortReason::Expectation { operation, found } }) => {
                Err(match operation.cmp(&tweet) {
                    Ordering::Less => Lost::Session,
                    Ordering::Equal => Lost::Tweet { gone: found.is_none(), txn },
                    Ordering::Greater => Lost::Claim,
                })
            }
            Err(error) => Err(Lost::Cluster(error)),
        }
    }

    /// What stands under the claim's key after a lost race.
    async fn past(&self, claim: Option<&Claim>) -> Result<Settled, Error> {
        let Some(claim) = claim else { return Ok(Settled::Open(None)) };
        match claim.past::<Done>(&self.cluster).await? {
            Past::Repeat { answer, txn, .. } => Ok(Settled::Answered(Written { done: answer, txn })),
            Past::Reused => Err(Error::KeyReused),
            Past::Free(version) => Ok(Settled::Open(version)),
        }
    }
}

enum Before {
    Repeat(Written),
    Write { found: Found, replaces: Option<Version> },
}

enum Settled {
    Answered(Written),
    Open(Option<Version>),
}

/// Which expectation of a transaction did not hold, or what else went wrong.
enum Lost {
    Session,
    Tweet { gone: bool, txn: TxnId },
    Claim,
    Cluster(cluster::Error),
}
