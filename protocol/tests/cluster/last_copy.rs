//! The last copy that can be trusted: while only a bad one is there, a person hears of it whatever the other workers are doing, and
//! nothing that a person does by mistake leaves the cluster with the bad one alone.

use super::world::*;

/// The only member rots while another worker copies from it.
fn rots_while_it_gives(rules: Rules) -> World {
    let mut world = World::keeping(rules, 2);
    world.fill();
    world.stop_past_grace(W2);
    world.hold(chunks());
    world.restart(W2);
    world.beat(1);
    world.admit();
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![W2]));
    world.rot(W1, "k2399");
    world.let_go();
    (0..8).for_each(|_| world.scrub());
    world
}

#[test]
fn a_person_hears_that_the_copy_from_which_others_copy_has_turned_bad() {
    let world = rots_while_it_gives(Rules::ALL);
    assert_eq!((world.members(), world.learners()), (vec![W1], vec![W2]), "the copy can't be completed");
    assert_eq!(world.said.untrusted, 1, "and that is said once");
    assert_eq!(rots_while_it_gives(Rules::without(Omission::StuckCopyUnsaid)).said.untrusted, 0, "nobody would ever know");
}
