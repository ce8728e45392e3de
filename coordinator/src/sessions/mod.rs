//! Sessions: who is logged in. A session is a row of the replicated store, so that a restart logs nobody out and logging out
//! counts at every coordinator. The token is 128 random bits that only the browser keeps, behind a few that say whose it is; the row
//! is keyed by these and the token's SHA-256 hash, so that the sessions of one account lie side by side, and so that reading the
//! store is not enough to log in.
//!
//! An account has a bounded number of sessions: one more ends the oldest. So no account can use up, by logging in again and again, the
//! room that a full store keeps for log-ins; and when even that is used up, a log-in can still take the place of an older one.
//!
//! A read of one record looks the session up in the same read; a list confirms it with a read just before. A write can do without: it takes the
//! session as it was last seen here, and its transaction checks that it still stands, so that logging out at one coordinator ends it at once at
//! all of them.

pub mod routes;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use skein_protocol::id::TxnId;
use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Range, Row, Shared};
use skein_protocol::step::AbortReason;

use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::row::{Table, Unreadable};
use crate::store::seen::{self, Ends, Seen};
use crate::store::tables::SESSIONS;

/// Sessions of one account: far more than a person has browsers, since a class or a load test may share an account. Log-ins at
/// the same moment may pass it for a while: the next one ends what is too much.
pub const PER_ACCOUNT_MAX: usize = 400;

/// Sessions that one log-in ends at the most.
const ENDED_AT_ONCE_MAX: usize = 32;

/// Bytes of a token that say whose it is, and bytes that can't be guessed.
const OWNER_BYTES: usize = 8;
const SECRET_BYTES: usize = 16;

/// Bytes of a hash, which is the whole key of a row that an earlier program wrote.
const HASH_BYTES: usize = 32;

/// All that can be done with sessions.
pub struct Sessions {
    cluster: Cluster,
    lifetime: Duration,
    seen: Seen<Session>,
}

/// The secret that a browser keeps. One from an earlier program does not say whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

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
    const TABLE: Table = SESSIONS;

    fn ends_at(&self) -> Option<Timestamp> {
        Some(self.expires_at)
    }
}

impl Token {
    fn new(username: &str) -> Self {
        let secret: [u8; SECRET_BYTES] = rand::random();
        Token([owner(username).as_slice(), &secret].concat())
    }

    /// Reads what a browser sent; `None` if it is no token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        matches!(bytes.len().checked_sub(SECRET_BYTES), Some(0 | OWNER_BYTES)).then_some(Token(bytes))
    }

    /// The token as text, for the cookie alone.
    #[must_use]
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    fn key(&self) -> Key {
        let owner = &self.0[..self.0.len() - SECRET_BYTES];
        Key::new(SESSIONS.id, [owner, Sha256::digest(&self.0).as_slice()].concat())
    }

    fn delete(&self) -> Operation {
        delete(self.key())
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

    /// Begins a session of this user, in place of the one that the same browser had before, and of the oldest if there are as many as
    /// may be or the store has room for no other.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(&self, username: &str, before: Option<&Token>) -> Result<(Token, Session, TxnId), cluster::Error> {
        let token = Token::new(username);
        let created_at = Timestamp::now();
        let session = Session { username: username.to_owned(), created_at, expires_at: created_at.after(self.lifetime) };
        let value = SESSIONS.encode(&session).expect("a session is plain data with text keys");
        let put = Operation { key: token.key(), expect: Expect::Absent, action: Action::Put(value.into()) };
        let replaced = match before {
            Some(token) => self.cluster.read_one(token.key()).await?.filter(may_end).map(|row| row.key),
            None => None,
        };
        let mut others = self.of(username).await?;
        others.retain(|key| Some(key) != replaced.as_ref());
        let surplus = (others.len() + 1).saturating_sub(PER_ACCOUNT_MAX);
        let mut ended: Vec<Key> = others.drain(..surplus.min(ENDED_AT_ONCE_MAX)).chain(replaced).collect();
        let begun = |ended: &[Key]| [put.clone()].into_iter().chain(ended.iter().cloned().map(delete)).collect();
        let mut committed = self.cluster.commit(begun(&ended)).await;
        if let (Err(cluster::Error::Aborted { reason: AbortReason::Memory, .. }), Some(oldest)) = (&committed, others.first()) {
            ended.push(oldest.clone());
            committed = self.cluster.commit(begun(&ended)).await;
        }
        let txn = committed?.txn;
        ended.iter().for_each(|key| self.seen.forget(key));
        Ok((token, session, txn))
    }

    /// The rows of this user's sessions that this program may end, the oldest first.
    async fn of(&self, username: &str) -> Result<Vec<Key>, cluster::Error> {
        let owner = owner(username);
        let until = u64::from_be_bytes(owner).checked_add(1).map(|next| Shared::from(next.to_be_bytes().as_slice()));
        let rows_max = u32::try_from(PER_ACCOUNT_MAX + ENDED_AT_ONCE_MAX).expect("a bound of hundreds");
        let range = Range { table: SESSIONS.id, from: Some(owner.as_slice().into()), until, descending: false, rows_max };
        let rows = self.cluster.scan(range, Consistency::Arrival).await?.rows;
        // A row of an earlier program may begin with the same bytes, and is another's.
        let own = rows.into_iter().filter(|row| row.key.bytes.len() > HASH_BYTES && may_end(row));
        let begun_at = |row: &Row| SESSIONS.decode::<Session>(&row.value).map(|session| session.created_at).ok();
        let mut sessions: Vec<(Option<Timestamp>, Key)> = own.map(|row| (begun_at(&row), row.key)).collect();
        sessions.sort();
        Ok(sessions.into_iter().map(|(_, key)| key).collect())
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
        Ok(self.seen.see(&key, session)?.map(|seen| (seen.value, beside)))
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
        let committed = self.cluster.commit(vec![token.delete()]).await;
        // A request at the same time may have seen it in between.
        self.seen.forget(&token.key());
        Ok(Some(committed?.txn))
    }
}

