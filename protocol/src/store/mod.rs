//! One replica's records in memory, with their digest and their size, both kept up to date by each write.

pub mod lock;
pub mod placement;
pub mod room;

use alloc::collections::BTreeMap;
use core::ops::Bound;

use crate::operation::{Digest, Key, Range};
use crate::record::{Stored, Write};
use room::Usage;

/// Bytes that one record takes beside its key and value: two reference-counted allocations with their headers, and its
/// part of a tree node that is half full where a table grows at its end. Measured with a million records (392 bytes each, 201 of
/// them key and value); the memory bound counts with it.
pub const RECORD_OVERHEAD_BYTES: u64 = 200;

/// The records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Store {
    records: BTreeMap<Key, Stored>,
    digest: Digest,
    usage: Usage,
    scrub: Scrub,
}

/// How far the records have been looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Scrub {
    /// Where the next slice begins; `None` is the first record.
    next: Option<Key>,
    /// What the records before it take.
    usage: Usage,
    /// Whether the records took something else than was counted, when the last of them was looked at.
    miscounted: bool,
}

impl Store {
    /// A store of these records.
    #[must_use]
    pub fn new(records: BTreeMap<Key, Stored>) -> Self {
        let (mut digest, mut usage) = (Digest::default(), Usage::default());
        for (key, stored) in &records {
            add(&mut digest, key, stored);
            usage.add(key, stored.value.len());
        }
        Store { records, digest, usage, scrub: Scrub::default() }
    }

    /// The record under a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Stored> {
        self.records.get(key)
    }

    /// The records of a stretch, in its direction; its `rows_max` is not regarded.
    pub fn range(&self, range: &Range) -> impl Iterator<Item = (&Key, &Stored)> {
        let bounds = lock::key_bounds(range.table, range.from.as_ref(), range.until.as_ref());
        let mut rows = bounds.map(|bounds| self.records.range(bounds));
        let descending = range.descending;
        core::iter::from_fn(move || {
            let rows = rows.as_mut()?;
            if descending { rows.next_back() } else { rows.next() }
        })
    }

    /// Writes or removes one record; gives back the one that was there.
    pub fn apply(&mut self, write: &Write) -> Option<Stored> {
        let old = match &write.stored {
            Some(stored) => {
                add(&mut self.digest, &write.key, stored);
                self.usage.add(&write.key, stored.value.len());
                if self.scrub.is_behind(&write.key) {
                    self.scrub.usage.add(&write.key, stored.value.len());
                }
                self.records.insert(write.key.clone(), stored.clone())
            }
            None => self.records.remove(&write.key),
        };
        if let Some(old) = &old {
            subtract(&mut self.digest, &write.key, old);
            self.usage.remove(&write.key, old);
            if self.scrub.is_behind(&write.key) {
                self.scrub.usage.remove(&write.key, old);
            }
        }
        old
    }

    /// Looks whether the next `max` records still are what was written, and begins again after the last. Says how many are not.
    /// After the last it is known whether all of them take what was counted, see [`Store::is_counted`].
    pub fn scrub(&mut self, max: usize) -> u64 {
        let from = self.scrub.next.take().map_or(Bound::Unbounded, Bound::Included);
        let mut rest = self.records.range((from, Bound::Unbounded));
        let mut damaged = 0;
        for (key, stored) in rest.by_ref().take(max) {
            damaged += u64::from(!stored.is_intact(key));
            self.scrub.usage.add(key, stored.value.len());
        }
        self.scrub.next = rest.next().map(|(key, _)| key.clone());
        if self.scrub.next.is_none() {
            self.scrub.miscounted = core::mem::take(&mut self.scrub.usage) != self.usage;
        }
        damaged
    }

    /// Whether the records took what was counted when they were looked at last.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !self.scrub.miscounted
    }

    /// A test's mistake: what a record takes that is not there any more is counted all the same.
    pub(crate) fn wrongly_keep_bytes(&mut self, key: &Key, replaced: &Stored) {
        self.usage.add(key, replaced.value.len());
    }

    /// Flips a bit of a record, as failing memory does, and nobody hears of it. With `unseen`, its checksum fits again: so it looks when a
    /// program has written the wrong thing. Says whether there is such a record.
    #[cfg(feature = "omissions")]
    pub fn corrupt(&mut self, key: &Key, unseen: bool) -> bool {
        let Some(stored) = self.records.get_mut(key) else { return false };
        let mut value = stored.value.to_vec();
        // It takes as many bytes as before.
        match value.last_mut() {
            Some(last) => *last ^= 1,
            None => stored.version.0 ^= 1,
        }
        if unseen {
            let Stored { version, written_by, checksum, .. } = *stored;
            *stored = Stored::new(key, version, written_by, value.into());
            self.digest.sum = self.digest.sum.wrapping_sub(u128::from(checksum)).wrapping_add(u128::from(stored.checksum));
        } else {
            stored.value = value.into();
        }
        true
    }

    /// All records, in the order of keys.
    #[must_use]
    pub fn records(&self) -> &BTreeMap<Key, Stored> {
        &self.records
    }

    /// The sums of all records.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes that the records take, about.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }
}

impl Scrub {
    /// Whether this record was looked at, and the last one not yet.
    fn is_behind(&self, key: &Key) -> bool {
        self.next.as_ref().is_some_and(|next| key < next)
    }
}

