//! What operators do: look at the cluster, change which workers it has, and prove that they are operators.

pub mod admission;
pub mod cluster;
pub mod console;
pub mod gauges;
pub mod health;
pub mod key;
pub mod roster;
pub mod settings;
pub mod workers;

mod problem;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use prometheus::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::SurfaceConfig;
use admission::Operators;
use cluster::Overview;
use console::Console;
use roster::Roster;

/// What is asked about the cluster, and done about its workers.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Overview>: FromRef<S>,
    Arc<Roster>: FromRef<S>,
    Arc<Operators>: FromRef<S>,
    Arc<SurfaceConfig>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new()
        .routes(routes!(cluster::get))
        .routes(routes!(workers::list, workers::add))
        .routes(routes!(workers::remove))
        .routes(routes!(settings::get))
}

/// What probes ask.
pub fn probes<S>() -> Router<S>
where
    Arc<Console>: FromRef<S>,
    Arc<Registry>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
}
