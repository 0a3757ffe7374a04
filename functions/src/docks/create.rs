//! `POST /v1/docks`: makes a dock, where an institution keeps documents for its recipients. It belongs to the account of
//! the key.
//!
//! Takes `name`, and optionally `domain`, `legalName`, `businessType` and `businessEmail`. With an `Idempotency-Key` the
//! request can be repeated.
//!
//! Round trips to DynamoDB: two. The key is read, then the dock is written.

use crate::http::body;
use crate::http::body::Fields;
use crate::http::body::string;
use docyard_core::context::Context;
use docyard_core::model::dock::Dock;
use docyard_core::model::dock::Profile;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use docyard_core::model::idempotency::StoredResponse;
use crate::http::idempotency::IdempotencyKey;
use docyard_core::values::text::Text;
use docyard_core::store::DockCreation;
use crate::http::auth;
use docyard_core::values::random;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;
use crate::wire::DockOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "create-dock",
    method: Method::POST,
    path: "/v1/docks",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe("Docks", "Make a dock", "It belongs to the account of the key.")
        .takes::<Input>(serde_json::json!({"name": "First National", "domain": "firstnational.example"}))
        .is_repeatable()
        .gives::<DockOutput>(201, "The dock")
        .locates("/v1/docks/dock_01JHMV2B4MP0YHZX6Q3T0V1W2X")
        .leads_to("get-dock", &[("dockId", "$response.body#/id")], None)
        .leads_to("update-dock", &[("dockId", "$response.body#/id")], None)
        .leads_to("create-recipient", &[("dockId", "$response.body#/id")], None)
        .leads_to("list-recipients", &[("dockId", "$response.body#/id")], None)
}

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateDock, rename_all = "camelCase"))]
struct Input {
    name: Text,
    domain: Option<Text>,
    legal_name: Option<Text>,
    business_type: Option<Text>,
    business_email: Option<Text>,
}

fn parse(fields: &mut Fields) -> Option<Input> {
    let name = fields.required("name", string("name", Text::parse));
    let mut text = |field| fields.optional(field, string(field, |text| Text::parse(text).map(Some)));
    let domain = text("domain");
    let legal_name = text("legalName");
    let business_type = text("businessType");
    let business_email = text("businessEmail");
    Some(Input {
        name: name?,
        domain: domain?,
        legal_name: legal_name?,
        business_type: business_type?,
        business_email: business_email?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let account = auth::authenticate(context, request).await?;
    let idempotency_key = IdempotencyKey::read(request.headers())?;
    let Input { name, domain, legal_name, business_type, business_email } = body::read(request, parse)?;
    let profile = Profile { domain, legal_name, business_type, business_email };
    let now = context.now();
    let repeatable = idempotency_key.map(|key| key.of(account, "/v1/docks", request.body(), now));
    let id = DockId::generate(now, &mut random::system());
    let dock = Dock { id, account, name, profile, created_at: now };
    let answer = StoredResponse {
        body: response::to_json(&DockOutput::from(&dock))?,
        location: Some(format!("/v1/docks/{id}")),
    };
    let remembered = repeatable.as_ref().map(|request| (request, &answer));
    match context.store.create_dock(&dock, remembered).await? {
        DockCreation::Created => {
            context.log.dock(dock.id);
            Ok(answer.created())
        }
        DockCreation::Before(first) => Ok(first.created()),
    }
}
