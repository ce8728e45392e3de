//! The contract of the core: what goes into a state machine and what comes out.
//!
//! A machine has one door, [`Machine::handle`]. The caller's duties:
//!
//! 1. Give it one input, then perform all outputs, in their order, before the next input (or as if it were so).
//! 2. Append each [`Output::Persist`] to the log in order. When the first `n` records that have not been reported yet are
//!    synced, say so with [`Input::Persisted`]. The machine itself holds back every message that depends on it.
//! 3. Send each [`Output::Send`] over the connection to that node, in order, but that what is of [`Lane::Orders`] may overtake what
//!    is of [`Lane::Bulk`], never the other way round. A message that can't be delivered may be lost, but then the connection must be
//!    closed and [`Input::Disconnected`] given, to both ends. Being slow to take what is sent is no reason to close it: what the
//!    machines have under way is bounded ([`crate::limits`]), so that a queue that holds it all never overflows.
//!    [`Lane::Orders`]: crate::message::Lane::Orders
//!    [`Lane::Bulk`]: crate::message::Lane::Bulk
//! 4. When a timer is set, give [`Input::Timeout`] once after the time is up, unless it was set anew or cancelled before.
//! 5. Perform [`Output::Swap`] one at a time and answer each with [`Input::Swapped`].
//! 6. Answer the client with each [`Output::Reply`]; there is exactly one for each request.
//! 7. On [`Output::Disconnect`] close the connection to that node, and give [`Input::Disconnected`] if it stood.
//! 8. On [`Output::Roster`] connect to these workers, and again whenever a connection is lost, and to no others.
//! 9. On [`Output::Halt`] end the process with that reason.
//!
//! The machines hold no clock, no randomness and no sockets; the same inputs give the same outputs.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{ClusterId, Incarnation, NodeId, RequestId, TraceContext, TxnId, Version, ViewNumber};
use crate::membership::view::{Standing, ViewRecord};
use crate::message::{Message, Outcome};
use crate::operation::{Answer, Consistency, Digest, Operation, Query};
use crate::record::Record;

/// A state machine of the core.
pub trait Machine {
    /// Takes one input and appends what is to be done to `out`, in order.
    fn handle(&mut self, input: Input, out: &mut Vec<Output>);

    /// The names of the rules that its state breaks: none, unless there is a bug. Looks at everything that is under way, so
    /// it is for now and then, not for each input.
    fn violations(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// What happens to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// The process has started. The first input, given once; sets the first timers.
    Start,
    /// A client of this process asks for something.
    Request {
        /// Names the reply.
        id: RequestId,
        /// What it asks.
        request: Request,
    },
    /// A message came in.
    Message {
        /// From whom; the connection has proved it.
        from: NodeId,
        /// The message.
        message: Message,
    },
    /// A connection stands, both ends have proved that they know the cluster's secret, and this is who is there.
    Connected(Peer),
    /// The connection to this node is gone; what was sent last may not have arrived. Nothing comes from it after this.
    Disconnected {
        /// The node.
        node: NodeId,
    },
    /// So many more records, in the order of their [`Output::Persist`], are synced.
    Persisted {
        /// How many.
        records: u32,
    },
    /// The control store has answered.
    Swapped(Swapped),
    /// A timer went off.
    Timeout(Timer),
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its identity.
    pub node: NodeId,
    /// Coordinator or worker.
    pub role: Role,
    /// Where it was reached, as named in this node's settings; empty for connections that came in.
    pub address: String,
    /// For a worker: the cluster that it is bound to.
    pub cluster: Option<ClusterId>,
    /// For a worker: whether it keeps its records in a log.
    pub logged: bool,
    /// For a worker: whether a person has given up a part of what it held, so that it counts only where nobody holds more.
    pub salvaged: bool,
}

/// The two kinds of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Role {
    /// Runs transactions for clients.
    Coordinator,
    /// Holds a replica.
    Worker,
}

/// The answer of the control store to a swap.
#[expect(clippy::large_enum_variant, reason = "a swap is rare")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Swapped {
    /// It holds the new record now, synced.
    Done,
    /// It does not, or that is not known; this is what it holds now, read again after the attempt.
    Current(Option<ViewRecord>),
}

/// Timers, by name. Setting one that runs starts it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Periodic housekeeping: deadlines of requests, doubts that last too long, what may be forgotten.
    Sweep,
    /// The view change waits no longer: for members to connect, or for those that don't answer.
    ViewChange,
    /// Refused transactions and reads are tried again.
    Retry,
    /// Workers that want to join are taken in together.
    Join,
    /// A coordinator asks its workers for a sign of life.
    Beat,
    /// A coordinator compares the replicas.
    Compare,
}

