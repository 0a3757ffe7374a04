//! Cases: a recipe and facts, as what is sent and stored, and the generators of both. Keys and values are few, so that
//! they meet.

use std::collections::BTreeMap;

use docyard_core::model::decision::{Decision, Facts, Outcome, decide};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipe::{Factor, Method, Recipe};
use docyard_core::model::recipient::{Recipient, StakeholderClass};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::id::{AccountId, DockId, RecipientId};
use docyard_core::values::text::Text;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

pub type Texts = BTreeMap<String, String>;

/// A recipe and facts.
#[derive(Clone, Debug)]
pub struct Case {
    pub recipe: Value,
    pub class: Option<&'static str>,
    pub is_in_audience: bool,
    pub method: &'static str,
    pub factors: Vec<&'static str>,
    pub now: String,
    pub authenticated_at: String,
    pub created_at: String,
    pub email: &'static str,
    pub stored: Texts,
    pub submitted: Texts,
    pub artifact: Option<Texts>,
}

pub fn parse(recipe: &Value) -> Recipe {
    let json = serde_json::from_str(&recipe.to_string()).unwrap();
    Recipe::parse(json).unwrap_or_else(|errors| panic!("{recipe}: {errors:?}"))
}

/// As they are, without the form that [`Identifiers::parse`] gives a value: comparing is the decision's own part.
pub fn identifiers(texts: &Texts) -> Identifiers {
    serde_json::from_value(json!(texts)).unwrap()
}

impl Case {
    pub fn recipient(&self) -> Recipient {
        Recipient {
            id: RecipientId::parse("rcp_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            dock: DockId::parse("dock_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            account: AccountId::parse("acc_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            name: Text::parse("Ann").unwrap(),
            email: Email::parse(self.email).unwrap(),
            stakeholder_class: self.class.map(|class| StakeholderClass::parse(class).unwrap()),
            identifiers: identifiers(&self.stored),
            created_at: Timestamp::parse(&self.created_at).unwrap(),
            updated_at: None,
            version: 0,
        }
    }

    pub fn decide(&self) -> Decision {
        let factors: Vec<Factor> = self.factors.iter().map(|factor| Factor::parse(factor).unwrap()).collect();
        let facts = Facts {
            recipient: &self.recipient(),
            is_in_audience: self.is_in_audience,
            method: Method::parse(self.method).unwrap(),
            factors: &factors,
            authenticated_at: Timestamp::parse(&self.authenticated_at).unwrap(),
            submitted: &identifiers(&self.submitted),
            artifact: self.artifact.as_ref(),
        };
        decide(&parse(&self.recipe), &facts, Timestamp::parse(&self.now).unwrap())
    }

    pub fn is_granted(&self) -> bool {
        self.decide().is_granted()
    }

    /// The checks that do not hold, each with its outcome.
    pub fn shortfalls(&self) -> Vec<String> {
        let decision = self.decide();
        let open = decision.checks.iter().filter(|check| check.outcome != Outcome::Holds);
        open.map(|check| format!("{} {}", check.checked, check.outcome.word())).collect()
    }

    /// The keys that the recipe matches.
    pub fn keys(&self) -> Vec<&str> {
        let keys = self.recipe["match"]["identifiers"].as_array();
        keys.into_iter().flatten().map(|key| key.as_str().unwrap()).collect()
    }

    /// What is on record of a key.
    pub fn on_record(&self, key: &str) -> Option<&str> {
        if key == "email" { Some(self.email) } else { self.stored.get(key).map(String::as_str) }
    }

    /// Whether there is a value for the key that was only submitted.
    pub fn is_claimed(&self, key: &str) -> bool {
        self.on_record(key).is_none() && self.submitted.contains_key(key)
    }

    /// The case with an artifact that holds all that is known, and is of a type that the recipe grants: if any artifact is
    /// granted, this one is.
    pub fn with_accommodating_artifact(&self) -> Self {
        let value = |key: &str| self.on_record(key).or(self.submitted.get(key).map(String::as_str));
        let held = |key: &str| Some((key.to_owned(), value(key)?.to_owned()));
        let mut artifact: Texts = self.keys().into_iter().filter_map(held).collect();
        let a_type = self.recipe["artifactTypes"][0].as_str().unwrap();
        artifact.entry("document_type".to_owned()).or_insert(a_type.to_owned());
        Self { artifact: Some(artifact), ..self.clone() }
    }
}

/// The keys that say who one is. Every other says what one may see.
pub const WHO: [&str; 5] = ["email", "phone", "date_of_birth", "badge_id", "nda_hash"];

/// Each key has two values, and each of these two spellings.
const VALUES: [(&str, [[&str; 2]; 2]); 8] = [
    ("lender_id", [["LND-1", " LND-1 "], ["lnd-1", "lnd-1\t"]]),
    ("policy_number", [["P 1", " P 1"], ["P  1", "P  1 "]]),
    ("file_number", [["7", " 7 "], ["07", "07 "]]),
    ("email", [["ann@example.com", " Ann@Example.COM"], ["bob@example.com", "BOB@example.com "]]),
    ("phone", [["+1-860-555-0147", "1 (860) 555.0147"], ["+1-860-555-0148", "+18605550148 "]]),
    ("date_of_birth", [["1983-06-15", " 1983-06-15 "], ["1983-06-16", "1983-06-16 "]]),
    ("badge_id", [["B1", "B1 "], ["B2", " B2"]]),
    (
        "nda_hash",
        [
            [
                "sha256:aa00000000000000000000000000000000000000000000000000000000000000",
                "AA00000000000000000000000000000000000000000000000000000000000000 ",
            ],
            [
                "sha256:bb00000000000000000000000000000000000000000000000000000000000000",
                "bB00000000000000000000000000000000000000000000000000000000000000",
            ],
        ],
    ),
];

/// A value of a key, in one of its spellings.
pub fn value(key: &str, value: bool, spelling: bool) -> &'static str {
    let (_, values) = VALUES.iter().find(|(known, _)| *known == key).unwrap();
    values[usize::from(value)][usize::from(spelling)]
}

/// Which of a key's values a text is; `None` for neither.
pub fn meaning(key: &str, text: &str) -> Option<bool> {
    [false, true].into_iter().find(|&which| [false, true].iter().any(|&as_| value(key, which, as_) == text))
}

const FACTORS: [&str; 6] =
    ["shared_passphrase", "tls_certificate", "webauthn", "sms_otp", "badge_id", "nda_hash"];

pub fn a_factor() -> impl Strategy<Value = &'static str> {
    select(&FACTORS)
}

