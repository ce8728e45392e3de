//! `skein token`: makes, lists and revokes the bearer tokens that let programs read and write data. It talks to a coordinator
//! as its operator ([`crate::operator`]). What `create` prints on standard output is the token and nothing else, once; what a
//! person wants to know about it goes to standard error. The exit code is 0 when it is done, 1 when it was refused or nobody
//! answered, and 2 for bad settings, with every error said.

use clap::{Args, Subcommand};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use skein_coordinator::config::{number, switch};
use skein_coordinator::tokens::{DAYS_MAX, TokenId};
use skein_runtime::transport::Secret;

use crate::operator::Coordinator;
use crate::status::printable;

/// The command line of `skein token`.
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it; it is shown this once
    #[command(override_usage = "skein token create [OPTIONS] --scope <read|write> <NAME> [URL]")]
    Create {
        /// What it is called (1 to 64 characters)
        name: String,

        #[command(flatten)]
        whom: Whom,

        /// What it is good for: to read data, or to read and write it
        #[arg(long, value_name = "read|write")]
        scope: String,

        /// Days after which it ends by itself (1 to 3660); without it, it ends when it is revoked
        #[arg(long, value_name = "N")]
        days: Option<String>,
    },
    /// List all tokens, without their secrets
    #[command(override_usage = "skein token list [OPTIONS] [URL]")]
    List {
        #[command(flatten)]
        whom: Whom,

        /// Print one JSON document
        #[arg(long, value_name = "true|false", env = "SKEIN_JSON", hide_env_values = true, default_value = "false")]
        #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        json: String,
    },
    /// Revoke a token: it is of no use any more, at no coordinator
    #[command(override_usage = "skein token revoke [OPTIONS] <ID> [URL]")]
    Revoke {
        /// Its id, as `skein token list` shows it
        id: String,

        #[command(flatten)]
        whom: Whom,
    },
}

#[derive(Clone, Debug, Args)]
struct Whom {
    /// Whom to ask: a coordinator, http://HOST:PORT
    #[arg(env = "SKEIN_URL", hide_env_values = true, default_value = "http://127.0.0.1:8080")]
    url: String,
}

/// What is to be done, and by whom.
pub struct Errand {
    coordinator: Coordinator,
    task: Task,
}

enum Task {
    Create { form: Value },
    List { json: bool },
    Revoke { id: TokenId },
}

impl TokenArgs {
    /// Checks everything and says all that is wrong. The cluster's secret comes from the environment alone.
    ///
    /// # Errors
    /// One sentence for each setting that can't be used.
    pub fn check(&self, secret: Option<&Secret>) -> Result<Errand, Vec<String>> {
        let mut wrong = Vec::new();
        let (url, task) = match &self.command {
            TokenCommand::Create { name, scope, days, whom } => {
                if let Some(error) = skein_coordinator::accounts::field::name(name) {
                    wrong.push(format!("NAME: {}", error.detail));
                }
                if !matches!(scope.as_str(), "read" | "write") {
                    wrong.push(format!("--scope must be read or write, not {scope:?}"));
                }
                let days = days.as_ref().map(|days| number("--days", days, 1..=DAYS_MAX, &mut wrong));
                let mut form = json!({ "name": name, "scope": scope });
                if let Some(days) = days {
                    form["days"] = days.into();
                }
                (&whom.url, Some(Task::Create { form }))
            }
            TokenCommand::List { whom, json } => (&whom.url, Some(Task::List { json: switch("--json", json, &mut wrong) })),
            TokenCommand::Revoke { id, whom } => {
                let id = id.parse().map_err(|()| wrong.push(format!("ID must be 16 hexadecimal digits, not {id:?}")));
                (&whom.url, id.ok().map(|id| Task::Revoke { id }))
            }
        };
        let coordinator = Coordinator::new(url, secret).map_err(|error| wrong.push(error)).ok();
        match (coordinator, task) {
            (Some(coordinator), Some(task)) if wrong.is_empty() => Ok(Errand { coordinator, task }),
            _ => Err(wrong),
        }
    }
}

/// Does it, and says whether it is done.
pub async fn run(errand: Errand) -> bool {
    let done = match &errand.task {
        Task::Create { form } => create(&errand.coordinator, form).await,
        Task::List { json } => list(&errand.coordinator, *json).await,
        Task::Revoke { id } => revoke(&errand.coordinator, *id).await,
    };
    if let Err(error) = &done {
        eprintln!("error: {}", printable(&format!("{error:#}")));
    }
    done.is_ok()
}

async fn create(coordinator: &Coordinator, form: &Value) -> anyhow::Result<()> {
    let made = coordinator.ask(Method::POST, "/api/tokens", Some(form), StatusCode::CREATED).await?.document;
    let token = made["token"].as_str().ok_or_else(|| anyhow::anyhow!("the answer has no token"))?;
    println!("{}", printable(token));
    eprintln!("made {}; it is shown this once", line(&made));
    Ok(())
}

async fn list(coordinator: &Coordinator, json: bool) -> anyhow::Result<()> {
    let found = coordinator.ask(Method::GET, "/api/tokens", None, StatusCode::OK).await?.document;
    if json {
        println!("{found:#}");
        return Ok(());
    }
    found["tokens"].as_array().into_iter().flatten().for_each(|token| println!("{}", line(token)));
    Ok(())
}

async fn revoke(coordinator: &Coordinator, id: TokenId) -> anyhow::Result<()> {
    coordinator.ask(Method::DELETE, &format!("/api/tokens/{id}"), None, StatusCode::NO_CONTENT).await?;
    println!("revoked {id}");
    Ok(())
}

/// A token in a line: id, scope, when it ends, what it is called.
fn line(token: &Value) -> String {
    let text = |name: &str| printable(token[name].as_str().unwrap_or_default());
    let end = token["expires_at"].as_str().map_or_else(|| "without end".to_owned(), |end| format!("until {}", printable(end)));
    format!("{} {:5} {end} {}", text("id"), text("scope"), text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        token: TokenArgs,
    }

    fn check(line: &[&str]) -> Result<Errand, Vec<String>> {
        Line::parse_from(["token"].iter().chain(line)).token.check(None)
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let said = check(&["create", "", "nowhere", "--scope", "all", "--days", "0"]).err().unwrap();
        for name in ["NAME", "--scope", "--days", "the URL"] {
            assert!(said.iter().any(|error| error.starts_with(name)), "{name} is missing in {said:?}");
        }
        assert_eq!(check(&["list", "nowhere", "--json=so"]).err().unwrap().len(), 2);
        assert_eq!(check(&["revoke", "x", "nowhere"]).err().unwrap().len(), 2);
    }

    #[test]
    fn what_is_right_is_taken() {
        let Task::Create { form } = check(&["create", "a name", "--scope", "read"]).unwrap().task else { panic!("no token") };
        assert_eq!(form, json!({ "name": "a name", "scope": "read" }));
        assert!(check(&["create", "x", "http://a:1", "--scope", "write", "--days", "3660"]).is_ok());
        assert!(check(&["list", "--json"]).is_ok() && check(&["revoke", "0123456789abcdef", "http://a:1"]).is_ok());
    }
}
