//! What is said about data: the documents that clients send and get. A value stands in them as it was sent, never parsed and
//! printed anew, and versions are texts, since they are opaque and may be more than a double can count.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use skein_protocol::operation::{Expect, Shared};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};
use utoipa::{PartialSchema, ToSchema};

use crate::data::{self, DataKey, Unmet};
use crate::http::error::Problem;

/// Any JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct AnyJson(pub Box<RawValue>);

/// A value with its key.
#[derive(Serialize, ToSchema)]
pub struct DataEntry {
    /// Its key.
    #[schema(example = "users/1", min_length = 1, max_length = 512)]
    pub key: DataKey,
    /// The value, as it was sent.
    pub value: AnyJson,
    /// Its version: opaque, and another after each write. In quotes it is the ETag.
    #[schema(example = "1763617739250000")]
    pub version: String,
}

/// A page of values, in the order of their keys.
#[derive(Serialize, ToSchema)]
pub struct DataPage {
    /// The values.
    pub data: Vec<DataEntry>,
    /// The cursor of the next page; null if this is the last.
    #[schema(required)]
    pub next: Option<String>,
}

/// What a write of one key did.
#[derive(Serialize, ToSchema)]
pub struct DataWritten {
    /// The key.
    #[schema(example = "users/1")]
    pub key: DataKey,
    /// The version that was written: opaque, and another after each write. In quotes it is the ETag.
    #[schema(example = "1763617739250000")]
    pub version: String,
}

/// An expectation of a transaction that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnmetExpectation {
    /// Which of `writes`, counted from 0.
    index: usize,
    /// Its key.
    key: DataKey,
    /// What was expected.
    expected: Expectation,
    /// The version that was found; null if there was no value.
    #[schema(required)]
    found: Option<String>,
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

impl PartialSchema for AnyJson {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some("Any JSON.")).into()
    }
}

impl ToSchema for AnyJson {
    fn name() -> Cow<'static, str> {
        "AnyJson".into()
    }
}

impl PartialSchema for DataKey {
    fn schema() -> RefOr<Schema> {
        String::schema()
    }
}

impl ToSchema for DataKey {}

impl AnyJson {
    /// A value as the store keeps it.
    pub fn stored(text: &Shared) -> Result<Self, Problem> {
        let text = std::str::from_utf8(text).ok().and_then(|text| RawValue::from_string(text.to_owned()).ok());
        text.map(AnyJson).ok_or_else(|| data::Error::Unreadable.into())
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

impl From<Unmet> for UnmetExpectation {
    fn from(unmet: Unmet) -> Self {
        UnmetExpectation {
            index: unmet.index,
            key: unmet.key,
            expected: unmet.expected.into(),
            found: unmet.found.map(|version| version.0.to_string()),
        }
    }
}
