//! Certificates: registered, listed, read, revoked.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use docyard_test_support::certificate;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::{read, redacted};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, date_time_ymd};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::institution::{HOUR, Institution, MINUTE, recipe_with_certificate};
use crate::{
    UNKNOWN_RECIPIENT, ask, assert_invalid, assert_not_found, is_id, is_timestamp, post, text,
    without_request_id, wrong_fields,
};

const UNKNOWN: &str = "crt_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";

/// A certificate that rcgen cannot make.
fn fixture(name: &str) -> String {
    read(&format!("tests/support/certificates/{name}.pem"))
}

fn path(recipient: &str) -> String {
    format!("/v1/recipients/{recipient}/certificates")
}

async fn register(dev: &Dev, recipient: &str, certificate: impl Into<Value>) -> Answer {
    post(dev, &path(recipient), json!({"name": "A certificate", "certificate": certificate.into()})).await
}

async fn revoke(dev: &Dev, recipient: &str, certificate: &str) -> Answer {
    send(dev.post(&format!("{}/{certificate}/revoke", path(recipient)))).await
}

async fn list(dev: &Dev, recipient: &str) -> Vec<Value> {
    dev.get(&path(recipient)).await.expect(200).as_array().unwrap().clone()
}

/// `x5t#S256` of RFC 8705, of the only block of a PEM text.
fn thumbprint(pem: &str) -> String {
    let block = pem.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap();
    let block = block.split("-----END CERTIFICATE-----").next().unwrap();
    let base64: String = block.split_whitespace().collect();
    URL_SAFE_NO_PAD.encode(Sha256::digest(STANDARD.decode(base64).unwrap()))
}

/// A key in PEM.
fn private_key() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

#[tokio::test]
async fn a_certificate_is_registered_with_exactly_these_fields() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let pem = fixture("rsa-2048");
    let body = json!({"name": "  First National Bank, 2026 ", "certificate": pem});
    let answer = post(&dev, &path(&recipient), body).await;
    let shown = answer.expect(201);
    assert!(is_id(&shown["id"], "crt_"));
    for time in ["notBefore", "notAfter", "createdAt"] {
        assert!(is_timestamp(&shown[time]), "{time}");
    }
    assert!(shown["notBefore"].as_str() < shown["notAfter"].as_str());
    let thumbprint = thumbprint(&pem);
    assert_eq!(thumbprint.len(), 43);
    let name = "CN=rsa-2048,O=First National\\, Söhne & Co.,C=AT";
    let expected = json!({
        "id": shown["id"], "recipientId": recipient, "name": "First National Bank, 2026",
        "thumbprint": thumbprint, "subject": name, "issuer": name,
        "serialNumber": "FEDCBA98765432100123456789ABCDEF",
        "notBefore": shown["notBefore"], "notAfter": shown["notAfter"], "status": "ACTIVE",
        "createdAt": shown["createdAt"], "revokedAt": null,
    });
    assert_eq!(shown, expected);
    let location = answer.header("location");
    assert_eq!(location, format!("{}/{}", path(&recipient), text(&shown["id"])));
    assert_eq!(dev.get(location).await.expect(200), expected);
    assert_eq!(list(&dev, &recipient).await, [expected]);
}

#[tokio::test]
async fn a_certificate_is_valid_between_the_times_that_it_says() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (from, to) = (it.after(0), it.after(HOUR));
    let registered = it.register(&lender, &certificate::valid("a", from, to)).await;
    let shown =
        (text(&registered.body["notBefore"]).to_owned(), text(&registered.body["notAfter"]).to_owned());
    assert_eq!(shown, (from.to_string(), to.to_string()));
}

#[tokio::test]
async fn the_thumbprint_is_of_the_certificate_however_its_text_is_laid_out() {
    let dev = Dev::start().await;
    let pem = fixture("ecdsa-p256");
    let expected = thumbprint(&pem);
    for laid_out in [
        pem.clone(),
        pem.replace('\n', "\r\n"),
        pem.trim_end().to_owned(),
        format!("Certificate:\n    Data: Version: 3\nsubject=CN = a\n{pem}\nand so on — ✓\n"),
        format!("\u{feff}\n\n{pem}\n\n"),
    ] {
        let recipient = dev.recipient().await;
        let shown = register(&dev, &recipient, laid_out.as_str()).await.expect(201);
        assert_eq!(shown["thumbprint"], expected.as_str(), "{laid_out}");
    }
}

