//! Policies: their recipes, versions and stages.

use docyard_test_support::dev::{Answer, Dev};
use docyard_test_support::scene::{Scene, other_recipe, recipe};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    UNKNOWN_GROUP, UNKNOWN_POLICY, UNKNOWN_RECIPIENT, another_dock, ask, assert_invalid, assert_not_found,
    days_from_now, group, is_id, is_timestamp, path_in_dock, policy, policy_in_force, post, publish,
    recipient_of, text, unknown_recipients, with, wrong_fields,
};

fn policies(dev: &Dev) -> String {
    format!("/v1/docks/{}/policies", dev.dock)
}

fn path_of(policy: &Value) -> String {
    path_in_dock("policies", policy)
}

async fn create(dev: &Dev, recipe: Value) -> Answer {
    post(dev, &policies(dev), json!({"name": "A policy", "recipe": recipe})).await
}

async fn get(dev: &Dev, policy: &Value) -> Value {
    dev.get(&path_of(policy)).await.expect(200)
}

async fn rollback(dev: &Dev, policy: &Value, version: u64) -> Answer {
    post(dev, &format!("{}/rollback/{version}", path_of(policy)), Value::Null).await
}

async fn version(dev: &Dev, policy: &Value, version: u64) -> Value {
    dev.get(&format!("{}/versions/{version}", path_of(policy))).await.expect(200)
}

/// The numbers of the versions that are in production, in pilot and scheduled.
fn stages(policy: &Value) -> [Option<u64>; 3] {
    ["production", "pilot", "scheduled"].map(|stage| policy[stage]["version"].as_u64())
}

/// For a class whose factors are the second set.
fn agents_recipe() -> Value {
    json!({
        "stakeholderClass": "agent",
        "artifactTypes": ["declaration-page", "policy-packet", "endorsement", "renewal-notice"],
        "auth": {
            "factors": ["webauthn"], "webauthn": {"challenge_type": "platform_or_cross_platform"},
        },
        "access": {"method": ["portal", "bulk_download"]},
        "match": {"identifiers": ["agency_code", "policy_number"]},
    })
}

fn auditors_recipe() -> Value {
    json!({
        "stakeholderClass": "auditor",
        "artifactTypes": ["*"],
        "auth": {"factors": ["badge_id", "nda_hash"]},
        "access": {"method": "portal", "read_only": true},
        "constraints": {"auto_expire_days": 30},
    })
}

/// JSON by RFC 8785, of objects whose names and strings are ASCII, and whose numbers are integers.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("{:?}:{}", name, canonical(value))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn hash_of(recipe: &Value) -> String {
    let digest = Sha256::digest(canonical(recipe).as_bytes());
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[tokio::test]
async fn a_policy_begins_as_a_draft_for_everyone() {
    let dev = Dev::start().await;
    for sent in [recipe(), json!(recipe().to_string()), json!(format!(" {:#}\n", recipe()))] {
        let answer = post(&dev, &policies(&dev), json!({"name": " Lenders ", "recipe": sent})).await;
        let mut created = answer.expect(201);
        assert_eq!(answer.header("location"), path_of(&created));
        let read = dev.get(&path_of(&created)).await;
        assert_eq!((read.expect(200), read.header("etag")), (created.clone(), answer.header("etag")));
        assert!(answer.header("etag").starts_with('"'));
        assert!(is_id(&created["id"], "pol_") && is_timestamp(&created["createdAt"]), "{created}");
        for generated in ["id", "createdAt", "updatedAt"] {
            created.as_object_mut().unwrap().remove(generated);
        }
        let expected = json!({
            "dockId": dev.dock, "name": "Lenders", "recipe": recipe(), "audience": {"everyone": true},
            "status": "DRAFT", "currentVersion": 1, "production": null, "pilot": null, "scheduled": null,
        });
        assert_eq!(created, expected);
    }
}

