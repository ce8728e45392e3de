//! Turns: within one coordinator, writes of one record that read before they write go one after the other, first come, first
//! served. Such a write expects the version that it read, so that without turns only one of many at once could win each round
//! and the unlucky would starve. Whoever holds some turns waits for others only in the order of all. Between coordinators the expectation alone decides, and the loser tries again.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

/// Locks that all records share; two records that fall on the same one only wait a little longer.
const LOCKS: usize = 1024;

/// The queues. Locks are taken in one order, so there is no deadlock; tokio's mutex is fair, so there is no starvation.
pub(crate) struct Turns {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
    wait_max: Duration,
}

impl Turns {
    pub fn new(wait_max: Duration) -> Self {
        Turns { locks: (0..LOCKS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new(), wait_max }
    }

    /// Waits for the turn of all that is named so; `None` when it takes longer than the bound.
    pub async fn take_all(&self, names: impl IntoIterator<Item = impl Hash>) -> Option<Vec<MutexGuard<'_, ()>>> {
        // All take their locks in one order, each once, so that no two wait for each other.
        let places: BTreeSet<usize> = names.into_iter().map(|name| self.place(name)).collect();
        let waiting = async {
            let mut turns = Vec::with_capacity(places.len());
            for place in places {
                turns.push(self.locks[place].lock().await);
            }
            turns
        };
        tokio::time::timeout(self.wait_max, waiting).await.ok()
    }

    /// Whether somebody has one of these turns.
    pub fn are_taken(&self, names: impl IntoIterator<Item = impl Hash>) -> bool {
        names.into_iter().any(|name| self.locks[self.place(name)].try_lock().is_err())
    }

    fn place(&self, name: impl Hash) -> usize {
        usize::try_from(self.hasher.hash_one(name) % LOCKS as u64).expect("less than the number of locks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_is_one_at_a_time_and_the_wait_for_it_is_bounded() {
        let turns = Turns::new(Duration::from_millis(20));
        let one = turns.take_all(["a"]).await.unwrap();
        assert!(turns.are_taken(["b", "a"]) && !turns.are_taken(["b"]));
        assert!(turns.take_all(["b", "a"]).await.is_none());
        drop(one);
        // What was waited for in vain is held no longer, and a name that is there twice is waited for once.
        let all = turns.take_all(["b", "a", "b"]).await.unwrap();
        assert!(turns.take_all(["b"]).await.is_none());
        drop(all);
        assert!(turns.take_all(["b"]).await.is_some());
    }
}
