//! Where what is retrieved is put: the files, the manifest that says what they are, and the state of a series of runs.
//!
//! `manifest.jsonl` has a line of JSON for each file, written just before the file comes into its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use docyard_core::values::id::ArtifactId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::api::Link;
use crate::files;

const MANIFEST: &str = "manifest.jsonl";

/// The longest name of a file, in bytes: what most file systems take, less what tells two of one name apart.
const MAX_NAME: usize = 200;

/// What the manifest says of a file. Of two lines about one artifact the last one holds.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    artifact_id: ArtifactId,
    /// Its name in the directory.
    file: String,
    /// As the API says, from here on.
    filename: String,
    content_type: String,
    size: u64,
    hash: String,
    metadata: Map<String, Value>,
}

impl Entry {
    fn new(link: &Link, file: &str) -> Self {
        Self {
            artifact_id: link.artifact_id,
            file: file.to_owned(),
            filename: link.filename.clone(),
            content_type: link.content_type.clone(),
            size: link.size,
            hash: link.hash.clone(),
            metadata: link.metadata.clone(),
        }
    }
}

/// The directory.
pub(super) struct Directory {
    path: PathBuf,
    manifest: File,
    /// By the artifact's id.
    entries: BTreeMap<ArtifactId, Entry>,
    /// The names that are taken, in lower case, since there are file systems without another.
    names: BTreeSet<String>,
    /// The names that this run gave.
    placed: BTreeMap<ArtifactId, String>,
}

/// Where a file comes.
#[derive(Clone)]
pub(super) struct Place {
    name: String,
    path: PathBuf,
    /// Where it is while it comes.
    pub(super) partial: PathBuf,
}

impl Directory {
    /// Opens a directory, which is made if it is not there, for this run alone. No document gets the name of the state's file.
    ///
    /// # Errors
    /// It cannot be read or written, its manifest is none, or another run uses it.
    pub(super) fn open(path: &Path, state: Option<&Path>) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot use {}: {error}", path.display());
        fs::create_dir_all(path).map_err(failed)?;
        let manifest_path = path.join(MANIFEST);
        let manifest = OpenOptions::new().append(true).create(true).open(&manifest_path).map_err(failed)?;
        match manifest.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(format!("another run uses {}; wait until it ends", path.display()));
            }
            // There are file systems without locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut entries = BTreeMap::new();
        let written = fs::read_to_string(&manifest_path).map_err(failed)?;
        // Without the line that was being written when the command was killed.
        let whole = written.rfind('\n').map_or(0, |end| end + 1);
        for line in written.get(..whole).unwrap_or_default().lines() {
            let entry: Entry = serde_json::from_str(line)
                .map_err(|_| format!("{} is not as it was written", manifest_path.display()))?;
            entries.insert(entry.artifact_id, entry);
        }
        manifest.set_len(u64::try_from(whole).unwrap_or_default()).map_err(failed)?;
        let state = state.and_then(Path::file_name).map(|name| name.to_string_lossy().to_lowercase());
        let mut names: BTreeSet<String> = state.into_iter().chain([MANIFEST.to_owned()]).collect();
        for entry in fs::read_dir(path).map_err(failed)? {
            names.insert(entry.map_err(failed)?.file_name().to_string_lossy().to_lowercase());
        }
        Ok(Self { path: path.to_owned(), manifest, entries, names, placed: BTreeMap::new() })
    }

    /// Whether an artifact's content is there already.
    pub(super) fn has(&self, link: &Link) -> bool {
        let entry = self.entries.get(&link.artifact_id).filter(|entry| entry.hash == link.hash);
        let size = entry.and_then(|entry| fs::metadata(self.path.join(&entry.file)).ok());
        size.is_some_and(|metadata| metadata.is_file() && metadata.len() == link.size)
    }

    /// Where an artifact comes: under its name, made safe, if no other file has that.
    pub(super) fn place(&mut self, link: &Link) -> Place {
        let known = self.entries.get(&link.artifact_id).map(|entry| entry.file.clone());
        let known = known.or_else(|| self.placed.get(&link.artifact_id).cloned());
        let name = known.unwrap_or_else(|| {
            let plain = safe(&link.filename);
            let name = match self.names.contains(&plain.to_lowercase()) {
                false => plain,
                true => told_apart(&plain, link.artifact_id),
            };
            self.names.insert(name.to_lowercase());
            self.placed.insert(link.artifact_id, name.clone());
            name
        });
        let partial = self.path.join(format!(".{}.part", link.artifact_id));
        Place { path: self.path.join(&name), name, partial }
    }

    /// Puts a file that has come into its place. The manifest tells of it before: killed between, it is fetched again, to the same place.
    ///
    /// # Errors
    /// The manifest or the file cannot be written.
    pub(super) fn settle(&mut self, link: &Link, place: &Place) -> Result<(), String> {
        self.write(Entry::new(link, &place.name))?;
        let settled = fs::rename(&place.partial, &place.path);
        settled.map_err(|error| format!("cannot write {}: {error}", place.path.display()))
    }

    /// Has the manifest tell of an artifact whose file is there what it is now.
    ///
    /// # Errors
    /// The manifest cannot be written.
    pub(super) fn renew(&mut self, link: &Link) -> Result<(), String> {
        let Some(entry) = self.entries.get(&link.artifact_id) else { return Ok(()) };
        let renewed = Entry::new(link, &entry.file);
        if renewed == *entry { Ok(()) } else { self.write(renewed) }
    }

    fn write(&mut self, entry: Entry) -> Result<(), String> {
        let written = self.manifest.write_all(format!("{}\n", json!(entry)).as_bytes());
        written.map_err(|error| format!("cannot write {MANIFEST}: {error}"))?;
        self.entries.insert(entry.artifact_id, entry);
        Ok(())
    }

    /// Returns once everything is on the disk that is in its place.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn sync(&self) -> Result<(), String> {
        let synced = self.manifest.sync_all().and_then(|()| File::open(&self.path)?.sync_all());
        synced.map_err(|error| format!("cannot write {}: {error}", self.path.display()))
    }
}

