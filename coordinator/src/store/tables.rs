//! The tables of the store, one line each: number, name, format, and whether rows end by themselves. A number that has been used
//! is never given to other rows, since stores on disk outlive the program. What a format promises is said in [`row`](super::row).

use skein_protocol::operation::TableId;

use super::row::Table;

/// Accounts by lower-cased username.
pub const ACCOUNTS: Table = Table { id: TableId(1), name: "accounts", format: 1, expires: false };

/// Sessions by whose they are and the SHA-256 hash of their token.
pub const SESSIONS: Table = Table { id: TableId::SESSIONS, name: "sessions", format: 1, expires: true };

/// Tweets by the bytes of their UUID (version 7), so that the order of keys is the order of time.
pub const TWEETS: Table = Table { id: TableId(3), name: "tweets", format: 1, expires: false };

/// First outcomes of requests that named an `Idempotency-Key`, by user and key.
pub const IDEMPOTENCY: Table = Table { id: TableId(4), name: "idempotency", format: 1, expires: true };

/// Data of applications: any JSON, as it was sent, under a key of their own in UTF-8. The rows are the clients' and have no format
/// of ours.
pub const DATA: TableId = TableId(5);

/// Bearer tokens by the SHA-256 hash of their secret; the empty key holds what bounds their number.
pub const TOKENS: Table = Table { id: TableId::TOKENS, name: "tokens", format: 1, expires: true };

/// How transactions ended that somebody may still ask for, by their ids, and what runs of coordinators found of earlier ones.
pub const OUTCOMES: Table = Table { id: TableId::HOUSEKEEPING, name: "outcomes", format: 1, expires: true };

/// Bookmarks by whose they are, and by their tweets and their places; one row more of each person counts them.
pub const BOOKMARKS: Table = Table { id: TableId(8), name: "bookmarks", format: 1, expires: false };

/// All tables with rows of ours.
pub const ALL: [Table; 7] = [ACCOUNTS, SESSIONS, TWEETS, IDEMPOTENCY, TOKENS, OUTCOMES, BOOKMARKS];
