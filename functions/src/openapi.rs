//! The API's document, in [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html); compiled with feature `openapi` alone,
//! which no Lambda function has.
//!
//! Here: what operations have in common, and how one is described. What one takes and gives is told in its endpoint's
//! module, by [`Operation`]; types describe themselves.

use crate::http::body;
use docyard_core::values::id::DockId;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use crate::http::response::ErrorBody;
use crate::http::response::Success;
use lambda_http::http::{Method, StatusCode};
use serde_json::{Value, json};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AdditionalProperties, Array, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    ServerBuilder, ServerVariableBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::route::{ROUTES, Route};

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const SCHEME: &str = "ApiKey";

/// Errors that any operation can end in: the component's name, the status, what it says, and a message.
const COMMON_ERRORS: &[(&str, u16, &str, &str)] = &[
    (
        "BadRequest",
        400,
        "The request breaks rules; `details` names every field or parameter that does",
        "name is required",
    ),
    ("Unauthorized", 401, "No valid API key", "Invalid or expired API key"),
    ("PayloadTooLarge", 413, "The body has more than 64 KiB", "The request body is larger than 64 KiB"),
    (
        "UnsupportedMediaType",
        415,
        "The body says that it is something other than JSON",
        "Send the request body as JSON, with Content-Type: application/json",
    ),
    (
        "IdempotencyKeyReused",
        422,
        "The Idempotency-Key was used with another body",
        "This Idempotency-Key was used with another request body; use a new key for a new request",
    ),
    ("TooManyRequests", 429, "Throttled by API Gateway, whose own answer this is", "Too Many Requests"),
    (
        "InternalServerError",
        500,
        "A defect of ours; the message holds the id to report",
        "Something went wrong on our side; report request id JKJaXmPLvHcESHA=",
    ),
    (
        "ServiceUnavailable",
        503,
        "The database is busy or out of reach; repeat the request after Retry-After seconds",
        "The service is busy; please repeat the request",
    ),
];

/// The path parameters of a recipient that was just made in its dock.
pub(crate) const IN_DOCK: &[(&str, &str)] =
    &[("dockId", "$request.path.dockId"), ("recipientId", "$response.body#/id")];

/// The path parameters of a secret that was just made.
pub(crate) const OF_RECIPIENT: &[(&str, &str)] =
    &[("recipientId", "$request.path.recipientId"), ("secretId", "$response.body#/id")];

type Schemas = Vec<(String, RefOr<Schema>)>;

/// The description of one operation.
pub struct Operation {
    route: &'static Route,
    operation: OperationBuilder,
    schemas: Schemas,
    /// The success that links belong to: its status and itself.
    success: Option<(u16, ResponseBuilder)>,
}

