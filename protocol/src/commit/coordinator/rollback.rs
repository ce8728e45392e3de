//! What shows that a member's log was put back to an older state of the same view. A member says *yes* and *acknowledged* only when
//! that is synced (R6), so whatever it has said of a transaction it must report. One that does not has lost an unknown part of
//! what it had synced: its copy counts no longer (R15).

use crate::id::{NodeId, TxnId};
use crate::message::{Outcome, Report};

use super::{Phase, Transaction, Transactions, bit};

impl Transactions {
    /// Whether this member does not report what it has said to this coordinator in the active view: it has voted for a transaction
    /// that runs, or has acknowledged a decision and was not told to forget it.
    #[must_use]
    pub fn contradicts(&self, node: NodeId, report: &Report) -> bool {
        // A learner says so before it is synced.
        let Some(bit) = bit(&self.nodes, node).filter(|bit| self.learners & bit == 0) else { return false };
        let decided = |txn: &TxnId| report.outcome(*txn).is_some();
        let committed = |txn: &TxnId| report.outcome(*txn) == Some(Outcome::Committed);
        let broken = |txn: &TxnId, transaction: &Transaction| {
            let said = transaction.participants & bit != 0 && transaction.awaited & bit == 0;
            match transaction.phase {
                Phase::Preparing => said && !report.has_prepared(*txn) && !decided(txn),
                Phase::Aborting(_) => said && !decided(txn),
                Phase::Committing => {
                    let voted = transaction.participants & bit != 0;
                    voted && !committed(txn) && (said || !report.has_prepared(*txn))
                }
            }
        };
        let must_report = |transaction: &Transaction| self.rules.must_report(transaction.phase == Phase::Committing);
        self.running.iter().any(|(txn, transaction)| must_report(transaction) && broken(txn, transaction))
            || self.rules.leaves_out_rolled_back() && self.has_lost_ended(report)
    }

    /// Whether a transaction of the active view is missing that does not run any more: it has ended at all members, and each has said so.
    fn has_lost_ended(&self, report: &Report) -> bool {
        let of_view = self.window.of_view();
        // The first that is missing ends the search, and the window bounds how many are not.
        (of_view.start.max(report.mark(self.incarnation))..of_view.end).any(|sequence| {
            let txn = TxnId { incarnation: self.incarnation, sequence };
            !self.running.contains_key(&txn) && report.outcome(txn).is_none()
        })
    }
}
