//! Refusals by the policies, of recipients that have proven who they are: the audit trail has an entry on each.

use std::fmt::Display;

use docyard_core::context::Context;
use docyard_core::model::access::Shortfall;
use docyard_core::model::recipient::Recipient;

use super::error::Error;

/// Records that the policies refused a recipient, which had proven who it is by the secret or the token with this id. Equal
/// refusals of one credential are one entry a minute.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Internal`]: then the refusal must not be told, since nothing happens without a trace.
pub async fn record(
    context: &Context,
    recipient: &Recipient,
    credential: impl Display,
    shortfall: &Shortfall,
) -> Result<(), Error> {
    let what = format!("{credential} {shortfall:?}");
    let refused = shortfall.refused(recipient, credential);
    let entry = context.entry_of_recipient(recipient.account, recipient.id, refused);
    Ok(context.store.record_refusal(recipient.id, &what, &entry, context.now()).await?)
}
