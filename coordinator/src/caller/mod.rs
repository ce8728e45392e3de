//! Who asks, what they may do, and what guards their writes: a [`Person`] who is logged in, or a [`Caller`], which is a person or a
//! program with a bearer token. Extracting one comes before everything else in a handler, so that who is not let in learns
//! nothing about what is there, and is answered 401 before path, parameters and body are looked at.
//!
//! What lets in is taken as it was last seen here. So the read or write that follows checks that it still stands
//! ([`Caller::guard`]), and what else may have gone wrong is told only to callers whose credential still stands ([`Caller::attempt`]).
//!
//! A token counts before a cookie. Another scheme than `Bearer` is none of ours (a proxy in front may have its own).

pub mod attempts;
pub mod cookie;
pub mod limits;

use std::future::Future;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use skein_protocol::operation::{Key, Operation, Row};

use crate::caller::limits::RateLimits;
use crate::config::{DataAccess, SurfaceConfig};
use crate::http::contract::code::Code;
use crate::http::contract::precondition;
use crate::http::contract::problem::{Challenge, Problem};
use crate::http::edge::Edge;
use crate::http::edge::address::{Client, secure};
use crate::http::edge::answers::Room;
use crate::sessions::{Session, Sessions, Token};
use crate::store::once::{Fingerprint, Once};
use crate::tokens::{Scope, Secret, Tokens};

/// What tells who asks.
pub struct Callers {
    /// How the surface is set.
    pub settings: Arc<SurfaceConfig>,
    /// Who is logged in.
    pub sessions: Arc<Sessions>,
    /// Which programs are let in.
    pub tokens: Arc<Tokens>,
    /// How often each of them may write.
    pub limits: Arc<RateLimits>,
}

/// Who asks: somebody who is logged in, unless the settings let in tokens alone, or a program with a token.
pub struct Caller {
    /// Whose writes are counted, and whose keys of idempotency these are. No username has a colon.
    pub name: String,
    guard: Operation,
    scope: Scope,
    credential: Credential,
    /// What is said when the credential is of no use.
    refusal: fn() -> Problem,
    callers: Arc<Callers>,
}

/// Somebody who is logged in.
pub struct Person {
    /// The same as a caller.
    pub caller: Caller,
    /// Who.
    pub session: Arc<Session>,
}

/// What lets in.
enum Credential {
    Session(Token),
    Token(Secret),
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Arc<Callers>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let callers = Arc::from_ref(state);
        let mut tokens = parts.headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
        if let Some(text) = tokens.next() {
            // Of several it can't be told which counts.
            let secret = std::str::from_utf8(text).ok().and_then(Secret::parse).filter(|_| tokens.next().is_none());
            return Caller::program(callers, secret.ok_or_else(refused)?).await;
        }
        if callers.settings.data_access == DataAccess::Tokens {
            let detail = "here only a bearer token opens data: Authorization: Bearer skein_...";
            return Err(Problem::new(Code::TokenRefused, detail).challenge(Challenge::Token));
        }
        Ok(Person::of(&parts.headers, callers, neither).await?.caller)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Person
where
    Arc<Callers>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Person::of(&parts.headers, Arc::from_ref(state), nobody).await
    }
}

impl Person {
    async fn of(headers: &HeaderMap, callers: Arc<Callers>, refusal: fn() -> Problem) -> Result<Self, Problem> {
        let token = cookie::token(headers, secure(headers, &callers.settings)).ok_or_else(refusal)?;
        let presumed = callers.sessions.presume(&token).await?.ok_or_else(refusal)?;
        let name = presumed.value.username.to_ascii_lowercase();
        let (guard, credential) = (presumed.stands(), Credential::Session(token));
        let caller = Caller { name, guard, scope: Scope::Write, credential, refusal, callers };
        Ok(Person { caller, session: presumed.value })
    }

