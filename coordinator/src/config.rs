//! A coordinator's settings: what its command line and environment may say, the defaults and the bounds, and the checked
//! form that the process runs with. Every field is checked before anything is opened, and all that is wrong is said at once.
//! No file elsewhere in the coordinator reads the environment or knows a default.

mod limits;
pub mod membership;
pub mod worker_address;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use skein_protocol::limits::{MEMBERS_MAX, REQUESTS_MAX};
use skein_runtime::disk::access::check_directory;
use skein_runtime::http::places::Bounds;
use skein_runtime::http::server;
use skein_runtime::transport::{Neighbours, Secret};
use utoipa::ToSchema;

pub use self::limits::{AnswerLimits, Limits};
use self::membership::{MembershipArgs, MembershipConfig};
use self::worker_address::SECRET_MISSING;
use crate::caller::attempts::Allowance;

/// How people log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// With the password of an account that was made before.
    Password,
    /// By name alone; the account is made on the way. For trying and for classes.
    Name,
}

/// What opens data, beside a bearer token, which always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataAccess {
    /// Any account that is logged in.
    Accounts,
    /// Nothing else.
    Tokens,
}

/// The command line of `skein coordinator`, as given and not yet checked.
#[derive(Clone, Debug, Args)]
pub struct CoordinatorArgs {
    /// Where HTTP is served: a bare port means loopback, port 0 picks one
    #[arg(value_name = "PORT|ADDR:PORT", env = "SKEIN_HTTP", hide_env_values = true)]
    pub http: String,

    /// The workers' cluster addresses, HOST:PORT or a bare port for loopback (1 to 32)
    #[arg(value_name = "WORKER", env = "SKEIN_WORKERS", hide_env_values = true, value_delimiter = ',', required = true)]
    pub workers: Vec<String>,

    /// Directory of the control store, which keeps the view over restarts; without it the view is in memory alone
    #[arg(long, value_name = "DIR", env = "SKEIN_DATA", hide_env_values = true)]
    pub data: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub membership: MembershipArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub surface: SurfaceArgs,
}

/// The flags of a coordinator's surface, which `skein up` takes too.
#[derive(Clone, Debug, Args)]
pub struct SurfaceArgs {
    /// How people log in; `skein coordinator` asks for passwords, `skein up` for a name alone
    #[arg(long, value_name = "password|name", env = "SKEIN_AUTH", hide_env_values = true)]
    pub auth: Option<String>,

    /// Preload two tweets by two people into an empty store
    #[arg(long, value_name = "true|false", env = "SKEIN_DEMO", hide_env_values = true, default_value = "false")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub demo: String,

    /// Unicode scalar values of a tweet at the most (1 to 10000)
    #[arg(long, value_name = "N", env = "SKEIN_TWEET_MAX", hide_env_values = true, default_value = "100")]
    pub tweet_max: String,

    /// Days after which a session ends by itself (1 to 366)
    #[arg(long, value_name = "DAYS", env = "SKEIN_SESSION_DAYS", hide_env_values = true, default_value = "30")]
    pub session_days: String,

    /// Hours for which an Idempotency-Key is remembered (1 to 720)
    #[arg(long, value_name = "HOURS", env = "SKEIN_IDEMPOTENCY_HOURS", hide_env_values = true, default_value = "24")]
    pub idempotency_hours: String,

    /// Hours for which the outcome of a transaction can be asked for whose client heard that it is unknown (1 to 720)
    #[arg(long, value_name = "HOURS", env = "SKEIN_OUTCOME_HOURS", hide_env_values = true, default_value = "24")]
    pub outcome_hours: String,

    /// Who may read and write /api/data: whoever is logged in or has a bearer token, or bearer tokens alone
    #[arg(long, value_name = "accounts|tokens", env = "SKEIN_DATA_ACCESS", hide_env_values = true, default_value = "accounts")]
    pub data_access: String,

    /// Failed log-ins per name and address and minute before more are refused (1 to 10000)
    #[arg(long, value_name = "N", env = "SKEIN_LOGIN_FAILURES", hide_env_values = true, default_value = "10")]
    pub login_failures: String,