/// Changes a digest as a write that replaces `old` by `new` does.
pub fn replace(digest: &mut Digest, key: &Key, old: Option<&Stored>, new: Option<&Stored>) {
    if let Some(new) = new {
        add(digest, key, new);
    }
    if let Some(old) = old {
        subtract(digest, key, old);
    }
}

fn add(digest: &mut Digest, key: &Key, stored: &Stored) {
    digest.records += 1;
    digest.bytes += size(key, stored);
    digest.sum = digest.sum.wrapping_add(u128::from(stored.checksum));
}

fn subtract(digest: &mut Digest, key: &Key, stored: &Stored) {
    digest.records -= 1;
    digest.bytes -= size(key, stored);
    digest.sum = digest.sum.wrapping_sub(u128::from(stored.checksum));
}

fn size(key: &Key, stored: &Stored) -> u64 {
    (key.bytes.len() + stored.value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, TxnId, Version};
    use crate::operation::{Shared, TableId};
    use alloc::vec::Vec;

    fn put(key: &str, version: u64, value: &str) -> Write {
        let written_by = TxnId { incarnation: Incarnation(1), sequence: version };
        let key = Key::new(TableId(1), key);
        let stored = Stored::new(&key, Version(version), written_by, Shared::from(value));
        Write { key, stored: Some(stored) }
    }

    fn delete(key: &str) -> Write {
        Write { key: Key::new(TableId(1), key), stored: None }
    }

    #[test]
    fn the_digest_depends_on_the_content_alone() {
        let (mut one, mut other) = (Store::default(), Store::default());
        for write in [put("a", 1, "x"), put("b", 2, "y"), put("c", 3, "z"), delete("c")] {
            one.apply(&write);
        }
        for write in [put("b", 9, "q"), put("b", 2, "y"), put("a", 1, "x"), delete("none")] {
            other.apply(&write);
        }
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one.digest(), Store::new(one.records().clone()).digest());
        for change in [put("a", 2, "x"), put("a", 1, "X"), delete("a"), put("ab", 1, "x")] {
            let mut changed = one.clone();
            changed.apply(&change);
            assert_ne!(changed.digest(), one.digest(), "{change:?}");
        }
        one.apply(&delete("a"));
        one.apply(&delete("b"));
        assert_eq!(one.digest(), Digest::default());
    }

    #[test]
    fn a_scrub_goes_round_and_finds_what_is_not_as_it_was_written() {
        let mut store = Store::default();
        for key in ["a", "b", "c", "d", "e"] {
            store.apply(&put(key, 1, key));
        }
        assert_eq!([2, 2, 2, 9].map(|max| store.scrub(max)), [0; 4]);
        let before = store.digest();
        let damaged = store.records.get_mut(&Key::new(TableId(1), "d")).unwrap();
        damaged.value = Shared::from("x");
        assert_eq!(store.digest(), before, "nobody has written");
        assert_eq!([2, 2, 2].map(|max| store.scrub(max)), [0, 1, 0]);
        assert_eq!(Store::new(store.records().clone()).scrub(9), 1);
        store.apply(&put("d", 2, "new"));
        assert_eq!(store.scrub(9), 0);
        assert_eq!(store.digest(), Store::new(store.records().clone()).digest());
    }

    #[test]
    fn a_scrub_finds_bytes_that_were_counted_wrong_whatever_is_written_meanwhile() {
        let mut store = Store::default();
        for key in ["a", "b", "c", "d", "e"] {
            store.apply(&put(key, 1, key));
        }
        for round in 0..20 {
            store.scrub(2);
            assert!(store.is_counted());
            // Before and behind the place where the scrub is.
            for key in ["a", "bb", "d", "e"] {
                store.apply(&if round % 3 == 0 { delete(key) } else { put(key, round, &"x".repeat(round as usize)) });
            }
        }
        let kept = store.get(&Key::new(TableId(1), "c")).unwrap().clone();
        store.wrongly_keep_bytes(&Key::new(TableId(1), "c"), &kept);
        assert_eq!([2; 6].map(|max| store.scrub(max)), [0; 6]);
        assert!(!store.is_counted());
    }

    #[test]
    fn a_range_goes_both_ways_and_stays_in_its_table() {
        let mut store = Store::default();
        for key in ["a", "b", "c", "d"] {
            store.apply(&put(key, 1, key));
        }
        let mut foreign = put("b", 1, "other table");
        foreign.key.table = TableId(2);
        store.apply(&foreign);
        let rows = |from: Option<&str>, until: Option<&str>, descending| -> Vec<Shared> {
            let range = Range {
                table: TableId(1),
                from: from.map(Shared::from),
                until: until.map(Shared::from),
                descending,
                rows_max: 10,
            };
            store.range(&range).map(|(_, stored)| stored.value.clone()).collect()
        };
        assert_eq!(rows(None, None, false), ["a", "b", "c", "d"].map(Shared::from));
        assert_eq!(rows(Some("b"), Some("d"), true), ["c", "b"].map(Shared::from));
        assert_eq!(rows(Some("c"), Some("c"), false), []);
        assert_eq!(rows(Some("d"), Some("a"), false), []);
    }
}
