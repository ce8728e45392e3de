//! Turns: within one coordinator, edits of one tweet go one after the other, first come, first served. An edit reads before
//! it writes and expects the version it read, so that without turns only one of many at once could win each round and the
//! unlucky would starve. Between coordinators the expectation alone decides, and the loser tries again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// Locks that all tweets share; two tweets that fall on the same one only wait a little longer.
const LOCKS: usize = 1024;

/// The queues. A waiter holds nothing else, so there is no deadlock; tokio's mutex is fair, so there is no starvation.
pub(super) struct Turns {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
    wait_max: Duration,
}

impl Turns {
    pub fn new(wait_max: Duration) -> Self {
        Turns { locks: (0..LOCKS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new(), wait_max }
    }

    /// Waits for this tweet's turn; `None` when it takes longer than the bound.
    pub async fn take(&self, id: Uuid) -> Option<MutexGuard<'_, ()>> {
        let place = usize::try_from(self.hasher.hash_one(id) % LOCKS as u64).expect("less than the number of locks");
        tokio::time::timeout(self.wait_max, self.locks[place].lock()).await.ok()
    }
}
