//! The tables of the store, numbered once for good: a number that has been used is never given to other rows, since stores
//! on disk outlive the program. All values are JSON that carries what it needs to be
//! read by later programs.

use skein_protocol::operation::TableId;

/// Accounts by lower-cased username.
pub const ACCOUNTS: TableId = TableId(1);

/// Sessions by whose they are and the SHA-256 hash of their token.
pub const SESSIONS: TableId = TableId::SESSIONS;

/// Tweets by the bytes of their UUID (version 7), so that the order of keys is the order of time.
pub const TWEETS: TableId = TableId(3);

/// First outcomes of requests that named an `Idempotency-Key`, by user and key.
pub const IDEMPOTENCY: TableId = TableId(4);

/// Data of applications: any JSON, as it was sent, under a key of their own in UTF-8.
pub const DATA: TableId = TableId(5);

/// Bearer tokens by the SHA-256 hash of their secret; the empty key holds what bounds their number.
pub const TOKENS: TableId = TableId::TOKENS;

/// How transactions ended that somebody may still ask for, by their ids, and what runs of coordinators found of earlier ones.
pub const OUTCOMES: TableId = TableId::HOUSEKEEPING;
