//! What clients asked and what they were promised. A call without an answer, or with the answer *unknown*, promises nothing:
//! its transaction may have happened or not, and the checks take both for right, as long as all of it or nothing did.

use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Consistency, Operation, Query, Row};
use skein_protocol::step::{Refusal, Reply};

use super::checks::Violation;
use super::ledger::CallId;
use super::node::Slot;
use super::queue::Time;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Commit(Vec<Operation>),
    Read(Query, Consistency),
    Digests,
    Outcome(TxnId),
}

/// One call of a client.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: usize,
    /// Whom it asked.
    pub(crate) slot: Slot,
    pub(crate) ask: Ask,
    /// The moments of question and answer; of two things the one with the smaller moment was first.
    pub(crate) begun: u64,
    pub(crate) begun_at: Time,
    pub(crate) ended: Option<u64>,
    pub(crate) ended_at: Time,
    pub(crate) reply: Option<Reply>,
}

/// All calls of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) calls: Vec<Call>,
}

impl Oracle {
    pub(crate) fn next(&self) -> CallId {
        CallId::try_from(self.calls.len()).expect("a run has few calls")
    }

    pub(crate) fn begin(&mut self, client: usize, slot: Slot, ask: Ask, begun: u64, begun_at: Time) {
        self.calls.push(Call { client, slot, ask, begun, begun_at, ended: None, ended_at: 0, reply: None });
    }

    /// What was promised so far holds no more. Calls keep their numbers, which are in the values that they wrote.
    pub(crate) fn forget(&mut self) {
        for call in self.calls.iter_mut().filter(|call| call.reply.is_some()) {
            (call.ask, call.ended) = (Ask::Digests, None);
            call.reply = Some(Reply::Refused(Refusal::Unavailable));
        }
    }

    /// What an era begins with, as if a client had asked for it before: acknowledged if it is a transaction's whose versions
    /// are known, else without an answer.
    pub(crate) fn found(&mut self, operations: Vec<Operation>, acknowledged: Option<(TxnId, Vec<Version>)>) -> CallId {
        let call = self.next();
        self.begin(usize::MAX, Slot::MAX, Ask::Commit(operations), 0, 0);
        if let (Some((txn, versions)), Some(found)) = (acknowledged, self.calls.last_mut()) {
            found.reply = Some(Reply::Committed { txn, versions });
            found.ended = Some(0);
        }
        call
    }

    /// An answer; there is exactly one for each call.
    pub(crate) fn end(&mut self, call: u64, reply: Reply, ended: u64, ended_at: Time) -> Result<&Call, Violation> {
        let place = usize::try_from(call).expect("a call's number");
        let Some(call) = self.calls.get_mut(place) else {
            return Err(Violation::new("promises", format!("call {place} was answered and never made")));
        };
        if let Some(first) = &call.reply {
            return Err(Violation::new("promises", format!("call {place} was answered twice: {first:?}, then {reply:?}")));
        }
        call.reply = Some(reply);
        call.ended = Some(ended);
        call.ended_at = ended_at;
        Ok(call)
    }
}

impl Call {
    /// What it wanted done, if it was a transaction.
    pub(crate) fn operations(&self) -> Option<&[Operation]> {
        match &self.ask {
            Ask::Commit(operations) => Some(operations),
            Ask::Read(..) | Ask::Digests | Ask::Outcome(_) => None,
        }
    }

    /// What it wanted to know, and what it heard.
    pub(crate) fn found(&self) -> Option<(&Query, Consistency, &[Row], bool)> {
        use skein_protocol::operation::Answer;
        match (&self.ask, &self.reply) {
            (Ask::Read(query, consistency), Some(Reply::Found(Answer::Rows { rows, more }))) => {
                Some((query, *consistency, rows, *more))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_answer_is_found() {
        let mut oracle = Oracle::default();
        oracle.begin(0, 0, Ask::Digests, 1, 0);
        let reply = || Reply::Refused(Refusal::Overloaded);
        assert!(oracle.end(0, reply(), 2, 0).is_ok());
        assert_eq!(oracle.end(0, reply(), 3, 0).unwrap_err().property, "promises");
        assert_eq!(oracle.end(9, reply(), 3, 0).unwrap_err().property, "promises");
    }
}
