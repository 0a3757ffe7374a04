//! Groups: their members, and the policies that are for them.

use docyard_test_support::dev::{Answer, Dev};
use docyard_test_support::scene::recipe;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    UNKNOWN_GROUP, UNKNOWN_POLICY, UNKNOWN_RECIPIENT, another_dock, ask, assert_not_found, group, is_id,
    is_timestamp, path_in_dock, policy, policy_in_force, post, recipient_of, text, unknown_recipients, with,
    wrong_fields,
};

fn groups(dev: &Dev) -> String {
    format!("/v1/docks/{}/groups", dev.dock)
}

fn path_of(group: &Value) -> String {
    path_in_dock("groups", group)
}

fn members_of(group: &Value) -> String {
    format!("{}/recipients", path_of(group))
}

async fn mortgagee(dev: &Dev, name: &str) -> Value {
    recipient_of(dev, "mortgagee", name, json!({"lender_id": "LND-1"})).await
}

fn ids(recipients: &[&Value]) -> Value {
    let ids: Vec<&Value> = recipients.iter().map(|recipient| &recipient["id"]).collect();
    json!({"recipientIds": ids})
}

async fn add(dev: &Dev, group: &Value, recipients: &[&Value]) -> Answer {
    post(dev, &members_of(group), ids(recipients)).await
}

async fn remove(dev: &Dev, group: &Value, recipients: &[&Value]) -> Answer {
    ask(dev, Method::DELETE, &members_of(group), &[], &ids(recipients)).await
}

async fn assign(dev: &Dev, group: &Value, policy: &Value) -> Answer {
    post(dev, &format!("{}/assign-policy", path_of(group)), json!({"policyId": policy["id"]})).await
}

async fn unassign(dev: &Dev, group: &Value, policy: &Value) -> Answer {
    post(dev, &format!("{}/unassign-policy", path_of(group)), json!({"policyId": policy["id"]})).await
}

async fn audience(dev: &Dev, policy: &Value) -> Value {
    dev.get(&path_in_dock("policies", policy)).await.expect(200)["audience"].clone()
}

/// The ids of a group's members, in order.
async fn members(dev: &Dev, group: &Value) -> Vec<String> {
    sorted(&dev.pages(&members_of(group)).await.0.iter().collect::<Vec<_>>())
}

fn sorted(recipients: &[&Value]) -> Vec<String> {
    let mut ids: Vec<String> = recipients.iter().map(|recipient| text(&recipient["id"]).to_owned()).collect();
    ids.sort();
    ids
}

/// Whether a policy covers a recipient who proves its passphrase.
async fn lets_in(dev: &Dev, recipient: &Value) -> bool {
    let body = json!({
        "subject": {"type": "recipient", "id": recipient["id"]},
        "action": {"name": "bulk_api"},
        "resource": {"type": "dock"},
        "context": {"factors": ["shared_passphrase"]},
    });
    let path = format!("/v1/docks/{}/access/evaluation", dev.dock);
    post(dev, &path, body).await.expect(200)["decision"].as_bool().unwrap()
}

#[tokio::test]
async fn a_group_is_shown_as_it_was_created() {
    let dev = Dev::start().await;
    let (a, b) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let body = json!({"name": " East ", "description": "Renewals", "recipientIds": [a["id"], b["id"]]});
    let answer = post(&dev, &groups(&dev), body).await;
    let created = answer.expect(201);
    assert_eq!(answer.header("location"), path_of(&created));
    assert!(is_id(&created["id"], "grp_") && is_timestamp(&created["createdAt"]), "{created}");
    assert_eq!((&created["name"], &created["description"]), (&json!("East"), &json!("Renewals")));
    assert_eq!((&created["dockId"], &created["recipientIds"]), (&json!(dev.dock), &Value::Null));
    let read = dev.get(&path_of(&created)).await;
    assert_eq!((read.expect(200), read.header("etag")), (created.clone(), answer.header("etag")));
    assert!(read.header("etag").starts_with('"'));
    assert_eq!(members(&dev, &created).await, sorted(&[&a, &b]));
    for alone in [json!({"name": "G"}), json!({"name": "G", "recipientIds": [], "description": null})] {
        let created = post(&dev, &groups(&dev), alone).await.expect(201);
        assert!(created["description"].is_null());
        assert_eq!(members(&dev, &created).await, [""; 0]);
    }
}

