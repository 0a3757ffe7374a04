//! `POST /v1/docks/{dockId}/recipients`: registers a recipient, a party who may fetch from the dock.
//!
//! Takes `name` and `email`, and optionally `stakeholderClass` and `identifiers`. Gives 201, the recipient, and its
//! URL in `Location`. An email is registered once per dock, whatever its case: the second time gives 409 with the
//! `recipientId` that has it. With an `Idempotency-Key` the request can be repeated.
//!
//! Round trips to DynamoDB: two. The key and the dock are read at once, then the recipient is written.

use crate::http::body;
use crate::http::body::Fields;
use crate::http::body::string;
use docyard_core::values::clock::Timestamp;
use docyard_core::context::Context;
use docyard_core::values::email::Email;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use docyard_core::values::id::RecipientId;
use docyard_core::model::idempotency::StoredResponse;
use crate::http::idempotency::IdempotencyKey;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::values::text::Text;
use docyard_core::model::recipient::Recipient;
use docyard_core::model::recipient::StakeholderClass;
use docyard_core::store::RecipientCreation;
use crate::http::auth;
use crate::http::path;
use docyard_core::values::random;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

use crate::metrics;
#[cfg(feature = "openapi")]
use crate::openapi::{IN_DOCK, Operation};
use crate::route::Route;
use crate::wire::RecipientOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "create-recipient",
    method: Method::POST,
    path: "/v1/docks/{dockId}/recipients",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Recipients",
            "Create a recipient",
            "Registers a party who may fetch from the dock. An email is registered once per dock, whatever its case.",
        )
        .takes::<Input>(serde_json::json!({
            "name": "First National Bank",
            "email": "bulk@firstnational.example",
            "stakeholderClass": "mortgagee",
            "identifiers": {"lender_id": "LND-4821", "policy_number": "POL-2025-88401"},
        }))
        .is_repeatable()
        .gives::<RecipientOutput>(201, "The recipient")
        .locates("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/recipients/rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y")
        .leads_to("get-recipient", IN_DOCK, None)
        .leads_to("update-recipient", IN_DOCK, None)
        .leads_to("delete-recipient", IN_DOCK, None)
        .leads_to("generate-secret", &[("recipientId", "$response.body#/id")], None)
        .leads_to("list-secrets", &[("recipientId", "$response.body#/id")], None)
        .fails(404, "No such dock in the key's account", "Dock not found")
        .fails_for_a_taken_email()
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateRecipient, rename_all = "camelCase"))]
struct Input {
    name: Text,
    email: Email,
    stakeholder_class: Option<StakeholderClass>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Identifiers>))]
    identifiers: Identifiers,
}

impl Input {
    fn parse(fields: &mut Fields, now: Timestamp) -> Option<Self> {
        let name = fields.required("name", string("name", Text::parse));
        let email = fields.required("email", string("email", Email::parse));
        let stakeholder_class = fields.optional(
            "stakeholderClass",
            string("stakeholderClass", |text| StakeholderClass::parse(text).map(Some)),
        );
        let identifiers = fields.optional("identifiers", |json| Identifiers::parse(json, now.date()));
        Some(Self {
            name: name?,
            email: email?,
            stakeholder_class: stakeholder_class?,
            identifiers: identifiers?,
        })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request, "dockId", DockId::parse), |id| context.store.dock(id));
    let (account, dock) = auth::authenticate_and(context, request, dock).await?;
    let now = context.now();
    let idempotency_key = IdempotencyKey::read(request.headers())?;
    let input = body::read(request, |fields| Input::parse(fields, now))?;
    let dock = dock.ok_or(Error::NotFound("Dock"))?;
    let list = format!("/v1/docks/{}/recipients", dock.id);
    let repeatable = idempotency_key.map(|key| key.of(account, &list, request.body(), now));

    let recipient = Recipient {
        id: RecipientId::generate(now, &mut random::system()),
        dock: dock.id,
        account,
        name: input.name,
        email: input.email,
        stakeholder_class: input.stakeholder_class,
        identifiers: input.identifiers,
        created_at: now,
        updated_at: None,
    };
    let answer = StoredResponse {
        body: response::to_json(&RecipientOutput::from(&recipient))?,
        location: Some(format!("{list}/{}", recipient.id)),
    };
    let remembered = repeatable.as_ref().map(|request| (request, &answer));
    match context.store.create_recipient(&recipient, remembered).await? {
        RecipientCreation::Created => {
            metrics::count(metrics::RECIPIENTS_CREATED);
            context.log.recipient(recipient.id);
            Ok(answer.created())
        }
        RecipientCreation::Before(first) => Ok(first.created()),
        RecipientCreation::EmailTaken(holder) => Err(Error::EmailTaken(holder)),
    }
}
