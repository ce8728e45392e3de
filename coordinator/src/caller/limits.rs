//! Limits in rate, per name and address, address or user. Log-ins are limited always, the failed ones more narrowly than the
//! others; sign-ups unless the settings say otherwise, the failed ones always; and writes only where the settings say so. A refusal
//! says when to come back. A name is checked before it comes here, so that nothing but names that could be somebody's takes room in
//! the tables.

use std::time::Duration;

use crate::caller::attempts::{Allowance, Attempts};
use crate::config::Limits;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

/// One address may fail as often as so many names of it may, whatever names it tries: that bounds how fast one password is
/// tried on many names, and how much hashing one address can ask for.
const NAMES_PER_ADDRESS: u32 = 10;

/// Log-ins of one user that succeed. Each is a write that stays for as long as a session lives.
const LOGINS_PER_USER: Allowance = Allowance { tries: 500, per: Duration::from_secs(60 * 60) };

/// Log-ins from one address that succeed; behind a proxy that is not believed that is everybody.
const LOGINS_PER_ADDRESS: Allowance = Allowance { tries: 10_000, per: Duration::from_secs(60 * 60) };

/// The limits in rate of one coordinator.
pub struct RateLimits {
    failures: Attempts,
    failures_by_address: Attempts,
    logins: Attempts,
    logins_by_address: Attempts,
    sign_ups: Option<Attempts>,
    failed_sign_ups: Attempts,
    writes: Option<Attempts>,
}

/// A try to log in. It counts as failed and as a log-in until it is known to be but one of them, or neither; one that was
/// broken off before that counts as both.
pub struct LoginAttempt<'a> {
    failure: Option<[Taken<'a>; 2]>,
    login: [Taken<'a>; 2],
}

/// A try to sign up. It counts as an account and as a failed sign-up until it is known to be but one of them, or neither; one that was
/// broken off before that counts as both.
pub struct SignUpAttempt<'a> {
    failure: Taken<'a>,
    account: Option<Taken<'a>>,
}

/// A try that was taken, and from which bucket.
struct Taken<'a> {
    attempts: &'a Attempts,
    key: String,
}

impl RateLimits {
    /// The limits of these settings.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let Allowance { tries, per } = limits.login_failures;
        let of_address = Allowance { tries: tries.saturating_mul(NAMES_PER_ADDRESS), per };
        RateLimits {
            failures: Attempts::new(limits.login_failures),
            failures_by_address: Attempts::new(of_address),
            logins: Attempts::new(LOGINS_PER_USER),
            logins_by_address: Attempts::new(LOGINS_PER_ADDRESS),
            sign_ups: limits.sign_ups.map(Attempts::new),
            // It costs as much hashing as a failed log-in, and tells as well whether a name is taken.
            failed_sign_ups: Attempts::new(of_address),
            writes: limits.writes.map(Attempts::new),
        }
    }

    /// Counts a log-in by name alone, which can't fail for its name, from this address.
    pub fn entry(&self, username: &str, address: &str) -> Result<LoginAttempt<'_>, Problem> {
        let made = |what| move |wait| too_many(Code::TooManyRequests, what, wait);
        let login = take_both(
            (&self.logins_by_address, address, made("too many log-ins from this address")),
            (&self.logins, &username.to_ascii_lowercase(), made("too many log-ins of this user")),
        )?;
        Ok(LoginAttempt { failure: None, login })
    }

    /// Counts a try to log in by password as this user, whose name is well formed, from this address.
    pub fn login(&self, username: &str, address: &str) -> Result<LoginAttempt<'_>, Problem> {
        let attempt = self.entry(username, address)?;
        let failed = |what| move |wait| too_many(Code::TooManyLogins, what, wait);
        let by_name = format!("{} {address}", username.to_ascii_lowercase());
        let failure = take_both(
            (&self.failures_by_address, address, failed("too many failed tries to log in from this address")),
            (&self.failures, &by_name, failed("too many failed tries to log in")),
        );
        match failure {
            Ok(failure) => Ok(LoginAttempt { failure: Some(failure), ..attempt }),
            Err(problem) => {
                attempt.give_back();
                Err(problem)
            }
        }
    }

    /// Counts a sign-up from this address.
    pub fn sign_up(&self, address: &str) -> Result<SignUpAttempt<'_>, Problem> {
        let refused = |what| move |wait| too_many(Code::TooManyRequests, what, wait);
        let failure = taken(&self.failed_sign_ups, address).map_err(refused("too many failed sign-ups from this address"))?;
        let account = self.sign_ups.as_ref().map(|sign_ups| taken(sign_ups, address)).transpose();
        match account.map_err(refused("too many sign-ups from this address")) {
            Ok(account) => Ok(SignUpAttempt { failure, account }),
            Err(problem) => {
                failure.give_back();
                Err(problem)
            }
        }
    }

    /// Counts a write by this user.
    pub fn write(&self, username: &str) -> Result<(), Problem> {
        let Some(writes) = &self.writes else { return Ok(()) };
        let refused = |wait| too_many(Code::TooManyRequests, "too many writes by this user", wait);
        writes.take(&username.to_ascii_lowercase()).map_err(refused)
    }
}