    /// Asks the store whether the session still stands, for what does not check it itself.
    pub async fn confirm(&self) -> Result<(), Problem> {
        if self.caller.stands().await? { Ok(()) } else { Err(nobody()) }
    }

    /// Takes room for an answer of so many bytes at the most. That may take a while, so the session is asked for once there is some.
    ///
    /// # Errors
    /// There is no room, the session has ended, or the store can't tell.
    pub async fn room(&self, edge: &Edge, client: &Client, bytes_max: usize) -> Result<Room, Problem> {
        let room = edge.answers.room(&self.caller.name, &client.address, bytes_max).await?;
        self.confirm().await?;
        Ok(room)
    }

    /// Reads a record in the same read as the session, so that it is told only to those who are logged in still.
    ///
    /// # Errors
    /// The session has ended, or the store can't tell.
    pub async fn read(&self, key: Key) -> Result<Option<Row>, Problem> {
        let found = self.caller.callers.sessions.find_beside(self.token(), key).await?;
        found.map(|(_, row)| row).ok_or_else(nobody)
    }

    fn token(&self) -> &Token {
        match &self.caller.credential {
            Credential::Session(token) => token,
            Credential::Token(_) => unreachable!("a person has a session"),
        }
    }
}

impl Caller {
    async fn program(callers: Arc<Callers>, secret: Secret) -> Result<Self, Problem> {
        let presumed = callers.tokens.presume(&secret).await?.ok_or_else(refused)?;
        let name = format!("token:{}", secret.id());
        let (guard, scope) = (presumed.stands(), presumed.value.scope);
        Ok(Caller { name, guard, scope, credential: Credential::Token(secret), refusal: refused, callers })
    }

    /// Checks, within a transaction or a read, that what lets in still stands.
    pub fn guard(&self) -> &Operation {
        &self.guard
    }

    /// Whether what lets in is good for what needs this scope.
    pub fn may(&self, need: Scope) -> Result<(), Problem> {
        if self.scope >= need {
            return Ok(());
        }
        let problem = Problem::new(Code::ScopeTooNarrow, "this token may read data and not write it");
        Err(problem.challenge(Challenge::Scope))
    }

    /// Does what was asked for. A failure that is the client's fault may tell what is there: so the store is asked whether the
    /// session or token still stands, and if not, the client hears that instead. A failure of the server's own is told as it is.
    pub async fn attempt<T>(&self, doing: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        match doing.await {
            Err(problem) if problem.is_clients() && self.stands().await == Ok(false) => Err((self.refusal)()),
            other => other,
        }
    }

    /// Counts a write by this caller.
    ///
    /// # Errors
    /// There were too many.
    pub fn count_write(&self) -> Result<(), Problem> {
        self.callers.limits.write(&self.name)
    }

    async fn stands(&self) -> Result<bool, Problem> {
        Ok(match &self.credential {
            Credential::Session(token) => self.callers.sessions.find(token).await?.is_some(),
            Credential::Token(secret) => self.callers.tokens.find(secret).await?.is_some(),
        })
    }

    /// What makes a write with an `Idempotency-Key` happen once; `request` is what makes two of them the same.
    pub fn once(&self, headers: &HeaderMap, request: &[&[u8]]) -> Result<Option<Once>, Problem> {
        let Some(key) = precondition::idempotency_key(headers)? else { return Ok(None) };
        let kept_for = self.callers.settings.idempotency_lifetime;
        Ok(Some(Once::new(&self.name, &key, Fingerprint::of(request), kept_for)))
    }
}

/// What stands behind the scheme of a token; `None` if the scheme is another.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("bearer".len())?;
    let ours = scheme.eq_ignore_ascii_case(b"bearer") && rest.first().is_none_or(|byte| *byte == b' ');
    ours.then(|| rest.trim_ascii())
}

/// Nobody is logged in.
pub fn nobody() -> Problem {
    Problem::new(Code::NotLoggedIn, "log in with POST /api/login first")
}

/// Nobody is logged in, and there is no token.
fn neither() -> Problem {
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
