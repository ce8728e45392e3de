//! The room that answers to reads have on their way: what does not fit waits its turn within its deadline, and whatever becomes of
//! a read, what was reserved for its answer is free again.

use skein_protocol::limits::{ANSWER_BYTES_MAX, ENTRY_ANSWER_BYTES_MAX, READ_BYTES_UNDER_WAY_MAX};

use skein_protocol::operation::{Answer, Key, Range};

use super::world::*;

/// Lists for which there is room at one member.
const LISTS_MAX: usize = READ_BYTES_UNDER_WAY_MAX as usize / 4 * 3 / ANSWER_BYTES_MAX;

fn ask_for(world: &mut World, query: Query) -> u64 {
    world.begin_read(query, Consistency::Arrival)
}

/// So many readers ask for lists.
fn ask_for_lists(world: &mut World, count: usize) -> Vec<u64> {
    (0..count).map(|_| ask_for(world, all(1_000, false))).collect()
}

#[test]
fn lists_that_do_not_fit_wait_their_turn_and_leave_room_for_single_records() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.hold(answers());
    let lists: Vec<u64> = ask_for_lists(&mut world, 100);
    assert_eq!(world.held(), 2 * LISTS_MAX, "as many as there is room for at two members");
    assert_eq!(world.coordinator.reads().in_line(), 100 - 2 * LISTS_MAX);
    let single = ask_for(&mut world, keys(&["a"]));
    assert_eq!(world.held(), 2 * LISTS_MAX + 1, "a single record does not wait behind lists");
    world.let_go();
    for id in lists.into_iter().chain([single]) {
        assert_eq!(world.take_rows(id), pairs(&[("a", "1")]));
    }
    assert_eq!(world.coordinator.status().read_bytes, 0);
}

#[test]
fn those_who_log_in_do_not_wait_behind_lists() {
    let mut world = World::new(2);
    let row = |table: TableId, number: usize| {
        let key = Key::new(table, format!("somebody{number:04}").into_bytes());
        Operation { key, expect: Expect::Any, action: Action::Put(Shared::from("x".repeat(1_000).as_str())) }
    };
    let of = |table| Query::Range(Range { table, from: None, until: None, descending: false, rows_max: 432 });
    for table in [TableId::SESSIONS, TableId::TOKENS] {
        for batch in 0..10 {
            world.committed_all((0..60).map(|number| row(table, 60 * batch + number)).collect());
        }
    }
    world.hold(answers());
    let lists: Vec<u64> = ask_for_lists(&mut world, 100);
    assert_eq!(world.coordinator.reads().in_line(), 100 - 2 * LISTS_MAX);
    let sent = world.held();
    let entries: Vec<u64> = [TableId::SESSIONS, TableId::TOKENS].map(|table| ask_for(&mut world, of(table))).into();
    assert_eq!(world.held(), sent + 2, "both were asked at once");
    world.let_go();
    for id in entries {
        // What was reserved for the answer is what it keeps to.
        let Reply::Found(Answer::Rows { rows, more: true }) = world.take_reply(id) else { panic!("no rows") };
        let bytes: usize = rows.iter().map(|row| row.key.bytes.len() + row.value.len()).sum();
        assert!((200_000..=ENTRY_ANSWER_BYTES_MAX).contains(&bytes), "{bytes} bytes");
    }
    assert!(lists.iter().all(|id| world.is_answered(*id)));
    assert_eq!(world.coordinator.status().read_bytes, 0);
}

#[test]
fn a_list_without_room_is_refused_at_its_deadline() {
    let mut world = World::new(1);
    world.hold(answers());
    let lists: Vec<u64> = ask_for_lists(&mut world, LISTS_MAX + 5);
    world.patience_ends();
    let replies: Vec<&Reply> = lists.iter().map(|id| &world.replies[id]).collect();
    assert!(replies[..LISTS_MAX].iter().all(|reply| **reply == Reply::Refused(Refusal::Unavailable)), "{replies:?}");
    assert!(replies[LISTS_MAX..].iter().all(|reply| **reply == Reply::Refused(Refusal::Overloaded)), "{replies:?}");
    assert_eq!(world.coordinator.reads().in_line(), 0);
    // The answers are on their way still.
    assert_eq!(world.coordinator.status().read_bytes, (LISTS_MAX * ANSWER_BYTES_MAX) as u64);
    world.let_go();
    assert_eq!(world.coordinator.status().read_bytes, 0);
}

#[test]
fn a_member_that_is_gone_gives_its_room_back_and_its_reads_are_asked_of_another() {
    let mut world = World::new(2);
    world.write("a", "1");
    world.hold(answers());
    let lists: Vec<u64> = ask_for_lists(&mut world, 10);
    world.lose_held();
    world.stop_past_grace(W1);
    // Those of the one that stayed were asked in an earlier view.
    for id in lists {
        assert_eq!(world.take_rows(id), pairs(&[("a", "1")]));
    }
    world.stop(W2);
    assert_eq!(world.coordinator.status().read_bytes, 0);
}

#[test]
fn a_read_that_a_view_change_drops_gives_its_room_back() {
    let mut world = World::new(2);
    world.hold(votes());
    world.begin_write("a", "1");
    let waiting: Vec<u64> = ask_for_lists(&mut world, 4);
    assert!(waiting.iter().all(|id| !world.is_answered(*id)), "they wait for what is prepared");
    world.lose_held();
    world.report_doubt(W2);
    for id in waiting {
        assert_eq!(world.take_rows(id), pairs(&[("a", "1")]));
    }
    assert_eq!(world.coordinator.status().read_bytes, 0);
}
