//! Two-phase commit: a transaction ends in one way everywhere, and its client hears the truth. R1, R2, R6, R7, R11 and R13 of
//! `docs/protocol.md` in this order, then what has no number.

use super::{Omission, Rules};
use crate::id::{TxnId, ViewNumber};
use crate::message::Outcome;
use crate::step::{AbortReason, Reply};

impl Rules {
    /// R1: a client hears *aborted* only when every participant has acknowledged the abort.
    pub(crate) fn aborts_await_acknowledgements(self) -> bool {
        !self.omits(Omission::AbortEarly)
    }

    /// R1: a participant whose connection is lost has acknowledged nothing by that.
    pub(crate) fn awaits_lost_participants(self) -> bool {
        !self.omits(Omission::AbortLost)
    }

    /// R2: a worker votes for prepares of its current view only.
    pub(crate) fn votes_in(self, view: ViewNumber, current: ViewNumber) -> bool {
        view == current || self.omits(Omission::StaleVote)
    }

    /// R2: a worker takes decisions of its current view only.
    pub(crate) fn takes_decision_of(self, view: ViewNumber, current: ViewNumber) -> bool {
        view == current || self.omits(Omission::StaleDecision)
    }

    /// R6: a vote leaves when what was prepared is synced.
    pub(crate) fn syncs_before_vote(self) -> bool {
        !self.omits(Omission::VoteUnsynced)
    }

    /// R6, R7: an acknowledgement leaves when the decision is synced, so that what is forgotten stands on every disk.
    pub(crate) fn syncs_before_acknowledgement(self, outcome: Outcome) -> bool {
        !self.omits(match outcome {
            Outcome::Committed => Omission::ForgetApplied,
            Outcome::Aborted => Omission::AcknowledgeUnsynced,
        })
    }

    /// R6: a worker reports that it is sealed when that is synced.
    pub(crate) fn syncs_before_report(self) -> bool {
        !self.omits(Omission::SealUnsynced)
    }

    /// R6: a worker answers a beat when all that it had logged by then is synced, so that a disk that hangs shows.
    pub(crate) fn syncs_before_beating(self) -> bool {
        !self.omits(Omission::BeatUnsynced)
    }

    /// R7: a view change hands on the outcomes of earlier views that clients may still ask for, until they are recorded.
    pub(crate) fn hands_on_unrecorded(self) -> bool {
        !self.omits(Omission::ForgetUnrecorded)
    }

    /// R7: the record of a view is no longer needed for its outcomes once they are recorded.
    pub(crate) fn may_clear(self, is_recorded: bool) -> bool {
        is_recorded || self.omits(Omission::ForgetUnrecorded)
    }

    /// R7: workers remember a transaction whose client heard *unknown*, until it is recorded.
    pub(crate) fn remembers_doubted(self) -> bool {
        !self.omits(Omission::ForgetDoubted)
    }

    /// R7: a worker remembers a decision until it is told to forget it, however many there are.
    pub(crate) fn remembers_all_decided(self) -> bool {
        !self.omits(Omission::ForgetByCount)
    }

    /// R11: a doubt that lasts too long ends the view.
    pub(crate) fn doubt_ends_view(self, lasts: bool) -> bool {
        lasts && !self.omits(Omission::DoubtForever)
    }

    /// R11: a doubt begins a view change when none is under way; begun again for each doubt, it might never end.
    pub(crate) fn doubt_begins_change(self, is_steady: bool) -> bool {
        is_steady || self.omits(Omission::DoubtRestarts)
    }

    /// R11: what writes only rows of the cluster itself goes before the writes of clients, which may wait for these rows.
    pub(crate) fn goes_first(self, has_own_rows: bool) -> bool {
        has_own_rows && !self.omits(Omission::WindowBlocks)
    }

    /// R11: the cluster's own rows may use the whole window; a part of it is kept for them.
    pub(crate) fn may_fill_window(self, goes_first: bool) -> bool {
        goes_first || self.omits(Omission::WindowBlocks)
    }

    /// R11: an outcome that stands in the record of the active view holds up the window no longer.
    pub(crate) fn holds_up_window(self, stands_in_view: bool) -> bool {
        !stands_in_view || self.omits(Omission::WindowBlocks)
    }

    /// R11: a window that stays full ends the view, whose successor takes over what could not be recorded.
    pub(crate) fn full_window_ends_view(self, stays_full: bool) -> bool {
        stays_full && !(self.omits(Omission::StuckForever) || self.omits(Omission::WindowBlocks))
    }

    /// R13: what is decided as committed stays so, whatever the members of the next view report.
    pub(crate) fn commits_stand(self) -> bool {
        !self.omits(Omission::SettleByReports)
    }

    /// A transaction is committed when no vote is awaited any more.
    pub(crate) fn is_unanimous(self, awaited: u32) -> bool {
        awaited == 0 || awaited.count_ones() == 1 && self.omits(Omission::OneVoteLess)
    }

    /// A transaction that a view change has committed is not tried again.
    pub(crate) fn is_over(self, is_committed: bool) -> bool {
        is_committed && !self.omits(Omission::RetryCommitted)
    }

    /// The client of a transaction that a view change has committed hears the versions that were written.
    pub(crate) fn tells_settled_versions(self) -> bool {
        !self.omits(Omission::VersionsLost)
    }

    /// When a view becomes active, what was never sent gets a new age: its own may be from before members said which they have seen.
    pub(crate) fn gets_new_age(self, was_sent: bool) -> bool {
        !was_sent && !self.omits(Omission::AgeBeforeView)
    }

    /// A client whose deadline comes before the outcome hears that it is unknown.
    pub(crate) fn reply_at_deadline(self, txn: TxnId) -> Reply {
        match self.omits(Omission::UnknownAsAborted) {
            false => Reply::Unknown { txn },
            true => Reply::Aborted { txn, reason: AbortReason::Contention },
        }
    }

    /// A request that is refused because there are too many has no place in the line for its keys.
    pub(crate) fn refused_leave_the_line(self) -> bool {
        !self.omits(Omission::RefusedQueues)
    }

    /// A participant checks what is expected when it holds the locks, and not before.
    pub(crate) fn checks_under_locks(self) -> bool {
        !self.omits(Omission::CheckBeforeLock)
    }
}
