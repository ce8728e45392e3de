//! The recipe itself: how a [`Write`] is read for, planned, guarded, committed and tried again.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use skein_protocol::id::Version;
use skein_protocol::limits::{TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX};
use skein_protocol::operation::{Action, Expect, Key, Operation};
use skein_protocol::step::AbortReason;

use super::{ATTEMPTS_MAX, Error, Found, Plan, Race, Versions, Write, Written};
use crate::store::cluster::{self, Cluster};
use crate::store::once::{Once, Past};
use crate::store::turns::Turns;

/// Where writes begin. Clones share their turns.
#[derive(Clone)]
pub struct Writer {
    cluster: Cluster,
    turns: Arc<Turns>,
}

/// A write that is about to be made.
#[must_use]
pub struct Writing<'a> {
    writer: &'a Writer,
    guard: Option<&'a Operation>,
    once: Option<&'a Once>,
}

impl Writer {
    /// Writes to this cluster; one that must wait for its turn waits no longer than this.
    #[must_use]
    pub fn new(cluster: Cluster, turn_wait_max: Duration) -> Self {
        Writer { cluster, turns: Arc::new(Turns::new(turn_wait_max)) }
    }

    /// A write that everybody may make and that is made as often as it is asked for.
    pub fn begin(&self) -> Writing<'_> {
        Writing { writer: self, guard: None, once: None }
    }
}

impl<'a> Writing<'a> {
    /// Only while what this checks stands.
    pub fn guard(self, stands: &'a Operation) -> Self {
        Writing { guard: Some(stands), ..self }
    }

    /// Once, if the client sent an `Idempotency-Key`.
    pub fn once(self, once: Option<&'a Once>) -> Self {
        Writing { once, ..self }
    }

    /// Makes the write.
    ///
    /// # Errors
    /// The room's, and all of [`Error`].
    pub async fn run<W: Write>(self, mut write: W) -> Result<Written<W::Answer>, W::Error> {
        let turns = &self.writer.turns;
        let (mut turn, mut lost) = (None, false);
        for _ in 0..ATTEMPTS_MAX {
            // Most are done at once. Those that were not would lose again and again where many want the same, so that one that
            // comes while another has its turn waits, too.
            let wanted = write.turns();
            if turn.is_none() && !wanted.is_empty() && (lost || turns.are_taken(&wanted)) {
                turn = Some(turns.take_all(&wanted).await.ok_or(Error::Busy)?);
            }
            let reads = write.reads();
            let mut found = Found::default();
            if !reads.is_empty() || (lost && self.once.is_some()) {
                found = self.read(reads, W::READS_AT_ONCE).await?;
                if let Some(repeat) = self.earlier(&found).await? {
                    return Ok(repeat);
                }
            }
            lost = true;
            let plan = match write.plan(&found).await {
                Ok(Some(plan)) => plan,
                Ok(None) => continue,
                Err(error) => return self.unless_repeated(error).await,
            };
            match self.commit(plan).await? {
                Ok(written) => return Ok(written),
                Err(Lost::Once) => {}
                Err(Lost::Step(name, race)) => {
                    if let Err(error) = write.lost(name, race) {
                        return self.unless_repeated(error).await;
                    }
                }
            }
        }
        Err(Error::Contention.into())
    }

    /// Reads these, what lets in, and what was remembered.
    async fn read(&self, mut keys: Vec<Key>, at_once: bool) -> Result<Found, Error> {
        keys.extend(self.guard.map(|stands| stands.key.clone()));
        keys.extend(self.once.map(Once::key));
        let cluster = &self.writer.cluster;
        let rows = if at_once { cluster.read_at_once(keys).await? } else { cluster.read(keys).await? };
        let found = Found(rows);
        match self.guard {
            Some(stands) if !found.meets(&stands.key, stands.expect) => Err(Error::Ended),
            _ => Ok(found),
        }
    }

