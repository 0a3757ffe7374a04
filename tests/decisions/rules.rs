//! The rules one by one: each by an example that another rule would not decide in the same way.

use docyard_core::model::recipe::Recipe;
use docyard_core::values::json::Json;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::arbitrary::{Case, Texts, parse};

fn texts(entries: &[(&str, &str)]) -> Texts {
    entries.iter().map(|&(key, text)| (key.to_owned(), text.to_owned())).collect()
}

/// A lender that may have what it asks for, in a recipe with every constraint.
fn lender() -> Case {
    let identifiers = texts(&[("lender_id", "LND-1"), ("policy_number", "POL-1")]);
    let mut artifact = identifiers.clone();
    artifact.insert("document_type".to_owned(), "endorsement".to_owned());
    Case {
        recipe: json!({
            "stakeholderClass": "mortgagee",
            "artifactTypes": ["declaration-page", "endorsement"],
            "auth": {"factors": ["shared_passphrase", "tls_certificate"]},
            "access": {"method": ["bulk_api", "bulk_download"]},
            "match": {"identifiers": ["lender_id", "policy_number"]},
            "constraints": {
                "not_before": "2025-06-15T12:00:00Z", "not_after": "2025-06-15T13:00:00Z",
                "session_minutes": 30, "auto_expire_days": 30,
            },
        }),
        class: Some("mortgagee"),
        is_in_audience: true,
        method: "bulk_download",
        factors: vec!["tls_certificate", "shared_passphrase"],
        now: "2025-06-15T12:30:00Z".to_owned(),
        authenticated_at: "2025-06-15T12:20:00Z".to_owned(),
        created_at: "2025-06-01T00:00:00Z".to_owned(),
        email: "ann@example.com",
        stored: identifiers,
        submitted: Texts::new(),
        artifact: Some(artifact),
    }
}

/// The lender with these keys: what is stored, what is submitted, and what the artifact holds.
fn matching(
    keys: &[&str],
    stored: &[(&str, &str)],
    submitted: &[(&str, &str)],
    held: &[(&str, &str)],
) -> Case {
    let mut case = lender();
    case.recipe["match"]["identifiers"] = json!(keys);
    case.recipe["artifactTypes"] = json!(["*"]);
    Case { stored: texts(stored), submitted: texts(submitted), artifact: Some(texts(held)), ..case }
}

/// What no longer holds of the lender's case after a change.
fn after(change: impl Fn(&mut Case)) -> Vec<String> {
    let mut case = lender();
    assert_eq!(case.shortfalls(), [""; 0]);
    change(&mut case);
    case.shortfalls()
}

const NONE: [&str; 0] = [];

#[test]
fn every_check_is_made_and_named_whatever_the_others_say() {
    let mut case = lender();
    case.recipe["match"]["identifiers"] = json!(["phone", "lender_id"]);
    let names =
        |case: &Case| case.decide().checks.iter().map(|check| check.checked.to_string()).collect::<Vec<_>>();
    let of_anyone = [
        "class",
        "audience",
        "window",
        "session",
        "expiry",
        "method",
        "factor:shared_passphrase",
        "factor:tls_certificate",
        "identifier:phone",
        "identifier:lender_id",
    ];
    let all = [&of_anyone[..], &["type", "scope:lender_id", "claims"]].concat();
    assert_eq!(names(&case), all);
    let nothing = Case { class: None, is_in_audience: false, factors: vec![], stored: Texts::new(), ..case };
    assert_eq!(names(&nothing), all);
    assert_eq!(names(&Case { artifact: None, ..nothing }), [&of_anyone[..], &["claims"]].concat());
}

#[test]
fn a_recipe_grants_its_class_alone() {
    assert_eq!(after(|case| case.class = Some("agent")), ["class fails"]);
    assert_eq!(after(|case| case.class = None), ["class fails"]);
}

#[test]
fn a_recipe_grants_the_audience_alone() {
    assert_eq!(after(|case| case.is_in_audience = false), ["audience fails"]);
}

