//! Access tokens: issued for a passphrase as OAuth 2.0 has it, and revoked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docyard_core::values::clock::Timestamp;
use docyard_test_support::api::Reply;
use docyard_test_support::certificate;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::redacted;
use docyard_test_support::scene::{other_recipe, recipe};
use regex::Regex;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::institution::{
    HOUR, Institution, MINUTE, items, recipe_for, recipe_of, recipe_with_certificate, token_of,
};
use crate::secrets::expire;
use crate::{
    UNKNOWN_RECIPIENT, assert_not_found, policy_in_force, post, recipient_of, text, with, without_request_id,
};

const UNKNOWN_SECRET: &str = "dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c";

fn request(dev: &Dev, path: &str) -> RequestBuilder {
    dev.http.post(format!("{}{path}", dev.url))
}

/// A request for a token, by form.
async fn ask(dev: &Dev, parameters: &[(&str, &str)]) -> Answer {
    send(request(dev, "/v1/auth/token").form(parameters)).await
}

/// The same with `grant_type` and what the client authenticates with.
async fn ask_as(dev: &Dev, id: &str, secret: &str, more: &[(&str, &str)]) -> Answer {
    let mut parameters =
        vec![("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    parameters.extend(more);
    ask(dev, &parameters).await
}

/// A request by HTTP Basic, with this text before it is put into base64.
async fn ask_by_basic(dev: &Dev, credentials: &str, more: &[(&str, &str)]) -> Answer {
    let mut parameters = vec![("grant_type", "client_credentials")];
    parameters.extend(more);
    let header = format!("Basic {}", STANDARD.encode(credentials));
    send(request(dev, "/v1/auth/token").header("authorization", header).form(&parameters)).await
}

/// Asserts that an answer is an error of RFC 6749 §5.2.
#[track_caller]
fn assert_oauth(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{}", redacted(&answer.text));
    let body = answer.json();
    assert_eq!(body["error"], code, "{}", redacted(&answer.text));
    assert_eq!(body.as_object().unwrap().len(), 2, "{}", redacted(&answer.text));
    for (name, value) in [("cache-control", "no-store"), ("content-type", "application/json; charset=utf-8")]
    {
        assert_eq!(answer.header(name), value);
    }
    assert!(!answer.header("x-request-id").is_empty());
    described(&body).to_owned()
}

/// The description of an error, in the characters that RFC 6749 §5.2 allows.
#[track_caller]
fn described(body: &Value) -> &str {
    let description = text(&body["error_description"]);
    let is_allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    assert!(!description.is_empty() && description.chars().all(is_allowed), "{}", redacted(description));
    description
}

#[track_caller]
fn assert_issued(answer: &Answer) -> String {
    text(&answer.expect(200)["access_token"]).to_owned()
}

/// What an institution was refused: the description.
#[track_caller]
fn unauthorized(reply: &Reply) -> String {
    assert_eq!(
        (reply.status, &reply.body["error"]),
        (400, &json!("unauthorized_client")),
        "{}",
        reply.shown()
    );
    assert_eq!(reply.body.as_object().unwrap().len(), 2);
    assert_eq!(reply.headers["cache-control"], "no-store");
    described(&reply.body).to_owned()
}

/// A mortgagee whom a policy grants something for its passphrase; its id and that.
async fn lender(dev: &Dev, name: &str) -> (String, String) {
    let recipient = recipient_of(dev, "mortgagee", name, json!({"lender_id": "LND-1"})).await;
    let id = text(&recipient["id"]).to_owned();
    let (_, passphrase) = dev.secret(&id).await;
    (id, passphrase)
}

/// A server with such a lender.
async fn dev_with_lender() -> (Dev, String, String) {
    let dev = Dev::start().await;
    policy_in_force(&dev, recipe()).await;
    let (id, passphrase) = lender(&dev, "a").await;
    (dev, id, passphrase)
}

/// What a token opens.
async fn opens(dev: &Dev, token: &str) -> u16 {
    send(dev.http.get(format!("{}/v1/retrieval/access", dev.url)).bearer_auth(token)).await.status
}

#[tokio::test]
async fn the_response_has_exactly_these_fields() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let answer = ask_as(&dev, &id, &passphrase, &[]).await;
    let body = answer.expect(200);
    let token = text(&body["access_token"]);
    let shape = Regex::new("^dk_tok_[0-9A-Z]{26}_[0-9A-Za-z]{49}$").unwrap();
    assert!(shape.is_match(token));
    assert!(token.contains(id.strip_prefix("rcp_").unwrap()), "the recipient's ULID");
    let expected = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "retrieval",
        "factors": ["shared_passphrase"],
    });
    assert!(body == expected, "{}", redacted(&answer.text));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("location"), "");
    let another = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
    assert!(another != token, "each is a new one");
    for token in [token, &another] {
        assert_eq!(opens(&dev, token).await, 200);
        let kept = dev.table.items().await.iter().any(|item| format!("{item:?}").contains(&token[34..]));
        assert!(!kept, "only its digest is stored");
        assert!(!dev.output().contains(&token[34..]), "and it is not logged");
    }
    assert!(!dev.output().contains(&passphrase), "nor is the passphrase");
}

#[tokio::test]
async fn a_form_json_and_basic_say_the_same() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let json = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": passphrase});
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={passphrase}");
    let credentials = STANDARD.encode(format!("{id}:{passphrase}"));
    let token = || request(&dev, "/v1/auth/token");
    let grant = "grant_type=client_credentials";
    for (what, request) in [
        ("JSON", token().json(&json)),
        ("JSON without a type", token().body(json.to_string())),
        ("JSON after a byte order mark", token().json(&json).body(format!("\u{feff}{json}"))),
        (
            "JSON in an encoding",
            token().header("content-type", "Application/JSON; charset=UTF-8").body(json.to_string()),
        ),
        ("a form", token().header("content-type", "application/x-www-form-urlencoded").body(form.clone())),
        (
            "a form in an encoding",
            token()
                .header("content-type", "Application/x-www-form-urlencoded; charset=UTF-8")
                .body(form.clone()),
        ),
        (
            "an encoded form",
            token()
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.replace('_', "%5F")),
        ),
        (
            "Basic and a form",
            token()
                .header("authorization", format!("Basic {credentials}"))
                .form(&[("grant_type", "client_credentials")]),
        ),
        (
            "Basic and JSON",
            token()
                .header("authorization", format!("Basic {credentials}"))
                .json(&json!({"grant_type": "client_credentials"})),
        ),
        (
            "basic in other letters",
            token()
                .header("authorization", format!("bAsIc {credentials}"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(grant),
        ),
        (
            "Basic as reqwest has it",
            token().basic_auth(&id, Some(&passphrase)).form(&[("grant_type", "client_credentials")]),
        ),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, 200, "{what}: {}", redacted(&answer.text));
        assert_issued(&answer);
    }
}

