//! A worker's settings: what its command line and environment may say, the defaults and the bounds, and the checked form
//! that the process runs with. Every field is checked before anything is opened, and all that is wrong is said at once.
//! No other file of the worker reads the environment or knows a default.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use skein_runtime::disk::access::check_directory;
use skein_runtime::transport::{Neighbours, Secret};
use skein_runtime::wal::{Salvage, SyncPolicy};

/// What `--memory-max` may be at the least: room for a few of the largest transactions.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// What `--memory-max` may be at the most.
pub const MEMORY_BYTES_MAX: u64 = 1 << 40;

/// Said when others can reach the cluster's port and nothing keeps strangers out.
pub const SECRET_MISSING: &str =
    "a cluster address that is not loopback needs a secret: set SKEIN_CLUSTER_SECRET or SKEIN_CLUSTER_SECRET_FILE";

/// The command line of `skein worker`, as given and not yet checked.
#[derive(Clone, Debug, Args)]
pub struct WorkerArgs {
    /// Where the cluster's protocol is spoken: a bare port means loopback, port 0 picks one
    #[arg(value_name = "PORT|ADDR:PORT", env = "SKEIN_CLUSTER_ADDRESS", hide_env_values = true)]
    pub cluster: String,

    /// Where /livez, /readyz and /metrics are served: PORT or ADDR:PORT
    #[arg(long, value_name = "ADDR", env = "SKEIN_HTTP", hide_env_values = true, default_value = "127.0.0.1:0")]
    pub http: String,

    /// Directory of the write-ahead log, made if it is not there; without it everything is kept in memory alone
    #[arg(long, value_name = "DIR", env = "SKEIN_DATA", hide_env_values = true)]
    pub data: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub salvage: SalvageArgs,
}

/// The flags of a worker's store, which `skein up` takes too.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// When the log is synced: always (before each vote), or interval:MS (1 to 60000 ms; a crash takes back up to that)
    #[arg(long, value_name = "always|interval:MS", env = "SKEIN_SYNC", hide_env_values = true, default_value = "always")]
    pub sync: String,

    /// Bytes of records beyond which a worker refuses writes (reads and deletes go on): 1MiB to 1TiB, with KiB, MiB, GiB, TiB
    #[arg(long, value_name = "BYTES", env = "SKEIN_MEMORY_MAX", hide_env_values = true, default_value = "1GiB")]
    pub memory_max: String,

    /// Seconds in which every record is looked at once, whether it still is what was written (1 to 86400)
    #[arg(long, value_name = "SECONDS", env = "SKEIN_SCRUB", hide_env_values = true, default_value = "30")]
    pub scrub: String,
}

/// What a person has decided about a log; `skein up` takes these flags too. No variable of the environment sets them, since it would
/// still be set at the next start, and decide about what is not known yet. For the same reason `--accept-incomplete-log` counts once.
#[derive(Clone, Copy, Debug, Args)]
pub struct SalvageArgs {
    /// Go on with the newest records that this worker held as a member, though they may lack what was acknowledged last. They are in
    /// its log, in the copy that the log kept while a new one was made, or in a log that was set aside. They count only when no member
    /// that holds all can come back, and until this worker has copied all records again; see the runbooks. The flag works at one
    /// start: later starts ignore it, until one was made without it
    #[arg(long)]
    pub accept_incomplete_log: bool,

    /// Remove the records of the log that are not what was written. Only for the last copy; see the runbooks. Meant for one start
    #[arg(long)]
    pub discard_damaged: bool,
}

/// A worker's settings, checked.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where to listen for coordinators.
    pub cluster: SocketAddr,
    /// Where to listen for HTTP.
    pub http: SocketAddr,
    /// What coordinators must know; may be missing on loopback only.
    pub secret: Option<Secret>,
    /// The log's directory; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// Where coordinators of this process find the worker.
    pub neighbours: Neighbours,
    /// The name under which they find it; without one, by the address that it listens on.
    pub name: Option<String>,
    /// How the store behaves.
    pub store: StoreConfig,
    /// What to do with a log that can't be taken up as it is.
    pub salvage: Salvage,
}

