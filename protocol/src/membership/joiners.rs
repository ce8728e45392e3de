//! Workers that are connected and want to be taken in, and how long each is kept waiting: a moment, so that several that come
//! together are taken in together, and longer for one that is lost again and again (damping, as routers do it with a route that
//! flaps), since each time it costs a view change and a copy. Every so many beats without a loss one loss is forgiven.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::id::NodeId;

/// How often the wait is doubled at the most.
const DOUBLED_MAX: u8 = 6;

/// Losses beyond which a worker is not waited for any more when it is lost again.
const LOSSES_WAITED_FOR: u8 = 3;

/// Beats without a loss after which one is forgiven.
const CALM_BEATS: u16 = 40;

/// Those who wait, and what is known of those who were lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Joiners {
    /// Milliseconds that each still waits.
    waits: BTreeMap<NodeId, u64>,
    losses: BTreeMap<String, Losses>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Losses {
    count: u8,
    calm: u16,
}

impl Joiners {
    /// A worker wants to be taken in: it waits for `join_ms`, doubled for each time but the first that its like was lost lately.
    pub fn came(&mut self, node: NodeId, address: &str, join_ms: u64) {
        let lost = self.losses.get(address).map_or(0, |losses| losses.count);
        self.waits.entry(node).or_insert(join_ms << lost.saturating_sub(1).min(DOUBLED_MAX));
    }

    /// A worker wants nothing any more: it is gone, or has been taken in.
    pub fn gone(&mut self, node: NodeId) {
        self.waits.remove(&node);
    }

    /// A worker that took part was lost.
    pub fn lost(&mut self, address: &str) {
        let losses = self.losses.entry(address.into()).or_default();
        *losses = Losses { count: losses.count.saturating_add(1).min(DOUBLED_MAX + 1), calm: 0 };
    }

    /// Whether it was lost so often lately that nobody should wait for it: it may be back each time within the grace, and never
    /// stay for long enough to be of use.
    #[must_use]
    pub fn flaps(&self, address: &str) -> bool {
        self.losses.get(address).is_some_and(|losses| losses.count > LOSSES_WAITED_FOR)
    }

    /// Another beat has passed.
    pub fn beat(&mut self) {
        self.losses.retain(|_, losses| {
            losses.calm += 1;
            if losses.calm >= CALM_BEATS {
                *losses = Losses { count: losses.count - 1, calm: 0 };
            }
            losses.count > 0
        });
    }

    /// So many milliseconds have passed.
    pub fn waited(&mut self, ms: u64) {
        self.waits.values_mut().for_each(|wait| *wait = wait.saturating_sub(ms));
    }

    /// Milliseconds until the next may be taken in; `None` if nobody waits.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.waits.values().min().copied()
    }

    /// Whether this one has waited long enough.
    #[must_use]
    pub fn is_ready(&self, node: NodeId) -> bool {
        self.waits.get(&node) == Some(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(joiners: &mut Joiners, address: &str) -> u64 {
        joiners.came(NodeId(9), address, 100);
        let wait = joiners.next().unwrap();
        joiners.gone(NodeId(9));
        wait
    }

    #[test]
    fn one_that_is_lost_again_and_again_waits_longer_each_time_and_is_forgiven() {
        let mut joiners = Joiners::default();
        for expected in [100, 100, 200, 400, 800, 1_600, 3_200, 6_400, 6_400] {
            assert_eq!(wait(&mut joiners, "a"), expected);
            assert_eq!(wait(&mut joiners, "b"), 100, "nobody pays for another");
            joiners.lost("a");
        }
        for _ in 0..CALM_BEATS {
            joiners.beat();
        }
        assert_eq!(wait(&mut joiners, "a"), 3_200);
        for _ in 0..6 * CALM_BEATS {
            joiners.beat();
        }
        assert_eq!(joiners, Joiners::default());
    }

    #[test]
    fn each_waits_for_its_own_time() {
        let mut joiners = Joiners::default();
        joiners.lost("a");
        joiners.lost("a");
        joiners.came(NodeId(1), "a", 100);
        joiners.came(NodeId(2), "b", 100);
        joiners.waited(100);
        assert!(joiners.is_ready(NodeId(2)) && !joiners.is_ready(NodeId(1)));
        joiners.came(NodeId(1), "a", 100);
        assert_eq!(joiners.next(), Some(0));
        joiners.gone(NodeId(2));
        assert_eq!(joiners.next(), Some(100));
    }
}
