//! Bodies of requests: JSON, mostly objects, bounded in bytes and in time. Whoever sends another media type, too much, too slowly or
//! no JSON object is told so in a problem document; what has the wrong form within it is named by its place, as in
//! `writes[3].key`. The bytes are kept beside the value, since repeats are recognised by them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::config::Limits;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;
use crate::http::edge::{Edge, address};

/// Bytes of a body, unless it may hold a text that is longer.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// What a body may say.
pub trait Form: DeserializeOwned {
    /// Bytes of it at the most.
    fn bytes_max(_: &Limits) -> usize {
        BODY_BYTES_MAX
    }
}

/// Bytes of the place of a member that is named as wrong: more than any has that a form knows.
const FIELD_BYTES_MAX: usize = 128;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);

/// A body that was JSON of the right form.
pub struct JsonBody<T> {
    /// What it said.
    pub value: T,
    /// How it said it.
    pub bytes: Bytes,
}

impl<S: Send + Sync, T: Form> FromRequest<S> for JsonBody<T>
where
    Arc<Edge>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let edge = Arc::<Edge>::from_ref(state);
        JsonBody::of(collect(&edge, request, T::bytes_max(&edge.settings.limits)).await?)
    }
}

impl<T: DeserializeOwned> JsonBody<T> {
    /// Reads bytes as a JSON object.
    pub fn of(bytes: Bytes) -> Result<Self, Problem> {
        match read(&bytes) {
            Ok(value) => Ok(JsonBody { value, bytes }),
            Err((field, detail)) => Err(Problem::field(Code::MalformedBody, field, detail, None)),
        }
    }
}

/// Reads a JSON object, or says which member of it is wrong, and what.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, (Cow<'static, str>, String)> {
    const BODY: Cow<'static, str> = Cow::Borrowed("body");
    // serde would take an array for an object, its elements in the order of the members.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err((BODY, "it must be a JSON object".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let detail = error.inner().to_string();
        // Of a text that is no JSON at all only the place where it breaks means anything, and the message has that.
        let field = if error.inner().is_data() { place(error.path(), &detail) } else { None };
        (field.map_or(BODY, Cow::Owned), detail)
    })?;
    reader.end().map_err(|error| (BODY, error.to_string()))?;
    Ok(value)
}

/// The member that is wrong; `None` if it is the whole body, or has a name longer than any that is known.
fn place(path: &serde_path_to_error::Path, message: &str) -> Option<String> {
    let mut place = path.to_string();
    if path.iter().len() == 0 {
        place.clear();
    }
    // Of a member that is not there, or there twice, the path ends at the object around it, and the message has the name.
    let named = ["missing field `", "duplicate field `"].iter().find_map(|start| message.strip_prefix(start));
    if let Some((name, _)) = named.and_then(|rest| rest.split_once('`')) {
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(name);
    }
    (1..=FIELD_BYTES_MAX).contains(&place.len()).then_some(place)
}

/// Takes the body of a request that says it is JSON, within these bytes and the bound on its time.
pub async fn collect(edge: &Edge, request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    check_kind(request.headers())?;
    take(edge, request, bytes_max).await
}

/// Takes the body of a request, within these bytes, the bound on its time, and that on all bodies under way. Its bytes count as
/// under way until the last of them is dropped.
pub async fn take(edge: &Edge, request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_long = || {
        let detail = format!("at most {bytes_max} bytes are taken");
        Problem::field(Code::BodyTooLong, "body", detail, Some(bytes_max as u64))
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_long());
    }
    let address = address::address(request.headers(), request.extensions(), &edge.settings);
    let expected = announced.map_or(bytes_max, |length| length as usize);
    let mut taken = edge.body_memory.body(address, expected);
    let taking = async {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Problem::field(Code::MalformedBody, "body", "it ended before it was complete", None));
            };
            let Ok(data) = frame.into_data() else { continue };
            if taken.len() + data.len() > bytes_max {
                return Err(too_long());
            }
            taken.extend(&data)?;
        }
        Ok(taken.into_bytes())
    };
    tokio::time::timeout(BODY_TIME_MAX, taking).await.unwrap_or_else(|_| {
        let seconds = BODY_TIME_MAX.as_secs();
        let detail = format!("it did not arrive within {seconds} s");
        Err(Problem::field(Code::BodyTimeout, "body", detail, Some(seconds)))
    })
}

