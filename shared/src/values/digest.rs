//! SHA-256 digests of keys and secrets, which are stored in their place.

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 (FIPS 180-4) of an API key or of a secret's value.
///
/// It has no `Debug`, `Display` or `PartialEq`, so that it cannot reach a log or be compared in a time that depends on
/// its content.
///
/// ```compile_fail,E0277
/// println!("{:?}", docyard_core::values::digest::Digest::of("a value"));
/// ```
///
/// ```compile_fail,E0369
/// docyard_core::values::digest::Digest::of("a value") == docyard_core::values::digest::Digest::of("another");
/// ```
#[derive(Clone)]
pub struct Digest([u8; 32]);

#[cfg(debug_assertions)]
thread_local! {
    static COMPUTED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many digests this thread has computed: a test tells by it that a refusal hashes as much as another. No release build
/// has it.
#[cfg(debug_assertions)]
pub fn computed() -> u64 {
    COMPUTED.with(std::cell::Cell::get)
}

impl Digest {
    /// The digest of `value`.
    pub fn of(value: &str) -> Self {
        Self::of_bytes(value.as_bytes())
    }

    /// The digest of bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        #[cfg(debug_assertions)]
        COMPUTED.with(|computed| computed.set(computed.get() + 1));
        Self(Sha256::digest(bytes).into())
    }

    /// Reads what [`Digest::expose_hex`] wrote; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether the digests are equal, in constant time.
    pub fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }

    /// The digest as 64 lower-case hex digits, for the store alone.
    pub fn expose_hex(&self) -> String {
        hex::encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_compared_whole() {
        let digest = Digest::of("abc");
        let read = Digest::from_hex(&digest.expose_hex()).unwrap();
        assert!(bool::from(read.ct_eq(&digest)));
        assert!(!bool::from(read.ct_eq(&Digest::of("abd"))));
        for other in
            ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65), &format!("+{}", "0".repeat(63))]
        {
            assert!(Digest::from_hex(other).is_none(), "{other}");
        }
    }

    #[test]
    fn is_the_sha_256_that_sha256sum_prints() {
        // FIPS 180-4's own example for the message "abc".
        assert_eq!(
            Digest::of("abc").expose_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
