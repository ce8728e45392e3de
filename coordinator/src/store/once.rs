//! Repeats that do nothing twice. A write that names an `Idempotency-Key` writes one more row in the same transaction, which
//! is expected to be absent: user and key -> fingerprint of the request and its answer. A repeat finds the row and gets the
//! first answer; of two at once exactly one commits, because the other's expectation fails.
//!
//! Only committed answers are remembered: a request that was refused or aborted has done nothing and may be sent again.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Action, Expect, Key, Operation, Row};
use skein_protocol::step::AbortReason;

use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::row::Unreadable;
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
pub struct Once {
    key: Key,
    fingerprint: Fingerprint,
    kept_for: Duration,
}

/// What the row under its key says of it.
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

impl Once {
    /// Of this user (lower-cased name), for one request.
    #[must_use]
    pub fn new(user: &str, key: &IdempotencyKey, fingerprint: Fingerprint, kept_for: Duration) -> Self {
        let mut bytes = Vec::with_capacity(user.len() + 1 + key.0.len());
        bytes.extend_from_slice(user.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(key.0.as_bytes());
        Once { key: Key::new(IDEMPOTENCY.id, bytes), fingerprint, kept_for }
    }

    /// The name of its row.
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
        let value = IDEMPOTENCY.encode(&row)?;
        Ok(Operation { key: self.key.clone(), expect: Expect::Absent, action: Action::Put(value.into()) })
    }

    /// Removes what has expired under its key and is of this version still, so that the row that comes is a new one.
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

    /// What the row under its key means for the request.
    ///
    /// # Errors
    /// When this program can't read the row, or the same request's answer in it. Neither is another request's.
    pub fn judge<A: DeserializeOwned>(&self, row: Option<&Row>) -> Result<Past<A>, Unreadable> {
        let Some(row) = row else { return Ok(Past::Free(None)) };
        let kept: Remembered<Box<RawValue>> = IDEMPOTENCY.decode(&row.value)?;
        if kept.expires_at <= Timestamp::now() {
            return Ok(Past::Free(Some(row.version)));
        }
        if kept.fingerprint != self.fingerprint.hex() {
            return Ok(Past::Reused);
        }
        let answer = serde_json::from_str(kept.answer.get()).map_err(|_| IDEMPOTENCY.malformed())?;
        Ok(Past::Repeat { answer, txn: row.written_by, row: row.version })
    }
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

    fn row(value: Vec<u8>) -> Row {
        let written_by = TxnId { incarnation: skein_protocol::id::Incarnation(1), sequence: 2 };
        Row { key: once().key(), version: Version(3), written_by, value: value.into() }
    }

    fn once() -> Once {
        Once::new("ann", &IdempotencyKey::parse(b"k").unwrap(), Fingerprint::of(&[b"x"]), Duration::from_secs(60))
    }

    /// What is remembered of an answer.
    fn remembered(answer: &impl Serialize) -> Row {
        let Operation { action: Action::Put(value), .. } = once().remember(answer).unwrap() else { panic!("it is written") };
        row(value.to_vec())
    }

    #[test]
    fn an_answer_that_has_a_new_member_since_is_still_the_first_answer() {
        #[derive(Serialize)]
        struct Before {
            text: String,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Now {
            text: String,
            #[serde(default)]
            likes: u64,
        }
        let past = once().judge::<Now>(Some(&remembered(&Before { text: "one".to_owned() })));
        let first = Now { text: "one".to_owned(), likes: 0 };
        assert!(matches!(past, Ok(Past::Repeat { answer, .. }) if answer == first));
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_called_another_requests() {
        let judge = |row: &Row| once().judge::<u64>(Some(row)).unwrap_err();
        assert_eq!(judge(&remembered(&"not a number")), IDEMPOTENCY.malformed());
        assert_eq!(judge(&row(b"{}".to_vec())), IDEMPOTENCY.malformed());
        // Nor does it expire, whatever its members seem to say.
        let format = IDEMPOTENCY.format + 1;
        let newer = row(format!("{{\"format\":{format},\"fingerprint\":\"\",\"expires_at\":1,\"answer\":1}}").into_bytes());
        assert!(matches!(judge(&newer), Unreadable::Newer { .. }));
    }

    #[test]
    fn users_do_not_share_keys() {
        let key = IdempotencyKey::parse(b"k").unwrap();
        let once = |user| Once::new(user, &key, Fingerprint::of(&[]), Duration::from_secs(1)).key();
        assert_ne!(once("ann"), once("bob"));
    }
}
