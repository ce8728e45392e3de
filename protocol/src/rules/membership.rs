//! Views: one history of them, of members that hold all that was acknowledged. R3, R4, R5, R12, R14 and R15 of `docs/protocol.md` in
//! this order, then what has no number.

use super::{Omission, Rules};
use crate::id::{ClusterId, NodeId, ViewId, ViewNumber, Writer};
use crate::message::Outcome;

impl Rules {
    /// R3: members hear the outcomes of a view change after the swap that carries them.
    pub(crate) fn swaps_before_telling(self) -> bool {
        !self.omits(Omission::ApplyBeforeSwap)
    }

    /// R4: a seal carries the outcomes of the last active view to members that missed them.
    pub(crate) fn seal_carries_outcomes(self) -> bool {
        !self.omits(Omission::ForgetOutcomes)
    }

    /// R4: what ran ends by the outcomes of the view change, and not by what is remembered, of which the oldest may be forgotten.
    pub(crate) fn settled_as(self, by_view: Option<Outcome>, remembered: Option<Outcome>) -> Option<Outcome> {
        match self.omits(Omission::SettledFromMemory) {
            false => by_view,
            true => remembered,
        }
    }

    /// R5: a new view takes members of the last active view only.
    pub(crate) fn takes_members_only(self) -> bool {
        !self.omits(Omission::AnyWorker)
    }

    /// R5: only a worker that holds all that was acknowledged may be a member; the worker itself refuses otherwise.
    pub(crate) fn may_be_member(self, holds_all: bool) -> bool {
        holds_all || self.omits(Omission::AnyWorker)
    }

    /// R5: a member holds what was acknowledged if it was sealed for the last active view; else its log was put back.
    pub(crate) fn holds_view(self, last_active: ViewNumber, sealed_for: ViewNumber) -> bool {
        last_active <= sealed_for || self.omits(Omission::PutBackCounts)
    }

    /// R5: when no whole copy is left, how many workers whose records were given up in part may be members together. One: what is missing
    /// in one is not what is missing in another.
    pub(crate) fn salvaged_together_max(self) -> usize {
        match self.omits(Omission::SalvagedTogether) {
            false => 1,
            true => usize::MAX,
        }
    }

    /// R5: a member that is not connected, and that the settings name otherwise, is unwanted when another worker has answered at each
    /// address that they name.
    pub(crate) fn is_unwanted(self, all_answered: bool) -> bool {
        all_answered || self.omits(Omission::AwaitByAddress)
    }

    /// R5: the answer to a beat shows that a worker is there; that of a member counts unless it is from a view before the active one.
    pub(crate) fn beat_counts(self, is_current: bool) -> bool {
        is_current || self.omits(Omission::BeatOfDeadView)
    }

    /// R5: a view change keeps what people have changed about the workers.
    pub(crate) fn keeps_roster(self) -> bool {
        !self.omits(Omission::RosterForgotten)
    }

    /// R5: a person hears of a change of the workers after the swap that holds it.
    pub(crate) fn swaps_before_roster_reply(self) -> bool {
        !self.omits(Omission::RosterToldEarly)
    }

    /// R5: when a worker is removed, only a member whose copy can be trusted is a copy that stays.
    pub(crate) fn is_copy_that_stays(self, is_trusted: bool) -> bool {
        is_trusted || self.omits(Omission::DistrustedStays)
    }

    /// R12: a coordinator whose control store is empty takes no worker that belongs to a cluster.
    pub(crate) fn may_found_with(self, bound: ClusterId, cluster: Option<ClusterId>) -> bool {
        Some(bound) == cluster || self.omits(Omission::TakeBound)
    }

    /// R12: a worker belongs to the first cluster that seals it.
    pub(crate) fn may_be_sealed_by(self, cluster: ClusterId, bound: Option<ClusterId>) -> bool {
        bound.is_none_or(|bound| bound == cluster) || self.omits(Omission::SealForeign)
    }

