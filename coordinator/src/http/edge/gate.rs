//! What every request passes before a handler sees it: the checks of its head, the protection against other sites, the bound
//! on requests under way, and the bound on its time. Each refusal is a problem document that names the bound.
//!
//! Other sites: browsers say where a request comes from (`Sec-Fetch-Site`, or `Origin` where that is missing), and cookies go
//! along with every request to their server. So a request that changes something must come from this very origin; a program
//! that is no browser sends neither header and has no cookie that could be abused. A page can also have its own name lead to
//! this machine (DNS rebinding) and pass for this origin, which [`head::named_locally`] prevents, unless a proxy is in front.

use std::time::Instant;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skein_runtime::http::head::{self, Fault, Refused};
use skein_runtime::http::places::Kind;
use skein_runtime::http::remote::Remote;

use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;
use crate::http::edge::Edge;

/// The paths that are answered whatever else is under way.
pub const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Lets a request through to its handler, or answers why not.
pub async fn pass(edge: &Edge, request: Request, next: Next) -> Response {
    if let Err(refused) = fits(edge, &request) {
        return refuse(refused);
    }
    if let Err(problem) = same_site(request.method(), request.headers()) {
        return problem.into_response();
    }
    if PROBES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    if request.extensions().get::<Remote>().is_some_and(|remote| remote.place == Kind::Reserve) {
        return Problem::new(Code::Overloaded, "the bound on connections is reached, on all or on those of one address")
            .into_response();
    }
    let Ok(_under_way) = edge.under_way.try_acquire() else {
        let max = edge.settings.limits.requests_max;
        return Problem::new(Code::Overloaded, format!("{max} requests are under way, as many as are allowed")).into_response();
    };
    let (bound, begun) = (edge.settings.limits.request_time_max, Instant::now());
    match tokio::time::timeout(bound, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(duration_ms = begun.elapsed().as_millis() as u64, "a request took longer than allowed");
            let detail = format!("no answer within {} ms; what was asked for may have happened", bound.as_millis());
            Problem::new(Code::TimedOut, detail).into_response()
        }
    }
}

fn refuse(refused: Refused) -> Response {
    let Refused { fault, field, detail, bound } = refused;
    let code = match fault {
        Fault::Malformed => Code::MalformedParameter,
        Fault::UriTooLong => Code::UriTooLong,
        Fault::HeadersTooLong => Code::HeadersTooLong,
        Fault::Misdirected => Code::Misdirected,
    };
    let mut response = Problem::field(code, field, detail, bound).into_response();
    if fault == Fault::Malformed {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Checks the head. A server on loopback is reached by address or as `localhost`, and by another name only through a proxy that
/// the settings tell of.
fn fits(edge: &Edge, request: &Request) -> Result<(), Refused> {
    head::check(request)?;
    let at_loopback = request.extensions().get::<Remote>().is_some_and(|remote| remote.at_loopback);
    let behind_proxy = edge.settings.trust_proxy || edge.settings.secure_cookies;
    if at_loopback && !behind_proxy { head::named_locally(request) } else { Ok(()) }
}

fn same_site(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("not text"));
    let fits = match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let origin = origin.split_once("://").and_then(|(_, rest)| rest.parse::<Authority>().ok());
            let host = header(header::HOST.as_str()).and_then(|host| host.parse::<Authority>().ok());
            origin.is_some() && origin == host
        }
        (None, None) => true,
    };
    let detail = "a request that changes something must come from this server's own pages, or from no page at all";
    if fits { Ok(()) } else { Err(Problem::new(Code::CrossSite, detail)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, "skein.example:8080".parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        same_site(&Method::POST, &map).is_ok()
    }

    #[test]
    fn only_this_origin_or_no_page_may_change_something() {
        assert!(from(&[]));
        assert!(from(&[("sec-fetch-site", "same-origin")]) && from(&[("sec-fetch-site", "none")]));
        assert!(!from(&[("sec-fetch-site", "cross-site")]) && !from(&[("sec-fetch-site", "same-site")]));
        assert!(from(&[("origin", "http://skein.example:8080")]));
        for other in ["http://skein.example", "http://evil.example", "null", "http://skein.example:8080.evil.example", ""] {
            assert!(!from(&[("origin", other)]), "{other:?} was let through");
        }
        assert!(
            same_site(
                &Method::GET,
                &HeaderMap::from_iter([("sec-fetch-site".parse().unwrap(), "cross-site".parse().unwrap())]).clone()
            )
            .is_ok()
        );
    }
}
