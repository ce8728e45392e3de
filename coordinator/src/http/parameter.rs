//! Query parameters whose rejection is a problem document. Handlers take the values as text, so that an error can name the
//! parameter and its bound.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::code::Code;
use super::error::Problem;

/// The parameters of a query, each at most once.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|query| Query(query.0))
            .map_err(|error| Problem::field(Code::MalformedParameter, "query", error.body_text(), None))
    }
}
