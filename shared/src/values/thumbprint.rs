//! The thumbprint of a certificate: what identifies it, on every request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// How many characters a thumbprint has.
const LENGTH: usize = 43;

/// The SHA-256 of a certificate's DER in base64url without padding, 43 characters: `x5t#S256` of
/// [RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1). It is no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thumbprint(String);

impl Thumbprint {
    /// The thumbprint of a certificate in DER.
    pub fn of_der(der: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(der)))
    }

    /// The thumbprint of the first certificate in a PEM text; `None` if it has none. It does not say whether the
    /// certificate is one that anyone should trust.
    pub fn of_pem(pem: &str) -> Option<Self> {
        CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| Self::of_der(&der))
    }

    /// Reads a thumbprint in the one form it is written in; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one =
            text.len() == LENGTH && URL_SAFE_NO_PAD.decode(text).is_ok_and(|digest| digest.len() == 32);
        is_one.then(|| Self(text.to_owned()))
    }

    /// The thumbprint as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a thumbprint"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_the_sha_256_of_the_der_in_base64url() {
        // FIPS 180-4's own example for the message "abc", ba7816bf…f20015ad.
        assert_eq!(Thumbprint::of_der(b"abc").as_str(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        let pem = "text\n-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        assert_eq!(Thumbprint::of_pem(pem), Some(Thumbprint::of_der(b"abc")));
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        for pem in [
            "",
            "YWJj",
            "-----BEGIN CERTIFICATE-----\nYWJj\n",
            "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n",
        ] {
            assert_eq!(Thumbprint::of_pem(pem), None, "{pem}");
        }
    }

    #[test]
    fn is_read_in_one_form() {
        let thumbprint = Thumbprint::of_der(b"abc");
        assert_eq!(Thumbprint::parse(thumbprint.as_str()), Some(thumbprint.clone()));
        let last_bits = thumbprint.as_str().replace("Fa0", "Fa1");
        for other in ["", &last_bits, &format!("{}=", thumbprint.as_str()), &"+".repeat(LENGTH)] {
            assert_eq!(Thumbprint::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>()) {
            let _ = Thumbprint::of_pem(&text);
            let _ = Thumbprint::parse(&text);
        }
    }
}
