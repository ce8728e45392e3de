//! `/api/account`: sign up. Where passwords are asked for this is the one way to an account.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{self, Accounts, Created, Earlier, SignUp, SignedUp};
use crate::caller::limits::RateLimits;
use crate::http::contract::body::{Form, JsonBody};
use crate::http::contract::code::Code;
use crate::http::contract::precondition;
use crate::http::contract::problem::{Problem, ProblemDocument, TRANSACTION};
use crate::http::edge::Edge;
use crate::http::edge::address::Client;

/// All that is done with accounts.
pub fn routes<S>() -> OpenApiRouter<S>
where
    Arc<Accounts>: FromRef<S>,
    Arc<RateLimits>: FromRef<S>,
    Arc<Edge>: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    OpenApiRouter::new().routes(routes!(create))
}

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
pub struct NewAccount {
    /// 1 to 32 of the characters a-z A-Z 0-9 _ . -, unique without regard to case.
    #[schema(example = "ann", min_length = 1, max_length = 32, pattern = "^[a-zA-Z0-9_.-]+$")]
    username: String,
    /// The name as shown: 1 to 64 characters, of which one at least is visible and none a control character.
    #[schema(example = "Ann Example", min_length = 1, max_length = 64)]
    name: String,
    /// An address of the form local@domain, at most 254 bytes.
    #[schema(example = "ann@example.org", format = Email, max_length = 254)]
    email: String,
    /// 8 to 256 characters.
    #[schema(format = Password, min_length = 8, max_length = 256)]
    password: String,
}

impl Form for NewAccount {}

/// An account, without its secrets.
#[derive(Serialize, ToSchema)]
pub struct Account {
    /// The username.
    #[schema(example = "ann")]
    username: String,
    /// The name as shown.
    #[schema(example = "Ann Example")]
    name: String,
    /// The email address.
    #[schema(example = "ann@example.org")]
    email: String,
    /// When it was made (RFC 3339).
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<accounts::Account> for Account {
    fn from(account: accounts::Account) -> Self {
        Account {
            username: account.username,
            name: account.name,
            email: account.email,
            created_at: account.created_at.to_string(),
        }
    }
}

/// Create an account
#[utoipa::path(
    post, path = "/api/account", tag = "accounts", operation_id = "createAccount",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat with the same key and fields gets the first answer", min_length = 1, max_length = 255)),
    request_body = NewAccount,
    responses(
        (status = 201, description = "The account", body = Account, headers(("Skein-Transaction" = String, description = "The transaction that wrote it"))),
        (status = 400, description = "606, 708 or 709: a field, the body or the key is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "607: the username exists already", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "713: the Idempotency-Key was used for another request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "720: too many sign-ups from this address, or too many that failed; 719: a repeat that has tried too many passwords. `Retry-After` says how long to wait", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    State(accounts): State<Arc<Accounts>>,
    State(limits): State<Arc<RateLimits>>,
    client: Client,
    headers: HeaderMap,
    body: JsonBody<NewAccount>,
) -> Result<Response, Problem> {
    let once = precondition::idempotency_key(&headers)?;
    let NewAccount { username, name, email, password } = body.value;
    let form = SignUp { username, name, email, password };
    // Before anything is counted, so that a slip of the finger costs nothing.
    accounts::check_sign_up(&form)?;
    let earlier = match &once {
        Some(once) => accounts.earlier(&form, once).await?,
        None => None,
    };
    let signed_up = match earlier {
        Some(earlier) => SignedUp::Repeat(earlier),
        None => {
            let attempt = limits.sign_up(&client.address)?;
            let signed_up = accounts.sign_up(&form, once.as_ref(), &client.address).await;
            match &signed_up {
                Ok(SignedUp::Now(_)) => attempt.succeeded(),
                Ok(SignedUp::Repeat(_)) => attempt.give_back(),
                // What is not known counts: there may be an account.
                Err(error) if error.may_have_happened() => attempt.succeeded(),
                Err(error) if error.is_stores() => attempt.give_back(),
                Err(_) => attempt.failed(),
            }
            signed_up?
        }
    };
    let created = match signed_up {
        SignedUp::Now(created) => created,
        SignedUp::Repeat(earlier) => prove(&accounts, &limits, earlier, form, &client).await?,
    };
    let transaction = [(TRANSACTION, crate::http::contract::text_header(created.txn.to_string()))];
    Ok((StatusCode::CREATED, transaction, Json(Account::from(created.account))).into_response())
}

/// Lets a repeat prove its password, within the limits of log-ins: it tells right passwords from wrong ones as they do.
async fn prove(
    accounts: &Accounts,
    limits: &RateLimits,
    earlier: Earlier,
    form: SignUp,
    client: &Client,
) -> Result<Created, Problem> {
    let attempt = limits.login(&form.username, &client.address)?;
    let proved = accounts.prove(earlier, form.password, &client.address).await.map_err(Problem::from);
    match proved.as_ref().map_err(Problem::code) {
        Err(Code::IdempotencyKeyReused) => attempt.failed(),
        Ok(_) | Err(_) => attempt.give_back(),
    }
    proved
}
