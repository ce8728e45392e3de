//! A client of the HTTP API: one keep-alive connection, one cookie, JSON in and out. It tells apart what a careful client
//! must: an answer, a request that was never sent, and one whose answer was lost.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, SET_COOKIE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// A request that has no answer after this long is taken for lost; servers answer much sooner, if only with an error.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// One person at one browser.
pub struct Client {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
    cookie: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server could not be reached or had closed the connection before: nothing was sent.
    NotSent,
    /// The request was sent and the connection broke: what became of it is not known.
    Lost,
    /// Connected, sent, and no answer in all the time that a server may take.
    Silent,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    /// A client of `http://HOST:PORT`, not connected yet.
    pub fn new(url: &str) -> Self {
        let address = url.trim_start_matches("http://").parse().unwrap_or_else(|_| panic!("{url:?} is no URL of a server"));
        Client { address, connection: None, cookie: None }
    }

    /// A client that has logged in by name.
    pub async fn logged_in(url: &str, name: &str) -> Self {
        let mut client = Client::new(url);
        client.log_in(name).await;
        client
    }

    /// Goes on in the session of another client.
    pub fn share_session(&mut self, other: &Client) {
        self.cookie.clone_from(&other.cookie);
    }

    /// Where the server is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The cookie of its session, if it is logged in.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Logs in by name.
    pub async fn log_in(&mut self, name: &str) {
        let answer = self.post("/api/login", &json!({ "username": name })).await;
        assert_eq!(answer.status, 200, "logging {name} in: {answer:?}");
    }

    /// A request that must be answered, whatever the answer is.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.must(Method::GET, path, &[], None).await
    }

    /// A request that must be answered, whatever the answer is.
    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.must(Method::POST, path, &[], Some(body)).await
    }

    /// A request that must be answered, whatever the answer is.
    pub async fn delete(&mut self, path: &str) -> Answer {
        self.must(Method::DELETE, path, &[], None).await
    }

    /// Posts a tweet that must be taken, and returns it.
    pub async fn tweet(&mut self, text: &str) -> Value {
        let answer = self.post("/api/tweet", &json!({ "text": text })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// Every tweet there is, page after page.
    pub async fn all_tweets(&mut self) -> Vec<Value> {
        let mut tweets = Vec::new();
        let mut path = "/api/tweet?limit=200".to_owned();
        loop {
            let answer = self.get(&path).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let page = answer.json();
            tweets.extend(page["tweets"].as_array().expect("a list of tweets").iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = format!("/api/tweet?limit=200&cursor={next}"),
                None => return tweets,
            }
        }
    }

    async fn must(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        match self.send(method.clone(), path, headers, body).await {
            // A connection that was idle may be closed by the server at any moment; once more on a new one.
            Err(Failure::NotSent) => self.send(method.clone(), path, headers, body).await,
            sent => sent,
        }
        .unwrap_or_else(|failure| panic!("{method} {path}: {failure:?}"))
    }

    /// Sends a request, on the connection that is open or on a new one.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => connect(self.address).await?,
        };
        connection.ready().await.map_err(|_| Failure::NotSent)?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).expect("a well-formed request");
        let exchange = async {
            let response = connection
                .send_request(request)
                .await
                .map_err(|error| if error.is_canceled() { Failure::NotSent } else { Failure::Lost })?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|_| Failure::Lost)?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        let answer = tokio::time::timeout(ANSWER_WITHIN, exchange).await.map_err(|_| Failure::Silent)??;
        self.connection = Some(connection);
        if let Some(cookie) = answer.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        Ok(answer)
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(address).await.map_err(|_| Failure::NotSent)?;
    stream.set_nodelay(true).map_err(|_| Failure::NotSent)?;
    let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(|_| Failure::NotSent)?;
    // Ends with the connection; what went wrong shows at the request.
    tokio::spawn(async move { driver.await.ok() });
    Ok(connection)
}
