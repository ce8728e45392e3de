//! Members that are there stay, and members that are lost are waited for.

use super::*;

#[test]
fn members_that_are_there_stay() {
    assert_eq!(Scene::of(&[1, 2], &[]).at_once(), goes_on(&[1, 2], &[]));
    assert_eq!(Scene::of(&[1, 2], &[]).at_last(), goes_on(&[1, 2], &[]));
}

#[test]
fn a_member_that_is_lost_or_silent_is_waited_for_and_then_left_out() {
    let mut lost = Scene::of(&[1, 2], &[]);
    lost.gone(2);
    let mut silent = Scene::of(&[1, 2], &[]);
    silent.silent(2);
    for scene in [lost, silent] {
        assert_eq!(scene.at_once(), Choice::Wait);
        assert_eq!(scene.at_last(), goes_on(&[1], &[]));
    }
}

#[test]
fn a_member_that_was_waited_for_once_is_not_waited_for_again() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.gone(2);
    scene.suspected.insert(NodeId(2));
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn a_member_that_a_person_has_removed_is_neither_waited_for_nor_kept() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.removed(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
    scene.gone(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn a_removed_member_stays_while_it_is_the_last() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.removed(2);
    scene.gone(1);
    assert_eq!(scene.at_last(), goes_on(&[2], &[]));
}

#[test]
fn when_no_member_is_there_they_are_waited_for_for_as_long_as_it_takes() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.gone(1);
    scene.gone(2);
    scene.ready(3);
    assert_eq!(scene.at_last(), Choice::Wait);
}

#[test]
fn when_no_member_answers_they_are_asked_again() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.gone(1);
    scene.silent(2);
    assert_eq!(scene.at_last(), Choice::AskAgain);
}
