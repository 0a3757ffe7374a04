//! `GET /v1/docks/{dockId}/recipients`: a dock's recipients by email, page by page; with `?email=` the one that has that
//! address, or none.
//!
//! Round trips to DynamoDB: one. The key, the dock and the page are read at once.

use docyard_core::context::Context;
use docyard_core::values::email::Email;
use crate::http::error::Error;
use docyard_core::values::id::DockId;
use crate::http::list;
use docyard_core::values::page::Page;
use crate::http::list::Parameters;
use docyard_core::values::page::PageRequest;
use crate::http::auth;
use crate::http::path;
use crate::http::response;
use lambda_http::Request;
use lambda_http::http::{Method, Response};

#[cfg(feature = "openapi")]
use crate::openapi::Operation;
use crate::route::Route;
use crate::wire::RecipientOutput;

/// Where this endpoint is reached.
pub const ROUTE: Route = Route {
    function: "list-recipients",
    method: Method::GET,
    path: "/v1/docks/{dockId}/recipients",
    handle: |context, request| Box::pin(handle(context, request)),
    #[cfg(feature = "openapi")]
    document,
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .describe("Recipients", "Find and list recipients", "Those of the dock, ordered by email.")
        .is_paged()
        .query(
            "email",
            "Only the recipient with this email, in whatever case",
            utoipa::openapi::Ref::from_schema_name(<Email as utoipa::ToSchema>::name()),
            None,
        )
        .gives_page_of::<RecipientOutput>("A page of recipients")
        .fails(404, "No such dock in the key's account", "Dock not found")
}

/// What of the list is asked for.
enum Wanted {
    Page(PageRequest),
    Email(Email),
}

impl Wanted {
    fn read(request: &Request, list: &str) -> Result<Self, Error> {
        let mut parameters = Parameters::of(request);
        let email = parameters.take("email", Email::parse);
        let window =
            parameters.window(list, |key| Email::parse(key).is_ok_and(|email| email.as_str() == key));
        let wanted = email.zip(window).map(|(email, window)| email.map_or(Self::Page(window), Self::Email));
        parameters.finish(wanted)
    }
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock_id = path::id(request, "dockId", DockId::parse);
    let list = dock_id.map(|id| format!("/v1/docks/{id}/recipients")).unwrap_or_default();
    let wanted = Wanted::read(request, &list);
    let page = async {
        match (dock_id, &wanted) {
            (Some(dock), Ok(Wanted::Page(window))) => context.store.recipients(dock, window).await,
            (Some(dock), Ok(Wanted::Email(email))) => {
                let found = context.store.recipient_by_email(dock, email).await?;
                Ok(Page { items: found.into_iter().collect(), next: None })
            }
            _ => Ok(Page { items: Vec::new(), next: None }),
        }
    };
    let dock = path::lookup(dock_id, |id| context.store.dock(id));
    let both = async {
        let (dock, page) = tokio::join!(dock, page);
        Ok(dock?.map(|dock| (dock, page)))
    };
    let (_, found) = auth::authenticate_and(context, request, both).await?;
    let wanted = wanted?;
    let (_, page) = found.ok_or(Error::NotFound("Dock"))?;
    let page = page?;
    let recipients: Vec<RecipientOutput> = page.items.iter().map(RecipientOutput::from).collect();
    let next = match wanted {
        Wanted::Page(window) => page.next.map(|last| list::next_url(&list, &list, window.limit, &last)),
        Wanted::Email(_) => None,
    };
    response::list(&recipients, next.as_deref())
}
