//! The promises, one file each. Most are checked at the end of a run, over what clients were told ([`super::oracle`]) and
//! what the replicas did ([`super::ledger`]); some after each step. Each says where its theory is from, and each has a test
//! in which it is broken by hand.

pub(crate) mod atomicity;
pub(crate) mod bank;
pub(crate) mod convergence;
pub(crate) mod durability;
pub(crate) mod expectations;
pub(crate) mod healing;
pub(crate) mod lists;
pub(crate) mod memory;
pub(crate) mod promises;
pub(crate) mod serializability;
pub(crate) mod states;
pub(crate) mod versions;
pub(crate) mod views;
pub(crate) mod waits;

use super::ledger::Ledger;
use super::node::Slot;
use super::oracle::Oracle;
use states::States;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: &'static str,
    /// How.
    pub detail: String,
}

impl Violation {
    pub(crate) fn new(property: &'static str, detail: impl Into<String>) -> Self {
        Violation { property, detail: detail.into() }
    }
}

/// Checks all that calls and ledger show when a run is over.
/// `guest`: the second coordinator, if there is one.
pub(crate) fn all(oracle: &Oracle, ledger: &Ledger, guest: Option<Slot>) -> Result<(), Violation> {
    atomicity::check(oracle, ledger)?;
    promises::check(oracle, ledger, guest)?;
    let states = States::new(oracle, ledger);
    durability::check(oracle, &states)?;
    expectations::check(oracle, ledger, &states)?;
    lists::check(oracle, &states)?;
    bank::check(oracle)?;
    serializability::check(oracle, ledger, &states)
}

/// A history made by hand, for the tests of the checks.
#[cfg(test)]
pub(crate) mod example;
