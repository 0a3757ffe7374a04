//! What an account's commands have in common: their dock, and the API key that opens it.

use std::path::PathBuf;

use docyard_core::model::api_key::ApiKey;
use docyard_core::values::id::DockId;

use crate::http;

/// The options that name a dock.
#[derive(clap::Args)]
pub(crate) struct Dock {
    /// The dock.
    #[arg(long, env = "DOCYARD_DOCK_ID", value_parser = dock)]
    dock: DockId,
    /// The address of the API, such as `https://access.example.com`.
    #[arg(long, env = "DOCYARD_URL", value_parser = http::url)]
    pub(crate) url: String,
    /// A file that holds the API key. Without it the key is taken from the variable DOCYARD_API_KEY.
    #[arg(long)]
    pub(crate) key_file: Option<PathBuf>,
}

fn dock(text: &str) -> Result<DockId, &'static str> {
    DockId::parse(text).ok_or("must be the id of a dock, such as dock_…")
}

impl Dock {
    /// Its address in the API.
    pub(crate) fn address(&self) -> String {
        format!("{}/v1/docks/{}", self.url, self.dock)
    }

    /// Reads the API key from its file, or else from the environment.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn key(&self) -> Result<ApiKey, String> {
        let text = match &self.key_file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
            None => std::env::var("DOCYARD_API_KEY").map_err(
                |_| "no API key: set DOCYARD_API_KEY, or name a file that holds it with --key-file",
            )?,
        };
        ApiKey::parse(text.trim()).ok_or_else(|| "what is given as the API key is none".to_owned())
    }
}
