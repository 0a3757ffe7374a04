//! How long decisions take, without a table: one recipe over ten thousand artifacts.

use std::collections::BTreeMap;
use std::time::Instant;

use docyard_core::model::decision::{Facts, decide};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipe::{Factor, Method, Recipe};
use docyard_core::model::recipient::Recipient;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::id::{AccountId, DockId, RecipientId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use serde_json::json;

use crate::report::machine;

const ARTIFACTS: usize = 10_000;
const ROUNDS: usize = 20;

/// Decides on ten thousand artifacts, of which a lender with a stored key and a claimed number may see each hundredth, and
/// returns what that took.
pub fn measure() -> String {
    let now = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
    let recipe = json!({
        "stakeholderClass": "mortgagee",
        "artifactTypes": ["declaration-page", "certificate-of-insurance", "endorsement"],
        "auth": {"factors": ["shared_passphrase", "tls_certificate"]},
        "access": {"method": "bulk_api"},
        "match": {"identifiers": ["lender_id", "policy_number"]},
    });
    let recipe = Recipe::parse(serde_json::from_value(recipe).unwrap()).unwrap();
    let identifiers = |json| Identifiers::parse(serde_json::from_value(json).unwrap(), now.date()).unwrap();
    let rng = &mut random::system();
    let recipient = Recipient {
        id: RecipientId::generate(now, rng),
        dock: DockId::generate(now, rng),
        account: AccountId::generate(now, rng),
        name: Text::parse("First National Bank").unwrap(),
        email: Email::parse("bulk@firstnational.example").unwrap(),
        stakeholder_class: Some(recipe.class()),
        identifiers: identifiers(json!({"lender_id": "LND-4821"})),
        created_at: now,
        updated_at: None,
        version: 0,
    };
    let submitted = identifiers(json!({"policy_number": "POL-7"}));
    let artifacts: Vec<BTreeMap<String, String>> = (0..ARTIFACTS)
        .map(|n| {
            let metadata = [
                ("document_type", "endorsement".to_owned()),
                ("lender_id", "LND-4821".to_owned()),
                ("policy_number", format!("POL-{}", n % 100)),
                ("effective_date", "2025-01-01".to_owned()),
            ];
            metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
        })
        .collect();
    let mut milliseconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            let is_granted = |artifact: &&BTreeMap<String, String>| {
                let facts = Facts {
                    recipient: &recipient,
                    is_in_audience: true,
                    method: Method::BulkApi,
                    factors: &[Factor::SharedPassphrase, Factor::TlsCertificate],
                    authenticated_at: now,
                    submitted: &submitted,
                    artifact: Some(artifact),
                };
                decide(&recipe, &facts, now).is_granted()
            };
            let granted = artifacts.iter().filter(is_granted).count();
            assert_eq!(granted, ARTIFACTS / 100);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    milliseconds.sort_by(f64::total_cmp);
    format!(
        "{}`decide` on {ARTIFACTS} artifacts, one after the other: {:.1} ms, the median of {ROUNDS} (from {:.1} to {:.1}).\n",
        machine(),
        milliseconds[ROUNDS / 2],
        milliseconds[0],
        milliseconds[ROUNDS - 1],
    )
}
