//! How rows of ours are written and read: JSON objects that begin with the format of their table, `{"format":1,"author":...`. A
//! row without one was written before formats were counted and is of format 1. A program reads every format up to its own.
//!
//! A row of a newer format says something that this program can't know. So it is an error, never an absence: it is not written
//! over, not removed and not swept, and everything that depends on it is refused until a newer program runs again.
//!
//! A table's format is raised when an older program would misread the rows, or lose a part of them by writing them over. New
//! members have a `#[serde(default)]`, so that rows of all formats before are read; the tests keep rows of each.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skein_protocol::operation::TableId;

use super::clock::Timestamp;

/// What a row begins with that says its format.
const STAMP: &[u8] = b"{\"format\":";

/// A table of rows of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its number, never used for other rows.
    pub id: TableId,
    /// Its name, for operators.
    pub name: &'static str,
    /// The format that is written; it and all before are read.
    pub format: u32,
    /// Whether rows end at their `expires_at` and are swept after it.
    pub expires: bool,
}

/// Why a row can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer program wrote it.
    #[error("a row of table {table} has format {found}, this Skein reads formats up to {known}: use a newer Skein")]
    Newer {
        /// The table.
        table: &'static str,
        /// Its format.
        found: u32,
        /// The newest that is read.
        known: u32,
    },
    /// It is nothing that any program writes.
    #[error("a row of table {table} can't be read")]
    Malformed {
        /// The table.
        table: &'static str,
    },
}

#[derive(Serialize)]
struct Stamped<'a, T> {
    format: u32,
    #[serde(flatten)]
    row: &'a T,
}

/// The one member that rows share which end by themselves.
#[derive(Deserialize)]
struct Expiry {
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

impl Table {
    /// The bytes of a row, which must be an object.
    ///
    /// # Errors
    /// When a part of it is no JSON.
    pub fn encode(&self, row: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Stamped { format: self.format, row })
    }

    /// Reads a row.
    ///
    /// # Errors
    /// When its format is newer than the table's, or it is no row of the table.
    pub fn decode<T: DeserializeOwned>(&self, value: &[u8]) -> Result<T, Unreadable> {
        self.check(value)?;
        serde_json::from_slice(value).map_err(|_| self.malformed())
    }

    /// Checks that this program may read a row, and write it over.
    ///
    /// # Errors
    /// When its format is newer than the table's.
    pub fn check(&self, value: &[u8]) -> Result<(), Unreadable> {
        let found = format(value).ok_or(self.malformed())?;
        if found > self.format { Err(Unreadable::Newer { table: self.name, found, known: self.format }) } else { Ok(()) }
    }

    /// Whether a row has outlived its time.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn has_ended(&self, value: &[u8], now: Timestamp) -> Result<bool, Unreadable> {
        let Expiry { expires_at } = self.decode(value)?;
        Ok(self.expires && expires_at.is_some_and(|end| end <= now))
    }

    /// The error for what is no row of this table.
    #[must_use]
    pub fn malformed(&self) -> Unreadable {
        Unreadable::Malformed { table: self.name }
    }
}

/// The format of a row; `None` if its number can't be read.
fn format(value: &[u8]) -> Option<u32> {
    let Some(rest) = value.strip_prefix(STAMP) else { return Some(1) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table { id: TableId(200), name: "things", format: 2, expires: true };

    /// A thing, of which format 1 did not have the colour.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        size: u8,
        #[serde(default)]
        colour: String,
        expires_at: Option<Timestamp>,
    }

    fn thing(colour: &str) -> Thing {
        Thing { size: 7, colour: colour.to_owned(), expires_at: Some(Timestamp(5)) }
    }

    #[test]
    fn a_row_begins_with_its_format_and_is_read_back() {
        let value = TABLE.encode(&thing("red")).unwrap();
        assert_eq!(value, br#"{"format":2,"size":7,"colour":"red","expires_at":5}"#);
        assert_eq!(TABLE.decode(&value), Ok(thing("red")));
    }

    #[test]
    fn rows_of_formats_before_are_read() {
        for before in ["{\"size\":7,\"expires_at\":5}", "{\"format\":1,\"size\":7,\"expires_at\":5}"] {
            assert_eq!(TABLE.decode(before.as_bytes()), Ok(thing("")), "{before}");
        }
    }

    #[test]
    fn a_row_of_a_newer_format_is_refused_by_name_and_never_ends() {
        for found in [3, u32::MAX] {
            let value = format!("{{\"format\":{found},\"size\":7,\"expires_at\":5}}").into_bytes();
            let newer = Unreadable::Newer { table: "things", found, known: 2 };
            assert_eq!(TABLE.decode::<Thing>(&value), Err(newer));
            assert_eq!(TABLE.check(&value), Err(newer));
            assert_eq!(TABLE.has_ended(&value, Timestamp(u64::MAX)), Err(newer));
            let said = newer.to_string();
            assert!(said.contains("things") && said.contains(&format!("format {found}")) && said.contains("up to 2"), "{said}");
        }
    }

    #[test]
    fn what_no_program_writes_is_refused() {
        for wrong in ["", "{", "[]", "{\"format\":}", "{\"format\":-1}", "{\"format\":4294967296,\"size\":7}", "{\"size\":\"x\"}"]
        {
            assert_eq!(TABLE.decode::<Thing>(wrong.as_bytes()), Err(TABLE.malformed()), "{wrong}");
        }
    }

    #[test]
    fn a_row_ends_at_its_expiry_if_its_table_says_so() {
        let value = TABLE.encode(&thing("red")).unwrap();
        assert_eq!(TABLE.has_ended(&value, Timestamp(4)), Ok(false));
        assert_eq!(TABLE.has_ended(&value, Timestamp(5)), Ok(true));
        let lasting = Table { expires: false, ..TABLE };
        assert_eq!(lasting.has_ended(&value, Timestamp(u64::MAX)), Ok(false));
        let endless = TABLE.encode(&Thing { expires_at: None, ..thing("red") }).unwrap();
        assert_eq!(TABLE.has_ended(&endless, Timestamp(u64::MAX)), Ok(false));
    }
}