fn a_class() -> impl Strategy<Value = &'static str> {
    select(&["mortgagee", "agent", "policyholder", "auditor"])
}

const SESSION_MINUTES: u16 = 30;
const EXPIRE_DAYS: u16 = 30;
const NOT_BEFORE: &str = "2025-06-15T12:00:00.000Z";
const NOT_AFTER: &str = "2025-06-15T13:00:00.000Z";

/// Any recipe that keeps the rules, with these keys at most.
pub fn a_recipe() -> BoxedStrategy<Value> {
    let sets: [(Value, &[Value]); 2] = [
        (
            json!([["shared_passphrase"], ["tls_certificate", "shared_passphrase"]]),
            &[json!("bulk_api"), json!(["bulk_api", "bulk_download"])],
        ),
        (
            json!([
                ["webauthn"],
                ["sms_otp", "badge_id"],
                ["nda_hash", "badge_id"],
                ["webauthn", "sms_otp", "nda_hash"]
            ]),
            &[json!("portal"), json!(["portal", "bulk_download"]), json!("bulk_download")],
        ),
    ];
    let auth = select(sets.map(|(factors, methods)| (factors, methods.to_vec())).to_vec())
        .prop_flat_map(|(factors, methods)| (select(factors.as_array().unwrap().clone()), select(methods)));
    let types =
        select(vec![json!(["*"]), json!(["declaration-page"]), json!(["endorsement", "declaration-page"])]);
    let keys = subsequence(VALUES.map(|(key, _)| key).to_vec(), 0..=4).prop_shuffle();
    let constraints = proptest::array::uniform4(any::<bool>());
    (a_class(), types, auth, keys, prop::bool::weighted(0.2), constraints)
        .prop_map(|(class, types, (factors, method), keys, stored_only, [from, to, session, expiry])| {
            let mut constraints = json!({});
            let needs_end = factors == json!(["nda_hash", "badge_id"]) && !to;
            for (is_set, name, value) in [
                (from, "not_before", json!(NOT_BEFORE)),
                (to, "not_after", json!(NOT_AFTER)),
                (session, "session_minutes", json!(SESSION_MINUTES)),
                (expiry || needs_end, "auto_expire_days", json!(EXPIRE_DAYS)),
            ] {
                if is_set {
                    constraints[name] = value;
                }
            }
            json!({
                "stakeholderClass": class, "artifactTypes": types, "auth": {"factors": factors},
                "access": {"method": method}, "match": {"identifiers": keys, "stored_only": stored_only},
                "constraints": constraints,
            })
        })
        .boxed()
}

