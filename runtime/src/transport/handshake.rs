//! How two ends of a new connection prove to each other that they belong to the same cluster: mutual challenge and
//! response with HMAC-SHA256 over both ends' greetings, so that a proof is good for this connection and this direction
//! alone. It authenticates who connects; it does not encrypt, so the network between nodes must be one in which nobody can
//! change what others send.
//!
//! ```text
//! dialer   -- Hello: version, role, identity, cluster, durability, nonce -->  listener
//! dialer   <-- Hello ------------------------------------------
//! dialer   -- HMAC(secret, "dialer"   + both hellos) --------->   checked before anything more is said
//! dialer   <-- HMAC(secret, "listener" + both hellos) ---------
//! ```

use std::fmt;
use std::io::ErrorKind;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use skein_protocol::id::{ClusterId, NodeId};
use skein_protocol::step::Role;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::{Durability, Fault};
use crate::formats::PROTOCOL_VERSION;

/// Bytes that a secret must have at the least.
pub const SECRET_BYTES_MIN: usize = 16;

/// Bytes of a greeting.
pub const HELLO_BYTES: usize = 75;

/// The first bytes that either end sends.
const MAGIC: [u8; 6] = *b"SKEIN\n";

/// Bytes of the magic and the version, which are the same in every version.
const PREFIX_BYTES: usize = MAGIC.len() + 1;

const PROOF_BYTES: usize = 32;

/// The cluster's secret. Never shown, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster secret has at least {SECRET_BYTES_MIN} bytes, this one has {0}")]
pub struct InvalidSecret(pub usize);

/// What each end says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its role.
    pub role: Role,
    /// Its identity.
    pub node: NodeId,
    /// For a worker: the cluster that it is bound to.
    pub cluster: Option<ClusterId>,
    /// For a worker: what its votes are worth.
    pub durability: Durability,
    /// For a worker: whether a person has given up a part of what it held.
    pub salvaged: bool,
    /// Random, so that no proof is good twice.
    pub nonce: [u8; 32],
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The other end did something wrong.
    #[error("{0}")]
    Fault(Fault),
    /// The other end closed when it had our proof.
    #[error("it closed the connection during the handshake; the cluster's secrets may differ")]
    Refused,
    /// The other end is known by the name of a node of this process, and there is none at the moment.
    #[error("no node of this name runs in this process")]
    NotHere,
    /// The connection broke.
    #[error("{0}")]
    Io(std::io::Error),
}

/// The side that proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Dialer,
    Listener,
}

impl Secret {
    /// Takes a text from the settings; white space around it does not count.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = text.trim().as_bytes();
        if bytes.len() < SECRET_BYTES_MIN { Err(InvalidSecret(bytes.len())) } else { Ok(Secret(Zeroizing::new(bytes.to_vec()))) }
    }

    /// A key for another purpose than the handshake: who holds it learns nothing about the secret, nor about other keys.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(b"skein derived key: ");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Hello {
    /// A greeting with a new nonce.
    #[must_use]
    pub fn new(role: Role, node: NodeId, cluster: Option<ClusterId>) -> Self {
        Hello { role, node, cluster, durability: Durability::Memory, salvaged: false, nonce: rand::random() }
    }

    /// The same greeting, of a worker whose votes are worth this.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Hello { durability, ..self }
    }

    /// The same greeting, of a worker of whose records a person has given up a part, or not.
    #[must_use]
    pub fn with_salvaged(self, salvaged: bool) -> Self {
        Hello { salvaged, ..self }
    }

    /// As sent.
    #[must_use]
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[0..6].copy_from_slice(&MAGIC);
        bytes[6] = PROTOCOL_VERSION;
        bytes[7] = match self.role {
            Role::Coordinator => 0,
            Role::Worker => 1,
        };
        bytes[8..24].copy_from_slice(&self.node.0.to_le_bytes());
        bytes[24] = u8::from(self.cluster.is_some());
        bytes[25..41].copy_from_slice(&self.cluster.map_or(0, |cluster| cluster.0).to_le_bytes());
        bytes[41..73].copy_from_slice(&self.nonce);
        bytes[73] = self.durability as u8;
        bytes[74] = u8::from(self.salvaged);
        bytes
    }

    /// As received.
    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Self, Fault> {
        check_prefix(&bytes[..PREFIX_BYTES])?;
        let number =
            |from: usize| u128::from_le_bytes(bytes[from..from + 16].try_into().expect("sixteen bytes are sixteen bytes"));
        let role = match bytes[7] {
            0 => Role::Coordinator,
            1 => Role::Worker,
            _ => return Err(Fault::Protocol),
        };
        let cluster = match (bytes[24], number(25)) {
            (0, 0) => None,
            (1, cluster) => Some(ClusterId(cluster)),
            _ => return Err(Fault::Protocol),
        };
        let nonce = bytes[41..73].try_into().expect("32 bytes are 32 bytes");
        let durability = Durability::ALL.into_iter().find(|known| *known as u8 == bytes[73]).ok_or(Fault::Protocol)?;
        let salvaged = match bytes[74] {
            0 => false,
            1 => true,
            _ => return Err(Fault::Protocol),
        };
        Ok(Hello { role, node: NodeId(number(8)), cluster, durability, salvaged, nonce })
    }
}

