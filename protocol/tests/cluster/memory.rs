//! Workers whose memory is used up refuse what needs room, and take what makes room again, however much they have refused before.
//! What is full and what is kept for deletes is decided in `store/room.rs`.

use super::world::*;

/// One worker that has so much memory.
fn with_memory(memory_bytes: u64) -> World {
    let mut world = World::new(1);
    world.give_memory(W1, memory_bytes);
    world
}

fn is_refused(reply: Reply) -> bool {
    matches!(reply, Reply::Aborted { reason: AbortReason::Memory, .. })
}

#[test]
fn a_worker_that_is_full_refuses_writes_and_takes_deletes() {
    let mut world = with_memory(1_000);
    world.write("a", &"x".repeat(700));
    let Reply::Aborted { reason, .. } = world.commit(vec![put("b", &"x".repeat(700))]) else { panic!("committed") };
    assert_eq!(reason, AbortReason::Memory);
    world.delete("a");
    world.write("b", &"x".repeat(700));
}

#[test]
fn a_full_worker_takes_what_needs_no_more_room_and_deletes_with_their_notes() {
    let mut world = World::new(1);
    world.committed_all(vec![put("a", &"x".repeat(3_000)), put("b", "1")]);
    let used = world.worker(W1).status().memory_bytes;
    world.give_memory(W1, used);
    assert!(is_refused(world.commit(vec![put("c", "one more")])));
    assert!(is_refused(world.commit(vec![put("b", "longer than before")])));
    world.write("a", &"x".repeat(2_900));
    world.committed_all(vec![delete("b"), put("note", &"n".repeat(120))]);
}

#[test]
fn what_is_kept_for_deletes_is_not_opened_by_a_delete_of_nothing() {
    let mut world = with_memory(64_000);
    let text = "x".repeat(300);
    let filled =
        (0..).take_while(|number| matches!(world.commit(vec![put(&format!("k{number}"), &text)]), Reply::Committed { .. }));
    assert!(filled.count() > 100);
    let beside = |name: &str| vec![put("more", &text), delete(name)];
    assert!(is_refused(world.commit(beside("nothing"))));
    world.committed_all(beside("k1"));
}

#[test]
fn a_full_cluster_takes_deletes_however_many_writes_it_has_refused() {
    let mut world = with_memory(100_000);
    world.write("a", &"x".repeat(49_700));
    world.write("c", &"x".repeat(49_700));
    // Another run of the coordinator: it has a row to write, before the workers may forget anything.
    world.restart_coordinator();
    // To look at everything after each input would take too long.
    world.checked_every = 10_007;
    let mut rows = Rows::default();
    let long = "x".repeat(300);
    for round in 0..40_000 {
        // Somebody wants to write; and now and then what is to be recorded is tried.
        let write = world.begin_write("b", &long);
        let reply = world.replies.remove(&write);
        assert!(reply.is_none_or(|reply| matches!(reply, Reply::Aborted { .. } | Reply::Refused(_))));
        if round % 250 == 0 {
            rows.record(&mut world);
        }
        world.keep_house(1);
    }
    let reply = world.commit(vec![delete("a")]);
    assert!(matches!(reply, Reply::Committed { .. }), "{reply:?} {:?}", world.coordinator.status());
}
