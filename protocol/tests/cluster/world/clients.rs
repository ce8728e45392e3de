//! What clients ask for and what they hear. A story writes and reads records by their names; a write that must succeed is one word,
//! and one that may wait, or end otherwise, is begun first and looked at later by its number.

use skein_protocol::id::{RequestId, Version};
use skein_protocol::operation::{Answer, Key, Range, Row};

use super::*;

impl World {
    /// Somebody asks for something, and the next one asks before anything has come of it.
    pub fn ask_at_once(&mut self, request: Request) -> u64 {
        self.requests += 1;
        self.input(COORDINATOR, Input::Request { id: RequestId(self.requests), request });
        self.requests
    }

    /// Somebody asks for something. Gives the number of the request.
    pub fn ask(&mut self, request: Request) -> u64 {
        let id = self.ask_at_once(request);
        self.settle();
        id
    }

    /// What was heard, once.
    pub fn take_reply(&mut self, id: u64) -> Reply {
        self.replies.remove(&id).expect("answered")
    }

    pub fn is_answered(&self, id: u64) -> bool {
        self.replies.contains_key(&id)
    }

    /// Whether the client was told that its write is committed.
    pub fn is_committed(&self, id: u64) -> bool {
        matches!(self.replies.get(&id), Some(Reply::Committed { .. }))
    }

    /// The transaction of which the client was told that it is committed.
    pub fn txn_of(&self, id: u64) -> TxnId {
        match &self.replies[&id] {
            Reply::Committed { txn, .. } => *txn,
            other => panic!("not committed: {other:?}"),
        }
    }

    /// How many of these clients were told that their writes are committed.
    pub fn committed(&self, asked: &[u64]) -> usize {
        asked.iter().filter(|id| self.is_committed(**id)).count()
    }

    fn request_of(&mut self, operations: Vec<Operation>) -> Request {
        self.clock += 10;
        Request::Commit { operations, clock: self.clock, trace: None }
    }

    /// A client asks for a transaction, and the next one asks before anything has come of it.
    pub fn begin_at_once(&mut self, operations: Vec<Operation>) -> u64 {
        let request = self.request_of(operations);
        self.ask_at_once(request)
    }

    /// A client asks for a transaction. Gives the number of the request.
    pub fn begin_transaction(&mut self, operations: Vec<Operation>) -> u64 {
        let request = self.request_of(operations);
        self.ask(request)
    }

    /// A client asks for a record to be written.
    pub fn begin_write(&mut self, name: &str, value: &str) -> u64 {
        self.begin_transaction(vec![put(name, value)])
    }

    /// A client asks for a transaction, and hears how it has ended.
    pub fn commit(&mut self, operations: Vec<Operation>) -> Reply {
        let id = self.begin_transaction(operations);
        self.take_reply(id)
    }

    /// These operations are committed. Gives the version of the first.
    pub fn committed_all(&mut self, operations: Vec<Operation>) -> (TxnId, Version) {
        match self.commit(operations) {
            Reply::Committed { txn, versions } => (txn, versions[0]),
            other => panic!("not committed: {other:?}"),
        }
    }

    /// A record is written. Gives the transaction and the record's version.
    pub fn write(&mut self, name: &str, value: &str) -> (TxnId, Version) {
        self.committed_all(vec![put(name, value)])
    }

    /// A record is deleted. Gives the transaction and the last version.
    pub fn delete(&mut self, name: &str) -> (TxnId, Version) {
        self.committed_all(vec![delete(name)])
    }

    /// Fills the store with more than one chunk: 2,400 records, `k0000` and so on, each `old`.
    pub fn fill(&mut self) {
        for batch in 0..RECORDS / 60 {
            self.committed_all((0..60).map(|place| put(&format!("k{:04}", batch * 60 + place), "old")).collect());
        }
    }

    /// A client asks for a read. Gives the number of the request.
    pub fn begin_read(&mut self, query: Query, consistency: Consistency) -> u64 {
        self.ask(Request::Read { query, consistency, clock: 0, trace: None })
    }

    pub fn read(&mut self, query: Query, consistency: Consistency) -> Vec<(String, String)> {
        let id = self.begin_read(query, consistency);
        self.take_rows(id)
    }

    /// All records, by a strict read.
    pub fn read_all(&mut self) -> Vec<(String, String)> {
        self.read(all(10, false), Consistency::Strict)
    }

    /// The records of these names that are there, by a strict read.
    pub fn read_some(&mut self, names: &[&str]) -> Vec<(String, String)> {
        self.read(keys(names), Consistency::Strict)
    }

    /// The rows that a reader has heard, once.
    pub fn take_rows(&mut self, id: u64) -> Vec<(String, String)> {
        rows(self.take_reply(id))
    }

    /// What a client hears that asks how a transaction ended.
    pub fn outcome_of(&mut self, txn: TxnId) -> KnownOutcome {
        let id = self.ask(Request::Outcome { txn });
        match self.take_reply(id) {
            Reply::Outcome(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// The transaction of which a client has heard that its outcome is unknown.
    pub fn take_unknown(&mut self, id: u64) -> TxnId {
        match self.take_reply(id) {
            Reply::Unknown { txn } => txn,
            other => panic!("{other:?}"),
        }
    }
}

/// Records of a store that was filled.
pub const RECORDS: usize = 2_400;

pub fn rows(reply: Reply) -> Vec<(String, String)> {
    let Reply::Found(Answer::Rows { rows, .. }) = reply else { panic!("{reply:?}") };
    let text = |bytes: &Shared| String::from_utf8(bytes.to_vec()).unwrap();
    rows.iter().map(|Row { key, value, .. }| (text(&key.bytes), text(value))).collect()
}

pub fn key(name: &str) -> Key {
    Key::new(TableId(1), name)
}

pub fn keys(names: &[&str]) -> Query {
    Query::Keys(names.iter().map(|name| key(name)).collect())
}

pub fn all(rows_max: u32, descending: bool) -> Query {
    Query::Range(Range { table: TableId(1), from: None, until: None, descending, rows_max })
}

pub fn operation(name: &str, expect: Expect, action: Action) -> Operation {
    Operation { key: key(name), expect, action }
}

pub fn put(name: &str, value: &str) -> Operation {
    put_expecting(name, Expect::Any, value)
}

pub fn put_expecting(name: &str, expect: Expect, value: &str) -> Operation {
    operation(name, expect, Action::Put(Shared::from(value)))
}

pub fn delete(name: &str) -> Operation {
    operation(name, Expect::Any, Action::Delete)
}

pub fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub fn version(reply: &Reply) -> Version {
    let Reply::Committed { versions, .. } = reply else { panic!("{reply:?}") };
    versions[0]
}
