//! Things as the API shows them, where more than one endpoint does.

use std::collections::BTreeMap;

use docyard_core::values::clock::Timestamp;
use docyard_core::model::dock::Dock;
use docyard_core::values::id::DockId;
use docyard_core::values::id::RecipientId;
use docyard_core::values::id::SecretId;
use docyard_core::model::recipient::Recipient;
use docyard_core::model::recipient::StakeholderClass;
use docyard_core::model::secret::ActiveSecret;
#[cfg(feature = "openapi")]
use docyard_core::values::email::Email;
use docyard_core::model::identifiers::Identifiers;
use docyard_core::values::text::Text;
use docyard_core::model::secret::SecretValue;
use serde::Serialize;

/// A recipient.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Recipient))]
pub struct RecipientOutput<'a> {
    id: RecipientId,
    dock_id: DockId,
    #[cfg_attr(feature = "openapi", schema(value_type = Text))]
    name: &'a str,
    #[cfg_attr(feature = "openapi", schema(value_type = Email))]
    email: &'a str,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    stakeholder_class: Option<StakeholderClass>,
    #[cfg_attr(feature = "openapi", schema(value_type = Identifiers))]
    identifiers: &'a BTreeMap<String, String>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Timestamp, required = false))]
    updated_at: Option<Timestamp>,
}

impl<'a> From<&'a Recipient> for RecipientOutput<'a> {
    fn from(recipient: &'a Recipient) -> Self {
        Self {
            id: recipient.id,
            dock_id: recipient.dock,
            name: recipient.name.as_str(),
            email: recipient.email.as_str(),
            stakeholder_class: recipient.stakeholder_class,
            identifiers: recipient.identifiers.entries(),
            created_at: recipient.created_at,
            updated_at: recipient.updated_at,
        }
    }
}

/// A dock.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Dock))]
pub struct DockOutput<'a> {
    id: DockId,
    #[cfg_attr(feature = "openapi", schema(value_type = Text))]
    name: &'a str,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>, required = true))]
    domain: Option<&'a str>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>, required = true))]
    legal_name: Option<&'a str>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>, required = true))]
    business_type: Option<&'a str>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Text>, required = true))]
    business_email: Option<&'a str>,
    created_at: Timestamp,
}

impl<'a> From<&'a Dock> for DockOutput<'a> {
    fn from(dock: &'a Dock) -> Self {
        let text = |name: &'a Option<docyard_core::values::text::Text>| name.as_ref().map(|name| name.as_str());
        Self {
            id: dock.id,
            name: dock.name.as_str(),
            domain: text(&dock.profile.domain),
            legal_name: text(&dock.profile.legal_name),
            business_type: text(&dock.profile.business_type),
            business_email: text(&dock.profile.business_email),
            created_at: dock.created_at,
        }
    }
}

/// A secret that was just made; its value is shown this once, and is `null` in the answer to a repeated request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewSecret))]
pub struct NewSecretOutput<'a> {
    id: SecretId,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<SecretValue>, required = true))]
    secret: Option<&'a str>,
    #[cfg_attr(feature = "openapi", schema(value_type = Text))]
    name: &'a str,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    expires_at: Option<Timestamp>,
}

impl<'a> NewSecretOutput<'a> {
    /// This secret with this value.
    pub fn new(secret: &'a ActiveSecret, value: Option<&'a str>) -> Self {
        Self { id: secret.id, secret: value, name: secret.name.as_str(), expires_at: secret.expires_at }
    }
}
