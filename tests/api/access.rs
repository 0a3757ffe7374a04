//! Access: who would be let in, by which policy, and what is missing.

use docyard_core::values::clock::Timestamp;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::scene::{other_recipe, recipe};
use serde_json::{Value, json};

use crate::secrets::expire;
use crate::{
    UNKNOWN_RECIPIENT, another_dock, assert_not_found, days_from_now, group, path_in_dock, policy,
    policy_in_force, post, publish, recipient_of, text, with, wrong_fields,
};

fn question(recipient: &Value, action: &str, context: Value) -> Value {
    json!({
        "subject": {"type": "recipient", "id": recipient["id"]},
        "action": {"name": action},
        "resource": {"type": "dock"},
        "context": context,
    })
}

async fn ask(dev: &Dev, body: Value) -> Answer {
    post(dev, &format!("/v1/docks/{}/access/evaluation", dev.dock), body).await
}

/// What *evaluate* says of a bulk request.
async fn evaluate(dev: &Dev, recipient: &Value, context: Value) -> Value {
    ask(dev, question(recipient, "bulk_api", context)).await.expect(200)
}

/// What it says of one whose passphrase is proven.
async fn with_passphrase(dev: &Dev, recipient: &Value, more: Value) -> Value {
    evaluate(dev, recipient, with(more, "/factors", json!(["shared_passphrase"]))).await
}

async fn at(dev: &Dev, recipient: &Value, time: &str) -> Value {
    with_passphrase(dev, recipient, json!({"time": time})).await
}

/// The outcome of a check of a policy; empty if it was not made.
fn outcome<'a>(answer: &'a Value, policy: &Value, check: &str) -> &'a str {
    let checks = answer["context"]["checks"].as_array().unwrap();
    let made = checks.iter().find(|made| made["policyId"] == policy["id"] && made["check"] == check);
    made.map_or("", |made| text(&made["outcome"]))
}

fn missing(factors: &[&str], identifiers: &[&str]) -> Value {
    json!({"factors": factors, "identifiers": identifiers})
}

async fn mortgagee(dev: &Dev, name: &str) -> Value {
    recipient_of(dev, "mortgagee", name, json!({"lender_id": "LND-1"})).await
}

async fn access(dev: &Dev, recipient: &Value) -> Vec<Value> {
    let path = format!("/v1/recipients/{}/access", text(&recipient["id"]));
    dev.get(&path).await.expect(200)["policies"].as_array().unwrap().clone()
}

async fn simulate(dev: &Dev, policy: &Value, body: Value) -> Value {
    post(dev, &format!("{}/simulate", path_in_dock("policies", policy)), body).await.expect(200)
}

/// A recipe for policyholders, of the portal.
fn portal_recipe(factors: &[&str], keys: &[&str]) -> Value {
    json!({
        "stakeholderClass": "policyholder", "artifactTypes": ["*"], "auth": {"factors": factors},
        "access": {"method": "portal"}, "match": {"identifiers": keys},
    })
}

fn plus_minutes_after_days(time: &Value, days: u16, minutes: u16) -> String {
    Timestamp::parse(text(time)).unwrap().plus_days(days).plus_minutes(minutes).to_string()
}

#[tokio::test]
async fn nothing_is_granted_that_no_policy_in_force_grants() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let nothing = json!({
        "decision": false,
        "context": {"policyId": null, "version": null, "missing": missing(&[], &[]), "checks": []},
    });
    assert_eq!(with_passphrase(&dev, &recipient, json!({})).await, nothing);
    let draft = policy(&dev, recipe()).await;
    assert_eq!(with_passphrase(&dev, &recipient, json!({})).await, nothing, "a draft");
    publish(&dev, &draft, json!({"stage": "production", "version": 1})).await.expect(200);
    let granted = with_passphrase(&dev, &recipient, json!({})).await;
    assert_eq!(granted["decision"], true);
    assert_eq!((&granted["context"]["policyId"], &granted["context"]["version"]), (&draft["id"], &json!(1)));
    assert_eq!(granted["context"]["missing"], missing(&[], &[]));
    let classless = json!({"name": "C", "email": "c@example.com", "identifiers": {"lender_id": "LND-1"}});
    let classless = dev.create_recipient(classless).await.expect(201);
    let agent = recipient_of(&dev, "agent", "g", json!({"lender_id": "LND-1"})).await;
    for uncovered in [&classless, &agent] {
        assert_eq!(with_passphrase(&dev, uncovered, json!({})).await, nothing);
    }
    publish(&dev, &draft, json!({"stage": "sandbox"})).await.expect(200);
    assert_eq!(with_passphrase(&dev, &recipient, json!({})).await, nothing, "it was withdrawn");
}

