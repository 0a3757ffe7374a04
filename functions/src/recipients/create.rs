//! `POST /v1/docks/{dockId}/recipients`: creates a recipient, a party who may fetch from the dock.
//!
//! Takes `name` and `email`, and optionally `stakeholderClass` and `identifiers`. Returns 201, the recipient, and its
//! URL in `Location`. An email is unique within the dock, regardless of case: the second recipient gets 409 with the
//! `recipientId` of the first. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the recipient.

use docyard_core::context::{Caller, Context};
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipient::{Recipient, StakeholderClass};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{DockId, RecipientId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{RecipientOutput, email_taken, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, path, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-recipient": Post "/v1/docks/{dockId}/recipients",
    description: "Create a recipient",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key], PutItem on [Audit, AuditEntity, Dock, Idempotency, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Registers a party who may fetch from the dock. An email is unique within the dock, regardless of case.",
        )
        .request_body::<Input>(serde_json::json!({
            "name": "First National Bank",
            "email": "bulk@firstnational.example",
            "stakeholderClass": "mortgagee",
            "identifiers": {"lender_id": "LND-4821", "policy_number": "POL-2025-88401"},
        }))
        .accepts_idempotency_key()
        .response::<RecipientOutput>(201, "The recipient")
        .etag()
        .replayable()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/recipients/rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y")
        .link("get-recipient", super::CREATED)
        .link("update-recipient", super::CREATED)
        .link("delete-recipient", super::CREATED)
        .link("generate-secret", &[("recipientId", "$response.body#/id")])
        .link("list-secrets", &[("recipientId", "$response.body#/id")])
        .link("list-entity-audit-logs", &[("entityType", "recipient"), ("entityId", "$response.body#/id")])
        .not_found(Resource::Dock, "No such dock in the key's account")
        .taken::<RecipientId>("Another recipient of this dock has the email: `recipientId`", super::EMAIL_TAKEN)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateRecipient, rename_all = "camelCase"))]
pub(super) struct Input {
    name: Text,
    pub(super) email: Email,
    stakeholder_class: Option<StakeholderClass>,
    identifiers: Option<Identifiers>,
}

impl Input {
    pub(super) fn parse(fields: &mut Fields, now: Timestamp) -> Result<Self, Rejected> {
        let name = fields.required("name", string(Text::parse));
        let email = fields.required("email", string(Email::parse));
        let stakeholder_class = fields.optional("stakeholderClass", string(StakeholderClass::parse));
        let identifiers = fields.optional("identifiers", |json| Identifiers::parse(json, now.latest_date()));
        Ok(Self {
            name: name?,
            email: email?,
            stakeholder_class: stakeholder_class?,
            identifiers: identifiers?,
        })
    }

    /// The recipient that it makes in a dock.
    pub(super) fn recipient(self, caller: Caller, dock: DockId, now: Timestamp) -> Recipient {
        Recipient {
            id: RecipientId::generate(now, &mut random::system()),
            dock,
            account: caller.account,
            name: self.name,
            email: self.email,
            stakeholder_class: self.stakeholder_class,
            identifiers: self.identifiers.unwrap_or_default(),
            created_at: now,
            updated_at: None,
            version: 0,
        }
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let now = context.now();
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(|fields| Input::parse(fields, now));
        Ok((key?, body?))
    })?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?;
    let list = list_url(dock.id);
    let attempt = Attempt::new(key, caller.account, &list, request, now);

    let recipient = body.recipient(caller, dock.id, now);
    let created = StoredResponse {
        body: response::to_json(&RecipientOutput::from(&recipient))?,
        location: Some(format!("{list}/{}", recipient.id)),
    };
    let entry = context.entry(caller, recipient.created());
    match context.store.create_recipient(&recipient, &entry, attempt.storing(&created)).await? {
        Outcome::Done => {
            metrics::count(metrics::RECIPIENTS_CREATED);
            context.record.add_id(recipient.id);
            Ok(response::created(created))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created),
        Outcome::Refused(taken) => Err(email_taken(taken)),
    }
}