/// The settings of a worker's store, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// When the log is synced.
    pub sync: SyncPolicy,
    /// Bytes beyond which writes are refused.
    pub memory_bytes_max: u64,
    /// Milliseconds in which every record is looked at once.
    pub scrub_ms: u64,
}

impl WorkerArgs {
    /// Checks everything and says all that is wrong. The cluster's secret, which no flag may carry, comes beside them.
    ///
    /// # Errors
    ///
    /// One sentence for each setting that can't be used, naming it and its bound.
    pub fn check(&self, secret: Option<Secret>) -> Result<WorkerConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let cluster = keep(parse_address("the cluster address", &self.cluster), &mut wrong);
        let http = keep(parse_address("--http", &self.http), &mut wrong);
        let store = match self.store.check() {
            Ok(store) => Some(store),
            Err(more) => {
                wrong.extend(more);
                None
            }
        };
        if let Some(data) = &self.data
            && let Err(error) = check_directory(data)
        {
            wrong.push(error);
        }
        wrong.extend(self.salvage.needs(self.data.as_deref()));
        if secret.is_none() && cluster.is_some_and(|address| !address.ip().is_loopback()) {
            wrong.push(SECRET_MISSING.to_owned());
        }
        match (cluster, http, store) {
            (Some(cluster), Some(http), Some(store)) if wrong.is_empty() => {
                let (data, neighbours) = (self.data.clone(), Neighbours::default());
                let salvage = self.salvage.into();
                Ok(WorkerConfig { cluster, http, secret, data, neighbours, name: None, store, salvage })
            }
            _ => Err(wrong),
        }
    }
}

impl SalvageArgs {
    /// What is wrong with these flags, given where the log is.
    #[must_use]
    pub fn needs(self, data: Option<&Path>) -> Vec<String> {
        let given = [("--accept-incomplete-log", self.accept_incomplete_log), ("--discard-damaged", self.discard_damaged)];
        let unmet = given.into_iter().filter(|(_, given)| *given && data.is_none());
        unmet.map(|(flag, _)| format!("{flag} is about a log: --data must say where it is")).collect()
    }
}

impl From<SalvageArgs> for Salvage {
    fn from(args: SalvageArgs) -> Self {
        Salvage { accept_incomplete: args.accept_incomplete_log, discard_damaged: args.discard_damaged }
    }
}

impl StoreArgs {
    /// Checks all flags.
    ///
    /// # Errors
    ///
    /// One sentence for each flag that can't be used.
    pub fn check(&self) -> Result<StoreConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let sync = keep(self.sync.parse().map_err(|error| format!("--sync: {error}")), &mut wrong);
        let memory_bytes_max = keep(parse_memory_max(&self.memory_max), &mut wrong);
        let scrub_ms = keep(parse_scrub(&self.scrub), &mut wrong);
        match (sync, memory_bytes_max, scrub_ms) {
            (Some(sync), Some(memory_bytes_max), Some(scrub_ms)) => Ok(StoreConfig { sync, memory_bytes_max, scrub_ms }),
            _ => Err(wrong),
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig { sync: SyncPolicy::Always, memory_bytes_max: 1 << 30, scrub_ms: 30_000 }
    }
}

/// Keeps the value, or the error for later.
fn keep<T>(parsed: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    parsed.map_err(|error| wrong.push(error)).ok()
}

/// Reads `PORT` (on loopback) or `ADDR:PORT`.
///
/// # Errors
///
/// Says which setting `name` it was and what it may be.
pub fn parse_address(name: &str, text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| format!("{name} must be a port from 0 to 65535 or an IP address and a port, not {text:?}"))
}

fn parse_scrub(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<u64>().ok().filter(|seconds| (1..=86_400).contains(seconds));
    let shown: String = text.chars().take(64).collect();
    seconds.map(|seconds| seconds * 1_000).ok_or_else(|| format!("--scrub must be a number from 1 to 86400, not {shown:?}"))
}