/// Checks that the body is said to be plain JSON, and said so once.
pub fn check_kind(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |field, detail| Err(Problem::field(Code::UnsupportedMediaType, field, detail, None));
    match only(headers, &header::CONTENT_TYPE) {
        Ok(Some(kind)) if is_json(kind) => {}
        Ok(_) => return refuse("Content-Type", "must be application/json, in UTF-8"),
        Err(Several) => return refuse("Content-Type", "must be there once"),
    }
    match only(headers, &header::CONTENT_ENCODING) {
        Ok(None) => Ok(()),
        Ok(Some(coding)) if coding.trim().eq_ignore_ascii_case("identity") => Ok(()),
        Ok(Some(_)) | Err(Several) => {
            refuse("Content-Encoding", "must not be there: bodies are taken as they are, not compressed")
        }
    }
}

/// A header stands in more than one line.
struct Several;

/// The value of a header that may be there once; one that is no text is empty.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Several> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap_or_default());
    if values.next().is_some() { Err(Several) } else { Ok(value) }
}

/// Whether this is the media type of JSON, which has no other charset than UTF-8 (RFC 8259, section 8.1).
fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let of_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    of_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim_end().eq_ignore_ascii_case("charset") => {
                let value = value.trim_start();
                let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
                unquoted.eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default, rename = "inner")]
        _inner: Vec<Inner>,
        #[serde(rename = "name")]
        _name: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "key")]
        _key: String,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let field = |text: &str| read::<Outer>(text.as_bytes()).err().map(|(field, _)| field);
        assert_eq!(field("{\"inner\":[{\"key\":\"a\"}],\"name\":null} "), None);
        let long = format!("{{\"{}\":1}}", "x".repeat(FIELD_BYTES_MAX + 1));
        for (text, place) in [
            ("{\"inner\":7}", "inner"),
            ("{\"inner\":[{\"key\":\"a\"},{\"key\":7}]}", "inner[1].key"),
            ("{\"inner\":[{\"key\":\"a\"},{}]}", "inner[1].key"),
            ("{\"inner\":[{\"key\":\"a\",\"key\":\"a\"}]}", "inner[0].key"),
            ("{\"inner\":[{\"key\":\"a\",\"more\":1}]}", "inner[0].more"),
            ("{\"inner\":[7]}", "inner[0]"),
            ("{\"name\":\"a\",\"name\":\"b\"}", "name"),
            ("{\"more\":1}", "more"),
            (long.as_str(), "body"),
            ("{\"inner\":[{\"key\":\"a\"", "body"),
            ("{\"name\":nul}", "body"),
            ("{} {}", "body"),
            ("[]", "body"),
        ] {
            assert_eq!(field(text).as_deref(), Some(place), "{text}");
        }
    }

    #[test]
    fn only_plain_json_in_utf_8_is_taken() {
        let field = |lines: &[(HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value.parse().unwrap());
            }
            check_kind(&headers).err().map(|problem| problem.code())
        };
        let (kind, coding) = (header::CONTENT_TYPE, header::CONTENT_ENCODING);
        let json = (kind.clone(), "application/json");
        for taken in
            ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json;"]
        {
            assert_eq!(field(&[(kind.clone(), taken)]), None, "{taken}");
        }
        assert_eq!(field(&[json.clone(), (coding.clone(), "identity")]), None);
        let refused = Some(Code::UnsupportedMediaType);
        for other in
            ["text/plain", "application/jsonx", "application/json; charset=latin1", "application/json; Charset = utf-16", ""]
        {
            assert_eq!(field(&[(kind.clone(), other)]), refused, "{other}");
        }
        assert_eq!(field(&[]), refused);
        assert_eq!(field(&[json.clone(), (kind, "text/plain")]), refused);
        assert_eq!(field(&[json, (coding, "gzip")]), refused);
    }
}
