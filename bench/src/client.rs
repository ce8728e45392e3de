//! What has to happen before the load: logging in, and filling a store to the size that a line wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Connections that fill a store.
const FILLERS: usize = 64;

/// One keep-alive connection to a server.
pub struct Client {
    host: String,
    cookie: String,
    connection: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects.
    pub async fn connect(host: &str, cookie: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).await.with_context(|| format!("connecting to {host}"))?;
        stream.set_nodelay(true)?;
        let (connection, driving) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driving);
        Ok(Client { host: host.to_owned(), cookie: cookie.to_owned(), connection })
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> anyhow::Result<(Response<()>, Bytes)> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.connection.ready().await?;
        let response = self.connection.send_request(request.body(Full::from(body))?).await?;
        let (head, body) = response.into_parts();
        Ok((Response::from_parts(head, ()), body.collect().await?.to_bytes()))
    }

    /// Posts a tweet and gives its id.
    pub async fn post(&mut self, body: &str) -> anyhow::Result<String> {
        let (response, body) = self.send(Method::POST, "/api/tweet", body.to_owned()).await?;
        ensure!(response.status() == 201, "a post was answered {}: {}", response.status(), String::from_utf8_lossy(&body));
        let tweet: Value = serde_json::from_slice(&body)?;
        Ok(tweet["id"].as_str().context("a tweet without id")?.to_owned())
    }

    /// Sends JSON and gives the status and what was answered.
    pub async fn send_json(&mut self, method: &str, path: &str, body: String) -> anyhow::Result<(u16, Value)> {
        let (response, body) = self.send(method.parse()?, path, body).await?;
        Ok((response.status().as_u16(), serde_json::from_slice(&body)?))
    }

    /// Reads a path that must be there.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let (response, body) = self.send(Method::GET, path, String::new()).await?;
        ensure!(response.status() == 200, "{path} was answered {}", response.status());
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Logs in by name and gives the cookie.
pub async fn log_in(host: &str, name: &str) -> anyhow::Result<String> {
    let mut client = Client::connect(host, "").await?;
    let body = serde_json::json!({ "username": name }).to_string();
    let (response, _) = client.send(Method::POST, "/api/login", body).await?;
    ensure!(response.status() == 200, "logging in was answered {}", response.status());
    let cookie = response.headers().get("set-cookie").and_then(|value| value.to_str().ok()).context("no cookie was set")?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Posts so many tweets over several connections and gives the ids of the first few.
pub async fn fill(host: &str, cookie: &str, body: &str, count: usize, ids_max: usize) -> anyhow::Result<Vec<String>> {
    let left = Arc::new(AtomicUsize::new(count));
    let mut fillers = tokio::task::JoinSet::new();
    for _ in 0..FILLERS.min(count) {
        let (host, cookie, body, left) = (host.to_owned(), cookie.to_owned(), body.to_owned(), Arc::clone(&left));
        fillers.spawn(async move {
            let mut client = Client::connect(&host, &cookie).await?;
            let mut ids = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let id = client.post(&body).await?;
                if ids.len() < ids_max {
                    ids.push(id);
                }
            }
            Ok::<_, anyhow::Error>(ids)
        });
    }
    let mut ids = Vec::new();
    while let Some(filled) = fillers.join_next().await {
        ids.extend(filled??);
    }
    ids.truncate(ids_max);
    Ok(ids)
}
