//! The audit trail: what an entry says, who may read it, page by page, and what an account adds.

use docyard_core::values::clock::Timestamp;
use docyard_test_support::dev::{Answer, Dev, send};
use serde_json::{Value, json};

use crate::{assert_invalid, is_id, is_timestamp, text, without_request_id};

const LOGS: &str = "/v1/audit/logs";

/// The trail of the server's dock.
async fn trail(dev: &Dev) -> Vec<Value> {
    dev.get(&format!("{LOGS}?dockId={}", dev.dock)).await.expect(200).as_array().unwrap().clone()
}

/// The trail of an entity.
async fn trail_of(dev: &Dev, entity_type: &str, entity_id: &str) -> Answer {
    dev.get(&format!("{LOGS}/entity/{entity_type}/{entity_id}")).await
}

/// The one entry of a trail on an entity with this action.
#[track_caller]
fn entry<'a>(trail: &'a [Value], entity_id: &str, action: &str) -> &'a Value {
    let is_it = |entry: &&Value| entry["entityId"] == entity_id && entry["action"] == action;
    let found: Vec<&Value> = trail.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{action} of {entity_id} in {trail:?}");
    found[0]
}

async fn create(dev: &Dev, body: Value) -> Answer {
    send(dev.post(LOGS).json(&body)).await
}

/// An event of the account's own system.
fn settled(dev: &Dev) -> Value {
    json!({"dockId": dev.dock, "entityType": "claim", "entityId": "CLM 1-é", "action": "settled"})
}

#[tokio::test]
async fn an_entry_says_who_did_what_from_where_and_when() {
    let dev = Dev::start().await;
    let before = dev.recipient().await;
    let request = dev.post(&dev.recipients_path()).header("user-agent", "Importer/1.0").json(&json!({
        "name": "First National Bank", "email": "bulk@firstnational.example", "stakeholderClass": "mortgagee",
        "identifiers": {"lender_id": "LND-4821"},
    }));
    let recipient = send(request).await.expect(201);
    let id = text(&recipient["id"]);
    let path = format!("{}/{id}", dev.recipients_path());
    let change = json!({"stakeholderClass": "agent", "email": "b@firstnational.example", "identifiers": {"lender_id": null}});
    dev.patch(&path, change).await.expect(200);
    dev.delete(&path).await.expect(200);

    let trail = trail(&dev).await;
    let account = dev.table.store.accounts().await.unwrap()[0].id;
    let key = dev.table.store.api_keys(account).await.unwrap()[0].id.to_string();
    let created = entry(&trail, id, "create");
    assert!(is_id(&created["id"], "aud_") && is_timestamp(&created["createdAt"]));
    let mut fields: Vec<&String> = created.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "action",
            "actor",
            "changes",
            "createdAt",
            "dockId",
            "entityId",
            "entityType",
            "id",
            "ipAddress",
            "metadata",
            "source",
            "userAgent"
        ]
    );
    let said = |field: &str| text(&created[field]);
    assert_eq!((said("dockId"), said("entityType")), (dev.dock.as_str(), "recipient"));
    assert_eq!((said("actor"), said("source")), (key.as_str(), "api"));
    assert_eq!((said("ipAddress"), said("userAgent")), ("127.0.0.1", "Importer/1.0"));
    assert!(said("createdAt") >= text(&recipient["createdAt"]), "the time of the change");
    assert_eq!(created["changes"], json!({"before": {}, "after": {"stakeholderClass": "mortgagee"}}));
    assert_eq!(
        created["metadata"],
        json!({"personalFieldsChanged": ["email", "identifiers.lender_id", "name"]})
    );
    let updated = entry(&trail, id, "update");
    assert_eq!(
        updated["changes"],
        json!({"before": {"stakeholderClass": "mortgagee"}, "after": {"stakeholderClass": "agent"}})
    );
    assert_eq!(updated["metadata"], json!({"personalFieldsChanged": ["email", "identifiers.lender_id"]}));
    let deleted = entry(&trail, id, "delete");
    assert_eq!((&deleted["changes"], &deleted["metadata"]), (&Value::Null, &json!({})));
    assert!(!entry(&trail, &before, "create").to_string().contains("stakeholderClass"));

    let of_it = trail_of(&dev, "recipient", id).await.expect(200);
    let of_it = of_it.as_array().unwrap();
    let expected: Vec<&Value> = trail.iter().filter(|entry| entry["entityId"] == id).collect();
    assert_eq!(of_it.iter().collect::<Vec<_>>(), expected, "the same entries, also after its deletion");
}