#[tokio::test]
async fn basic_credentials_are_encoded_as_in_a_form() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let encode = |text: &str| text.replace('_', "%5F");
    assert_issued(&ask_by_basic(&dev, &format!("{}:{}", encode(&id), encode(&passphrase)), &[]).await);
    let every: String = passphrase.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_issued(&ask_by_basic(&dev, &format!("{id}:{every}"), &[]).await);
    for (what, credentials) in [
        (
            "encoded twice",
            format!("{}:{}", encode(&id), encode(&encode(&passphrase)).replace("%5F", "%255F")),
        ),
        ("a space before", format!("{id}:+{passphrase}")),
        ("more behind a colon", format!("{id}:{passphrase}:")),
        ("no secret", format!("{id}:")),
        ("no id", format!(":{passphrase}")),
    ] {
        let answer = ask_by_basic(&dev, &credentials, &[]).await;
        assert_oauth(&answer, 401, "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic"), "{what}");
    }
}

#[tokio::test]
async fn a_client_authenticates_once() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let credentials = format!("{id}:{passphrase}");
    assert_issued(&ask_by_basic(&dev, &credentials, &[("client_id", &id)]).await);
    assert_issued(&ask_by_basic(&dev, &credentials, &[("client_id", ""), ("client_secret", "")]).await);
    for more in [
        vec![("client_id", UNKNOWN_RECIPIENT)],
        vec![("client_secret", passphrase.as_str())],
        vec![("client_id", id.as_str()), ("client_secret", passphrase.as_str())],
        vec![("client_secret", UNKNOWN_SECRET)],
    ] {
        assert_oauth(&ask_by_basic(&dev, &credentials, &more).await, 400, "invalid_request");
    }
    let encoded = credentials.replace('_', "%5F");
    assert_issued(&ask_by_basic(&dev, &encoded, &[("client_id", &id)]).await);
}

#[tokio::test]
async fn unknown_parameters_are_ignored_and_empty_ones_are_absent() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let more = [
        ("audience", "x"),
        ("resource", "https://example.com"),
        ("scope", ""),
        ("identifiers", ""),
        ("ä", ""),
    ];
    assert_issued(&ask_as(&dev, &id, &passphrase, &more).await);
    // A second one that is empty is none.
    assert_issued(
        &ask_as(&dev, &id, &passphrase, &[("client_id", ""), ("scope", ""), ("scope", "retrieval")]).await,
    );
    let json = json!({
        "grant_type": "client_credentials", "client_id": id, "client_secret": passphrase, "scope": "",
        "identifiers": {}, "audience": ["x"], "nested": {"a": 1}, "n": 1,
    });
    assert_issued(&send(request(&dev, "/v1/auth/token").json(&json)).await);
    let empty = [("grant_type", ""), ("client_id", id.as_str()), ("client_secret", &passphrase)];
    assert_oauth(&ask(&dev, &empty).await, 400, "invalid_request");
}

#[tokio::test]
async fn a_malformed_request_is_an_invalid_request() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={passphrase}");
    let of = |text: &str| text.replace("ID", &id).replace("SECRET", &passphrase);
    let of_form = |body: String| {
        request(&dev, "/v1/auth/token").header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    let of_json =
        |body: String| request(&dev, "/v1/auth/token").header("content-type", "application/json").body(body);
    for (what, request) in [
        ("no body", of_form(String::new())),
        ("no grant", of_form(of("client_id=ID&client_secret=SECRET"))),
        ("two grants", of_form(format!("{form}&grant_type=client_credentials"))),
        ("two ids", of_form(format!("{form}&client_id={id}"))),
        ("two secrets", of_form(format!("{form}&client_secret={passphrase}"))),
        ("a name encoded twice over", of_form(format!("{form}&client%5Fid={id}"))),
        ("two scopes", of_form(format!("{form}&scope=retrieval&scope=retrieval"))),
        ("two unknown ones", of_form(format!("{form}&x=1&x=2"))),
        ("two sets of identifiers", of_form(format!("{form}&identifiers={{}}&identifiers={{}}"))),
        ("no JSON", of_json(form.clone())),
        ("no object", of_json("[]".into())),
        ("no text", of_json("1".into())),
        ("no body in JSON", of_json(String::new())),
        (
            "a member twice",
            of_json(of(
                r#"{"grant_type":"client_credentials","client_id":"ID","client_id":"ID","client_secret":"SECRET"}"#,
            )),
        ),
        (
            "an unknown member twice",
            of_json(of(
                r#"{"grant_type":"client_credentials","client_id":"ID","client_secret":"SECRET","x":1,"x":2}"#,
            )),
        ),
        (
            "an id that is no text",
            of_json(of(r#"{"grant_type":"client_credentials","client_id":1,"client_secret":"SECRET"}"#)),
        ),
        (
            "a scope that is no text",
            of_json(of(
                r#"{"grant_type":"client_credentials","client_id":"ID","client_secret":"SECRET","scope":["retrieval"]}"#,
            )),
        ),
        (
            "a grant that is no text",
            of_json(of(r#"{"grant_type":["client_credentials"],"client_id":"ID","client_secret":"SECRET"}"#)),
        ),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.status, 400, "{what}: {}", redacted(&answer.text));
        assert_oauth(&answer, 400, "invalid_request");
        let repeated = answer.text.contains(&passphrase);
        assert!(!repeated, "{what}: the answer repeats the secret");
    }
}

#[tokio::test]
async fn a_query_parameter_is_an_invalid_request() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let token = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
    let body = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &passphrase)];
    for query in [
        "scope=retrieval".to_owned(),
        format!("client_secret={passphrase}"),
        format!("client_id={id}"),
        "unknown=1".to_owned(),
        "empty=".to_owned(),
        "flag".to_owned(),
    ] {
        let answer = send(request(&dev, &format!("/v1/auth/token?{query}")).form(&body)).await;
        assert_oauth(&answer, 400, "invalid_request");
        let answer =
            send(request(&dev, &format!("/v1/auth/revoke?{query}")).form(&[("token", &token)])).await;
        assert_oauth(&answer, 400, "invalid_request");
    }
    let answer = send(request(&dev, &format!("/v1/auth/revoke?token={token}"))).await;
    assert_oauth(&answer, 400, "invalid_request");
    assert_eq!(opens(&dev, &token).await, 200, "nothing was revoked");
}

