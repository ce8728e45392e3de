//! The bounds that decide what happens under load: what a machine holds at once, and how much of it is under way. They are a part of
//! its settings, with the constants of [`super`] in everything that ships. A simulation draws them small, so that each is met in
//! runs of a few hundred requests: a bound that is never met may refuse as it likes.

use core::hash::{Hash, Hasher};

use super::{
    ANSWER_BYTES_MAX, ATTEMPTS_MAX, CHUNK_BYTES_MAX, CHUNK_RECORDS_BUSY, CHUNK_RECORDS_MAX, CHUNKS_UNDER_WAY_MAX,
    HOUSEKEEPING_BYTES_MAX, KEY_BYTES_MAX, OPERATIONS_IN_FLIGHT_MAX, OUTCOMES_REMEMBERED_MAX, PREPARES_WAITING_MAX,
    READ_BYTES_UNDER_WAY_MAX, READ_KEYS_MAX, READS_WAITING_MAX, REQUESTS_MAX, SESSIONS_BYTES_MIN, TOKENS_BYTES_MAX,
    TRANSACTION_BYTES_IN_FLIGHT_MAX, VALUE_BYTES_MAX,
};

/// What a machine may hold and have under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At a coordinator: transactions of clients, and as many reads. More are refused as [`crate::step::Refusal::Overloaded`].
    pub requests_max: usize,
    /// Operations of all transactions under way; one more may begin below it. The others wait.
    pub operations_in_flight_max: usize,
    /// Bytes of keys and values of all transactions under way; one more may begin below it. The others wait.
    pub transaction_bytes_in_flight_max: usize,
    /// Times that a transaction is tried; then its client hears *aborted*.
    pub attempts_max: u8,
    /// Outcomes that a coordinator remembers; the oldest are forgotten.
    pub outcomes_remembered_max: usize,
    /// Bytes of the answers to reads under way from one worker. The others wait within their deadline.
    pub read_bytes_under_way_max: u64,
    /// At a worker: reads that wait. More are refused as [`crate::step::Refusal::Overloaded`].
    pub reads_waiting_max: usize,
    /// At a worker: prepares that wait. More are refused, and tried again.
    pub prepares_waiting_max: usize,
    /// Records of one chunk of a copy.
    pub chunk_records_max: usize,
    /// The same while transactions are under way.
    pub chunk_records_busy: usize,
    /// Bytes of one chunk; the first record goes in whatever its size.
    pub chunk_bytes_max: usize,
    /// Chunks of one copy that are under way at once; while transactions are, one.
    pub chunks_under_way_max: usize,
    /// Bytes of the cluster's own rows that don't count against a worker's memory bound, and as many by which they may pass it.
    pub housekeeping_bytes_max: u64,
    /// The same for the rows that let people in, at the least.
    pub sessions_bytes_min: u64,
    /// The same for the rows that let programs in.
    pub tokens_bytes_max: u64,
}

impl Limits {
    /// What ships.
    pub const SHIPPED: Limits = Limits {
        requests_max: REQUESTS_MAX,
        operations_in_flight_max: OPERATIONS_IN_FLIGHT_MAX,
        transaction_bytes_in_flight_max: TRANSACTION_BYTES_IN_FLIGHT_MAX,
        attempts_max: ATTEMPTS_MAX,
        outcomes_remembered_max: OUTCOMES_REMEMBERED_MAX,
        read_bytes_under_way_max: READ_BYTES_UNDER_WAY_MAX,
        reads_waiting_max: READS_WAITING_MAX,
        prepares_waiting_max: PREPARES_WAITING_MAX,
        chunk_records_max: CHUNK_RECORDS_MAX,
        chunk_records_busy: CHUNK_RECORDS_BUSY,
        chunk_bytes_max: CHUNK_BYTES_MAX,
        chunks_under_way_max: CHUNKS_UNDER_WAY_MAX,
        housekeeping_bytes_max: HOUSEKEEPING_BYTES_MAX,
        sessions_bytes_min: SESSIONS_BYTES_MIN,
        tokens_bytes_max: TOKENS_BYTES_MAX,
    };

    /// The fewest bytes of answers that may be under way: the longest answer must fit, or its read would never be sent.
    pub const READ_BYTES_MIN: u64 = {
        let keys = (READ_KEYS_MAX * (KEY_BYTES_MAX + VALUE_BYTES_MAX)) as u64;
        let range = (ANSWER_BYTES_MAX as u64).div_ceil(3) * 4;
        if keys > range { keys } else { range }
    };

    /// Bytes of answers that may be under way when a read of a range is sent: long lists leave room for single records, and for
    /// the short lists with which people and programs get in.
    #[must_use]
    pub const fn range_bytes_under_way_max(&self) -> u64 {
        self.read_bytes_under_way_max / 4 * 3
    }

    /// Fails at once where a machine would stand still later: where a bound leaves no room for a single request.
    ///
    /// # Panics
    /// If one of them does not stand in the relation to the others that its machine depends on.
    pub const fn assert_sound(&self) {
        assert!(self.requests_max > 0, "a coordinator takes at least one request");
        assert!(self.operations_in_flight_max > 0, "a transaction may be under way");
        assert!(self.transaction_bytes_in_flight_max > 0, "a transaction may be under way");
        assert!(self.attempts_max > 0, "a transaction is tried at least once");
        assert!(self.outcomes_remembered_max > 0, "an outcome is remembered at least");
        assert!(self.read_bytes_under_way_max >= Limits::READ_BYTES_MIN, "the longest answer fits into what may be under way");
        assert!(self.reads_waiting_max > 0, "a read may wait");
        assert!(self.prepares_waiting_max > 0, "a prepare may wait");
        assert!(self.chunk_records_busy > 0, "a chunk has a record");
        assert!(self.chunk_records_busy <= self.chunk_records_max, "chunks are smaller while transactions are under way");
        assert!(self.chunks_under_way_max > 0, "a chunk may be under way");
    }
}

const _: () = Limits::SHIPPED.assert_sound();

impl Default for Limits {
    fn default() -> Self {
        Limits::SHIPPED
    }
}

/// They never change, so they tell no two states of a machine apart.
impl Hash for Limits {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_answer_to_either_kind_of_read_fits_into_the_least_room() {
        let least = Limits { read_bytes_under_way_max: Limits::READ_BYTES_MIN, ..Limits::SHIPPED };
        least.assert_sound();
        assert!(least.range_bytes_under_way_max() >= ANSWER_BYTES_MAX as u64);
    }

    #[test]
    #[should_panic(expected = "the longest answer fits")]
    fn room_for_no_answer_is_refused_at_once() {
        Limits { read_bytes_under_way_max: Limits::READ_BYTES_MIN - 1, ..Limits::SHIPPED }.assert_sound();
    }
}
