//! The certificates for mutual TLS: an authority for this data directory alone, the server's certificate, and two of
//! clients, each with its key.
//!
//! They are made together, and the authority's key is forgotten then: nobody can issue another. So they are renewed
//! together too, and after that a client's certificate must be registered anew.

use std::error::Error;
use std::fmt::Display;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use docyard_core::values::clock::Timestamp;
use docyard_core::values::x509::X509;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::LOCALHOST;
use super::data_dir::write_private;

/// How long certificates are valid: as long as Apple's systems accept one of a server.
const VALID_DAYS: u16 = 825;

const SERVER: &str = "server";
/// The names of the files of each client's certificate and key, and whom it names.
const CLIENTS: [(&str, &str); 2] =
    [("client", "First National Bank (development)"), ("stranger", "A stranger (development)")];

/// What does mutual TLS with the certificates in `directory`. They are kept as they are if they are complete, belong
/// together and are valid for another day, and are all made anew if not.
pub(super) fn acceptor(directory: &Path, now: Timestamp) -> Result<TlsAcceptor, String> {
    let config = match read(directory, now) {
        Ok(config) => config,
        Err(reason) => {
            let shown = directory.display();
            if directory.exists() {
                tracing::warn!("the certificates in {shown} are made anew: {reason}");
            }
            let cannot = |error| format!("cannot make the certificates in {shown}: {error}");
            make(directory, now).map_err(cannot)?;
            read(directory, now).map_err(|reason| cannot(reason.into()))?
        }
    };
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// How the server does mutual TLS. An error says why the certificates are of no use.
fn read(directory: &Path, now: Timestamp) -> Result<ServerConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(read_certificate(&directory.join("ca.pem"), now)?).map_err(of("ca.pem"))?;
    let roots = Arc::new(roots);
    let time = UnixTime::since_unix_epoch(Duration::from_millis(now.unix_milliseconds()));
    let read_issued = |name: &str| {
        let certificate = read_certificate(&directory.join(format!("{name}.pem")), now)?;
        let key = format!("{name}.key");
        let private = PrivateKeyDer::from_pem_file(directory.join(&key)).map_err(of(&key))?;
        let certified = CertifiedKey::from_der(vec![certificate.clone()], private, &provider);
        Ok::<_, String>((certificate, certified.map_err(of(&key))?))
    };

    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| error.to_string())?;
    for (name, _) in CLIENTS {
        let (certificate, _) = read_issued(name)?;
        clients.verify_client_cert(&certificate, &[], time).map_err(of(name))?;
    }
    let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| error.to_string())?;
    let (certificate, server) = read_issued(SERVER)?;
    let host = ServerName::try_from(LOCALHOST).map_err(|error| error.to_string())?;
    servers.verify_server_cert(&certificate, &[], &host, &[], time).map_err(of(SERVER))?;

    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_client_cert_verifier(clients).with_cert_resolver(Arc::new(SingleCertAndKey::from(server))))
}

/// Says of which file an error is.
fn of<E: Display>(name: &str) -> impl Fn(E) -> String {
    move |error| format!("{name}: {error}")
}

/// Reads a certificate that is valid now and for another day.
fn read_certificate(path: &Path, now: Timestamp) -> Result<CertificateDer<'static>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let der = CertificateDer::from_pem_file(path).map_err(of(&name))?;
    let certificate = X509::from_der(&der).ok_or_else(|| format!("{name}: it is no certificate"))?;
    if certificate.not_before > now || certificate.not_after < now.plus_days(1) {
        let X509 { not_before, not_after, .. } = certificate;
        return Err(format!("{name}: it is valid from {not_before} to {not_after}"));
    }
    Ok(der)
}

/// Makes an authority, and all certificates anew.
fn make(directory: &Path, now: Timestamp) -> Result<(), Box<dyn Error>> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;

    let mut authority = parameters("Docyard development authority", now);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    write_private(&directory.join("ca.pem"), &authority.pem())?;

    let issue = |name: &str, mut certificate: CertificateParams, usage| {
        certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        certificate.extended_key_usages = vec![usage];
        certificate.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = certificate.signed_by(&key, &authority)?;
        write_private(&directory.join(format!("{name}.pem")), &certificate.pem())?;
        write_private(&directory.join(format!("{name}.key")), &key.serialize_pem())?;
        Ok::<_, Box<dyn Error>>(())
    };
    let mut server = parameters(LOCALHOST, now);
    let names = [LOCALHOST, "127.0.0.1", "::1"].map(str::to_owned);
    server.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    issue(SERVER, server, ExtendedKeyUsagePurpose::ServerAuth)?;
    for (name, subject) in CLIENTS {
        issue(name, parameters(subject, now), ExtendedKeyUsagePurpose::ClientAuth)?;
    }
    Ok(())
}

/// What every certificate has: whom it names, and that it is valid from today on.
fn parameters(common_name: &str, now: Timestamp) -> CertificateParams {
    let midnight = |time: Timestamp| {
        let date = time.date();
        date_time_ymd(date.year(), date.month().into(), date.day())
    };
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters.not_before = midnight(now);
    parameters.not_after = midnight(now.plus_days(VALID_DAYS));
    parameters
}
