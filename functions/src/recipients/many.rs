//! Many recipients in one request, each as by itself: what the endpoints for a batch and for a CSV file share.

use std::collections::BTreeMap;
use std::time::Duration;

use docyard_core::context::{Caller, Context};
use docyard_core::model::idempotency::Outcome;
use docyard_core::model::recipient::{Recipient, StakeholderClass};
use docyard_core::model::recipient_csv;
use docyard_core::store::{EmailTaken, Fault, at_once};
use docyard_core::values::email::Email;
use docyard_core::values::field_error::{FieldError, Rejected, shown};
use docyard_core::values::fields::object;
use docyard_core::values::id::{AnyId, DockId, RecipientId};
use docyard_core::values::json::Json;
use docyard_core::values::text::Text;
use lambda_http::Request;
use lambda_http::http::{Response, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::create;
use super::email_taken;
use crate::http::body::not_an_object;
#[cfg(feature = "openapi")]
use crate::http::error::Resource;
use crate::http::error::{Error, Taken};
use crate::http::input::Input;
use crate::http::response::ErrorBody;
use crate::http::{request_id, response};
use crate::metrics;
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// How long after its begin a request goes on to further recipients: each may take as long as an operation of DynamoDB with its retries,
/// and the request must be answered after that.
const TIME: Duration = Duration::from_secs(8);

/// The most validation errors of one row, so that all rows fit into an answer of Lambda.
const MAX_DETAILS: usize = 10;

/// A recipient as it was sent.
pub(super) struct Row {
    /// Its number, as errors name it.
    pub number: usize,
    /// Its email, as it was sent.
    pub email: Option<String>,
    /// What *create a recipient* takes, or what is wrong with the row.
    pub recipient: Result<Json, Error>,
}

impl Row {
    /// Of a batch.
    pub(super) fn of_json(number: usize, json: Json) -> Self {
        let email = match &json {
            Json::Object(members) => members.iter().find_map(|(name, value)| match value {
                Json::String(email) if name == "email" => Some(shown(email)),
                _ => None,
            }),
            _ => None,
        };
        Self { number, email, recipient: Ok(json) }
    }
}

impl From<recipient_csv::Row> for Row {
    fn from(row: recipient_csv::Row) -> Self {
        match row.recipient {
            Ok(json) => Self::of_json(row.number, json),
            Err(message) => {
                let recipient = Err(Error::Invalid(vec![FieldError::new("row", message)]));
                Self { number: row.number, email: None, recipient }
            }
        }
    }
}

/// Reads whether a request only checks, and writes nothing.
pub(super) fn dry_run(input: &mut Input<'_>) -> Result<bool, Rejected> {
    let is_dry_run = input.parameter("dryRun", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false"),
    });
    Ok(is_dry_run?.unwrap_or(false))
}

/// What the endpoints have in common.
#[cfg(feature = "openapi")]
pub(super) fn document(operation: Operation) -> Operation {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    let boolean = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into())).build();
    operation
        .query("dryRun", "Check, and write nothing: `success` is how many would be created", boolean)
        .response::<Output>(200, "What became of each")
        .not_found(Resource::Dock, "No such dock in the key's account")
}

/// What became of the rows.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecipientImport))]
pub(super) struct Output {
    /// How many were created, or would be.
    success: usize,
    /// How many were there already, with equal fields.
    existing: usize,
    /// How many are in `errors`.
    failed: usize,
    /// Those that are there now, in the order of the rows.
    recipients: Vec<ImportedOutput>,
    /// What is wrong, in the order of the rows.
    errors: Vec<RowError>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ImportedRecipient))]
struct ImportedOutput {
    id: RecipientId,
    name: Text,
    email: Email,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    stakeholder_class: Option<StakeholderClass>,
}

/// A row that is no recipient, with the error that it would get by itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecipientRowError))]
struct RowError {
    /// As a spreadsheet shows it; in a batch the index from 0.
    row: usize,
    /// As it was sent; `null` where there is none.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    email: Option<String>,
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599, example = 409))]
    status: u16,
    /// What is wrong and what to do about it.
    message: String,
    /// What is wrong with its fields, 10 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    details: Vec<FieldError>,
    /// With 409: the recipient that has the email.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = RecipientId, required = false))]
    recipient_id: Option<RecipientId>,
}

/// What became of a row.
enum Judged {
    /// It is a new recipient; `None` in a dry run.
    Created(Option<Recipient>),
    /// It is there already.
    Existing(Option<Recipient>),
}

/// The request that the rows came with.
pub(super) struct Import<'a> {
    pub context: &'a Context,
    pub request: &'a Request,
    pub caller: Caller,
    pub dock: DockId,
    /// Whether nothing is written.
    pub is_dry_run: bool,
    pub ends: Instant,
}

impl<'a> Import<'a> {
    /// Of a request that begins now.
    pub(super) fn new(
        context: &'a Context,
        request: &'a Request,
        caller: Caller,
        dock: DockId,
        is_dry_run: bool,
    ) -> Self {
        Self { context, request, caller, dock, is_dry_run, ends: Instant::now() + TIME }
    }

