//! Mistakes that somebody could make, to see that the simulator finds them: the rules that `skein_protocol::rules` can
//! leave out, and those of the processes around the core, which are made here.

use skein_protocol::rules::{Omission, Rules};

/// A mistake of a process, not of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// R12: a worker without log comes back under its old identity.
    IdentityKept,
    /// A log does not keep the greatest age stamp.
    StampForgotten,
    /// A worker does not say that a part of what it held was given up.
    SalvageUnsaid,
    /// R6: a log that is synced at an interval is taken up again after a crash.
    LogTakenUp,
    /// A transport sends everything in one order: a vote waits behind the answers to reads.
    OneLane,
}

/// What is done wrong in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mistakes {
    pub(crate) rules: Rules,
    pub(crate) of_process: Option<Mistake>,
}

/// A mistake as the command line names it.
#[derive(Clone, Copy, Debug)]
pub struct Seeded {
    /// Its name.
    pub name: &'static str,
    /// The rule that it breaks, or a dash.
    pub rule: &'static str,
    /// The mistake.
    pub mistakes: Mistakes,
}

impl Mistakes {
    /// All as it should be.
    pub const NONE: Mistakes = Mistakes { rules: Rules::ALL, of_process: None };

    pub(crate) fn has(self, mistake: Mistake) -> bool {
        self.of_process == Some(mistake)
    }
}

const fn omission(rule: &'static str, name: &'static str, omission: Omission) -> Seeded {
    Seeded { name, rule, mistakes: Mistakes { rules: Rules::without(omission), of_process: None } }
}

const fn of_process(rule: &'static str, name: &'static str, mistake: Mistake) -> Seeded {
    Seeded { name, rule, mistakes: Mistakes { rules: Rules::ALL, of_process: Some(mistake) } }
}

