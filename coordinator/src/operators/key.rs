//! How an operator proves to know the cluster's secret without sending it. From the secret a key is derived for this alone,
//! and each request is signed with it (HMAC-SHA256): its method, the server's name, its path and query, the hash of its body,
//! the time, and a random number. A signature that somebody has overheard is good for no other request and no other server,
//! for a minute at the most, and not twice: the server remembers the random numbers of that minute, and takes none that was
//! signed before it started.
//!
//! ```text
//! Authorization: Skein-Operator time=1763617739250, nonce=<32 hexadecimal digits>, signature=<64 hexadecimal digits>
//! ```

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use skein_runtime::transport::Secret;

use crate::store::clock::Timestamp;

/// The scheme of the `Authorization` header.
pub const SCHEME: &str = "Skein-Operator";

/// What stands in the header where there is no secret to prove: only the header itself counts.
pub const LOCAL: &str = "local";

/// Milliseconds by which the clocks of both ends may differ, the way of the request included.
pub const SKEW_MS: u64 = 60_000;

/// Requests that are remembered at once. Only those who know the secret take room.
const REMEMBERED_MAX: usize = 4_096;

/// What the key is derived for, so that it is good for nothing else.
const CONTEXT: &str = "skein operator requests, version 1";

/// The key that operators' requests are signed with.
#[derive(Clone)]
pub struct OperatorKey([u8; 32]);

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method.
    pub method: &'a str,
    /// The server as the client calls it: the `Host` header.
    pub authority: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What a request brought as its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    time_ms: u64,
    nonce: [u8; 16],
    signature: [u8; 32],
}

/// The requests that were taken lately, so that none is taken twice.
pub struct Taken {
    since_ms: u64,
    nonces: Mutex<HashMap<[u8; 16], u64>>,
}

/// Why a proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was made with another secret, or for another request.
    #[error("the signature is not that of this request by this cluster's secret")]
    Signature,
    /// The clocks differ by too much.
    #[error("the request was signed at another time than now: the clocks may differ by {} s at the most", SKEW_MS / 1000)]
    Time,
    /// It was taken before, or may have been.
    #[error("the request was taken before, or was signed before this coordinator started")]
    Repeated,
    /// Too many are remembered.
    #[error("more than {REMEMBERED_MAX} requests came within the time that they are remembered")]
    TooMany,
}

impl OperatorKey {
    /// The key that follows from the cluster's secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        OperatorKey(secret.derive(CONTEXT))
    }

    /// The value of the `Authorization` header of a request that is made now.
    #[must_use]
    pub fn sign(&self, request: Signed<'_>) -> String {
        let (time_ms, nonce) = (now_ms(), rand::random());
        let signature = self.mac(request, time_ms, &nonce).finalize().into_bytes();
        format!("{SCHEME} time={time_ms}, nonce={}, signature={}", hex(&nonce), hex(&signature))
    }

    /// Checks a proof; `taken` takes note of it.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verify(&self, request: Signed<'_>, proof: &Proof, taken: &Taken) -> Result<(), Refused> {
        let mac = self.mac(request, proof.time_ms, &proof.nonce);
        mac.verify_slice(&proof.signature).map_err(|_| Refused::Signature)?;
        taken.take(proof, now_ms())
    }

    fn mac(&self, request: Signed<'_>, time_ms: u64, nonce: &[u8; 16]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        let Signed { method, authority, path, body } = request;
        for part in [method.as_bytes(), authority.as_bytes(), path.as_bytes(), Sha256::digest(body).as_slice()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.update(&time_ms.to_be_bytes());
        mac.update(nonce);
        mac
    }
}

impl Proof {
    /// Reads what stands behind the scheme.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',').map(str::trim);
        let mut next = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let (time, nonce, signature) = (next("time")?, next("nonce")?, next("signature")?);
        let time_ms = time.parse().ok()?;
        let proof = Proof { time_ms, nonce: unhex(nonce)?, signature: unhex(signature)? };
        parts.next().is_none().then_some(proof)
    }
}

impl Default for Taken {
    fn default() -> Self {
        Taken { since_ms: now_ms(), nonces: Mutex::default() }
    }
}

