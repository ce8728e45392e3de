//! What clients hear of the errors of bookmarks.

use super::Error;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NoSuchTweet => Problem::new(Code::NoSuchTweet, detail),
            Error::TooMany => Problem::new(Code::TooManyBookmarks, detail),
            Error::Unreadable(error) => error.into(),
            Error::Write(error) => error.into(),
            Error::Cluster(error) => error.into(),
        }
    }
}
