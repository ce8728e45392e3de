//! Query parameters whose rejection is a problem document. Handlers take the values as text, so that an error can name the
//! parameter and its bound. What no handler knows is passed over; what one knows may be there once, and is UTF-8 in whole
//! percent-escapes: what is neither would otherwise be taken for some other text.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use skein_protocol::operation::Consistency;

use utoipa::ToSchema;

use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

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
        if let Some(name) = undecodable(parts.uri.query().unwrap_or_default(), T::NAMES) {
            return Err(Problem::field(Code::MalformedParameter, name, ENCODING, None));
        }
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Query(query.0)),
            Err(_) => Err(refused(&parts.uri, T::NAMES)),
        }
    }
}

/// How a text stands in a path or a query.
pub const ENCODING: &str = "it is UTF-8, percent-encoded: each % begins one of %00 to %FF";

/// The text that is meant by one with percent-escapes; `None` if an escape is cut short, or it is no UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [byte, behind @ ..] = rest {
        (rest, _) = match (byte, behind) {
            (b'%', [high, low, behind @ ..]) => (behind, bytes.push(16 * digit(*high)? + digit(*low)?)),
            (b'%', _) => return None,
            _ => (behind, bytes.push(*byte)),
        };
    }
    String::from_utf8(bytes).ok()
}

/// The first of these parameters whose value can't be decoded.
fn undecodable(query: &str, names: &'static [&'static str]) -> Option<&'static str> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        names.iter().copied().find(|known| *known == name && decoded(value).is_none())
    })
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

/// How many entries of a list are asked for.
///
/// # Errors
/// What is no number from 1 to `max`.
pub fn limit(text: Option<&str>, default: u32, max: u32) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(default) };
    text.parse().ok().filter(|limit| (1..=max).contains(limit)).ok_or_else(|| {
        Problem::field(Code::MalformedParameter, "limit", format!("a number from 1 to {max}"), Some(u64::from(max)))
    })
}

/// Where a list goes on, as `read` finds in the text.
///
/// # Errors
/// What it finds nothing in.
pub fn cursor<T>(text: Option<&str>, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let place = read(text)
        .ok_or_else(|| Problem::field(Code::MalformedParameter, "cursor", "not the `next` of any page of this list", None))?;
    Ok(Some(place))
}

/// As of when a list is read: *arrival* unless told.
///
/// # Errors
/// What is neither.
pub fn consistent(text: Option<&str>) -> Result<Consistency, Problem> {
    match text {
        None | Some("arrival") => Ok(Consistency::Arrival),
        Some("strict") => Ok(Consistency::Strict),
        Some(_) => Err(Problem::field(Code::MalformedParameter, "consistent", "arrival or strict", None)),
    }
}

/// As of when a list is read.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "names the values in the OpenAPI document; handlers read the text to name the bound in errors")]
pub enum ConsistencyParameter {
    /// Each tweet as of the request's arrival.
    Arrival,
    /// All as of one instant.
    Strict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_escapes_of_utf_8_are_decoded() {
        for (text, meant) in [("", ""), ("a+b", "a+b"), ("%61%2F%c3%A4", "a/\u{e4}"), ("%25zz", "%zz"), ("\u{e4}", "\u{e4}")] {
            assert_eq!(decoded(text).as_deref(), Some(meant), "{text}");
        }
        for wrong in ["%", "a%2", "%zz", "%+1", "%2\u{e4}", "%ff", "%c3", "%ed%a0%80"] {
            assert_eq!(decoded(wrong), None, "{wrong} was taken");
        }
    }

    #[test]
    fn what_can_not_be_decoded_is_named_if_it_is_known() {
        let names = &["prefix", "limit"];
        assert_eq!(undecodable("limit=1&prefix=%ff", names), Some("prefix"));
        assert_eq!(undecodable("%70refix=%2", names), Some("prefix"));
        assert_eq!(undecodable("other=%ff&%ff=1&prefix=%20&limit", names), None);
    }
}
