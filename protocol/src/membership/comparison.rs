//! Which replicas are not to be trusted. A worker that finds a record not to be what was written says so itself: its copy loses,
//! whatever the others hold. Beside that the leader has all members sum up their records at the same place in the order of
//! transactions, every so often; if the sums differ, what more than half of them have counts, since each began with the same
//! and was told the same. If no sum has more than half, a person has to decide, and is told.
//!
//! A replica that is not trusted is repaired as one that was away is: it begins anew as a learner, and is copied to (R9). The last
//! copy is never given up, however bad it is. A worker that has found damage says so with each round of its housekeeping; one that
//! has not said it for long was started again from a log that is intact, and is trusted again. A worker that was outvoted can't see
//! that itself, so the leader tells it. It logs that, and says from then on that it is not to be trusted.
//!
//! While replicas differ and no person has decided, one member answers all reads, so that clients do not see two versions in turn.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::NodeId;
use crate::membership::view::View;
use crate::operation::Digest;
use crate::rules::Rules;
use crate::step::ComparisonStatus;

/// Beats that a worker which had reported damage must answer without repeating the report before it is trusted again. A worker
/// repeats it with each round of its housekeeping, so this is several rounds even where beats are frequent. A beat without an
/// answer proves nothing: a worker that hangs reports nothing either.
const CALM_BEATS: u8 = 16;

/// What has been found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// Members and learners whose copy has lost.
    distrusted: BTreeSet<NodeId>,
    /// Of these, those that have said so themselves, and for how many beats they have not repeated it.
    reported: BTreeMap<NodeId, u8>,
    /// Those that have begun anew, and are not yet members again.
    repairing: BTreeSet<NodeId>,
    /// Whose records a copy was made of since all were found to hold the same: the two are one witness.
    copied_from: BTreeMap<NodeId, NodeId>,
    compared: u64,
    differences: u64,
    repaired: u64,
    /// The member that answers reads while replicas differ and no majority says which is right.
    answers: Option<NodeId>,
}

/// What came of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All hold the same.
    Same,
    /// These hold something else than most.
    Outvoted(Vec<NodeId>),
    /// They differ, and no more than half hold the same.
    Undecided,
}

impl Comparison {
    /// A worker has found that its own records are not what was written. Whether that is news.
    pub fn damaged(&mut self, node: NodeId) -> bool {
        let news = self.distrusted.insert(node);
        self.differences += u64::from(news);
        if news {
            self.reported.insert(node, 0);
        } else if let Some(beats) = self.reported.get_mut(&node) {
            *beats = 0;
        }
        news
    }

    /// This node has answered another beat of the active view, and could have reported damage before that.
    pub fn answered(&mut self, node: NodeId) {
        let Some(beats) = self.reported.get_mut(&node) else { return };
        *beats += 1;
        if *beats == CALM_BEATS {
            self.reported.remove(&node);
            self.distrusted.remove(&node);
        }
    }

    /// All members have given their sums: those that hold something else than most lose.
    pub fn compare(&mut self, digests: &[(NodeId, Digest)], rules: Rules) -> Verdict {
        self.compared += 1;
        let mut groups: BTreeMap<(u64, u64, u128), Vec<NodeId>> = BTreeMap::new();
        for (node, digest) in digests.iter().filter(|(node, _)| !self.distrusted.contains(node)) {
            groups.entry((digest.records, digest.bytes, digest.sum)).or_default().push(*node);
        }
        // What was copied says nothing beside what it was copied from.
        let votes = |nodes: &Vec<NodeId>| nodes.iter().map(|node| self.origin(*node)).collect::<BTreeSet<NodeId>>().len();
        let voters: usize = groups.values().map(votes).sum();
        let most = groups.values().find(|nodes| 2 * votes(nodes) > voters).cloned();
        let before = self.answers.take();
        if groups.len() <= 1 {
            self.copied_from.clear();
            return Verdict::Same;
        }
        let Some(most) = most else {
            // The same difference is found each time, until a person has decided.
            self.differences += u64::from(before.is_none());
            let compared = || groups.values().flatten().copied();
            self.answers = compared().find(|node| before == Some(*node)).or_else(|| compared().min());
            return Verdict::Undecided;
        };
        let compared = groups.values().flatten().copied();
        let outvoted: Vec<NodeId> = compared.filter(|node| rules.loses(most.contains(node))).collect();
        self.differences += outvoted.len() as u64;
        self.distrusted.extend(outvoted.iter().copied());
        Verdict::Outvoted(outvoted)
    }

    /// A learner holds all records of this member.
    pub fn copied(&mut self, learner: NodeId, donor: NodeId) {
        let origin = self.origin(donor);
        self.copied_from.insert(learner, origin);
    }

    fn origin(&self, node: NodeId) -> NodeId {
        self.copied_from.get(&node).copied().unwrap_or(node)
    }

    /// Whether this one's copy has lost.
    #[must_use]
    pub fn distrusts(&self, node: NodeId) -> bool {
        self.distrusted.contains(&node)
    }