/// A name that is one anywhere: no path, nothing hidden, no device of Windows, and of letters that all file systems take.
fn safe(filename: &str) -> String {
    let is_safe = |c: char| !c.is_control() && !"/\\:*?\"<>|".contains(c);
    let name: String = filename.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let name = name.trim_matches([' ', '.']);
    let name = cut(name, MAX_NAME);
    let stem = name.split('.').next().unwrap_or_default().trim().to_ascii_uppercase();
    let is_device = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")));
    match name.as_str() {
        "" => "_".to_owned(),
        _ if is_device => format!("_{name}"),
        _ => name,
    }
}

/// At most so many bytes of a name, with its extension, if that is a short one.
fn cut(name: &str, most: usize) -> String {
    let (stem, extension) = match name.rfind('.') {
        Some(at) if name.len() - at <= 20 => name.split_at(at),
        _ => (name, ""),
    };
    let stem = stem.split_at(stem.floor_char_boundary(most - extension.len())).0;
    format!("{stem}{extension}")
}

/// The same name with the artifact's id, before the extension.
fn told_apart(name: &str, id: impl std::fmt::Display) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({id}).{extension}"),
        _ => format!("{name} ({id})"),
    }
}

/// Where a series of runs has come to.
pub(super) struct State {
    path: PathBuf,
    cursor: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    cursor: String,
}

impl State {
    /// Reads the state; there is none before the first run.
    ///
    /// # Errors
    /// The file cannot be read, or is no state.
    pub(super) fn read(path: PathBuf) -> Result<Self, String> {
        let stored = match fs::read_to_string(&path) {
            Ok(text) => Some(
                serde_json::from_str::<Stored>(&text)
                    .map_err(|_| format!("{} is no state of this command", path.display()))?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        Ok(Self { path, cursor: stored.map(|stored| stored.cursor) })
    }

    pub(super) fn cursor(&self) -> Option<String> {
        self.cursor.clone()
    }

    /// Replaces the state.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self, cursor: &str) -> Result<(), String> {
        let text = json!(Stored { cursor: cursor.to_owned() }).to_string();
        files::write(&self.path, &text, 0o644)
            .map_err(|error| format!("cannot write {}: {error}", self.path.display()))?;
        self.cursor = Some(cursor.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_anywhere() {
        for (name, expected) in [
            ("a.pdf", "a.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            (".ssh", "ssh"),
            ("..", "_"),
            ("a:b?.pdf", "a_b_.pdf"),
            ("con.txt", "_con.txt"),
            ("LPT1", "_LPT1"),
            ("é\u{7}.pdf ", "é_.pdf"),
        ] {
            assert_eq!(safe(name), expected, "{name:?}");
        }
        let long = safe(&("é".repeat(251) + ".pdf"));
        assert!(long.len() <= MAX_NAME && long.ends_with("é.pdf"), "{long}");
        assert_eq!(told_apart("a.pdf", "art_1"), "a (art_1).pdf");
        assert_eq!(told_apart("a", "art_1"), "a (art_1)");
    }
}
