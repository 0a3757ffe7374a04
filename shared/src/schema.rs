//! The domain's types as the API's document describes them ([JSON Schema], as OpenAPI 3.1 takes it); compiled with
//! feature `openapi` alone.
//!
//! Types that are plain structures derive their schema; here are those whose rule is in their `parse`.
//!
//! [JSON Schema]: https://json-schema.org/draft/2020-12

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::model::identifiers;
use crate::model::identifiers::Identifiers;
use crate::model::secret;
use crate::model::secret::{Grace, Lifetime, SecretValue};
use crate::values::clock::Timestamp;
use crate::values::domain;
use crate::values::domain::Domain;
use crate::values::email;
use crate::values::email::Email;
use crate::values::id::{DockId, RecipientId, SecretId};
use crate::values::text::{self, Text};

/// What neither is white space nor a control character, in a class of a regular expression.
const VISIBLE: &str = r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";

/// What is no control character.
const PRINTABLE: &str = r"[^\u0000-\u001f\u007f-\u009f]";

macro_rules! schema {
    ($type:ty, $name:literal, $schema:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema.build()))
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    };
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// An id: a prefix and a ULID in Crockford's base 32.
fn id(prefix: &str, example: &str) -> ObjectBuilder {
    string().pattern(Some(format!("^{prefix}_[0-7][0-9A-HJKMNP-TV-Z]{{25}}$"))).examples([json!(example)])
}

schema!(DockId, "DockId", id("dock", "dock_01JHMV2B4MP0YHZX6Q3T0V1W2X"));
schema!(RecipientId, "RecipientId", id("rcp", "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"));
schema!(SecretId, "SecretId", id("sec", "sec_01JHMV4D6PR2AK1Z8S5W2X3Y4Z"));

schema!(
    Timestamp,
    "Timestamp",
    string()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some("A point in time: RFC 3339 in UTC with milliseconds"))
        .examples([json!("2025-01-15T10:32:00.000Z")])
);

schema!(
    Text,
    "Text",
    string()
        .min_length(Some(1))
        .max_length(Some(text::MAX_CHARS))
        .pattern(Some(format!("^{VISIBLE}({PRINTABLE}*{VISIBLE})?$")))
        .description(Some(
            "A text in any script, without control characters. White space around it is taken off, and not counted"
        ))
        .examples([json!("First National Bank")])
);

schema!(
    Email,
    "Email",
    string()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(email::MAX_BYTES))
        .pattern(Some(
            r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
        ))
        .description(Some(
            "An email address by the rule of the HTML standard, at most 64 characters of it before the @; kept and \
             given in lower case"
        ))
        .examples([json!("bulk@firstnational.example")])
);

schema!(
    Domain,
    "Domain",
    string()
        .max_length(Some(domain::MAX_BYTES))
        .pattern(Some(
            r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
        ))
        .description(Some("A domain name; one beyond ASCII in its ASCII form. Kept and given in lower case"))
        .examples([json!("firstnational.example")])
);

schema!(
    Lifetime,
    "ExpiresInDays",
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(secret::MIN_DAYS))
        .maximum(Some(secret::MAX_DAYS))
        .description(Some("A lifetime in days of 24 hours"))
        .examples([json!(90)])
);

schema!(
    Grace,
    "GraceHours",
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(secret::MAX_GRACE_HOURS))
        .description(Some("How many hours the old value still verifies"))
        .examples([json!(24)])
);

schema!(
    SecretValue,
    "SecretValue",
    string()
        .pattern(Some("^dk_sec_[0-9a-f]{32}$"))
        .description(Some("The value of a secret: 128 random bits, shown in one response alone"))
        .examples([json!("dk_sec_7f2a9b4c1e8d3f6a0b5c2d9e4f7a1b8c")])
);

schema!(
    Identifiers,
    "Identifiers",
    ObjectBuilder::new()
        .property_names(Some(Schema::Object(
            string()
                .pattern(Some(format!("^[A-Za-z][A-Za-z0-9_-]{{0,{}}}$", identifiers::MAX_KEY_CHARS - 1)))
                .build()
        )))
        .property(
            "nda_hash",
            string().pattern(Some("^(sha256:)?[0-9A-Fa-f]{64}$")).description(Some(
                "The SHA-256 of the signed NDA, as sha256sum prints it; kept as sha256: and lower-case digits"
            ))
        )
        .property(
            "date_of_birth",
            string()
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
                .description(Some("A calendar date, not in the future (UTC)"))
        )
        .property(
            "phone",
            string()
                .pattern(Some(r"^\+[0-9]([ .()-]*[0-9]){6,14}$"))
                .max_length(Some(identifiers::MAX_VALUE_CHARS))
                .description(Some("+ and 7 to 15 digits, with spaces, -, ., ( and ) between them"))
        )
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(
            string()
                .min_length(Some(1))
                .max_length(Some(identifiers::MAX_VALUE_CHARS))
                .pattern(Some(format!("^{PRINTABLE}*$")))
                .build()
        )))))
        .max_properties(Some(identifiers::MAX_ENTRIES))
        .description(Some(
            "What a recipient is known by. The keys are free, each industry has its own: lender_id, policy_number, \
             agency_code, badge_id, …"
        ))
        .examples([json!({"lender_id": "LND-4821", "policy_number": "POL-2025-88401"})])
);