/// What a node wants done.
#[expect(clippy::large_enum_variant, reason = "one buffer of them is used again and again, and a swap is rare")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Append to the log.
    Persist(Record),
    /// Send to another node.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Answer a request.
    Reply {
        /// Which.
        id: RequestId,
        /// The answer.
        reply: Reply,
    },
    /// Start a timer.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When it goes off, in milliseconds from now.
        after_ms: u64,
    },
    /// Stop a timer.
    CancelTimer(Timer),
    /// The node is given up: close the connection to it.
    Disconnect {
        /// Who.
        node: NodeId,
    },
    /// The workers that the cluster is meant to have, `host:port` each. Said at the start and at each change.
    Roster {
        /// Their addresses.
        workers: Vec<String>,
    },
    /// Replace the record of the control store, if it is still `expected`; sync; answer with [`Input::Swapped`].
    Swap {
        /// What it must hold now.
        expected: Option<ViewRecord>,
        /// What it shall hold.
        record: ViewRecord,
    },
    /// Something that people may want to see. Nothing depends on it.
    Publish(Event),
    /// The node can't go on; nothing it could do would be right.
    Halt(Halt),
}

/// What a client of a coordinator can ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Run a transaction.
    Commit {
        /// All that it does.
        operations: Vec<Operation>,
        /// The process's clock in microseconds since 1970, a hint for its age.
        clock: u64,
        /// The request's trace, if it has one.
        trace: Option<TraceContext>,
    },
    /// Read from one replica, the least busy.
    Read {
        /// What.
        query: Query,
        /// As of when.
        consistency: Consistency,
        /// The process's clock in microseconds since 1970, a hint for its age.
        clock: u64,
        /// The request's trace, if it has one.
        trace: Option<TraceContext>,
    },
    /// The digest of every member at a common point.
    Digests,
    /// How a transaction ended.
    Outcome {
        /// Which.
        txn: TxnId,
    },
    /// What has ended that somebody may still ask for, and stands in no row of the store yet.
    Unrecorded,
    /// This stands in rows of the store now.
    Recorded {
        /// Outcomes as given by [`Request::Unrecorded`].
        outcomes: Vec<TxnId>,
        /// Whether the runs before this one are recorded too.
        runs: bool,
    },
    /// Change for good which workers the cluster is meant to have.
    Roster(RosterChange),
    /// How the node stands. The one request that a worker takes too.
    Status,
}

/// What has ended that somebody may still ask for. It must be written to rows of the store before the workers may forget it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Unrecorded {
    /// Transactions whose clients heard *unknown*, and those that earlier runs left, with how they ended; no more of them at once
    /// than one transaction can write.
    pub outcomes: Vec<(TxnId, Outcome)>,
    /// What is known of the runs before this one, until it is recorded.
    pub runs: Option<EarlierRuns>,
}

/// What the first view of a run has learned of those before it. With the outcomes recorded, it tells how each of their
/// transactions ended: one below its run's mark had ended before, and its client had its answer, or it was recorded; one that is
/// not, and stands in no row, was aborted, since no member knew of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EarlierRuns {
    /// The run that has learned it.
    pub incarnation: Incarnation,
    /// The low-water marks of the runs that were not yet cleared up after.
    pub marks: Vec<(Incarnation, u64)>,
}

impl EarlierRuns {
    /// How a transaction of an earlier run ended that stands in no row; nothing if that is not known any more.
    #[must_use]
    pub fn outcome(&self, txn: TxnId) -> Option<Outcome> {
        if txn.incarnation >= self.incarnation || txn.sequence == 0 {
            return None;
        }
        // A run later than all that have a mark never let anything be forgotten.
        let last = self.marks.iter().map(|(run, _)| *run).max();
        let below = match self.marks.iter().find(|(run, _)| *run == txn.incarnation) {
            Some((_, below)) => *below,
            None if last.is_none_or(|last| txn.incarnation > last) => 0,
            None => return None,
        };
        (txn.sequence >= below).then_some(Outcome::Aborted)
    }
}

/// A change of the workers that the cluster is meant to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RosterChange {
    /// One more, at this address: it is taken in as soon as it answers.
    Add(String),
    /// Not the one at this address any more: the next view goes without it.
    Remove(String),
}

