//! The faults by name, and how often each one happened. A set of runs in which one never did proves nothing about it, so
//! the counts are a gate of their own.

use super::random::Random;

/// What can go wrong. The weights of the first [`FaultKind::FIRST`] kinds come from the main stream of chance; a kind that is added
/// belongs at the end, and draws from a sub-stream of its name (see [`FaultKind::draw`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A worker with a log dies and comes back.
    WorkerCrash,
    /// A worker without log dies and comes back as somebody else.
    WorkerLost,
    /// A worker's disk is lost: it comes back with an empty one, as somebody else.
    DiskLost,
    /// The coordinator dies and is followed by its next run.
    CoordinatorCrash,
    /// Everything dies at once.
    PowerFailure,
    /// A connection breaks; both ends learn of it soon.
    Cut,
    /// A connection breaks; one end learns of it late.
    HalfOpen,
    /// Nothing gets through one way for a while.
    PartitionOneWay,
    /// Nothing gets through either way for a while.
    PartitionBothWays,
    /// A coordinator is cut off from several workers, but not all.
    PartitionPartial,
    /// A process stands still for a while.
    Pause,
    /// A worker stands still for long, while its connections look alive and new ones can be made.
    Hang,
    /// A process takes long for each input.
    SlowNode,
    /// A disk takes long for each sync.
    SlowSync,
    /// A disk does not sync at all for a while.
    HungDisk,
    /// A connection is slow.
    SlowLink,
    /// A process's timers run fast or slow.
    TimerDrift,
    /// The clock that ages are taken from is set forwards or back.
    ClockJump,
    /// The control store answers a swap with an error.
    SwapError,
    /// A coordinator of another cluster tries to seal a worker.
    Stranger,
    /// A worker's disk is put back to what it held in an earlier view.
    OldDisk,
    /// A person gives up a part of what a worker's disk holds: its end, some records, or nothing that was there.
    Salvage,
    /// A connection takes only so many bytes a second.
    SlowReceiver,
    /// A bit of a record flips in a worker's memory.
    Rot,
    /// A person removes a worker, or adds one that was removed.
    RosterChange,
}

