//! What clients hear of the errors of tokens.

use super::Error;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Field(error) => Problem::new(Code::MalformedField, detail).fields(vec![error]),
            Error::TooMany => Problem::new(Code::TooManyTokens, detail),
            Error::NotFound => Problem::new(Code::NoSuchToken, detail),
            Error::Unreadable(error) => error.into(),
            Error::Write(error) => error.into(),
            Error::Cluster(error) => error.into(),
        }
    }
}
