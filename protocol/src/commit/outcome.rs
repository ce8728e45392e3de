//! The outcomes of a view change, derived from what its members report. A transaction that is committed anywhere is
//! committed; so is one that every participant among the new members has prepared, since its coordinator may have told its
//! client so. Anything else can't have been committed and is aborted.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::{Incarnation, NodeId, TxnId, Version};
use crate::membership::view::{ActiveView, Outcomes, View};
use crate::message::{Outcome, PreparedReport, Report};
use crate::store::placement;

/// What a view change settles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settlement {
    /// Every transaction that a member reported, in the order of ids.
    pub outcomes: Outcomes,
    /// Of those that were in doubt somewhere and committed: the versions that they wrote.
    pub versions: BTreeMap<TxnId, Vec<Version>>,
    /// How many were in doubt at a member and aborted.
    pub aborted: u32,
    /// For each run: how far its transactions had ended for all who may ask.
    pub marks: BTreeMap<Incarnation, u64>,
}

impl Settlement {
    /// Takes over what was settled before, where nothing is said of it now.
    pub fn carry(&mut self, before: &Outcomes) {
        let known: Vec<TxnId> = self.outcomes.iter().map(|(txn, _)| *txn).collect();
        self.outcomes.extend(before.iter().filter(|(txn, _)| known.binary_search(txn).is_err()));
        self.outcomes.sort_unstable();
    }

    /// This one is committed, whatever was reported of it.
    pub fn insist(&mut self, txn: TxnId, versions: &[Version]) {
        match self.outcomes.binary_search_by_key(&txn, |(txn, _)| *txn) {
            Ok(place) => self.outcomes[place].1 = Outcome::Committed,
            Err(place) => self.outcomes.insert(place, (txn, Outcome::Committed)),
        }
        self.versions.entry(txn).or_insert_with(|| versions.to_vec());
    }

    /// How this one ends by it.
    #[must_use]
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        self.outcomes.binary_search_by_key(&txn, |(txn, _)| *txn).ok().map(|place| self.outcomes[place].1)
    }
}

#[derive(Default)]
struct Evidence<'a> {
    decided: Option<Outcome>,
    prepared_at: usize,
    prepared: Option<&'a PreparedReport>,
}

/// Settles what the members of `view` report; every one of them must have reported.
#[must_use]
pub fn settle(view: &View, reports: &BTreeMap<NodeId, Report>) -> Settlement {
    let mut evidence: BTreeMap<TxnId, Evidence> = BTreeMap::new();
    for report in reports.values() {
        for prepared in &report.prepared {
            let found = evidence.entry(prepared.txn).or_default();
            found.prepared_at += 1;
            found.prepared = Some(prepared);
        }
        for (txn, outcome) in &report.decided {
            let found = evidence.entry(*txn).or_default();
            // Should two members ever differ, which no rule allows, a commit is the one that a client may have been told.
            found.decided = Some(found.decided.map_or(*outcome, |other| other.min(*outcome)));
        }
    }
    let mut settlement = Settlement::default();
    for (run, below) in reports.values().flat_map(|report| &report.marks) {
        let mark = settlement.marks.entry(*run).or_default();
        *mark = (*mark).max(*below);
    }
    for (txn, found) in evidence {
        let everywhere = |prepared: &PreparedReport| found.prepared_at == placement::members(view, &prepared.shards).len();
        let outcome = match (found.decided, found.prepared) {
            (Some(decided), _) => decided,
            (None, Some(prepared)) if everywhere(prepared) => Outcome::Committed,
            (None, _) => Outcome::Aborted,
        };
        settlement.outcomes.push((txn, outcome));
        if let Some(prepared) = found.prepared {
            match outcome {
                Outcome::Committed => drop(settlement.versions.insert(txn, prepared.versions.clone())),
                Outcome::Aborted => settlement.aborted += 1,
            }
        }
    }
    settlement
}

/// What the members of the active view lack in their reports of what another one reports as committed in that view, for those that
/// lack anything: all of them had it prepared and synced by then, so their logs were put back to an older state (R15).
#[must_use]
pub fn lacking(active: &ActiveView, reports: &BTreeMap<NodeId, Report>) -> BTreeMap<NodeId, BTreeSet<TxnId>> {
    let mark = |run: Incarnation| active.ended.iter().find(|(ended, _)| *ended == run).map_or(0, |(_, below)| *below);
    // What ended before the view is in its record, by name or below a mark.
    let in_view = |txn: TxnId| {
        txn.sequence >= mark(txn.incarnation) && active.outcomes.binary_search_by_key(&txn, |(txn, _)| *txn).is_err()
    };
    let committed: BTreeSet<TxnId> = reports
        .values()
        .flat_map(|report| &report.decided)
        .filter(|(txn, outcome)| *outcome == Outcome::Committed && in_view(*txn))
        .map(|(txn, _)| *txn)
        .collect();
    let members = active.view.members();
    let of_view = reports.iter().filter(|(node, _)| members.contains(node));
    let lacks = |report| committed.iter().copied().filter(|txn| !knows(report, *txn)).collect();
    of_view.map(|(node, report)| (*node, lacks(report))).filter(|(_, lacks): &(_, BTreeSet<_>)| !lacks.is_empty()).collect()
}

