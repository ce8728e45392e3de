//! What is said about data: the documents that clients send and get. A value stands in them as it was sent, never parsed and
//! printed anew, and versions are texts, since they are opaque and may be more than a double can count.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use skein_protocol::operation::Shared;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};
use utoipa::{PartialSchema, ToSchema};

use crate::data::{self, DataKey};
use crate::http::contract::problem::Problem;

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
