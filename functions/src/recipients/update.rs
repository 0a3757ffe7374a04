//! `PATCH /v1/docks/{dockId}/recipients/{recipientId}`: updates a recipient by JSON Merge Patch (RFC 7396) at the top
//! level.
//!
//! Takes any of `name`, `email`, `stakeholderClass` and `identifiers`, which replaces all identifiers; `null` clears
//! the last two; `{}` changes nothing. Returns the recipient. A new email frees the old one; one that another recipient
//! of the dock has gets 409 with its `recipientId`.
//!
//! Two round trips to DynamoDB, three with a new email: reads the key and the recipient's pointer at once; then writes
//! the change, or for a new email reads the recipient and moves it.

use docyard_core::context::Context;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipient::{RecipientChanges, StakeholderClass};
use docyard_core::store::RecipientUpdate;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::field_error::Rejected;
#[cfg(feature = "openapi")]
use docyard_core::values::id::RecipientId;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};

use super::{RecipientOutput, email_taken, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::body::{Fields, string};
use crate::http::error::{Error, Resource};
use crate::http::{body, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-recipient": Patch "/v1/docks/{dockId}/recipients/{recipientId}",
    description: "Update a recipient",
    memory: 128,
    credentials: [ApiKey],
    grants: [
        GetItem on [Dock, Key, Recipient],
        UpdateItem on [Dock, Recipient],
        PutItem on [Dock, Recipient],
        DeleteItem on [Dock, Recipient],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "By JSON Merge Patch (RFC 7396) at the top level: an absent field stays as it is, `null` clears \
             `stakeholderClass` and `identifiers`, and `identifiers` replaces all there are. A new email frees the old one.",
        )
        .request_body::<RecipientChanges>(serde_json::json!({"email": "access@firstnational.example"}))
        .response::<RecipientOutput>(200, "The recipient")
        .not_found(Resource::Recipient, "No such recipient in this dock")
        .taken::<RecipientId>("Another recipient of this dock has the email: `recipientId`", super::EMAIL_TAKEN)
}

fn parse(fields: &mut Fields, now: Timestamp) -> Result<RecipientChanges, Rejected> {
    let name = fields.change("name", string(Text::parse));
    let email = fields.change("email", string(Email::parse));
    let stakeholder_class = fields.patch("stakeholderClass", string(StakeholderClass::parse));
    let identifiers = fields.patch("identifiers", |json| Identifiers::parse(json, now.date()));
    Ok(RecipientChanges {
        name: name?,
        email: email?,
        stakeholder_class: stakeholder_class?,
        identifiers: identifiers?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let found = find(context, request).await?;
    let now = context.now();
    let changes = body::read_merge_patch(request, |fields| parse(fields, now))?;
    let (id, pointer) = found.ok_or(Error::NotFound(Resource::Recipient))?;
    match context.store.update_recipient(id, pointer, &changes, now).await? {
        RecipientUpdate::Updated(recipient) => {
            response::json(StatusCode::OK, &RecipientOutput::from(&*recipient))
        }
        RecipientUpdate::NoRecipient => Err(Error::NotFound(Resource::Recipient)),
        RecipientUpdate::EmailTaken(taken) => Err(email_taken(taken)),
    }
}
