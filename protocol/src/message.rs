//! Every message between nodes. Within a view a message is sent once, over a connection that keeps order: when a
//! connection is lost the view ends, and the view change asks each member what it holds, so nothing is sent again.
//!
//! ```text
//! coordinator                       worker
//!     | -- Prepare ------------------> |  lock, check, log, sync
//!     | <------------------- Vote ---- |
//!     | -- Decide -------------------> |  apply, release, log
//!     | <----------- Acknowledged ---- |  synced
//!     | -- Forget -------------------> |
//!
//!     | -- Seal ---------------------> |  refuse older views from now on, sync
//!     | <----------------- Sealed ---- |  what it holds prepared or knows decided
//!     |    swap the view in
//!     | -- Activate -----------------> |  apply the outcomes, sync
//!     | <-------------- Activated ---- |
//! ```

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{Age, ClusterId, Incarnation, NodeId, ReadId, ShardId, TraceContext, TxnId, Version, ViewId, ViewNumber, Writer};
use crate::membership::view::{Outcomes, Standing};
use crate::operation::{Answer, Consistency, Key, Operation, Query};
use crate::record::Stored;

/// What one node tells another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Coordinator to each participant: take part in this transaction. Promises nothing yet.
    Prepare(Prepare),
    /// Participant to coordinator: yes, it is locked, checked and on disk and can be committed whatever happens; or no.
    Vote {
        /// The transaction.
        txn: TxnId,
        /// The view that the vote was made in.
        view: ViewNumber,
        /// Yes or no.
        vote: Vote,
    },
    /// Coordinator to each participant: all voted yes, or one refused.
    Decide {
        /// The transaction.
        txn: TxnId,
        /// The view that it runs in; a worker that was sealed for a later one takes no notice (R2).
        view: ViewNumber,
        /// What was decided.
        outcome: Outcome,
        /// To a learner, with a commit: the version that each operation writes, as the members voted. Else empty.
        versions: Vec<Version>,
    },
    /// Participant to coordinator: the decision is applied and synced. R1 and R7 wait for it.
    Acknowledged {
        /// The transaction.
        txn: TxnId,
        /// The view that it ran in.
        view: ViewNumber,
    },
    /// Coordinator to each member: every participant has these decisions synced; nobody will ask for them again (R7).
    Forget {
        /// The view that they were made in.
        view: ViewNumber,
        /// The run of the coordinator that they belong to.
        incarnation: Incarnation,
        /// All sequences below this one. A prepare below it is refused from now on.
        below: u64,
    },
    /// Coordinator to each member: every member has the outcomes of all views before this one synced (R7).
    ForgetViews {
        /// The first view that is not meant.
        before: ViewNumber,
    },
    /// Coordinator to one member: answer this from the store.
    Read(Read),
    /// Worker to coordinator: the answer to a read.
    Answered {
        /// The read.
        read: ReadId,
        /// What came of it.
        result: ReadResult,
    },
    /// Leader to each member of the view to come: take nothing of older views any more, and say what you hold (R2).
    Seal(Seal),
    /// Member to leader: sealed, synced, and this is what it holds.
    Sealed(Report),
    /// Worker to leader: not sealed.
    SealRefused {
        /// The view that it should have been sealed for.
        view: ViewNumber,
        /// Why not.
        reason: SealReason,
        /// The coordinator that it follows instead.
        follows: Follows,
    },
    /// Leader to each member, after the swap: the view is active, and these are the outcomes of all views before it (R3).
    Activate {
        /// The view.
        view: ViewNumber,
        /// How the transactions in doubt ended.
        outcomes: Outcomes,
    },
    /// Member to leader: the outcomes are applied and synced.
    Activated {
        /// The view.
        view: ViewNumber,
    },
    /// Leader to a member: give the next records for this learner.
    Copy {
        /// The number of the copy: the view in which the learner began.
        copy: ViewNumber,
        /// The learner.
        learner: NodeId,
        /// The last key that it was given; `None` at the beginning.
        after: Option<Key>,
        /// How many records to give at the most.
        records_max: u32,
    },
    /// Member to leader, and on to the learner: some records, in the order of keys.
    Chunk(Chunk),
    /// Learner to leader: a chunk is taken in and synced.
    Stored {
        /// The number of the copy.
        copy: ViewNumber,
        /// Whether it was the last: the learner holds all records now.
        last: bool,
    },
    /// Coordinator to worker: are you there?
    Beat {
        /// Counts the beats of this coordinator.
        beat: u64,
        /// The cluster that it leads; `None` before the first view.
        cluster: Option<ClusterId>,
        /// The identity and the run of this coordinator.
        writer: Writer,
        /// The last active view that it knows.
        active: Option<ViewId>,
    },
    /// Worker to coordinator: yes, and all that it had logged when the beat came is synced.
    Beating {
        /// The beat.
        beat: u64,
        /// The coordinator that it follows.
        follows: Follows,
        /// Whether its memory is full.
        full: bool,
    },
    /// Worker to every coordinator: records here are not what was once written, or this replica was outvoted. Said again and again
    /// until it begins anew.
    Damaged {
        /// The worker's view.
        view: ViewNumber,
        /// How many records were found so; 0 if it was outvoted alone.
        records: u64,
    },
    /// Worker to every coordinator: something has been prepared here for longer than the bound without a decision (R11).
    InDoubt {
        /// The worker's view.
        view: ViewNumber,
    },
    /// Leader to a member: most replicas hold something else than this one, so nobody may copy from it. The member logs that, since the
    /// next leader can't know it.
    Outvoted {
        /// The active view.
        view: ViewNumber,
    },
}

