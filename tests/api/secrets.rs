//! Secrets: generated, verified, listed, rotated, revoked.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use docyard_test_support::dev::{Answer, Dev, send};
use docyard_test_support::table::TABLE;
use serde_json::{Value, json};

use crate::{assert_invalid, text};

const UNKNOWN: &str = "dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c";

fn valid(id: &str) -> Value {
    json!({"valid": true, "secretId": id})
}

fn invalid() -> Value {
    json!({"valid": false, "secretId": null})
}

async fn step(dev: &Dev, recipient: &str, secret: &str, step: &str) -> Answer {
    send(dev.post(&format!("/v1/recipients/{recipient}/secrets/{secret}/{step}"))).await
}

/// Moves the expiry of a secret into the past, as if its days had gone by.
pub(crate) async fn expire(dev: &Dev, recipient: &str, secret: &str) {
    set_expiry(dev, recipient, secret, "2025-01-15T10:32:00.000Z").await;
}

async fn set_expiry(dev: &Dev, recipient: &str, secret: &str, expires_at: &str) {
    let update = dev.table.client.update_item().table_name(TABLE);
    let update = update.key("pk", AttributeValue::S(format!("RECIPIENT#{recipient}")));
    let update = update.key("sk", AttributeValue::S(format!("SECRET#{secret}")));
    let at = AttributeValue::S(expires_at.to_owned());
    let update = update.update_expression("SET expiresAt = :at").expression_attribute_values(":at", at);
    update.condition_expression("attribute_exists(pk)").send().await.unwrap();
}

async fn list(dev: &Dev, recipient: &str) -> Vec<Value> {
    dev.pages(&format!("/v1/recipients/{recipient}/secrets")).await.0
}

#[tokio::test]
async fn a_value_verifies_for_its_own_recipient_alone() {
    let dev = Dev::start().await;
    let (a, b) = (dev.recipient().await, dev.recipient().await);
    let (id, value) = dev.secret(&a).await;
    let (other_id, other_value) = dev.secret(&a).await;
    assert_eq!(dev.verify(&a, &value).await, valid(&id));
    assert_eq!(dev.verify(&a, &other_value).await, valid(&other_id), "several may be active");
    assert_eq!(dev.verify(&b, &value).await, invalid());
}

#[tokio::test]
async fn whatever_is_no_secret_is_just_not_valid() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let (_, value) = dev.secret(&recipient).await;
    let digest = docyard_core::values::digest::Digest::of(&value).expose_hex();
    let (upper, spaced, cut) = (value.to_uppercase(), format!(" {value}"), &value[..value.len() - 1]);
    for other in [UNKNOWN, &upper, &spaced, cut, " ", "x", "\u{0}", "🔑", &digest, &"x".repeat(10_000)] {
        assert_eq!(dev.verify(&recipient, other).await, invalid());
    }
}

#[tokio::test]
async fn verify_wants_a_secret_that_is_a_string_and_not_empty() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for body in [json!({}), json!({"secret": null}), json!({"secret": 1}), json!({"secret": ""})] {
        let path = format!("/v1/recipients/{recipient}/secrets/verify");
        let body = send(dev.post(&path).json(&body)).await.expect(400);
        assert_eq!(body["details"][0]["field"], "secret");
    }
}

#[tokio::test]
async fn what_ended_does_not_verify_and_is_answered_alike() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let mut values = vec![UNKNOWN.to_owned()];
    for end in ["rotate", "revoke", "expire"] {
        let (id, value) = dev.secret(&recipient).await;
        assert_eq!(dev.verify(&recipient, &value).await, valid(&id));
        match end {
            "expire" => expire(&dev, &recipient, &id).await,
            end => drop(step(&dev, &recipient, &id, end).await),
        }
        values.push(value);
    }
    for value in values {
        assert_eq!(dev.verify(&recipient, &value).await, invalid());
    }
}

