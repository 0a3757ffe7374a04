//! A dock in which there is something of everything: recipients, a secret, groups, and policies at each point of their life.

use docyard_core::context::Context;
use docyard_core::model::api_key::Mode;
use docyard_core::model::group::MAX_GROUPS_OF_RECIPIENT;
use docyard_core::model::policy::{Audience, MAX_VERSIONS, Policy, Revision, Stages};
use docyard_core::model::recipe::Recipe;
use docyard_core::store::Store;
use docyard_core::values::clock::Clock;
use docyard_core::values::id::{DockId, PolicyId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use serde_json::{Value, json};

use crate::api::{Api, Reply};
use crate::table::operator;

/// The ids of what there is.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub dock: String,
    /// A mortgagee with a secret and a certificate, in both groups.
    pub member: String,
    /// The value of its secret.
    pub passphrase: String,
    /// Its certificate, and that in PEM.
    pub certificate: String,
    pub pem: String,
    /// A token of it, bound to its certificate.
    pub token: String,
    /// A mortgagee in no group, with a secret.
    pub outsider: String,
    /// The value of its secret.
    pub outsider_passphrase: String,
    /// A token of it, for which nothing is in force.
    pub outsider_token: String,
    /// A group that [`Scene::published`] is for.
    pub group: String,
    /// A group that no policy is for.
    pub plain_group: String,
    /// A policy of which nothing is in force.
    pub draft: String,
    /// A policy whose version 1 is in production, and whose version 2 is not.
    pub published: String,
    /// A policy whose version 1 is scheduled.
    pub scheduled: String,
    /// A policy with as many versions as it may have.
    pub full: String,
}

/// A recipe for mortgagees with a passphrase, who see what carries their `lender_id`.
pub fn recipe() -> Value {
    json!({
        "stakeholderClass": "mortgagee",
        "artifactTypes": ["declaration-page"],
        "auth": {"factors": ["shared_passphrase"]},
        "access": {"method": "bulk_api"},
        "match": {"identifiers": ["lender_id"]},
    })
}

/// The same for other artifacts.
pub fn other_recipe() -> Value {
    let mut recipe = recipe();
    recipe["artifactTypes"] = json!(["declaration-page", "endorsement"]);
    recipe
}

/// Asks endpoints with a key, about things of one dock.
pub struct Asker<'a> {
    pub api: &'a Api,
    pub key: &'a str,
    pub dock: &'a str,
}

impl Asker<'_> {
    /// The answer to a request. A body of `null` is none.
    pub async fn reply(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
        query: &str,
        body: Value,
    ) -> Reply {
        let parameters = [&[("dockId", self.dock)], parameters].concat();
        let headers = [("authorization", format!("Bearer {}", self.key))];
        let body = (!body.is_null()).then(|| body.to_string());
        self.api.ask(endpoint, &parameters, query, &headers, body).await
    }

    /// The body of the answer to a request that must succeed.
    pub async fn ask(&self, endpoint: &str, parameters: &[(&str, &str)], body: Value) -> Value {
        let reply = self.reply(endpoint, parameters, "", body).await;
        assert!(reply.status < 300, "{endpoint}: {}", reply.shown());
        reply.body
    }

    /// The id of what it creates.
    pub async fn create(&self, endpoint: &str, parameters: &[(&str, &str)], body: Value) -> String {
        self.ask(endpoint, parameters, body).await["id"].as_str().unwrap().to_owned()
    }

    /// A mortgagee, by its email.
    pub async fn mortgagee(&self, email: &str) -> String {
        let body = json!({
            "name": "A lender", "email": email, "stakeholderClass": "mortgagee",
            "identifiers": {"lender_id": format!("LND-{email}")},
        });
        self.create("create-recipient", &[], body).await
    }

    /// The value of a new secret of a recipient.
    pub async fn secret(&self, recipient: &str) -> String {
        let secret =
            self.ask("generate-secret", &[("recipientId", recipient)], json!({"name": "A secret"})).await;
        secret["secret"].as_str().unwrap().to_owned()
    }

    /// The id of a certificate, registered for a recipient.
    pub async fn certificate(&self, recipient: &str, pem: &str) -> String {
        let body = json!({"name": "A certificate", "certificate": pem});
        self.create("register-certificate", &[("recipientId", recipient)], body).await
    }

    /// A token for a passphrase, over a connection with this certificate.
    pub async fn token(&self, recipient: &str, passphrase: &str, pem: Option<&str>) -> String {
        let reply = self.api.token(recipient, passphrase, pem, json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.shown());
        reply.body["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn policy(&self, name: &str, audience: Value) -> String {
        let body = json!({"name": name, "recipe": recipe(), "audience": audience});
        self.create("create-policy", &[], body).await
    }

    pub async fn group(&self, name: &str, recipients: &[&str]) -> String {
        self.create("create-group", &[], json!({"name": name, "recipientIds": recipients})).await
    }

    pub async fn publish(&self, policy: &str, body: Value) {
        self.ask("publish-policy", &[("policyId", policy)], body).await;
    }
}