#[test]
fn a_recipe_grants_from_its_beginning_to_just_before_its_end() {
    for (now, expected) in [
        ("2025-06-15T11:59:59.999Z", "window fails"),
        ("2025-06-15T12:00:00.000Z", ""),
        ("2025-06-15T12:59:59.999Z", ""),
        ("2025-06-15T13:00:00.000Z", "window fails"),
    ] {
        let shortfalls = after(|case| {
            case.now = now.to_owned();
            case.authenticated_at = now.to_owned();
        });
        assert_eq!(shortfalls.join(" "), expected, "{now}");
    }
}

#[test]
fn a_session_lasts_as_long_as_the_recipe_says_or_an_hour() {
    let session = |minutes: Value, authenticated_at: &str| {
        after(|case| {
            case.recipe["constraints"]["session_minutes"] = minutes.clone();
            case.authenticated_at = authenticated_at.to_owned();
        })
    };
    assert_eq!(session(json!(30), "2025-06-15T12:00:00.001Z"), NONE);
    assert_eq!(session(json!(30), "2025-06-15T12:00:00.000Z"), ["session fails"]);
    assert_eq!(session(Value::Null, "2025-06-15T11:30:00.001Z"), NONE);
    assert_eq!(session(Value::Null, "2025-06-15T11:30:00.000Z"), ["session fails"]);
}

#[test]
fn access_ends_so_many_days_after_the_recipient_was_created() {
    let created = |time: &str| after(|case| case.created_at = time.to_owned());
    assert_eq!(created("2025-05-16T12:30:00.001Z"), NONE);
    assert_eq!(created("2025-05-16T12:30:00.000Z"), ["expiry fails"]);
}

#[test]
fn a_recipe_grants_its_methods_alone() {
    assert_eq!(after(|case| case.method = "bulk_api"), NONE);
    assert_eq!(after(|case| case.method = "portal"), ["method fails"]);
}

#[test]
fn every_factor_must_be_proven() {
    assert_eq!(after(|case| case.factors = vec!["tls_certificate"]), ["factor:shared_passphrase missing"]);
    assert_eq!(
        after(|case| case.factors = vec!["shared_passphrase", "sms_otp"]),
        ["factor:tls_certificate missing"]
    );
}

#[test]
fn a_key_is_resolved_by_what_is_stored_then_by_what_is_submitted() {
    const NUMBER: &str = "policy_number";
    let submit = |case: &mut Case, number: &str| drop(case.submitted.insert(NUMBER.into(), number.into()));
    let forget = |case: &mut Case| drop(case.stored.remove(NUMBER));
    assert_eq!(after(|case| submit(case, "POL-1")), NONE);
    let mismatch = ["identifier:policy_number mismatch", "scope:policy_number missing"];
    assert_eq!(after(|case| submit(case, "POL-2")), mismatch);
    let missing = ["identifier:policy_number missing", "scope:policy_number missing"];
    assert_eq!(after(|case| forget(case)), missing);
    let claim = |case: &mut Case| {
        forget(case);
        submit(case, "POL-1");
    };
    assert_eq!(after(claim), NONE);
    let stored_only = |case: &mut Case| case.recipe["match"]["stored_only"] = json!(true);
    assert_eq!(after(|case| stored_only(case)), NONE);
    assert_eq!(after(|case| (claim(case), stored_only(case)).1), missing);
}

#[test]
fn a_stored_value_is_not_replaced_even_by_that_of_the_artifact() {
    let shortfalls = after(|case| {
        case.submitted.insert("policy_number".into(), "POL-2".into());
        case.artifact.as_mut().unwrap().insert("policy_number".into(), "POL-2".into());
    });
    assert_eq!(shortfalls, ["identifier:policy_number mismatch", "scope:policy_number missing"]);
}

