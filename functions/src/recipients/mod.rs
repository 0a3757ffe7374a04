//! Recipients: the parties who may fetch documents from a dock.

use docyard_core::context::{Caller, Context};
use docyard_core::model::identifiers::Identifiers;
use docyard_core::model::recipient::{Recipient, StakeholderClass};
use docyard_core::store::{EmailTaken, RecipientPointer};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::email::Email;
use docyard_core::values::id::{DockId, RecipientId};
use docyard_core::values::text::Text;
use lambda_http::Request;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::error::{Error, Taken};
use crate::http::{auth, path};

pub mod create;
pub mod create_batch;
pub mod delete;
pub mod get;
pub mod import_csv;
pub mod list;
mod many;
pub mod update;

/// The endpoints of recipients.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Recipients",
    description: "The parties who may fetch documents from a dock",
    list: &[
        &create::ENDPOINT,
        &create_batch::ENDPOINT,
        &import_csv::ENDPOINT,
        &list::ENDPOINT,
        &get::ENDPOINT,
        &update::ENDPOINT,
        &delete::ENDPOINT,
    ],
};

/// The path of a dock's recipients.
fn list_url(dock: DockId) -> String {
    format!("/v1/docks/{dock}/recipients")
}

/// A recipient that a path names.
struct Found {
    id: RecipientId,
    pointer: RecipientPointer,
}

/// Authenticates the caller and finds the recipient that the path names; `None` if the dock of the path does not have
/// it or is another account's.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(context: &Context, request: &Request) -> Result<(Caller, Option<Found>), Error> {
    let dock = path::id::<DockId>(request);
    let id = path::id::<RecipientId>(request);
    let pointer = path::lookup(id, |id| context.store.recipient_pointer(id));
    let (caller, pointer) = auth::authenticate_and(context, request, pointer).await?;
    let found = id.zip(pointer.filter(|pointer| Some(pointer.dock) == dock));
    Ok((caller, found.map(|(id, pointer)| Found { id, pointer })))
}

const EMAIL_TAKEN: &str = "A recipient with this email already exists in this dock";

fn email_taken(EmailTaken(holder): EmailTaken) -> Error {
    Error::Taken(Taken { kind: "email_taken", message: EMAIL_TAKEN, by: holder.into() })
}

/// A recipient as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Recipient))]
struct RecipientOutput<'a> {
    id: RecipientId,
    dock_id: DockId,
    name: &'a Text,
    email: &'a Email,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    stakeholder_class: Option<StakeholderClass>,
    identifiers: &'a Identifiers,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Timestamp, required = false))]
    updated_at: Option<Timestamp>,
}

impl<'a> From<&'a Recipient> for RecipientOutput<'a> {
    fn from(recipient: &'a Recipient) -> Self {
        Self {
            id: recipient.id,
            dock_id: recipient.dock,
            name: &recipient.name,
            email: &recipient.email,
            stakeholder_class: recipient.stakeholder_class,
            identifiers: &recipient.identifiers,
            created_at: recipient.created_at,
            updated_at: recipient.updated_at,
        }
    }
}

/// The path parameters of a recipient that was just created.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] = &[("dockId", "$request.path.dockId"), ("recipientId", "$response.body#/id")];
