//! The domain's types as the API's document describes them ([JSON Schema], as OpenAPI 3.1 takes it); compiled with
//! feature `openapi` alone.
//!
//! Types that are plain structures derive their schema; here are those whose rule is in their `parse`.
//!
//! [JSON Schema]: https://json-schema.org/draft/2020-12

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::model::artifact::{self, Filename, MediaType, MetadataChanges};
use crate::model::audit::{self, Action, EntityId, EntityType, FreeAction, FreeEntityType, Metadata, Word};
use crate::model::identifiers;
use crate::model::identifiers::{IdentifierChanges, Identifiers};
use crate::model::policy::{self, Audience};
use crate::model::recipe::{self, ChallengeType, Factor, Method, Recipe};
use crate::model::recipient::StakeholderClass;
use crate::model::secret;
use crate::model::secret::{Grace, Lifetime, SecretValue};
use crate::values::clock::Timestamp;
use crate::values::content_hash::ContentHash;
use crate::values::domain;
use crate::values::domain::Domain;
use crate::values::email;
use crate::values::email::Email;
use crate::values::id::{
    ArtifactBatchId, ArtifactId, AuditEntryId, CertificateId, DockId, GroupId, JobId, PolicyId, RecipientId,
    SecretId,
};
use crate::values::text::{self, LongText, Text};
use crate::values::thumbprint::Thumbprint;

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

/// `schema` without the strings that match `pattern`.
///
/// Generated clients check a `pattern` before they send a request, each with its own kind of regular expressions: PHP's
/// know no `\u0085`, Ruby's no `\x85`. They leave `not` to the API.
fn without(schema: ObjectBuilder, pattern: &str) -> ObjectBuilder {
    keyword(schema, "not", json!({"pattern": pattern}))
}

/// `schema` with a keyword that [`ObjectBuilder`] does not have.
fn keyword(schema: ObjectBuilder, name: &str, value: Value) -> ObjectBuilder {
    schema.extensions(Some(Extensions::from_iter([(name, value)])))
}

/// White space that is taken off a string, in a pattern for all languages.
const SPACE: &str = r"[ \t\r\n]*";

/// The pattern of a value around which white space is taken off.
fn trimmed(pattern: &str) -> Option<String> {
    Some(format!("^{SPACE}{pattern}{SPACE}$"))
}

/// Texts that [`text::check`] refuses: invisible characters alone, control characters that are no white space, those and
/// line separators with something on both sides, and those that override the direction of text.
const UNREADABLE: &str = r"^[\s\u0085\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8]*$|[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u202a-\u202e\u2066-\u2069]|\S\s*[\t-\r\u0085\u2028\u2029]\s*\S";

/// A text of at most so many characters, by the rule of [`text::check`].
fn readable(max: usize) -> ObjectBuilder {
    without(string().min_length(Some(1)).max_length(Some(max)), UNREADABLE)
}

/// An id: a prefix and a ULID in Crockford's base 32.
fn id(prefix: &str, example: &str) -> ObjectBuilder {
    string().pattern(Some(format!("^{prefix}_[0-7][0-9A-HJKMNP-TV-Z]{{25}}$"))).examples([json!(example)])
}

schema!(DockId, "DockId", id("dock", "dock_01JHMV2B4MP0YHZX6Q3T0V1W2X"));
schema!(RecipientId, "RecipientId", id("rcp", "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"));
schema!(SecretId, "SecretId", id("sec", "sec_01JHMV4D6PR2AK1Z8S5W2X3Y4Z"));
schema!(PolicyId, "PolicyId", id("pol", "pol_01JHMV6F8RT4CN3BAV7Y4Z5A6B"));
schema!(GroupId, "GroupId", id("grp", "grp_01JHMV7G9SV5DP4CBW8Z5A6B7C"));
schema!(CertificateId, "CertificateId", id("crt", "crt_01JHMV8H0TW6EQ5DCX9A6B7C8D"));
schema!(ArtifactId, "ArtifactId", id("art", "art_01JHMV9J1VX7FR6EDYAB7C8D9E"));
schema!(ArtifactBatchId, "BatchId", id("batch", "batch_01JHMV9K2WY8GS7FEZBC8D9E0F"));
schema!(JobId, "JobId", id("job", "job_01JHMVA9K2Y8GS7FEZBC8D9EAF"));
schema!(AuditEntryId, "AuditEntryId", id("aud", "aud_01JHMV5E7QS3BM2A9T6X3Y4Z5A"));