#[test]
fn values_are_compared_by_what_their_key_means() {
    let hex = "Ab".repeat(32);
    let stored_hash = format!("sha256:{}", hex.to_lowercase());
    for (key, stored, submitted, is_same) in [
        ("lender_id", "LND-1", " LND-1\t", true),
        ("lender_id", "LND-1", "lnd-1", false),
        ("lender_id", "LND 1", "LND  1", false),
        ("lender_id", "+1 860", "+1860", false),
        ("phone", "+1-860-555-0147", "1 (860) 555.0147 ", true),
        ("phone", "+1-860-555-0147", "+1-860-555-0148", false),
        ("phone", "+1-860-555-0147", "n/a", false),
        ("date_of_birth", "1983-06-15", " 1983-06-15 ", true),
        ("date_of_birth", "1983-06-15", "1983-06-16", false),
        ("date_of_birth", "1983-06-15", "n/a", false),
        ("nda_hash", &stored_hash, &hex, true),
        ("nda_hash", &stored_hash, &format!(" sha256:{hex}"), true),
        ("nda_hash", &stored_hash, &hex.replace('A', "b"), false),
        ("badge_id", "ab", "AB", false),
    ] {
        let case = matching(&[key], &[(key, stored)], &[(key, submitted)], &[(key, stored)]);
        assert_eq!(case.is_granted(), is_same, "{key} {stored:?} {submitted:?}");
        // The artifact's value is compared in the same way: with that of a stored key beside a claim.
        let keys = [key, "claimed"];
        let case =
            matching(&keys, &[(key, stored)], &[("claimed", "1")], &[(key, submitted), ("claimed", "1")]);
        assert_eq!(case.is_granted(), is_same, "{key} {stored:?} {submitted:?}");
    }
}

#[test]
fn the_key_email_is_the_address_whatever_is_stored_under_it() {
    let submitting = |submitted: &[(&str, &str)]| {
        matching(&["email"], &[("email", "bob@example.com")], submitted, &[]).shortfalls()
    };
    assert_eq!(submitting(&[]), NONE);
    assert_eq!(submitting(&[("email", " Ann@Example.com")]), NONE);
    assert_eq!(submitting(&[("email", "bob@example.com")]), ["identifier:email mismatch"]);
}

#[test]
fn an_artifact_is_of_a_type_that_the_recipe_grants() {
    let of_type = |granted: Value, a_type: Option<&str>| {
        after(|case| {
            case.recipe["artifactTypes"] = granted.clone();
            let artifact = case.artifact.as_mut().unwrap();
            artifact.remove("document_type");
            artifact.extend(a_type.map(|it| ("document_type".to_owned(), it.to_owned())));
        })
    };
    let two = json!(["declaration-page", "endorsement"]);
    assert_eq!(of_type(two.clone(), Some("declaration-page")), NONE);
    assert_eq!(of_type(two.clone(), Some("invoice")), ["type fails"]);
    assert_eq!(of_type(two.clone(), Some("*")), ["type fails"]);
    assert_eq!(of_type(two, None), ["type missing"]);
    assert_eq!(of_type(json!(["*"]), Some("invoice")), NONE);
    assert_eq!(of_type(json!(["*"]), None), NONE);
}

#[test]
fn an_artifact_holds_every_key_that_says_what_one_may_see() {
    let held = |change: fn(&mut Texts)| after(|case| change(case.artifact.as_mut().unwrap()));
    assert_eq!(held(|it| drop(it.remove("lender_id"))), ["scope:lender_id missing"]);
    assert_eq!(held(|it| drop(it.insert("lender_id".into(), "LND-2".into()))), ["scope:lender_id mismatch"]);
    for who in ["email", "phone", "date_of_birth", "badge_id", "nda_hash"] {
        let case = matching(&[who], &[(who, "+1-860-555-0147")], &[], &[(who, "another")]);
        assert_eq!(case.shortfalls(), NONE, "{who}");
    }
}

#[test]
fn a_lender_may_claim_one_of_its_policy_numbers() {
    let keys = ["lender_id", "policy_number"];
    let claiming = |held: &[(&str, &str)]| {
        matching(&keys, &[("lender_id", "L")], &[("policy_number", "P")], held).shortfalls()
    };
    assert_eq!(claiming(&[("lender_id", "L"), ("policy_number", "P")]), NONE);
    assert_eq!(
        claiming(&[("lender_id", "M"), ("policy_number", "P")]),
        ["scope:lender_id mismatch", "claims fails"]
    );
    assert_eq!(claiming(&[("policy_number", "P")]), ["scope:lender_id missing", "claims fails"]);
    assert_eq!(claiming(&[("lender_id", "L")]), ["scope:policy_number missing", "claims fails"]);
}