#[tokio::test]
async fn what_breaks_a_rule_of_groups_is_refused() {
    let dev = Dev::start().await;
    let existing = group(&dev, &[]).await;
    for (change, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": 1}), "name"),
        (json!({"name": null}), "name"),
        (json!({"name": "x".repeat(201)}), "name"),
        (json!({"name": "G", "description": "x".repeat(501)}), "description"),
        (json!({"name": "G", "description": 1}), "description"),
        (json!({"name": "G", "members": []}), "members"),
    ] {
        let created = post(&dev, &groups(&dev), change.clone()).await;
        assert_eq!(wrong_fields(&created), [field]);
        assert_eq!(wrong_fields(&dev.patch(&path_of(&existing), change).await), [field]);
    }
    assert_eq!(wrong_fields(&post(&dev, &groups(&dev), json!({})).await), ["name"]);
    for wrong in [json!("x"), json!([1]), unknown_recipients(26)] {
        let fields =
            wrong_fields(&post(&dev, &groups(&dev), json!({"name": "G", "recipientIds": wrong})).await);
        assert!(fields[0].starts_with("recipientIds"), "{fields:?}");
    }
    for wrong in [
        json!({}),
        json!({"recipientIds": null}),
        json!({"recipientIds": []}),
        json!({"recipientIds": "x"}),
        json!({"recipientIds": unknown_recipients(101)}),
    ] {
        for method in [Method::POST, Method::DELETE] {
            let answer = ask(&dev, method, &members_of(&existing), &[], &wrong).await;
            assert!(wrong_fields(&answer)[0].starts_with("recipientIds"), "{wrong}");
        }
    }
    for step in ["assign-policy", "unassign-policy"] {
        let path = format!("{}/{step}", path_of(&existing));
        assert_eq!(wrong_fields(&post(&dev, &path, json!({})).await), ["policyId"]);
        let body = json!({"policyId": UNKNOWN_POLICY, "policy": "x"});
        assert_eq!(wrong_fields(&post(&dev, &path, body).await), ["policy"]);
    }
    assert_eq!(dev.pages(&groups(&dev)).await.0, [existing], "nothing was created or changed");
}

