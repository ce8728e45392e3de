//! Bounds that are met: in a part of the runs the machines hold little at once, so that a few clients are enough to fill what takes
//! thousands in the product. What is refused must be refused cleanly, and leave nothing behind. Each bound has a sight of its own, so
//! that the coverage tells whether it was met.

use std::collections::BTreeMap;

use skein_protocol::id::TxnId;
use skein_protocol::limits::Limits;
use skein_protocol::message::{Chunk, Message, NoReason, ReadResult, Vote};
use skein_protocol::step::{AbortReason, Event as Published, Output, Refusal, Reply, TransactionStep};

use super::faults::Sight;
use super::node::Slot;
use super::oracle::Ask;
use super::plan::Plan;
use super::random::Random;
use super::trial::Trial;
use super::world::World;

/// In so many of a thousand runs bounds are drawn, and of these runs each bound in so many.
const RUNS_PER_MILLE: u64 = 250;
const EACH_PER_MILLE: u64 = 400;

/// How often each transaction was tried again, as far as that is bounded.
#[derive(Default)]
pub(crate) struct Attempts(BTreeMap<TxnId, u8>);

impl Plan {
    /// Draws the bounds of a run, each small or as it ships.
    pub(super) fn draw_limits(&mut self, random: &mut Random) {
        // What is held back in these waits for room that small bounds do not give.
        let held_back = matches!(self.trial, Some(Trial::DigestLate | Trial::NotRecorded | Trial::VoteLost));
        if !random.chance(RUNS_PER_MILLE) || held_back || self.clients > 24 {
            return;
        }
        self.tight = true;
        // Two coordinators are needed for prepares that wait, so few runs meet their bound.
        let few_wait = self.guest && random.sub("prepares waiting").chance(500);
        let limits = &mut self.limits;
        let draw = |random: &mut Random, from, to, shipped: usize| {
            let drawn = usize::try_from(random.magnitude(from, to)).expect("a small number");
            if random.chance(EACH_PER_MILLE) { drawn } else { shipped }
        };
        limits.requests_max = draw(random, 1, 16, limits.requests_max);
        limits.operations_in_flight_max = draw(random, 1, 16, limits.operations_in_flight_max);
        limits.transaction_bytes_in_flight_max = draw(random, 8, 512, limits.transaction_bytes_in_flight_max);
        limits.outcomes_remembered_max = draw(random, 1, 64, limits.outcomes_remembered_max);
        limits.reads_waiting_max = draw(random, 1, 4, limits.reads_waiting_max);
        limits.prepares_waiting_max = draw(random, 1, 4, limits.prepares_waiting_max);
        if few_wait {
            limits.prepares_waiting_max = 1;
        }
        limits.chunk_records_busy = draw(random, 1, 8, limits.chunk_records_busy).min(limits.chunk_records_max);
        limits.chunk_bytes_max = draw(random, 8, 512, limits.chunk_bytes_max);
        limits.chunks_under_way_max = draw(random, 1, 3, limits.chunks_under_way_max);
        let attempts = draw(random, 1, 4, usize::from(limits.attempts_max));
        limits.attempts_max = u8::try_from(attempts).expect("a few");
        if random.chance(EACH_PER_MILLE) {
            limits.read_bytes_under_way_max = random.between(Limits::READ_BYTES_MIN, 2 * Limits::READ_BYTES_MIN);
        }
    }

    /// Whether such an answer says nothing but that a bound was met.
    pub(super) fn allows(&self, reply: &Reply) -> bool {
        self.tight && matches!(reply, Reply::Refused(Refusal::Overloaded))
    }
}

impl World {
    /// Which bounds were met in a step that wants this done.
    pub(super) fn note_limits(&mut self, slot: Slot, out: &[Output]) {
        if !self.plan.tight {
            return;
        }
        for output in out {
            let met = match output {
                Output::Reply { id, reply: Reply::Refused(Refusal::Overloaded) } => {
                    let call = usize::try_from(id.0).ok().and_then(|place| self.oracle.calls.get(place));
                    call.filter(|call| matches!(call.ask, Ask::Commit(_))).map(|_| Sight::RequestsMet)
                }
                Output::Reply { reply: Reply::Aborted { txn, reason: AbortReason::Contention }, .. } => {
                    let tried = self.attempts.0.get(txn).copied().unwrap_or(0) + 1;
                    (tried == self.plan.limits.attempts_max).then_some(Sight::AttemptsMet)
                }
                Output::Publish(Published::Transaction { txn, step: TransactionStep::Retried { txn: next } }) => {
                    let tried = self.attempts.0.remove(txn).unwrap_or(0) + 1;
                    self.attempts.0.insert(*next, tried);
                    None
                }
                Output::Send { message: Message::Vote { vote: Vote::No(NoReason::Overloaded), .. }, .. } => {
                    Some(Sight::PreparesWaitingMet)
                }
                Output::Send { message: Message::Answered { result: ReadResult::Overloaded, .. }, .. } => {
                    Some(Sight::ReadsWaitingMet)
                }
                Output::Send { message: Message::Chunk(chunk), .. } if self.nodes[slot].worker().is_some() => {
                    self.bound_of(chunk)
                }
                _ => None,
            };
            met.into_iter().for_each(|sight| self.coverage.saw(sight));
        }
        self.note_limits_of_coordinator(slot);
    }

    /// What has ended this chunk, if it is not the last.
    fn bound_of(&self, chunk: &Chunk) -> Option<Sight> {
        let bytes: usize = chunk.records.iter().map(|(key, stored)| key.bytes.len() + stored.value.len()).sum();
        let by_bytes = bytes >= self.plan.limits.chunk_bytes_max;
        (!chunk.last).then_some(if by_bytes { Sight::ChunkBytesMet } else { Sight::ChunkRecordsMet })
    }

    fn note_limits_of_coordinator(&mut self, slot: Slot) {
        let Some(coordinator) = self.nodes[slot].coordinator() else { return };
        let (limits, transactions) = (&self.plan.limits, coordinator.transactions());
        let [operations, bytes] = transactions.is_crowded().map(|crowded| crowded && transactions.queued() > 0);
        let met = [
            (operations, Sight::OperationsMet),
            (bytes, Sight::TransactionBytesMet),
            (transactions.remembered() == limits.outcomes_remembered_max, Sight::OutcomesMet),
            (coordinator.reads().in_line() > 0, Sight::AnswersMet),
            (coordinator.leader().chunks_under_way() == limits.chunks_under_way_max, Sight::ChunksMet),
        ];
        met.into_iter().filter(|(met, _)| *met).for_each(|(_, sight)| self.coverage.saw(sight));
    }
}
