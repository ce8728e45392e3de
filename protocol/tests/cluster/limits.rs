//! Bounds that are met: what is one too many is refused and leaves nothing behind, and what a bound makes a machine forget changes
//! nothing of what clients hear.

use skein_protocol::id::Age;
use skein_protocol::limits::Limits;
use skein_protocol::message::Prepare;

use super::world::*;

/// So many workers and a coordinator, which hold so much and keep these rules.
fn world(workers: usize, limits: Limits, rules: Rules) -> World {
    World::set_up(Setup { workers, limits, rules, ..Setup::default() })
}

#[test]
fn a_request_that_is_one_too_many_leaves_its_key_to_others() {
    let written = |rules| {
        let mut world = world(1, Limits { requests_max: 1, ..Limits::SHIPPED }, rules);
        world.hold(votes());
        let first = world.begin_write("a", "1");
        assert_eq!(world.commit(vec![put("b", "1")]), Reply::Refused(Refusal::Overloaded));
        world.let_go();
        assert!(world.is_committed(first));
        let second = world.begin_write("b", "2");
        world.is_committed(second)
    };
    assert!(written(Rules::ALL));
    assert!(!written(Rules::without(Omission::RefusedQueues)));
}

#[test]
fn a_strict_read_that_is_one_too_many_leaves_no_lock() {
    let written = |rules| {
        let mut world = world(1, Limits { reads_waiting_max: 1, ..Limits::SHIPPED }, rules);
        world.hold(decisions());
        let first = world.begin_write("a", "1");
        // Reads are older than what is written later, so they wait for it; and one of them may.
        let reads = [(); 2].map(|()| world.begin_read(keys(&["a"]), Consistency::Arrival));
        let strict = world.begin_read(keys(&["b"]), Consistency::Strict);
        for refused in [reads[1], strict] {
            assert_eq!(world.take_reply(refused), Reply::Refused(Refusal::Overloaded));
        }
        world.let_go();
        assert!(world.is_committed(first));
        assert_eq!(world.take_rows(reads[0]), pairs(&[("a", "1")]));
        let second = world.begin_write("b", "2");
        world.is_committed(second)
    };
    assert!(written(Rules::ALL));
    assert!(!written(Rules::without(Omission::RefusedHolds)));
}

#[test]
fn what_a_view_settled_is_told_though_the_oldest_outcomes_are_forgotten() {
    let told = |rules| {
        let mut world = world(2, Limits { outcomes_remembered_max: 1, ..Limits::SHIPPED }, rules);
        world.lose(votes());
        let ids = ["a", "b", "c"].map(|name| world.begin_write(name, "1"));
        world.lose_nothing();
        world.report_doubt(W1);
        assert_eq!(world.read_all().len(), 3, "the view has committed them");
        // An attempt that is tried again writes its record once more.
        ids.map(|id| world.txn_of(id).sequence)
    };
    assert_eq!(told(Rules::ALL), [1, 2, 3]);
    assert_ne!(told(Rules::without(Omission::SettledFromMemory)), [1, 2, 3]);
}

#[test]
fn a_prepare_that_is_one_too_many_is_tried_again_and_given_up_at_last() {
    let mut world = world(1, Limits { prepares_waiting_max: 1, attempts_max: 2, ..Limits::SHIPPED }, Rules::ALL);
    // Somebody else's transactions hold the key, and wait for it.
    let prepare = |sequence: u64, stamp: u64| {
        let txn = TxnId { incarnation: Incarnation(9), sequence };
        let age = Age { stamp, incarnation: Incarnation(9) };
        Message::Prepare(Prepare { txn, age, view: ViewNumber(1), operations: vec![put("a", "x")], trace: None })
    };
    for (sequence, stamp) in [(1, u64::from(u32::MAX)), (2, 1)] {
        world.hear(W1, COORDINATOR, prepare(sequence, stamp));
    }
    assert_eq!(world.worker(W1).waiting().len(), 1);
    let late = world.begin_write("a", "2");
    assert!(!world.is_answered(late), "it is tried again");
    world.retry();
    assert!(matches!(world.replies[&late], Reply::Aborted { reason: AbortReason::Contention, .. }));
}

#[test]
fn copies_in_the_smallest_chunks_come_to_their_end() {
    let limits =
        Limits { chunk_records_max: 1, chunk_records_busy: 1, chunk_bytes_max: 1, chunks_under_way_max: 1, ..Limits::SHIPPED };
    let mut world = world(2, limits, Rules::ALL);
    let names = ["a", "b", "c", "d"];
    for name in names {
        world.write(name, "1");
    }
    world.stop_past_grace(W2);
    assert_eq!(world.members(), [W1]);
    world.replace(W2, W3);
    (0..4).for_each(|_| world.admit());
    assert_eq!(world.members(), [W1, W3]);
    assert_eq!(world.records_at(W3), names.len());
}
