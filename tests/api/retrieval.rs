//! Retrieval: whom an access token lets in, what it opens, and what that leaves in the trail.

use std::collections::BTreeMap;

use docyard_test_support::api::Reply;
use docyard_test_support::certificate;
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::operations::{DocumentedOperation, Ids, operations};
use docyard_test_support::scene::{other_recipe, recipe};
use serde_json::{Value, json};

use crate::institution::{
    HOUR, Institution, MINUTE, items, recipe_for, recipe_of, recipe_with_certificate, token_of,
};
use crate::{policy_in_force, recipient_of, text, with};

const REFUSAL: &str = r#"{"statusCode":401,"message":"Invalid or expired API key","error":"Unauthorized"}"#;
const BAD_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// CRC-32 (ISO-HDLC) of a text in six base62 characters, as the last ones of a token are.
fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let alphabet: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let mut rest = !crc;
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(alphabet[usize::try_from(rest % 62).unwrap()]);
        rest /= 62;
    }
    digits.iter().rev().collect()
}

/// The same token with another recipient's ULID in it, and the checksum of that.
fn with_recipient(token: &str, recipient: &str) -> String {
    let ulid = recipient.strip_prefix("rcp_").unwrap();
    let body = format!("dk_tok_{ulid}{}", &token[33..token.len() - 6]);
    format!("{body}{}", checksum(&body))
}

