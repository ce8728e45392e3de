//! A coordinator's reads by themselves: whom each is asked of, what waits, and that nothing is left of a read that has ended.

use alloc::vec;

use super::*;
use crate::operation::{Key, Range, Shared, TableId};

/// What comes out, in short.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Asked(u128),
    Replied(u64, Reply),
}

struct Scene {
    reads: Reads,
    asked: Vec<(NodeId, ReadId)>,
}

fn one() -> Query {
    Query::Keys(vec![Key::new(TableId(1), "a")])
}

/// As many rows as an answer can have.
fn list() -> Query {
    list_of(limits::ROWS_MAX)
}

fn list_of(rows_max: u32) -> Query {
    Query::Range(Range { table: TableId(1), from: None, until: None, descending: false, rows_max })
}

fn found() -> ReadResult {
    ReadResult::Found(Answer::Rows { rows: Vec::new(), more: false })
}

fn digest(sum: u128) -> Digest {
    Digest { records: 1, bytes: 1, sum }
}

fn refused(id: u64, refusal: Refusal) -> Said {
    Said::Replied(id, Reply::Refused(refusal))
}

fn replied(id: u64) -> Said {
    Said::Replied(id, Reply::Found(Answer::Rows { rows: Vec::new(), more: false }))
}

impl Scene {
    /// These members can be asked, in view 1.
    fn of(members: &[u128]) -> Self {
        Scene::bounded(members, Limits::SHIPPED)
    }

    fn bounded(members: &[u128], limits: Limits) -> Self {
        let mut scene = Scene { reads: Reads::new(limits, Rules::ALL), asked: Vec::new() };
        assert_eq!(scene.members(1, members, None), []);
        scene
    }

    /// What an input led to.
    fn said(&mut self, out: Vec<Output>) -> Vec<Said> {
        assert!(self.reads.is_within_bounds());
        let said = |output| match output {
            Output::Send { to, message: Message::Read(Read { read, .. }) } => {
                self.asked.push((to, read));
                Said::Asked(to.0)
            }
            Output::Reply { id, reply } => Said::Replied(id.0, reply),
            other => panic!("{other:?}"),
        };
        out.into_iter().map(said).collect()
    }

    fn input(&mut self, input: impl FnOnce(&mut Reads, &mut Vec<Output>)) -> Vec<Said> {
        let mut out = Vec::new();
        input(&mut self.reads, &mut out);
        self.said(out)
    }

    fn read(&mut self, id: u64, query: Query) -> Vec<Said> {
        let age = Age { stamp: 1, incarnation: crate::id::Incarnation(1) };
        self.input(|reads, out| reads.submit(RequestId(id), query, Consistency::Arrival, age, None, out))
    }

    fn compare(&mut self, id: u64) -> Vec<Said> {
        let age = Age { stamp: 1, incarnation: crate::id::Incarnation(1) };
        self.input(|reads, out| reads.submit_digests(RequestId(id), age, out))
    }

    fn members(&mut self, view: u64, members: &[u128], only: Option<u128>) -> Vec<Said> {
        let members: Vec<NodeId> = members.iter().copied().map(NodeId).collect();
        self.input(|reads, out| reads.set_members(ViewNumber(view), &members, only.map(NodeId), out))
    }

    fn gone(&mut self, node: u128) -> Vec<Said> {
        self.input(|reads, out| reads.disconnected(NodeId(node), out))
    }

    fn retry(&mut self) -> Vec<Said> {
        self.input(Reads::retry)
    }

    fn sweep(&mut self) -> Vec<Said> {
        self.input(|reads, out| reads.sweep(2, out))
    }

    /// The member answers the read that was asked as the `place`th of all. Says as well whether it waits for the retry timer.
    fn answer(&mut self, place: usize, result: ReadResult) -> (Vec<Said>, bool) {
        let (node, read) = self.asked[place];
        let mut waits = false;
        let said = self.input(|reads, out| waits = reads.answered(node, read, result, out));
        (said, waits)
    }

    /// Nothing waits, is under way or in line.
    fn is_at_rest(&self) -> bool {
        let Reads { reads, sent, waiting, lines, digests, under_way, .. } = &self.reads;
        reads.is_empty()
            && sent.is_empty()
            && waiting.is_empty()
            && lines.iter().all(VecDeque::is_empty)
            && digests.is_empty()
            && under_way.is_empty()
    }
}

