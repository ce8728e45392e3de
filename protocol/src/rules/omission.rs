//! The names of what a test can leave out or do wrong, to see that a checker finds the break. What each stands for is asked in one
//! place, the function of its rule in this folder. `sim` names them on its command line (`--omit`), and `docs/testing.md` has what finds them.

/// One rule of the protocol, left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Omission {
    /// R1: a coordinator answers *aborted* before every participant has acknowledged the abort.
    AbortEarly,
    /// R2: a sealed worker still takes decisions of an older view.
    StaleDecision,
    /// R2: a sealed worker still votes for prepares of an older view.
    StaleVote,
    /// R3: the outcomes of a view change are sent before the swap that carries them.
    ApplyBeforeSwap,
    /// R4: a later leader does not carry the outcomes of the last active view.
    ForgetOutcomes,
    /// R5: a new view may take workers that were not members of the last active view.
    AnyWorker,
    /// R6: a worker votes before the prepared record is synced.
    VoteUnsynced,
    /// R6: a worker acknowledges an abort before it is synced.
    AcknowledgeUnsynced,
    /// R6: a worker reports itself sealed before that is synced.
    SealUnsynced,
    /// R7: a worker forgets a transaction once every member applied it, synced or not.
    ForgetApplied,
    /// R9: a learner is made a member before it holds all records.
    LearnerTooEarly,
    /// R9: a learner forgets what it has deleted itself, so that a chunk brings it back.
    DropTombstones,
    /// R9: a chunk replaces what the learner has written itself.
    ChunkReplaces,
    /// R9: a member gives records to a learner while it still holds something prepared from an older view.
    CopyUnsettled,
    /// R5: an answer to a beat counts whatever view it is from.
    BeatOfDeadView,
    /// R9: of replicas that differ, the one that most hold loses.
    RepairFromWrongCopy,
    /// R10: a prepare is judged by the holders alone, not by those that wait before it.
    IgnoreWaiting,
    /// R10: a younger transaction waits for an older one too.
    WaitForOlder,
    /// R11: nobody says that something has been in doubt for too long.
    DoubtForever,
    /// R12: a coordinator without a view takes workers that belong to one.
    TakeBound,
    /// R12: a worker lets itself be sealed by another cluster.
    SealForeign,
    /// A worker does not release the locks of a transaction that it aborts.
    LeakLocks,
    /// A coordinator counts a lost participant as one that has acknowledged the abort.
    AbortLost,
    /// A participant checks what is expected when a prepare comes, not when it has the locks.
    CheckBeforeLock,
    /// A default read does not wait for what is prepared.
    IgnorePrepared,
    /// A default read waits for what is prepared after it came, too.
    WaitForLater,
    /// A strict read takes what is there without a lock.
    StrictUnlocked,
    /// A worker takes the view that it was last sealed for as active when it starts.
    ActiveAfterRestart,
    /// A worker forgets its oldest decisions when there are many.
    ForgetByCount,
    /// A sealed worker aborts what it holds prepared.
    SealAborts,
    /// A client hears *aborted* when its deadline comes first.
    UnknownAsAborted,
    /// A coordinator commits when all but one participant have voted yes.
    OneVoteLess,
    /// A transaction that was in doubt is tried again though the view change committed it.
    RetryCommitted,
    /// A doubt begins a view change that is under way anew.
    DoubtRestarts,
    /// A digest does not wait for prepares that wait.
    DigestPassesWaiting,
    /// What is asked for before the first view keeps the age that it got then.
    AgeBeforeView,
    /// R9: a copy of which a chunk is missing counts as complete.
    GapInCopy,
    /// R9: a replica that was copied from another has a vote of its own.
    CopyVotes,
    /// R5: a worker whose log was put back to an older state may be a member.
    PutBackCounts,
    /// R9: a member does not pass on the greatest age stamp that it has seen.
    StampNotGiven,
    /// R14: a worker says nothing to a seal of a number that it has already.
    SealUnanswered,
    /// R14: a worker takes a seal whose last active view is before one that it knows.
    OlderViewSeals,
    /// R14: no node looks at which coordinator it is that writes.
    WriterIgnored,
    /// R14: a later run that has merely connected counts, for ever, as one that has taken over.
    VisitorRemembered,
    /// R7: a view change does not carry the outcomes of earlier views that clients may still ask for and that are not recorded.
    ForgetUnrecorded,
    /// R7: what workers are told to forget passes outcomes whose clients heard *unknown* and that are not recorded.
    ForgetDoubted,
    /// R11: what is to be recorded waits behind what clients ask, for the room that only recording it can make.
    WindowBlocks,
    /// R11: a window that stays full does not end its view.
    StuckForever,
    /// R13: a view change settles by the reports alone what was told to be committed.
    SettleByReports,
    /// The versions of a commit that a view settled are empty.
    VersionsLost,
    /// Memory reserved by an aborted prepare is never given back.
    ReserveKept,
    /// A late digest counts in the next comparison.
    LateDigest,
    /// R5: a member that is not connected counts as unwanted when the settings name another address for it.
    AwaitByAddress,
    /// R9: a copy that is not trusted counts as soon as the others have missed one answer.
    TrustDistrusted,
    /// R9: a worker starts over from a copy that is not trusted.
    LearnFromDistrusted,
    /// R9: a worker does not log that it was outvoted, so the next leader does not hear of it.
    OutvotedForgotten,
    /// While replicas differ and no majority says which is right, each answers reads in turn.
    ReadUndecidedInTurn,
    /// Reads are sent however many bytes of answers are under way.
    AnswersUnbounded,
    /// Reads that were asked of a member that is gone, or in an earlier view, are not asked again.
    LostReadsForgotten,
    /// A worker answers a beat before what it had logged by then is synced.
    BeatUnsynced,
    /// The seal of a learner that was lost with its connection is not sent again.
    SealNotRepeated,
    /// R5: when nothing else is left, all workers of which a part was given up are members together.
    SalvagedTogether,
    /// A worker that was sealed by an attempt to found the cluster again counts as one of the lost cluster, and is not taken again.
    BegunForgotten,
    /// A coordinator that hears of a later view than its control store holds goes on.
    GoesOnBehind,
    /// A worker that has found damage says so once, and does not repeat it.
    DamageToldOnce,
    /// A member that is there and has missed an answer is not asked again when nobody else can be a member.
    BadNotAsked,
    /// R15: a member that does not report what it has said may stay, unless that was told to be committed.
    RollBackUnseen,
    /// What a member lacked of what others reported is forgotten when it connects again.
    LackForgotten,
    /// A request that is refused because there are too many keeps its place in the line for its keys.
    RefusedQueues,
    /// A strict read that is refused because too many wait keeps its claim.
    RefusedHolds,
    /// What a view change has settled is looked up in what the coordinator remembers, which forgets the oldest.
    SettledFromMemory,
    /// The bytes of a record that is replaced are not given back.
    ReplacedKept,
    /// A view change does not keep what people have changed about the workers.
    RosterForgotten,
    /// A person is told of a change of the workers before it stands in the control store.
    RosterToldEarly,
    /// R9: nobody is told that no copy is trusted when workers already copy from the one that has turned bad.
    StuckCopyUnsaid,
    /// R5: when a worker is removed, a member whose copy is not trusted counts as a copy that stays.
    DistrustedStays,
}
