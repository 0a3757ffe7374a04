//! `openapi.yaml`, the document that the server serves, and its page.

use std::collections::BTreeSet;

use docyard_functions::{endpoints, openapi};
use docyard_test_support::dev::{Dev, send};
use docyard_test_support::read;
use regex::Regex;
use serde_json::{Map, Value};

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
            let mut expected = BTreeSet::from(["400", "429", "500"]);
            if operation.get("security").is_some() {
                expected.extend(["401", "503"]);
            }
            if path.contains('{') {
                expected.insert("404");
            }
            if operation.get("requestBody").is_some() {
                expected.extend(["413", "415"]);
                let content = operation["requestBody"]["content"].as_object().unwrap();
                assert!(content.values().all(|body| body["example"].is_object()), "{what} has an example");
            }
            assert!(statuses.is_superset(&expected), "{what}: {expected:?}");
            assert!(statuses.iter().any(|status| status.starts_with('2') || *status == "302"), "{what}");
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

/// All objects in `value`, itself included, each with the key that it stands under.
fn objects<'a>(key: &'a str, value: &'a Value) -> Vec<(&'a str, &'a Map<String, Value>)> {
    match value {
        Value::Object(members) => {
            let inner = members.iter().flat_map(|(key, value)| objects(key, value));
            [(key, members)].into_iter().chain(inner).collect()
        }
        Value::Array(values) => values.iter().flat_map(|value| objects(key, value)).collect(),
        _ => Vec::new(),
    }
}

/// The request bodies, each with the id of its operation.
fn request_bodies(document: &Value) -> Vec<(&str, &Value)> {
    let methods = document["paths"].as_object().unwrap().values();
    let operations = methods.flat_map(|methods| methods.as_object().unwrap().values());
    operations
        .filter_map(|operation| Some((operation["operationId"].as_str()?, operation.get("requestBody")?)))
        .collect()
}

/// openapi-generator refuses a document with a link whose body is an object.
#[test]
fn a_link_gives_no_body() {
    let document = document();
    let links: Vec<_> = objects("", &document).into_iter().filter(|(key, _)| *key == "links").collect();
    assert!(!links.is_empty());
    for (_, links) in links {
        for (name, link) in links {
            assert!(link.get("requestBody").is_none(), "{name}");
        }
    }
}

/// With two, openapi-python-client writes a module that cannot be imported.
#[test]
fn a_body_has_one_media_type() {
    let document = document();
    let contents: Vec<_> = objects("", &document).into_iter().filter(|(key, _)| *key == "content").collect();
    assert!(!contents.is_empty());
    for (_, content) in contents {
        assert_eq!(content.len(), 1, "{content:?}");
    }
    for (operation, body) in request_bodies(&document) {
        let media_type = match operation {
            // OAuth clients send forms.
            "issueToken" | "revokeToken" => "application/x-www-form-urlencoded",
            "uploadArtifact" | "importRecipients" => "multipart/form-data",
            _ => "application/json",
        };
        assert!(body["content"].get(media_type).is_some(), "{operation}");
        let takes_merge_patch =
            body["description"].as_str().unwrap().contains("application/merge-patch+json");
        assert_eq!(takes_merge_patch, operation.starts_with("update"), "{operation}");
    }
}

/// Clients in Go and Rust send `null` as an optional body, for which these operations have no use.
#[test]
fn an_operation_without_fields_declares_no_body() {
    let document = document();
    let bodies = request_bodies(&document);
    assert!(!bodies.is_empty());
    for (operation, body) in bodies {
        let content = body["content"].as_object().unwrap().values().next().unwrap();
        let reference = content["schema"]["$ref"].as_str().unwrap();
        let schema = document.pointer(&reference[1..]).unwrap();
        assert!(!schema["properties"].as_object().unwrap().is_empty(), "{operation}");
    }
}

/// Go's clients have a function `NewSecret` for a schema `Secret`; `Error` is a type of most languages.
#[test]
fn the_name_of_a_schema_is_free_in_the_languages_of_clients() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        let is_constructor = name.strip_prefix("New").is_some_and(|made| schemas.contains_key(made));
        let taken =
            ["Array", "Date", "Error", "Exception", "List", "Map", "Object", "Request", "Response", "String"];
        assert!(!is_constructor && !taken.contains(&name.as_str()), "{name}");
    }
}

/// Beside properties, clients in Rust and other languages have no place for other keys: they lose them.
#[test]
fn an_object_has_fields_or_free_keys() {
    let document = document();
    for (key, schema) in objects("", &document) {
        let has_free_keys = schema.get("additionalProperties").is_some_and(Value::is_object);
        assert!(!(has_free_keys && schema.contains_key("properties")), "{key}");
    }
}