#[test]
fn a_read_is_asked_and_its_answer_passed_on() {
    let mut scene = Scene::of(&[1]);
    assert_eq!(scene.read(7, one()), [Said::Asked(1)]);
    assert_eq!((scene.reads.len(), scene.reads.is_empty()), (1, false));
    assert_eq!(scene.reads.bytes_under_way(), limits::answer_bytes_max(&one()));
    assert_eq!(scene.answer(0, found()), (vec![replied(7)], false));
    assert_eq!((scene.reads.len(), scene.reads.is_empty()), (0, true));
    assert!(scene.is_at_rest());
}

#[test]
fn members_that_are_equally_busy_are_asked_in_turn() {
    let mut scene = Scene::of(&[1, 2, 3]);
    for place in 0..7 {
        assert_eq!(scene.read(place, one()), [Said::Asked(1 + u128::from(place) % 3)]);
        assert_eq!(scene.answer(place as usize, found()), (vec![replied(place)], false));
    }
}

#[test]
fn the_member_with_the_fewest_bytes_under_way_is_asked() {
    let mut scene = Scene::of(&[1, 2]);
    assert_eq!(scene.read(1, list()), [Said::Asked(1)]);
    for id in 2..5 {
        assert_eq!(scene.read(id, one()), [Said::Asked(2)], "single records take less");
    }
}

#[test]
fn while_replicas_differ_one_member_alone_is_asked() {
    let mut scene = Scene::of(&[1, 2]);
    assert_eq!(scene.members(1, &[1, 2], Some(2)), []);
    for id in 0..3 {
        assert_eq!(scene.read(id, one()), [Said::Asked(2)]);
    }
    assert_eq!(scene.members(1, &[1, 2], None), []);
    assert_eq!(scene.read(4, one()), [Said::Asked(1)]);
}

#[test]
fn a_read_waits_for_a_member() {
    let mut scene = Scene::of(&[]);
    assert_eq!(scene.read(1, one()), []);
    assert_eq!(scene.reads.in_line(), 0, "it waits for a member, not for room");
    assert_eq!(scene.members(2, &[1], None), [Said::Asked(1)]);
}

#[test]
fn one_read_more_than_may_be_held_is_refused() {
    let mut scene = Scene::bounded(&[1], Limits { requests_max: 2, ..Limits::SHIPPED });
    assert_eq!(scene.read(1, one()), [Said::Asked(1)]);
    assert_eq!(scene.read(2, one()), [Said::Asked(1)]);
    assert_eq!(scene.read(3, one()), [refused(3, Refusal::Overloaded)]);
    assert_eq!(scene.answer(0, found()), (vec![replied(1)], false));
    assert_eq!(scene.read(4, one()), [Said::Asked(1)]);
}

#[test]
fn what_no_answer_could_be_given_to_is_refused() {
    let key = |bytes: usize| Key { table: TableId(1), bytes: Shared::from(vec![7; bytes]) };
    let range = |from: usize, until: usize, rows_max| {
        let bound = |bytes: usize| Some(Shared::from(vec![7; bytes]));
        Query::Range(Range { table: TableId(1), from: bound(from), until: bound(until), descending: false, rows_max })
    };
    let (keys_max, bytes_max, rows_max) = (limits::READ_KEYS_MAX, limits::KEY_BYTES_MAX, limits::ROWS_MAX);
    let behind = bytes_max + 1;
    for (query, valid) in [
        (Query::Keys(vec![]), false),
        (Query::Keys(vec![key(1); keys_max]), true),
        (Query::Keys(vec![key(1); keys_max + 1]), false),
        (Query::Keys(vec![key(bytes_max)]), true),
        (Query::Keys(vec![key(1), key(bytes_max + 1)]), false),
        (range(1, 1, 0), false),
        (range(1, 1, 1), true),
        (range(1, 1, rows_max), true),
        (range(1, 1, rows_max + 1), false),
        (range(behind, behind, 1), true),
        (range(behind + 1, 1, 1), false),
        (range(1, behind + 1, 1), false),
        (Query::Digest, false),
    ] {
        let mut scene = Scene::of(&[1]);
        let expected = if valid { Said::Asked(1) } else { refused(1, Refusal::Invalid) };
        assert_eq!(scene.read(1, query.clone()), [expected], "{query:?}");
    }
}

/// Lists that have room at one member.
const LISTS_MAX: u64 = Limits::SHIPPED.range_bytes_under_way_max() / limits::ANSWER_BYTES_MAX as u64;

