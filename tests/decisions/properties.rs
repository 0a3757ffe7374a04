//! What holds of every recipe, every decision and every reader of recipes, tried at random.

use docyard_core::model::access::{Attempt, Subject};
use docyard_core::model::access::{best, verdicts};
use docyard_core::model::decision::Outcome;
use docyard_core::model::recipe::{Factor, Method, Recipe};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::json::Json;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::arbitrary::{
    Case, Texts, WHO, a_case, a_factor, a_recipe, facts, identifiers, meaning, parse, value,
};
use crate::config;

/// A case, and other facts for its recipe.
fn a_case_and_another() -> impl Strategy<Value = (Case, Case)> {
    a_recipe().prop_flat_map(|recipe| (facts(recipe.clone()), facts(recipe)))
}

/// Of two sets of texts, what is named of the first and what is not named of the second.
fn mixed(named: &Texts, unnamed: &Texts, is_named: impl Fn(&str) -> bool) -> Texts {
    let of = |texts: &Texts, which: bool| {
        texts.clone().into_iter().filter(|(key, _)| is_named(key) == which).collect::<Vec<_>>()
    };
    of(named, true).into_iter().chain(of(unnamed, false)).collect()
}

fn a_json() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] =
        &["", "*", "agent", "webauthn", "badge_id", "portal", "2025-01-15T10:32:00+01:00", "1.2", "{}", "ä"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(vec![-1i64, 0, 1, 720, 3651, i64::MAX]).prop_map(Value::from),
        Just(json!(1.0)),
        select(WORDS).prop_map(Value::from),
    ];
    let name = select(&[
        "auth",
        "access",
        "method",
        "factors",
        "match",
        "identifiers",
        "tls",
        "constraints",
        "other",
    ]);
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

fn read(text: &str) -> Option<Recipe> {
    Recipe::parse(serde_json::from_str::<Json>(text).ok()?).ok()
}

