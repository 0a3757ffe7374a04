//! What is generated from the endpoints' declarations: binaries, Cargo's lists, the template's functions, alarms and
//! dashboard rows, the API's document, and tables of the documentation.
//!
//! ```sh
//! UPDATE=1 cargo test -p docyard-cli --test generated
//! ```
//!
//! writes them; without `UPDATE` the same test fails and names the file that is stale.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::store::Store;
use docyard_core::values::clock::Clock;
use docyard_functions::endpoint::{Endpoint, Endpoints, Need};
use docyard_functions::endpoints::{self, RESOURCES};
use docyard_functions::{openapi, sealer, worker};
use docyard_test_support::account::Account;
use docyard_test_support::api::Api;
use docyard_test_support::table::TABLE;
use docyard_test_support::{bucket, costs, read, root};

const COMMAND: &str = "UPDATE=1 cargo test -p docyard-cli --test generated";

/// The memory that `template.yaml` gives a function that declares no other.
const DEFAULT_MEMORY: u32 = 128;

/// The endpoints that a deployment can keep a part of the account's concurrency for, by the template's parameter
/// `<Name>Concurrency`: those that an institution waits for.
const RESERVABLE: [&str; 1] = ["verify-secret"];

/// The most functions whose metrics one alarm adds up: CloudWatch's limit is ten metrics.
const FUNCTIONS_OF_AN_ALARM: usize = 10;

/// The text between two lines that hold these marks replaced by `new`, which ends with a line break.
fn between(file: &str, text: &str, from: &[&str], to: &str, new: &str) -> String {
    let mut start = 0;
    for mark in from {
        let at = text[start..].find(mark).unwrap_or_else(|| panic!("{file} has no {mark:?}"));
        start += at + mark.len();
    }
    start += text[start..].find('\n').unwrap() + 1;
    let end = start + text[start..].find(to).unwrap_or_else(|| panic!("{file} has no {to:?} after {from:?}"));
    let end = text[..end].rfind('\n').unwrap() + 1;
    format!("{}{new}{}", &text[..start], &text[end..])
}

/// `CreateDockFunction` for `create-dock`.
fn logical_id(endpoint: &Endpoint) -> String {
    let words = endpoint.name.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..]));
    format!("{}Function", words.collect::<String>())
}

const BINARY: &str = r#"//! The Lambda function of the endpoint that has this binary's name. Generated: see tests/generated/main.rs.

use docyard_functions::endpoint::Endpoint;
use docyard_functions::{endpoints, lambda};

const ENDPOINT: &Endpoint = endpoints::named(env!("CARGO_BIN_NAME"));

fn main() -> std::process::ExitCode {
    lambda::runtime::run(ENDPOINT)
}
"#;

fn cargo_binaries() -> String {
    let binary =
        |endpoint: &Endpoint| format!("[[bin]]\nname = \"{}\"\ntest = false\ndoc = false\n", endpoint.name);
    endpoints::all().map(binary).collect::<Vec<_>>().join("\n")
}

fn watch_router() -> String {
    let mut paths: Vec<(&str, Vec<String>)> = Vec::new();
    for endpoint in endpoints::all() {
        let route = endpoint.route;
        let entry = format!("{{ function = \"{}\", method = \"{}\" }}", endpoint.name, route.method.as_str());
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, entries)) => entries.push(entry),
            None => paths.push((route.path, vec![entry])),
        }
    }
    let mut text = String::new();
    for (path, entries) in paths {
        writeln!(text, "\"{path}\" = [\n  {},\n]", entries.join(",\n  ")).unwrap();
    }
    text
}

