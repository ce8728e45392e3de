//! What clients rely on: the codes of problems and their document, the form of bodies, parameters and conditions, and the OpenAPI
//! document that is made of the handlers' own types.

pub mod body;
pub mod code;
pub mod expectation;
pub mod number;
pub mod openapi;
pub mod parameter;
pub mod precondition;
pub mod problem;

use axum::http::HeaderValue;

/// A header's value made of what this program writes: numbers, paths and names of media types.
pub fn text_header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("what is written here is visible ASCII")
}
