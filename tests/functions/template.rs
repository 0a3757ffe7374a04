//! `template.yaml` against the code: each endpoint has one function, one route, one set of permissions, and they agree
//! with what the code says and does.

use std::collections::{BTreeMap, BTreeSet};

use docyard_core::model::audit::DEFAULT_RETENTION_DAYS;
use docyard_core::model::submission::MIN_KEY_BYTES;
use docyard_core::store::{Partition, UPLOAD_MINUTES};
use docyard_functions::endpoint::Need;
use docyard_functions::endpoints::{self, RESOURCES};
use docyard_functions::lambda::service::TIME_LIMIT;
use docyard_functions::metrics::{ALL, AUDIT_ALTERATIONS, DIMENSION, NAMESPACE};
use docyard_functions::route::parameter;
use docyard_functions::{sealer, worker};
use docyard_test_support::table::{TABLE, TestTable};
use docyard_test_support::{iam, read, root};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

pub(super) fn template() -> Yaml<'static> {
    let text = read("template.yaml");
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

/// The functions of endpoints in the template, by the binary they are built from.
pub(super) fn functions<'a>(template: &'a Yaml) -> BTreeMap<String, (&'a str, &'a Yaml<'a>)> {
    let mut functions = all_functions(template);
    for (binary, function) in [(worker::NAME, WORKER), (sealer::NAME, SEALER)] {
        assert!(functions.remove(binary).is_some_and(|(name, _)| name == function));
    }
    functions
}

/// The worker's name in the template.
pub(super) const WORKER: &str = "WorkerFunction";

/// The sealer's name in the template.
pub(super) const SEALER: &str = "SealerFunction";

fn all_functions<'a>(template: &'a Yaml) -> BTreeMap<String, (&'a str, &'a Yaml<'a>)> {
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
fn every_endpoint_has_a_binary_and_a_function_of_its_name() {
    let names: BTreeSet<String> = endpoints::all().map(|endpoint| endpoint.name.to_owned()).collect();
    assert_eq!(names.len(), endpoints::all().count(), "no name is there twice");
    let template = template();
    let functions = functions(&template);
    assert_eq!(functions.keys().cloned().collect::<BTreeSet<_>>(), names, "functions of the template");
    let binaries: BTreeSet<String> = std::fs::read_dir(root().join("functions/src/bin"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| ![worker::NAME, sealer::NAME].contains(&name.as_str()))
        .collect();
    assert_eq!(binaries, names, "binaries");
    for (binary, (name, _)) in functions {
        let expected: String =
            binary.split('-').map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..])).collect();
        assert_eq!(name, format!("{expected}Function"));
        // A main of its own could serve another endpoint under the right name.
        let main = read(&format!("functions/src/bin/{binary}.rs"));
        assert!(
            main.ends_with(
                r#"const ENDPOINT: &Endpoint = endpoints::named(env!("CARGO_BIN_NAME"));

fn main() -> std::process::ExitCode {
    lambda::runtime::run(ENDPOINT)
}
"#
            ),
            "{binary}"
        );
    }
}

#[test]
fn no_two_routes_are_the_same() {
    let routes: BTreeSet<String> = endpoints::all()
        .map(|endpoint| {
            // Parameters of different names do not make different routes.
            let segments = endpoint.route.path.split('/');
            let path: Vec<&str> =
                segments.map(|segment| if parameter(segment).is_some() { "{}" } else { segment }).collect();
            format!("{} {}", endpoint.route.method.as_str(), path.join("/"))
        })
        .collect();
    assert_eq!(routes.len(), endpoints::all().count(), "{routes:?}");
}

#[test]
fn every_route_leads_to_its_function() {
    let template = template();
    let functions = functions(&template);
    for endpoint in endpoints::all() {
        let (name, function) = functions[endpoint.name];
        let events = function["Properties"]["Events"].as_mapping().unwrap();
        assert_eq!(events.len(), 1, "{name} has one route");
        let event = events.values().next().unwrap();
        assert_eq!(text(&event["Type"]), "HttpApi");
        let properties = &event["Properties"];
        assert_eq!(short_form(&properties["ApiId"]), ("Ref", "Api"));
        let route = format!("{} {}", text(&properties["Method"]), text(&properties["Path"]));
        assert_eq!(route, endpoint.route.to_string());
        assert_eq!(text(&properties["PayloadFormatVersion"]), "2.0");
    }
}

