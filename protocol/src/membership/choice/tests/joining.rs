//! Learners, workers that wait to be taken in, and which workers the cluster is meant to have.

use super::*;

#[test]
fn a_learner_becomes_a_member_when_it_has_copied_all() {
    let mut scene = Scene::of(&[1], &[2]);
    assert_eq!(scene.at_once(), goes_on(&[1], &[2]));
    scene.complete(2);
    assert_eq!(scene.at_once(), goes_on(&[1, 2], &[]));
}

#[test]
fn a_learner_that_is_gone_or_silent_or_not_wanted_is_dropped() {
    let mut gone = Scene::of(&[1], &[2]);
    gone.gone(2);
    let mut silent = Scene::of(&[1], &[2]);
    silent.complete(2);
    silent.silent(2);
    let mut removed = Scene::of(&[1], &[2]);
    removed.complete(2);
    removed.removed(2);
    for scene in [gone, silent, removed] {
        assert_eq!(scene.at_once(), goes_on(&[1], &[]));
    }
}

#[test]
fn a_learner_whose_copy_is_not_trusted_begins_again() {
    let mut scene = Scene::of(&[1], &[2]);
    scene.complete(2);
    scene.damaged(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[2]));
}

#[test]
fn a_worker_that_comes_waits_and_then_learns() {
    let mut scene = Scene::of(&[1], &[]);
    scene.named.push(address(2));
    scene.here(2);
    scene.joiners.came(NodeId(2), &address(2), 100);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
    scene.joiners.waited(100);
    assert_eq!(scene.at_once(), goes_on(&[1], &[2]));
}

#[test]
fn a_worker_that_no_view_has_had_learns_whatever_copies_say() {
    let mut scene = Scene::of(&[1], &[2]);
    scene.complete(2);
    scene.ready(3);
    assert_eq!(scene.at_once(), goes_on(&[1, 2], &[3]));
}

#[test]
fn a_member_that_is_left_out_begins_with_the_view_after_that() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.damaged(2);
    scene.joiners.came(NodeId(2), &address(2), 0);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
    // The view without it is active now.
    scene.members().retain(|member| member.node == NodeId(1));
    let active = view(5, vec![shard(&[1], &[])]);
    scene.comparison.activated(&active, |_| true);
    scene.joiners = Joiners::default();
    assert_eq!(scene.at_once(), goes_on(&[1], &[2]), "it has nothing to wait for");
}

#[test]
fn nobody_begins_from_a_copy_that_is_not_trusted() {
    let mut scene = Scene::of(&[1], &[]);
    scene.damaged(1);
    scene.ready(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn others_begin_from_a_salvaged_copy_though_it_was_damaged() {
    let mut scene = Scene::of(&[1], &[]);
    scene.damaged(1);
    scene.salvaged(1);
    scene.ready(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[2]));
}

#[test]
fn a_view_has_no_more_workers_than_it_can_hold() {
    let most = limits::MEMBERS_MAX as u128;
    let mut scene = Scene::of(&[1, 2], &[]);
    (3..most + 3).for_each(|node| drop(scene.ready(node).address.clone()));
    assert_eq!(scene.at_once(), goes_on(&[1, 2], &(3..=most).collect::<Vec<_>>()));
}

#[test]
fn a_member_is_written_down_as_it_is_connected_now() {
    let mut scene = Scene::of(&[1], &[]);
    scene.here_at(1, "elsewhere").logged = false;
    scene.named = vec!["elsewhere".to_string()];
    let shards = vec![Shard {
        members: vec![Member { node: NodeId(1), address: "elsewhere".to_string(), logged: false }],
        learners: Vec::new(),
    }];
    assert_eq!(scene.at_once(), Choice::View { shards, empty: false });
}

#[test]
fn a_member_that_the_settings_no_longer_name_goes_once_each_name_is_answered_by_another() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.named = vec![address(1), address(3)];
    scene.gone(2);
    assert_eq!(scene.at_once(), Choice::Wait, "it may be what w3 means");
    scene.here(3);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn a_worker_of_another_cluster_is_not_taken() {
    let mut scene = Scene::of(&[1], &[]);
    scene.ready(2).cluster = Some(ClusterId(8));
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
    scene.connected.get_mut(&NodeId(2)).expect("it is there").cluster = None;
    assert_eq!(scene.at_once(), goes_on(&[1], &[2]));
}

#[test]
fn one_that_people_had_added_goes_when_they_are_about_to_remove_it() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.named = vec![address(1)];
    scene.record().roster.added.push(address(2));
    scene.changes.added.push(address(2));
    scene.gone(2);
    assert_eq!(scene.at_once(), Choice::Wait);
    scene.changes.added.clear();
    assert_eq!(scene.at_once(), goes_on(&[1], &[]), "though it might be what some name means");
}