    /// Whether most replicas held something else than this one. It has not said so itself.
    #[must_use]
    pub fn outvoted(&self, node: NodeId) -> bool {
        self.distrusted.contains(&node) && !self.reported.contains_key(&node)
    }

    /// The only member that may answer reads, while replicas differ and it is not known which is right.
    #[must_use]
    pub fn answers(&self) -> Option<NodeId> {
        self.answers
    }

    /// Whether this one has been left out to begin anew, or has begun.
    #[must_use]
    pub fn repairs(&self, node: NodeId) -> bool {
        self.repairing.contains(&node)
    }

    /// A view has become active: whoever is left out of it begins anew, and whoever is a member in it again is repaired.
    pub fn activated(&mut self, view: &View, is_there: impl Fn(NodeId) -> bool) {
        let (members, learners) = (view.members(), view.learners());
        self.repairing.retain(|node| is_there(*node) || learners.contains(node));
        self.repairing.extend(self.distrusted.iter().filter(|node| is_there(**node) && !members.contains(node)));
        self.distrusted.retain(|node| members.contains(node));
        self.reported.retain(|node, _| members.contains(node));
        if self.answers.is_some_and(|node| !members.contains(&node)) {
            self.answers = members.iter().find(|node| !self.distrusted.contains(node)).or(members.first()).copied();
        }
        // Whoever is no member any more begins anew.
        self.copied_from.retain(|node, _| members.contains(node));
        let before = self.repairing.len();
        self.repairing.retain(|node| !members.contains(node));
        self.repaired += (before - self.repairing.len()) as u64;
        // One that is gone for now begins anew anyway when it is back; until then nobody has repaired it.
    }

    /// For whoever wants to see it.
    #[must_use]
    pub fn status(&self) -> ComparisonStatus {
        ComparisonStatus {
            compared: self.compared,
            differences: self.differences,
            repaired: self.repaired,
            undecided: self.answers.is_some(),
            distrusted: self.distrusted.iter().chain(&self.repairing).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ViewNumber;
    use crate::membership::view::{Member, Shard};
    use alloc::string::String;
    use alloc::vec;

    fn digests(sums: &[u128]) -> Vec<(NodeId, Digest)> {
        let digest = |(place, sum): (usize, &u128)| (NodeId(place as u128), Digest { records: 1, bytes: 1, sum: *sum });
        sums.iter().enumerate().map(digest).collect()
    }

    fn view(members: &[u128], learners: &[u128]) -> View {
        let of = |nodes: &[u128]| {
            nodes.iter().map(|node| Member { node: NodeId(*node), address: String::new(), logged: true }).collect()
        };
        View {
            number: ViewNumber(2),
            writer: crate::id::Writer::UNKNOWN,
            shards: vec![Shard { members: of(members), learners: of(learners) }],
        }
    }

    #[test]
    fn what_more_than_half_hold_counts_and_a_copy_that_knows_itself_to_be_bad_has_no_vote() {
        let verdict = |sums: &[u128], bad: &[u128]| {
            let mut comparison = Comparison::default();
            bad.iter().for_each(|node| assert!(comparison.damaged(NodeId(*node))));
            comparison.compare(&digests(sums), Rules::ALL)
        };
        assert_eq!(verdict(&[7, 7, 7], &[]), Verdict::Same);
        assert_eq!(verdict(&[7, 8, 7], &[]), Verdict::Outvoted(vec![NodeId(1)]));
        assert_eq!(verdict(&[7, 8], &[]), Verdict::Undecided);
        assert_eq!(verdict(&[7, 8, 9], &[]), Verdict::Undecided);
        assert_eq!(verdict(&[7, 8, 7, 8], &[]), Verdict::Undecided);
        let mut comparison = Comparison::default();
        (0..3).for_each(|_| assert_eq!(comparison.compare(&digests(&[7, 8]), Rules::ALL), Verdict::Undecided));
        assert_eq!((comparison.status().differences, comparison.status().undecided), (1, true));
        assert_eq!(verdict(&[7, 8], &[0]), Verdict::Same);
        assert_eq!(verdict(&[7, 8, 7, 8], &[1]), Verdict::Outvoted(vec![NodeId(3)]));
    }

    #[test]
    fn a_copy_is_repaired_when_it_is_a_member_again() {
        let mut comparison = Comparison::default();
        comparison.compare(&digests(&[7, 7, 8]), Rules::ALL);
        assert!(comparison.distrusts(NodeId(2)) && !comparison.damaged(NodeId(2)));
        comparison.activated(&view(&[0, 1, 2], &[]), |_| true);
        assert!(comparison.distrusts(NodeId(2)), "it has not begun anew");
        comparison.activated(&view(&[0, 1], &[2]), |_| true);
        assert!(!comparison.distrusts(NodeId(2)));
        assert_eq!(comparison.status().distrusted, [NodeId(2)], "still shown");
        comparison.activated(&view(&[0, 1, 2], &[]), |_| true);
        let ComparisonStatus { compared, differences, repaired, undecided, distrusted } = comparison.status();
        assert_eq!((compared, differences, repaired, undecided, distrusted), (1, 1, 1, false, vec![]));
    }
}
