//! `/api/transactions/{id}`: how a transaction ended, as far as this coordinator knows. After an answer that said *unknown*
//! this is where to ask.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use serde::Serialize;
use skein_protocol::id::TxnId;
use skein_protocol::message::Outcome;
use skein_protocol::step::KnownOutcome;
use utoipa::ToSchema;

use super::App;
use super::code::Code;
use super::error::{Problem, ProblemDocument};

/// How a transaction ended.
#[derive(Serialize, ToSchema)]
pub struct Transaction {
    /// The transaction.
    #[schema(example = "3-1042")]
    id: String,
    /// How it ended.
    outcome: TransactionOutcome,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionOutcome {
    /// All of it holds, for good.
    Committed,
    /// None of it holds, nor ever will.
    Aborted,
    /// Not known yet.
    Unknown,
}

/// The id from the path; what is none was never heard of.
pub struct Id(TxnId);

impl FromRequestParts<App> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        text.ok().and_then(|text| text.parse().ok()).map(Id).ok_or_else(not_known)
    }
}

fn not_known() -> Problem {
    Problem::new(Code::NoSuchTransaction, "no transaction of this id is known, or it is no longer")
}

/// How a transaction ended
#[utoipa::path(
    get, path = "/api/transactions/{id}", tag = "cluster", operation_id = "getTransaction",
    params(("id" = String, Path, description = "The id from Skein-Transaction, or from a problem document", example = "3-1042")),
    responses(
        (status = 200, description = "What is known", body = Transaction),
        (status = 404, description = "703: never heard of, or no longer known", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn get(State(app): State<App>, id: Id) -> Result<Json<Transaction>, Problem> {
    let outcome = match app.cluster.outcome(id.0).await? {
        KnownOutcome::Known(Outcome::Committed) => TransactionOutcome::Committed,
        KnownOutcome::Known(Outcome::Aborted) => TransactionOutcome::Aborted,
        KnownOutcome::Unknown => TransactionOutcome::Unknown,
        KnownOutcome::NotKnown => return Err(not_known()),
    };
    Ok(Json(Transaction { id: id.0.to_string(), outcome }))
}
