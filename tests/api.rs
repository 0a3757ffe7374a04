//! The API as its users meet it: HTTP against `docyard dev`, by endpoint and then by rule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod dev;
mod operations;
mod support;

use dev::{Answer, Dev, send};
use docyard_core::values::clock::Clock;
use operations::{Operation, operations};
use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use support::PATIENCE;

const NDA_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn is_timestamp(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 24 && docyard_core::values::clock::Timestamp::parse(text).is_some())
}

fn is_id(value: &Value, prefix: &str) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(prefix) && text.len() == prefix.len() + 26)
}

/// What an answer says, apart from the id of its request.
fn without_request_id(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let headers =
        answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, answer.text.clone(), headers.collect())
}

#[track_caller]
fn assert_complaint(answer: &Answer, field: &str, message: &str) {
    let body = answer.expect(400);
    assert_eq!(body["error"], "Bad Request");
    let complaint = &body["details"][0];
    assert_eq!(complaint["field"], field, "{body}");
    assert!(complaint["message"].as_str().unwrap().contains(message), "{body}");
    let summary = body["message"].as_str().unwrap();
    assert!(summary.starts_with(field) && summary.contains(message), "{body}");
}

mod create_recipient {
    use super::*;

    #[tokio::test]
    async fn the_reference_examples_give_exactly_the_reference_fields() {
        let dev = Dev::start().await;
        let mortgagee = json!({"lender_id": "LND-4821", "policy_number": "POL-2025-88401"});
        let policyholder = json!({"phone": "+1-860-555-0147", "date_of_birth": "1983-06-15", "policy_number": "POL-2025-88401"});
        let auditor = json!({"badge_id": "AUD-DT-2025-0042", "nda_hash": format!("sha256:{NDA_HASH}")});
        for (name, email, class, identifiers) in [
            ("First National Bank", "bulk@firstnational.example", "mortgagee", Some(mortgagee)),
            ("James Whitfield", "james@whitfield.example", "policyholder", None),
            ("James Whitfield", "jw@whitfield.example", "policyholder", Some(policyholder)),
            ("Deloitte — Maria Gonzalez", "maria@deloitte.example", "auditor", Some(auditor)),
        ] {
            let mut request = json!({"name": name, "email": email, "stakeholderClass": class});
            if let Some(identifiers) = &identifiers {
                request["identifiers"] = identifiers.clone();
            }
            let answer = dev.create_recipient(request).await;
            let mut body = answer.expect(201);
            let (id, created_at) = (body["id"].take(), body["createdAt"].take());
            assert!(is_id(&id, "rcp_") && is_timestamp(&created_at), "{}", answer.text);
            let expected = json!({
                "id": null, "dockId": dev.dock, "name": name, "email": email, "stakeholderClass": class,
                "identifiers": identifiers.unwrap_or(json!({})), "createdAt": null,
            });
            assert_eq!(body, expected);
            let location = format!("/v1/docks/{}/recipients/{}", dev.dock, id.as_str().unwrap());
            assert_eq!(answer.header("location"), location);
        }
    }

    #[tokio::test]
    async fn name_and_email_are_all_that_is_needed() {
        let dev = Dev::start().await;
        for request in [
            json!({"name": "A", "email": "a@example.com"}),
            json!({"name": "B", "email": "b@example.com", "stakeholderClass": null, "identifiers": null}),
            json!({"name": "C", "email": "c@example.com", "identifiers": {}}),
        ] {
            let body = dev.create_recipient(request).await.expect(201);
            assert_eq!((&body["stakeholderClass"], &body["identifiers"]), (&Value::Null, &json!({})));
        }
    }

