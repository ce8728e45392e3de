//! The one source of chance in a run: xoshiro256++ (Blackman and Vigna 2018), started from the seed. What is drawn from it is
//! computed here, in integers, so that a seed means the same run on every machine and with every later version of a library.

use rand::SeedableRng;
use rand::rand_core::Rng;
use rand::rngs::Xoshiro256PlusPlus;

/// A sequence of numbers that follows from a seed.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// From 0 to `bound - 1`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).expect("half of 128 bits fits")
    }

    /// From `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// Like [`between`](Self::between), but each order of magnitude is as likely as the next.
    pub fn magnitude(&mut self, from: u64, to: u64) -> u64 {
        let doublings = (to / from.max(1)).max(1).ilog2();
        let lower = from.max(1) << self.below(u64::from(doublings) + 1);
        self.between(lower, (2 * lower - 1).min(to).max(lower))
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// An index of a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("an index fits")
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// A number of 128 bits.
    pub fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut random = Random::new(7);
        let drawn = [random.next(), random.below(1_000), random.between(5, 9), random.magnitude(10, 10_000)];
        let mut again = Random::new(7);
        assert_eq!(drawn, [again.next(), again.below(1_000), again.between(5, 9), again.magnitude(10, 10_000)]);
        assert_eq!(drawn[..2], [EXPECTED_FIRST, EXPECTED_SECOND]);
    }

    #[test]
    fn draws_keep_their_bounds() {
        let mut random = Random::new(1);
        for _ in 0..10_000 {
            assert!(random.below(7) < 7);
            assert!((5..=9).contains(&random.between(5, 9)));
            assert!((10..=10_000).contains(&random.magnitude(10, 10_000)));
        }
        assert_eq!(random.below(0), 0);
        assert!(!random.chance(0) && random.chance(1_000));
    }

    const EXPECTED_FIRST: u64 = 1_021_219_803_524_665_661;
    const EXPECTED_SECOND: u64 = 172;
}