#[test]
fn cargo_lambda_watch_has_the_same_routes() {
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut watched = BTreeSet::new();
    for (path, functions) in metadata["metadata"]["lambda"]["watch"]["router"].as_object().unwrap() {
        for function in functions.as_array().unwrap() {
            let (name, method) =
                (function["function"].as_str().unwrap(), function["method"].as_str().unwrap());
            watched.insert((format!("{method} {path}"), name.to_owned()));
        }
    }
    assert_eq!(
        watched,
        endpoints::all().map(|endpoint| (endpoint.route.to_string(), endpoint.name.to_owned())).collect()
    );
}

#[test]
fn a_function_has_the_environment_that_it_reads_and_the_time_that_it_takes() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    let variables = &globals["Environment"]["Variables"];
    assert_eq!(short_form(&variables["TABLE_NAME"]), ("Ref", "Table"));
    assert_eq!(short_form(&variables["DOCYARD_MODE"]), ("Ref", "Mode"));
    assert_eq!(short_form(&variables["STAGE"]), ("Ref", "Stage"));
    assert_eq!(short_form(&variables["AUDIT_RETENTION_DAYS"]), ("Ref", "AuditRetentionDays"));
    let retention = &template["Parameters"]["AuditRetentionDays"];
    assert_eq!(retention["Default"].as_integer(), Some(DEFAULT_RETENTION_DAYS.into()));
    assert_eq!(retention["MaxValue"].as_integer(), Some(36_500));
    assert!(matches!(&variables["AWS_ENDPOINT_URL_DYNAMODB"], Yaml::Tagged(tag, _) if tag.suffix == "If"));
    assert_eq!(variables.as_mapping().unwrap().len(), 5);
    for (binary, (name, function)) in functions(&template) {
        let own = function["Properties"].as_mapping_get("Environment");
        let needs = !endpoints::named(&binary).needs.is_empty();
        assert_eq!(own.is_some(), needs, "{name} has the variables that it needs, and no other");
        let Some(own) = own else { continue };
        let variables = own["Variables"].as_mapping().unwrap().iter();
        let variables = variables.map(|(variable, value)| (text(variable), short_form(value)));
        let needed = endpoints::named(&binary).needs.iter().map(|need| match need {
            Need::SubmissionKey => ("SUBMISSION_KEY", ("Sub", "{{resolve:secretsmanager:${SubmissionKey}}}")),
            Need::DeleteObject | Need::GetObject | Need::HeadObject | Need::PutObject => {
                ("BUCKET_NAME", ("Ref", "Bucket"))
            }
        });
        assert_eq!(variables.collect::<BTreeSet<_>>(), needed.collect(), "{name}");
    }
    let key = &template["Resources"]["SubmissionKey"]["Properties"]["GenerateSecretString"];
    assert!(key["PasswordLength"].as_integer().unwrap() >= MIN_KEY_BYTES as i64);
    assert_eq!(text(&globals["CodeUri"]), "functions/");
    let timeout = globals["Timeout"].as_integer().unwrap();
    assert!(timeout > TIME_LIMIT.as_secs() as i64, "a function answers by itself before Lambda ends it");
    assert!(timeout < 30, "and Lambda ends it before API Gateway gives up");
}

/// The operations of DynamoDB that the functions call.
pub(super) const OPERATIONS: &[&str] =
    &["BatchGetItem", "BatchWriteItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"];

/// IAM actions, each with the partitions that it is allowed on.
pub(super) type Permissions = BTreeSet<(String, String)>;

/// What a function's role allows.
pub(super) fn permissions(function: &Yaml) -> Permissions {
    let policies = function["Properties"].as_mapping_get("Policies");
    let policies = policies.map(|policies| policies.as_sequence().unwrap());
    policies.into_iter().flatten().flat_map(allowed).collect()
}

