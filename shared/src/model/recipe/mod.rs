//! Recipes: what a policy says of which recipients may retrieve which artifacts, by which factors, how and when.
//!
//! What belongs here: the form of a recipe and the rules that hold within one. What does not: what a recipe decides
//! ([`super::decision`]), and when one is in force ([`super::policy`]).

pub mod template;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::identifiers;
use super::recipient::StakeholderClass;
use crate::values::clock::Timestamp;
use crate::values::digest::Digest;
use crate::values::field_error::{Rejected, ValueErrors};
use crate::values::fields::{Fields, different, integer, object, string};
use crate::values::json::Json;

/// The largest recipe, in bytes of JSON without white space.
pub const MAX_BYTES: usize = 4096;
/// The most artifact types of a recipe.
pub const MAX_ARTIFACT_TYPES: usize = 50;
/// The longest artifact type, in characters.
pub const MAX_TYPE_CHARS: usize = 64;
/// The most keys that a recipe matches.
pub const MAX_KEYS: usize = 10;
/// The most artifacts of one batch, also where a recipe does not say.
pub const MAX_BATCH_SIZE: u16 = 10_000;
/// The longest session in minutes.
pub const MAX_SESSION_MINUTES: u16 = 720;
/// How long a session lasts where a recipe does not say, in minutes.
pub const DEFAULT_SESSION_MINUTES: u16 = 60;
/// The latest end of a recipient's access, in days after it was created.
pub const MAX_EXPIRE_DAYS: u16 = 3650;

/// Declares words of a recipe, as they are written in it.
macro_rules! words {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* } $rule:literal) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// Reads the word.
            ///
            /// # Errors
            /// All words there are.
            pub fn parse(text: &str) -> Result<Self, &'static str> {
                Self::ALL.iter().copied().find(|known| known.word() == text).ok_or($rule)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// Something by which a recipient proves itself.
    Factor {
        /// An active secret of the recipient.
        SharedPassphrase = "shared_passphrase",
        /// A registered client certificate, of the TLS connection itself.
        TlsCertificate = "tls_certificate",
        /// A passkey.
        WebAuthn = "webauthn",
        /// A one-time code sent to the recipient's phone.
        SmsOtp = "sms_otp",
        /// The recipient's badge id.
        BadgeId = "badge_id",
        /// The digest of the non-disclosure agreement that the recipient signed.
        NdaHash = "nda_hash",
    }
    "must be one of shared_passphrase, tls_certificate, webauthn, sms_otp, badge_id, nda_hash"
}

impl Factor {
    /// Whether it is one of the two by which institutions prove themselves; the others are those of people.
    fn is_of_institutions(self) -> bool {
        matches!(self, Self::SharedPassphrase | Self::TlsCertificate)
    }
}

words! {
    /// A way to retrieve artifacts.
    Method {
        /// Jobs that an institution creates over the API.
        BulkApi = "bulk_api",
        /// One by one, on the dock's web page.
        Portal = "portal",
        /// Many at once, from the dock's web page or over the API.
        BulkDownload = "bulk_download",
    }
    "must be one of bulk_api, portal, bulk_download"
}

words! {
    /// What kind of authenticator a browser is asked for. A hint, no check.
    ChallengeType {
        /// The device's own.
        Platform = "platform",
        /// One that can be carried to another device.
        CrossPlatform = "cross_platform",
        /// Either.
        Any = "platform_or_cross_platform",
    }
    "must be one of platform, cross_platform, platform_or_cross_platform"
}

/// A recipe. Whatever exists has passed [`Recipe::parse`], or was stored when its rules held.
///
/// What is stored is not read where it has a field that is not known here: older code must not decide without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    #[serde(rename = "stakeholderClass")]
    class: StakeholderClass,
    #[serde(rename = "artifactTypes")]
    artifact_types: Vec<String>,
    auth: Auth,
    access: Access,
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    matching: Option<Match>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    factors: Vec<Factor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webauthn: Option<WebAuthn>,
}

/// What TLS must be like. Each value is the only one there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    require_mutual: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebAuthn {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenge_type: Option<ChallengeType>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    method: Methods,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_batch_size: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
}