#[tokio::test]
async fn a_certificate_is_one_block_of_pem() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let pem = certificate::new("a");
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let not_a_certificate = STANDARD.encode("not a certificate");
    for (what, value) in [
        ("missing", Value::Null),
        ("no text", json!({"pem": pem})),
        ("a list", json!([pem])),
        ("empty", json!("")),
        ("nothing but space", json!(" \n ")),
        ("other text", json!("x")),
        ("two", json!(format!("{pem}{}", certificate::new("b")))),
        ("the same twice", json!(format!("{pem}{pem}"))),
        ("no block", json!(base64)),
        ("a request", json!(pem.replace("CERTIFICATE", "CERTIFICATE REQUEST"))),
        ("a public key", json!(pem.replace("CERTIFICATE", "PUBLIC KEY"))),
        ("no end", json!(pem.split("-----END").next().unwrap())),
        ("no beginning", json!(pem.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap())),
        ("no base64", json!("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n")),
        ("an empty block", json!("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")),
        (
            "no DER",
            json!(format!("-----BEGIN CERTIFICATE-----\n{not_a_certificate}\n-----END CERTIFICATE-----\n")),
        ),
    ] {
        let answer = register(&dev, &recipient, value).await;
        assert_eq!(wrong_fields(&answer), ["certificate"], "{what}");
    }
    assert_eq!(list(&dev, &recipient).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_private_key_is_refused_wherever_it_is_and_never_repeated() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let (pem, key) = (certificate::new("a"), private_key());
    let secret_line = key.lines().nth(1).unwrap();
    let labelled = |label: &str| key.replace("PRIVATE KEY", label);
    for (what, value) in [
        ("alone", key.clone()),
        ("after it", format!("{pem}{key}")),
        ("before it", format!("{key}{pem}")),
        ("between two", format!("{pem}{key}{pem}")),
        ("amid text", format!("a key: {key}{pem}")),
        ("with other line ends", format!("{pem}{key}").replace('\n', "\r\n")),
        ("of RSA", format!("{pem}{}", labelled("RSA PRIVATE KEY"))),
        ("of an elliptic curve", format!("{pem}{}", labelled("EC PRIVATE KEY"))),
        ("encrypted", format!("{pem}{}", labelled("ENCRYPTED PRIVATE KEY"))),
        ("of OpenSSH", format!("{}{pem}", labelled("OPENSSH PRIVATE KEY"))),
        ("without an end", format!("{pem}{}", key.split("-----END").next().unwrap())),
        ("indented", format!("{pem}{}", key.replace('\n', "\n    "))),
    ] {
        let answer = register(&dev, &recipient, value.as_str()).await;
        assert_eq!(wrong_fields(&answer), ["certificate"], "{what}");
        let repeated = answer.text.contains(secret_line) || answer.text.contains("BEGIN");
        assert!(!repeated, "{what}: the answer repeats it");
        let told = text(&answer.json()["details"][0]["message"]).contains("private key");
        assert!(told, "{what}: {}", redacted(&answer.text));
    }
    // Larger than what is read of it.
    let large = format!("{key}{}", "x".repeat(16 * 1024));
    let answer = register(&dev, &recipient, large).await;
    assert_eq!(wrong_fields(&answer), ["certificate"]);
    assert!(!answer.text.contains(secret_line));
    let kept = dev.table.items().await.iter().any(|item| format!("{item:?}").contains(secret_line));
    assert!(!kept, "it is not stored");
    assert!(!dev.output().contains(secret_line), "it is not logged");
}

#[tokio::test]
async fn keys_and_signatures_that_api_gateway_refuses_are_refused() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for name in ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521"] {
        register(&dev, &recipient, fixture(name)).await.expect(201);
    }
    for name in [
        "rsa-1024",
        "rsa-2047",
        "rsa-sha1",
        "rsa-pss-sha1",
        "ecdsa-p256-sha1",
        "ecdsa-secp256k1",
        "ecdsa-explicit",
        "ed25519",
        "dsa",
    ] {
        assert_eq!(wrong_fields(&register(&dev, &recipient, fixture(name)).await), ["certificate"], "{name}");
    }
    assert_eq!(list(&dev, &recipient).await.len(), 4);
}

