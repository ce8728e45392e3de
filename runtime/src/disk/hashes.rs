//! The hashes of a database's entries and their sum, by which it is noticed that some are missing. Clients choose a part of
//! what keys and values hold, so nobody outside may be able to find two keys of one hash: both would count as one entry, and
//! the database would be taken for damaged. Keys are therefore hashed with SHA-256 behind a secret that is made with the
//! database and never leaves it, values with XXH3 under a seed that is a part of their key's hash.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of a database's secret.
pub(super) const SECRET_BYTES: usize = 16;

/// The hashes of all entries, and their sum.
pub(super) struct Hashes {
    secret: [u8; SECRET_BYTES],
    /// The hash of each entry, under that of its key.
    entries: HashMap<KeyHash, u64, BuildHasherDefault<Hashed>>,
    sum: u64,
}

/// The hash of a key: 128 bits, so that two keys never share one. The first half places it in the map, the second seeds the
/// hash of its value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct KeyHash(u64, u64);

impl Hashes {
    /// Of no entries.
    pub(super) fn new(secret: [u8; SECRET_BYTES]) -> Self {
        Hashes { secret, entries: HashMap::default(), sum: 0 }
    }

    /// What the hashes rest on; whoever knows it can find keys of one hash.
    pub(super) fn secret(&self) -> [u8; SECRET_BYTES] {
        self.secret
    }

    /// The sum of all hashes.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// This key has this value now.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        let key = self.key(key);
        let hash = xxh3_64_with_seed(value, key.1);
        let before = self.entries.insert(key, hash).unwrap_or(0);
        self.sum = self.sum.wrapping_sub(before).wrapping_add(hash);
    }

    /// This key is gone.
    pub(super) fn remove(&mut self, key: &[u8]) {
        let before = self.entries.remove(&self.key(key)).unwrap_or(0);
        self.sum = self.sum.wrapping_sub(before);
    }

    fn key(&self, key: &[u8]) -> KeyHash {
        let digest: [u8; 32] = Sha256::new().chain_update(self.secret).chain_update(key).finalize().into();
        let half = |at: usize| u64::from_be_bytes(digest[at..at + 8].try_into().expect("eight bytes are eight bytes"));
        KeyHash(half(0), half(8))
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Takes a key that is a hash already for its own hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a hash of a key is written as one number")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_what_is_there_in_whatever_order_it_came() {
        let (mut one, mut other) = (Hashes::new([1; 16]), Hashes::new([1; 16]));
        one.put(b"a", b"1");
        one.put(b"b", b"2");
        other.put(b"b", b"1");
        other.put(b"c", b"3");
        assert_ne!(one.sum(), other.sum());
        other.put(b"b", b"2");
        other.put(b"a", b"1");
        other.remove(b"c");
        other.remove(b"never there");
        assert_eq!(one.sum(), other.sum());
        other.remove(b"a");
        other.remove(b"b");
        assert_eq!(other.sum(), 0);
    }

    #[test]
    fn the_sum_depends_on_the_secret() {
        let (mut one, mut other) = (Hashes::new([1; 16]), Hashes::new([2; 16]));
        one.put(b"a", b"1");
        other.put(b"a", b"1");
        assert_ne!(one.sum(), other.sum());
    }
}