/// Where there is a value of a key: on record, submitted, and in the artifact.
fn a_value(key: &'static str) -> BoxedStrategy<[Option<&'static str>; 3]> {
    let sources = prop_oneof![
        8 => Just([true, false]),
        3 => Just([true, true]),
        8 => Just([false, true]),
        1 => Just([false, false]),
    ];
    let held = prop_oneof![12 => Just(Some(true)), 2 => Just(Some(false)), 2 => Just(None)];
    let spellings = proptest::array::uniform3(any::<bool>());
    (sources, any::<bool>(), prop::bool::weighted(0.97), held, spellings, prop::bool::weighted(0.02))
        .prop_map(move |([is_stored, is_submitted], which, agrees, held, [first, second, third], is_odd)| {
            let odd = |text| if is_odd { "n/a" } else { text };
            // The address is the first value. An identifier with that key is another, and means nothing.
            let is_email = key == "email";
            let which = which && !is_email;
            [
                is_stored.then(|| value(key, which != is_email, first)),
                is_submitted.then(|| value(key, which == agrees, second)),
                held.map(|is_same| odd(value(key, which == is_same, third))),
            ]
        })
        .boxed()
}

fn before(time: OffsetDateTime, duration: Duration) -> String {
    Timestamp::from(time - duration).to_string()
}

/// Facts that the recipe grants, or that miss that in something or other.
pub fn facts(recipe: Value) -> BoxedStrategy<Case> {
    let flaws = proptest::array::uniform7(prop::bool::weighted(0.04));
    let values = VALUES.map(|(key, _)| a_value(key));
    let types = prop_oneof![
        10 => Just(Some("declaration-page")), 1 => Just(Some("invoice")), 1 => Just(Some("*")), 1 => Just(None),
    ];
    let minute = prop_oneof![Just(0), Just(30), Just(59)];
    let is_last = any::<bool>();
    let more = subsequence(FACTORS.to_vec(), 0..=1);
    // Rare, if each key were by itself.
    let all_claimed = prop::bool::weighted(0.3);
    (
        flaws,
        values,
        types,
        prop::bool::weighted(0.8),
        (minute, is_last),
        (more, all_claimed),
        a_class(),
        any::<bool>(),
    )
        .prop_map(
            move |(
                flaws,
                values,
                a_type,
                has_artifact,
                (minute, is_last),
                (more, all_claimed),
                other,
                which,
            )| {
                let [class, audience, window, session, expiry, method, factor] = flaws;
                let start = OffsetDateTime::from_unix_timestamp(1_749_988_800).unwrap();
                let now = match (window, is_last) {
                    (false, false) => start + Duration::minutes(minute),
                    (false, true) => start + Duration::minutes(60) - Duration::milliseconds(1),
                    (true, false) => start - Duration::milliseconds(1),
                    (true, true) => start + Duration::minutes(60),
                };
                // The last moment at which it grants, or the first at which it does not.
                let ago = |whole: Duration, is_over: bool| {
                    let left = if is_over { Duration::ZERO } else { Duration::milliseconds(1) };
                    before(now, if is_over || is_last { whole - left } else { Duration::ZERO })
                };
                let minutes = recipe["constraints"]["session_minutes"].as_i64().unwrap_or(60);
                let mut methods = vec!["portal", "bulk_download", "bulk_api"];
                methods.retain(|it| method != recipe["access"]["method"].to_string().contains(it));
                let mut case = Case {
                    class: match (class, which) {
                        (true, true) => None,
                        (true, false) => Some(other),
                        (false, _) => ["mortgagee", "agent", "policyholder", "auditor"]
                            .into_iter()
                            .find(|class| recipe["stakeholderClass"] == *class),
                    },
                    is_in_audience: !audience,
                    method: methods.get(usize::from(which)).unwrap_or(&methods[0]),
                    factors: FACTORS
                        .into_iter()
                        .filter(|it| recipe["auth"]["factors"].as_array().unwrap().contains(&json!(it)))
                        .skip(usize::from(factor))
                        .chain(more)
                        .collect(),
                    now: before(now, Duration::ZERO),
                    authenticated_at: ago(Duration::minutes(minutes), session),
                    created_at: ago(Duration::days(EXPIRE_DAYS.into()), expiry),
                    email: value("email", false, false),
                    stored: Texts::new(),
                    submitted: Texts::new(),
                    artifact: has_artifact.then(Texts::new),
                    recipe: recipe.clone(),
                };
                for ((key, _), [stored, submitted, held]) in VALUES.into_iter().zip(values) {
                    let put = |texts: &mut Texts, text: Option<&str>| {
                        texts.extend(text.map(|text| (key.to_owned(), text.to_owned())));
                    };
                    let is_claimed = all_claimed && key != "email";
                    put(&mut case.stored, stored.filter(|_| !is_claimed));
                    put(&mut case.submitted, if is_claimed { submitted.or(stored) } else { submitted });
                    case.artifact.iter_mut().for_each(|artifact| put(artifact, held));
                }
                if let Some(artifact) = &mut case.artifact {
                    artifact.extend(a_type.map(|it| ("document_type".to_owned(), it.to_owned())));
                }
                case
            },
        )
        .boxed()
}

pub fn a_case() -> impl Strategy<Value = Case> {
    a_recipe().prop_flat_map(facts)
}