#[tokio::test]
async fn a_recipe_is_given_back_as_it_was_sent() {
    let dev = Dev::start().await;
    let mortgagees = json!({
        "stakeholderClass": "mortgagee",
        "artifactTypes": ["declaration-page", "certificate-of-insurance", "endorsement"],
        "auth": {
            "factors": ["shared_passphrase", "tls_certificate"],
            "tls": {"require_mutual": true, "min_version": "1.2"},
        },
        "access": {"method": "bulk_api", "max_batch_size": 10000},
        "match": {"identifiers": ["lender_id", "policy_number"]},
    });
    let real_estate = |last: &str| {
        let types = json!(["closing-disclosure", "deed-of-trust", "settlement-statement", last]);
        let recipe = with(mortgagees.clone(), "/artifactTypes", types);
        with(recipe, "/match/identifiers", json!(["lender_id", "file_number"]))
    };
    let words: Vec<String> = (0..50).map(|n| format!("type-{n}")).collect();
    let keys: Vec<String> = (0..10).map(|n| format!("key_{n}")).collect();
    let largest = with(with(recipe(), "/artifactTypes", json!(words)), "/match/identifiers", json!(keys));
    let largest = with(largest, "/match/unscoped", json!(true));
    let constraints = json!({"session_minutes": 720, "auto_expire_days": 3650});
    for recipe in [
        real_estate("title-policy"),
        real_estate("title-commitment"),
        mortgagees,
        agents_recipe(),
        auditors_recipe(),
        with(largest, "/constraints", constraints),
        with(recipe(), "/match", Value::Null),
        with(recipe(), "/artifactTypes", json!(["a_b.c-1", "x".repeat(64)])),
        with(recipe(), "/access", json!({"method": ["bulk_download", "bulk_api"], "max_batch_size": 1})),
        with(recipe(), "/match/stored_only", json!(true)),
        with(agents_recipe(), "/auth", json!({"factors": ["sms_otp", "badge_id", "nda_hash"]})),
        with(agents_recipe(), "/access", json!({"method": "bulk_download", "max_batch_size": 10})),
        with(auditors_recipe(), "/constraints", json!({"not_after": days_from_now(30)})),
        with(
            recipe(),
            "/constraints",
            json!({"not_before": days_from_now(0), "not_after": days_from_now(1)}),
        ),
    ] {
        let created = create(&dev, recipe.clone()).await.expect(201);
        assert_eq!(created["recipe"], recipe);
        assert_eq!(get(&dev, &created).await["recipe"], recipe);
        let version = version(&dev, &created, 1).await;
        assert_eq!((&version["recipe"], text(&version["hash"])), (&recipe, hash_of(&recipe).as_str()));
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_a_recipe_is_told_at_once_by_its_path() {
    let dev = Dev::start().await;
    let recipe = json!({
        "stakeholderClass": "lender",
        "artifactTypes": ["declaration-page", "Endorsement"],
        "auth": {"factors": ["shared_passphrase", "retina"], "saml": {}},
        "access": {"method": "ftp", "max_batch_size": 0},
        "match": {"identifiers": ["lender_id", "1"], "stored_only": "yes"},
        "constraints": {"session_minutes": 721, "auto_expire_days": 1.5, "not_before": "tomorrow"},
        "name": "Lenders",
    });
    for sent in [recipe.clone(), json!(recipe.to_string())] {
        let fields = wrong_fields(&post(&dev, &policies(&dev), json!({"recipe": sent})).await);
        for expected in [
            "name",
            "recipe.stakeholderClass",
            "recipe.artifactTypes[1]",
            "recipe.auth.factors[1]",
            "recipe.auth.saml",
            "recipe.access.method",
            "recipe.access.max_batch_size",
            "recipe.match.identifiers[1]",
            "recipe.match.stored_only",
            "recipe.constraints.session_minutes",
            "recipe.constraints.auto_expire_days",
            "recipe.constraints.not_before",
            "recipe.name",
        ] {
            assert!(fields.iter().any(|field| field == expected), "{expected} is not among {fields:?}");
        }
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_told_beside_what_is_wrong_by_itself() {
    let dev = Dev::start().await;
    let badge = with(agents_recipe(), "/auth", json!({"factors": ["badge_id", "nda_hash"]}));
    for (base, path, value, expected) in [
        (recipe(), "/auth/factors", json!(["tls_certificate"]), "recipe.auth.factors"),
        (recipe(), "/auth/factors", json!(["shared_passphrase", "webauthn"]), "recipe.auth.factors"),
        (recipe(), "/access/method", json!("portal"), "recipe.a"),
        (recipe(), "/access/read_only", json!(true), "recipe.access"),
        (badge, "/access/method", json!("portal"), "recipe.constraints"),
    ] {
        let recipe = with(with(base, path, value), "/artifactTypes", json!(["Endorsement"]));
        let fields = wrong_fields(&create(&dev, recipe.clone()).await);
        assert!(fields.iter().any(|field| field.starts_with("recipe.artifactTypes")), "{recipe}: {fields:?}");
        let other =
            |field: &String| field.starts_with(expected) && !field.starts_with("recipe.artifactTypes");
        assert!(fields.iter().any(other), "{recipe}: {fields:?}");
    }
}

#[tokio::test]
async fn a_recipe_that_breaks_a_rule_is_refused_where_it_does() {
    let dev = Dev::start().await;
    let words = |count: usize, length: usize| -> Vec<String> {
        (0..count).map(|n| format!("{n:0>length$}")).collect()
    };
    let keys = |count: usize| -> Vec<String> { (0..count).map(|n| format!("key_{n}")).collect() };
    let second = || with(agents_recipe(), "/auth", json!({"factors": ["webauthn"]}));
    let tls = |tls: Value| {
        with(recipe(), "/auth/factors", json!(["shared_passphrase", "tls_certificate"]))
            .as_object_mut()
            .map(|recipe| {
                recipe["auth"]["tls"] = tls;
                json!(recipe)
            })
            .unwrap()
    };
    for (base, path, value) in [
        (recipe(), "/stakeholderClass", Value::Null),
        (recipe(), "/stakeholderClass", json!("Mortgagee")),
        (recipe(), "/stakeholderClass", json!(["mortgagee"])),
        (recipe(), "/artifactTypes", Value::Null),
        (recipe(), "/artifactTypes", json!([])),
        (recipe(), "/artifactTypes", json!("declaration-page")),
        (recipe(), "/artifactTypes", json!(words(51, 2))),
        (recipe(), "/artifactTypes", json!(["a", "a"])),
        (recipe(), "/artifactTypes", json!(["*", "a"])),
        (recipe(), "/artifactTypes", json!(["a b"])),
        (recipe(), "/artifactTypes", json!([""])),
        (recipe(), "/artifactTypes", json!(["x".repeat(65)])),
        (recipe(), "/auth", Value::Null),
        (recipe(), "/auth/factors", Value::Null),
        (recipe(), "/auth/factors", json!([])),
        (recipe(), "/auth/factors", json!(["shared_passphrase", "shared_passphrase"])),
        (recipe(), "/auth/factors", json!(["tls_certificate"])),
        (recipe(), "/auth/factors", json!(["shared_passphrase", "webauthn"])),
        (recipe(), "/auth/factors", json!(["email"])),
        (recipe(), "/auth/tls", json!({"require_mutual": true, "min_version": "1.2"})),
        (tls(json!({"require_mutual": true, "min_version": "1.2"})), "/auth/tls/min_version", json!("1.3")),
        (
            tls(json!({"require_mutual": true, "min_version": "1.2"})),
            "/auth/tls/require_mutual",
            json!(false),
        ),
        (tls(json!({"require_mutual": true, "min_version": "1.2"})), "/auth/tls/ca", json!("x")),
        (recipe(), "/auth/webauthn", json!({"challenge_type": "platform"})),
        (agents_recipe(), "/auth/webauthn/challenge_type", json!("any")),
        (second(), "/auth/factors", json!(["badge_id"])),
        (second(), "/auth/factors", json!(["nda_hash"])),
        (auditors_recipe(), "/constraints", Value::Null),
        (recipe(), "/access", Value::Null),
        (recipe(), "/access/method", Value::Null),
        (recipe(), "/access/method", json!([])),
        (recipe(), "/access/method", json!(["bulk_api", "bulk_api"])),
        (recipe(), "/access/method", json!("portal")),
        (recipe(), "/access/method", json!(["bulk_api", "portal"])),
        (second(), "/access/method", json!("bulk_api")),
        (recipe(), "/access/max_batch_size", json!(0)),
        (recipe(), "/access/max_batch_size", json!(10_001)),
        (recipe(), "/access/max_batch_size", json!("10")),
        (with(second(), "/access/method", json!("portal")), "/access/max_batch_size", json!(10)),
        (recipe(), "/access/read_only", json!(true)),
        (second(), "/access/read_only", json!(true)),
        (second(), "/access/read_only", json!("true")),
        (recipe(), "/access/methods", json!(["bulk_api"])),
        (recipe(), "/match/identifiers", json!(keys(11))),
        (recipe(), "/match/identifiers", json!(["lender_id", "lender_id"])),
        (recipe(), "/match/identifiers", json!(["a b"])),
        (recipe(), "/match/identifiers", json!({"lender_id": "L"})),
        (recipe(), "/match/unscoped", json!(1)),
        (recipe(), "/match/any", json!(true)),
        (recipe(), "/constraints", json!({"not_after": "2026-13-01T00:00:00Z"})),
        (recipe(), "/constraints", json!({"session_minutes": 0})),
        (recipe(), "/constraints", json!({"session_minutes": 721})),
        (recipe(), "/constraints", json!({"auto_expire_days": 0})),
        (recipe(), "/constraints", json!({"auto_expire_days": 3651})),
        (recipe(), "/constraints", json!({"auto_expire": true})),
    ] {
        let recipe = with(base, path, value);
        let fields = wrong_fields(&create(&dev, recipe.clone()).await);
        let top = path.split('/').nth(1).unwrap();
        assert!(fields.iter().all(|field| field.starts_with("recipe.")), "{recipe}: {fields:?}");
        assert!(
            fields.iter().any(|field| field.starts_with(&format!("recipe.{top}")))
                || fields.iter().any(|field| field.starts_with("recipe.auth") && path.starts_with("/access"))
                || fields.iter().any(|field| field.starts_with("recipe.auth") && path == "/constraints"),
            "{recipe}: {fields:?}"
        );
    }
    let twice = recipe().to_string().replacen('{', r#"{"stakeholderClass":"agent","#, 1);
    let long = with(recipe(), "/artifactTypes", json!(words(50, 64)));
    let long =
        with(long, "/match/identifiers", json!((0..10).map(|n| format!("k{n:0>63}")).collect::<Vec<_>>()));
    assert!(long.to_string().len() > 4096);
    for recipe in
        [json!("{"), json!("[]"), json!(""), json!(1), json!([recipe()]), Value::Null, json!(twice), long]
    {
        let fields = wrong_fields(&create(&dev, recipe).await);
        assert!(fields.iter().all(|field| field.starts_with("recipe")), "{fields:?}");
    }
    assert_eq!(dev.pages(&policies(&dev)).await.0, [Value::Null; 0], "nothing was created");
}

#[tokio::test]
async fn the_other_shape_of_a_recipe_is_refused_by_naming_the_right_one() {
    let dev = Dev::start().await;
    let other = json!({
        "access": "read", "artifactTypes": ["coi"], "requireFactors": ["email_verified"], "expiresInDays": 90,
    });
    for sent in [other.clone(), json!(other.to_string())] {
        let details = create(&dev, sent).await.expect(400)["details"].clone();
        let messages: Vec<&str> =
            details.as_array().unwrap().iter().map(|error| text(&error["message"])).collect();
        for member in ["stakeholderClass", "auth", "access", "method"] {
            assert!(messages.iter().any(|message| message.contains(member)), "{member}: {messages:?}");
        }
    }
}

#[tokio::test]
async fn an_audience_is_everyone_or_groups_of_the_dock() {
    let dev = Dev::start().await;
    let mut groups = Vec::new();
    for _ in 0..21 {
        groups.push(group(&dev, &[]).await["id"].clone());
    }
    let elsewhere = format!("/v1/docks/{}/groups", another_dock(&dev).await);
    let foreign = post(&dev, &elsewhere, json!({"name": "G"})).await.expect(201)["id"].clone();
    let policy = policy(&dev, recipe()).await;
    let ask = |audience: Value| {
        let (dev, policy) = (&dev, &policy);
        async move {
            let body = json!({"name": "P", "recipe": recipe(), "audience": audience});
            let update = json!({"audience": audience});
            (post(dev, &policies(dev), body).await, dev.patch(&path_of(policy), update).await)
        }
    };
    for audience in [json!({"groupIds": groups[..20]}), json!({"groupIds": []}), json!({"everyone": true})] {
        let (created, updated) = ask(audience.clone()).await;
        assert_eq!(created.expect(201)["audience"], audience);
        assert_eq!(updated.expect(200)["audience"], audience);
        assert_eq!(get(&dev, &policy).await["audience"], audience);
    }
    for wrong in [
        json!({}),
        json!({"everyone": false}),
        json!({"everyone": true, "groupIds": []}),
        json!({"groupIds": groups}),
        json!({"groupIds": "x"}),
        json!({"groupIds": [], "recipientIds": []}),
        json!("everyone"),
    ] {
        let (created, updated) = ask(wrong.clone()).await;
        for answer in [created, updated] {
            assert!(wrong_fields(&answer).iter().all(|field| field.starts_with("audience")), "{wrong}");
        }
    }
    for unknown in [json!(UNKNOWN_GROUP), foreign] {
        let (created, updated) = ask(json!({"groupIds": [groups[0], unknown]})).await;
        for answer in [created, updated] {
            assert_not_found(&answer, "Group");
        }
    }
    assert_eq!(get(&dev, &policy).await["audience"], json!({"everyone": true}));
}

#[tokio::test]
async fn a_dock_has_about_a_hundred_policies() {
    let dev = Dev::start().await;
    let mut last = Value::Null;
    for _ in 0..100 {
        last = policy(&dev, recipe()).await;
    }
    create(&dev, recipe()).await.expect(409);
    let from_template = format!("{}/from-template", policies(&dev));
    post(&dev, &from_template, json!({"templateId": "tpl_agent_portal"})).await.expect(409);
    dev.delete(&path_of(&last)).await.expect(200);
    policy(&dev, recipe()).await;
}

#[tokio::test]
async fn the_list_shows_the_docks_policies_newest_first() {
    let dev = Dev::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, policy(&dev, recipe()).await);
    }
    dev.patch(&path_of(&expected[4]), json!({"name": "Oldest", "recipe": other_recipe()})).await.expect(200);
    expected[4] = get(&dev, &expected[4]).await;
    let path = policies(&dev);
    for (limit, pages) in [(2, 3), (5, 1)] {
        assert_eq!(dev.pages(&format!("{path}?limit={limit}")).await, (expected.clone(), pages));
    }
    for query in ["limit=0", "limit=1001", "limit=1&limit=1", "status=DRAFT", "cursor=x"] {
        dev.get(&format!("{path}?{query}")).await.expect(400);
    }
    let elsewhere = format!("/v1/docks/{}/policies", another_dock(&dev).await);
    assert_eq!(dev.pages(&elsewhere).await.0, [Value::Null; 0]);
    let cursor = dev.get(&format!("{path}?limit=1")).await.next().unwrap();
    let cursor = cursor.split_once('?').unwrap().1.to_owned();
    let refused = dev.get(&format!("{elsewhere}?{cursor}")).await;
    assert_eq!(wrong_fields(&refused), ["cursor"], "of another list");
}

#[tokio::test]
async fn what_is_not_in_the_dock_is_not_found() {
    let dev = Dev::start().await;
    let created = policy(&dev, recipe()).await;
    let id = text(&created["id"]);
    let elsewhere = another_dock(&dev).await;
    let paths = [
        (format!("{}/{UNKNOWN_POLICY}", policies(&dev)), "Policy"),
        (format!("{}/x", policies(&dev)), "Policy"),
        (format!("/v1/docks/{elsewhere}/policies/{id}"), "Policy"),
    ];
    for (path, thing) in &paths {
        for answer in everywhere(&dev, path).await {
            assert_not_found(&answer, thing);
        }
    }
    let unknown = "/v1/docks/dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0/policies";
    assert_not_found(&dev.get(unknown).await, "Dock");
    assert_not_found(&post(&dev, unknown, json!({"name": "P", "recipe": recipe()})).await, "Dock");
    let body = json!({"templateId": "tpl_agent_portal"});
    assert_not_found(&post(&dev, &format!("{unknown}/from-template"), body).await, "Dock");
    for version in ["2", "0", "x", "99999999999999999999"] {
        let version = format!("{}/versions/{version}", path_of(&created));
        assert_not_found(&dev.get(&version).await, "Version");
    }
    assert_not_found(&rollback(&dev, &created, 2).await, "Version");
    assert_not_found(&publish(&dev, &created, json!({"stage": "production", "version": 2})).await, "Version");
    let simulate = format!("{}/simulate", path_of(&created));
    assert_not_found(&post(&dev, &simulate, json!({"version": 2})).await, "Version");
    assert_eq!(get(&dev, &created).await, created);
}

/// What every endpoint of a policy answers.
async fn everywhere(dev: &Dev, path: &str) -> Vec<Answer> {
    let step = |step: &str, body: Value| {
        let path = format!("{path}/{step}");
        async move { post(dev, &path, body).await }
    };
    vec![
        dev.get(path).await,
        dev.patch(path, json!({"name": "B"})).await,
        dev.patch(path, json!({})).await,
        dev.delete(path).await,
        dev.get(&format!("{path}/versions")).await,
        dev.get(&format!("{path}/versions/1")).await,
        step("versions", json!({})).await,
        step("rollback/1", Value::Null).await,
        step("publish", json!({"stage": "production", "version": 1})).await,
        step("publish", json!({"stage": "sandbox"})).await,
        step("simulate", Value::Null).await,
    ]
}

#[tokio::test]
async fn a_recipe_that_differs_is_a_new_version_and_an_equal_one_is_none() {
    let dev = Dev::start().await;
    let created = policy(&dev, recipe()).await;
    let path = path_of(&created);
    let reordered = r#"{"match":{"identifiers":["lender_id"]},"access":{"method":"bulk_api"},
        "auth":{"factors":["shared_passphrase"]},"artifactTypes":["declaration-page"],
        "stakeholderClass":"mortgagee"}"#;
    for equal in [recipe(), json!(recipe().to_string()), json!(format!("{:#}", recipe())), json!(reordered)] {
        let updated = dev.patch(&path, json!({"recipe": equal, "changelog": "None"})).await.expect(200);
        assert_eq!((&updated["currentVersion"], &updated["recipe"]), (&json!(1), &recipe()), "{equal}");
    }
    let changes = json!({"name": " B ", "recipe": other_recipe(), "changelog": "Endorsements too"});
    let updated = dev.patch(&path, changes).await.expect(200);
    assert_eq!((&updated["currentVersion"], &updated["name"]), (&json!(2), &json!("B")));
    assert_eq!((&updated["recipe"], &updated["status"]), (&other_recipe(), &json!("DRAFT")));
    assert!(is_timestamp(&updated["updatedAt"]));
    assert_eq!(get(&dev, &created).await, updated);
    assert_eq!(version(&dev, &created, 2).await["changelog"], "Endorsements too");
    assert_eq!(dev.pages(&format!("{path}/versions")).await.0.len(), 2);
    let back = dev.patch(&path, json!({"recipe": recipe()})).await.expect(200);
    assert_eq!(back["currentVersion"], 3, "equal to an earlier one, but not to the current one");
    assert_eq!(dev.patch(&path, json!({"name": "C"})).await.expect(200)["currentVersion"], 3);
}

#[tokio::test]
async fn a_patch_takes_what_get_returns_and_refuses_what_it_cannot_change() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await;
    let policy = policy_in_force(&dev, recipe()).await;
    let path = path_of(&policy);
    dev.patch(&path, json!({"recipe": other_recipe()})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "pilot", "recipientIds": [recipient["id"]]})).await.expect(200);
    let scheduled = json!({"stage": "production", "version": 2, "scheduledEnforceDate": days_from_now(9)});
    publish(&dev, &policy, scheduled).await.expect(200);
    let shown = get(&dev, &policy).await;
    assert_eq!(stages(&shown), [Some(1), Some(2), Some(2)]);
    assert_eq!(dev.patch(&path, shown.clone()).await.expect(200), shown);
    assert_eq!(dev.patch(&path, json!({})).await.expect(200), shown);
    for (field, value) in [
        ("id", json!(UNKNOWN_POLICY)),
        ("dockId", json!("x")),
        ("status", json!("DRAFT")),
        ("currentVersion", json!(1)),
        ("production", Value::Null),
        ("production", json!({"version": 2, "since": shown["production"]["since"]})),
        ("pilot", Value::Null),
        ("pilot", json!({"version": 2, "since": shown["pilot"]["since"], "recipientIds": []})),
        ("scheduled", Value::Null),
        ("createdAt", json!("2025-01-15T10:32:00.000Z")),
        ("name", json!("")),
        ("name", Value::Null),
        ("recipe", Value::Null),
        ("recipe", json!({})),
        ("audience", Value::Null),
        ("recipee", recipe()),
    ] {
        let fields = wrong_fields(&dev.patch(&path, json!({field: value})).await);
        assert!(fields[0].starts_with(field), "{field}: {fields:?}");
    }
    for (changelog, recipe) in [(json!("x".repeat(501)), recipe()), (json!(1), recipe())] {
        let body = json!({"recipe": recipe, "changelog": changelog});
        assert_eq!(wrong_fields(&dev.patch(&path, body).await), ["changelog"]);
    }
    let alone = dev.patch(&path, json!({"name": "B", "changelog": "x"})).await;
    assert_eq!(wrong_fields(&alone), ["changelog"], "without a recipe");
    let refused = dev.patch(&path, json!({"recipe": agents_recipe()})).await;
    assert_invalid(&refused, "recipe.stakeholderClass", "create a policy for that class");
    assert_eq!(get(&dev, &policy).await, shown);
}

