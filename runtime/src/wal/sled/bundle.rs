//! Bundles: what a log keeps of transactions for a short while, many of them in one entry. What is prepared, or decided, in one
//! group of records shares an entry, and mostly goes together too, so that a transaction costs sled a part of an entry's
//! change and not several of them. An entry always holds exactly those of its transactions that still belong there.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::TxnId;

use crate::disk::Database;

/// Bytes after which a bundle is full and the next is begun: well below what sled keeps within its pages.
const BUNDLE_BYTES_MAX: usize = 16 * 1024;

/// The bundles of one kind. Their entries' keys are the kind and a number that counts up.
pub(super) struct Bundles {
    kind: u8,
    /// The bundle that takes what comes next, and how many bytes it has by now.
    next: u64,
    next_bytes: usize,
    /// Where each transaction is.
    places: BTreeMap<TxnId, u64>,
    /// What is kept of each transaction, encoded.
    bundles: BTreeMap<u64, BTreeMap<TxnId, Box<[u8]>>>,
    /// Those whose entries are to be written anew.
    changed: BTreeSet<u64>,
}

impl Bundles {
    pub(super) fn new(kind: u8) -> Self {
        let (places, bundles, changed) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Bundles { kind, next: 0, next_bytes: 0, places, bundles, changed }
    }

    /// Takes in what was found in the bundle of this number.
    pub(super) fn found(&mut self, number: u64, txn: TxnId, encoded: &[u8]) {
        self.places.insert(txn, number);
        self.bundles.entry(number).or_default().insert(txn, encoded.into());
        self.next = self.next.max(number + 1);
    }

    /// Keeps this of a transaction, in the place of what was kept of it.
    pub(super) fn put(&mut self, txn: TxnId, encoded: &[u8]) {
        self.remove(txn);
        if self.next_bytes > 0 && self.next_bytes + encoded.len() > BUNDLE_BYTES_MAX {
            self.next += 1;
            self.next_bytes = 0;
        }
        self.next_bytes += encoded.len();
        self.places.insert(txn, self.next);
        self.bundles.entry(self.next).or_default().insert(txn, encoded.into());
        self.changed.insert(self.next);
    }

    /// Keeps nothing more of a transaction.
    pub(super) fn remove(&mut self, txn: TxnId) {
        let Some(number) = self.places.remove(&txn) else { return };
        if let Some(bundle) = self.bundles.get_mut(&number) {
            bundle.remove(&txn);
        }
        self.changed.insert(number);
    }

    /// Keeps nothing more of any transaction.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        for (number, bundle) in &mut self.bundles {
            bundle.clear();
            self.changed.insert(*number);
        }
    }

    /// Adds all entries to the next group once more, as ones of this kind, and gives their keys.
    pub(super) fn copy_to(&self, kind: u8, database: &mut Database) -> Vec<Vec<u8>> {
        let kept = self.bundles.iter().filter(|(_, bundle)| !bundle.is_empty());
        kept.map(|(number, bundle)| {
            let key = [&[kind][..], &number.to_be_bytes()].concat();
            let all: Vec<u8> = bundle.values().flat_map(|encoded| encoded.iter().copied()).collect();
            database.put(key.as_slice(), all);
            key
        })
        .collect()
    }

    /// Adds the entries that have changed to the next group; what is put from now on goes to another bundle.
    pub(super) fn write(&mut self, database: &mut Database) {
        for number in std::mem::take(&mut self.changed) {
            let mut key = [self.kind; 9];
            key[1..].copy_from_slice(&number.to_be_bytes());
            match self.bundles.get(&number) {
                Some(bundle) if !bundle.is_empty() => {
                    let all: Vec<u8> = bundle.values().flat_map(|encoded| encoded.iter().copied()).collect();
                    database.put(&key, all);
                }
                _ => {
                    self.bundles.remove(&number);
                    database.remove(&key);
                }
            }
        }
        if self.next_bytes > 0 {
            self.next += 1;
            self.next_bytes = 0;
        }
    }
}
