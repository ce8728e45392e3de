//! What every request passes before a handler sees it: the bound on requests under way, the bounds on its path and headers,
//! the protection against other sites, and the bound on its time. Each refusal is a problem document that names the bound.
//!
//! Other sites: browsers say where a request comes from (`Sec-Fetch-Site`, or `Origin` where that is missing), and cookies go
//! along whoever made it. So a request that changes something must come from this very origin; whoever is no browser sends
//! neither header and has no cookie that could be abused. A page can also have its own name lead to this machine (DNS
//! rebinding) and pass for this origin: a server on loopback takes no names but `localhost`, unless a proxy is in front.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::address::Peer;
use super::code::Code;
use super::error::Problem;
use super::health;

/// Bytes of a path with its query.
const URI_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all header names and values.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Header lines.
pub const HEADERS_MAX: usize = 64;

/// Lets a request through to its handler, or answers why not.
pub async fn pass(app: &App, request: Request, next: Next) -> Response {
    let checked = within_bounds(request.uri(), request.headers())
        .and_then(|()| same_host(app, &request))
        .and_then(|()| same_site(request.method(), request.headers()));
    if let Err(problem) = checked {
        return problem.into_response();
    }
    if health::PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let Ok(_under_way) = app.under_way.try_acquire() else {
        let max = app.settings.limits.requests_max;
        return Problem::new(Code::Overloaded, format!("{max} requests are under way, as many as are allowed")).into_response();
    };
    let (bound, begun) = (app.settings.limits.request_time_max, Instant::now());
    match tokio::time::timeout(bound, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(duration_ms = begun.elapsed().as_millis() as u64, "a request took longer than allowed");
            let detail = format!("no answer within {} ms; what was asked for may have happened", bound.as_millis());
            Problem::new(Code::TimedOut, detail).into_response()
        }
    }
}

fn within_bounds(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > URI_BYTES_MAX {
        let detail = format!("at most {URI_BYTES_MAX} bytes are taken");
        return Err(Problem::field(Code::UriTooLong, "path", detail, Some(URI_BYTES_MAX as u64)));
    }
    if headers.len() > HEADERS_MAX {
        let detail = format!("at most {HEADERS_MAX} are taken");
        return Err(Problem::field(Code::HeadersTooLong, "headers", detail, Some(HEADERS_MAX as u64)));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        let detail = format!("at most {HEADER_BYTES_MAX} bytes of names and values are taken");
        return Err(Problem::field(Code::HeadersTooLong, "headers", detail, Some(HEADER_BYTES_MAX as u64)));
    }
    Ok(())
}

/// Whether the request was meant for this server, as far as that can be known: what listens on loopback is reached by
/// address or as `localhost`, and by another name only through a proxy that the settings tell of.
fn same_host(app: &App, request: &Request) -> Result<(), Problem> {
    let at_loopback = request.extensions().get::<Peer>().is_some_and(|peer| peer.at_loopback);
    let behind_proxy = app.settings.trust_proxy || app.settings.secure_cookies;
    if !at_loopback || behind_proxy || request.headers().get_all(header::HOST).iter().all(is_local) {
        return Ok(());
    }
    let detail = "a server on loopback is reached by its address or as localhost; behind a proxy it needs --trust-proxy";
    Err(Problem::field(Code::Misdirected, "Host", detail, None))
}

/// Whether a `Host` is an address or `localhost`: a name that no page's owner can have lead elsewhere.
pub fn is_local(host: &HeaderValue) -> bool {
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
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

    #[test]
    fn addresses_and_localhost_are_no_other_pages_names() {
        for host in ["127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]", "localhost:5173", "LOCALHOST", "0.0.0.0:8080"] {
            assert!(is_local(&HeaderValue::from_static(host)), "{host:?} was refused");
        }
        for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example:8080", "", "a b"] {
            assert!(!is_local(&HeaderValue::from_static(host)), "{host:?} was let through");
        }
    }

    #[test]
    fn paths_and_headers_have_bounds() {
        let code =
            |uri: &str, headers: &HeaderMap| within_bounds(&uri.parse().unwrap(), headers).err().map(|problem| problem.code());
        assert_eq!(code("/", &HeaderMap::new()), None);
        assert_eq!(code(&format!("/{}", "x".repeat(URI_BYTES_MAX)), &HeaderMap::new()), Some(Code::UriTooLong));
        let mut many = HeaderMap::new();
        for _ in 0..=HEADERS_MAX {
            many.append("x", "y".parse().unwrap());
        }
        assert_eq!(code("/", &many), Some(Code::HeadersTooLong));
        let mut long = HeaderMap::new();
        long.insert("x", "y".repeat(HEADER_BYTES_MAX).parse().unwrap());
        assert_eq!(code("/", &long), Some(Code::HeadersTooLong));
    }
}