/// The magic and the version.
fn check_prefix(bytes: &[u8]) -> Result<(), Fault> {
    match bytes.split_at_checked(MAGIC.len()) {
        Some((magic, version)) if magic == MAGIC => {
            if version == [PROTOCOL_VERSION] {
                Ok(())
            } else {
                Err(Fault::Version)
            }
        }
        _ => Err(Fault::Protocol),
    }
}

impl Side {
    fn mac(self, secret: Option<&Secret>, dialer: &[u8; HELLO_BYTES], listener: &[u8; HELLO_BYTES]) -> Hmac<Sha256> {
        let key = secret.map_or(&[][..], |secret| secret.0.as_slice());
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(match self {
            Side::Dialer => b"skein handshake: dialer proves",
            Side::Listener => b"skein handshake: listener proves",
        });
        mac.update(dialer);
        mac.update(listener);
        mac
    }
}

/// The handshake of the end that connected. Gives back who is at the other end.
pub async fn dial<S>(stream: &mut S, ours: &Hello, secret: Option<&Secret>) -> Result<Hello, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    dial_unless(stream, ours, secret, |_| None).await
}

/// The same, unless there is something against whoever says to be there, proved or not: then the other end is given no proof, and
/// so takes no notice.
pub(super) async fn dial_unless<S>(
    stream: &mut S,
    ours: &Hello,
    secret: Option<&Secret>,
    against: impl FnOnce(NodeId) -> Option<Fault>,
) -> Result<Hello, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let our_bytes = ours.encode();
    stream.write_all(&our_bytes).await.map_err(HandshakeError::Io)?;
    let their_bytes = read_hello(stream).await?;
    let theirs = checked(&their_bytes, ours)?;
    if let Some(fault) = against(theirs.node) {
        return Err(HandshakeError::Fault(fault));
    }
    let proof = Side::Dialer.mac(secret, &our_bytes, &their_bytes).finalize().into_bytes();
    stream.write_all(&proof).await.map_err(HandshakeError::Io)?;
    let mut their_proof = [0; PROOF_BYTES];
    stream.read_exact(&mut their_proof).await.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => HandshakeError::Refused,
        _ => HandshakeError::Io(error),
    })?;
    let expected = Side::Listener.mac(secret, &our_bytes, &their_bytes);
    expected.verify_slice(&their_proof).map_err(|_| HandshakeError::Fault(Fault::Secret))?;
    Ok(theirs)
}

/// The handshake of the end that was connected to. It proves nothing before the other end has.
pub async fn listen<S>(stream: &mut S, ours: &Hello, secret: Option<&Secret>) -> Result<Hello, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let our_bytes = ours.encode();
    let their_bytes = match read_hello(stream).await {
        // So that the other end can tell its user why, too.
        Err(HandshakeError::Fault(Fault::Version)) => {
            stream.write_all(&our_bytes).await.map_err(HandshakeError::Io)?;
            return Err(HandshakeError::Fault(Fault::Version));
        }
        read => read?,
    };
    let theirs = checked(&their_bytes, ours)?;
    stream.write_all(&our_bytes).await.map_err(HandshakeError::Io)?;
    let mut their_proof = [0; PROOF_BYTES];
    stream.read_exact(&mut their_proof).await.map_err(broken)?;
    let expected = Side::Dialer.mac(secret, &their_bytes, &our_bytes);
    expected.verify_slice(&their_proof).map_err(|_| HandshakeError::Fault(Fault::Secret))?;
    let proof = Side::Listener.mac(secret, &their_bytes, &our_bytes).finalize().into_bytes();
    stream.write_all(&proof).await.map_err(HandshakeError::Io)?;
    Ok(theirs)
}

async fn read_hello<S: AsyncRead + Unpin>(stream: &mut S) -> Result<[u8; HELLO_BYTES], HandshakeError> {
    let mut bytes = [0; HELLO_BYTES];
    stream.read_exact(&mut bytes[..PREFIX_BYTES]).await.map_err(broken)?;
    check_prefix(&bytes[..PREFIX_BYTES]).map_err(HandshakeError::Fault)?;
    stream.read_exact(&mut bytes[PREFIX_BYTES..]).await.map_err(broken)?;
    Ok(bytes)
}

fn checked(their_bytes: &[u8; HELLO_BYTES], ours: &Hello) -> Result<Hello, HandshakeError> {
    let theirs = Hello::decode(their_bytes).map_err(HandshakeError::Fault)?;
    if theirs.node == ours.node { Err(HandshakeError::Fault(Fault::Myself)) } else { Ok(theirs) }
}

