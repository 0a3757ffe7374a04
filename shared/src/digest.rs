//! SHA-256 digests of keys and secrets: all that is ever stored of them.

use std::fmt::Write;

use sha2::{Digest as _, Sha256};

/// The SHA-256 (FIPS 180-4) of an API key or of a secret's value.
///
/// It has no `Debug`, `Display` or `PartialEq`, so that it can neither reach a log nor be compared in a time
/// that depends on its content.
#[derive(Clone)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `value`.
    pub fn of(value: &str) -> Self {
        Self(Sha256::digest(value).into())
    }

    /// The digest as 64 lower-case hex digits, for the store alone.
    pub fn expose_hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_sha_256_that_sha256sum_prints() {
        // FIPS 180-4's own example for the message "abc".
        assert_eq!(
            Digest::of("abc").expose_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
