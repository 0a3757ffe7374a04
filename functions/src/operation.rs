//! How an endpoint describes its operation for the API's document ([OpenAPI
//! 3.1](https://spec.openapis.org/oas/v3.1.1.html)).
//!
//! Names are those of OpenAPI. What all operations have in common is added here.

use docyard_core::model::audit::Word;
use docyard_core::model::policy::MAX_VERSIONS;
use docyard_core::values::id::Id;
use docyard_core::values::page::{DEFAULT_LIMIT, MAX_LIMIT};
use lambda_http::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::link::Link;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AdditionalProperties, Array, ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::error::Resource;
use crate::http::response::{ErrorBody, INVALID_LINK, NOT_GRANTED, OAuthError, Success, TOO_MANY_TOKENS};
use crate::http::{body, multipart};
use crate::route::{Credential, ENTITY_TYPE, Method, Route, VERSION};

const JSON: &str = "application/json";

/// Errors that several operations have in common: the component's name, the status, a description and a message.
pub(crate) const COMMON_ERRORS: &[(&str, u16, &str, &str)] = &[
    (
        "BadRequest",
        400,
        "The request breaks rules; `details` names every field or parameter that does",
        "name is required",
    ),
    ("Unauthorized", 401, "No valid API key or access token", "Invalid or expired API key"),
    (
        "PreconditionFailed",
        412,
        "`If-Match` names another state of the resource",
        "If-Match names another state than the current one; get the resource again, and decide anew",
    ),
    ("PayloadTooLarge", 413, "The body has more than 64 KiB", "The request body is larger than 64 KiB"),
    (
        "UnsupportedMediaType",
        415,
        "The `Content-Type` is not JSON, or there is a `Content-Encoding`",
        "Send the request body as JSON, with Content-Type: application/json",
    ),
    (
        "IdempotencyKeyReused",
        422,
        "The Idempotency-Key was used with another body",
        "This Idempotency-Key was used with another request body; use a new key for a new request",
    ),
    ("TooManyRequests", 429, "Throttled by API Gateway, which answers by itself", "Too Many Requests"),
    (
        "InternalServerError",
        500,
        "A bug of ours; the message has the id to report",
        "Something went wrong on our side; report request id JKJaXmPLvHcESHA=",
    ),
    (
        "ServiceUnavailable",
        503,
        "The database is busy or out of reach; repeat the request after `Retry-After` seconds",
        "The service is busy; please repeat the request",
    ),
];

/// Named schemas.
pub(crate) type Schemas = Vec<(String, RefOr<Schema>)>;

/// The description of one operation.
pub struct Operation {
    route: Route,
    operation: OperationBuilder,
    schemas: Schemas,
    /// The names of the ids that an error of this operation can have.
    taken: Vec<&'static str>,
    /// The response that links and headers are added to, and its status.
    response: Option<(u16, ResponseBuilder)>,
}

/// A described operation and the schemas that it refers to.
pub(crate) struct Described {
    pub(crate) operation: OperationBuilder,
    pub(crate) schemas: Schemas,
    pub(crate) taken: Vec<&'static str>,
}

impl Operation {
    /// The operation of the endpoint `name`, with its path parameters and the errors that every operation has.
    pub(crate) fn new(name: &str, route: Route, credentials: &[Credential]) -> Self {
        let mut operation = OperationBuilder::new().operation_id(Some(camel_case(name)));
        for credential in credentials {
            operation =
                operation.security(SecurityRequirement::new(scheme(*credential), Vec::<String>::new()));
        }
        for parameter in route.parameters() {
            operation = operation.parameter(path_parameter(parameter));
        }
        let described = Self { route, operation, schemas: Vec::new(), taken: Vec::new(), response: None };
        let described = [400, 429, 500].into_iter().fold(described, Self::common_error);
        // What takes no credential needs no database to know the caller.
        if credentials.is_empty() { described } else { described.common_error(401).common_error(503) }
    }

    /// The heading and the one-line summary.
    pub(crate) fn summary(self, tag: &str, summary: &str) -> Self {
        Self { operation: self.operation.tag(tag).summary(Some(summary)).description(Some("")), ..self }
    }

    /// The finished description.
    pub(crate) fn finish(mut self) -> Described {
        self.close_response();
        Described { operation: self.operation, schemas: self.schemas, taken: self.taken }
    }

    /// What the summary leaves unsaid.
    pub fn description(self, description: &str) -> Self {
        Self { operation: self.operation.description(Some(description)), ..self }
    }

    /// The request body: a `T`, without other fields.
    ///
    /// One media type, also where the API takes two: generators write a method's code once for each and get the second
    /// wrong.
    pub fn request_body<T: ToSchema>(self, example: Value) -> Self {
        self.body::<T>(example, Required::True)
    }

