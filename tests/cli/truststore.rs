//! `docyard truststore`: the command as a process, and a TLS server that takes its file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Output, Stdio};
use std::sync::Arc;

use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::x509::{self, X509};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::operator::{printed, program};

/// The file that the command is told to write.
const OUTPUT: &str = "truststore.pem";

/// When a certificate of [`params`] ends.
const END: &str = "4096-01-01T00:00:00.000Z";

/// An authority that can issue certificates.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params(name).self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params(name), key) }
    }
}

/// What a certificate of an authority of this name says.
fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// The certificate of an authority of this name, with what `change` changes in it.
fn made(name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = params(name);
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn authority(name: &str) -> String {
    made(name, |_| {})
}

fn fixture(name: &str) -> String {
    docyard_test_support::read(&format!("tests/support/certificates/{name}.pem"))
}

fn time(timestamp: Timestamp) -> OffsetDateTime {
    OffsetDateTime::parse(&timestamp.to_string(), &Rfc3339).unwrap()
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// Runs `docyard truststore build` in `directory`.
fn build_to(output: &str, directory: &TempDir, authorities: &[&str]) -> Output {
    let mut command = program("truststore build");
    command.args(authorities).args(["--output", output]).current_dir(directory);
    command.stdin(Stdio::null()).output().unwrap()
}

fn build(directory: &TempDir, authorities: &[&str]) -> Output {
    build_to(OUTPUT, directory, authorities)
}

fn written(directory: &TempDir) -> String {
    fs::read_to_string(directory.path().join(OUTPUT)).unwrap()
}

fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The lines of the standard error output, without the command's name.
#[track_caller]
fn told(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.lines().map(|line| line.strip_prefix("docyard: ").unwrap().to_owned()).collect()
}

/// The problems for which the command wrote nothing, neither its file nor a part of it.
#[track_caller]
fn problems(directory: &TempDir, authorities: &[&str]) -> Vec<String> {
    let before = names(directory);
    let output = build(directory, authorities);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert_eq!(names(directory), before);
    let mut lines = told(&output);
    let last = lines.pop().unwrap();
    assert!(last.starts_with("nothing is written"), "{last}");
    lines
}

/// The certificates of a file, in its order.
fn certificates(pem: &str) -> Vec<Vec<u8>> {
    x509::certificates(pem).map(Option::unwrap).collect()
}

#[test]
fn the_file_has_each_certificate_below_a_line_that_says_whose_it_is_and_until_when() {
    let soon = made("Soon", |params| params.not_after = date_time_ymd(3000, 2, 1));
    let rsa = fixture("rsa-2048");
    let files =
        directory(&[("a.pem", &format!("Bag Attributes\n{soon}{}", authority("B"))), ("b.pem", &rsa)]);
    let output = build(&files, &["a.pem", "b.pem"]);
    assert!(output.stderr.is_empty(), "{:?}", told(&output));
    let pem = written(&files);
    let rsa_end = X509::parse(&rsa).unwrap().not_after;
    assert_eq!(
        printed(output),
        format!(
            "3 authorities, {} bytes; the first to end is CN=rsa-2048,O=First National\\, Söhne & Co.,C=AT, on {rsa_end}",
            pem.len()
        )
    );
    let around: Vec<&str> = pem.lines().filter(|line| line.starts_with('#')).collect();
    let expected = [
        format!("# CN=B; ends {END}"),
        "# CN=Soon; ends 3000-02-01T00:00:00.000Z".to_owned(),
        format!(r"# CN=rsa-2048,O=First National\, S\C3\B6hne & Co.,C=AT; ends {rsa_end}"),
    ];
    assert_eq!(around, expected);
    let third: Vec<&str> = pem.lines().skip_while(|line| **line != expected[2]).skip(1).collect();
    assert_eq!(third, rsa.lines().collect::<Vec<_>>(), "openssl writes a certificate so");
    assert!(pem.is_ascii() && pem.ends_with("-----END CERTIFICATE-----\n"));
    let mode = fs::metadata(files.path().join(OUTPUT)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn each_certificate_is_there_once_in_an_order_that_the_arguments_do_not_change() {
    // Two of one name and one end have an order too.
    let all: Vec<String> = ["C", "A", "B", "A"].into_iter().map(authority).collect();
    let files = directory(&[
        ("x.pem", &format!("{}{}{}", all[0], all[1], all[0])),
        ("y.pem", &format!("{}\n{}", all[1].replace("\r\n", "\n"), all[2])),
        ("z.pem", &all[3]),
    ]);
    printed(build(&files, &["x.pem", "y.pem", "z.pem"]));
    let first = written(&files);
    let mut expected: Vec<Vec<u8>> = all.iter().flat_map(|pem| certificates(pem)).collect();
    let mut found = certificates(&first);
    let subjects: Vec<String> = found.iter().map(|der| X509::from_der(der).unwrap().subject).collect();
    assert_eq!(subjects, ["CN=A", "CN=A", "CN=B", "CN=C"]);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    for order in [["z.pem", "y.pem", "x.pem"], ["y.pem", "x.pem", "z.pem"], ["y.pem", "z.pem", "x.pem"]] {
        printed(build(&files, &order));
        assert_eq!(written(&files), first, "{order:?}");
    }
    printed(build(&files, &[OUTPUT]));
    assert_eq!(written(&files), first, "made of itself");
}

#[test]
fn every_problem_is_told_at_once_each_in_a_line_with_its_file_and_nothing_is_written() {
    let good = authority("Good");
    let trusted = good.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
    let (other_a, other_b) = (Authority::new("Root A"), Authority::new("Root B"));
    let cross =
        |by: &Authority| params("Cross").signed_by(&KeyPair::generate().unwrap(), &by.issuer).unwrap().pem();
    let old = made("Old", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let new = made("New", |params| params.not_before = date_time_ymd(3000, 1, 1));
    let unread = "can be read: each must be from -----BEGIN CERTIFICATE----- to \
                  -----END CERTIFICATE-----, at the start of a line each";
    let damaged = "is damaged: it is not base64 that ends with -----END CERTIFICATE-----";
    let fixture_name = |name: &str| format!(r"CN={name},O=First National\, Söhne & Co.,C=AT");
    let cases = [
        ("empty.pem", String::new(), vec!["has no certificate in PEM".to_owned()]),
        ("text.pem", "MIIB".to_owned(), vec!["has no certificate in PEM".to_owned()]),
        ("damaged.pem", format!("{good}{}", good.replace("MII", "M*I")), vec![format!("block 2 {damaged}")]),
        ("cut.pem", good[..good.len() - 40].to_owned(), vec![format!("block 1 {damaged}")]),
        (
            "other.pem",
            format!("{good}-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"),
            vec!["block 2 is not an X.509 certificate".to_owned()],
        ),
        ("trusted.pem", format!("{good}{trusted}"), vec![format!("only 1 of its 2 certificates {unread}")]),
        ("indented.pem", format!("  {good}"), vec![format!("only 0 of its 1 certificates {unread}")]),
        (
            "begun.pem",
            format!("-----BEGIN CERTIFICATE-----\n{good}"),
            vec![format!("only 1 of its 2 certificates {unread}")],
        ),
        (
            "short.pem",
            fixture("rsa-1024"),
            vec![format!("{}: must have an RSA key of at least 2,048 bits", fixture_name("rsa-1024"))],
        ),
        (
            "sha1.pem",
            fixture("rsa-sha1"),
            vec![format!(
                "{}: must be signed with RSA or ECDSA, and SHA-256, SHA-384 or SHA-512",
                fixture_name("rsa-sha1")
            )],
        ),
        (
            "curve.pem",
            fixture("ed25519"),
            vec![format!(
                "{}: must have an RSA key, or an ECDSA key on P-256, P-384 or P-521",
                fixture_name("ed25519")
            )],
        ),
        (
            "times.pem",
            format!("{old}{new}{old}"),
            vec![
                "CN=Old: has ended, on 2020-01-01T00:00:00.000Z".to_owned(),
                "CN=New: begins only on 3000-01-01T00:00:00.000Z".to_owned(),
            ],
        ),
        (
            "cross.pem",
            format!("{}{}", cross(&other_a), cross(&other_b)),
            vec![
                "CN=Cross: is issued by CN=Root B, but by CN=Root A in cross.pem; \
                 API Gateway takes one issuer for each subject"
                    .to_owned(),
            ],
        ),
    ];
    let files: Vec<(&str, &str)> = cases.iter().map(|(file, text, _)| (*file, text.as_str())).collect();
    let files = directory(&files);
    let mut all = Vec::new();
    for (file, _, expected) in &cases {
        let expected: Vec<String> = expected.iter().map(|problem| format!("{file}: {problem}")).collect();
        assert_eq!(problems(&files, &[file]), expected);
        all.extend(expected);
    }
    all.push("missing.pem: cannot be read: No such file or directory (os error 2)".to_owned());
    let every: Vec<&str> = cases.iter().map(|case| case.0).chain(["missing.pem"]).collect();
    let mut found = problems(&files, &every);
    found.sort();
    all.sort();
    assert_eq!(found, all);
}

#[test]
fn a_private_key_is_refused_and_not_shown() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let secret = key.lines().nth(1).unwrap();
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let text = format!("{}{}", key.replace("PRIVATE KEY", label), authority("A"));
        let files = directory(&[("a.pem", &text), ("b.pem", &authority("B"))]);
        let found = problems(&files, &["a.pem", "b.pem"]);
        assert_eq!(found, ["a.pem: has a private key, which no trust store needs; take it out"], "{label}");
        assert!(text.contains(secret) && !found[0].contains(secret));
    }
}

#[test]
fn one_subject_has_one_issuer_but_may_have_several_certificates() {
    let (old, new) = (authority("Bank"), authority("Bank"));
    let root = Authority::new("Root");
    let cross = params("Bank").signed_by(&KeyPair::generate().unwrap(), &root.issuer).unwrap().pem();
    let files = directory(&[("old.pem", &old), ("new.pem", &new), ("cross.pem", &cross)]);
    assert!(printed(build(&files, &["old.pem", "new.pem"])).starts_with("2 authorities, "));
    fs::remove_file(files.path().join(OUTPUT)).unwrap();
    assert_eq!(
        problems(&files, &["old.pem", "cross.pem"]),
        ["cross.pem: CN=Bank: is issued by CN=Root, but by CN=Bank in old.pem; \
          API Gateway takes one issuer for each subject"]
    );
}

#[test]
fn a_trust_store_has_at_most_1000_certificates_and_1000000_bytes() {
    let key = KeyPair::generate().unwrap();
    let many: Vec<String> =
        (0..1001).map(|n| params(&format!("{n}")).self_signed(&key).unwrap().pem()).collect();
    let large: Vec<String> =
        (0..20).map(|n| params(&"x".repeat(40_000 + n)).self_signed(&key).unwrap().pem()).collect();
    let files = directory(&[
        ("1000.pem", &many[..1000].concat()),
        ("last.pem", &many[1000]),
        // Such a name is in a certificate twice, in a third more characters, and once above it.
        ("6.pem", &large[..6].concat()),
        ("large.pem", &large.concat()),
    ]);
    assert!(printed(build(&files, &["1000.pem", "1000.pem"])).starts_with("1000 authorities, "));
    assert!(printed(build(&files, &["6.pem"])).starts_with("6 authorities, "));
    fs::remove_file(files.path().join(OUTPUT)).unwrap();
    assert_eq!(
        problems(&files, &["1000.pem", "last.pem"]),
        ["there are 1001 certificates, and API Gateway takes at most 1000"]
    );
    let found = problems(&files, &["large.pem"]);
    assert!(
        found.len() == 1 && found[0].ends_with(" bytes, and API Gateway takes at most 1000000"),
        "{found:?}"
    );
}

#[test]
fn a_certificate_that_ends_soon_or_is_no_authoritys_is_warned_of_and_taken() {
    let now = Clock::system().now();
    let soon = made("Soon", |params| params.not_after = time(now.plus_days(89)));
    let later = made("Later", |params| params.not_after = time(now.plus_days(91)));
    let client = made("Client", |params| params.is_ca = IsCa::NoCa);
    let files = directory(&[("a.pem", &format!("{soon}{later}{client}"))]);
    let output = build(&files, &["a.pem", "a.pem"]);
    let end = X509::parse(&soon).unwrap().not_after;
    assert_eq!(
        told(&output),
        [
            format!("warning: a.pem: CN=Soon: ends within 90 days, on {end}"),
            "warning: a.pem: CN=Client: is not an authority's, since its basicConstraints do not say CA:TRUE; \
             is it a client's own?"
                .to_owned(),
        ]
    );
    let bytes = written(&files).len();
    let expected = format!("3 authorities, {bytes} bytes; the first to end is CN=Soon, on {end}");
    assert_eq!(printed(output), expected);
}

#[test]
fn a_file_that_exists_is_replaced_only_by_a_whole_one() {
    let files = directory(&[("a.pem", &authority("A")), ("bad.pem", ""), (OUTPUT, "what was there")]);
    assert_eq!(problems(&files, &["a.pem", "bad.pem"]), ["bad.pem: has no certificate in PEM"]);
    assert_eq!(written(&files), "what was there");
    symlink(OUTPUT, files.path().join("link")).unwrap();
    printed(build_to("link", &files, &["a.pem"]));
    assert!(written(&files).starts_with("# CN=A; ends "));
    assert!(fs::symlink_metadata(files.path().join("link")).unwrap().is_symlink());
    fs::create_dir(files.path().join("folder")).unwrap();
    for (output, expected) in [
        ("folder", "cannot write folder: it is no file"),
        ("/dev/null", "cannot write /dev/null: it is no file"),
        ("none/t.pem", "cannot write none/t.pem: No such file or directory (os error 2)"),
    ] {
        let refused = build_to(output, &files, &["a.pem"]);
        assert_eq!(refused.status.code(), Some(1));
        let told = told(&refused);
        assert!(told.len() == 1 && told[0].starts_with(expected.split(" (os").next().unwrap()), "{told:?}");
    }
    assert_eq!(names(&files), ["a.pem", "bad.pem", "folder", "link", OUTPUT]);
}

#[test]
fn the_output_may_be_the_standard_output() {
    let files = directory(&[("a.pem", &authority("A"))]);
    printed(build(&files, &["a.pem"]));
    let expected = written(&files);
    fs::remove_file(files.path().join(OUTPUT)).unwrap();
    let output = build_to("-", &files, &["a.pem"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("1 authority, "));
    assert_eq!(names(&files), ["a.pem"]);
}

#[test]
fn a_name_is_shown_in_one_line_and_begins_no_block() {
    let evil = "x\u{85}\u{202e}\n-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----";
    let ended = made(evil, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let files = directory(&[("a.pem", &authority(evil)), ("ended.pem", &ended)]);
    assert_eq!(
        problems(&files, &["ended.pem"]),
        [
            r"ended.pem: CN=x\C2\85\E2\80\AE\0a-----BEGIN CERTIFICATE-----\0aYWJj\0a-----END CERTIFICATE-----: has ended, on 2020-01-01T00:00:00.000Z"
        ]
    );
    printed(build(&files, &["a.pem"]));
    let pem = written(&files);
    assert!(pem.starts_with(
        r"# CN=x\C2\85\E2\80\AE\0a\2D----BEGIN CERTIFICATE\2D----\0aYWJj\0a\2D----END CERTIFICATE\2D----; ends "
    ));
    assert_eq!(pem.matches("-----BEGIN").count(), 1);
}

fn private_key(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// Whether a TLS server that trusts the authorities of the file lets a client with a certificate of `authority` in.
async fn is_let_in(truststore: &TempDir, authority: &Authority) -> bool {
    let provider = Arc::new(ring::default_provider());
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(truststore.path().join(OUTPUT)).unwrap() {
        authorities.add(certificate.unwrap()).unwrap();
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(authorities.into(), provider.clone()).build().unwrap();
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&server_key).unwrap();
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], private_key(&server_key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let client_key = KeyPair::generate().unwrap();
    let mut client = params("Client");
    client.is_ca = IsCa::NoCa;
    let client = client.signed_by(&client_key, &authority.issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(server.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![client.der().clone()], private_key(&client_key))
        .unwrap();
    let connector = TlsConnector::from(Arc::new(config));

    let (here, there) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from("localhost").unwrap();
    let (accepted, connected) = tokio::join!(acceptor.accept(here), connector.connect(name, there));
    assert!(connected.is_ok(), "in TLS 1.3 a client is ready before the server looks at its certificate");
    accepted.is_ok_and(|stream| stream.get_ref().1.peer_certificates() == Some(&[client.der().clone()][..]))
}

#[tokio::test]
async fn a_tls_server_with_the_file_lets_in_the_clients_of_these_authorities_and_no_others() {
    let all = ["Bank A", "Bank B, Söhne", "-----BEGIN CERTIFICATE-----"].map(Authority::new);
    let texts = all.each_ref().map(|authority| authority.certificate.pem());
    let files = directory(&[("a.pem", &texts[..2].concat()), ("b.pem", &texts[2])]);
    printed(build(&files, &["a.pem", "b.pem"]));
    for authority in &all {
        assert!(is_let_in(&files, authority).await);
    }
    assert!(!is_let_in(&files, &Authority::new("Bank A")).await);
}