/// Why the workers were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RosterRefusal {
    /// There are as many as a view can hold.
    Full,
    /// There is none at this address.
    NotThere,
    /// No other member that is connected has a trusted copy of all records; or none has at all, and the worker may hold the last one.
    LastCopy,
    /// Another change, or a view change, is under way.
    Busy,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The transaction is committed on every participant and holds for good.
    Committed {
        /// Its id.
        txn: TxnId,
        /// The version that each operation wrote; for a delete or check the one found, 0 if none.
        versions: Vec<Version>,
    },
    /// The transaction is aborted everywhere and never happened.
    Aborted {
        /// Its id.
        txn: TxnId,
        /// Why.
        reason: AbortReason,
    },
    /// Whether the transaction committed is not known yet. It will not be tried again; ask for its outcome later.
    Unknown {
        /// Its id.
        txn: TxnId,
    },
    /// What a read found.
    Found(Answer),
    /// Nothing was sent and nothing has happened.
    Refused(Refusal),
    /// The digests, by member; a member that has not answered in time is missing.
    Digests {
        /// The view that they were taken in.
        view: ViewNumber,
        /// Members and their digests.
        digests: Vec<(NodeId, Digest)>,
    },
    /// What is known of a transaction.
    Outcome(KnownOutcome),
    /// What is to be recorded.
    Unrecorded(Unrecorded),
    /// It is noted.
    Noted,
    /// The workers are changed for good, and these are they now.
    Roster(Vec<String>),
    /// They are as they were.
    RosterRefused(RosterRefusal),
    /// How a coordinator stands.
    Coordinator(Box<CoordinatorStatus>),
    /// How a worker stands.
    Worker(WorkerStatus),
}

/// Why a transaction was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbortReason {
    /// An expectation did not hold.
    Expectation {
        /// The operation, counted from 0.
        operation: u16,
        /// The version found, if there was a record.
        found: Option<Version>,
    },
    /// A worker's memory bound would have been passed.
    Memory,
    /// It was tried as often as is allowed, and each time an older one stood in its way or its view ended.
    Contention,
}

/// Why a request was refused outright.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many requests are under way; try again in a moment.
    Overloaded,
    /// No view is active, or the deadline passed before anything was sent or answered.
    Unavailable,
    /// The request breaks a bound of [`crate::limits`], or names a key twice.
    Invalid,
}

/// What a coordinator knows of a transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KnownOutcome {
    /// It ended so.
    Known(Outcome),
    /// It may still be under way, or belongs to an earlier run and was in doubt when that ended.
    Unknown,
    /// Never heard of, or no longer known.
    NotKnown,
}

/// How a coordinator stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoordinatorStatus {
    /// The last active view with the whole record; `None` before the first.
    pub record: Option<ViewRecord>,
    /// Whether a write would be accepted now.
    pub serving: bool,
    /// The members that said at the last beat that their memory is full. One is enough for writes that need room to be refused.
    pub full: Vec<NodeId>,
    /// The workers that the cluster is meant to have, by address.
    pub roster: Vec<String>,
    /// Members and other workers that are connected now.
    pub connected: Vec<Peer>,
    /// Transactions of this coordinator that are under way, and of these: voted on by all but not yet acknowledged.
    pub in_flight: u64,
    /// Requests that wait for a key or a view.
    pub queued: u64,
    /// Transactions whose outcome waits for a view change.
    pub in_doubt: u64,
    /// Whether clients' transactions have been held back for a while: so many are under way, or stand in no row yet though
    /// somebody may ask for them, that no more is sent before the workers may forget some.
    pub stalled: bool,
    /// Reads under way.
    pub reads: u64,
    /// Bytes that are reserved for their answers.
    pub read_bytes: u64,
    /// Copies under way, by which workers rejoin.
    pub copies: Vec<CopyProgress>,
    /// What comparing the replicas has found.
    pub comparison: ComparisonStatus,
}

/// How far a learner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CopyProgress {
    /// The learner.
    pub learner: NodeId,
    /// The member that gives.
    pub donor: NodeId,
    /// Records given so far.
    pub copied: u64,
    /// Records that the member had when it last gave some.
    pub total: u64,
}

/// What comparing the replicas has found since this coordinator started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ComparisonStatus {
    /// How often all members were compared.
    pub compared: u64,
    /// Copies that were found to differ, or to be damaged.
    pub differences: u64,
    /// Of these, copies that have been made anew.
    pub repaired: u64,
    /// Whether the last comparison found a difference and no majority: a person has to decide which copy is right.
    pub undecided: bool,
    /// Copies that are not trusted, or are being made anew.
    pub distrusted: Vec<NodeId>,
}

