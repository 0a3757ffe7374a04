//! `GET /v1/audit/logs`: lists the audit trail of a dock, newest first, page by page.
//!
//! Takes `dockId`, and optionally `from` (inclusive) and `to` (exclusive), and one of `entityType`, `actor` and `action`. A
//! page may have fewer entries than its limit; with one of the last three, it may be empty and others may follow.
//!
//! Two round trips to DynamoDB: reads the key and the dock at once, then the page, from eight partitions at once.

use docyard_core::context::Context;
use docyard_core::model::audit::{EntryFilter, EntryQuery, Word};
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::id::{AuditEntryId, DockId};
use docyard_core::values::page::PageRequest;
use docyard_core::values::uri::encoded;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{EntryOutput, PATH};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::input::Input;
use crate::http::{auth, input, list, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "list-audit-logs": Get "/v1/audit/logs",
    description: "List a dock's audit logs",
    memory: 128,
    credentials: [ApiKey],
    connections: 8,
    grants: [BatchGetItem on [Dock, Key], Query on [Audit]],
};

/// The longest actor that is asked for, so that it fits into a URL.
const MAX_ACTOR_CHARS: usize = 256;

const ONE_FILTER: &str = "must be the only one of entityType, actor and action";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "What happened in a dock, newest first. A page may have fewer entries than its limit, and with `entityType`, \
             `actor` or `action`, of which one may be given, even none: only a missing `Link` ends the list.",
        )
        .required_query_of::<DockId>("dockId", "The dock")
        .query_of::<Timestamp>("from", "Entries of this time and later")
        .query_of::<Timestamp>("to", "Entries before this time")
        .query_of::<Word>("entityType", "Entries on this kind of entity")
        .query("actor", "Entries by this actor, such as the id of an API key", actor_schema())
        .query_of::<Word>("action", "Entries with this action")
        .page_of::<EntryOutput>("A page of entries")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

#[cfg(feature = "openapi")]
fn actor_schema() -> utoipa::openapi::schema::Object {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.min_length(Some(1))
        .max_length(Some(MAX_ACTOR_CHARS))
        .examples(["key_01JHMV0Z3KN8XGYW5P2S9TZV1W"])
        .build()
}

/// Which entries are asked for.
struct Query {
    /// `None` if the id is malformed.
    dock: Option<DockId>,
    entries: EntryQuery,
    page: PageRequest,
    /// The path of the list with its parameters, in one order.
    path: String,
}

impl Query {
    fn parse(input: &mut Input<'_>) -> Result<Self, Rejected> {
        let dock = input.required_parameter("dockId", |text| Ok(DockId::parse(text)));
        let from = input.parameter("from", time);
        let from_time = from.as_ref().ok().copied().flatten();
        let to = input.parameter("to", |text| {
            let is_later = |to: &Timestamp| from_time.is_none_or(|from| from < *to);
            Some(time(text)?).filter(is_later).ok_or("must be later than from")
        });
        let filter = filter(input);
        let query = match (dock, from, to, filter) {
            (Ok(dock), Ok(from), Ok(to), Ok(filter)) => Ok((dock, EntryQuery { from, to, filter })),
            _ => Err(Rejected),
        };
        let path = query.as_ref().map(|(dock, entries)| path_of(*dock, entries)).unwrap_or_default();
        if query.is_err() {
            // Which list a cursor should be of is not known.
            let _ = input.parameter("cursor", |_| Ok(()));
        }
        let page = list::page(input, &path, |key| AuditEntryId::parse(key).is_some());
        let (dock, entries) = query?;
        Ok(Self { dock, entries, page: page?, path })
    }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse(text).ok_or("must be a time as RFC 3339 has it, such as 2025-01-15T10:32:00Z")
}

fn filter(input: &mut Input<'_>) -> Result<Option<EntryFilter>, Rejected> {
    let entity_type = input.parameter("entityType", |text| Word::parse(text).map(EntryFilter::EntityType));
    let mut is_first = matches!(entity_type, Ok(None));
    let actor = input.parameter("actor", |text| match is_first {
        true if (1..=MAX_ACTOR_CHARS).contains(&text.chars().count()) => {
            Ok(EntryFilter::Actor(text.to_owned()))
        }
        true => Err("must be the id of an API key or another actor of an entry, of at most 256 characters"),
        false => Err(ONE_FILTER),
    });
    is_first &= matches!(actor, Ok(None));
    let action = input.parameter("action", |text| match is_first {
        true => Word::parse(text).map(EntryFilter::Action),
        false => Err(ONE_FILTER),
    });
    Ok(entity_type?.or(actor?).or(action?))
}

/// The path of a list, which is the same however its parameters were written.
fn path_of(dock: Option<DockId>, entries: &EntryQuery) -> String {
    let filter = entries.filter.as_ref().map(|filter| match filter {
        EntryFilter::EntityType(word) => ("entityType", word.to_string()),
        EntryFilter::Actor(actor) => ("actor", encoded(actor).to_string()),
        EntryFilter::Action(word) => ("action", word.to_string()),
    });
    let parameters = [
        dock.map(|dock| ("dockId", dock.to_string())),
        entries.from.map(|from| ("from", from.to_string())),
        entries.to.map(|to| ("to", to.to_string())),
        filter,
    ];
    let parameters = parameters.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
    format!("{PATH}?{}", parameters.collect::<Vec<_>>().join("&"))
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let query = input::read(request, Query::parse);
    let dock = query.as_ref().ok().and_then(|query| query.dock);
    let dock = path::lookup(dock, |id| context.store.dock(id));
    let (_, dock) = auth::authenticate_and(context, request, dock).await?;
    let query = query?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    context.record.add_id(dock);
    let page = context.store.dock_entries(dock, &query.entries, &query.page).await?;
    let entries: Vec<EntryOutput> = page.items.iter().map(EntryOutput::from).collect();
    let next = page.next.map(|last| list::next_url(&query.path, &query.path, query.page.limit, &last));
    response::list(&entries, next.as_deref())
}