#[tokio::test]
async fn each_check_is_made_and_named() {
    let dev = Dev::start().await;
    let (member, outsider) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let recipe =
        with(recipe(), "/constraints", json!({"not_after": days_from_now(9), "auto_expire_days": 5}));
    let policy = policy_in_force(&dev, recipe).await;
    let audience = json!({"audience": {"groupIds": [group(&dev, &[&member]).await["id"]]}});
    dev.patch(&path_in_dock("policies", &policy), audience).await.expect(200);

    let granted = with_passphrase(&dev, &member, json!({})).await;
    assert_eq!(granted["decision"], true);
    let made = granted["context"]["checks"].as_array().unwrap();
    for check in made {
        assert_eq!((&check["policyId"], &check["version"]), (&policy["id"], &json!(1)));
        assert_eq!(check["outcome"], "holds");
    }
    let names = [
        "class",
        "audience",
        "window",
        "expiry",
        "method",
        "factor:shared_passphrase",
        "identifier:lender_id",
    ];
    for name in names {
        assert_eq!(outcome(&granted, &policy, name), "holds", "{name}");
    }

    let portal =
        ask(&dev, question(&outsider, "portal", json!({"identifiers": {"lender_id": "LND-2"}}))).await;
    let denied = portal.expect(200);
    assert_eq!(denied["decision"], false);
    assert_eq!(denied["context"]["checks"].as_array().unwrap().len(), made.len(), "none is skipped");
    for (check, expected) in
        names.iter().zip(["holds", "fails", "holds", "holds", "fails", "missing", "mismatch"])
    {
        assert_eq!(outcome(&denied, &policy, check), expected, "{check}");
    }
    let late = at(&dev, &member, &days_from_now(10)).await;
    assert_eq!(late["decision"], false);
    assert_eq!([outcome(&late, &policy, "window"), outcome(&late, &policy, "expiry")], ["fails", "fails"]);
    let sooner = at(&dev, &member, &days_from_now(6)).await;
    assert_eq!(
        [outcome(&sooner, &policy, "window"), outcome(&sooner, &policy, "expiry")],
        ["holds", "fails"]
    );
    assert_eq!(sooner["decision"], false);

    let bare = json!({"identifiers": null});
    dev.patch(&path_in_dock("recipients", &member), bare).await.expect(200);
    let denied = with_passphrase(&dev, &member, json!({})).await;
    assert_eq!(
        (&denied["decision"], outcome(&denied, &policy, "identifier:lender_id")),
        (&json!(false), "missing")
    );
    assert_eq!(denied["context"]["missing"], missing(&[], &["lender_id"]));
}

#[tokio::test]
async fn a_submitted_identifier_never_replaces_a_stored_one() {
    let dev = Dev::start().await;
    let holder = json!({
        "lender_id": "LND-1", "phone": "+1 (555) 010-0000", "date_of_birth": "1980-02-29",
    });
    let recipient = recipient_of(&dev, "mortgagee", "a", holder).await;
    let keys = json!(["lender_id", "email", "phone", "date_of_birth"]);
    let policy = policy_in_force(&dev, with(recipe(), "/match/identifiers", keys)).await;
    for (identifiers, check, expected) in [
        (json!({}), "identifier:email", "holds"),
        (json!({"lender_id": " LND-1 "}), "identifier:lender_id", "holds"),
        (json!({"lender_id": "lnd-1"}), "identifier:lender_id", "mismatch"),
        (json!({"lender_id": "LND-2"}), "identifier:lender_id", "mismatch"),
        (json!({"phone": "+15550100000"}), "identifier:phone", "holds"),
        (json!({"phone": "+15550100001"}), "identifier:phone", "mismatch"),
        (json!({"date_of_birth": "1980-02-29"}), "identifier:date_of_birth", "holds"),
        (json!({"date_of_birth": "1980-02-28"}), "identifier:date_of_birth", "mismatch"),
        (json!({"email": "a@example.com"}), "identifier:email", "holds"),
        (json!({"email": "b@example.com"}), "identifier:email", "mismatch"),
    ] {
        let answer = with_passphrase(&dev, &recipient, json!({"identifiers": identifiers})).await;
        assert_eq!(outcome(&answer, &policy, check), expected, "{identifiers}");
        assert_eq!(answer["decision"], expected == "holds", "{identifiers}");
    }
}

