//! The API's document ([OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html)), made from all endpoints. Feature
//! `openapi`, which no Lambda function has.

use serde_json::json;
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{HttpMethod, PathItem, PathsBuilder};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{OpenApi, OpenApiBuilder, Ref, RefOr, Schema, ServerBuilder, ServerVariableBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::endpoints::RESOURCES;
use crate::http::response::ErrorBody;
use crate::operation::{COMMON_ERRORS, Operation, Schemas, error, schema_of_id, scheme};
use crate::route::{Credential, Method};

/// The whole document.
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut error_body = ErrorBody::schema();
    let mut schemas = Schemas::new();
    ErrorBody::schemas(&mut schemas);
    for resource in RESOURCES {
        for endpoint in resource.list {
            let operation = Operation::new(endpoint.name, endpoint.route, endpoint.credentials)
                .summary(resource.resource, endpoint.description);
            let described = (endpoint.document)(operation).finish();
            schemas.extend(described.schemas);
            for name in described.taken {
                if let RefOr::T(Schema::Object(object)) = &mut error_body {
                    let mut id = Ref::from_schema_name(schema_of_id(name));
                    id.description =
                        "With 409: the resource that has the value that must be unique".to_owned();
                    object.properties.insert(name.to_owned(), id.into());
                }
            }
            let method = http_method(endpoint.route.method);
            paths = paths.path(endpoint.route.path, PathItem::new(method, described.operation));
        }
    }
    schemas.push((ErrorBody::name().into_owned(), error_body));
    let mut components = ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme(
        scheme(Credential::ApiKey),
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("dk_live_…")
                .description(Some(
                    "An API key, which an operator creates. It gives access to all docks of its account",
                ))
                .build(),
        ),
    );
    components = components.security_scheme(
        scheme(Credential::AccessToken),
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("dk_tok_…")
                .description(Some(
                    "An access token, which an institution gets for its passphrase. It is good for its recipient alone, and if \
                     it is bound to a certificate, on connections with that certificate",
                ))
                .build(),
        ),
    );
    for (name, status, description, message) in COMMON_ERRORS {
        components = components.response(*name, error(*status, description, json!({"message": message})));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Docyard Access")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Registers the recipients of documents, and generates the secrets with which their institutions prove \
                     themselves. Every response of a function carries `x-request-id` and `Cache-Control: no-store`; API \
                     Gateway answers some requests by itself, with `message` alone and without these.",
                ))
                .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
                .build(),
        )
        .servers(Some([
            ServerBuilder::new().url("/").description(Some("The server of this document, such as `docyard dev`")).build(),
            ServerBuilder::new()
                .url("https://{host}")
                .description(Some("A deployment: the output ApiUrl"))
                .parameter("host", ServerVariableBuilder::new().default_value("api.example.com"))
                .build(),
        ]))
        .tags(Some(RESOURCES.iter().map(|resource| {
            TagBuilder::new().name(resource.resource).description(Some(resource.description)).build()
        })))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// The whole document in YAML.
///
/// # Errors
/// Never, in practice.
pub fn yaml() -> Result<String, impl std::error::Error> {
    document().to_yaml().map(|yaml| yaml.lines().map(quote_time).collect())
}

/// A line of YAML with a line break. If its value begins as a date does, it is quoted: without quotes it is a string
/// to YAML 1.2, and a point in time to readers of YAML 1.1, such as `PyYAML`.
fn quote_time(line: &str) -> String {
    let entry = line.trim_start_matches([' ', '-']);
    let is_quoted = entry.starts_with(['\'', '"']);
    let value = entry.split_once(": ").filter(|_| !is_quoted).map_or(entry, |(_, value)| value);
    let before = line.strip_suffix(value).unwrap_or_default();
    let mut parts = value.splitn(3, '-');
    let mut is_number = |digits| {
        parts.next().is_some_and(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))
    };
    if is_number(4) && is_number(2) { format!("{before}'{value}'\n") } else { format!("{line}\n") }
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}