/// What a policy allows.
pub(super) fn allowed(policy: &Yaml) -> Permissions {
    let mut allowed = BTreeSet::new();
    for statement in policy["Statement"].as_sequence().unwrap() {
        assert_eq!(text(&statement["Effect"]), "Allow");
        let actions = statement["Action"].as_sequence().unwrap().iter().map(text);
        let on_bucket = match short_form(&statement["Resource"]) {
            ("Sub", "${Bucket.Arn}/*" | "${SealedBucket.Arn}/*") => Some(iam::OBJECTS),
            ("GetAtt", "Bucket.Arn" | "SealedBucket.Arn") => Some(iam::BUCKET),
            _ => None,
        };
        if let Some(resource) = on_bucket {
            assert!(statement.as_mapping_get("Condition").is_none());
            allowed.extend(actions.map(|action| (action.to_owned(), resource.to_owned())));
            continue;
        }
        assert_eq!(short_form(&statement["Resource"]), ("GetAtt", "Table.Arn"));
        assert_eq!(statement["Condition"].as_mapping().unwrap().len(), 1);
        let keys = &statement["Condition"]["ForAllValues:StringLike"];
        assert_eq!(keys.as_mapping().unwrap().len(), 1);
        for action in statement["Action"].as_sequence().unwrap() {
            for partition in keys["dynamodb:LeadingKeys"].as_sequence().unwrap() {
                allowed.insert((text(action).to_owned(), text(partition).to_owned()));
            }
        }
    }
    allowed
}

/// The resources and actions of a policy's statements.
fn statements_of<'a>(policy: &'a Yaml) -> Vec<((&'a str, &'a str), Vec<String>)> {
    let statements = policy["Statement"].as_sequence().unwrap().iter();
    let statement = |statement: &'a Yaml| {
        let actions = statement["Action"].as_sequence().unwrap().iter();
        let actions = actions.map(|action| text(action).to_owned()).collect();
        (short_form(&statement["Resource"]), actions)
    };
    statements.map(statement).collect()
}

/// What a mapping does in its function's name.
fn reads_of_stream() -> Vec<String> {
    let actions = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
    actions.iter().map(|action| format!("dynamodb:{action}")).collect()
}

/// The sealer has no table and no more of its bucket than to add to it; and its mapping gives nothing up.
#[test]
fn the_sealer_reads_the_stream_alone_and_its_mapping_never_gives_up() {
    let template = template();
    let resources = &template["Resources"];
    let function = &resources[SEALER]["Properties"];
    let policies = function["Policies"].as_sequence().unwrap();
    assert_eq!(policies.len(), 2, "its own, and the mapping's");
    let of_objects = vec!["s3:GetObject".to_owned(), "s3:PutObject".to_owned()];
    assert_eq!(
        statements_of(&policies[0]),
        [
            (("Sub", "${SealedBucket.Arn}/*"), of_objects),
            (("GetAtt", "SealedBucket.Arn"), vec!["s3:ListBucket".to_owned()]),
        ]
    );
    assert_eq!(statements_of(&policies[1]), [(("Sub", "${Table.Arn}/stream/*"), reads_of_stream())]);
    assert_eq!(short_form(&function["Environment"]["Variables"]["BUCKET_NAME"]), ("Ref", "SealedBucket"));

    let mapping = &resources["SealerMapping"]["Properties"];
    assert_eq!(short_form(&mapping["FunctionName"]), ("Ref", SEALER));
    assert_eq!(short_form(&mapping["EventSourceArn"]), ("GetAtt", "Table.StreamArn"));
    assert_eq!(mapping["MaximumRetryAttempts"].as_integer(), Some(-1), "without end");
    assert_eq!(mapping["MaximumRecordAgeInSeconds"].as_integer(), Some(-1), "however old");
    assert!(mapping.as_mapping_get("DestinationConfig").is_none(), "there is nothing that it gives up");
    let filters = mapping["FilterCriteria"]["Filters"].as_sequence().unwrap();
    assert_eq!(filters.len(), 1);
    let pattern: Value = serde_json::from_str(text(&filters[0]["Pattern"])).unwrap();
    let prefixes = [Partition::Audit, Partition::AuditEntity];
    let prefixes = prefixes.map(|partition| json!({"prefix": format!("{}#", partition.name())}));
    assert_eq!(
        pattern,
        json!({"dynamodb": {"Keys": {"pk": {"S": prefixes}}}}),
        "all of the trail, whatever is done to it"
    );
}

