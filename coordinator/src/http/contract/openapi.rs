//! The contract as a document: OpenAPI 3.1, made from the handlers' own types, at `/api/openapi.json`, and a page that shows
//! it at `/api/docs`. The document in the repository (`coordinator/openapi.json`) is a snapshot that a test compares, so that
//! no change of the contract goes unseen.

pub mod refinement;

use std::sync::{Arc, LazyLock};

use axum::extract::{FromRequestParts, Path};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa_swagger_ui::Config;

use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;
use crate::http::contract::text_header;

/// The name of the session's cookie.
pub const SESSION_COOKIE: &str = "skein_session";

/// The header of writes, as the handlers' documentation spells it.
const TRANSACTION: &str = "Skein-Transaction";

/// What the handlers don't say themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Skein",
        description = "A self-hosted microblog and data service on a replicated, transactional in-memory store.\n\n\
            Every write is one two-phase commit across all replicas. The answer of every write that became a transaction \
            carries its id in `Skein-Transaction`; what is refused before has none. Errors are problem documents (RFC 9457) with a stable integer `code`.\n\n\
            **Unknown.** 503 with `transaction` in the document says that the outcome is not known yet: ask \
            `/api/transactions/{id}`. 503 with `Retry-After` and no `transaction` says that nothing was done. 502 and 504 say \
            that no answer came in time and nothing more is known; with an `Idempotency-Key` it is safe to send again.\n\n\
            **Repeats.** A write with an `Idempotency-Key` happens once: a repeat by the same user within the time that keys \
            are remembered (24 hours by default) gets the first answer, `Skein-Transaction` included. Only committed answers \
            are remembered.\n\n\
            **Reads.** One tweet or one value is read strictly serializable, and so is all that a transaction reads. A list is \
            read as of the request's arrival unless `consistent=strict` is asked for.\n\n\
            **Bounds.** Bodies 16 KiB, a tweet's more where longer tweets are allowed; a value 64 KiB, the keys and values of a transaction 92 KiB; heads of 16 KiB and 64 headers; paths and queries 8 KiB; requests 15 s."
    ),
    components(schemas(super::parameter::ConsistencyParameter)),
    tags(
        (name = "login", description = "Log in and out"),
        (name = "accounts", description = "Sign up"),
        (name = "tweets", description = "List, post, read, edit, delete; all need a login"),
        (name = "bookmarks", description = "Mark a tweet, list the marks, remove one; all need a login"),
        (name = "data", description = "Values of any JSON under keys, and transactions over them; all need a login or a bearer token"),
        (name = "operators", description = "What only those may do who know the cluster's secret"),
        (name = "cluster", description = "How it stands; none needs a login"),
    )
)]
struct Frame;

/// The document without any path.
pub fn frame() -> utoipa::openapi::OpenApi {
    Frame::openapi()
}

/// Adds to the handlers' document what holds for all of them.
pub fn complete(document: &mut utoipa::openapi::OpenApi) {
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let components = document.components.get_or_insert_default();
    let session = ApiKeyValue::with_description(SESSION_COOKIE, "set by POST /api/login");
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("made by `skein token create`")).build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let signature = "`Skein-Operator`: a signature by a key that follows from the cluster's secret; `skein token` makes it";
    let operator = ApiKeyValue::with_description("Authorization", signature);
    components.add_security_scheme("operator", SecurityScheme::ApiKey(ApiKey::Header(operator)));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    refinement::refine(components);
    for item in document.paths.paths.values_mut() {
        let operations: [&mut Option<Operation>; 5] =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDocument"))).build();
            let response = ResponseBuilder::new()
                .description("Anything else: a problem document; `ProblemCode` lists all codes with their statuses")
                .content("application/problem+json", problem)
                .build();
            operation.responses.responses.insert("default".to_owned(), response.into());
            present_or_absent(operation);
            headers_of_problems(operation);
        }
    }
}

/// A header that may be missing is never null.
fn present_or_absent(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Header
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
        {
            schema.schema_type = Type::String.into();
            schema.pattern = refinement::of_header(&parameter.name).map(str::to_owned);
        }
    }
}

/// Says which answers of an operation may carry which headers beside the problem document.
fn headers_of_problems(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let writes =
        responses.values().any(|response| matches!(response, RefOr::T(answer) if answer.headers.contains_key(TRANSACTION)));
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        let headers = &mut response.headers;
        if writes && matches!(status.as_str(), "409" | "412" | "default") {
            let description = "The transaction that found it out or whose outcome is not known; missing if it came to none";
            headers.insert(TRANSACTION.to_owned(), told(Type::String, description));
        }
        if matches!(status.as_str(), "409" | "429" | "503" | "default") {
            let description = "Seconds after which to try again, where that may help";
            headers.insert("Retry-After".to_owned(), told(Type::Integer, description));
        }
        if status == "401" {
            let description = "Asks for the session's cookie (`Cookie`), a bearer token (`Bearer`) or an operator's signature (`Skein-Operator`); makes no browser show a dialogue";
            headers.insert("WWW-Authenticate".to_owned(), told(Type::String, description));
        }
    }
}

fn told(kind: Type, description: &str) -> RefOr<Header> {
    let schema = ObjectBuilder::new().schema_type(kind);
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build().into()
}

/// The page that shows the document. The viewer's own page names its files relative to itself, which would only work behind
/// a slash.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Skein API</title>
    <link rel="stylesheet" href="/api/docs/swagger-ui.css" />
    <link rel="stylesheet" href="/api/docs/index.css" />
    <link rel="icon" type="image/png" href="/api/docs/favicon-32x32.png" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/api/docs/swagger-ui-bundle.js"></script>
    <script src="/api/docs/swagger-ui-standalone-preset.js"></script>
    <script src="/api/docs/swagger-initializer.js"></script>
  </body>
</html>
"#;

/// Serves the page that shows the document.
pub async fn page() -> Html<&'static str> {
    Html(PAGE)
}

/// A file of the page that shows the document.
pub struct DocsFile(String);

impl<S: Send + Sync> FromRequestParts<S> for DocsFile {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(DocsFile(path.map_or_else(|_| String::new(), |path| path.0)))
    }
}

/// Serves a file of that page.
pub async fn docs(DocsFile(path): DocsFile) -> Response {
    // The base layout alone keeps to the content security policy: the other has a logo with a style of its own.
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("/api/openapi.json").use_base_layout()));
    match utoipa_swagger_ui::serve(&path, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => ([(header::CONTENT_TYPE, text_header(file.content_type))], file.bytes.into_owned()).into_response(),
        Ok(None) => Problem::new(Code::NoSuchPath, "the documentation has no such file").into_response(),
        Err(error) => Problem::new(Code::Internal, error.to_string()).into_response(),
    }
}
