//! `skein status`: asks a coordinator or worker how it stands and says it in a form for people or, with `--json`, for
//! programs. It trusts nothing that it reads: every wait and every body has a bound. The exit code is the answer: 0 ready,
//! 1 not ready or not reachable, 2 bad settings. With `--live` it asks less, whether the process answers at all, which is what
//! decides whether to start it anew.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use skein_coordinator::config::switch;
use tokio::net::TcpStream;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a body may be: far more than the status of the largest cluster.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The command line of `skein status`.
#[derive(Clone, Debug, Args)]
#[command(override_usage = "skein status [OPTIONS] [URL]")]
pub struct StatusArgs {
    /// Whom to ask: a coordinator or a worker, http://HOST:PORT
    #[arg(env = "SKEIN_URL", hide_env_values = true, default_value = "http://127.0.0.1:8080")]
    url: String,

    /// Print one JSON document
    #[arg(long, value_name = "true|false", env = "SKEIN_JSON", hide_env_values = true, default_value = "false")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    json: String,

    /// Ask only whether the process answers (/livez), whether it is ready or not
    #[arg(long, value_name = "true|false", env = "SKEIN_LIVE", hide_env_values = true, default_value = "false")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    live: String,
}

/// What to ask, and whom.
#[derive(Clone, Debug)]
pub struct Question {
    /// `HOST:PORT`.
    authority: String,
    json: bool,
    live: bool,
}

impl StatusArgs {
    /// Checks everything and says all that is wrong.
    ///
    /// # Errors
    ///
    /// One sentence for each setting that can't be used.
    pub fn check(&self) -> Result<Question, Vec<String>> {
        let mut wrong = Vec::new();
        let authority = authority(&self.url).map_err(|error| wrong.push(error)).unwrap_or_default();
        let json = switch("--json", &self.json, &mut wrong);
        let live = switch("--live", &self.live, &mut wrong);
        if json && live {
            wrong.push("--json and --live exclude each other".to_owned());
        }
        if wrong.is_empty() { Ok(Question { authority, json, live }) } else { Err(wrong) }
    }
}

/// `HOST:PORT` of the address to ask.
///
/// # Errors
///
/// When the URL is of another form.
pub fn authority(url: &str) -> Result<String, String> {
    let wrong = || format!("the URL must be http://HOST:PORT, not {url:?}");
    let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
    let host_is_plain = !host.is_empty() && !host.contains(['/', '@', '?', '#']) && host.is_ascii();
    if host_is_plain && port.parse::<u16>().is_ok_and(|port| port > 0) { Ok(authority.to_owned()) } else { Err(wrong()) }
}

/// Asks, prints the answer, and says whether the process is ready.
pub async fn status(Question { authority, json, live: live_alone }: Question) -> bool {
    let authority = authority.as_str();
    if live_alone {
        return live(authority).await;
    }
    let answers = ask(authority).await;
    let ready = answers.as_ref().is_ok_and(|answers| answers.ready);
    if json {
        let document = match &answers {
            Ok(answers) => json!({ "ready": ready, "parts": answers.parts, "cluster": answers.cluster }),
            Err(error) => json!({ "ready": false, "error": format!("{error:#}") }),
        };
        say(&format!("{document:#}\n"));
        return ready;
    }
    let mut text = format!("{} http://{authority}\n", if ready { "ready" } else { "not ready" });
    match answers {
        Ok(answers) => {
            answers.parts.iter().for_each(|part| text.push_str(&format!("  {part}\n")));
            if let Some(cluster) = &answers.cluster {
                indented(&for_people(cluster), 1, &mut text);
            }
        }
        Err(error) => text.push_str(&format!("  {error:#}\n")),
    }
    say(&text);
    ready
}

/// Asks, prints the answer, and says whether the process lives.
async fn live(authority: &str) -> bool {
    match get(authority, "/livez").await {
        Ok((StatusCode::OK, _)) => {
            println!("live http://{authority}");
            true
        }
        Ok((status, _)) => {
            println!("not live http://{authority}\n  /livez answers {status}");
            false
        }
        Err(error) => {
            println!("not live http://{authority}\n  {error:#}");
            false
        }
    }
}

/// What a process answers.
struct Answers {
    ready: bool,
    /// The lines of `/readyz`.
    parts: Vec<String>,
    /// `/api/cluster`; a worker has none.
    cluster: Option<Value>,
}

async fn ask(authority: &str) -> anyhow::Result<Answers> {
    let (status, readyz) = get(authority, "/readyz").await?;
    let parts = String::from_utf8_lossy(&readyz).lines().map(printable).collect();
    let (found, document) = get(authority, "/api/cluster").await?;
    let cluster = match found {
        StatusCode::OK => Some(serde_json::from_slice(&document).context("/api/cluster is no JSON")?),
        _ => None,
    };
    Ok(Answers { ready: status == StatusCode::OK, parts, cluster })
}

