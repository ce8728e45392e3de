//! Reads: each shows one moment, waits for no more than it must, and is answered without harm to others. None has a number; see
//! *Reads* in `docs/protocol.md`.

use super::{Omission, Rules};

impl Rules {
    /// A read as of arrival waits for what is prepared when it comes and touches it.
    pub(crate) fn reads_wait_for_prepared(self) -> bool {
        !self.omits(Omission::IgnorePrepared)
    }

    /// A read as of arrival waits for nothing that is prepared later.
    pub(crate) fn reads_ignore_later(self) -> bool {
        !self.omits(Omission::WaitForLater)
    }

    /// A digest also waits for prepares that wait: at a member where nothing is in their way they are prepared already.
    pub(crate) fn digests_await_waiting(self) -> bool {
        !self.omits(Omission::DigestPassesWaiting)
    }

    /// A strict read claims all that it touches before it takes anything.
    pub(crate) fn strict_reads_claim(self) -> bool {
        !self.omits(Omission::StrictUnlocked)
    }

    /// A strict read that is refused because too many wait claims nothing.
    pub(crate) fn refused_reads_claim_nothing(self) -> bool {
        !self.omits(Omission::RefusedHolds)
    }

    /// The answers under way from one member keep their bound.
    pub(crate) fn answers_fit(self, bytes: u64, bytes_max: u64) -> bool {
        bytes <= bytes_max || self.omits(Omission::AnswersUnbounded)
    }

    /// A read whose member is gone, or whose view has ended, is asked of another one.
    pub(crate) fn asks_lost_reads_again(self) -> bool {
        !self.omits(Omission::LostReadsForgotten)
    }

    /// While replicas differ and no majority says which is right, one of them answers all reads.
    pub(crate) fn one_answers_while_undecided(self) -> bool {
        !self.omits(Omission::ReadUndecidedInTurn)
    }
}
