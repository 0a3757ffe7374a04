//! `POST /v1/recipients/{recipientId}/certificates`: registers a certificate, with which the recipient's institution
//! proves itself on a connection with mutual TLS.
//!
//! Takes `name`, a label, and `certificate`, one certificate in PEM of at most 16 KiB that has not expired and that API
//! Gateway accepts. Returns 201 and what was read of it. Only its thumbprint decides. One that is registered for the
//! recipient and not revoked gets 409, and so does a recipient with 10 that are neither revoked nor expired; concurrent
//! requests may exceed that limit. Accepts an `Idempotency-Key`.
//!
//! Two round trips to DynamoDB: reads the key and the recipient with all that is active of it at once, then writes the
//! certificate on condition that the recipient still exists.

use docyard_core::context::Context;
use docyard_core::model::certificate::{Certificate, is_full};
use docyard_core::model::idempotency::{Outcome, StoredResponse};
use docyard_core::store::RegistrationRefused;
use docyard_core::values::clock::Timestamp;
use docyard_core::values::field_error::{FieldError, Rejected};
use docyard_core::values::fields::{Fields, string};
use docyard_core::values::id::{CertificateId, RecipientId};
use docyard_core::values::random;
use docyard_core::values::text::Text;
use docyard_core::values::x509::X509;
use lambda_http::Request;
use lambda_http::http::Response;

use super::{CertificateOutput, list_url};
use crate::endpoint::{Endpoint, endpoint};
use crate::http::error::{Error, Resource, Taken};
use crate::http::idempotency::{self, Attempt};
use crate::http::{auth, input, path, response};
#[cfg(feature = "openapi")]
use crate::operation::Operation;

/// This endpoint.
pub const ENDPOINT: Endpoint = endpoint! {
    "register-certificate": Post "/v1/recipients/{recipientId}/certificates",
    description: "Register a certificate",
    memory: 128,
    credentials: [ApiKey],
    connections: 2,
    grants: [
        BatchGetItem on [Idempotency, Key],
        Query on [Recipient],
        ConditionCheckItem on [Recipient],
        PutItem on [Audit, AuditEntity, Idempotency, Recipient],
    ],
};

const REGISTERED: &str = "This certificate is registered for this recipient already";
const TOO_MANY: &str = "This recipient has 10 certificates that are neither revoked nor expired; revoke one that is no longer used first";

#[cfg(feature = "openapi")]
fn document(operation: Operation) -> Operation {
    operation
        .description(
            "The certificate of the recipient's institution, without its key. From then on it proves the factor \
             `tls_certificate` on connections with mutual TLS, while it is valid and not revoked. Several may be registered \
             at a time, so that a renewal overlaps.",
        )
        .request_body::<Input>(serde_json::json!({
            "name": "First National Bank, 2026",
            "certificate": EXAMPLE,
        }))
        .accepts_idempotency_key()
        .response::<CertificateOutput>(201, "The certificate")
        .location("/v1/recipients/rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y/certificates/crt_01JHMV8H0TW6EQ5DCX9A6B7C8D")
        .replayable()
        .link("get-certificate", CREATED)
        .link("revoke-certificate", CREATED)
        .link("list-entity-audit-logs", &[("entityType", "certificate"), ("entityId", "$response.body#/id")])
        .not_found(Resource::Recipient, "No such recipient in the key's account")
        .taken::<CertificateId>(
            "It is registered for the recipient already, or the recipient has 10 that are neither revoked nor expired; the \
             message says which",
            REGISTERED,
        )
}

/// A certificate whose key nobody has.
#[cfg(feature = "openapi")]
const EXAMPLE: &str = "\
     -----BEGIN CERTIFICATE-----\n\
     MIIB+DCCAZ2gAwIBAgIUQW2djzAMv+Y1oB/W8RtReswGSAkwCgYIKoZIzj0EAwIw\n\
     UDELMAkGA1UEBhMCVVMxHDAaBgNVBAoME0ZpcnN0IE5hdGlvbmFsIEJhbmsxIzAh\n\
     BgNVBAMMGmJ1bGsuZmlyc3RuYXRpb25hbC5leGFtcGxlMCAXDTI2MTEyNzEzMzQx\n\
     N1oYDzIxMjYxMTAzMTMzNDE3WjBQMQswCQYDVQQGEwJVUzEcMBoGA1UECgwTRmly\n\
     c3QgTmF0aW9uYWwgQmFuazEjMCEGA1UEAwwaYnVsay5maXJzdG5hdGlvbmFsLmV4\n\
     YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASERcMKCPgUg054jSouUiJH\n\
     lfOM3YT+Hiorh+K1UpzBlk28yt7Y7S9xgGLe3rpBnwWOLoEkr4Iy/ZW9IcM+j9AM\n\
     o1MwUTAdBgNVHQ4EFgQUgL4JSRJOKpwSuxUntVStoRwn2w4wHwYDVR0jBBgwFoAU\n\
     gL4JSRJOKpwSuxUntVStoRwn2w4wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD\n\
     AgNJADBGAiEA6GBp98N3JM5WZssu0gaLYVPIsC0Jv0WMmBKz9atNzCcCIQDGfR23\n\
     SGjAdzYK2rvr1AzK7FQZE34msEYFst5hQrfB4w==\n\
     -----END CERTIFICATE-----\n";