#[tokio::test]
async fn identifiers_are_an_object_of_strings_by_the_rule_of_a_recipients() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let in_form = |text: String| {
        let (dev, id, passphrase) = (&dev, &id, &passphrase);
        async move { ask_as(dev, id, passphrase, &[("identifiers", &text)]).await }
    };
    let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    for malformed in [
        "x".to_owned(),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "1".to_owned(),
        "{".to_owned(),
        r#"{"policy_number":1}"#.to_owned(),
        r#"{"policy_number":null}"#.to_owned(),
        r#"{"policy_number":["P-1"]}"#.to_owned(),
        r#"{"policy_number":""}"#.to_owned(),
        r#"{"policy_number":" "}"#.to_owned(),
        r#"{"policy_number":"a\u0000b"}"#.to_owned(),
        r#"{"policy_number":"P-1","policy_number":"P-1"}"#.to_owned(),
        r#"{"1a":"x"}"#.to_owned(),
        r#"{"a b":"x"}"#.to_owned(),
        r#"{"":"x"}"#.to_owned(),
        r#"{"date_of_birth":"2023-02-29"}"#.to_owned(),
        r#"{"phone":"555"}"#.to_owned(),
        r#"{"nda_hash":"x"}"#.to_owned(),
        json!({"a": "x".repeat(513)}).to_string(),
        Value::Object(many).to_string(),
    ] {
        let description = assert_oauth(&in_form(malformed.clone()).await, 400, "invalid_request");
        assert!(description.contains("identifiers"), "{malformed}");
        let Ok(value) = serde_json::from_str::<Value>(&malformed) else { continue };
        if malformed.matches("\"policy_number\"").count() == 2 {
            continue;
        }
        let body = json!({
            "grant_type": "client_credentials", "client_id": id, "client_secret": passphrase, "identifiers": value,
        });
        assert_oauth(&send(request(&dev, "/v1/auth/token").json(&body)).await, 400, "invalid_request");
    }
    for right in [r#"{"lender_id":"LND-1"}"#, r#" { "lender_id" : " LND-1 " } "#, "{}", r#"{"other":"é ✓"}"#]
    {
        assert_issued(&in_form(right.to_owned()).await);
        let body = json!({
            "grant_type": "client_credentials", "client_id": id, "client_secret": passphrase,
            "identifiers": serde_json::from_str::<Value>(right).unwrap(),
        });
        assert_issued(&send(request(&dev, "/v1/auth/token").json(&body)).await);
    }
}

#[tokio::test]
async fn there_is_one_grant_and_one_scope() {
    let (dev, id, passphrase) = dev_with_lender().await;
    for grant in [
        "authorization_code",
        "password",
        "refresh_token",
        "Client_Credentials",
        "client_credentials ",
        "\"\\é",
    ] {
        let parameters = [("grant_type", grant), ("client_id", &id), ("client_secret", &passphrase)];
        assert_oauth(&ask(&dev, &parameters).await, 400, "unsupported_grant_type");
    }
    for scope in ["read", "retrieval read", "Retrieval", " ", "\"\\é"] {
        assert_oauth(&ask_as(&dev, &id, &passphrase, &[("scope", scope)]).await, 400, "invalid_scope");
    }
    assert_issued(&ask_as(&dev, &id, &passphrase, &[("scope", "retrieval")]).await);
}

#[tokio::test]
async fn a_body_of_another_kind_or_too_large_is_refused() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let token = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
    let bodies = [
        (
            "/v1/auth/token",
            format!("grant_type=client_credentials&client_id={id}&client_secret={passphrase}"),
        ),
        ("/v1/auth/revoke", format!("token={token}")),
    ];
    for (path, body) in bodies {
        for media_type in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/jwt",
            "application/merge-patch+json",
            "x",
        ] {
            send(request(&dev, path).header("content-type", media_type).body(body.clone())).await.expect(415);
        }
        let form = || request(&dev, path).header("content-type", "application/x-www-form-urlencoded");
        send(form().header("content-encoding", "gzip").body(body.clone())).await.expect(415);
        let large = format!("{body}&x={}", "x".repeat(64 * 1024));
        let large = send(form().body(large)).await;
        large.expect(413);
        let repeated = large.text.contains(&passphrase) || large.text.contains(&token);
        assert!(!repeated);
    }
    assert_eq!(opens(&dev, &token).await, 200, "nothing was revoked");
}

#[tokio::test]
async fn whatever_is_wrong_with_id_or_passphrase_there_is_one_answer() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let (other, other_passphrase) = lender(&dev, "b").await;
    let (deleted, deleted_passphrase) = lender(&dev, "c").await;
    dev.delete(&format!("{}/{deleted}", dev.recipients_path())).await.expect(200);
    let bare = dev.recipient().await;
    let (expired_id, expired) = dev.secret(&id).await;
    expire(&dev, &id, &expired_id).await;
    let (rotated_id, rotated) = dev.secret(&id).await;
    send(dev.post(&format!("/v1/recipients/{id}/secrets/{rotated_id}/rotate"))).await.expect(201);
    let (revoked_id, revoked) = dev.secret(&id).await;
    send(dev.post(&format!("/v1/recipients/{id}/secrets/{revoked_id}/revoke"))).await.expect(200);
    let (upper, lower, cut) =
        (passphrase.to_uppercase(), id.to_lowercase(), &passphrase[..passphrase.len() - 1]);
    let spaced = format!(" {passphrase}");
    // As long as API Gateway takes in a header.
    let long = "x".repeat(5_000);
    let wrong: Vec<(&str, &str, &str)> = vec![
        ("an unknown id", UNKNOWN_RECIPIENT, &passphrase),
        ("a malformed id", "rcp_x", &passphrase),
        ("an id of another kind", &revoked_id, &passphrase),
        ("an id in lower case", &lower, &passphrase),
        ("no id", "", &passphrase),
        ("a long id", &long, &passphrase),
        ("an unknown passphrase", &id, UNKNOWN_SECRET),
        ("a malformed one", &id, "x"),
        ("no passphrase", &id, ""),
        ("neither", "", ""),
        ("a long passphrase", &id, &long),
        ("cut", &id, cut),
        ("in upper case", &id, &upper),
        ("with a space", &id, &spaced),
        ("expired", &id, &expired),
        ("rotated", &id, &rotated),
        ("revoked", &id, &revoked),
        ("another recipient's", &id, &other_passphrase),
        ("another's the other way round", &other, &passphrase),
        ("a deleted recipient", &deleted, &deleted_passphrase),
        ("a recipient without secrets", &bare, &passphrase),
        ("an API key", &id, &dev.key),
    ];
    dev.cleaned_up().await;
    let before = items(&dev.table).await;
    let (mut in_body, mut by_basic) = (Vec::new(), Vec::new());
    for (what, id, passphrase) in &wrong {
        let answer = ask_as(&dev, id, passphrase, &[]).await;
        assert_oauth(&answer, 401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), "", "{what}");
        in_body.push(without_request_id(&answer));
        let answer = ask_by_basic(&dev, &format!("{id}:{passphrase}"), &[]).await;
        assert_oauth(&answer, 401, "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic"), "{what}");
        by_basic.push(without_request_id(&answer));
    }
    for answers in [&in_body, &by_basic] {
        for ((what, ..), answer) in wrong.iter().zip(answers) {
            assert!(*answer == answers[0], "{what}: {}", redacted(&answer.1));
        }
    }
    assert_eq!(in_body[0].1, by_basic[0].1, "the same body");
    assert!(items(&dev.table).await == before, "it counts nothing and leaves no entry");
    assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
}

