//! `/api/tokens`: what operators do with bearer tokens. Each request is an operator's ([`crate::operators::admission`]); a token's secret
//! is in the answer that made it and in no other.

#![allow(unused_qualifications, reason = "the lint means what utoipa's macro writes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::contract::body::{self, JsonBody};
use crate::http::contract::number;
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::contract::text_header;
use crate::operators::admission::Operators;
use crate::store::clock::Timestamp;
use crate::tokens::{self, Grant, Scope, TokenId, Tokens};

/// What operators do with tokens.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Tokens>: FromRef<S>,
    Arc<Operators>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// What a token is good for.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "lowercase")]
#[allow(dead_code, reason = "names the values in the OpenAPI document; the domain has its own")]
pub enum ScopeNames {
    /// To read data.
    Read,
    /// To read and to write data.
    Write,
}

/// A token that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenForm {
    /// What it is called: 1 to 64 characters, of which one at least is visible and none a control character.
    #[schema(example = "billing", min_length = 1, max_length = 64)]
    name: String,
    /// What it is good for; to write includes to read.
    #[schema(value_type = ScopeNames)]
    scope: Scope,
    /// Days after which it ends; without it, it ends when it is revoked.
    #[serde(default, deserialize_with = "number::whole")]
    #[schema(minimum = 1, maximum = 3660)]
    days: Option<u32>,
}

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
pub struct TokenDescription {
    /// Its name for operators: 16 hexadecimal digits.
    #[schema(example = "9f86d081884c7d65")]
    id: String,
    /// What it is called.
    #[schema(example = "billing")]
    name: String,
    /// What it is good for.
    #[schema(value_type = ScopeNames)]
    scope: Scope,
    /// When it was made (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends by itself (RFC 3339); null if it does not.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub struct TokenMade {
    /// The token, told here and never again.
    #[schema(example = "skein_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    #[serde(flatten)]
    #[allow(missing_docs)]
    description: TokenDescription,
}

/// All tokens.
#[derive(Serialize, ToSchema)]
pub struct TokenList {
    /// The tokens, the oldest first.
    tokens: Vec<TokenDescription>,
}

impl TokenDescription {
    fn new(id: TokenId, grant: Grant) -> Self {
        TokenDescription {
            id: id.to_string(),
            name: grant.name,
            scope: grant.scope,
            created_at: grant.created_at.to_string(),
            expires_at: grant.expires_at.as_ref().map(Timestamp::to_string),
        }
    }
}

/// List tokens
///
/// All there are, at one instant; those that have expired until they are swept. None of the answer is secret enough to let
/// anybody in.
#[utoipa::path(
    get, path = "/api/tokens", tag = "operators", operation_id = "listTokens",
    responses(
        (status = 200, description = "The tokens", body = TokenList),
        (status = 401, description = "734: not an operator's request", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("operator" = []))
)]
pub async fn list(
    State(tokens): State<Arc<Tokens>>,
    State(operators): State<Arc<Operators>>,
    request: Request,
) -> Result<Json<TokenList>, Problem> {
    operators.admit(request).await?;
    let tokens = tokens.list().await?.into_iter().map(|(id, grant)| TokenDescription::new(id, grant)).collect();
    Ok(Json(TokenList { tokens }))
}

/// Make a token
///
/// The answer is the only place where its secret ever stands. There may be 256 at once. An `Idempotency-Key` is not taken:
/// a repeat would need the secret to be stored.
#[utoipa::path(
    post, path = "/api/tokens", tag = "operators", operation_id = "createToken",
    request_body = TokenForm,
    responses(
        (status = 201, description = "The token, with its secret", body = TokenMade, headers(
            ("Location" = String, description = "The path of the token"),
            ("Skein-Transaction" = String, description = "The transaction that made it"))),
        (status = 400, description = "606 or 708: a field or the body is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "734: not an operator's request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "733: there are as many tokens as may be", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("operator" = []))
)]
pub async fn create(
    State(tokens): State<Arc<Tokens>>,
    State(operators): State<Arc<Operators>>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let bytes = operators.admit(request).await?;
    body::check_kind(&headers)?;
    let form = JsonBody::<TokenForm>::of(bytes)?.value;
    let (secret, grant, txn) = tokens.create(&form.name, form.scope, form.days).await?;
    let id = secret.id();
    let headers = [(TRANSACTION, text_header(txn.to_string()))];
    let location = [(axum::http::header::LOCATION, text_header(format!("/api/tokens/{id}")))];
    let made = TokenMade { token: secret.reveal(), description: TokenDescription::new(id, grant) };
    Ok((StatusCode::CREATED, headers, location, Json(made)).into_response())
}

/// Revoke a token
///
/// It is of no use any more, at no coordinator, when the answer comes.
#[utoipa::path(
    delete, path = "/api/tokens/{id}", tag = "operators", operation_id = "revokeToken",
    params(("id" = String, Path, description = "The token's id", example = "9f86d081884c7d65")),
    responses(
        (status = 204, description = "Revoked", headers(("Skein-Transaction" = String, description = "The transaction that revoked it"))),
        (status = 401, description = "734: not an operator's request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "732: there is no such token", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("operator" = []))
)]
pub async fn revoke(
    State(tokens): State<Arc<Tokens>>,
    State(operators): State<Arc<Operators>>,
    id: Result<Id, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    operators.admit(request).await?;
    let txn = tokens.revoke(id?.0).await?;
    Ok((StatusCode::NO_CONTENT, [(TRANSACTION, text_header(txn.to_string()))]).into_response())
}

/// The id from the path; what is none names no token.
pub struct Id(TokenId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.ok().and_then(|text| text.parse().ok()).map(Id).ok_or_else(|| tokens::Error::NotFound.into())
    }
}
