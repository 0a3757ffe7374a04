//! Certificates: one item in the recipient's partition under the thumbprint, which decides and makes a certificate
//! unique there, and a record of it, which lists show.
//!
//! What decides sorts before the recipient's pointer, so that one Query reads both and never a certificate that was
//! revoked or that DynamoDB has removed since its end. The record sorts behind the secrets.

use serde::{Deserialize, Serialize};

use super::recipients::{self, POINTER_SORT_KEY, RecipientPointer};
use super::transaction::Transaction;
use super::{Error, Item, KeyRange, Store, text};
use crate::model::audit::Entry;
use crate::model::certificate::{Certificate, ENDED_DAYS, TrustedCertificate};
use crate::model::idempotency::{IdempotentRequest, Outcome, StoredResponse};
use crate::model::owned::Owned;
use crate::values::clock::Timestamp;
use crate::values::id::{AccountId, CertificateId, DockId, RecipientId};
use crate::values::page::{Page, PageRequest};
use crate::values::text::Text;
use crate::values::thumbprint::Thumbprint;

/// The sort keys of what decides begin with it: the first of a recipient's partition.
pub(super) const TRUSTED_PREFIX: &str = "CERTIFICATE#";
const RECORD_PREFIX: &str = "TLS_CERTIFICATE#";
/// Sorts behind every record.
pub(super) const RECORDS_END: &str = "TLS_CERTIFICATE#~";

/// What of a certificate decides.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TrustedItem {
    pk: String,
    sk: String,
    certificate: CertificateId,
    thumbprint: Thumbprint,
    not_before: Timestamp,
    not_after: Timestamp,
    ttl: i64,
}

impl TrustedItem {
    fn new(certificate: &Certificate) -> Self {
        Self {
            pk: recipients::partition(certificate.recipient),
            sk: trusted_sort_key(&certificate.thumbprint),
            certificate: certificate.id,
            thumbprint: certificate.thumbprint.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            ttl: certificate.not_after.unix_seconds_rounded_up(),
        }
    }
}

impl From<TrustedItem> for TrustedCertificate {
    fn from(item: TrustedItem) -> Self {
        Self {
            id: item.certificate,
            thumbprint: item.thumbprint,
            not_before: item.not_before,
            not_after: item.not_after,
        }
    }
}

fn trusted_sort_key(thumbprint: &Thumbprint) -> String {
    format!("{TRUSTED_PREFIX}{}", thumbprint.as_str())
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordItem {
    pk: String,
    sk: String,
    id: CertificateId,
    recipient: RecipientId,
    name: Text,
    thumbprint: Thumbprint,
    subject: String,
    issuer: String,
    serial_number: String,
    not_before: Timestamp,
    not_after: Timestamp,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// [`ENDED_DAYS`] after it was revoked or has expired, in epoch seconds.
    ttl: i64,
}

impl RecordItem {
    fn new(certificate: &Certificate) -> Self {
        let ends = certificate.revoked_at.unwrap_or(certificate.not_after);
        Self {
            pk: recipients::partition(certificate.recipient),
            sk: format!("{RECORD_PREFIX}{}", certificate.id),
            id: certificate.id,
            recipient: certificate.recipient,
            name: certificate.name.clone(),
            thumbprint: certificate.thumbprint.clone(),
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            serial_number: certificate.serial_number.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            created_at: certificate.created_at,
            revoked_at: certificate.revoked_at,
            ttl: ends.plus_days(ENDED_DAYS).unix_seconds_rounded_up(),
        }
    }
}

impl From<RecordItem> for Certificate {
    fn from(item: RecordItem) -> Self {
        Self {
            id: item.id,
            recipient: item.recipient,
            name: item.name,
            thumbprint: item.thumbprint,
            subject: item.subject,
            issuer: item.issuer,
            serial_number: item.serial_number,
            not_before: item.not_before,
            not_after: item.not_after,
            created_at: item.created_at,
            revoked_at: item.revoked_at,
        }
    }
}

/// A certificate of an existing recipient.
pub struct FoundCertificate {
    /// The account it belongs to.
    pub account: AccountId,
    /// The dock that its recipient belongs to.
    pub dock: DockId,
    /// The certificate.
    pub certificate: Certificate,
}

impl Owned for FoundCertificate {
    fn owner(&self) -> AccountId {
        self.account
    }
}

/// Why a certificate was not registered.
#[derive(Debug, PartialEq, Eq)]
pub enum RegistrationRefused {
    /// It is registered for the recipient already, and was not revoked since: as this one.
    Registered(CertificateId),
    /// The recipient no longer exists.
    NoRecipient,
}

/// Outcome of the revocation of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub enum CertificateRevocation {
    /// It is revoked, by this call or before.
    Revoked,
    /// It no longer exists.
    Gone,
}

