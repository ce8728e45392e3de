//! Where a worker is, as people write it: on the command line, and when they change which workers the cluster is meant to have.
//! Host names are looked up each time that they are dialled. Workers within the coordinator's own process have names without a port,
//! which are the same at each start.

use std::net::IpAddr;

/// Said when a worker is on another machine and nothing keeps strangers out.
pub const SECRET_MISSING: &str =
    "a worker that is not on loopback needs a secret: set SKEIN_CLUSTER_SECRET or SKEIN_CLUSTER_SECRET_FILE";

/// Reads where a worker is: `HOST:PORT`, or `PORT` on loopback.
///
/// # Errors
/// When it is neither, with what it must be.
pub fn parse(text: &str) -> Result<String, String> {
    let shown: String = text.chars().take(300).collect();
    let wrong = || format!("a worker must be HOST:PORT or a port from 1 to 65535, not {shown:?}");
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => (1..=253).contains(&host.len()) && host.chars().all(named),
    };
    if fits { Ok(format!("{host}:{port}")) } else { Err(wrong()) }
}

/// The name of a worker within the coordinator's own process, counted from 1.
#[must_use]
pub fn in_process(number: usize) -> String {
    format!("worker-{number}")
}

/// The same as [`parse`], or the name of a worker within the coordinator's own process.
///
/// # Errors
/// When it is none of these, with what it must be.
pub fn parse_or_name(text: &str) -> Result<String, String> {
    let number = text.strip_prefix("worker-").and_then(|number| number.parse().ok());
    match number {
        Some(number) if in_process(number) == text => Ok(text.to_owned()),
        _ => parse(text),
    }
}

/// Whether the worker is on the machine that dials it, for certain.
#[must_use]
pub fn is_loopback(worker: &str) -> bool {
    let host = worker.rsplit_once(':').map_or(worker, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_or_a_port_alone() {
        for (text, address) in [("7001", "127.0.0.1:7001"), ("a.example:07001", "a.example:7001"), ("[::1]:1", "[::1]:1")] {
            assert_eq!(parse(text).as_deref(), Ok(address));
        }
        for wrong in ["", "0", "70000", "host:", ":1", "a b:1", "a/b:1", "::1:1x", "[nowhere]:1", "http://a:1", "a:1:2"] {
            assert!(parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_worker_within_the_process_has_a_name_without_a_port() {
        assert_eq!(parse_or_name(&in_process(12)).as_deref(), Ok("worker-12"));
        assert_eq!(parse_or_name("7001").as_deref(), Ok("127.0.0.1:7001"));
        for wrong in ["worker-", "worker-x", "worker-01", "worker--1", "worker", "other-1"] {
            assert!(parse_or_name(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(["127.0.0.1:1", "localhost:1", "[::1]:1", "127.9.9.9:1"].into_iter().all(is_loopback));
        assert!(!["10.0.0.1:1", "worker:1", "[::2]:1"].into_iter().any(is_loopback));
    }
}
