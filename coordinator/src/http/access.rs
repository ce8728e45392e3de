//! Who asks for data: somebody who is logged in. As with tweets this comes before everything else: who is not let in learns
//! nothing about what is there. What lets in is taken as it was last seen here; the read or write that follows checks along
//! that it still stands.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use skein_protocol::operation::Operation;

use super::App;
use super::address::secure;
use super::error::Problem;
use super::precondition;
use super::session::{Bearer, nobody, token};
use crate::idempotency::{Claim, Fingerprint};

/// What somebody brought to be let in.
pub struct Access(Bearer);

/// Somebody who was let in when last seen.
pub struct Admitted {
    /// Whose writes are counted, and whose keys of idempotency these are.
    pub name: String,
    /// Checks that what lets in still stands.
    pub stands: Operation,
}

impl FromRequestParts<App> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = token(&parts.headers, secure(&parts.headers, &app.settings)).ok_or_else(nobody)?;
        Ok(Access(Bearer(token)))
    }
}

impl Access {
    /// Lets in whoever may.
    pub async fn admit(&self, app: &App) -> Result<Admitted, Problem> {
        let presumed = self.0.presume(app).await?;
        Ok(Admitted { name: presumed.session.username.to_ascii_lowercase(), stands: presumed.stands() })
    }

    /// What went wrong with a request of somebody who was let in as last seen: that they are not any more comes first.
    pub async fn excuse(&self, app: &App, problem: Problem) -> Problem {
        self.0.excuse(app, problem).await
    }
}

impl Admitted {
    /// The claim of a write with an `Idempotency-Key`; `request` is what makes two of them the same.
    pub fn claim(&self, app: &App, headers: &HeaderMap, request: &[&[u8]]) -> Result<Option<Claim>, Problem> {
        let Some(key) = precondition::idempotency_key(headers)? else { return Ok(None) };
        let kept_for = app.settings.idempotency_lifetime;
        Ok(Some(Claim::new(&self.name, &key, Fingerprint::of(request), kept_for)))
    }
}