#[tokio::test]
async fn a_text_has_at_most_16_kib() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let pem = certificate::new("a");
    let filler = |length: usize| format!("{pem}{}", "x".repeat(length - pem.len()));
    assert_invalid(&register(&dev, &recipient, filler(16 * 1024 + 1)).await, "certificate", "16,384");
    let wide = format!("{pem}{}", "é".repeat((16 * 1024 + 2 - pem.len()) / 2));
    assert!(wide.len() > 16 * 1024 && wide.chars().count() < 16 * 1024, "bytes, not characters");
    assert_invalid(&register(&dev, &recipient, wide).await, "certificate", "16,384");
    register(&dev, &recipient, filler(16 * 1024)).await.expect(201);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let answer = post(&dev, &path(&recipient), json!({})).await;
    assert_eq!(wrong_fields(&answer), ["name", "certificate"]);
    let body = json!({"name": "", "certificate": "x", "notAfter": "2030-01-01T00:00:00Z"});
    let answer = post(&dev, &path(&recipient), body.clone()).await;
    let mut wrong = wrong_fields(&answer);
    wrong.sort();
    assert_eq!(wrong, ["certificate", "name", "notAfter"]);
    let to = format!("{}?force=1", path(&recipient));
    let answer = ask(&dev, Method::POST, &to, &[("idempotency-key", "é")], &body).await;
    let wrong = wrong_fields(&answer);
    for expected in ["certificate", "name", "notAfter", "force", "Idempotency-Key"] {
        assert!(wrong.iter().any(|field| field.eq_ignore_ascii_case(expected)), "{expected} in {wrong:?}");
    }
    for name in [json!("a\u{0}b"), json!("x".repeat(201)), json!(1), json!(" ")] {
        let body = json!({"name": name, "certificate": certificate::new("a")});
        assert_eq!(wrong_fields(&post(&dev, &path(&recipient), body).await), ["name"]);
    }
    let twice = format!("{{\"name\":\"A\",\"name\":\"B\",\"certificate\":{}}}", json!(certificate::new("a")));
    assert_eq!(wrong_fields(&send(dev.post(&path(&recipient)).body(twice)).await), ["name"]);
    let request = || dev.post(&path(&recipient)).body("{}");
    send(request().header("content-type", "application/x-pem-file")).await.expect(415);
    send(dev.post(&path(&recipient)).body(" ".repeat(64 * 1024 + 1))).await.expect(413);
    assert_eq!(list(&dev, &recipient).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_certificate_begins_and_ends_by_our_clock() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let status = async |id: &str| {
        let alone = it.get_certificate(&lender, id).await;
        let listed = it.ask("list-certificates", &[("recipientId", &lender)], Value::Null).await.list();
        assert!(listed.contains(&alone.body));
        text(&alone.body["status"]).to_owned()
    };
    let ended = certificate::valid("ended", it.after(0), it.after(MINUTE));
    it.pass(MINUTE);
    let refused = it.register(&lender, &ended).await;
    assert_eq!(refused.status, 400, "{}", refused.shown());
    assert_eq!(refused.body["details"].as_array().unwrap().len(), 1);
    assert_eq!(refused.body["details"][0]["field"], "certificate");
    assert!(text(&refused.body["details"][0]["message"]).contains("expired"), "{}", refused.shown());

    let early = it.register(&lender, &certificate::valid("early", it.after(MINUTE), it.after(HOUR))).await;
    let id = early.id(201);
    assert_eq!(early.body["status"], "NOT_YET_VALID");
    it.pass(MINUTE - 1);
    assert_eq!(status(&id).await, "NOT_YET_VALID");
    it.pass(1);
    assert_eq!(status(&id).await, "ACTIVE");
    it.pass(59 * MINUTE - 1);
    assert_eq!(status(&id).await, "ACTIVE");
    it.pass(1);
    assert_eq!(status(&id).await, "EXPIRED");
    it.revoke_certificate(&lender, &id).await;
    assert_eq!(status(&id).await, "REVOKED", "an expired one");
    let later = certificate::valid("later", it.after(HOUR), it.after(2 * HOUR));
    let later = it.certificate(&lender, &later).await;
    it.revoke_certificate(&lender, &later).await;
    assert_eq!(status(&later).await, "REVOKED", "one that has not begun");
}

