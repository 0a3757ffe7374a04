//! Secrets, the shared passphrases of institutions: their values, their lifetimes, and what is stored of them.

use std::fmt::Write;

use rand::CryptoRng;
use subtle::Choice;
use zeroize::Zeroizing;

use super::audit::{Action, Event, Fields};
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{DockId, RecipientId, SecretId};
use crate::values::json::Json;
use crate::values::text::Text;

/// The most active, unexpired secrets of a recipient. Concurrent requests may exceed it.
pub const MAX_ACTIVE: usize = 100;

/// The value of a secret: `dk_sec_` and 32 lower-case hex digits, 128 bits.
///
/// It is shown in one response, once. It has no `Debug`, `Display` or `PartialEq`: only
/// [`SecretValue::expose`] shows it. When it is no longer used, its memory is overwritten.
///
/// ```compile_fail,E0277
/// let value = docyard_core::model::secret::SecretValue::generate(&mut docyard_core::values::random::system());
/// println!("{value:?}");
/// ```
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// A new value.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *bytes);
        let mut text = Zeroizing::new(String::with_capacity("dk_sec_".len() + 2 * bytes.len()));
        text.push_str("dk_sec_");
        for byte in bytes.iter() {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// Its digest, which is stored in its place.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The value in the clear, for the one response that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The shortest lifetime, in days.
pub const MIN_DAYS: u16 = 1;
/// The longest lifetime, in days.
pub const MAX_DAYS: u16 = 3650;

/// How long a secret lives: forever, or 1 to 3650 days of 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime(Option<u16>);

impl Lifetime {
    /// Reads a number of days: an integer, written without fraction or exponent.
    ///
    /// # Errors
    /// What the value must be.
    pub fn parse(json: Json) -> Result<Self, &'static str> {
        let days = match json {
            Json::Integer(days) => u16::try_from(days).ok(),
            _ => None,
        };
        match days.filter(|days| (MIN_DAYS..=MAX_DAYS).contains(days)) {
            Some(days) => Ok(Self(Some(days))),
            None => Err("must be an integer from 1 to 3650; leave it out for a secret that never expires"),
        }
    }

    /// A lifetime as it was stored; `None` for forever.
    pub(crate) fn from_store(days: Option<u16>) -> Self {
        Self(days)
    }

    /// The days; `None` for forever.
    pub fn days(self) -> Option<u16> {
        self.0
    }

    /// When a secret created at `now` expires; `None` for never.
    pub fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        self.0.map(|days| now.plus_days(days))
    }
}

/// How long the old value verifies after a rotation: 0 to 168 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grace(u8);

/// The longest grace, in hours.
pub const MAX_GRACE_HOURS: u8 = 168;

impl Grace {
    /// Whether the old value ends at once.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Reads a number of hours: an integer, written without fraction or exponent.
    ///
    /// # Errors
    /// What the value must be.
    pub fn parse(json: Json) -> Result<Self, &'static str> {
        let hours = match json {
            Json::Integer(hours) => u8::try_from(hours).ok(),
            _ => None,
        };
        let hours = hours.filter(|hours| *hours <= MAX_GRACE_HOURS);
        hours.map(Self).ok_or("must be an integer from 0 to 168; leave it out to end the old value at once")
    }
}

/// How many days a rotated or revoked secret stays in the list.
pub const RETIRED_DAYS: u16 = 400;

/// A secret that verifies until it expires, without its value. It can be revoked, and rotated unless it has expired; a
/// [`RetiredSecret`] can be neither.
#[derive(Clone)]
pub struct ActiveSecret {
    /// Its id.
    pub id: SecretId,
    /// The recipient it belongs to.
    pub recipient: RecipientId,
    /// Its label.
    pub name: Text,
    /// The digest of its value.
    pub digest: Digest,
    /// How long it lives from its creation. Its replacement inherits it.
    pub lifetime: Lifetime,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The secret that it replaced.
    pub rotated_from: Option<SecretId>,
}