#[test]
fn what_has_no_room_waits_in_line_and_is_asked_in_its_order() {
    let mut scene = Scene::of(&[1]);
    for id in 0..LISTS_MAX {
        assert_eq!(scene.read(id, list()), [Said::Asked(1)]);
    }
    assert_eq!(scene.read(100, list()), []);
    assert_eq!(scene.read(101, list_of(1)), [], "there is room, and one before it");
    assert_eq!(scene.read(102, list()), []);
    assert_eq!(scene.reads.in_line(), 3);
    assert_eq!(scene.read(103, one()), [Said::Asked(1)], "another line");
    let last = LISTS_MAX as usize;
    assert_eq!(scene.answer(last, found()).0, [replied(103)], "a single record makes no room for a list");
    assert_eq!(scene.answer(0, found()).0, [replied(0), Said::Asked(1)]);
    assert_eq!(scene.reads.in_line(), 2);
    assert_eq!(scene.answer(1, found()).0, [replied(1), Said::Asked(1)], "the short one, and no room for the next");
    assert_eq!(scene.answer(2, found()).0, [replied(2), Said::Asked(1)]);
    assert_eq!(scene.reads.in_line(), 0);
    for (place, id) in (last + 1..).zip(100..103) {
        assert_eq!(scene.answer(place, found()).0, [replied(id)]);
    }
}

#[test]
fn a_read_that_must_be_asked_again_waits_for_the_timer() {
    for result in [ReadResult::Stale, ReadResult::Damaged, ReadResult::Older { stamp: 1 }] {
        let mut scene = Scene::of(&[1]);
        scene.read(1, one());
        assert_eq!(scene.answer(0, result), (vec![], true));
        assert_eq!(scene.members(1, &[1], None), [], "nothing has changed, so it keeps to its pause");
        assert_eq!(scene.retry(), [Said::Asked(1)]);
        assert_eq!(scene.answer(1, found()), (vec![replied(1)], false));
        assert!(scene.is_at_rest());
    }
}

#[test]
fn a_worker_that_holds_too_many_reads_refuses_one_for_good() {
    let mut scene = Scene::of(&[1]);
    scene.read(1, one());
    assert_eq!(scene.answer(0, ReadResult::Overloaded), (vec![refused(1, Refusal::Overloaded)], false));
    assert!(scene.is_at_rest());
}

#[test]
fn an_answer_after_the_deadline_changes_nothing() {
    for result in [ReadResult::Stale, found()] {
        let mut scene = Scene::of(&[1]);
        scene.read(1, one());
        assert_eq!(scene.sweep(), []);
        assert_eq!(scene.sweep(), [refused(1, Refusal::Unavailable)]);
        assert_eq!(scene.answer(0, result), (vec![], false), "it does not wait for the timer");
        assert!(scene.is_at_rest());
    }
}

#[test]
fn a_lost_connection_has_its_reads_asked_of_another_member() {
    let mut scene = Scene::of(&[1, 2]);
    assert_eq!(scene.read(1, one()), [Said::Asked(1)]);
    assert_eq!(scene.read(2, one()), [Said::Asked(2)]);
    assert_eq!(scene.gone(1), []);
    assert_eq!(scene.members(1, &[2], None), [Said::Asked(2)], "the other one is under way still");
    assert_eq!(scene.answer(1, found()), (vec![replied(2)], false));
    assert_eq!(scene.answer(2, found()), (vec![replied(1)], false));
    assert!(scene.is_at_rest());
}

#[test]
fn a_lost_connection_leaves_nothing_of_a_read_that_has_ended() {
    let mut scene = Scene::of(&[1]);
    scene.read(1, one());
    assert_eq!(scene.sweep(), []);
    assert_eq!(scene.sweep(), [refused(1, Refusal::Unavailable)]);
    assert_eq!(scene.gone(1), []);
    assert!(scene.is_at_rest());
}

#[test]
fn what_was_asked_in_an_earlier_view_is_asked_again() {
    let mut scene = Scene::of(&[1]);
    scene.read(1, one());
    assert_eq!(scene.members(2, &[1], None), [Said::Asked(1)]);
    assert_eq!(scene.answer(0, found()), (vec![], false), "it does not count any more");
    assert_eq!(scene.answer(1, found()), (vec![replied(1)], false));
    assert!(scene.is_at_rest());
}