    #[tokio::test]
    async fn what_is_stored_and_returned_is_normalised() {
        let dev = Dev::start().await;
        let identifiers =
            json!({"nda_hash": NDA_HASH.to_uppercase(), "phone": "+1 (860) 555.0147", "x": " y "});
        let request =
            json!({"name": "  Ünï 🔑 ", "email": " Bulk@First.EXAMPLE ", "identifiers": identifiers});
        let body = dev.create_recipient(request).await.expect(201);
        assert_eq!(
            (body["name"].as_str(), body["email"].as_str()),
            (Some("Ünï 🔑"), Some("bulk@first.example"))
        );
        let stored =
            json!({"nda_hash": format!("sha256:{NDA_HASH}"), "phone": "+1 (860) 555.0147", "x": " y "});
        assert_eq!(body["identifiers"], stored);
    }

    #[tokio::test]
    async fn an_email_is_registered_once_per_dock_whatever_its_case() {
        let mut dev = Dev::start().await;
        let first = dev.create_recipient(json!({"name": "A", "email": "one@example.com"})).await.expect(201);
        let again = dev.create_recipient(json!({"name": "B", "email": "ONE@example.com"})).await;
        let body = again.expect(409);
        assert_eq!(body["error"], "Conflict");
        assert_eq!(body["recipientId"], first["id"], "so that a client that retries can go on");

        let dock = docyard_core::values::id::DockId::parse(&dev.dock).unwrap();
        let account = dev.table.store.dock(dock).await.unwrap().unwrap().account;
        dev.dock = dev.table.dock(account).await.to_string();
        dev.create_recipient(json!({"name": "A", "email": "one@example.com"})).await.expect(201);
    }