#[test]
fn a_policyholder_needs_birth_date_and_policy_number_both_on_the_document() {
    let (born, number) = (("date_of_birth", "1983-06-15"), ("policy_number", "P"));
    let claiming = |held: &[(&str, &str)]| {
        matching(&["date_of_birth", "policy_number"], &[], &[born, number], held).shortfalls()
    };
    assert_eq!(claiming(&[born, number]), NONE);
    assert_eq!(claiming(&[number]), ["claims fails"]);
    let another = ("date_of_birth", "1990-01-01");
    assert_eq!(claiming(&[another, number]), ["claims fails"], "another's policy number");
    let other = ("policy_number", "Q");
    assert_eq!(claiming(&[born, other]), ["scope:policy_number mismatch", "claims fails"]);
}

#[test]
fn claimed_keys_that_say_what_open_nothing_alone() {
    let values = [("agency_code", "A"), ("policy_number", "P")];
    let keys = ["agency_code", "policy_number"];
    assert_eq!(matching(&keys, &[], &values, &values).shortfalls(), ["claims fails"]);
    assert_eq!(matching(&keys, &values[..1], &values, &values).shortfalls(), NONE, "one is stored");
    assert_eq!(matching(&keys, &values, &values, &values).shortfalls(), NONE, "both are");
}

#[test]
fn a_key_that_says_who_carries_a_claim_only_where_the_artifact_holds_it() {
    let (phone, number) = (("phone", "+18605550147"), ("policy_number", "P"));
    let held =
        |held: &[(&str, &str)]| matching(&["phone", "policy_number"], &[phone], &[number], held).shortfalls();
    assert_eq!(held(&[phone, number]), NONE);
    assert_eq!(held(&[number]), ["claims fails"], "one key alone");
    let address = ("email", "ann@example.com");
    let keys = ["email", "policy_number"];
    assert_eq!(matching(&keys, &[], &[number], &[address, number]).shortfalls(), NONE);
    assert_eq!(matching(&keys, &[], &[number], &[number]).shortfalls(), ["claims fails"]);
}

#[test]
fn an_artifact_holds_every_claimed_key_that_says_who_too() {
    let (lender, number, born) =
        (("lender_id", "L"), ("policy_number", "P"), ("date_of_birth", "1983-06-15"));
    let keys = ["lender_id", "policy_number", "date_of_birth"];
    assert_eq!(matching(&keys, &[lender], &[number, born], &[lender, number, born]).shortfalls(), NONE);
    assert_eq!(matching(&keys, &[lender], &[number, born], &[lender, number]).shortfalls(), ["claims fails"]);
    assert_eq!(matching(&keys, &[lender, born], &[number], &[lender, number]).shortfalls(), NONE, "stored");
}

#[test]
fn one_confirmed_key_is_too_few_for_a_claim() {
    let born = ("date_of_birth", "1983-06-15");
    assert_eq!(matching(&["date_of_birth"], &[], &[born], &[born]).shortfalls(), ["claims fails"]);
    assert_eq!(matching(&["date_of_birth"], &[born], &[], &[]).shortfalls(), NONE, "no claim");
}

#[test]
fn a_claim_is_closed_by_any_matched_key_with_another_value() {
    let keys = ["lender_id", "policy_number", "phone"];
    let stored = [("lender_id", "L"), ("phone", "+18605550147")];
    let number = ("policy_number", "P");
    let held = |phone| {
        let held: Vec<_> = [stored[0], number].into_iter().chain(phone).collect();
        matching(&keys, &stored, &[number], &held).shortfalls()
    };
    assert_eq!(held(None), NONE);
    assert_eq!(held(Some(stored[1])), NONE);
    assert_eq!(held(Some(("phone", "+18605550148"))), ["claims fails"]);
    let other = [stored[0], number, ("badge_id", "B")];
    assert_eq!(matching(&keys, &stored, &[number], &other).shortfalls(), NONE, "not a key that is matched");
}