#[tokio::test]
async fn the_list_shows_the_docks_groups_newest_first() {
    let dev = Dev::start().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, group(&dev, &[]).await);
    }
    dev.patch(&path_of(&expected[4]), json!({"name": "Oldest"})).await.expect(200);
    expected[4] = dev.get(&path_of(&expected[4])).await.expect(200);
    dev.delete(&path_of(&expected[1])).await.expect(200);
    expected.remove(1);
    for (limit, pages) in [(3, 2), (4, 1)] {
        let path = format!("{}?limit={limit}", groups(&dev));
        assert_eq!(dev.pages(&path).await, (expected.clone(), pages));
    }
    for query in ["limit=0", "name=G", "cursor=x"] {
        dev.get(&format!("{}?{query}", groups(&dev))).await.expect(400);
        dev.get(&format!("{}?{query}", members_of(&expected[0]))).await.expect(400);
    }
    let elsewhere = format!("/v1/docks/{}/groups", another_dock(&dev).await);
    assert_eq!(dev.pages(&elsewhere).await.0, [Value::Null; 0]);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_in_the_state_that_it_names() {
    let dev = Dev::start().await;
    let mut expected = post(&dev, &groups(&dev), json!({"name": "G", "description": "D"})).await.expect(201);
    let path = path_of(&expected);
    let first = dev.get(&path).await.header("etag").to_owned();
    for unchanged in [json!({}), expected.clone(), json!({"name": "G"})] {
        assert_eq!(dev.patch(&path, unchanged).await.header("etag"), first);
    }
    for change in [json!({"name": "H"}), json!({"description": null}), json!({"description": "E"})] {
        let updated = dev.patch(&path, change.clone()).await;
        expected.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        for field in ["id", "dockId", "name", "description", "createdAt"] {
            assert_eq!(updated.expect(200)[field], expected[field], "{field}");
        }
        assert!(is_timestamp(&updated.json()["updatedAt"]));
        assert_ne!(updated.header("etag"), first);
        let read = dev.get(&path).await;
        assert_eq!((read.json(), read.header("etag")), (updated.json(), updated.header("etag")));
    }
    let etag = dev.get(&path).await.header("etag").to_owned();
    for (method, body) in [(Method::PATCH, json!({"name": "I"})), (Method::DELETE, Value::Null)] {
        ask(&dev, method.clone(), &path, &[("if-match", &first)], &body).await.expect(412);
        assert_eq!(dev.get(&path).await.header("etag"), etag);
    }
    let patched = ask(&dev, Method::PATCH, &path, &[("if-match", &etag)], &json!({"name": "I"})).await;
    assert_eq!(patched.expect(200)["name"], "I");
    let deleted =
        ask(&dev, Method::DELETE, &path, &[("if-match", patched.header("etag"))], &Value::Null).await;
    assert_eq!(deleted.expect(200), json!({"success": true}));
}

#[tokio::test]
async fn what_is_not_in_the_dock_is_not_found_and_changes_nothing() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let policy = policy(&dev, recipe()).await;
    let existing = group(&dev, &[&recipient]).await;
    let elsewhere = another_dock(&dev).await;
    let gone = group(&dev, &[&recipient]).await;
    dev.delete(&path_of(&gone)).await.expect(200);
    for path in [
        format!("{}/{UNKNOWN_GROUP}", groups(&dev)),
        format!("{}/x", groups(&dev)),
        format!("/v1/docks/{elsewhere}/groups/{}", text(&existing["id"])),
        path_of(&gone),
    ] {
        let members = format!("{path}/recipients");
        let policy = json!({"policyId": policy["id"]});
        for answer in [
            dev.get(&path).await,
            dev.patch(&path, json!({"name": "B"})).await,
            dev.delete(&path).await,
            dev.get(&members).await,
            post(&dev, &members, ids(&[&recipient])).await,
            ask(&dev, Method::DELETE, &members, &[], &ids(&[&recipient])).await,
            dev.delete(&format!("{members}/{}", text(&recipient["id"]))).await,
            post(&dev, &format!("{path}/assign-policy"), policy.clone()).await,
            post(&dev, &format!("{path}/unassign-policy"), policy).await,
        ] {
            assert_not_found(&answer, "Group");
        }
    }
    let unknown = "/v1/docks/dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0/groups";
    assert_not_found(&dev.get(unknown).await, "Dock");
    assert_not_found(&post(&dev, unknown, json!({"name": "G"})).await, "Dock");

    let body = json!({"name": "F", "email": "f@example.com", "stakeholderClass": "mortgagee"});
    let foreign = post(&dev, &format!("/v1/docks/{elsewhere}/recipients"), body).await.expect(201);
    let most = json!({"name": "G", "recipientIds": unknown_recipients(25)});
    assert_not_found(&post(&dev, &groups(&dev), most).await, "Recipient");
    let most = json!({"recipientIds": unknown_recipients(100)});
    assert_not_found(&post(&dev, &members_of(&existing), most).await, "Recipient");
    let new = mortgagee(&dev, "b").await;
    for stranger in [&foreign, &json!({"id": UNKNOWN_RECIPIENT})] {
        let created = json!({"name": "G", "recipientIds": [new["id"], stranger["id"]]});
        assert_not_found(&post(&dev, &groups(&dev), created).await, "Recipient");
        assert_not_found(&add(&dev, &existing, &[&new, stranger]).await, "Recipient");
        let path = format!("{}/{}", members_of(&existing), text(&stranger["id"]));
        assert_not_found(&dev.delete(&path).await, "Recipient");
    }
    assert_not_found(&remove(&dev, &existing, &[&recipient, &foreign]).await, "Recipient");
    let foreign = json!({"name": "P", "recipe": recipe()});
    let foreign = post(&dev, &format!("/v1/docks/{elsewhere}/policies"), foreign).await.expect(201);
    for policy in [&foreign, &json!({"id": UNKNOWN_POLICY})] {
        assert_not_found(&assign(&dev, &existing, policy).await, "Policy");
        assert_not_found(&unassign(&dev, &existing, policy).await, "Policy");
    }
    assert_eq!(members(&dev, &existing).await, sorted(&[&recipient]));
    assert_eq!(dev.pages(&groups(&dev)).await.0, [existing]);
    assert_eq!(audience(&dev, &policy).await, json!({"everyone": true}));
    assert_eq!(audience(&dev, &foreign).await, json!({"everyone": true}));
}

