//! API keys: `dk_live_` or `dk_test_`, 30 random base62 characters, and 6 base62 characters with the CRC-32 of
//! everything before them.
//!
//! With the checksum a mistyped or invented key is refused without a read, and scanners recognise a leaked key.

use std::fmt;

use rand::CryptoRng;
use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::audit::{Action, Event, Fields};
use crate::values::checksum::{CHECKSUM_LENGTH, checksum};
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, ApiKeyId};
use crate::values::text::Text;

/// Whether a deployment and its keys are for production or a sandbox. A deployment has one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Production: keys start with `dk_live_`.
    Live,
    /// Sandbox: keys start with `dk_test_`.
    Test,
}

impl Mode {
    /// Reads `live` or `test`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Test].into_iter().find(|mode| mode.to_string() == text)
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Live => "dk_live_",
            Self::Test => "dk_test_",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Test => "test",
        })
    }
}

const RANDOM_LENGTH: usize = 30;

/// An API key in the clear. It has no `Debug`, `Display` or `PartialEq`: only [`ApiKey::expose`] shows it. When it is
/// no longer used, its memory is overwritten.
///
/// ```compile_fail,E0277
/// let key = docyard_core::model::api_key::ApiKey::parse("dk_live_").unwrap();
/// println!("{key:?}");
/// ```
pub struct ApiKey {
    mode: Mode,
    text: Zeroizing<String>,
}

impl ApiKey {
    /// A new key: 30 base62 characters hold 178 random bits.
    pub fn generate(mode: Mode, rng: &mut impl CryptoRng) -> Self {
        // As long as it gets, since a text that grows leaves its beginning behind.
        let length = mode.prefix().len() + RANDOM_LENGTH + CHECKSUM_LENGTH;
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(mode.prefix());
        Alphanumeric.append_string(rng, &mut text, RANDOM_LENGTH);
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self { mode, text }
    }

    /// Reads a key; `None` if its shape or its checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let mode = [Mode::Live, Mode::Test].into_iter().find(|mode| text.starts_with(mode.prefix()))?;
        let random = text.strip_prefix(mode.prefix())?;
        if random.len() != RANDOM_LENGTH + CHECKSUM_LENGTH
            || !random.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_LENGTH);
        (checksum(body) == sum).then(|| Self { mode, text: Zeroizing::new(text.to_owned()) })
    }

    /// The mode it is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its digest, which is stored in its place.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }

    /// The key in the clear, for the operator who created it.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

/// An API key without its value.
#[derive(Clone, Debug)]
pub struct ApiKeyRecord {
    /// Its id, by which it is listed and revoked.
    pub id: ApiKeyId,
    /// The account to whose docks it gives access.
    pub account: AccountId,
    /// The mode it is for.
    pub mode: Mode,
    /// Its name, which only operators see.
    pub name: Text,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None` if it was not.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKeyRecord {
    /// That it was created.
    pub fn created(&self) -> Event {
        let fields = Fields::default()
            .shown("mode", Some(&self.mode.to_string()))
            .shown("expiresAt", self.expires_at.map(|time| time.to_string()).as_deref());
        Event::new(Action::Create, self.id).changing(Fields::default(), fields)
    }

    /// That the key of this id was revoked.
    pub fn revoked(id: ApiKeyId) -> Event {
        Event::new(Action::Revoke, id)
    }

    /// Whether requests with it are accepted at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn key(seed: u64, mode: Mode) -> ApiKey {
        ApiKey::generate(mode, &mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn has_the_published_shape() {
        let live = key(1, Mode::Live);
        assert!(live.expose().starts_with("dk_live_"));
        assert_eq!(live.expose().len(), 44);
        assert!(key(1, Mode::Test).expose().starts_with("dk_test_"));
    }

    #[test]
    fn a_key_of_one_mode_is_not_one_of_the_other() {
        let live = key(1, Mode::Live);
        assert!(ApiKey::parse(&live.expose().replace("dk_live_", "dk_test_")).is_none());
    }

    #[test]
    fn is_valid_until_the_instant_of_its_expiry() {
        let expiry = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let before = Timestamp::parse("2025-01-15T10:31:59.999Z").unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let mut record = ApiKeyRecord {
            id: ApiKeyId::generate(before, &mut rng),
            account: AccountId::generate(before, &mut rng),
            mode: Mode::Live,
            name: Text::parse("k").unwrap(),
            created_at: before,
            expires_at: Some(expiry),
            revoked_at: None,
        };
        assert!(record.is_valid(before));
        assert!(!record.is_valid(expiry));
        record.expires_at = None;
        assert!(record.is_valid(expiry));
        record.revoked_at = Some(before);
        assert!(!record.is_valid(before));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "(dk_(live|test)_)?\\PC{0,50}") {
            let _ = ApiKey::parse(&text);
        }

        #[test]
        fn what_is_generated_is_read_back(seed: u64) {
            let key = key(seed, Mode::Live);
            let read = ApiKey::parse(key.expose()).unwrap();
            prop_assert!(read.expose() == key.expose() && read.mode() == Mode::Live);
        }

        #[test]
        fn one_changed_character_is_noticed(seed: u64, at in 8usize..44, other in "[0-9A-Za-z]") {
            let key = key(seed, Mode::Live);
            let mut changed = key.expose().to_owned();
            changed.replace_range(at..=at, &other);
            prop_assume!(changed != key.expose());
            prop_assert!(ApiKey::parse(&changed).is_none());
        }
    }
}
