//! What a worker has handed to its log, and the messages that must not leave before it is synced (R6). A message that
//! depends on a record is held back until the driver says that this record, and all before it, are on disk.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::id::NodeId;
use crate::message::Message;
use crate::record::Record;
use crate::step::Output;

/// Records that are not known to be synced, and the messages that wait for them, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Journal {
    held: VecDeque<Held>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Held {
    Record,
    Message { to: NodeId, message: Message },
}

impl Journal {
    /// Hands a record to the log.
    pub fn persist(&mut self, record: Record, out: &mut Vec<Output>) {
        self.held.push_back(Held::Record);
        out.push(Output::Persist(record));
    }

    /// Sends a message once all records handed over so far are synced; at once if they are.
    pub fn send_when_synced(&mut self, to: NodeId, message: Message, out: &mut Vec<Output>) {
        if self.held.is_empty() {
            out.push(Output::Send { to, message });
        } else {
            self.held.push_back(Held::Message { to, message });
        }
    }

    /// The first `records` of those not known to be synced are now.
    pub fn persisted(&mut self, records: u32, out: &mut Vec<Output>) {
        let mut left = records;
        while let Some(next) = self.held.pop_front() {
            match next {
                Held::Record if left == 0 => {
                    self.held.push_front(next);
                    return;
                }
                Held::Record => left -= 1,
                Held::Message { to, message } => out.push(Output::Send { to, message }),
            }
        }
        debug_assert_eq!(left, 0, "more records were synced than handed over");
    }

    /// Whether every message that is held back has a record before it to wait for.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        !matches!(self.held.front(), Some(Held::Message { .. }))
    }

    /// Records that are not known to be synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.held.iter().filter(|held| matches!(held, Held::Record)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ViewNumber;
    use alloc::vec;

    const TO: NodeId = NodeId(1);

    fn message(number: u64) -> Message {
        Message::Activated { view: ViewNumber(number) }
    }

    fn record(number: u64) -> Record {
        Record::ForgotViews { before: ViewNumber(number) }
    }

    fn sent(out: &mut Vec<Output>) -> Vec<u64> {
        let number = |output| match output {
            Output::Send { message: Message::Activated { view }, .. } => Some(view.0),
            _ => None,
        };
        out.drain(..).filter_map(number).collect()
    }

    #[test]
    fn a_message_leaves_when_all_records_before_it_are_synced() {
        let (mut journal, mut out) = (Journal::default(), Vec::new());
        journal.send_when_synced(TO, message(0), &mut out);
        assert_eq!(sent(&mut out), [0]);
        journal.persist(record(1), &mut out);
        journal.send_when_synced(TO, message(1), &mut out);
        journal.persist(record(2), &mut out);
        journal.persist(record(3), &mut out);
        journal.send_when_synced(TO, message(3), &mut out);
        assert_eq!(sent(&mut out), vec![0; 0]);
        journal.persisted(1, &mut out);
        assert_eq!(sent(&mut out), [1]);
        journal.persisted(1, &mut out);
        assert_eq!(sent(&mut out), vec![0; 0]);
        assert_eq!(journal.unsynced(), 1);
        journal.persisted(1, &mut out);
        assert_eq!(sent(&mut out), [3]);
        assert_eq!(journal, Journal::default());
    }
}
