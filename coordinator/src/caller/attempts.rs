//! Limits in rate: each key (a name with an address, an address, a user) has a bucket of tries that fills up again with time.
//! Of a bucket only the moment is kept at which it is full again (the generic cell rate algorithm, ITU-T I.371), and one that
//! is full is the same as none. The table is bounded: where a stranger needs room, the bucket that is full first makes it, and
//! where even that one has no try left the stranger is refused, so that no flood of strangers gives anybody tries back.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Keys with a bucket that is not full.
const KEYS_MAX: usize = 16 * 1024;

/// So many tries per span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Tries at once.
    pub tries: u32,
    /// The time after which an empty bucket is full again.
    pub per: Duration,
}

/// Counts tries per key.
pub struct Attempts {
    allowance: Allowance,
    buckets: Mutex<Buckets>,
}

/// When each bucket is full again, by key and in order.
#[derive(Default)]
struct Buckets {
    full_at: HashMap<Arc<str>, Instant>,
    order: BTreeSet<(Instant, Arc<str>)>,
}

impl Attempts {
    /// Nobody has tried yet.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Attempts { allowance, buckets: Mutex::default() }
    }

    /// Takes one try; when none is left, says how long until there is one.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&self, key: &str) -> Result<(), Duration> {
        self.take_at(key, Instant::now())
    }

    /// Gives back a try that was taken, since it does not count after all.
    pub fn give_back(&self, key: &str) {
        self.give_back_at(key, Instant::now());
    }

    fn take_at(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.lock();
        buckets.forget_full(now);
        let known = buckets.full_at.get_key_value(key).map(|(key, full_at)| (Arc::clone(key), *full_at));
        let (key, full_at) = match known {
            Some(known) => known,
            None => {
                buckets.make_room(|full_at| self.spent_for(full_at, now))?;
                (Arc::from(key), now)
            }
        };
        match self.spent_for(full_at, now) {
            Some(wait) => Err(wait),
            None => {
                buckets.put(key, full_at.max(now) + self.per_try());
                Ok(())
            }
        }
    }

    fn give_back_at(&self, key: &str, now: Instant) {
        let mut buckets = self.lock();
        let Some(full_at) = buckets.take_out(key) else { return };
        if let Some(sooner) = full_at.checked_sub(self.per_try()).filter(|sooner| *sooner > now) {
            buckets.put(Arc::from(key), sooner);
        }
    }

    /// How long a bucket that is full at this moment has no try left; `None` if it has one.
    fn spent_for(&self, full_at: Instant, now: Instant) -> Option<Duration> {
        let missing = full_at.saturating_duration_since(now) + self.per_try();
        missing.checked_sub(self.span()).filter(|wait| !wait.is_zero())
    }

    /// The time in which one try comes back.
    fn per_try(&self) -> Duration {
        self.allowance.per / self.allowance.tries
    }

    /// The time in which all tries come back, in whole tries.
    fn span(&self) -> Duration {
        self.per_try() * self.allowance.tries
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    /// Forgets the buckets that are full by now: at most two a call, so that a call costs little, and more than come.
    fn forget_full(&mut self, now: Instant) {
        for _ in 0..2 {
            if self.order.first().is_some_and(|(full_at, _)| *full_at <= now) {
                self.forget_first();
            }
        }
    }

    /// Makes room for one more, at the cost of the one that is full first, unless that one is spent: then says for how long.
    fn make_room(&mut self, spent_for: impl Fn(Instant) -> Option<Duration>) -> Result<(), Duration> {
        if self.full_at.len() < KEYS_MAX {
            return Ok(());
        }
        if let Some(wait) = self.order.first().and_then(|(full_at, _)| spent_for(*full_at)) {
            return Err(wait);
        }
        self.forget_first();
        Ok(())
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.full_at.remove(&key);
        }
    }

    fn put(&mut self, key: Arc<str>, full_at: Instant) {
        self.take_out(&key);
        self.full_at.insert(Arc::clone(&key), full_at);
        self.order.insert((full_at, key));
    }

    fn take_out(&mut self, key: &str) -> Option<Instant> {
        let (key, full_at) = self.full_at.remove_entry(key)?;
        self.order.remove(&(full_at, key));
        Some(full_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance { tries: 3, per: Duration::from_secs(30) };

    fn known(attempts: &Attempts) -> usize {
        let buckets = attempts.lock();
        assert_eq!(buckets.full_at.len(), buckets.order.len());
        buckets.full_at.len()
    }

    #[test]
    fn tries_run_out_and_come_back_with_time() {
        let attempts = Attempts::new(ALLOWANCE);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(attempts.take_at("ann", start).is_ok());
        }
        assert_eq!(attempts.take_at("ann", start), Err(Duration::from_secs(10)));
        assert!(attempts.take_at("bob", start).is_ok());
        assert!(attempts.take_at("ann", start + Duration::from_secs(10)).is_ok());
        assert!(attempts.take_at("ann", start + Duration::from_secs(11)).is_err());
    }

    #[test]
    fn the_whole_allowance_may_be_used_when_it_is_no_multiple_of_its_tries() {
        let attempts = Attempts::new(Allowance { tries: 7, per: Duration::from_secs(60) });
        let start = Instant::now();
        let taken = (0..20).filter(|_| attempts.take_at("ann", start).is_ok()).count();
        assert_eq!(taken, 7);
    }

    #[test]
    fn a_try_given_back_counts_no_longer_and_leaves_nothing_behind() {
        let attempts = Attempts::new(ALLOWANCE);
        for _ in 0..100 {
            assert!(attempts.take("ann").is_ok());
            attempts.give_back("ann");
            assert_eq!(known(&attempts), 0);
        }
    }

    #[test]
    fn a_bucket_that_is_full_again_is_forgotten() {
        let attempts = Attempts::new(ALLOWANCE);
        let start = Instant::now();
        for stranger in 0..100 {
            attempts.take_at(&stranger.to_string(), start).unwrap();
        }
        let later = start + ALLOWANCE.per;
        (0..100).for_each(|_| attempts.take_at("ann", later).unwrap_or_default());
        assert_eq!(known(&attempts), 1);
    }

    #[test]
    fn a_flood_of_strangers_takes_a_bounded_table_and_gives_nobody_tries_back() {
        let attempts = Attempts::new(ALLOWANCE);
        let start = Instant::now();
        (0..3).for_each(|_| attempts.take_at("ann", start).unwrap());
        for stranger in 0..3 * KEYS_MAX {
            attempts.take_at(&stranger.to_string(), start).unwrap();
        }
        assert_eq!(known(&attempts), KEYS_MAX);
        assert!(attempts.take_at("ann", start).is_err(), "what ann has spent is not forgotten");
    }

    #[test]
    fn where_all_are_spent_strangers_are_refused_until_one_is_not() {
        let attempts = Attempts::new(Allowance { tries: 1, per: Duration::from_secs(30) });
        let start = Instant::now();
        for stranger in 0..KEYS_MAX {
            attempts.take_at(&stranger.to_string(), start).unwrap();
        }
        assert_eq!(attempts.take_at("ann", start), Err(Duration::from_secs(30)));
        assert!(attempts.take_at("0", start).is_err());
        assert!(attempts.take_at("ann", start + Duration::from_secs(30)).is_ok());
    }
}