proptest! {
    #![proptest_config(config(1000, 20_000))]

    #[test]
    fn nothing_is_granted_to_whom_nothing_is_known_of(case in a_case()) {
        let nobody = Case {
            class: None,
            is_in_audience: false,
            factors: Vec::new(),
            stored: Texts::new(),
            submitted: Texts::new(),
            ..case.clone()
        };
        prop_assert!(!nobody.is_granted());
        for lacking in [
            Case { class: None, ..case.clone() },
            Case { is_in_audience: false, ..case.clone() },
            Case { factors: Vec::new(), ..case },
        ] {
            prop_assert!(!lacking.is_granted());
        }
    }

    #[test]
    fn nothing_is_granted_where_no_policy_is_in_force(case in a_case()) {
        let now = Timestamp::parse(&case.now).unwrap();
        let attempt = Attempt {
            method: Method::parse(case.method).unwrap(),
            factors: Factor::ALL,
            authenticated_at: now,
            submitted: &identifiers(&case.submitted),
            artifact: case.artifact.as_ref(),
        };
        let subject = Subject { recipient: case.recipient(), groups: [].into(), has_secret: true, has_certificate: false };
        prop_assert!(best(&verdicts(&[], &subject, &attempt, now)).is_none());
    }

    #[test]
    fn one_more_factor_never_denies(case in a_case(), factor in a_factor()) {
        let mut more = case.clone();
        more.factors.push(factor);
        prop_assert!(more.is_granted() || !case.is_granted());
    }

    #[test]
    fn what_the_recipe_does_not_name_decides_nothing((case, other) in a_case_and_another()) {
        let keys = case.keys();
        // The address has that name, whatever is stored under it.
        let is_stored = |key: &str| keys.contains(&key) && key != "email";
        let is_held = |key: &str| {
            keys.contains(&key) || key == "document_type" && case.recipe["artifactTypes"] != json!(["*"])
        };
        let named = case.recipe["auth"]["factors"].as_array().unwrap();
        let of = |case: &Case, which: bool| {
            case.factors.clone().into_iter().filter(move |it| named.contains(&json!(it)) == which)
        };
        let noise = |texts: &Texts| texts.clone().into_iter().chain([("other".into(), "n/a".into())]).collect::<Texts>();
        let nothing = Texts::new();
        let changed = Case {
            factors: of(&case, true).chain(of(&other, false)).collect(),
            stored: mixed(&case.stored, &noise(&other.stored), is_stored),
            submitted: mixed(&case.submitted, &noise(&other.submitted), |key| keys.contains(&key)),
            artifact: case
                .artifact
                .as_ref()
                .map(|own| mixed(own, &noise(other.artifact.as_ref().unwrap_or(&nothing)), is_held)),
            ..case.clone()
        };
        prop_assert_eq!(changed.decide(), case.decide());
    }

    #[test]
    fn a_denial_has_a_check_that_does_not_hold_and_a_grant_has_none(case in a_case()) {
        let decision = case.decide();
        prop_assert_eq!(decision.is_granted(), decision.checks.iter().all(|check| check.outcome == Outcome::Holds));
        prop_assert!(!decision.checks.is_empty());
    }

    #[test]
    fn a_submitted_value_never_replaces_one_on_record(case in a_case(), spelling in any::<bool>()) {
        for key in case.keys() {
            let Some(which) = case.on_record(key).map(|text| meaning(key, text).unwrap()) else { continue };
            let submitting = |which: bool| {
                let mut case = case.clone();
                case.submitted.insert(key.to_owned(), value(key, which, spelling).to_owned());
                case
            };
            let mut silent = case.clone();
            silent.submitted.remove(key);
            prop_assert_eq!(submitting(which).decide(), silent.decide());
            prop_assert!(!submitting(!which).is_granted());
            let mismatch = format!("identifier:{key} mismatch");
            prop_assert!(submitting(!which).shortfalls().contains(&mismatch));
        }
    }

    #[test]
    fn a_claim_opens_only_what_confirms_it(case in a_case()) {
        let keys = case.keys();
        let Some(artifact) = &case.artifact else { return Ok(()) };
        if case.is_granted() && keys.iter().any(|key| case.is_claimed(key)) {
            let known = |key: &str| case.on_record(key).unwrap_or_else(|| &case.submitted[key]);
            let is_confirmed = |key: &str| meaning(key, &artifact[key]) == meaning(key, known(key));
            let held: Vec<&str> = keys.iter().copied().filter(|key| artifact.contains_key(*key)).collect();
            prop_assert!(held.iter().all(|key| is_confirmed(key)));
            prop_assert!(keys.iter().all(|key| held.contains(key) || !case.is_claimed(key)));
            prop_assert!(held.len() >= 2);
            prop_assert!(held.iter().any(|key| WHO.contains(key) || !case.is_claimed(key)));
        }
    }

    #[test]
    fn the_dock_is_granted_where_some_artifact_is(case in a_case()) {
        let at_the_dock = Case { artifact: None, ..case.clone() };
        prop_assert_eq!(at_the_dock.is_granted(), case.with_accommodating_artifact().is_granted());
        prop_assert!(at_the_dock.is_granted() || !case.is_granted());
    }

    #[test]
    fn the_checks_have_one_order((case, other) in a_case_and_another()) {
        let subjects = |case: &Case, artifact: bool| {
            let artifact = artifact.then(|| case.artifact.clone().unwrap_or_default());
            let decision = Case { artifact, ..case.clone() }.decide();
            decision.checks.into_iter().map(|check| check.checked).collect::<Vec<_>>()
        };
        for artifact in [false, true] {
            prop_assert_eq!(subjects(&case, artifact), subjects(&other, artifact));
        }
    }

    #[test]
    fn a_recipe_is_read_back_as_it_was_with_the_same_hash(recipe in a_recipe()) {
        let recipe = parse(&recipe);
        let again = read(&serde_json::to_string(&recipe).unwrap());
        prop_assert_eq!(again.as_ref().map(Recipe::hash), Some(recipe.hash()));
        prop_assert_eq!(again, Some(recipe.clone()));
        prop_assert_eq!(read(&recipe.canonical()), Some(recipe));
    }

    #[test]
    fn whatever_is_sent_is_a_recipe_or_refused(
        mut recipe in a_recipe(),
        path in select(&[
            "", "/artifactTypes", "/auth", "/auth/factors", "/auth/factors/0", "/access/method", "/match",
            "/match/identifiers", "/constraints", "/constraints/session_minutes",
        ]),
        json in a_json(),
        text in "\\PC*",
        end in any::<prop::sample::Index>(),
    ) {
        if let Some(part) = recipe.pointer_mut(path) {
            *part = json.clone();
        }
        let sent = recipe.to_string();
        let cut = sent.get(..end.index(sent.len() + 1)).unwrap_or_default();
        for text in [&sent, &json!(sent).to_string(), cut, &json!(cut).to_string(), &json.to_string(), &text] {
            if let Some(recipe) = read(text) {
                prop_assert_eq!(read(&recipe.canonical()).map(|it| it.hash()), Some(recipe.hash()));
            }
        }
    }
}
