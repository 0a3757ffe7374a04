//! The data directory of `docyard dev`: the database, a lock against a second server, and `dev.env`.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use docyard_core::model::api_key::ApiKey;
use docyard_core::values::id::DockId;
use dynoxide::Database;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::disk::DiskFailure;
use super::stream::prepare_stream;
use super::{TABLE, Urls};
use crate::files;

/// Without the same file for all there is no lock: who removes it lets a second server in.
const LOCK: &str = "lock";

const KEY_VARIABLE: &str = "DOCYARD_API_KEY";

/// An open data directory. No other server uses it until this is dropped.
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
    /// The files that must stay the same; none while the database is not open.
    opened: Vec<(PathBuf, FileIdentity)>,
}

/// What tells a file from another at the same path: its device and its inode.
type FileIdentity = (u64, u64);

fn identity(path: &Path) -> io::Result<FileIdentity> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
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
            .open(path.join(LOCK))
            .map_err(|error| format!("cannot write to the data directory {shown}: {error}"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                format!("another docyard dev uses {shown}; stop it, or choose another --data-dir")
            }
            TryLockError::Error(error) => cannot(error),
        })?;
        Ok(Self { path, _lock: lock, opened: Vec::new() })
    }

    /// Its absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the lock and the open database are still its files. An error says that they were removed or replaced:
    /// what is written from then on is lost. Always fine while no database is open.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_same =
            |(path, opened): &(PathBuf, FileIdentity)| identity(path).is_ok_and(|now| now == *opened);
        if self.opened.iter().all(is_same) {
            return Ok(());
        }
        Err(format!(
            "the data in {} was removed or replaced, so what is written now would be lost",
            self.path.display()
        ))
    }

    /// Whether it has a database. A part of one that is gone is an error: SQLite would add it to the next one.
    pub(super) fn has_database(&self) -> Result<bool, String> {
        let path = self.database_path();
        let log = self.path.join("dynamodb.sqlite-wal");
        if path.try_exists().map_err(|error| cannot_use(&path, &error.to_string()))? {
            return Ok(true);
        }
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            return Err(format!(
                "{} is gone, but not its last writes in {}: put it back, or move those away too",
                path.display(),
                log.display()
            ));
        }
        Ok(false)
    }

    /// Opens its database. A file that is none of `docyard dev` is an error, and stays as it is.
    pub(super) fn database(&mut self) -> Result<Database, String> {
        let path = self.database_path();
        let shown = path.display();
        let refused = |reason: &str| {
            format!(
                "{shown} is not a database of this docyard dev: {reason}; move it away, and a new one is made"
            )
        };
        if let Some(reason) = foreignness(&path).map_err(|error| cannot_use(&path, &error))? {
            return Err(refused(&reason));
        }
        let open = || {
            Database::new(&path.to_string_lossy()).map_err(|error| match error.to_string() {
                error if error.contains("newer version") => refused("a newer version wrote it"),
                error => cannot_use(&path, &error),
            })
        };
        // Before the stream is prepared, so that a newer version's stays as it is.
        drop(open()?);
        prepare_stream(&path).map_err(|error| cannot_use(&path, &error.to_string()))?;
        let database = open()?;
        for path in [self.path.join(LOCK), path] {
            let identity = identity(&path).map_err(|error| cannot_use(&path, &error.to_string()))?;
            self.opened.push((path, identity));
        }
        Ok(database)
    }

    /// Stores a copy of `database`, completely or not at all, readable only by its owner (SQLite gives its own files
    /// the same mode). The emulator creates a table in several steps, so a database of a server that was killed between
    /// them would be unusable.
    pub(super) fn keep(&self, database: &Database) -> Result<(), String> {
        let path = self.database_path();
        let store = || {
            let directory = tempfile::tempdir_in(&self.path).map_err(|error| error.to_string())?;
            let copy = directory.path().join("dynamodb.sqlite");
            database.vacuum_into(&copy.to_string_lossy()).map_err(|error| error.to_string())?;
            let finish = || {
                let file = File::open(&copy)?;
                file.set_permissions(Permissions::from_mode(0o600))?;
                file.sync_all()?;
                fs::rename(&copy, &path)
            };
            finish().map_err(|error| error.to_string())
        };
        store().map_err(|error| cannot_use(&path, &error))
    }

    /// Makes the stream of a database in memory what the worker needs, by way of a file: the emulator lets nobody else at it.
    pub(super) fn prepare_stream(&self, database: &Database) -> Result<(), String> {
        let cannot = |error: &dyn std::fmt::Display| format!("cannot make a database: {error}");
        let directory = tempfile::tempdir_in(&self.path).map_err(|error| cannot(&error))?;
        let copy = directory.path().join("dynamodb.sqlite");
        database.vacuum_into(&copy.to_string_lossy()).map_err(|error| cannot(&error))?;
        prepare_stream(&copy).map_err(|error| cannot(&error))?;
        database.restore_from(&copy.to_string_lossy()).map_err(|error| cannot(&error))
    }

    /// What to say of a failure of the disk.
    pub(super) fn cannot_write(&self, failure: &DiskFailure) -> String {
        format!("cannot write {}: {failure}", self.database_path().display())
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
    pub(super) fn write_env(&self, urls: &Urls, key: &ApiKey, dock: DockId) -> Result<(), String> {
        let lines = format!(
            "DOCYARD_URL={}\n{KEY_VARIABLE}={}\nDOCYARD_DOCK_ID={dock}\nDOCYARD_MUTUAL_TLS_URL={}\nDOCYARD_TLS_DIR={}\n",
            urls.plain,
            key.expose(),
            urls.mutual_tls,
            quoted(&self.tls_path()),
        );
        write_private(&self.env_path(), &lines)
    }

    /// The path of `dev.env`, quoted for a shell.
    pub(super) fn quoted_env_path(&self) -> String {
        quoted(&self.env_path())
    }

    /// The directory of the certificates, which may not exist.
    pub(super) fn tls_path(&self) -> PathBuf {
        self.path.join("tls")
    }

    /// The directory of the contents of artifacts, which may not exist.
    pub(super) fn objects_path(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// The directory of the sealed copy of the audit trail, which may not exist.
    pub(super) fn sealed_path(&self) -> PathBuf {
        self.path.join("sealed")
    }

    /// The file of this name, which says how far one has read the stream.
    pub(super) fn stream_position_path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn env_path(&self) -> PathBuf {
        self.path.join("dev.env")
    }
}

/// Writes a file completely or not at all, readable only by its owner.
pub(super) fn write_private(path: &Path, content: &str) -> Result<(), String> {
    files::write(path, content, 0o600).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A path as a word of a shell: in quotes unless it needs none.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        return path.into_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

fn cannot_use(path: &Path, error: &str) -> String {
    match DiskFailure::told_by(error) {
        Some(failure) => format!("cannot write {}: {failure}", path.display()),
        None => format!("cannot use {}: {error}", path.display()),
    }
}

/// Why this file is no database of `docyard dev`; `None` if it is one. An error says why that cannot be found out.
fn foreignness(path: &Path) -> Result<Option<String>, String> {
    let file = fs::metadata(path).map_err(|error| error.to_string())?;
    if !file.is_file() {
        return Ok(Some("it is no file".to_owned()));
    }
    if file.len() == 0 {
        return Ok(Some("it is empty".to_owned()));
    }
    match has_table(path) {
        Ok(Some(true)) => Ok(None),
        Ok(Some(false)) => Ok(Some(format!("it has no table {TABLE}"))),
        Ok(None) => Ok(Some("it is another program's".to_owned())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Ok(Some("it is no SQLite database".to_owned()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Whether an SQLite database has the table, as the emulator lists its tables; `None` if it is not the emulator's.
/// Only SQLite itself may write to it: it undoes what was interrupted, which a read-only connection could not.
fn has_table(path: &Path) -> rusqlite::Result<Option<bool>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    if !database.table_exists(None, "_tables")? {
        return Ok(None);
    }
    let mut tables = database.prepare("SELECT table_name FROM _tables WHERE table_name = ?1")?;
    tables.exists([TABLE]).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_a_quoted_path_as_it_is() {
        for path in
            ["/a/b-c_d.e", "/a b", "/it's", "/\"$HOME\"`id`\\", "/a\nb", "/*;&|<>()#!~", "/Zürich/銀行"]
        {
            let script = format!("A={}; printf %s \"$A\"", quoted(Path::new(path)));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
        }
        assert_eq!(quoted(Path::new("/a/b-c_d.e")), "/a/b-c_d.e", "without quotes where it needs none");
    }
}
