//! The bounds of what clients may do, checked, with their defaults. Some are settings; the others are here so that tests can make them
//! small. The shares of answers are parts of the whole that a setting says, so that one number is enough.

use std::time::Duration;

use crate::caller::attempts::Allowance;

/// The bounds of what clients may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unicode scalar values of a tweet.
    pub tweet_characters_max: usize,
    /// Failed log-ins per name and address.
    pub login_failures: Allowance,
    /// Sign-ups per address, if limited.
    pub sign_ups: Option<Allowance>,
    /// Writes per user, if limited.
    pub writes: Option<Allowance>,
    /// Requests under way.
    pub requests_max: usize,
    /// Connections.
    pub connections_max: usize,
    /// Connections of one address, if it is not of this machine.
    pub connections_per_address_max: usize,
    /// Bytes of request bodies under way.
    pub body_bytes_max: usize,
    /// Passwords hashed at once.
    pub hashes_at_once_max: usize,
    /// How long an edit may wait for the edits of the same tweet before it.
    pub turn_time_max: Duration,
    /// How long one request may take, its body and its answer included. Above the core's own deadline, so that whoever
    /// waits for a transaction hears of its outcome, or that it is unknown, before this.
    pub request_time_max: Duration,
    /// How long the head of a request may take to arrive, and how long a connection may be idle.
    pub header_time_max: Duration,
    /// How long a client may take nothing, or very little, of what is sent to it.
    pub write_time_max: Duration,
    /// The pause between two pages of the sweep that removes expired rows.
    pub sweep_every: Duration,
    /// How long requests under way may take once the process is asked to end.
    pub drain_time_max: Duration,
    /// Bytes of long answers under way.
    pub answers: AnswerLimits,
}

/// Bounds on the bytes of long answers that are under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// To all clients.
    pub bytes_max: usize,
    /// To one address.
    pub bytes_per_address_max: usize,
    /// To one account or token.
    pub bytes_per_client_max: usize,
    /// Requests of one account or token that may wait for room.
    pub waiting_per_client_max: usize,
    /// How long one may wait.
    pub wait_max: Duration,
}

impl AnswerLimits {
    /// So many bytes to all clients, of which an address and an account or token have their shares.
    #[must_use]
    pub fn of(bytes_max: usize) -> Self {
        AnswerLimits {
            bytes_max,
            bytes_per_address_max: bytes_max / 4,
            bytes_per_client_max: bytes_max / 16,
            waiting_per_client_max: 64,
            wait_max: Duration::from_secs(2),
        }
    }
}

impl Default for AnswerLimits {
    fn default() -> Self {
        AnswerLimits::of(128 << 20)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Limits {
            tweet_characters_max: 100,
            login_failures: Allowance { tries: 10, per: minute },
            sign_ups: Some(Allowance { tries: 30, per: 60 * minute }),
            writes: None,
            requests_max: 4096,
            connections_max: 8192,
            connections_per_address_max: 512,
            body_bytes_max: 64 << 20,
            hashes_at_once_max: 4,
            turn_time_max: Duration::from_secs(5),
            request_time_max: Duration::from_secs(15),
            header_time_max: Duration::from_secs(30),
            write_time_max: Duration::from_secs(30),
            sweep_every: Duration::from_secs(10),
            drain_time_max: Duration::from_secs(8),
            answers: AnswerLimits::default(),
        }
    }
}
