//! The stable numbers of problems. Those below 700 are older than Skein and mean what they always meant; its own begin at
//! 700. A number is never given another meaning. The OpenAPI document lists them all from here.

use axum::http::StatusCode;
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $status:ident, $name:literal;)+) => {
        /// What went wrong, as a number that never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status,)+ }
            }

            /// Its name, as in the document's `type`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            /// What it means, in words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The post is longer than the limit.
    TweetTooLong = 512, BAD_REQUEST, "tweet_too_long";
    /// The user does not exist (at log-in the status is 401).
    NoSuchUser = 601, NOT_FOUND, "no_such_user";
    /// The password is wrong.
    WrongPassword = 602, UNAUTHORIZED, "wrong_password";
    /// A field is empty or malformed.
    MalformedField = 606, BAD_REQUEST, "malformed_field";
    /// The username exists already.
    UsernameExists = 607, CONFLICT, "username_exists";
    /// Nobody is logged in.
    NotLoggedIn = 700, UNAUTHORIZED, "not_logged_in";
    /// The tweet is another's.
    NotOwner = 701, FORBIDDEN, "not_owner";
    /// There is no such tweet.
    NoSuchTweet = 702, NOT_FOUND, "no_such_tweet";
    /// The transaction was never heard of, or is no longer known.
    NoSuchTransaction = 703, NOT_FOUND, "no_such_transaction";
    /// There is nothing at this path.
    NoSuchPath = 704, NOT_FOUND, "no_such_path";
    /// The path does not take this method; `Allow` lists those that it takes.
    MethodNotAllowed = 705, METHOD_NOT_ALLOWED, "method_not_allowed";
    /// What is there has another version than If-Match or If-None-Match demands.
    VersionMismatch = 706, PRECONDITION_FAILED, "version_mismatch";
    /// The body is of another media type, charset or encoding than plain application/json.
    UnsupportedMediaType = 707, UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type";
    /// The body is not the JSON document that was expected.
    MalformedBody = 708, BAD_REQUEST, "malformed_body";
    /// A parameter or header is malformed.
    MalformedParameter = 709, BAD_REQUEST, "malformed_parameter";
    /// The body is longer than allowed.
    BodyTooLong = 710, PAYLOAD_TOO_LARGE, "body_too_long";
    /// The headers are more or longer than allowed.
    HeadersTooLong = 711, REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_long";
    /// The request comes from a page of another site.
    CrossSite = 712, FORBIDDEN, "cross_site";
    /// The Idempotency-Key was used for another request.
    IdempotencyKeyReused = 713, UNPROCESSABLE_ENTITY, "idempotency_key_reused";
    /// Whether the transaction committed is not known yet.
    OutcomeUnknown = 714, SERVICE_UNAVAILABLE, "outcome_unknown";
    /// Too much is under way; nothing was done.
    Overloaded = 715, SERVICE_UNAVAILABLE, "overloaded";
    /// The cluster does not serve at the moment; nothing was done.
    Unavailable = 716, SERVICE_UNAVAILABLE, "unavailable";
    /// The store's memory bound would have been passed; nothing was done.
    StoreFull = 717, INSUFFICIENT_STORAGE, "store_full";
    /// Others changed the same thing each time it was tried; nothing was done.
    Contention = 718, CONFLICT, "contention";
    /// Too many failed tries to log in.
    TooManyLogins = 719, TOO_MANY_REQUESTS, "too_many_logins";
    /// Too many requests of this kind.
    TooManyRequests = 720, TOO_MANY_REQUESTS, "too_many_requests";
    /// The body did not arrive in time.
    BodyTimeout = 721, REQUEST_TIMEOUT, "body_timeout";
    /// The answer took longer than allowed; what was asked for may have happened.
    TimedOut = 722, GATEWAY_TIMEOUT, "timed_out";
    /// The path or query is longer than allowed.
    UriTooLong = 723, URI_TOO_LONG, "uri_too_long";
    /// This coordinator stopped before it had an answer; what was asked for may have happened.
    NoAnswer = 724, BAD_GATEWAY, "no_answer";
    /// The Host header, or the target, names another server than this one.
    Misdirected = 725, MISDIRECTED_REQUEST, "misdirected";
    /// There is no value under this key.
    NoSuchValue = 726, NOT_FOUND, "no_such_value";
    /// What the transaction expects does not hold; nothing was written.
    ExpectationsUnmet = 727, CONFLICT, "expectations_unmet";
    /// A value, or all of one transaction, is longer than allowed.
    TransactionTooLong = 728, PAYLOAD_TOO_LARGE, "transaction_too_long";
    /// What the transaction read is too long to be remembered under its Idempotency-Key.
    AnswerTooLong = 729, UNPROCESSABLE_ENTITY, "answer_too_long";
    /// The token may read data and not write it.
    ScopeTooNarrow = 730, FORBIDDEN, "scope_too_narrow";
    /// The bearer token is missing, was never given out, was revoked or has expired.
    TokenRefused = 731, UNAUTHORIZED, "token_refused";
    /// There is no such token.
    NoSuchToken = 732, NOT_FOUND, "no_such_token";
    /// There are as many tokens as may be.
    TooManyTokens = 733, CONFLICT, "too_many_tokens";
    /// The request does not prove that it is an operator's.
    NotOperator = 734, UNAUTHORIZED, "not_operator";
    /// There are as many workers as may be.
    TooManyWorkers = 735, CONFLICT, "too_many_workers";
    /// The cluster is not meant to have a worker at this address.
    NoSuchWorker = 736, NOT_FOUND, "no_such_worker";
    /// No other member holds all records.
    LastCopy = 737, CONFLICT, "last_copy";
    /// Another change of the workers, or of the view, is under way; nothing was done.
    RosterBusy = 738, CONFLICT, "roster_busy";
    /// The change of the workers has not come about in time, and may still.
    RosterPending = 739, SERVICE_UNAVAILABLE, "roster_pending";
    /// The person has as many bookmarks as may be.
    TooManyBookmarks = 740, CONFLICT, "too_many_bookmarks";
    /// Something is wrong with this server.
    Internal = 799, INTERNAL_SERVER_ERROR, "internal";
}

impl Code {
    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// Whether the same request may succeed in a moment, so that the answer says when to try again.
    #[must_use]
    pub fn retries(self) -> bool {
        matches!(self, Code::Overloaded | Code::Unavailable | Code::Contention | Code::RosterBusy)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.number())
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let mut text =
            String::from("The kind of problem as a number that never changes.\n\n| code | status | meaning |\n|---|---|---|\n");
        for code in Code::ALL {
            text.push_str(&format!("| {} | {} | {} |\n", code.number(), code.status().as_u16(), code.title()));
        }
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Integer))
            .enum_values(Some(Code::ALL.iter().map(|code| code.number())))
            .description(Some(text))
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> std::borrow::Cow<'static, str> {
        "ProblemCode".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_given_once() {
        for (at, code) in Code::ALL.iter().enumerate() {
            for later in &Code::ALL[at + 1..] {
                assert!(code.number() < later.number(), "{code:?} before {later:?}");
                assert_ne!(Code::name(*code), Code::name(*later));
            }
        }
    }
}