#[tokio::test]
async fn what_else_is_in_authorization_authenticates_nobody() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let body = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &passphrase)];
    let credentials = STANDARD.encode(format!("{id}:{passphrase}"));
    let no_colon = STANDARD.encode("x");
    for header in [
        format!("Bearer {}", dev.key),
        "Basic".to_owned(),
        "Basic %".to_owned(),
        format!("Basic {no_colon}"),
        format!("Token {credentials}"),
        credentials.clone(),
    ] {
        let answer = send(request(&dev, "/v1/auth/token").header("authorization", header).form(&body)).await;
        assert_oauth(&answer, 401, "invalid_client");
    }
}

mod factors {
    use super::*;

    #[tokio::test]
    async fn the_certificate_is_one_exactly_if_it_is_registered_and_valid() {
        let it = Institution::new().await;
        it.policy(recipe()).await;
        let (lender, other) = (it.lender("a").await, it.lender("b").await);
        let (_, passphrase) = it.secret(&lender, None).await;
        let pem = |name: &str, from: u64, to: u64| certificate::valid(name, it.after(from), it.after(to));
        let own = pem("own", 0, 2 * HOUR);
        let own_id = it.certificate(&lender, &own).await;
        let renewed = pem("renewed", 0, 2 * HOUR);
        it.certificate(&lender, &renewed).await;
        let early = pem("early", HOUR, 2 * HOUR);
        it.certificate(&lender, &early).await;
        let ended = pem("ended", 0, MINUTE);
        it.certificate(&lender, &ended).await;
        let others = pem("others", 0, 2 * HOUR);
        it.certificate(&other, &others).await;
        let revoked = pem("revoked", 0, 2 * HOUR);
        let revoked_id = it.certificate(&lender, &revoked).await;
        it.revoke_certificate(&lender, &revoked_id).await;
        let stranger = pem("own", 0, 2 * HOUR);

        let factors = async |pem: Option<&str>| {
            let reply = it.api.token(&lender, &passphrase, pem, json!({})).await;
            assert_eq!(reply.status, 200, "{}", reply.shown());
            reply.body["factors"].clone()
        };
        let (with_it, without) =
            (json!(["shared_passphrase", "tls_certificate"]), json!(["shared_passphrase"]));
        assert_eq!(factors(Some(&ended)).await, with_it, "as long as it is valid");
        it.pass(MINUTE);
        for (what, pem, expected) in [
            ("its own", Some(&own), &with_it),
            ("the renewal beside it", Some(&renewed), &with_it),
            ("none", None, &without),
            ("one that is not registered", Some(&stranger), &without),
            ("another recipient's", Some(&others), &without),
            ("a revoked one", Some(&revoked), &without),
            ("an expired one", Some(&ended), &without),
            ("one that has not begun", Some(&early), &without),
        ] {
            assert_eq!(&factors(pem.map(String::as_str)).await, expected, "{what}");
        }
        it.revoke_certificate(&lender, &own_id).await;
        assert_eq!(factors(Some(&own)).await, without, "revoked since");
        it.pass(HOUR);
        assert_eq!(factors(Some(&early)).await, with_it, "begun since");
    }

    #[tokio::test]
    async fn nothing_in_a_header_or_a_body_is_taken_for_a_certificate() {
        let it = Institution::new().await;
        it.policy(recipe()).await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        let pem = certificate::new("own");
        it.certificate(&lender, &pem).await;
        let encoded = pem.replace('\n', "%0A").replace(' ', "%20");
        let one_line = pem.replace('\n', " ");
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let headers: Vec<(&str, String)> = [
            "x-amzn-mtls-clientcert",
            "x-amzn-mtls-clientcert-leaf",
            "x-forwarded-client-cert",
            "x-client-cert",
            "x-ssl-client-cert",
            "ssl-client-cert",
            "x-apigateway-event",
        ]
        .into_iter()
        .map(|name| (name, encoded.clone()))
        .chain([("x-tls-client-cert", one_line), ("client-cert", format!(":{base64}:"))])
        .collect();
        let body = json!({
            "grant_type": "client_credentials", "client_id": lender, "client_secret": passphrase,
            "client_certificate": pem, "certificate": pem, "clientCertPem": pem, "tls_certificate": pem,
            "factors": ["shared_passphrase", "tls_certificate"],
            "requestContext": {"authentication": certificate::authentication(&pem)},
        });
        let reply = it.api.ask("issue-token", &[], "", &headers, Some(body.to_string())).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
        assert_eq!(reply.body["factors"], json!(["shared_passphrase"]));
        // Nor does one of them unlock what is bound.
        let bound = it.token(&lender, &passphrase, Some(&pem)).await;
        let mut headers = headers;
        headers.push(("authorization", format!("Bearer {bound}")));
        let reply = it.api.ask("get-retrieval-access", &[], "", &headers, None).await;
        assert_eq!(reply.status, 401, "{}", reply.shown());
    }
}

mod lifetime {
    use super::*;

    /// How long a new token lasts, in seconds, by what it says; and how long it opens something, to the millisecond.
    async fn lasts(it: &Institution, lender: &str, passphrase: &str, pem: Option<&str>, expected: u64) {
        let reply = it.api.token(lender, passphrase, pem, json!({})).await;
        let token = token_of(&reply);
        assert_eq!(reply.body["expires_in"], expected, "{}", reply.shown());
        let shown = it.api.opened(&token, pem).await;
        assert_eq!(shown.body["authenticatedAt"], it.now().to_string(), "{}", shown.shown());
        assert_eq!(shown.body["expiresAt"], it.after(expected * 1000).to_string());
        it.pass(expected * 1000 - 1);
        assert_eq!(it.api.opened(&token, pem).await.status, 200);
        it.pass(1);
        assert_eq!(it.api.opened(&token, pem).await.status, 401);
    }