#[track_caller]
fn assert_refused(reply: &Reply, challenge: &str, what: &str) {
    assert!((reply.status, reply.text.as_str()) == (401, REFUSAL), "{what}: {}", reply.shown());
    let expected = [
        ("cache-control", "no-store"),
        ("content-type", "application/json; charset=utf-8"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-request-id", "r"),
        ("www-authenticate", challenge),
    ];
    let expected: BTreeMap<String, String> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(reply.headers, expected, "{what}");
}

/// Asks with these headers.
async fn ask(it: &Institution, headers: &[(&str, String)]) -> Reply {
    it.api.ask("get-retrieval-access", &[], "", headers, None).await
}

/// The body of a refusal by policy.
#[track_caller]
fn forbidden(reply: &Reply) -> &Value {
    assert_eq!(reply.status, 403, "{}", reply.shown());
    assert_eq!((&reply.body["statusCode"], &reply.body["error"]), (&json!(403), &json!("Forbidden")));
    assert_eq!(reply.headers["cache-control"], "no-store");
    &reply.body
}

/// What a refusal calls missing.
#[track_caller]
fn missing(reply: &Reply) -> Vec<String> {
    let details = forbidden(reply)["details"].as_array();
    details.into_iter().flatten().map(|detail| text(&detail["field"]).to_owned()).collect()
}

/// The ids of the policies that grant.
#[track_caller]
fn granting(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.shown());
    let policies = reply.body["policies"].as_array().unwrap();
    let mut ids: Vec<String> = policies.iter().map(|policy| text(&policy["policyId"]).to_owned()).collect();
    ids.sort();
    ids
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().cloned().collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn only_a_token_whose_every_ground_still_stands_opens_anything() {
    let it = Institution::new().await;
    it.policy(recipe_for(720)).await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let pem = certificate::new("a");
    it.certificate(&lender, &pem).await;
    let expired = it.token(&lender, &passphrase, None).await;
    it.pass(12 * HOUR);

    // Each has a recipient, a secret and a certificate of its own.
    let mut refused: Vec<(&str, String, Option<String>)> = vec![("expired", expired, None)];
    let plain = it.token(&lender, &passphrase, None).await;
    let bound = it.token(&lender, &passphrase, Some(&pem)).await;
    let fresh = async |name: &str| {
        let lender = it.lender(name).await;
        let (secret, passphrase) = it.secret(&lender, None).await;
        let pem = certificate::new(name);
        let certificate = it.certificate(&lender, &pem).await;
        let bound = it.token(&lender, &passphrase, Some(&pem)).await;
        let plain = it.token(&lender, &passphrase, None).await;
        for (token, pem) in [(&bound, Some(pem.as_str())), (&plain, None)] {
            assert_eq!(it.api.opened(token, pem).await.status, 200, "{name}");
        }
        (lender, secret, certificate, pem, bound, plain)
    };
    let (.., pem_b, revoked, _) = fresh("b").await;
    let body = Some(json!({"token": revoked}).to_string());
    assert_eq!(it.api.ask("revoke-token", &[], "", &[], body).await.status, 200);
    refused.push(("revoked", revoked, Some(pem_b)));

    let (of, _, _, pem_c, earlier, earlier_plain) = fresh("c").await;
    it.done("revoke-recipient-tokens", &[("recipientId", &of)], Value::Null).await;
    refused.push(("of an earlier generation", earlier, Some(pem_c)));
    refused.push(("of an earlier generation, not bound", earlier_plain, None));

    let (of, secret, _, pem_d, rotated, rotated_plain) = fresh("d").await;
    it.end_secret("rotate-secret", &of, &secret, Value::Null).await;
    refused.push(("its secret rotated", rotated, Some(pem_d)));
    refused.push(("its secret rotated, not bound", rotated_plain, None));

    let (of, secret, _, pem_e, grace, grace_plain) = fresh("e").await;
    it.end_secret("rotate-secret", &of, &secret, json!({"graceHours": 1})).await;
    for (token, pem) in [(&grace, Some(pem_e.as_str())), (&grace_plain, None)] {
        assert_eq!(it.api.opened(token, pem).await.status, 200, "in the grace");
    }
    refused.push(("the grace of its secret over", grace, Some(pem_e)));
    refused.push(("the grace of its secret over, not bound", grace_plain, None));

    let (of, secret, _, pem_f, by_secret, by_secret_plain) = fresh("f").await;
    it.secret(&of, None).await;
    it.end_secret("revoke-secret", &of, &secret, Value::Null).await;
    refused.push(("its secret revoked", by_secret, Some(pem_f)));
    refused.push(("its secret revoked, not bound", by_secret_plain, None));

    let (of, _, certificate_g, pem_g, by_certificate, unbound) = fresh("g").await;
    it.revoke_certificate(&of, &certificate_g).await;
    refused.push(("its certificate revoked", by_certificate.clone(), Some(pem_g.clone())));
    refused.push(("its certificate revoked, on no certificate", by_certificate, None));
    let mut right = vec![("one beside it that is not bound", unbound, None)];

    let (of, _, certificate_h, pem_h, again, _) = fresh("h").await;
    it.revoke_certificate(&of, &certificate_h).await;
    it.certificate(&of, &pem_h).await;
    refused.push(("its certificate revoked and registered again", again, Some(pem_h)));

    let (of, _, _, pem_i, other, _) = fresh("i").await;
    let second = certificate::new("second");
    it.certificate(&of, &second).await;
    refused.push(("another certificate of the recipient", other.clone(), Some(second)));
    refused.push(("a stranger's certificate", other.clone(), Some(certificate::new("i"))));
    refused.push(("another recipient's certificate", other.clone(), Some(pem.clone())));
    refused.push(("no certificate", other.clone(), None));
    right.push(("the same on its own certificate", other, Some(pem_i)));

    let of = it.lender("j").await;
    let (_, passphrase_j) = it.secret(&of, None).await;
    let ends = certificate::valid("j", it.after(0), it.after(30 * MINUTE));
    it.certificate(&of, &ends).await;
    refused.push(("its certificate expired", it.token(&of, &passphrase_j, Some(&ends)).await, Some(ends)));

    let (of, _, _, pem_k, deleted, deleted_plain) = fresh("k").await;
    it.delete(&of).await;
    refused.push(("its recipient deleted", deleted, Some(pem_k)));
    refused.push(("its recipient deleted, not bound", deleted_plain, None));

    it.pass(61 * MINUTE);
    let cut = plain[..plain.len() - 1].to_owned();
    let checksum_changed = format!("{cut}{}", if plain.ends_with('0') { '1' } else { '0' });
    let random_changed = {
        let body = format!(
            "{}{}",
            &plain[..plain.len() - 7],
            if plain.as_bytes()[plain.len() - 7] == b'0' { '1' } else { '0' }
        );
        format!("{body}{}", checksum(&body))
    };
    assert!(checksum(&plain[..plain.len() - 6]) == plain[plain.len() - 6..], "the checksum is CRC-32");
    let own = with_recipient(&plain, &lender);
    assert!(own == plain);
    let none = |what, token: &str| (what, token.to_owned(), None);
    refused.extend([
        none("malformed", "x"),
        none("cut", &cut),
        none("longer", &format!("{plain}0")),
        none("in upper case", &plain.to_uppercase()),
        none("twice", &format!("{plain} {plain}")),
        none("with a bad checksum", &checksum_changed),
        none("unknown", &random_changed),
        none("with the ULID of another recipient", &with_recipient(&plain, &of)),
        none("with the ULID of no recipient", &with_recipient(&plain, crate::UNKNOWN_RECIPIENT)),
        none("with a ULID that is none", &with_recipient(&plain, "rcp_ZZZZZZZZZZZZZZZZZZZZZZZZZZ")),
        none("an API key", &it.account.key),
        none("a passphrase", &passphrase),
        ("an API key with a certificate", it.account.key.clone(), Some(pem.clone())),
        ("with the ULID of another, bound", with_recipient(&bound, &of), Some(pem.clone())),
    ]);
    right.extend([
        ("not bound", plain.clone(), None),
        ("not bound, with a certificate", plain.clone(), Some(pem.clone())),
        ("not bound, with a stranger's", plain.clone(), Some(certificate::new("stranger"))),
        ("bound", bound, Some(pem)),
    ]);

    let before = items(&it.account.table).await;
    let key = it.account.key.replace(&it.account.key[9..12], "000");
    let authorization = [("authorization", format!("Bearer {key}"))];
    let of_key = it.api.ask("list-docks", &[], "", &authorization, None).await;
    assert_refused(&of_key, BAD_TOKEN, "an API key that is none, elsewhere");
    for (what, token, pem) in &refused {
        assert_refused(&it.api.opened(token, pem.as_deref()).await, BAD_TOKEN, what);
    }
    for (what, headers) in [
        ("no header", vec![]),
        ("an empty header", vec![("authorization", String::new())]),
        ("no token", vec![("authorization", "Bearer".to_owned())]),
        ("another scheme", vec![("authorization", format!("Basic {plain}"))]),
        ("no scheme", vec![("authorization", plain.clone())]),
        ("another header", vec![("x-access-token", plain.clone())]),
    ] {
        assert_refused(&ask(&it, &headers).await, "Bearer", what);
    }
    let in_query = it.api.ask("get-retrieval-access", &[], &format!("access_token={plain}"), &[], None).await;
    assert_refused(&in_query, "Bearer", "in the query");
    assert!(items(&it.account.table).await == before, "nothing was done");
    for (what, token, pem) in &right {
        let reply = it.api.opened(token, pem.as_deref()).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.shown());
    }
    assert!(items(&it.account.table).await == before, "nor by those that are let in");
}