/// What retired a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// Another secret replaced it.
    Rotated(Replacement),
    /// It was revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// The secret that had replaced it and in whose grace it was.
        rotated: Option<Replacement>,
    },
}

/// How another secret replaced one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// When.
    pub at: Timestamp,
    /// The replacement.
    pub to: SecretId,
    /// Until when the replaced one verifies; `None` if it stopped at once.
    pub grace_ends_at: Option<Timestamp>,
}

/// A secret that was rotated or revoked. It stays in the list for [`RETIRED_DAYS`].
#[derive(Clone)]
pub struct RetiredSecret {
    /// The secret as it was.
    pub secret: ActiveSecret,
    /// What retired it.
    pub retirement: Retirement,
}

/// A secret in any state.
#[derive(Clone)]
pub enum Secret {
    /// It verifies until it expires.
    Active(ActiveSecret),
    /// It no longer verifies, or only until the end of its grace.
    Retired(RetiredSecret),
}

impl Secret {
    /// Its id.
    pub fn id(&self) -> SecretId {
        self.any().id
    }

    /// That it was revoked, at a recipient of `dock`.
    pub fn revoked(&self, dock: DockId) -> Event {
        let secret = self.any();
        event(Action::Revoke, secret.id, secret.recipient, dock)
    }

    /// The secret, whatever has become of it.
    fn any(&self) -> &ActiveSecret {
        match self {
            Self::Active(secret) => secret,
            Self::Retired(retired) => &retired.secret,
        }
    }
}

/// Whether a recipient has as many active, unexpired secrets as it may have.
pub fn is_full(secrets: &[ActiveSecret], now: Timestamp) -> bool {
    secrets.iter().filter(|secret| !secret.is_expired(now)).count() >= MAX_ACTIVE
}

/// Returns the unexpired secret whose value has this digest. The time it takes depends on the number of secrets, not on
/// whether one matches or which.
pub fn verify<'a>(secrets: &'a [ActiveSecret], digest: &Digest, now: Timestamp) -> Option<&'a ActiveSecret> {
    let mut found = None;
    for secret in secrets {
        if bool::from(secret.digest.ct_eq(digest) & Choice::from(u8::from(!secret.is_expired(now)))) {
            found = Some(secret);
        }
    }
    found
}

/// A rotation, to be stored in one transaction.
pub struct Rotation {
    /// The secret that is replaced.
    pub old: RetiredSecret,
    /// The same secret as it verifies during its grace; `None` if it stops at once.
    pub in_grace: Option<ActiveSecret>,
    /// The replacement.
    pub new: ActiveSecret,
}

impl Rotation {
    /// That it took place, at a recipient of `dock`. It is part of the trail of both secrets.
    pub fn rotated(&self, dock: DockId) -> Event {
        let Self { old: RetiredSecret { secret: old, .. }, in_grace, new } = self;
        let event = event(Action::Rotate, old.id, old.recipient, dock)
            .also_of(new.id)
            .with("rotatedTo", new.id.to_string());
        match in_grace.as_ref().and_then(|old| old.expires_at) {
            Some(end) => event.with("graceEndsAt", end.to_string()),
            None => event,
        }
    }
}

/// An event of a secret of a recipient of a dock.
fn event(action: Action, id: SecretId, recipient: RecipientId, dock: DockId) -> Event {
    Event::new(action, id).in_dock(dock).with("recipientId", recipient.to_string())
}

/// An expired secret cannot be rotated.
#[derive(Debug, PartialEq, Eq)]
pub struct Expired;

