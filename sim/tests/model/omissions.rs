//! Each rule is left out of the machines once, and the checker must find a world that breaks. What it finds is harm: a lost
//! write, an abort that happened, members that differ; not merely that the rule was left out.

use skein_protocol::rules::{Omission, Rules};
use skein_sim::model::scenario::Scenario;
use skein_sim::model::search::{explore, find_break};
use skein_sim::model::without;

/// States among which a break must be found.
const STATES_MAX: usize = 3_000_000;

fn is_found(omission: Omission) {
    let without =
        without::all().into_iter().chain(without::mistakes()).find(|without| without.omission == omission).expect("listed");
    let findings = find_break(&without.scenario, &without.promises, STATES_MAX);
    let broken = findings.discoveries.iter().find(|found| without.promises.contains(&found.name));
    let broken = broken.unwrap_or_else(|| panic!("{omission:?} is not noticed in {} states", findings.states));
    println!("{} without {omission:?}: {:?} broken after {} states", without.rule, broken.name, findings.states);
}

#[test]
fn r1_an_abort_told_before_all_acknowledged_it() {
    is_found(Omission::AbortEarly);
}

#[test]
fn r2_a_decision_taken_after_the_seal() {
    is_found(Omission::StaleDecision);
}

#[test]
fn r2_a_vote_made_after_the_seal() {
    is_found(Omission::StaleVote);
}

#[test]
fn r3_outcomes_applied_before_the_swap() {
    is_found(Omission::ApplyBeforeSwap);
}

#[test]
fn r4_outcomes_not_carried_to_those_who_missed_them() {
    is_found(Omission::ForgetOutcomes);
}

#[test]
fn r5_members_that_were_not_in_the_last_active_view() {
    is_found(Omission::AnyWorker);
}

#[test]
fn r6_a_vote_before_its_sync() {
    is_found(Omission::VoteUnsynced);
}

#[test]
fn r6_an_acknowledgement_before_its_sync() {
    is_found(Omission::AcknowledgeUnsynced);
}

#[test]
fn r6_a_seal_before_its_sync() {
    is_found(Omission::SealUnsynced);
}

#[test]
fn r7_a_transaction_forgotten_before_all_have_it_synced() {
    is_found(Omission::ForgetApplied);
}

#[test]
fn r9_a_learner_made_a_member_too_early() {
    is_found(Omission::LearnerTooEarly);
}

#[test]
fn r9_a_chunk_that_brings_back_what_the_learner_has_deleted() {
    is_found(Omission::DropTombstones);
}

#[test]
fn r9_a_chunk_that_replaces_what_the_learner_has_written() {
    is_found(Omission::ChunkReplaces);
}

#[test]
fn r9_a_copy_of_what_is_not_settled() {
    is_found(Omission::CopyUnsettled);
}

#[test]
fn mistakes_that_no_rule_names() {
    let mistakes: Vec<_> = without::mistakes().into_iter().map(|without| without.omission).collect();
    assert!(!mistakes.is_empty());
    mistakes.into_iter().for_each(is_found);
}

/// The worlds break for want of the rule, not for their own sake. Those with a worker that refuses are parts of the world
/// `refusal`, which is explored as it is.
#[test]
fn with_every_rule_kept_the_same_worlds_hold() {
    for without in without::all().into_iter().filter(|without| without.scenario.full.is_none()) {
        let scenario = Scenario { rules: Rules::ALL, ..without.scenario };
        let findings = explore(&scenario, 1);
        assert!(findings.complete, "{:?}: {:?}", without.omission, findings.broken());
    }
}
