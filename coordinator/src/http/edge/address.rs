//! Who is at the other end: the address that limits are counted by, and whether the client came by way of TLS. What a proxy
//! says is believed only when the settings say so, since everybody else could say it too.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use skein_runtime::http::remote::{Remote, network};

use crate::config::SurfaceConfig;
use crate::http::contract::problem::Problem;
use crate::http::edge::Edge;

/// The other end of a request.
pub struct Client {
    /// Its address; of an IPv6 address the network, since one client has 2^64 of them.
    pub address: String,
    /// Whether cookies must be marked Secure.
    pub secure: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Client
where
    Arc<Edge>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let edge = Arc::<Edge>::from_ref(state);
        Ok(Client {
            address: address(&parts.headers, &parts.extensions, &edge.settings),
            secure: secure(&parts.headers, &edge.settings),
        })
    }
}

/// The address that a request is counted by; of an IPv6 address the network.
pub fn address(headers: &HeaderMap, extensions: &Extensions, settings: &SurfaceConfig) -> String {
    let remote = extensions.get::<Remote>().map(|remote| remote.address.ip());
    let forwarded = if settings.trust_proxy { forwarded_for(headers) } else { None };
    forwarded.or(remote).map_or_else(|| "unknown".to_owned(), |address| network(address).to_string())
}

/// Whether the client came by way of TLS, so that its cookies are Secure.
pub fn secure(headers: &HeaderMap, settings: &SurfaceConfig) -> bool {
    settings.secure_cookies || settings.trust_proxy && last(headers, "x-forwarded-proto") == Some("https")
}

/// The address that the nearest proxy saw: the last one, since a client can put anything before it.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    last(headers, "x-forwarded-for")?.parse().ok()
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_proxy_is_the_one_that_counts() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "203.0.113.9, 198.51.100.7".parse().unwrap());
        assert_eq!(forwarded_for(&headers), Some(IpAddr::from([198, 51, 100, 7])));
        headers.append("x-forwarded-for", "nonsense".parse().unwrap());
        assert_eq!(forwarded_for(&headers), None);
    }
}
