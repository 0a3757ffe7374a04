//! What an account's commands have in common: its dock and its API key.

use std::path::Path;

use docyard_core::model::api_key::ApiKey;
use docyard_core::values::id::DockId;

/// Reads the id of a dock.
pub(crate) fn dock(text: &str) -> Result<DockId, &'static str> {
    DockId::parse(text).ok_or("must be the id of a dock, such as dock_…")
}

/// Reads the API key from a file, or else from the environment.
///
/// # Errors
/// There is none.
pub(crate) fn key(file: Option<&Path>) -> Result<ApiKey, String> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        None => std::env::var("DOCYARD_API_KEY")
            .map_err(|_| "no API key: set DOCYARD_API_KEY, or name a file that holds it with --key-file")?,
    };
    ApiKey::parse(text.trim()).ok_or_else(|| "what is given as the API key is none".to_owned())
}
