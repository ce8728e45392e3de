//! The names of data: any text in UTF-8 of 1 to 512 bytes, which is what the store takes. They order by their bytes, which
//! for UTF-8 is the order of code points, and a prefix is a stretch of that order.

use std::fmt;

use serde::{Deserialize, Serialize};
use skein_protocol::limits::KEY_BYTES_MAX;
use skein_protocol::operation::{Key, Range, Row, Shared};

use crate::store::tables::DATA;

/// The name of one value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataKey(String);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {KEY_BYTES_MAX} bytes of UTF-8, not {0}")]
pub struct KeyLength(pub usize);

impl DataKey {
    /// Bytes of a key.
    pub const BYTES_MAX: usize = KEY_BYTES_MAX;

    /// Takes a text, if it is a key.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn parse(text: impl Into<String>) -> Result<Self, KeyLength> {
        let text = text.into();
        if (1..=KEY_BYTES_MAX).contains(&text.len()) { Ok(DataKey(text)) } else { Err(KeyLength(text.len())) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the row.
    #[must_use]
    pub fn row(&self) -> Key {
        Key::new(DATA, self.0.as_str())
    }

    /// The name that a row has; `None` if it is none that this program gives.
    #[must_use]
    pub fn of(row: &Row) -> Option<Self> {
        let text = std::str::from_utf8(&row.key.bytes).ok()?;
        DataKey::parse(text).ok()
    }
}

impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All keys that begin so, from the one behind `after` on.
pub(super) fn stretch(prefix: &str, after: Option<&DataKey>, rows_max: u32) -> Range {
    let from = match after {
        // The next text in the order of bytes.
        Some(after) => Some(Shared::from([after.0.as_bytes(), &[0]].concat())),
        None => (!prefix.is_empty()).then(|| Shared::from(prefix)),
    };
    let until = prefix.as_bytes().split_last().map(|(last, head)| {
        // No byte of UTF-8 is the greatest that a byte can be.
        Shared::from([head, &[last + 1]].concat())
    });
    Range { table: DATA, from, until, descending: false, rows_max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_bytes_within_its_bound() {
        assert!(DataKey::parse("x").is_ok() && DataKey::parse("x".repeat(KEY_BYTES_MAX)).is_ok());
        assert_eq!(DataKey::parse(""), Err(KeyLength(0)));
        assert_eq!(DataKey::parse("\u{e4}".repeat(KEY_BYTES_MAX / 2 + 1)), Err(KeyLength(KEY_BYTES_MAX + 2)));
    }

    #[test]
    fn a_prefix_is_the_stretch_of_all_that_begin_so() {
        let within = |range: &Range, key: &str| {
            range.from.as_ref().is_none_or(|from| from.as_slice() <= key.as_bytes())
                && range.until.as_ref().is_none_or(|until| key.as_bytes() < until.as_slice())
        };
        let last = char::MAX.to_string();
        for prefix in ["a", "users/", "\u{e4}", last.as_str()] {
            let range = stretch(prefix, None, 1);
            let begun = [prefix.to_owned(), format!("{prefix}\0"), format!("{prefix}{last}{last}")];
            assert!(begun.iter().all(|key| within(&range, key)), "{prefix:?}");
            assert!(["", "`", "Z", "users", "users0"].iter().all(|key| !within(&range, key)), "{prefix:?}");
        }
        assert!(within(&stretch("", None, 1), &last));
        let behind = stretch("a", Some(&DataKey::parse("ab").unwrap()), 1);
        assert!(!within(&behind, "ab") && within(&behind, "ab\0") && !within(&behind, "b"));
    }
}