    #[tokio::test]
    async fn is_the_longest_session_of_the_policies_that_grant() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        it.policy(recipe_for(5)).await;
        lasts(&it, &lender, &passphrase, None, 300).await;
        let longer = it.policy(recipe_for(90)).await;
        // Policies that grant it nothing.
        it.policy(with(recipe_with_certificate(), "/constraints", json!({"session_minutes": 700}))).await;
        it.policy(with(recipe_for(710), "/stakeholderClass", json!("auditor"))).await;
        it.policy(with(recipe_for(720), "/match/identifiers", json!(["lender_id", "file_number"]))).await;
        lasts(&it, &lender, &passphrase, None, 90 * 60).await;
        it.withdraw(&longer).await;
        lasts(&it, &lender, &passphrase, None, 300).await;
    }

    #[tokio::test]
    async fn is_an_hour_unless_the_recipe_says_otherwise_and_12_hours_at_most() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        it.policy(recipe()).await;
        lasts(&it, &lender, &passphrase, None, 3600).await;
        it.policy(recipe_for(720)).await;
        lasts(&it, &lender, &passphrase, None, 12 * 3600).await;
        it.policy(recipe_for(1)).await;
        lasts(&it, &lender, &passphrase, None, 12 * 3600).await;
    }

    #[tokio::test]
    async fn is_over_with_the_secret() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, Some(1)).await;
        it.policy(recipe_for(60)).await;
        it.pass(24 * HOUR - 10 * MINUTE);
        lasts(&it, &lender, &passphrase, None, 600).await;
        assert_eq!(it.api.token(&lender, &passphrase, None, json!({})).await.status, 401, "it has expired");
    }

    #[tokio::test]
    async fn is_over_with_the_grace_of_a_rotated_secret() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (id, passphrase) = it.secret(&lender, None).await;
        it.policy(recipe_for(720)).await;
        it.end_secret("rotate-secret", &lender, &id, json!({"graceHours": 1})).await;
        it.pass(15 * MINUTE);
        lasts(&it, &lender, &passphrase, None, 45 * 60).await;
        assert_eq!(
            it.api.token(&lender, &passphrase, None, json!({})).await.status,
            401,
            "the grace is over"
        );
    }

    #[tokio::test]
    async fn is_over_with_the_certificate_that_it_is_bound_to_alone() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        it.policy(recipe_for(60)).await;
        let ends = certificate::valid("ends", it.after(0), it.after(20 * MINUTE));
        it.certificate(&lender, &ends).await;
        let unbound = it.api.token(&lender, &passphrase, None, json!({})).await;
        assert_eq!(unbound.body["expires_in"], 3600);
        let stranger = certificate::valid("stranger", it.after(0), it.after(5 * MINUTE));
        let unbound = it.api.token(&lender, &passphrase, Some(&stranger), json!({})).await;
        assert_eq!(unbound.body["expires_in"], 3600);
        lasts(&it, &lender, &passphrase, Some(&ends), 20 * 60).await;
    }

    #[tokio::test]
    async fn is_given_in_whole_seconds_that_it_lasts() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        it.policy(recipe_for(60)).await;
        let ends = certificate::valid("ends", it.after(0), it.after(20 * MINUTE));
        it.certificate(&lender, &ends).await;
        it.pass(1);
        let reply = it.api.token(&lender, &passphrase, Some(&ends), json!({})).await;
        assert_eq!(reply.body["expires_in"], 20 * 60 - 1, "{}", reply.shown());
    }
}

mod refused_by_policy {
    use super::*;

    const NOT_REGISTERED: &str = "certificate of this connection is not registered for this recipient";

    #[tokio::test]
    async fn the_description_says_which_factors_and_identifiers_are_missing() {
        let it = Institution::new().await;
        let lender = it.lender_with("a", json!({"agency_code": "AGENCY-7"})).await;
        let (_, passphrase) = it.secret(&lender, None).await;
        let ask = async |pem: Option<&str>, more: Value| {
            unauthorized(&it.api.token(&lender, &passphrase, pem, more).await)
        };
        let nothing = ask(None, json!({})).await;
        for word in ["shared_passphrase", "tls_certificate", "lender_id", "certificate of"] {
            assert!(!nothing.contains(word), "no policy is in force: {nothing}");
        }
        let of_certificate =
            it.policy(with(recipe_with_certificate(), "/match/identifiers", json!(["agency_code"]))).await;
        let factor = ask(None, json!({})).await;
        assert!(factor.contains("tls_certificate") && !factor.contains("shared_passphrase"), "{factor}");
        assert!(!factor.contains("agency_code") && !factor.contains("AGENCY-7"), "{factor}");
        assert!(!factor.contains(NOT_REGISTERED), "there is no certificate: {factor}");
        let stranger = certificate::new("stranger");
        let not_registered = ask(Some(&stranger), json!({})).await;
        assert!(not_registered.contains("tls_certificate"), "{not_registered}");
        assert!(not_registered.contains(NOT_REGISTERED), "{not_registered}");
        it.withdraw(&of_certificate).await;

        it.policy(with(recipe(), "/match/identifiers", json!(["agency_code", "lender_id", "policy_number"])))
            .await;
        let missing = ask(None, json!({})).await;
        assert!(missing.contains("lender_id") && missing.contains("policy_number"), "{missing}");
        assert!(!missing.contains("agency_code") && !missing.contains("tls_certificate"), "{missing}");
        let less = ask(None, json!({"identifiers": {"policy_number": "POL-9"}})).await;
        assert!(less.contains("lender_id") && !less.contains("policy_number"), "{less}");
        assert!(!less.contains("POL-9"), "never a value: {less}");
        let stranger = ask(Some(&stranger), json!({})).await;
        assert!(stranger.contains(NOT_REGISTERED) && stranger.contains("lender_id"), "{stranger}");
    }

    /// One that has expired is as one that is not registered: what TTL takes must change no answer.
    #[tokio::test]
    async fn a_certificate_that_was_revoked_or_has_expired_is_not_registered_and_one_that_begins_later_is_missing()
     {
        let it = Institution::new().await;
        it.policy(recipe_with_certificate()).await;
        let (lender, other) = (it.lender("a").await, it.lender("b").await);
        let (_, passphrase) = it.secret(&lender, None).await;
        let valid = |name: &str, from: u64, to: u64| certificate::valid(name, it.after(from), it.after(to));
        let (revoked, others) = (valid("r", 0, HOUR), valid("o", 0, HOUR));
        let (early, ended) = (valid("n", HOUR, 2 * HOUR), valid("e", 0, MINUTE));
        let id = it.certificate(&lender, &revoked).await;
        it.revoke_certificate(&lender, &id).await;
        it.certificate(&other, &others).await;
        it.certificate(&lender, &early).await;
        it.certificate(&lender, &ended).await;
        it.pass(MINUTE);
        for (what, pem, is_stranger) in [
            ("revoked", &revoked, true),
            ("another's", &others, true),
            ("early", &early, false),
            ("ended", &ended, true),
        ] {
            let said = unauthorized(&it.api.token(&lender, &passphrase, Some(pem), json!({})).await);
            assert!(said.contains("tls_certificate"), "{what}: {said}");
            assert_eq!(said.contains(NOT_REGISTERED), is_stranger, "{what}: {said}");
            assert!(!said.contains(&other), "{what}: {said}");
        }
    }