#[tokio::test]
async fn members_are_added_and_removed_as_often_as_one_asks() {
    let dev = Dev::start().await;
    let (a, b, c) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await, mortgagee(&dev, "c").await);
    let group = group(&dev, &[]).await;
    for _ in 0..2 {
        let answer = add(&dev, &group, &[&a, &b]).await.expect(200);
        assert_eq!((&answer["id"], &answer["name"]), (&group["id"], &group["name"]));
        assert_eq!(members(&dev, &group).await, sorted(&[&a, &b]));
    }
    add(&dev, &group, &[&b, &c]).await.expect(200);
    assert_eq!(members(&dev, &group).await, sorted(&[&a, &b, &c]));
    for _ in 0..2 {
        let answer = remove(&dev, &group, &[&a, &c]).await.expect(200);
        assert_eq!((&answer["id"], &answer["name"]), (&group["id"], &group["name"]));
        assert_eq!(members(&dev, &group).await, sorted(&[&b]));
    }
    let path = format!("{}/{}", members_of(&group), text(&b["id"]));
    assert_eq!(dev.delete(&path).await.expect(200), json!({"success": true}));
    assert_eq!(members(&dev, &group).await, [""; 0]);
}

#[tokio::test]
async fn the_list_of_members_shows_them_as_they_are_now() {
    let dev = Dev::start().await;
    let (a, b) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let group = group(&dev, &[&a, &b]).await;
    let shown = |recipient: &Value| json!({"id": recipient["id"], "name": recipient["name"], "email": recipient["email"]});
    let (list, pages) = dev.pages(&format!("{}?limit=1", members_of(&group))).await;
    assert!(pages >= 2);
    for recipient in [&a, &b] {
        assert!(list.contains(&shown(recipient)), "{list:?}");
    }
    let changed = json!({"email": "new@example.com", "name": "New"});
    let changed = dev.patch(&path_in_dock("recipients", &a), changed).await.expect(200);
    let list = dev.pages(&members_of(&group)).await.0;
    assert!(list.len() == 2 && list.contains(&shown(&changed)), "{list:?}");
    dev.delete(&path_in_dock("recipients", &b)).await.expect(200);
    assert_eq!(dev.pages(&members_of(&group)).await.0, [shown(&changed)]);
    let again = mortgagee(&dev, "b").await;
    assert_eq!(members(&dev, &group).await, sorted(&[&a]), "the same address, another recipient");
    add(&dev, &group, &[&again]).await.expect(200);
    assert_eq!(members(&dev, &group).await, sorted(&[&a, &again]));
}