#[tokio::test]
async fn an_edit_changes_nothing_that_is_in_force() {
    let dev = Dev::start().await;
    let policy = policy_in_force(&dev, recipe()).await;
    let in_force = get(&dev, &policy).await["production"].clone();
    assert_eq!(in_force["version"], 1);
    dev.patch(&path_of(&policy), json!({"recipe": other_recipe()})).await.expect(200);
    post(&dev, &format!("{}/versions", path_of(&policy)), json!({})).await.expect(201);
    let edited = get(&dev, &policy).await;
    assert_eq!((&edited["production"], &edited["currentVersion"]), (&in_force, &json!(3)));
    assert_eq!((&edited["recipe"], &edited["status"]), (&other_recipe(), &json!("PRODUCTION")));
}

/// Whether there are items in the policy's own partition.
async fn is_stored(dev: &Dev, policy: &Value) -> bool {
    dev.table.items().await.iter().any(|item| item["pk"].as_s().unwrap().contains(text(&policy["id"])))
}

#[tokio::test]
async fn a_policy_is_deleted_once_it_is_withdrawn() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await;
    for body in [
        json!({"stage": "production", "version": 1}),
        json!({"stage": "pilot", "recipientIds": [recipient["id"]]}),
        json!({"stage": "production", "version": 1, "scheduledEnforceDate": days_from_now(9)}),
    ] {
        let policy = policy(&dev, recipe()).await;
        dev.patch(&path_of(&policy), json!({"recipe": other_recipe()})).await.expect(200);
        publish(&dev, &policy, body).await.expect(200);
        assert!(is_stored(&dev, &policy).await);
        let refused = dev.delete(&path_of(&policy)).await.expect(409);
        assert_eq!(refused["error"], "Conflict");
        publish(&dev, &policy, json!({"stage": "sandbox"})).await.expect(200);
        assert_eq!(dev.delete(&path_of(&policy)).await.expect(200), json!({"success": true}));
        for answer in everywhere(&dev, &path_of(&policy)).await {
            assert_not_found(&answer, "Policy");
        }
        assert_not_found(&dev.get(&format!("{}/versions/2", path_of(&policy))).await, "Policy");
        dev.cleaned_up().await;
        assert!(!is_stored(&dev, &policy).await, "its versions go with it");
        let assign = format!("{}/assign-policy", path_in_dock("groups", &group(&dev, &[]).await));
        assert_not_found(&post(&dev, &assign, json!({"policyId": policy["id"]})).await, "Policy");
    }
    assert_eq!(dev.pages(&policies(&dev)).await.0, [Value::Null; 0]);
}