/// What may overtake what on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// In the order in which it was sent, whatever else is to be sent.
    Orders,
    /// In the order in which it was sent; everything of [`Lane::Orders`] may overtake it, and it overtakes nothing.
    Bulk,
}

impl Message {
    /// How it is sent. What may be long, and nothing waits for in a hurry, stands back behind everything else: answers to reads, which
    /// name what they answer and for which view, and the records of a copy, which name their copy and their place in it.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Message::Answered { result: ReadResult::Found(Answer::Rows { .. }), .. } | Message::Chunk(_) => Lane::Bulk,
            Message::Answered { .. }
            | Message::Prepare(_)
            | Message::Vote { .. }
            | Message::Decide { .. }
            | Message::Acknowledged { .. }
            | Message::Forget { .. }
            | Message::ForgetViews { .. }
            | Message::Read(_)
            | Message::Seal(_)
            | Message::Sealed(_)
            | Message::SealRefused { .. }
            | Message::Activate { .. }
            | Message::Activated { .. }
            | Message::Copy { .. }
            | Message::Stored { .. }
            | Message::Beat { .. }
            | Message::Beating { .. }
            | Message::Damaged { .. }
            | Message::InDoubt { .. }
            | Message::Outvoted { .. } => Lane::Orders,
        }
    }
}

/// A transaction as sent to its participants. They are not listed: all members of every shard that its keys lie in take
/// part, which each node computes from the view with [`crate::store::placement`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prepare {
    /// Its id.
    pub txn: TxnId,
    /// Its age, kept over retries.
    pub age: Age,
    /// The view that it runs in.
    pub view: ViewNumber,
    /// What it does.
    pub operations: Vec<Operation>,
    /// The request's trace, if it has one.
    pub trace: Option<TraceContext>,
}

/// A participant's answer to a prepare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Vote {
    /// Prepared and synced. Carries the version that each operation writes, in their order; a delete or check gives the
    /// version that it found, 0 where there is none.
    Yes {
        /// The versions.
        versions: Vec<Version>,
    },
    /// Not prepared, and it won't be.
    No(NoReason),
}

/// Why a participant refuses to prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NoReason {
    /// An older transaction holds a key, or waits for it (wait-die). The coordinator tries again with the same age.
    Older {
        /// Its stamp, so that the coordinator's next ages are greater.
        stamp: u64,
    },
    /// An expectation does not hold.
    Expectation {
        /// The operation, counted from 0.
        operation: u16,
        /// The version found, if there is a record.
        found: Option<Version>,
    },
    /// The worker's memory bound would be passed.
    Memory,
    /// A record that it touches is not what was once written: this replica is to be repaired first.
    Damaged,
    /// Too much waits here already.
    Overloaded,
    /// The prepare is of another view than the worker, or of a transaction that has been decided.
    Stale,
}

/// How a transaction ended. That it is not known yet is the third outcome, which has no message: only silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// All of it holds.
    Committed,
    /// None of it holds.
    Aborted,
}

