//! What the head of a request must look like (RFC 9110, RFC 9112), as far as the HTTP library takes more than it should, and
//! the bounds on its path and headers. What the library itself would refuse is found before, by [`super::syntax`]. Here is also the guard against a page that has its own name lead to this machine (DNS
//! rebinding): a server on loopback takes no names but `localhost`.

use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use std::net::IpAddr;

/// Bytes of a path with its query.
pub const URI_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all header names and values.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Header lines.
pub const HEADERS_MAX: usize = 64;

/// The head that came can't be read, or says two things at once. The library gets another one in its place, with this among the
/// extensions.
#[derive(Clone, Debug)]
pub struct Unreadable(pub Refused);

/// Why a head is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind of fault.
    pub fault: Fault,
    /// The header that is wrong, or `request line`, `version`, `path`, `target` or `headers`.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub detail: String,
    /// The bound that was passed, if there is one.
    pub bound: Option<u64>,
}

/// What kind of fault a head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not as HTTP wants it. Nothing that follows on the connection can be relied on.
    Malformed,
    /// The path is too long.
    UriTooLong,
    /// The headers are too many or too long.
    HeadersTooLong,
    /// It is meant for another server.
    Misdirected,
}

impl Refused {
    pub(super) fn malformed(field: &'static str, detail: &str) -> Self {
        Refused { fault: Fault::Malformed, field, detail: detail.to_owned(), bound: None }
    }
}

/// Checks the head of a request.
///
/// # Errors
/// The first fault, naming the field and the bound.
pub fn check<B>(request: &Request<B>) -> Result<(), Refused> {
    if let Some(Unreadable(refused)) = request.extensions().get() {
        return Err(refused.clone());
    }
    let (uri, headers) = (request.uri(), request.headers());
    within_bounds(uri, headers)?;
    let host = host(request.version(), headers)?;
    target(request.method(), uri, host.as_ref())
}

fn within_bounds(uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
    let refused = |fault, field, bound: usize, what: &str| {
        Err(Refused { fault, field, detail: format!("at most {bound} {what} are taken"), bound: Some(bound as u64) })
    };
    if uri.path_and_query().map_or(0, |path| path.as_str().len()) > URI_BYTES_MAX {
        return refused(Fault::UriTooLong, "path", URI_BYTES_MAX, "bytes");
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        return refused(Fault::HeadersTooLong, "headers", HEADER_BYTES_MAX, "bytes of names and values");
    }
    Ok(())
}

/// The server that the request names: once, unless it is of HTTP/1.0, which need not name any.
fn host(version: Version, headers: &HeaderMap) -> Result<Option<Authority>, Refused> {
    let refused = |detail| Err(Refused::malformed("Host", detail));
    let mut values = headers.get_all(header::HOST).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) if version < Version::HTTP_11 => return Ok(None),
        (None, _) => return refused("must be there"),
        (Some(_), Some(_)) => return refused("must be there once"),
    };
    match authority(value) {
        Some(authority) if has_user(&authority) => refused("must not have user information"),
        Some(authority) => Ok(Some(authority)),
        None => refused("must be a host with or without a port"),
    }
}

/// Checks that what is asked for is of this server, as far as the request itself tells: its target is a path, or names the
/// server that `Host` names.
fn target(method: &Method, uri: &Uri, host: Option<&Authority>) -> Result<(), Refused> {
    let refused = |detail| Err(Refused::malformed("target", detail));
    match (uri.scheme(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') || (uri.path() == "*" && method == Method::OPTIONS) => Ok(()),
        (None, _) => refused("must be a path: this server is no proxy"),
        (Some(scheme), _) if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS => {
            refused("must be a path, or an address with http or https: this server is no proxy")
        }
        (Some(_), Some(authority)) if has_user(authority) => refused("must not have user information"),
        (Some(scheme), Some(authority)) => {
            let port = if *scheme == Scheme::HTTPS { 443 } else { 80 };
            let same = |host: &Authority| {
                let ports = (authority.port_u16().unwrap_or(port), host.port_u16().unwrap_or(port));
                authority.host().eq_ignore_ascii_case(host.host()) && ports.0 == ports.1
            };
            if host.is_none_or(same) { Ok(()) } else { refused("must name the same server as Host: this server is no proxy") }
        }
        (Some(_), None) => refused("must name a server after its scheme"),
    }
}

/// Checks that a request to a server on loopback names it by an address or as `localhost`: any other name may be one that its
/// owner made to lead here, so that a page under that name passes for one of this server. A target with an address is sent to a
/// proxy, or by a client that knows this server as one: it must name this machine. (`Host` may be any address, since a port that is
/// forwarded to loopback is known by that of another machine.)
///
/// # Errors
/// When the request names another server.
pub fn named_locally<B>(request: &Request<B>) -> Result<(), Refused> {
    let misdirected = |field, detail: &str| {
        let detail = format!("a server on loopback takes only {detail} here, unless it is set to trust a proxy (--trust-proxy)");
        Err(Refused { fault: Fault::Misdirected, field, detail, bound: None })
    };
    if !request.headers().get_all(header::HOST).iter().all(is_local) {
        return misdirected("Host", "an address or localhost");
    }
    match request.uri().authority().map(named) {
        None | Some(Name::Localhost) => Ok(()),
        Some(Name::Address(address)) if address.to_canonical().is_loopback() || address.is_unspecified() => Ok(()),
        Some(_) => misdirected("target", "a path, an address of loopback or localhost"),
    }
}

/// Whether a `Host` is an address or `localhost`: a name that no page's owner can have lead elsewhere.
#[must_use]
pub fn is_local(host: &HeaderValue) -> bool {
    authority(host).is_some_and(|authority| !matches!(named(&authority), Name::Other))
}

/// How a server is named.
enum Name {
    Localhost,
    Address(IpAddr),
    Other,
}

fn named(authority: &Authority) -> Name {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse() {
        Ok(address) => Name::Address(address),
        Err(_) if host.eq_ignore_ascii_case("localhost") => Name::Localhost,
        Err(_) => Name::Other,
    }
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    let port = authority.as_str().rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    let has_port = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok());
    (!authority.host().is_empty() && has_port).then_some(authority)
}

