//! The first view, and one that begins with an empty store because all records are gone.

use super::*;

#[test]
fn the_first_view_has_all_that_are_named_once_they_are_there() {
    let mut scene = Scene::unformed(2);
    scene.here(2).cluster = None;
    scene.here(3).cluster = None;
    assert_eq!(scene.at_last(), Choice::Wait);
    scene.here(1).cluster = None;
    assert_eq!(scene.at_once(), goes_on(&[1, 2], &[]));
}

#[test]
fn the_first_view_takes_no_worker_that_belongs_to_a_cluster() {
    let mut scene = Scene::unformed(2);
    scene.here(2);
    let halt = Halt::WorkerHoldsView { address: address(2), cluster: CLUSTER };
    assert_eq!(scene.at_once(), Choice::Halt(halt), "though w1 is still missing");
}

#[test]
fn the_first_view_takes_those_that_an_unfinished_attempt_has_bound() {
    let mut scene = Scene::of(&[], &[]);
    scene.record().active = None;
    scene.named = vec![address(1)];
    scene.here(1);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

/// Who is in the view that begins empty.
fn begins_empty(members: &[(u128, u128)]) -> Choice {
    let at = |(node, place): &(u128, u128)| Member { address: address(*place), ..member(*node) };
    let shards = vec![Shard { members: members.iter().map(at).collect(), learners: Vec::new() }];
    Choice::View { shards, empty: true }
}

#[test]
fn the_cluster_begins_empty_once_each_member_is_replaced_and_had_no_log() {
    let mut scene = Scene::in_memory(&[1, 2]);
    scene.replaced(1, 11).cluster = None;
    scene.gone(2);
    assert_eq!(scene.at_last(), Choice::Wait, "the other one may live");
    scene.replaced(2, 12).cluster = None;
    assert_eq!(scene.at_once(), begins_empty(&[(11, 1), (12, 2)]));
    scene.members()[0].logged = true;
    assert_eq!(scene.at_last(), Choice::Wait, "its log may come back");
}

#[test]
fn a_removed_member_is_no_reason_to_begin_empty() {
    let mut scene = Scene::in_memory(&[1]);
    scene.gone(1);
    scene.removed(1);
    scene.ready(2).cluster = None;
    assert_eq!(scene.at_last(), Choice::Wait);
}

#[test]
fn a_cluster_that_begins_empty_takes_those_that_are_wanted_and_answer_and_belong_nowhere() {
    let mut scene = Scene::in_memory(&[1, 2, 3]);
    scene.replaced(1, 11);
    scene.replaced(2, 12).cluster = None;
    scene.replaced(3, 13).cluster = None;
    scene.here(14).cluster = None;
    scene.silent(13);
    assert_eq!(scene.at_last(), begins_empty(&[(12, 2)]), "11 belongs to the cluster, 13 is silent, 14 is not named");
    scene.silent(12);
    assert_eq!(scene.at_last(), Choice::Wait);
}

#[test]
fn a_cluster_that_begins_empty_takes_those_that_an_unfinished_attempt_to_do_so_has_bound() {
    let mut scene = Scene::in_memory(&[1]);
    scene.replaced(1, 11);
    let bound = view(6, vec![Shard { members: vec![Member { address: address(1), ..member(11) }], learners: Vec::new() }]);
    scene.record().pending = Some(bound);
    assert_eq!(scene.at_last(), Choice::Wait, "the attempt was not to begin empty");
    scene.record().emptied = Some(ViewNumber(5));
    assert_eq!(scene.at_last(), Choice::Wait, "an earlier one was");
    scene.record().emptied = Some(ViewNumber(6));
    assert_eq!(scene.at_last(), begins_empty(&[(11, 1)]));
}
