//! X.509 certificates ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)) as PEM
//! ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)): what is read of one, and what API Gateway would refuse of it.
//!
//! What belongs here: the reader, and its rules. Whether a chain is complete is for API Gateway to check.

use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, SliceReader, TagNumber};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::Time;

use super::clock::Timestamp;
use super::thumbprint::Thumbprint;

/// The largest PEM text, in bytes.
pub const MAX_PEM_BYTES: usize = 16 * 1024;

/// A certificate that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X509 {
    /// What identifies it.
    pub thumbprint: Thumbprint,
    /// Whom it names, as [RFC 4514](https://www.rfc-editor.org/rfc/rfc4514) text. For reading only.
    pub subject: String,
    /// Who issued it, as RFC 4514 text. For reading only.
    pub issuer: String,
    /// Its number at its issuer, in upper-case hex.
    pub serial_number: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// What API Gateway would refuse of it, whatever the time.
    pub weakness: Option<Weakness>,
}

/// A key or a signature that API Gateway's mutual TLS does not accept: it wants RSA of 2,048 bits or ECDSA on P-256 at
/// least, and SHA-256 at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// An RSA key of fewer than 2,048 bits.
    ShortRsaKey,
    /// A key of another kind than RSA, or ECDSA on P-256, P-384 or P-521.
    UnsupportedKey,
    /// It is signed with a hash weaker than SHA-256, or in another way than RSA or ECDSA.
    UnsupportedSignature,
}

impl Weakness {
    /// What a certificate must have instead.
    pub fn rule(self) -> &'static str {
        match self {
            Self::ShortRsaKey => "must have an RSA key of at least 2,048 bits",
            Self::UnsupportedKey => "must have an RSA key, or an ECDSA key on P-256, P-384 or P-521",
            Self::UnsupportedSignature => "must be signed with RSA or ECDSA, and SHA-256, SHA-384 or SHA-512",
        }
    }
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// P-256, P-384 and P-521 ([RFC 5480 §2.1.1.1](https://www.rfc-editor.org/rfc/rfc5480#section-2.1.1.1)).
const CURVES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    ObjectIdentifier::new_unwrap("1.3.132.0.35"),
];
/// SHA-256, SHA-384 and SHA-512 with RSA, then with ECDSA.
const SIGNATURES: [ObjectIdentifier; 6] = [
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4"),
];
/// SHA-256, SHA-384 and SHA-512, the hashes of RSASSA-PSS.
const HASHES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
];
const MIN_RSA_BITS: usize = 2048;

impl X509 {
    /// Reads the only certificate of a PEM text. Text around its block is ignored.
    ///
    /// # Errors
    /// What the text must be. It repeats nothing of the text.
    pub fn parse(pem: &str) -> Result<Self, &'static str> {
        const ONE: &str =
            "must be one certificate in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
        if pem.len() > MAX_PEM_BYTES {
            return Err("must have at most 16,384 bytes");
        }
        // Whatever the reader makes of it: a label that it does not know is a key all the same.
        if pem
            .lines()
            .any(|line| line.trim_start().starts_with("-----BEGIN ") && line.contains("PRIVATE KEY"))
        {
            return Err("must not contain a private key; send the certificate alone, and replace the key: \
                        whoever read this request has it");
        }
        let mut certificates = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
            if let (SectionKind::Certificate, der) = section.map_err(|_| ONE)? {
                certificates.push(der);
            }
        }
        match certificates.as_slice() {
            [der] => Self::from_der(der).ok_or("must be an X.509 certificate"),
            [] => Err(ONE),
            _ => Err("must be one certificate: the client's own, without those of its authorities"),
        }
    }

    /// Reads a certificate in DER; `None` if it is none.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let signed = certificate.tbs_certificate();
        let serial_number = signed.serial_number().as_bytes().iter();
        Some(Self {
            thumbprint: Thumbprint::of_der(der),
            subject: signed.subject().to_string(),
            issuer: signed.issuer().to_string(),
            serial_number: serial_number.map(|byte| format!("{byte:02X}")).collect(),
            not_before: timestamp(signed.validity().not_before)?,
            not_after: timestamp(signed.validity().not_after)?,
            weakness: weakness(signed.subject_public_key_info(), certificate.signature_algorithm()),
        })
    }
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_unix_seconds(time.to_unix_duration().as_secs())
}

fn weakness(key: &SubjectPublicKeyInfoOwned, signature: &AlgorithmIdentifierOwned) -> Option<Weakness> {
    match key.algorithm.oid {
        RSA => match rsa_bits(key) {
            None => return Some(Weakness::UnsupportedKey),
            Some(bits) if bits < MIN_RSA_BITS => return Some(Weakness::ShortRsaKey),
            Some(_) => {}
        },
        EC => {
            let curve = key.algorithm.parameters.as_ref();
            let curve = curve.and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
            if !curve.is_some_and(|curve| CURVES.contains(&curve)) {
                return Some(Weakness::UnsupportedKey);
            }
        }
        _ => return Some(Weakness::UnsupportedKey),
    }
    let is_supported = match signature.oid {
        RSA_PSS => pss_hash(signature).is_some_and(|hash| HASHES.contains(&hash)),
        other => SIGNATURES.contains(&other),
    };
    (!is_supported).then_some(Weakness::UnsupportedSignature)
}

/// The bits of an RSA key's modulus (RFC 8017 appendix A.1.1).
fn rsa_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let key = AnyRef::from_der(key.subject_public_key.as_bytes()?).ok()?;
    let modulus = key.sequence(|fields| {
        let modulus = UintRef::decode(fields)?;
        UintRef::decode(fields)?;
        Ok::<_, x509_cert::der::Error>(modulus)
    });
    let modulus = modulus.ok()?.as_bytes();
    let unused = modulus.first()?.leading_zeros();
    (8 * modulus.len()).checked_sub(usize::try_from(unused).ok()?)
}

/// The hash that an RSASSA-PSS signature names (RFC 4055 §3.1); `None` where it names none, which means SHA-1.
fn pss_hash(signature: &AlgorithmIdentifierOwned) -> Option<ObjectIdentifier> {
    let parameters = signature.parameters.as_ref()?;
    let mut fields = SliceReader::new(parameters.value()).ok()?;
    let hash =
        ContextSpecific::<AlgorithmIdentifierOwned>::decode_explicit(&mut fields, TagNumber(0)).ok()?;
    hash.map(|hash| hash.value.oid)
}
