//! Certificates: those with which a recipient's institution proves itself on a connection with mutual TLS.

use docyard_core::context::{Caller, Context};
use docyard_core::model::certificate::{Certificate, Status};
use docyard_core::store::FoundCertificate;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::id::{CertificateId, RecipientId};
use docyard_core::values::text::Text;
use docyard_core::values::thumbprint::Thumbprint;
use lambda_http::Request;
use serde::Serialize;

use crate::endpoint::Endpoints;
use crate::http::error::Error;
use crate::http::{auth, path};

pub mod get;
pub mod list;
pub mod register;
pub mod revoke;

/// The endpoints of certificates.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Certificates",
    description: "The certificates with which a recipient's institution proves itself on a connection",
    list: &[&register::ENDPOINT, &list::ENDPOINT, &get::ENDPOINT, &revoke::ENDPOINT],
};

/// The path of a recipient's certificates.
fn list_url(recipient: RecipientId) -> String {
    format!("/v1/recipients/{recipient}/certificates")
}

/// Authenticates the caller and finds the certificate that the path names; `None` if the caller's account does not have
/// it.
///
/// # Errors
/// Those of [`auth::authenticate_and`].
async fn find(context: &Context, request: &Request) -> Result<(Caller, Option<FoundCertificate>), Error> {
    let ids = path::id::<RecipientId>(request).zip(path::id::<CertificateId>(request));
    let certificate = path::lookup(ids, |(recipient, id)| context.store.certificate(recipient, id));
    auth::authenticate_and(context, request, certificate).await
}

/// A certificate as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Certificate))]
struct CertificateOutput<'a> {
    id: CertificateId,
    recipient_id: RecipientId,
    name: &'a Text,
    /// The SHA-256 of the DER in base64url without padding: `x5t#S256` of RFC 8705. It alone decides.
    thumbprint: &'a Thumbprint,
    /// Whom it names, as RFC 4514 text; for reading only.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "CN=bulk.firstnational.example,O=First National Bank,C=US")
    )]
    subject: &'a str,
    /// Who issued it, as RFC 4514 text; for reading only.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "CN=First National Bank Issuing CA,O=First National Bank,C=US")
    )]
    issuer: &'a str,
    /// Its number at its issuer, in hex.
    #[cfg_attr(feature = "openapi", schema(example = "0A1B2C3D4E5F"))]
    serial_number: &'a str,
    not_before: Timestamp,
    not_after: Timestamp,
    status: Status,
    created_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    revoked_at: Option<Timestamp>,
}

impl<'a> CertificateOutput<'a> {
    fn new(certificate: &'a Certificate, now: Timestamp) -> Self {
        Self {
            id: certificate.id,
            recipient_id: certificate.recipient,
            name: &certificate.name,
            thumbprint: &certificate.thumbprint,
            subject: &certificate.subject,
            issuer: &certificate.issuer,
            serial_number: &certificate.serial_number,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            status: certificate.status(now),
            created_at: certificate.created_at,
            revoked_at: certificate.revoked_at,
        }
    }
}
