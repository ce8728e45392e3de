//! The other end of a connection, and the part of its address by which connections are counted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::places::Kind;

/// The other end of a connection; the server puts it into the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the server listens on loopback, and so for this machine alone.
    pub at_loopback: bool,
    /// What the connection may ask for.
    pub place: Kind,
}

/// The address by which a client is counted: of an IPv6 address the network, since one client has 2^64 of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) if address.is_loopback() => IpAddr::V6(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_client() {
        let seen = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(seen("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(seen("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(seen("::1"), "::1");
    }
}
