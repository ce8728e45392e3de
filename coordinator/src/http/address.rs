//! Who is at the other end: the address that limits are counted by, and whether the client came by way of TLS. What a proxy
//! says is believed only when the settings say so, since everybody else could say it too.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::App;
use super::error::Problem;
use crate::config::SurfaceConfig;

/// The peer of the connection, put into each request's extensions by the server.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the server listens on loopback, and so for this machine alone.
    pub at_loopback: bool,
}

/// The other end of a request.
pub struct Client {
    /// Its address; of an IPv6 address the network, since one client has 2^64 of them.
    pub address: String,
    /// Whether cookies must be marked Secure.
    pub secure: bool,
}

impl FromRequestParts<App> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.address.ip());
        let forwarded = if app.settings.trust_proxy { forwarded_for(&parts.headers) } else { None };
        let address = forwarded.or(peer).map_or_else(|| "unknown".to_owned(), network);
        Ok(Client { address, secure: secure(&parts.headers, &app.settings) })
    }
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

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
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

    #[test]
    fn one_network_is_one_client() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6".parse().unwrap()), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1");
    }
}
