//! What operators hear of the errors of the roster.

use super::roster::Error;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Address(_) => Problem::field(Code::MalformedField, "address", detail, None),
            Error::Full => Problem::new(Code::TooManyWorkers, detail),
            Error::NotThere(_) => Problem::new(Code::NoSuchWorker, detail),
            Error::LastCopy => Problem::new(Code::LastCopy, detail),
            Error::Busy => Problem::new(Code::RosterBusy, detail),
            Error::Pending => Problem::new(Code::RosterPending, detail),
            Error::Cluster(error) => error.into(),
        }
    }
}
