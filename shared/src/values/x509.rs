//! X.509 certificates ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)) as PEM
//! ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)): what is read of one, and what API Gateway would refuse of it.
//!
//! What belongs here: the reader, and its rules. Whether a chain is complete is for API Gateway to check.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, SliceReader, TagNumber};
use x509_cert::ext::pkix::BasicConstraints;
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
    /// Its number at its issuer, in upper-case hex, without the zero octet that DER puts before a high bit.
    pub serial_number: String,
    /// When it begins.
    pub not_before: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
    /// Whether it may issue others: its basic constraints
    /// ([RFC 5280 §4.2.1.9](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.9)) say CA:TRUE.
    pub is_authority: bool,
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
        if has_private_key(pem) {
            return Err("must not contain a private key; send the certificate alone, and replace the key: \
                        whoever read this request has it");
        }
        let certificates: Option<Vec<_>> = certificates(pem).collect();
        match certificates.ok_or(ONE)?.as_slice() {
            [der] => Self::from_der(der).ok_or("must be an X.509 certificate"),
            [] => Err(ONE),
            _ => Err("must be one certificate: the client's own, without those of its authorities"),
        }
    }

    /// Reads a certificate in DER; `None` if it is none.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let signed = certificate.tbs_certificate();
        let serial_number = match signed.serial_number().as_bytes() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        };
        Some(Self {
            thumbprint: Thumbprint::of_der(der),
            subject: signed.subject().to_string(),
            issuer: signed.issuer().to_string(),
            serial_number: serial_number.iter().map(|byte| format!("{byte:02X}")).collect(),
            not_before: timestamp(signed.validity().not_before)?,
            not_after: timestamp(signed.validity().not_after)?,
            is_authority: matches!(signed.get_extension::<BasicConstraints>(), Ok(Some((_, is))) if is.ca),
            weakness: weakness(signed.subject_public_key_info(), certificate.signature_algorithm()),
        })
    }
}

/// A certificate in DER as a PEM text, in lines of 64 characters.
pub fn to_pem(der: &[u8]) -> String {
    let mut pem = "-----BEGIN CERTIFICATE-----".to_owned();
    for (position, character) in STANDARD.encode(der).chars().enumerate() {
        if position % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem + "\n-----END CERTIFICATE-----\n"
}

/// Whether a PEM text has a private key, whatever the reader makes of it: one with a label that it does not know, or
/// within a line, is a key all the same.
pub fn has_private_key(pem: &str) -> bool {
    let mut labels = pem.split("-----BEGIN ").skip(1).filter_map(|block| block.split(['\r', '\n']).next());
    labels.any(|label| label.contains("PRIVATE KEY"))
}

/// The certificates of a PEM text, each as what its block has, which should be DER; `None` for a block, of whatever
/// kind, that is not PEM. Text around the blocks is ignored.
pub fn certificates(pem: &str) -> impl Iterator<Item = Option<Vec<u8>>> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()).filter_map(|section| match section {
        Ok((SectionKind::Certificate, der)) => Some(Some(der)),
        Ok(_) => None,
        Err(_) => Some(None),
    })
}

fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::from_unix_milliseconds(time.to_unix_duration().as_secs().checked_mul(1000)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair,
    };
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    use x509_parser::prelude::{FromDer, X509Certificate};

    macro_rules! fixture {
        ($name:literal, $weakness:expr) => {
            ($name, include_str!(concat!("../../../tests/support/certificates/", $name, ".pem")), $weakness)
        };
    }

    /// The certificates of `tests/support/certificates/`, whose `make` says how they are made, and what is weak in each.
    const FIXTURES: [(&str, &str, Option<Weakness>); 14] = [
        fixture!("rsa-2048", None),
        fixture!("rsa-2047", Some(Weakness::ShortRsaKey)),
        fixture!("rsa-1024", Some(Weakness::ShortRsaKey)),
        fixture!("rsa-sha1", Some(Weakness::UnsupportedSignature)),
        fixture!("rsa-pss-sha256", None),
        fixture!("rsa-pss-sha1", Some(Weakness::UnsupportedSignature)),
        fixture!("ecdsa-p256", None),
        fixture!("ecdsa-p384", None),
        fixture!("ecdsa-p521", None),
        fixture!("ecdsa-p256-sha1", Some(Weakness::UnsupportedSignature)),
        fixture!("ecdsa-secp256k1", Some(Weakness::UnsupportedKey)),
        fixture!("ecdsa-explicit", Some(Weakness::UnsupportedKey)),
        fixture!("ed25519", Some(Weakness::UnsupportedKey)),
        fixture!("dsa", Some(Weakness::UnsupportedKey)),
    ];

    fn fixture(name: &str) -> &'static str {
        FIXTURES.iter().find(|fixture| fixture.0 == name).unwrap().1
    }

    fn der(pem: &str) -> Vec<u8> {
        certificates(pem).next().unwrap().unwrap()
    }

    /// A certificate that signs itself, made with `change`.
    fn made(change: impl FnOnce(&mut CertificateParams)) -> X509 {
        let mut params = CertificateParams::default();
        change(&mut params);
        X509::parse(&params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()).unwrap()
    }

    fn block(label: &str, data: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(data))
    }

    /// Why a text is refused, which repeats none of its lines.
    #[track_caller]
    fn refusal(pem: &str) -> String {
        let refusal = X509::parse(pem).unwrap_err().to_string();
        let mut lines = pem.lines().filter(|line| !line.is_empty() && !line.starts_with("-----"));
        assert!(lines.all(|line| !refusal.contains(line)), "{refusal}");
        refusal
    }

    #[test]
    fn a_key_or_signature_is_weak_exactly_if_api_gateway_refuses_it() {
        for (name, pem, weakness) in FIXTURES {
            assert_eq!(X509::parse(pem).map(|certificate| certificate.weakness), Ok(weakness), "{name}");
        }
    }

    #[test]
    fn a_key_that_rcgen_makes_is_weak_if_it_is_ed25519() {
        for (algorithm, weakness) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, None),
            (&rcgen::PKCS_ECDSA_P384_SHA384, None),
            (&rcgen::PKCS_ED25519, Some(Weakness::UnsupportedKey)),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            assert_eq!(X509::parse(&certificate.pem()).unwrap().weakness, weakness, "{algorithm:?}");
        }
    }

    #[test]
    fn what_openssl_shows_of_a_certificate_is_what_is_read() {
        // openssl x509 -in rsa-2048.pem -noout -serial -subject -issuer -nameopt RFC2253,-esc_msb
        let certificate = X509::parse(fixture("rsa-2048")).unwrap();
        assert_eq!(certificate.serial_number, "FEDCBA98765432100123456789ABCDEF");
        assert_eq!(certificate.subject, r"CN=rsa-2048,O=First National\, Söhne & Co.,C=AT");
        assert_eq!(certificate.issuer, certificate.subject);
        assert!(certificate.is_authority);
        assert_eq!(Some(certificate.thumbprint), Thumbprint::of_pem(fixture("rsa-2048")));
    }

    #[test]
    fn names_are_rfc_4514_text_with_the_last_part_first() {
        let mut authority = CertificateParams::default();
        authority.distinguished_name = DistinguishedName::new();
        let country = DnValue::PrintableString("AT".try_into().unwrap());
        authority.distinguished_name.push(DnType::CountryName, country);
        authority.distinguished_name.push(DnType::OrganizationName, r#"#1 "A" + <B>; C\D "#);
        let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
        let mut client = CertificateParams::default();
        client.distinguished_name = DistinguishedName::new();
        client.distinguished_name.push(DnType::OrganizationName, "銀行, Österreich");
        client.distinguished_name.push(DnType::CommonName, "a\nb=c");
        let client = client.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let certificate = X509::parse(&client.pem()).unwrap();
        assert_eq!(certificate.subject, r"CN=a\0ab=c,O=銀行\, Österreich");
        assert_eq!(certificate.issuer, r#"O=\#1 \"A\" \+ \<B\>\; C\\D\ ,C=AT"#);
    }

    #[test]
    fn a_serial_number_is_upper_case_hex_without_the_zero_octet_of_der() {
        for (bytes, text) in [
            (&[0x0a][..], "0A"),
            (&[0x7f, 0xff], "7FFF"),
            (&[0x80], "80"),
            (&[0xff, 0x00, 0xab], "FF00AB"),
            (&[0xff; 20], &"FF".repeat(20)),
        ] {
            let certificate = made(|params| params.serial_number = Some(bytes.to_vec().into()));
            assert_eq!(certificate.serial_number, text);
        }
    }

    #[test]
    fn validity_is_rfc_3339_in_utc_also_from_2050_on() {
        // Until 2049 a time is a UTCTime, then a GeneralizedTime (RFC 5280 §4.1.2.5).
        for (from, to) in [
            ("1970-01-01T00:00:00.000Z", "2049-12-31T23:59:59.000Z"),
            ("2026-02-28T12:30:00.000Z", "2050-01-01T00:00:00.000Z"),
            ("2050-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z"),
        ] {
            let time = |text| OffsetDateTime::parse(text, &Rfc3339).unwrap();
            let certificate = made(|params| (params.not_before, params.not_after) = (time(from), time(to)));
            assert_eq!(certificate.not_before.to_string(), from);
            assert_eq!(certificate.not_after.to_string(), to);
        }
    }

    #[test]
    fn an_authority_is_what_its_basic_constraints_call_one() {
        let is_authority = |is_ca| made(|params| params.is_ca = is_ca).is_authority;
        assert!(is_authority(IsCa::Ca(BasicConstraints::Unconstrained)));
        assert!(is_authority(IsCa::Ca(BasicConstraints::Constrained(0))));
        assert!(!is_authority(IsCa::ExplicitNoCa));
        assert!(!is_authority(IsCa::NoCa));
    }

    #[test]
    fn text_around_the_block_and_the_kind_of_line_end_are_ignored() {
        let pem = fixture("ecdsa-p256");
        let read = X509::parse(pem).unwrap();
        for text in [
            format!("Bag Attributes\n  friendlyName: Söhne\n{pem}\nthe end"),
            format!("{}{pem}", block("PUBLIC KEY", b"abc")),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\r"),
            pem.trim_end().to_owned(),
        ] {
            assert_eq!(X509::parse(&text), Ok(read.clone()), "{text:?}");
        }
    }

    #[test]
    fn a_certificate_is_written_as_openssl_writes_it() {
        for (name, pem, _) in FIXTURES {
            assert_eq!(to_pem(&der(pem)), pem, "{name}");
        }
    }

    #[test]
    fn one_certificate_is_read_and_no_other_number_of_them() {
        let (one, other) = (fixture("ecdsa-p256"), fixture("ecdsa-p384"));
        for several in [format!("{one}{other}"), format!("{one}{one}")] {
            assert!(refusal(&several).contains("without those of its authorities"), "{several}");
        }
        for text in [
            String::new(),
            "text".to_owned(),
            STANDARD.encode(der(one)),
            block("CERTIFICATE REQUEST", &der(one)),
            block("TRUSTED CERTIFICATE", &der(one)),
            one.replace("-----END CERTIFICATE-----", ""),
            one.replace("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----"),
            one.replace("MII", "M*I"),
            format!("{one}{}", other.replace("MII", "M*I")),
            format!("{one}-----BEGIN CERTIFICATE-----\nMII"),
        ] {
            assert!(refusal(&text).starts_with("must be one certificate in PEM, from "), "{text}");
        }
        let der = der(one);
        for no_certificate in [&b""[..], b"abc", &der[..der.len() - 1], &[&der[..], &[0]].concat()] {
            let text = block("CERTIFICATE", no_certificate);
            assert_eq!(X509::parse(&text), Err("must be an X.509 certificate"), "{text}");
        }
    }

    #[test]
    fn a_private_key_is_refused_whatever_its_label_and_wherever_it_is() {
        let certificate = fixture("ecdsa-p256");
        for label in [
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "PGP PRIVATE KEY BLOCK",
        ] {
            let key = block(label, b"what nobody else may have");
            for text in [
                key.clone(),
                format!("{key}{certificate}"),
                format!("{certificate}{key}"),
                format!("{certificate}  {key}"),
                format!("{certificate}key: {key}"),
                format!("{certificate}{key}").replace('\n', "\r\n"),
                format!("text\n{key}{certificate}").replace('\n', "\r"),
                // It begins, and that is enough.
                format!("{certificate}{}", &key[..key.len() / 2]),
            ] {
                assert!(refusal(&text).starts_with("must not contain a private key;"), "{text:?}");
            }
        }
        // Words about one are none.
        let text = format!("{certificate}The PRIVATE KEY of this stays at home.\n");
        for text in [text.replace('\n', "\r"), text] {
            assert!(X509::parse(&text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_text_has_at_most_16384_bytes() {
        let pem = fixture("ecdsa-p256");
        let padded = |bytes: usize| format!("{pem}{}", "#".repeat(bytes - pem.len()));
        assert!(X509::parse(&padded(16_384)).is_ok());
        assert_eq!(X509::parse(&padded(16_385)), Err("must have at most 16,384 bytes"));
    }

    /// What is read of a certificate: its serial number, its times in seconds since 1970, and its thumbprint.
    type Opinion = (String, i64, i64, Thumbprint);

    fn opinion(der: &[u8]) -> Option<Opinion> {
        let read = X509::from_der(der)?;
        let seconds = |time: Timestamp| time.unix_seconds_rounded_up();
        let times = (seconds(read.not_before), seconds(read.not_after));
        Some((read.serial_number, times.0, times.1, read.thumbprint))
    }

    /// The same from a reader that has nothing in common with ours.
    fn second_opinion(der: &[u8]) -> Option<Opinion> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let serial_number = certificate.raw_serial();
        let serial_number = match serial_number.split_first() {
            Some((0, rest)) if !rest.is_empty() => rest,
            _ => serial_number,
        };
        Some((
            serial_number.iter().map(|byte| format!("{byte:02X}")).collect(),
            certificate.validity().not_before.timestamp(),
            certificate.validity().not_after.timestamp(),
            Thumbprint::of_der(certificate.as_raw()),
        ))
    }

    #[test]
    fn a_second_reader_reads_the_same_of_a_certificate() {
        for (name, pem, _) in FIXTURES {
            let der = der(pem);
            assert!(opinion(&der).is_some(), "{name}");
            assert_eq!(opinion(&der), second_opinion(&der), "{name}");
            let is_authority = X509Certificate::from_der(&der).unwrap().1.is_ca();
            assert_eq!(X509::from_der(&der).map(|read| read.is_authority), Some(is_authority), "{name}");
        }
    }

    /// A certificate with some of its bytes changed.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
        let whole = prop::sample::select(FIXTURES.iter().map(|fixture| der(fixture.1)).collect::<Vec<_>>());
        (whole, changes).prop_map(|(mut der, changes)| {
            for (at, byte) in changes {
                let at = at.index(der.len());
                der[at] = byte;
            }
            der
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_second_reader_reads_the_same_of_a_damaged_certificate_if_both_can(der in damaged()) {
            if let (Some(one), Some(other)) = (opinion(&der), second_opinion(&der)) {
                prop_assert_eq!(one, other);
            }
        }

        #[test]
        fn a_damaged_certificate_is_read_as_what_it_is_or_refused(der in damaged()) {
            let read = X509::parse(&block("CERTIFICATE", &der));
            prop_assert_eq!(read, X509::from_der(&der).ok_or("must be an X.509 certificate"));
        }

        #[test]
        fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), text in any::<String>()) {
            prop_assert_eq!(X509::from_der(&bytes), None);
            prop_assert!(X509::parse(&text).is_err());
            prop_assert!(X509::parse(&block("CERTIFICATE", &bytes)).is_err());
        }
    }
}