/// Faults that come about within others, counted for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// A process died between two outputs of one step.
    CrashWithinStep,
    /// A connection broke between two messages of one step.
    CutWithinStep,
    /// A message on which much depends was lost, or the last of its sender.
    Aimed,
    /// A crash lost all records that were not synced.
    TailLost,
    /// A crash lost some of them.
    TailTorn,
    /// A swap failed without effect.
    SwapFailedBefore,
    /// A swap failed, but took effect.
    SwapFailedAfter,
    /// A coordinator died during a swap that took effect.
    SwapMadeByTheDead,
    /// A coordinator died during a swap that did not.
    SwapLostWithTheDead,
    /// A transaction in doubt was committed by a view change.
    DoubtCommitted,
    /// A transaction in doubt was aborted by a view change.
    DoubtAborted,
    /// A member was left out of a view.
    LeftOut,
    /// A view change was begun anew before it ended.
    ViewChangeRepeated,
    /// A client heard *unknown*.
    ToldUnknown,
    /// A client heard *aborted*.
    ToldAborted,
    /// A client's coordinator died before it answered.
    NeverAnswered,
    /// A refused transaction was tried again.
    Retried,
    /// A prepare waited for a lock at a worker.
    PrepareWaited,
    /// A default read waited for a prepared transaction.
    ReadWaited,
    /// A worker refused a write for want of memory.
    MemoryRefused,
    /// Digests of all members were compared while transactions ran.
    DigestsCompared,
    /// A disk hung for good, and its worker was left out.
    HungForGood,
    /// A coordinator with an empty control store refused to go on.
    ControlLost,
    /// A worker began as a learner.
    LearnerBegan,
    /// Several did in one view.
    LearnersBegan,
    /// A worker that the cluster had never seen did.
    NewcomerBegan,
    /// A learner applied a transaction.
    LearnerWrote,
    /// A learner took records in.
    LearnerCopied,
    /// A learner had already changed what was copied to it.
    ChunkOvertaken,
    /// A learner became a member.
    LearnerPromoted,
    /// A view ended before all its learners held all records.
    CopyInterrupted,
    /// A learner died before it held all records.
    LearnerDied,
    /// A member died while a learner did not hold all records.
    MemberDiedInCopy,
    /// The coordinator did.
    LeaderDiedInCopy,
    /// A former learner was the only member.
    LearnerSurvived,
    /// A worker that did not answer was given up.
    Suspected,
    /// How a transaction had ended was recorded for those who might ask.
    OutcomesRecorded,
    /// In calm, one worker went silent, and the others went on without it.
    SilentLeftOut,
    /// In calm, a worker was put back to an earlier state of itself, and was left out.
    PutBack,
    /// Of two leaders of different runs, one or both have ended.
    SecondLeader,
    /// Two leaders of one run have both ended.
    SharedRun,
    /// A second leader had taken the workers over.
    TakenOver,
    /// A coordinator of a later run has come and gone without having led.
    Visited,
    /// The last copy was outvoted, and the next coordinator let no other worker give up what it held.
    OutvotedKept,
    /// A wrong record had been copied to another member, and the two that held it outvoted no member.
    OneWitness,
    /// In calm, a record was damaged and repaired.
    DamageRepaired,
    /// In calm, a record was other than all others hold it, and was repaired.
    OutvotedRepaired,
    /// In calm, a member lost its vote for what a client had heard to be committed.
    VoteLost,
    /// In calm, a member's digest came when the next comparison was under way and clients had written since.
    DigestLate,
    /// In calm, a small window was full because nothing was recorded.
    RecordingStalled,
    /// A worker whose disk was put back refused to be a member.
    OldDiskRefused,
    /// A worker of which a part was given up started over.
    SalvagedBegan,
    /// The seal of a learner was lost with its connection, which was back before the view was active.
    LearnerSealLost,
    /// A coordinator with a control store as it once was has ended.
    OldControlEnded,
    /// The cluster started over, empty, since all memory was lost.
    BegunEmpty,
    /// The cluster went on with a worker of which a part was given up, since nothing else was left.
    WentOnWithLess,
    /// The coordinator died before that view was active.
    BeginningInterrupted,
    /// A worker that syncs at an interval crashed, and its log was set aside.
    LogSetAside,
    /// A coordinator named its workers otherwise than the one before.
    Renamed,
    /// Everything was started again, and all members were members at once.
    AllStartedAgain,
    /// The last copy was bad, and others kept what they held.
    IntactKept,
    /// A copy was bad, and the others could not answer at first.
    HeldUpTogether,
    /// Two replicas differed, and one of them answered.
    OneAnswered,
    /// A message overtook a long one.
    Overtaken,
    /// A list was answered to one of very many readers.
    CrowdServed,
    /// One of very many readers was told to come back.
    CrowdRefused,
    /// Lists that were under way when a member died were answered by another.
    AskedAgain,
    /// A worker of which a record had rotted while other faults happened started over.
    RottenBegan,
    /// A chunk of a copy was lost with the connection, and the copy could have gone on.
    ChunkLost,
    /// A worker that was put back within its view was said to be.
    RollBackSeen,
    /// The member that had shown that another one was put back died, under a coordinator that had not seen more.
    WitnessDied,
    /// A record was made again under a clock that had been set back.
    MadeAgain,
    /// Only a bad copy was left while other faults happened, and a person started it again from its log.
    RottenRestarted,
    /// A person was told that a worker is removed.
    WorkerRemoved,
    /// A worker was added by the name that the settings have for it.
    WorkerAdded,
    /// A worker was added by another name.
    WorkerAddedElsewhere,
    /// A worker was not removed, since nobody else held what it holds.
    LastCopyKept,
    /// A request was refused because the coordinator had as many as it takes.
    RequestsMet,
    /// A transaction waited because those under way had as many operations as may be.
    OperationsMet,
    /// A transaction waited because those under way had as many bytes as may be.
    TransactionBytesMet,
    /// A transaction was given up after as many attempts as are allowed.
    AttemptsMet,
    /// A coordinator remembered as many outcomes as it may.
    OutcomesMet,
    /// A read waited for room for its answer.
    AnswersMet,
    /// A read was refused because as many waited at its worker as may.
    ReadsWaitingMet,
    /// A prepare was refused because as many waited at its worker as may.
    PreparesWaitingMet,
    /// A chunk had as many records as it may.
    ChunkRecordsMet,
    /// A chunk had as many bytes as it may.
    ChunkBytesMet,
    /// As many chunks of a copy were under way as may be.
    ChunksMet,
    /// Outcomes could not be recorded, since the room of the cluster's own rows was used up.
    ReserveUsedUp,
}

