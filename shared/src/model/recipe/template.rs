//! Templates: recipes to begin with, for each class of recipients and each industry.
//!
//! An identifier has one value, and a recipe's keys must all match. So a mortgagee's matches the institution's own key
//! alone: with `policy_number` beside it, a lender would see the documents of one policy.

use super::{
    Access, Auth, ChallengeType, Constraints, Factor, Match, Method, Methods, Recipe, Tls, WebAuthn,
};
use crate::model::recipient::StakeholderClass;

/// A recipe to begin with.
pub struct Template {
    /// Its id, which never changes: `tpl_mortgagee_bulk`.
    pub id: &'static str,
    /// What a policy made of it is called, unless it is told.
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub description: &'static str,
    /// The industry that it is for.
    pub category: &'static str,
    /// The recipe.
    pub recipe: fn() -> Recipe,
}

/// All templates.
pub const ALL: &[Template] = &[
    Template {
        id: "tpl_mortgagee_bulk",
        name: "Mortgagee bulk access",
        description: "Lenders fetch the documents that carry their lender_id, in bulk, with passphrase and certificate",
        category: "insurance",
        recipe: || mortgagee(&["declaration-page", "certificate-of-insurance", "endorsement"], "lender_id"),
    },
    Template {
        id: "tpl_agent_portal",
        name: "Agent portal access",
        description: "Agents see and download the documents that carry their agency_code, with a passkey",
        category: "insurance",
        recipe: || Recipe {
            class: StakeholderClass::Agent,
            artifact_types: words(&["declaration-page", "policy-packet", "endorsement", "renewal-notice"]),
            auth: Auth {
                factors: vec![Factor::WebAuthn],
                tls: None,
                webauthn: Some(WebAuthn { challenge_type: Some(ChallengeType::Any) }),
            },
            access: Access {
                method: Methods::Several(vec![Method::Portal, Method::BulkDownload]),
                max_batch_size: None,
                read_only: None,
            },
            matching: Some(matching(&["agency_code"], Some(true))),
            constraints: None,
        },
    },
    Template {
        id: "tpl_policyholder_portal",
        name: "Policyholder portal access",
        description: "Policyholders see the documents with their date of birth and policy number, with a code sent to \
                      their phone",
        category: "insurance",
        recipe: || Recipe {
            class: StakeholderClass::Policyholder,
            artifact_types: words(&["declaration-page", "policy-document", "renewal-notice"]),
            auth: Auth { factors: vec![Factor::SmsOtp], tls: None, webauthn: None },
            access: Access { method: Methods::One(Method::Portal), max_batch_size: None, read_only: None },
            matching: Some(matching(&["date_of_birth", "policy_number"], None)),
            constraints: None,
        },
    },
    Template {
        id: "tpl_auditor_read_only",
        name: "Auditor read-only access",
        description: "Auditors look at every document for 30 days after they were registered, with badge and signed NDA",
        category: "insurance",
        recipe: || Recipe {
            class: StakeholderClass::Auditor,
            artifact_types: words(&["*"]),
            auth: Auth { factors: vec![Factor::BadgeId, Factor::NdaHash], tls: None, webauthn: None },
            access: Access {
                method: Methods::One(Method::Portal),
                max_batch_size: None,
                read_only: Some(true),
            },
            matching: Some(matching(&["badge_id", "nda_hash"], Some(true))),
            constraints: Some(Constraints { auto_expire_days: Some(30), ..Constraints::default() }),
        },
    },
    Template {
        id: "tpl_mortgagee_bulk_real_estate",
        name: "Lender bulk access",
        description: "Lenders fetch the closing documents that carry their lender_id, in bulk, with passphrase and \
                      certificate",
        category: "real_estate",
        recipe: || {
            let types = [
                "closing-disclosure",
                "deed-of-trust",
                "settlement-statement",
                "title-policy",
                "title-commitment",
            ];
            mortgagee(&types, "lender_id")
        },
    },
    Template {
        id: "tpl_mortgagee_bulk_healthcare",
        name: "Payer bulk access",
        description: "Payers fetch the documents that carry their payer_id, in bulk, with passphrase and certificate",
        category: "healthcare",
        recipe: || mortgagee(&["explanation-of-benefits"], "payer_id"),
    },
    Template {
        id: "tpl_mortgagee_bulk_financial_services",
        name: "Investor bulk access",
        description: "Warehouse lenders and investors fetch the loan documents that carry their lender_id, in bulk, with \
                      passphrase and certificate",
        category: "financial_services",
        recipe: || mortgagee(&["loan-estimate", "closing-disclosure"], "lender_id"),
    },
];

/// The template of this id.
pub fn named(id: &str) -> Option<&'static Template> {
    ALL.iter().find(|template| template.id == id)
}

fn mortgagee(types: &[&str], key: &str) -> Recipe {
    Recipe {
        class: StakeholderClass::Mortgagee,
        artifact_types: words(types),
        auth: Auth {
            factors: vec![Factor::SharedPassphrase, Factor::TlsCertificate],
            tls: Some(Tls { require_mutual: Some(true), min_version: Some("1.2".to_owned()) }),
            webauthn: None,
        },
        access: Access {
            method: Methods::One(Method::BulkApi),
            max_batch_size: Some(super::MAX_BATCH_SIZE),
            read_only: None,
        },
        matching: Some(matching(&[key], None)),
        constraints: None,
    }
}

fn matching(keys: &[&str], stored_only: Option<bool>) -> Match {
    Match { identifiers: Some(words(keys)), stored_only, unscoped: None }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_template_is_a_recipe_that_can_be_published() {
        for template in ALL {
            let recipe = (template.recipe)();
            let json = serde_json::to_string(&recipe).unwrap();
            assert_eq!(
                Recipe::parse(serde_json::from_str(&json).unwrap()),
                Ok(recipe.clone()),
                "{}",
                template.id
            );
            assert!(!recipe.is_unscoped_by_mistake(), "{}", template.id);
            assert!(template.id.starts_with("tpl_") && named(template.id).is_some());
        }
        let ids: BTreeSet<&str> = ALL.iter().map(|template| template.id).collect();
        assert_eq!(ids.len(), ALL.len());
        assert!(named("tpl_none").is_none());
    }
}
