//! Who is gone without a word. The leader sends each worker a beat every so often; a worker answers when everything that it
//! has logged by then is synced, so that an answer proves the way there, the machine, its disk, and the way back. Who has
//! left several beats in a row unanswered is suspected, and its connection is closed: from then on it is lost like any other.
//!
//! Beats are counted and not timed, so a leader that was held up itself blames nobody for it. And it blames nobody as long as
//! no member answers: whatever holds all of them up, a view of fewer would serve no better. An answer from a view before the
//! active one proves nothing: its machine could take no part in anything. (An unreliable detector in the sense of Chandra and
//! Toueg 1996: a wrong suspicion costs a copy, never a record.)

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::id::NodeId;

/// The beats of the workers that are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FailureDetector {
    misses_max: u8,
    watched: BTreeMap<NodeId, Watched>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Watched {
    /// Whether an answer has come since the last beat.
    answered: bool,
    /// Beats in a row that were not answered before the next.
    misses: u8,
    /// Whether it has ever answered over this connection.
    known: bool,
}

impl FailureDetector {
    /// Suspects whoever leaves so many beats in a row unanswered; nobody if that is 0.
    #[must_use]
    pub fn new(misses_max: u8) -> Self {
        FailureDetector { misses_max, watched: BTreeMap::new() }
    }

    /// A worker is connected: watched from its first beat on.
    pub fn connected(&mut self, node: NodeId) {
        self.watched.insert(node, Watched { answered: true, misses: 0, known: false });
    }

    /// A worker's connection is gone.
    pub fn disconnected(&mut self, node: NodeId) {
        self.watched.remove(&node);
    }

    /// A worker has answered a beat.
    pub fn answered(&mut self, node: NodeId) {
        if let Some(watched) = self.watched.get_mut(&node) {
            *watched = Watched { answered: true, misses: 0, known: true };
        }
    }

    /// Whether this one is connected and has shown that it can answer.
    #[must_use]
    pub fn knows(&self, node: NodeId) -> bool {
        self.watched.get(&node).is_some_and(|watched| watched.known || self.misses_max == 0)
    }

    /// Whether anybody is ever suspected.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.misses_max > 0
    }

    /// The next beat is due: says who has left too many unanswered.
    pub fn beat(&mut self) -> Vec<NodeId> {
        let mut missing = Vec::new();
        for (node, watched) in &mut self.watched {
            if !watched.answered {
                watched.misses = watched.misses.saturating_add(1);
            }
            watched.answered = false;
            if self.misses_max > 0 && watched.misses >= self.misses_max {
                missing.push(*node);
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn only_who_leaves_beats_in_a_row_unanswered_is_missing() {
        let mut detector = FailureDetector::new(2);
        let (one, two) = (NodeId(1), NodeId(2));
        detector.connected(one);
        detector.connected(two);
        assert_eq!(detector.beat(), vec![]);
        detector.answered(one);
        assert_eq!(detector.beat(), vec![], "one beat is unanswered");
        detector.answered(two);
        assert_eq!(detector.beat(), vec![], "a late answer counts");
        detector.answered(one);
        assert_eq!(detector.beat(), vec![]);
        detector.answered(one);
        assert_eq!(detector.beat(), [two]);
        assert_eq!(detector.beat(), [two], "until it is gone, also when nobody acts on it");
        detector.disconnected(two);
        detector.answered(two);
        assert_eq!(detector.beat(), [one]);
    }
}
