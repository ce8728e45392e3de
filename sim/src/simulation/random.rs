//! The one source of chance in a run: xoshiro256++ (Blackman and Vigna 2018), started from the seed. What is drawn from it is
//! computed here, in integers, so that a seed means the same run on every machine and with every later version of a library.
//! What is added to the simulation later draws from a sub-stream with a name of its own, so that the draws of earlier features
//! stay where they are and a seed keeps its meaning.

use rand::SeedableRng;
use rand::rand_core::Rng;
use rand::rngs::Xoshiro256PlusPlus;

/// A sequence of numbers that follows from a seed.
pub struct Random {
    seed: u64,
    sequence: Xoshiro256PlusPlus,
}

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random { seed, sequence: Xoshiro256PlusPlus::seed_from_u64(seed) }
    }

    /// The sub-stream of a feature: it follows from the seed and the name alone, whatever has been drawn before, and drawing from
    /// it changes nothing of this one.
    #[must_use]
    pub fn sub(&self, feature: &str) -> Self {
        // FNV-1a, which is the same everywhere and for ever; the generator's own seeding spreads the bits.
        let name = feature
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Random::new(self.seed.rotate_left(32) ^ name)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.sequence.next_u64()
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
    fn a_sub_stream_follows_from_seed_and_name_alone() {
        let mut random = Random::new(7);
        let before = random.sub("grace").next();
        let drawn = random.next();
        assert_eq!(random.sub("grace").next(), before);
        assert_eq!(drawn, Random::new(7).next(), "a sub-stream takes nothing from the main one");
        let others = [random.sub("patience").next(), Random::new(8).sub("grace").next(), drawn];
        assert!(others.iter().all(|other| *other != before));
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
