//! How the operator's commands find DynamoDB, region and credentials, and what they say where they do not.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::AccountId;
use docyard_test_support::proxy::Proxy;
use docyard_test_support::table::{TABLE, TestTable};
use docyard_test_support::trail;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::operator::{printed, program, refusal, refusal_in_one_line, run};

/// A name that is in no DNS.
const HOST: &str = "dynamodb.invalid";

/// `docyard accounts list` at this endpoint, with these variables.
fn list(endpoint: &str, variables: &[(&str, &str)]) -> Command {
    at(endpoint, "accounts list", variables)
}

/// `docyard` with the words of `line`, at this endpoint, with these variables.
fn at(endpoint: &str, line: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = program(line);
    command
        .args(["--table", TABLE, "--endpoint-url", endpoint])
        .envs([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ])
        .envs(variables.iter().copied())
        .stdout(Stdio::piped());
    command
}

/// A server that does TLS in front of `dynamodb`, with a certificate for 127.0.0.1 and [`HOST`] from an authority of
/// its own, whose certificate is put into `directory`; returns its address.
async fn tls_before(dynamodb: &str, directory: &Path) -> String {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    std::fs::write(directory.join("authority.pem"), root.self_signed(&root_key).unwrap().pem()).unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned(), HOST.to_owned()]).unwrap();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let dynamodb = dynamodb.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, dynamodb) = (acceptor.clone(), dynamodb.clone());
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                let _ = copy_bidirectional(&mut tls, &mut TcpStream::connect(dynamodb).await.unwrap()).await;
            });
        }
    });
    address
}

/// A proxy that connects whoever asks to `target`; returns its address and the first lines of what it was asked.
async fn tunnel_to(target: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let shared = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (target, asked) = (target.clone(), shared.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                asked.lock().unwrap().push(head.lines().next().unwrap().to_owned());
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut TcpStream::connect(target).await.unwrap()).await;
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn requests_go_through_the_proxy_that_the_environment_names() {
    let table = TestTable::start().await;
    let account = table.account().await;
    let dock = table.dock(account).await.to_string();
    // Forwards all that it is asked for.
    let (proxy, proxy_url) = Proxy::before(&table).await;
    let endpoint = format!("http://{HOST}");
    let line = format!("docks list --account {account}");
    for name in ["HTTP_PROXY", "http_proxy"] {
        let listed = printed(run(at(&endpoint, &line, &[(name, &proxy_url)]), "").await);
        assert!(listed.contains(&dock), "{listed}");
        assert_eq!(proxy.take_calls(), ["BatchGetItem", "Query"], "{name}");
    }
    // HTTPS_PROXY is for https:// alone.
    refusal_in_one_line(run(at(&endpoint, &line, &[("HTTPS_PROXY", &proxy_url)]), "").await);
    assert!(proxy.calls().is_empty());
}

#[tokio::test]
async fn no_proxy_names_the_hosts_that_are_reached_without_one() {
    let table = TestTable::start().await;
    let account = table.account().await.to_string();
    let nowhere = ("HTTP_PROXY", "http://127.0.0.1:1");
    let refusal = refusal_in_one_line(run(list(&table.url, &[nowhere]), "").await);
    assert!(refusal.contains("DynamoDB cannot be reached"), "{refusal}");
    let listed = printed(run(list(&table.url, &[nowhere, ("NO_PROXY", "example.com,127.0.0.1")]), "").await);
    assert!(listed.contains(&account), "{listed}");
}

#[tokio::test]
async fn an_authority_of_the_networks_own_is_trusted_if_aws_ca_bundle_holds_it() {
    let table = TestTable::start().await;
    let account = table.account().await.to_string();
    let directory = tempfile::tempdir().unwrap();
    let address = tls_before(&table.url, directory.path()).await;
    let endpoint = format!("https://{address}");
    let refusal = refusal_in_one_line(run(list(&endpoint, &[]), "").await);
    assert!(refusal.contains("UnknownIssuer") && refusal.contains("AWS_CA_BUNDLE"), "{refusal}");
    let bundle = directory.path().join("authority.pem");
    let bundle = ("AWS_CA_BUNDLE", bundle.to_str().unwrap());
    assert!(printed(run(list(&endpoint, &[bundle]), "").await).contains(&account));

    // And through a proxy, which sees no more than the host.
    let (proxy, asked) = tunnel_to(address).await;
    let endpoint = format!("https://{HOST}");
    let variables = [bundle, ("HTTPS_PROXY", &*proxy)];
    assert!(printed(run(list(&endpoint, &variables), "").await).contains(&account));
    assert_eq!(*asked.lock().unwrap(), [format!("CONNECT {HOST}:443 HTTP/1.1")]);
}

#[tokio::test]
async fn a_wrong_setting_of_the_network_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, garbage) = (file("empty.pem", ""), file("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA"));
    let unreadable = file("unreadable.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (variable, value, message) in [
        (
            "AWS_CA_BUNDLE",
            "/nowhere/bundle.pem",
            "AWS_CA_BUNDLE: cannot read /nowhere/bundle.pem: No such file",
        ),
        ("AWS_CA_BUNDLE", &empty, "empty.pem has no certificate"),
        ("AWS_CA_BUNDLE", &garbage, "garbage.pem"),
        ("AWS_CA_BUNDLE", &unreadable, "unreadable.pem has no certificate"),
        ("HTTPS_PROXY", "http://user:hunter2@[", "HTTPS_PROXY is not the URL of a proxy"),
        ("http_proxy", "socks5://127.0.0.1:1", "http_proxy is not the URL of a proxy"),
        ("AWS_ENDPOINT_URL", "localhost:8000", "AWS_ENDPOINT_URL is not a URL"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "x", "AWS_ENDPOINT_URL_DYNAMODB is not a URL"),
    ] {
        let refusal = refusal_in_one_line(run(list("http://127.0.0.1:1", &[(variable, value)]), "").await);
        assert!(refusal.contains(message), "{variable}={value}: {refusal}");
        assert!(!refusal.contains("hunter2"));
    }
    for url in ["localhost:8000", "ftp://localhost", "http://", "127.0.0.1", ""] {
        let refusal = refusal(run(list(url, &[]), "").await);
        assert!(refusal.contains("must be a URL") && refusal.contains("--endpoint-url"), "{url}: {refusal}");
    }
}

