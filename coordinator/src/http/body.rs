//! Bodies of requests: JSON, bounded in bytes and in time. Whoever sends another media type, too much, too slowly or no JSON
//! is told so in a problem document; the bytes are kept beside the value, since repeats are recognised by them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::App;
use super::code::Code;
use super::error::Problem;

/// Bytes of a body.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);

/// A body that was JSON of the right form.
pub struct JsonBody<T> {
    /// What it said.
    pub value: T,
    /// How it said it.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(is_json) {
            return Err(Problem::field(Code::UnsupportedMediaType, "Content-Type", "must be application/json", None));
        }
        let too_long = || {
            let detail = format!("at most {BODY_BYTES_MAX} bytes are taken");
            Problem::field(Code::BodyTooLong, "body", detail, Some(BODY_BYTES_MAX as u64))
        };
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > BODY_BYTES_MAX as u64) {
            return Err(too_long());
        }
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
        let bytes = match tokio::time::timeout(BODY_TIME_MAX, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_long()),
            Ok(Err(_)) => return Err(Problem::field(Code::MalformedBody, "body", "it ended before it was complete", None)),
            Err(_) => {
                let seconds = BODY_TIME_MAX.as_secs();
                let detail = format!("it did not arrive within {seconds} s");
                return Err(Problem::field(Code::BodyTimeout, "body", detail, Some(seconds)));
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(JsonBody { value, bytes }),
            // serde's message names the member, and the place in the text.
            Err(error) => Err(Problem::field(Code::MalformedBody, "body", error.to_string(), None)),
        }
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
