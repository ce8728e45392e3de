//! Query parameters whose rejection is a problem document. Handlers take the values as text, so that an error can name the
//! parameter and its bound. What no handler knows is passed over; what one knows may be there once.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::code::Code;
use super::error::Problem;

/// The parameters of an operation, each a text that may be missing.
pub trait Parameters: DeserializeOwned {
    /// Their names.
    const NAMES: &'static [&'static str];
}

/// The parameters of a query, each at most once.
pub struct Query<T>(pub T);

impl<T: Parameters, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Query(query.0)),
            Err(_) => Err(refused(&parts.uri, T::NAMES)),
        }
    }
}

/// Why a query was not taken. Texts that may be missing can only be given too often.
fn refused(uri: &Uri, names: &'static [&'static str]) -> Problem {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).map(|pairs| pairs.0).unwrap_or_default();
    let times = |name: &str| pairs.iter().filter(|(given, _)| given == name).count();
    match names.iter().find(|name| times(name) > 1) {
        Some(name) => Problem::field(Code::MalformedParameter, *name, "given more than once", None),
        None => Problem::field(Code::MalformedParameter, "query", "not of the form name=value&name=value", None),
    }
}