    #[tokio::test]
    async fn of_64_that_race_for_one_email_one_wins_and_the_rest_get_409() {
        let dev = Dev::start().await;
        let requests = (0..64).map(|n| {
            let email = if n % 2 == 0 { "race@example.com" } else { "RACE@Example.com" };
            let request = dev.post(&dev.recipients_path()).json(&json!({"name": "R", "email": email}));
            tokio::spawn(send(request))
        });
        let mut statuses = Vec::new();
        let mut winner = String::new();
        let mut holders = Vec::new();
        for answer in requests.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            statuses.push(answer.status);
            match answer.status {
                201 => winner = answer.json()["id"].as_str().unwrap().to_owned(),
                _ => holders.push(answer.expect(409)["recipientId"].as_str().unwrap().to_owned()),
            }
        }
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
        assert_eq!(holders.len(), 63);
        assert!(holders.iter().all(|holder| *holder == winner), "every 409 names the winner");
        assert_eq!(dev.table.recipients().await, (vec![winner.clone()], vec![winner.clone()]));
        dev.generate_secret(&winner, json!({"name": "At once"})).await.expect(201);
    }

    #[tokio::test]
    async fn every_field_has_its_rule() {
        let dev = Dev::start().await;
        let nda_hash = |value: &str| json!({"identifiers": {"nda_hash": value}});
        let phone = |value: &str| json!({"identifiers": {"phone": value}});
        let born = |value: &str| json!({"identifiers": {"date_of_birth": value}});
        let many: serde_json::Map<String, Value> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
        for (change, field, message) in [
            (json!({"name": null}), "name", "is required"),
            (json!({"name": 1}), "name", "must be a string"),
            (json!({"name": " "}), "name", "1 to 200 characters"),
            (json!({"name": "x".repeat(201)}), "name", "1 to 200 characters"),
            (json!({"name": "a\nb"}), "name", "control characters"),
            (json!({"email": null}), "email", "is required"),
            (json!({"email": ["a@b.c"]}), "email", "must be a string"),
            (json!({"email": "not an address"}), "email", "valid email address"),
            (json!({"email": "a..b@example.com"}), "email", "valid email address"),
            (json!({"email": "a@localhost"}), "email", "valid email address"),
            (json!({"email": format!("{}@example.com", "x".repeat(65))}), "email", "valid email address"),
            (json!({"email": format!("a@{}com", "example.".repeat(32))}), "email", "at most 254"),
            (
                json!({"stakeholderClass": "Mortgagee"}),
                "stakeholderClass",
                "mortgagee, agent, policyholder, auditor",
            ),
            (json!({"stakeholderClass": 1}), "stakeholderClass", "must be a string"),
            (json!({"identifiers": []}), "identifiers", "must be an object"),
            (json!({"identifiers": "x"}), "identifiers", "must be an object"),
            (json!({"identifiers": many}), "identifiers", "at most 50"),
            (json!({"identifiers": {"1st": "v"}}), "identifiers.1st", "starting with a letter"),
            (json!({"identifiers": {"k": 1}}), "identifiers.k", "must be a string"),
            (json!({"identifiers": {"k": null}}), "identifiers.k", "must be a string"),
            (json!({"identifiers": {"k": ""}}), "identifiers.k", "1 to 512 characters"),
            (json!({"identifiers": {"k": "x".repeat(513)}}), "identifiers.k", "1 to 512 characters"),
            (json!({"identifiers": {"k": "a\tb"}}), "identifiers.k", "control characters"),
            (nda_hash("sha256:e3b0c442"), "identifiers.nda_hash", "64 hex digits"),
            (born("1983-02-30"), "identifiers.date_of_birth", "calendar date"),
            (born("9999-01-01"), "identifiers.date_of_birth", "in the future"),
            (phone("860-555-0147"), "identifiers.phone", "7 to 15 digits"),
            (json!({"nmae": "typo"}), "nmae", "not a field"),
        ] {
            let mut request = json!({"name": "A", "email": "a@example.com"});
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_complaint(&dev.create_recipient(request).await, field, message);
        }
        assert_eq!(dev.table.recipients().await, (vec![], vec![]), "nothing was written");
    }

    #[tokio::test]
    async fn all_that_is_wrong_is_said_at_once() {
        let dev = Dev::start().await;
        let request =
            json!({"email": "x", "stakeholderClass": "y", "identifiers": {"a": 1, "b": ""}, "z": 1});
        let body = dev.create_recipient(request).await.expect(400);
        let fields: Vec<&str> = body["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|detail| detail["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["name", "email", "stakeholderClass", "identifiers.a", "identifiers.b", "z"]);
        assert_eq!(body["message"], "name is required (and 5 more problems: see details)");
    }

    #[tokio::test]
    async fn a_date_of_birth_may_be_today() {
        let dev = Dev::start().await;
        let today = Clock::system().now().to_string()[..10].to_owned();
        let request = json!({"name": "A", "email": "a@example.com", "identifiers": {"date_of_birth": today}});
        dev.create_recipient(request).await.expect(201);
    }

    #[tokio::test]
    async fn a_dock_that_does_not_exist_or_is_anothers_is_not_found_in_the_same_words() {
        let mut dev = Dev::start().await;
        let foreign = dev.table.dock(dev.table.account().await).await.to_string();
        let unknown = "dock_01HQ3K5V7X9ZBDFHKMPRTVXYZ0";
        let mut answers = Vec::new();
        for dock in [unknown, &foreign, "dock_x", "x", "%00", "%F0%9F%94%91", "..%2F..", &"x".repeat(5000)] {
            dev.dock = dock.to_owned();
            let answer = dev.create_recipient(json!({"name": "A", "email": "a@example.com"})).await;
            assert_eq!(answer.expect(404)["message"], "Dock not found", "{dock}");
            answers.push(without_request_id(&answer));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }

    #[tokio::test]
    async fn what_is_answered_is_what_is_stored() {
        let dev = std::sync::Arc::new(Dev::start().await);
        let name = "[\\PC]{1,40}".prop_filter("a name", |name| docyard_core::values::text::Text::parse(name).is_ok());
        let email = "[A-Za-z0-9.+_-]{1,20}@[A-Za-z0-9-]{1,10}\\.[a-z]{2,5}"
            .prop_filter("an address", |email| docyard_core::values::email::Email::parse(email).is_ok());
        let class =
            prop::option::of(prop::sample::select(vec!["mortgagee", "agent", "policyholder", "auditor"]));
        let identifiers = prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_-]{0,10}", "\\PC{1,30}", 0..5);
        // The runner wants a closure that is not async; each case blocks a thread of its own.
        let handle = tokio::runtime::Handle::current();
        let runner_dev = dev.clone();
        tokio::task::spawn_blocking(move || {
            let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
            let cases = (name, email, class, identifiers);
            TestRunner::new(config)
                .run(&cases, |(name, email, class, identifiers)| {
                    let request =
                        json!({"name": name, "email": email, "stakeholderClass": class, "identifiers": identifiers});
                    let answer = handle.block_on(runner_dev.create_recipient(request));
                    if answer.status == 409 {
                        return Ok(());
                    }
                    let body = answer.expect(201);
                    let items = handle.block_on(runner_dev.table.items());
                    let item = items.into_iter().find(|item| {
                        item.get("id").and_then(|id| id.as_s().ok()).map(String::as_str) == body["id"].as_str()
                    });
                    let mut stored: Value = serde_dynamo::aws_sdk_dynamodb_1::from_item(item.unwrap()).unwrap();
                    let stored = stored.as_object_mut().unwrap();
                    for internal in ["pk", "sk", "account", "version"] {
                        stored.remove(internal).unwrap();
                    }
                    let dock = stored.remove("dock").unwrap();
                    stored.insert("dockId".to_owned(), dock);
                    stored.entry("stakeholderClass").or_insert(Value::Null);
                    prop_assert_eq!(&Value::Object(stored.clone()), &body);
                    Ok(())
                })
                .unwrap();
        })
        .await
        .unwrap();
    }
}

