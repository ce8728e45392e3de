//! The bounds of everything that a client or a peer can make large. Surfaces check them before a request is made, so
//! that their error can name the field; the core checks them again and refuses with [`crate::step::Refusal::Invalid`].

use crate::operation::{Query, Range};

mod under_load;

pub use under_load::Limits;

/// Bytes of one key, its table not counted.
pub const KEY_BYTES_MAX: usize = 512;

/// Bytes of one value. Small enough that a prepared record stays within a page of the log; larger things are chunked.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Operations of one transaction.
pub const OPERATIONS_MAX: usize = 64;

/// Bytes of all keys and values of one transaction: a quarter of the log's segment, less room for the record's frame.
pub const TRANSACTION_BYTES_MAX: usize = 96 * 1024;

/// Rows of one answer.
pub const ROWS_MAX: u32 = 1_000;

/// Bytes of keys and values of one answer; a range read that would be longer stops early and says that there is more.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The same for the tables of the rows that let people and programs in: the rows are small, there are a few hundred of each kind that
/// are read together, and a log-in must not wait until there is room for a long list.
pub const ENTRY_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Keys of one read. All their records go into one answer, whatever their size, so that they are of one moment.
pub const READ_KEYS_MAX: usize = 32;

/// Bytes of the answers to reads that may be under way from one worker to one coordinator. They wait in the worker's queue to that
/// coordinator, so this is well below what such a queue holds.
pub const READ_BYTES_UNDER_WAY_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of keys and values that the answer to this may have.
#[must_use]
pub fn answer_bytes_max(query: &Query) -> u64 {
    let row = KEY_BYTES_MAX + VALUE_BYTES_MAX;
    let bytes = match query {
        Query::Keys(keys) => keys.len() * row,
        Query::Range(range) => (range.rows_max as usize).saturating_mul(row).min(range_bytes_max(range)),
        Query::Digest => 0,
    };
    bytes as u64
}

/// Bytes after which the answer to a read of this range ends, though there is more.
#[must_use]
pub fn range_bytes_max(range: &Range) -> usize {
    if range.table.lets_in() { ENTRY_ANSWER_BYTES_MAX } else { ANSWER_BYTES_MAX }
}

/// Bytes of the cluster's own rows that don't count against a worker's memory bound, and as many by which they may pass it. Without
/// these rows nothing can be forgotten, and at last nothing be sent any more, not even the deletes that would make room.
pub const HOUSEKEEPING_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The same for the rows that let people in, at the least; a worker with a large bound has a part of that. Some six thousand.
pub const SESSIONS_BYTES_MIN: u64 = 2 * 1024 * 1024;

/// The same for the rows that let programs in. There are a few hundred at the most, of a few hundred bytes.
pub const TOKENS_BYTES_MAX: u64 = 256 * 1024;

/// Transactions of one coordinator that workers can't forget yet, unless its settings say otherwise: they are not yet known to be
/// applied everywhere, or their clients heard *unknown* and may ask. It bounds the outcomes that a view change carries (about ten
/// bytes each) and what workers remember.
pub const IN_FLIGHT_MAX: usize = 32 * 1024;

/// Operations of all these transactions. A report of what a worker holds prepared has a version for each, up to ten bytes, and is one
/// message.
pub const OPERATIONS_IN_FLIGHT_MAX: usize = 256 * 1024;

/// Bytes of keys and values of all these transactions; one more may begin below it. They wait in the coordinator's queue to each worker.
pub const TRANSACTION_BYTES_IN_FLIGHT_MAX: usize = 16 * 1024 * 1024;

/// Requests of clients that one coordinator holds at once, those waiting for a key or a view included.
pub const REQUESTS_MAX: usize = 16 * 1024;

/// Requests that write only rows of the cluster itself, beyond those of clients.
pub const OWN_REQUESTS_MAX: usize = 64;

/// Reads that wait at one worker for prepared transactions or locks.
pub const READS_WAITING_MAX: usize = 16 * 1024;

/// Prepares that wait at one worker for a lock.
pub const PREPARES_WAITING_MAX: usize = 16 * 1024;

/// Members of one view.
pub const MEMBERS_MAX: usize = 32;

/// Times that a coordinator tries a transaction before it gives up and says so: refusals by older ones and view changes count.
pub const ATTEMPTS_MAX: u8 = 32;

/// Outcomes that a coordinator remembers of its transactions after they have ended, for those who ask later.
pub const OUTCOMES_REMEMBERED_MAX: usize = 64 * 1024;

/// Records of one chunk of a copy.
pub const CHUNK_RECORDS_MAX: usize = 1_000;

/// Records of one chunk while transactions are under way: few, since a learner's vote waits for what its log has before it.
pub const CHUNK_RECORDS_BUSY: usize = 32;

/// Bytes of one chunk of a copy; the first record goes in whatever its size.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Chunks of one copy that are under way at once; while transactions are, one.
pub const CHUNKS_UNDER_WAY_MAX: usize = 4;

/// The greatest age stamp that a node believes another to have seen: microseconds far beyond any clock, far below the end of
/// the numbers.
pub const STAMP_MAX: u64 = 1 << 60;