fn broken(error: std::io::Error) -> HandshakeError {
    match error.kind() {
        ErrorKind::UnexpectedEof => HandshakeError::Fault(Fault::Truncated),
        _ => HandshakeError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(node: u128) -> Hello {
        Hello::new(Role::Worker, NodeId(node), Some(ClusterId(9)))
    }

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    async fn shake(
        dialer: &Hello,
        dialer_secret: Option<&Secret>,
        listener: &Hello,
        listener_secret: Option<&Secret>,
    ) -> (Result<Hello, HandshakeError>, Result<Hello, HandshakeError>) {
        let (mut here, mut there) = tokio::io::duplex(256);
        let dialing = async {
            let result = dial(&mut here, dialer, dialer_secret).await;
            drop(here);
            result
        };
        let listening = async {
            let result = listen(&mut there, listener, listener_secret).await;
            drop(there);
            result
        };
        tokio::join!(dialing, listening)
    }

    #[tokio::test]
    async fn the_same_secret_lets_both_in_and_tells_who_is_there() {
        let (dialer, listener) = (hello(1), hello(2));
        let key = secret("a secret of some length");
        let (dialed, listened) = shake(&dialer, Some(&key), &listener, Some(&key)).await;
        assert_eq!(dialed.unwrap(), listener);
        assert_eq!(listened.unwrap(), dialer);
    }

    #[tokio::test]
    async fn another_secret_or_none_is_refused_before_the_listener_proves_anything() {
        let key = secret("a secret of some length");
        let other = secret("a secret of same length");
        for theirs in [Some(&other), None] {
            let (dialed, listened) = shake(&hello(1), theirs, &hello(2), Some(&key)).await;
            assert!(matches!(dialed, Err(HandshakeError::Refused)));
            assert!(matches!(listened, Err(HandshakeError::Fault(Fault::Secret))));
        }
    }

    #[tokio::test]
    async fn a_node_does_not_talk_to_itself() {
        let (dialed, listened) = shake(&hello(1), None, &hello(1), None).await;
        assert!(dialed.is_err());
        assert!(matches!(listened, Err(HandshakeError::Fault(Fault::Myself))));
    }

    #[tokio::test]
    async fn what_a_dialer_says_is_of_no_use_when_sent_back() {
        let key = secret("a secret of some length");
        let (mut here, mut there) = tokio::io::duplex(256);
        let ours = hello(1);
        let mirror = async {
            // Sends back the greeting with another identity, then the very proof that it was given.
            let mut bytes = [0; HELLO_BYTES];
            there.read_exact(&mut bytes).await.unwrap();
            bytes[8] ^= 1;
            there.write_all(&bytes).await.unwrap();
            let mut proof = [0; PROOF_BYTES];
            there.read_exact(&mut proof).await.unwrap();
            there.write_all(&proof).await.unwrap();
        };
        let (dialed, ()) = tokio::join!(dial(&mut here, &ours, Some(&key)), mirror);
        assert!(matches!(dialed, Err(HandshakeError::Fault(Fault::Secret))));
    }

    #[tokio::test]
    async fn another_version_is_named_at_both_ends() {
        let (mut here, mut there) = tokio::io::duplex(256);
        let mut newer = hello(1).encode();
        newer[6] = PROTOCOL_VERSION + 1;
        here.write_all(&newer).await.unwrap();
        let listened = listen(&mut there, &hello(2), None).await;
        assert!(matches!(listened, Err(HandshakeError::Fault(Fault::Version))));
        let mut answer = [0; HELLO_BYTES];
        here.read_exact(&mut answer).await.unwrap();
        assert_eq!(check_prefix(&answer[..PREFIX_BYTES]), Ok(()));
        assert_eq!(check_prefix(&newer[..PREFIX_BYTES]), Err(Fault::Version));
    }

    #[test]
    fn a_greeting_reads_back_what_it_writes_and_bad_fields_are_refused() {
        for cluster in [None, Some(ClusterId(0)), Some(ClusterId(77))] {
            let hello = Hello::new(Role::Coordinator, NodeId(5), cluster);
            assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }
        let good = Hello::new(Role::Coordinator, NodeId(5), None).encode();
        for (at, byte, fault) in [
            (0, b'G', Fault::Protocol),
            (6, PROTOCOL_VERSION + 1, Fault::Version),
            (7, 2, Fault::Protocol),
            (24, 2, Fault::Protocol),
        ] {
            let mut bytes = good;
            bytes[at] = byte;
            assert_eq!(Hello::decode(&bytes), Err(fault));
        }
    }

    #[test]
    fn a_secret_has_a_least_length_and_is_never_shown() {
        assert_eq!(Secret::parse(" 123456789012345 \n").unwrap_err(), InvalidSecret(15));
        assert_eq!(format!("{:?}", secret("1234567890123456")), "Secret(..)");
    }
}