    /// What an earlier request was answered that this one repeats. An answer that has expired is removed, so that the row that
    /// remembers this one is new: its version is that of all that is new in its transaction.
    async fn earlier<A: DeserializeOwned>(&self, found: &Found) -> Result<Option<Written<A>>, Error> {
        let Some(once) = self.once else { return Ok(None) };
        match once.judge::<A>(found.row(&once.key())).map_err(cluster::Error::from)? {
            Past::Free(None) => Ok(None),
            Past::Free(Some(expired)) => match once.make_room(&self.writer.cluster, expired).await {
                Ok(()) => Ok(None),
                // The write has not been begun, whatever became of this; an id here would be taken for the write's.
                Err(cluster::Error::Unknown { .. } | cluster::Error::Stopped) => Err(cluster::Error::Unavailable.into()),
                Err(cluster::Error::Aborted { .. }) => Err(Error::Contention),
                Err(error) => Err(error.into()),
            },
            Past::Reused => Err(Error::KeyReused),
            Past::Repeat { answer, txn, row } => Ok(Some(Written { answer, txn, versions: Versions::Earlier(row) })),
        }
    }

    /// The earlier answer, if a duplicate of this request was faster and is what made it fail; else this error, which stands also
    /// when that can't be looked up.
    async fn unless_repeated<A: DeserializeOwned, E: From<Error>>(&self, error: E) -> Result<Written<A>, E> {
        let Some(once) = self.once else { return Err(error) };
        let Ok(row) = self.writer.cluster.read_one(once.key()).await else { return Err(error) };
        match once.judge::<A>(row.as_ref()) {
            Ok(Past::Repeat { answer, txn, row }) => Ok(Written { answer, txn, versions: Versions::Earlier(row) }),
            Ok(Past::Reused) => Err(Error::KeyReused.into()),
            Ok(Past::Free(_)) => Err(error),
            Err(unreadable) => Err(Error::from(cluster::Error::from(unreadable)).into()),
        }
    }

    /// Commits the guard, the steps, and what is remembered. What changes nothing needs no room but for its answer; so where the
    /// store is full the answer is given and not remembered.
    async fn commit<W: Write>(&self, plan: Plan<W>) -> Result<Result<Written<W::Answer>, Lost<W::Name>>, Error> {
        let Plan { steps, answer } = plan;
        let (names, steps): (Vec<W::Name>, Vec<Operation>) = steps.into_iter().unzip();
        let before = usize::from(self.guard.is_some());
        let mut operations = Vec::with_capacity(before + steps.len() + 1);
        operations.extend(self.guard.cloned());
        operations.extend(steps);
        let mut unremembered = None;
        if let Some(once) = self.once {
            if operations.iter().all(|operation| operation.action == Action::Check) {
                let new = Operation { key: once.key(), expect: Expect::Absent, action: Action::Check };
                unremembered = Some(operations.iter().cloned().chain([new]).collect());
            }
            let remembered = once.remember(&answer).map_err(|_| Error::Unreadable)?;
            fits(&operations, &remembered)?;
            operations.push(remembered);
        }
        let mut committed = self.writer.cluster.commit(operations).await;
        if let (Err(cluster::Error::Aborted { reason: AbortReason::Memory, .. }), Some(operations)) = (&committed, unremembered) {
            committed = self.writer.cluster.commit(operations).await;
        }
        match committed {
            Ok(committed) => {
                let versions: Vec<Version> = committed.versions.into_iter().skip(before).take(names.len()).collect();
                if versions.len() < names.len() {
                    return Err(cluster::Error::Invalid.into());
                }
                Ok(Ok(Written { answer, txn: committed.txn, versions: Versions::Now(versions) }))
            }
            Err(cluster::Error::Aborted { txn, reason: AbortReason::Expectation { operation, found } }) => {
                let step = usize::from(operation).checked_sub(before).ok_or(Error::Ended)?;
                Ok(Err(names.get(step).map_or(Lost::Once, |name| Lost::Step(*name, Race { found, txn }))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Which expectation did not hold.
enum Lost<N> {
    /// That nothing is remembered yet.
    Once,
    /// One of the room's.
    Step(N, Race),
}

/// Whether what is to be remembered fits into the transaction with the rest.
fn fits(operations: &[Operation], remembered: &Operation) -> Result<(), Error> {
    let bytes = |operation: &Operation| match &operation.action {
        Action::Put(value) => value.len(),
        Action::Delete | Action::Check => 0,
    };
    let others: usize = operations.iter().map(|operation| operation.key.bytes.len() + bytes(operation)).sum();
    let room = TRANSACTION_BYTES_MAX.saturating_sub(others + remembered.key.bytes.len());
    let (bytes, max) = (bytes(remembered), room.min(VALUE_BYTES_MAX));
    if bytes > max { Err(Error::AnswerTooLong { bytes, max }) } else { Ok(()) }
}
