//! Access tokens: `dk_tok_`, the ULID of the recipient, `_`, 43 random base62 characters, and 6 base62 characters with
//! the CRC-32 of everything before them. An institution gets one for its passphrase, and uses it until it ends.
//!
//! What a token opens is decided anew at each use, by what it was made from: it dies with its secret, with its
//! certificate, and with its recipient's present generation.

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use super::audit::{Action, Event};
use super::bearer::Bearer;
use super::certificate::TrustedCertificate;
use super::identifiers::Identifiers;
use super::recipe::Factor;
use super::secret::ActiveSecret;
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::id::{AccountId, CertificateId, DockId, RecipientId, SecretId, TokenId};
use crate::values::thumbprint::Thumbprint;

const PREFIX: &str = "dk_tok_";

/// An access token in the clear. It has no `Debug`, `Display` or `PartialEq`: only [`AccessToken::expose`] shows it.
/// When it is no longer used, its memory is overwritten.
///
/// ```compile_fail,E0277
/// let token = docyard_core::model::token::AccessToken::parse("dk_tok_").unwrap();
/// println!("{token:?}");
/// ```
pub struct AccessToken(Bearer);

impl AccessToken {
    /// A new token of a recipient.
    pub fn generate(recipient: RecipientId, rng: &mut impl CryptoRng) -> Self {
        Self(Bearer::generate(PREFIX, recipient, rng))
    }

    /// Reads a token; `None` if its shape or its checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        Bearer::parse(PREFIX, text).map(Self)
    }

    /// Whose it says it is.
    pub fn recipient(&self) -> RecipientId {
        self.0.recipient
    }

    /// Its digest, which is stored in its place.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// The token in the clear, for the one response that shows it.
    pub fn expose(&self) -> &str {
        &self.0.text
    }
}

/// Who has a token, and so which endpoints it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The recipient's institution, by its passphrase: retrieval for its own recipient.
    Institution,
    /// One that this version does not know, and that opens nothing.
    #[serde(other)]
    Unknown,
}

/// A token without its value: what it was made from.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// Its id, which the audit trail names.
    pub id: TokenId,
    /// Who has it.
    pub kind: TokenKind,
    /// The recipient.
    pub recipient: RecipientId,
    /// The dock of the recipient.
    pub dock: DockId,
    /// The account of the dock.
    pub account: AccountId,
    /// The recipient's generation of tokens when the passphrase was verified.
    pub generation: u64,
    /// The secret whose value was the passphrase.
    pub secret: SecretId,
    /// The certificate of the connection, if it was one of the recipient's: the token is then bound to it.
    pub certificate: Option<CertificateId>,
    /// When the passphrase was verified.
    pub authenticated_at: Timestamp,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// The identifiers that were submitted.
    pub submitted: Identifiers,
}

impl TokenRecord {
    /// The factors that were proven.
    pub fn factors(&self) -> &'static [Factor] {
        factors(self.certificate.is_some())
    }

    /// Whether it opens anything at `now`: it has not ended, it is of the recipient's `generation`, its secret still
    /// verifies, and if it is bound, its certificate is valid and is that of the `connection` (RFC 8705 §3).
    pub fn is_valid(
        &self,
        generation: u64,
        secrets: &[ActiveSecret],
        certificates: &[TrustedCertificate],
        connection: Option<&Thumbprint>,
        now: Timestamp,
    ) -> bool {
        let verifies = secrets.iter().any(|secret| secret.id == self.secret && !secret.is_expired(now));
        let is_bound_to = |id: CertificateId| {
            certificates.iter().any(|certificate| {
                certificate.id == id
                    && certificate.is_valid(now)
                    && connection == Some(&certificate.thumbprint)
            })
        };
        now < self.expires_at
            && generation == self.generation
            && verifies
            && self.certificate.is_none_or(is_bound_to)
    }

    /// That it was issued.
    pub fn issued(&self) -> Event {
        let event = self
            .event(Action::Issue)
            .with("secretId", self.secret.to_string())
            .with("factors", self.factors().iter().map(Factor::to_string).collect::<Vec<_>>())
            .with("expiresAt", self.expires_at.to_string());
        let keys: Vec<&str> = self.submitted.entries().keys().map(String::as_str).collect();
        let event = if keys.is_empty() { event } else { event.with("identifiersSubmitted", keys) };
        match self.certificate {
            Some(certificate) => event.with("certificateId", certificate.to_string()),
            None => event,
        }
    }

    /// That it was revoked.
    pub fn revoked(&self) -> Event {
        self.event(Action::Revoke)
    }

    fn event(&self, action: Action) -> Event {
        Event::new(action, self.id).in_dock(self.dock).with("recipientId", self.recipient.to_string())
    }
}