    #[tokio::test]
    async fn it_never_says_which_value_is_wrong() {
        let it = Institution::new().await;
        let stored = json!({"lender_id": "LND-1", "agency_code": "A-1", "date_of_birth": "1980-02-29"});
        let lender = it.lender_with("a", stored).await;
        let (_, passphrase) = it.secret(&lender, None).await;
        it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "agency_code", "date_of_birth"])))
            .await;
        let mut said = Vec::new();
        for wrong in [
            json!({"lender_id": "LND-2"}),
            json!({"agency_code": "A-2"}),
            json!({"date_of_birth": "1980-02-28"}),
            json!({"lender_id": "LND-1", "agency_code": "A-2"}),
            json!({"lender_id": "LND-2", "agency_code": "A-2", "date_of_birth": "1980-02-28"}),
        ] {
            said.push(unauthorized(
                &it.api.token(&lender, &passphrase, None, json!({"identifiers": wrong})).await,
            ));
        }
        assert!(said.iter().all(|it| *it == said[0]), "{said:?}");
        for word in ["lender_id", "agency_code", "date_of_birth", "LND", "1980", "mismatch"] {
            assert!(!said[0].contains(word), "{}", said[0]);
        }
        let right = json!({"identifiers": {"lender_id": "LND-1", "agency_code": "A-1"}});
        token_of(&it.api.token(&lender, &passphrase, None, right).await);
    }

    #[tokio::test]
    async fn a_policy_that_does_not_cover_the_recipient_is_not_spoken_of() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        let none = unauthorized(&it.api.token(&lender, &passphrase, None, json!({})).await);
        let classless = it.lender("b").await;
        it.update(&classless, json!({"stakeholderClass": null})).await;
        let (_, of_classless) = it.secret(&classless, None).await;
        it.policy(with(recipe_with_certificate(), "/stakeholderClass", json!("auditor"))).await;
        let for_nobody = json!({
            "name": "For a group", "recipe": recipe_of(&["shared_passphrase", "tls_certificate"]),
            "audience": {"groupIds": []},
        });
        let policy = it.done("create-policy", &[], for_nobody).await;
        it.enforce(text(&policy["id"])).await;
        assert_eq!(unauthorized(&it.api.token(&lender, &passphrase, None, json!({})).await), none);
        let grants = it.policy(recipe()).await;
        let refused = it.api.token(&classless, &of_classless, None, json!({})).await;
        assert_eq!(unauthorized(&refused), none, "nothing covers a recipient without a class");
        token_of(&it.api.token(&lender, &passphrase, None, json!({})).await);
        it.withdraw(&grants).await;
        assert_eq!(unauthorized(&it.api.token(&lender, &passphrase, None, json!({})).await), none);
    }
}

/// Two policies that both miss something, so that the nearest of them could be told from what is said.
#[tokio::test]
async fn which_of_two_policies_is_nearer_does_not_say_which_value_is_wrong() {
    let it = Institution::new().await;
    let lender = it.lender_with("a", json!({"lender_id": "LND-1", "agency_code": "A-1"})).await;
    let (_, passphrase) = it.secret(&lender, None).await;
    it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "file_number"]))).await;
    it.policy(with(recipe(), "/match/identifiers", json!(["agency_code", "member_id"]))).await;
    let said = async |lender_id: &str, agency_code: &str| {
        let more = json!({"identifiers": {"lender_id": lender_id, "agency_code": agency_code}});
        unauthorized(&it.api.token(&lender, &passphrase, None, more).await)
    };
    assert_eq!(said("LND-1", "A-2").await, said("LND-2", "A-1").await);
}

#[tokio::test]
async fn an_idempotency_key_changes_nothing() {
    let (dev, id, passphrase) = dev_with_lender().await;
    let body = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &passphrase)];
    let ask = || send(request(&dev, "/v1/auth/token").header("idempotency-key", "k").form(&body));
    let (first, second) = (ask().await, ask().await);
    assert_eq!(second.header("idempotent-replayed"), "");
    let (first, second) = (assert_issued(&first), assert_issued(&second));
    assert!(first != second);
    for token in [first, second] {
        assert_eq!(opens(&dev, &token).await, 200);
    }
}

mod requests_a_minute {
    use super::*;

    #[tokio::test]
    async fn sixty_right_ones_in_a_minute_are_answered_and_the_next_minute_is_free() {
        let it = Institution::new().await;
        it.policy(recipe()).await;
        let (lender, other) = (it.lender("a").await, it.lender("b").await);
        let (_, passphrase) = it.secret(&lender, None).await;
        let (_, second) = it.secret(&lender, None).await;
        let (_, of_other) = it.secret(&other, None).await;
        let ask = async |passphrase: &str, more: Value| it.api.token(&lender, passphrase, None, more).await;
        for _ in 0..70 {
            assert_eq!(ask(UNKNOWN_SECRET, json!({})).await.status, 401);
        }
        for n in 0..60 {
            // Whichever of its secrets, and whatever comes of it.
            let (passphrase, more, status) = match n % 3 {
                0 => (&passphrase, json!({}), 200),
                1 => (&second, json!({}), 200),
                _ => (&passphrase, json!({"identifiers": {"lender_id": "LND-2"}}), 400),
            };
            let reply = ask(passphrase, more).await;
            assert_eq!(reply.status, status, "request {n}: {}", reply.shown());
        }
        it.pass(12_345);
        let before = items(&it.account.table).await;
        for passphrase in [&passphrase, &second] {
            let refused = ask(passphrase, json!({})).await;
            assert_eq!(refused.status, 429, "{}", refused.shown());
            assert_eq!(refused.body["statusCode"], 429);
            assert_eq!(refused.body["error"], "Too Many Requests");
            assert_eq!(refused.headers["cache-control"], "no-store");
        }
        let refused = ask(&passphrase, json!({})).await;
        let wait: u64 = refused.headers["retry-after"].parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(items(&it.account.table).await == before, "no token and no entry");
        let wrong = ask(UNKNOWN_SECRET, json!({})).await;
        assert_eq!(wrong.status, 401, "a wrong one never meets the limit: {}", wrong.shown());
        token_of(&it.api.token(&other, &of_other, None, json!({})).await);
        it.pass(wait * 1000);
        token_of(&ask(&passphrase, json!({})).await);
    }

    #[tokio::test]
    async fn it_is_said_over_http_too() {
        let (dev, id, passphrase) = dev_with_lender().await;
        let mut answers = Vec::new();
        // Two minutes may be touched.
        for _ in 0..121 {
            answers.push(ask_as(&dev, &id, &passphrase, &[]).await);
        }
        let limited: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
        assert!(!limited.is_empty(), "121 requests in a minute");
        for answer in limited {
            answer.expect(429);
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&wait));
            assert!(!answer.text.contains(&id));
        }
    }
}