schema!(
    Thumbprint,
    "Thumbprint",
    string()
        .pattern(Some("^[A-Za-z0-9_-]{43}$"))
        .examples([json!("A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0")])
);

fn word() -> ObjectBuilder {
    string().pattern(Some(format!("^[A-Za-z][A-Za-z0-9_.-]{{0,{}}}$", audit::MAX_WORD_CHARS - 1)))
}

/// A word that is none of `words`, in any case.
fn free_word(words: &[&str]) -> ObjectBuilder {
    let in_any_case = |word: &&str| -> String {
        word.chars().map(|c| format!("[{}{c}]", c.to_ascii_uppercase())).collect()
    };
    let ours: Vec<String> = words.iter().map(in_any_case).collect();
    without(word(), &format!("^({})$", ours.join("|")))
        .description(Some(format!("A word of the account's own: none of {}", words.join(", "))))
}

schema!(
    Word,
    "Word",
    word()
        .description(Some("A word for a kind of entity, or for what was done"))
        .examples([json!("recipient")])
);

schema!(FreeEntityType, "OwnEntityType", free_word(EntityType::WORDS).examples([json!("claim")]));
schema!(FreeAction, "OwnAction", free_word(Action::WORDS).examples([json!("settled")]));

schema!(
    EntityId,
    "EntityId",
    without(
        string().min_length(Some(1)).max_length(Some(audit::MAX_ENTITY_ID_CHARS)),
        &format!(r"{UNREADABLE}|/|^\s*\.\.?\s*$")
    )
        .description(Some(
            "The id of an entity: one of this API's ids, or any that the account's own system gives, without a slash"
        ))
        .examples([json!("rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y")])
);

schema!(
    Metadata,
    "AuditMetadata",
    ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .description(Some("What else is to be known: at most 4096 bytes, as JSON without white space"))
        .examples([json!({"recipientId": "rcp_01JHMV3C5NQ1ZJ0Y7R4V1W2X3Y"})])
);

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
    readable(text::MAX_CHARS)
        .description(Some(
            "A text in any script, with a visible character, without control characters, line separators and characters \
             that override the direction of text. White space around it is taken off, and not counted"
        ))
    .examples([json!("First National Bank")])
);

schema!(
    Email,
    "Email",
    // Without the format `email`, which allows no white space around it.
    string()
        .max_length(Some(email::MAX_BYTES))
        .pattern(trimmed(
            r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        ))
        .description(Some(
            "An email address by the rule of the HTML standard, at most 64 characters of it before the @; kept and \
             given in lower case, without white space around it"
        ))
        .examples([json!("bulk@firstnational.example")])
);

