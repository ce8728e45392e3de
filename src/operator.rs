//! How the command line asks a coordinator for what only an operator may do: over HTTP, each request signed with a key that
//! follows from the cluster's secret, which itself is never sent. Without a secret the request says that it comes from this
//! machine, which a coordinator without one believes of its own machine alone. Every wait and every body has a bound, and
//! nothing that comes back is trusted.

use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use skein_coordinator::operators::key::{LOCAL, OperatorKey, SCHEME, Signed};
use skein_runtime::transport::Secret;
use tokio::net::TcpStream;

use crate::status::{authority, printable};

/// How long one answer may take: longer than a coordinator takes to say that it has none.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long a body may be.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A coordinator, and what proves to it who asks.
#[derive(Clone)]
pub struct Coordinator {
    authority: String,
    key: Option<OperatorKey>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The document; null if there is none.
    pub document: Value,
}

impl Coordinator {
    /// The coordinator at this URL.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, secret: Option<&Secret>) -> Result<Self, String> {
        Ok(Coordinator { authority: authority(url)?, key: secret.map(OperatorKey::of) })
    }

    /// Asks, as an operator, and expects this status.
    ///
    /// # Errors
    /// When there is no answer in time, or it is another; the message is for a person.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>, expected: StatusCode) -> anyhow::Result<Answer> {
        let asked = tokio::time::timeout(ANSWER_WITHIN, self.exchange(method, path, body)).await;
        let answer = asked.with_context(|| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))?;
        let answer = answer.with_context(|| format!("http://{}", self.authority))?;
        if answer.status == expected {
            return Ok(answer);
        }
        let said = answer.document["detail"].as_str().map_or_else(|| "without a reason".to_owned(), printable);
        anyhow::bail!("http://{} answers {}: {said}", self.authority, answer.status.as_u16())
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let signed = Signed { method: method.as_str(), authority: &self.authority, path, body: &body };
        let proof = self.key.as_ref().map_or_else(|| format!("{SCHEME} {LOCAL}"), |key| key.sign(signed));
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.authority).header(AUTHORIZATION, proof);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let stream = TcpStream::connect(&self.authority).await.context("can't connect")?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what went wrong shows at the request.
        tokio::spawn(connection);
        let response = sender.send_request(request.body(Full::new(body))?).await.context("the connection broke")?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer broke off or is too long: {error}"))?.to_bytes();
        let document =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).context("the answer is no JSON")? };
        Ok(Answer { status, document })
    }
}