/// The properties of a bucket, which outlives its stack, is closed to the public, and encrypts.
fn kept_and_private<'a>(bucket: &'a Yaml<'a>) -> &'a Yaml<'a> {
    assert_eq!((text(&bucket["DeletionPolicy"]), text(&bucket["UpdateReplacePolicy"])), ("Retain", "Retain"));
    let properties = &bucket["Properties"];
    let access = properties["PublicAccessBlockConfiguration"].as_mapping().unwrap();
    assert_eq!(
        (access.len(), access.values().all(|is_blocked| is_blocked.as_bool() == Some(true))),
        (4, true)
    );
    let encryption = &properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(text(&encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"]), "AES256");
    assert_eq!(text(&properties["OwnershipControls"]["Rules"][0]["ObjectOwnership"]), "BucketOwnerEnforced");
    properties
}

#[test]
fn the_sealed_bucket_is_locked_for_as_long_as_entries_are_kept_and_nothing_in_it_is_replaced_or_hidden() {
    let template = template();
    let bucket = &template["Resources"]["SealedBucket"];
    let properties = kept_and_private(bucket);
    assert_eq!(properties["ObjectLockEnabled"].as_bool(), Some(true));
    let retention = &properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"];
    assert_eq!(short_form(&retention["Days"]), ("Ref", "AuditRetentionDays"));
    let Yaml::Tagged(tag, mode) = &retention["Mode"] else { panic!("{retention:?}") };
    let mode: Vec<&str> = mode.as_sequence().unwrap().iter().map(text).collect();
    assert_eq!((tag.suffix.as_str(), mode), ("If", vec!["IsLive", "COMPLIANCE", "GOVERNANCE"]));
    let expires = &properties["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"];
    assert_eq!(short_form(expires), ("Ref", "AuditRetentionDays"));
    let denied: BTreeSet<(&str, &str)> =
        template["Resources"]["SealedBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
            .as_sequence()
            .unwrap()
            .iter()
            .map(|statement| {
                assert_eq!((text(&statement["Effect"]), text(&statement["Principal"])), ("Deny", "*"));
                (text(&statement["Sid"]), text(&statement["Action"]))
            })
            .collect();
    let expected =
        [("TlsAlone", "s3:*"), ("NewObjectsAlone", "s3:PutObject"), ("NoDeletions", "s3:DeleteObject")];
    assert_eq!(denied, BTreeSet::from(expected));
}

/// What the worker's code does, its role may do; and what its mapping lets through, it works on.
#[test]
fn the_worker_has_a_role_a_mapping_and_a_queue_of_its_own() {
    let template = template();
    let resources = &template["Resources"];
    let function = &resources[WORKER]["Properties"];
    let policies = function["Policies"].as_sequence().unwrap();
    assert_eq!(policies.len(), 2, "its own, and the mapping's");
    let declared = worker::GRANTS.iter().flat_map(|grant| {
        let action = format!("dynamodb:{:?}", grant.action);
        grant.partitions.iter().map(move |on| (action.clone(), format!("{}#*", on.name())))
    });
    let declared: Permissions =
        declared.chain([("s3:DeleteObject".to_owned(), iam::OBJECTS.to_owned())]).collect();
    assert_eq!(allowed(&policies[0]), declared);
    let reads = reads_of_stream();
    let statements = [(("GetAtt", "WorkerFailures.Arn"), vec!["sqs:SendMessage".to_owned()])];
    let expected: Vec<_> =
        [(("Sub", "${Table.Arn}/stream/*"), reads)].into_iter().chain(statements).collect();
    assert_eq!(statements_of(&policies[1]), expected);

    let stream = &resources["Table"]["Properties"]["StreamSpecification"];
    assert_eq!(text(&stream["StreamViewType"]), "NEW_AND_OLD_IMAGES");
    let mapping = &resources["WorkerMapping"]["Properties"];
    assert_eq!(short_form(&mapping["FunctionName"]), ("Ref", WORKER));
    assert_eq!(short_form(&mapping["EventSourceArn"]), ("GetAtt", "Table.StreamArn"));
    assert_eq!(text(&mapping["FunctionResponseTypes"][0]), "ReportBatchItemFailures");
    assert_eq!(mapping["BisectBatchOnFunctionError"].as_bool(), Some(true));
    assert_eq!(mapping["MaximumRetryAttempts"].as_integer(), Some(worker::MAX_ATTEMPTS.into()));
    let oldest = i64::try_from(worker::MAX_AGE.as_secs()).unwrap();
    assert_eq!(mapping["MaximumRecordAgeInSeconds"].as_integer(), Some(oldest));
    assert_eq!(
        short_form(&mapping["DestinationConfig"]["OnFailure"]["Destination"]),
        ("GetAtt", "WorkerFailures.Arn")
    );
    let patterns = mapping["FilterCriteria"]["Filters"].as_sequence().unwrap().iter();
    let patterns: Vec<Value> =
        patterns.map(|it| serde_json::from_str(text(&it["Pattern"])).unwrap()).collect();
    assert_eq!(
        patterns,
        [
            json!({"eventName": ["INSERT"], "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "CLEANUP#"}]}}}}),
            json!({
                "eventName": ["REMOVE"], "userIdentity": {"principalId": ["dynamodb.amazonaws.com"]},
                "dynamodb": {"Keys": {"sk": {"S": ["ARTIFACT"]}}},
            }),
            json!({
                "eventName": ["INSERT", "MODIFY"],
                "dynamodb": {
                    "Keys": {"sk": {"S": ["JOB"]}}, "NewImage": {"status": {"S": ["PENDING", "PROCESSING"]}},
                },
            }),
        ]
    );
    assert_eq!(text(&function["Events"]["Sweep"]["Properties"]["Schedule"]), "rate(5 minutes)");
}

#[test]
fn the_bucket_is_private_encrypted_unversioned_and_reached_over_tls_by_fresh_signatures_alone() {
    let template = template();
    let bucket = &template["Resources"]["Bucket"];
    let properties = kept_and_private(bucket);
    assert!(properties.as_mapping_get("VersioningConfiguration").is_none());
    for rule in properties["LifecycleConfiguration"]["Rules"].as_sequence().unwrap() {
        assert!(rule.as_mapping_get("ExpirationInDays").is_none(), "no rule deletes an object by its age");
    }
    let policy = &template["Resources"]["BucketPolicy"]["Properties"];
    assert_eq!(short_form(&policy["Bucket"]), ("Ref", "Bucket"));
    let denied: BTreeMap<&str, (&str, &str)> = policy["PolicyDocument"]["Statement"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|statement| {
            assert_eq!((text(&statement["Effect"]), text(&statement["Principal"])), ("Deny", "*"));
            let of_puts = text(&statement["Sid"]) == "NewObjectsAlone";
            assert_eq!(text(&statement["Action"]), if of_puts { "s3:PutObject" } else { "s3:*" });
            let (operator, condition) = statement["Condition"].as_mapping().unwrap().iter().next().unwrap();
            let (key, value) = condition.as_mapping().unwrap().iter().next().unwrap();
            (text(operator), (text(key), text(value)))
        })
        .collect();
    let upload = (u64::from(UPLOAD_MINUTES) * 60 * 1000).to_string();
    assert_eq!(
        denied,
        BTreeMap::from([
            ("Bool", ("aws:SecureTransport", "false")),
            ("Null", ("s3:if-none-match", "true")),
            ("NumericGreaterThan", ("s3:signatureAge", upload.as_str())),
        ])
    );
}

/// The functions whose metric of this name an alarm adds up.
fn referenced_functions(metrics: &Yaml, metric: &str) -> BTreeSet<String> {
    let stats = metrics.as_sequence().unwrap().iter().filter_map(|entry| entry.as_mapping_get("MetricStat"));
    stats
        .map(|stat| &stat["Metric"])
        .filter(|entry| entry["MetricName"].as_str() == Some(metric))
        .map(|entry| short_form(&entry["Dimensions"][0]["Value"]).1.to_owned())
        .collect()
}

/// The alarms of the template by their names.
fn alarms<'a>(template: &'a Yaml) -> BTreeMap<&'a str, &'a Yaml<'a>> {
    let resources = template["Resources"].as_mapping().unwrap().iter();
    resources
        .filter(|(_, resource)| text(&resource["Type"]) == "AWS::CloudWatch::Alarm")
        .map(|(name, alarm)| (text(name), &alarm["Properties"]))
        .collect()
}

#[test]
fn alarms_and_dashboard_cover_every_function_and_every_metric() {
    let template = template();
    let names: BTreeSet<String> = functions(&template).values().map(|(name, _)| (*name).to_owned()).collect();
    let alarms = alarms(&template);
    let (_, dashboard) = short_form(&template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]);
    let body: Value = serde_json::from_str(dashboard).unwrap();
    let widgets = body["widgets"].as_array().unwrap();
    let shown: Vec<&Value> =
        widgets.iter().filter_map(|widget| widget["properties"]["metrics"].as_array()).flatten().collect();
    for metric in ["Errors", "Throttles"] {
        let watched: Vec<String> = alarms
            .values()
            .filter_map(|alarm| Some(referenced_functions(alarm.as_mapping_get("Metrics")?, metric)))
            .flatten()
            .collect();
        assert_eq!(watched.len(), names.len(), "an alarm on {metric} watches each function once");
        assert_eq!(watched.into_iter().collect::<BTreeSet<_>>(), names, "alarms on {metric}");
        let on_dashboard = names
            .iter()
            .all(|name| shown.iter().any(|shown| shown[1] == metric && shown[3] == format!("${{{name}}}")));
        assert!(on_dashboard, "{metric} of every function is on the dashboard");
    }
    for &metric in ALL {
        assert!(
            shown.iter().any(|shown| shown[0] == NAMESPACE && shown[1] == metric),
            "{metric} is on the dashboard"
        );
    }
    for shown in shown.iter().filter(|shown| shown[0] == NAMESPACE) {
        assert!(ALL.iter().any(|metric| shown[1] == *metric), "{shown} is measured");
        assert_eq!((&shown[2], &shown[3]), (&json!(DIMENSION), &json!("${Stage}")));
    }
    for (name, alarm) in &alarms {
        assert_eq!(short_form(&alarm["AlarmActions"][0]), ("Ref", "AlarmTopic"), "{name}");
        assert_eq!(short_form(&alarm["AlarmName"]).1, format!("docyard-access-${{Stage}}-{name}"));
        assert!(dashboard.contains(&format!("\"${{{name}.Arn}}\"")), "{name} is on the dashboard");
    }
}

/// The metrics that an alarm reads.
fn metrics<'a>(alarm: &'a Yaml<'a>) -> Vec<&'a Yaml<'a>> {
    match alarm.as_mapping_get("Metrics").and_then(Yaml::as_sequence) {
        Some(metrics) => {
            metrics.iter().filter_map(|entry| Some(&entry.as_mapping_get("MetricStat")?["Metric"])).collect()
        }
        None => vec![alarm],
    }
}

