//! Credentials that name their recipient: a prefix, the ULID of the recipient, `_`, 43 random base62 characters, and 6 base62
//! characters with the CRC-32 of everything before them.

use rand::CryptoRng;
use rand::distr::{Alphanumeric, SampleString};
use zeroize::Zeroizing;

use crate::values::checksum::{CHECKSUM_LENGTH, checksum};
use crate::values::digest::Digest;
use crate::values::id::RecipientId;

const RECIPIENT_PREFIX: &str = "rcp_";
const ULID_LENGTH: usize = 26;
const RANDOM_LENGTH: usize = 43;
/// How many characters follow the prefix.
pub(super) const LENGTH: usize = ULID_LENGTH + 1 + RANDOM_LENGTH + CHECKSUM_LENGTH;

/// A credential in the clear. It has no `Debug`, `Display` or `PartialEq`. When it is no longer used, its memory is
/// overwritten.
pub(super) struct Bearer {
    pub(super) recipient: RecipientId,
    pub(super) text: Zeroizing<String>,
}

impl Bearer {
    /// A new credential of a recipient: 43 base62 characters hold 256 random bits.
    pub(super) fn generate(prefix: &str, recipient: RecipientId, rng: &mut impl CryptoRng) -> Self {
        // As long as it gets, since a text that grows leaves its beginning behind.
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + LENGTH));
        text.push_str(prefix);
        text.push_str(recipient.to_string().trim_start_matches(RECIPIENT_PREFIX));
        text.push('_');
        Alphanumeric.append_string(rng, &mut text, RANDOM_LENGTH);
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Self { recipient, text }
    }

    /// Reads a credential; `None` if its shape or its checksum is wrong.
    pub(super) fn parse(prefix: &str, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(prefix)?;
        let (ulid, rest) = rest.split_at_checked(ULID_LENGTH)?;
        let random = rest.strip_prefix('_')?;
        if random.len() != RANDOM_LENGTH + CHECKSUM_LENGTH
            || !random.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            return None;
        }
        let recipient = RecipientId::parse(&format!("{RECIPIENT_PREFIX}{ulid}"))?;
        let (body, sum) = text.split_at_checked(text.len() - CHECKSUM_LENGTH)?;
        (checksum(body) == sum).then(|| Self { recipient, text: Zeroizing::new(text.to_owned()) })
    }

    /// Its digest, which is stored in its place.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
}
