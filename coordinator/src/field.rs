//! What is wrong with one field that somebody has filled in.

use std::borrow::Cow;

/// A field that is empty or malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Which.
    pub field: Cow<'static, str>,
    /// What is wrong and what is allowed.
    pub detail: String,
    /// The bound as a number, if it has one.
    pub bound: Option<u64>,
}
