//! Limits in rate, per name and address, address or user. Failed log-ins are limited always, sign-ups and writes only where
//! the settings say so. A refusal says when to come back.

use std::time::Duration;

use super::code::Code;
use super::error::Problem;
use crate::config::Limits;
use crate::sessions::Attempts;

/// The limits in rate of one coordinator.
pub struct RateLimits {
    logins: Attempts,
    sign_ups: Option<Attempts>,
    writes: Option<Attempts>,
}

/// A try to log in that counts as failed until it is given back.
pub struct LoginAttempt<'a> {
    attempts: &'a Attempts,
    key: String,
}

impl RateLimits {
    /// The limits of these settings.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        RateLimits {
            logins: Attempts::new(limits.login_failures),
            sign_ups: limits.sign_ups.map(Attempts::new),
            writes: limits.writes.map(Attempts::new),
        }
    }

    /// Counts a try to log in as this user from this address.
    pub fn login(&self, username: &str, address: &str) -> Result<LoginAttempt<'_>, Problem> {
        // A name that is longer than any username needs no bucket of its own.
        let name: String = username.chars().take(33).collect();
        let key = format!("{} {address}", name.to_ascii_lowercase());
        match self.logins.take(&key) {
            Ok(()) => Ok(LoginAttempt { attempts: &self.logins, key }),
            Err(wait) => Err(too_many(Code::TooManyLogins, "too many failed tries to log in", wait)),
        }
    }

    /// Counts a sign-up from this address.
    pub fn sign_up(&self, address: &str) -> Result<(), Problem> {
        limited(self.sign_ups.as_ref(), address, "too many sign-ups from this address")
    }

    /// Counts a write by this user.
    pub fn write(&self, username: &str) -> Result<(), Problem> {
        limited(self.writes.as_ref(), &username.to_ascii_lowercase(), "too many writes by this user")
    }
}

impl LoginAttempt<'_> {
    /// It was no failure after all.
    pub fn give_back(self) {
        self.attempts.give_back(&self.key);
    }
}

fn limited(attempts: Option<&Attempts>, key: &str, what: &str) -> Result<(), Problem> {
    let Some(attempts) = attempts else { return Ok(()) };
    attempts.take(key).map_err(|wait| too_many(Code::TooManyRequests, what, wait))
}

fn too_many(code: Code, what: &str, wait: Duration) -> Problem {
    let seconds = (wait.as_secs_f64().ceil() as u64).max(1);
    Problem::new(code, format!("{what}; try again in {seconds} s")).retry_after(seconds)
}
