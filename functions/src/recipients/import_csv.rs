//! `POST /v1/docks/{dockId}/recipients/import/csv`: creates the recipients of a CSV file of up to 1,000 rows and 1 MiB, each as by itself.
//!
//! Takes `multipart/form-data` with a `file`, whose columns [`docyard_core::model::recipient_csv`] knows. Returns what creating a batch
//! returns, with the numbers of rows as a spreadsheet shows them. `dryRun=true` checks, and writes nothing. Repeating it is safe.
//!
//! As many round trips to DynamoDB as a batch.

use docyard_core::context::Context;
use docyard_core::model::recipient_csv;
use docyard_core::values::field_error::FieldError;
use lambda_http::Request;
use lambda_http::http::Response;

use super::many::{Import, Row, dry_run};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource};
use crate::http::multipart::{self, Form};
use crate::http::{auth, input, path};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "import-recipients": Post "/v1/docks/{dockId}/recipients/import/csv",
    description: "Import recipients",
    memory: 1024,
    credentials: [ApiKey],
    connections: 1,
    grants: [BatchGetItem on [Dock, Key], PutItem on [Audit, AuditEntity, Dock, Recipient]],
};

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    super::many::document(
        operation.description(
            "A CSV file in UTF-8 of up to 1,000 rows and 1 MiB. Its first line is a heading: `name`, `email`, `stakeholder_class`, and any \
             other column is an identifier of that name. Each row stands alone. For larger files there is `docyard import`.",
        ),
    )
    .multipart_body::<Input>(
        serde_json::json!({"file": "name,email,stakeholder_class,lender_id\nFirst National Bank,bulk@firstnational.example,mortgagee,LND-4821\n"}),
        "A CSV file of at most 1,000 rows and 1 MiB",
        TOO_LARGE,
    )
}

/// The body, for the document.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[schema(as = ImportRecipients)]
#[expect(dead_code, reason = "`multipart::read` reads the body")]
struct Input {
    /// The CSV file.
    #[schema(format = Binary, value_type = String)]
    file: Vec<u8>,
}

/// The most rows behind the heading.
const MAX_ROWS: usize = 1_000;
/// The largest file, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

const TOO_LARGE: &str =
    "The file has more than 1,000 rows or 1 MiB; use docyard import FILE.csv, which takes files of any size";

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let dock = path::lookup(path::id(request), |id| context.store.dock(id));
    let (caller, dock) = auth::authenticate_and(context, request, dock).await?;
    let is_dry_run = input::read(request, dry_run)?;
    let rows = rows(multipart::read(request, TOO_LARGE).await?)?;
    let dock = dock.ok_or(Error::NotFound(Resource::Dock))?.id;
    Import::new(context, request, caller, dock, is_dry_run).run(rows).await
}

/// The rows of the file.
fn rows(form: Form) -> Result<Vec<Row>, Error> {
    let Form { file, metadata, mut errors } = form;
    errors.extend(metadata.map(|_| FieldError::new("metadata", "is not a known field")));
    let Some(file) = file else {
        errors.push(FieldError::new("file", "is required"));
        return Err(Error::Invalid(errors));
    };
    if file.content.len() > MAX_BYTES {
        return Err(Error::BadRequest { message: TOO_LARGE, errors });
    }
    let read =
        recipient_csv::read(&file.content).map_err(|message| errors.push(FieldError::new("file", message)));
    match read {
        Ok(read) if read.rows.len() > MAX_ROWS => Err(Error::BadRequest { message: TOO_LARGE, errors }),
        Ok(read) if errors.is_empty() => Ok(read.rows.into_iter().map(Row::from).collect()),
        _ => Err(Error::Invalid(errors)),
    }
}