#[tokio::test]
async fn to_revoke_is_final_and_a_success_again() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let id = it.certificate(&lender, &certificate::new("a")).await;
    let before = it.get_certificate(&lender, &id).await.body;
    let revoked_at = it.now().to_string();
    it.revoke_certificate(&lender, &id).await;
    let mut expected = before;
    expected["status"] = json!("REVOKED");
    expected["revokedAt"] = json!(revoked_at);
    assert_eq!(it.get_certificate(&lender, &id).await.body, expected);
    it.pass(MINUTE);
    it.revoke_certificate(&lender, &id).await;
    assert_eq!(it.get_certificate(&lender, &id).await.body, expected, "nothing changed");
    assert_eq!(it.trail_of("certificate", &id).await.len(), 2, "nor is there an entry");
}

#[tokio::test]
async fn to_revoke_takes_no_body() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let id = text(&register(&dev, &recipient, certificate::new("a")).await.expect(201)["id"]).to_owned();
    let to = format!("{}/{id}/revoke", path(&recipient));
    assert_eq!(wrong_fields(&post(&dev, &to, json!({"reason": "lost"})).await), ["reason"]);
    send(dev.post(&to).body("x")).await.expect(400);
    send(dev.post(&format!("{to}?force=1"))).await.expect(400);
    assert_eq!(list(&dev, &recipient).await[0]["status"], "ACTIVE");
    assert_eq!(post(&dev, &to, json!({})).await.expect(200), json!({"success": true}));
    assert_eq!(list(&dev, &recipient).await[0]["status"], "REVOKED");
}

#[tokio::test]
async fn one_that_is_registered_already_is_named_and_once_revoked_is_registered_under_a_new_id() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let pem = certificate::new("a");
    let first = text(&register(&dev, &recipient, pem.as_str()).await.expect(201)["id"]).to_owned();
    for again in [pem.clone(), pem.replace('\n', "\r\n"), format!("text\n{pem}")] {
        let conflict = register(&dev, &recipient, again).await.expect(409);
        assert_eq!(
            (text(&conflict["certificateId"]), &conflict["error"]),
            (first.as_str(), &json!("Conflict"))
        );
    }
    assert_eq!(list(&dev, &recipient).await.len(), 1);
    revoke(&dev, &recipient, &first).await.expect(200);
    let second = text(&register(&dev, &recipient, pem.as_str()).await.expect(201)["id"]).to_owned();
    assert_ne!(second, first);
    let statuses: Vec<(Value, Value)> =
        list(&dev, &recipient).await.iter().map(|it| (it["id"].clone(), it["status"].clone())).collect();
    assert_eq!(statuses, [(json!(second), json!("ACTIVE")), (json!(first), json!("REVOKED"))]);
    let conflict = register(&dev, &recipient, pem.as_str()).await.expect(409);
    assert_eq!(text(&conflict["certificateId"]), second);
    revoke(&dev, &recipient, &first).await.expect(200);
    assert_eq!(list(&dev, &recipient).await[0]["status"], "ACTIVE", "the earlier one ends nothing of it");
}

mod idempotency {
    use super::*;

    async fn register_with(dev: &Dev, recipient: &str, key: &str, body: &Value) -> Answer {
        ask(dev, Method::POST, &path(recipient), &[("idempotency-key", key)], body).await
    }

    fn body(pem: &str) -> Value {
        json!({"name": "A certificate", "certificate": pem})
    }