#[tokio::test]
async fn rotation_is_one_step_from_the_old_value_to_the_new() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for lifetime in [Value::Null, json!(30)] {
        let request = json!({"name": "Bulk", "expiresInDays": lifetime});
        let old = dev.generate_secret(&recipient, request).await.expect(201);
        if !lifetime.is_null() {
            // Its time is nearly up, so that a copy of its expiry would be seen.
            let tomorrow = docyard_core::values::clock::Clock::system().now().plus_days(1);
            set_expiry(&dev, &recipient, old["id"].as_str().unwrap(), &tomorrow.to_string()).await;
        }
        let (old_id, old_value) = (old["id"].as_str().unwrap(), old["secret"].as_str().unwrap());
        let new = step(&dev, &recipient, old_id, "rotate").await.expect(201);
        let (new_id, new_value) = (new["id"].as_str().unwrap(), new["secret"].as_str().unwrap());
        assert_eq!(dev.verify(&recipient, old_value).await, invalid());
        assert_eq!(dev.verify(&recipient, new_value).await, valid(new_id));
        assert_eq!(new["name"], "Bulk", "the label stays");
        let secrets: HashMap<String, Value> = list(&dev, &recipient)
            .await
            .into_iter()
            .map(|s| (s["id"].as_str().unwrap().to_owned(), s))
            .collect();
        assert_eq!(
            (&secrets[old_id]["status"], &secrets[new_id]["status"]),
            (&json!("ROTATED"), &json!("ACTIVE"))
        );
        assert_eq!(
            (&secrets[old_id]["rotatedTo"], &secrets[new_id]["rotatedFrom"]),
            (&json!(new_id), &json!(old_id))
        );
        assert_eq!(secrets[old_id]["rotatedAt"], secrets[new_id]["createdAt"], "at one instant");
        let created_at = secrets[new_id]["createdAt"].as_str().unwrap();
        let created_at = docyard_core::values::clock::Timestamp::parse(created_at).unwrap();
        let expected = (!lifetime.is_null()).then(|| created_at.plus_days(30).to_string());
        assert_eq!(new["expiresAt"], json!(expected), "the lifetime stays, counted afresh");
    }
}

#[tokio::test]
async fn a_step_that_the_state_forbids_is_refused_with_the_state() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for (end, refused, message) in [
        ("rotate", "rotate", "rotated already"),
        ("rotate", "revoke", "rotated"),
        ("revoke", "rotate", "revoked"),
        ("expire", "rotate", "expired"),
    ] {
        let (id, _) = dev.secret(&recipient).await;
        match end {
            "expire" => expire(&dev, &recipient, &id).await,
            end => drop(step(&dev, &recipient, &id, end).await),
        }
        let body = step(&dev, &recipient, &id, refused).await.expect(409);
        assert!(body["message"].as_str().unwrap().contains(message), "{refused} after {end}: {body}");
    }
    let (id, _) = dev.secret(&recipient).await;
    expire(&dev, &recipient, &id).await;
    for what in ["an expired one", "a revoked one, again"] {
        assert_eq!(
            step(&dev, &recipient, &id, "revoke").await.expect(200),
            json!({"success": true}),
            "{what}"
        );
    }
}

#[tokio::test]
async fn of_steps_that_race_one_wins() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for round in 0..5 {
        let (id, value) = dev.secret(&recipient).await;
        let steps = (0..16).map(|n| {
            let step = if n % 2 == round % 2 { "rotate" } else { "revoke" };
            tokio::spawn(send(dev.post(&format!("/v1/recipients/{recipient}/secrets/{id}/{step}"))))
        });
        let (mut rotated, mut revoked) = (Vec::new(), 0);
        for answer in steps.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            match answer.status {
                201 => rotated.push(answer),
                200 => revoked += 1,
                _ => drop(answer.expect(409)),
            }
        }
        // A revoked one can be revoked again, but nothing else.
        assert!([(1, 0), (0, 8)].contains(&(rotated.len(), revoked)), "{} and {revoked}", rotated.len());
        assert_eq!(dev.verify(&recipient, &value).await, invalid());
        if let Some(rotated) = rotated.first() {
            let new = rotated.json();
            assert_eq!(
                dev.verify(&recipient, new["secret"].as_str().unwrap()).await,
                valid(new["id"].as_str().unwrap())
            );
        }
    }
}

