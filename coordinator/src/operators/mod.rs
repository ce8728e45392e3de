//! What operators do: look at the cluster, change which workers it has, and prove that they are operators.

pub mod admission;
pub mod cluster;
pub mod console;
pub mod health;
pub mod key;
pub mod roster;
pub mod settings;
pub mod workers;

mod problem;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// What is asked about the cluster, and done about its workers.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(cluster::get))
        .routes(routes!(workers::list, workers::add))
        .routes(routes!(workers::remove))
        .routes(routes!(settings::get))
}

/// What probes ask.
pub fn probes() -> Router<App> {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
}
