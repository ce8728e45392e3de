//! Sessions: who is logged in. A session is a row of the replicated store, so that a restart logs nobody out and logging out
//! counts at every coordinator. The token is 128 random bits that only the browser keeps; the row is keyed by its SHA-256
//! hash, so that whoever reads the store can't log in with what it finds.

mod attempts;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use skein_protocol::id::TxnId;
use skein_protocol::operation::{Action, Expect, Key, Operation};

use crate::clock::Timestamp;
use crate::cluster::{self, Cluster};
use crate::tables::SESSIONS;
pub use attempts::{Allowance, Attempts};

/// All that can be done with sessions.
pub struct Sessions {
    cluster: Cluster,
    lifetime: Duration,
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
}

impl Sessions {
    /// Sessions in this cluster that live so long.
    #[must_use]
    pub fn new(cluster: Cluster, lifetime: Duration) -> Self {
        Sessions { cluster, lifetime }
    }

    /// How long a session lives.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Begins a session of this user.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(&self, username: &str) -> Result<(Token, Session, TxnId), cluster::Error> {
        let token = Token::new();
        let created_at = Timestamp::now();
        let session = Session { username: username.to_owned(), created_at, expires_at: created_at.after(self.lifetime) };
        let value = serde_json::to_vec(&session).expect("a session is plain data with text keys");
        let put = Operation { key: token.key(), expect: Expect::Absent, action: Action::Put(value.into()) };
        let committed = self.cluster.commit(vec![put]).await?;
        Ok((token, session, committed.txn))
    }

    /// The session of this token, if it has one that has not expired.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, token: &Token) -> Result<Option<Session>, cluster::Error> {
        let row = self.cluster.read_one(token.key()).await?;
        let session = row.and_then(|row| serde_json::from_slice::<Session>(&row.value).ok());
        Ok(session.filter(|session| session.expires_at > Timestamp::now()))
    }

    /// Ends the session of this token, at every coordinator.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, token: &Token) -> Result<TxnId, cluster::Error> {
        let delete = Operation { key: token.key(), expect: Expect::Any, action: Action::Delete };
        Ok(self.cluster.commit(vec![delete]).await?.txn)
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
