//! Certificates of clients, and the events of their connections.

use docyard_core::values::x509::X509;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

/// A certificate in PEM, with a key that nobody has: it signs itself, and is valid for ages.
pub fn new(common_name: &str) -> String {
    ending(common_name, 4096, 1, 1)
}

/// The same, which ends when this day of UTC begins.
pub fn ending(common_name: &str, year: i32, month: u8, day: u8) -> String {
    let mut parameters = CertificateParams::default();
    parameters.not_after = rcgen::date_time_ymd(year, month, day);
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

/// What API Gateway tells a function of a connection with this certificate: `requestContext.authentication`.
pub fn authentication(pem: &str) -> Value {
    let x509 = X509::parse(pem).unwrap();
    json!({"clientCert": {
        "clientCertPem": pem,
        "subjectDN": x509.subject,
        "issuerDN": x509.issuer,
        "serialNumber": x509.serial_number,
        "validity": {"notBefore": "Jan  1 00:00:00 1975 GMT", "notAfter": "Jan  1 00:00:00 4096 GMT"},
    }})
}