mod generate_secret {
    use super::*;
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
        let expires_at = docyard_core::values::clock::Timestamp::parse(body["expiresAt"].as_str().unwrap()).unwrap();
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
            assert_complaint(&dev.generate_secret(&recipient, request).await, field, message);
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
        let update = dev.table.client.update_item().table_name(support::TABLE);
        let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
        let past = aws_sdk_dynamodb::types::AttributeValue::S("2025-01-15T10:32:00.000Z".into());
        let update =
            update.update_expression("SET expiresAt = :past").expression_attribute_values(":past", past);
        update.send().await.unwrap();
        dev.generate_secret(&recipient, json!({"name": "A"})).await.expect(201);
    }
}

mod every_endpoint {
    use super::*;

    /// A request that an endpoint answers with success.
    struct Valid {
        operation: Operation,
        path: String,
    }

    impl Valid {
        /// The request without its body.
        fn request(&self, dev: &Dev) -> reqwest::RequestBuilder {
            dev.http.request(self.operation.method.clone(), format!("{}{}", dev.url, self.path))
        }
    }

    /// One of each operation, each on things of its own.
    async fn requests(dev: &Dev) -> Vec<Valid> {
        let mut requests = Vec::new();
        for operation in operations() {
            let path = operation.path_to_new_things(dev).await;
            requests.push(Valid { operation, path });
        }
        requests
    }

    /// Those that need a body, and with it the path.
    async fn requests_with_body(dev: &Dev) -> Vec<(Valid, Value)> {
        let requests = requests(dev).await.into_iter();
        requests
            .filter_map(|valid| {
                let body = valid.operation.body.clone()?;
                Some((valid, body))
            })
            .collect()
    }

    #[tokio::test]
    async fn the_schemes_case_does_not_matter() {
        let dev = Dev::start().await;
        for (valid, body) in requests_with_body(&dev).await {
            let request = valid.request(&dev).header("authorization", format!("bEARER {}", dev.key));
            send(request.json(&body)).await.expect(valid.operation.status);
        }
    }

    #[tokio::test]
    async fn a_key_is_wanted_before_the_body_is_judged() {
        let dev = Dev::start().await;
        for valid in requests(&dev).await {
            let request = || valid.request(&dev);
            send(request().body("x".repeat(64 * 1024 + 1))).await.expect(401);
            send(request().header("content-type", "text/plain").body("x")).await.expect(401);
            send(request()).await.expect(401);
        }
    }

    #[tokio::test]
    async fn a_bad_body_is_told_before_a_missing_thing() {
        let dev = Dev::start().await;
        for path in ["/v1/docks/x/recipients", "/v1/recipients/x/secrets"] {
            send(dev.post(path).json(&json!({}))).await.expect(400);
        }
    }

