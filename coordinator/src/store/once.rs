//! Repeats that do nothing twice. A write that names an `Idempotency-Key` writes one more row in the same transaction, which
//! is expected to be absent: user and key -> fingerprint of the request and its answer. A repeat finds the row and gets the
//! first answer; of two at once exactly one commits, because the other's expectation fails.
//!
//! Only committed answers are remembered: a request that was refused or aborted has done nothing and may be sent again.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Action, Expect, Key, Operation, Row};
use skein_protocol::step::AbortReason;

use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::tables::IDEMPOTENCY;

/// Bytes of a key that a client may send.
pub const KEY_BYTES_MAX: usize = 255;

/// What a client sent as `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A hash of all that makes two requests the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// A request that wants to happen once: whose, under which key, and what it was.
#[derive(Clone, Debug)]
pub struct Claim {
    key: Key,
    fingerprint: Fingerprint,
    kept_for: Duration,
}

/// What stands under a claim's key.
#[derive(Debug)]
pub enum Past<A> {
    /// Nothing, or only something of this version that has expired and is to be removed first.
    Free(Option<Version>),
    /// The same request was committed by this transaction with this answer.
    Repeat {
        /// The first answer.
        answer: A,
        /// The first transaction.
        txn: TxnId,
        /// The version of the row that remembers it. Since that row was new, it is the version of all that was new in its
        /// transaction, which no answer can know before it is committed.
        row: Version,
    },
    /// Another request was committed under the key.
    Reused,
}

#[derive(Serialize, Deserialize)]
struct Remembered<A> {
    fingerprint: String,
    expires_at: Timestamp,
    answer: A,
}

/// Only what the sweep needs.
#[derive(Deserialize)]
struct Expiry {
    expires_at: Timestamp,
}

impl IdempotencyKey {
    /// Takes what a client sent, if it is a key.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let visible = (1..=KEY_BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        visible.then(|| String::from_utf8_lossy(text).into_owned()).map(IdempotencyKey)
    }
}

impl Fingerprint {
    /// The fingerprint of a request with these parts, in this order.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }

    fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Claim {
    /// The claim of this user (lower-cased name) for one request.
    #[must_use]
    pub fn new(user: &str, key: &IdempotencyKey, fingerprint: Fingerprint, kept_for: Duration) -> Self {
        let mut bytes = Vec::with_capacity(user.len() + 1 + key.0.len());
        bytes.extend_from_slice(user.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(key.0.as_bytes());
        Claim { key: Key::new(IDEMPOTENCY, bytes), fingerprint, kept_for }
    }

    /// The name of the claim's row.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// The operation that remembers `answer`, for the transaction that does what was asked. Its row is always a new one.
    ///
    /// # Errors
    /// When the answer holds a record that is no JSON.
    pub fn remember<A: Serialize>(&self, answer: &A) -> Result<Operation, serde_json::Error> {
        let row = Remembered { fingerprint: self.fingerprint.hex(), expires_at: Timestamp::now().after(self.kept_for), answer };
        let value = serde_json::to_vec(&row)?;
        Ok(Operation { key: self.key.clone(), expect: Expect::Absent, action: Action::Put(value.into()) })
    }

    /// Removes what has expired under the claim's key and is of this version still, so that the row that comes is a new one.
    ///
    /// # Errors
    /// The store's. That another was faster is none.
    pub async fn make_room(&self, cluster: &Cluster, expired: Version) -> Result<(), cluster::Error> {
        let delete = Operation { key: self.key(), expect: Expect::Version(expired), action: Action::Delete };
        match cluster.commit(vec![delete]).await {
            Ok(_) | Err(cluster::Error::Aborted { reason: AbortReason::Expectation { .. }, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What the row under the claim's key means for it. A row that this program can't read counts as another request's.
    #[must_use]
    pub fn judge<A: DeserializeOwned>(&self, row: Option<&Row>) -> Past<A> {
        let Some(row) = row else { return Past::Free(None) };
        if expired(&row.value, Timestamp::now()) {
            return Past::Free(Some(row.version));
        }
        match serde_json::from_slice::<Remembered<A>>(&row.value) {
            Ok(kept) if kept.fingerprint == self.fingerprint.hex() => {
                Past::Repeat { answer: kept.answer, txn: row.written_by, row: row.version }
            }
            _ => Past::Reused,
        }
    }
}

/// Whether a row of the table has outlived its time.
#[must_use]
pub fn expired(value: &[u8], now: Timestamp) -> bool {
    serde_json::from_slice::<Expiry>(value).is_ok_and(|row| row.expires_at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_within_its_bound() {
        assert!(IdempotencyKey::parse(b"a").is_some());
        assert!(IdempotencyKey::parse(&[b'~'; KEY_BYTES_MAX]).is_some());
        for wrong in [&b""[..], &[b'a'; KEY_BYTES_MAX + 1], b"a b", b"a\n", "\u{e9}".as_bytes()] {
            assert!(IdempotencyKey::parse(wrong).is_none(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn the_fingerprint_knows_where_one_part_ends() {
        assert_ne!(Fingerprint::of(&[b"ab", b"c"]), Fingerprint::of(&[b"a", b"bc"]));
        assert_eq!(Fingerprint::of(&[b"ab", b"c"]), Fingerprint::of(&[b"ab", b"c"]));
    }

    #[test]
    fn users_do_not_share_keys() {
        let key = IdempotencyKey::parse(b"k").unwrap();
        let claim = |user| Claim::new(user, &key, Fingerprint::of(&[]), Duration::from_secs(1)).key();
        assert_ne!(claim("ann"), claim("bob"));
    }
}