impl Scene {
    /// Creates everything, in this dock or in a new one. Its recipients have emails that begin with `prefix`.
    pub async fn create(store: &Store, key: &str, dock: Option<&str>, prefix: &str) -> Self {
        let api = Api::new(Context::new(store.clone(), Mode::Live, Clock::system()));
        let asker = |dock| Asker { api: &api, key, dock };
        let dock = match dock {
            Some(dock) => dock.to_owned(),
            None => asker("").create("create-dock", &[], json!({"name": "A dock with policies"})).await,
        };
        let asker = asker(&dock);
        let member = asker.mortgagee(&format!("{prefix}member@example.com")).await;
        let passphrase = asker.secret(&member).await;
        let pem = crate::certificate::new("member");
        let certificate = asker.certificate(&member, &pem).await;
        let outsider = asker.mortgagee(&format!("{prefix}outsider@example.com")).await;
        let outsider_passphrase = asker.secret(&outsider).await;
        let group = asker.group("A group", &[&member]).await;
        let plain_group = asker.group("A plain group", &[&member]).await;
        let draft = asker.policy("A draft", json!({"everyone": true})).await;
        let published = asker.policy("In production", json!({"groupIds": [group]})).await;
        asker.publish(&published, json!({"stage": "production", "version": 1})).await;
        let edit = json!({"recipe": other_recipe()});
        asker.ask("update-policy", &[("policyId", &published)], edit).await;
        let token = asker.token(&member, &passphrase, Some(&pem)).await;
        // It gets one while it is in the group.
        let of_outsider = json!({"recipientIds": [outsider]});
        let in_group = [("groupId", group.as_str())];
        asker.ask("add-group-recipients", &in_group, of_outsider.clone()).await;
        let outsider_token = asker.token(&outsider, &outsider_passphrase, None).await;
        asker.ask("remove-group-recipients", &in_group, of_outsider).await;
        let scheduled = asker.policy("Scheduled", json!({"everyone": true})).await;
        let in_a_year = Clock::system().now().plus_days(365).to_string();
        let schedule = json!({"stage": "production", "version": 1, "scheduledEnforceDate": in_a_year});
        asker.publish(&scheduled, schedule).await;
        let full = full_policy(store, &dock).await;
        Self {
            dock,
            member,
            passphrase,
            certificate,
            pem,
            token,
            outsider,
            outsider_passphrase,
            outsider_token,
            group,
            plain_group,
            draft,
            published,
            scheduled,
            full,
        }
    }
}

impl Scene {
    /// Another recipient, in as many groups as it may be in.
    pub async fn crowded(&self, store: &Store, key: &str) -> String {
        let api = Api::new(Context::new(store.clone(), Mode::Live, Clock::system()));
        let asker = Asker { api: &api, key, dock: &self.dock };
        let crowded = asker.mortgagee("crowded@example.com").await;
        for n in 0..MAX_GROUPS_OF_RECIPIENT {
            asker.group(&format!("Group {n}"), &[&crowded]).await;
        }
        crowded
    }
}

/// A policy with as many versions as it may have, past the API.
async fn full_policy(store: &Store, dock: &str) -> String {
    let dock = store.dock(DockId::parse(dock).unwrap()).await.unwrap().unwrap();
    let now = Clock::system().now();
    let recipe = Recipe::parse(serde_json::from_value(recipe()).unwrap()).unwrap();
    let policy = Policy {
        id: PolicyId::generate(now, &mut random::system()),
        dock: dock.id,
        account: dock.account,
        name: Text::parse("Full").unwrap(),
        audience: Audience::Everyone,
        current: Revision { number: MAX_VERSIONS, recipe },
        stages: Stages::default(),
        created_at: now,
        updated_at: None,
        version: 0,
    };
    let entry = policy.created().by(&operator(dock.account), now);
    store.create_policy(&policy, &entry, None).await.unwrap();
    policy.id.to_string()
}