    /// Creates a recipient of each row that is one, and says what became of all.
    ///
    /// # Errors
    /// Never for one row.
    pub(super) async fn run(&self, rows: Vec<Row>) -> Result<Response<String>, Error> {
        let mut outcomes: BTreeMap<usize, (Option<String>, Result<Judged, Error>)> = BTreeMap::new();
        // Rows of one email are judged in their order.
        let mut groups: BTreeMap<String, Vec<(usize, Option<String>, create::Input)>> = BTreeMap::new();
        for row in rows {
            match row.recipient.and_then(|json| self.parse(json)) {
                Ok(input) => groups
                    .entry(input.email.as_str().to_owned())
                    .or_default()
                    .push((row.number, row.email, input)),
                Err(error) => drop(outcomes.insert(row.number, (row.email, Err(error)))),
            }
        }
        let judged = groups.into_values().map(async |group| Ok::<_, Error>(self.judge(group).await));
        outcomes.extend(at_once(judged).await?.into_iter().flatten());

        let mut output =
            Output { success: 0, existing: 0, failed: 0, recipients: Vec::new(), errors: Vec::new() };
        for (row, (email, outcome)) in outcomes {
            let recipient = match outcome {
                Ok(Judged::Created(recipient)) => {
                    output.success += 1;
                    recipient
                }
                Ok(Judged::Existing(recipient)) => {
                    output.existing += 1;
                    recipient
                }
                Err(error) => {
                    output.failed += 1;
                    output.errors.push(self.row_error(row, email, error));
                    None
                }
            };
            output.recipients.extend(recipient.map(|recipient| ImportedOutput {
                id: recipient.id,
                name: recipient.name,
                email: recipient.email,
                stakeholder_class: recipient.stakeholder_class,
            }));
        }
        response::json(StatusCode::OK, &output)
    }

    fn parse(&self, json: Json) -> Result<create::Input, Error> {
        if !matches!(json, Json::Object(_)) {
            return Err(not_an_object());
        }
        let now = self.context.now();
        object(|fields| create::Input::parse(fields, now))(json)
            .map_err(|errors| Error::Invalid(errors.into()))
    }

    /// What becomes of the rows of one email.
    async fn judge(
        &self,
        group: Vec<(usize, Option<String>, create::Input)>,
    ) -> Vec<(usize, (Option<String>, Result<Judged, Error>))> {
        let mut judged = Vec::new();
        let mut planned: Option<Recipient> = None;
        let mut is_interrupted = false;
        for (number, email, input) in group {
            let recipient = input.recipient(self.caller, self.dock, self.context.now());
            let outcome = match &planned {
                // In their order, also when they are sent again.
                _ if is_interrupted || Instant::now() >= self.ends => {
                    Err(Error::Unavailable(Fault::new("import: no time left")))
                }
                Some(planned) if is_same(planned, &recipient) => Ok(Judged::Existing(None)),
                Some(_) => Err(Error::Conflict(super::EMAIL_TAKEN)),
                None if self.is_dry_run => self.look_up(&recipient).await,
                None => self.create(recipient.clone()).await,
            };
            if self.is_dry_run && matches!(outcome, Ok(Judged::Created(_))) {
                planned = Some(recipient);
            }
            is_interrupted |= matches!(outcome, Err(Error::Unavailable(_)));
            judged.push((number, (email, outcome)));
        }
        judged
    }

    /// What would become of a recipient.
    async fn look_up(&self, recipient: &Recipient) -> Result<Judged, Error> {
        match self.context.store.recipient_by_email(self.dock, &recipient.email).await? {
            None => Ok(Judged::Created(None)),
            Some(holder) if is_same(&holder, recipient) => Ok(Judged::Existing(Some(holder))),
            Some(holder) => Err(email_taken(EmailTaken(holder.id))),
        }
    }

    async fn create(&self, recipient: Recipient) -> Result<Judged, Error> {
        let entry = self.context.entry(self.caller, recipient.created());
        match self.context.store.create_recipient(&recipient, &entry, None).await? {
            Outcome::Done => {
                metrics::count(metrics::RECIPIENTS_CREATED);
                Ok(Judged::Created(Some(recipient)))
            }
            Outcome::Refused(taken) => {
                let holder = self.context.store.recipient_by_email(self.dock, &recipient.email).await?;
                match holder.filter(|holder| is_same(holder, &recipient)) {
                    Some(holder) => Ok(Judged::Existing(Some(holder))),
                    None => Err(email_taken(taken)),
                }
            }
            Outcome::Replayed(_) => Err(Error::Internal(Fault::new("import: replayed without a key"))),
        }
    }

    /// What a row gets that is no recipient. What failed inside is in the log alone.
    fn row_error(&self, row: usize, email: Option<String>, error: Error) -> RowError {
        if let Some(fault) = error.fault() {
            tracing::warn!("a recipient of many failed: {fault}");
        }
        let recipient_id = match &error {
            Error::Taken(Taken { by: AnyId::Recipient(holder), .. }) => Some(*holder),
            _ => None,
        };
        let ErrorBody { status_code, message, mut details, .. } =
            response::error_body(error, &request_id(self.request));
        details.truncate(MAX_DETAILS);
        RowError { row, email, status: status_code, message, details, recipient_id }
    }
}

/// Whether two recipients have equal fields.
fn is_same(a: &Recipient, b: &Recipient) -> bool {
    let fields =
        |it: &Recipient| (it.name.clone(), it.email.clone(), it.stakeholder_class, it.identifiers.clone());
    fields(a) == fields(b)
}
