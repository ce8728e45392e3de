//! The sessions that this coordinator has seen lately, so that a write needs not read its session first. Nothing is taken
//! from here on trust: whoever uses a session that it has seen lets its transaction check that the row is still the same.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use skein_protocol::operation::Key;

use super::Presumed;

/// Sessions that are kept in mind, at some three hundred bytes each. One more, and all are read anew.
const SEEN_MAX: usize = 16 * 1024;

/// Sessions by the key of their row.
#[derive(Debug, Default)]
pub(super) struct SeenSessions(Mutex<HashMap<Key, Presumed>>);

impl SeenSessions {
    pub fn get(&self, key: &Key) -> Option<Presumed> {
        self.lock().get(key).cloned()
    }

    pub fn put(&self, seen: Presumed) {
        let mut all = self.lock();
        if all.len() >= SEEN_MAX {
            all.clear();
        }
        all.insert(seen.key.clone(), seen);
    }

    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Presumed>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skein_protocol::id::Version;

    use super::super::{Session, Token};
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn what_is_seen_is_bounded_and_can_be_forgotten() {
        let seen = SeenSessions::default();
        let session = Arc::new(Session { username: "ada".into(), created_at: Timestamp(0), expires_at: Timestamp(1) });
        let key = || Token::new().key();
        let first = key();
        seen.put(Presumed { session: session.clone(), key: first.clone(), row: Version(1) });
        assert!(seen.get(&first).is_some());
        seen.forget(&first);
        assert!(seen.get(&first).is_none());
        for _ in 0..=SEEN_MAX {
            seen.put(Presumed { session: session.clone(), key: key(), row: Version(1) });
        }
        assert!(seen.lock().len() <= SEEN_MAX);
    }
}