impl Operation {
    fn of(route: &'static Route) -> Self {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(camel_case(route.function)))
            .security(SecurityRequirement::new(SCHEME, Vec::<String>::new()));
        for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            operation = operation.parameter(path_parameter(name));
        }
        let mut described = Self { route, operation, schemas: Vec::new(), success: None };
        for status in [400, 401, 429, 500, 503] {
            described = described.common_error(status);
        }
        described
    }

    /// Under which heading it stands, what it does in a few words, and then in full.
    pub fn describe(self, tag: &str, summary: &str, description: &str) -> Self {
        let operation = self.operation.tag(tag).summary(Some(summary)).description(Some(description));
        Self { operation, ..self }
    }

    /// It takes a body of this type, which has no other fields than that type.
    pub fn takes<T: ToSchema>(mut self, example: Value) -> Self {
        let content_types: &[_] =
            if self.route.method == Method::PATCH { &[JSON, MERGE_PATCH] } else { &[JSON] };
        let schema = match T::schema() {
            RefOr::T(Schema::Object(mut object)) => {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
                RefOr::T(Schema::Object(object))
            }
            other => other,
        };
        self.schemas.push((T::name().into_owned(), schema));
        T::schemas(&mut self.schemas);
        let content = || {
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(T::name())))
                .example(Some(example.clone()))
                .build()
        };
        let body = content_types.iter().fold(
            RequestBodyBuilder::new()
                .description(Some(format!("At most {} KiB", body::MAX_BYTES / 1024)))
                .required(Some(Required::True)),
            |body, content_type| body.content(*content_type, content()),
        );
        let operation = self.operation.request_body(Some(body.build()));
        Self { operation, ..self }.common_error(413).common_error(415)
    }

    /// It can be repeated with an `Idempotency-Key`.
    pub fn is_repeatable(self) -> Self {
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("A key of your own choice, such as a UUID. For 24 hours, the same key with the same body gives the first answer again and makes nothing more. It may also be sent in double quotes"))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!#-~]([ -~]*[!-~])?$"))));
        let operation = self.operation.parameter(key);
        Self { operation, ..self }.common_error(422)
    }

    /// It is a list, read page by page.
    pub fn is_paged(self) -> Self {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(crate::http::list::MAX_LIMIT))
            .default(Some(json!(crate::http::list::DEFAULT_LIMIT)));
        self.query("limit", "The most things on the page", limit, None).query(
            "cursor",
            "Where the page begins: take the whole URL of the next page from the header `Link`",
            ObjectBuilder::new().schema_type(Type::String),
            None,
        )
    }

    /// It takes a query parameter.
    pub fn query(
        self,
        name: &str,
        description: &str,
        schema: impl Into<RefOr<Schema>>,
        example: Option<Value>,
    ) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(schema))
            .example(example);
        Self { operation: self.operation.parameter(parameter), ..self }
    }

    /// Its success: the status, what it says, and a body of this type.
    pub fn gives<T: ToSchema>(self, status: u16, description: &str) -> Self {
        self.succeeds::<T>(status, description, Ref::from_schema_name(T::name()))
    }

    /// It takes no body, or an empty object.
    pub fn takes_nothing(self) -> Self {
        let nothing = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
        let content = ContentBuilder::new().schema(Some(nothing)).build();
        let body = RequestBodyBuilder::new().required(Some(Required::False)).content(JSON, content);
        let operation = self.operation.request_body(Some(body.build()));
        Self { operation, ..self }.common_error(413).common_error(415)
    }

    /// Its success: a page of things of this type.
    pub fn gives_page_of<T: ToSchema>(mut self, description: &str) -> Self {
        let items = Array::new(Ref::from_schema_name(T::name()));
        self = self.succeeds::<T>(200, description, items);
        let example = json!(format!("<{}?limit=100&cursor=…>; rel=\"next\"", self.route.path));
        self.header("Link", "The next page, if there is one: `<…>; rel=\"next\"` (RFC 8288)", example)
    }

    fn succeeds<T: ToSchema>(
        mut self,
        status: u16,
        description: &str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        self.close_success();
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        let response = ResponseBuilder::new()
            .description(description)
            .content(JSON, ContentBuilder::new().schema(Some(schema)).build())
            .header("x-request-id", request_id());
        Self { success: Some((status, response)), ..self }
    }

    /// Its success has the URL of what was made.
    pub fn locates(self, example: &str) -> Self {
        self.header("Location", "The path of what was made", json!(example))
    }

    fn header(mut self, name: &str, description: &str, example: Value) -> Self {
        if let Some((status, response)) = self.success.take() {
            self.success = Some((status, response.header(name, text_header(description, example))));
        }
        self
    }

    /// Another operation that goes on with what its success gives: the values of its path parameters, as [runtime
    /// expressions](https://spec.openapis.org/oas/v3.1.1.html#runtime-expressions), and of its body, if it has one.
    pub fn leads_to(
        mut self,
        function: &'static str,
        parameters: &[(&str, &str)],
        body: Option<Value>,
    ) -> Self {
        if let Some((status, response)) = self.success.take() {
            let name = camel_case(function);
            let link = parameters.iter().fold(
                Link::builder().operation_id(name.clone()).request_body(body),
                |link, (name, value)| link.parameter(*name, *value),
            );
            self.success = Some((status, response.link(name, link.build())));
        }
        self
    }

    /// It is done when nothing is left to show.
    pub fn succeeds_silently(self, description: &str) -> Self {
        self.gives::<Success>(200, description)
    }

    /// An error of its own: the status, what it says, and a message.
    pub fn fails(self, status: u16, description: &str, message: &str) -> Self {
        self.fails_with(status, description, json!({"message": message}))
    }

    /// It fails where another recipient has the email, and says which one.
    pub fn fails_for_a_taken_email(self) -> Self {
        let message = "A recipient with this email already exists in this dock";
        self.fails_with(
            409,
            "Another recipient of this dock has the email: `recipientId`",
            json!({"message": message, "recipientId": "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"}),
        )
    }

    fn fails_with(self, status: u16, description: &str, example: Value) -> Self {
        let response = error(status, description, example);
        Self { operation: self.operation.response(status.to_string(), response), ..self }
    }

    fn common_error(self, status: u16) -> Self {
        let Some((name, ..)) = COMMON_ERRORS.iter().find(|(_, common, ..)| *common == status) else {
            return self;
        };
        let response = Ref::from_response_name(*name);
        Self { operation: self.operation.response(status.to_string(), response), ..self }
    }

    fn close_success(&mut self) {
        if let Some((status, response)) = self.success.take() {
            let operation = std::mem::take(&mut self.operation);
            self.operation = operation.response(status.to_string(), response.build());
        }
    }
}