    /// The request body of a request about many resources: a `T`, without other fields.
    pub fn batch_request_body<T: ToSchema>(self, example: Value) -> Self {
        let this = self.body::<T>(example, Required::True);
        this.error(413, "The body has more than 1 MiB", json!({"message": body::BATCH_TOO_LARGE}))
    }

    /// The request body: a form with a file (RFC 7578) and the fields of a `T`.
    pub fn multipart_body<T: ToSchema>(
        mut self,
        example: Value,
        description: &str,
        too_large: &'static str,
    ) -> Self {
        self.schemas.push((T::name().into_owned(), closed(T::schema())));
        T::schemas(&mut self.schemas);
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(T::name())))
            .example(Some(example))
            .build();
        let body = RequestBodyBuilder::new()
            .description(Some(description))
            .required(Some(Required::True))
            .content("multipart/form-data", content);
        let operation = self.operation.request_body(Some(body.build()));
        Self { operation, ..self }
            .error(413, "The file has more than 4 MiB", json!({"message": too_large}))
            .error(415, "The body is no form", json!({"message": multipart::SEND_FORM}))
    }

    /// The request body: a form (RFC 6749 appendix B) with the fields of a `T`, and others that are ignored.
    pub fn form<T: ToSchema>(mut self, example: Value) -> Self {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(T::name())))
            .example(Some(example))
            .build();
        let body = RequestBodyBuilder::new()
            .description(Some(format!("At most {} KiB", body::MAX_BYTES / 1024)))
            .required(Some(Required::True))
            .content("application/x-www-form-urlencoded", content);
        let operation = self.operation.request_body(Some(body.build()));
        Self { operation, ..self }.common_error(413).common_error(415).common_error(503)
    }

    /// The errors of OAuth 2.0, in the form of RFC 6749 §5.2.
    pub fn oauth_errors(self) -> Self {
        let challenge = text_header("Where HTTP Basic was tried", json!("Basic realm=\"Docyard Access\""));
        let invalid_client = oauth_response("`client_id` or `client_secret` is wrong", "invalid_client")
            .header("WWW-Authenticate", challenge);
        let this = self.invalid_oauth_request(
            "`invalid_request`, `unsupported_grant_type`, `invalid_scope`, or `unauthorized_client`, which says what is missing",
        );
        Self { operation: this.operation.response("401", invalid_client.build()), ..this }
    }

    /// The error 400 of OAuth 2.0, in the form of RFC 6749 §5.2.
    pub fn invalid_oauth_request(mut self, description: &str) -> Self {
        self.schemas.push((OAuthError::name().into_owned(), OAuthError::schema()));
        let response = oauth_response(description, "invalid_request").build();
        Self { operation: self.operation.response("400", response), ..self }
    }

    /// The error 429 of this service, beside API Gateway's own.
    pub fn too_many_requests(self) -> Self {
        let description = "More than 60 requests a minute of a recipient whose passphrase was right; or throttled by API \
                           Gateway, which answers by itself";
        self.error(429, description, json!({"message": TOO_MANY_TOKENS}))
    }

    /// The error 403.
    pub fn forbidden(self) -> Self {
        let details = json!([{"field": "factors.tls_certificate", "message": "is missing"}]);
        let description = "No policy in force grants the recipient anything; `details` says what is missing";
        self.error(403, description, json!({"message": NOT_GRANTED, "details": details}))
    }

    /// The request body, which may be absent: a `T`, without other fields.
    pub fn optional_request_body<T: ToSchema>(self, example: Value) -> Self {
        self.body::<T>(example, Required::False)
    }

    fn body<T: ToSchema>(mut self, example: Value, required: Required) -> Self {
        let size = format!("At most {} KiB", body::MAX_BYTES / 1024);
        let description = match self.route.method {
            Method::Patch => size + ". `Content-Type` may be `application/merge-patch+json` too",
            _ => size,
        };
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.schemas.extend(schemas.into_iter().map(|(name, schema)| (name, closed(schema))));
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(T::name())))
            .example(Some(example))
            .build();
        let body = RequestBodyBuilder::new()
            .description(Some(description))
            .required(Some(required))
            .content(JSON, content);
        let operation = self.operation.request_body(Some(body.build()));
        Self { operation, ..self }.common_error(413).common_error(415)
    }

    /// The header `Idempotency-Key`.
    pub fn accepts_idempotency_key(self) -> Self {
        // Bare, or in quotes, which generators do not escape: hence \x22.
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^([!#-+\--~]([ -+\--~]{0,253}[!-+\--~])?|\x22[ !#-\[\]-~]{1,255}\x22)$"));
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "A key of your choice, 1 to 255 printable ASCII characters, such as a UUID. For 24 hours a request with the \
                 same key and the same body gets the first response again and creates nothing. It may be sent in double \
                 quotes",
            ))
            .schema(Some(schema));
        Self { operation: self.operation.parameter(key), ..self }.common_error(422)
    }

    /// The header `If-Match`.
    pub fn accepts_if_match(self) -> Self {
        let schema =
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(r#"^(\*|(W/)?\x22[!#-~]*\x22)$"#));
        let if_match = ParameterBuilder::new()
            .name("If-Match")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "The `ETag` of the state that the request is meant for, quotes included. Another state is left as it is, \
                 with 412",
            ))
            .schema(Some(schema));
        Self { operation: self.operation.parameter(if_match), ..self }.common_error(412)
    }

    /// A query parameter.
    pub fn query(self, name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.query_parameter(name, Required::False, description, schema)
    }

    /// A query parameter that is a `T`.
    pub fn query_of<T: ToSchema>(self, name: &str, description: &str) -> Self {
        self.query_parameter(name, Required::False, description, schema_of::<T>()).schema::<T>()
    }

    /// A query parameter that is a `T`, and must be there.
    pub fn required_query_of<T: ToSchema>(self, name: &str, description: &str) -> Self {
        self.query_parameter(name, Required::True, description, schema_of::<T>()).schema::<T>()
    }

    fn schema<T: ToSchema>(mut self) -> Self {
        self.schemas.push((T::name().into_owned(), T::schema()));
        self
    }

    fn query_parameter(
        self,
        name: &str,
        required: Required,
        description: &str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(required)
            .description(Some(description))
            .schema(Some(schema));
        Self { operation: self.operation.parameter(parameter), ..self }
    }

    /// A response with a `T` as its body. Links and headers that follow belong to it.
    pub fn response<T: ToSchema>(self, status: u16, description: &str) -> Self {
        self.response_of::<T>(status, description, Ref::from_schema_name(T::name()))
    }

    /// The response 200 with `{"success": true}`.
    pub fn success(self, description: &str) -> Self {
        self.response::<Success>(200, description)
    }

    /// The response 200 with a list of all `T`s.
    pub fn response_of_all<T: ToSchema>(self, description: &str) -> Self {
        self.response_of::<T>(200, description, Array::new(Ref::from_schema_name(T::name())))
    }

    /// The response 200 with a page of `T`s, and the parameters that choose a page.
    pub fn page_of<T: ToSchema>(self, description: &str) -> Self {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(json!(DEFAULT_LIMIT)));
        let cursor = ObjectBuilder::new().schema_type(Type::String);
        self.query("limit", "The most items on the page", limit)
            .query(
                "cursor",
                "Where the page begins: take the whole URL of the next page from the header `Link`",
                cursor,
            )
            .response_of::<T>(200, description, Array::new(Ref::from_schema_name(T::name())))
            .paged()
    }

    /// The header `Link` of the response.
    pub fn paged(self) -> Self {
        let next = json!(format!("<{}?limit=100&cursor=…>; rel=\"next\"", self.route.path));
        self.header("Link", "The next page, if there is one: `<…>; rel=\"next\"` (RFC 8288)", next)
    }

    /// The response 302, and the error 401 of a link.
    pub fn redirect(mut self, description: &str) -> Self {
        self.close_response();
        let location =
            text_header("Where the content is", json!("https://bucket.s3.eu-central-1.amazonaws.com/…"));
        let response = ResponseBuilder::new()
            .description(description)
            .header("x-request-id", request_id())
            .header("Location", location);
        Self { response: Some((302, response)), ..self }
            .error(
                401,
                "The ticket is unknown, has ended, or is bound to another certificate",
                json!({"message": INVALID_LINK}),
            )
            .common_error(503)
    }

    fn response_of<T: ToSchema>(
        mut self,
        status: u16,
        description: &str,
        schema: impl Into<RefOr<Schema>>,
    ) -> Self {
        self.close_response();
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        let response = ResponseBuilder::new()
            .description(description)
            .content(JSON, ContentBuilder::new().schema(Some(schema)).build())
            .header("x-request-id", request_id());
        Self { response: Some((status, response)), ..self }
    }

    /// The header `ETag` of the response.
    pub fn etag(self) -> Self {
        self.header("ETag", "The version of the resource, for `If-Match`", json!("\"0\""))
    }

    /// The header `Idempotent-Replayed` of the response.
    pub fn replayable(self) -> Self {
        self.header(
            "Idempotent-Replayed",
            "`true` if it was given before, to the same Idempotency-Key",
            json!("true"),
        )
    }

    /// The header `Location` of the response.
    pub fn location(self, example: &str) -> Self {
        self.header("Location", "The path of the created resource", json!(example))
    }

    fn header(mut self, name: &str, description: &str, example: Value) -> Self {
        if let Some((status, response)) = self.response.take() {
            self.response = Some((status, response.header(name, text_header(description, example))));
        }
        self
    }

    /// A link from the response to the operation of another endpoint: the values of its path parameters, as [runtime
    /// expressions](https://spec.openapis.org/oas/v3.1.1.html#runtime-expressions).
    ///
    /// Not of its body: openapi-generator refuses a document in which that is an object.
    pub fn link(mut self, endpoint: &str, parameters: &[(&str, &str)]) -> Self {
        if let Some((status, response)) = self.response.take() {
            let name = camel_case(endpoint);
            let link =
                parameters.iter().fold(Link::builder().operation_id(name.clone()), |link, (name, value)| {
                    link.parameter(*name, *value)
                });
            self.response = Some((status, response.link(name, link.build())));
        }
        self
    }

    /// The error 404.
    pub fn not_found(self, resource: Resource, description: &str) -> Self {
        self.error(404, description, json!({"message": format!("{resource} not found")}))
    }

    /// The error 409, with an example of its message.
    pub fn conflict(self, description: &str, message: &str) -> Self {
        self.error(409, description, json!({"message": message}))
    }

    /// The error 410, with an example of its message.
    pub fn gone(self, description: &str, message: &str) -> Self {
        self.error(410, description, json!({"message": message}))
    }

    /// The error 409 for a value that another resource has, whose id it names.
    pub fn taken<I: Id + PartialSchema>(mut self, description: &str, message: &str) -> Self {
        self.taken.push(I::NAME);
        self.error(409, description, json!({"message": message, I::NAME: example_of::<I>()}))
    }

    fn error(self, status: u16, description: &str, example: Value) -> Self {
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

    fn close_response(&mut self) {
        if let Some((status, response)) = self.response.take() {
            let operation = std::mem::take(&mut self.operation);
            self.operation = operation.response(status.to_string(), response.build());
        }
    }
}