#[tokio::test]
async fn a_token_opens_nothing_that_takes_an_api_key() {
    let dev = Dev::start().await;
    policy_in_force(&dev, recipe()).await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({"lender_id": "LND-1"})).await;
    let id = text(&recipient["id"]).to_owned();
    let (_, passphrase) = dev.secret(&id).await;
    let form = [("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &passphrase)];
    let answer = send(dev.http.post(format!("{}/v1/auth/token", dev.url)).form(&form)).await;
    let token = text(&answer.expect(200)["access_token"]).to_owned();
    // About itself, too.
    let ids = Ids { recipient: id, ..Ids::new(&dev).await };
    let before = items(&dev.table).await;
    let taking_keys: Vec<DocumentedOperation> =
        operations().into_iter().filter(|it| it.takes_key() && !it.takes_token()).collect();
    assert!(taking_keys.iter().any(|operation| operation.id == "getRecipient"), "among others");
    for operation in &taking_keys {
        for ids in [&ids, &Ids::nothing()] {
            let answer = send(operation.request(&dev, ids).bearer_auth(&token)).await;
            assert_eq!((answer.status, answer.text.as_str()), (401, REFUSAL), "{}", operation.id);
            assert_eq!(answer.header("www-authenticate"), BAD_TOKEN, "{}", operation.id);
        }
    }
    assert!(items(&dev.table).await == before, "nothing was done");
    let taking_tokens: Vec<DocumentedOperation> = operations()
        .into_iter()
        .filter(|operation| !operation.takes_key() && operation.takes_token())
        .collect();
    let names: Vec<&str> = taking_tokens.iter().map(|operation| operation.id.as_str()).collect();
    assert!(names.contains(&"getRetrievalAccess"), "{names:?}");
    for operation in &taking_tokens {
        let answer = send(operation.request(&dev, &ids).bearer_auth(&dev.key)).await;
        assert_eq!((answer.status, answer.text.as_str()), (401, REFUSAL), "{}", operation.id);
    }
    let url = format!("{}/v1/retrieval/access", dev.url);
    assert_eq!(send(dev.http.get(url).bearer_auth(&token)).await.status, 200);
}

#[tokio::test]
async fn the_response_has_exactly_these_fields() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let pem = certificate::new("a");
    it.certificate(&lender, &pem).await;
    let narrow = it.policy(recipe()).await;
    let methods = with(other_recipe(), "/access", json!({"method": ["bulk_download", "bulk_api"]}));
    let with_certificate = with(methods, "/auth/factors", json!(["shared_passphrase", "tls_certificate"]));
    let wide = it.policy(with(with_certificate, "/artifactTypes", json!(["*"]))).await;
    let authenticated_at = it.now().to_string();
    let expires_at = it.after(HOUR).to_string();
    let (plain, bound) =
        (it.token(&lender, &passphrase, None).await, it.token(&lender, &passphrase, Some(&pem)).await);
    it.pass(MINUTE);

    let of_narrow =
        json!({"policyId": narrow, "methods": ["bulk_api"], "artifactTypes": ["declaration-page"]});
    let reply = it.api.opened(&plain, None).await;
    let expected = json!({
        "recipientId": lender, "dockId": it.account.dock, "factors": ["shared_passphrase"],
        "authenticatedAt": authenticated_at, "expiresAt": expires_at, "policies": [of_narrow],
    });
    assert_eq!((reply.status, &reply.body), (200, &expected));
    assert_eq!(reply.headers["cache-control"], "no-store");

    let reply = it.api.opened(&bound, Some(&pem)).await;
    assert_eq!(reply.body["factors"], json!(["shared_passphrase", "tls_certificate"]));
    let policies = reply.body["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    assert!(policies.contains(&of_narrow), "{}", reply.shown());
    let of_wide = policies.iter().find(|policy| policy["policyId"] == wide.as_str()).unwrap();
    assert_eq!(of_wide["artifactTypes"], json!(["*"]));
    let mut methods: Vec<&str> = of_wide["methods"].as_array().unwrap().iter().map(text).collect();
    methods.sort_unstable();
    assert_eq!(methods, ["bulk_api", "bulk_download"]);
    assert_eq!(of_wide.as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn it_takes_no_parameters() {
    let it = Institution::new().await;
    it.policy(recipe()).await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let headers = [("authorization", format!("Bearer {}", it.token(&lender, &passphrase, None).await))];
    let reply = it.api.ask("get-retrieval-access", &[], "limit=1", &headers, None).await;
    assert_eq!(
        (reply.status, &reply.body["details"][0]["field"]),
        (400, &json!("limit")),
        "{}",
        reply.shown()
    );
    let token = headers[0].1.replace("Bearer ", "bEaReR   ");
    assert_eq!(ask(&it, &[("authorization", token)]).await.status, 200);
}

#[tokio::test]
async fn what_is_withdrawn_opens_nothing_at_the_next_request_until_it_is_in_force_again() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let policy = it.policy(recipe()).await;
    let token = it.token(&lender, &passphrase, None).await;
    let opened = async || it.api.opened(&token, None).await;
    assert_eq!(granting(&opened().await), sorted([&policy]));
    it.withdraw(&policy).await;
    assert_eq!(missing(&opened().await), [] as [&str; 0], "nothing would do");
    it.enforce(&policy).await;
    assert_eq!(granting(&opened().await), sorted([&policy]));

    it.policy(with(recipe_with_certificate(), "/match/identifiers", json!(["lender_id", "file_number"])))
        .await;
    assert_eq!(granting(&opened().await), sorted([&policy]), "one by itself grants");
    it.withdraw(&policy).await;
    let refused = opened().await;
    let mut fields = missing(&refused);
    fields.sort();
    assert_eq!(fields, ["factors.tls_certificate", "identifiers.file_number"], "{}", refused.shown());
    assert!(!refused.text.contains("LND-1"), "{}", refused.shown());
    let another = it.policy(other_recipe()).await;
    assert_eq!(granting(&opened().await), [another], "one that came later");
}

#[tokio::test]
async fn a_version_that_is_scheduled_decides_from_its_instant_on() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let policy = it.policy(recipe()).await;
    it.done("update-policy", &[("policyId", &policy)], json!({"recipe": recipe_with_certificate()})).await;
    let at = it.after(30 * MINUTE).to_string();
    let schedule = json!({"stage": "production", "version": 2, "scheduledEnforceDate": at});
    it.done("publish-policy", &[("policyId", &policy)], schedule).await;
    let token = it.token(&lender, &passphrase, None).await;
    it.pass(30 * MINUTE - 1);
    assert_eq!(granting(&it.api.opened(&token, None).await), sorted([&policy]));
    it.pass(1);
    assert_eq!(missing(&it.api.opened(&token, None).await), ["factors.tls_certificate"]);
}

#[tokio::test]
async fn a_pilot_decides_for_those_it_names() {
    let it = Institution::new().await;
    let (lender, other) = (it.lender("a").await, it.lender("b").await);
    let ((_, passphrase), (_, of_other)) = (it.secret(&lender, None).await, it.secret(&other, None).await);
    let policy = it.policy(recipe()).await;
    let token = it.token(&lender, &passphrase, None).await;
    let others = it.token(&other, &of_other, None).await;
    it.done("update-policy", &[("policyId", &policy)], json!({"recipe": recipe_with_certificate()})).await;
    let pilot = json!({"stage": "pilot", "version": 2, "recipientIds": [lender]});
    it.done("publish-policy", &[("policyId", &policy)], pilot).await;
    assert_eq!(missing(&it.api.opened(&token, None).await), ["factors.tls_certificate"]);
    assert_eq!(granting(&it.api.opened(&others, None).await), sorted([&policy]));
}

#[tokio::test]
async fn who_is_put_out_of_the_audience_is_refused_at_the_next_request() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let policy = it.policy(recipe()).await;
    let token = it.token(&lender, &passphrase, None).await;
    let group = it.done("create-group", &[], json!({"name": "G", "recipientIds": [lender]})).await;
    let group = text(&group["id"]);
    let audience = json!({"audience": {"groupIds": [group]}});
    it.done("update-policy", &[("policyId", &policy)], audience).await;
    assert_eq!(it.api.opened(&token, None).await.status, 200);
    let parameters = [("groupId", group), ("recipientId", lender.as_str())];
    it.done("remove-group-recipient", &parameters, Value::Null).await;
    assert_eq!(missing(&it.api.opened(&token, None).await), [] as [&str; 0]);
    it.done("add-group-recipients", &parameters, json!({"recipientIds": [lender]})).await;
    assert_eq!(it.api.opened(&token, None).await.status, 200);
}

