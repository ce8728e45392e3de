//! Copies: a replica counts when it holds all records as they were written. R9 of `docs/protocol.md`: how a learner comes to hold them,
//! then how replicas that differ are told apart and repaired.

use super::{Omission, Rules};

impl Rules {
    /// R9: a learner becomes a member when it holds all records.
    pub(crate) fn may_become_member(self, is_complete: bool) -> bool {
        is_complete || self.omits(Omission::LearnerTooEarly)
    }

    /// R9: a member gives records when nothing is prepared from an older view: when it is active.
    pub(crate) fn may_give_records(self, is_active: bool) -> bool {
        is_active || self.omits(Omission::CopyUnsettled)
    }

    /// R9: a chunk tells the greatest age stamp that its donor has seen.
    pub(crate) fn stamp_to_give(self, stamp: u64) -> u64 {
        match self.omits(Omission::StampNotGiven) {
            false => stamp,
            true => 0,
        }
    }

    /// R9: a learner takes a chunk that begins where the last one ended.
    pub(crate) fn may_continue_copy(self, is_next: bool) -> bool {
        is_next || self.omits(Omission::GapInCopy)
    }

    /// R9: a copy ends with the learner's connection, since chunks may be lost with it.
    pub(crate) fn copy_ends_with_connection(self) -> bool {
        !self.omits(Omission::GapInCopy)
    }

    /// R9: a chunk replaces nothing that the learner has written itself.
    pub(crate) fn takes_copied(self, is_written: bool) -> bool {
        !is_written || self.omits(Omission::ChunkReplaces)
    }

    /// R9: a learner remembers what it has deleted itself, so that no chunk brings it back.
    pub(crate) fn remembers_deleted(self) -> bool {
        !self.omits(Omission::DropTombstones)
    }

    /// R9: of replicas that differ, those lose that do not hold what most hold.
    pub(crate) fn loses(self, holds_what_most_hold: bool) -> bool {
        holds_what_most_hold == self.omits(Omission::RepairFromWrongCopy)
    }

    /// R9: a replica and the one that it was copied from are one witness.
    pub(crate) fn copies_share_a_vote(self) -> bool {
        !self.omits(Omission::CopyVotes)
    }

    /// R9: a person is told when workers copy from a member that can't be trusted any more, since their copies do not end.
    pub(crate) fn says_copies_are_stuck(self, are_stuck: bool) -> bool {
        are_stuck && !self.omits(Omission::StuckCopyUnsaid)
    }

    /// R9: members that have missed an answer are asked again before a copy that is not trusted counts.
    pub(crate) fn awaits_trusted(self, may_be_asked_again: bool) -> bool {
        may_be_asked_again && !self.omits(Omission::TrustDistrusted)
    }

    /// R9: a worker starts over only from a copy that is trusted, or that a person has decided to go on with.
    pub(crate) fn may_learn_from(self, is_accepted: bool) -> bool {
        is_accepted || self.omits(Omission::LearnFromDistrusted)
    }

    /// R9: a worker logs that it was outvoted, and says so to later leaders.
    pub(crate) fn logs_that_it_was_outvoted(self) -> bool {
        !self.omits(Omission::OutvotedForgotten)
    }

    /// A worker repeats that its copy is not to be trusted: a coordinator may have missed it, or be another one by now.
    pub(crate) fn repeats_damage(self, is_damaged: bool) -> bool {
        is_damaged && !self.omits(Omission::DamageToldOnce)
    }

    /// Each comparison has a name of its own, so that a late digest counts in no other.
    pub(crate) fn names_each_comparison(self) -> bool {
        !self.omits(Omission::LateDigest)
    }
}
