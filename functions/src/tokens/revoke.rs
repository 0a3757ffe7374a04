//! `POST /v1/auth/revoke`: revokes an access token ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)). Once it has
//! returned, the token opens nothing. The token itself is the authority.
//!
//! Takes `token`, as a form or as JSON. Returns 200 whether or not the token existed. Errors are those of RFC 6749 §5.2.
//!
//! Two round trips to DynamoDB: reads the token, then deletes it. None for what cannot be a token.

use docyard_core::context::Context;
use docyard_core::model::token::AccessToken;
use lambda_http::Request;
use lambda_http::http::Response;
use zeroize::Zeroizing;

use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::Error;
use crate::http::oauth::Parameters;
use crate::http::response;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "revoke-token": Post "/v1/auth/revoke",
    description: "Revoke an access token",
    memory: 128,
    credentials: [],
    connections: 1,
    grants: [
        BatchGetItem on [Token],
        DeleteItem on [Token],
        PutItem on [Audit, AuditEntity],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "OAuth 2.0 token revocation (RFC 7009). Whoever has the token may revoke it. The answer does not say whether it \
             existed. The body may also be JSON; other parameters are ignored.",
        )
        .form::<Form>(serde_json::json!({
            "token": "dk_tok_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg012345",
        }))
        .success("The token opens nothing")
        .invalid_oauth_request("`invalid_request`: `token` is missing or there twice, or there is a query parameter")
}

/// The parameters, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = TokenRevocation)]
#[expect(dead_code, reason = "`handle` reads the body")]
struct Form {
    #[schema(min_length = 1)]
    token: String,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let token = Zeroizing::new(Parameters::read(request)?.take_required("token")?);
    let Some(token) = AccessToken::parse(&token) else { return response::success() };
    let Some(record) = context.store.token(token.recipient(), &token.digest()).await? else {
        return response::success();
    };
    context.record.set_account(record.account);
    context.record.add_id(record.recipient);
    context.record.add_id(record.id);
    let entry = context.entry_of_recipient(record.account, record.recipient, record.revoked());
    context.store.revoke_token(&record, &token.digest(), &entry).await?;
    response::success()
}