    #[tokio::test]
    async fn a_body_is_one_json_object() {
        let dev = Dev::start().await;
        for (valid, _) in requests_with_body(&dev).await {
            for (body, message) in [
                (&b""[..], "needs a body"),
                (b"[]", "must be a JSON object"),
                (b"null", "must be a JSON object"),
                (b"\"x\"", "must be a JSON object"),
                (b"{", "not valid JSON"),
                (b"name=A", "not valid JSON"),
                (b"{\"name\":\"\xff\"}", "not valid JSON"),
                (b"{\"name\":\"\\ud800\"}", "not valid JSON"),
                (b"\xef\xbb\xbf{}", "not valid JSON"),
                (b"{\"name\":1e999}", "not valid JSON"),
            ] {
                for content_type in [None, Some("application/json"), Some("application/json; charset=utf-8")]
                {
                    let mut request = valid.request(&dev).bearer_auth(&dev.key).body(body);
                    if let Some(content_type) = content_type {
                        request = request.header("content-type", content_type);
                    }
                    let answer = send(request).await.expect(400);
                    assert!(answer["message"].as_str().unwrap().contains(message), "{body:?}: {answer}");
                    assert!(answer.get("details").is_none());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_field_given_twice_is_refused() {
        let dev = Dev::start().await;
        let recipients = dev.recipients_path();
        let secrets = format!("/v1/recipients/{}/secrets", dev.recipient().await);
        for (path, body, field) in [
            (&recipients, r#"{"name":"A","email":"a@example.com","email":"b@example.com"}"#, "email"),
            (
                &recipients,
                r#"{"name":"A","email":"a@example.com","identifiers":{"k":"1","k":"2"}}"#,
                "identifiers.k",
            ),
            (&secrets, r#"{"name":"A","expiresInDays":1,"expiresInDays":null}"#, "expiresInDays"),
        ] {
            assert_complaint(&send(dev.post(path).body(body)).await, field, "more than once");
        }
    }

    #[tokio::test]
    async fn a_body_has_at_most_64_kib() {
        let dev = Dev::start().await;
        for (valid, body) in requests_with_body(&dev).await {
            let request = || valid.request(&dev).bearer_auth(&dev.key);
            let padded = |size: usize| {
                let body = body.to_string();
                format!("{body}{}", " ".repeat(size - body.len()))
            };
            for content_type in ["application/json", "text/plain"] {
                let request = request().header("content-type", content_type).body(padded(64 * 1024 + 1));
                assert_eq!(send(request).await.expect(413)["error"], "Payload Too Large");
            }
            send(request().body(padded(64 * 1024))).await.expect(valid.operation.status);
        }
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_not_json_is_refused() {
        let dev = Dev::start().await;
        for (valid, body) in requests_with_body(&dev).await {
            let request = |content_type: &str| {
                let request = valid.request(&dev).bearer_auth(&dev.key).header("content-type", content_type);
                send(request.body(body.to_string()))
            };
            let mut others = vec!["text/plain", "application/x-www-form-urlencoded", "x"];
            if valid.operation.method != Method::PATCH {
                others.push("application/merge-patch+json");
            }
            for content_type in others {
                let answer = request(content_type).await.expect(415);
                assert_eq!(answer["error"], "Unsupported Media Type");
                let message = answer["message"].as_str().unwrap();
                assert!(message.contains("application/json"), "it says what to send");
            }
            request("Application/JSON ; charset=UTF-8").await.expect(valid.operation.status);
        }
    }

    #[tokio::test]
    async fn every_answer_has_a_request_id_of_its_own() {
        let dev = Dev::start().await;
        let first = dev.create_recipient(json!({})).await;
        let second = dev.create_recipient(json!({})).await;
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
        let logged = format!("request_id=\"{}\"", first.header("x-request-id"));
        let logged_by = std::time::Instant::now();
        while !dev.output().contains(&logged) {
            assert!(logged_by.elapsed() < PATIENCE, "the log does not have {logged}");
            tokio::task::yield_now().await;
        }
    }
}