    /// Sign-ups per address and hour before more are refused; 0 sets no limit (0 to 1000000)
    #[arg(long, value_name = "N", env = "SKEIN_SIGN_UPS", hide_env_values = true, default_value = "30")]
    pub sign_ups: String,

    /// Writes per user and minute; 0 sets no limit (0 to 1000000)
    #[arg(long, value_name = "N", env = "SKEIN_WRITES", hide_env_values = true, default_value = "0")]
    pub writes: String,

    /// Requests under way at once before more are refused with 503 (1 to 16384)
    #[arg(long, value_name = "N", env = "SKEIN_REQUESTS_MAX", hide_env_values = true, default_value = "4096")]
    pub requests_max: String,

    /// Connections at once before more are refused with 503 (1 to 65536)
    #[arg(long, value_name = "N", env = "SKEIN_CONNECTIONS_MAX", hide_env_values = true, default_value = "8192")]
    pub connections_max: String,

    /// Connections from one address at once (1 to --connections-max; 512, or --connections-max if that is less, without it); this machine
    /// may have half of all, and with --trust-proxy there is no such bound
    #[arg(long, value_name = "N", env = "SKEIN_CONNECTIONS_PER_ADDRESS", hide_env_values = true)]
    pub connections_per_address: Option<String>,

    /// MiB of request bodies under way at once before more are refused with 503; one address may use half of it (1 to 65536)
    #[arg(long, value_name = "MIB", env = "SKEIN_BODIES_MAX", hide_env_values = true, default_value = "64")]
    pub bodies_max: String,

    /// MiB of long answers under way at once before more wait, and are refused with 503 after 2 s; one address may use a quarter of it, one
    /// account or token a sixteenth (16 to 65536)
    #[arg(long, value_name = "MIB", env = "SKEIN_ANSWERS_MAX", hide_env_values = true, default_value = "128")]
    pub answers_max: String,

    /// Passwords hashed at once; each takes 19 MiB and some ten milliseconds of a core (1 to 64)
    #[arg(long, value_name = "N", env = "SKEIN_HASHES_MAX", hide_env_values = true, default_value = "4")]
    pub hashes_max: String,

    /// Believe X-Forwarded-For and X-Forwarded-Proto, because a proxy in front sets both
    #[arg(long, value_name = "true|false", env = "SKEIN_TRUST_PROXY", hide_env_values = true, default_value = "false")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub trust_proxy: String,

    /// Mark cookies Secure, because all clients come by way of TLS
    #[arg(long, value_name = "true|false", env = "SKEIN_SECURE_COOKIES", hide_env_values = true, default_value = "false")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub secure_cookies: String,
}

/// A coordinator's settings, checked.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// Where to listen for HTTP.
    pub http: SocketAddr,
    /// The workers' addresses, `host:port`.
    pub workers: Vec<String>,
    /// What both ends must know; may be missing on loopback only.
    pub secret: Option<Secret>,
    /// What operators must know; without it, whoever is on this machine counts as one.
    pub operator_secret: Option<Secret>,
    /// The control store's directory; `None` keeps the view in memory.
    pub data: Option<PathBuf>,
    /// The workers that run in this process.
    pub neighbours: Neighbours,
    /// When workers are given up, and compared.
    pub membership: MembershipConfig,
    /// How the surface behaves.
    pub surface: SurfaceConfig,
}

/// The settings of a coordinator's surface, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceConfig {
    /// How people log in.
    pub auth: Auth,
    /// What opens data beside a bearer token.
    pub data_access: DataAccess,
    /// Whether to preload an empty store.
    pub demo: bool,
    /// When a session ends by itself.
    pub session_lifetime: Duration,
    /// How long an `Idempotency-Key` is remembered.
    pub idempotency_lifetime: Duration,
    /// How long it can be asked how a transaction ended whose client heard *unknown*.
    pub outcome_lifetime: Duration,
    /// The bounds.
    pub limits: Limits,
    /// Whether a proxy in front is believed.
    pub trust_proxy: bool,
    /// Whether all cookies are Secure.
    pub secure_cookies: bool,
}