#[tokio::test]
async fn the_list_shows_every_state_newest_first_and_never_a_value() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let mut made = Vec::new();
    for end in ["", "rotate", "revoke", "expire"] {
        let (id, value) = dev.secret(&recipient).await;
        made.push((id.clone(), value));
        match end {
            "" => {}
            "expire" => expire(&dev, &recipient, &id).await,
            "rotate" => {
                let new = step(&dev, &recipient, &id, "rotate").await.expect(201);
                made.push((
                    new["id"].as_str().unwrap().to_owned(),
                    new["secret"].as_str().unwrap().to_owned(),
                ));
            }
            end => drop(step(&dev, &recipient, &id, end).await.expect(200)),
        }
    }
    let answer = dev.get(&format!("/v1/recipients/{recipient}/secrets")).await;
    let secrets = answer.expect(200);
    let secrets = secrets.as_array().unwrap();
    let status = |id: &str| secrets.iter().find(|s| s["id"] == id).unwrap()["status"].clone();
    let statuses: Vec<Value> = made.iter().map(|(id, _)| status(id)).collect();
    assert_eq!(statuses, ["ACTIVE", "ROTATED", "ACTIVE", "REVOKED", "EXPIRED"]);
    let ids: Vec<&str> = secrets.iter().map(|s| s["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first");
    let fields: Vec<&String> = secrets[0].as_object().unwrap().keys().collect();
    let mut expected = [
        "id",
        "name",
        "status",
        "expiresAt",
        "rotatedAt",
        "revokedAt",
        "rotatedFrom",
        "rotatedTo",
        "createdAt",
    ];
    expected.sort();
    assert_eq!(fields, expected);
    for (_, value) in &made {
        let digest = docyard_core::values::digest::Digest::of(value).expose_hex();
        assert!(!answer.text.contains(value) && !answer.text.contains(&digest));
    }
    let revoked = secrets.iter().find(|s| s["status"] == "REVOKED").unwrap();
    assert!(
        revoked["revokedAt"].is_string() && revoked["rotatedAt"].is_null() && revoked["rotatedTo"].is_null()
    );
}

#[tokio::test]
async fn the_list_is_paged_over_active_and_retired_ones_alike() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let mut ids = Vec::new();
    for n in 0..13 {
        let (id, _) = dev.secret(&recipient).await;
        if [1, 2, 3, 7, 12].contains(&n) {
            step(&dev, &recipient, &id, "revoke").await.expect(200);
        }
        ids.insert(0, id);
    }
    for (limit, pages) in [(1, 13), (2, 7), (5, 3), (12, 2), (13, 1)] {
        let (secrets, read) = dev.pages(&format!("/v1/recipients/{recipient}/secrets?limit={limit}")).await;
        let listed: Vec<&str> = secrets.iter().map(|s| s["id"].as_str().unwrap()).collect();
        assert_eq!(listed, ids, "limit {limit}");
        assert_eq!(read, pages, "limit {limit}");
    }
    let other = dev.recipient().await;
    let next = dev.get(&format!("/v1/recipients/{recipient}/secrets?limit=1")).await.next().unwrap();
    let cursor = next.split("cursor=").nth(1).unwrap();
    dev.get(&format!("/v1/recipients/{other}/secrets?cursor={cursor}")).await.expect(400);
    for query in
        ["limit=0", "limit=1&limit=1", "status=ACTIVE", "cursor=x", &format!("cursor={}", &cursor[1..])]
    {
        dev.get(&format!("/v1/recipients/{recipient}/secrets?{query}")).await.expect(400);
    }
}

#[tokio::test]
async fn a_retired_secret_is_kept_for_400_days() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for end in ["rotate", "revoke"] {
        let (id, _) = dev.secret(&recipient).await;
        step(&dev, &recipient, &id, end).await;
        let items = dev.table.items().await;
        let sort_key = AttributeValue::S(format!("SECRET_RETIRED#{id}"));
        let item = items.iter().find(|item| item["sk"] == sort_key).unwrap();
        let ended = item.get("rotatedAt").or(item.get("revokedAt")).unwrap().as_s().unwrap();
        let kept_until = docyard_core::values::clock::Timestamp::parse(ended).unwrap().plus_days(400);
        assert_eq!(item["ttl"].as_n().unwrap(), &kept_until.unix_seconds_rounded_up().to_string());
    }
}