/// What an alarm watches: the metrics, by namespace and name, each with its dimensions but for those of functions.
fn watched(alarm: &Yaml) -> BTreeSet<String> {
    let dimension = |dimension: &Yaml| match &dimension["Value"] {
        Yaml::Tagged(_, value) if text(value).ends_with("Function") => "a function".to_owned(),
        Yaml::Tagged(_, value) => text(value).to_owned(),
        other => text(other).to_owned(),
    };
    let describe = |metric: &&Yaml| {
        let dimensions = metric["Dimensions"].as_sequence().unwrap().iter();
        let dimensions: Vec<String> =
            dimensions.map(|of| format!("{} {}", text(&of["Name"]), dimension(of))).collect();
        format!("{} {} of {}", text(&metric["Namespace"]), text(&metric["MetricName"]), dimensions.join(", "))
    };
    metrics(alarm).iter().map(describe).collect()
}

/// Whether an alarm is the one of a resource's functions, or the second, third, … if it has more than ten.
fn is_on_functions(alarm: &str, metric: &str) -> bool {
    RESOURCES.iter().any(|resource| {
        let number = alarm.strip_prefix(&format!("{}Function{metric}", resource.resource));
        number.is_some_and(|number| number.is_empty() || number.parse::<usize>().is_ok_and(|n| n > 1))
    })
}

