//! The rows of bookmarks. A mark has two, which are written and removed together: one by its tweet, so that a tweet is marked at
//! most once, and one by its place in the order of marks, so that a page is a stretch of the table. One row more counts a
//! person's marks; it is there while there are any. All keys begin with the lower-cased username and a zero byte, which no
//! username has, so that what a person has lies together.

use serde::{Deserialize, Serialize};
use skein_protocol::operation::{Action, Key, Row, Shared};
use uuid::Uuid;

use crate::store::clock::Timestamp;
use crate::store::row::Unreadable;
use crate::store::tables::BOOKMARKS;

/// What stands behind the owner in the keys of marks by tweet.
const BY_TWEET: u8 = b't';

/// The same of marks by place.
const BY_PLACE: u8 = b'p';

/// What the keys of one person's rows begin with.
pub(super) struct Owner(Vec<u8>);

/// What the row of a tweet's mark holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Mark {
    /// Its place in the order of marks: a UUID of version 7.
    pub place: Uuid,
    pub created_at: Timestamp,
}

/// What the row of a place holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    pub tweet: Uuid,
    pub created_at: Timestamp,
}

/// How many marks there are.
#[derive(Serialize, Deserialize)]
struct Tally {
    count: u64,
}

impl Owner {
    pub fn new(user: &str) -> Self {
        let mut prefix = user.to_ascii_lowercase().into_bytes();
        prefix.push(0);
        Owner(prefix)
    }

    /// The key of the row that counts.
    pub fn tally(&self) -> Key {
        Key::new(BOOKMARKS.id, self.0.as_slice())
    }

    /// The key of this tweet's mark.
    pub fn mark(&self, tweet: Uuid) -> Key {
        self.key(BY_TWEET, tweet.as_bytes())
    }

    /// The key of a place.
    pub fn place(&self, place: Uuid) -> Key {
        self.key(BY_PLACE, place.as_bytes())
    }

    /// Where the places begin, and the first key behind them.
    pub fn places(&self) -> (Shared, Shared) {
        (self.key(BY_PLACE, &[]).bytes, self.key(BY_PLACE + 1, &[]).bytes)
    }

    fn key(&self, kind: u8, id: &[u8]) -> Key {
        Key::new(BOOKMARKS.id, [self.0.as_slice(), &[kind], id].concat())
    }
}

/// The place that a key names.
pub(super) fn place_of(key: &Key) -> Result<Uuid, Unreadable> {
    key.bytes.last_chunk().map(|bytes| Uuid::from_bytes(*bytes)).ok_or(BOOKMARKS.malformed())
}

/// The bytes of a row.
pub(super) fn value(row: &impl Serialize) -> Vec<u8> {
    BOOKMARKS.encode(row).expect("plain data with text keys becomes JSON")
}

/// How many marks there are, as the row says that counts them.
pub(super) fn count(tally: Option<&Row>) -> Result<u64, Unreadable> {
    tally.map_or(Ok(0), |row| Ok(BOOKMARKS.decode::<Tally>(&row.value)?.count))
}

/// What becomes of that row.
pub(super) fn counted(count: u64) -> Action {
    if count == 0 { Action::Delete } else { Action::Put(value(&Tally { count }).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_have_lies_apart_and_in_order() {
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        let ann = Owner::new("Ann");
        let (from, until) = ann.places();
        let among = |key: &Key| (from.as_slice()..until.as_slice()).contains(&key.bytes.as_slice());
        assert!(among(&ann.place(first)) && ann.place(first) < ann.place(second));
        assert_eq!(place_of(&ann.place(first)), Ok(first));
        assert!(!among(&ann.mark(first)) && !among(&ann.tally()));
        assert_eq!(ann.tally(), Owner::new("aNN").tally());
        for other in ["an", "annt", "annp", "ann.p", "bob"] {
            let other = Owner::new(other);
            assert!(![other.tally(), other.mark(first), other.place(first)].iter().any(among), "another's");
        }
    }

    #[test]
    fn a_person_without_marks_has_no_row() {
        assert_eq!((count(None), counted(0)), (Ok(0), Action::Delete));
        assert_eq!(counted(7), Action::Put(br#"{"format":1,"count":7}"#.as_slice().into()));
    }
}