macro_rules! names {
    ($kind:ident, $($variant:ident => $name:literal),+ $(,)?) => {
        impl $kind {
            /// All of them.
            pub const ALL: &[$kind] = &[$($kind::$variant),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),+ }
            }
        }
    };
}

names!(FaultKind,
    WorkerCrash => "worker crash", WorkerLost => "worker lost", DiskLost => "disk lost", CoordinatorCrash => "coordinator crash",
    PowerFailure => "power failure", Cut => "cut", HalfOpen => "half-open", PartitionOneWay => "partition one way",
    PartitionBothWays => "partition both ways", PartitionPartial => "partition partial", Pause => "pause", Hang => "hang",
    SlowNode => "slow node", SlowSync => "slow sync", HungDisk => "hung disk", SlowLink => "slow link",
    TimerDrift => "timer drift", ClockJump => "clock jump", SwapError => "swap error", Stranger => "stranger",
    OldDisk => "old disk", Salvage => "salvage",
    SlowReceiver => "slow receiver", Rot => "rot", RosterChange => "roster change",
);

names!(Sight,
    CrashWithinStep => "crash within a step", CutWithinStep => "cut within a step", Aimed => "aimed", TailLost => "tail lost",
    TailTorn => "tail torn", SwapFailedBefore => "swap failed before", SwapFailedAfter => "swap failed after",
    SwapMadeByTheDead => "swap made by the dead", SwapLostWithTheDead => "swap lost with the dead",
    DoubtCommitted => "doubt committed", DoubtAborted => "doubt aborted", LeftOut => "left out",
    ViewChangeRepeated => "view change repeated", ToldUnknown => "told unknown", ToldAborted => "told aborted",
    NeverAnswered => "never answered", Retried => "retried", PrepareWaited => "prepare waited",
    ReadWaited => "read waited", MemoryRefused => "memory refused", DigestsCompared => "digests compared",
    HungForGood => "hung for good", ControlLost => "control store lost", LearnerBegan => "learner began",
    LearnersBegan => "several learners began", NewcomerBegan => "newcomer began", LearnerWrote => "learner wrote",
    LearnerCopied => "learner copied", ChunkOvertaken => "chunk overtaken", LearnerPromoted => "learner promoted",
    CopyInterrupted => "copy interrupted", LearnerDied => "learner died", MemberDiedInCopy => "member died in copy",
    LeaderDiedInCopy => "leader died in copy", LearnerSurvived => "learner survived", Suspected => "suspected",
    OutcomesRecorded => "outcomes recorded", SilentLeftOut => "silent left out", PutBack => "put back",
    OneWitness => "one witness",
    SecondLeader => "second leader", SharedRun => "shared run", TakenOver => "taken over",
    Visited => "visited", OutvotedKept => "outvoted kept",
    DamageRepaired => "damage repaired", OutvotedRepaired => "outvoted repaired",
    VoteLost => "vote lost", DigestLate => "digest late", RecordingStalled => "recording stalled",
    OldDiskRefused => "old disk refused", SalvagedBegan => "salvaged began",
    LogSetAside => "log set aside",
    Renamed => "renamed", AllStartedAgain => "all started again", IntactKept => "intact kept",
    HeldUpTogether => "held up together", OneAnswered => "one answered",
    Overtaken => "overtaken", CrowdServed => "crowd served", CrowdRefused => "crowd refused", AskedAgain => "asked again",
    LearnerSealLost => "learner's seal lost", OldControlEnded => "old control store ended", BegunEmpty => "begun empty", WentOnWithLess => "went on with less",
    BeginningInterrupted => "beginning interrupted",
    ChunkLost => "chunk lost", RollBackSeen => "roll-back seen", WitnessDied => "witness died", MadeAgain => "made again",
    RottenBegan => "rotten began", RottenRestarted => "rotten restarted",
    WorkerRemoved => "worker removed", WorkerAdded => "worker added", WorkerAddedElsewhere => "worker added elsewhere",
    LastCopyKept => "last copy kept",
    RequestsMet => "requests met", OperationsMet => "operations met", TransactionBytesMet => "transaction bytes met",
    AttemptsMet => "attempts met", OutcomesMet => "outcomes met", AnswersMet => "answers met",
    ReadsWaitingMet => "reads waiting met", PreparesWaitingMet => "prepares waiting met",
    ChunkRecordsMet => "chunk records met", ChunkBytesMet => "chunk bytes met", ChunksMet => "chunks met",
    ReserveUsedUp => "reserve used up",
);

