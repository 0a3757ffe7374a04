//! `template.yaml` against the code: each endpoint has one function, one route, one set of permissions, and they agree
//! with what the code says and does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod binaries;
mod sandbox;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use binaries::binary;
use docyard_functions::route::ROUTES;
use docyard_functions::service::TIME_LIMIT;
use sandbox::{Faults, Sandbox, Tenant};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};
use support::{TABLE, TestTable};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn template() -> Yaml<'static> {
    let text = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    Yaml::load_from_str(text.leak()).unwrap().remove(0)
}

fn text<'a>(yaml: &'a Yaml) -> &'a str {
    yaml.as_str().unwrap_or_else(|| panic!("not a string: {yaml:?}"))
}

/// A short form such as `!GetAtt Table.Arn`, as the tag's name and its value.
fn short_form<'a>(yaml: &'a Yaml) -> (&'a str, &'a str) {
    match yaml {
        Yaml::Tagged(tag, value) => (&tag.suffix, text(value)),
        other => panic!("not a short form: {other:?}"),
    }
}

/// The functions of the template, by the binary they are built from.
fn functions<'a>(template: &'a Yaml) -> BTreeMap<String, (&'a str, &'a Yaml<'a>)> {
    let mut functions = BTreeMap::new();
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        if text(&resource["Type"]) == "AWS::Serverless::Function" {
            assert_eq!(text(&resource["Metadata"]["BuildMethod"]), "rust-cargolambda");
            let binary = text(&resource["Metadata"]["BuildProperties"]["Binary"]).to_owned();
            assert!(
                functions.insert(binary.clone(), (text(name), resource)).is_none(),
                "{binary} is there twice"
            );
        }
    }
    functions
}

#[test]
fn every_endpoint_has_a_module_a_binary_and_a_function_of_its_name() {
    let routes: BTreeSet<String> = ROUTES.iter().map(|route| route.function.to_owned()).collect();
    assert_eq!(routes.len(), ROUTES.len(), "no name is there twice");
    let template = template();
    let functions = functions(&template);
    assert_eq!(functions.keys().cloned().collect::<BTreeSet<_>>(), routes, "functions of the template");
    let binaries: BTreeSet<String> = std::fs::read_dir(root().join("functions/src/bin"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(binaries, routes, "binaries");
    for (binary, (name, _)) in functions {
        assert!(
            root().join(format!("functions/src/{}.rs", binary.replace('-', "_"))).exists(),
            "{binary}'s module"
        );
        let expected: String =
            binary.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect();
        assert_eq!(name, format!("{expected}Function"));
        // A binary with another endpoint's route would serve the wrong thing under the right name.
        let main = std::fs::read_to_string(root().join(format!("functions/src/bin/{binary}.rs"))).unwrap();
        assert!(main.contains(&format!("runtime::run(&{}::ROUTE)", binary.replace('-', "_"))), "{binary}");
    }
}

#[test]
fn every_route_leads_to_its_function() {
    let template = template();
    let functions = functions(&template);
    for route in ROUTES {
        let (name, function) = functions[route.function];
        let events = function["Properties"]["Events"].as_mapping().unwrap();
        assert_eq!(events.len(), 1, "{name} has one route");
        let event = events.values().next().unwrap();
        assert_eq!(text(&event["Type"]), "HttpApi");
        let properties = &event["Properties"];
        assert_eq!(short_form(&properties["ApiId"]), ("Ref", "Api"));
        assert_eq!(format!("{} {}", text(&properties["Method"]), text(&properties["Path"])), route.key());
        assert_eq!(text(&properties["PayloadFormatVersion"]), "2.0");
    }
}

#[test]
fn a_function_has_the_environment_that_it_reads_and_the_time_that_it_takes() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    let variables = &globals["Environment"]["Variables"];
    assert_eq!(short_form(&variables["TABLE_NAME"]), ("Ref", "Table"));
    assert_eq!(short_form(&variables["DOCYARD_MODE"]), ("Ref", "Mode"));
    assert_eq!(text(&globals["CodeUri"]), "functions/");
    let timeout = globals["Timeout"].as_integer().unwrap();
    assert!(timeout > TIME_LIMIT.as_secs() as i64, "a function answers by itself before Lambda ends it");
    assert!(timeout < 30, "and Lambda ends it before API Gateway gives up");
}

/// Requests that make a function do all that it can: path parameters, query, body, and the status that they get. `D`, `R`
/// and `S` stand for a dock, a recipient and a secret of their own.
fn requests(function: &str) -> Vec<(&'static [&'static str], &'static str, Option<Value>, u16)> {
    let person = |email: &str| Some(json!({"name": "A", "email": email}));
    match function {
        "create-dock" => vec![(&[], "", Some(json!({"name": "D"})), 201)],
        "list-docks" => vec![(&[], "limit=1", None, 200)],
        "get-dock" => vec![(&["D"], "", None, 200)],
        "update-dock" => vec![(&["D"], "", Some(json!({"domain": "example.com"})), 200)],
        "create-recipient" => vec![(&["D"], "", person("new@example.com"), 201)],
        "list-recipients" => {
            vec![(&["D"], "limit=1", None, 200), (&["D"], "email=a%40example.com", None, 200)]
        }
        "get-recipient" => vec![(&["D", "R"], "", None, 200)],
        "update-recipient" => vec![
            (&["D", "R"], "", Some(json!({"name": "B"})), 200),
            (&["D", "R"], "", Some(json!({"email": "b@example.com"})), 200),
        ],
        "delete-recipient" => vec![(&["D", "R"], "", None, 200)],
        "generate-secret" => vec![(&["R"], "", Some(json!({"name": "S"})), 201)],
        "list-secrets" => vec![(&["R"], "", None, 200)],
        "rotate-secret" => vec![(&["R", "S"], "", None, 201)],
        "revoke-secret" => vec![(&["R", "S"], "", None, 200)],
        "verify-secret" => vec![(&["R"], "", Some(json!({"secret": "x"})), 200)],
        _ => panic!("no request is known that makes {function} do all it can"),
    }
}