impl ActiveSecret {
    /// A secret of `recipient`, created at `now`.
    pub fn new(
        id: SecretId,
        recipient: RecipientId,
        name: Text,
        digest: Digest,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Self {
        let expires_at = lifetime.expires_at(now);
        Self { id, recipient, name, digest, lifetime, created_at: now, expires_at, rotated_from: None }
    }

    /// That it was generated, for a recipient of `dock`.
    pub fn created(&self, dock: DockId) -> Event {
        event(Action::Create, self.id, self.recipient, dock).changing(Fields::default(), self.fields())
    }

    fn fields(&self) -> Fields {
        Fields::default().shown("expiresAt", self.expires_at.map(|time| time.to_string()).as_deref())
    }

    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| now >= expiry)
    }

    /// Replaces it by a secret with this id and digest, the same label, and the same lifetime from `now`. It verifies
    /// until the grace ends or it expires, whichever is first.
    ///
    /// # Errors
    /// [`Expired`] if it has expired.
    pub fn rotate(
        self,
        id: SecretId,
        digest: Digest,
        grace: Grace,
        now: Timestamp,
    ) -> Result<Rotation, Expired> {
        if self.is_expired(now) {
            return Err(Expired);
        }
        let mut new = Self::new(id, self.recipient, self.name.clone(), digest, self.lifetime, now);
        new.rotated_from = Some(self.id);
        let end = now.plus_hours(grace.0);
        let end = self.expires_at.map_or(end, |expiry| expiry.min(end));
        let grace_ends_at = (grace.0 > 0).then_some(end);
        let in_grace = grace_ends_at.map(|_| Self { expires_at: grace_ends_at, ..self.clone() });
        let at = now.max(self.created_at);
        let retirement = Retirement::Rotated(Replacement { at, to: id, grace_ends_at });
        Ok(Rotation { old: RetiredSecret { secret: self, retirement }, in_grace, new })
    }

    /// Revokes it.
    pub fn revoke(self, now: Timestamp) -> RetiredSecret {
        let retirement = Retirement::Revoked { at: now.max(self.created_at), rotated: None };
        RetiredSecret { secret: self, retirement }
    }
}

impl Replacement {
    /// Whether the replaced secret verifies at `now`.
    pub fn is_in_grace(&self, now: Timestamp) -> bool {
        self.grace_ends_at.is_some_and(|end| now < end)
    }
}

/// A secret that was rotated, and whose grace, if it had one, is over, cannot be revoked: it no longer verifies.
#[derive(Debug, PartialEq, Eq)]
pub struct RotatedAway;

impl RetiredSecret {
    /// When it was retired.
    pub fn retired_at(&self) -> Timestamp {
        match self.retirement {
            Retirement::Rotated(Replacement { at, .. }) | Retirement::Revoked { at, .. } => at,
        }
    }