impl Taken {
    fn take(&self, proof: &Proof, now_ms: u64) -> Result<(), Refused> {
        if proof.time_ms.abs_diff(now_ms) > SKEW_MS {
            return Err(Refused::Time);
        }
        if proof.time_ms < self.since_ms {
            return Err(Refused::Repeated);
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.retain(|_, time_ms| *time_ms + SKEW_MS >= now_ms);
        if nonces.contains_key(&proof.nonce) {
            return Err(Refused::Repeated);
        }
        if nonces.len() >= REMEMBERED_MAX {
            return Err(Refused::TooMany);
        }
        nonces.insert(proof.nonce, proof.time_ms);
        Ok(())
    }
}

fn now_ms() -> u64 {
    Timestamp::now().0 / 1_000
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all that is written");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Signed<'_> =
        Signed { method: "POST", authority: "127.0.0.1:8080", path: "/api/tokens?x=1", body: b"{\"name\":\"x\"}" };

    fn key(text: &str) -> OperatorKey {
        OperatorKey::of(&Secret::parse(text).unwrap())
    }

    fn proof(header: &str) -> Proof {
        Proof::parse(header.strip_prefix("Skein-Operator ").unwrap()).unwrap()
    }

    #[test]
    fn a_signature_is_good_for_one_request_by_one_secret_once() {
        let key = key("a secret for tests only");
        let signed = proof(&key.sign(REQUEST));
        for other in [
            Signed { method: "DELETE", ..REQUEST },
            Signed { authority: "127.0.0.1:8081", ..REQUEST },
            Signed { path: "/api/tokens?x=2", ..REQUEST },
            Signed { body: b"{\"name\":\"y\"}", ..REQUEST },
            // No part may lend another its end.
            Signed { method: "POST1", authority: "27.0.0.1:8080", ..REQUEST },
        ] {
            assert_eq!(key.verify(other, &signed, &Taken::default()), Err(Refused::Signature), "{other:?}");
        }
        let stranger = self::key("another secret for tests");
        assert_eq!(stranger.verify(REQUEST, &signed, &Taken::default()), Err(Refused::Signature));
        let later = Proof { time_ms: signed.time_ms + 1, ..signed.clone() };
        assert_eq!(key.verify(REQUEST, &later, &Taken::default()), Err(Refused::Signature));
        let taken = Taken { since_ms: 0, nonces: Mutex::default() };
        assert_eq!(key.verify(REQUEST, &signed, &taken), Ok(()));
        assert_eq!(key.verify(REQUEST, &signed, &taken), Err(Refused::Repeated));
    }

    #[test]
    fn what_was_signed_long_ago_or_before_the_start_or_in_the_future_does_not_count() {
        let taken = Taken { since_ms: 100_000, nonces: Mutex::default() };
        let at = |time_ms, nonce| Proof { time_ms, nonce: [nonce; 16], signature: [0; 32] };
        assert_eq!(taken.take(&at(200_000, 1), 200_000 + SKEW_MS), Ok(()));
        assert_eq!(taken.take(&at(200_000, 1), 200_000 + SKEW_MS), Err(Refused::Repeated));
        assert_eq!(taken.take(&at(200_000, 2), 200_001 + SKEW_MS), Err(Refused::Time));
        assert_eq!(taken.take(&at(200_001 + SKEW_MS, 3), 200_000), Err(Refused::Time));
        assert_eq!(taken.take(&at(99_999, 4), 100_000), Err(Refused::Repeated));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_when_it_can_no_longer_count() {
        let taken = Taken { since_ms: 0, nonces: Mutex::default() };
        let at = |time_ms, number: usize| {
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&number.to_be_bytes());
            Proof { time_ms, nonce, signature: [0; 32] }
        };
        for number in 0..REMEMBERED_MAX {
            assert_eq!(taken.take(&at(1, number), 1), Ok(()));
        }
        assert_eq!(taken.take(&at(1, REMEMBERED_MAX), 1), Err(Refused::TooMany));
        assert_eq!(taken.take(&at(2 + SKEW_MS, REMEMBERED_MAX), 2 + SKEW_MS), Ok(()));
    }

    #[test]
    fn only_a_whole_proof_is_read() {
        let (nonce, signature) = ("0".repeat(32), "f".repeat(64));
        assert!(Proof::parse(&format!("time=1, nonce={nonce}, signature={signature}")).is_some());
        for wrong in [
            String::new(),
            LOCAL.to_owned(),
            format!("time=1, nonce={nonce}"),
            format!("time=1, nonce={nonce}, signature={signature}, more=1"),
            format!("time=-1, nonce={nonce}, signature={signature}"),
            format!("time=1, nonce={nonce}0, signature={signature}"),
            format!("time=1, nonce={}, signature={signature}", "+0".repeat(16)),
            format!("nonce={nonce}, time=1, signature={signature}"),
        ] {
            assert_eq!(Proof::parse(&wrong), None, "{wrong:?} was taken");
        }
    }
}