#[tokio::test]
async fn claims_open_what_something_else_than_a_claim_can_confirm() {
    let dev = Dev::start().await;
    let stored = recipient_of(&dev, "policyholder", "a", json!({"policy_number": "P-1"})).await;
    let bare = recipient_of(&dev, "policyholder", "b", json!({})).await;
    let policies = [
        (&["policy_number", "file_number"][..], [true, false]),
        (&["policy_number", "date_of_birth"][..], [true, true]),
        (&["file_number", "member_id"][..], [false, false]),
    ];
    for (keys, expected) in policies {
        let policy = policy_in_force(&dev, portal_recipe(&["sms_otp"], keys)).await;
        let all = json!({
            "policy_number": "P-1", "file_number": "F-1", "member_id": "M-1", "date_of_birth": "1980-01-01",
        });
        for (recipient, expected) in [&stored, &bare].into_iter().zip(expected) {
            let context = json!({"factors": ["sms_otp"], "identifiers": all});
            let answer = ask(&dev, question(recipient, "portal", context)).await.expect(200);
            assert_eq!(answer["decision"], expected, "{keys:?} {answer}");
            let nothing = json!({"factors": ["sms_otp"]});
            let answer = ask(&dev, question(recipient, "portal", nothing)).await.expect(200);
            assert_eq!(answer["decision"], false, "{keys:?}");
        }
        publish(&dev, &policy, json!({"stage": "sandbox"})).await.expect(200);
    }
    let recipe = portal_recipe(&["sms_otp"], &["policy_number", "date_of_birth"]);
    let policy = policy_in_force(&dev, with(recipe, "/match/stored_only", json!(true))).await;
    let context = json!({"factors": ["sms_otp"], "identifiers": {"date_of_birth": "1980-01-01"}});
    let answer = ask(&dev, question(&stored, "portal", context)).await.expect(200);
    assert_eq!(
        (&answer["decision"], outcome(&answer, &policy, "identifier:date_of_birth")),
        (&json!(false), "missing")
    );
}

#[tokio::test]
async fn one_policy_by_itself_must_grant() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let factors = json!(["shared_passphrase", "tls_certificate"]);
    let strict = policy_in_force(&dev, with(recipe(), "/auth/factors", factors)).await;
    let mismatching = with(recipe(), "/match/identifiers", json!(["lender_id", "policy_number"]));
    let narrow = policy_in_force(&dev, mismatching).await;
    let nothing = evaluate(&dev, &recipient, json!({})).await;
    assert_eq!(nothing["decision"], false);
    let halves = with_passphrase(&dev, &recipient, json!({})).await;
    assert_eq!(halves["decision"], false, "each policy lacks what the other has");
    assert_eq!(outcome(&halves, &strict, "factor:tls_certificate"), "missing");
    assert_eq!(outcome(&halves, &strict, "identifier:lender_id"), "holds");
    assert_eq!(outcome(&halves, &narrow, "factor:shared_passphrase"), "holds");
    assert_eq!(outcome(&halves, &narrow, "identifier:policy_number"), "missing");
    let claimed = with_passphrase(&dev, &recipient, json!({"identifiers": {"policy_number": "P-1"}})).await;
    assert_eq!((&claimed["decision"], &claimed["context"]["policyId"]), (&json!(true), &narrow["id"]));
    let proven =
        evaluate(&dev, &recipient, json!({"factors": ["shared_passphrase", "tls_certificate"]})).await;
    assert_eq!((&proven["decision"], &proven["context"]["policyId"]), (&json!(true), &strict["id"]));
    assert_eq!(proven["context"]["missing"], missing(&[], &[]));
}

#[tokio::test]
async fn what_is_missing_is_what_the_nearest_policy_misses() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let far = with(recipe(), "/match/identifiers", json!(["lender_id", "file_number", "policy_number"]));
    let far = with(far, "/auth/factors", json!(["shared_passphrase", "tls_certificate"]));
    let far = policy_in_force(&dev, far).await;
    let denied = evaluate(&dev, &recipient, json!({})).await;
    assert_eq!(denied["context"]["policyId"], far["id"]);
    let all = missing(&["shared_passphrase", "tls_certificate"], &["file_number", "policy_number"]);
    assert_eq!(denied["context"]["missing"], all);
    let near = policy_in_force(&dev, recipe()).await;
    policy_in_force(&dev, with(recipe(), "/auth/factors", json!(["shared_passphrase", "tls_certificate"])))
        .await;
    let denied = evaluate(&dev, &recipient, json!({})).await;
    assert_eq!((&denied["context"]["policyId"], &denied["context"]["version"]), (&near["id"], &json!(1)));
    assert_eq!(denied["context"]["missing"], missing(&["shared_passphrase"], &[]));
}

