//! `/api/settings`: what a page needs to know before anybody is logged in. Nothing here is secret.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::{Auth, SurfaceConfig};

/// What clients need to know of this cluster's settings.
#[derive(Serialize, ToSchema)]
pub struct PublicSettings {
    /// How people log in: with a password, or by name alone.
    auth: Auth,
    /// Unicode scalar values of a tweet at the most.
    #[schema(minimum = 1)]
    tweet_characters_max: usize,
    /// Seconds for which an `Idempotency-Key` is remembered. A write whose outcome is unknown may be repeated under its key
    /// within that time.
    #[schema(minimum = 3600)]
    idempotency_seconds: u64,
    /// Skein's version.
    version: &'static str,
}

/// What clients need to know
#[utoipa::path(
    get, path = "/api/settings", tag = "cluster", operation_id = "getSettings",
    responses((status = 200, description = "The settings", body = PublicSettings)),
)]
pub async fn get(State(settings): State<Arc<SurfaceConfig>>) -> Json<PublicSettings> {
    Json(PublicSettings {
        auth: settings.auth,
        tweet_characters_max: settings.limits.tweet_characters_max,
        idempotency_seconds: settings.idempotency_lifetime.as_secs(),
        version: env!("CARGO_PKG_VERSION"),
    })
}
