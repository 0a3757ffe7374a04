//! `openapi.yaml`, the document that the server serves, and its page.

use std::collections::BTreeSet;

use docyard_functions::{endpoints, openapi};
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::read;
use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(openapi::document()).unwrap()
}

#[tokio::test]
async fn the_document_in_the_repository_is_what_the_code_says() {
    let dev = Dev::start().await;
    let served = send(dev.http.get(format!("{}/openapi.yaml", dev.url))).await;
    assert_eq!((served.status, served.header("content-type")), (200, "application/yaml"));
    assert!(
        read("openapi.yaml") == served.text,
        "openapi.yaml is stale: run `UPDATE=1 cargo test -p docyard-cli --test generated`"
    );
}

#[test]
fn every_route_is_one_operation_and_every_operation_a_route() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let key = format!("{} {path}", method.to_uppercase());
            assert!(operations.insert((key, id.to_owned())), "{id}");
        }
    }
    let routes = endpoints::all().map(|endpoint| {
        let mut words = endpoint.name.split('-');
        let first = words.next().unwrap().to_owned();
        let id = words.fold(first, |id, word| format!("{id}{}{}", word[..1].to_uppercase(), &word[1..]));
        (endpoint.route.to_string(), id)
    });
    assert_eq!(operations, routes.collect());
}

#[test]
fn every_operation_says_what_it_takes_and_how_it_can_end() {
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let what = format!("{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            let statuses: BTreeSet<&str> = responses.keys().map(String::as_str).collect();
            let mut expected = BTreeSet::from(["400", "401", "429", "500", "503"]);
            if path.contains('{') {
                expected.insert("404");
            }
            if operation.get("requestBody").is_some() {
                expected.extend(["413", "415"]);
                let json = &operation["requestBody"]["content"]["application/json"];
                let is_needed = operation["requestBody"]["required"] == true;
                assert_eq!(json["example"].is_object(), is_needed, "{what} has an example");
            }
            assert!(statuses.is_superset(&expected), "{what}: {expected:?}");
            assert!(statuses.iter().any(|status| status.starts_with('2')), "{what}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{what}");
        }
    }
}

#[test]
fn the_page_on_the_api_names_every_route_and_explains_every_endpoint() {
    let page = read("docs/api.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let named: BTreeSet<String> =
        rows.map(|(key, _)| key.to_owned()).filter(|key| key.contains(" /v1/")).collect();
    assert_eq!(named, endpoints::all().map(|endpoint| endpoint.route.to_string()).collect());
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(sections, endpoints::all().map(|endpoint| endpoint.description).collect());
}

/// All values under the key `$ref`.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/DockId"), "{found:?}");
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_page_comes_with_all_that_it_needs() {
    let dev = Dev::start().await;
    let page = send(dev.http.get(format!("{}/docs/", dev.url))).await;
    assert_eq!(page.status, 200);
    let links = page.text.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let links: Vec<&str> = links.collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        assert!(!link.contains("//"), "{link} is of another host");
        let file = send(dev.http.get(format!("{}/docs/{link}", dev.url))).await;
        assert_eq!(file.status, 200, "{link}");
    }
    let settings = send(dev.http.get(format!("{}/docs/swagger-initializer.js", dev.url))).await;
    assert!(settings.text.contains("/openapi.yaml"));
}
