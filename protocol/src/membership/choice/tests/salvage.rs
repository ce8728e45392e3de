//! Workers of whose records a person has given up a part: one of them counts, once no worker can come back that holds more.

use super::*;

#[test]
fn a_salvaged_member_is_left_out_where_another_one_is_there() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.salvaged(1);
    assert_eq!(scene.at_once(), goes_on(&[2], &[]));
}

#[test]
fn a_salvaged_member_waits_for_those_that_may_come_back() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.salvaged(1);
    scene.gone(2);
    assert_eq!(scene.at_last(), Choice::Wait);
    scene.replaced(2, 9);
    assert_eq!(scene.at_last(), goes_on(&[1], &[]));
}

#[test]
fn of_several_salvaged_members_one_counts() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.salvaged(1);
    scene.salvaged(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn a_salvaged_worker_of_an_older_view_counts_when_no_member_can_come_back() {
    let mut scene = Scene::of(&[1], &[]);
    scene.ready(3);
    scene.salvaged(3);
    scene.gone(1);
    assert_eq!(scene.at_last(), Choice::Wait);
    scene.replaced(1, 9);
    assert_eq!(scene.at_last(), goes_on(&[3], &[]));
}

#[test]
fn a_salvaged_member_counts_before_a_salvaged_worker_of_an_older_view() {
    let mut scene = Scene::of(&[2], &[]);
    scene.salvaged(2);
    scene.ready(1);
    scene.salvaged(1);
    assert_eq!(scene.at_once(), goes_on(&[2], &[1]));
}

#[test]
fn a_salvaged_worker_that_people_do_not_want_does_not_count() {
    let mut scene = Scene::of(&[1], &[]);
    scene.replaced(1, 9);
    scene.here(3);
    scene.salvaged(3);
    assert_eq!(scene.at_last(), Choice::Wait, "no settings name it");
}

#[test]
fn a_salvaged_worker_that_is_late_is_asked_again() {
    let mut scene = Scene::of(&[1], &[]);
    scene.replaced(1, 9);
    scene.ready(3);
    scene.salvaged(3);
    scene.silent(3);
    assert_eq!(scene.at_last(), Choice::AskAgain);
}

#[test]
fn a_whole_worker_that_is_late_is_no_reason_to_ask_again() {
    let mut scene = Scene::of(&[1], &[]);
    scene.gone(1);
    scene.ready(3);
    scene.silent(3);
    assert_eq!(scene.at_last(), Choice::Wait);
}

#[test]
fn a_late_member_that_holds_all_is_asked_again_before_a_salvaged_one_counts() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.salvaged(1);
    scene.silent(2);
    assert_eq!(scene.at_last(), Choice::AskAgain);
}

#[test]
fn a_late_salvaged_member_is_asked_again_before_an_outsider_counts() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.salvaged(1);
    scene.silent(1);
    scene.rolled_back(2);
    scene.ready(3);
    scene.salvaged(3);
    assert_eq!(scene.at_last(), Choice::AskAgain);
}

#[test]
fn a_salvaged_member_counts_though_a_salvaged_one_is_late() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.salvaged(1);
    scene.salvaged(2);
    scene.silent(2);
    assert_eq!(scene.at_last(), goes_on(&[1], &[]));
}