#[test]
fn the_dock_is_granted_where_an_artifact_is_conceivable() {
    let at_the_dock = |keys: &[&str], stored: &[(&str, &str)], submitted: &[(&str, &str)]| {
        Case { artifact: None, ..matching(keys, stored, submitted, &[]) }.shortfalls()
    };
    let (born, number, agency) =
        (("date_of_birth", "1983-06-15"), ("policy_number", "P"), ("agency_code", "A"));
    assert_eq!(at_the_dock(&["policy_number"], &[number], &[]), NONE);
    assert_eq!(at_the_dock(&["date_of_birth", "policy_number"], &[], &[born, number]), NONE);
    assert_eq!(at_the_dock(&["policy_number"], &[], &[number]), ["claims fails"]);
    assert_eq!(at_the_dock(&["agency_code", "policy_number"], &[], &[agency, number]), ["claims fails"]);
    assert_eq!(at_the_dock(&["policy_number"], &[], &[]), ["identifier:policy_number missing"]);
}

#[test]
fn the_type_of_an_artifact_is_no_identifier() {
    let recipe = with(base("institution"), "match", &json!({"identifiers": ["lender_id", "document_type"]}));
    assert_eq!(refusal(&recipe.to_string()).0, ["match.identifiers[1]"]);
}

/// A recipe for an institution, for a person, for one who may use both of a person's methods, or whose access ends.
fn base(of: &str) -> Value {
    let (class, factors, method) = match of {
        "institution" => ("mortgagee", json!(["shared_passphrase", "tls_certificate"]), json!("bulk_api")),
        "both" => ("agent", json!(["webauthn"]), json!(["portal", "bulk_download"])),
        _ => ("agent", json!(["webauthn"]), json!("portal")),
    };
    let auth = json!({"factors": factors});
    let mut recipe = json!({"stakeholderClass": class, "artifactTypes": ["a"], "auth": auth, "access": {"method": method}});
    if of == "visitor" {
        recipe["constraints"] = json!({"auto_expire_days": 30});
    }
    recipe
}

fn with(mut recipe: Value, path: &str, value: &Value) -> Value {
    *path.split('.').fold(&mut recipe, |part, name| &mut part[name]) = value.clone();
    recipe
}

/// The paths of what is wrong with a recipe, in order, and the first message.
fn refusal(text: &str) -> (Vec<String>, String) {
    let Err(errors) = Recipe::parse(serde_json::from_str::<Json>(text).unwrap()) else {
        return Default::default();
    };
    let errors: Vec<_> = errors.of_field("recipe").collect();
    let mut paths: Vec<String> = errors.iter().map(|error| error.field.replacen("recipe.", "", 1)).collect();
    paths.sort();
    (paths, errors[0].message.clone())
}

fn errors(recipe: &Value) -> Vec<String> {
    refusal(&recipe.to_string()).0
}

