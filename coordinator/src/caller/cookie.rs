//! The cookie that a session's token travels in.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::http::contract::openapi::SESSION_COOKIE as COOKIE;
use crate::sessions::Token;

/// Its name where it is Secure: browsers take this one only by way of TLS and from this very host, so that nobody who holds
/// another host of the domain, or the line, can slip a session of their own in (RFC 6265bis, section 4.1.3.2).
pub const SECURE_COOKIE: &str = "__Host-skein_session";

/// The token that the browser sent, if it sent one. Of several nobody can tell which is planted, so that they count as none.
pub fn token(headers: &HeaderMap, secure: bool) -> Option<Token> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == cookie_name(secure)).map(|(_, value)| value);
    let value = values.next()?;
    if values.next().is_some() { None } else { Token::parse(value) }
}

/// The cookie that begins a session.
pub fn set(token: &Token, lifetime: Duration, secure: bool) -> HeaderValue {
    cookie(&token.reveal(), lifetime.as_secs(), secure)
}

/// The cookie that takes the cookie away.
pub fn clear(secure: bool) -> HeaderValue {
    cookie("", 0, secure)
}

fn cookie(value: &str, seconds: u64, secure: bool) -> HeaderValue {
    let (name, secure) = (cookie_name(secure), if secure { "; Secure" } else { "" });
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).expect("base64url and numbers are visible ASCII")
}

fn cookie_name(secure: bool) -> &'static str {
    if secure { SECURE_COOKIE } else { COOKIE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, secure: bool) -> bool {
        token(&HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())]), secure).is_some()
    }

    #[test]
    fn the_token_is_found_among_other_cookies() {
        assert!(token(&HeaderMap::new(), false).is_none());
        assert!(read("theme=dark; skein_session=AAAAAAAAAAAAAAAAAAAAAA", false));
        assert!(!read("skein_session=", false));
    }

    #[test]
    fn a_planted_cookie_logs_nobody_in() {
        let (plain, hosts) = ("skein_session=AAAAAAAAAAAAAAAAAAAAAA", "__Host-skein_session=AAAAAAAAAAAAAAAAAAAAAA");
        assert!(!read(&format!("{plain}; skein_session=AAAAAAAAAAAAAAAAAAAAAQ"), false));
        assert!(!read(&format!("skein_session=x; {plain}"), false));
        let mut lines = HeaderMap::new();
        for _ in 0..2 {
            lines.append(header::COOKIE, plain.parse().unwrap());
        }
        assert!(token(&lines, false).is_none());
        // By way of TLS only the one counts that no other host can have set.
        assert!(!read(plain, true) && read(hosts, true) && read(&format!("{plain}; {hosts}"), true));
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let token = Token::parse("AAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let (plain, tls) = (set(&token, Duration::from_secs(60), false), set(&token, Duration::from_secs(60), true));
        assert_eq!(plain, "skein_session=AAAAAAAAAAAAAAAAAAAAAA; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(tls, "__Host-skein_session=AAAAAAAAAAAAAAAAAAAAAA; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(clear(false).to_str().unwrap().starts_with("skein_session=; Path=/; Max-Age=0"));
        assert!(clear(true).to_str().unwrap().starts_with("__Host-skein_session=; Path=/; Max-Age=0"));
    }
}
