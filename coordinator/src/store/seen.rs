//! What lets somebody in, as this coordinator has seen it lately (sessions, bearer tokens), so that a write needs not read it
//! first. Nothing is taken from here on trust: whoever acts on what was seen lets its transaction check that the row is still
//! the same, so that what was ended at one coordinator ends at once at all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde::de::DeserializeOwned;
use skein_protocol::id::Version;
use skein_protocol::operation::{Action, Expect, Key, Operation, Row};

use crate::store::clock::Timestamp;
use crate::store::cluster::{self, Cluster};
use crate::store::row::{Table, Unreadable};

/// Rows that are kept in mind, at some three hundred bytes each. One more, and all are read anew.
const SEEN_MAX: usize = 16 * 1024;

/// What may end by itself.
pub trait Ends {
    /// Where its rows are.
    const TABLE: Table;

    /// When; `None` never does.
    fn ends_at(&self) -> Option<Timestamp>;
}

/// Something as it was last seen here. It may have ended since; who acts on it commits [`Presumed::stands`] along.
#[derive(Debug)]
pub struct Presumed<T> {
    /// What was seen.
    pub value: Arc<T>,
    key: Key,
    row: Version,
}

/// What was seen, by the key of its row.
#[derive(Debug)]
pub(crate) struct Seen<T>(Mutex<HashMap<Key, Presumed<T>>>);

impl<T> Presumed<T> {
    /// Lets a transaction commit only if what was seen has not ended.
    #[must_use]
    pub fn stands(&self) -> Operation {
        Operation { key: self.key.clone(), expect: Expect::Version(self.row), action: Action::Check }
    }
}

impl<T: Ends> Presumed<T> {
    fn is_over(&self) -> bool {
        self.value.ends_at().is_some_and(|end| end <= Timestamp::now())
    }
}

impl<T> Clone for Presumed<T> {
    fn clone(&self) -> Self {
        Presumed { value: Arc::clone(&self.value), key: self.key.clone(), row: self.row }
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Seen(Mutex::new(HashMap::new()))
    }
}

impl<T: Ends + DeserializeOwned> Seen<T> {
    /// What stands under this key as it was last seen here, else as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn presume(&self, cluster: &Cluster, key: Key) -> Result<Option<Presumed<T>>, cluster::Error> {
        match self.get(&key).filter(|seen| !seen.is_over()) {
            Some(seen) => Ok(Some(seen)),
            None => self.find(cluster, key).await,
        }
    }

    /// What stands under this key.
    ///
    /// # Errors
    /// The store's.
    pub async fn find(&self, cluster: &Cluster, key: Key) -> Result<Option<Presumed<T>>, cluster::Error> {
        let row = cluster.read_one(key.clone()).await?;
        Ok(self.see(&key, row)?)
    }

    /// Takes note of what was read under a key.
    ///
    /// # Errors
    /// When the row can't be read.
    pub fn see(&self, key: &Key, row: Option<Row>) -> Result<Option<Presumed<T>>, Unreadable> {
        let seen = row.map(|row| self.read(&row)).transpose();
        let stands = seen.map(|seen| seen.filter(|seen| !seen.is_over()));
        if !matches!(stands, Ok(Some(_))) {
            self.forget(key);
        }
        stands
    }

    /// What this row holds, from memory if it was seen before.
    fn read(&self, row: &Row) -> Result<Presumed<T>, Unreadable> {
        if let Some(seen) = self.get(&row.key).filter(|seen| seen.row == row.version) {
            return Ok(seen);
        }
        let value = Arc::new(T::TABLE.decode::<T>(&row.value)?);
        let seen = Presumed { value, key: row.key.clone(), row: row.version };
        self.put(seen.clone());
        Ok(seen)
    }
}

impl<T> Seen<T> {
    fn get(&self, key: &Key) -> Option<Presumed<T>> {
        self.lock().get(key).cloned()
    }

    fn put(&self, seen: Presumed<T>) {
        let mut all = self.lock();
        if all.len() >= SEEN_MAX {
            all.clear();
        }
        all.insert(seen.key.clone(), seen);
    }

    /// What stands under this key is to be read anew.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Presumed<T>>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tables::SESSIONS;

    #[test]
    fn what_is_seen_is_bounded_and_can_be_forgotten() {
        let seen = Seen::default();
        let key = |number: usize| Key::new(SESSIONS.id, number.to_be_bytes().as_slice());
        let presumed = |number| Presumed { value: Arc::new(()), key: key(number), row: Version(1) };
        seen.put(presumed(0));
        assert!(seen.get(&key(0)).is_some());
        seen.forget(&key(0));
        assert!(seen.get(&key(0)).is_none());
        for number in 0..=SEEN_MAX {
            seen.put(presumed(number));
        }
        assert!(seen.lock().len() <= SEEN_MAX);
    }
}
