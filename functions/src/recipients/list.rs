//! `GET /v1/docks/{dockId}/recipients`: lists a dock's recipients by email, page by page. With `?email=` the list has
//! only the recipient with that address, or none.
//!
//! One round trip to DynamoDB: reads the key, the dock and the page at once. A page of more than 100 takes a second one,
//! after key and dock.

use docyard_core::context::Context;
use docyard_core::values::email::Email;
use docyard_core::values::id::DockId;
use docyard_core::values::page::{Page, PageRequest};
use lambda_http::Request;
use lambda_http::http::Response;

use super::{RecipientOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::{input, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-recipients": Get "/v1/docks/{dockId}/recipients",
    description: "List recipients",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [BatchGetItem on [Dock, Key], Query on [Dock]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "Those of the dock, ordered by email; with `email` only the one with that address, if any.",
        )
        .query_of::<Email>("email", "Only the recipient with this email, regardless of case")
        .page_of::<RecipientOutput>("A page of recipients")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

/// Which recipients are asked for.
enum Query {
    Page(PageRequest),
    Email(Email),
}

impl Query {
    fn read(request: &Request, list: &str) -> Result<Self, Error> {
        input::read(request, |input| {
            let email = input.parameter("email", Email::parse);
            let page =
                list::page(input, list, |key| Email::parse(key).is_ok_and(|email| email.as_str() == key));
            let page = page?;
            Ok(email?.map_or(Self::Page(page), Self::Email))
        })
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock_id = path::id::<DockId>(request);
    let list = dock_id.map(list_url).unwrap_or_default();
    let query = Query::read(request, &list);
    let page = async {
        match (dock_id, &query) {
            (Some(dock), Ok(Query::Page(page))) => context.store.recipients(dock, page).await,
            (Some(dock), Ok(Query::Email(email))) => {
                let found = context.store.recipient_by_email(dock, email).await?;
                Ok(Page { items: found.into_iter().collect(), next: None })
            }
            _ => Ok(Page::empty()),
        }
    };
    let limit = match &query {
        Ok(Query::Page(page)) => page.limit,
        _ => 1,
    };
    let dock = path::lookup(dock_id, |id| context.store.dock(id));
    let page = list::authenticate_and_read(context, request, dock, page, limit).await?;
    let query = query?;
    let page = page.ok_or(Error::NotFound(Resource::Dock))?;
    let recipients: Vec<RecipientOutput> = page.items.iter().map(RecipientOutput::from).collect();
    let next = match query {
        Query::Page(asked) => page.next.map(|last| list::next_url(&list, &list, asked.limit, &last)),
        Query::Email(_) => None,
    };
    response::list(&recipients, next.as_deref())
}