/// What the tokens and rows of a user's sessions begin with.
fn owner(username: &str) -> [u8; OWNER_BYTES] {
    let hash = Sha256::digest(username.to_ascii_lowercase());
    hash.first_chunk().copied().expect("a hash is longer than a part of it")
}

/// Whether this program may end a session: one of a newer program's it leaves alone.
fn may_end(row: &Row) -> bool {
    !matches!(SESSIONS.check(&row.value), Err(Unreadable::Newer { .. }))
}

fn delete(key: Key) -> Operation {
    Operation { key, expect: Expect::Any, action: Action::Delete }
}

#[cfg(test)]
mod tests {
    use skein_protocol::limits::ENTRY_ANSWER_BYTES_MAX;

    use super::*;

    #[test]
    fn a_token_reads_back_what_it_reveals_and_is_stored_only_hashed() {
        let token = Token::new("Ann");
        assert!(Token::parse(&token.reveal()).is_some_and(|read| read == token));
        for wrong in ["short", "", "a b", &"A".repeat(21), &"A".repeat(43)] {
            assert!(Token::parse(wrong).is_none(), "{wrong:?} was taken");
        }
        let key = token.key();
        assert!(!key.bytes.windows(SECRET_BYTES).any(|part| part == &token.0[OWNER_BYTES..]));
        assert_eq!(key.bytes.len(), OWNER_BYTES + HASH_BYTES);
        assert!(key.bytes.starts_with(&owner("aNN")) && !key.bytes.starts_with(&owner("Bob")));
    }

    #[test]
    fn all_sessions_of_an_account_fit_into_one_answer() {
        let username = "n".repeat(crate::accounts::field::USERNAME_MAX);
        let token = Token::new(&username);
        let session = Session { username, created_at: Timestamp(u64::MAX), expires_at: Timestamp(u64::MAX) };
        let row = token.key().bytes.len() + SESSIONS.encode(&session).unwrap().len();
        assert!((PER_ACCOUNT_MAX + ENDED_AT_ONCE_MAX) * row <= ENTRY_ANSWER_BYTES_MAX, "{row} bytes for each");
    }

    #[test]
    fn a_token_of_an_earlier_program_still_names_its_row() {
        let bytes = [7; SECRET_BYTES];
        let token = Token::parse(&URL_SAFE_NO_PAD.encode(bytes)).unwrap();
        assert_eq!(token.key(), Key::new(SESSIONS.id, Sha256::digest(bytes).as_slice()));
    }
}
