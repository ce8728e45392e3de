//! The secret of a bearer token and what may be known of it. The text has a prefix of its own, so that programs that look for
//! leaked secrets find it. The id by which operators name a token is the beginning of the hash that the store keeps: it tells
//! nothing about the secret.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use skein_protocol::operation::Key;

use crate::store::tables::TOKENS;

/// What each token begins with.
const PREFIX: &str = "skein_";

/// Bytes of the hash that name a token.
const ID_BYTES: usize = 8;

/// What a program keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// The name of a token: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId([u8; ID_BYTES]);

impl Secret {
    pub(super) fn new() -> Self {
        Secret(rand::random())
    }

    /// Reads what a program sent; `None` if it is no token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?.try_into().ok().map(Secret)
    }

    /// The token as text, for whoever it is made for alone.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// The name of its token.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId::of(&self.key()).expect("a hash is longer than the part of it that names")
    }

    pub(super) fn key(&self) -> Key {
        Key::new(TOKENS.id, Sha256::digest(self.0).as_slice())
    }
}

impl TokenId {
    /// The name of the token that this row is about.
    pub(super) fn of(key: &Key) -> Option<Self> {
        key.bytes.get(..ID_BYTES)?.try_into().ok().map(TokenId)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for TokenId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| digits && text.len() == 2 * ID_BYTES).ok_or(())?;
        Ok(TokenId(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_what_it_reveals_and_is_stored_only_hashed() {
        let secret = Secret::new();
        let text = secret.reveal();
        assert_eq!(text.len(), PREFIX.len() + 43);
        assert!(Secret::parse(&text).is_some_and(|read| read == secret));
        for wrong in ["", "skein_", &text[1..], &text[..48], &format!("{text}A"), &text.replace("skein_", "Skein_")] {
            assert!(Secret::parse(wrong).is_none(), "{wrong:?} was taken");
        }
        assert_ne!(secret.key().bytes.as_slice(), secret.0);
        assert!(!text.contains(&secret.id().to_string()));
    }

    #[test]
    fn an_id_reads_back_what_it_shows() {
        let id = Secret::new().id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "0", "00000000000000000", "+000000000000000", "000000000000000G", "000000000000000A"] {
            assert_eq!(wrong.parse::<TokenId>(), Err(()), "{wrong:?} was taken");
        }
    }
}
