//! The API's document at `/openapi.yaml`, and at `/docs` a page to read and try the API: Swagger UI, whose files are in
//! this binary. A deployed API has neither.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use docyard_functions::openapi;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The type of a YAML document (RFC 9512).
const YAML: &str = "application/yaml";

/// The router of both.
pub(super) fn router() -> Result<Router, String> {
    let document = openapi::yaml().map_err(|error| format!("the API's document: {error}"))?;
    let document = get(move || async { ([(CONTENT_TYPE, YAML)], document) });
    let page = SwaggerUi::new("/docs")
        .config(Config::from("/openapi.yaml").persist_authorization(true).try_it_out_enabled(true));
    Ok(Router::new().route("/openapi.yaml", document).merge(page))
}