/// All mistakes that can be made.
pub const ALL: &[Seeded] = &[
    omission("R1", "AbortEarly", Omission::AbortEarly),
    omission("R2", "StaleDecision", Omission::StaleDecision),
    omission("R2", "StaleVote", Omission::StaleVote),
    omission("R3", "ApplyBeforeSwap", Omission::ApplyBeforeSwap),
    omission("R4", "ForgetOutcomes", Omission::ForgetOutcomes),
    omission("R5", "AnyWorker", Omission::AnyWorker),
    omission("R6", "VoteUnsynced", Omission::VoteUnsynced),
    omission("R6", "AcknowledgeUnsynced", Omission::AcknowledgeUnsynced),
    omission("R6", "SealUnsynced", Omission::SealUnsynced),
    omission("R7", "ForgetApplied", Omission::ForgetApplied),
    omission("R7", "ForgetUnrecorded", Omission::ForgetUnrecorded),
    omission("R7", "ForgetDoubted", Omission::ForgetDoubted),
    omission("R5", "BeatOfDeadView", Omission::BeatOfDeadView),
    omission("R9", "LearnerTooEarly", Omission::LearnerTooEarly),
    omission("R9", "DropTombstones", Omission::DropTombstones),
    omission("R9", "ChunkReplaces", Omission::ChunkReplaces),
    omission("R9", "RepairFromWrongCopy", Omission::RepairFromWrongCopy),
    omission("R5", "AwaitByAddress", Omission::AwaitByAddress),
    omission("R9", "TrustDistrusted", Omission::TrustDistrusted),
    omission("R9", "LearnFromDistrusted", Omission::LearnFromDistrusted),
    omission("R9", "OutvotedForgotten", Omission::OutvotedForgotten),
    omission("R10", "IgnoreWaiting", Omission::IgnoreWaiting),
    omission("R10", "WaitForOlder", Omission::WaitForOlder),
    omission("R11", "DoubtForever", Omission::DoubtForever),
    omission("R11", "WindowBlocks", Omission::WindowBlocks),
    omission("R11", "StuckForever", Omission::StuckForever),
    omission("R12", "TakeBound", Omission::TakeBound),
    omission("R12", "SealForeign", Omission::SealForeign),
    omission("R13", "SettleByReports", Omission::SettleByReports),
    omission("-", "VersionsLost", Omission::VersionsLost),
    omission("-", "ReserveKept", Omission::ReserveKept),
    omission("-", "LateDigest", Omission::LateDigest),
    omission("R9", "GapInCopy", Omission::GapInCopy),
    omission("R9", "CopyVotes", Omission::CopyVotes),
    omission("R5", "PutBackCounts", Omission::PutBackCounts),
    omission("R9", "StampNotGiven", Omission::StampNotGiven),
    omission("R14", "SealUnanswered", Omission::SealUnanswered),
    omission("R14", "OlderViewSeals", Omission::OlderViewSeals),
    omission("R14", "WriterIgnored", Omission::WriterIgnored),
    omission("R14", "VisitorRemembered", Omission::VisitorRemembered),
    omission("-", "LeakLocks", Omission::LeakLocks),
    omission("-", "AbortLost", Omission::AbortLost),
    omission("-", "CheckBeforeLock", Omission::CheckBeforeLock),
    omission("-", "IgnorePrepared", Omission::IgnorePrepared),
    omission("-", "WaitForLater", Omission::WaitForLater),
    omission("-", "StrictUnlocked", Omission::StrictUnlocked),
    omission("-", "ActiveAfterRestart", Omission::ActiveAfterRestart),
    omission("-", "ForgetByCount", Omission::ForgetByCount),
    omission("-", "SealAborts", Omission::SealAborts),
    omission("-", "UnknownAsAborted", Omission::UnknownAsAborted),
    omission("-", "OneVoteLess", Omission::OneVoteLess),
    omission("-", "RetryCommitted", Omission::RetryCommitted),
    omission("-", "DoubtRestarts", Omission::DoubtRestarts),
    omission("-", "DigestPassesWaiting", Omission::DigestPassesWaiting),
    omission("-", "AgeBeforeView", Omission::AgeBeforeView),
    omission("-", "AnswersUnbounded", Omission::AnswersUnbounded),
    omission("-", "LostReadsForgotten", Omission::LostReadsForgotten),
    omission("-", "BeatUnsynced", Omission::BeatUnsynced),
    of_process("-", "OneLane", Mistake::OneLane),
    omission("-", "SealNotRepeated", Omission::SealNotRepeated),
    omission("R5", "SalvagedTogether", Omission::SalvagedTogether),
    omission("-", "BegunForgotten", Omission::BegunForgotten),
    omission("-", "GoesOnBehind", Omission::GoesOnBehind),
    omission("-", "DamageToldOnce", Omission::DamageToldOnce),
    omission("-", "BadNotAsked", Omission::BadNotAsked),
    omission("R15", "RollBackUnseen", Omission::RollBackUnseen),
    of_process("-", "StampForgotten", Mistake::StampForgotten),
    of_process("R12", "IdentityKept", Mistake::IdentityKept),
    of_process("R5", "SalvageUnsaid", Mistake::SalvageUnsaid),
    of_process("R6", "LogTakenUp", Mistake::LogTakenUp),
    omission("-", "RefusedQueues", Omission::RefusedQueues),
    omission("-", "RefusedHolds", Omission::RefusedHolds),
    omission("R4", "SettledFromMemory", Omission::SettledFromMemory),
    omission("-", "ReplacedKept", Omission::ReplacedKept),
    omission("R9", "StuckCopyUnsaid", Omission::StuckCopyUnsaid),
    omission("R15", "LackForgotten", Omission::LackForgotten),
    omission("R5", "DistrustedStays", Omission::DistrustedStays),
    omission("R5", "RosterForgotten", Omission::RosterForgotten),
    omission("R5", "RosterToldEarly", Omission::RosterToldEarly),
    omission("-", "ReadUndecidedInTurn", Omission::ReadUndecidedInTurn),
];

/// The mistake of this name.
#[must_use]
pub fn named(name: &str) -> Option<Seeded> {
    ALL.iter().copied().find(|seeded| seeded.name == name)
}
