//! A default read waits for the transactions that were prepared when it arrived and touch it, and for none that came later:
//! in the step in which the last of them ends, it is answered. Checked after each step of a worker.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{NodeId, ReadId, TxnId};
use skein_protocol::message::Message;
use skein_protocol::node::worker::Worker;
use skein_protocol::operation::{Action, Consistency, Key, Query};
use skein_protocol::record::Prepared;
use skein_protocol::step::{Input, Output};

use super::Violation;
use super::states::within;
use crate::simulation::node::{Machine, Slot};

/// Who asked, and which read.
type Reader = (NodeId, ReadId);

/// The reads that wait at each worker, with what they may still wait for.
#[derive(Default)]
pub(crate) struct Waits {
    reads: BTreeMap<Slot, BTreeMap<Reader, BTreeSet<TxnId>>>,
}

/// What the next step may make wait, or end.
pub(crate) enum Upcoming {
    Arrives(Reader, BTreeSet<TxnId>),
    Sealed,
    Gone(NodeId),
    Nothing,
}

impl Waits {
    /// Looks at an input before its step.
    pub(crate) fn before(&self, _: Slot, machine: &Machine, input: &Input) -> Upcoming {
        let Machine::Worker(worker) = machine else { return Upcoming::Nothing };
        match input {
            // A digest waits for more: for prepares that wait themselves.
            Input::Message { from, message: Message::Read(read) }
                if read.consistency == Consistency::Arrival && read.query != Query::Digest =>
            {
                Upcoming::Arrives((*from, read.read), touching(worker, &read.query))
            }
            Input::Message { message: Message::Seal(_), .. } => Upcoming::Sealed,
            Input::Disconnected { node } => Upcoming::Gone(*node),
            _ => Upcoming::Nothing,
        }
    }

    /// Looks at what came of it. Says whether a read begins to wait.
    pub(crate) fn after(&mut self, slot: Slot, machine: &Machine, before: Upcoming, out: &[Output]) -> Result<bool, Violation> {
        let Machine::Worker(worker) = machine else { return Ok(false) };
        if self.reads.get(&slot).is_none_or(BTreeMap::is_empty) && !matches!(before, Upcoming::Arrives(..)) {
            return Ok(false);
        }
        let reads = self.reads.entry(slot).or_default();
        let answered: BTreeSet<Reader> = out
            .iter()
            .filter_map(|output| match output {
                Output::Send { to, message: Message::Answered { read, .. } } => Some((*to, *read)),
                _ => None,
            })
            .collect();
        reads.retain(|reader, _| !answered.contains(reader));
        let mut waits = false;
        match before {
            Upcoming::Arrives(reader, awaited) if !answered.contains(&reader) => {
                waits = true;
                reads.insert(reader, awaited);
            }
            Upcoming::Sealed => reads.clear(),
            Upcoming::Gone(node) => reads.retain(|(from, _), _| *from != node),
            Upcoming::Arrives(..) | Upcoming::Nothing => {}
        }
        if !reads.is_empty() {
            let prepared: BTreeSet<TxnId> = worker.prepared().map(|prepared| prepared.txn).collect();
            for (reader, awaited) in reads.iter_mut() {
                awaited.retain(|txn| prepared.contains(txn));
                if awaited.is_empty() {
                    let detail = format!("read {} waits for nothing that was there when it came", reader.1.0);
                    return Err(Violation::new("waits", detail));
                }
            }
        }
        Ok(waits)
    }

    /// A process has died.
    pub(crate) fn gone(&mut self, slot: Slot) {
        self.reads.remove(&slot);
    }
}

/// The prepared transactions that write something that is read.
fn touching(worker: &Worker, query: &Query) -> BTreeSet<TxnId> {
    let read = |key: &Key| match query {
        Query::Keys(keys) => keys.contains(key),
        Query::Range(range) => within(range, key),
        Query::Digest => false,
    };
    let writes = |prepared: &&Prepared| {
        prepared.operations.iter().any(|operation| operation.action != Action::Check && read(&operation.key))
    };
    worker.prepared().filter(writes).map(|prepared| prepared.txn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::node::worker::WorkerConfig;
    use skein_protocol::record::Snapshot;

    #[test]
    fn a_read_that_waits_for_what_came_later_is_found() {
        let machine = Machine::Worker(Worker::recover(WorkerConfig::default(), Snapshot::new(NodeId(1))));
        let reader = (NodeId(2), ReadId(1));
        let mut waits = Waits::default();
        let answer = skein_protocol::message::ReadResult::Stale;
        let answered = [Output::Send { to: reader.0, message: Message::Answered { read: reader.1, result: answer } }];
        assert_eq!(waits.after(0, &machine, Upcoming::Arrives(reader, BTreeSet::new()), &answered), Ok(false));
        let arrives = Upcoming::Arrives(reader, BTreeSet::new());
        assert_eq!(waits.after(0, &machine, arrives, &[]).unwrap_err().property, "waits");
        waits.gone(0);
        assert_eq!(waits.after(0, &machine, Upcoming::Sealed, &[]), Ok(false));
    }
}