#[tokio::test]
async fn a_dock_shows_its_fields_but_for_the_address() {
    let dev = Dev::start().await;
    let body = json!({"name": "Claims", "domain": "claims.example", "businessEmail": "a@claims.example"});
    let dock = send(dev.post("/v1/docks").json(&body)).await.expect(201);
    let id = text(&dock["id"]);
    dev.patch(&format!("/v1/docks/{id}"), json!({"domain": null, "legalName": "Claims, Inc."}))
        .await
        .expect(200);
    dev.patch(&format!("/v1/docks/{id}"), json!({"domain": null})).await.expect(200);
    let trail = dev.get(&format!("{LOGS}?dockId={id}")).await.expect(200);
    let trail = trail.as_array().unwrap();
    assert_eq!(trail.len(), 2, "a PATCH that changes nothing leaves no entry");
    let created = entry(trail, id, "create");
    assert_eq!(
        created["changes"],
        json!({"before": {}, "after": {"name": "Claims", "domain": "claims.example"}})
    );
    assert_eq!(created["metadata"], json!({"personalFieldsChanged": ["businessEmail"]}));
    assert_eq!(
        entry(trail, id, "update")["changes"],
        json!({"before": {"domain": "claims.example"}, "after": {"legalName": "Claims, Inc."}})
    );
}

#[tokio::test]
async fn a_rotation_is_one_entry_in_the_trails_of_both_secrets() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let (old, _) = dev.secret(&recipient).await;
    let secrets = format!("/v1/recipients/{recipient}/secrets");
    let rotation = send(dev.post(&format!("{secrets}/{old}/rotate")).json(&json!({"graceHours": 1}))).await;
    let new = text(&rotation.expect(201)["id"]).to_owned();
    for _ in 0..2 {
        send(dev.post(&format!("{secrets}/{old}/revoke"))).await.expect(200);
    }
    let trail = trail(&dev).await;
    let rotated = entry(&trail, &old, "rotate");
    let metadata = &rotated["metadata"];
    assert_eq!(
        (text(&metadata["recipientId"]), text(&metadata["rotatedTo"])),
        (recipient.as_str(), new.as_str())
    );
    assert!(is_timestamp(&metadata["graceEndsAt"]));
    assert_eq!(trail_of(&dev, "secret", &new).await.expect(200), json!([rotated]));
    let revoked = entry(&trail, &old, "revoke");
    assert_eq!(revoked["metadata"], json!({"recipientId": recipient}));
    let created = entry(&trail, &old, "create");
    assert_eq!(trail_of(&dev, "secret", &old).await.expect(200), json!([revoked, rotated, created]));
}

#[tokio::test]
async fn what_an_operator_did_is_in_the_trail_of_the_key_and_of_the_account() {
    let dev = Dev::start().await;
    let account = dev.table.store.accounts().await.unwrap()[0].id.to_string();
    let key = dev.table.store.api_keys(dev.table.store.accounts().await.unwrap()[0].id).await.unwrap()[0].id;
    for (entity_type, entity_id) in [("account", account), ("key", key.to_string())] {
        let trail = trail_of(&dev, entity_type, &entity_id).await.expect(200);
        let created = entry(trail.as_array().unwrap(), &entity_id, "create");
        assert_eq!((text(&created["source"]), text(&created["actor"])), ("operator", "docyard dev"));
        for field in ["dockId", "ipAddress", "userAgent"] {
            assert!(created[field].is_null(), "{field}");
        }
        let mode = json!({"before": {}, "after": {"mode": "live"}});
        assert_eq!(created["changes"], if entity_type == "key" { mode } else { Value::Null });
    }
}

