//! All of a transaction happened, or nothing (Gray 1978): what a committed attempt wrote is exactly what its call asked for,
//! and of all attempts at a call at most one committed. That replicas agree on it the ledger sees as it happens.

use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Operation};
use skein_protocol::record::Write;

use super::Violation;
use crate::simulation::ledger::Ledger;
use crate::simulation::oracle::Oracle;

pub(crate) fn check(oracle: &Oracle, ledger: &Ledger) -> Result<(), Violation> {
    let broken = |detail: String| Err(Violation::new("atomicity", detail));
    let mut committed = vec![None; oracle.calls.len()];
    for (txn, ended) in &ledger.ended {
        if ended.outcome != Outcome::Committed {
            continue;
        }
        let Some(call) = ledger.attempts.get(txn) else { return broken(format!("{txn} was committed and never sent")) };
        let place = *call as usize;
        if let Some(other) = committed[place].replace(*txn) {
            return broken(format!("call {call} was committed twice, as {other} and as {txn}"));
        }
        let Some(operations) = oracle.calls[place].operations() else {
            return broken(format!("{txn} belongs to call {call}, which is no transaction"));
        };
        if !did(operations, &ended.writes) {
            return broken(format!("{txn} wrote {:?}, call {call} asked for {operations:?}", ended.writes));
        }
    }
    Ok(())
}

/// Whether these writes are what the operations ask for.
fn did(operations: &[Operation], writes: &[Write]) -> bool {
    let asked = operations.iter().filter(|operation| operation.action != Action::Check);
    let same = |operation: &Operation, write: &Write| {
        operation.key == write.key
            && match (&operation.action, &write.stored) {
                (Action::Put(value), Some(stored)) => *value == stored.value,
                (Action::Delete, None) => true,
                _ => false,
            }
    };
    asked.clone().count() == writes.len() && asked.zip(writes).all(|(operation, write)| same(operation, write))
}

#[cfg(test)]
mod tests {
    use super::super::example::{Example, txn};
    use super::*;
    use skein_protocol::operation::Expect;

    fn example() -> Example {
        let mut example = Example::default();
        let both = vec![example.operation("a", Expect::Any), example.operation("b", Expect::Any)];
        example.commit(both, &[1, 1]);
        example
    }

    #[test]
    fn half_a_transaction_is_found() {
        let mut example = example();
        assert_eq!(check(&example.oracle, &example.ledger), Ok(()));
        example.ledger.ended.get_mut(&txn(1)).unwrap().writes.pop();
        assert_eq!(check(&example.oracle, &example.ledger).unwrap_err().property, "atomicity");
    }

    #[test]
    fn a_call_that_happened_twice_is_found() {
        let mut example = example();
        let again = example.ledger.ended[&txn(1)].clone();
        example.ledger.ended.insert(txn(9), again);
        example.ledger.attempts.insert(txn(9), 0);
        assert_eq!(check(&example.oracle, &example.ledger).unwrap_err().property, "atomicity");
    }
}
