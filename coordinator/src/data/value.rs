//! The values of data: any JSON text (RFC 8259), kept as it was sent but for the white space around it, so that no number
//! loses a digit on its way. What would be read differently, or not at all, by the programs that get it is refused: numbers
//! beyond a double's range, halves of surrogate pairs, nesting deeper than 127, a member that stands twice in one object.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use skein_protocol::limits::VALUE_BYTES_MAX;
use skein_protocol::operation::Shared;

/// How deep arrays and objects may stand in each other: what the parser takes.
pub const NESTING_MAX: usize = 127;

/// Characters of a member's name that an error quotes.
const QUOTED_MAX: usize = 64;

/// A JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(Shared);

/// Why a text is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is longer than the store takes.
    #[error("a value has at most {VALUE_BYTES_MAX} bytes, not {0}")]
    TooLong(usize),
    /// Arrays and objects stand too deep in each other.
    #[error("arrays and objects are nested at most {NESTING_MAX} deep")]
    TooDeep,
    /// It is no JSON that everybody can read.
    #[error("{0}")]
    NoJson(String),
}

/// JSON that was read and thrown away.
struct Read;

impl Value {
    /// Bytes of a value.
    pub const BYTES_MAX: usize = VALUE_BYTES_MAX;

    /// Takes a text, if it is a value.
    ///
    /// # Errors
    /// When it is too long, or no JSON.
    pub fn parse(text: &[u8]) -> Result<Self, ValueError> {
        let text = text.trim_ascii();
        if text.len() > VALUE_BYTES_MAX {
            return Err(ValueError::TooLong(text.len()));
        }
        match serde_json::from_slice::<Read>(text) {
            Ok(Read) => Ok(Value(Shared::from(text))),
            Err(error) => {
                let detail = error.to_string();
                // The parser has no other mark for it.
                let too_deep = detail.starts_with("recursion limit exceeded");
                Err(if too_deep { ValueError::TooDeep } else { ValueError::NoJson(detail) })
            }
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> Shared {
        self.0.clone()
    }

    /// Bytes of its text.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads everything, keeps nothing but the names of an object's members until its end. The parser bounds the nesting and decodes every string and number.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Read, E> {
        Ok(Read)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Read, E> {
        Ok(Read)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Read, E> {
        Ok(Read)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Read, E> {
        Ok(Read)
    }

    fn visit_str<E>(self, _: &str) -> Result<Read, E> {
        Ok(Read)
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Read, A::Error> {
        while let Some(Read) = seq.next_element()? {}
        Ok(Read)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                let quoted: String = name.chars().take(QUOTED_MAX).collect();
                return Err(A::Error::custom(format_args!("the member {quoted:?} stands twice in one object")));
            }
            names.insert(name);
            let Read = map.next_value()?;
        }
        Ok(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_is_kept_as_it_was_sent() {
        for text in [
            "null",
            "0",
            "-1.50e3",
            "18446744073709551616",
            "\"\"",
            "\"\\ud83e\\uddf6\"",
            "[1 , {}]",
            "{\"a\":{\"a\":1},\"A\":[{\"a\":2}]}",
        ] {
            assert_eq!(Value::parse(format!(" \n{text}\t").as_bytes()).unwrap().text().as_slice(), text.as_bytes());
        }
    }

    #[test]
    fn what_not_everybody_can_read_is_no_value() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Value::parse(nested(NESTING_MAX).as_bytes()).is_ok());
        assert_eq!(Value::parse(nested(NESTING_MAX + 1).as_bytes()), Err(ValueError::TooDeep));
        assert_eq!(Value::parse("{\"a\":".repeat(NESTING_MAX + 1).as_bytes()), Err(ValueError::TooDeep));
        for wrong in ["", " ", "nul", "{", "{\"a\"}", "[1,]", "1 2", "01", "NaN", "'a'", "\"\n\"", "\"\\ud800\"", "1e999"] {
            assert!(matches!(Value::parse(wrong.as_bytes()), Err(ValueError::NoJson(_))), "{wrong:?} was taken");
        }
        assert!(Value::parse(b"\"\xff\"").is_err() && Value::parse(b"\xef\xbb\xbf1").is_err());
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_however_it_is_written() {
        for twice in ["{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":1}", "[{\"b\":{\"a\":1,\"c\":0,\"a\":1}}]", "{\"\":1,\"\":1}"] {
            let Err(ValueError::NoJson(detail)) = Value::parse(twice.as_bytes()) else { panic!("{twice} was taken") };
            assert!(detail.contains("stands twice"), "{detail}");
        }
        let long = format!("\"{}\":1", "x".repeat(1000));
        let detail = Value::parse(format!("{{{long},{long}}}").as_bytes()).unwrap_err().to_string();
        assert!(detail.len() < 200, "{detail}");
    }

    #[test]
    fn a_value_has_a_bound() {
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert_eq!(Value::parse(text(VALUE_BYTES_MAX).as_bytes()).unwrap().bytes(), VALUE_BYTES_MAX);
        assert_eq!(Value::parse(text(VALUE_BYTES_MAX + 1).as_bytes()), Err(ValueError::TooLong(VALUE_BYTES_MAX + 1)));
    }
}
