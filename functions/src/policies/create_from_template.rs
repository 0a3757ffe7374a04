//! `POST /v1/docks/{dockId}/policies/from-template`: creates a policy with the recipe of a template.
//!
//! Takes `templateId`, and optionally `name`, which is the template's unless it is given. Returns what *create a policy*
//! does. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then writes the policy and its first version.

use docyard_core::context::Context;
use docyard_core::model::policy::Audience;
use docyard_core::model::recipe::template::{self, Template};
use docyard_core::store::Fault;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;

use super::create::create;
#[cfg(feature = "openapi")]
use super::{PolicyOutput, TOO_MANY_POLICIES};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::idempotency::Attempt;
use crate::http::{auth, input, path};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "create-policy-from-template": Post "/v1/docks/{dockId}/policies/from-template",
    description: "Create a policy from a template",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Dock, Key],
        PutItem on [Audit, AuditEntity, Idempotency, Policies, Policy],
        UpdateItem on [Policies],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description("With the recipe of a template, for everyone of its class. It is a policy like any other from then on.")
        .request_body::<Input>(serde_json::json!({"templateId": "tpl_mortgagee_bulk"}))
        .accepts_idempotency_key()
        .response::<PolicyOutput>(201, "The policy")
        .etag()
        .replayable()
        .location("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X/policies/pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B")
        .link("get-policy", super::CREATED)
        .link("publish-policy", super::CREATED)
        .not_found(Resource::Template, "No such dock in the key's account, or no such template")
        .conflict("The dock has 100 policies", TOO_MANY_POLICIES)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreatePolicyFromTemplate, rename_all = "camelCase"))]
struct Input {
    /// The id of a template.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    template_id: Option<&'static Template>,
    name: Option<Text>,
}

impl Input {
    fn parse(fields: &mut Fields) -> Result<Self, Rejected> {
        let template_id = fields.required("templateId", string(|id| Ok(template::named(id))));
        let name = fields.optional("name", string(Text::parse));
        Ok(Self { template_id: template_id?, name: name? })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(Input::parse);
        Ok((key?, body?))
    })?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    let template = body.template_id.ok_or(Error::NotFound(Resource::Template))?;
    let path = format!("{}/from-template", super::list_url(dock));
    let attempt = Attempt::new(key, caller.account, &path, request, context.now());
    let template_name =
        || Text::parse(template.name).map_err(|_| Error::Internal(Fault::new("a template has no name")));
    let name = body.name.map_or_else(template_name, Ok)?;
    create(context, caller, dock, name, (template.recipe)(), Audience::Everyone, &attempt).await
}
