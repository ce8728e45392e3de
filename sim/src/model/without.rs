//! For each rule of the protocol a world that breaks when the rule is left out, and the promises by which the harm shows.
//! A rule whose absence no world noticed would be either superfluous or unchecked.

use skein_protocol::operation::Expect;
use skein_protocol::rules::{Omission, Rules};

use super::network::Order;
use super::property;
use super::scenario::{Bounds, Scenario, put};
use super::worlds;

/// A rule left out.
#[derive(Clone, Debug)]
pub struct Without {
    /// The rule's number.
    pub rule: &'static str,
    /// What is left out.
    pub omission: Omission,
    /// The world in which that shows.
    pub scenario: Scenario,
    /// The promises that are looked at; those that only repeat the rule are left aside, so that what shows is the harm.
    pub promises: Vec<&'static str>,
}

/// Every rule that concerns outcomes; the two halves of R10 are seen in [`crate::waiting`]. Where a worker loses what it has acknowledged,
/// the coordinator dies as well: the one that heard it would see by R15 that it is missing.
pub fn all() -> Vec<Without> {
    let once = Bounds::default();
    let leader_dies = Bounds { coordinator_restarts: 1, ..once };
    let one_left = Bounds { cuts: 1, view_changes: 1, ..once };
    vec![
        without("R1", Omission::AbortEarly, refusing(one_left)),
        without("R2", Omission::StaleDecision, refusing(Bounds { coordinator_restarts: 1, view_changes: 1, ..once })),
        without("R2", Omission::StaleVote, unordered(writing(Bounds { cuts: 1, ..once }))),
        without("R3", Omission::ApplyBeforeSwap, writing(Bounds { coordinator_restarts: 1, cuts: 1, view_changes: 1, ..once })),
        without("R4", Omission::ForgetOutcomes, writing(Bounds { coordinator_restarts: 2, view_changes: 1, ..once })),
        without("R5", Omission::AnyWorker, writing(Bounds { coordinator_restarts: 1, cuts: 1, view_changes: 1, ..once })),
        without("R6", Omission::VoteUnsynced, writing(Bounds { worker_restarts: 1, ..once })),
        without("R6", Omission::AcknowledgeUnsynced, refusing(Bounds { worker_restarts: 1, view_changes: 1, ..leader_dies })),
        without("R6", Omission::SealUnsynced, writing(Bounds { worker_restarts: 2, ..leader_dies })),
        without("R7", Omission::ForgetApplied, writing(Bounds { worker_restarts: 1, coordinator_sweeps: 1, ..leader_dies })),
        without("R9", Omission::LearnerTooEarly, learning(Bounds { joins: 1, cuts: 1, ..once })),
        without("R9", Omission::DropTombstones, worlds::rejoin()),
        without("R9", Omission::ChunkReplaces, worlds::rejoin()),
        without("R9", Omission::CopyUnsettled, Scenario { order: Order::AnyToFirst, ..learning(Bounds { joins: 1, ..once }) }),
    ]
}

/// Mistakes that no rule names and that must be seen all the same.
pub fn mistakes() -> Vec<Without> {
    let once = Bounds::default();
    let one_left = Bounds { cuts: 1, view_changes: 1, ..once };
    vec![
        without("-", Omission::OneVoteLess, writing(once)),
        without("-", Omission::AbortLost, refusing(Bounds { coordinator_restarts: 1, ..one_left })),
        without("-", Omission::SealAborts, writing(Bounds { coordinator_restarts: 1, ..once })),
        without("-", Omission::UnknownAsAborted, writing(Bounds { coordinator_sweeps: 1, ..once })),
        without("-", Omission::RetryCommitted, writing(one_left)),
        without("-", Omission::IgnorePrepared, worlds::overtaken()),
    ]
}

/// The promises that speak of harm, not of a rule.
fn harm() -> Vec<&'static str> {
    let rules =
        [property::SYNCED_FIRST, property::INVARIANTS, property::COMES_TO_REST, property::SOUND].map(|promise| promise.name);
    property::ALL.iter().map(|promise| promise.name).filter(|name| !rules.contains(name)).collect()
}

fn without(rule: &'static str, omission: Omission, scenario: Scenario) -> Without {
    let scenario = Scenario { rules: Rules::without(omission), ..scenario };
    Without { rule, omission, scenario, promises: harm() }
}

/// The same over connections that don't keep order: where they do, nothing of an older view comes in after the seal from a
/// coordinator that could still count the vote.
fn unordered(scenario: Scenario) -> Scenario {
    Scenario { order: Order::Any, ..scenario }
}

/// One write on two workers.
fn writing(bounds: Bounds) -> Scenario {
    Scenario { bounds, ..Scenario::new("without", 2, vec![vec![put("k", Expect::Any, "v")]]) }
}

/// One write on one worker, and another that comes back to it.
fn learning(bounds: Bounds) -> Scenario {
    Scenario { before: vec![put("k", Expect::Any, "0")], away: Some(1), views: 4, ..writing(bounds) }
}

/// The same as [`writing`], where the first worker has no room for it and votes no.
fn refusing(bounds: Bounds) -> Scenario {
    Scenario { full: Some(0), ..writing(bounds) }
}
