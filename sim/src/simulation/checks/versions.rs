//! A version names one state of a record in its whole life, and later states have greater ones, so that a client that compares
//! versions (compare-and-set, `If-Match`) is never deceived, not even by a record that was deleted and made again.

use super::Violation;
use crate::simulation::ledger::Ledger;

pub(crate) fn check(ledger: &Ledger) -> Result<(), Violation> {
    for (key, writes) in &ledger.chains {
        let mut last = None;
        for stored in writes.iter().filter_map(|write| write.stored.as_ref()) {
            if last.is_some_and(|last| last >= stored.version) {
                let (version, txn) = (stored.version.0, stored.written_by);
                return Err(Violation::new("versions", format!("{key:?} got version {version} by {txn} after {last:?}")));
            }
            last = Some(stored.version);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::example::Example;
    use super::*;

    #[test]
    fn a_version_that_comes_again_is_found() {
        let mut example = Example::default();
        example.put("a", 5).put("a", 6).delete("a");
        assert_eq!(check(&example.ledger), Ok(()));
        example.put("a", 6);
        assert_eq!(check(&example.ledger).unwrap_err().property, "versions");
    }
}
