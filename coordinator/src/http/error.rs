//! What clients are told when something is not done: a problem document (RFC 9457) with a stable integer `code`. This file is
//! the one place where the reasons of the domain become statuses and codes; every match is exhaustive, so that a new reason
//! does not compile until it has both.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use skein_protocol::id::TxnId;
use skein_protocol::step::AbortReason;
use utoipa::ToSchema;

use super::caller;
use super::code::Code;
use super::data::UnmetExpectation;
use crate::accounts::field::FieldError;
use crate::operators::roster;
use crate::store::cluster;
use crate::store::write;
use crate::{accounts, data, tokens, tweets};

/// The header that carries the id of a write's transaction.
pub const TRANSACTION: HeaderName = HeaderName::from_static("skein-transaction");

/// What a 401 asks for (RFC 9110, section 11.6.1, wants it to ask for something). No browser has a dialogue for these schemes,
/// so that the page that made the request can show its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The session's cookie.
    Cookie,
    /// The session's cookie, or a bearer token (RFC 6750).
    CookieOrToken,
    /// A bearer token.
    Token,
    /// Another bearer token than the one that was sent.
    TokenRefused,
    /// A bearer token that is good for more than the one that was sent.
    Scope,
    /// An operator's signature.
    Operator,
}

impl Challenge {
    fn lines(self) -> &'static [&'static str] {
        match self {
            Challenge::Cookie => &["Cookie realm=\"Skein\""],
            Challenge::CookieOrToken => &["Cookie realm=\"Skein\"", "Bearer realm=\"Skein\""],
            Challenge::Token => &["Bearer realm=\"Skein\""],
            Challenge::TokenRefused => &["Bearer realm=\"Skein\", error=\"invalid_token\""],
            Challenge::Scope => &["Bearer realm=\"Skein\", error=\"insufficient_scope\", scope=\"write\""],
            Challenge::Operator => &["Skein-Operator realm=\"Skein\""],
        }
    }
}

/// Seconds after which a client that met a full queue, or no view, may try again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request was not done, on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    /// The status, where the code has more than one.
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    expectations: Vec<UnmetExpectation>,
    challenge: Option<Challenge>,
    transaction: Option<TxnId>,
    retry_after_seconds: Option<u64>,
}

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct ProblemDocument {
    /// Names the kind of problem, one for each code.
    #[schema(example = "urn:skein:problem:version_mismatch")]
    r#type: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The kind of problem as a number that never changes.
    code: Code,
    /// What went wrong this time.
    detail: String,
    /// The fields that are wrong; each names its bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// With code 727 alone: the expectations that did not hold, all of them at one instant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expectations: Vec<UnmetExpectation>,
    /// With code 714 alone: the transaction whose outcome is not known yet. Ask `/api/transactions/{id}` for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "3-1042")]
    transaction: Option<String>,
}

/// A field that is wrong.
#[derive(Serialize, ToSchema)]
pub struct FieldProblem {
    /// The member of the body, the parameter or the header.
    field: String,
    /// What is wrong and what is allowed.
    detail: String,
    /// The bound that was passed, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<u64>,
}

impl Problem {
    /// A problem of this kind.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Problem {
            code,
            status: code.status(),
            detail,
            errors: Vec::new(),
            expectations: Vec::new(),
            challenge: (code.status() == StatusCode::UNAUTHORIZED).then_some(Challenge::Cookie),
            transaction: None,
            retry_after_seconds: code.retries().then_some(RETRY_AFTER_SECONDS),
        }
    }

    /// A problem with one field.
    pub fn field(code: Code, field: impl Into<Cow<'static, str>>, detail: impl Into<String>, bound: Option<u64>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        let said = format!("{field}: {detail}");
        Problem { errors: vec![FieldError { field, detail, bound }], ..Problem::new(code, said) }
    }

    /// The same problem, to be tried again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The same problem, which other proof would solve.
    #[must_use]
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// The same problem, found by this transaction.
    #[must_use]
    pub fn transaction(mut self, txn: Option<TxnId>) -> Self {
        self.transaction = txn;
        self
    }

    /// The same problem at log-in, where not to know a user is to refuse entry.
    #[must_use]
    pub fn at_login(mut self) -> Self {
        if self.code == Code::NoSuchUser {
            self.status = StatusCode::UNAUTHORIZED;
            self.challenge = Some(Challenge::Cookie);
        }
        self
    }

    /// Whether it is about what the client sent, and not about what the server could not do.
    #[must_use]
    pub fn is_clients(&self) -> bool {
        self.status.is_client_error()
    }

    /// Its kind.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.code == Code::Internal {
            tracing::error!(detail = self.detail, "a request met a fault of this server");
        }
        let document = ProblemDocument {
            r#type: format!("urn:skein:problem:{}", self.code.name()),
            title: self.code.title(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self
                .errors
                .into_iter()
                .map(|error| FieldProblem { field: error.field.into_owned(), detail: error.detail, bound: error.bound })
                .collect(),
            expectations: self.expectations,
            // Only an unknown outcome has the id in the document: there it is what the client must ask about.
            transaction: self.transaction.filter(|_| self.code == Code::OutcomeUnknown).map(|txn| txn.to_string()),
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for line in self.challenge.map_or(&[][..], Challenge::lines) {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(line));
        }
        if let Some(value) = self.transaction.and_then(|txn| HeaderValue::from_str(&txn.to_string()).ok()) {
            headers.insert(TRANSACTION, value);
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

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
        }
    }
}

