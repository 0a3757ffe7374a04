//! Shared passphrases: their values, their lifetimes, and what is kept of them.

use std::fmt::Write;

use rand::CryptoRng;

use crate::body::Json;
use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::error::FieldError;
use crate::id::{RecipientId, SecretId};
use crate::name::Name;

/// How many active, unexpired secrets a recipient may have. Requests that race may pass it.
pub const MAX_ACTIVE: usize = 100;

/// The value of a secret: `dk_sec_` and 32 lower-case hex digits, 128 bits.
///
/// It is shown in one response, once. It has no `Debug`, `Display` or `PartialEq`: only
/// [`SecretValue::expose`] shows it.
pub struct SecretValue(String);

impl SecretValue {
    /// A new value.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes.iter().fold("dk_sec_".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The value in the clear, for the one response that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// How long a secret lives: for ever, or 1 to 3650 days of 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime(Option<u16>);

impl Lifetime {
    /// Reads the body's `expiresInDays`: an integer, written without fraction or exponent.
    ///
    /// # Errors
    /// A complaint about `expiresInDays`.
    pub fn parse(json: Json) -> Result<Self, Vec<FieldError>> {
        match json {
            Json::Integer(days @ 1..=3650) => Ok(Self(u16::try_from(days).ok())),
            _ => Err(vec![FieldError::new(
                "expiresInDays",
                "must be an integer from 1 to 3650; leave it out for a secret that never expires",
            )]),
        }
    }

    /// The days, `None` for ever.
    pub fn days(self) -> Option<u16> {
        self.0
    }

    /// When a secret made at `now` expires; `None` is never.
    pub fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        self.0.map(|days| now.plus_days(days))
    }
}

/// A secret that was just made, without its value.
#[derive(Clone)]
pub struct NewSecret {
    /// Its id.
    pub id: SecretId,
    /// Whose it is.
    pub recipient: RecipientId,
    /// Its label.
    pub name: Name,
    /// What is kept of its value.
    pub digest: Digest,
    /// How long it lives, which its replacement inherits.
    pub lifetime: Lifetime,
    /// When it was made.
    pub created_at: Timestamp,
}

impl NewSecret {
    /// When it expires; `None` is never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.lifetime.expires_at(self.created_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_value_is_the_prefix_and_32_lower_case_hex_digits() {
        let value = SecretValue::generate(&mut StdRng::seed_from_u64(1));
        let hex = value.expose().strip_prefix("dk_sec_").unwrap();
        assert_eq!(hex.len(), 32);
        assert!(hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        let other = SecretValue::generate(&mut StdRng::seed_from_u64(2));
        assert!(value.expose() != other.expose());
    }

    #[test]
    fn a_lifetime_is_an_integer_from_1_to_3650() {
        for days in [1, 90, 3650] {
            assert_eq!(Lifetime::parse(Json::Integer(days)).unwrap().days(), Some(days as u16));
        }
        for json in [
            Json::Integer(0),
            Json::Integer(3651),
            Json::Integer(-1),
            Json::Integer(i128::MAX),
            Json::Float,
            Json::Bool,
            Json::String("90".into()),
            Json::Array,
            Json::Object(vec![]),
        ] {
            assert!(Lifetime::parse(json.clone()).is_err(), "{json:?}");
        }
        assert_eq!(Lifetime::default().days(), None);
    }

    proptest! {
        #[test]
        fn a_number_is_a_lifetime_only_as_a_plain_integer(text in "-?[0-9]{1,5}(\\.0|e0)?") {
            let Ok(json) = serde_json::from_str(&text) else { return Ok(()) };
            let plain = text.parse().ok().filter(|days| (1..=3650).contains(days));
            prop_assert_eq!(Lifetime::parse(json).ok().and_then(Lifetime::days), plain);
        }
    }
}