impl SurfaceConfig {
    /// The defaults, with this way to log in.
    #[must_use]
    pub fn new(auth: Auth) -> Self {
        SurfaceConfig {
            auth,
            data_access: DataAccess::Accounts,
            demo: false,
            session_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            idempotency_lifetime: Duration::from_secs(24 * 60 * 60),
            outcome_lifetime: Duration::from_secs(24 * 60 * 60),
            limits: Limits::default(),
            trust_proxy: false,
            secure_cookies: false,
        }
    }

    /// The bounds of the server. Behind a proxy that is believed all connections are the proxy's.
    #[must_use]
    pub fn server_limits(&self) -> server::Limits {
        let limits = &self.limits;
        let all = limits.connections_max;
        let per_address = if self.trust_proxy { all } else { limits.connections_per_address_max };
        server::Limits {
            connections: Bounds { all, per_address, per_loopback: all.div_ceil(2) },
            header_time_max: limits.header_time_max,
            write_time_max: limits.write_time_max,
            drain_time_max: limits.drain_time_max,
        }
    }
}

impl CoordinatorArgs {
    /// Checks everything and says all that is wrong. The cluster's secret, which no flag may carry, comes beside them.
    ///
    /// # Errors
    /// One sentence for each setting that can't be used, naming it and its bound.
    pub fn check(&self, secret: Option<Secret>) -> Result<CoordinatorConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let http = keep(parse_address("the HTTP address", &self.http), &mut wrong);
        let workers: Vec<String> =
            self.workers.iter().filter_map(|worker| keep(worker_address::parse(worker), &mut wrong)).collect();
        if !(1..=MEMBERS_MAX).contains(&self.workers.len()) {
            wrong.push(format!("from 1 to {MEMBERS_MAX} workers must be named, not {}", self.workers.len()));
        }
        for (at, worker) in workers.iter().enumerate() {
            if workers[..at].contains(worker) {
                wrong.push(format!("the worker {worker} is named twice"));
            }
        }
        if secret.is_none() && workers.iter().any(|worker| !worker_address::is_loopback(worker)) {
            wrong.push(SECRET_MISSING.to_owned());
        }
        if let Some(error) = self.data.as_deref().and_then(|data| check_directory(data).err()) {
            wrong.push(error);
        }
        let membership = self.membership.check().map_err(|more| wrong.extend(more)).ok();
        let surface = self.surface.check(Auth::Password).map_err(|more| wrong.extend(more)).ok();
        match (http, membership, surface) {
            (Some(http), Some(membership), Some(surface)) if wrong.is_empty() => {
                let (data, neighbours) = (self.data.clone(), Neighbours::default());
                let operator_secret = secret.clone();
                Ok(CoordinatorConfig { http, workers, secret, operator_secret, data, neighbours, membership, surface })
            }
            _ => Err(wrong),
        }
    }
}