mod submitted_identifiers {
    use super::*;

    /// An institution with a policy that has the lender claim one of its policy numbers.
    async fn claiming() -> (Institution, String, String) {
        let it = Institution::new().await;
        it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "policy_number"]))).await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        (it, lender, passphrase)
    }

    fn claim(n: usize) -> Value {
        json!({"identifiers": {"policy_number": format!("POL-{n}")}})
    }

    fn wrong(n: usize) -> Value {
        json!({"identifiers": {"lender_id": format!("LND-X{n}"), "policy_number": "POL-1"}})
    }

    /// An answer without what differs between equal ones.
    fn answer(reply: &Reply) -> (u16, String, Vec<(String, String)>) {
        let headers = reply.headers.iter().filter(|(name, _)| *name != "x-request-id");
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        (reply.status, reply.text.clone(), headers)
    }

    #[tokio::test]
    async fn the_eleventh_set_of_24_hours_is_answered_like_a_mismatch() {
        let (it, lender, passphrase) = claiming().await;
        let other = it.lender("b").await;
        let (_, of_other) = it.secret(&other, None).await;
        let (_, second) = it.secret(&lender, None).await;
        let mismatch = it.api.token(&other, &of_other, None, wrong(0)).await;
        unauthorized(&mismatch);
        // Refused ones count too, whichever secret is used.
        for n in 1..=4 {
            unauthorized(&it.api.token(&lender, &passphrase, None, wrong(n)).await);
        }
        for n in 1..=6 {
            token_of(
                &it.api.token(&lender, if n % 2 == 0 { &second } else { &passphrase }, None, claim(n)).await,
            );
            it.pass(MINUTE);
        }
        for (passphrase, more) in [(&passphrase, claim(7)), (&second, claim(8)), (&passphrase, wrong(9))] {
            let refused = it.api.token(&lender, passphrase, None, more).await;
            assert!(answer(&refused) == answer(&mismatch), "{}", refused.shown());
        }
        token_of(&it.api.token(&lender, &passphrase, None, claim(6)).await);
        unauthorized(&it.api.token(&lender, &passphrase, None, wrong(1)).await);
        token_of(&it.api.token(&other, &of_other, None, claim(7)).await);
    }

    #[tokio::test]
    async fn a_set_with_stored_values_alone_counts_and_none_at_all_does_not() {
        let it = Institution::new().await;
        it.policy(recipe()).await;
        let lender = it.lender("a").await;
        let (_, passphrase) = it.secret(&lender, None).await;
        for n in 0..10 {
            let irrelevant = json!({"identifiers": {"lender_id": "LND-1", "note": n.to_string()}});
            token_of(&it.api.token(&lender, &passphrase, None, irrelevant).await);
        }
        unauthorized(
            &it.api.token(&lender, &passphrase, None, json!({"identifiers": {"lender_id": "LND-1"}})).await,
        );
        for none in [json!({}), json!({"identifiers": {}}), json!({"identifiers": ""})] {
            token_of(&it.api.token(&lender, &passphrase, None, none).await);
        }
    }

    #[tokio::test]
    async fn a_set_is_the_same_in_any_order_and_layout() {
        let (it, lender, passphrase) = claiming().await;
        for n in 1..10 {
            token_of(&it.api.token(&lender, &passphrase, None, claim(n)).await);
        }
        let form = async |identifiers: &str| {
            let identifiers = identifiers.replace(' ', "%20").replace('"', "%22");
            let body = format!(
                "grant_type=client_credentials&client_id={lender}&client_secret={passphrase}&identifiers={identifiers}"
            );
            let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
            it.api.ask("issue-token", &[], "", &headers, Some(body)).await
        };
        for same in [
            r#"{"lender_id":"LND-1","policy_number":"POL-1"}"#,
            r#"{"policy_number":"POL-1","lender_id":"LND-1"}"#,
            r#"{ "policy_number": " POL-1 ", "lender_id": "LND-1" }"#,
        ] {
            token_of(&form(same).await);
        }
        let json = json!({"identifiers": {"policy_number": "POL-1", "lender_id": "LND-1"}});
        token_of(&it.api.token(&lender, &passphrase, None, json).await);
        unauthorized(&form(r#"{"policy_number":"LND-1","lender_id":"POL-1"}"#).await);
        unauthorized(&it.api.token(&lender, &passphrase, None, claim(10)).await);
    }

    #[tokio::test]
    async fn a_set_is_free_again_24_hours_after_it_was_submitted() {
        let (it, lender, passphrase) = claiming().await;
        let begun = it.now();
        for n in 1..=10 {
            token_of(&it.api.token(&lender, &passphrase, None, claim(n)).await);
            it.pass(HOUR);
        }
        unauthorized(&it.api.token(&lender, &passphrase, None, claim(11)).await);
        it.pass(14 * HOUR - 1);
        assert_eq!(it.after(1), begun.plus_hours(24));
        unauthorized(&it.api.token(&lender, &passphrase, None, claim(11)).await);
        it.pass(1);
        token_of(&it.api.token(&lender, &passphrase, None, claim(11)).await);
        unauthorized(&it.api.token(&lender, &passphrase, None, claim(12)).await);
        it.pass(HOUR);
        token_of(&it.api.token(&lender, &passphrase, None, claim(12)).await);
    }

    #[tokio::test]
    async fn a_wrong_passphrase_counts_no_set() {
        let (it, lender, passphrase) = claiming().await;
        for n in 0..20 {
            assert_eq!(it.api.token(&lender, UNKNOWN_SECRET, None, claim(n)).await.status, 401);
        }
        for n in 20..30 {
            token_of(&it.api.token(&lender, &passphrase, None, claim(n)).await);
        }
    }

    #[tokio::test]
    async fn the_sets_are_kept_as_digests() {
        let (it, lender, passphrase) = claiming().await;
        unauthorized(
            &it.api
                .token(
                    &lender,
                    &passphrase,
                    None,
                    json!({"identifiers": {
                        "lender_id": "LND-GUESSED", "policy_number": "POL-GUESSED",
                    }}),
                )
                .await,
        );
        let kept = it.account.table.items().await;
        assert!(!kept.iter().any(|item| format!("{item:?}").contains("GUESSED")));
    }
}

mod revocation {
    use super::*;

    #[tokio::test]
    async fn a_revoked_token_is_dead_at_once_and_the_others_live_on() {
        let (dev, id, passphrase) = dev_with_lender().await;
        let revoke = |what: &'static str, token: &str| {
            let request = request(&dev, "/v1/auth/revoke");
            send(match what {
                "form" => request.form(&[("token", token)]),
                "form with a hint" => {
                    request.form(&[("token", token), ("token_type_hint", "refresh_token"), ("x", "1")])
                }
                "form with an unknown hint" => request.form(&[("token_type_hint", "\"é"), ("token", token)]),
                "form with a client" => request.basic_auth("anyone", Some("x")).form(&[("token", token)]),
                "JSON" => request.json(&json!({"token": token})),
                "JSON with a hint" => request.json(&json!({"token": token, "token_type_hint": 7, "x": {}})),
                "JSON without a type" => request.body(json!({"token": token}).to_string()),
                other => panic!("{other}"),
            })
        };
        let kept = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
        for what in [
            "form",
            "form with a hint",
            "form with an unknown hint",
            "form with a client",
            "JSON",
            "JSON with a hint",
            "JSON without a type",
        ] {
            let token = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
            assert_eq!(opens(&dev, &token).await, 200);
            let first = revoke(what, &token).await;
            first.expect(200);
            assert_eq!(opens(&dev, &token).await, 401, "{what}");
            let again = revoke(what, &token).await;
            assert_eq!(
                without_request_id(&again),
                without_request_id(&first),
                "{what}: whether or not it existed"
            );
        }
        assert_eq!(opens(&dev, &kept).await, 200);
        assert_eq!(dev.verify(&id, &passphrase).await["valid"], true);
    }

    #[tokio::test]
    async fn whatever_the_token_is_it_is_a_success() {
        let (dev, id, passphrase) = dev_with_lender().await;
        let token = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
        let cut = &token[..token.len() - 1];
        let changed = format!("{}{}", cut, if token.ends_with('0') { '1' } else { '0' });
        let before = items(&dev.table).await;
        let long = "x".repeat(60_000);
        for what in
            ["x", cut, &changed, &token.to_uppercase(), &passphrase, &dev.key, &id, " ", &long, "\u{0}é"]
        {
            let answer = send(request(&dev, "/v1/auth/revoke").form(&[("token", what)])).await;
            answer.expect(200);
        }
        assert!(items(&dev.table).await == before, "nothing was done");
        assert_eq!(opens(&dev, &token).await, 200);
        assert_eq!(
            send(dev.http.get(format!("{}/v1/docks", dev.url)).bearer_auth(&dev.key)).await.status,
            200
        );
    }

    #[tokio::test]
    async fn a_missing_or_repeated_token_is_an_invalid_request() {
        let (dev, id, passphrase) = dev_with_lender().await;
        let token = assert_issued(&ask_as(&dev, &id, &passphrase, &[]).await);
        let revoke = || request(&dev, "/v1/auth/revoke");
        for (what, request) in [
            ("no body", revoke()),
            ("an empty form", revoke().form(&[("token", "")])),
            ("another parameter", revoke().form(&[("access_token", &token)])),
            ("two tokens", revoke().form(&[("token", &token), ("token", &token)])),
            (
                "two hints",
                revoke().form(&[
                    ("token", token.as_str()),
                    ("token_type_hint", "a"),
                    ("token_type_hint", "b"),
                ]),
            ),
            ("no member", revoke().json(&json!({}))),
            ("null", revoke().json(&json!({"token": null}))),
            ("no text", revoke().json(&json!({"token": [token]}))),
            ("no object", revoke().json(&json!([token]))),
            ("in Authorization alone", revoke().bearer_auth(&token)),
        ] {
            let answer = send(request).await;
            assert_eq!(answer.status, 400, "{what}: {}", redacted(&answer.text));
            assert_oauth(&answer, 400, "invalid_request");
        }
        assert_eq!(opens(&dev, &token).await, 200, "nothing was revoked");
    }

    #[tokio::test]
    async fn all_tokens_of_a_recipient_end_and_nothing_else_does() {
        let it = Institution::new().await;
        it.policy(recipe()).await;
        let (lender, other) = (it.lender("a").await, it.lender("b").await);
        let ((_, passphrase), (_, of_other)) =
            (it.secret(&lender, None).await, it.secret(&other, None).await);
        let pem = certificate::new("a");
        it.certificate(&lender, &pem).await;
        let (plain, bound) =
            (it.token(&lender, &passphrase, None).await, it.token(&lender, &passphrase, Some(&pem)).await);
        let others = it.token(&other, &of_other, None).await;
        let revoke_all =
            async || it.ask("revoke-recipient-tokens", &[("recipientId", &lender)], Value::Null).await;
        let revoked = revoke_all().await;
        assert_eq!((revoked.status, revoked.body), (200, json!({"success": true})));
        // At the same instant of the clock.
        let later = it.token(&lender, &passphrase, Some(&pem)).await;
        for (token, pem, expected) in
            [(&plain, None, 401), (&bound, Some(&pem), 401), (&later, Some(&pem), 200), (&others, None, 200)]
        {
            assert_eq!(it.api.opened(token, pem.map(String::as_str)).await.status, expected);
        }
        assert_eq!(revoke_all().await.status, 200, "again");
        assert_eq!(it.api.opened(&later, Some(&pem)).await.status, 401);
        it.token(&lender, &passphrase, Some(&pem)).await;
    }

    #[tokio::test]
    async fn to_revoke_all_takes_the_accounts_key_and_no_body() {
        let mut dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let path = |of: &str| format!("/v1/recipients/{of}/tokens/revoke");
        let to = path(&recipient);
        send(dev.http.post(format!("{}{to}", dev.url))).await.expect(401);
        post(&dev, &to, json!({"all": true})).await.expect(400);
        post(&dev, &format!("{to}?all=true"), json!({})).await.expect(400);
        send(dev.post(&to).header("content-type", "text/plain").body("{}")).await.expect(415);
        assert_eq!(post(&dev, &to, json!({})).await.expect(200), json!({"success": true}));
        let account = dev.table.account().await;
        dev.key = dev.table.key(account).await;
        let mut answers = Vec::new();
        for id in [&recipient, UNKNOWN_RECIPIENT, "rcp_x", "x"] {
            let answer = send(dev.post(&path(id))).await;
            assert_not_found(&answer, "Recipient");
            answers.push(without_request_id(&answer));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

#[tokio::test]
async fn a_token_is_issued_for_what_grants_at_its_time() {
    let it = Institution::new().await;
    let (from, to) = (it.after(HOUR).to_string(), it.after(2 * HOUR).to_string());
    it.policy(with(other_recipe(), "/constraints", json!({"not_before": from, "not_after": to}))).await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let ask = async || it.api.token(&lender, &passphrase, None, json!({})).await;
    unauthorized(&ask().await);
    it.pass(HOUR);
    assert_eq!(Timestamp::parse(&from), Some(it.now()));
    token_of(&ask().await);
    it.pass(HOUR);
    unauthorized(&ask().await);
}
