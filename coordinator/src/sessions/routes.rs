//! `/api/login`: log in, who is logged in, log out. Tries are counted before the costly part, as failed and as made, and given
//! back when they were not. A session is a transaction like every other, and ends the one that the browser had before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{self, Accounts};
use crate::caller::limits::RateLimits;
use crate::caller::{Callers, Person, cookie};
use crate::config::{Auth, SurfaceConfig};
use crate::http::contract::body::{Form, JsonBody};
use crate::http::contract::code::Code;
use crate::http::contract::precondition;
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::edge::Edge;
use crate::http::edge::address::Client;
use crate::sessions::{Session, Sessions};

/// Logging in and out.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Sessions>: FromRef<S>,
    Arc<Accounts>: FromRef<S>,
    Arc<RateLimits>: FromRef<S>,
    Arc<SurfaceConfig>: FromRef<S>,
    Arc<Callers>: FromRef<S>,
    Arc<Edge>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new().routes(routes!(log_in, who, log_out))
}

/// Who wants to log in.
#[derive(Deserialize, ToSchema)]
pub struct Credentials {
    /// The username, in any case.
    #[schema(example = "ann", min_length = 1, max_length = 32, pattern = "^[a-zA-Z0-9_.-]+$")]
    username: String,
    /// The password; required where people log in by password. Not needed, and ignored, where people log in by name alone.
    password: Option<String>,
}

impl Form for Credentials {}

/// Who is logged in.
#[derive(Serialize, ToSchema)]
pub struct Login {
    /// The username, as written when the account was made.
    #[schema(example = "ann")]
    username: String,
    /// When the session began (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends by itself (RFC 3339).
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<Session> for Login {
    fn from(session: Session) -> Self {
        Login {
            username: session.username,
            created_at: session.created_at.to_string(),
            expires_at: session.expires_at.to_string(),
        }
    }
}

/// Log in
///
/// Sets the cookie `skein_session`, named `__Host-skein_session` where it is Secure, and ends the session that was sent along.
/// Where people log in by name alone (`/api/settings` tells) the account is made on the way.
/// A wrong username takes as long as a wrong password. An `Idempotency-Key` is taken but changes nothing: a repeat begins
/// another session.
#[utoipa::path(
    post, path = "/api/login", tag = "login", operation_id = "logIn",
    request_body = Credentials,
    responses(
        (status = 200, description = "Logged in", body = Login, headers(
            ("Set-Cookie" = String, description = "The session; HttpOnly, SameSite=Lax, Secure when TLS is in front"),
            ("Skein-Transaction" = String, description = "The transaction that began the session"))),
        (status = 400, description = "606 or 708: a field or the body is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "601 or 602: no such user, or another password", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "719 or 720: too many failed tries, or too many log-ins; `Retry-After` says how long to wait", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn log_in(
    State(settings): State<Arc<SurfaceConfig>>,
    State(limits): State<Arc<RateLimits>>,
    State(accounts): State<Arc<Accounts>>,
    State(sessions): State<Arc<Sessions>>,
    client: Client,
    headers: HeaderMap,
    body: JsonBody<Credentials>,
) -> Result<Response, Problem> {
    precondition::idempotency_key(&headers)?;
    let Credentials { username, password } = body.value;
    let account = match settings.auth {
        Auth::Name => {
            accounts::check_form(&username, None)?;
            let attempt = limits.entry(&username, &client.address)?;
            let entered = accounts.enter(&username).await;
            match entered {
                Ok(_) => attempt.succeeded(),
                Err(_) => attempt.give_back(),
            }
            entered?
        }
        Auth::Password => {
            let password = password.ok_or_else(|| Problem::field(Code::MalformedField, "password", "is missing", None))?;
            // Before anything is counted, so that only names that could be somebody's are.
            accounts::check_form(&username, Some(&password))?;
            let attempt = limits.login(&username, &client.address)?;
            let checked = accounts.check(&username, password, &client.address).await;
            let checked = checked.map_err(|error| Problem::from(error).at_login());
            match checked.as_ref().map_err(Problem::code) {
                Ok(_) => attempt.succeeded(),
                Err(Code::NoSuchUser | Code::WrongPassword) => attempt.failed(),
                Err(_) => attempt.give_back(),
            }
            checked?
        }
    };
    let before = cookie::token(&headers, client.secure);
    let (token, session, txn) = sessions.begin(&account.username, before.as_ref()).await?;
    let cookie = cookie::set(&token, sessions.lifetime(), client.secure);
    let answer = [(header::SET_COOKIE, cookie), (TRANSACTION, crate::http::contract::text_header(txn.to_string()))];
    Ok((answer, Json(Login::from(session))).into_response())
}

/// Who is logged in
#[utoipa::path(
    get, path = "/api/login", tag = "login", operation_id = "getLogin",
    responses(
        (status = 200, description = "Somebody is", body = Login),
        (status = 401, description = "700: nobody is logged in", body = ProblemDocument, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub async fn who(person: Person) -> Result<Json<Login>, Problem> {
    person.confirm().await?;
    Ok(Json((*person.session).clone().into()))
}

/// Log out
///
/// Ends the session at every coordinator and takes the cookie away. Nobody to log out is no error.
#[utoipa::path(
    delete, path = "/api/login", tag = "login", operation_id = "logOut",
    responses((status = 204, description = "Logged out", headers(
        ("Set-Cookie" = String, description = "Takes the cookie away"),
        ("Skein-Transaction" = Option<String>, description = "The transaction that ended the session, if there was one")))),
    security(("session" = []), ())
)]
pub async fn log_out(State(sessions): State<Arc<Sessions>>, client: Client, headers: HeaderMap) -> Result<Response, Problem> {
    let cleared = [(header::SET_COOKIE, cookie::clear(client.secure))];
    let ended = match cookie::token(&headers, client.secure) {
        Some(token) => sessions.end(&token).await?,
        None => None,
    };
    let Some(txn) = ended else { return Ok((StatusCode::NO_CONTENT, cleared).into_response()) };
    let transaction = [(TRANSACTION, crate::http::contract::text_header(txn.to_string()))];
    Ok((StatusCode::NO_CONTENT, cleared, transaction).into_response())
}