#[tokio::test]
async fn each_policy_grants_for_its_own_session() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let short = it.policy(recipe_for(10)).await;
    let long = it.policy(recipe_for(30)).await;
    let token = it.token(&lender, &passphrase, None).await;
    let opened = async || it.api.opened(&token, None).await;
    assert_eq!(granting(&opened().await), sorted([&short, &long]));
    it.pass(10 * MINUTE - 1);
    assert_eq!(granting(&opened().await), sorted([&short, &long]));
    it.pass(1);
    assert_eq!(granting(&opened().await), sorted([&long]), "the shorter session is over");
    it.withdraw(&long).await;
    forbidden(&opened().await);
    let fresh = it.token(&lender, &passphrase, None).await;
    assert_eq!(granting(&it.api.opened(&fresh, None).await), [short]);
    it.pass(20 * MINUTE);
    assert_eq!(opened().await.status, 401, "the token has ended");
}

#[tokio::test]
async fn what_was_submitted_stays_with_the_token_and_is_held_against_what_is_stored_now() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let policy = it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "policy_number"]))).await;
    let claim = json!({"identifiers": {"policy_number": "POL-1"}});
    let token = token_of(&it.api.token(&lender, &passphrase, None, claim).await);
    let opened = async || it.api.opened(&token, None).await;
    assert_eq!(granting(&opened().await), sorted([&policy]));
    let store = async |identifiers: Value| it.update(&lender, json!({"identifiers": identifiers})).await;
    store(json!({"policy_number": "POL-1"})).await;
    assert_eq!(granting(&opened().await), sorted([&policy]), "equal to what is stored");
    store(json!({"policy_number": "POL-2"})).await;
    let refused = opened().await;
    assert_eq!(missing(&refused), [] as [&str; 0], "a mismatch is not spoken of");
    for word in ["policy_number", "POL-", "mismatch"] {
        assert!(!refused.text.contains(word), "{}", refused.shown());
    }
    store(json!({"policy_number": null, "lender_id": null})).await;
    assert_eq!(missing(&opened().await), ["identifiers.lender_id"]);
    store(json!({"lender_id": "LND-7"})).await;
    assert_eq!(granting(&opened().await), [policy]);
    for _ in 0..20 {
        assert_eq!(opened().await.status, 200, "to use a token submits nothing");
    }
}

