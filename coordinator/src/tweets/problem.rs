//! What clients hear of the errors of tweets.

use super::Error;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::EmptyText { max } => Problem::field(Code::MalformedField, "text", detail, Some(max as u64)),
            Error::TooLong { max, .. } => Problem::field(Code::TweetTooLong, "text", detail, Some(max as u64)),
            Error::ControlCharacter(_) => Problem::field(Code::MalformedField, "text", detail, None),
            Error::NotFound => Problem::new(Code::NoSuchTweet, detail),
            Error::NotOwner => Problem::new(Code::NotOwner, detail),
            Error::VersionMismatch { txn } => {
                let detail = "the tweet has another version than the one named in If-Match";
                Problem::new(Code::VersionMismatch, detail).transaction(txn)
            }
            Error::Unreadable(error) => error.into(),
            Error::Write(error) => error.into(),
            Error::Cluster(error) => error.into(),
        }
    }
}
