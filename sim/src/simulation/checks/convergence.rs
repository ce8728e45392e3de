//! Replicas are the same (state machine replication, Schneider 1990): at rest each member holds the last state of every
//! record, its digest is the sum of that, and its log adds up to what it holds in memory. Digests that the cluster itself
//! compares while transactions run are equal too.

use std::collections::BTreeMap;

use skein_protocol::operation::{Digest, Key};
use skein_protocol::record::{Snapshot, Stored};
use skein_protocol::step::Reply;

use super::Violation;
use crate::simulation::ledger::Ledger;
use crate::simulation::oracle::Oracle;

/// What a replica holds.
pub(crate) struct Replica<'a> {
    pub(crate) name: &'a str,
    pub(crate) records: &'a BTreeMap<Key, Stored>,
    pub(crate) digest: Digest,
    /// What its log adds up to, if it has one.
    pub(crate) log: Option<&'a Snapshot>,
}

pub(crate) fn check(replicas: &[Replica], ledger: &Ledger) -> Result<(), Violation> {
    let last = |key: &Key| ledger.chains.get(key).and_then(|chain| chain.last()).and_then(|write| write.stored.as_ref());
    let kept = ledger.chains.keys().filter(|key| last(key).is_some()).count();
    for replica in replicas {
        let differs = replica.records.iter().find(|(key, stored)| last(key) != Some(stored));
        if let Some((key, stored)) = differs {
            let detail = format!("{} holds {key:?} as {stored:?}, not as {:?}", replica.name, last(key));
            return Err(Violation::new("convergence", detail));
        }
        if replica.records.len() != kept {
            let missing = ledger.chains.keys().find(|key| last(key).is_some() && !replica.records.contains_key(*key));
            return Err(Violation::new("convergence", format!("{} holds no {missing:?}", replica.name)));
        }
        if replica.digest != replicas[0].digest {
            return Err(Violation::new(
                "convergence",
                format!("the digests of {} and {} differ", replicas[0].name, replica.name),
            ));
        }
        if replica.log.is_some_and(|log| log.records != *replica.records) {
            return Err(Violation::new("convergence", format!("the log of {} adds up to something else", replica.name)));
        }
    }
    Ok(())
}

/// Compares the digests that clients were told. Gives how many comparisons had several members in them.
pub(crate) fn check_digests(oracle: &Oracle) -> Result<u64, Violation> {
    let mut compared = 0;
    for (place, call) in oracle.calls.iter().enumerate() {
        let Some(Reply::Digests { view, digests }) = &call.reply else { continue };
        if digests.iter().any(|(_, digest)| *digest != digests[0].1) {
            return Err(Violation::new("convergence", format!("call {place}: digests differ in view {view}: {digests:?}")));
        }
        compared += u64::from(digests.len() > 1);
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::super::example::{Example, key};
    use super::*;
    use crate::simulation::oracle::Ask;
    use skein_protocol::id::{NodeId, ViewNumber};

    #[test]
    fn a_replica_that_lacks_or_adds_something_is_found() {
        let mut example = Example::default();
        example.put("a", 1).put("b", 1).put("a", 2).delete("b").put("c", 3);
        let mut records: BTreeMap<Key, Stored> = BTreeMap::new();
        for name in ["a", "c"] {
            let stored = example.ledger.chains[&key(name)].last().unwrap().stored.clone().unwrap();
            records.insert(key(name), stored);
        }
        let replica = |records| Replica { name: "w1", records, digest: Digest::default(), log: None };
        assert_eq!(check(&[replica(&records)], &example.ledger), Ok(()));
        let mut less = records.clone();
        less.remove(&key("a"));
        let mut more = records.clone();
        more.insert(key("b"), records[&key("a")].clone());
        let mut old = records.clone();
        old.insert(key("a"), example.ledger.chains[&key("a")][0].stored.clone().unwrap());
        for wrong in [&less, &more, &old] {
            assert_eq!(check(&[replica(wrong)], &example.ledger).unwrap_err().property, "convergence");
        }
        let other = Replica { digest: Digest { sum: 1, ..Digest::default() }, ..replica(&records) };
        assert_eq!(check(&[replica(&records), other], &example.ledger).unwrap_err().property, "convergence");
    }

    #[test]
    fn digests_that_differ_are_found() {
        let digest = |sum| Digest { sum, ..Digest::default() };
        let reply =
            |other| Reply::Digests { view: ViewNumber(1), digests: vec![(NodeId(1), digest(1)), (NodeId(2), digest(other))] };
        let mut example = Example::default();
        assert_eq!(check_digests(&example.ask(Ask::Digests, reply(1)).oracle), Ok(1));
        assert_eq!(check_digests(&example.ask(Ask::Digests, reply(2)).oracle).unwrap_err().property, "convergence");
    }
}