#[tokio::test]
async fn a_request_adds_and_removes_as_many_as_a_hundred() {
    let dev = Dev::start().await;
    let mut recipients = Vec::new();
    for n in 0..100 {
        recipients.push(mortgagee(&dev, &format!("r{n}")).await);
    }
    let all: Vec<&Value> = recipients.iter().collect();
    let group = group(&dev, &all[..25]).await;
    add(&dev, &group, &all).await.expect(200);
    assert_eq!(members(&dev, &group).await, sorted(&all));
    let (list, _) = dev.pages(&format!("{}?limit=30", members_of(&group))).await;
    assert_eq!(sorted(&list.iter().collect::<Vec<_>>()), sorted(&all), "page by page");
    remove(&dev, &group, &all[..65]).await.expect(200);
    assert_eq!(members(&dev, &group).await, sorted(&all[65..]));
}

#[tokio::test]
async fn a_recipient_is_in_fifty_groups_that_exist() {
    let dev = Dev::start().await;
    let (crowded, other) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let mut made = Vec::new();
    for _ in 0..50 {
        made.push(group(&dev, &[&crowded]).await);
    }
    add(&dev, &made[0], &[&crowded]).await.expect(200);
    let one_more = group(&dev, &[]).await;
    add(&dev, &one_more, &[&crowded]).await.expect(409);
    let body = json!({"name": "G", "recipientIds": [crowded["id"]]});
    post(&dev, &groups(&dev), body.clone()).await.expect(409);
    add(&dev, &one_more, &[&other]).await.expect(200);
    assert_eq!(members(&dev, &one_more).await, sorted(&[&other]));
    dev.delete(&path_of(&made[0])).await.expect(200);
    add(&dev, &one_more, &[&crowded]).await.expect(200);
    add(&dev, &group(&dev, &[]).await, &[&crowded]).await.expect(409);
    remove(&dev, &made[1], &[&crowded]).await.expect(200);
    post(&dev, &groups(&dev), body).await.expect(201);
}

#[tokio::test]
async fn assignment_turns_everyone_into_one_group_and_nothing_but_a_patch_turns_it_back() {
    let dev = Dev::start().await;
    let (member, outsider) = (mortgagee(&dev, "a").await, mortgagee(&dev, "b").await);
    let (first, second) = (group(&dev, &[&member]).await, group(&dev, &[&member]).await);
    let policy = policy_in_force(&dev, recipe()).await;
    assert!(lets_in(&dev, &member).await && lets_in(&dev, &outsider).await);
    let success = json!({"success": true, "policyId": policy["id"]});
    for _ in 0..2 {
        assert_eq!(assign(&dev, &first, &policy).await.expect(200), success);
        assert_eq!(audience(&dev, &policy).await, json!({"groupIds": [first["id"]]}));
        assert!(lets_in(&dev, &member).await && !lets_in(&dev, &outsider).await);
    }
    assign(&dev, &second, &policy).await.expect(200);
    let both = audience(&dev, &policy).await["groupIds"].clone();
    let both = both.as_array().unwrap();
    assert!(both.len() == 2 && both.contains(&first["id"]) && both.contains(&second["id"]));
    for _ in 0..2 {
        assert_eq!(unassign(&dev, &first, &policy).await.expect(200), success);
        assert_eq!(audience(&dev, &policy).await, json!({"groupIds": [second["id"]]}));
        assert!(lets_in(&dev, &member).await && !lets_in(&dev, &outsider).await);
    }
    dev.delete(&path_of(&second)).await.expect(200);
    let nobody = json!({"groupIds": []});
    assert_eq!(audience(&dev, &policy).await, nobody);
    assert!(!lets_in(&dev, &member).await && !lets_in(&dev, &outsider).await);
    assign(&dev, &first, &policy).await.expect(200);
    assert!(lets_in(&dev, &member).await && !lets_in(&dev, &outsider).await);
    unassign(&dev, &first, &policy).await.expect(200);
    assert_eq!(audience(&dev, &policy).await, nobody);
    let path = path_in_dock("policies", &policy);
    dev.patch(&path, json!({"name": "B", "recipe": with(recipe(), "/artifactTypes", json!(["*"]))}))
        .await
        .expect(200);
    for (step, body) in [
        ("rollback/1", Value::Null),
        ("publish", json!({"stage": "production", "version": 2})),
        ("versions", json!({})),
    ] {
        let answer = post(&dev, &format!("{path}/{step}"), body).await;
        assert!(answer.status < 300, "{step}: {}", answer.text);
        assert_eq!(audience(&dev, &policy).await, nobody, "{step}");
        assert!(!lets_in(&dev, &member).await && !lets_in(&dev, &outsider).await, "{step}");
    }
    dev.patch(&path, json!({"audience": {"everyone": true}})).await.expect(200);
    assert!(lets_in(&dev, &member).await && lets_in(&dev, &outsider).await);
    unassign(&dev, &first, &policy).await.expect(200);
    assert_eq!(audience(&dev, &policy).await, json!({"everyone": true}), "a group that it was not for");
}

