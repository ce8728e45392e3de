//! Copies that are not trusted, and logs that were put back: they count last, or not at all.

use super::*;

#[test]
fn the_last_copy_stays_though_it_is_not_trusted() {
    let mut scene = Scene::of(&[1], &[]);
    scene.damaged(1);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn a_copy_that_is_not_trusted_is_left_out_where_another_one_is_there() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.damaged(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
}

#[test]
fn the_others_are_asked_again_three_times_before_a_copy_that_is_not_trusted_counts_alone() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.damaged(1);
    scene.silent(2);
    for asked_again in 0..ASKED_AGAIN_MAX {
        scene.asked_again = asked_again;
        assert_eq!(scene.at_last(), Choice::AskAgain);
    }
    for asked_again in [ASKED_AGAIN_MAX, ASKED_AGAIN_MAX + 1] {
        scene.asked_again = asked_again;
        assert_eq!(scene.at_last(), goes_on(&[1], &[]));
    }
}

#[test]
fn members_that_are_gone_may_come_back_before_a_copy_that_is_not_trusted_counts_alone() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.damaged(1);
    scene.gone(2);
    assert_eq!(scene.at_last(), Choice::AskAgain);
    scene.asked_again = ASKED_AGAIN_MAX;
    assert_eq!(scene.at_last(), goes_on(&[1], &[]));
}

#[test]
fn a_member_that_is_not_trusted_either_is_not_asked_for_first() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.damaged(1);
    scene.damaged(2);
    scene.silent(2);
    assert_eq!(scene.at_last(), goes_on(&[1], &[]));
    scene.gone(2);
    assert_eq!(scene.at_last(), goes_on(&[1], &[]));
}

#[test]
fn a_member_that_cannot_come_back_is_not_asked_for_before_a_copy_that_is_not_trusted_counts() {
    let mut removed = Scene::of(&[1, 2], &[]);
    removed.damaged(1);
    removed.gone(2);
    removed.removed(2);
    assert_eq!(removed.at_last(), goes_on(&[1], &[]));
    let mut replaced = Scene::of(&[1, 2], &[]);
    replaced.damaged(1);
    replaced.replaced(2, 9);
    assert_eq!(replaced.at_last(), goes_on(&[1], &[]));
}

#[test]
fn a_copy_that_is_not_trusted_and_late_is_asked_again_when_it_is_all_there_is() {
    let mut scene = Scene::of(&[1], &[]);
    scene.damaged(1);
    scene.silent(1);
    assert_eq!(scene.at_last(), Choice::AskAgain);
}

#[test]
fn a_copy_that_is_trusted_counts_alone_at_once() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.gone(2);
    scene.damaged(2);
    assert_eq!(scene.at_last(), goes_on(&[1], &[]));
}

#[test]
fn replicas_that_outvote_one_leave_it_out() {
    let mut scene = Scene::of(&[1, 2, 3], &[]);
    let digest = |node: u128, sum: u128| (NodeId(node), Digest { records: 1, bytes: 1, sum });
    scene.comparison.compare(&[digest(1, 7), digest(2, 7), digest(3, 8)], Rules::ALL);
    assert_eq!(scene.at_once(), goes_on(&[1, 2], &[]));
}

#[test]
fn a_member_whose_log_was_put_back_is_left_out_and_counts_for_nothing_alone() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.rolled_back(2);
    assert_eq!(scene.at_once(), goes_on(&[1], &[]));
    scene.gone(1);
    assert_eq!(scene.at_last(), Choice::Wait);
}

#[test]
fn a_silent_member_is_asked_again_where_the_others_were_put_back() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.rolled_back(2);
    scene.silent(1);
    scene.asked_again = ASKED_AGAIN_MAX;
    assert_eq!(scene.at_last(), Choice::AskAgain);
}

#[test]
fn members_that_were_all_put_back_are_waited_with() {
    let mut scene = Scene::of(&[1, 2], &[]);
    scene.rolled_back(1);
    scene.rolled_back(2);
    assert_eq!(scene.at_last(), Choice::Wait);
}