#[tokio::test]
async fn what_is_missing_of_region_and_credentials_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
    std::fs::write(
        home.path().join(".aws/config"),
        "[default]\n\
         region = eu-central-1\n\
         [profile sso]\n\
         region = eu-central-1\n\
         sso_session = corp\n\
         sso_account_id = 123456789012\n\
         sso_role_name = Operator\n\
         [profile legacy]\n\
         region = eu-central-1\n\
         sso_start_url = https://example.invalid/start\n\
         sso_region = eu-central-1\n\
         sso_account_id = 123456789012\n\
         sso_role_name = Operator\n\
         [profile role]\n\
         region = eu-central-1\n\
         role_arn = arn:aws:iam::123456789012:role/Operator\n\
         source_profile = expired\n\
         [profile expired]\n\
         region = eu-central-1\n\
         sso_session = old\n\
         sso_account_id = 123456789012\n\
         sso_role_name = Operator\n\
         [profile console]\n\
         region = eu-central-1\n\
         login_session = arn:aws:iam::123456789012:user/Operator\n\
         [profile process]\n\
         region = eu-central-1\n\
         credential_process = sh -c 'echo locked out >&2; echo again >&2; exit 3'\n\
         [profile nowhere]\n\
         role_arn = arn:aws:iam::123456789012:role/Operator\n\
         [profile unsourced]\n\
         region = eu-central-1\n\
         role_arn = arn:aws:iam::123456789012:role/Operator\n\
         source_profile = gone\n\
         [profile circle]\n\
         region = eu-central-1\n\
         role_arn = arn:aws:iam::123456789012:role/Operator\n\
         source_profile = elcric\n\
         [profile elcric]\n\
         role_arn = arn:aws:iam::123456789012:role/Operator\n\
         source_profile = circle\n\
         [sso-session corp]\n\
         sso_region = eu-central-1\n\
         sso_start_url = https://example.invalid/start\n\
         [sso-session old]\n\
         sso_region = eu-central-1\n\
         sso_start_url = https://example.invalid/start\n",
    )
    .unwrap();
    // The SHA-1 of the session's name, `old`.
    std::fs::write(
        home.path().join(".aws/sso/cache/c00dbbc9dadfbe1e232e93a729dd4752fade0abf.json"),
        r#"{"accessToken": "hunter2", "expiresAt": "2020-01-01T00:00:00Z", "startUrl": "https://example.invalid/start"}"#,
    )
    .unwrap();
    let keys = [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];
    let profile = |name| vec![("AWS_PROFILE", name)];
    for (variables, messages) in [
        (profile("none"), &["no profile none", "~/.aws/config", "AWS_PROFILE"][..]),
        (profile("sso"), &["profile sso", "aws sso login --profile sso"]),
        (profile("legacy"), &["profile legacy", "aws sso login --profile legacy"]),
        (profile("expired"), &["expired", "aws sso login --profile expired"]),
        (profile("role"), &["expired", "aws sso login --profile expired"]),
        (profile("console"), &["profile console", "aws login --profile console"]),
        (profile("process"), &["profile process", "locked out again"]),
        (profile("nowhere"), &["no region", "AWS_REGION"]),
        (profile("unsourced"), &["no profile gone", "source_profile"]),
        (profile("circle"), &["profile circle", "infinite loop"]),
        (vec![], &["no credentials", "aws configure"]),
        (vec![("AWS_ACCESS_KEY_ID", "local")], &["no credentials"]),
        (
            vec![
                ("AWS_EC2_METADATA_DISABLED", "false"),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"),
            ],
            &["no credentials", "aws configure"],
        ),
        (vec![("AWS_PROFILE", "nowhere"), keys[0], keys[1]], &["no region", "AWS_REGION"]),
        (vec![("AWS_CONFIG_FILE", "/nowhere/config"), ("AWS_PROFILE", "none")], &["/nowhere/config"]),
    ] {
        let mut command = program("accounts list --table docyard --endpoint-url http://127.0.0.1:1");
        command.env("HOME", home.path()).env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
        command.stdout(Stdio::piped());
        let refusal = refusal_in_one_line(run(command, "").await);
        for message in messages {
            assert!(refusal.contains(message), "{variables:?}: {refusal}");
        }
        assert!(!refusal.contains("hunter2"));
    }
}

