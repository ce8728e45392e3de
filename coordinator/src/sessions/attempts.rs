//! Limits in rate: each key (a name with an address, an address, a user) has a bucket of tries that fills up again with time.
//! The table is bounded by two generations: when the younger is full the older is dropped, so that a flood of strangers costs
//! a fixed amount of memory and each look-up a fixed amount of time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys of one generation.
const GENERATION_MAX: usize = 8 * 1024;

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
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<String, Bucket>,
    old: HashMap<String, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Attempts {
    /// Nobody has tried yet.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Attempts { allowance, generations: Mutex::default() }
    }

    /// Takes one try; when none is left, says how long until there is one.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&self, key: &str) -> Result<(), Duration> {
        self.take_at(key, Instant::now())
    }

    /// Gives back the try that was taken last, since it was no failure after all.
    pub fn give_back(&self, key: &str) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = generations.young.get_mut(key) {
            bucket.left = (bucket.left + 1.0).min(f64::from(self.allowance.tries));
        }
    }

    fn take_at(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let full = f64::from(self.allowance.tries);
        let per_second = full / self.allowance.per.as_secs_f64();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let known = generations.young.get(key).or_else(|| generations.old.get(key)).copied();
        let mut bucket = known.unwrap_or(Bucket { left: full, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed * per_second).min(full);
        bucket.at = now;
        let taken = bucket.left >= 1.0;
        let wait = Duration::from_secs_f64(((1.0 - bucket.left) / per_second).max(0.0));
        bucket.left -= if taken { 1.0 } else { 0.0 };
        if generations.young.len() >= GENERATION_MAX && !generations.young.contains_key(key) {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key.to_owned(), bucket);
        if taken { Ok(()) } else { Err(wait) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance { tries: 3, per: Duration::from_secs(30) };

    #[test]
    fn tries_run_out_and_come_back_with_time() {
        let attempts = Attempts::new(ALLOWANCE);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(attempts.take_at("ann", start).is_ok());
        }
        let wait = attempts.take_at("ann", start).unwrap_err();
        assert!((Duration::from_secs(9)..=Duration::from_secs(10)).contains(&wait), "{wait:?}");
        assert!(attempts.take_at("bob", start).is_ok());
        assert!(attempts.take_at("ann", start + Duration::from_secs(11)).is_ok());
        assert!(attempts.take_at("ann", start + Duration::from_secs(11)).is_err());
    }

    #[test]
    fn a_try_given_back_counts_no_longer() {
        let attempts = Attempts::new(ALLOWANCE);
        for _ in 0..100 {
            assert!(attempts.take("ann").is_ok());
            attempts.give_back("ann");
        }
    }

    #[test]
    fn a_flood_of_strangers_takes_a_bounded_table() {
        let attempts = Attempts::new(ALLOWANCE);
        for stranger in 0..3 * GENERATION_MAX {
            attempts.take(&stranger.to_string()).unwrap();
        }
        let generations = attempts.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }
}