#[tokio::test]
async fn what_does_not_exist_or_is_anothers_is_not_found() {
    let dev = Dev::start().await;
    let (recipient, other) = (dev.recipient().await, dev.recipient().await);
    let (secret, _) = dev.secret(&recipient).await;
    let account = dev.table.account().await;
    let (key, dock) = (dev.table.key(account).await, dev.table.dock(account).await);
    let post = |path: String| dev.http.post(format!("{}{path}", dev.url)).bearer_auth(&key);
    let request =
        post(format!("/v1/docks/{dock}/recipients")).json(&json!({"name": "F", "email": "f@example.com"}));
    let foreign = send(request).await.expect(201)["id"].as_str().unwrap().to_owned();
    let request = post(format!("/v1/recipients/{foreign}/secrets")).json(&json!({"name": "S"}));
    let foreign_secret = send(request).await.expect(201)["id"].as_str().unwrap().to_owned();

    let nobody = "rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
    for recipient in [nobody, "x", &foreign] {
        assert_eq!(
            dev.get(&format!("/v1/recipients/{recipient}/secrets")).await.expect(404)["message"],
            "Recipient not found"
        );
        let verify =
            dev.post(&format!("/v1/recipients/{recipient}/secrets/verify")).json(&json!({"secret": "x"}));
        assert_eq!(send(verify).await.expect(404)["message"], "Recipient not found");
    }
    for (recipient, secret) in [
        (recipient.as_str(), "sec_01HQ3K5V7X9ZBDFHKMPRTVXYZ0"),
        (&recipient, "x"),
        (&other, &secret),
        (nobody, &secret),
        ("x", &secret),
        (&foreign, &foreign_secret),
        (&recipient, &foreign_secret),
    ] {
        for name in ["rotate", "revoke"] {
            let answer = step(&dev, recipient, secret, name).await;
            let not_found = json!({"statusCode": 404, "message": "Secret not found", "error": "Not Found"});
            assert_eq!(answer.expect(404), not_found);
        }
    }
}

#[tokio::test]
async fn a_secret_is_read_alone_as_the_list_shows_it() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    for end in ["", "rotate", "revoke", "expire"] {
        let (id, value) = dev.secret(&recipient).await;
        match end {
            "" => {}
            "expire" => expire(&dev, &recipient, &id).await,
            end => drop(step(&dev, &recipient, &id, end).await),
        }
        let path = format!("/v1/recipients/{recipient}/secrets");
        let listed = dev.get(&path).await.expect(200);
        let listed = listed.as_array().unwrap().iter().find(|secret| secret["id"] == id.as_str());
        let answer = dev.get(&format!("{path}/{id}")).await;
        assert_eq!(Some(&answer.expect(200)), listed, "{end}");
        assert!(!answer.text.contains(&value));
    }
    let other = dev.recipient().await;
    let (id, _) = dev.secret(&recipient).await;
    for path in [format!("{other}/secrets/{id}"), format!("{recipient}/secrets/x")] {
        let not_found = dev.get(&format!("/v1/recipients/{path}")).await.expect(404);
        assert_eq!(not_found["message"], "Secret not found");
    }
}

#[tokio::test]
async fn in_its_grace_the_old_value_verifies_beside_the_new_one() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let path = format!("/v1/recipients/{recipient}/secrets");
    let rotate = |id: &str, hours: Value| {
        send(dev.post(&format!("{path}/{id}/rotate")).json(&json!({"graceHours": hours})))
    };
    let (old, old_value) = dev.secret(&recipient).await;
    let new = rotate(&old, json!(24)).await.expect(201);
    for (id, value) in [(old.as_str(), old_value.as_str()), (text(&new["id"]), text(&new["secret"]))] {
        assert_eq!(dev.verify(&recipient, value).await, valid(id));
    }
    let shown = dev.get(&format!("{path}/{old}")).await.expect(200);
    assert_eq!((&shown["status"], &shown["rotatedTo"]), (&json!("ACTIVE"), &new["id"]));
    let rotated_at = docyard_core::values::clock::Timestamp::parse(text(&shown["rotatedAt"])).unwrap();
    assert_eq!(text(&shown["expiresAt"]), rotated_at.plus_days(1).to_string(), "when the grace ends");
    assert_eq!(dev.get(&path).await.expect(200).as_array().unwrap().len(), 2, "each is listed once");

    let again = rotate(&old, json!(1)).await.expect(409);
    assert!(text(&again["message"]).contains("rotated already"));
    for _ in 0..2 {
        assert_eq!(step(&dev, &recipient, &old, "revoke").await.expect(200), json!({"success": true}));
        assert_eq!(dev.verify(&recipient, &old_value).await, invalid(), "at once");
    }
    let shown = dev.get(&format!("{path}/{old}")).await.expect(200);
    assert_eq!((&shown["status"], &shown["rotatedTo"]), (&json!("REVOKED"), &new["id"]));
    assert_eq!(
        dev.verify(&recipient, text(&new["secret"])).await,
        valid(text(&new["id"])),
        "the new one stays"
    );
}

