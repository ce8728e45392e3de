//! Who asks for data: a program with a bearer token, or somebody who is logged in, unless the settings let in tokens alone. As
//! with tweets this comes before everything else: who is not let in learns nothing about what is there. What lets in is taken
//! as it was last seen here; the read or write that follows checks along that it still stands.
//!
//! A token counts before a cookie. Another scheme than `Bearer` is none of ours (a proxy in front may have its own).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use skein_protocol::operation::Operation;

use super::App;
use super::address::secure;
use super::code::Code;
use super::error::{Challenge, Problem};
use super::precondition;
use super::session::{self, Bearer};
use crate::config::DataAccess;
use crate::store::once::{Claim, Fingerprint};
use crate::tokens::{Scope, Secret};

/// What somebody brought to be let in.
pub struct Access(Credential);

enum Credential {
    Session(Bearer),
    Token(Secret),
}

/// Somebody who was let in when last seen.
pub struct Admitted {
    /// Whose writes are counted, and whose keys of idempotency these are. No username has a colon.
    pub name: String,
    /// Checks that what lets in still stands.
    pub stands: Operation,
    scope: Scope,
}

impl FromRequestParts<App> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut tokens = parts.headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
        if let Some(text) = tokens.next() {
            // Of several nobody can tell which counts.
            let secret = std::str::from_utf8(text).ok().and_then(Secret::parse).filter(|_| tokens.next().is_none());
            return secret.map(Credential::Token).map(Access).ok_or_else(refused);
        }
        if app.settings.data_access == DataAccess::Tokens {
            let detail = "here only a bearer token opens data: Authorization: Bearer skein_...";
            return Err(Problem::new(Code::TokenRefused, detail).challenge(Challenge::Token));
        }
        let token = session::token(&parts.headers, secure(&parts.headers, &app.settings)).ok_or_else(nobody)?;
        Ok(Access(Credential::Session(Bearer(token))))
    }
}

impl Access {
    /// Lets in whoever may do what needs this scope.
    pub async fn admit(&self, app: &App, need: Scope) -> Result<Admitted, Problem> {
        let admitted = match &self.0 {
            Credential::Session(bearer) => {
                let presumed = app.sessions.presume(&bearer.0).await?.ok_or_else(nobody)?;
                let name = presumed.value.username.to_ascii_lowercase();
                Admitted { name, stands: presumed.stands(), scope: Scope::Write }
            }
            Credential::Token(secret) => {
                let presumed = app.tokens.presume(secret).await?.ok_or_else(refused)?;
                let name = format!("token:{}", secret.id());
                Admitted { name, stands: presumed.stands(), scope: presumed.value.scope }
            }
        };
        match admitted.may(need) {
            Ok(()) => Ok(admitted),
            Err(problem) => Err(self.excuse(app, problem).await),
        }
    }

    /// What went wrong with a request of somebody who was let in as last seen: that they are not any more comes first. What
    /// the server itself could not do says nothing about what is there, and is not asked about further.
    pub async fn excuse(&self, app: &App, problem: Problem) -> Problem {
        if !problem.is_clients() {
            return problem;
        }
        match &self.0 {
            Credential::Session(bearer) => match app.sessions.find(&bearer.0).await {
                Ok(None) => nobody(),
                Ok(Some(_)) | Err(_) => problem,
            },
            Credential::Token(secret) => match app.tokens.find(secret).await {
                Ok(None) => refused(),
                Ok(Some(_)) | Err(_) => problem,
            },
        }
    }
}

impl Admitted {
    /// Whether what lets in is good for what needs this scope.
    pub fn may(&self, need: Scope) -> Result<(), Problem> {
        if self.scope >= need {
            return Ok(());
        }
        let problem = Problem::new(Code::ScopeTooNarrow, "this token may read data and not write it");
        Err(problem.challenge(Challenge::Scope))
    }

    /// The claim of a write with an `Idempotency-Key`; `request` is what makes two of them the same.
    pub fn claim(&self, app: &App, headers: &HeaderMap, request: &[&[u8]]) -> Result<Option<Claim>, Problem> {
        let Some(key) = precondition::idempotency_key(headers)? else { return Ok(None) };
        let kept_for = app.settings.idempotency_lifetime;
        Ok(Some(Claim::new(&self.name, &key, Fingerprint::of(request), kept_for)))
    }
}

/// What stands behind the scheme of a token; `None` if the scheme is another.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("bearer".len())?;
    let ours = scheme.eq_ignore_ascii_case(b"bearer") && rest.first().is_none_or(|byte| *byte == b' ');
    ours.then(|| rest.trim_ascii())
}

/// Nobody is logged in, and there is no token.
fn nobody() -> Problem {
    let detail = "log in with POST /api/login first, or bring a token: Authorization: Bearer skein_...";
    Problem::new(Code::NotLoggedIn, detail).challenge(Challenge::CookieOrToken)
}

/// The token is of no use.
fn refused() -> Problem {
    let detail = "the token was never given out, was revoked or has expired; an operator makes another";
    Problem::new(Code::TokenRefused, detail).challenge(Challenge::TokenRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_scheme_of_tokens_is_ours() {
        assert_eq!(bearer(b"Bearer skein_x"), Some(&b"skein_x"[..]));
        assert_eq!(bearer(b"bEARER   x "), Some(&b"x"[..]));
        assert_eq!((bearer(b"Bearer"), bearer(b"Bearer ")), (Some(&b""[..]), Some(&b""[..])));
        for other in [&b""[..], b"Bear", b"Basic YTpi", b"Bearerx", b"Bearer\tx"] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}