impl From<write::Error> for Problem {
    fn from(error: write::Error) -> Self {
        let detail = error.to_string();
        match error {
            write::Error::Ended => caller::nobody(),
            write::Error::KeyReused => Problem::field(Code::IdempotencyKeyReused, "Idempotency-Key", detail, None),
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

impl From<tweets::Error> for Problem {
    fn from(error: tweets::Error) -> Self {
        let detail = error.to_string();
        match error {
            tweets::Error::EmptyText { max } => Problem::field(Code::MalformedField, "text", detail, Some(max as u64)),
            tweets::Error::TooLong { max, .. } => Problem::field(Code::TweetTooLong, "text", detail, Some(max as u64)),
            tweets::Error::ControlCharacter(_) => Problem::field(Code::MalformedField, "text", detail, None),
            tweets::Error::NotFound => Problem::new(Code::NoSuchTweet, detail),
            tweets::Error::NotOwner => Problem::new(Code::NotOwner, detail),
            tweets::Error::VersionMismatch { txn } => Problem::new(Code::VersionMismatch, detail).transaction(txn),
            tweets::Error::Unreadable => Problem::new(Code::Internal, detail),
            tweets::Error::Write(error) => error.into(),
            tweets::Error::Cluster(error) => error.into(),
        }
    }
}

impl From<data::Error> for Problem {
    fn from(error: data::Error) -> Self {
        let detail = error.to_string();
        match error {
            data::Error::NotFound => Problem::new(Code::NoSuchValue, detail),
            data::Error::ConditionFailed { txn } => Problem::new(Code::VersionMismatch, detail).transaction(txn),
            data::Error::Unmet { unmet, txn } => {
                let expectations = unmet.into_iter().map(UnmetExpectation::from).collect();
                Problem { expectations, ..Problem::new(Code::ExpectationsUnmet, detail).transaction(txn) }
            }
            data::Error::TooLong { .. } => Problem::field(Code::TransactionTooLong, "body", detail, Some(data::BYTES_MAX as u64)),
            data::Error::Unreadable => Problem::new(Code::Internal, detail),
            data::Error::Write(error) => error.into(),
            data::Error::Cluster(error) => error.into(),
        }
    }
}

impl From<tokens::Error> for Problem {
    fn from(error: tokens::Error) -> Self {
        let detail = error.to_string();
        match error {
            tokens::Error::Field(error) => Problem { errors: vec![error], ..Problem::new(Code::MalformedField, detail) },
            tokens::Error::TooMany => Problem::new(Code::TooManyTokens, detail),
            tokens::Error::NotFound => Problem::new(Code::NoSuchToken, detail),
            tokens::Error::Unreadable => Problem::new(Code::Internal, detail),
            tokens::Error::Write(error) => error.into(),
            tokens::Error::Cluster(error) => error.into(),
        }
    }
}

impl From<roster::Error> for Problem {
    fn from(error: roster::Error) -> Self {
        let detail = error.to_string();
        match error {
            roster::Error::Address(_) => Problem::field(Code::MalformedField, "address", detail, None),
            roster::Error::Full => Problem::new(Code::TooManyWorkers, detail),
            roster::Error::NotThere(_) => Problem::new(Code::NoSuchWorker, detail),
            roster::Error::LastCopy => Problem::new(Code::LastCopy, detail),
            roster::Error::Busy => Problem::new(Code::RosterBusy, detail),
            roster::Error::Pending => Problem::new(Code::RosterPending, detail),
            roster::Error::Cluster(error) => error.into(),
        }
    }
}

impl From<accounts::Error> for Problem {
    fn from(error: accounts::Error) -> Self {
        let detail = error.to_string();
        match error {
            accounts::Error::Fields(errors) => Problem { errors, ..Problem::new(Code::MalformedField, detail) },
            accounts::Error::Exists { txn } => {
                Problem { transaction: txn, ..Problem::field(Code::UsernameExists, "username", detail, None) }
            }
            accounts::Error::NoSuchUser => Problem::new(Code::NoSuchUser, detail),
            accounts::Error::WrongPassword => Problem::new(Code::WrongPassword, detail),
            accounts::Error::Busy => Problem::new(Code::Overloaded, detail),
            accounts::Error::Unreadable => Problem::new(Code::Internal, detail),
            accounts::Error::Write(error) => error.into(),
            accounts::Error::Cluster(error) => error.into(),
        }
    }
}