/// One method or several, as they were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Methods {
    One(Method),
    Several(Vec<Method>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identifiers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored_only: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unscoped: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraints {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_minutes: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auto_expire_days: Option<u16>,
}

/// The metadata key that holds an artifact's type.
pub(crate) const TYPE_KEY: &str = "document_type";

/// The artifact type that stands for any.
const ANY_TYPE: &str = "*";

/// Whether an identifier says who a recipient is. Every other says what it may see.
pub fn says_who(key: &str) -> bool {
    matches!(key, "email" | "phone" | "date_of_birth" | "badge_id" | "nda_hash")
}

impl Recipe {
    /// Reads a recipe: an object, or a string that holds one.
    ///
    /// # Errors
    /// Everything that breaks a rule, by its path.
    pub fn parse(json: Json) -> Result<Self, ValueErrors> {
        let json = match json {
            Json::String(text) if text.len() > 4 * MAX_BYTES => return Err(TOO_LARGE.into()),
            Json::String(text) => serde_json::from_str(&text)
                .map_err(|_| "must be an object, or a string that holds one as JSON")?,
            json => json,
        };
        if is_of_other_shape(&json) {
            return Err("must have stakeholderClass, artifactTypes, auth such as {\"factors\":[\"shared_passphrase\"]} and access such as \
                        {\"method\":\"bulk_api\"}, and may have match and constraints; the API's older shape is not taken"
                .into());
        }
        object(Self::of_fields)(json)
    }

    fn of_fields(fields: &mut Fields) -> Result<Self, Rejected> {
        let mut parts = Parts::default();
        let class = fields.required("stakeholderClass", string(StakeholderClass::parse));
        let artifact_types = fields.required("artifactTypes", artifact_types);
        let auth = fields.required("auth", object(|fields| Auth::of_fields(fields, &mut parts)));
        let access = fields.required("access", object(|fields| Access::of_fields(fields, &mut parts)));
        let matching = fields.optional("match", object(Match::of_fields));
        let constraints =
            fields.optional("constraints", object(|fields| Constraints::of_fields(fields, &mut parts)));
        parts.check(fields);
        let recipe = Self {
            class: class?,
            artifact_types: artifact_types?,
            auth: auth?,
            access: access?,
            matching: matching?,
            constraints: constraints?,
        };
        if serde_json::to_string(&recipe).map_or(0, |json| json.len()) > MAX_BYTES {
            fields.refuse("", TOO_LARGE);
        }
        Ok(recipe)
    }

    /// The class of the recipients that it is for.
    pub fn class(&self) -> StakeholderClass {
        self.class
    }

    /// The artifact types that it grants; `None` for any type or none.
    pub fn artifact_types(&self) -> Option<&[String]> {
        (self.artifact_types != [ANY_TYPE]).then_some(&self.artifact_types)
    }

    /// The factors, all of which must be proven. Not empty.
    pub fn factors(&self) -> &[Factor] {
        &self.auth.factors
    }

    /// The methods that it grants. Not empty.
    pub fn methods(&self) -> &[Method] {
        self.access.method.all()
    }

    /// The most artifacts that one job delivers by it.
    pub fn max_batch_size(&self) -> u16 {
        self.access.max_batch_size.unwrap_or(MAX_BATCH_SIZE)
    }

    /// The keys of the identifiers that it matches.
    pub fn keys(&self) -> &[String] {
        self.matching.as_ref().and_then(|matching| matching.identifiers.as_deref()).unwrap_or_default()
    }

    /// Whether identifiers that are submitted resolve nothing.
    pub fn is_stored_only(&self) -> bool {
        self.matching.as_ref().is_some_and(|matching| matching.stored_only == Some(true))
    }

    /// Whether it shows every artifact of its types although its class should see some of them alone, and does not say
    /// that this is meant.
    pub fn is_unscoped_by_mistake(&self) -> bool {
        let is_meant = self.matching.as_ref().is_some_and(|matching| matching.unscoped == Some(true));
        self.class != StakeholderClass::Auditor && !is_meant && self.keys().iter().all(|key| says_who(key))
    }

    /// From when it grants.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.constraints.as_ref()?.not_before
    }

    /// From when it no longer grants.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.constraints.as_ref()?.not_after
    }

    /// How long after authenticating it grants, in minutes.
    pub fn session_minutes(&self) -> u16 {
        let minutes = self.constraints.as_ref().and_then(|constraints| constraints.session_minutes);
        minutes.unwrap_or(DEFAULT_SESSION_MINUTES)
    }

    /// How many days after it was created a recipient's access ends.
    pub fn auto_expire_days(&self) -> Option<u16> {
        self.constraints.as_ref()?.auto_expire_days
    }

    /// It as canonical JSON (RFC 8785).
    pub fn canonical(&self) -> String {
        // It has texts, integers and truth values alone, which all have a canonical form. By way of a value, since a second
        // way to serialise a recipe is code.
        let value =
            serde_json::to_string(self).and_then(|json| serde_json::from_str::<serde_json::Value>(&json));
        value.ok().and_then(|value| serde_json_canonicalizer::to_string(&value).ok()).unwrap_or_default()
    }

    /// The digest of its canonical form: `sha256:` and 64 hex digits.
    pub fn hash(&self) -> String {
        format!("sha256:{}", Digest::of(&self.canonical()).expose_hex())
    }
}