/// Of which recipe, the field, values that it may have, values that it may not have, and where the error is.
const FIELDS: &str = r#"
person      | stakeholderClass             | ["mortgagee","agent","policyholder","auditor"]    | ["lender","Agent",null]                | stakeholderClass
person      | artifactTypes                | [["*"],["a-1_.z"]]                                | [[],["*","a"],"a",null]                | artifactTypes
person      | artifactTypes                | []                                                | [["A"],[""],[1],["a b"],["ä"]]         | artifactTypes[0]
person      | artifactTypes                | [["a","b"]]                                       | [["a","a"],["a","B"]]                  | artifactTypes[1]
person      | auth                         | []                                                | [null,[],"webauthn"]                   | auth
institution | auth.factors                 | [["shared_passphrase"]]                           | [["tls_certificate"],[],null]          | auth.factors
institution | auth.factors                 | [["tls_certificate","shared_passphrase"]]         | [["shared_passphrase","webauthn"]]     | auth.factors[1]
person      | auth.factors                 | [["webauthn","sms_otp","badge_id","nda_hash"]]    | [["sms_otp","shared_passphrase"]]      | auth.factors[1]
person      | auth.factors                 | [["sms_otp","badge_id"],["nda_hash","webauthn"]]  | [["sms_otp","sms_otp"],["sms_otp",""]] | auth.factors[1]
visitor     | auth.factors                 | [["badge_id","nda_hash"]]                         | [["badge_id"],["nda_hash"]]            | auth.factors
person      | auth.factors                 | [["sms_otp"]]                                     | [["badge_id","nda_hash"]]              | constraints
institution | auth.tls                     | [{"require_mutual":true,"min_version":"1.2"}]     | [1,"1.2"]                              | auth.tls
institution | auth.tls.require_mutual      | [true]                                            | [false,"true"]                         | auth.tls.require_mutual
institution | auth.tls.min_version         | ["1.2"]                                           | ["1.3",1.2]                            | auth.tls.min_version
person      | auth.tls                     | [null]                                            | [{"require_mutual":true}]              | auth.tls
person      | auth.webauthn.challenge_type | ["platform","cross_platform"]                     | ["any",true]                           | auth.webauthn.challenge_type
person      | auth.webauthn                | [{"challenge_type":"platform_or_cross_platform"}] | ["platform"]                           | auth.webauthn
institution | auth.webauthn                | [null]                                            | [{"challenge_type":"platform"}]        | auth.webauthn
institution | access.method                | ["bulk_api","bulk_download"]                      | ["portal","read",[],null]              | access.method
institution | access.method                | [["bulk_download","bulk_api"]]                    | [["bulk_download","portal"]]           | access.method[1]
person      | access.method                | ["portal","bulk_download"]                        | ["bulk_api"]                           | access.method
person      | access.method                | [["bulk_download","portal"]]                      | [["portal","bulk_api"]]                | access.method[1]
person      | access.method                | [["portal","bulk_download"]]                      | [["portal","portal"],["portal","x"]]   | access.method[1]
institution | access.max_batch_size        | [1,10000]                                         | [0,10001,-1,1.5,"1"]                   | access.max_batch_size
person      | access.max_batch_size        | [null]                                            | [1]                                    | access.max_batch_size
person      | access.read_only             | [true,false]                                      | ["true",1]                             | access.read_only
institution | access.read_only             | [false]                                           | [true]                                 | access.read_only
both        | access.read_only             | [false]                                           | [true]                                 | access.read_only
both        | access.max_batch_size        | [1]                                               | [0]                                    | access.max_batch_size
person      | match.identifiers            | [[],["A-_9"]]                                     | ["a",{}]                               | match.identifiers
person      | match.identifiers            | [["a"]]                                           | [["1a"],[""],["a.b"],["ä"],[null]]     | match.identifiers[0]
person      | match.identifiers            | [["a","A"]]                                       | [["a","a"]]                            | match.identifiers[1]
person      | match.stored_only            | [true,false,null]                                 | [1,"true"]                             | match.stored_only
person      | match.unscoped               | [true,false,null]                                 | [1,"true"]                             | match.unscoped
person      | constraints.not_before       | ["2025-01-15T10:32:00.5+01:00"]                   | ["2025-01-15","2025-01-15T10:32:00",1] | constraints.not_before
person      | constraints.not_after        | ["2025-01-15T10:32:00Z"]                          | ["soon","2025-02-30T10:32:00Z"]        | constraints.not_after
person      | constraints.session_minutes  | [1,720]                                           | [0,721,1.0]                            | constraints.session_minutes
person      | constraints.auto_expire_days | [1,3650]                                          | [0,3651,"30"]                          | constraints.auto_expire_days
"#;

#[test]
fn each_field_of_a_recipe_has_its_rule() {
    for row in FIELDS.trim().lines() {
        let [of, field, accepted, refused, error] = row.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        let errors = |value: &Value| errors(&with(base(of), field, value));
        let values = |text| serde_json::from_str::<Vec<Value>>(text).unwrap();
        values(accepted).iter().for_each(|value| assert_eq!(errors(value), NONE, "{row}: {value}"));
        values(refused).iter().for_each(|value| assert_eq!(errors(value), [error], "{row}: {value}"));
    }
}

#[test]
fn lists_and_their_words_have_a_length() {
    let words = |count: usize| json!((0..count).map(|n| format!("t{n}")).collect::<Vec<_>>());
    for (field, max) in [("artifactTypes", 50), ("match.identifiers", 10)] {
        let errors = |value: &Value| errors(&with(base("person"), field, value));
        assert_eq!(errors(&words(max)), NONE);
        assert_eq!(errors(&words(max + 1)), [field]);
        assert_eq!(errors(&json!(["t".repeat(64)])), NONE);
        assert_eq!(errors(&json!(["t".repeat(65)])), [format!("{field}[0]")]);
    }
}