fn has_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, target: &str, version: Version, lines: &[(&str, &str)]) -> Option<(Fault, &'static str)> {
        let mut request = Request::builder().method(method).uri(target).version(version);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap()).err().map(|refused| (refused.fault, refused.field))
    }

    #[test]
    fn a_request_names_one_server_and_no_user() {
        let hosts = |version, hosts: &[&str]| {
            let lines: Vec<(&str, &str)> = hosts.iter().map(|host| ("host", *host)).collect();
            refused("GET", "/", version, &lines)
        };
        for host in ["localhost", "skein.example:8080", "127.0.0.1", "[::1]:80", "[::1]", "SKEIN.example", "localhost:"] {
            assert_eq!(hosts(Version::HTTP_11, &[host]), None, "{host}");
        }
        let wrong = Some((Fault::Malformed, "Host"));
        for host in ["", "a b", "ann@skein.example", "ann:secret@skein.example", "/", "a,b c", "a:x", "a:99999", ":80", ":"] {
            assert_eq!(hosts(Version::HTTP_11, &[host]), wrong, "{host:?}");
        }
        assert_eq!(hosts(Version::HTTP_11, &[]), wrong);
        assert_eq!(hosts(Version::HTTP_10, &[]), None);
        assert_eq!(hosts(Version::HTTP_10, &["a", "a"]), wrong);
        assert_eq!(hosts(Version::HTTP_11, &["a", "a"]), wrong);
    }

    #[test]
    fn a_target_is_a_path_or_of_the_server_that_host_names() {
        let of = |method: &str, target: &str| refused(method, target, Version::HTTP_11, &[("host", "skein.example:80")]);
        for target in ["/", "/a?b", "http://skein.example/a", "HTTP://SKEIN.example:80/a", "https://skein.example:80"] {
            assert_eq!(of("GET", target), None, "{target}");
        }
        assert_eq!(of("OPTIONS", "*"), None);
        let wrong = Some((Fault::Malformed, "target"));
        for target in [
            "http://evil.example/",
            "http://skein.example:8080/",
            "http://ann@skein.example/",
            "ftp://skein.example/",
            "*",
            "a:1",
        ] {
            assert_eq!(of("GET", target), wrong, "{target}");
        }
        assert_eq!(of("CONNECT", "skein.example:80"), wrong);
    }

    #[test]
    fn paths_and_headers_have_bounds() {
        let of = |target: &str, lines: &[(&str, &str)]| refused("GET", target, Version::HTTP_11, lines);
        assert_eq!(of(&format!("/{}", "x".repeat(URI_BYTES_MAX)), &[]), Some((Fault::UriTooLong, "path")));
        let long = "y".repeat(HEADER_BYTES_MAX);
        assert_eq!(of("/", &[("x", &long)]), Some((Fault::HeadersTooLong, "headers")));
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
    fn a_target_on_loopback_names_this_machine_whatever_host_says() {
        let of = |target: &str, host: &str| {
            let request = Request::builder().uri(target).header("host", host).body(()).unwrap();
            named_locally(&request).map_err(|refused| (refused.fault, refused.field))
        };
        for server in ["127.0.0.1:8080", "localhost", "[::1]:80", "0.0.0.0", "127.9.9.9"] {
            assert_eq!(of(&format!("http://{server}/"), server), Ok(()), "{server}");
        }
        for server in ["192.0.2.1", "10.0.0.1:8080", "[2001:db8::1]"] {
            assert_eq!(of(&format!("http://{server}/"), server), Err((Fault::Misdirected, "target")), "{server}");
            assert_eq!(of("/", server), Ok(()), "a port of {server} may be forwarded here");
        }
        assert_eq!(of("http://evil.example/", "evil.example"), Err((Fault::Misdirected, "Host")));
        assert_eq!(of("http://evil.example/", "localhost"), Err((Fault::Misdirected, "target")));
    }
}