#[tokio::test]
async fn those_in_a_pilot_get_its_version_instead() {
    let dev = Dev::start().await;
    let (pilot, other) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let policy = policy_in_force(&dev, recipe()).await;
    let stricter = with(recipe(), "/auth/factors", json!(["shared_passphrase", "tls_certificate"]));
    dev.patch(&path_in_dock("policies", &policy), json!({"recipe": stricter})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "pilot", "recipientIds": [pilot["id"]]})).await.expect(200);
    let denied = with_passphrase(&dev, &pilot, json!({})).await;
    assert_eq!((&denied["decision"], &denied["context"]["version"]), (&json!(false), &json!(2)));
    assert_eq!(denied["context"]["missing"], missing(&["tls_certificate"], &[]));
    let granted = with_passphrase(&dev, &other, json!({})).await;
    assert_eq!((&granted["decision"], &granted["context"]["version"]), (&json!(true), &json!(1)));
    assert_eq!(access(&dev, &pilot).await[0]["version"], 2);
    assert_eq!(access(&dev, &other).await[0]["version"], 1);

    let path = path_in_dock("policies", &policy);
    dev.patch(&path, json!({"audience": {"groupIds": []}})).await.expect(200);
    let both = json!({"factors": ["shared_passphrase", "tls_certificate"]});
    assert_eq!(evaluate(&dev, &pilot, both.clone()).await["decision"], false, "the audience still holds");
    dev.patch(&path, json!({"audience": {"everyone": true}})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "production", "version": 1})).await.expect(200);
    assert_eq!(with_passphrase(&dev, &pilot, json!({})).await["context"]["version"], 1);

    publish(&dev, &policy, json!({"stage": "sandbox"})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "pilot", "recipientIds": [pilot["id"]]})).await.expect(200);
    assert_eq!(evaluate(&dev, &pilot, both.clone()).await["decision"], true);
    assert_eq!(evaluate(&dev, &other, both).await["decision"], false, "a pilot alone is for those it names");
    assert_eq!(access(&dev, &other).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_schedule_takes_over_and_ends_the_pilot_at_its_instant() {
    let dev = Dev::start().await;
    let (pilot, other) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let policy = policy_in_force(&dev, recipe()).await;
    let path = path_in_dock("policies", &policy);
    dev.patch(&path, json!({"recipe": other_recipe()})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "pilot", "recipientIds": [pilot["id"]]})).await.expect(200);
    let third = with(recipe(), "/artifactTypes", json!(["endorsement"]));
    dev.patch(&path, json!({"recipe": third})).await.expect(200);
    let from = json!(days_from_now(9));
    let schedule = json!({"stage": "production", "version": 3, "scheduledEnforceDate": from});
    publish(&dev, &policy, schedule).await.expect(200);
    let draft = crate::policy(&dev, with(recipe(), "/stakeholderClass", json!("auditor"))).await;
    let schedule = json!({"stage": "production", "version": 1, "scheduledEnforceDate": from});
    publish(&dev, &draft, schedule).await.expect(200);
    let auditor = recipient_of(&dev, "auditor", "c", json!({"lender_id": "LND-1"})).await;
    for (time, versions, checked) in [
        (days_from_now(0), [2, 1], false),
        (days_from_now(8), [2, 1], false),
        (text(&from).to_owned(), [3, 3], true),
        (plus_minutes_after_days(&from, 0, 1), [3, 3], true),
        (days_from_now(1000), [3, 3], true),
    ] {
        for (recipient, version) in [&pilot, &other].into_iter().zip(versions) {
            let answer = at(&dev, recipient, &time).await;
            assert_eq!((&answer["decision"], &answer["context"]["version"]), (&json!(true), &json!(version)));
        }
        let answer = at(&dev, &auditor, &time).await;
        assert_eq!(answer["decision"], checked, "{time}");
        assert_eq!(answer["context"]["checks"] == json!([]), !checked, "not in force, so not checked");
    }
    publish(&dev, &policy, json!({"stage": "sandbox"})).await.expect(200);
    assert_eq!(at(&dev, &pilot, &days_from_now(10)).await["decision"], false, "the schedule is cleared");
}

#[tokio::test]
async fn a_recipe_grants_within_its_time_alone() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let window = json!({"not_before": days_from_now(3), "not_after": days_from_now(6)});
    let policy = policy_in_force(&dev, with(recipe(), "/constraints", window)).await;
    for (time, expected) in [(None, "fails"), (Some(2), "fails"), (Some(4), "holds"), (Some(7), "fails")] {
        let context = time.map_or(json!({}), |days| json!({"time": days_from_now(days)}));
        let answer = with_passphrase(&dev, &recipient, context).await;
        assert_eq!(outcome(&answer, &policy, "window"), expected, "{time:?}");
        assert_eq!(answer["decision"], expected == "holds");
    }
    publish(&dev, &policy, json!({"stage": "sandbox"})).await.expect(200);
    let policy = policy_in_force(&dev, with(recipe(), "/constraints", json!({"auto_expire_days": 5}))).await;
    let created = &recipient["createdAt"];
    for (time, expected) in [
        (plus_minutes_after_days(created, 4, 1439), "holds"),
        (plus_minutes_after_days(created, 5, 1), "fails"),
    ] {
        let answer = at(&dev, &recipient, &time).await;
        assert_eq!(outcome(&answer, &policy, "expiry"), expected, "{time}");
        assert_eq!(answer["decision"], expected == "holds");
    }
    let offset = text(created).replace('Z', "+02:00");
    with_passphrase(&dev, &recipient, json!({"time": offset})).await;
}

