//! Turns: within one coordinator, writes of one record that read before they write go one after the other, first come, first
//! served. Such a write expects the version that it read, so that without turns only one of many at once could win each round
//! and the unlucky would starve. Between coordinators the expectation alone decides, and the loser tries again.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

/// Locks that all records share; two records that fall on the same one only wait a little longer.
const LOCKS: usize = 1024;

/// The queues. A waiter holds nothing else, so there is no deadlock; tokio's mutex is fair, so there is no starvation.
pub(crate) struct Turns {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
    wait_max: Duration,
}

impl Turns {
    pub fn new(wait_max: Duration) -> Self {
        Turns { locks: (0..LOCKS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new(), wait_max }
    }

    /// Waits for the turn of what is named so; `None` when it takes longer than the bound.
    pub async fn take(&self, name: impl Hash) -> Option<MutexGuard<'_, ()>> {
        let place = usize::try_from(self.hasher.hash_one(name) % LOCKS as u64).expect("less than the number of locks");
        tokio::time::timeout(self.wait_max, self.locks[place].lock()).await.ok()
    }
}
