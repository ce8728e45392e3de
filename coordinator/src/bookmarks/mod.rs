//! Bookmarks: a person marks tweets, lists the marks, removes them. They are a person's own: no request names anybody else's.
//!
//! A tweet is marked only while it is there, which the mark's own transaction checks. When the tweet is deleted later the mark
//! stays, so that its owner sees that something is gone, and removes it. To mark a tweet twice, or to remove a mark that is not
//! there, changes nothing. Each person has a bounded number of marks, which a row of their own counts.

mod problem;
pub mod routes;
mod row;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use skein_protocol::limits::READ_KEYS_MAX;
use skein_protocol::operation::{Consistency, Expect, Key, Operation, Range, Row};
use uuid::Uuid;

use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::cursor;
use crate::store::once::Once;
use crate::store::row::Unreadable;
use crate::store::tables::BOOKMARKS;
use crate::store::write::{self, Found, Plan, Race, Write, Writer, Written};
use crate::tweets::{self, Tweet};
use row::{Mark, Owner, Place};

/// Bookmarks of one person.
pub const BOOKMARKS_MAX: u64 = 1_000;

/// Bookmarks of one page.
pub const PAGE_MAX: u32 = 200;

/// Tweets that can be asked about at once.
pub const TWEETS_ASKED_MAX: usize = READ_KEYS_MAX;

/// A page ends with the read of tweets that brings it to this many bytes, so that it may have the bytes of one read more.
const PAGE_BYTES: usize = 512 * 1024;

/// All that can be done with bookmarks.
pub struct Bookmarks {
    cluster: Cluster,
    writer: Writer,
}

/// A tweet that somebody has marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// The tweet.
    pub tweet: Uuid,
    /// When it was marked.
    pub created_at: Timestamp,
}

/// A bookmark with its tweet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmarked {
    /// The bookmark.
    pub bookmark: Bookmark,
    /// The tweet; `None` if it was deleted.
    pub tweet: Option<Tweet>,
}

/// A page of bookmarks, the newest mark first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The bookmarks.
    pub bookmarks: Vec<Bookmarked>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What a write did. Kept under its `Idempotency-Key`, so that a repeat gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// The tweet is marked now.
    Marked(Bookmark),
    /// It was marked already.
    Kept(Bookmark),
    /// It is not marked now, whether it was or not.
    Removed,
}

/// Why a bookmark was not made, removed or listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such tweet.
    #[error("there is no such tweet")]
    NoSuchTweet,
    /// The person has as many as may be.
    #[error("you have {BOOKMARKS_MAX} bookmarks, as many as are allowed; remove one first")]
    TooMany,
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

/// What a write of bookmarks expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The tweet is there.
    Tweet,
    /// The rows of the mark, and the tally, are as they were found.
    Unchanged,
}

/// A new bookmark.
struct Add<'a> {
    owner: &'a Owner,
    tweet: Uuid,
}

/// The end of a bookmark.
struct Remove<'a> {
    owner: &'a Owner,
    tweet: Uuid,
}

impl Bookmarks {
    /// Bookmarks in this cluster.
    #[must_use]
    pub fn new(cluster: Cluster, writer: Writer) -> Self {
        Bookmarks { cluster, writer }
    }

    /// Marks a tweet for this user, while what `stands` checks does: the user's session.
    ///
    /// # Errors
    /// No such tweet, too many bookmarks, and those of any write.
    pub async fn add(&self, user: &str, tweet: Uuid, once: Option<&Once>, stands: &Operation) -> Result<Written<Done>, Error> {
        let owner = &Owner::new(user);
        self.writer.begin().guard(stands).once(once).run(Add { owner, tweet }).await
    }

    /// Removes this user's mark of a tweet, if there is one, while what `stands` checks does.
    ///
    /// # Errors
    /// Those of any write.
    pub async fn remove(&self, user: &str, tweet: Uuid, once: Option<&Once>, stands: &Operation) -> Result<Written<Done>, Error> {
        let owner = &Owner::new(user);
        self.writer.begin().guard(stands).once(once).run(Remove { owner, tweet }).await
    }

    /// Lists this user's bookmarks, the newest mark first, those before the place of a cursor if one is given.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, user: &str, limit: u32, before: Option<Uuid>) -> Result<Page, Error> {
        let owner = Owner::new(user);
        let (from, end) = owner.places();
        let until = before.map_or(end, |place| owner.place(place).bytes);
        let rows_max = limit.clamp(1, PAGE_MAX);
        let range = Range { table: BOOKMARKS.id, from: Some(from), until: Some(until), descending: true, rows_max };
        let found = self.cluster.scan(range, Consistency::Arrival).await?;
        let mut places = Vec::with_capacity(found.rows.len());
        for row in &found.rows {
            places.push((row::place_of(&row.key)?, BOOKMARKS.decode::<Place>(&row.value)?));
        }
        let (mut page, mut bytes) = (Page::default(), 0);
        for part in places.chunks(READ_KEYS_MAX) {
            let marks: Vec<Bookmark> =
                part.iter().map(|(_, Place { tweet, created_at })| Bookmark { tweet: *tweet, created_at: *created_at }).collect();
            let (bookmarks, long) = self.with_tweets(&marks).await?;
            page.bookmarks.extend(bookmarks);
            bytes += long;
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        let more = found.more || page.bookmarks.len() < places.len();
        let last = page.bookmarks.len().checked_sub(1).map(|last| places[last].0);
        page.next = last.filter(|_| more).map(cursor::write);
        Ok(page)
    }