/// The name of a credential's security scheme.
pub(crate) fn scheme(credential: Credential) -> &'static str {
    match credential {
        Credential::ApiKey => "ApiKey",
        Credential::AccessToken => "AccessToken",
    }
}

fn oauth_response(description: &str, code: &str) -> ResponseBuilder {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(OAuthError::name())))
        .example(Some(json!({"error": code, "error_description": "…"})))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(JSON, content)
        .header("x-request-id", request_id())
}

/// An example of an id.
fn example_of<I: PartialSchema>() -> Value {
    match I::schema() {
        RefOr::T(Schema::Object(object)) => object.examples.into_iter().next().unwrap_or_default(),
        _ => Value::Null,
    }
}

fn path_parameter(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(match name {
            ENTITY_TYPE => schema_of::<Word>().into(),
            VERSION => version_number(),
            id => RefOr::Ref(Ref::from_schema_name(schema_of_id(id))),
        }))
        .build()
}

/// The schema of a part of a request, whose objects have no other fields.
fn closed(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if !object.properties.is_empty() && object.additional_properties.is_none() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(mut one_of)) => {
            one_of.items = one_of.items.into_iter().map(closed).collect();
            RefOr::T(Schema::OneOf(one_of))
        }
        other => other,
    }
}

/// The number of a policy's version.
fn version_number() -> RefOr<Schema> {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_VERSIONS))
        .examples([json!(3)]);
    number.into()
}

/// A reference to the schema of a type.
fn schema_of<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// The schema of a kind of id: `DockId` for `dockId`.
pub(crate) fn schema_of_id(name: &str) -> String {
    capitalised(name)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// An error response with an example of its body, to which it adds what follows from the status.
pub(crate) fn error(status: u16, description: &str, mut example: Value) -> Response {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    // API Gateway's own responses have only a message.
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
    // API Gateway answers by itself.
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
    text_header("The id of the request; name it when you report a problem", json!("JKJaXmPLvHcESHA="))
}

fn text_header(description: &str, example: Value) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).examples([example]);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

/// The id of an endpoint's operation: `createRecipient` for `create-recipient`.
pub(crate) fn camel_case(name: &str) -> String {
    match name.split_once('-') {
        Some((first, rest)) => first.to_owned() + &rest.split('-').map(capitalised).collect::<String>(),
        None => name.to_owned(),
    }
}
