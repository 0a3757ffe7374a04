//! A second opinion: the contract of the decision as a policy in [Cedar][], for Cedar's own authorizer. It shares nothing
//! with the code that decides but the case. Rust only brings values into the form in which equal ones are equal.
//!
//! [Cedar]: https://docs.cedarpolicy.com/

use std::cell::RefCell;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::arbitrary::{Case, Texts, WHO, a_case};
use crate::config;

fn normal(key: &str, text: &str) -> String {
    let text = text.trim();
    match key {
        "email" => text.to_lowercase(),
        "phone" => text.chars().filter(char::is_ascii_digit).collect(),
        "nda_hash" => format!("sha256:{}", text.trim_start_matches("sha256:").to_lowercase()),
        _ => text.to_owned(),
    }
}

fn normals(texts: &Texts) -> Value {
    texts
        .iter()
        .map(|(key, text)| (key.clone(), Value::from(normal(key, text))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What Cedar is told of one key of the recipe, as expressions.
struct Key {
    has_record: String,
    is_resolved: String,
    is_claim: String,
    /// The artifact holds it, with the resolved value.
    is_confirmed: String,
    /// The artifact holds it, with another value.
    is_contradicted: String,
    is_who: bool,
}

impl Key {
    fn new(key: &str, is_stored_only: bool) -> Self {
        let (has_record, on_record) = match key {
            "email" => ("true".to_owned(), "principal.email".to_owned()),
            _ => (format!("principal.identifiers has {key}"), format!("principal.identifiers.{key}")),
        };
        let is_submitted = format!("context.submitted has {key}");
        let submitted = format!("context.submitted.{key}");
        let agrees = format!("(if ({is_submitted}) then {on_record} == {submitted} else true)");
        let is_taken = format!("({is_submitted}) && {}", !is_stored_only);
        let resolved = format!("(if ({has_record}) then {on_record} else {submitted})");
        let is_resolved = format!("(if ({has_record}) then {agrees} else {is_taken})");
        let is_held = format!("(resource.metadata has {key})");
        Self {
            is_claim: format!("(!({has_record}) && {is_taken})"),
            is_confirmed: format!("({is_resolved} && {is_held} && resource.metadata.{key} == {resolved})"),
            is_contradicted: format!("({is_resolved} && {is_held} && resource.metadata.{key} != {resolved})"),
            is_who: WHO.contains(&key),
            has_record,
            is_resolved,
        }
    }
}

/// The parts with an operator between them, and its neutral element, so that there may be none.
fn joined(parts: impl IntoIterator<Item = String>, operator: &str, neutral: &str) -> String {
    format!("({})", parts.into_iter().chain([neutral.to_owned()]).collect::<Vec<_>>().join(operator))
}

fn all(parts: impl IntoIterator<Item = String>) -> String {
    joined(parts, " && ", "true")
}

fn any(parts: impl IntoIterator<Item = String>) -> String {
    joined(parts, " || ", "false")
}

fn policy(case: &Case) -> String {
    let recipe = &case.recipe;
    let constraint = |name: &str| Some(&recipe["constraints"][name]).filter(|value| !value.is_null());
    let is_stored_only = recipe["match"]["stored_only"] == true;
    let keys: Vec<Key> = case.keys().into_iter().map(|key| Key::new(key, is_stored_only)).collect();
    let each = |part: fn(&Key) -> String| keys.iter().map(part).collect::<Vec<_>>();

    let methods = match &recipe["access"]["method"] {
        Value::Array(methods) => methods.clone(),
        one => vec![one.clone()],
    };
    let methods: Vec<String> = methods.iter().map(|method| format!("Action::{method}")).collect();
    let from = constraint("not_before").map(|it| format!("context.now >= datetime({it})"));
    let to = constraint("not_after").map(|it| format!("context.now < datetime({it})"));
    let minutes = constraint("session_minutes").map_or("60".to_owned(), Value::to_string);
    let expiry = constraint("auto_expire_days")
        .map(|days| format!("context.now < principal.createdAt.offset(duration(\"{days}d\"))"));
    let a_type = (recipe["artifactTypes"] != json!(["*"])).then(|| {
        format!(
            "resource.metadata has document_type && {}.contains(resource.metadata.document_type)",
            recipe["artifactTypes"]
        )
    });
    let count = joined(each(|key| format!("(if {} then 1 else 0)", key.is_confirmed)), " + ", "0");
    let is_anchor = |key: &Key| format!("({} && ({} || {}))", key.is_confirmed, key.has_record, key.is_who);
    let is_no_claim_or_confirmed = |key: &Key| format!("(!{} || {})", key.is_claim, key.is_confirmed);
    let scope = keys.iter().filter(|key| !key.is_who).map(|key| key.is_confirmed.clone());
    format!(
        r#"permit (principal, action in [{methods}], resource)
        when {{ principal has class && principal.class == {class} && context.isInAudience }}
        when {{ {window} }}
        when {{ context.now < context.authenticatedAt.offset(duration("{minutes}m")) }}
        when {{ context.factors.containsAll({factors}) }}
        when {{ {identifiers} }}
        when {{ {a_type} && {scope} }}
        unless {{
            {has_claim} && (
                !{claims_are_confirmed} || {is_contradicted} || {count} < 2 || !{has_anchor}
            )
        }};"#,
        methods = methods.join(", "),
        class = recipe["stakeholderClass"],
        window = all([from, to, expiry].into_iter().flatten()),
        factors = recipe["auth"]["factors"],
        identifiers = all(each(|key| key.is_resolved.clone())),
        a_type = all(a_type),
        scope = all(scope),
        has_claim = any(each(|key| key.is_claim.clone())),
        claims_are_confirmed = all(each(is_no_claim_or_confirmed)),
        is_contradicted = any(each(|key| key.is_contradicted.clone())),
        has_anchor = any(each(is_anchor)),
    )
}

/// Whether Cedar allows it. Without an artifact, that is asked of the most accommodating one.
fn allows(case: &Case) -> bool {
    let case = match case.artifact {
        Some(_) => case.clone(),
        None => case.with_accommodating_artifact(),
    };
    let time = |text: &str| json!({"__extn": {"fn": "datetime", "arg": text}});
    let mut recipient = json!({
        "email": normal("email", case.email),
        "identifiers": normals(&case.stored),
        "createdAt": time(&case.created_at),
    });
    if let Some(class) = case.class {
        recipient["class"] = class.into();
    }
    let metadata = normals(case.artifact.as_ref().unwrap());
    let entities = Entities::from_json_value(
        json!([
            {"uid": {"type": "Recipient", "id": "it"}, "attrs": recipient, "parents": []},
            {"uid": {"type": "Artifact", "id": "it"}, "attrs": {"metadata": metadata}, "parents": []},
        ]),
        None,
    );
    let context = Context::from_json_value(
        json!({
            "isInAudience": case.is_in_audience,
            "factors": case.factors,
            "now": time(&case.now),
            "authenticatedAt": time(&case.authenticated_at),
            "submitted": normals(&case.submitted),
        }),
        None,
    );
    let uid = |text: &str| text.parse::<EntityUid>().unwrap();
    let request = Request::new(
        uid(r#"Recipient::"it""#),
        uid(&format!("Action::{:?}", case.method)),
        uid(r#"Artifact::"it""#),
        context.unwrap(),
        None,
    );
    let policy = policy(&case);
    let policies: PolicySet = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error:?}"));
    let response = Authorizer::new().is_authorized(&request.unwrap(), &policies, &entities.unwrap());
    let errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{policy}: {errors:?}");
    response.decision() == Decision::Allow
}

/// How many cases there were of each kind.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    granted: usize,
    granted_at_the_dock: usize,
    granted_with_claims: usize,
    denied_for_claims_alone: usize,
}

#[test]
fn cedar_decides_the_same() {
    let counts = RefCell::new(Counts::default());
    let outcome = TestRunner::new(config(300, 10_000)).run(&a_case(), |case| {
        let is_granted = case.is_granted();
        prop_assert_eq!(is_granted, allows(&case), "{:?}\n{}", case.shortfalls(), policy(&case));
        let mut counts = counts.borrow_mut();
        counts.all += 1;
        counts.granted += usize::from(is_granted);
        counts.granted_at_the_dock += usize::from(is_granted && case.artifact.is_none());
        let has_claim = case.artifact.is_some() && case.keys().iter().any(|key| case.is_claimed(key));
        counts.granted_with_claims += usize::from(is_granted && has_claim);
        counts.denied_for_claims_alone += usize::from(case.shortfalls() == ["claims fails"]);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let counts = counts.into_inner();
    println!(
        "{} cases, {} granted, of these with claims {}",
        counts.all, counts.granted, counts.granted_with_claims
    );
    assert!((counts.all / 10..=counts.all * 9 / 10).contains(&counts.granted), "{counts:?}");
    let rare = [counts.granted_at_the_dock, counts.granted_with_claims, counts.denied_for_claims_alone];
    assert!(rare.iter().all(|&count| count > 0), "{counts:?}");
}