#[test]
fn alarms_watch_metrics_that_aws_publishes() {
    let template = template();
    let expected = |alarm: &str| -> BTreeSet<String> {
        let of_function = |metric: &str| vec![format!("AWS/Lambda {metric} of FunctionName a function")];
        let of_table = |metric: &str| format!("AWS/DynamoDB {metric} of TableName Table");
        let of_api = |metric: &str| format!("AWS/ApiGateway {metric} of ApiId Api");
        let metrics = match alarm {
            "ServerErrors" => vec![of_api("5xx"), of_api("Count")],
            "SlowRequests" => vec![of_api("Latency")],
            "WorkerErrors" | "SealerErrors" => of_function("Errors"),
            "WorkerBehind" | "SealerBehind" => of_function("IteratorAge"),
            "AuditTrailAltered" => vec![format!("{NAMESPACE} {AUDIT_ALTERATIONS} of {DIMENSION} Stage")],
            "WorkerGaveUp" => vec![
                "AWS/SQS ApproximateNumberOfMessagesVisible of QueueName WorkerFailures.QueueName".to_owned(),
            ],
            "TableThrottles" => vec![of_table("ReadThrottleEvents"), of_table("WriteThrottleEvents")],
            "TableSystemErrors" => OPERATIONS
                .iter()
                .map(|operation| format!("{}, Operation {operation}", of_table("SystemErrors")))
                .collect(),
            _ if is_on_functions(alarm, "Errors") => of_function("Errors"),
            _ if is_on_functions(alarm, "Throttles") => of_function("Throttles"),
            _ => panic!("what {alarm} should watch is not known"),
        };
        metrics.into_iter().collect()
    };
    for (name, alarm) in alarms(&template) {
        assert_eq!(watched(alarm), expected(name), "{name}");
        assert!(metrics(alarm).len() <= 10, "{name}: CloudWatch adds up ten metrics at most");
        let periods = |name: &str| alarm[name].as_integer().unwrap_or_else(|| panic!("{name} is no number"));
        assert!((1..=periods("EvaluationPeriods")).contains(&periods("DatapointsToAlarm")), "{name}");
        // Without requests nothing is wrong.
        assert_eq!(text(&alarm["TreatMissingData"]), "notBreaching");
    }
}

