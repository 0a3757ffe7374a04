//! `PATCH /v1/docks/{dockId}/recipients/{recipientId}`: changes a recipient, by JSON Merge Patch (RFC 7396) at the top
//! level.
//!
//! Takes any of `name`, `email`, `stakeholderClass` and `identifiers`, the last of which replaces all there are; `null`
//! clears the last two. `{}` changes nothing. A new email frees the old one; one that another recipient of the dock has
//! gives 409 with its `recipientId`.
//!
//! Round trips to DynamoDB: two, and three with a new email. The key and the recipient's pointer are read at once; then
//! the change is written, or for a new email the recipient read and then moved.

use crate::http::body;
use crate::http::body::Fields;
use crate::http::body::string;
use docyard_core::values::clock::Timestamp;
use docyard_core::context::Context;
use docyard_core::values::email::Email;
use crate::http::error::Error;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::values::text::Text;
use docyard_core::model::recipient::RecipientChanges;
use docyard_core::model::recipient::StakeholderClass;
use crate::http::response;
use docyard_core::store::RecipientUpdate;
use lambda_http::Request;
use lambda_http::http::{Method, Response, StatusCode};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::recipient_in_dock;
use crate::route::Route;
use crate::wire::RecipientOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "update-recipient",
    method: Method::PATCH,
    path: "/v1/docks/{dockId}/recipients/{recipientId}",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe(
            "Recipients",
            "Change a recipient",
            "By JSON Merge Patch (RFC 7396) at the top level: what is left out stays, `null` clears `stakeholderClass` and \
             `identifiers`, and `identifiers` replaces all there are. A new email frees the old one.",
        )
        .takes::<RecipientChanges>(serde_json::json!({"email": "access@firstnational.example"}))
        .gives::<RecipientOutput>(200, "The recipient")
        .fails(404, "No such recipient in this dock", "Recipient not found")
        .fails_for_a_taken_email()
}

fn parse(fields: &mut Fields, now: Timestamp) -> Option<RecipientChanges> {
    let name = fields.change("name", string("name", Text::parse));
    let email = fields.change("email", string("email", Email::parse));
    let stakeholder_class = fields.change_or_clear(
        "stakeholderClass",
        string("stakeholderClass", |text| StakeholderClass::parse(text).map(Some)),
    );
    let identifiers = fields.change_or_clear("identifiers", |json| Identifiers::parse(json, now.date()));
    Some(RecipientChanges {
        name: name?,
        email: email?,
        stakeholder_class: stakeholder_class?,
        identifiers: identifiers?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let found = recipient_in_dock::find(context, request).await?;
    let now = context.now();
    let changes = body::read_merge_patch(request, |fields| parse(fields, now))?;
    let (id, pointer) = found.ok_or(Error::NotFound("Recipient"))?;
    match context.store.update_recipient(id, pointer, &changes, now).await? {
        RecipientUpdate::Updated(recipient) => {
            response::json(StatusCode::OK, &RecipientOutput::from(&*recipient))
        }
        RecipientUpdate::NoRecipient => Err(Error::NotFound("Recipient")),
        RecipientUpdate::EmailTaken(holder) => Err(Error::EmailTaken(holder)),
    }
}
