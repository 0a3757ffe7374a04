//! `docyard dev` over mutual TLS: whom it serves and whom it refuses, what files it makes, keeps and renews, and at which
//! addresses it is reached.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use docyard_core::values::clock::{Clock, Timestamp};
use docyard_test_support::PATIENCE;
use docyard_test_support::dev::{Answer, Dev, send, tls_client};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::json;

use crate::dev_server::said_in_one_line;

const FILES: [&str; 7] =
    ["ca.pem", "client.key", "client.pem", "server.key", "server.pem", "stranger.key", "stranger.pem"];

/// An authority of a test's own, which issues what `docyard dev` would not.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut certificate = CertificateParams::default();
        certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(certificate, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate that is valid from one midnight to another, and its key.
    fn issue(&self, usage: ExtendedKeyUsagePurpose, from: Timestamp, to: Timestamp) -> (String, String) {
        let midnight = |time: Timestamp| {
            let date = time.date();
            rcgen::date_time_ymd(date.year(), date.month().into(), date.day())
        };
        let mut certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        certificate.distinguished_name.push(DnType::CommonName, "A test");
        certificate.extended_key_usages = vec![usage];
        (certificate.not_before, certificate.not_after) = (midnight(from), midnight(to));
        let key = KeyPair::generate().unwrap();
        (certificate.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// A client's certificate and key as one text.
    fn client(&self, from: Timestamp, to: Timestamp) -> Vec<u8> {
        let (certificate, key) = self.issue(ExtendedKeyUsagePurpose::ClientAuth, from, to);
        (certificate + &key).into_bytes()
    }

    /// Writes all files of a data directory.
    fn write(&self, data: &Path, from: Timestamp, to: Timestamp) {
        let directory = data.join("tls");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("ca.pem"), self.0.pem()).unwrap();
        for (name, usage) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
            ("stranger", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let (certificate, key) = self.issue(usage, from, to);
            std::fs::write(directory.join(format!("{name}.pem")), certificate).unwrap();
            std::fs::write(directory.join(format!("{name}.key")), key).unwrap();
        }
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn long_ago() -> Timestamp {
    Timestamp::parse("2001-01-01T00:00:00Z").unwrap()
}

/// All that is in the directory of the certificates, by name.
fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(data.join("tls")).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

async fn health(client: &reqwest::Client, url: &str) -> Answer {
    send(client.get(format!("{url}/v1/healthz"))).await
}

/// Waits until a text is in the log.
async fn logged(dev: &Dev, text: &str) {
    let begun = Instant::now();
    while !dev.output().contains(text) {
        assert!(begun.elapsed() < PATIENCE, "{text:?} is not in {}", dev.output());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.split_once("://").unwrap().1).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[tokio::test]
async fn a_client_with_a_certificate_of_the_authority_uses_the_whole_api() {
    let dev = Dev::start().await;
    for name in ["client", "stranger"] {
        let client = dev.tls_client(name);
        assert_eq!(health(&client, &dev.mutual_tls_url).await.expect(200)["status"], "ok");
        let url = format!("{}{}", dev.mutual_tls_url, dev.recipients_path());
        let recipient = json!({"name": "A", "email": format!("{name}@example.com")});
        send(client.post(url).bearer_auth(&dev.key).json(&recipient)).await.expect(201);
    }
}

#[tokio::test]
async fn who_shows_no_valid_certificate_of_the_authority_is_refused_in_the_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (today, later) = (now(), now().plus_days(3));
    authority.write(directory.path(), today, later);
    let dev = Dev::start_in(directory.path(), &["--ephemeral"]).await;
    let ca = authority.0.pem();
    let client = |identity: Option<&[u8]>| tls_client(ca.as_bytes(), identity);
    let (server, server_key) = authority.issue(ExtendedKeyUsagePurpose::ServerAuth, today, later);
    for (identity, reason) in [
        (None, "peer sent no certificates"),
        // Of the same name, with another key.
        (Some(Authority::new().client(today, later)), "BadSignature"),
        (Some(authority.client(long_ago(), today)), "certificate expired"),
        (Some(authority.client(later, later.plus_days(1))), "certificate not valid yet"),
        (
            Some((server + &server_key).into_bytes()),
            "does not allow extended key usage for client authentication",
        ),
    ] {
        let request = client(identity.as_deref()).get(format!("{}/v1/healthz", dev.mutual_tls_url));
        let answer = request.timeout(PATIENCE).send().await;
        assert!(answer.is_err_and(|error| !error.is_timeout()), "{reason}");
        logged(&dev, reason).await;
    }
    health(&client(Some(&authority.client(today, later))), &dev.mutual_tls_url).await.expect(200);
}

#[tokio::test]
async fn the_certificates_are_files_that_only_their_owner_reads() {
    for arguments in [&[][..], &["--ephemeral"]] {
        let directory = tempfile::tempdir().unwrap();
        let _dev = Dev::start_in(directory.path(), arguments).await;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let tls = directory.path().join("tls");
        assert_eq!(mode(&tls), 0o700);
        assert_eq!(files(directory.path()).into_keys().collect::<Vec<_>>(), FILES);
        for file in FILES {
            assert_eq!(mode(&tls.join(file)), 0o600, "{file}");
        }
    }
}

#[tokio::test]
async fn certificates_that_are_valid_for_another_day_survive_a_restart_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    for ends_soon in [false, true] {
        if ends_soon {
            Authority::new().write(directory.path(), now(), now().plus_days(3));
        } else {
            Dev::start_in(directory.path(), &[]).await.kill();
        }
        let made = files(directory.path());
        for arguments in [&[][..], &["--ephemeral"]] {
            let dev = Dev::start_in(directory.path(), arguments).await;
            assert!(files(directory.path()) == made, "{arguments:?}");
            health(&dev.tls_client("client"), &dev.mutual_tls_url).await.expect(200);
            assert!(!dev.output().contains("made anew"));
            dev.kill();
        }
    }
}

/// Starts a server where valid certificates were spoilt, and asserts that it makes all anew.
async fn assert_renewed(spoilt: &str, spoil: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    Authority::new().write(directory.path(), now(), now().plus_days(3));
    spoil(&directory.path().join("tls"));
    let before = files(directory.path());
    let dev = Dev::start_in(directory.path(), &["--ephemeral"]).await;
    let after = files(directory.path());
    assert!(after.keys().eq(FILES.iter()), "{spoilt}");
    assert!(after.iter().all(|(file, content)| before.get(file) != Some(content)), "{spoilt}");
    assert!(dev.output().contains("are made anew"), "{spoilt}: {}", dev.output());
    for client in ["client", "stranger"] {
        health(&dev.tls_client(client), &dev.mutual_tls_url).await.expect(200);
    }
}

#[tokio::test]
async fn certificates_that_are_not_valid_for_another_day_are_all_made_anew() {
    let later = now().plus_days(3);
    for (spoilt, from, to) in [
        ("expired", long_ago(), now()),
        ("ending at the next midnight", long_ago(), now().plus_days(1)),
        ("not valid yet", later, later.plus_days(100)),
    ] {
        assert_renewed(spoilt, |tls| Authority::new().write(tls.parent().unwrap(), from, to)).await;
    }
}

#[tokio::test]
async fn with_a_file_missing_or_damaged_all_certificates_are_made_anew() {
    for file in FILES {
        assert_renewed(file, |tls| std::fs::remove_file(tls.join(file)).unwrap()).await;
        let label = if file.ends_with("key") { "PRIVATE KEY" } else { "CERTIFICATE" };
        let damaged = format!("-----BEGIN {label}-----\nYWJj\n-----END {label}-----\n");
        assert_renewed(file, |tls| std::fs::write(tls.join(file), damaged).unwrap()).await;
    }
}

#[tokio::test]
async fn certificates_and_keys_that_do_not_belong_together_are_all_made_anew() {
    for copies in [
        &[("stranger.key", "client.key")][..],
        &[("client.key", "stranger.key")],
        &[("client.key", "server.key")],
        // A client's certificate is none for a server, and the other way round.
        &[("client.pem", "server.pem"), ("client.key", "server.key")],
        &[("server.pem", "client.pem"), ("server.key", "client.key")],
    ] {
        assert_renewed(&format!("{copies:?}"), |tls| {
            for (from, to) in copies {
                std::fs::copy(tls.join(from), tls.join(to)).unwrap();
            }
        })
        .await;
    }
    let another = Authority::new().0.pem();
    assert_renewed("another authority", |tls| std::fs::write(tls.join("ca.pem"), another).unwrap()).await;
}

#[tokio::test]
async fn both_ports_are_reached_by_name_and_at_both_loopback_addresses() {
    let dev = Dev::start().await;
    let client = dev.tls_client("client");
    let hosts = ["localhost", "127.0.0.1", "[::1]"];
    for host in hosts.into_iter().take(if has_ipv6() { 3 } else { 2 }) {
        for url in [&dev.url, &dev.mutual_tls_url] {
            health(&client, &url.replace("localhost", host)).await.expect(200);
        }
    }
}

#[tokio::test]
async fn another_host_is_the_only_one_that_it_listens_on_and_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(directory.path(), &["--ephemeral", "--host", "127.0.0.1"]).await;
    assert!(dev.url.starts_with("http://127.0.0.1:"), "{}", dev.url);
    assert!(dev.mutual_tls_url.starts_with("https://127.0.0.1:"), "{}", dev.mutual_tls_url);
    for url in [&dev.url, &dev.mutual_tls_url] {
        health(&dev.tls_client("client"), url).await.expect(200);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_at_either_loopback_address_is_said_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let hosts = ["127.0.0.1", "[::1]"];
    for host in hosts.into_iter().take(if has_ipv6() { 2 } else { 1 }) {
        let taken = TcpListener::bind(format!("{host}:0")).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        for (options, option) in [
            (["--port", &port, "--mutual-tls-port", "0"], "--port"),
            (["--port", "0", "--mutual-tls-port", &port], "--mutual-tls-port"),
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_docyard"));
            command.arg("dev").args(options).arg("--data-dir").arg(directory.path().join("data"));
            let message = said_in_one_line(command);
            let expected = format!("{host}:{port} is already in use");
            assert!(message.contains(&expected) && message.contains(option), "{message}");
        }
    }
    assert!(!directory.path().join("data").exists(), "and nothing was made");
}

#[tokio::test]
async fn neither_silence_nor_what_is_no_tls_keeps_others_from_being_served() {
    let dev = Dev::start().await;
    let silent: Vec<_> = (0..100).map(|_| connect(&dev.mutual_tls_url)).collect();
    let long = [b'x'; 70_000];
    for garbage in [
        &b"GET /v1/healthz HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\xff\xff\x01\x00\x01\xfc\x03\x03",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x01\x00",
        &long,
    ] {
        let mut stream = connect(&dev.mutual_tls_url);
        // The server may close before all is sent.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    }
    health(&dev.tls_client("client"), &dev.mutual_tls_url).await.expect(200);
    for mut stream in silent {
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0]);
        assert!(read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it is still waited for");
    }
}

#[tokio::test]
async fn a_signal_ends_it_cleanly_even_with_a_handshake_half_done() {
    let dev = Dev::start().await;
    let mut half = connect(&dev.mutual_tls_url);
    half.write_all(b"\x16\x03\x01").unwrap();
    health(&dev.tls_client("client"), &dev.mutual_tls_url).await.expect(200);
    assert_eq!(dev.end_with("TERM").await, Some(0));
}

#[tokio::test]
async fn what_it_prints_for_curl_works_whatever_the_directory_is_called() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["plain", "it's \"here\" & $there"] {
        let dev = Dev::start_in(&directory.path().join(name), &[]).await;
        let output = dev.output();
        let (_, block) = output.split_once("Or show a certificate, over mutual TLS:\n").unwrap();
        let (block, _) = block.trim_start().split_once("\n\n").unwrap();
        for version in ["", " --tls-max 1.2", " --tlsv1.3"] {
            let run = Command::new("sh").args(["-euc", &format!("{block}{version}")]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&run.stderr), "", "{name}{version}");
            assert!(run.stdout.starts_with(b"{\"status\":\"ok\""), "{name}{version}");
        }
    }
}