/// An item of a recipient's partition.
#[derive(Deserialize)]
#[serde(untagged)]
enum PartitionItem {
    Record(Box<RecordItem>),
    Pointer(RecipientPointer),
}

impl Store {
    /// Registers a certificate if its recipient exists and has not registered it already, and stores the response if the
    /// request carries an idempotency key.
    pub async fn register_certificate(
        &self,
        certificate: &Certificate,
        entry: &Entry,
        idempotency: Option<(&IdempotentRequest, &StoredResponse)>,
    ) -> Result<Outcome<RegistrationRefused>, Error> {
        const RECIPIENT: usize = 0;
        const TRUSTED: usize = 1;
        let items = vec![
            self.check_exists(Self::key(recipients::partition(certificate.recipient), POINTER_SORT_KEY))?,
            self.put_new(&TrustedItem::new(certificate))?,
            self.put_new(&RecordItem::new(certificate))?,
        ];
        self.transact_idempotently(items, entry, idempotency, |refusal| {
            if refusal.condition_failed(RECIPIENT) {
                return Ok(RegistrationRefused::NoRecipient);
            }
            match refusal.existing_item::<TrustedItem>(TRUSTED)? {
                Some(item) => Ok(RegistrationRefused::Registered(item.certificate)),
                None => Err(Error::unexpected_refusal("register certificate")),
            }
        })
        .await
    }

    /// Returns one certificate; `None` if it or its recipient does not exist. One `BatchGetItem`.
    pub async fn certificate(
        &self,
        recipient: RecipientId,
        id: CertificateId,
    ) -> Result<Option<FoundCertificate>, Error> {
        let keys =
            vec![Self::key(recipients::partition(recipient), POINTER_SORT_KEY), record_key(recipient, id)];
        let (mut pointer, mut certificate) = (None, None);
        for item in self.get_all(keys).await? {
            match item {
                PartitionItem::Pointer(found) => pointer = Some(found),
                PartitionItem::Record(item) => certificate = Some(Certificate::from(*item)),
            }
        }
        Ok(pointer.zip(certificate).map(|(pointer, certificate)| FoundCertificate {
            account: pointer.account,
            dock: pointer.dock,
            certificate,
        }))
    }

    /// Returns one page of a recipient's certificates, newest first; one Query.
    pub async fn certificates(
        &self,
        recipient: RecipientId,
        page: &PageRequest,
    ) -> Result<Page<Certificate>, Error> {
        let range = KeyRange { from: RECORD_PREFIX, to: RECORDS_END, ascending: false };
        let after = page.after.as_ref().map(|id| format!("{RECORD_PREFIX}{id}"));
        let read = self
            .query_page::<RecordItem>(recipients::partition(recipient), range, after, page.limit + 1)
            .await?;
        let certificates = read.items.into_iter().map(Certificate::from).collect();
        Ok(Page::of(certificates, read.is_last, page.limit, |certificate| certificate.id.to_string()))
    }

    /// Revokes a certificate that was read: once this returns, it proves nothing.
    pub async fn revoke_certificate(
        &self,
        certificate: Certificate,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<CertificateRevocation, Error> {
        const IS_NOT_REVOKED: &str = "attribute_exists(pk) AND attribute_not_exists(revokedAt)";
        // DynamoDB may have removed it since its end. Another one's cannot be there: this one is not revoked.
        const IS_ITS: &str = "attribute_not_exists(pk) OR certificate = :id";
        const RECORD: usize = 0;
        if certificate.revoked_at.is_some() {
            return Ok(CertificateRevocation::Revoked);
        }
        let trusted = Self::key(
            recipients::partition(certificate.recipient),
            trusted_sort_key(&certificate.thumbprint),
        );
        let id = [(":id", text(certificate.id))];
        let record = RecordItem::new(&certificate.revoke(now));
        let items =
            vec![self.put_new_or_if(&record, IS_NOT_REVOKED, &[])?, self.delete(trusted, IS_ITS, &id)?];
        match self.transact(items, entry).await? {
            Transaction::Done => Ok(CertificateRevocation::Revoked),
            Transaction::Refused(refusal) if refusal.condition_failed(RECORD) => {
                Ok(match refusal.existing_item::<RecordItem>(RECORD)? {
                    Some(_) => CertificateRevocation::Revoked,
                    None => CertificateRevocation::Gone,
                })
            }
            Transaction::Refused(_) => Err(Error::unexpected_refusal("revoke certificate")),
        }
    }
}

fn record_key(recipient: RecipientId, id: CertificateId) -> Item {
    Store::key(recipients::partition(recipient), format!("{RECORD_PREFIX}{id}"))
}
