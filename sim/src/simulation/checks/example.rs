//! A history made by hand: transactions one after the other, each acknowledged before the next begins, and reads of them.
//! A test of a check bends one thing and expects to be told.

use skein_protocol::id::{Incarnation, TxnId, Version};
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Answer, Consistency, Expect, Key, Operation, Query, Range, Row, Shared, TableId};
use skein_protocol::record::{Stored, Write};
use skein_protocol::step::Reply;

use crate::simulation::ledger::{Applied, Ended, Ledger};
use crate::simulation::oracle::{Ask, Oracle};

#[derive(Default)]
pub(crate) struct Example {
    pub(crate) oracle: Oracle,
    pub(crate) ledger: Ledger,
    pub(crate) moment: u64,
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(TableId(1), name)
}

pub(crate) fn txn(sequence: u64) -> TxnId {
    TxnId { incarnation: Incarnation(1), sequence }
}

impl Example {
    fn next(&self) -> u64 {
        self.oracle.calls.len() as u64
    }

    /// The value that call `n` writes.
    pub(crate) fn value(call: u64) -> Shared {
        Shared::from(&u32::try_from(call).unwrap().to_be_bytes()[..])
    }

    /// A transaction of these operations with the versions that they wrote or found.
    pub(crate) fn commit(&mut self, operations: Vec<Operation>, versions: &[u64]) -> &mut Self {
        let call = self.next();
        let txn = txn(call + 1);
        let versions: Vec<Version> = versions.iter().copied().map(Version).collect();
        let mut writes = Vec::new();
        for (operation, version) in operations.iter().zip(&versions) {
            let stored = match &operation.action {
                Action::Put(value) => Some(Stored::new(&operation.key, *version, txn, value.clone())),
                Action::Delete => None,
                Action::Check => continue,
            };
            writes.push(Write { key: operation.key.clone(), stored: stored.clone() });
            self.ledger.chains.entry(operation.key.clone()).or_default().push(Applied { txn, stored });
        }
        self.ledger.attempts.insert(txn, u32::try_from(call).unwrap());
        self.ledger.versions.insert(txn, versions.clone());
        self.ledger.ended.insert(txn, Ended { outcome: Outcome::Committed, writes });
        self.ask(Ask::Commit(operations), Reply::Committed { txn, versions })
    }

    pub(crate) fn ask(&mut self, ask: Ask, reply: Reply) -> &mut Self {
        let call = self.next();
        self.oracle.begin(0, 0, ask, self.moment + 1, 0);
        self.oracle.end(call, reply, self.moment + 2, 0).unwrap();
        self.moment += 2;
        self
    }

    pub(crate) fn operation(&self, name: &str, expect: Expect) -> Operation {
        Operation { key: key(name), expect, action: Action::Put(Self::value(self.next())) }
    }

    pub(crate) fn put(&mut self, name: &str, version: u64) -> &mut Self {
        let operation = self.operation(name, Expect::Any);
        self.commit(vec![operation], &[version])
    }

    pub(crate) fn delete(&mut self, name: &str) -> &mut Self {
        let chain = &self.ledger.chains[&key(name)];
        let found = chain.last().and_then(|write| write.stored.as_ref()).map_or(0, |stored| stored.version.0);
        self.commit(vec![Operation { key: key(name), expect: Expect::Any, action: Action::Delete }], &[found])
    }

    /// A list of everything that found the records in these states.
    pub(crate) fn list(&mut self, consistency: Consistency, found: &[(&str, usize)]) -> &mut Self {
        let row = |(name, state): &(&str, usize)| {
            let stored = self.ledger.chains[&key(name)][state - 1].stored.clone().unwrap();
            Row { key: key(name), version: stored.version, written_by: stored.written_by, value: stored.value }
        };
        let rows = found.iter().map(row).collect();
        let range = Range { table: TableId(1), from: None, until: None, descending: false, rows_max: 100 };
        self.ask(Ask::Read(Query::Range(range), consistency), Reply::Found(Answer::Rows { rows, more: false }))
    }

    /// The last call has ended only now: it ran beside everything since `since`.
    pub(crate) fn began_at(&mut self, moment: u64) -> &mut Self {
        self.oracle.calls.last_mut().unwrap().begun = moment;
        self
    }
}