#[tokio::test]
async fn a_grace_ends_no_later_than_the_secret_and_leaves_nothing_to_verify() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let path = format!("/v1/recipients/{recipient}/secrets");
    let body = dev.generate_secret(&recipient, json!({"name": "S", "expiresInDays": 1})).await.expect(201);
    let (id, value) = (text(&body["id"]), text(&body["secret"]));
    send(dev.post(&format!("{path}/{id}/rotate")).json(&json!({"graceHours": 168}))).await.expect(201);
    let shown = dev.get(&format!("{path}/{id}")).await.expect(200);
    assert_eq!(shown["expiresAt"], body["expiresAt"], "its own expiry comes first");

    // The item that still verifies goes by its time to live, so that verifying does not become dearer for ever.
    let items = dev.table.items().await;
    let active = items.iter().find(|item| item["sk"].as_s().unwrap() == &format!("SECRET#{id}")).unwrap();
    let expiry = docyard_core::values::clock::Timestamp::parse(text(&body["expiresAt"])).unwrap();
    assert_eq!(active["ttl"].as_n().unwrap(), &expiry.unix_seconds_rounded_up().to_string());

    // The grace goes by, and DynamoDB has not removed the item yet.
    let past = AttributeValue::S("2025-01-15T10:32:00.000Z".to_owned());
    for (sk, field) in [("SECRET", "expiresAt"), ("SECRET_RETIRED", "graceEndsAt")] {
        let update = dev.table.client.update_item().table_name(TABLE);
        let update =
            update.key("pk", active["pk"].clone()).key("sk", AttributeValue::S(format!("{sk}#{id}")));
        let update = update.update_expression(format!("SET {field} = :past"));
        update.expression_attribute_values(":past", past.clone()).send().await.unwrap();
    }
    assert_eq!(dev.verify(&recipient, value).await, invalid());
    assert_eq!(dev.get(&format!("{path}/{id}")).await.expect(200)["status"], "ROTATED");
    step(&dev, &recipient, id, "revoke").await.expect(409);
}

#[tokio::test]
async fn a_secret_in_its_grace_is_one_of_the_hundred_and_listed_once() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let path = format!("/v1/recipients/{recipient}/secrets");
    let rotate = |id: String, body: Value| send(dev.post(&format!("{path}/{id}/rotate")).json(&body));
    let (mut id, _) = dev.secret(&recipient).await;
    for _ in 1..100 {
        let new = rotate(id, json!({"graceHours": 168})).await.expect(201);
        id = text(&new["id"]).to_owned();
    }
    let full = rotate(id.clone(), json!({"graceHours": 1})).await.expect(409);
    assert!(text(&full["message"]).contains("100 active secrets"));
    rotate(id, json!({})).await.expect(201);

    let (paged, pages) = dev.pages(&format!("{path}?limit=1")).await;
    let listed = dev.get(&format!("{path}?limit=1000")).await.expect(200);
    assert_eq!((json!(paged), pages), (listed, 101));
}