#[tokio::test]
async fn a_list_is_read_page_by_page_newest_first() {
    let dev = Dev::start().await;
    for _ in 0..20 {
        dev.recipient().await;
    }
    let whole = trail(&dev).await;
    assert_eq!(whole.len(), 21, "with the dock itself");
    let times: Vec<&str> = whole.iter().map(|entry| text(&entry["createdAt"])).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let recipient = text(&whole[0]["entityId"]).to_owned();
    let path = format!("{}/{recipient}", dev.recipients_path());
    for n in 0..6 {
        dev.patch(&path, json!({"name": format!("N{n}")})).await.expect(200);
    }
    for limit in [1, 2, 7, 1000] {
        let (entries, pages) = dev.pages(&format!("{LOGS}?dockId={}&limit={limit}", dev.dock)).await;
        assert_eq!(entries.len(), 27, "limit {limit}");
        assert_eq!(entries[6..], whole, "limit {limit}");
        assert!(pages >= 27usize.div_ceil(limit), "limit {limit}");
        let (entries, pages) = dev.pages(&format!("{LOGS}/entity/recipient/{recipient}?limit={limit}")).await;
        assert_eq!((entries.len(), pages), (7, 7usize.div_ceil(limit)), "limit {limit}");
        assert_eq!(entries[6], whole[0]);
    }
}

#[tokio::test]
async fn a_list_has_what_its_parameters_choose_on_every_page() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for _ in 0..5 {
        dev.secret(&recipient).await;
    }
    create(&dev, settled(&dev)).await.expect(201);
    let whole = trail(&dev).await;
    let key = text(&whole[0]["actor"]).to_owned();
    let base = format!("{LOGS}?dockId={}&limit=2", dev.dock);
    for (parameter, field) in [
        ("entityType=secret".to_owned(), "entityType"),
        ("entityType=claim".to_owned(), "entityType"),
        ("action=create".to_owned(), "action"),
        ("action=delete".to_owned(), "action"),
        (format!("actor={key}"), "actor"),
        ("actor=key_01HQ3K5V7X9ZBDFHKMPRTVXYZ0".to_owned(), "actor"),
        ("actor=docyard%20dev".to_owned(), "actor"),
        ("actor=arn%3Aaws%3Aiam%3A%3A123456789012%3Auser/%26%3D".to_owned(), "actor"),
    ] {
        let value = &parameter.split_once('=').unwrap().1.replace("%20", " ");
        let expected: Vec<&Value> = whole.iter().filter(|entry| entry[field] == value.as_str()).collect();
        let (entries, _) = dev.pages(&format!("{base}&{parameter}")).await;
        assert_eq!(entries.iter().collect::<Vec<_>>(), expected, "{parameter}");
    }
    // Times: from the first one, included, to the last one, excluded.
    let times: Vec<&str> = whole.iter().map(|entry| text(&entry["createdAt"])).collect();
    let (from, to) = (times[whole.len() - 1], times[0]);
    let expected: Vec<&Value> = whole
        .iter()
        .zip(&times)
        .filter(|(_, time)| (from..to).contains(*time))
        .map(|(entry, _)| entry)
        .collect();
    assert!((1..whole.len()).contains(&expected.len()));
    let (entries, _) = dev.pages(&format!("{base}&from={from}&to={to}")).await;
    assert_eq!(entries.iter().collect::<Vec<_>>(), expected);
    let (none, _) = dev.pages(&format!("{base}&from=2100-01-01T00:00:00Z")).await;
    assert_eq!((none.len(), dev.pages(&format!("{base}&to=1969-01-01T00:00:00Z")).await.0.len()), (0, 0));
    let offset = Timestamp::parse(from).unwrap().to_string().replace('Z', "%2B00:00");
    let (entries, _) = dev.pages(&format!("{base}&from={offset}&action=create")).await;
    assert!(entries.len() > 6, "an offset is taken, and times go with a filter");
}

