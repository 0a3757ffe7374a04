//! Certificates: those with which a recipient's institution proves itself on a connection.
//!
//! Only the thumbprint decides. What else is kept of a certificate is for people to read.

use serde::Serialize;

use super::audit::{Action, Event, Fields};
use crate::values::clock::Timestamp;
use crate::values::id::{CertificateId, DockId, RecipientId};
use crate::values::text::Text;
use crate::values::thumbprint::Thumbprint;
use crate::values::x509::X509;

/// The most certificates of a recipient that are neither revoked nor expired. Concurrent requests may exceed it.
pub const MAX_CERTIFICATES: usize = 10;

/// How many days a certificate stays in the list after it was revoked or has expired.
pub const ENDED_DAYS: u16 = 400;

/// A certificate that is registered for a recipient.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its id.
    pub id: CertificateId,
    /// The recipient.
    pub recipient: RecipientId,
    /// Its label.
    pub name: Text,
    /// What identifies it on a connection.
    pub thumbprint: Thumbprint,
    /// Whom it names, as RFC 4514 text.
    pub subject: String,
    /// Who issued it, as RFC 4514 text.
    pub issuer: String,
    /// Its number at its issuer, in hex.
    pub serial_number: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was revoked; `None` if it was not.
    pub revoked_at: Option<Timestamp>,
}

/// What a certificate is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CertificateStatus))]
#[expect(missing_docs, reason = "the words say it")]
pub enum Status {
    Active,
    Revoked,
    Expired,
    NotYetValid,
}

impl Certificate {
    /// A certificate of `recipient`, registered at `now`.
    pub fn new(id: CertificateId, recipient: RecipientId, name: Text, x509: X509, now: Timestamp) -> Self {
        Self {
            id,
            recipient,
            name,
            thumbprint: x509.thumbprint,
            subject: x509.subject,
            issuer: x509.issuer,
            serial_number: x509.serial_number,
            not_before: x509.not_before,
            not_after: x509.not_after,
            created_at: now,
            revoked_at: None,
        }
    }

    /// What it is at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.revoked_at {
            Some(_) => Status::Revoked,
            None if now >= self.not_after => Status::Expired,
            None if now < self.not_before => Status::NotYetValid,
            None => Status::Active,
        }
    }

    /// It, revoked.
    pub fn revoke(self, now: Timestamp) -> Self {
        Self { revoked_at: Some(now.max(self.created_at)), ..self }
    }

    /// That it was registered, for a recipient of `dock`.
    pub fn registered(&self, dock: DockId) -> Event {
        let fields = Fields::default()
            .shown("thumbprint", Some(self.thumbprint.as_str()))
            .shown("notBefore", Some(&self.not_before.to_string()))
            .shown("notAfter", Some(&self.not_after.to_string()));
        self.event(Action::Create, dock).changing(Fields::default(), fields)
    }

    /// That it was revoked, at a recipient of `dock`.
    pub fn revoked(&self, dock: DockId) -> Event {
        self.event(Action::Revoke, dock)
    }

    fn event(&self, action: Action, dock: DockId) -> Event {
        Event::new(action, self.id).in_dock(dock).with("recipientId", self.recipient.to_string())
    }
}

/// What of a certificate decides, until it is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCertificate {
    /// Its id.
    pub id: CertificateId,
    /// What identifies it on a connection.
    pub thumbprint: Thumbprint,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl TrustedCertificate {
    /// Whether it has begun at `now`, and has not ended.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && !self.is_expired(now)
    }

    /// Whether it has ended at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.not_after
    }
}

/// Whether a recipient has as many certificates as it may have.
pub fn is_full(certificates: &[TrustedCertificate], now: Timestamp) -> bool {
    certificates.iter().filter(|certificate| !certificate.is_expired(now)).count() >= MAX_CERTIFICATES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::random;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn certificate() -> Certificate {
        let now = time("2025-01-15T10:32:00Z");
        let x509 = X509 {
            thumbprint: Thumbprint::of_der(b"a"),
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            serial_number: "01".into(),
            not_before: time("2025-02-01T00:00:00Z"),
            not_after: time("2025-03-01T00:00:00Z"),
            weakness: None,
            is_authority: false,
        };
        let rng = &mut random::system();
        let (id, recipient) = (CertificateId::generate(now, rng), RecipientId::generate(now, rng));
        Certificate::new(id, recipient, Text::parse("A").unwrap(), x509, now)
    }

    #[test]
    fn is_valid_from_its_beginning_to_the_instant_of_its_end() {
        let certificate = certificate();
        let trusted = TrustedCertificate {
            id: certificate.id,
            thumbprint: certificate.thumbprint.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        };
        for (now, status) in [
            ("2025-01-31T23:59:59.999Z", Status::NotYetValid),
            ("2025-02-01T00:00:00Z", Status::Active),
            ("2025-02-28T23:59:59.999Z", Status::Active),
            ("2025-03-01T00:00:00Z", Status::Expired),
        ] {
            assert_eq!(certificate.status(time(now)), status, "{now}");
            assert_eq!(trusted.is_valid(time(now)), status == Status::Active, "{now}");
        }
        let revoked = certificate.revoke(time("2025-02-02T00:00:00Z"));
        assert_eq!(revoked.status(time("2025-04-01T00:00:00Z")), Status::Revoked);
    }

    #[test]
    fn a_clock_that_went_back_revokes_nothing_before_it_was_registered() {
        let certificate = certificate();
        let created = certificate.created_at;
        assert_eq!(certificate.revoke(time("2025-01-01T00:00:00Z")).revoked_at, Some(created));
    }
}
