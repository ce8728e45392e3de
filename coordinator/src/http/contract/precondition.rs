//! What a request demands of the version that it meets (RFC 9110, section 13), and the key under which it wants to happen
//! once. An entity tag is a version in quotes, a tweet's own or the store's; tags of any other form are well-formed but match nothing.

use axum::http::{HeaderMap, HeaderName, header};

use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;
use crate::store::once::{IdempotencyKey, KEY_BYTES_MAX};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The versions that a header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// Whichever there is.
    Any,
    /// These, in the order of the header.
    OneOf(Vec<u64>),
}

/// Reads `If-Match`. The comparison is the strong one: a weak tag never matches.
pub fn if_match(headers: &HeaderMap) -> Result<Option<Named>, Problem> {
    named(headers, &header::IF_MATCH, "If-Match", false)
}

/// Reads `If-None-Match`. The comparison is the weak one.
pub fn if_none_match(headers: &HeaderMap) -> Result<Option<Named>, Problem> {
    named(headers, &header::IF_NONE_MATCH, "If-None-Match", true)
}

fn named(headers: &HeaderMap, name: &HeaderName, said: &'static str, weak: bool) -> Result<Option<Named>, Problem> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let tags = tags(headers, name).ok_or_else(|| malformed(said))?;
    if tags.contains(&Tag::Any) {
        return Ok(Some(Named::Any));
    }
    let numbers = tags.into_iter().filter_map(|tag| match tag {
        Tag::Strong(text) => version(&text),
        Tag::Weak(text) if weak => version(&text),
        Tag::Weak(_) | Tag::Any => None,
    });
    Ok(Some(Named::OneOf(numbers.collect())))
}

fn malformed(header: &'static str) -> Problem {
    Problem::field(Code::MalformedParameter, header, "entity tags in quotes with commas between them, or *", None)
}

/// Whether `If-None-Match` names this version, so that nothing needs to be sent.
pub fn is_current(headers: &HeaderMap, current: u64) -> Result<bool, Problem> {
    Ok(if_none_match(headers)?.is_some_and(|named| match named {
        Named::Any => true,
        Named::OneOf(versions) => versions.contains(&current),
    }))
}

/// Reads `Idempotency-Key`.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = IdempotencyKey::parse(value.as_bytes()).filter(|_| values.next().is_none());
    key.map(Some).ok_or_else(|| {
        let detail = format!("once, with 1 to {KEY_BYTES_MAX} visible ASCII characters");
        Problem::field(Code::MalformedParameter, "Idempotency-Key", detail, Some(KEY_BYTES_MAX as u64))
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Tag {
    Any,
    Strong(String),
    Weak(String),
}

/// The number that a version is, written as this server writes it.
pub fn version(text: &str) -> Option<u64> {
    text.parse().ok().filter(|version: &u64| version.to_string() == text)
}

/// All tags of all lines of a header; `None` if one is malformed.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut lines = headers.get_all(name).iter();
    if lines.next().is_some_and(|line| line == "*") && lines.next().is_none() {
        return Some(vec![Tag::Any]);
    }
    for value in headers.get_all(name) {
        let mut rest = value.to_str().ok()?.trim();
        loop {
            let (tag, after) = one_tag(rest)?;
            tags.push(tag);
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(tags)
}

fn one_tag(text: &str) -> Option<(Tag, &str)> {
    let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
    let (tag, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    if !tag.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    Some((if weak { Tag::Weak(tag.to_owned()) } else { Tag::Strong(tag.to_owned()) }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(text: &str) -> Result<Option<Named>, Code> {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, text.parse().unwrap())]);
        if_match(&headers).map_err(|problem| problem.code())
    }

    #[test]
    fn if_match_is_read_as_the_standard_says() {
        let these = |versions: &[u64]| Ok(Some(Named::OneOf(versions.to_vec())));
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        assert_eq!(matching("*"), Ok(Some(Named::Any)));
        assert_eq!(matching("\"3\""), these(&[3]));
        assert_eq!(matching("\"3\" , \"4\""), these(&[3, 4]));
        assert_eq!(matching("W/\"3\""), these(&[]));
        assert_eq!(matching("\"x\", \"03\""), these(&[]));
        for wrong in ["3", "\"3", "\"3\" \"4\"", "", "\"3\",", "*, \"3\"", "\"3\", *", "\"a b\""] {
            assert_eq!(matching(wrong), Err(Code::MalformedParameter), "{wrong:?} was taken");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "\"1\", W/\"2\"".parse().unwrap());
        let named = |headers: &HeaderMap, version| is_current(headers, version).map_err(|problem| problem.code());
        assert_eq!([1, 2, 3].map(|version| named(&headers, version)), [Ok(true), Ok(true), Ok(false)]);
        assert_eq!(named(&HeaderMap::new(), 1), Ok(false));
        headers.insert(header::IF_NONE_MATCH, "1".parse().unwrap());
        assert_eq!(named(&headers, 1), Err(Code::MalformedParameter));
    }

    #[test]
    fn a_key_is_sent_once() {
        let mut headers = HeaderMap::new();
        headers.append(IDEMPOTENCY_KEY, "a".parse().unwrap());
        assert!(idempotency_key(&headers).unwrap().is_some());
        headers.append(IDEMPOTENCY_KEY, "a".parse().unwrap());
        assert!(idempotency_key(&headers).is_err());
    }
}