#[tokio::test]
async fn a_policy_is_for_twenty_groups() {
    let dev = Dev::start().await;
    let policy = policy(&dev, recipe()).await;
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(group(&dev, &[]).await);
        assign(&dev, made.last().unwrap(), &policy).await.expect(200);
    }
    let last = group(&dev, &[]).await;
    assign(&dev, &last, &policy).await.expect(409);
    assign(&dev, &made[3], &policy).await.expect(200);
    assert_eq!(audience(&dev, &policy).await["groupIds"].as_array().unwrap().len(), 20);
    dev.delete(&path_of(&made[3])).await.expect(200);
    assign(&dev, &last, &policy).await.expect(200);
    assert_eq!(audience(&dev, &policy).await["groupIds"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_member_is_let_in_from_the_next_request_and_a_former_one_is_not() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let group = group(&dev, &[]).await;
    let policy = policy_in_force(&dev, recipe()).await;
    assign(&dev, &group, &policy).await.expect(200);
    assert!(!lets_in(&dev, &recipient).await);
    add(&dev, &group, &[&recipient]).await.expect(200);
    assert!(lets_in(&dev, &recipient).await);
    remove(&dev, &group, &[&recipient]).await.expect(200);
    assert!(!lets_in(&dev, &recipient).await);
    add(&dev, &group, &[&recipient]).await.expect(200);
    dev.delete(&format!("{}/{}", members_of(&group), text(&recipient["id"]))).await.expect(200);
    assert!(!lets_in(&dev, &recipient).await);
    add(&dev, &group, &[&recipient]).await.expect(200);
    dev.delete(&path_of(&group)).await.expect(200);
    assert!(!lets_in(&dev, &recipient).await);
    dev.get(&path_in_dock("recipients", &recipient)).await.expect(200);
}

#[tokio::test]
async fn the_creation_of_a_group_can_be_repeated_under_its_key() {
    let dev = Dev::start().await;
    let recipient = mortgagee(&dev, "a").await;
    let body = json!({"name": "G", "recipientIds": [recipient["id"]]});
    let request = |key: &'static str, body: Value| {
        let (dev, path) = (&dev, groups(&dev));
        async move { ask(dev, Method::POST, &path, &[("idempotency-key", key)], &body).await }
    };
    let first = request("k1", body.clone()).await;
    let made = first.expect(201);
    remove(&dev, &made, &[&recipient]).await.expect(200);
    let again = request("k1", body.clone()).await;
    assert_eq!(again.expect(201), made);
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(
        (again.header("location"), again.header("etag")),
        (first.header("location"), first.header("etag"))
    );
    assert_eq!(members(&dev, &made).await, [""; 0], "nothing is done again");
    request("k1", json!({"name": "H", "recipientIds": [recipient["id"]]})).await.expect(422);
    assert_ne!(request("k2", body).await.expect(201)["id"], made["id"]);
    assert_eq!(dev.pages(&groups(&dev)).await.0.len(), 2);
}