#[tokio::test]
async fn a_snapshot_is_the_current_recipe_under_the_next_number() {
    let dev = Dev::start().await;
    let policy = policy(&dev, recipe()).await;
    let path = format!("{}/versions", path_of(&policy));
    let mut expected = vec![version(&dev, &policy, 1).await];
    for (number, (body, changelog)) in [
        (json!({"changelog": "As reviewed"}), json!("As reviewed")),
        (json!({}), Value::Null),
        (Value::Null, Value::Null),
        (json!({"changelog": "x".repeat(500)}), json!("x".repeat(500))),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = post(&dev, &path, body).await;
        let made = answer.expect(201);
        let number = number as u64 + 2;
        assert_eq!(answer.header("location"), format!("{path}/{number}"));
        let shape = json!({
            "version": number, "policyId": policy["id"], "recipe": recipe(), "hash": hash_of(&recipe()),
            "changelog": changelog, "createdAt": made["createdAt"],
        });
        assert_eq!(made, shape);
        assert!(is_timestamp(&made["createdAt"]));
        assert_eq!(version(&dev, &policy, number).await, made);
        assert_eq!(get(&dev, &policy).await["currentVersion"], number);
        expected.insert(0, made);
    }
    for (limit, pages) in [(2, 3), (5, 1)] {
        assert_eq!(dev.pages(&format!("{path}?limit={limit}")).await, (expected.clone(), pages));
    }
    for (body, field) in [
        (json!({"changelog": "x".repeat(501)}), "changelog"),
        (json!({"changelog": true}), "changelog"),
        (json!({"recipe": recipe()}), "recipe"),
    ] {
        assert_eq!(wrong_fields(&post(&dev, &path, body).await), [field]);
    }
    assert_eq!(dev.pages(&path).await.0, expected);
}