/// A read as sent to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Read {
    /// Its number.
    pub read: ReadId,
    /// The coordinator's active view.
    pub view: ViewNumber,
    /// Its age, for strict reads.
    pub age: Age,
    /// Which moment it shows.
    pub consistency: Consistency,
    /// What to read.
    pub query: Query,
    /// The request's trace, if it has one.
    pub trace: Option<TraceContext>,
}

/// What came of a read at a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReadResult {
    /// Answered.
    Found(Answer),
    /// Strict only: an older transaction holds or waits for something in its range.
    Older {
        /// Its stamp.
        stamp: u64,
    },
    /// The worker is in another view.
    Stale,
    /// A record that belongs to the answer is not what was once written.
    Damaged,
    /// Too many reads wait here already.
    Overloaded,
}

/// The first half of a view change at one member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seal {
    /// The cluster; a worker binds itself to the first that seals it.
    pub cluster: ClusterId,
    /// The view to come, and its announcer.
    pub view: ViewId,
    /// What the worker will be in it.
    pub standing: Standing,
    /// The last active view before it, if there was one.
    pub last_active: Option<ViewId>,
    /// For a member: the outcomes of that view (R4).
    pub outcomes: Outcomes,
}

/// Why a worker was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SealReason {
    /// It belongs to another cluster (R12).
    Foreign,
    /// Another coordinator leads it, or has led it further than this one knows (R14).
    Led,
    /// It should be a member and lacks records: its copy is not complete (R9), or it has not even been sealed for the last active
    /// view.
    Lacks,
}

/// The coordinator that a worker follows, as it tells every coordinator that asks: so two that don't know of each other learn of
/// each other (R14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Follows {
    /// The cluster that it belongs to; `None` before the first.
    pub cluster: Option<ClusterId>,
    /// The view that it was sealed for last; 0 before the first.
    pub view: ViewNumber,
    /// The coordinator that sealed it; `None` before the first, and where that was not noted.
    pub writer: Option<Writer>,
    /// Another coordinator that leads this cluster, of the same run or a later one, if it has heard of any.
    pub rival: Option<Writer>,
}

/// Some records of a member, for a learner.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// The number of the copy.
    pub copy: ViewNumber,
    /// Whom they are for.
    pub learner: NodeId,
    /// The last key of the chunk before, `None` at the beginning: a learner takes nothing behind a gap.
    pub after: Option<Key>,
    /// The records, in the order of keys, from the one after the last that was asked for.
    pub records: Vec<(Key, Stored)>,
    /// Whether there are no more.
    pub last: bool,
    /// How many records the member has in all.
    pub total: u64,
    /// The greatest age stamp that the member has seen, also of what is deleted by now: versions are made from it.
    pub stamp: u64,
}

/// What a member holds when it is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Report {
    /// The view that it was sealed for.
    pub view: ViewNumber,
    /// Transactions prepared here, undecided.
    pub prepared: Vec<PreparedReport>,
    /// Transactions that it remembers as decided.
    pub decided: Vec<(TxnId, Outcome)>,
    /// The low-water marks of the view before: what lies below was decided in it, and is forgotten.
    pub marks: Vec<(Incarnation, u64)>,
    /// The greatest age stamp that it has seen, so that the next coordinator's ages are greater.
    pub stamp: u64,
}

impl Report {
    /// How this transaction ended, if the member remembers it.
    #[must_use]
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        self.decided.binary_search_by_key(&txn, |(txn, _)| *txn).ok().map(|place| self.decided[place].1)
    }

    /// Whether the member holds this transaction prepared.
    #[must_use]
    pub fn has_prepared(&self, txn: TxnId) -> bool {
        self.prepared.binary_search_by_key(&txn, |prepared| prepared.txn).is_ok()
    }

    /// The first sequence of this run that the member was not told to forget.
    #[must_use]
    pub fn mark(&self, run: Incarnation) -> u64 {
        self.marks.iter().find(|(marked, _)| *marked == run).map_or(0, |(_, below)| *below)
    }
}

/// A transaction in doubt, as a member reports it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PreparedReport {
    /// Its id.
    pub txn: TxnId,
    /// The shards that it touches.
    pub shards: Vec<ShardId>,
    /// The version for each operation, as voted.
    pub versions: Vec<Version>,
}
