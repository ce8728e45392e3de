//! How much a replica may hold. Everything counts against the memory bound, except the first bytes of a few tables that have room
//! of their own: with them people and programs get in, and the cluster keeps its books, so that a store that is full can still be
//! emptied. What such a table holds beyond its own room counts like the rest, and may then pass the bound by as much again.
//! Transactions that remove something may pass it by a little too. The areas beyond the bound lie one behind the other, the cluster's
//! own rows last, so that none of the others can take the room away without which nothing would be sent any more.
//!
//! ```text
//!                                     bound
//!  | what counts: all other tables ... | deletes | sessions | tokens | the cluster's rows |
//!  | not counted: sessions, tokens, the cluster's rows, each up to its own room
//! ```

use crate::limits::{self, Limits};
use crate::operation::{Action, Key, Operation, TableId};
use crate::record::Stored;
use crate::store::RECORD_OVERHEAD_BYTES;

/// The tables with room of their own, in the order of their areas beyond the bound.
const TABLES: [TableId; 3] = [TableId::SESSIONS, TableId::TOKENS, TableId::HOUSEKEEPING];

/// The part of the bound that is kept beyond it for deletes, and the part that the sessions' table has of its own.
const RESERVE_PART: u64 = 64;

/// The part of a small bound that is left when it counts as full; a large one leaves the largest transaction.
const MARGIN_PART: u64 = 8;

/// Bytes of records, in all and in each table that has room of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    all: u64,
    own: [u64; TABLES.len()],
}

/// The memory bound of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Room {
    bytes_max: u64,
    /// Bytes that each table has of its own.
    own: [u64; TABLES.len()],
}

impl Usage {
    /// Bytes that a transaction may add: those of all its puts.
    #[must_use]
    pub fn of_puts(operations: &[Operation]) -> Self {
        let mut usage = Usage::default();
        for operation in operations {
            if let Action::Put(value) = &operation.action {
                usage.add(&operation.key, value.len());
            }
        }
        usage
    }

    /// One more record, with a value of so many bytes.
    pub fn add(&mut self, key: &Key, value_bytes: usize) {
        let bytes = bytes(key, value_bytes);
        self.all += bytes;
        if let Some(place) = place(key.table) {
            self.own[place] += bytes;
        }
    }

    /// One record less.
    pub fn remove(&mut self, key: &Key, stored: &Stored) {
        let bytes = bytes(key, stored.value.len());
        self.all -= bytes;
        if let Some(place) = place(key.table) {
            self.own[place] -= bytes;
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Usage) -> Self {
        self.all += other.all;
        self.own.iter_mut().zip(other.own).for_each(|(own, other)| *own += other);
        self
    }

    /// What is left without the other, which is a part of it.
    #[must_use]
    pub fn minus(mut self, other: &Usage) -> Self {
        self.all -= other.all;
        self.own.iter_mut().zip(other.own).for_each(|(own, other)| *own -= other);
        self
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.all == 0
    }
}

impl Room {
    /// The room under a bound of so many bytes.
    #[must_use]
    pub fn new(bytes_max: u64, limits: &Limits) -> Self {
        let own = TABLES.map(|table| match table {
            TableId::SESSIONS => limits.sessions_bytes_min.max(bytes_max / RESERVE_PART),
            TableId::TOKENS => limits.tokens_bytes_max,
            _ => limits.housekeeping_bytes_max,
        });
        Room { bytes_max, own }
    }

    /// Bytes that count against the bound.
    #[must_use]
    pub fn counted(&self, usage: &Usage) -> u64 {
        let own = usage.own.iter().enumerate();
        usage.all - own.map(|(place, bytes)| self.own[place].min(*bytes)).sum::<u64>()
    }

    /// Whether it is full: less is left than the largest transaction needs. This is what *full* means everywhere, in the refusal, on
    /// the pages, in the metrics and in the alert.
    #[must_use]
    pub fn is_full(&self, usage: &Usage) -> bool {
        let margin = limits::TRANSACTION_BYTES_MAX as u64 + limits::OPERATIONS_MAX as u64 * RECORD_OVERHEAD_BYTES;
        self.counted(usage) + margin.min(self.bytes_max / MARGIN_PART) >= self.bytes_max
    }

    /// Whether these operations may be carried out, of which one removes something that is there or none does.
    #[must_use]
    pub fn admits(&self, operations: &[Operation], removes: bool, before: &Usage, after: &Usage) -> bool {
        let counted = self.counted(after);
        let fits = !self.is_full(before) && counted <= self.bytes_max;
        fits || counted <= self.counted(before) || counted <= self.beyond(operations, removes)
    }

    /// How far these operations may fill it when it is full; nothing if they may not.
    fn beyond(&self, operations: &[Operation], removes: bool) -> u64 {
        let part = self.bytes_max + self.bytes_max / RESERVE_PART;
        let puts = operations.iter().filter(|operation| matches!(operation.action, Action::Put(_)));
        // Of several tables the first one's area counts; one without an area comes before all of them.
        match puts.map(|operation| place(operation.key.table)).min().flatten() {
            Some(last) => part + self.own[..=last].iter().sum::<u64>(),
            None if removes => part,
            None => 0,
        }
    }
}

fn place(table: TableId) -> Option<usize> {
    TABLES.iter().position(|own| *own == table)
}

fn bytes(key: &Key, value_bytes: usize) -> u64 {
    (key.bytes.len() + value_bytes) as u64 + RECORD_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Expect, Shared};
    use alloc::vec;
    use alloc::vec::Vec;

