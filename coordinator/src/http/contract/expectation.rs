//! What a client expects of a record, and what it hears when that does not hold.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::fmt;

use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use skein_protocol::operation::Expect;
use utoipa::ToSchema;

/// An expectation of a transaction that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnmetExpectation {
    /// Which of `writes`, counted from 0.
    pub index: usize,
    /// Its key.
    pub key: String,
    /// What was expected.
    pub expected: Expectation,
    /// The version that was found; null if there was no value.
    #[schema(required)]
    pub found: Option<String>,
}

/// What a write of a transaction expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// There is no value under the key.
    Absent,
    /// There is one.
    Present,
    /// There is one, of this version.
    Version(String),
}

impl<'de> Deserialize<'de> for Expectation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpectationReader)
    }
}

/// Reads it by hand, since a derived reader would take `{"absent": null}` for `"absent"`.
struct ExpectationReader;

impl<'de> Visitor<'de> for ExpectationReader {
    type Value = Expectation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"absent\", \"present\" or {\"version\": \"...\"}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Expectation, E> {
        match text {
            "absent" => Ok(Expectation::Absent),
            "present" => Ok(Expectation::Present),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expectation, A::Error> {
        if map.next_key::<String>()?.as_deref() != Some("version") {
            return Err(A::Error::invalid_value(Unexpected::Map, &self));
        }
        let version = map.next_value()?;
        match map.next_key::<String>()? {
            None => Ok(Expectation::Version(version)),
            Some(_) => Err(A::Error::invalid_value(Unexpected::Map, &self)),
        }
    }
}

impl From<Expect> for Expectation {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Absent => Expectation::Absent,
            // Nobody expects nothing and is told that it failed.
            Expect::Present | Expect::Any => Expectation::Present,
            Expect::Version(version) => Expectation::Version(version.0.to_string()),
        }
    }
}
