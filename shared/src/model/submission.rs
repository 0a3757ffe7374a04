//! Submissions: the sets of identifiers that a recipient submits, and how many it may try.
//!
//! Somebody with the right passphrase could otherwise find out a birth date by trying them all.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::identifiers::Identifiers;
use crate::values::clock::Timestamp;
use crate::values::id::RecipientId;

/// The most different sets that a recipient may submit in any [`WINDOW_HOURS`].
pub const MAX_SETS: usize = 10;

/// How many hours a set counts after it was last submitted.
pub const WINDOW_HOURS: u8 = 24;

/// The shortest key, in bytes.
pub const MIN_KEY_BYTES: usize = 32;

/// The key under which sets are digested. Without one, whoever has a copy of the table could try all birth dates.
#[derive(Clone)]
pub struct SubmissionKey(Zeroizing<[u8; 64]>);

impl SubmissionKey {
    /// Reads a key: any text of at least [`MIN_KEY_BYTES`]; `None` for a shorter one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() >= MIN_KEY_BYTES).then(|| Self::of(text))
    }

    /// A block of HMAC-SHA-256, which begins with the SHA-256 of the text, as RFC 2104 makes one of a long key.
    fn of(text: &str) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        for (byte, digit) in block.iter_mut().zip(Sha256::digest(text)) {
            *byte = digit;
        }
        Self(block)
    }

    /// The key of development, which everyone knows.
    pub fn development() -> Self {
        Self::of("development")
    }

    /// The digest of a set that a recipient submits: HMAC-SHA-256 (RFC 2104). Sets of two recipients have different ones.
    pub fn digest(&self, recipient: RecipientId, identifiers: &Identifiers) -> SetDigest {
        let mut hmac = Hmac::<Sha256>::new(&(*self.0).into());
        hmac.update(recipient.to_string().as_bytes());
        for (key, value) in identifiers.entries() {
            // No identifier has a NUL.
            hmac.update(b"\0");
            hmac.update(key.as_bytes());
            hmac.update(b"\0");
            hmac.update(value.as_bytes());
        }
        SetDigest(hex::encode(hmac.finalize().into_bytes()))
    }
}

/// The digest of a set of identifiers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDigest(String);

/// Says only what it is.
impl fmt::Debug for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetDigest")
    }
}

/// The sets that a recipient submitted, and when last.
#[derive(Clone, Debug, Default)]
pub struct Submissions(Vec<Submission>);

/// A set that was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    set: SetDigest,
    at: Timestamp,
}

impl Submissions {
    /// Submissions as they were stored.
    pub(crate) fn from_store(submissions: Vec<Submission>) -> Self {
        Self(submissions)
    }

    /// The submissions.
    pub(crate) fn list(&self) -> &[Submission] {
        &self.0
    }

    /// These and the set, submitted at `now`, without those that no longer count; `None` if that were too many.
    pub fn with(&self, set: &SetDigest, now: Timestamp) -> Option<Self> {
        let counts = |it: &&Submission| it.set != *set && now < it.at.plus_hours(WINDOW_HOURS);
        let mut submissions: Vec<Submission> = self.0.iter().filter(counts).cloned().collect();
        if submissions.len() >= MAX_SETS {
            return None;
        }
        submissions.push(Submission { set: set.clone(), at: now });
        Some(Self(submissions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::random;

    fn identifiers(entries: &[(&str, &str)]) -> Identifiers {
        let object: serde_json::Map<String, serde_json::Value> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        serde_json::from_value(object.into()).unwrap()
    }

    #[test]
    fn the_eleventh_set_of_24_hours_is_too_many() {
        let start = Timestamp::parse("2025-01-15T10:32:00Z").unwrap();
        let set = |n: usize| SetDigest(n.to_string());
        let mut submissions = Submissions::default();
        for n in 0..10 {
            submissions = submissions.with(&set(n), start.plus_hours(n.try_into().unwrap())).unwrap();
        }
        let later = start.plus_hours(10);
        assert!(submissions.with(&set(10), later).is_none());
        let submissions = submissions.with(&set(0), later).expect("one that counts already");
        let just_before = Timestamp::parse("2025-01-16T11:31:59.999Z").unwrap();
        assert!(submissions.with(&set(10), just_before).is_none());
        let after = submissions.with(&set(10), start.plus_hours(25)).expect("24 hours after the second");
        assert_eq!(after.list().len(), 10);
        assert!(
            after.with(&set(0), start.plus_hours(25)).is_some(),
            "the first counts from when it came last"
        );
        assert!(after.with(&set(11), start.plus_hours(25)).is_none());
    }

    #[test]
    fn a_digest_depends_on_the_key_the_recipient_and_the_set() {
        let now = Timestamp::parse("2025-01-15T10:32:00Z").unwrap();
        let rng = &mut random::system();
        let (one, other) = (RecipientId::generate(now, rng), RecipientId::generate(now, rng));
        let key = SubmissionKey::development();
        let second = SubmissionKey::parse(&"k".repeat(32)).unwrap();
        let set = identifiers(&[("a", "1"), ("b", "2")]);
        let digest = key.digest(one, &set);
        assert_eq!(digest, key.digest(one, &identifiers(&[("b", "2"), ("a", "1")])));
        assert_ne!(digest, second.digest(one, &set));
        assert_ne!(digest, key.digest(other, &set));
        for different in [&[("a", "1")][..], &[("a", "2"), ("b", "1")], &[("a", "1b"), ("", "2")]] {
            assert_ne!(key.digest(one, &identifiers(different)), digest, "{different:?}");
        }
        assert_eq!(format!("{digest:?}"), "SetDigest");
    }

    #[test]
    fn a_key_has_32_bytes_at_least() {
        assert!(SubmissionKey::parse(&"k".repeat(31)).is_none());
        assert!(SubmissionKey::parse(&"k".repeat(32)).is_some());
    }
}