impl FaultKind {
    /// The kinds that the simulation began with.
    const FIRST: usize = FaultKind::Stranger as usize + 1;

    /// In so many of a thousand runs a later kind may happen.
    const LATER_PER_MILLE: u64 = 200;

    /// How often each kind is chosen among all, in one run; 0 for those that never happen in it. A new kind changes only the runs
    /// that have it.
    pub(crate) fn draw(random: &mut Random) -> [u64; FaultKind::COUNT] {
        let mut weights = [0; FaultKind::COUNT];
        weights[..Self::FIRST].fill_with(|| if random.chance(450) { random.magnitude(1, 16) } else { 0 });
        for kind in &Self::ALL[Self::FIRST..] {
            let mut own = random.sub(kind.name());
            if own.chance(Self::LATER_PER_MILLE) {
                weights[*kind as usize] = own.magnitude(1, 16);
            }
        }
        weights
    }
}

/// How often each happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    faults: [u64; FaultKind::COUNT],
    sights: [u64; Sight::COUNT],
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage { faults: [0; FaultKind::COUNT], sights: [0; Sight::COUNT] }
    }
}

impl Coverage {
    pub(crate) fn fault(&mut self, kind: FaultKind) {
        self.faults[kind as usize] += 1;
    }

    pub(crate) fn saw(&mut self, sight: Sight) {
        self.sights[sight as usize] += 1;
    }

    pub(crate) fn saw_many(&mut self, sight: Sight, times: u64) {
        self.sights[sight as usize] += times;
    }

    /// Adds what another run saw.
    pub fn add(&mut self, other: &Coverage) {
        let pairs = self.faults.iter_mut().zip(&other.faults).chain(self.sights.iter_mut().zip(&other.sights));
        pairs.for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Everything by name, with how often it happened.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let faults = FaultKind::ALL.iter().map(|kind| (kind.name(), self.faults[*kind as usize]));
        faults.chain(Sight::ALL.iter().map(|sight| (sight.name(), self.sights[*sight as usize])))
    }

    /// What never happened.
    #[must_use]
    pub fn gaps(&self) -> Vec<&'static str> {
        self.counts().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_a_gap() {
        let mut coverage = Coverage::default();
        FaultKind::ALL.iter().for_each(|kind| coverage.fault(*kind));
        Sight::ALL.iter().filter(|sight| **sight != Sight::DoubtCommitted).for_each(|sight| coverage.saw(*sight));
        assert_eq!(coverage.gaps(), ["doubt committed"]);
        let mut sum = Coverage::default();
        sum.saw(Sight::DoubtCommitted);
        sum.add(&coverage);
        assert!(sum.gaps().is_empty());
    }
}