    #[tokio::test]
    async fn a_key_and_a_body_register_one_certificate() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let body = body(&certificate::new("a"));
        let first = register_with(&dev, &recipient, "k1", &body).await;
        let registered = first.expect(201);
        assert_eq!(first.header("idempotent-replayed"), "");
        for key in ["k1", "\"k1\""] {
            let again = register_with(&dev, &recipient, key, &body).await;
            assert_eq!(again.expect(201), registered, "not the 409 that this very key caused");
            assert_eq!(again.header("idempotent-replayed"), "true");
            assert_eq!(again.header("location"), first.header("location"));
        }
        let reordered = format!(
            "{{ \"certificate\": {}, \"name\": \"A certificate\" }}",
            json!(text(&body["certificate"]))
        );
        let request = dev.post(&path(&recipient)).header("idempotency-key", "k1").body(reordered);
        assert_eq!(send(request).await.expect(201), registered);
        assert_eq!(list(&dev, &recipient).await.len(), 1);
        let conflict = register_with(&dev, &recipient, "k2", &body).await;
        assert_eq!(conflict.expect(409)["certificateId"], registered["id"], "another key");
        assert_eq!(conflict.header("idempotent-replayed"), "");
    }

    #[tokio::test]
    async fn another_body_is_refused_also_where_it_would_be_a_conflict() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let pem = certificate::new("a");
        register_with(&dev, &recipient, "k", &body(&pem)).await.expect(201);
        for other in [
            body(&certificate::new("b")),
            json!({"name": "Another name", "certificate": pem}),
            body(&format!("text\n{pem}")),
        ] {
            register_with(&dev, &recipient, "k", &other).await.expect(422);
        }
        assert_eq!(list(&dev, &recipient).await.len(), 1);
        let other = dev.recipient().await;
        let elsewhere = register_with(&dev, &other, "k", &body(&pem)).await;
        assert_eq!(elsewhere.expect(201)["recipientId"], other.as_str(), "a key is of one path");
        assert_eq!(elsewhere.header("idempotent-replayed"), "");
    }

    #[tokio::test]
    async fn the_first_answer_is_given_again_at_the_limit_and_after_a_revocation() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let body = body(&certificate::new("a"));
        let first = register_with(&dev, &recipient, "k", &body).await.expect(201);
        for n in 1..10 {
            register(&dev, &recipient, certificate::new(&n.to_string())).await.expect(201);
        }
        register(&dev, &recipient, certificate::new("one more")).await.expect(409);
        assert_eq!(register_with(&dev, &recipient, "k", &body).await.expect(201), first);
        revoke(&dev, &recipient, text(&first["id"])).await.expect(200);
        let again = register_with(&dev, &recipient, "k", &body).await;
        assert_eq!(again.expect(201), first);
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(list(&dev, &recipient).await.len(), 10, "it was not registered again");
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let pem = certificate::new("a");
        let id = text(&register(&dev, &recipient, pem.as_str()).await.expect(201)["id"]).to_owned();
        register_with(&dev, &recipient, "k", &body(&pem)).await.expect(409);
        revoke(&dev, &recipient, &id).await.expect(200);
        let registered = register_with(&dev, &recipient, "k", &body(&pem)).await;
        assert_ne!(registered.expect(201)["id"], id.as_str());
        assert_eq!(registered.header("idempotent-replayed"), "");
    }

    #[tokio::test]
    async fn the_first_answer_is_given_again_when_the_certificate_has_expired_since() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let pem = certificate::valid("a", it.after(0), it.after(MINUTE));
        let ask = async || {
            let parameters = [("recipientId", lender.as_str())];
            let headers = [("idempotency-key", "k")];
            it.ask_with("register-certificate", &parameters, "", &headers, body(&pem)).await
        };
        let first = ask().await;
        first.id(201);
        it.pass(MINUTE);
        let again = ask().await;
        assert_eq!((again.status, &again.text), (201, &first.text));
        assert_eq!(again.headers["idempotent-replayed"], "true");
    }

    #[tokio::test]
    async fn after_24_hours_a_key_is_new() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let pem = certificate::new("a");
        let ask = async || {
            let parameters = [("recipientId", lender.as_str())];
            let headers = [("idempotency-key", "k")];
            it.ask_with("register-certificate", &parameters, "", &headers, body(&pem)).await
        };
        let first = ask().await.id(201);
        it.pass(24 * HOUR - 1);
        let replayed = ask().await;
        assert_eq!(
            (replayed.id(201), replayed.headers["idempotent-replayed"].as_str()),
            (first.clone(), "true")
        );
        it.pass(1);
        let conflict = ask().await;
        assert_eq!((conflict.status, text(&conflict.body["certificateId"])), (409, first.as_str()));
        it.revoke_certificate(&lender, &first).await;
        assert_ne!(ask().await.id(201), first);
    }
}

#[tokio::test]
async fn a_recipient_has_at_most_ten_that_are_neither_revoked_nor_expired() {
    let it = Institution::new().await;
    let (lender, other) = (it.lender("a").await, it.lender("b").await);
    let new = |name: &str, from: u64, to: u64| certificate::valid(name, it.after(from), it.after(to));
    let revoked = it.certificate(&lender, &new("revoked", 0, HOUR)).await;
    it.revoke_certificate(&lender, &revoked).await;
    it.certificate(&lender, &new("expires", 0, MINUTE)).await;
    let early = it.certificate(&lender, &new("early", HOUR, 2 * HOUR)).await;
    for n in 0..8 {
        it.certificate(&lender, &new(&n.to_string(), 0, HOUR)).await;
    }
    let full = async || {
        let refused = it.register(&lender, &new("one more", 0, HOUR)).await;
        assert_eq!(
            (refused.status, &refused.body["error"]),
            (409, &json!("Conflict")),
            "{}",
            refused.shown()
        );
        assert!(refused.body.get("certificateId").is_none());
    };
    full().await;
    it.certificate(&other, &new("of another recipient", 0, HOUR)).await;
    it.pass(MINUTE - 1);
    full().await;
    it.pass(1);
    it.certificate(&lender, &new("for the one that expired", 0, HOUR)).await;
    full().await;
    it.revoke_certificate(&lender, &early).await;
    it.certificate(&lender, &new("for one that had not begun", 0, HOUR)).await;
    full().await;
    let listed = it.ask("list-certificates", &[("recipientId", &lender)], Value::Null).await.list();
    assert_eq!(listed.len(), 13, "all are listed");
}