/// How a worker stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerStatus {
    /// Its identity.
    pub node: NodeId,
    /// The cluster that it is bound to.
    pub cluster: Option<ClusterId>,
    /// The view that it was sealed for last.
    pub view: ViewNumber,
    /// What it is in that view.
    pub standing: Option<Standing>,
    /// Whether it knows that this view became active.
    pub active: bool,
    /// The sums of its store.
    pub digest: Digest,
    /// Bytes that count against the memory bound.
    pub memory_bytes: u64,
    /// Whether it is full, so that writes that need room are refused: see [`crate::store::room::Room::is_full`].
    pub full: bool,
    /// Transactions prepared and undecided.
    pub prepared: u64,
    /// The oldest of them, so that whoever looks now and then can tell for how long it has been undecided.
    pub oldest_prepared: Option<TxnId>,
    /// Prepares that wait for a lock.
    pub waiting: u64,
    /// Reads that wait.
    pub reads_waiting: u64,
    /// Decisions remembered.
    pub remembered: u64,
    /// Keys and ranges locked.
    pub locks: u64,
    /// Records that were found not to be what was written, since this replica began.
    pub damaged: u64,
    /// Whether a person has given up a part of what it held, and it has not begun anew since.
    pub salvaged: bool,
}

/// Something that people may want to see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A transaction has come a step further at its coordinator.
    Transaction {
        /// Which.
        txn: TxnId,
        /// The step.
        step: TransactionStep,
    },
    /// A view change was begun.
    ViewPending {
        /// Its number.
        view: ViewNumber,
        /// Its members.
        members: Vec<NodeId>,
    },
    /// A view became active.
    ViewActive {
        /// Its number.
        view: ViewNumber,
        /// Its members.
        members: Vec<NodeId>,
        /// Its learners, which copy the records now.
        learners: Vec<NodeId>,
        /// Transactions that were in doubt and committed with it.
        committed: u32,
        /// Transactions that were in doubt and aborted with it.
        aborted: u32,
    },
    /// A worker has left several beats unanswered: its connection is closed.
    Suspected {
        /// Who.
        node: NodeId,
        /// Where it was reached.
        address: String,
    },
    /// A replica is not trusted any more.
    Distrusted {
        /// Whose.
        node: NodeId,
        /// Where it was reached.
        address: String,
        /// Whether it has found so itself; else it holds something else than most.
        damaged: bool,
    },
    /// The replicas differ, and no more than half of them hold the same: nothing is changed, a person has to decide.
    Differ {
        /// The view that they were compared in.
        view: ViewNumber,
    },
    /// No member has a copy that is trusted, so no worker can copy from it. Workers that wait to be taken in keep what they hold; the
    /// copies of learners stop. A person has to decide.
    NoDonor {
        /// The active view.
        view: ViewNumber,
    },
    /// All records were gone with the memory of the members that held them: the cluster has begun anew, empty.
    StartedEmpty {
        /// The view that it began with.
        view: ViewNumber,
    },
    /// The cluster goes on from less than was acknowledged, because a person has said so.
    Curtailed {
        /// The view that went on from it.
        view: ViewNumber,
    },
    /// A member of the view before is left out of the one that has become active.
    LeftOut {
        /// Who.
        node: NodeId,
        /// Where it was reached last.
        address: String,
    },
    /// A member of the last active view does not hold what it had synced then: its log was put back to an older state. It is
    /// left out, and does not count until it has started over (R15).
    RolledBack {
        /// Who.
        node: NodeId,
        /// Where it was reached.
        address: String,
    },
    /// A worker of another cluster was met and not taken.
    NotTaken {
        /// Who.
        node: NodeId,
        /// Where it was reached.
        address: String,
        /// The cluster that it is bound to.
        bound: Option<ClusterId>,
        /// Whether that is another cluster than this one; else nobody wants this worker here.
        foreign: bool,
    },
}

/// The steps of a transaction as its coordinator sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionStep {
    /// Prepares were sent.
    Prepared,
    /// A participant voted.
    Voted {
        /// Who.
        node: NodeId,
        /// Yes or no.
        yes: bool,
    },
    /// It is decided.
    Decided(Outcome),
    /// A participant has applied the decision and synced it.
    Acknowledged {
        /// Who.
        node: NodeId,
    },
    /// It will be tried again with the same age, as this transaction.
    Retried {
        /// The new id.
        txn: TxnId,
    },
}

/// Why a node can't go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Halt {
    /// The control store is empty, but a named worker belongs to a cluster already (R12).
    WorkerHoldsView {
        /// The worker.
        address: String,
        /// Its cluster.
        cluster: ClusterId,
    },
    /// Another coordinator has written the control store, or leads the workers by a control store of its own that knows other or
    /// later views; this one must not go on at the same time.
    Superseded,
    /// Another coordinator has the same run, so it works from a copy of this one's control store: neither may go on (R14).
    SharedRun {
        /// The run of both.
        run: Incarnation,
    },
}
