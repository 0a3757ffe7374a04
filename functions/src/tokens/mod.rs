//! Access tokens: what an institution gets for its passphrase, by OAuth 2.0
//! ([RFC 6749](https://www.rfc-editor.org/rfc/rfc6749)), and how they end.

use crate::endpoint::Endpoints;

pub mod issue;
pub mod revoke;
pub mod revoke_all;

/// The endpoints of access tokens.
pub const ENDPOINTS: Endpoints = Endpoints {
    resource: "Tokens",
    description: "The access tokens that institutions get for their passphrases (OAuth 2.0)",
    list: &[&issue::ENDPOINT, &revoke::ENDPOINT, &revoke_all::ENDPOINT],
};