#[tokio::test]
async fn certificates_are_listed_newest_first_page_by_page() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    assert_eq!(dev.get(&path(&recipient)).await.expect(200), json!([]));
    let mut expected = Vec::new();
    for n in 0..5 {
        let registered = register(&dev, &recipient, certificate::new(&n.to_string())).await.expect(201);
        expected.insert(0, registered);
    }
    let id = text(&expected[2]["id"]).to_owned();
    revoke(&dev, &recipient, &id).await.expect(200);
    expected[2] = dev.get(&format!("{}/{id}", path(&recipient))).await.expect(200);
    assert_eq!(expected[2]["status"], "REVOKED");
    // Those of one millisecond are in no order of their own.
    expected.sort_by(|a, b| text(&b["id"]).cmp(text(&a["id"])));
    let created: Vec<&str> = expected.iter().map(|it| text(&it["createdAt"])).collect();
    assert!(created.is_sorted_by(|a, b| a >= b));
    for limit in [1, 2, 3, 1000] {
        let (listed, pages) = dev.pages(&format!("{}?limit={limit}", path(&recipient))).await;
        assert_eq!(listed, expected, "{limit}");
        assert!(pages >= 5usize.div_ceil(limit), "{limit}");
    }
    for wrong in ["limit=0", "limit=1001", "limit=x", "status=ACTIVE", "limit=1&limit=2", "cursor=x"] {
        let answer = dev.get(&format!("{}?{wrong}", path(&recipient))).await;
        assert_eq!(wrong_fields(&answer), [wrong.split('=').next().unwrap()], "{wrong}");
    }
    assert_eq!(wrong_fields(&dev.get(&format!("{}/{id}?limit=1", path(&recipient))).await), ["limit"]);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let dev = Dev::start().await;
    let (recipient, other) = (dev.recipient().await, dev.recipient().await);
    for (of, name) in [(&recipient, "a"), (&recipient, "b"), (&other, "c"), (&other, "d")] {
        register(&dev, of, certificate::new(name)).await.expect(201);
        dev.secret(of).await;
    }
    let next = async |list: String| dev.get(&format!("{list}?limit=1")).await.next().unwrap();
    let secrets = |of: &str| format!("/v1/recipients/{of}/secrets");
    let query = |next: &str| next.split_once('?').unwrap().1.to_owned();
    let own = query(&next(path(&recipient)).await);
    dev.get(&format!("{}?{own}", path(&recipient))).await.expect(200);
    for (what, list, query) in [
        ("another recipient's", path(&other), own.clone()),
        ("the secrets'", path(&recipient), query(&next(secrets(&recipient)).await)),
        ("of certificates for secrets", secrets(&recipient), own.clone()),
        ("of certificates for recipients", dev.recipients_path(), own.clone()),
        ("damaged", path(&recipient), own.replace("cursor=", "cursor=x")),
    ] {
        assert_eq!(wrong_fields(&dev.get(&format!("{list}?{query}")).await), ["cursor"], "{what}");
    }
}