impl SurfaceArgs {
    /// Checks all flags; `auth` is what holds if none is given.
    ///
    /// # Errors
    /// One sentence for each flag that can't be used.
    pub fn check(&self, auth: Auth) -> Result<SurfaceConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let tweet_max = number("--tweet-max", &self.tweet_max, 1..=10_000, &mut wrong);
        let session_days = number("--session-days", &self.session_days, 1..=366, &mut wrong);
        let idempotency_hours = number("--idempotency-hours", &self.idempotency_hours, 1..=720, &mut wrong);
        let outcome_hours = number("--outcome-hours", &self.outcome_hours, 1..=720, &mut wrong);
        let login_failures = number("--login-failures", &self.login_failures, 1..=10_000, &mut wrong);
        let sign_ups = number("--sign-ups", &self.sign_ups, 0..=1_000_000, &mut wrong);
        let writes = number("--writes", &self.writes, 0..=1_000_000, &mut wrong);
        let requests_max = number("--requests-max", &self.requests_max, 1..=REQUESTS_MAX as u32, &mut wrong);
        let connections_max = number("--connections-max", &self.connections_max, 1..=65_536, &mut wrong);
        let per_address = match &self.connections_per_address {
            Some(text) => number("--connections-per-address", text, 1..=65_536, &mut wrong),
            None => connections_max.min(Limits::default().connections_per_address_max as u32),
        };
        if per_address > connections_max && !wrong.iter().any(|said| said.starts_with("--connections")) {
            wrong.push(format!(
                "--connections-per-address must not be more than --connections-max, which is {connections_max}, but it is {per_address}"
            ));
        }
        let bodies_max = number("--bodies-max", &self.bodies_max, 1..=65_536, &mut wrong);
        let answers_max = number("--answers-max", &self.answers_max, 16..=65_536, &mut wrong);
        let hashes_max = number("--hashes-max", &self.hashes_max, 1..=64, &mut wrong);
        let demo = switch("--demo", &self.demo, &mut wrong);
        let trust_proxy = switch("--trust-proxy", &self.trust_proxy, &mut wrong);
        let secure_cookies = switch("--secure-cookies", &self.secure_cookies, &mut wrong);
        let auth = match self.auth.as_deref() {
            None => auth,
            Some("password") => Auth::Password,
            Some("name") => Auth::Name,
            Some(other) => {
                wrong.push(format!("--auth must be password or name, not {:?}", shown(other)));
                auth
            }
        };
        let data_access = match self.data_access.as_str() {
            "accounts" => DataAccess::Accounts,
            "tokens" => DataAccess::Tokens,
            other => {
                wrong.push(format!("--data-access must be accounts or tokens, not {:?}", shown(other)));
                DataAccess::Tokens
            }
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let hour = Duration::from_secs(60 * 60);
        let minute = Duration::from_secs(60);
        let limited = |tries: u32, per| (tries > 0).then_some(Allowance { tries, per });
        Ok(SurfaceConfig {
            auth,
            data_access,
            demo,
            session_lifetime: hour * 24 * session_days,
            idempotency_lifetime: hour * idempotency_hours,
            outcome_lifetime: hour * outcome_hours,
            limits: Limits {
                tweet_characters_max: tweet_max as usize,
                login_failures: Allowance { tries: login_failures, per: minute },
                sign_ups: limited(sign_ups, hour),
                writes: limited(writes, minute),
                requests_max: requests_max as usize,
                connections_max: connections_max as usize,
                connections_per_address_max: per_address as usize,
                body_bytes_max: (bodies_max as usize) << 20,
                hashes_at_once_max: hashes_max as usize,
                answers: AnswerLimits::of((answers_max as usize) << 20),
                ..Limits::default()
            },
            trust_proxy,
            secure_cookies,
        })
    }
}

/// Keeps the value, or the error for later.
fn keep<T>(parsed: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    parsed.map_err(|error| wrong.push(error)).ok()
}

/// Reads a number within these bounds; one that can't be used is said, and the least stands in for it. The command line's
/// parser reads no numbers itself, since it would end at the first that is wrong.
pub fn number(name: &str, text: &str, bounds: RangeInclusive<u32>, wrong: &mut Vec<String>) -> u32 {
    match text.parse() {
        Ok(value) if bounds.contains(&value) => value,
        _ => {
            let (least, most) = bounds.into_inner();
            wrong.push(format!("{name} must be a number from {least} to {most}, not {:?}", shown(text)));
            least
        }
    }
}

/// Reads what a flag without a value means, or its variable says; what can't be read is said, and `false` stands in for it.
pub fn switch(name: &str, text: &str, wrong: &mut Vec<String>) -> bool {
    match text {
        "true" | "yes" | "on" | "1" => true,
        "false" | "no" | "off" | "0" => false,
        _ => {
            wrong.push(format!("{name} must be true, yes, on or 1, or false, no, off or 0, not {:?}", shown(text)));
            false
        }
    }
}