#[tokio::test]
async fn a_set_that_was_too_many_opens_nothing_later_either() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    it.policy(recipe()).await;
    let claims = it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "policy_number"]))).await;
    let ask = async |n: usize| {
        let claim = json!({"identifiers": {"policy_number": format!("POL-{n}")}});
        token_of(&it.api.token(&lender, &passphrase, None, claim).await)
    };
    for n in 0..10 {
        assert!(granting(&it.api.opened(&ask(n).await, None).await).contains(&claims));
    }
    let eleventh = ask(10).await;
    assert!(!granting(&it.api.opened(&eleventh, None).await).contains(&claims));
}

#[tokio::test]
async fn a_recipient_that_changes_keeps_its_tokens_and_has_what_it_is_now() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    let of_mortgagees = it.policy(recipe()).await;
    let of_auditors = it.policy(with(recipe(), "/stakeholderClass", json!("auditor"))).await;
    let token = it.token(&lender, &passphrase, None).await;
    let opened = async || it.api.opened(&token, None).await;
    it.update(&lender, json!({"email": "other@example.com", "name": "Another name"})).await;
    assert_eq!(granting(&opened().await), sorted([&of_mortgagees]));
    it.update(&lender, json!({"stakeholderClass": "auditor"})).await;
    assert_eq!(granting(&opened().await), [of_auditors]);
    it.update(&lender, json!({"stakeholderClass": "agent"})).await;
    assert_eq!(missing(&opened().await), [] as [&str; 0]);
    it.update(&lender, json!({"stakeholderClass": null})).await;
    assert_eq!(missing(&opened().await), [] as [&str; 0]);
    it.update(&lender, json!({"stakeholderClass": "mortgagee"})).await;
    assert_eq!(granting(&opened().await), [of_mortgagees]);
}