#[tokio::test]
async fn what_is_not_the_recipients_is_not_found_in_the_same_words() {
    let mut dev = Dev::start().await;
    let (own_key, own_dock) = (dev.key.clone(), dev.dock.clone());
    let (recipient, sibling) = (dev.recipient().await, dev.recipient().await);
    let of_sibling =
        text(&register(&dev, &sibling, certificate::new("a")).await.expect(201)["id"]).to_owned();
    let account = dev.table.account().await;
    (dev.key, dev.dock) = (dev.table.key(account).await, dev.table.dock(account).await.to_string());
    let foreign = dev.recipient().await;
    let of_foreign =
        text(&register(&dev, &foreign, certificate::new("b")).await.expect(201)["id"]).to_owned();
    (dev.key, dev.dock) = (own_key, own_dock);

    let certificates = [UNKNOWN, &of_sibling, &of_foreign, "crt_x", "x", "%20", &UNKNOWN.to_lowercase()];
    let pairs = certificates.into_iter().map(|certificate| (recipient.as_str(), certificate));
    let elsewhere = [
        (UNKNOWN_RECIPIENT, UNKNOWN),
        (UNKNOWN_RECIPIENT, &of_sibling),
        (&foreign, &of_foreign),
        ("rcp_x", &of_sibling),
        (&of_sibling, &of_sibling),
    ];
    let mut gets = Vec::new();
    let mut revocations = Vec::new();
    for (recipient, certificate) in pairs.chain(elsewhere) {
        let got = dev.get(&format!("{}/{certificate}", path(recipient))).await;
        assert_not_found(&got, "Certificate");
        gets.push(without_request_id(&got));
        let revoked = revoke(&dev, recipient, certificate).await;
        assert_not_found(&revoked, "Certificate");
        revocations.push(without_request_id(&revoked));
    }
    let mut lists = Vec::new();
    for recipient in [UNKNOWN_RECIPIENT, &foreign, "rcp_x", "x", &of_sibling, "%2F"] {
        for answer in
            [dev.get(&path(recipient)).await, register(&dev, recipient, certificate::new("c")).await]
        {
            assert_not_found(&answer, "Recipient");
            lists.push(without_request_id(&answer));
        }
    }
    for answers in [gets, revocations, lists] {
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    assert_eq!(list(&dev, &sibling).await[0]["status"], "ACTIVE", "nothing was revoked");
}

#[tokio::test]
async fn one_certificate_is_registered_for_several_recipients_and_no_answer_tells_of_the_others() {
    let dev = Dev::start().await;
    let (a, b) = (dev.recipient().await, dev.recipient().await);
    let pem = certificate::new("shared");
    let of_a = register(&dev, &a, pem.as_str()).await.expect(201);
    let answer = register(&dev, &b, pem.as_str()).await;
    let of_b = answer.expect(201);
    assert_ne!(of_a["id"], of_b["id"]);
    assert_eq!(of_a["thumbprint"], of_b["thumbprint"]);
    let (id_a, id_b) = (text(&of_a["id"]).to_owned(), text(&of_b["id"]).to_owned());
    let about_b = [
        answer,
        register(&dev, &b, pem.as_str()).await,
        dev.get(&path(&b)).await,
        dev.get(&format!("{}/{id_b}", path(&b))).await,
        revoke(&dev, &b, &id_b).await,
        dev.get(&format!("/v1/audit/logs/entity/certificate/{id_b}")).await,
    ];
    for answer in &about_b {
        assert!(!answer.text.contains(&id_a) && !answer.text.contains(&a), "{}", redacted(&answer.text));
    }
    assert_eq!(list(&dev, &a).await, [of_a], "the other's revocation is not its own");
}

#[tokio::test]
async fn a_recipients_certificates_go_with_it() {
    let dev = Dev::start().await;
    let (recipient, other) = (dev.recipient().await, dev.recipient().await);
    let pem = certificate::new("a");
    let id = text(&register(&dev, &recipient, pem.as_str()).await.expect(201)["id"]).to_owned();
    let revoked = text(&register(&dev, &recipient, certificate::new("b")).await.expect(201)["id"]).to_owned();
    revoke(&dev, &recipient, &revoked).await.expect(200);
    register(&dev, &other, pem.as_str()).await.expect(201);
    dev.delete(&format!("{}/{recipient}", dev.recipients_path())).await.expect(200);
    for id in [&id, &revoked] {
        assert_not_found(&dev.get(&format!("{}/{id}", path(&recipient))).await, "Certificate");
        assert_not_found(&revoke(&dev, &recipient, id).await, "Certificate");
    }
    assert_not_found(&dev.get(&path(&recipient)).await, "Recipient");
    assert_not_found(&register(&dev, &recipient, pem.as_str()).await, "Recipient");
    dev.cleaned_up().await;
    let left = dev.table.items().await;
    let is_certificate = |sk: &str| sk.starts_with("CERTIFICATE");
    let left: Vec<_> = left.iter().filter(|item| is_certificate(item["sk"].as_s().unwrap())).collect();
    assert_eq!(left.len(), 1, "that of the other recipient");
    assert_eq!(list(&dev, &other).await.len(), 1);
}

#[tokio::test]
async fn a_registration_and_a_revocation_leave_one_entry_each_without_a_name() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let pem = certificate::new("bulk.firstnational.example");
    let body = json!({"name": "Jane Doe's certificate", "certificate": pem});
    let shown = post(&dev, &path(&recipient), body.clone()).await.expect(201);
    let id = text(&shown["id"]);
    post(&dev, &path(&recipient), body).await.expect(409);
    register(&dev, &recipient, "x").await.expect(400);
    for _ in 0..2 {
        revoke(&dev, &recipient, id).await.expect(200);
    }
    let answer = dev.get(&format!("/v1/audit/logs/entity/certificate/{id}")).await;
    let trail = answer.expect(200);
    let actions: Vec<&str> = trail.as_array().unwrap().iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(actions, ["revoke", "create"]);
    let account = dev.table.store.accounts().await.unwrap()[0].id;
    let key = dev.table.store.api_keys(account).await.unwrap()[0].id.to_string();
    for entry in trail.as_array().unwrap() {
        assert_eq!((&entry["dockId"], &entry["entityId"]), (&json!(dev.dock), &json!(id)));
        assert_eq!((&entry["actor"], &entry["source"]), (&json!(key), &json!("api")));
        assert_eq!(entry["metadata"], json!({"recipientId": recipient}));
    }
    let fields = json!({
        "thumbprint": shown["thumbprint"], "notBefore": shown["notBefore"], "notAfter": shown["notAfter"],
    });
    assert_eq!(trail[1]["changes"], json!({"before": {}, "after": fields}));
    assert_eq!(trail[0]["changes"], Value::Null);
    for personal in ["Jane", "firstnational", text(&shown["serialNumber"])] {
        assert!(!answer.text.contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn a_certificate_may_name_nobody_and_may_have_no_well_defined_end() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let mut nobody = CertificateParams::default();
    nobody.distinguished_name = DistinguishedName::new();
    let nobody = nobody.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let shown = it.register(&lender, &nobody).await;
    shown.id(201);
    assert_eq!((&shown.body["subject"], &shown.body["issuer"]), (&json!(""), &json!("")));

    let mut ages = CertificateParams::default();
    ages.not_before = date_time_ymd(1970, 1, 1);
    // RFC 5280 §4.1.2.5: it has no well-defined end.
    ages.not_after = date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(24 * 3600 - 1);
    let ages = ages.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let shown = it.register(&lender, &ages).await;
    let id = shown.id(201);
    assert_eq!(shown.body["notBefore"], "1970-01-01T00:00:00.000Z");
    assert_eq!(shown.body["notAfter"], "9999-12-31T23:59:59.000Z");
    it.revoke_certificate(&lender, &id).await;
    assert_eq!(it.get_certificate(&lender, &id).await.body["status"], "REVOKED");
}

#[tokio::test]
async fn the_factor_is_set_up_while_a_certificate_is_active_and_valid() {
    let it = Institution::new().await;
    let policy = it.policy(recipe_with_certificate()).await;
    let lender = it.lender("a").await;
    it.secret(&lender, None).await;
    let is_set_up = async || {
        let access = it.done("get-recipient-access", &[("recipientId", &lender)], Value::Null).await;
        let factors = access["policies"][0]["factors"].as_array().unwrap();
        let set_up = factors.iter().find(|factor| factor["factor"] == "tls_certificate").unwrap();
        let simulated = it.done("simulate-policy", &[("policyId", &policy)], json!({})).await;
        assert_eq!(simulated["compliant"] == 1, set_up["setUp"] == true, "{simulated}");
        set_up["setUp"].as_bool().unwrap()
    };
    assert!(!is_set_up().await);
    let pem = certificate::valid("a", it.after(MINUTE), it.after(2 * MINUTE));
    it.certificate(&lender, &pem).await;
    assert!(!is_set_up().await, "it has not begun");
    it.pass(MINUTE);
    assert!(is_set_up().await);
    it.pass(MINUTE);
    assert!(!is_set_up().await, "it has expired");
    let id = it.certificate(&lender, &certificate::new("b")).await;
    assert!(is_set_up().await);
    it.revoke_certificate(&lender, &id).await;
    assert!(!is_set_up().await, "it is revoked");
}
