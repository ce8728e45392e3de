//! What clients are told when something is not done: a problem document (RFC 9457) with a stable integer `code`. Each room has a
//! `problem.rs` that turns its errors into these; every match there is exhaustive, so that a new error does not compile until it has
//! a status and a code.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use skein_protocol::id::TxnId;
use utoipa::ToSchema;

use super::code::Code;
use super::expectation::UnmetExpectation;
use crate::field::FieldError;

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

    /// The same problem, with these fields.
    #[must_use]
    pub fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same problem, with these expectations that did not hold.
    #[must_use]
    pub fn expectations(mut self, expectations: Vec<UnmetExpectation>) -> Self {
        self.expectations = expectations;
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
