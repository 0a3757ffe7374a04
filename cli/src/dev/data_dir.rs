//! The data directory of `docyard dev`: the database, a lock against a second server, and `dev.env`.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use docyard_core::model::api_key::ApiKey;
use docyard_core::values::id::DockId;
use dynoxide::Database;

const KEY_VARIABLE: &str = "DOCYARD_API_KEY";

/// An open data directory. No other server uses it until this is dropped.
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing, readable only by its owner, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let cannot = |error| format!("cannot use the data directory {shown}: {error}");
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
        let path = path.canonicalize().map_err(cannot)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(|error| format!("cannot write to the data directory {shown}: {error}"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                format!("another docyard dev uses {shown}; stop it, or choose another --data-dir")
            }
            TryLockError::Error(error) => cannot(error),
        })?;
        Ok(Self { path, _lock: lock })
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has a database.
    pub(super) fn has_database(&self) -> bool {
        self.database_path().exists()
    }

    /// Opens its database.
    pub(super) fn database(&self) -> Result<Database, String> {
        Database::new(&self.database_path().to_string_lossy()).map_err(|error| error.to_string())
    }

    /// Stores a copy of `database`, completely or not at all, readable only by its owner (SQLite gives its own files
    /// the same mode). The emulator creates a table in several steps, so a database of a server that was killed between
    /// them would be unusable.
    pub(super) fn keep(&self, database: &Database) -> Result<(), String> {
        let directory = tempfile::tempdir_in(&self.path).map_err(|error| error.to_string())?;
        let copy = directory.path().join("dynamodb.sqlite");
        database.vacuum_into(&copy.to_string_lossy()).map_err(|error| error.to_string())?;
        let finish = || {
            let file = File::open(&copy)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.sync_all()?;
            fs::rename(&copy, self.database_path())
        };
        finish().map_err(|error| error.to_string())
    }

    fn database_path(&self) -> PathBuf {
        self.path.join("dynamodb.sqlite")
    }

    /// The key in `dev.env`, if it is well-formed.
    pub(super) fn key(&self) -> Option<ApiKey> {
        let env = fs::read_to_string(self.env_path()).ok()?;
        let key = env.lines().find_map(|line| line.strip_prefix(KEY_VARIABLE)?.strip_prefix('='))?;
        ApiKey::parse(key)
    }

    /// Writes `dev.env` for this start, completely or not at all, readable only by its owner.
    pub(super) fn write_env(&self, url: &str, key: &ApiKey, dock: DockId) -> Result<(), String> {
        let lines = format!("DOCYARD_URL={url}\n{KEY_VARIABLE}={}\nDOCYARD_DOCK_ID={dock}\n", key.expose());
        let write = || {
            // A temporary file has mode 0600 from the start.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(lines.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(self.env_path()).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| format!("cannot write {}: {error}", self.env_path().display()))
    }

    /// The path of `dev.env`, quoted for a shell.
    pub(super) fn quoted_env_path(&self) -> String {
        format!("'{}'", self.env_path().to_string_lossy().replace('\'', r"'\''"))
    }

    fn env_path(&self) -> PathBuf {
        self.path.join("dev.env")
    }
}
