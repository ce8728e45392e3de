//! What clients hear of the errors of accounts.

use super::Error;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Fields(errors) => Problem::new(Code::MalformedField, detail).fields(errors),
            Error::Exists { txn } => Problem::field(Code::UsernameExists, "username", detail, None).transaction(txn),
            Error::NoSuchUser => Problem::new(Code::NoSuchUser, detail),
            Error::WrongPassword => Problem::new(Code::WrongPassword, detail),
            Error::Busy => Problem::new(Code::Overloaded, detail),
            Error::Unreadable(error) => error.into(),
            Error::Write(error) => error.into(),
            Error::Cluster(error) => error.into(),
        }
    }
}
