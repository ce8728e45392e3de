//! Readers: what each asked, what it had to find at the least, and what it found. Reads of one key are strictly
//! serializable: whoever begins to read after a write was acknowledged, or after another has read it, finds it or a later one.

use skein_protocol::id::Version;
use skein_protocol::operation::{Answer, Consistency, Key, Query, Range, Row};
use skein_protocol::step::{Reply, Request};

/// How a reader asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asks {
    /// For one key.
    Key(Consistency),
    /// For the table.
    Table(Consistency),
    /// For the digests of all members.
    Digests,
}

/// One reader with one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    /// The coordinator's run that it asked.
    pub asked: Option<u64>,
    /// The version that had been acknowledged or read when it asked.
    pub floor: Option<Version>,
    /// Every answer.
    pub replies: Vec<Reply>,
}

impl Asks {
    /// The request for this key.
    pub fn request(self, key: &Key) -> Request {
        let (query, consistency) = match self {
            Asks::Digests => return Request::Digests,
            Asks::Key(consistency) => (Query::Keys(vec![key.clone()]), consistency),
            Asks::Table(consistency) => {
                (Query::Range(Range { table: key.table, from: None, until: None, descending: false, rows_max: 10 }), consistency)
            }
        };
        Request::Read { query, consistency, clock: 10, trace: None }
    }
}

impl Reader {
    /// The rows that it was given, if it was given any answer.
    pub fn rows(&self) -> Option<&[Row]> {
        self.replies.iter().find_map(|reply| match reply {
            Reply::Found(Answer::Rows { rows, .. }) => Some(&rows[..]),
            _ => None,
        })
    }

    /// The version of a key that it was given.
    pub fn version(&self, key: &Key) -> Option<Version> {
        self.rows()?.iter().find(|row| row.key == *key).map(|row| row.version)
    }
}
