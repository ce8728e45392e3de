//! A worker belongs to the first cluster that seals it (R12). A worker that belongs to another cluster is reported, and holds up nothing,
//! whenever it was taken.

use skein_protocol::id::ClusterId;
use skein_protocol::membership::view::Standing;
use skein_protocol::record::Snapshot;

use super::world::*;

/// The coordinator of another cluster.
const STRANGER: NodeId = NodeId(200);

/// Another cluster takes this worker as a member of its view of this number.
fn is_taken(world: &mut World, node: NodeId, cluster: ClusterId, view: u64) {
    world.hear(node, STRANGER, seal_by(cluster, view_id(view), Standing::Member, None));
}

#[test]
fn a_worker_of_another_cluster_is_said_though_one_before_it_never_comes() {
    let mut world = World::founding(Setup::default());
    world.start_with_log(W2, Snapshot { cluster: Some(ClusterId(9)), ..Snapshot::new(W2) });
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w2".into(), cluster: ClusterId(9) }));
}

#[test]
fn of_two_clusters_founded_over_one_worker_the_later_says_so() {
    let mut world = World::founding(Setup::default());
    world.start(W2);
    is_taken(&mut world, W2, ClusterId(9), 1);
    world.start(W1);
    assert_eq!(world.halt, Some(Halt::WorkerHoldsView { address: "w2".into(), cluster: ClusterId(9) }));
}

#[test]
fn a_learner_that_belongs_to_another_cluster_does_not_hold_up_writes() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace(W2);
    world.lose_log_of(W2);
    world.replace(W2, W3);
    // It was taken while it waited to be taken in by this one.
    is_taken(&mut world, W3, ClusterId(9), 50);
    world.admit();
    let write = world.begin_write("a", "2");
    for _ in 0..60 {
        world.retry();
        world.beat(1);
    }
    assert!(world.is_committed(write), "{:?} {:?}", world.replies.get(&write), world.learners());
}

#[test]
fn a_worker_that_another_cluster_has_taken_meanwhile_does_not_end_one_view_after_the_other() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.stop_past_grace(W2);
    world.replace(W2, W12);
    is_taken(&mut world, W12, ClusterId(99), 1);
    (0..8).for_each(|_| world.admit());
    let settled = world.last_view();
    world.admit_and_beat(20);
    assert_eq!(world.last_view(), settled);
    assert_eq!((world.members(), &world.halt), (vec![W1], &None));
    assert!(world.serves());
}