#[tokio::test]
async fn a_grace_is_an_integer_from_0_to_168() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let (id, value) = dev.secret(&recipient).await;
    let rotate =
        |body: String| send(dev.post(&format!("/v1/recipients/{recipient}/secrets/{id}/rotate")).body(body));
    for hours in ["-1", "169", "1.0", "\"1\"", "true", "[]"] {
        assert_invalid(&rotate(format!("{{\"graceHours\":{hours}}}")).await, "graceHours", "from 0 to 168");
    }
    assert_eq!(dev.verify(&recipient, &value).await, valid(&id), "nothing was rotated");
    rotate("{\"graceHours\":0}".to_owned()).await.expect(201);
    assert_eq!(dev.verify(&recipient, &value).await, invalid());
}

#[tokio::test]
async fn a_step_takes_no_body_or_an_empty_object() {
    let dev = Dev::start().await;
    let recipient = dev.recipient().await;
    let (secret, _) = dev.secret(&recipient).await;
    let path = format!("/v1/recipients/{recipient}/secrets/{secret}/rotate");
    let body = send(dev.post(&path).json(&json!({"name": "B"}))).await.expect(400);
    assert_eq!(body["details"][0]["field"], "name");
    send(dev.post(&path).body("x")).await.expect(400);
    send(dev.post(&path).body(" ".repeat(64 * 1024 + 1))).await.expect(413);
    send(dev.post(&path).header("content-type", "text/plain").body("{}")).await.expect(415);
    let mut new = send(dev.post(&path).json(&json!({}))).await.expect(201);
    for none in [" ", "null", "\u{feff}"] {
        let path = format!("/v1/recipients/{recipient}/secrets/{}/rotate", text(&new["id"]));
        new = send(dev.post(&path).body(none)).await.expect(201);
    }
    let path = format!("/v1/recipients/{recipient}/secrets/{}/revoke", new["id"].as_str().unwrap());
    send(dev.post(&path).json(&json!({"x": 1}))).await.expect(400);
    send(dev.post(&path).body(" ".repeat(64 * 1024 + 1))).await.expect(413);
    send(dev.post(&path).header("content-type", "text/plain").body("{}")).await.expect(415);
    send(dev.post(&path).json(&json!({}))).await.expect(200);
}

mod generate {
    use super::*;
    use docyard_core::values::clock::Clock;

    use crate::{assert_invalid, is_id, is_timestamp, without_request_id};
    use docyard_core::values::digest::Digest;

    #[tokio::test]
    async fn the_reference_example_gives_exactly_the_reference_fields() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let name = "First National Bank — Bulk API Passphrase";
        let before = Clock::system().now();
        let answer = dev.generate_secret(&recipient, json!({"name": name, "expiresInDays": 90})).await;
        let after = Clock::system().now();
        let mut body = answer.expect(201);
        let (id, secret, expires_at) = (body["id"].take(), body["secret"].take(), body["expiresAt"].take());
        assert_eq!(body, json!({"id": null, "secret": null, "name": name, "expiresAt": null}));
        assert!(is_id(&id, "sec_") && is_timestamp(&expires_at));
        let hex = secret.as_str().unwrap().strip_prefix("dk_sec_").unwrap();
        assert!(hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        let expires_at = docyard_core::values::clock::Timestamp::parse(expires_at.as_str().unwrap()).unwrap();
        assert!(
            (before.plus_days(90)..=after.plus_days(90)).contains(&expires_at),
            "90 times 24 hours from now"
        );
        assert_eq!(answer.header("location"), "", "a secret has no URL");
    }