/// A server that answers every request with this body as AWS STS does; its address.
async fn sts(status: StatusCode, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move || async move { (status, [("content-type", "text/xml")], body) };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

#[tokio::test]
async fn the_audit_trail_names_the_operator_as_aws_does_or_else_by_the_access_key() {
    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/Operator/jane";
    let known = sts(
        StatusCode::OK,
        r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
        <Arn>arn:aws:sts::123456789012:assumed-role/Operator/jane</Arn><UserId>AROA:jane</UserId>
        <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"#,
    )
    .await;
    let refused = sts(StatusCode::FORBIDDEN, "<ErrorResponse/>").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (variables, actor, is_quick) in [
        (vec![("AWS_ENDPOINT_URL_STS", known.as_str())], ARN, true),
        (vec![("AWS_ENDPOINT_URL_STS", &refused)], "local", true),
        (vec![("AWS_ENDPOINT_URL_STS", &silent)], "local", false),
        (vec![], "local", true),
    ] {
        let table = TestTable::start().await;
        let run = async |line: &str, last: &[&str]| {
            let mut command = at(&table.url, line, &variables);
            command.args(last);
            printed(run(command, "").await)
        };
        let account = run("accounts create", &["--name", "A"]).await;
        let account = account.trim();
        if !is_quick {
            let entries = trail::entries(&table.items().await);
            assert_eq!(trail::text(&entries[0], "actor"), actor);
            continue;
        }
        run("keys create --mode live --name K", &["--account", account]).await;
        let id = table.store.api_keys(AccountId::parse(account).unwrap()).await.unwrap()[0].id.to_string();
        for _ in 0..2 {
            run("keys revoke", &["--account", account, &id]).await;
        }
        trail::assert_explains(&table).await;
        let entries = trail::entries(&table.items().await);
        let mut told: Vec<_> = entries.iter().map(|entry| trail::text(entry, "action")).collect();
        told.sort_unstable();
        assert_eq!(told, ["create", "create", "revoke"], "a second revocation leaves none");
        for entry in &entries {
            assert_eq!((trail::text(entry, "actor"), trail::text(entry, "source")), (actor, "operator"));
        }
    }
}

#[tokio::test]
async fn an_operators_entries_are_kept_as_long_as_the_deployments() {
    let table = TestTable::start().await;
    for (days, variables) in [("30", vec![]), ("31", vec![("AUDIT_RETENTION_DAYS", "31")])] {
        let mut command = at(&table.url, "accounts create --name A", &variables);
        if variables.is_empty() {
            command.args(["--audit-retention-days", days]);
        }
        printed(run(command, "").await);
    }
    let items = table.items().await;
    let mut kept: Vec<i64> = items
        .iter()
        .filter(|item| trail::is_entry(item))
        .map(|entry| {
            let created = Timestamp::parse(trail::text(entry, "createdAt")).unwrap();
            let ttl: i64 = entry["ttl"].as_n().unwrap().parse().unwrap();
            (ttl - created.unix_seconds_rounded_up()) / 86_400
        })
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, [30, 31]);
    let none = at(&table.url, "accounts create --name A --audit-retention-days 0", &[]);
    assert_eq!(run(none, "").await.status.code(), Some(2));
}