#[test]
fn what_was_asked_of_a_member_that_cannot_be_asked_any_more_is_asked_again() {
    for (members, asked) in [(&[2][..], 2), (&[2, 3], 3)] {
        let mut scene = Scene::of(&[1, 2]);
        assert_eq!(scene.read(1, one()), [Said::Asked(1)]);
        assert_eq!(scene.members(1, members, None), [Said::Asked(asked)]);
    }
}

#[test]
fn a_member_that_can_be_asked_again_is() {
    let mut scene = Scene::of(&[1]);
    assert_eq!(scene.members(1, &[1, 2], None), []);
    assert_eq!(scene.read(1, one()), [Said::Asked(1)]);
    assert_eq!(scene.read(2, one()), [Said::Asked(2)]);
}

#[test]
fn a_comparison_asks_every_member_and_gives_what_was_found() {
    let mut scene = Scene::of(&[1, 2]);
    assert_eq!(scene.compare(1), [Said::Asked(1), Said::Asked(2)]);
    assert_eq!(scene.answer(1, ReadResult::Found(Answer::Digest(digest(8)))), (vec![], false));
    let digests = vec![(NodeId(1), digest(7)), (NodeId(2), digest(8))];
    let reply = Reply::Digests { view: ViewNumber(1), digests };
    assert_eq!(scene.answer(0, ReadResult::Found(Answer::Digest(digest(7)))), (vec![Said::Replied(1, reply)], false));
    assert!(scene.is_at_rest());
}

#[test]
fn a_comparison_ends_without_those_that_do_not_answer() {
    let found = Reply::Digests { view: ViewNumber(1), digests: vec![(NodeId(1), digest(7))] };
    let heard = |scene: &mut Scene| {
        scene.compare(1);
        assert_eq!(scene.answer(0, ReadResult::Found(Answer::Digest(digest(7)))), (vec![], false));
    };
    let mut refused = Scene::of(&[1, 2]);
    heard(&mut refused);
    assert_eq!(refused.answer(1, ReadResult::Stale), (vec![Said::Replied(1, found.clone())], false));
    let mut lost = Scene::of(&[1, 2]);
    heard(&mut lost);
    assert_eq!(lost.gone(2), [Said::Replied(1, found.clone())]);
    let mut late = Scene::of(&[1, 2]);
    heard(&mut late);
    assert_eq!(late.sweep(), []);
    assert_eq!(late.sweep(), [Said::Replied(1, found)]);
    assert_eq!(late.answer(1, ReadResult::Stale), (vec![], false));
    for scene in [refused, lost, late] {
        assert!(scene.is_at_rest());
    }
}

#[test]
fn there_is_nothing_to_compare_without_members() {
    assert_eq!(Scene::of(&[]).compare(1), [refused(1, Refusal::Unavailable)]);
}

#[test]
fn what_is_late_in_line_hears_that_there_was_no_room() {
    let mut scene = Scene::of(&[1]);
    (0..=LISTS_MAX).for_each(|id| drop(scene.read(id, list())));
    assert_eq!(scene.sweep(), []);
    let said = scene.sweep();
    let sent = (0..LISTS_MAX).map(|id| refused(id, Refusal::Unavailable));
    assert_eq!(said, sent.chain([refused(LISTS_MAX, Refusal::Overloaded)]).collect::<Vec<_>>());
    assert_eq!(scene.reads.in_line(), 0);
}

#[test]
fn more_bytes_under_way_than_may_be_are_a_violation() {
    let mut scene = Scene::of(&[1]);
    scene.read(1, list());
    // The same bytes, sent and counted alike.
    let bytes = scene.reads.limits.read_bytes_under_way_max + 1;
    scene.reads.sent.values_mut().for_each(|sent| sent.bytes = bytes);
    scene.reads.under_way.insert(NodeId(1), bytes);
    assert!(!scene.reads.is_within_bounds());
    scene.reads.sent.values_mut().for_each(|sent| sent.bytes -= 1);
    scene.reads.under_way.insert(NodeId(1), bytes - 1);
    assert!(scene.reads.is_within_bounds());
}

#[test]
fn bytes_that_are_counted_and_not_sent_are_a_violation() {
    let mut scene = Scene::of(&[1]);
    scene.read(1, one());
    *scene.reads.under_way.get_mut(&NodeId(1)).expect("it was asked") += 1;
    assert!(!scene.reads.is_within_bounds());
}
