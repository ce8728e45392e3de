//! What clients hear of the errors of data.

use super::{BYTES_MAX, Error, Unmet};
use crate::http::contract::code::Code;
use crate::http::contract::expectation::UnmetExpectation;
use crate::http::contract::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound => Problem::new(Code::NoSuchValue, detail),
            Error::ConditionFailed { txn } => {
                let detail = "the value is not as If-Match or If-None-Match demands";
                Problem::new(Code::VersionMismatch, detail).transaction(txn)
            }
            Error::Unmet { unmet, txn } => {
                let expectations = unmet.into_iter().map(UnmetExpectation::from).collect();
                Problem::new(Code::ExpectationsUnmet, detail).transaction(txn).expectations(expectations)
            }
            Error::TooLong { .. } => Problem::field(Code::TransactionTooLong, "body", detail, Some(BYTES_MAX as u64)),
            Error::Unreadable => Problem::new(Code::Internal, detail),
            Error::Write(error) => error.into(),
            Error::Cluster(error) => error.into(),
        }
    }
}

impl From<Unmet> for UnmetExpectation {
    fn from(unmet: Unmet) -> Self {
        UnmetExpectation {
            index: unmet.index,
            key: unmet.key.to_string(),
            expected: unmet.expected.into(),
            found: unmet.found.map(|version| version.0.to_string()),
        }
    }
}
