//! The hash of a document's content, which is no secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// The SHA-256 (FIPS 180-4) of a document's content; written as `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of a content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Reads `sha256:` and 64 hex digits, or the digits alone, as `sha256sum` prints them.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const RULE: &str =
            "must be the 64 hex digits that sha256sum prints, with or without sha256: before them";
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(RULE);
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = hex.get(2 * at..2 * at + 2).ok_or(RULE)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| RULE)?;
        }
        Ok(Self(bytes))
    }

    /// Reads the form that S3 gives it in, base64; `None` for anything else.
    pub fn from_base64(text: &str) -> Option<Self> {
        Some(Self(STANDARD.decode(text).ok()?.try_into().ok()?))
    }

    /// The form that S3 takes it in: base64.
    pub fn base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// The 64 lower-case hex digits alone.
    pub fn hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// FIPS 180-4's own example for the message "abc".
    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn is_what_sha256sum_prints_and_what_s3_takes() {
        let hash = ContentHash::of(b"abc");
        assert_eq!((hash.hex().as_str(), hash.to_string()), (HEX, format!("sha256:{HEX}")));
        assert_eq!(hash.base64(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!(ContentHash::from_base64(&hash.base64()), Some(hash));
    }

    #[test]
    fn is_read_with_or_without_its_prefix_in_any_case() {
        for text in [HEX, &HEX.to_uppercase(), &format!("sha256:{HEX}")] {
            assert_eq!(ContentHash::parse(text), Ok(ContentHash::of(b"abc")), "{text}");
        }
        for other in ["", "sha256:", &HEX[1..], &format!("{HEX}0"), &format!("SHA256:{HEX}"), &"é".repeat(32)]
        {
            assert!(ContentHash::parse(other).is_err(), "{other}");
        }
        assert_eq!(ContentHash::from_base64("YWJj"), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>()) {
            let _ = ContentHash::parse(&text);
            let _ = ContentHash::from_base64(&text);
        }
    }
}