#[tokio::test]
async fn a_version_never_changes() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await;
    let policy = policy(&dev, recipe()).await;
    let path = path_of(&policy);
    let first = version(&dev, &policy, 1).await;
    dev.patch(&path, json!({"recipe": other_recipe(), "changelog": "Two"})).await.expect(200);
    let second = version(&dev, &policy, 2).await;
    assert_eq!(text(&second["hash"]), hash_of(&other_recipe()));
    for (step, body) in [
        ("versions", json!({"changelog": "Three"})),
        ("rollback/1", Value::Null),
        ("publish", json!({"stage": "pilot", "version": 2, "recipientIds": [recipient["id"]]})),
        ("publish", json!({"stage": "production", "version": 1})),
        ("publish", json!({"stage": "production", "version": 2, "scheduledEnforceDate": days_from_now(1)})),
        ("simulate", json!({"version": 1})),
        ("rollback/2", Value::Null),
        ("publish", json!({"stage": "sandbox"})),
    ] {
        let answer = post(&dev, &format!("{path}/{step}"), body).await;
        assert!(answer.status < 300, "{step}: {}", answer.text);
        assert_eq!(version(&dev, &policy, 1).await, first, "{step}");
        assert_eq!(version(&dev, &policy, 2).await, second, "{step}");
    }
    for body in [json!({"name": "B", "audience": {"groupIds": []}}), json!({"recipe": recipe()})] {
        dev.patch(&path, body).await.expect(200);
        assert_eq!(version(&dev, &policy, 1).await, first);
    }
    let numbers: Vec<Value> = dev.pages(&format!("{path}/versions")).await.0;
    let numbers: Vec<u64> = numbers.iter().map(|version| version["version"].as_u64().unwrap()).collect();
    let current = get(&dev, &policy).await["currentVersion"].as_u64().unwrap();
    assert_eq!(numbers, (1..=current).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_policy_has_at_most_a_thousand_versions() {
    let dev = Dev::start().await;
    let scene = Scene::create(&dev.table.store, &dev.key, Some(&dev.dock), "").await;
    let full = json!({"id": scene.full, "dockId": dev.dock});
    let before = get(&dev, &full).await;
    assert_eq!(before["currentVersion"], 1000);
    post(&dev, &format!("{}/versions", path_of(&full)), json!({})).await.expect(409);
    rollback(&dev, &full, 1000).await.expect(409);
    dev.patch(&path_of(&full), json!({"recipe": other_recipe()})).await.expect(409);
    assert_eq!(get(&dev, &full).await, before);
    assert_eq!(
        dev.patch(&path_of(&full), json!({"name": "B", "recipe": recipe()})).await.expect(200)["name"],
        "B"
    );
    publish(&dev, &full, json!({"stage": "production", "version": 1000})).await.expect(200);
}

#[tokio::test]
async fn a_policy_goes_from_draft_to_pilot_to_production_and_back() {
    let dev = Dev::start().await;
    let pilot = recipient_of(&dev, "mortgagee", "a", json!({})).await["id"].clone();
    let policy = policy(&dev, recipe()).await;
    let publish = |body: Value| {
        let (dev, policy) = (&dev, &policy);
        async move {
            let answer = publish(dev, policy, body).await.expect(200);
            let shown = get(dev, policy).await;
            assert!(is_timestamp(&answer["publishedAt"]));
            assert_eq!(answer.as_object().unwrap().len(), 9, "{answer}");
            for field in
                ["id", "dockId", "name", "status", "currentVersion", "production", "pilot", "scheduled"]
            {
                assert_eq!(answer[field], shown[field], "{field}");
            }
            answer
        }
    };
    let first = publish(json!({"recipientIds": [pilot]})).await;
    assert_eq!((&first["status"], stages(&first)), (&json!("PILOT"), [None, Some(1), None]));
    assert_eq!(first["pilot"]["recipientIds"], json!([pilot]));
    assert!(is_timestamp(&first["pilot"]["since"]));
    let second = publish(json!({"version": 1})).await;
    assert_eq!((&second["status"], stages(&second)), (&json!("PRODUCTION"), [Some(1), None, None]));
    assert!(is_timestamp(&second["production"]["since"]));

    dev.patch(&path_of(&policy), json!({"recipe": other_recipe()})).await.expect(200);
    let third = publish(json!({"stage": "pilot", "recipientIds": [pilot]})).await;
    assert_eq!((&third["status"], stages(&third)), (&json!("PRODUCTION"), [Some(1), Some(2), None]));
    assert_eq!(third["production"], second["production"], "a pilot leaves it be");

    let (sooner, later) = (days_from_now(5), days_from_now(1825));
    for date in [&later, &sooner] {
        let body = json!({"stage": "production", "version": 2, "scheduledEnforceDate": date});
        let scheduled = publish(body).await;
        assert_eq!(
            scheduled["scheduled"],
            json!({"version": 2, "from": date}),
            "it replaces the earlier one"
        );
        assert_eq!(scheduled["production"], third["production"]);
        assert_eq!(scheduled["pilot"], third["pilot"]);
    }
    let again = publish(json!({"stage": "pilot", "version": 1, "recipientIds": [pilot]})).await;
    assert_eq!(stages(&again), [Some(1), Some(1), None], "a publication clears the schedule");
    let fourth = publish(json!({"stage": "production", "version": 2})).await;
    assert_eq!(stages(&fourth), [Some(2), None, None], "production ends the pilot");
    publish(json!({"stage": "production", "version": 1, "scheduledEnforceDate": sooner})).await;
    let sandbox = publish(json!({"stage": "sandbox"})).await;
    assert_eq!((&sandbox["status"], stages(&sandbox)), (&json!("DRAFT"), [None, None, None]));
    assert_eq!(sandbox["currentVersion"], 2);
    let scheduled =
        publish(json!({"stage": "production", "version": 1, "scheduledEnforceDate": sooner})).await;
    assert_eq!((&scheduled["status"], stages(&scheduled)), (&json!("DRAFT"), [None, None, Some(1)]));
}

#[tokio::test]
async fn a_publication_that_breaks_a_rule_changes_nothing() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await["id"].clone();
    let elsewhere = format!("/v1/docks/{}/recipients", another_dock(&dev).await);
    let body = json!({"name": "F", "email": "f@example.com", "stakeholderClass": "mortgagee"});
    let foreign = post(&dev, &elsewhere, body).await.expect(201)["id"].clone();
    let policy = policy(&dev, recipe()).await;
    let date = |stage: &str, date: &str| json!({"stage": stage, "version": 1, "recipientIds": [recipient], "scheduledEnforceDate": date});
    let production = |date: Value| json!({"stage": "production", "version": 1, "scheduledEnforceDate": date});
    for (body, field) in [
        (json!({"stage": "live"}), "stage"),
        (json!({"stage": "Production", "version": 1}), "stage"),
        (json!({"stage": 1}), "stage"),
        (json!({}), "recipientIds"),
        (json!({"stage": "pilot"}), "recipientIds"),
        (json!({"stage": "pilot", "recipientIds": []}), "recipientIds"),
        (json!({"stage": "pilot", "recipientIds": unknown_recipients(101)}), "recipientIds"),
        (json!({"stage": "pilot", "recipientIds": "x"}), "recipientIds"),
        (json!({"stage": "production"}), "version"),
        (json!({"stage": "production", "scheduledEnforceDate": days_from_now(1)}), "version"),
        (json!({"stage": "production", "version": "1"}), "version"),
        (json!({"stage": "production", "version": 1.5}), "version"),
        (date("pilot", &days_from_now(1)), "scheduledEnforceDate"),
        (json!({"stage": "sandbox", "scheduledEnforceDate": days_from_now(1)}), "scheduledEnforceDate"),
        (production(json!("2020-01-01T00:00:00Z")), "scheduledEnforceDate"),
        (production(json!(days_from_now(1900))), "scheduledEnforceDate"),
        (production(json!("tomorrow")), "scheduledEnforceDate"),
        (production(json!(1)), "scheduledEnforceDate"),
        (json!({"stage": "production", "version": 1, "scheduledEnforceDte": "x"}), "scheduledEnforceDte"),
    ] {
        let fields = wrong_fields(&publish(&dev, &policy, body.clone()).await);
        assert!(fields.iter().any(|wrong| wrong.starts_with(field)), "{body}: {fields:?}");
    }
    let most = json!({"stage": "pilot", "recipientIds": unknown_recipients(100)});
    assert_not_found(&publish(&dev, &policy, most).await, "Recipient");
    for unknown in [foreign, json!(UNKNOWN_RECIPIENT)] {
        let body = json!({"stage": "pilot", "recipientIds": [recipient, unknown]});
        assert_not_found(&publish(&dev, &policy, body).await, "Recipient");
    }
    assert_eq!(get(&dev, &policy).await, policy);
}

