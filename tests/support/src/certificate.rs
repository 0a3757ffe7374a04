//! Certificates of clients, and the events of their connections.

use std::time::Duration;

use docyard_core::values::clock::Timestamp;
use docyard_core::values::x509::X509;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use serde_json::{Value, json};

/// A certificate in PEM, with a key that nobody has: it signs itself, and is valid for ages.
pub fn new(common_name: &str) -> String {
    sign(common_name, CertificateParams::default())
}

/// The same, valid between two whole seconds.
pub fn valid(common_name: &str, not_before: Timestamp, not_after: Timestamp) -> String {
    let time = |time: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_millis(time.unix_milliseconds());
    let mut parameters = CertificateParams::default();
    parameters.not_before = time(not_before);
    parameters.not_after = time(not_after);
    sign(common_name, parameters)
}

fn sign(common_name: &str, mut parameters: CertificateParams) -> String {
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