#[tokio::test]
async fn a_change_of_a_recipient_is_seen_by_the_next_request() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "agent", "a", json!({"lender_id": "LND-1"})).await;
    let policy = policy_in_force(&dev, recipe()).await;
    let path = path_in_dock("recipients", &recipient);
    let expect = |covered: usize, decision: bool| {
        let (dev, recipient, policy) = (&dev, &recipient, &policy);
        async move {
            assert_eq!(with_passphrase(dev, recipient, json!({})).await["decision"], decision);
            assert_eq!(access(dev, recipient).await.len(), covered);
            assert_eq!(simulate(dev, policy, json!({})).await["totalRecipients"], covered);
        }
    };
    expect(0, false).await;
    dev.patch(&path, json!({"stakeholderClass": "mortgagee"})).await.expect(200);
    expect(1, true).await;
    dev.patch(&path, json!({"identifiers": {"lender_id": null}})).await.expect(200);
    expect(1, false).await;
    dev.patch(&path, json!({"identifiers": {"lender_id": "LND-9"}})).await.expect(200);
    expect(1, true).await;
    dev.patch(&path, json!({"stakeholderClass": null})).await.expect(200);
    expect(0, false).await;
    dev.delete(&path).await.expect(200);
    assert_not_found(&ask(&dev, question(&recipient, "portal", json!({}))).await, "Recipient");
    let path = format!("/v1/recipients/{}/access", text(&recipient["id"]));
    assert_not_found(&dev.get(&path).await, "Recipient");
}

#[tokio::test]
async fn an_artifact_is_granted_if_it_has_the_type_and_what_the_recipient_is_known_by() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let policy = policy_in_force(&dev, recipe()).await;
    let artifact = async |metadata: Value| {
        let path = format!("/v1/docks/{}/artifacts", dev.dock);
        post(&dev, &path, json!({"filename": "page.pdf", "metadata": metadata})).await.expect(201)
    };
    let about = |artifact: &Value| {
        let asked = question(&recipient, "bulk_api", json!({"factors": ["shared_passphrase"]}));
        with(asked, "/resource", json!({"type": "artifact", "id": artifact["id"]}))
    };
    for (metadata, of_type, of_scope) in [
        (json!({"document_type": "declaration-page", "lender_id": "LND-1"}), "holds", "holds"),
        (json!({"document_type": "declaration-page", "lender_id": "LND-1", "x": "y"}), "holds", "holds"),
        (json!({"document_type": "endorsement", "lender_id": "LND-1"}), "fails", "holds"),
        (json!({"document_type": "declaration-page", "lender_id": "LND-2"}), "holds", "mismatch"),
        (json!({"document_type": "declaration-page"}), "holds", "missing"),
        (json!({"lender_id": "LND-1"}), "missing", "holds"),
    ] {
        let answer = ask(&dev, about(&artifact(metadata.clone()).await)).await.expect(200);
        assert_eq!(outcome(&answer, &policy, "type"), of_type, "{metadata}");
        assert_eq!(outcome(&answer, &policy, "scope:lender_id"), of_scope, "{metadata}");
        assert_eq!(answer["decision"], of_type == "holds" && of_scope == "holds", "{metadata}");
    }
    let deleted = artifact(json!({})).await;
    dev.delete(&path_in_dock("artifacts", &deleted)).await.expect(200);
    let path = format!("/v1/docks/{}/artifacts", another_dock(&dev).await);
    let elsewhere = post(&dev, &path, json!({"filename": "page.pdf"})).await.expect(201);
    for unknown in [deleted, elsewhere, json!({"id": "x"})] {
        assert_not_found(&ask(&dev, about(&unknown)).await, "Artifact");
    }
}