#[tokio::test]
async fn a_version_is_scheduled_at_most_five_years_ahead() {
    let dev = Dev::start().await;
    let policy = policy(&dev, recipe()).await;
    // Five years have 1826 days, or 1827.
    for (days, status) in [(1825, 200), (1828, 400)] {
        let date = days_from_now(days);
        let body = json!({"stage": "production", "version": 1, "scheduledEnforceDate": date});
        publish(&dev, &policy, body).await.expect(status);
    }
}

#[tokio::test]
async fn to_production_goes_what_the_request_names() {
    let dev = Dev::start().await;
    let created = policy(&dev, recipe()).await;
    let path = format!("{}/publish", path_of(&created));
    let etag = dev.get(&path_of(&created)).await.header("etag").to_owned();
    let production = json!({"stage": "production"});
    let publish = |if_match: String, body: Value| {
        let (dev, path) = (&dev, &path);
        async move { ask(dev, Method::POST, path, &[("if-match", &if_match)], &body).await }
    };
    wrong_fields(&publish("*".to_owned(), production.clone()).await);
    dev.patch(&path_of(&created), json!({"recipe": other_recipe()})).await.expect(200);
    publish(etag.clone(), production.clone()).await.expect(412);
    publish(etag, json!({"stage": "production", "version": 1})).await.expect(412);
    assert_eq!(stages(&get(&dev, &created).await), [None, None, None]);
    let etag = dev.get(&path_of(&created)).await.header("etag").to_owned();
    assert_eq!(stages(&publish(etag, production).await.expect(200)), [Some(2), None, None]);
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await["id"].clone();
    crate::publish(&dev, &created, json!({"stage": "sandbox"})).await.expect(200);
    crate::publish(&dev, &created, json!({"recipientIds": [recipient]})).await.expect(200);
    wrong_fields(&crate::publish(&dev, &created, json!({})).await);
    let etag = dev.get(&path_of(&created)).await.header("etag").to_owned();
    assert_eq!(stages(&publish(etag, json!({})).await.expect(200)), [Some(2), None, None], "the next stage");
    let named = publish("*".to_owned(), json!({"stage": "production", "version": 1})).await.expect(200);
    assert_eq!((stages(&named), &named["currentVersion"]), ([Some(1), None, None], &json!(2)));
}

