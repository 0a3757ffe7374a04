//! `POST /v1/docks/{dockId}/recipients`: registers a recipient, a party who may fetch from the dock.
//!
//! Takes `name` and `email`, and optionally `stakeholderClass` and `identifiers`. Gives 201, the recipient, and its
//! URL in `Location`. An email is registered once per dock, whatever its case: the second time gives 409 with the
//! `recipientId` that has it.
//!
//! Round trips to DynamoDB: two. The key and the dock are read at once, then the recipient is written.

use std::collections::BTreeMap;

use docyard::body::{self, Fields, string};
use docyard::clock::Timestamp;
use docyard::context::Context;
use docyard::email::Email;
use docyard::error::Error;
use docyard::id::{DockId, RecipientId};
use docyard::identifiers::Identifiers;
use docyard::name::Name;
use docyard::recipient::{Recipient, StakeholderClass};
use docyard::store::RecipientCreation;
use docyard::{auth, random, response};
use lambda_http::http::header::LOCATION;
use lambda_http::http::{HeaderValue, Method, Response, StatusCode};
use lambda_http::{Request, RequestExt};
use serde::Serialize;

use crate::route::Route;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "create-recipient",
    method: Method::POST,
    path: "/v1/docks/{dockId}/recipients",
    handle: |context, request| Box::pin(handle(context, request)),
};

struct Input {
    name: Name,
    email: Email,
    stakeholder_class: Option<StakeholderClass>,
    identifiers: Identifiers,
}

impl Input {
    fn parse(fields: &mut Fields, now: Timestamp) -> Option<Self> {
        let name = fields.required("name", string("name", Name::parse));
        let email = fields.required("email", string("email", Email::parse));
        let stakeholder_class = fields.optional(
            "stakeholderClass",
            string("stakeholderClass", |text| StakeholderClass::parse(text).map(Some)),
        );
        let identifiers = fields.optional("identifiers", |json| Identifiers::parse(json, now.date()));
        Some(Self {
            name: name?,
            email: email?,
            stakeholder_class: stakeholder_class?,
            identifiers: identifiers?,
        })
    }
}

/// A recipient as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    id: RecipientId,
    dock_id: DockId,
    name: &'a str,
    email: &'a str,
    stakeholder_class: Option<StakeholderClass>,
    identifiers: &'a BTreeMap<String, String>,
    created_at: Timestamp,
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let key = auth::presented_key(request.headers(), context.mode)?;
    let dock_id = request.path_parameters_ref().and_then(|path| DockId::parse(path.first("dockId")?));
    let dock = async {
        match dock_id {
            Some(id) => context.store.dock(id).await,
            None => Ok(None),
        }
    };
    let (account, dock) = tokio::join!(auth::authenticate(context, &key), dock);
    let account = account?;
    let now = context.now();
    let input = body::read(request, |fields| Input::parse(fields, now))?;
    let dock = dock?.filter(|dock| dock.account == account).ok_or(Error::NotFound("Dock"))?;

    let recipient = Recipient {
        id: RecipientId::generate(now, &mut random::system()),
        dock: dock.id,
        account,
        name: input.name,
        email: input.email,
        stakeholder_class: input.stakeholder_class,
        identifiers: input.identifiers,
        created_at: now,
    };
    match context.store.create_recipient(&recipient).await? {
        RecipientCreation::Created => created(&recipient),
        RecipientCreation::EmailTaken(holder) => Err(Error::EmailTaken(holder)),
    }
}

fn created(recipient: &Recipient) -> Result<Response<String>, Error> {
    let output = Output {
        id: recipient.id,
        dock_id: recipient.dock,
        name: recipient.name.as_str(),
        email: recipient.email.as_str(),
        stakeholder_class: recipient.stakeholder_class,
        identifiers: recipient.identifiers.entries(),
        created_at: recipient.created_at,
    };
    let mut response = response::json(StatusCode::CREATED, &output)?;
    let location = format!("/v1/docks/{}/recipients/{}", recipient.dock, recipient.id);
    response.headers_mut().extend(HeaderValue::try_from(location).ok().map(|location| (LOCATION, location)));
    Ok(response)
}