fn parse_memory_max(text: &str) -> Result<u64, String> {
    parse_bytes(text)
        .filter(|bytes| (MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(bytes))
        .ok_or_else(|| format!("--memory-max must be a number of bytes from 1MiB to 1TiB (KiB, MiB, GiB, TiB), not {text:?}"))
}

/// Reads a number of bytes with or without a binary unit.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" | "K" => 10,
        "MiB" | "M" => 20,
        "GiB" | "G" => 30,
        "TiB" | "T" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> WorkerArgs {
        WorkerArgs {
            cluster: "0".to_owned(),
            http: "127.0.0.1:0".to_owned(),
            data: None,
            store: StoreArgs { sync: "always".to_owned(), memory_max: "1GiB".to_owned(), scrub: "30".to_owned() },
            salvage: SalvageArgs { accept_incomplete_log: false, discard_damaged: false },
        }
    }

    fn secret() -> Option<Secret> {
        Some(Secret::parse("sixteen bytes or more").unwrap())
    }

    #[test]
    fn only_loopback_goes_without_a_secret() {
        assert!(args().check(None).is_ok());
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7101"] {
            let open = WorkerArgs { cluster: open.to_owned(), ..args() };
            assert_eq!(open.check(None).unwrap_err(), [SECRET_MISSING]);
            assert!(open.check(secret()).is_ok());
        }
    }

    #[test]
    fn a_bare_port_means_loopback() {
        let config = WorkerArgs { cluster: "7101".to_owned(), ..args() }.check(secret()).unwrap();
        assert_eq!(config.cluster, SocketAddr::from(([127, 0, 0, 1], 7101)));
        let config = WorkerArgs { cluster: "0.0.0.0:7101".to_owned(), ..args() }.check(secret()).unwrap();
        assert_eq!(config.cluster, SocketAddr::from(([0, 0, 0, 0], 7101)));
        let config = WorkerArgs { cluster: "[::1]:0".to_owned(), ..args() }.check(secret()).unwrap();
        assert!(config.cluster.is_ipv6());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = WorkerArgs {
            cluster: "70000".to_owned(),
            http: "nowhere".to_owned(),
            data: Some("/dev/null".into()),
            store: StoreArgs { sync: "interval:0".to_owned(), memory_max: "1KiB".to_owned(), scrub: "0".to_owned() },
            ..args()
        };
        let said = wrong.check(None).unwrap_err();
        assert_eq!(said.len(), 6, "{said:?}");
        for name in ["the cluster address", "--http", "--data", "--sync", "--memory-max", "--scrub"] {
            assert!(said.iter().any(|error| error.starts_with(name)), "{name} is missing in {said:?}");
        }
    }

    #[test]
    fn what_is_decided_about_a_log_needs_one() {
        let salvage = SalvageArgs { accept_incomplete_log: true, discard_damaged: true };
        let said = WorkerArgs { salvage, ..args() }.check(None).unwrap_err();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("--accept-incomplete-log") && said[1].starts_with("--discard-damaged"), "{said:?}");
        let checked = WorkerArgs { salvage, data: Some("not/there/yet".into()), ..args() }.check(None).unwrap();
        assert_eq!(checked.salvage, Salvage { accept_incomplete: true, discard_damaged: true });
    }

    #[test]
    fn bytes_carry_binary_units_and_never_overflow() {
        let read = |text: &str| parse_memory_max(text).ok();
        assert_eq!(read("1048576"), Some(1 << 20));
        assert_eq!(read("64MiB"), Some(64 << 20));
        assert_eq!(read("1TiB"), Some(1 << 40));
        for wrong in ["", "MiB", "1.5GiB", "-1", "2TiB", "1MB", "99999999999999999999", "18446744073709551615TiB"] {
            assert_eq!(read(wrong), None, "{wrong:?} was taken");
        }
    }
}
