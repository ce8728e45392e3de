//! `/api/cluster/workers`: what operators do about which workers the cluster is meant to have. Each request is an operator's
//! ([`crate::operators::admission`]); a change holds for good, whatever a later start names, and its answer comes when the view has become
//! active that brings it about.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::contract::body::{self, JsonBody};
use crate::http::contract::problem::{Problem, ProblemDocument};
use crate::operators::admission::Operators;
use crate::operators::roster::{Roster, Workers};

/// A worker that is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerForm {
    /// Where the coordinator reaches it: HOST:PORT, or a port for the coordinator's own machine.
    #[schema(
        example = "10.0.0.14:7000",
        max_length = 259,
        pattern = r"^(([A-Za-z0-9._-]{1,253}|\[::1\]):)?([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3})$"
    )]
    address: String,
}

/// The workers that the cluster is meant to have.
#[derive(Serialize, ToSchema)]
pub struct WorkerRoster {
    /// All of them.
    #[schema(example = json!(["10.0.0.11:7000", "10.0.0.12:7000", "10.0.0.14:7000"]))]
    workers: Vec<String>,
    /// Of these, those that operators have added to the ones that the settings name.
    #[schema(example = json!(["10.0.0.14:7000"]))]
    added: Vec<String>,
    /// Those that operators have removed: none of them is taken in, also if the settings name it.
    #[schema(example = json!(["10.0.0.13:7000"]))]
    removed: Vec<String>,
}

impl From<Workers> for WorkerRoster {
    fn from(Workers { workers, added, removed }: Workers) -> Self {
        WorkerRoster { workers, added, removed }
    }
}

/// List the workers
///
/// Those that the cluster is meant to have, and what operators have changed about them. How each stands is at `/api/cluster`.
#[utoipa::path(
    get, path = "/api/cluster/workers", tag = "operators", operation_id = "listWorkers",
    responses(
        (status = 200, description = "The workers", body = WorkerRoster),
        (status = 401, description = "734: not an operator's request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("operator" = []))
)]
pub async fn list(
    State(roster): State<Arc<Roster>>,
    State(operators): State<Arc<Operators>>,
    request: Request,
) -> Result<Json<WorkerRoster>, Problem> {
    operators.admit(request).await?;
    Ok(Json(roster.list().await?.into()))
}

/// Add a worker
///
/// For good, whatever the settings of a later start name. It is taken in as soon as it answers: it copies all records while
/// the others serve, and is a member after that. One that is there already stays, and that is no error.
#[utoipa::path(
    post, path = "/api/cluster/workers", tag = "operators", operation_id = "addWorker",
    request_body = WorkerForm,
    responses(
        (status = 200, description = "Added; the workers now", body = WorkerRoster),
        (status = 400, description = "606 or 708: the address or the body is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "734: not an operator's request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "735 or 738: there are as many workers as may be, or another change is under way", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "739: it has not come about in time, and may still", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("operator" = []))
)]
pub async fn add(
    State(roster): State<Arc<Roster>>,
    State(operators): State<Arc<Operators>>,
    request: Request,
) -> Result<Json<WorkerRoster>, Problem> {
    let headers = request.headers().clone();
    let bytes = operators.admit(request).await?;
    body::check_kind(&headers)?;
    let form = JsonBody::<WorkerForm>::of(bytes)?.value;
    Ok(Json(roster.add(&form.address).await?.into()))
}

/// Remove a worker
///
/// For good, whatever the settings of a later start name, until it is added again. It is refused as long as no other member
/// holds all records.
#[utoipa::path(
    delete, path = "/api/cluster/workers/{address}", tag = "operators", operation_id = "removeWorker",
    params(("address" = String, Path, description = "Where the coordinator reaches it", pattern = r"^(([A-Za-z0-9._-]{1,253}|\[::1\]):)?([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3})$", example = "10.0.0.13:7000")),
    responses(
        (status = 200, description = "Removed; the workers now", body = WorkerRoster),
        (status = 400, description = "606: the address is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "734: not an operator's request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "736: there is no worker at this address", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "737 or 738: no other member holds all records, or another change is under way", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "739: it has not come about in time, and may still", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("operator" = []))
)]
pub async fn remove(
    State(roster): State<Arc<Roster>>,
    State(operators): State<Arc<Operators>>,
    address: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request,
) -> Result<Json<WorkerRoster>, Problem> {
    operators.admit(request).await?;
    // What is no text is no address either.
    let address = address.map(|Path(address)| address).unwrap_or_default();
    Ok(Json(roster.remove(&address).await?.into()))
}
