//! Sessions: who is logged in. A session is a row of the replicated store, so that a restart logs nobody out and logging out
//! counts at every coordinator. The token is 128 random bits that only the browser keeps; the row is keyed by its SHA-256
//! hash, so that whoever reads the store can't log in with what it finds.
//!
//! Reads look the session up in the same read as what was asked for. A write can do without: it takes the session as it was
//! last seen here, and its transaction checks that it still stands, so that logging out at one coordinator ends it at once at
//! all of them.

mod attempts;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use skein_protocol::id::TxnId;
use skein_protocol::operation::{Action, Expect, Key, Operation, Row};

use crate::clock::Timestamp;
use crate::cluster::{self, Cluster};
use crate::seen::{self, Ends, Seen};
use crate::tables::SESSIONS;
pub use attempts::{Allowance, Attempts};

/// All that can be done with sessions.
pub struct Sessions {
    cluster: Cluster,
    lifetime: Duration,
    seen: Seen<Session>,
}

/// The secret that a browser keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 16]);

/// Somebody who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who, as written when the account was made.
    pub username: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A session as it was last seen here.
pub type Presumed = seen::Presumed<Session>;

impl Ends for Session {
    fn ends_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl Token {
    fn new() -> Self {
        Token(rand::random())
    }

    /// Reads what a browser sent; `None` if it is no token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Token)
    }

    /// The token as text, for the cookie alone.
    #[must_use]
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn key(&self) -> Key {
        Key::new(SESSIONS, Sha256::digest(self.0).as_slice())
    }

    fn delete(&self) -> Operation {
        Operation { key: self.key(), expect: Expect::Any, action: Action::Delete }
    }
}

impl Sessions {
    /// Sessions in this cluster that live so long.
    #[must_use]
    pub fn new(cluster: Cluster, lifetime: Duration) -> Self {
        Sessions { cluster, lifetime, seen: Seen::default() }
    }

    /// How long a session lives.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Begins a session of this user, in place of the one that the same browser had before.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(&self, username: &str, before: Option<&Token>) -> Result<(Token, Session, TxnId), cluster::Error> {
        let token = Token::new();
        let created_at = Timestamp::now();
        let session = Session { username: username.to_owned(), created_at, expires_at: created_at.after(self.lifetime) };
        let value = serde_json::to_vec(&session).expect("a session is plain data with text keys");
        let put = Operation { key: token.key(), expect: Expect::Absent, action: Action::Put(value.into()) };
        let mut operations = vec![put];
        if let Some(before) = before {
            self.seen.forget(&before.key());
            operations.push(before.delete());
        }
        let committed = self.cluster.commit(operations).await?;
        Ok((token, session, committed.txn))
    }

    /// The session of this token, if it has one that has not ended.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, token: &Token) -> Result<Option<Arc<Session>>, cluster::Error> {
        Ok(self.seen.find(&self.cluster, token.key()).await?.map(|seen| seen.value))
    }

    /// The session of this token, if it has one that has not ended, and another row, in one read.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_beside(&self, token: &Token, other: Key) -> Result<Option<(Arc<Session>, Option<Row>)>, cluster::Error> {
        let key = token.key();
        let rows = self.cluster.read(vec![key.clone(), other.clone()]).await?;
        let (mut session, mut beside) = (None, None);
        for row in rows {
            if row.key == key {
                session = Some(row);
            } else if row.key == other {
                beside = Some(row);
            }
        }
        Ok(self.seen.see(key, session).map(|seen| (seen.value, beside)))
    }

    /// The session of this token as it was last seen here, else as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn presume(&self, token: &Token) -> Result<Option<Presumed>, cluster::Error> {
        self.seen.presume(&self.cluster, token.key()).await
    }

    /// Ends the session of this token, at every coordinator, if it has one: a token that was made up costs no transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, token: &Token) -> Result<Option<TxnId>, cluster::Error> {
        if self.find(token).await?.is_none() {
            return Ok(None);
        }
        self.seen.forget(&token.key());
        Ok(Some(self.cluster.commit(vec![token.delete()]).await?.txn))
    }
}

/// Whether a row of the table has outlived its time.
#[must_use]
pub fn expired(value: &[u8], now: Timestamp) -> bool {
    serde_json::from_slice::<Session>(value).is_ok_and(|session| session.expires_at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_what_it_reveals_and_is_stored_only_hashed() {
        let token = Token::new();
        assert!(Token::parse(&token.reveal()).is_some_and(|read| read == token));
        assert!(Token::parse("short").is_none() && Token::parse("").is_none() && Token::parse("a b").is_none());
        assert_ne!(token.key().bytes.as_slice(), token.0);
        assert_eq!(token.key().bytes.len(), 32);
    }
}