/// Without quotes they are points in time to a reader of YAML 1.1, such as `PyYAML`.
#[test]
fn times_are_quoted() {
    let yaml = openapi::yaml().unwrap();
    let time = Regex::new(r"(?:- |: )('?)\d{4}-\d\d-\d\d").unwrap();
    let quotes: Vec<&str> =
        time.captures_iter(&yaml).filter_map(|time| Some(time.get(1)?.as_str())).collect();
    assert!(!quotes.is_empty() && quotes.iter().all(|quote| *quote == "'"), "{quotes:?}");
}

/// A client checks a `pattern` before it sends a request, and most leave `not` to the API.
#[test]
fn the_document_takes_the_white_space_that_the_api_takes_off() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let email = &schemas["Email"];
    let pattern = Regex::new(email["pattern"].as_str().unwrap()).unwrap();
    assert!(pattern.is_match(" bulk@firstnational.example\r\n"));
    assert!(!pattern.is_match("bulk @firstnational.example"));
    assert!(email.get("format").is_none(), "the format allows no white space");
    let text = &schemas["Text"];
    let refused = Regex::new(text["not"]["pattern"].as_str().unwrap()).unwrap();
    assert!(text.get("pattern").is_none());
    for (taken, given) in [
        (true, " First National\u{a0}Bank\r\n"),
        (true, "\u{85}銀行\u{3000}"),
        (false, ""),
        (false, " \n\u{85}"),
        (false, "First\nNational"),
        (false, "First \t National"),
        (false, "First\0"),
        (false, "\u{9f}First"),
        (false, "\u{200b}\u{2060}"),
        (false, "First\u{2028}National"),
        (false, "\u{202e}First"),
        (true, "\u{645}\u{200c}\u{645}"),
    ] {
        assert_eq!(!refused.is_match(given), taken, "{given:?}");
    }
    let special = schemas["Identifiers"]["patternProperties"].as_object().unwrap();
    for (key, value) in
        [("phone", "+1 (860) 555-0147"), ("date_of_birth", "1983-06-15"), ("nda_hash", &"0a".repeat(32))]
    {
        let pattern = Regex::new(special[&format!("^{key}$")]["pattern"].as_str().unwrap()).unwrap();
        assert!(pattern.is_match(&format!(" {value}\n")) && !pattern.is_match(&format!("x{value}")), "{key}");
    }
    let domain = Regex::new(schemas["Domain"]["pattern"].as_str().unwrap()).unwrap();
    assert!(domain.is_match("\tFirstNational.example ") && !domain.is_match("https://firstnational.example"));
}

#[test]
fn the_document_takes_an_idempotency_key_bare_or_quoted() {
    let document = document();
    let parameters = document["paths"]["/v1/docks"]["post"]["parameters"].as_array().unwrap();
    let key = parameters.iter().find(|parameter| parameter["name"] == "Idempotency-Key").unwrap();
    let pattern = Regex::new(key["schema"]["pattern"].as_str().unwrap()).unwrap();
    for (taken, key) in [
        (true, "8e03978e-40d5".to_owned()),
        (true, "\"8e03978e-40d5\"".to_owned()),
        (true, "k".repeat(255)),
        (true, format!("\"{}\"", "k".repeat(255))),
        (false, String::new()),
        (false, "\"\"".to_owned()),
        (false, "\"8e03978e".to_owned()),
        (true, "\"k,k\"".to_owned()),
        (false, "k,k".to_owned()),
        (false, "k".repeat(256)),
        (false, "é".to_owned()),
    ] {
        assert_eq!(pattern.is_match(&key), taken, "{key}");
    }
}

/// PHP's know no `\u`, Ruby's no `\x80`, Python's no `\p`, Go's and Rust's no look-around; openapi-generator escapes no
/// quotes. All it writes into the code of clients, but not what stands in `not`.
#[test]
fn every_pattern_is_one_in_the_languages_of_clients() {
    let document = document();
    let patterns: Vec<&str> = objects("", &document)
        .into_iter()
        .filter(|(key, _)| *key != "not")
        .filter_map(|(_, schema)| schema.get("pattern")?.as_str())
        .collect();
    assert!(!patterns.is_empty());
    for pattern in patterns {
        for foreign in [r"\u", r"\x8", r"\x9", r"\p", "(?", "\""] {
            assert!(!pattern.contains(foreign), "{pattern}: {foreign}");
        }
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