/// Whether a report has this transaction, or passes over it since it ended long ago.
#[must_use]
pub fn knows(report: &Report, txn: TxnId) -> bool {
    report.has_prepared(txn) || report.outcome(txn).is_some() || txn.sequence < report.mark(txn.incarnation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ShardId, ViewNumber};
    use crate::membership::view::{Member, Shard};
    use alloc::string::String;
    use alloc::vec;

    fn txn(sequence: u64) -> TxnId {
        TxnId { incarnation: Incarnation(1), sequence }
    }

    fn view(members: u128) -> View {
        let member = |node| Member { node: NodeId(node), address: String::new(), logged: true };
        View {
            number: ViewNumber(2),
            writer: crate::id::Writer::UNKNOWN,
            shards: vec![Shard { members: (1..=members).map(member).collect(), learners: vec![] }],
        }
    }

    fn report(prepared: &[u64], decided: &[(u64, Outcome)]) -> Report {
        let prepared =
            prepared.iter().map(|it| PreparedReport { txn: txn(*it), shards: vec![ShardId(0)], versions: vec![Version(*it)] });
        let decided = decided.iter().map(|(it, outcome)| (txn(*it), *outcome));
        Report { view: ViewNumber(2), prepared: prepared.collect(), decided: decided.collect(), marks: vec![], stamp: 0 }
    }

    #[test]
    fn committed_anywhere_or_prepared_everywhere_commits_and_all_else_aborts() {
        use Outcome::{Aborted, Committed};
        let reports = BTreeMap::from([
            (NodeId(1), report(&[1, 2, 3], &[(5, Aborted)])),
            (NodeId(2), report(&[1, 3], &[(4, Committed), (5, Aborted)])),
            (NodeId(3), report(&[1, 4], &[(3, Aborted)])),
        ]);
        let settlement = settle(&view(3), &reports);
        let expected = vec![(txn(1), Committed), (txn(2), Aborted), (txn(3), Aborted), (txn(4), Committed), (txn(5), Aborted)];
        assert_eq!(settlement.outcomes, expected);
        assert_eq!(settlement.versions.keys().copied().collect::<Vec<_>>(), [txn(1), txn(4)]);
        assert_eq!(settlement.aborted, 2);
    }

    #[test]
    fn what_is_prepared_at_some_alone_was_not_committed() {
        let reports = BTreeMap::from([(NodeId(1), report(&[1], &[])), (NodeId(2), report(&[], &[]))]);
        assert_eq!(settle(&view(2), &reports).outcome(txn(1)), Some(Outcome::Aborted));
    }

    #[test]
    fn of_two_marks_of_a_run_the_greater_counts() {
        let marked = |below| Report { marks: vec![(Incarnation(1), below)], ..report(&[], &[]) };
        for marks in [[3, 5], [5, 3]] {
            let reports = BTreeMap::from([(NodeId(1), marked(marks[0])), (NodeId(2), marked(marks[1]))]);
            assert_eq!(settle(&view(2), &reports).marks, BTreeMap::from([(Incarnation(1), 5)]));
        }
    }

    #[test]
    fn what_was_settled_before_is_carried_where_nothing_is_said_of_it_now() {
        use Outcome::{Aborted, Committed};
        let mut settlement = Settlement { outcomes: vec![(txn(2), Committed), (txn(4), Aborted)], ..Settlement::default() };
        settlement.carry(&vec![(txn(1), Committed), (txn(2), Aborted), (txn(3), Aborted), (txn(5), Committed)]);
        let expected = vec![(txn(1), Committed), (txn(2), Committed), (txn(3), Aborted), (txn(4), Aborted), (txn(5), Committed)];
        assert_eq!(settlement.outcomes, expected);
        assert_eq!([0, 2, 3].map(|it| settlement.outcome(txn(it))), [None, Some(Committed), Some(Aborted)]);
    }

    #[test]
    fn what_must_be_committed_is_so_whatever_was_reported() {
        use Outcome::{Aborted, Committed};
        let mut settlement = Settlement { outcomes: vec![(txn(2), Aborted)], ..Settlement::default() };
        settlement.versions.insert(txn(2), vec![Version(9)]);
        settlement.insist(txn(2), &[Version(1)]);
        settlement.insist(txn(1), &[Version(1)]);
        assert_eq!(settlement.outcomes, vec![(txn(1), Committed), (txn(2), Committed)]);
        assert_eq!(settlement.versions, BTreeMap::from([(txn(1), vec![Version(1)]), (txn(2), vec![Version(9)])]));
    }

    #[test]
    fn a_member_lacks_what_another_one_reports_as_committed_in_the_view() {
        use Outcome::{Aborted, Committed};
        let active = ActiveView { view: view(3), outcomes: vec![(txn(6), Committed)], ended: vec![(Incarnation(1), 5)] };
        let lacks = |second: Report| {
            let first = report(&[9], &[(4, Committed), (5, Committed), (6, Committed), (7, Aborted), (8, Committed)]);
            // Worker 4 is no member, so it need not know anything.
            lacking(&active, &BTreeMap::from([(NodeId(1), first), (NodeId(2), second), (NodeId(4), report(&[], &[]))]))
        };
        let both = BTreeMap::from([(NodeId(2), BTreeSet::from([txn(5), txn(8)]))]);
        assert_eq!(lacks(report(&[], &[])), both, "4 and 6 ended before the view, 7 was aborted, 9 is prepared");
        assert_eq!(lacks(report(&[8], &[(5, Committed)])), BTreeMap::new());
        assert_eq!(lacks(Report { marks: vec![(Incarnation(1), 6)], ..report(&[8], &[]) }), BTreeMap::new());
        let eight = BTreeMap::from([(NodeId(2), BTreeSet::from([txn(8)]))]);
        assert_eq!(lacks(Report { marks: vec![(Incarnation(1), 8)], ..report(&[], &[]) }), eight, "8 is not below the mark");
    }
}
