//! What a client hears is true and stays true: *committed* means committed, *aborted* and *refused* mean that nothing of the
//! call ever happened, and *unknown* means nothing at all. Who asks for an outcome later hears the same.

use skein_protocol::message::Outcome;
use skein_protocol::step::{KnownOutcome, Reply};

use super::Violation;
use crate::simulation::ledger::{CallId, Ledger};
use crate::simulation::node::Slot;
use crate::simulation::oracle::{Ask, Oracle};

/// `guest`: the second coordinator, if there is one.
pub(crate) fn check(oracle: &Oracle, ledger: &Ledger, guest: Option<Slot>) -> Result<(), Violation> {
    let broken = |detail: String| Err(Violation::new("promises", detail));
    let committed = ledger.committed_calls();
    for (place, call) in oracle.calls.iter().enumerate() {
        let id = CallId::try_from(place).expect("a run has few calls");
        match (&call.ask, &call.reply) {
            (Ask::Commit(_), Some(Reply::Committed { txn, versions })) => {
                if committed.get(&id) != Some(txn) {
                    return broken(format!("call {id} heard that {txn} is committed, which no replica knows of"));
                }
                // One that learns of the end from the record of another's view does not know the versions.
                let excused = versions.is_empty() && Some(call.slot) == guest;
                if !excused && ledger.versions.get(txn) != Some(versions) {
                    return broken(format!("call {id} heard of versions {versions:?} that {txn} did not write"));
                }
            }
            (Ask::Commit(_), Some(Reply::Aborted { .. } | Reply::Refused(_))) => {
                if let Some(txn) = committed.get(&id) {
                    return broken(format!("call {id} heard {:?}, and {txn} is committed", call.reply));
                }
            }
            (Ask::Outcome(txn), Some(Reply::Outcome(KnownOutcome::Known(outcome)))) => {
                let is_committed = ledger.ended.get(txn).is_some_and(|ended| ended.outcome == Outcome::Committed);
                if is_committed != (*outcome == Outcome::Committed) {
                    return broken(format!("call {id} heard that {txn} is {outcome:?}, which it is not"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::example::{Example, txn};
    use super::*;
    use skein_protocol::step::{AbortReason, Refusal};

    fn answered(reply: Reply) -> Result<(), Violation> {
        let mut example = Example::default();
        example.put("a", 1);
        example.oracle.calls[0].reply = Some(reply);
        check(&example.oracle, &example.ledger, None)
    }

    #[test]
    fn a_promise_that_does_not_hold_is_found() {
        let aborted = Reply::Aborted { txn: txn(1), reason: AbortReason::Contention };
        let other = Reply::Committed { txn: txn(2), versions: vec![] };
        for lie in [aborted, Reply::Refused(Refusal::Unavailable), other] {
            assert_eq!(answered(lie).unwrap_err().property, "promises");
        }
        assert_eq!(answered(Reply::Unknown { txn: txn(1) }), Ok(()));
    }

    #[test]
    fn a_wrong_outcome_is_found() {
        let mut example = Example::default();
        example.put("a", 1).ask(Ask::Outcome(txn(1)), Reply::Outcome(KnownOutcome::Known(Outcome::Committed)));
        assert_eq!(check(&example.oracle, &example.ledger, None), Ok(()));
        example.ask(Ask::Outcome(txn(1)), Reply::Outcome(KnownOutcome::Known(Outcome::Aborted)));
        assert_eq!(check(&example.oracle, &example.ledger, None).unwrap_err().property, "promises");
    }
}
