//! The clients: what each has asked and what it was told, by the answer to its request or to a later question.

use skein_protocol::id::{RequestId, TxnId};
use skein_protocol::message::Outcome;
use skein_protocol::step::{KnownOutcome, Reply};

/// Added to a request's number, names the question how it ended.
const QUESTION: u64 = 1_000;

/// Added to a reader's number, names its request.
const READER: u64 = 2_000;

/// Names what is committed before the exploration begins.
const BEFORE: u64 = 3_000;

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A client, to its request.
    Request(usize),
    /// A client, to its question how that ended.
    Question(usize),
    /// A reader.
    Reader(usize),
    /// Nobody: it was committed before the exploration began.
    Before,
}

/// One client with one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client {
    /// The coordinator's run that it asked.
    pub asked: Option<u64>,
    /// Every answer to its request.
    pub replies: Vec<Reply>,
    /// The run that it last asked how the transaction ended, while that has not answered.
    pub questions: Option<u64>,
    /// What it learned from such questions, each thing once.
    pub learned: Vec<KnownOutcome>,
}

impl Client {
    /// The name of a request.
    pub fn request(client: usize) -> RequestId {
        RequestId(client as u64)
    }

    /// The name of the question how it ended.
    pub fn question(client: usize) -> RequestId {
        RequestId(client as u64 + QUESTION)
    }

    /// The name of a reader's request.
    pub fn reader(reader: usize) -> RequestId {
        RequestId(reader as u64 + READER)
    }

    /// The name of the `number`th that is committed before the exploration begins.
    pub fn before(number: u64) -> RequestId {
        RequestId(number + BEFORE)
    }

    /// Whom an answer is for.
    pub fn addressee(id: RequestId) -> Addressee {
        match id.0 {
            BEFORE.. => Addressee::Before,
            READER.. => Addressee::Reader((id.0 - READER) as usize),
            QUESTION.. => Addressee::Question((id.0 - QUESTION) as usize),
            _ => Addressee::Request(id.0 as usize),
        }
    }

    /// Takes an answer to a question.
    pub fn learn(&mut self, outcome: KnownOutcome) {
        self.questions = None;
        if !self.learned.contains(&outcome) {
            self.learned.push(outcome);
        }
    }

    /// The transaction whose outcome it was told to ask for.
    pub fn in_doubt(&self) -> Option<TxnId> {
        self.replies.iter().find_map(|reply| match reply {
            Reply::Unknown { txn } => Some(*txn),
            _ => None,
        })
    }

    /// All outcomes that it was told, by whichever way.
    pub fn told(&self) -> impl Iterator<Item = Outcome> + '_ {
        let replied = self.replies.iter().filter_map(|reply| match reply {
            Reply::Committed { .. } => Some(Outcome::Committed),
            Reply::Aborted { .. } => Some(Outcome::Aborted),
            _ => None,
        });
        let learned = self.learned.iter().filter_map(|known| match known {
            KnownOutcome::Known(outcome) => Some(*outcome),
            _ => None,
        });
        replied.chain(learned)
    }
}