    /// R14: a worker answers a seal that it does not take, so that its leader hears why.
    pub(crate) fn answers_seal(self, number: ViewNumber, current: ViewNumber) -> bool {
        number > current || !self.omits(Omission::SealUnanswered)
    }

    /// R14: the last active view that a seal names is the one that the worker knows, or a later one.
    pub(crate) fn seal_follows(self, known: Option<ViewId>, named: Option<ViewId>) -> bool {
        let follows = |known: ViewId| named.is_some_and(|named| named.number > known.number || named == known);
        known.is_none_or(follows) || self.omits(Omission::OlderViewSeals)
    }

    /// R14: a worker is sealed by the writer that it follows, or by a later run.
    pub(crate) fn may_succeed(self, followed: Option<Writer>, writer: Writer) -> bool {
        followed.is_none_or(|it| writer == it || writer.run > it.run) || self.omits(Omission::WriterIgnored)
    }

    /// R14: a worker goes by what its leader says of views.
    pub(crate) fn is_led_by(self, followed: Option<Writer>, from: NodeId) -> bool {
        followed.is_none_or(|writer| writer.node == from) || self.omits(Omission::WriterIgnored)
    }

    /// R14: a coordinator that is not the writer of the worker's view is another leader.
    pub(crate) fn is_other_leader(self, followed: Option<Writer>, writer: Writer) -> bool {
        followed != Some(writer) && !self.omits(Omission::WriterIgnored)
    }

    /// R14: workers and coordinators look at which coordinator wrote a view.
    pub(crate) fn looks_at_writer(self) -> bool {
        !self.omits(Omission::WriterIgnored)
    }

    /// R14: another coordinator has led if it names an active view that is not of this history; one that has merely connected has not.
    pub(crate) fn has_led(self, names_other_history: bool) -> bool {
        names_other_history || self.omits(Omission::VisitorRemembered)
    }

    /// R15: a member that lacks what another one reports, or what it has said itself, is left out.
    pub(crate) fn leaves_out_rolled_back(self) -> bool {
        !self.omits(Omission::RollBackUnseen)
    }

    /// R15: a member reports each transaction that it has voted for or acknowledged: those that are committed (R13), and all others.
    pub(crate) fn must_report(self, is_committed: bool) -> bool {
        !self.omits(match is_committed {
            true => Omission::SettleByReports,
            false => Omission::RollBackUnseen,
        })
    }

    /// R15: what a member lacked is remembered until a view is active, though it connects again.
    pub(crate) fn remembers_what_was_lacked(self) -> bool {
        !self.omits(Omission::LackForgotten)
    }

    /// A worker that starts is active in no view before a leader says so.
    pub(crate) fn awaits_activation(self) -> bool {
        !self.omits(Omission::ActiveAfterRestart)
    }

    /// What is prepared stays prepared when a worker is sealed: only the view change knows how it ends.
    pub(crate) fn stays_prepared_when_sealed(self) -> bool {
        !self.omits(Omission::SealAborts)
    }

    /// A learner whose connection was lost may have lost its seal, which is sent again.
    pub(crate) fn repeats_lost_seal(self) -> bool {
        !self.omits(Omission::SealNotRepeated)
    }

    /// A worker that an unfinished attempt to found the cluster again has sealed holds nothing, and may be taken again.
    pub(crate) fn remembers_begun(self) -> bool {
        !self.omits(Omission::BegunForgotten)
    }

    /// A coordinator that hears of a later view than its control store holds ends.
    pub(crate) fn ends_when_overtaken(self) -> bool {
        !self.omits(Omission::GoesOnBehind)
    }

    /// When no worker that has answered can be a member, those that missed an answer and may be needed are asked again, however bad their
    /// copies are.
    pub(crate) fn asks_all_again(self, may_be_needed: bool) -> bool {
        may_be_needed && !self.omits(Omission::BadNotAsked)
    }
}