#[tokio::test]
async fn a_parameter_that_breaks_its_rule_is_named() {
    let dev = Dev::start().await;
    let list = |query: &str| format!("{LOGS}?{query}");
    assert_invalid(&dev.get(LOGS).await, "dockId", "is required");
    let base = format!("dockId={}", dev.dock);
    for (query, field, message) in [
        ("from=yesterday", "from", "RFC 3339"),
        ("from=9999-12-31T23:59:59-23:00", "from", "RFC 3339"),
        ("from=0000-01-01T00:00:00%2B23:00", "from", "RFC 3339"),
        ("to=2025-01-15", "to", "RFC 3339"),
        ("from=2025-01-15T10:32:00Z&to=2025-01-15T10:32:00Z", "to", "later than from"),
        ("entityType=a%20b", "entityType", "must be a word"),
        ("action=", "action", "must be a word"),
        ("actor=", "actor", "id of an API key"),
        ("entityType=dock&action=create", "action", "must be the only one"),
        ("entityType=dock&actor=key_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "actor", "must be the only one"),
        ("limit=0", "limit", "1 to 1000"),
        ("cursor=x", "cursor", "Link header"),
        ("offset=1", "offset", "not a query parameter"),
    ] {
        assert_invalid(&dev.get(&list(&format!("{base}&{query}"))).await, field, message);
    }
    for dock in ["dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "x"] {
        let answer = dev.get(&list(&format!("dockId={dock}"))).await.expect(404);
        assert_eq!(answer["message"], "Dock not found");
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let dev = Dev::start().await;
    let (one, other) = (dev.recipient().await, dev.recipient().await);
    for recipient in [&one, &other] {
        dev.patch(&format!("{}/{recipient}", dev.recipients_path()), json!({"name": "B"})).await.expect(200);
    }
    let lists = [
        format!("{LOGS}?dockId={}", dev.dock),
        format!("{LOGS}?dockId={}&action=create", dev.dock),
        format!("{LOGS}?dockId={}&from=2025-01-15T10:32:00.000Z", dev.dock),
        format!("{LOGS}/entity/recipient/{one}?"),
        format!("{LOGS}/entity/recipient/{other}?"),
    ];
    for list in &lists {
        let next = dev.get(&format!("{list}&limit=1")).await.next().unwrap();
        let cursor = next.split("cursor=").nth(1).unwrap().to_owned();
        for another in &lists {
            let answer = dev.get(&format!("{another}&cursor={cursor}")).await;
            assert_eq!(answer.status, if list == another { 200 } else { 400 }, "{list} in {another}");
        }
    }
}

#[tokio::test]
async fn an_event_of_the_accounts_own_system_is_kept_as_it_is() {
    let dev = Dev::start().await;
    let mut body = settled(&dev);
    body["metadata"] = json!({
        "pages": [1, 2.5, -46.240726403872316, {"deep": [true, null]}], "office": "Dénver \u{1}", "none": null,
    });
    let answer = create(&dev, body.clone()).await;
    let created = answer.expect(201);
    assert!(answer.headers.get("location").is_none() && answer.headers.get("etag").is_none());
    for field in ["dockId", "entityType", "entityId", "action", "metadata"] {
        assert_eq!(created[field], body[field], "{field}");
    }
    assert_eq!((text(&created["source"]), &created["changes"]), ("account", &Value::Null));
    assert!(text(&created["actor"]).starts_with("key_") && created["ipAddress"] == "127.0.0.1");
    assert_eq!(trail(&dev).await[0], created);
    let of_it = trail_of(&dev, "claim", "CLM%201-%C3%A9").await;
    assert_eq!(of_it.expect(200), json!([created]));
    create(&dev, body).await.expect(201);
    let next = dev.get(&format!("{LOGS}/entity/claim/CLM%201-%C3%A9?limit=1")).await.next().unwrap();
    assert!(next.starts_with(&format!("{LOGS}/entity/claim/CLM%201-%C3%A9?limit=1&cursor=")), "{next}");
    assert_eq!(dev.get(&next).await.expect(200), json!([created]));
}

#[tokio::test]
async fn an_event_has_words_of_the_accounts_own_and_nothing_that_is_ours_to_say() {
    let dev = Dev::start().await;
    for (change, field, message) in [
        (json!({"entityType": "recipient"}), "entityType", "for its own entries"),
        (json!({"entityType": "Policy"}), "entityType", "for its own entries"),
        (json!({"action": "retrieve"}), "action", "for its own entries"),
        (json!({"action": "two words"}), "action", "must be a word"),
        (json!({"entityId": "a/b"}), "entityId", "slash"),
        (json!({"entityId": " "}), "entityId", "1 to 128"),
        (json!({"entityId": ".."}), "entityId", "nor be"),
        (json!({"metadata": []}), "metadata", "must be an object"),
        (json!({"metadata": {"k": "x".repeat(4096)}}), "metadata", "4096 bytes"),
        (json!({"dockId": null}), "dockId", "is required"),
        (json!({"dockId": 1}), "dockId", "must be a string"),
        (json!({"actor": "someone else"}), "actor", "not a field"),
        (json!({"createdAt": "2025-01-15T10:32:00Z"}), "createdAt", "not a field"),
        (json!({"source": "api"}), "source", "not a field"),
        (json!({"ipAddress": "192.0.2.1"}), "ipAddress", "not a field"),
        (json!({"changes": {}}), "changes", "not a field"),
    ] {
        let mut body = settled(&dev);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_invalid(&create(&dev, body).await, field, message);
    }
    let twice = settled(&dev).to_string().replacen('{', r#"{"metadata":{"a":1,"a":2},"#, 1);
    assert_invalid(&send(dev.post(LOGS).body(twice)).await, "metadata", "key twice");
    let mut elsewhere = settled(&dev);
    for dock in ["dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "x"] {
        elsewhere["dockId"] = dock.into();
        assert_eq!(create(&dev, elsewhere.clone()).await.expect(404)["message"], "Dock not found");
    }
    assert_eq!(trail(&dev).await.len(), 1, "the dock's own entry");
}

#[tokio::test]
async fn an_event_is_kept_once_with_an_idempotency_key() {
    let dev = Dev::start().await;
    let send_with = |body: Value| send(dev.post(LOGS).header("idempotency-key", "k").json(&body));
    let mut body = settled(&dev);
    body["metadata"] = json!({"pages": [1, true]});
    let first = send_with(body.clone()).await.expect(201);
    let again = send_with(body.clone()).await;
    assert_eq!((again.expect(201), again.header("idempotent-replayed")), (first, "true"));
    for other in [json!([1, false]), json!([true, 1]), json!([1]), json!(null)] {
        body["metadata"]["pages"] = other;
        send_with(body.clone()).await.expect(422);
    }
    body["metadata"] = json!({});
    send_with(body.clone()).await.expect(422);
    assert_eq!(trail(&dev).await.len(), 2);
}

#[tokio::test]
async fn the_trail_of_anothers_entity_is_to_the_byte_that_of_none() {
    let mut dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let (secret, _) = dev.secret(&recipient).await;
    create(&dev, settled(&dev)).await.expect(201);
    let account = dev.table.store.accounts().await.unwrap()[0].id;
    let key = dev.table.store.api_keys(account).await.unwrap()[0].id;
    let entities = [
        ("dock", dev.dock.clone()),
        ("recipient", recipient),
        ("secret", secret),
        ("claim", "CLM%201-%C3%A9".to_owned()),
        ("account", account.to_string()),
        ("key", key.to_string()),
    ];
    for (entity_type, entity_id) in &entities {
        trail_of(&dev, entity_type, entity_id).await.expect(200);
    }
    dev.key = dev.table.key(dev.table.account().await).await;
    let none = without_request_id(&trail_of(&dev, "dock", "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0").await);
    assert_eq!((none.0, none.1.contains("Audit log not found")), (404, true));
    let malformed = [("a b", "x".to_owned()), ("1", "x".to_owned()), ("claim", "%0A".to_owned())];
    for (entity_type, entity_id) in entities.iter().chain(&malformed) {
        let answer = trail_of(&dev, entity_type, entity_id).await;
        assert_eq!(without_request_id(&answer), none, "{entity_type} {entity_id}");
    }
}
