//! What only an operator may do. Where the cluster has a secret, a request must be signed with a key that follows from it
//! ([`crate::operators::key`]); the secret itself never travels.
//!
//! Without a secret, which only a cluster that is all on one machine can do without, whoever is on this machine counts as its
//! operator: the server must listen on loopback with no proxy in front, the client be on loopback, `Host` be an address or
//! `localhost`, and the header `Authorization: Skein-Operator local` be there, which no form and no link of another site can
//! send, and a script of one only after asking, which is answered with no. Nothing that a page sends at all is taken: browsers
//! mark it (`Origin`, `Sec-Fetch-Site`), and an operator's tool sends no such mark.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use skein_runtime::http::head;
use skein_runtime::http::remote::Remote;

use crate::http::contract::body::{self, BODY_BYTES_MAX};
use crate::http::contract::code::Code;
use crate::http::contract::problem::{Challenge, Problem};
use crate::http::edge::Edge;
use crate::operators::key::{LOCAL, OperatorKey, Proof, Refused, SCHEME, Signed, Taken};

/// What only comes from browsers, or by way of a proxy.
const NEVER_LOCAL: [HeaderName; 8] = [
    header::ORIGIN,
    header::REFERER,
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Who counts as an operator here.
pub struct Operators {
    key: Option<OperatorKey>,
    taken: Taken,
    edge: Arc<Edge>,
}

impl Operators {
    /// Whoever knows what this key follows from; without one, whoever is on this machine.
    #[must_use]
    pub fn new(key: Option<OperatorKey>, edge: Arc<Edge>) -> Self {
        Operators { key, taken: Taken::default(), edge }
    }

    /// Takes the body of a request that only an operator may make.
    pub async fn admit(&self, request: Request) -> Result<Bytes, Problem> {
        let (parts, body) = request.into_parts();
        let proof = header_value(&parts.headers, &header::AUTHORIZATION).and_then(|value| {
            let (scheme, rest) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case(SCHEME).then(|| rest.trim().to_owned())
        });
        let Some(proof) = proof else {
            return Err(refused("a request of an operator is signed; `skein token` and `skein worker add` do that"));
        };
        let Some(key) = &self.key else {
            let remote = parts.extensions.get::<Remote>().copied();
            self.local(remote, &parts.headers)?;
            return body::take(&self.edge, Request::from_parts(parts, body), BODY_BYTES_MAX).await;
        };
        if proof == LOCAL {
            return Err(refused(
                "this cluster has a secret, and the request is not signed: set SKEIN_CLUSTER_SECRET or SKEIN_CLUSTER_SECRET_FILE",
            ));
        }
        let proof =
            Proof::parse(&proof).ok_or_else(|| refused("the proof is not of the form time=..., nonce=..., signature=..."))?;
        let authority = header_value(&parts.headers, &header::HOST).ok_or_else(|| refused("Host must be there once"))?.to_owned();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let body = body::take(&self.edge, Request::from_parts(parts, body), BODY_BYTES_MAX).await?;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let signed = Signed { method: method.as_str(), authority: &authority, path, body: &body };
        match key.verify(signed, &proof, &self.taken) {
            Ok(()) => Ok(body),
            Err(Refused::TooMany) => Err(Problem::new(Code::Overloaded, Refused::TooMany.to_string())),
            Err(why) => Err(refused(why.to_string())),
        }
    }

    /// Whether the request comes from this machine, and from no page and no proxy.
    fn local(&self, remote: Option<Remote>, headers: &HeaderMap) -> Result<(), Problem> {
        let settings = &self.edge.settings;
        let behind_proxy = settings.trust_proxy || settings.secure_cookies;
        let on_loopback = remote.is_some_and(|remote| remote.at_loopback && remote.address.ip().to_canonical().is_loopback());
        if behind_proxy || !on_loopback {
            return Err(refused(
                "this cluster has no secret, so that only a request from its own machine, to a server on loopback with no proxy in \
                 front, counts as an operator's; start it with SKEIN_CLUSTER_SECRET or SKEIN_CLUSTER_SECRET_FILE",
            ));
        }
        let host_is_local =
            headers.get_all(header::HOST).iter().count() == 1 && headers.get_all(header::HOST).iter().all(head::is_local);
        match NEVER_LOCAL.iter().find(|name| headers.contains_key(*name)) {
            Some(name) => Err(refused(format!(
                "a request with {name} comes from a page or by way of a proxy, and not from an operator's tool"
            ))),
            None if !host_is_local => Err(refused("Host must be an address or localhost")),
            None => Ok(()),
        }
    }
}

/// The value of a header that is there once.
fn header_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn refused(detail: impl Into<String>) -> Problem {
    Problem::new(Code::NotOperator, detail).challenge(Challenge::Operator)
}
