//! Who is let in: every operation of the API's document with every kind of credential.

use std::collections::{BTreeMap, BTreeSet};

use docyard_core::model::api_key::{ApiKey, Mode};
use docyard_core::values::clock::Clock;
use docyard_core::values::id::ApiKeyId;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::operations::{DocumentedOperation, Ids, operations};
use docyard_test_support::redacted;

const REFUSAL: &str = r#"{"statusCode":401,"message":"Invalid or expired API key","error":"Unauthorized"}"#;

/// The headers of an answer, but for the date and the id of the request.
fn headers(answer: &Answer) -> BTreeMap<String, String> {
    let headers =
        answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    headers.filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str())).collect()
}

/// Everything in the table, without the values of keys and secrets.
async fn table(dev: &Dev) -> BTreeSet<String> {
    dev.table
        .items()
        .await
        .iter()
        .map(|item| redacted(&format!("{:?}", item.iter().collect::<BTreeMap<_, _>>())))
        .collect()
}

/// Each kind of credential that opens nothing: what it is, the `Authorization` headers, and the challenge that answers
/// it.
async fn refused_credentials(dev: &Dev) -> Vec<(&'static str, Vec<String>, &'static str)> {
    let account = dev.table.account().await;
    let now = Clock::system().now();
    let expired = dev.table.key_with(account, Mode::Live, Some(now)).await;
    let test_mode = dev.table.key_with(account, Mode::Test, None).await;
    // An account with one key, which is the one that is revoked.
    let other = dev.table.account().await;
    let revoked = dev.table.key(other).await;
    let only: ApiKeyId = dev.table.store.api_keys(other).await.unwrap()[0].id;
    dev.table.revoke_key(other, only).await;
    let unknown = ApiKey::generate(Mode::Live, &mut docyard_core::values::random::system());
    let valid = dev.key.clone();
    let bad_checksum = format!("{}{}", &valid[..43], if valid.ends_with('0') { '1' } else { '0' });

    let (no_token, bad_token) = ("Bearer", "Bearer error=\"invalid_token\"");
    let bearer = |token: &str| vec![format!("Bearer {token}")];
    vec![
        ("no header", vec![], no_token),
        ("an empty header", vec![String::new()], no_token),
        ("another scheme", vec!["Basic ZG9jazp5YXJk".to_owned()], no_token),
        ("the key in another scheme", vec![format!("Token {valid}")], no_token),
        ("the key without a scheme", vec![valid.clone()], no_token),
        ("a scheme without a key", vec!["Bearer".to_owned()], no_token),
        ("two headers", vec![format!("Bearer {valid}"), format!("Bearer {valid}")], bad_token),
        ("malformed", bearer("x"), bad_token),
        ("the key and more", bearer(&format!("{valid} {valid}")), bad_token),
        ("the key in upper case", bearer(&valid.to_uppercase()), bad_token),
        ("a bad checksum", bearer(&bad_checksum), bad_token),
        ("unknown", bearer(unknown.expose()), bad_token),
        ("revoked", bearer(&revoked), bad_token),
        ("expired", bearer(&expired), bad_token),
        ("of the other mode", bearer(&test_mode), bad_token),
    ]
}

#[tokio::test]
async fn no_operation_tells_or_does_anything_without_a_valid_key() {
    let dev = Dev::start().await;
    let credentials = refused_credentials(&dev).await;
    let mut requests: Vec<(DocumentedOperation, Ids)> = Vec::new();
    let is_public = |operation: &DocumentedOperation| operation.credentials.is_empty();
    let public: Vec<String> =
        operations().into_iter().filter(is_public).map(|operation| operation.id).collect();
    assert_eq!(public, ["revokeToken", "issueToken", "getHealth", "downloadArtifact"]);
    let protected = || operations().into_iter().filter(|operation| !is_public(operation));
    for operation in protected() {
        requests.push((operation, Ids::new(&dev).await));
    }
    requests.extend(protected().map(|operation| (operation, Ids::nothing())));
    let before = table(&dev).await;
    for (operation, ids) in &requests {
        for (case, values, challenge) in &credentials {
            let request = operation.request(&dev, ids);
            let request =
                values.iter().fold(request, |request, value| request.header("authorization", value));
            let answer = send(request).await;
            let what = format!("{} with {case}", operation.id);
            assert_eq!((answer.status, answer.text.as_str()), (401, REFUSAL), "{what}");
            let expected = [
                ("cache-control", "no-store"),
                ("content-length", &REFUSAL.len().to_string()),
                ("content-type", "application/json; charset=utf-8"),
                ("referrer-policy", "no-referrer"),
                ("strict-transport-security", "max-age=31536000"),
                ("x-content-type-options", "nosniff"),
                ("www-authenticate", challenge),
            ];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(headers(&answer), expected.into(), "{what}");
            assert!(!answer.header("x-request-id").is_empty(), "{what}");
        }
    }
    assert_eq!(table(&dev).await, before, "nothing was done");
}

#[tokio::test]
async fn the_right_key_opens_every_operation() {
    let dev = Dev::start().await;
    for operation in operations().into_iter().filter(DocumentedOperation::takes_key) {
        let ids = Ids::new(&dev).await;
        send(operation.request(&dev, &ids).bearer_auth(&dev.key)).await.expect(operation.status);
    }
}

#[tokio::test]
async fn what_is_anothers_is_answered_to_the_byte_as_what_does_not_exist() {
    let mut dev = Dev::start().await;
    let (own_key, own) = (dev.key.clone(), Ids::new(&dev).await);
    let account = dev.table.account().await;
    dev.key = dev.table.key(account).await;
    dev.dock = dev.table.dock(account).await.to_string();
    let foreign = Ids::new(&dev).await;
    let before = table(&dev).await;
    let nothing = Ids::nothing();
    // All of it another's, and another's things within one's own.
    let mixed = |of: &Ids| {
        let (own, of) = (own.clone(), of.clone());
        [
            of.clone(),
            Ids { dock: own.dock.clone(), ..of.clone() },
            Ids { dock: own.dock.clone(), recipient: own.recipient.clone(), ..of.clone() },
            Ids { recipient: of.recipient, ..own },
        ]
    };
    let of_account = || operations().into_iter().filter(DocumentedOperation::takes_key);
    for operation in of_account().filter(|operation| operation.names_things()) {
        for (foreign, nothing) in mixed(&foreign).iter().zip(&mixed(&nothing)) {
            let asks_alike = |a: &Ids, b: &Ids| {
                operation.path_to(a) == operation.path_to(b) && operation.body_of(a) == operation.body_of(b)
            };
            if asks_alike(foreign, &own) {
                continue;
            }
            let mut answers = Vec::new();
            for ids in [foreign, nothing] {
                let answer = send(operation.request(&dev, ids).bearer_auth(&own_key)).await;
                answer.expect(404);
                answers.push((headers(&answer), answer.text));
            }
            assert_eq!(answers[0], answers[1], "{}", operation.id);
        }
    }
    assert_eq!(table(&dev).await, before, "and nothing was touched");
    // Without a thing in their path, operations are about the key's own account.
    for operation in of_account().filter(|operation| !operation.names_things()) {
        let answer = send(operation.request(&dev, &nothing).bearer_auth(&own_key)).await;
        let body = answer.expect(operation.status);
        assert!(!body.to_string().contains(&dev.dock), "{}", operation.id);
    }
    let docks = dev.get("/v1/docks").await.expect(200);
    assert_eq!(docks.as_array().unwrap().len(), 1, "the other account has what it had");
}