#[tokio::test]
async fn a_function_may_do_what_its_code_does_and_nothing_else() {
    let template = template();
    let functions = functions(&template);
    for &route in ROUTES {
        let tenant = Tenant::new().await;
        let (faults, url) = Faults::before(&tenant.table).await;
        let (recipient, secret) = tenant.recipient_with_secret("a@example.com").await;
        let sandbox = Sandbox::start(binary(route.function), &url).await;
        for (parameters, query, body, status) in requests(route.function) {
            let value = |name: &&str| match *name {
                "D" => tenant.dock.clone(),
                "R" => recipient.clone(),
                _ => secret.clone(),
            };
            let values: Vec<String> = parameters.iter().map(value).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            sandbox.expect(status, tenant.request(route, &values, query, body)).await;
        }
        let needed = faults.take_actions();

        let (name, function) = functions[route.function];
        let policies = function["Properties"]["Policies"].as_sequence().unwrap();
        let statements: Vec<&Yaml> =
            policies.iter().flat_map(|policy| policy["Statement"].as_sequence().unwrap()).collect();
        assert_eq!(statements.len(), 1, "{name}");
        let statement = statements[0];
        assert_eq!(text(&statement["Effect"]), "Allow");
        assert_eq!(short_form(&statement["Resource"]), ("GetAtt", "Table.Arn"));
        let actions = statement["Action"].as_sequence().unwrap().iter();
        let allowed: BTreeSet<String> = actions.map(|action| text(action).to_owned()).collect();
        assert_eq!(allowed, needed, "{name}");
    }
}

#[test]
fn a_build_does_not_miss_a_change_outside_of_the_functions_folder() {
    let settings = std::fs::read_to_string(root().join("samconfig.toml")).unwrap();
    assert!(
        !settings.lines().any(|line| line.trim_start().starts_with("cached")),
        "sam's cache looks at CodeUri alone"
    );
}

#[tokio::test]
async fn the_table_is_the_one_that_the_tests_and_the_local_server_make() {
    let template = template();
    let properties = &template["Resources"]["Table"]["Properties"];
    let local = TestTable::start().await;
    let described = local.client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    let keys = |yaml: &Yaml, kind: &str| -> BTreeSet<(String, String)> {
        let entries = yaml.as_sequence().unwrap().iter();
        entries
            .map(|entry| (text(&entry["AttributeName"]).to_owned(), text(&entry[kind]).to_owned()))
            .collect()
    };
    let local_keys = described
        .key_schema()
        .iter()
        .map(|key| (key.attribute_name.clone(), key.key_type.as_str().to_owned()));
    assert_eq!(keys(&properties["KeySchema"], "KeyType"), local_keys.collect());
    let local_attributes = described.attribute_definitions().iter();
    let local_attributes = local_attributes
        .map(|attribute| (attribute.attribute_name.clone(), attribute.attribute_type.as_str().to_owned()));
    assert_eq!(keys(&properties["AttributeDefinitions"], "AttributeType"), local_attributes.collect());
    let ttl = local.client.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    assert_eq!(text(&properties["TimeToLiveSpecification"]["AttributeName"]), ttl.attribute_name.unwrap());
    assert_eq!(text(&properties["BillingMode"]), "PAY_PER_REQUEST");
    assert!(described.global_secondary_indexes.is_none() && described.local_secondary_indexes.is_none());
}