    /// This user's bookmarks of these tweets, at most [`TWEETS_ASKED_MAX`], in the order of the tweets.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(&self, user: &str, tweets: &[Uuid]) -> Result<Vec<Bookmarked>, Error> {
        let owner = Owner::new(user);
        let rows = self.cluster.read(tweets.iter().map(|tweet| owner.mark(*tweet)).collect()).await?;
        let found = Found::from(rows);
        let mut marks = Vec::new();
        for tweet in tweets {
            marks.extend(found.row(&owner.mark(*tweet)).map(|row| bookmark(*tweet, row)).transpose()?);
        }
        Ok(self.with_tweets(&marks).await?.0)
    }

    /// These marks, at most [`READ_KEYS_MAX`], each with its tweet, and how many bytes the tweets have.
    async fn with_tweets(&self, marks: &[Bookmark]) -> Result<(Vec<Bookmarked>, usize), Error> {
        if marks.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let rows = self.cluster.read(marks.iter().map(|mark| tweets::key(mark.tweet)).collect()).await?;
        let bytes = rows.iter().map(|row| row.value.len()).sum();
        let mut tweets = HashMap::with_capacity(rows.len());
        for row in &rows {
            let tweet = Tweet::of(row)?;
            tweets.insert(tweet.id, tweet);
        }
        let bookmarks = marks.iter().map(|mark| Bookmarked { bookmark: *mark, tweet: tweets.remove(&mark.tweet) });
        Ok((bookmarks.collect(), bytes))
    }
}

impl Write for Add<'_> {
    type Name = Expected;
    type Answer = Done;
    type Error = Error;

    fn reads(&self) -> Vec<Key> {
        vec![tweets::key(self.tweet), self.owner.mark(self.tweet), self.owner.tally()]
    }

    /// All marks of a person race for the tally.
    fn turns(&self) -> Vec<Key> {
        vec![self.owner.tally()]
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let (tweet, mark, tally) = (tweets::key(self.tweet), self.owner.mark(self.tweet), self.owner.tally());
        found.row(&tweet).ok_or(Error::NoSuchTweet)?;
        if let Some(row) = found.row(&mark) {
            let kept = Plan::new(Done::Kept(bookmark(self.tweet, row)?)).check(Expected::Tweet, tweet, Expect::Present);
            return Ok(Some(kept.check(Expected::Unchanged, mark, Expect::Version(row.version))));
        }
        let count = row::count(found.row(&tally))?;
        if count >= BOOKMARKS_MAX {
            return Err(Error::TooMany);
        }
        let (place, created_at) = (Uuid::now_v7(), Timestamp::now());
        let values = (row::value(&Mark { place, created_at }), row::value(&Place { tweet: self.tweet, created_at }));
        let plan = Plan::new(Done::Marked(Bookmark { tweet: self.tweet, created_at }))
            .check(Expected::Tweet, tweet, Expect::Present)
            .put(Expected::Unchanged, mark, Expect::Absent, values.0)
            .put(Expected::Unchanged, self.owner.place(place), Expect::Absent, values.1);
        let counted = found.unchanged(&tally);
        Ok(Some(plan.step(Expected::Unchanged, tally, counted, row::counted(count + 1))))
    }

    fn lost(&mut self, name: Expected, _: Race) -> Result<(), Error> {
        match name {
            Expected::Tweet => Err(Error::NoSuchTweet),
            Expected::Unchanged => Ok(()),
        }
    }
}

impl Write for Remove<'_> {
    type Name = Expected;
    type Answer = Done;
    type Error = Error;

    fn reads(&self) -> Vec<Key> {
        vec![self.owner.mark(self.tweet), self.owner.tally()]
    }

    fn turns(&self) -> Vec<Key> {
        vec![self.owner.tally()]
    }

    async fn plan(&mut self, found: &Found) -> Result<Option<Plan<Self>>, Error> {
        let (key, tally) = (self.owner.mark(self.tweet), self.owner.tally());
        let plan = Plan::new(Done::Removed);
        let Some(row) = found.row(&key) else {
            return Ok(Some(plan.check(Expected::Unchanged, key, Expect::Absent)));
        };
        let mark: Mark = BOOKMARKS.decode(&row.value)?;
        let count = row::count(found.row(&tally))?;
        let plan = plan.delete(Expected::Unchanged, key, Expect::Version(row.version));
        let plan = plan.delete(Expected::Unchanged, self.owner.place(mark.place), Expect::Any);
        let counted = found.unchanged(&tally);
        Ok(Some(plan.step(Expected::Unchanged, tally, counted, row::counted(count.saturating_sub(1)))))
    }

    fn lost(&mut self, _: Expected, _: Race) -> Result<(), Error> {
        Ok(())
    }
}

/// The bookmark of this tweet, as its row says.
fn bookmark(tweet: Uuid, row: &Row) -> Result<Bookmark, Unreadable> {
    let Mark { created_at, .. } = BOOKMARKS.decode(&row.value)?;
    Ok(Bookmark { tweet, created_at })
}
