//! `POST /v1/docks`: creates a dock. It belongs to the account of the API key.
//!
//! Takes `name`, and optionally `domain`, `legalName`, `businessType` and `businessEmail`. Returns 201, the dock, and
//! its URL in `Location`. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key, then writes the dock.

use docyard_core::context::Context;
use docyard_core::model::dock::{Dock, Profile};
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::values::domain::Domain;
use docyard_core::values::email::Email;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::DockId;
use docyard_core::values::random;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{DockOutput, PATH, url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::Error;
use crate::http::idempotency::Attempt;
use crate::http::{auth, idempotency, input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-dock": Post "/v1/docks",
    description: "Create a dock",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key], PutItem on [Account, Audit, AuditEntity, Dock, Idempotency]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("It belongs to the account of the key.")
        .request_body::<Input>(
            serde_json::json!({"name": "First National", "domain": "firstnational.example"}),
        )
        .accepts_idempotency_key()
        .response::<DockOutput>(201, "The dock")
        .etag()
        .replayable()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X")
        .link("get-dock", &[("dockId", "$response.body#/id")])
        .link("update-dock", &[("dockId", "$response.body#/id")])
        .link("create-recipient", &[("dockId", "$response.body#/id")])
        .link("list-recipients", &[("dockId", "$response.body#/id")])
        .link("list-audit-logs", &[("dockId", "$response.body#/id")])
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateDock, rename_all = "camelCase"))]
struct Input {
    name: Text,
    domain: Option<Domain>,
    legal_name: Option<Text>,
    business_type: Option<Text>,
    business_email: Option<Email>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let name = fields.required("name", string(Text::parse));
        let domain = fields.optional("domain", string(Domain::parse));
        let legal_name = fields.optional("legalName", string(Text::parse));
        let business_type = fields.optional("businessType", string(Text::parse));
        let business_email = fields.optional("businessEmail", string(Email::parse));
        Ok(Self {
            name: name?,
            domain: domain?,
            legal_name: legal_name?,
            business_type: business_type?,
            business_email: business_email?,
        })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let caller = auth::authenticate(context, request).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(Input::parse);
        Ok((key?, body?))
    })?;
    let now = context.now();
    let attempt = Attempt::new(key, caller.account, PATH, request, now);

    let Input { name, domain, legal_name, business_type, business_email } = body;
    let profile = Profile { domain, legal_name, business_type, business_email };
    let id = DockId::generate(now, &mut random::system());
    let dock = Dock { id, account: caller.account, name, profile, created_at: now, version: 0 };
    let created =
        StoredResponse { body: response::to_json(&DockOutput::from(&dock))?, location: Some(url(id)) };
    let entry = context.entry(caller, dock.created());
    match context.store.create_dock(&dock, &entry, attempt.storing(&created)).await? {
        Outcome::Done => {
            context.record.add_id(id);
            Ok(response::created(created))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created),
        Outcome::Refused(never) => match never {},
    }
}