    const BOUND: u64 = 4 << 20;
    const OTHER: TableId = TableId(3);

    fn put(table: TableId, bytes: usize) -> Vec<Operation> {
        let action = Action::Put(Shared::from(vec![0; bytes]));
        vec![Operation { key: Key::new(table, "k"), expect: Expect::Any, action }]
    }

    /// Puts values of so many bytes until one is refused; says how many were taken.
    fn fill(room: Room, usage: &mut Usage, table: TableId, bytes: usize) -> usize {
        let operations = put(table, bytes);
        let more = Usage::of_puts(&operations);
        let mut taken = 0;
        while room.admits(&operations, false, usage, &usage.plus(&more)) {
            *usage = usage.plus(&more);
            taken += 1;
            assert!(taken < 1_000_000, "it never fills");
        }
        taken
    }

    #[test]
    fn what_is_full_takes_nothing_and_what_is_not_takes_the_largest_transaction() {
        let (room, mut usage) = (Room::new(BOUND, &Limits::SHIPPED), Usage::default());
        let small = put(OTHER, 100);
        let one = Usage::of_puts(&small);
        let largest = Usage::of_puts(&put(OTHER, limits::TRANSACTION_BYTES_MAX));
        while !room.is_full(&usage) {
            assert!(room.admits(&small, false, &usage, &usage.plus(&one)));
            assert!(room.admits(&small, false, &usage, &usage.plus(&largest)), "{usage:?}");
            usage = usage.plus(&one);
        }
        assert!(!room.admits(&small, false, &usage, &usage.plus(&one)));
        assert!(room.counted(&usage) <= BOUND);
    }

    #[test]
    fn a_full_store_lets_people_and_programs_in_and_keeps_its_books() {
        let (room, mut usage) = (Room::new(BOUND, &Limits::SHIPPED), Usage::default());
        fill(room, &mut usage, OTHER, 1_000);
        assert!(room.is_full(&usage));
        let counted = room.counted(&usage);
        let sessions = fill(room, &mut usage.clone(), TableId::SESSIONS, 100);
        // No table takes room from another's area.
        fill(room, &mut usage, TableId::SESSIONS, 100);
        assert!(sessions > 6_000, "only {sessions} sessions");
        assert!(fill(room, &mut usage, TableId::TOKENS, 300) >= 256);
        assert!(fill(room, &mut usage, TableId::HOUSEKEEPING, 100) > 6_000);
        let deletes = [put(OTHER, 1_000), put(TableId(4), 100)].concat();
        assert!(!room.admits(&deletes, false, &usage, &usage.plus(&Usage::of_puts(&deletes))));
        // The first bytes of each don't count, the others do.
        assert!(room.counted(&usage) > counted);
    }

    #[test]
    fn rows_of_an_area_of_their_own_take_no_room_away_from_deletes() {
        let (room, mut usage) = (Room::new(BOUND, &Limits::SHIPPED), Usage::default());
        fill(room, &mut usage, OTHER, 1_000);
        let session = Usage::of_puts(&put(TableId::SESSIONS, 100));
        for _ in 0..3_000 {
            usage = usage.plus(&session);
        }
        let noted = put(TableId(4), 100);
        assert!(room.admits(&noted, true, &usage, &usage.plus(&Usage::of_puts(&noted))));
        assert!(!room.admits(&noted, false, &usage, &usage.plus(&Usage::of_puts(&noted))));
    }

    #[test]
    fn many_sessions_from_before_leave_as_much_room_for_those_that_come_when_it_is_full() {
        let (room, mut usage) = (Room::new(BOUND, &Limits::SHIPPED), Usage::default());
        let session = Usage::of_puts(&put(TableId::SESSIONS, 100));
        for _ in 0..8_000 {
            usage = usage.plus(&session);
        }
        fill(room, &mut usage, OTHER, 1_000);
        assert!(fill(room, &mut usage, TableId::SESSIONS, 100) > 6_000);
        assert!(fill(room, &mut usage, TableId::TOKENS, 300) >= 256);
        assert!(fill(room, &mut usage, TableId::HOUSEKEEPING, 100) > 6_000);
    }

    #[test]
    fn a_transaction_over_several_tables_goes_only_as_far_as_the_least_of_them() {
        let (room, mut usage) = (Room::new(BOUND, &Limits::SHIPPED), Usage::default());
        fill(room, &mut usage, OTHER, 1_000);
        for other in [OTHER, TableId(1)] {
            let both = [put(TableId::SESSIONS, 100), put(other, 100)].concat();
            assert!(!room.admits(&both, false, &usage, &usage.plus(&Usage::of_puts(&both))));
        }
    }
}