#[test]
fn badge_and_agreement_alone_need_one_end_or_the_other() {
    let recipe = with(base("person"), "auth.factors", &json!(["badge_id", "nda_hash"]));
    assert_eq!(errors(&with(recipe.clone(), "constraints.session_minutes", &json!(30))), ["constraints"]);
    assert_eq!(errors(&with(recipe.clone(), "constraints.auto_expire_days", &json!(30))), NONE);
    assert_eq!(errors(&with(recipe, "constraints.not_after", &json!("2025-01-15T10:32:00Z"))), NONE);
}

#[test]
fn an_unknown_field_is_refused_wherever_it_is() {
    for path in
        ["other", "auth.other", "access.other", "match.other", "constraints.other", "auth.webauthn.other"]
    {
        assert_eq!(errors(&with(base("person"), path, &json!(null))), [path]);
    }
    assert_eq!(errors(&with(base("institution"), "auth.tls.other", &json!(1))), ["auth.tls.other"]);
    assert_eq!(errors(&with(base("person"), "name", &json!("Inside"))), ["name"]);
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let twice = |from: &str, to: &str| refusal(&base("person").to_string().replacen(from, to, 1)).0;
    assert_eq!(twice(r#""auth":"#, r#""auth":{"factors":["webauthn"]},"auth":"#), ["auth"]);
    assert_eq!(twice(r#""factors":"#, r#""factors":["webauthn"],"factors":"#), ["auth.factors"]);
    assert_eq!(twice(r#""method":"#, r#""method":"portal","method":"#), ["access.method"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let recipe = json!({
        "stakeholderClass": "lender", "artifactTypes": ["a", "B", "C"], "auth": {"factors": ["sms_otp", "email"]},
        "access": {"method": "read", "read_only": 1}, "match": {"identifiers": ["1"]},
        "constraints": {"session_minutes": 0}, "other": {},
    });
    let all = [
        "access.method",
        "access.read_only",
        "artifactTypes[1]",
        "artifactTypes[2]",
        "auth.factors[1]",
        "constraints.session_minutes",
        "match.identifiers[0]",
        "other",
        "stakeholderClass",
    ];
    assert_eq!(errors(&recipe), all);
    let recipe = json!({
        "stakeholderClass": "agent", "artifactTypes": ["a"],
        "auth": {"factors": ["shared_passphrase", "webauthn"], "tls": {}}, "access": {"method": "portal"},
    });
    assert_eq!(errors(&recipe), ["access.method", "auth.factors[1]", "auth.tls"]);
}

#[test]
fn what_is_wrong_between_fields_is_told_with_what_is_wrong_in_one() {
    let mixed = with(base("institution"), "auth.factors", &json!(["shared_passphrase", "webauthn"]));
    let errors = errors(&with(mixed, "artifactTypes", &json!(["A"])));
    assert_eq!(errors, ["artifactTypes[0]", "auth.factors[1]"]);
}

#[test]
fn a_recipe_has_at_most_4096_bytes() {
    let of = |bytes: usize| {
        let keys = (0..10).map(|n| format!("k{n}{}", "k".repeat(60))).collect::<Vec<_>>();
        let types = (0..49).map(|n| format!("{n:064}")).collect::<Vec<_>>();
        let recipe = with(base("person"), "artifactTypes", &json!(types));
        let mut recipe = with(recipe, "match.identifiers", &json!(keys));
        let mut add =
            |length: usize| recipe["artifactTypes"].as_array_mut().unwrap().push(json!("t".repeat(length)));
        add(1);
        let left = bytes - recipe.to_string().len();
        recipe["artifactTypes"][49] = json!("t".repeat(left + 1));
        assert_eq!(recipe.to_string().len(), bytes);
        recipe
    };
    assert_eq!(errors(&of(4096)), NONE);
    assert_eq!(errors(&of(4097)), ["recipe"]);
}

#[test]
fn a_string_that_holds_a_recipe_is_that_recipe() {
    let recipe = base("institution");
    assert_eq!(parse(&json!(recipe.to_string())), parse(&recipe));
    assert_eq!(serde_json::to_value(parse(&json!(recipe.to_string()))).unwrap(), recipe);
    for other in
        [json!("agent"), json!("[]"), json!(json!(recipe.to_string()).to_string()), json!(1), json!([])]
    {
        assert_eq!(errors(&other), ["recipe"], "{other}");
    }
}

#[test]
fn the_other_shape_is_refused_with_the_one_that_is_expected() {
    let other = json!({
        "access": "read", "artifactTypes": ["coi"], "requireFactors": ["email_verified"], "expiresInDays": 90,
    });
    for text in [other.to_string(), json!(other.to_string()).to_string(), r#"{"access":"read"}"#.to_owned()] {
        let (paths, message) = refusal(&text);
        assert_eq!(paths, ["recipe"]);
        assert!(message.contains("stakeholderClass") && message.contains("bulk_api"), "{message}");
    }
}

#[test]
fn what_shows_every_document_must_say_that_this_is_meant() {
    for (class, keys, unscoped, is_mistake) in [
        ("agent", json!(["agency_code"]), false, false),
        ("agent", json!([]), false, true),
        ("mortgagee", json!(["email", "phone", "date_of_birth", "badge_id", "nda_hash"]), false, true),
        ("policyholder", json!(["email"]), false, true),
        ("policyholder", json!(["email", "policy_number"]), false, false),
        ("agent", json!([]), true, false),
        ("auditor", json!([]), false, false),
    ] {
        let recipe = with(base("person"), "stakeholderClass", &json!(class));
        let recipe = with(recipe, "match", &json!({"identifiers": keys, "unscoped": unscoped}));
        assert_eq!(parse(&recipe).is_unscoped_by_mistake(), is_mistake, "{recipe}");
    }
}

#[test]
fn the_hash_is_that_of_the_content_however_it_is_written() {
    let canonical = r#"{"access":{"method":"portal"},"artifactTypes":["a"],"auth":{"factors":["webauthn"]},"stakeholderClass":"agent"}"#;
    let written = r#" { "stakeholderClass" : "\u0061gent", "auth":{"factors":[ "webauthn" ]},
        "match": null, "artifactTypes":["a"], "access" :{"method":"portal"} } "#;
    let hash = |text: &str| Recipe::parse(serde_json::from_str::<Json>(text).unwrap()).unwrap().hash();
    let digest: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash(canonical), format!("sha256:{digest}"));
    assert_eq!(hash(written), hash(canonical));
    assert_ne!(hash(&canonical.replace("\"a\"", "\"b\"")), hash(canonical));
}

#[test]
fn the_recipes_of_the_api_reference_are_taken_and_given_back() {
    let mortgagee = json!({
        "stakeholderClass": "mortgagee", "artifactTypes": ["declaration-page", "certificate-of-insurance", "endorsement"],
        "auth": {
            "factors": ["shared_passphrase", "tls_certificate"], "tls": {"require_mutual": true, "min_version": "1.2"},
        },
        "access": {"method": "bulk_api", "max_batch_size": 10_000},
        "match": {"identifiers": ["lender_id", "policy_number"]},
    });
    let agent = json!({
        "stakeholderClass": "agent",
        "artifactTypes": ["declaration-page", "policy-packet", "endorsement", "renewal-notice"],
        "auth": {"factors": ["webauthn"], "webauthn": {"challenge_type": "platform_or_cross_platform"}},
        "access": {"method": ["portal", "bulk_download"]}, "match": {"identifiers": ["agency_code", "policy_number"]},
    });
    let mut real_estate = mortgagee.clone();
    real_estate["artifactTypes"] =
        json!(["closing-disclosure", "deed-of-trust", "settlement-statement", "title-policy"]);
    real_estate["match"]["identifiers"] = json!(["lender_id", "file_number"]);
    for recipe in [mortgagee, agent, real_estate] {
        for sent in [recipe.clone(), json!(recipe.to_string())] {
            assert_eq!(serde_json::to_value(parse(&sent)).unwrap(), recipe);
        }
    }
}