#[tokio::test]
async fn what_shows_every_document_is_published_only_where_it_says_so() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await["id"].clone();
    let policyholders = with(agents_recipe(), "/stakeholderClass", json!("policyholder"));
    let production = json!({"stage": "production", "version": 1});
    for recipe in [recipe(), agents_recipe(), policyholders] {
        for keys in [json!([]), json!(["email", "phone", "date_of_birth", "badge_id", "nda_hash"])] {
            let unscoped = with(recipe.clone(), "/match/identifiers", keys);
            let refused = policy(&dev, unscoped.clone()).await;
            let pilot = json!({"stage": "pilot", "recipientIds": [recipient]});
            let later = with(production.clone(), "/scheduledEnforceDate", json!(days_from_now(1)));
            for body in [production.clone(), pilot, later] {
                let answer = publish(&dev, &refused, body).await.expect(400);
                assert!(answer.to_string().contains("unscoped"), "{answer}");
            }
            assert_eq!(get(&dev, &refused).await, refused);
            let said = policy_in_force(&dev, with(unscoped, "/match/unscoped", json!(true))).await;
            assert_eq!(stages(&get(&dev, &said).await), [Some(1), None, None]);
        }
    }
    policy_in_force(&dev, auditors_recipe()).await;
}

#[tokio::test]
async fn a_rollback_puts_nothing_into_production_that_could_not_be_published() {
    let dev = Dev::start().await;
    let policy = policy(&dev, with(recipe(), "/match", Value::Null)).await;
    dev.patch(&path_of(&policy), json!({"recipe": recipe()})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "production", "version": 2})).await.expect(200);
    let before = get(&dev, &policy).await;
    assert!(rollback(&dev, &policy, 1).await.expect(400).to_string().contains("unscoped"));
    assert_eq!(get(&dev, &policy).await, before);
    publish(&dev, &policy, json!({"stage": "sandbox"})).await.expect(200);
    assert_eq!(rollback(&dev, &policy, 1).await.expect(201)["version"], 3, "a draft");
}

#[tokio::test]
async fn ten_policies_of_a_class_are_in_force() {
    let dev = Dev::start().await;
    let recipient = recipient_of(&dev, "mortgagee", "a", json!({})).await["id"].clone();
    let production = json!({"stage": "production", "version": 1});
    let pilot = json!({"stage": "pilot", "recipientIds": [recipient]});
    let later = with(production.clone(), "/scheduledEnforceDate", json!(days_from_now(1)));
    let mut in_force = Vec::new();
    for n in 0..10 {
        let policy = policy(&dev, recipe()).await;
        let body = [&production, &pilot, &later][n % 3].clone();
        publish(&dev, &policy, body).await.expect(200);
        in_force.push(policy);
    }
    let eleventh = policy(&dev, recipe()).await;
    for body in [&production, &pilot, &later] {
        publish(&dev, &eleventh, body.clone()).await.expect(409);
    }
    assert_eq!(get(&dev, &eleventh).await, eleventh);
    for body in [&pilot, &later, &production] {
        publish(&dev, &in_force[0], body.clone()).await.expect(200);
    }
    policy_in_force(&dev, agents_recipe()).await;
    publish(&dev, &in_force[2], json!({"stage": "sandbox"})).await.expect(200);
    publish(&dev, &eleventh, production).await.expect(200);
}

#[tokio::test]
async fn a_rollback_is_a_new_version_that_takes_the_place_in_production() {
    let dev = Dev::start().await;
    let policy = policy_in_force(&dev, recipe()).await;
    let path = path_of(&policy);
    dev.patch(&path, json!({"recipe": other_recipe()})).await.expect(200);
    publish(&dev, &policy, json!({"stage": "production", "version": 2})).await.expect(200);
    let later = json!({"stage": "production", "version": 2, "scheduledEnforceDate": days_from_now(1)});
    publish(&dev, &policy, later).await.expect(200);
    let answer = rollback(&dev, &policy, 1).await;
    let made = answer.expect(201);
    let expected = json!({
        "version": 3, "policyId": policy["id"], "recipe": recipe(), "hash": hash_of(&recipe()),
        "changelog": "Rollback to version 1", "createdAt": made["createdAt"],
    });
    assert_eq!(made, expected);
    assert_eq!(answer.header("location"), format!("{path}/versions/3"));
    assert_eq!(version(&dev, &policy, 3).await, made);
    let shown = get(&dev, &policy).await;
    assert_eq!(stages(&shown), [Some(3), None, None], "the schedule is cleared");
    assert_eq!((&shown["recipe"], &shown["currentVersion"]), (&recipe(), &json!(3)));
    assert_eq!(version(&dev, &policy, 2).await["recipe"], other_recipe(), "history stays");

    let draft = crate::policy(&dev, recipe()).await;
    dev.patch(&path_of(&draft), json!({"recipe": other_recipe()})).await.expect(200);
    assert_eq!(rollback(&dev, &draft, 1).await.expect(201)["version"], 3);
    let shown = get(&dev, &draft).await;
    assert_eq!((&shown["status"], stages(&shown)), (&json!("DRAFT"), [None, None, None]));
    assert_eq!(shown["recipe"], recipe());
    let scheduled = json!({"stage": "production", "version": 1, "scheduledEnforceDate": days_from_now(1)});
    publish(&dev, &draft, scheduled).await.expect(200);
    rollback(&dev, &draft, 2).await.expect(201);
    assert_eq!(stages(&get(&dev, &draft).await), [None, None, None]);
    let body = post(&dev, &format!("{}/rollback/1", path_of(&draft)), json!({"changelog": "x"})).await;
    assert_eq!(wrong_fields(&body), ["changelog"]);
}

#[tokio::test]
async fn each_change_of_a_policy_is_made_to_the_state_that_it_names_alone() {
    let dev = Dev::start().await;
    let policy = policy(&dev, recipe()).await;
    let path = path_of(&policy);
    let first = dev.get(&path).await.header("etag").to_owned();
    let unchanged = dev.patch(&path, json!({"recipe": recipe()})).await;
    assert_eq!(unchanged.header("etag"), first, "an equal recipe changes nothing");
    let changed = dev.patch(&path, json!({"name": "B"})).await;
    assert_ne!(changed.header("etag"), first);
    for (method, step, body) in [
        (Method::PATCH, "", json!({"name": "C"})),
        (Method::POST, "/publish", json!({"stage": "production", "version": 1})),
        (Method::POST, "/rollback/1", Value::Null),
        (Method::POST, "/publish", json!({"stage": "sandbox"})),
        (Method::DELETE, "", Value::Null),
    ] {
        let path = format!("{path}{step}");
        let request = |etag: String| {
            let (dev, method, path, body) = (&dev, method.clone(), &path, &body);
            async move { ask(dev, method, path, &[("if-match", &etag)], body).await }
        };
        let before = dev.get(&path_of(&policy)).await;
        for other in [first.as_str(), "\"x\""] {
            assert_eq!(request(other.to_owned()).await.expect(412)["error"], "Precondition Failed");
        }
        let after = dev.get(&path_of(&policy)).await;
        assert_eq!((after.json(), after.header("etag")), (before.json(), before.header("etag")));
        let made = request(before.header("etag").to_owned()).await;
        assert!(made.status < 300, "{step}: {}", made.text);
    }
    assert_not_found(&dev.get(&path).await, "Policy");
}