    #[tokio::test]
    async fn a_secret_without_a_lifetime_never_expires() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        for request in [json!({"name": "A"}), json!({"name": "B", "expiresInDays": null})] {
            assert_eq!(dev.generate_secret(&recipient, request).await.expect(201)["expiresAt"], Value::Null);
        }
    }

    #[tokio::test]
    async fn only_the_sha_256_is_stored_with_the_lifetime_and_a_ttl_not_before_the_expiry() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        let body =
            dev.generate_secret(&recipient, json!({"name": "A", "expiresInDays": 1})).await.expect(201);
        let items = dev.table.items().await;
        let item = items.iter().find(|item| item["sk"].as_s().unwrap().starts_with("SECRET#")).unwrap();
        assert!(item["digest"].as_s().unwrap() == &Digest::of(body["secret"].as_str().unwrap()).expose_hex());
        assert_eq!(item["lifetimeDays"].as_n().unwrap(), "1");
        assert_eq!(item["expiresAt"].as_s().unwrap(), body["expiresAt"].as_str().unwrap());
        let expires_at =
            docyard_core::values::clock::Timestamp::parse(body["expiresAt"].as_str().unwrap()).unwrap();
        assert_eq!(item["ttl"].as_n().unwrap(), &expires_at.unix_milliseconds().div_ceil(1000).to_string());
    }

    #[tokio::test]
    async fn every_field_has_its_rule() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        for (request, field, message) in [
            (json!({}), "name", "is required"),
            (json!({"name": null}), "name", "is required"),
            (json!({"name": {}}), "name", "must be a string"),
            (json!({"name": ""}), "name", "1 to 200 characters"),
            (json!({"name": "a\u{0}b"}), "name", "control characters"),
            (json!({"name": "A", "expiresInDays": 0}), "expiresInDays", "integer from 1 to 3650"),
            (json!({"name": "A", "expiresInDays": 3651}), "expiresInDays", "integer from 1 to 3650"),
            (json!({"name": "A", "expiresInDays": -1}), "expiresInDays", "integer from 1 to 3650"),
            (json!({"name": "A", "expiresInDays": 90.0}), "expiresInDays", "integer from 1 to 3650"),
            (json!({"name": "A", "expiresInDays": "90"}), "expiresInDays", "integer from 1 to 3650"),
            (json!({"name": "A", "expiresInDays": true}), "expiresInDays", "integer from 1 to 3650"),
            (json!({"name": "A", "expiresIndays": 90}), "expiresIndays", "not a field"),
        ] {
            assert_invalid(&dev.generate_secret(&recipient, request).await, field, message);
        }
        for days in [1, 3650] {
            dev.generate_secret(&recipient, json!({"name": "A", "expiresInDays": days})).await.expect(201);
        }
    }

    #[tokio::test]
    async fn a_recipient_that_does_not_exist_or_is_anothers_is_not_found_in_the_same_words() {
        let dev = Dev::start().await;
        let account = dev.table.account().await;
        let foreign = foreign_recipient(&dev, account).await;
        let mut answers = Vec::new();
        for recipient in
            ["rcp_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", &foreign, "rcp_x", "sec_01HQ3K5V7X9ZBDFHKMPRTVXYZ0", "%2F"]
        {
            let answer = dev.generate_secret(recipient, json!({"name": "A"})).await;
            assert_eq!(answer.expect(404)["message"], "Recipient not found", "{recipient}");
            answers.push(without_request_id(&answer));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert!(dev.table.items().await.iter().all(|item| !item["sk"].as_s().unwrap().starts_with("SECRET")));
    }

    async fn foreign_recipient(dev: &Dev, account: docyard_core::values::id::AccountId) -> String {
        let (key, dock) = (dev.table.key(account).await, dev.table.dock(account).await);
        let request = dev.http.post(format!("{}/v1/docks/{dock}/recipients", dev.url)).bearer_auth(key);
        let body = send(request.json(&json!({"name": "F", "email": "f@example.com"}))).await.expect(201);
        body["id"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_recipient_has_at_most_100_active_secrets() {
        let dev = Dev::start().await;
        let recipient = dev.recipient().await;
        for n in 0..100 {
            let days = (n % 2 == 0).then_some(1);
            dev.generate_secret(&recipient, json!({"name": "A", "expiresInDays": days})).await.expect(201);
        }
        let body = dev.generate_secret(&recipient, json!({"name": "A"})).await.expect(409);
        assert_eq!(body["error"], "Conflict");
        assert!(body["message"].as_str().unwrap().contains("100 active secrets"));

        // One of them expires, and is still in the table.
        let items = dev.table.items().await;
        let item = items.into_iter().find(|item| item.contains_key("expiresAt")).unwrap();
        let update = dev.table.client.update_item().table_name(TABLE);
        let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
        let past = aws_sdk_dynamodb::types::AttributeValue::S("2025-01-15T10:32:00.000Z".into());
        let update =
            update.update_expression("SET expiresAt = :past").expression_attribute_values(":past", past);
        update.send().await.unwrap();
        dev.generate_secret(&recipient, json!({"name": "A"})).await.expect(201);
    }
}