schema!(
    Domain,
    "Domain",
    string()
        .max_length(Some(domain::MAX_BYTES))
        .pattern(trimmed(
            r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
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

/// An object of strings with free keys, but for three whose values have rules of their own; with `null` for those that a
/// merge patch removes, if it is one. It has at most `max` keys.
fn identifiers(is_patch: bool, max: usize) -> ObjectBuilder {
    let value = |value: ObjectBuilder| match is_patch {
        true => value.schema_type(SchemaType::from_iter([Type::String, Type::Null])),
        false => value,
    };
    let special = json!({
        "^nda_hash$": value(string()).pattern(trimmed("(sha256:)?[0-9A-Fa-f]{64}")).description(Some(
            "The SHA-256 of the signed NDA, as sha256sum prints it; kept as sha256: and lower-case digits"
        )).build(),
        "^date_of_birth$": value(string())
            .pattern(trimmed("(18[5-9][0-9]|19[0-9]{2}|2[0-9]{3})-[0-9]{2}-[0-9]{2}"))
            .description(Some("A calendar date in 1850 or later, and today or earlier somewhere on earth (UTC+14)"))
            .build(),
        "^phone$": value(string())
            .pattern(trimmed(r"\+[1-9]([ .()-]{0,10}[0-9]){6,14}"))
            .description(Some(
                "+ and 7 to 15 digits, the first not 0, with at most 10 of space, -, . and balanced ( ) between them",
            ))
            .build(),
    });
    let key =
        string().pattern(Some(format!("^[A-Za-z][A-Za-z0-9_-]{{0,{}}}$", identifiers::MAX_KEY_CHARS - 1)));
    let other = AdditionalProperties::RefOr(RefOr::T(Schema::Object(
        value(readable(identifiers::MAX_VALUE_CHARS)).build(),
    )));
    // No `properties`: beside those, many clients have no place for other keys.
    keyword(ObjectBuilder::new(), "patternProperties", special)
        .property_names(Some(Schema::Object(key.build())))
        .additional_properties(Some(other))
        .max_properties(Some(max))
}

schema!(
    Identifiers,
    "Identifiers",
    identifiers(false, identifiers::MAX_ENTRIES)
        .description(Some(
            "What a recipient is known by. The keys are free, each industry has its own: lender_id, policy_number, \
             agency_code, badge_id, …"
        ))
        .examples([json!({"lender_id": "LND-4821", "policy_number": "POL-2025-88401"})])
);

schema!(
    IdentifierChanges,
    "IdentifierChanges",
    identifiers(true, identifiers::MAX_ENTRIES)
        .description(Some("A string sets its key, null removes it; the others stay. At most 50 are left"))
        .examples([json!({"policy_number": "POL-2026-10377", "lender_id": null})])
);

schema!(
    artifact::Metadata,
    "ArtifactMetadata",
    identifiers(false, artifact::MAX_METADATA_ENTRIES)
        .description(Some(
            "What policies and lists find an artifact by: keys and values by the rules of identifiers, of at most 2048 bytes \
             together. document_type is the type that policies name"
        ))
        .examples([json!({"document_type": "declaration-page", "lender_id": "LND-4821"})])
);

schema!(
    MetadataChanges,
    "ArtifactMetadataChanges",
    identifiers(true, artifact::MAX_METADATA_ENTRIES)
        .description(Some("A string sets its key, null removes it; the others stay. At most 10 are left"))
        .examples([json!({"document_type": "endorsement", "lender_id": null})])
);

schema!(
    Filename,
    "Filename",
    without(
        string().min_length(Some(1)).max_length(Some(artifact::MAX_FILENAME_CHARS)),
        &format!(r"{UNREADABLE}|[/\\]|^\s*\.\.?\s*$")
    )
    .description(Some("The name of a file, without a slash or a backslash"))
    .examples([json!("declaration-page-2025.pdf")])
);

/// A token of RFC 9110 §5.6.2.
const TOKEN: &str = "[!#$&^_.+A-Za-z0-9-]+";

schema!(
    MediaType,
    "MediaType",
    string()
        .max_length(Some(artifact::MAX_MEDIA_TYPE_CHARS))
        .pattern(trimmed(&format!("{TOKEN}/{TOKEN}(; ?{TOKEN}={TOKEN})*")))
        .description(Some("A media type (RFC 9110 §8.3.1)"))
        .examples([json!("application/pdf")])
);

schema!(
    ContentHash,
    "ContentHash",
    string()
        .pattern(Some("^(sha256:)?[0-9A-Fa-f]{64}$"))
        .description(Some("A SHA-256, as sha256sum prints it; kept as sha256: and lower-case digits"))
        .examples([json!("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")])
);

schema!(
    LongText,
    "LongText",
    readable(text::MAX_LONG_CHARS).description(Some("A text as Text is one, of at most 500 characters"))
);

/// A string that is one of these words.
fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> ObjectBuilder {
    string().enum_values(Some(words.collect::<Vec<&str>>()))
}

schema!(
    Factor,
    "Factor",
    one_of(Factor::ALL.iter().map(|factor| factor.word()))
        .description(Some("Something by which a recipient proves itself"))
);

schema!(
    Method,
    "AccessMethod",
    one_of(Method::ALL.iter().map(|method| method.word())).description(Some("A way to retrieve artifacts"))
);

/// An array of different things.
fn different(items: impl Into<RefOr<Schema>>, min: usize, max: usize) -> ArrayBuilder {
    ArrayBuilder::new()
        .items(items.into())
        .min_items((min > 0).then_some(min))
        .max_items(Some(max))
        .unique_items(true)
}

/// A reference to the schema of a type.
fn schema_of<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// An object without other fields.
fn closed() -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn integer(max: u16) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(max))
}

fn boolean() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

fn recipe() -> ObjectBuilder {
    let artifact_type =
        string().pattern(Some(format!(r"^([a-z0-9_.-]{{1,{}}}|\*)$", recipe::MAX_TYPE_CHARS)));
    let tls = closed()
        .property("require_mutual", boolean().enum_values(Some([true])))
        .property("min_version", one_of(["1.2"].into_iter()));
    let challenge = one_of(ChallengeType::ALL.iter().map(|challenge| challenge.word()));
    let auth = closed()
        .property("factors", different(schema_of::<Factor>(), 1, Factor::ALL.len()))
        .required("factors")
        .property("tls", tls)
        .property("webauthn", closed().property("challenge_type", challenge));
    let method = OneOfBuilder::new().item(schema_of::<Method>()).item(different(
        schema_of::<Method>(),
        1,
        Method::ALL.len(),
    ));
    let access = closed()
        .property("method", method)
        .required("method")
        .property("max_batch_size", integer(recipe::MAX_BATCH_SIZE))
        .property("read_only", boolean());
    let key =
        string().pattern(Some(format!("^[A-Za-z][A-Za-z0-9_-]{{0,{}}}$", identifiers::MAX_KEY_CHARS - 1)));
    let key = keyword(key, "not", json!({"const": "document_type"}));
    let matching = closed()
        .property("identifiers", different(key, 0, recipe::MAX_KEYS))
        .property("stored_only", boolean())
        .property("unscoped", boolean());
    let constraints = closed()
        .property("not_before", schema_of::<Timestamp>())
        .property("not_after", schema_of::<Timestamp>())
        .property("session_minutes", integer(recipe::MAX_SESSION_MINUTES))
        .property("auto_expire_days", integer(recipe::MAX_EXPIRE_DAYS));
    closed()
        .property("stakeholderClass", schema_of::<StakeholderClass>())
        .required("stakeholderClass")
        .property("artifactTypes", different(artifact_type, 1, recipe::MAX_ARTIFACT_TYPES))
        .required("artifactTypes")
        .property("auth", auth)
        .required("auth")
        .property("access", access)
        .required("access")
        .property("match", matching)
        .property("constraints", constraints)
}

impl PartialSchema for Recipe {
    fn schema() -> RefOr<Schema> {
        let recipe = recipe().description(Some(
            "Which recipients may retrieve which artifacts, by which factors, how and when. All rules are in docs/policies.md: \
             factors of institutions and of people do not mix, each method goes with some of them, and a mortgagee's, agent's \
             or policyholder's recipe needs an identifier that says what it may see",
        ));
        RefOr::T(Schema::Object(recipe.build()))
    }
}

impl ToSchema for Recipe {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Recipe")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([
            (Factor::name().into_owned(), Factor::schema()),
            (Method::name().into_owned(), Method::schema()),
            (StakeholderClass::name().into_owned(), StakeholderClass::schema()),
            (Timestamp::name().into_owned(), Timestamp::schema()),
        ]);
    }
}

impl PartialSchema for Audience {
    fn schema() -> RefOr<Schema> {
        let everyone =
            closed().property("everyone", boolean().enum_values(Some([true]))).required("everyone");
        let groups = closed()
            .property("groupIds", different(schema_of::<GroupId>(), 0, policy::MAX_GROUPS))
            .required("groupIds");
        let audience = OneOfBuilder::new().item(everyone).item(groups).description(Some(
            "For whom a policy is, of the recipients of its class: everyone, or the members of some groups, which may be none",
        ));
        RefOr::T(Schema::OneOf(audience.build()))
    }
}

impl ToSchema for Audience {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Audience")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((GroupId::name().into_owned(), GroupId::schema()));
    }
}
