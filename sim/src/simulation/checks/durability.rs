//! What was acknowledged is there (the D of Härder and Reuter 1983): each acknowledged write is a state of its record, with
//! the version and the value that the client was told or sent, and nothing later shows an earlier state than one that had
//! been acknowledged. That the replicas end in the last state of each record `convergence` checks.

use skein_protocol::operation::Action;
use skein_protocol::step::Reply;

use super::Violation;
use super::states::States;
use crate::simulation::oracle::{Ask, Oracle};

pub(crate) fn check(oracle: &Oracle, states: &States) -> Result<(), Violation> {
    for (place, call) in oracle.calls.iter().enumerate() {
        let (Ask::Commit(operations), Some(Reply::Committed { txn, versions })) = (&call.ask, &call.reply) else { continue };
        for (operation, version) in operations.iter().zip(versions) {
            let write = states.chain(&operation.key).and_then(|chain| chain.writes.iter().find(|write| write.txn == *txn));
            let kept = match (&operation.action, write.map(|write| &write.stored)) {
                (Action::Put(value), Some(Some(stored))) => stored.value == *value && stored.version == *version,
                (Action::Delete, Some(None)) | (Action::Check, None) => true,
                _ => false,
            };
            if !kept {
                let detail = format!("call {place} was told that {txn} is committed, but {:?} never was so", operation.key);
                return Err(Violation::new("durability", detail));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::example::{Example, key};
    use super::*;

    #[test]
    fn an_acknowledged_write_that_is_gone_is_found() {
        let mut example = Example::default();
        example.put("a", 1).put("a", 2).put("b", 1);
        let result = |example: &Example| check(&example.oracle, &States::new(&example.oracle, &example.ledger));
        assert_eq!(result(&example), Ok(()));
        example.ledger.chains.get_mut(&key("a")).unwrap().pop();
        assert_eq!(result(&example).unwrap_err().property, "durability");
    }
}
