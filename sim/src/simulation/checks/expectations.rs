//! Each operation of a committed transaction found what it expected, in the state that it replaced; and each version is what
//! it says it is: one more than the one replaced, or that of the record that was found. With it a compare-and-set is one.

use skein_protocol::id::Version;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Expect};

use super::Violation;
use super::states::States;
use crate::simulation::ledger::Ledger;
use crate::simulation::oracle::Oracle;

pub(crate) fn check(oracle: &Oracle, ledger: &Ledger, states: &States) -> Result<(), Violation> {
    for (txn, ended) in &ledger.ended {
        let (Outcome::Committed, Some(call), Some(versions)) =
            (ended.outcome, ledger.attempts.get(txn), ledger.versions.get(txn))
        else {
            continue;
        };
        let operations = oracle.calls[*call as usize].operations().unwrap_or_default();
        for (operation, version) in operations.iter().zip(versions) {
            let chain = states.chain(&operation.key);
            let found = match operation.action {
                Action::Check if version.0 == 0 => None,
                Action::Check => Some(*version),
                Action::Put(_) | Action::Delete => {
                    chain.and_then(|chain| chain.before(*txn).and_then(|state| chain.version(state)))
                }
            };
            let holds = match operation.expect {
                Expect::Any => true,
                Expect::Absent => found.is_none(),
                Expect::Present => found.is_some(),
                Expect::Version(expected) => found == Some(expected),
            };
            let follows = match (&operation.action, found) {
                (Action::Put(_), Some(found)) => *version == Version(found.0 + 1),
                (Action::Put(_), None) => true,
                (Action::Delete | Action::Check, found) => *version == found.unwrap_or(Version(0)),
            };
            if !holds || !follows {
                let detail =
                    format!("{txn} expected {:?} of {:?}, found {found:?}, gave {version:?}", operation.expect, operation.key);
                return Err(Violation::new("expectations", detail));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::example::Example;
    use super::*;

    fn result(example: &Example) -> Result<(), Violation> {
        check(&example.oracle, &example.ledger, &States::new(&example.oracle, &example.ledger))
    }

    #[test]
    fn an_expectation_that_did_not_hold_is_found() {
        let mut example = Example::default();
        let first = example.operation("a", Expect::Absent);
        example.commit(vec![first], &[5]);
        let second = example.operation("a", Expect::Version(Version(5)));
        example.commit(vec![second], &[6]);
        assert_eq!(result(&example), Ok(()));
        let lost_update = example.operation("a", Expect::Version(Version(5)));
        example.commit(vec![lost_update], &[7]);
        assert_eq!(result(&example).unwrap_err().property, "expectations");
    }

    #[test]
    fn a_version_that_does_not_follow_is_found() {
        let mut example = Example::default();
        example.put("a", 5).put("a", 9);
        assert_eq!(result(&example).unwrap_err().property, "expectations");
    }
}