#[tokio::test]
async fn a_policy_about_the_address_has_the_present_one() {
    let it = Institution::new().await;
    let lender = it.lender("a").await;
    let (_, passphrase) = it.secret(&lender, None).await;
    it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "email"]))).await;
    let claim = json!({"identifiers": {"email": "a@example.com"}});
    let token = token_of(&it.api.token(&lender, &passphrase, None, claim).await);
    assert_eq!(it.api.opened(&token, None).await.status, 200);
    it.update(&lender, json!({"email": "other@example.com"})).await;
    forbidden(&it.api.opened(&token, None).await);
}

mod trail {
    use super::*;

    /// What an entry says, but for its id and where it came from.
    #[track_caller]
    fn assert_entry(it: &Institution, entry: &Value, actor: &str, at: &str, metadata: Value) {
        assert_eq!(entry["dockId"], it.account.dock.as_str(), "{entry}");
        assert_eq!((&entry["actor"], &entry["source"]), (&json!(actor), &json!("api")), "{entry}");
        assert_eq!(entry["createdAt"], at, "{entry}");
        assert_eq!(entry["metadata"], metadata, "{entry}");
        assert_eq!(entry["changes"], Value::Null, "{entry}");
    }

    fn assert_not_personal(entries: &[Value], secrets: &[&str]) {
        let shown = json!(entries).to_string();
        for personal in ["A lender", "example.com", "LND-", "POL-", "dk_", "BEGIN"] {
            assert!(!shown.contains(personal), "{personal}");
        }
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "a secret is in the trail");
    }

    #[tokio::test]
    async fn an_issue_and_a_revocation_leave_one_entry_each() {
        let it = Institution::new().await;
        it.policy(with(recipe(), "/match/identifiers", json!(["lender_id", "policy_number"]))).await;
        let lender = it.lender("a").await;
        let (secret, passphrase) = it.secret(&lender, None).await;
        let pem = certificate::new("a");
        let certificate = it.certificate(&lender, &pem).await;
        let at = it.now().to_string();
        let ends = it.after(HOUR).to_string();
        let claim = json!({"identifiers": {"policy_number": "POL-1"}});
        let bound = token_of(&it.api.token(&lender, &passphrase, Some(&pem), claim).await);
        let issued = it.trail("token", "issue").await;
        assert_eq!(issued.len(), 1);
        let id = text(&issued[0]["entityId"]).to_owned();
        assert!(crate::is_id(&issued[0]["entityId"], "tok_"), "{id}");
        let metadata = json!({
            "recipientId": lender, "secretId": secret, "certificateId": certificate,
            "factors": ["shared_passphrase", "tls_certificate"], "expiresAt": ends,
            "identifiersSubmitted": ["policy_number"],
        });
        assert_entry(&it, &issued[0], &lender, &at, metadata);

        let revoke = async |token: &str| {
            let body = Some(json!({"token": token}).to_string());
            assert_eq!(it.api.ask("revoke-token", &[], "", &[], body).await.status, 200);
        };
        it.pass(1);
        let at = it.now().to_string();
        for _ in 0..2 {
            revoke(&bound).await;
        }
        revoke(&with_recipient(&bound, &lender)).await;
        revoke("x").await;
        let trail = it.trail_of("token", &id).await;
        assert_eq!(trail.len(), 2, "a repeated revocation leaves none");
        assert_eq!(trail[0]["action"], "revoke");
        assert_entry(&it, &trail[0], &lender, &at, json!({"recipientId": lender}));
        assert_eq!(it.trail("token", "revoke").await.len(), 1);
        assert_not_personal(&trail, &[&bound[34..], &passphrase]);
    }

    #[tokio::test]
    async fn an_issue_without_certificate_and_identifiers_names_none() {
        let it = Institution::new().await;
        it.policy(recipe()).await;
        let lender = it.lender("a").await;
        let (secret, passphrase) = it.secret(&lender, None).await;
        it.token(&lender, &passphrase, Some(&certificate::new("stranger"))).await;
        let issued = it.trail("token", "issue").await;
        let metadata = json!({
            "recipientId": lender, "secretId": secret, "factors": ["shared_passphrase"],
            "expiresAt": it.after(HOUR).to_string(),
        });
        assert_entry(&it, &issued[0], &lender, &it.now().to_string(), metadata);
        assert!(it.trail("recipient", "refuse").await.is_empty());
    }

    #[tokio::test]
    async fn a_revocation_of_all_is_an_entry_of_the_recipient() {
        let it = Institution::new().await;
        let lender = it.lender("a").await;
        it.pass(1);
        it.done("revoke-recipient-tokens", &[("recipientId", &lender)], Value::Null).await;
        let trail = it.trail_of("recipient", &lender).await;
        assert_eq!(trail[0]["action"], "revoke");
        let account = it.account.table.store.accounts().await.unwrap()[0].id;
        let key = it.account.table.store.api_keys(account).await.unwrap()[0].id.to_string();
        assert_entry(&it, &trail[0], &key, &it.now().to_string(), json!({"revoked": "tokens"}));
        assert_not_personal(&trail[..1], &[]);
    }

    #[tokio::test]
    async fn equal_refusals_of_one_credential_leave_one_entry_a_minute() {
        let it = Institution::new().await;
        let certificates = it
            .policy(with(
                recipe_with_certificate(),
                "/match/identifiers",
                json!(["lender_id", "file_number"]),
            ))
            .await;
        let lender = it.lender("a").await;
        let (secret, passphrase) = it.secret(&lender, None).await;
        let (second, second_passphrase) = it.secret(&lender, None).await;
        let at = it.after(1).to_string();
        let ask = async |passphrase: &str, more: Value| {
            // Entries of one millisecond are in no order.
            it.pass(1);
            let refused = it.api.token(&lender, passphrase, None, more).await;
            assert_eq!(refused.status, 400, "{}", refused.shown());
        };
        let refusals = async || it.trail("recipient", "refuse").await;
        for _ in 0..3 {
            ask(&passphrase, json!({})).await;
        }
        let first = refusals().await;
        assert_eq!(first.len(), 1, "equal ones");
        assert_eq!(first[0]["entityId"], lender.as_str());
        let metadata = json!({
            "credential": secret, "missingFactors": ["tls_certificate"], "missingIdentifiers": ["file_number"],
        });
        assert_entry(&it, &first[0], &lender, &at, metadata);

        let at = it.after(1).to_string();
        ask(&passphrase, json!({"identifiers": {"file_number": "POL-7"}})).await;
        ask(&passphrase, json!({"identifiers": {"file_number": "POL-8"}})).await;
        let another = refusals().await;
        assert_eq!(another.len(), 2, "another reason");
        let metadata =
            json!({"credential": secret, "missingFactors": ["tls_certificate"], "missingIdentifiers": []});
        assert_entry(&it, &another[0], &lender, &at, metadata);

        ask(&second_passphrase, json!({})).await;
        let another = refusals().await;
        assert_eq!(another.len(), 3, "another credential");
        assert_eq!(another[0]["metadata"]["credential"], second.as_str());

        for passphrase in ["dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c", "x"] {
            assert_eq!(it.api.token(&lender, passphrase, None, json!({})).await.status, 401);
        }
        assert_eq!(refusals().await.len(), 3, "a wrong passphrase leaves none");
        it.pass(MINUTE);
        for _ in 0..2 {
            ask(&passphrase, json!({})).await;
        }
        assert_eq!(refusals().await.len(), 4, "another minute");
        it.withdraw(&certificates).await;
        ask(&passphrase, json!({})).await;
        let nothing = refusals().await;
        assert_eq!(nothing.len(), 5);
        let metadata = json!({"credential": secret, "missingFactors": [], "missingIdentifiers": []});
        assert_entry(&it, &nothing[0], &lender, &it.now().to_string(), metadata);
        assert_not_personal(&nothing, &[&passphrase, &second_passphrase]);
    }

    #[tokio::test]
    async fn a_refusal_of_a_token_names_it() {
        let it = Institution::new().await;
        let policy = it.policy(recipe_of(&["shared_passphrase"])).await;
        let (lender, other) = (it.lender("a").await, it.lender("b").await);
        let ((_, passphrase), (_, of_other)) =
            (it.secret(&lender, None).await, it.secret(&other, None).await);
        let token = it.token(&lender, &passphrase, None).await;
        let id = it.trail("token", "issue").await[0]["entityId"].clone();
        let second = it.token(&lender, &passphrase, None).await;
        let others = it.token(&other, &of_other, None).await;
        let before = items(&it.account.table).await;
        assert_eq!(it.api.opened(&token, None).await.status, 200);
        assert!(items(&it.account.table).await == before, "a use that is granted leaves none");

        it.policy(with(recipe_with_certificate(), "/artifactTypes", json!(["*"]))).await;
        it.withdraw(&policy).await;
        let refusals = async || it.trail("recipient", "refuse").await;
        let refused = async |token: &str| {
            // Entries of one millisecond are in no order.
            it.pass(1);
            forbidden(&it.api.opened(token, None).await);
        };
        let at = it.after(1).to_string();
        for _ in 0..3 {
            refused(&token).await;
        }
        let first = refusals().await;
        assert_eq!(first.len(), 1, "equal ones");
        assert_eq!(first[0]["entityId"], lender.as_str());
        let metadata =
            json!({"credential": id, "missingFactors": ["tls_certificate"], "missingIdentifiers": []});
        assert_entry(&it, &first[0], &lender, &at, metadata);
        it.update(&lender, json!({"identifiers": {"lender_id": null}})).await;
        refused(&token).await;
        assert_eq!(refusals().await.len(), 2, "another reason");
        refused(&second).await;
        assert_eq!(refusals().await.len(), 3, "another token");
        refused(&others).await;
        let all = refusals().await;
        assert_eq!((all.len(), &all[0]["actor"]), (4, &json!(other)), "another recipient");
        assert_eq!(it.trail_of("recipient", &other).await[0], all[0]);
        it.pass(MINUTE);
        refused(&token).await;
        assert_eq!(refusals().await.len(), 5, "another minute");
        it.pass(HOUR);
        assert_eq!(it.api.opened(&token, None).await.status, 401);
        assert_eq!(refusals().await.len(), 5, "one that has ended leaves none");
        assert_not_personal(&refusals().await, &[&token[34..], &passphrase]);
    }
}
