//! What clients hear of the errors of the store: one answer for each, whatever was written or read.

use skein_protocol::step::AbortReason;
use tracing::error;

use super::row::Unreadable;
use super::{cluster, write};
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

impl From<cluster::Error> for Problem {
    fn from(error: cluster::Error) -> Self {
        let detail = error.to_string();
        match error {
            cluster::Error::Aborted { txn, reason } => {
                let code = match reason {
                    AbortReason::Memory => Code::StoreFull,
                    // Whoever expects something of a record turns it into a reason of the domain; what is left is a race.
                    AbortReason::Contention | AbortReason::Expectation { .. } => Code::Contention,
                };
                Problem::new(code, detail).transaction(Some(txn))
            }
            cluster::Error::Unknown { txn } => {
                let detail = format!(
                    "{detail}; ask /api/transactions/{txn} for it, and do not send the request anew without its Idempotency-Key"
                );
                Problem::new(Code::OutcomeUnknown, detail).transaction(Some(txn))
            }
            cluster::Error::Overloaded => Problem::new(Code::Overloaded, detail),
            cluster::Error::Unavailable => Problem::new(Code::Unavailable, detail),
            cluster::Error::Stopped => Problem::new(Code::NoAnswer, detail),
            cluster::Error::Invalid => Problem::new(Code::Internal, detail),
            cluster::Error::Unreadable(unreadable) => unreadable.into(),
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        error!("{unreadable}");
        Problem::new(Code::Internal, unreadable.to_string())
    }
}

impl From<write::Error> for Problem {
    fn from(error: write::Error) -> Self {
        let detail = error.to_string();
        match error {
            write::Error::Ended => Problem::new(Code::NotLoggedIn, "log in with POST /api/login first"),
            write::Error::KeyReused => {
                let detail = "this Idempotency-Key was used for another request";
                Problem::field(Code::IdempotencyKeyReused, "Idempotency-Key", detail, None)
            }
            write::Error::AnswerTooLong { max, .. } => {
                Problem::field(Code::AnswerTooLong, "Idempotency-Key", detail, Some(max as u64))
            }
            write::Error::Unreadable => Problem::new(Code::Internal, detail),
            write::Error::Busy => Problem::new(Code::Overloaded, detail),
            write::Error::Contention => Problem::new(Code::Contention, detail),
            write::Error::Cluster(error) => error.into(),
        }
    }
}
