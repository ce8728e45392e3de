//! How two ends of a new connection prove to each other that they belong to the same cluster.

use std::fmt;

use zeroize::Zeroizing;

/// The cluster's secret. Never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Bytes that a secret must have at the least.
pub const SECRET_BYTES_MIN: usize = 16;

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster secret has at least {SECRET_BYTES_MIN} bytes, this one has {0}")]
pub struct InvalidSecret(pub usize);

impl Secret {
    /// Takes a text from the settings; white space around it does not count.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let bytes = text.trim().as_bytes();
        if bytes.len() < SECRET_BYTES_MIN { Err(InvalidSecret(bytes.len())) } else { Ok(Secret(Zeroizing::new(bytes.to_vec()))) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