    /// Revokes it in its grace; `None` if it was revoked already.
    ///
    /// # Errors
    /// [`RotatedAway`] if it has no grace, or its grace is over.
    pub fn revoke(self, now: Timestamp) -> Result<Option<Self>, RotatedAway> {
        match self.retirement {
            Retirement::Revoked { .. } => Ok(None),
            Retirement::Rotated(rotated) if rotated.is_in_grace(now) => {
                let retirement = Retirement::Revoked { at: now.max(rotated.at), rotated: Some(rotated) };
                Ok(Some(Self { retirement, ..self }))
            }
            Retirement::Rotated(_) => Err(RotatedAway),
        }
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
            Json::Float(90.0),
            Json::Bool(true),
            Json::String("90".into()),
            Json::Array(Vec::new()),
            Json::Object(vec![]),
        ] {
            assert!(Lifetime::parse(json.clone()).is_err(), "{json:?}");
        }
        assert_eq!(Lifetime::default().days(), None);
    }

    fn secret(lifetime: Option<u16>, now: Timestamp) -> ActiveSecret {
        let mut rng = StdRng::seed_from_u64(1);
        let (id, recipient) = (SecretId::generate(now, &mut rng), RecipientId::generate(now, &mut rng));
        ActiveSecret::new(id, recipient, Text::parse("S").unwrap(), Digest::of("a"), Lifetime(lifetime), now)
    }

    #[test]
    fn a_replacement_has_the_label_and_the_lifetime_afresh() {
        let made = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let later = Timestamp::parse("2025-02-01T00:00:00.000Z").unwrap();
        for lifetime in [None, Some(90)] {
            let old = secret(lifetime, made);
            let (old_id, new_id) = (old.id, SecretId::generate(later, &mut StdRng::seed_from_u64(2)));
            let rotation = old.rotate(new_id, Digest::of("b"), Grace::default(), later);
            let Ok(Rotation { old, in_grace: None, new }) = rotation else { panic!("expired or in grace") };
            assert_eq!((new.id, new.rotated_from, new.created_at), (new_id, Some(old_id), later));
            assert_eq!(
                (new.lifetime.days(), new.expires_at),
                (lifetime, lifetime.map(|days| later.plus_days(days)))
            );
            let replacement = Replacement { at: later, to: new_id, grace_ends_at: None };
            assert_eq!(old.retirement, Retirement::Rotated(replacement));
            assert_eq!(old.revoke(later).err(), Some(RotatedAway));
        }
    }

    #[test]
    fn a_grace_ends_after_its_hours_or_at_the_old_expiry() {
        let made = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        for (lifetime, hours, end) in [
            (None, 168, made.plus_days(7)),
            (Some(90), 24, made.plus_days(1)),
            (Some(1), 168, made.plus_days(1)),
        ] {
            let old = secret(lifetime, made);
            let Ok(Rotation { old, in_grace: Some(in_grace), .. }) = old.rotate(
                SecretId::generate(made, &mut StdRng::seed_from_u64(2)),
                Digest::of("b"),
                Grace(hours),
                made,
            ) else {
                panic!("no grace")
            };
            assert_eq!(in_grace.expires_at, Some(end));
            let before = Timestamp::parse("2025-01-15T10:32:00.001Z").unwrap();
            assert_eq!(
                verify(std::slice::from_ref(&in_grace), &Digest::of("a"), before).map(|secret| secret.id),
                Some(old.secret.id)
            );
            assert_eq!(verify(&[in_grace], &Digest::of("a"), end).map(|secret| secret.id), None);
            assert_eq!(old.clone().revoke(end).err(), Some(RotatedAway), "its grace is over");
            let Ok(Some(revoked)) = old.revoke(before) else { panic!("not revoked") };
            assert_eq!(revoked.retired_at(), before);
            assert!(matches!(revoked.revoke(before), Ok(None)), "again");
        }
    }

    #[test]
    fn a_grace_is_an_integer_from_0_to_168() {
        for hours in [0, 168] {
            assert_eq!(Grace::parse(Json::Integer(hours)).unwrap(), Grace(hours as u8));
        }
        for json in [
            Json::Integer(-1),
            Json::Integer(169),
            Json::Integer(256),
            Json::Float(1.0),
            Json::String("1".into()),
        ] {
            assert!(Grace::parse(json.clone()).is_err(), "{json:?}");
        }
    }

    #[test]
    fn a_clock_that_went_back_retires_nothing_before_it_was_created() {
        let made = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let earlier = Timestamp::parse("2025-01-15T10:00:00.000Z").unwrap();
        assert_eq!(secret(None, made).revoke(earlier).retired_at(), made);
        let id = SecretId::generate(made, &mut StdRng::seed_from_u64(2));
        let Ok(rotation) = secret(None, made).rotate(id, Digest::of("b"), Grace::default(), earlier) else {
            panic!("expired")
        };
        assert_eq!(rotation.old.retired_at(), made);
    }

    #[test]
    fn an_expired_secret_cannot_be_rotated_but_revoked() {
        let made = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let expiry = made.plus_days(1);
        let old = secret(Some(1), made);
        let id = old.id;
        assert!(old.clone().rotate(id, Digest::of("b"), Grace(1), expiry).is_err());
        assert_eq!(old.revoke(expiry).retired_at(), expiry);
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