async fn get(authority: &str, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let exchange = async {
        let stream = TcpStream::connect(authority).await.context("can't connect")?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what went wrong shows at the request.
        tokio::spawn(connection);
        let request = Request::get(path).header(HOST, authority).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await.map_err(|error| anyhow::anyhow!("{path}: {error}"))?.to_bytes();
        Ok((status, body))
    };
    tokio::time::timeout(ANSWER_WITHIN, exchange).await.with_context(|| format!("no answer within {ANSWER_WITHIN:?}"))?
}

/// The document with what people want to know beside the numbers: how far each learner has come in percent.
fn for_people(cluster: &Value) -> Value {
    let mut cluster = cluster.clone();
    for learner in cluster["learners"].as_array_mut().into_iter().flatten() {
        let number = |name: &str| learner[name].as_u64().unwrap_or_default();
        let (copied, total) = (number("records_copied"), number("records_total"));
        let percent = if total == 0 { 0 } else { u128::from(copied.min(total)) * 100 / u128::from(total) };
        if let Some(fields) = learner.as_object_mut() {
            fields.insert("progress".to_owned(), format!("{percent} %").into());
        }
    }
    cluster
}

/// Says it on standard output. Whoever reads no further, as `head` does, has read enough.
fn say(text: &str) {
    let _read_enough = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Writes a document as indented lines, a field each.
fn indented(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = printable(name);
                match value {
                    Value::Array(items) if items.is_empty() => text.push_str(&format!("{indent}{name}: none\n")),
                    Value::Object(_) | Value::Array(_) => {
                        text.push_str(&format!("{indent}{name}:\n"));
                        indented(value, depth + 1, text);
                    }
                    plain => text.push_str(&format!("{indent}{name}: {}\n", plain_text(plain))),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let item = match item {
                    Value::Object(fields) => {
                        let field = |(name, value): (&String, &Value)| format!("{} {}", printable(name), plain_text(value));
                        fields.iter().map(field).collect::<Vec<_>>().join(", ")
                    }
                    plain => plain_text(plain),
                };
                text.push_str(&format!("{indent}- {item}\n"));
            }
        }
        plain => text.push_str(&format!("{indent}{}\n", plain_text(plain))),
    }
}

fn plain_text(value: &Value) -> String {
    printable(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Text from elsewhere, fit for a terminal: without control characters.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str, json: &str, live: &str) -> StatusArgs {
        StatusArgs { url: url.to_owned(), json: json.to_owned(), live: live.to_owned() }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        assert_eq!(asked("nowhere", "perhaps", "maybe").check().unwrap_err().len(), 3);
        assert!(asked("http://a:1", "true", "true").check().unwrap_err()[0].contains("exclude"));
        let question = asked("http://a:1", "true", "0").check().unwrap();
        assert!(question.json && !question.live);
    }

    fn check(url: &str) -> Option<String> {
        asked(url, "false", "false").check().ok().map(|question| question.authority)
    }

    #[test]
    fn a_url_is_a_host_and_a_port() {
        assert_eq!(check("http://127.0.0.1:8080").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(check("http://[::1]:80/").as_deref(), Some("[::1]:80"));
        for wrong in
            ["", "127.0.0.1:8080", "https://a:1", "http://a", "http://a:0", "http://a:99999", "http://a:1/x", "http://u@a:1"]
        {
            assert_eq!(check(wrong), None, "{wrong:?} was taken");
        }
    }

    #[test]
    fn the_progress_of_a_learner_is_told_in_percent() {
        let of = |copied: u64, total: u64| {
            let cluster = json!({ "learners": [{ "records_copied": copied, "records_total": total }] });
            for_people(&cluster)["learners"][0]["progress"].clone()
        };
        assert_eq!([of(0, 0), of(0, 9), of(1, 3), of(9, 9)], ["0 %", "0 %", "33 %", "100 %"]);
        assert_eq!(for_people(&json!({ "learners": 1 })), json!({ "learners": 1 }));
        assert_eq!(of(u64::MAX, 1), "100 %");
    }

    #[test]
    fn a_document_is_told_in_lines() {
        let mut text = String::new();
        let document = json!({ "a": { "b": [] }, "c": [{ "d": 1, "e": "f" }, "g"], "h": null });
        indented(&document, 1, &mut text);
        assert_eq!(text, "  a:\n    b: none\n  c:\n    - d 1, e f\n    - g\n  h: null\n");
    }

    #[test]
    fn what_a_server_says_can_not_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\n"), "a[31mb");
    }
}
