//! A client of the HTTP API: one kept connection, one cookie, JSON in and out.

use std::net::SocketAddr;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{COOKIE, HOST, HeaderMap, SET_COOKIE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::PATIENCE;

/// One person at one browser.
pub struct Client {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
    pub cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// A header's value, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Is this problem, in a document as it must be; gives the document.
    #[track_caller]
    pub fn problem(&self, status: u16, code: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["code"], code, "{self:?}");
        assert_eq!(document["status"], status, "{self:?}");
        let challenge = self.header("www-authenticate");
        let asks = ["Cookie realm=", "Bearer realm=", "Skein-Operator realm="].iter().any(|scheme| challenge.starts_with(scheme));
        assert_eq!(asks, status == 401 || code == 730, "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {self:?}");
        }
        document
    }

    /// Is this problem with this field.
    #[track_caller]
    pub fn problem_in(&self, status: u16, code: u16, field: &str) -> Value {
        let document = self.problem(status, code);
        assert_eq!(document["errors"][0]["field"], field, "{self:?}");
        document
    }

    /// Is an answer of this status.
    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Client {
    /// A client that is not connected yet.
    pub fn new(address: SocketAddr) -> Self {
        Client { address, connection: None, cookie: None }
    }

    /// Another browser in the same session.
    pub fn another(&self) -> Self {
        Client { address: self.address, connection: None, cookie: self.cookie.clone() }
    }

    /// The server as requests name it.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Another server from now on, as after a restart.
    pub fn move_to(&mut self, address: SocketAddr) {
        self.address = address;
        self.connection = None;
    }

    /// Logs in by name.
    pub async fn log_in(&mut self, name: &str) {
        self.post("/api/login", json!({ "username": name })).await.ok(200);
    }

    /// Reads.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    /// Posts JSON.
    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// Puts JSON.
    pub async fn put(&mut self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[], Some(body)).await
    }

    /// Deletes.
    pub async fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// Posts a tweet that must be taken; gives its path.
    pub async fn tweet(&mut self, text: &str) -> String {
        self.post("/api/tweet", json!({ "text": text })).await.ok(201).header("location").to_owned()
    }

    /// Sends JSON, with these headers.
    pub async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let json = ("content-type", "application/json");
        let all: Vec<(&str, &str)> = headers.iter().copied().chain(body.as_ref().map(|_| json)).collect();
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        self.raw(method, path, &all, body).await
    }

    /// Sends any bytes, with these headers alone.
    pub async fn raw(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(HOST, self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let request = request.body(Full::new(body)).unwrap();
        let exchange = async {
            let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
                Some(connection) => connection,
                None => {
                    let stream = TcpStream::connect(self.address).await.unwrap();
                    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
                    tokio::spawn(connection);
                    sender
                }
            };
            connection.ready().await.unwrap();
            let response = connection.send_request(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            self.connection = Some(connection);
            Answer { status: parts.status.as_u16(), headers: parts.headers, text: String::from_utf8_lossy(&body).into_owned() }
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time");
        if let Some(set) = answer.headers.get(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        answer
    }
}