#[tokio::test]
async fn a_question_that_breaks_a_rule_is_refused() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let good = question(&recipient, "bulk_api", json!({}));
    ask(&dev, with(good.clone(), "/context", Value::Null)).await.expect(200);
    for (path, value, field) in [
        ("/subject", Value::Null, "subject"),
        ("/subject/type", json!("user"), "subject.type"),
        ("/subject/type", Value::Null, "subject.type"),
        ("/subject/id", Value::Null, "subject.id"),
        ("/subject/email", json!("x"), "subject.email"),
        ("/action", Value::Null, "action"),
        ("/action/name", json!("read"), "action.name"),
        ("/action/properties", json!({}), "action.properties"),
        ("/resource", Value::Null, "resource"),
        ("/resource/type", json!("folder"), "resource.type"),
        ("/resource/type", json!("artifact"), "resource.id"),
        ("/resource/id", json!("art_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"), "resource.id"),
        ("/context/factors", json!(["email"]), "context.factors"),
        ("/context/factors", json!("shared_passphrase"), "context.factors"),
        ("/context/identifiers", json!({"date_of_birth": "1980-02-30"}), "context.identifiers.date_of_birth"),
        ("/context/identifiers", json!({"lender_id": 1}), "context.identifiers.lender_id"),
        ("/context/identifiers", json!([]), "context.identifiers"),
        ("/context/time", json!("tomorrow"), "context.time"),
        ("/context/now", json!("x"), "context.now"),
        ("/options", json!({}), "options"),
    ] {
        let fields = wrong_fields(&ask(&dev, with(good.clone(), path, value)).await);
        assert!(fields.iter().any(|wrong| wrong.starts_with(field)), "{path} {field}: {fields:?}");
    }
    let policy = policy(&dev, recipe()).await;
    let path = format!("{}/simulate", path_in_dock("policies", &policy));
    for (body, field) in [
        (json!({"version": "1"}), "version"),
        (json!({"version": 1.5}), "version"),
        (json!({"cursor": "x"}), "cursor"),
        (json!({"recipients": []}), "recipients"),
    ] {
        assert_eq!(wrong_fields(&post(&dev, &path, body).await), [field]);
    }
}

#[tokio::test]
async fn what_is_not_in_the_dock_is_not_found() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let elsewhere = another_dock(&dev).await;
    let body = json!({"name": "F", "email": "f@example.com"});
    let foreign = post(&dev, &format!("/v1/docks/{elsewhere}/recipients"), body).await.expect(201);
    for stranger in [foreign, json!({"id": UNKNOWN_RECIPIENT})] {
        assert_not_found(&ask(&dev, question(&stranger, "bulk_api", json!({}))).await, "Recipient");
    }
    for dock in ["dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "x"] {
        let path = format!("/v1/docks/{dock}/access/evaluation");
        assert_not_found(&post(&dev, &path, question(&recipient, "bulk_api", json!({}))).await, "Dock");
    }
    for id in [UNKNOWN_RECIPIENT, "x"] {
        assert_not_found(&dev.get(&format!("/v1/recipients/{id}/access")).await, "Recipient");
    }
    let account = dev.table.account().await;
    let request = dev.http.get(format!("{}/v1/recipients/{}/access", dev.url, text(&recipient["id"])));
    assert_not_found(&send(request.bearer_auth(dev.table.key(account).await)).await, "Recipient");
}

#[tokio::test]
async fn questions_write_nothing_and_are_not_counted() {
    let dev = Dev::start().await;
    let holder = recipient_of(&dev, "policyholder", "a", json!({"date_of_birth": "1980-01-01"})).await;
    let recipe = portal_recipe(&["sms_otp"], &["date_of_birth", "policy_number"]);
    let policy = policy_in_force(&dev, recipe).await;
    let items = async || {
        let mut items = dev.table.items().await;
        items.sort_by_key(|item| ["pk", "sk"].map(|key| item[key].as_s().unwrap().clone()));
        items
    };
    let before = items().await;
    for n in 0..12 {
        let identifiers = json!({"date_of_birth": "1980-01-01", "policy_number": format!("P-{n}")});
        let context = json!({"factors": ["sms_otp"], "identifiers": identifiers});
        assert_eq!(
            ask(&dev, question(&holder, "portal", context)).await.expect(200)["decision"],
            true,
            "{n}"
        );
    }
    access(&dev, &holder).await;
    simulate(&dev, &policy, Value::Null).await;
    assert_eq!(items().await, before);
}