/// What a passphrase proves, and beside it a certificate of the recipient.
pub fn factors(has_certificate: bool) -> &'static [Factor] {
    match has_certificate {
        true => &[Factor::SharedPassphrase, Factor::TlsCertificate],
        false => &[Factor::SharedPassphrase],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Lifetime;
    use crate::values::text::Text;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn start() -> Timestamp {
        Timestamp::parse("2025-01-15T10:32:00Z").unwrap()
    }

    fn token(seed: u64) -> AccessToken {
        let rng = &mut StdRng::seed_from_u64(seed);
        AccessToken::generate(RecipientId::generate(start(), rng), rng)
    }

    #[test]
    fn has_the_published_shape() {
        let token = token(1);
        let ulid = token.recipient().to_string().replace("rcp_", "");
        assert!(token.expose().starts_with(&format!("dk_tok_{ulid}_")));
        assert_eq!(token.expose().len(), 7 + 26 + 1 + 43 + 6);
    }

    /// A token with its secret and its certificate.
    fn record() -> (TokenRecord, ActiveSecret, TrustedCertificate) {
        let now = start();
        let rng = &mut StdRng::seed_from_u64(1);
        let recipient = RecipientId::generate(now, rng);
        let secret = ActiveSecret::new(
            SecretId::generate(now, rng),
            recipient,
            Text::parse("S").unwrap(),
            Digest::of("a"),
            Lifetime::default(),
            now,
        );
        let certificate = TrustedCertificate {
            id: CertificateId::generate(now, rng),
            thumbprint: Thumbprint::of_der(b"a"),
            not_before: now,
            not_after: now.plus_days(1),
        };
        let record = TokenRecord {
            id: TokenId::generate(now, rng),
            kind: TokenKind::Institution,
            recipient,
            dock: DockId::generate(now, rng),
            account: AccountId::generate(now, rng),
            generation: 3,
            secret: secret.id,
            certificate: Some(certificate.id),
            authenticated_at: now,
            expires_at: now.plus_minutes(60),
            submitted: Identifiers::default(),
        };
        (record, secret, certificate)
    }

    #[test]
    fn is_valid_only_while_all_holds_that_it_was_made_from() {
        let (record, secret, certificate) = record();
        let (secrets, certificates) = (vec![secret.clone()], vec![certificate.clone()]);
        let same = Some(&certificate.thumbprint);
        let now = start();
        assert!(record.is_valid(3, &secrets, &certificates, same, now));
        assert!(!record.is_valid(4, &secrets, &certificates, same, now), "another generation");
        assert!(!record.is_valid(2, &secrets, &certificates, same, now), "nor an earlier one");
        assert!(!record.is_valid(3, &[], &certificates, same, now), "its secret is gone");
        let other_secret =
            ActiveSecret { id: SecretId::generate(now, &mut StdRng::seed_from_u64(9)), ..secret.clone() };
        assert!(!record.is_valid(3, &[other_secret], &certificates, same, now), "another secret");
        let expired = ActiveSecret { expires_at: Some(now), ..secret };
        assert!(!record.is_valid(3, &[expired], &certificates, same, now), "its secret has expired");
        assert!(!record.is_valid(3, &secrets, &[], same, now), "its certificate is revoked");
        let again = TrustedCertificate {
            id: CertificateId::generate(now, &mut StdRng::seed_from_u64(9)),
            ..certificate.clone()
        };
        assert!(!record.is_valid(3, &secrets, &[again], same, now), "registered again");
        let ended = TrustedCertificate { not_after: now, ..certificate.clone() };
        assert!(!record.is_valid(3, &secrets, &[ended], same, now), "its certificate has expired");
        assert!(!record.is_valid(3, &secrets, &certificates, None, now), "no certificate on the connection");
        let other = Thumbprint::of_der(b"b");
        assert!(!record.is_valid(3, &secrets, &certificates, Some(&other), now), "another certificate");
        assert!(record.is_valid(
            3,
            &secrets,
            &certificates,
            same,
            Timestamp::parse("2025-01-15T11:31:59.999Z").unwrap()
        ));
        assert!(!record.is_valid(3, &secrets, &certificates, same, record.expires_at), "it has ended");
    }

    #[test]
    fn one_that_is_not_bound_is_a_plain_bearer_token() {
        let (record, secret, certificate) = record();
        let plain = TokenRecord { certificate: None, ..record };
        assert_eq!(plain.factors(), [Factor::SharedPassphrase]);
        for connection in [None, Some(&certificate.thumbprint)] {
            assert!(plain.is_valid(3, std::slice::from_ref(&secret), &[], connection, start()));
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "(dk_tok_)?\\PC{0,90}") {
            let _ = AccessToken::parse(&text);
        }

        #[test]
        fn what_is_generated_is_read_back(seed: u64) {
            let token = token(seed);
            let read = AccessToken::parse(token.expose()).unwrap();
            prop_assert!(read.expose() == token.expose() && read.recipient() == token.recipient());
        }

        #[test]
        fn one_changed_character_is_noticed(seed: u64, at in 7usize..PREFIX.len() + crate::model::bearer::LENGTH, other in "[0-9A-Za-z]") {
            let token = token(seed);
            let mut changed = token.expose().to_owned();
            changed.replace_range(at..=at, &other);
            prop_assume!(changed != token.expose());
            prop_assert!(AccessToken::parse(&changed).is_none());
        }
    }
}
