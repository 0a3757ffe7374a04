//! `GET /v1/policy-templates`: lists recipes to begin with, for each class of recipients and each industry.
//!
//! One round trip to DynamoDB: reads the key.

use docyard_core::context::Context;
use docyard_core::model::recipe::Recipe;
use docyard_core::model::recipe::template::{self, Template};
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::Error;
use crate::http::{auth, input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-policy-templates": Get "/v1/policy-templates",
    description: "List policy templates",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Key]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Recipes to begin with, for each class of recipients and each industry; all of them at once.",
        )
        .response_of_all::<TemplateOutput>("The templates")
}

/// A recipe to begin with.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyTemplate))]
struct TemplateOutput {
    #[cfg_attr(feature = "openapi", schema(example = "tpl_mortgagee_bulk"))]
    id: &'static str,
    name: &'static str,
    description: &'static str,
    /// The industry that it is for.
    #[cfg_attr(feature = "openapi", schema(example = "insurance"))]
    category: &'static str,
    recipe: Recipe,
}

impl From<&Template> for TemplateOutput {
    fn from(template: &Template) -> Self {
        let Template { id, name, description, category, recipe } = *template;
        Self { id, name, description, category, recipe: recipe() }
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    auth::authenticate(context, request).await?;
    input::read_none(request)?;
    let templates: Vec<TemplateOutput> = template::ALL.iter().map(TemplateOutput::from).collect();
    response::json(StatusCode::OK, &templates)
}