#[test]
fn the_page_on_operations_names_every_alarm_and_parameter_and_no_other() {
    let template = template();
    let page = read("docs/operations.md");
    let first_column = |heading: &str| -> BTreeSet<String> {
        let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        rows.map(|(name, _)| name.to_owned()).collect()
    };
    let alarms: BTreeSet<String> = alarms(&template).keys().map(|&name| name.to_owned()).collect();
    assert_eq!(first_column("Alarms"), alarms);
    let parameters = template["Parameters"].as_mapping().unwrap().keys().map(|name| text(name).to_owned());
    assert_eq!(first_column("Deploy"), parameters.collect());
}

#[test]
fn the_table_is_kept_and_can_be_restored() {
    let template = template();
    let table = &template["Resources"]["Table"];
    assert_eq!((text(&table["DeletionPolicy"]), text(&table["UpdateReplacePolicy"])), ("Retain", "Retain"));
    let properties = &table["Properties"];
    assert_eq!(
        properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"].as_bool(),
        Some(true)
    );
    assert_eq!(properties["SSESpecification"]["SSEEnabled"].as_bool(), Some(true));
    assert_eq!(properties["DeletionProtectionEnabled"].as_bool(), Some(true));
}

#[test]
fn what_must_not_starve_others_has_a_limit_of_its_own_and_access_logs_hold_nothing_that_a_client_sends() {
    let template = template();
    let api = &template["Resources"]["Api"]["Properties"];
    let default = template["Parameters"]["RequestsPerSecond"]["Default"].as_integer().unwrap();
    assert_eq!(short_form(&api["DefaultRouteSettings"]["ThrottlingRateLimit"]), ("Ref", "RequestsPerSecond"));
    for limited in ["verify-secret", "issue-token", "revoke-token", "create-recipient"] {
        let route = endpoints::named(limited).route.to_string();
        let limits = &api["RouteSettings"][route.as_str()];
        for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
            assert!(limits[limit].as_integer().unwrap() < default, "{limit} of {limited}");
        }
    }
    let Yaml::Tagged(tag, only_domain) = &api["DisableExecuteApiEndpoint"] else { panic!("not an !If") };
    assert_eq!((tag.suffix.as_str(), only_domain[0].as_str()), ("If", Some("HasDomainName")));
    assert_eq!((only_domain[1].as_bool(), only_domain[2].as_bool()), (Some(true), Some(false)));
    assert!(api.as_mapping().unwrap().keys().all(|key| text(key) != "CorsConfiguration"));
    let format: BTreeMap<String, String> =
        serde_json::from_str(text(&api["AccessLogSettings"]["Format"])).unwrap();
    let values: BTreeSet<&str> = format.values().map(String::as_str).collect();
    let harmless = [
        "$context.requestId",
        "$context.requestTime",
        "$context.identity.sourceIp",
        "$context.routeKey",
        "$context.status",
        "$context.responseLatency",
        "$context.integrationLatency",
        "$context.responseLength",
        "$context.error.message",
        "$context.integrationErrorMessage",
    ];
    assert_eq!(values, BTreeSet::from(harmless));
}

