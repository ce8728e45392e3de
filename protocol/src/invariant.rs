//! What must always hold, by name. The same functions are called by the model checker and the simulator after each step, and
//! by a running node now and then, which counts what is broken. Between two inputs a node's own state shows most of it; what
//! takes several nodes to see is said of all members of a view at once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::id::TxnId;
use crate::message::Outcome;
use crate::node::coordinator::Coordinator;
use crate::node::worker::Worker;

/// R1: while an abort is not acknowledged by every participant, its client has not been answered.
pub const ABORT_UNANSWERED: &str = "R1-abort-unanswered";
/// R2: what waits is of the current view, and nothing is prepared in a later one.
pub const VIEW_OF_PREPARES: &str = "R2-view-of-prepares";
/// R4: once its view is active, a worker holds nothing prepared in an earlier one.
pub const SETTLED_WHEN_ACTIVE: &str = "R4-settled-when-active";
/// R5: the members of a pending view were members of the last active one.
pub const MEMBERS_OF_ACTIVE: &str = "R5-members-of-active";
/// R6: a message is held back only behind a record that is not synced.
pub const HELD_BEHIND_RECORD: &str = "R6-held-behind-record";
/// R7: nothing below the low-water mark is remembered, and what is under way keeps its bound.
pub const FORGOTTEN_BELOW_MARK: &str = "R7-forgotten-below-mark";
/// R7: memory is reserved for exactly what is prepared.
pub const RESERVED_FOR_PREPARED: &str = "R7-reserved-for-prepared";
/// The memory that is counted is what the records take.
pub const COUNTED_AS_HELD: &str = "counted-as-held";
/// R10: exactly what is prepared is locked.
pub const LOCKS_OF_PREPARED: &str = "R10-locks-of-prepared";
/// R12: a worker that was sealed for a view belongs to a cluster.
pub const BOUND_WHEN_SEALED: &str = "R12-bound-when-sealed";
/// R13: a view change settles as committed what was decided so.
pub const COMMITTED_STANDS: &str = "R13-committed-stands";
/// The bytes of answers under way from one member keep their bound.
pub const ANSWERS_BOUNDED: &str = "answers-bounded";
/// No transaction is both prepared and decided.
pub const PREPARED_OR_DECIDED: &str = "prepared-or-decided";
/// No transaction is committed at one member and aborted at another.
pub const AGREEMENT: &str = "agreement";

/// All names, for whoever counts.
pub const ALL: [&str; 14] = [
    ABORT_UNANSWERED,
    VIEW_OF_PREPARES,
    SETTLED_WHEN_ACTIVE,
    MEMBERS_OF_ACTIVE,
    HELD_BEHIND_RECORD,
    FORGOTTEN_BELOW_MARK,
    RESERVED_FOR_PREPARED,
    COUNTED_AS_HELD,
    LOCKS_OF_PREPARED,
    BOUND_WHEN_SEALED,
    COMMITTED_STANDS,
    ANSWERS_BOUNDED,
    PREPARED_OR_DECIDED,
    AGREEMENT,
];

/// What a worker's state breaks.
#[must_use]
pub fn of_worker(worker: &Worker) -> Vec<&'static str> {
    let participant = worker.participant();
    let below_mark = |txn: &TxnId| participant.marks().get(&txn.incarnation).is_some_and(|below| txn.sequence < *below);
    broken([
        (
            VIEW_OF_PREPARES,
            worker.waiting().all(|prepare| prepare.view == worker.view())
                && worker.prepared().all(|prepared| prepared.view <= worker.view()),
        ),
        (SETTLED_WHEN_ACTIVE, !worker.is_active() || worker.prepared().all(|prepared| prepared.view == worker.view())),
        (HELD_BEHIND_RECORD, worker.journal().is_ordered()),
        (FORGOTTEN_BELOW_MARK, !worker.decided().keys().any(below_mark)),
        (RESERVED_FOR_PREPARED, participant.reserves_for_prepared()),
        (COUNTED_AS_HELD, participant.store.is_counted()),
        (LOCKS_OF_PREPARED, participant.locks_what_is_prepared()),
        (BOUND_WHEN_SEALED, worker.view().0 == 0 || worker.cluster().is_some()),
        (PREPARED_OR_DECIDED, !worker.prepared().any(|prepared| worker.decided().contains_key(&prepared.txn))),
    ])
}

/// What a coordinator's state breaks.
#[must_use]
pub fn of_coordinator(coordinator: &Coordinator) -> Vec<&'static str> {
    let record = coordinator.leader().record();
    let of_active = record.is_none_or(|record| match (&record.active, &record.pending) {
        // Whoever begins anew has nobody to take over from.
        (Some(_), Some(pending)) if record.emptied == Some(pending.number) => true,
        (Some(active), Some(pending)) => pending.members().iter().all(|node| {
            // What a person has decided; who is away has not said whether it is so.
            let salvaged = coordinator.leader().peers().get(node).is_none_or(|peer| peer.salvaged);
            active.view.participants().contains(node) || salvaged
        }),
        _ => true,
    });
    let transactions = coordinator.transactions();
    broken([
        (ABORT_UNANSWERED, transactions.aborts_are_unanswered()),
        (MEMBERS_OF_ACTIVE, of_active),
        (FORGOTTEN_BELOW_MARK, transactions.is_within_window()),
        (COMMITTED_STANDS, coordinator.leader().deciding().is_none_or(|settlement| transactions.stands_by(settlement))),
        (ANSWERS_BOUNDED, coordinator.reads().is_within_bounds()),
    ])
}

/// What the members of one view break together.
#[must_use]
pub fn of_members<'a>(members: impl IntoIterator<Item = &'a Worker>) -> Vec<&'static str> {
    let mut known: BTreeMap<TxnId, Outcome> = BTreeMap::new();
    let mut agreed = true;
    for (txn, decided) in members.into_iter().flat_map(Worker::decided) {
        agreed &= *known.entry(*txn).or_insert(decided.outcome) == decided.outcome;
    }
    broken([(AGREEMENT, agreed)])
}

fn broken<const N: usize>(rules: [(&'static str, bool); N]) -> Vec<&'static str> {
    rules.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
}