const TOO_LARGE: &str = "must have at most 4096 bytes, as JSON without white space";

/// Whether it has the other shape that the API's reference shows: `{"access":"read","requireFactors":[…]}`.
fn is_of_other_shape(json: &Json) -> bool {
    let Json::Object(members) = json else { return false };
    members.iter().any(|(name, value)| match name.as_str() {
        "requireFactors" | "expiresInDays" => true,
        "access" => matches!(value, Json::String(_)),
        _ => false,
    })
}

/// The parts of a recipe that have to do with others, as far as each could be read by itself.
#[derive(Default)]
struct Parts {
    factors: Option<Vec<Factor>>,
    has_tls: bool,
    has_webauthn: bool,
    method: Option<Methods>,
    has_batch_size: bool,
    is_read_only: bool,
    window: [Option<Timestamp>; 2],
    /// Whether there is an end, or something that was meant to be one.
    has_end: bool,
}

impl Parts {
    /// Refuses what contradicts something else.
    fn check(&self, fields: &mut Fields) {
        if let Some(factors) = &self.factors {
            self.check_factors(factors, fields);
        }
        if let Some(method) = &self.method {
            let is_portal_alone = method.all() == [Method::Portal];
            if is_portal_alone && self.has_batch_size {
                fields.refuse("access.max_batch_size", "is only for bulk_api and bulk_download");
            }
            if !is_portal_alone && self.is_read_only {
                fields.refuse("access.read_only", "must be true only if portal is the one method");
            }
        }
        if let [Some(from), Some(to)] = self.window
            && from >= to
        {
            fields.refuse("constraints.not_after", "must be later than not_before");
        }
    }

    fn check_factors(&self, factors: &[Factor], fields: &mut Fields) {
        let has = |factor| factors.contains(&factor);
        let is_of_institutions = factors.first().is_some_and(|factor| factor.is_of_institutions());
        for (at, factor) in factors.iter().enumerate() {
            if factor.is_of_institutions() != is_of_institutions {
                let message = "must not stand beside the first: shared_passphrase and tls_certificate are for \
                               institutions, the others for people";
                fields.refuse(&format!("auth.factors[{at}]"), message);
            }
        }
        if has(Factor::TlsCertificate) && !has(Factor::SharedPassphrase) {
            fields.refuse("auth.factors", "must have shared_passphrase beside tls_certificate");
        }
        if factors.iter().all(|factor| matches!(factor, Factor::BadgeId | Factor::NdaHash)) {
            if factors.len() < 2 {
                let message = "must have both badge_id and nda_hash, or another factor beside them";
                fields.refuse("auth.factors", message);
            }
            if !self.has_end {
                let message =
                    "must have not_after or auto_expire_days, since badge_id and nda_hash alone need an end";
                fields.refuse("constraints", message);
            }
        }
        if self.has_tls && !has(Factor::TlsCertificate) {
            fields.refuse("auth.tls", "is only for a recipe with the factor tls_certificate");
        }
        if self.has_webauthn && !has(Factor::WebAuthn) {
            fields.refuse("auth.webauthn", "is only for a recipe with the factor webauthn");
        }
        let Some(methods) = &self.method else { return };
        for (at, method) in methods.all().iter().enumerate() {
            let message = match method {
                Method::BulkApi if !is_of_institutions => {
                    "must not be bulk_api with these factors: that is for shared_passphrase and tls_certificate"
                }
                Method::Portal if is_of_institutions => {
                    "must not be portal with these factors: that is for webauthn, sms_otp, badge_id and nda_hash"
                }
                _ => continue,
            };
            match methods {
                Methods::One(_) => fields.refuse("access.method", message),
                Methods::Several(_) => fields.refuse(&format!("access.method[{at}]"), message),
            }
        }
    }
}

impl Methods {
    fn all(&self) -> &[Method] {
        match self {
            Self::One(method) => std::slice::from_ref(method),
            Self::Several(methods) => methods,
        }
    }
}