/// What a rule demands, where its condition holds: the parameters that its assertions name.
fn demanded<'a>(rule: &'a Yaml<'a>) -> (String, Vec<String>) {
    // `!Not [!Equals [!Ref A, ""]]`, or `!Ref B` in place of the empty text.
    let refs = |condition: &Yaml| -> Vec<String> {
        let Yaml::Tagged(not, not_of) = condition else { panic!("no condition: {condition:?}") };
        let Yaml::Tagged(equals, sides) = &not_of[0] else { panic!("no comparison: {not_of:?}") };
        assert_eq!((not.suffix.as_str(), equals.suffix.as_str()), ("Not", "Equals"));
        let sides = sides.as_sequence().unwrap().iter();
        sides
            .filter(|side| matches!(side, Yaml::Tagged(..)))
            .map(|side| short_form(side).1.to_owned())
            .collect()
    };
    let condition = refs(&rule["RuleCondition"]);
    let assertions = rule["Assertions"].as_sequence().unwrap().iter();
    (condition[0].clone(), assertions.map(|it| refs(&it["Assert"]).join(" is not ")).collect())
}

#[test]
fn institutions_have_a_domain_name_of_their_own_with_all_that_it_needs() {
    let template = template();
    let rules: BTreeMap<String, Vec<String>> =
        template["Rules"].as_mapping().unwrap().values().map(demanded).collect();
    let expected = [
        ("DomainName", vec!["CertificateArn"]),
        ("TruststoreUri", vec!["DomainName"]),
        (
            "MutualTlsDomainName",
            vec![
                "MutualTlsCertificateArn",
                "MutualTlsTruststoreUri",
                "MutualTlsDomainName is not DomainName",
            ],
        ),
        ("MutualTlsTruststoreUri", vec!["MutualTlsDomainName"]),
        ("MutualTlsCertificateArn", vec!["MutualTlsDomainName"]),
        ("CertificateArn", vec!["DomainName"]),
    ];
    let expected =
        expected.map(|(of, demanded)| (of.to_owned(), demanded.into_iter().map(str::to_owned).collect()));
    assert_eq!(rules, expected.into());

    let resources = &template["Resources"];
    let domain = &resources["MutualTlsDomain"];
    let truststore = &domain["Properties"]["MutualTlsAuthentication"]["TruststoreUri"];
    assert_eq!(
        short_form(truststore),
        ("Ref", "MutualTlsTruststoreUri"),
        "always, unlike the first domain name's"
    );
    let mapping = &resources["MutualTlsDomainMapping"];
    assert_eq!(short_form(&mapping["Properties"]["ApiId"]), ("Ref", "Api"), "the same API");
    assert_eq!(short_form(&mapping["Properties"]["DomainName"]), ("Ref", "MutualTlsDomain"));
    for resource in [domain, mapping] {
        assert_eq!(text(&resource["Condition"]), "HasMutualTlsDomainName");
    }
    let configuration = &domain["Properties"]["DomainNameConfigurations"][0];
    assert_eq!(text(&configuration["EndpointType"]), "REGIONAL", "which mutual TLS needs");
    assert_eq!(text(&configuration["SecurityPolicy"]), "TLS_1_2");
}

#[test]
fn verifying_can_have_concurrency_of_its_own() {
    let template = template();
    for (name, function) in functions(&template).values() {
        let reserved = function["Properties"].as_mapping_get("ReservedConcurrentExecutions");
        assert_eq!(reserved.is_some(), *name == "VerifySecretFunction", "{name}");
        let Some(Yaml::Tagged(tag, choice)) = reserved else { continue };
        assert_eq!((tag.suffix.as_str(), text(&choice[0])), ("If", "HasVerifySecretConcurrency"));
        assert_eq!(short_form(&choice[1]), ("Ref", "VerifySecretConcurrency"));
        assert_eq!(short_form(&choice[2]), ("Ref", "AWS::NoValue"));
    }
    let default = &template["Parameters"]["VerifySecretConcurrency"]["Default"];
    assert_eq!(default.as_integer(), Some(0), "none, unless it is asked for");
}

#[test]
fn the_table_is_reached_over_tls_alone() {
    let template = template();
    let pattern = text(&template["Parameters"]["DynamoDbEndpoint"]["AllowedPattern"]);
    // As CloudFormation matches it: the whole value.
    assert_eq!(pattern, "(https://.+)?", "which takes nothing, or a URL over TLS");
}

#[test]
fn a_build_does_not_miss_a_change_outside_of_the_functions_folder() {
    let settings = read("samconfig.toml");
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
