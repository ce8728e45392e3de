//! Bearer tokens: what lets a program in. An operator gives them out and takes them back; each may read data, or read and
//! write it, and may have an end. A token is 256 random bits that only the program keeps; its row is keyed by their SHA-256
//! hash, so that whoever reads the store or its logs can't use what it finds. As with sessions, a write checks within its own
//! transaction that the row still stands, so that a token that is revoked at one coordinator is of no use at any.
//!
//! Their number is bounded: each that is made also writes the tally's row, so that of two made at once one is counted first.

mod problem;
pub mod routes;

mod secret;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_protocol::id::TxnId;
use skein_protocol::operation::{Consistency, Expect, Key, Range, Row};

use crate::accounts::field;
use crate::field::FieldError;
use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::row::{Table, Unreadable};
use crate::store::seen::{self, Ends, Seen};
use crate::store::tables::TOKENS;
use crate::store::write::{self, Found, Plan, Race, Write, Writer};
pub use secret::{Secret, TokenId};

/// Tokens that there may be at once.
pub const TOKENS_MAX: usize = 256;

/// Days after which a token may end.
pub const DAYS_MAX: u32 = 3_660;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To read data.
    Read,
    /// To read and to write data.
    Write,
}

/// A token as it is stored and shown: all but its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it is called.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when; `None` until it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A grant as it was last seen here.
pub type Presumed = seen::Presumed<Grant>;

/// All that can be done with tokens.
pub struct Tokens {
    cluster: Cluster,
    writer: Writer,
    seen: Seen<Grant>,
}

/// Why a token was not made or revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field is empty or malformed.
    #[error("{}: {}", .0.field, .0.detail)]
    Field(FieldError),
    /// There are as many as may be.
    #[error("there are {TOKENS_MAX} tokens, as many as are allowed; revoke one first")]
    TooMany,
    /// There is no such token.
    #[error("there is no token of this id, or it was revoked")]
    NotFound,
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

/// What a write of tokens expects.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// No other token was made since they were counted.
    Count,
    /// The token is there, or not, as the write wants it.
    Token,
}

/// A new token.
struct Create<'a> {
    tokens: &'a Tokens,
    key: Key,
    grant: &'a Grant,
}

/// The end of a token.
struct Revoke<'a> {
    tokens: &'a Tokens,
    id: TokenId,
}

/// What bounds the number of tokens: its version changes with each that is made.
#[derive(Serialize)]
struct Tally {
    made_at: Timestamp,
}

impl Ends for Grant {
    const TABLE: Table = TOKENS;

    fn ends_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

impl Tokens {
    /// Tokens in this cluster.
    #[must_use]
    pub fn new(cluster: Cluster, writer: Writer) -> Self {
        Tokens { cluster, writer, seen: Seen::default() }
    }

    /// Makes a token that ends after so many days, if it ends at all. Its secret is told here and never again.
    ///
    /// # Errors
    /// Malformed fields, too many tokens, or the store's.
    pub async fn create(&self, name: &str, scope: Scope, days: Option<u32>) -> Result<(Secret, Grant, TxnId), Error> {
        if let Some(error) = field::name(name) {
            return Err(Error::Field(error));
        }
        if let Some(days) = days.filter(|days| !(1..=DAYS_MAX).contains(days)) {
            let detail = format!("a token ends after 1 to {DAYS_MAX} days, not {days}");
            return Err(Error::Field(FieldError { field: "days".into(), detail, bound: Some(u64::from(DAYS_MAX)) }));
        }
        let (secret, created_at) = (Secret::new(), Timestamp::now());
        let day = Duration::from_secs(24 * 60 * 60);
        let expires_at = days.map(|days| created_at.after(day * days));
        let grant = Grant { name: name.to_owned(), scope, created_at, expires_at };
        let written = self.writer.begin().run(Create { tokens: self, key: secret.key(), grant: &grant }).await?;
        Ok((secret, grant, written.txn))
    }