impl LoginAttempt<'_> {
    /// It was the right password: a log-in, and no failure.
    pub fn succeeded(self) {
        self.failure.into_iter().flatten().for_each(Taken::give_back);
    }

    /// It was a wrong name or password: a failure, and no log-in.
    pub fn failed(self) {
        self.login.into_iter().for_each(Taken::give_back);
    }

    /// It came to nothing: neither.
    pub fn give_back(self) {
        self.failure.into_iter().flatten().chain(self.login).for_each(Taken::give_back);
    }
}

impl SignUpAttempt<'_> {
    /// There is an account, or there may be one: no failure.
    pub fn succeeded(self) {
        self.failure.give_back();
    }

    /// There is none: a failure.
    pub fn failed(self) {
        self.account.into_iter().for_each(Taken::give_back);
    }

    /// It came to nothing, and no password was hashed: neither.
    pub fn give_back(self) {
        self.account.into_iter().chain([self.failure]).for_each(Taken::give_back);
    }
}

impl Taken<'_> {
    fn give_back(self) {
        self.attempts.give_back(&self.key);
    }
}

fn taken<'a>(attempts: &'a Attempts, key: &str) -> Result<Taken<'a>, Duration> {
    attempts.take(key).map(|()| Taken { attempts, key: key.to_owned() })
}

/// Takes a try from both, or from neither.
fn take_both<'a>(
    first: (&'a Attempts, &str, impl FnOnce(Duration) -> Problem),
    second: (&'a Attempts, &str, impl FnOnce(Duration) -> Problem),
) -> Result<[Taken<'a>; 2], Problem> {
    let one = taken(first.0, first.1).map_err(first.2)?;
    match taken(second.0, second.1) {
        Ok(two) => Ok([one, two]),
        Err(wait) => {
            one.give_back();
            Err(second.2(wait))
        }
    }
}

fn too_many(code: Code, what: &str, wait: Duration) -> Problem {
    let seconds = (wait.as_secs_f64().ceil() as u64).max(1);
    Problem::new(code, format!("{what}; try again in {seconds} s")).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<LoginAttempt<'_>, Problem>) -> Code {
        result.err().expect("it is refused").code()
    }

    #[test]
    fn one_address_may_not_try_a_password_on_many_names() {
        let settings = Limits { login_failures: Allowance { tries: 2, per: Duration::from_secs(600) }, ..Limits::default() };
        let limits = RateLimits::new(&settings);
        for name in 0..2 * NAMES_PER_ADDRESS {
            limits.login(&format!("name-{name}"), "192.0.2.1").unwrap_or_else(|_| panic!("refused {name}")).failed();
        }
        assert_eq!(code(limits.login("another", "192.0.2.1")), Code::TooManyLogins);
        assert!(limits.login("another", "192.0.2.2").is_ok());
    }

    #[test]
    fn right_passwords_count_as_log_ins_alone() {
        let limits = RateLimits::new(&Limits::default());
        for _ in 0..LOGINS_PER_USER.tries {
            limits.login("ann", "192.0.2.1").unwrap_or_else(|_| panic!("refused")).succeeded();
        }
        assert_eq!(code(limits.login("Ann", "192.0.2.1")), Code::TooManyRequests);
        // What was refused for that has not counted as a failure.
        for _ in 0..3 * settings_tries() {
            assert_eq!(code(limits.login("ann", "192.0.2.1")), Code::TooManyRequests);
        }
        for _ in 0..LOGINS_PER_USER.tries {
            limits.login("bob", "192.0.2.1").unwrap_or_else(|_| panic!("refused")).give_back();
        }
        assert!(limits.login("bob", "192.0.2.1").is_ok());
    }

    #[test]
    fn a_sign_up_that_fails_leaves_its_place_and_is_limited_as_a_failed_log_in_is() {
        let once = Allowance { tries: 1, per: Duration::from_secs(600) };
        let limits = RateLimits::new(&Limits { login_failures: once, sign_ups: Some(once), ..Limits::default() });
        let sign_up = |address| limits.sign_up(address).map_err(|problem| problem.code());
        for _ in 0..3 * NAMES_PER_ADDRESS {
            sign_up("192.0.2.1").unwrap_or_else(|_| panic!("refused")).give_back();
        }
        for _ in 0..NAMES_PER_ADDRESS {
            sign_up("192.0.2.1").unwrap_or_else(|_| panic!("refused")).failed();
        }
        assert_eq!(sign_up("192.0.2.1").err(), Some(Code::TooManyRequests));
        sign_up("192.0.2.2").unwrap_or_else(|_| panic!("refused")).succeeded();
        for _ in 0..2 * NAMES_PER_ADDRESS {
            assert_eq!(sign_up("192.0.2.2").err(), Some(Code::TooManyRequests), "one account is made already");
        }
        // One that was broken off counts as both.
        for _ in 0..2 {
            drop(sign_up("192.0.2.3"));
        }
        assert_eq!(sign_up("192.0.2.3").err(), Some(Code::TooManyRequests));
    }

    fn settings_tries() -> u32 {
        Limits::default().login_failures.tries
    }
}