impl Auth {
    fn of_fields(fields: &mut Fields, parts: &mut Parts) -> Result<Self, Rejected> {
        let factors = fields.required("factors", |json| different(json, 1, Factor::ALL.len(), Factor::parse));
        let tls = fields.optional("tls", object(Tls::of_fields));
        let webauthn = fields.optional("webauthn", object(WebAuthn::of_fields));
        parts.factors = factors.as_ref().ok().cloned();
        parts.has_tls = !matches!(tls, Ok(None));
        parts.has_webauthn = !matches!(webauthn, Ok(None));
        Ok(Self { factors: factors?, tls: tls?, webauthn: webauthn? })
    }
}

impl Tls {
    fn of_fields(fields: &mut Fields) -> Result<Self, Rejected> {
        let require_mutual = fields.optional("require_mutual", |json| match json {
            Json::Bool(true) => Ok(true),
            _ => Err("must be true"),
        });
        let min_version = fields.optional("min_version", |json| match json {
            Json::String(version) if version == "1.2" => Ok(version),
            _ => Err(
                "must be \"1.2\": API Gateway refuses older versions, and does not tell which one was used",
            ),
        });
        Ok(Self { require_mutual: require_mutual?, min_version: min_version? })
    }
}

impl WebAuthn {
    fn of_fields(fields: &mut Fields) -> Result<Self, Rejected> {
        Ok(Self { challenge_type: fields.optional("challenge_type", string(ChallengeType::parse))? })
    }
}

impl Access {
    fn of_fields(fields: &mut Fields, parts: &mut Parts) -> Result<Self, Rejected> {
        let method = fields.required("method", |json| match json {
            Json::String(text) => Ok(Methods::One(Method::parse(&text)?)),
            json => different(json, 1, Method::ALL.len(), Method::parse).map(Methods::Several),
        });
        let max_batch_size = fields.optional("max_batch_size", |json| {
            integer(json, MAX_BATCH_SIZE, "must be an integer from 1 to 10000")
        });
        let read_only = fields.optional("read_only", boolean);
        parts.method = method.as_ref().ok().cloned();
        parts.has_batch_size = !matches!(max_batch_size, Ok(None));
        parts.is_read_only = read_only == Ok(Some(true));
        Ok(Self { method: method?, max_batch_size: max_batch_size?, read_only: read_only? })
    }
}

impl Match {
    fn of_fields(fields: &mut Fields) -> Result<Self, Rejected> {
        let identifiers = fields.optional("identifiers", |json| {
            different(json, 0, MAX_KEYS, |key| match key {
                TYPE_KEY => Err("must not be document_type, which artifactTypes is about"),
                key if identifiers::is_key(key) => Ok(key.to_owned()),
                _ => Err("must be 1 to 64 of A-Z, a-z, 0-9, _ and -, starting with a letter"),
            })
        });
        let stored_only = fields.optional("stored_only", boolean);
        let unscoped = fields.optional("unscoped", boolean);
        Ok(Self { identifiers: identifiers?, stored_only: stored_only?, unscoped: unscoped? })
    }
}

impl Constraints {
    fn of_fields(fields: &mut Fields, parts: &mut Parts) -> Result<Self, Rejected> {
        let not_before = fields.optional("not_before", string(Timestamp::parse_text));
        let not_after = fields.optional("not_after", string(Timestamp::parse_text));
        let session_minutes = fields.optional("session_minutes", |json| {
            integer(json, MAX_SESSION_MINUTES, "must be an integer from 1 to 720")
        });
        let auto_expire_days = fields.optional("auto_expire_days", |json| {
            integer(json, MAX_EXPIRE_DAYS, "must be an integer from 1 to 3650")
        });
        parts.window = [not_before, not_after].map(|time| time.ok().flatten());
        parts.has_end = !matches!((not_after, auto_expire_days), (Ok(None), Ok(None)));
        Ok(Self {
            not_before: not_before?,
            not_after: not_after?,
            session_minutes: session_minutes?,
            auto_expire_days: auto_expire_days?,
        })
    }
}

fn artifact_types(json: Json) -> Result<Vec<String>, ValueErrors> {
    let is_word = |text: &str| {
        (1..=MAX_TYPE_CHARS).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    let types = different(json, 1, MAX_ARTIFACT_TYPES, |text| match is_word(text) || text == ANY_TYPE {
        true => Ok(text.to_owned()),
        false => Err("must be 1 to 64 of a-z, 0-9, -, _ and ., or * alone"),
    })?;
    if types.len() > 1 && types.iter().any(|word| word == ANY_TYPE) {
        return Err("must not have other types beside *".into());
    }
    Ok(types)
}

fn boolean(json: Json) -> Result<bool, &'static str> {
    match json {
        Json::Bool(value) => Ok(value),
        _ => Err("must be true or false"),
    }
}