#[tokio::test]
async fn the_access_of_a_recipient_is_what_covers_it_and_what_is_set_up() {
    let dev = Dev::start().await;
    let (member, outsider) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let lenders = policy_in_force(&dev, recipe()).await;
    let audience = json!({"audience": {"groupIds": [group(&dev, &[&member]).await["id"]]}});
    dev.patch(&path_in_dock("policies", &lenders), audience).await.expect(200);
    policy(&dev, recipe()).await;
    assert_eq!(access(&dev, &outsider).await, [Value::Null; 0]);
    let expect = |set_up: bool, granted: bool| {
        let (dev, member, lenders) = (&dev, &member, &lenders);
        async move {
            let shown = access(dev, member).await;
            assert_eq!(shown.len(), 1, "a draft covers nobody");
            let expected = json!({
                "policyId": lenders["id"], "name": "A policy", "version": 1, "method": shown[0]["method"],
                "factors": [{"factor": "shared_passphrase", "setUp": set_up}],
                "identifiers": [{"key": "lender_id", "stored": true}], "granted": granted,
            });
            assert_eq!(shown[0], expected);
            assert!(shown[0]["method"].to_string().contains("bulk_api"));
        }
    };
    expect(false, false).await;
    let (secret, _) = dev.secret(text(&member["id"])).await;
    expect(true, true).await;
    let path = format!("/v1/recipients/{}/secrets/{secret}", text(&member["id"]));
    let rotated = post(&dev, &format!("{path}/rotate"), Value::Null).await.expect(201);
    expect(true, true).await;
    let path = format!("/v1/recipients/{}/secrets/{}", text(&member["id"]), text(&rotated["id"]));
    post(&dev, &format!("{path}/revoke"), Value::Null).await.expect(200);
    expect(false, false).await;
    let (secret, _) = dev.secret(text(&member["id"])).await;
    expect(true, true).await;
    expire(&dev, text(&member["id"]), &secret).await;
    expect(false, false).await;
}

#[tokio::test]
async fn a_factor_is_set_up_by_what_it_needs() {
    let dev = Dev::start().await;
    let nda = format!("sha256:{}", "ab".repeat(32));
    let recipient = recipient_of(&dev, "policyholder", "a", json!({"policy_number": "P-1"})).await;
    let factors = ["sms_otp", "badge_id", "nda_hash", "webauthn"];
    for factor in factors {
        let recipe = match factor {
            "badge_id" | "nda_hash" => portal_recipe(&["sms_otp", factor], &["policy_number"]),
            _ => portal_recipe(&[factor], &["policy_number"]),
        };
        policy_in_force(&dev, recipe).await;
    }
    let set_up = async |factor: &str| {
        let policies = access(&dev, &recipient).await;
        let named = policies.iter().flat_map(|policy| policy["factors"].as_array().unwrap());
        let mut named = named.filter(|named| named["factor"] == factor).map(|named| named["setUp"] == true);
        let first = named.next().unwrap();
        assert!(named.all(|other| other == first), "{factor}");
        first
    };
    for (key, value) in [
        ("", Value::Null),
        ("phone", json!("+15550100000")),
        ("badge_id", json!("B-1")),
        ("nda_hash", json!(nda)),
    ] {
        if !key.is_empty() {
            let body = json!({"identifiers": {key: value}});
            dev.patch(&path_in_dock("recipients", &recipient), body).await.expect(200);
        }
        let stored =
            dev.get(&path_in_dock("recipients", &recipient)).await.expect(200)["identifiers"].clone();
        assert_eq!(set_up("sms_otp").await, stored["phone"].is_string());
        assert_eq!(set_up("badge_id").await, stored["badge_id"].is_string());
        assert_eq!(set_up("nda_hash").await, stored["nda_hash"].is_string());
        assert!(!set_up("webauthn").await);
        for policy in access(&dev, &recipient).await {
            let all = policy["factors"].as_array().unwrap().iter().all(|factor| factor["setUp"] == true);
            assert_eq!(policy["granted"], all, "{policy}");
        }
    }
}

