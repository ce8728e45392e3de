//! All that is below `/api`: the rooms' routes, and the document that says what they take and answer.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::OpenApiRouter;

use super::contract::openapi::{self, refinement};
use super::edge::assets;
use crate::app::App;
use crate::config::{Auth, SurfaceConfig};
use crate::{accounts, bookmarks, data, operators, sessions, tokens, tweets};

/// The methods, routes and statuses of the contract.
#[must_use]
pub fn known_answers() -> Vec<(String, String, u16)> {
    let (_, document) = routes();
    let mut known = Vec::new();
    for (path, item) in &document.paths.paths {
        let operations = [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)];
        for (method, operation) in operations {
            let statuses = operation.iter().flat_map(|operation| operation.responses.responses.keys());
            known.extend(statuses.filter_map(|status| Some((method.to_owned(), path.clone(), status.parse().ok()?))));
        }
    }
    known
}

/// What a room asks for before it says anything; a room is what follows `/api/` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Nothing, or each operation something of its own.
    Open,
    /// A login.
    Login,
    /// A login or a bearer token.
    LoginOrToken,
}

/// The doors of all rooms.
pub struct Doors(HashMap<String, Door>);

impl Doors {
    /// The door that this path is behind.
    pub fn of(&self, path: &str) -> Door {
        room(path).and_then(|room| self.0.get(room)).copied().unwrap_or(Door::Open)
    }
}

fn room(path: &str) -> Option<&str> {
    path.strip_prefix("/api/")?.split('/').next()
}

/// The doors that the contract names: a room asks for what each of its operations asks for.
pub fn doors(document: &utoipa::openapi::OpenApi) -> Doors {
    let [session, token] = ["session", "token"].map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []));
    let mut doors = HashMap::new();
    for (path, item) in &document.paths.paths {
        let Some(room) = room(path) else { continue };
        for operation in [&item.get, &item.post, &item.put, &item.delete].into_iter().flatten() {
            let takes = |what| operation.security.iter().flatten().any(|one| one == what);
            let door = match (takes(&session), takes(&token)) {
                (true, true) => Door::LoginOrToken,
                (true, false) => Door::Login,
                (false, _) => Door::Open,
            };
            let common = doors.entry(room.to_owned()).or_insert(door);
            if *common != door {
                *common = Door::Open;
            }
        }
    }
    Doors(doors)
}

/// All routes below `/api` that the contract names, and the contract itself.
pub fn routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::frame())
        .merge(sessions::routes::routes())
        .merge(accounts::routes::routes())
        .merge(tweets::routes::routes())
        .merge(bookmarks::routes::routes())
        .merge(data::routes::routes())
        .merge(tokens::routes::routes())
        .merge(operators::routes())
        .split_for_parts();
    openapi::complete(&mut document);
    let docs = Router::new()
        .route("/api/docs", get(openapi::page))
        .route("/api/docs/", get(openapi::page))
        .route("/api/docs/{*path}", get(openapi::docs))
        .layer(assets::compression());
    (router.route("/api/openapi.json", get(serve)).merge(docs), document)
}

/// The document as served, made once: where people log in by password, a log-in requires one.
pub fn json(auth: Auth) -> &'static str {
    static BY_NAME: LazyLock<String> = LazyLock::new(|| written(Auth::Name));
    static BY_PASSWORD: LazyLock<String> = LazyLock::new(|| written(Auth::Password));
    match auth {
        Auth::Name => &BY_NAME,
        Auth::Password => &BY_PASSWORD,
    }
}

fn written(auth: Auth) -> String {
    let (_, mut document) = routes();
    if auth == Auth::Password {
        refinement::require_password(document.components.get_or_insert_default());
    }
    let text = document.to_pretty_json().expect("a document of plain data becomes JSON");
    // The rest of a path is a parameter like any other to clients.
    text.replace("{*", "{")
}

/// Serves the document.
async fn serve(State(settings): State<Arc<SurfaceConfig>>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, json(settings.auth)).into_response()
}

#[cfg(test)]
mod tests {
    use super::{Auth, Door};

    #[test]
    fn a_log_in_requires_a_password_only_where_people_have_one() {
        let required = |auth| {
            let document: serde_json::Value = serde_json::from_str(super::json(auth)).unwrap();
            document["components"]["schemas"]["Credentials"]["required"].clone()
        };
        assert_eq!(required(Auth::Name), serde_json::json!(["username"]));
        assert_eq!(required(Auth::Password), serde_json::json!(["username", "password"]));
    }

    #[test]
    fn a_room_asks_for_what_all_of_its_operations_ask_for() {
        let doors = super::doors(&super::routes().1);
        for path in ["/api/tweet/a/b", "/api/bookmarks/", "/api/bookmarks"] {
            assert_eq!(doors.of(path), Door::Login, "{path}");
        }
        assert_eq!(doors.of("/api/data/"), Door::LoginOrToken);
        for path in ["/api/login/x", "/api/account/x", "/api/transactions/a/b", "/api/tokens/a/b", "/api/x", "/api/", "/api"] {
            assert_eq!(doors.of(path), Door::Open, "{path}");
        }
    }

    /// The snapshot is what the app's client is generated from. To accept a change: `SKEIN_ACCEPT=1 cargo test -p
    /// skein-coordinator openapi`, then read the difference before committing it.
    #[test]
    fn the_openapi_document_is_the_one_in_the_repository() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let now = format!("{}\n", super::json(Auth::Name));
        if option_env!("SKEIN_ACCEPT").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == now, "the contract has changed; see how to accept it in coordinator/src/http/api.rs");
    }

    #[test]
    fn every_operation_says_what_a_problem_looks_like() {
        let text = super::json(Auth::Name);
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut operations = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let schema = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ProblemDocument", "{method} {path}");
                operations += 1;
            }
        }
        assert!(operations >= 12, "only {operations} operations");
        let schemas = &document["components"]["schemas"];
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas[name].is_object(), "{name} is referred to and not there");
        }
        let post = &document["paths"]["/api/tweet"]["post"];
        assert!(post["responses"]["default"]["headers"]["Skein-Transaction"].is_object());
        assert_eq!(post["parameters"][0]["schema"]["type"], "string");
        let list = &document["paths"]["/api/tweet"]["get"];
        assert!(list["responses"]["default"]["headers"]["Skein-Transaction"].is_null(), "a read has no transaction");
        let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
        assert!([512, 601, 602, 606, 607, 714].iter().all(|code| codes.contains(&(*code).into())));
    }
}