/// The whole document.
pub fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    let mut schemas: Schemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut schemas);
    for &route in ROUTES {
        let mut described = (route.document)(Operation::of(route));
        described.close_success();
        schemas.extend(described.schemas);
        paths = paths.path(route.path, PathItem::new(http_method(&route.method), described.operation));
    }
    let mut components = ComponentsBuilder::new().schemas_from_iter(schemas).security_scheme(
        SCHEME,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("dk_live_…")
                .description(Some("An API key, which an operator makes. It opens all docks of its account"))
                .build(),
        ),
    );
    for (name, status, description, message) in COMMON_ERRORS {
        components = components.response(*name, error(*status, description, json!({"message": message})));
    }
    let tag =
        |name: &str, description: &str| TagBuilder::new().name(name).description(Some(description)).build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Docyard Access")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Registers the recipients of documents, and mints the secrets with which their institutions prove \
                     themselves. Every response of a function carries `x-request-id` and `Cache-Control: no-store`; API \
                     Gateway answers some requests by itself, with `message` alone and without these.",
                ))
                .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build()))
                .build(),
        )
        .servers(Some([
            ServerBuilder::new().url("/").description(Some("Where this document came from, such as `docyard dev`")).build(),
            ServerBuilder::new()
                .url("https://{host}")
                .description(Some("A deployment: the output ApiUrl"))
                .parameter("host", ServerVariableBuilder::new().default_value("api.example.com"))
                .build(),
        ]))
        .tags(Some([
            tag("Docks", "Where an institution keeps documents"),
            tag("Recipients", "The parties who may fetch documents from a dock"),
            tag("Secrets", "The shared passphrases with which a recipient's institution proves itself"),
        ]))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// An error, with an example of its body: all that is given, and what follows from the status.
fn error(status: u16, description: &str, mut example: Value) -> Response {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    // API Gateway's own answers have a message alone.
    if let Some(example) = example.as_object_mut().filter(|_| status != 429) {
        example.insert("statusCode".to_owned(), json!(status));
        example.insert("error".to_owned(), json!(reason));
        if status == 400 {
            example.insert("details".to_owned(), json!([{"field": "name", "message": "is required"}]));
        }
    }
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ErrorBody::name())))
        .example(Some(example))
        .build();
    let mut response = ResponseBuilder::new().description(description).content(JSON, content);
    // API Gateway's own answer.
    if status != 429 {
        response = response.header("x-request-id", request_id());
    }
    if status == 401 {
        let description = "With `error=\"invalid_token\"` if a bearer token was sent (RFC 6750)";
        response = response.header("WWW-Authenticate", text_header(description, json!("Bearer")));
    }
    if status == 503 {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait"));
        response = response.header("Retry-After", header.build());
    }
    response.build()
}

fn request_id() -> Header {
    text_header("The id of the request, to report it by", json!("JKJaXmPLvHcESHA="))
}

fn text_header(description: &str, example: Value) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).examples([example]);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

fn path_parameter(name: &str) -> Parameter {
    let schema = match name {
        "dockId" => Ref::from_schema_name(DockId::name()),
        "recipientId" => Ref::from_schema_name(RecipientId::name()),
        _ => Ref::from_schema_name(SecretId::name()),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}

/// `createRecipient`, the id of an operation, for its function `create-recipient`.
fn camel_case(function: &str) -> String {
    let mut words = function.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