#[tokio::test]
async fn a_simulation_counts_what_is_set_up_and_agrees_with_evaluate() {
    let dev = Dev::start().await;
    let mut recipients = Vec::new();
    for (name, secret, identifiers) in [
        ("a", true, json!({"lender_id": "LND-1"})),
        ("b", true, json!({"lender_id": "LND-2"})),
        ("c", false, json!({"lender_id": "LND-3"})),
        ("d", true, json!({"policy_number": "P-1"})),
        ("e", false, json!({})),
    ] {
        let recipient = recipient_of(&dev, "mortgagee", name, identifiers).await;
        if secret {
            dev.secret(text(&recipient["id"])).await;
        }
        recipients.push((recipient, secret));
    }
    recipient_of(&dev, "agent", "f", json!({"lender_id": "LND-1"})).await;
    dev.recipient().await;
    let policy = policy_in_force(&dev, recipe()).await;
    let report = simulate(&dev, &policy, Value::Null).await;
    assert_eq!(report["recommendations"].as_array().unwrap().iter().filter(|one| one.is_string()).count(), 2);
    let mut expected = json!({
        "policyId": policy["id"], "policyName": "A policy", "version": 1,
        "totalRecipients": 5, "compliant": 2, "nonCompliant": 3,
        "breakdown": [
            {"factorCount": 1, "combination": ["shared_passphrase"], "recipients": 3, "missingFactors": []},
            {"factorCount": 0, "combination": [], "recipients": 2, "missingFactors": ["shared_passphrase"]},
        ],
        "missingIdentifiers": {"lender_id": 2}, "cursor": null,
    });
    expected["recommendations"] = report["recommendations"].clone();
    assert_eq!(report, expected);
    let mut compliant = 0;
    for (recipient, secret) in &recipients {
        let factors: &[&str] = if *secret { &["shared_passphrase"] } else { &[] };
        let answer = evaluate(&dev, recipient, json!({"factors": factors})).await;
        assert_eq!(access(&dev, recipient).await[0]["granted"], answer["decision"]);
        compliant += u64::from(answer["decision"] == true);
    }
    assert_eq!(report["compliant"], compliant);

    let path = path_in_dock("policies", &policy);
    let open = with(with(recipe(), "/match/identifiers", json!([])), "/match/unscoped", json!(true));
    dev.patch(&path, json!({"recipe": open})).await.expect(200);
    let current = simulate(&dev, &policy, json!({})).await;
    assert_eq!((&current["version"], &current["compliant"]), (&json!(2), &json!(3)));
    assert_eq!(current["missingIdentifiers"], json!({}));
    assert_eq!(simulate(&dev, &policy, json!({"version": 1})).await, expected);
    let members = [&recipients[0].0, &recipients[4].0];
    let audience = json!({"audience": {"groupIds": [group(&dev, &members).await["id"]]}});
    dev.patch(&path, audience).await.expect(200);
    let narrower = simulate(&dev, &policy, json!({"version": 1})).await;
    assert_eq!((&narrower["totalRecipients"], &narrower["compliant"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_simulation_counts_by_combination_and_recommends_three_things_at_most() {
    let dev = Dev::start().await;
    let nda = "ab".repeat(32);
    for (name, identifiers) in [
        ("a", json!({"badge_id": "B-1", "nda_hash": nda})),
        ("b", json!({"badge_id": "B-2", "nda_hash": nda})),
        ("c", json!({"badge_id": "B-3"})),
        ("d", json!({"nda_hash": nda})),
        ("e", json!({})),
    ] {
        recipient_of(&dev, "auditor", name, identifiers).await;
    }
    let recipe = json!({
        "stakeholderClass": "auditor", "artifactTypes": ["*"], "auth": {"factors": ["badge_id", "nda_hash"]},
        "access": {"method": "portal"}, "match": {"identifiers": ["file_number", "member_id"]},
        "constraints": {"auto_expire_days": 30},
    });
    let report = simulate(&dev, &policy(&dev, recipe).await, json!({})).await;
    assert_eq!((&report["totalRecipients"], &report["compliant"]), (&json!(5), &json!(0)));
    assert_eq!(report["nonCompliant"], 5);
    assert_eq!(report["missingIdentifiers"], json!({"file_number": 5, "member_id": 5}));
    let breakdown = report["breakdown"].as_array().unwrap();
    assert_eq!(breakdown.len(), 4);
    for expected in [
        json!({"factorCount": 2, "combination": ["badge_id", "nda_hash"], "recipients": 2, "missingFactors": []}),
        json!({"factorCount": 1, "combination": ["badge_id"], "recipients": 1, "missingFactors": ["nda_hash"]}),
        json!({"factorCount": 1, "combination": ["nda_hash"], "recipients": 1, "missingFactors": ["badge_id"]}),
        json!({"factorCount": 0, "combination": [], "recipients": 1, "missingFactors": ["badge_id", "nda_hash"]}),
    ] {
        assert!(breakdown.contains(&expected), "{expected} is not among {breakdown:?}");
    }
    let recommendations = report["recommendations"].as_array().unwrap();
    assert!((1..=3).contains(&recommendations.len()), "{recommendations:?}");
    assert!(recommendations.iter().all(|one| !text(one).is_empty()));
}

#[tokio::test]
async fn a_simulation_examines_two_hundred_recipients_a_call() {
    let dev = Dev::start().await;
    for n in 0..203 {
        let class = if n % 2 == 0 { "mortgagee" } else { "agent" };
        recipient_of(&dev, class, &format!("r{n}"), json!({"lender_id": "LND-1"})).await;
    }
    let policy = policy(&dev, recipe()).await;
    let (mut body, mut counts) = (json!({}), Vec::new());
    loop {
        let report = simulate(&dev, &policy, body).await;
        counts.push(report["totalRecipients"].as_u64().unwrap());
        let breakdown = report["breakdown"].as_array().unwrap();
        let sum: u64 = breakdown.iter().map(|one| one["recipients"].as_u64().unwrap()).sum();
        assert_eq!(sum, *counts.last().unwrap());
        if report["cursor"].is_null() {
            break;
        }
        body = json!({"cursor": report["cursor"]});
    }
    assert!(counts.len() >= 2 && counts.iter().sum::<u64>() == 102, "{counts:?}");
}