fn policies(endpoint: &Endpoint) -> String {
    // Actions on the same partitions are one statement.
    let mut statements: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for grant in endpoint.grants {
        let mut partitions: Vec<String> =
            grant.partitions.iter().map(|partition| format!("\"{}#*\"", partition.name())).collect();
        partitions.sort();
        let action = format!("dynamodb:{:?}", grant.action);
        match statements.iter_mut().find(|(of, _)| *of == partitions) {
            Some((_, actions)) => actions.push(action),
            None => statements.push((partitions, vec![action])),
        }
    }
    let mut text = String::new();
    for (partitions, mut actions) in statements {
        actions.sort();
        writeln!(
            text,
            "            - Effect: Allow
              Action: [{}]
              Resource: !GetAtt Table.Arn
              Condition: {{\"ForAllValues:StringLike\": {{\"dynamodb:LeadingKeys\": [{}]}}}}",
            actions.join(", "),
            partitions.join(", ")
        )
        .unwrap();
    }
    text
}

/// What a function may do with the bucket.
fn bucket_policies(endpoint: &Endpoint) -> String {
    let needs = |need| endpoint.needs.contains(&need);
    let on_objects = [
        ("s3:DeleteObject", needs(Need::DeleteObject)),
        ("s3:GetObject", needs(Need::GetObject) || needs(Need::HeadObject)),
        ("s3:PutObject", needs(Need::PutObject)),
    ];
    let on_objects: Vec<&str> =
        on_objects.into_iter().filter(|(_, is_needed)| *is_needed).map(|(action, _)| action).collect();
    // Who may not list the bucket is told of an object that is missing that it is forbidden.
    let on_bucket = needs(Need::HeadObject).then_some("s3:ListBucket");
    let statement = |actions: &[&str], resource: &str| match actions {
        [] => String::new(),
        actions => format!(
            "            - Effect: Allow
              Action: [{}]
              Resource: {resource}\n",
            actions.join(", ")
        ),
    };
    statement(&on_objects, "!Sub \"${Bucket.Arn}/*\"")
        + &statement(on_bucket.as_slice(), "!GetAtt Bucket.Arn")
}

/// The variables that a function has besides those of all.
fn environment(endpoint: &Endpoint) -> String {
    let variables: BTreeSet<&str> = endpoint
        .needs
        .iter()
        .map(|need| match need {
            Need::SubmissionKey => {
                "          SUBMISSION_KEY: !Sub \"{{resolve:secretsmanager:${SubmissionKey}}}\"\n"
            }
            Need::DeleteObject | Need::GetObject | Need::HeadObject | Need::PutObject => {
                "          BUCKET_NAME: !Ref Bucket\n"
            }
        })
        .collect();
    match variables.into_iter().collect::<String>() {
        none if none.is_empty() => none,
        variables => format!("      Environment:\n        Variables:\n{variables}"),
    }
}

fn function(endpoint: &Endpoint) -> String {
    let memory = match endpoint.memory {
        DEFAULT_MEMORY => String::new(),
        memory => format!("      MemorySize: {memory}\n"),
    };
    let concurrency = match endpoint.name {
        name if RESERVABLE.contains(&name) => {
            let parameter = logical_id(endpoint).replace("Function", "Concurrency");
            format!(
                "      ReservedConcurrentExecutions: !If [Has{parameter}, !Ref {parameter}, !Ref AWS::NoValue]\n"
            )
        }
        _ => String::new(),
    };
    let policies = match (policies(endpoint) + &bucket_policies(endpoint)).as_str() {
        "" => String::new(),
        statements => format!(
            "      Policies:
        - Version: \"2012-10-17\"
          Statement:
{statements}"
        ),
    };
    format!(
        "  {}:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties:
        Binary: {}
    Properties:
      Description: {}
{memory}{concurrency}{}      Events:
        Route:
          Type: HttpApi
          Properties:
            ApiId: !Ref Api
            Method: {}
            Path: {}
            PayloadFormatVersion: \"2.0\"
{policies}",
        logical_id(endpoint),
        endpoint.name,
        endpoint.description,
        environment(endpoint),
        endpoint.route.method.as_str(),
        endpoint.route.path,
    )
}

/// An alarm on a metric of up to ten functions.
struct FunctionAlarm {
    name: String,
    metric: &'static str,
    resource: &'static Endpoints,
    functions: Vec<String>,
}

fn function_alarms() -> Vec<FunctionAlarm> {
    let mut alarms = Vec::new();
    for metric in ["Errors", "Throttles"] {
        for &resource in RESOURCES {
            for (n, group) in resource.list.chunks(FUNCTIONS_OF_AN_ALARM).enumerate() {
                let number = if n == 0 { String::new() } else { (n + 1).to_string() };
                alarms.push(FunctionAlarm {
                    name: format!("{}Function{metric}{number}", resource.resource),
                    metric,
                    resource,
                    functions: group.iter().map(|endpoint| logical_id(endpoint)).collect(),
                });
            }
        }
    }
    alarms
}

impl FunctionAlarm {
    fn meaning(&self) -> String {
        let of = self.resource.resource.to_lowercase();
        match self.metric {
            "Errors" => format!("A function of {of} crashed or timed out"),
            _ => format!("Lambda throttled a function of {of}, since no concurrency was left"),
        }
    }

    fn yaml(&self) -> String {
        let mut text = format!(
            "  {name}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: !Sub docyard-access-${{Stage}}-{name}
      AlarmDescription: {}
      AlarmActions: [!Ref AlarmTopic]
      OKActions: [!Ref AlarmTopic]
      ComparisonOperator: GreaterThanThreshold
      Threshold: 0
      EvaluationPeriods: 5
      DatapointsToAlarm: 2
      TreatMissingData: notBreaching
      Metrics:
        - {{Id: total, Expression: SUM(METRICS())}}\n",
            self.meaning(),
            name = self.name,
        );
        for (n, function) in self.functions.iter().enumerate() {
            writeln!(
                text,
                "        - {{Id: f{}, ReturnData: false, MetricStat: {{Stat: Sum, Period: 60, Metric: {{Namespace: AWS/Lambda, MetricName: {}, Dimensions: [{{Name: FunctionName, Value: !Ref {function}}}]}}}}}}",
                n + 1,
                self.metric,
            )
            .unwrap();
        }
        text
    }

    fn documentation(&self) -> String {
        let advice = match self.metric {
            "Errors" => {
                "Lambda's own lines: `filter type like /^platform/ \\| display record.requestId, record.status`; and `filter message like /cannot start/`. Go back to the version before"
            }
            _ => {
                "callers got a 503 from API Gateway. What else in the account took its concurrency? Raise the account's quota"
            }
        };
        let meaning = self.meaning().replacen("A function", "a function", 1);
        format!("| `{}` | {meaning} | {advice} |\n", self.name)
    }
}

fn template() -> String {
    const FILE: &str = "template.yaml";
    let alarms = function_alarms();
    let functions: Vec<String> = endpoints::all().map(function).collect();
    let text = between(FILE, &read(FILE), &["# functions (generated)"], "# end", &functions.join("\n"));
    let alarm_blocks: Vec<String> = alarms.iter().map(FunctionAlarm::yaml).collect();
    let text =
        between(FILE, &text, &["# alarms on functions (generated)"], "# end", &alarm_blocks.join("\n"));
    // JSON has no comments, so the rows of the dashboard stand between its own lines.
    let rows: String =
        alarms.iter().map(|alarm| format!("                \"${{{}.Arn}}\",\n", alarm.name)).collect();
    let text = between(
        FILE,
        &text,
        &["DashboardBody", "\"${SlowRequests.Arn}\""],
        "\"${TableThrottles.Arn}\"",
        &rows,
    );
    let row = |metric: &str, style: &str| {
        endpoints::all()
            .map(|endpoint| {
                let id = logical_id(endpoint);
                format!("                [\"AWS/Lambda\", \"{metric}\", \"FunctionName\", \"${{{id}}}\", {{\"stat\": \"Sum\"{style}}}]")
            })
            .collect::<Vec<_>>()
    };
    let rows = [row("Errors", ""), row("Throttles", ", \"yAxis\": \"right\"")].concat().join(",\n") + "\n";
    between(FILE, &text, &["\"title\": \"Functions: ", "\"metrics\": ["], "]}}", &rows)
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || [' ', '-', '_'].contains(&c);
    heading.to_lowercase().replace(|c: char| !kept(c), "").replace(' ', "-")
}

fn api_page() -> String {
    const FILE: &str = "docs/api.md";
    let page = read(FILE);
    let mut rows = String::from("| | |\n|---|---|\n");
    for endpoint in endpoints::all() {
        let heading = endpoint.description;
        assert!(page.contains(&format!("\n### {heading}\n")), "{FILE} needs a section \"### {heading}\"");
        writeln!(rows, "| `{}` | [{heading}](#{}) |", endpoint.route, anchor(heading)).unwrap();
    }
    between(FILE, &page, &["<!-- endpoints (generated) -->"], "<!-- end -->", &rows)
}

fn operations_page() -> String {
    const FILE: &str = "docs/operations.md";
    let rows: String = function_alarms().iter().map(FunctionAlarm::documentation).collect();
    let from = ["| alarm | means | do |", "| `SlowRequests`"];
    between(FILE, &read(FILE), &from, "| `TableThrottles`", &rows)
}

async fn costs_page() -> String {
    const FILE: &str = "docs/costs.md";
    let account = Account::new().await;
    let measured = costs::measure(&account, async |case, url, event, proxy| {
        let store = Store::new(docyard_core::aws::dynamodb::local_client(url), TABLE);
        let context = Context::new(store, Mode::Live, Clock::system());
        let api = Api::new(context.with_objects(bucket::objects_beside(url)));
        proxy.expect_calls(case.calls.unwrap_or_default());
        let reply = api.invoke(case.endpoint(), event).await;
        assert_eq!(reply.status, case.status, "{}: {}", case.name(), reply.shown());
    });
    let rows: String = measured.await.iter().map(|(case, units)| costs::row(case, *units) + "\n").collect();
    between(FILE, &read(FILE), &["<!-- requests (generated) -->", "|---|"], "<!-- end -->", &rows)
}

/// Every generated file and what it should contain.
async fn expected() -> BTreeMap<String, String> {
    const CARGO: &str = "# endpoints (generated)";
    let mut files = BTreeMap::new();
    for endpoint in endpoints::all() {
        files.insert(format!("functions/src/bin/{}.rs", endpoint.name), BINARY.to_owned());
    }
    for (file, written) in [("functions/Cargo.toml", cargo_binaries()), ("Cargo.toml", watch_router())] {
        files.insert(file.to_owned(), between(file, &read(file), &[CARGO], "# end", &written));
    }
    files.insert("template.yaml".to_owned(), template());
    files.insert("openapi.yaml".to_owned(), openapi::yaml().unwrap());
    files.insert("docs/api.md".to_owned(), api_page());
    files.insert("docs/operations.md".to_owned(), operations_page());
    files.insert("docs/costs.md".to_owned(), costs_page().await);
    files
}

/// The binaries of endpoints that no longer exist.
fn stale_binaries(files: &BTreeMap<String, String>) -> Vec<String> {
    let binaries = std::fs::read_dir(root().join("functions/src/bin")).unwrap();
    let names =
        binaries.map(|file| format!("functions/src/bin/{}", file.unwrap().file_name().to_str().unwrap()));
    let is_by_hand = |name: &String| {
        [worker::NAME, sealer::NAME].iter().any(|by_hand| *name == format!("functions/src/bin/{by_hand}.rs"))
    };
    names.filter(|name| !files.contains_key(name) && !is_by_hand(name)).collect()
}

/// Prints a line past the test runner, which keeps what a successful test prints.
#[expect(clippy::explicit_write, reason = "the test runner captures what `eprintln!` prints")]
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

#[tokio::test]
async fn every_generated_file_is_up_to_date() {
    let files = expected().await;
    let current = |file: &String| std::fs::read_to_string(root().join(file)).unwrap_or_default();
    let mut stale: Vec<&String> =
        files.iter().filter(|(file, text)| current(file) != **text).map(|(file, _)| file).collect();
    let orphans = stale_binaries(&files);
    if std::env::var_os("UPDATE").is_some() {
        for file in stale {
            std::fs::write(root().join(file), &files[file]).unwrap();
            say(&format!("wrote {file}"));
        }
        for file in orphans {
            std::fs::remove_file(root().join(&file)).unwrap();
            say(&format!("removed {file}"));
        }
        return;
    }
    stale.extend(&orphans);
    assert!(stale.is_empty(), "stale: {stale:?}; write them with: {COMMAND}");
}
