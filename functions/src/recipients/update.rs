//! `PATCH /v1/docks/{dockId}/recipients/{recipientId}`: updates a recipient by JSON Merge Patch (RFC 7396).
//!
//! Takes any of `name`, `email`, `stakeholderClass` and `identifiers`, of which it sets and removes single keys; read-only
//! fields are accepted if they equal the current values. `null` clears the last two; `{}` changes nothing. Returns the recipient.
//! A new email frees the old one; one that another recipient of the dock has gets 409 with its `recipientId`. Honours
//! `If-Match`.
//!
//! Three round trips to DynamoDB: reads the key and the recipient's pointer at once, then the recipient, then writes the
//! change; two if nothing changes.

use docyard_core::context::Context;
#[cfg(feature = "openapi")]
use docyard_core::model::identifiers::IdentifierChanges;
use docyard_core::model::recipient::{Recipient, RecipientChanges, StakeholderClass};
use docyard_core::store::RecipientUpdate;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::fields::{Fields, string};
#[cfg(feature = "openapi")]
use docyard_core::values::id::{DockId, RecipientId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{Found, RecipientOutput, email_taken, find};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "update-recipient": Patch "/v1/docks/{dockId}/recipients/{recipientId}",
    description: "Update a recipient",
    memory: 128,
    credentials: [ApiKey],
    connections: 1,
    grants: [
        BatchGetItem on [Dock, Key, Recipient],
        PutItem on [Audit, AuditEntity, Dock],
        UpdateItem on [Recipient],
        DeleteItem on [Dock],
    ],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "By JSON Merge Patch (RFC 7396): what is absent stays as it is, also a single identifier; `null` removes an \
             identifier, all of them, or `stakeholderClass`. Read-only fields may be sent as GET returns them. A new \
             email frees the old one.",
        )
        .accepts_if_match()
        .request_body::<Input>(serde_json::json!({"email": "access@firstnational.example"}))
        .response::<RecipientOutput>(200, "The recipient")
        .etag()
        .not_found(Resource::Recipient, "No such recipient in this dock")
        .taken::<RecipientId>("Another recipient of this dock has the email: `recipientId`", super::EMAIL_TAKEN)
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = UpdateRecipient, rename_all = "camelCase")]
#[expect(dead_code, reason = "`parse` reads the body")]
struct Input {
    #[schema(value_type = Text, required = false)]
    name: Text,
    #[schema(value_type = Email, required = false)]
    email: Email,
    stakeholder_class: Option<StakeholderClass>,
    identifiers: Option<IdentifierChanges>,
    /// Taken if it is unchanged.
    #[schema(value_type = RecipientId, required = false)]
    id: RecipientId,
    /// Taken if it is unchanged.
    #[schema(value_type = DockId, required = false)]
    dock_id: DockId,
    /// Taken if it is unchanged.
    #[schema(value_type = Timestamp, required = false)]
    created_at: Timestamp,
    /// Taken if it is unchanged.
    updated_at: Option<Timestamp>,
}

/// Reads a merge patch of the recipient; `None` if there is no such recipient.
fn parse(
    fields: &mut Fields,
    recipient: Option<&Recipient>,
    now: Timestamp,
) -> Result<RecipientChanges, Rejected> {
    let current = recipient.and_then(|recipient| response::to_value(&RecipientOutput::from(recipient)));
    let read_only = fields.read_only(&["id", "dockId", "createdAt", "updatedAt"], current.as_ref());
    let name = fields.change("name", string(Text::parse));
    let email = fields.change("email", string(Email::parse));
    let stakeholder_class = fields.patch("stakeholderClass", string(StakeholderClass::parse));
    let identifiers = recipient.map(|recipient| recipient.identifiers.clone()).unwrap_or_default();
    let identifiers = fields.patch("identifiers", |json| identifiers.merged(json, now.latest_date()));
    read_only?;
    Ok(RecipientChanges {
        name: name?,
        email: email?,
        stakeholder_class: stakeholder_class?,
        identifiers: identifiers?,
    })
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let (caller, found) = find(context, request).await?;
    let now = context.now();
    let read = |current: Option<&Recipient>| {
        input::read(request, |input| {
            let if_match = input.if_match();
            let changes = input.merge_patch(|fields| parse(fields, current, now));
            Ok((if_match?, changes?))
        })
    };
    let Some(Found { id, pointer }) = found else {
        read(None)?;
        return Err(Error::NotFound(Resource::Recipient));
    };
    let change = |recipient: Recipient| -> Result<Recipient, Error> {
        let (if_match, changes) = read(Some(&recipient))?;
        if_match.check(recipient.version)?;
        Ok(changes.apply(recipient, now))
    };
    let entry = |before: &Recipient, after: &Recipient| context.entry(caller, after.updated(before));
    match context.store.update_recipient(id, pointer, change, entry).await? {
        RecipientUpdate::Updated(recipient) => {
            response::resource(&RecipientOutput::from(&*recipient), recipient.version)
        }
        RecipientUpdate::NoRecipient => Err(Error::NotFound(Resource::Recipient)),
        RecipientUpdate::EmailTaken(taken) => Err(email_taken(taken)),
    }
}