#[tokio::test]
async fn of_changes_to_one_state_of_a_policy_that_race_one_wins() {
    let dev = Dev::start().await;
    for (step, body) in
        [("publish", json!({"stage": "production", "version": 1})), ("rollback/1", Value::Null)]
    {
        let policy = policy(&dev, recipe()).await;
        let path = format!("{}/{step}", path_of(&policy));
        let etag = dev.get(&path_of(&policy)).await.header("etag").to_owned();
        let requests = (0..6).map(|_| {
            let request = dev.post(&path).header("if-match", &etag);
            let request = if body.is_null() { request } else { request.json(&body) };
            tokio::spawn(docyard_test_support::dev::send(request))
        });
        let mut won = 0;
        for answer in requests.collect::<Vec<_>>() {
            let status = answer.await.unwrap().status;
            assert!([200, 201, 409, 412].contains(&status), "{status}");
            won += usize::from(status < 300);
        }
        assert_eq!(won, 1, "{step}");
    }
}

#[tokio::test]
async fn each_template_can_be_created_and_published() {
    let dev = Dev::start().await;
    let templates = dev.get("/v1/policy-templates").await.expect(200);
    let templates = templates.as_array().unwrap();
    assert_eq!(templates.len(), 7);
    for (id, class) in [
        ("tpl_mortgagee_bulk", "mortgagee"),
        ("tpl_agent_portal", "agent"),
        ("tpl_policyholder_portal", "policyholder"),
        ("tpl_auditor_read_only", "auditor"),
    ] {
        let template = templates.iter().find(|template| template["id"] == id).expect(id);
        assert_eq!(
            (&template["category"], text(&template["recipe"]["stakeholderClass"])),
            (&json!("insurance"), class)
        );
    }
    for (category, class, identifiers) in [
        ("insurance", "mortgagee", json!(["lender_id"])),
        ("real_estate", "mortgagee", json!(["lender_id"])),
        ("healthcare", "mortgagee", json!(["payer_id"])),
        ("financial_services", "mortgagee", json!(["lender_id"])),
        ("insurance", "agent", json!(["agency_code"])),
    ] {
        let mut found = templates.iter().filter(|template| template["category"] == category);
        let template =
            found.find(|template| template["recipe"]["stakeholderClass"] == class).expect(category);
        let matching = &template["recipe"]["match"];
        assert_eq!(
            (&matching["identifiers"], class == "agent"),
            (&identifiers, matching["stored_only"] == true)
        );
    }
    let path = format!("{}/from-template", policies(&dev));
    for template in templates {
        assert_eq!(template.as_object().unwrap().len(), 5, "{template}");
        assert!(!text(&template["name"]).is_empty() && !text(&template["description"]).is_empty());
        let answer = post(&dev, &path, json!({"templateId": template["id"]})).await;
        let policy = answer.expect(201);
        assert_eq!(answer.header("location"), path_of(&policy));
        assert_eq!((&policy["name"], &policy["recipe"]), (&template["name"], &template["recipe"]));
        assert_eq!((&policy["status"], &policy["currentVersion"]), (&json!("DRAFT"), &json!(1)));
        assert_eq!(policy["audience"], json!({"everyone": true}));
        assert_eq!(get(&dev, &policy).await, policy);
        assert_eq!(text(&version(&dev, &policy, 1).await["hash"]), hash_of(&template["recipe"]));
        publish(&dev, &policy, json!({"stage": "production", "version": 1})).await.expect(200);
    }
    let named =
        post(&dev, &path, json!({"templateId": "tpl_agent_portal", "name": " Ours "})).await.expect(201);
    assert_eq!(named["name"], "Ours");
    assert_not_found(&post(&dev, &path, json!({"templateId": "tpl_x"})).await, "Template");
    for (body, field) in [
        (json!({}), "templateId"),
        (json!({"templateId": 1}), "templateId"),
        (json!({"templateId": "tpl_agent_portal", "name": ""}), "name"),
        (json!({"templateId": "tpl_agent_portal", "recipe": recipe()}), "recipe"),
    ] {
        assert_eq!(wrong_fields(&post(&dev, &path, body).await), [field]);
    }
}

#[tokio::test]
async fn each_creation_can_be_repeated_under_its_key() {
    let dev = Dev::start().await;
    let path = path_of(&policy_in_force(&dev, recipe()).await);
    let [list, template, versions, rollback] = [
        policies(&dev),
        format!("{}/from-template", policies(&dev)),
        format!("{path}/versions"),
        format!("{path}/rollback/1"),
    ];
    for (path, body, same, other) in [
        (
            &list,
            json!({"name": "P", "recipe": recipe()}),
            json!({"recipe": recipe(), "name": "P"}),
            json!({"name": "Q", "recipe": recipe()}),
        ),
        (
            &template,
            json!({"templateId": "tpl_agent_portal"}),
            json!({"templateId": "tpl_agent_portal"}),
            json!({"templateId": "tpl_mortgagee_bulk"}),
        ),
        (&versions, json!({"changelog": "A"}), json!({"changelog": "A"}), json!({"changelog": "B"})),
        (&rollback, Value::Null, json!({}), Value::Null),
    ] {
        let etag = dev.get(path_of_policy(path, &rollback)).await.header("etag").to_owned();
        let mut headers = vec![("idempotency-key", "k1")];
        if *path == rollback {
            headers.push(("if-match", &etag));
        }
        let first = ask(&dev, Method::POST, path, &headers, &body).await;
        let made = first.expect(201);
        let again = ask(&dev, Method::POST, path, &headers, &same).await;
        assert_eq!(again.expect(201), made, "{path}");
        assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
        for header in ["location", "etag"] {
            assert_eq!(again.header(header), first.header(header), "{path} {header}");
        }
        if other != Value::Null {
            ask(&dev, Method::POST, path, &[("idempotency-key", "k1")], &other).await.expect(422);
        }
        let second = ask(&dev, Method::POST, path, &[("idempotency-key", "k2")], &body).await.expect(201);
        assert_ne!(second, made, "another key, another creation");
    }
    assert_eq!(dev.pages(&list).await.0.len(), 5);
    assert_eq!(dev.pages(&versions).await.0.len(), 5);
}

fn path_of_policy<'a>(path: &'a str, rollback: &'a str) -> &'a str {
    if path == rollback { rollback.split("/rollback").next().unwrap() } else { "/v1/docks" }
}
