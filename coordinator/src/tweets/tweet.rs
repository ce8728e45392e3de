//! A tweet: what the store keeps of it, what clients see of it, and the bounds of its text. The key of its row is its id, a
//! UUID of version 7, so that the table's order is the order of time (RFC 9562, section 5.7).

use serde::{Deserialize, Serialize};
use skein_protocol::id::Version;
use skein_protocol::operation::{self, Key};
use uuid::Uuid;

use super::Error;
use crate::store::clock::Timestamp;
use crate::store::row::Unreadable;
use crate::store::tables::TWEETS;
use crate::visible::is_visible;

/// A tweet as the domain knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tweet {
    /// Its name, never used twice.
    pub id: Uuid,
    /// Who wrote it, as written when the account was made.
    pub author: String,
    /// What it says.
    pub text: String,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When it was edited last.
    pub edited_at: Option<Timestamp>,
    /// Counts its texts from 1; what clients compare. The store's own version of the row decides races.
    pub version: u64,
}

/// What the row holds: all but the id, which is its key.
#[derive(Serialize, Deserialize)]
struct TweetRow {
    author: String,
    text: String,
    created_at: Timestamp,
    edited_at: Option<Timestamp>,
    version: u64,
}

/// A tweet with the store's version of its row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub tweet: Tweet,
    pub version: Version,
}

impl Tweet {
    /// A first version.
    #[must_use]
    pub fn new(id: Uuid, author: &str, text: &str) -> Self {
        let created_at = Timestamp::now();
        Tweet { id, author: author.to_owned(), text: text.to_owned(), created_at, edited_at: None, version: 1 }
    }

    /// The tweet of a row that was asked for.
    ///
    /// # Errors
    /// Not found, or not to be read.
    pub fn read(row: Option<&operation::Row>) -> Result<Self, Error> {
        Ok(Tweet::of(row.ok_or(Error::NotFound)?)?)
    }

    /// The tweet of a row that is there.
    ///
    /// # Errors
    /// Not to be read.
    pub fn of(row: &operation::Row) -> Result<Self, Unreadable> {
        Ok(Row::read(row)?.tweet)
    }

    /// The next version, with another text.
    #[must_use]
    pub fn edited(&self, text: &str) -> Self {
        let mut next = self.clone();
        next.text = text.to_owned();
        next.edited_at = Some(Timestamp::now());
        next.version += 1;
        next
    }

    /// The bytes of its row.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let stored = TweetRow {
            author: self.author.clone(),
            text: self.text.clone(),
            created_at: self.created_at,
            edited_at: self.edited_at,
            version: self.version,
        };
        TWEETS.encode(&stored).expect("a tweet is plain data with text keys")
    }
}

impl Row {
    /// Reads a row back. One that this program can't read is an error, not an absence.
    pub fn read(row: &operation::Row) -> Result<Self, Unreadable> {
        let id = Uuid::from_slice(&row.key.bytes).map_err(|_| TWEETS.malformed())?;
        let TweetRow { author, text, created_at, edited_at, version } = TWEETS.decode(&row.value)?;
        Ok(Row { tweet: Tweet { id, author, text, created_at, edited_at, version }, version: row.version })
    }
}

/// The key of a tweet's row.
#[must_use]
pub fn key(id: Uuid) -> Key {
    Key::new(TWEETS.id, id.as_bytes().as_slice())
}

/// Checks a text: its bound, and that it is text.
///
/// # Errors
/// Nothing to see, too long, or with a control character.
pub fn check_text(text: &str, characters_max: usize) -> Result<(), Error> {
    let characters = text.chars().count();
    if !is_visible(text) {
        Err(Error::EmptyText { max: characters_max })
    } else if characters > characters_max {
        Err(Error::TooLong { characters, max: characters_max })
    } else {
        let control = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        control.map_or(Ok(()), |character| Err(Error::ControlCharacter(character)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_counts_unicode_scalar_values() {
        assert!(check_text(&"\u{1f9f6}".repeat(100), 100).is_ok());
        assert!(matches!(check_text(&"x".repeat(101), 100), Err(Error::TooLong { characters: 101, max: 100 })));
        assert!(matches!(check_text("", 100), Err(Error::EmptyText { .. })));
        assert!(matches!(check_text(" \n\u{200b}\u{202e}", 100), Err(Error::EmptyText { .. })));
    }

    #[test]
    fn lines_and_tabs_are_text_and_other_control_characters_are_not() {
        assert!(check_text("one\n\ttwo", 100).is_ok());
        for wrong in ['\0', '\r', '\u{1b}', '\u{7f}', '\u{85}'] {
            assert_eq!(check_text(&format!("a{wrong}b"), 100), Err(Error::ControlCharacter(wrong)));
        }
        assert!(Error::ControlCharacter('\u{1b}').to_string().starts_with("U+001B is"));
    }

    #[test]
    fn an_edit_counts_on_and_keeps_the_rest() {
        let first = Tweet::new(Uuid::now_v7(), "Ann", "one");
        let second = first.edited("two");
        assert_eq!((second.version, second.text.as_str(), second.created_at), (2, "two", first.created_at));
        assert!(second.edited_at.is_some());
    }
}