    /// All tokens, the oldest first; those that have ended are there until they are swept.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<(TokenId, Grant)>, Error> {
        let (_, rows) = self.rows().await?;
        let read = |row: &Row| {
            let grant = TOKENS.decode::<Grant>(&row.value)?;
            Ok((TokenId::of(&row.key).ok_or(TOKENS.malformed())?, grant))
        };
        let mut tokens = rows.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
        tokens.sort_by_key(|(id, grant)| (grant.created_at, *id));
        Ok(tokens)
    }

    /// Revokes a token, at every coordinator: also here nothing is forgotten by hand, since no one acts on what was seen without
    /// a check that it stands.
    ///
    /// # Errors
    /// There is none, or the store's.
    pub async fn revoke(&self, id: TokenId) -> Result<TxnId, Error> {
        Ok(self.writer.begin().run(Revoke { tokens: self, id }).await?.txn)
    }

    /// The grant of this secret as it was last seen here, else as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn presume(&self, secret: &Secret) -> Result<Option<Presumed>, cluster::Error> {
        self.seen.presume(&self.cluster, secret.key()).await
    }

    /// The grant of this secret, if it has one that has not ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, secret: &Secret) -> Result<Option<Presumed>, cluster::Error> {
        self.seen.find(&self.cluster, secret.key()).await
    }

    /// The tally's row, and the rows of all tokens, at one instant.
    async fn rows(&self) -> Result<(Option<Row>, Vec<Row>), Error> {
        let rows_max = u32::try_from(TOKENS_MAX + 1).expect("a bound of hundreds");
        let range = Range { table: TOKENS.id, from: None, until: None, descending: false, rows_max };
        let mut rows = self.cluster.scan(range, Consistency::Strict).await?.rows;
        // The empty key comes before all others.
        let tally = rows.first().filter(|row| row.key == tally_key()).cloned();
        rows.retain(|row| row.key != tally_key());
        Ok((tally, rows))
    }
}

impl Write for Create<'_> {
    type Name = Expected;
    type Answer = ();
    type Error = Error;

    async fn plan(&mut self, _: &Found) -> Result<Option<Plan<Self>>, Error> {
        let (tally, rows) = self.tokens.rows().await?;
        if rows.len() >= TOKENS_MAX {
            return Err(Error::TooMany);
        }
        tally.as_ref().map_or(Ok(()), |tally| TOKENS.check(&tally.value))?;
        let counted = tally.map_or(Expect::Absent, |tally| Expect::Version(tally.version));
        let made = json(&Tally { made_at: self.grant.created_at });
        let plan = Plan::new(()).put(Expected::Count, tally_key(), counted, made);
        Ok(Some(plan.put(Expected::Token, self.key.clone(), Expect::Absent, json(self.grant))))
    }

    fn lost(&mut self, _: Expected, _: Race) -> Result<(), Error> {
        Ok(())
    }
}

impl Write for Revoke<'_> {
    type Name = Expected;
    type Answer = ();
    type Error = Error;

    async fn plan(&mut self, _: &Found) -> Result<Option<Plan<Self>>, Error> {
        let (_, rows) = self.tokens.rows().await?;
        let row = rows.into_iter().find(|row| TokenId::of(&row.key) == Some(self.id)).ok_or(Error::NotFound)?;
        TOKENS.check(&row.value)?;
        Ok(Some(Plan::new(()).delete(Expected::Token, row.key, Expect::Version(row.version))))
    }

    fn lost(&mut self, _: Expected, _: Race) -> Result<(), Error> {
        Ok(())
    }
}

fn tally_key() -> Key {
    Key::new(TOKENS.id, Vec::new())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    TOKENS.encode(value).expect("plain data with text keys becomes JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_grant_that_has_ended_is_swept() {
        let grant = |expires_at| {
            let grant = Grant { name: "x".to_owned(), scope: Scope::Read, created_at: Timestamp(1), expires_at };
            json(&grant)
        };
        let ended = |value: &[u8], now| TOKENS.has_ended(value, now).unwrap();
        assert!(ended(&grant(Some(Timestamp(5))), Timestamp(5)));
        assert!(!ended(&grant(Some(Timestamp(6))), Timestamp(5)));
        assert!(!ended(&grant(None), Timestamp(u64::MAX)));
        assert!(!ended(&json(&Tally { made_at: Timestamp(0) }), Timestamp(u64::MAX)));
    }
}
