//! The formats of what outlives a program or goes from one program to another, all in one place. A program reads the formats in
//! the range and writes the last one. Whoever changes what is written raises the number here, keeps what reads the formats
//! before, and adds a fixture (`runtime/tests/fixtures`, `fuzz/corpus/frames`).
//!
//! What a program does that meets a newer format: it says which it found and which it knows, and changes nothing. A worker and a
//! coordinator do not start; a log is neither set aside nor passed over for an older one, since the newer program can still
//! read it. A connection is closed before anything is taken from it. The formats of rows are the coordinator's
//! (`coordinator/src/store/tables.rs`).

use std::ops::RangeInclusive;

/// The log on disk. Format 3 does not say which coordinator sealed a worker, and format 4 not whether the copy was outvoted.
pub const LOG: RangeInclusive<u32> = 3..=5;

/// The control store on disk. Format 4 does not say which coordinator announced a view.
pub const CONTROL: RangeInclusive<u32> = 4..=5;

/// The protocol between nodes: frames, handshake and messages together. Both ends speak the same version, or not to each other.
pub const PROTOCOL_VERSION: u8 = 5;