/// The path parameters of a certificate that was just registered.
#[cfg(feature = "openapi")]
const CREATED: &[(&str, &str)] =
    &[("recipientId", "$request.path.recipientId"), ("certificateId", "$response.body#/id")];

#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RegisterCertificate, rename_all = "camelCase"))]
struct Input {
    name: Text,
    /// One certificate in PEM. Text around its block is ignored.
    #[cfg_attr(feature = "openapi", schema(value_type = String, min_length = 1, max_length = 16384))]
    certificate: X509,
}

impl Input {
    fn parse(fields: &mut Fields, now: Timestamp) -> Result<Self, Rejected> {
        let name = fields.required("name", string(Text::parse));
        let certificate = fields.required("certificate", string(acceptable))?;
        if name.is_err() && now >= certificate.not_after {
            fields.refuse("certificate", EXPIRED);
        }
        Ok(Self { name: name?, certificate })
    }
}

const EXPIRED: &str = "must not have expired";

/// The certificate in a PEM text, if API Gateway accepts it. It may have expired: a repeated request gets its first
/// response also then.
fn acceptable(pem: &str) -> Result<X509, &'static str> {
    let x509 = X509::parse(pem)?;
    x509.weakness.map_or(Ok(x509), |weakness| Err(weakness.rule()))
}

async fn handle(context: &Context, request: &Request) -> Result<Response<String>, Error> {
    let recipient_id = path::id::<RecipientId>(request);
    let active = path::lookup(recipient_id, |id| context.store.active_recipient(id));
    let (caller, active) = auth::authenticate_and(context, request, active).await?;
    let now = context.now();
    let (key, body) = input::read(request, |input| {
        let key = input.idempotency_key();
        let body = input.body(|fields| Input::parse(fields, now));
        Ok((key?, body?))
    })?;
    let (recipient_id, active) = recipient_id.zip(active).ok_or(Error::NotFound(Resource::Recipient))?;
    let url = list_url(recipient_id);
    let attempt = Attempt::new(key, caller.account, &url, request, now);
    let trusted = &active.items.certificates;
    let registered = trusted.iter().find(|it| it.thumbprint == body.certificate.thumbprint);
    let refusal = if now >= body.certificate.not_after {
        Some(Error::Invalid(vec![FieldError::new("certificate", EXPIRED)]))
    } else if let Some(registered) = registered {
        Some(already_registered(registered.id))
    } else {
        is_full(trusted, now).then_some(Error::Conflict(TOO_MANY))
    };
    if let Some(refusal) = refusal {
        // This very request may be why.
        return idempotency::replay_or(context, &attempt, refusal, response::created_immutable).await;
    }

    let id = CertificateId::generate(now, &mut random::system());
    let certificate = Certificate::new(id, recipient_id, body.name, body.certificate, now);
    let stored = StoredResponse {
        body: response::to_json(&CertificateOutput::new(&certificate, now))?,
        location: Some(format!("{url}/{id}")),
    };
    let entry = context.entry(caller, certificate.registered(active.pointer.dock));
    match context.store.register_certificate(&certificate, &entry, attempt.storing(&stored)).await? {
        Outcome::Done => {
            context.record.add_id(id);
            Ok(response::created_immutable(stored))
        }
        Outcome::Replayed(replay) => idempotency::replay(replay, response::created_immutable),
        Outcome::Refused(RegistrationRefused::Registered(id)) => Err(already_registered(id)),
        Outcome::Refused(RegistrationRefused::NoRecipient) => Err(Error::NotFound(Resource::Recipient)),
    }
}

fn already_registered(id: CertificateId) -> Error {
    Error::Taken(Taken { kind: "certificate_registered", message: REGISTERED, by: id.into() })
}