/// The beginning of what was given: enough to see what it was.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Reads `PORT` (on loopback) or `ADDR:PORT`.
fn parse_address(name: &str, text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| format!("{name} must be a port from 0 to 65535 or an IP address and a port, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CoordinatorArgs,
    }

    fn parse(line: &str) -> CoordinatorArgs {
        Line::try_parse_from(["skein"].into_iter().chain(line.split_whitespace())).unwrap().args
    }

    #[test]
    fn a_line_with_ports_alone_is_enough() {
        let config = parse("8080 7001 localhost:7002 [::1]:7003").check(None).unwrap();
        assert_eq!(config.http, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(config.workers, ["127.0.0.1:7001", "localhost:7002", "[::1]:7003"]);
        assert_eq!(config.surface, SurfaceConfig::new(Auth::Password));
    }

    #[test]
    fn the_default_of_auth_is_the_callers() {
        assert_eq!(parse("0 1").surface.check(Auth::Name).unwrap().auth, Auth::Name);
        assert_eq!(parse("0 1 --auth password").surface.check(Auth::Name).unwrap().auth, Auth::Password);
    }

    #[test]
    fn only_loopback_goes_without_a_secret() {
        let far = parse("0 worker.example:7001");
        assert_eq!(far.check(None).unwrap_err(), [SECRET_MISSING]);
        assert!(far.check(Some(Secret::parse("sixteen bytes or more").unwrap())).is_ok());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let line = "70000 7001 7001 host: --data /dev/null --tweet-max 0 --session-days 0 --requests-max 99999 --hashes-max 0";
        let said = parse(line).check(None).unwrap_err();
        for name in [
            "the HTTP address",
            "a worker must",
            "the worker 127.0.0.1:7001",
            "--data",
            "--tweet-max",
            "--session-days",
            "--requests-max",
            "--hashes-max",
        ] {
            assert!(said.iter().any(|error| error.starts_with(name)), "{name} is missing in {said:?}");
        }
        assert_eq!(said.len(), 8, "{said:?}");
    }

    #[test]
    fn what_is_of_another_kind_is_said_with_all_the_rest() {
        let line = "0 1 --tweet-max abc --session-days=-1 --writes 99999999999999999999 --auth maybe --data-access=all --demo=so --requests-max=";
        let said = parse(line).check(None).unwrap_err();
        for name in ["--tweet-max", "--session-days", "--writes", "--auth", "--data-access", "--demo", "--requests-max"] {
            assert!(said.iter().any(|error| error.starts_with(name)), "{name} is missing in {said:?}");
        }
        assert_eq!(said.len(), 7, "{said:?}");
    }

    #[test]
    fn one_address_may_not_have_more_connections_than_all() {
        let said = parse("0 1 --connections-max 10 --connections-per-address 9000 --tweet-max 0").check(None).unwrap_err();
        assert_eq!(said.len(), 2, "{said:?}");
        let said = said.iter().find(|said| said.starts_with("--connections-per-address")).unwrap();
        assert!(said.contains("--connections-max") && said.contains("10") && said.contains("9000"), "{said}");
        let said = parse("0 1 --connections-max x --connections-per-address 9000").check(None).unwrap_err();
        assert_eq!(said.len(), 1, "{said:?}");
        for (line, bounds) in
            [("", (8192, 512)), ("--connections-max 10", (10, 10)), ("--connections-per-address 8192", (8192, 8192))]
        {
            let limits = parse(&format!("0 1 {line}")).check(None).unwrap().surface.limits;
            assert_eq!((limits.connections_max, limits.connections_per_address_max), bounds, "{line}");
        }
    }

    #[test]
    fn the_shares_of_answers_are_parts_of_the_whole() {
        let mib = 1 << 20;
        for (line, shares) in [("", (128, 32, 8)), ("--answers-max 16", (16, 4, 1))] {
            let answers = parse(&format!("0 1 {line}")).check(None).unwrap().surface.limits.answers;
            let of = (answers.bytes_max / mib, answers.bytes_per_address_max / mib, answers.bytes_per_client_max / mib);
            assert_eq!(of, shares, "{line}");
        }
        assert!(parse("0 1 --answers-max 15").check(None).unwrap_err()[0].contains("from 16 to 65536"));
    }

    #[test]
    fn a_switch_is_on_by_its_name_alone_or_by_what_it_says() {
        for (line, demo) in [("0 1", false), ("0 1 --demo", true), ("0 1 --demo=0", false), ("0 --demo 1", true)] {
            let config = parse(line).check(None).unwrap();
            assert_eq!((config.surface.demo, config.workers), (demo, vec!["127.0.0.1:1".to_owned()]), "{line}");
        }
    }
}
