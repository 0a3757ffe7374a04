//! What is uploaded: the files of a directory, and the metadata that a CSV file has of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use docyard_core::model::artifact::MAX_SIZE;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The column of the CSV file that names files, by their paths from the directory.
const FILE_COLUMN: &str = "file";

/// How many bytes of a file tell its media type.
const HEAD: usize = 8 * 1024;

/// The most problems that are listed.
const MAX_LISTED: usize = 10;

/// A file to upload.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its path from the directory, as reports and the CSV file name it.
    pub(super) name: String,
    /// Its metadata.
    pub(super) metadata: Map<String, Value>,
}

/// The files in a directory and those below it, in alphabetical order, each with its metadata from the CSV file, if there is one.
/// Symbolic links to files are followed, those to directories are not. What begins with a dot is left out, and the files that `besides` names:
/// the command's own.
///
/// # Errors
/// There is no file, or one cannot be read, or the CSV file does not name the same files.
pub(super) fn find(
    directory: &Path,
    metadata: Option<&Path>,
    besides: &[Option<&Path>],
) -> Result<Vec<Source>, String> {
    let mut paths = Vec::new();
    walk(directory, &mut paths)?;
    let besides: Vec<PathBuf> =
        besides.iter().flatten().filter_map(|path| path.canonicalize().ok()).collect();
    paths.retain(|path| path.canonicalize().is_ok_and(|path| !besides.contains(&path)));
    if paths.is_empty() {
        return Err(format!("there are no files in {}", directory.display()));
    }
    paths.sort();
    let mut rows = metadata.map(read_rows).transpose()?;
    let (mut sources, mut unnamed) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.strip_prefix(directory).unwrap_or(&path);
        let name = name.to_str().ok_or_else(|| format!("{} is no name in UTF-8", name.display()))?.to_owned();
        match rows.as_mut().map(|rows| rows.remove(&name)) {
            None => sources.push(Source { path, name, metadata: Map::new() }),
            Some(Some(metadata)) => sources.push(Source { path, name, metadata }),
            Some(None) => unnamed.push(name),
        }
    }
    // A document without its metadata is granted to nobody, and one that is not there to somebody who waits for it.
    let surplus: Vec<String> = rows.into_iter().flatten().map(|(name, _)| name).collect();
    let problems = [
        (unnamed, "has no row in the CSV file", "have no row in the CSV file"),
        (surplus, "of the CSV file is not in the directory", "of the CSV file are not in the directory"),
    ];
    for (names, of_one, of_many) in problems {
        match names.as_slice() {
            [] => {}
            [name] => return Err(format!("{name} {of_one}; nothing was uploaded")),
            names => {
                let listed = names.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
                let more = if names.len() > MAX_LISTED { ", …" } else { "" };
                return Err(format!("{} files {of_many}: {listed}{more}; nothing was uploaded", names.len()));
            }
        }
    }
    Ok(sources)
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let cannot_read = |path: &Path, error: io::Error| format!("cannot read {}: {error}", path.display());
    for entry in fs::read_dir(directory).map_err(|error| cannot_read(directory, error))? {
        let entry = entry.map_err(|error| cannot_read(directory, error))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(|error| cannot_read(&path, error))?.is_dir() {
            walk(&path, paths)?;
        } else if fs::metadata(&path).map_err(|error| cannot_read(&path, error))?.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}

/// The metadata of each file that the CSV file names. Its heading is `file` and the keys; an empty cell is no entry.
fn read_rows(path: &Path) -> Result<BTreeMap<String, Map<String, Value>>, String> {
    let shown = path.display();
    let refused = |reason: &dyn std::fmt::Display| format!("{shown}: {reason}");
    let content = fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
    let heading = reader.headers().map_err(|error| refused(&error))?.clone();
    let column = heading.iter().position(|name| name == FILE_COLUMN);
    let column = column.ok_or_else(|| {
        refused(&format!("its heading has no column {FILE_COLUMN:?}, which names the files, with commas between the columns"))
    })?;
    let mut rows = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| refused(&error))?;
        let mut metadata = Map::new();
        for (key, value) in
            heading.iter().zip(&row).filter(|(key, value)| *key != FILE_COLUMN && !value.is_empty())
        {
            if metadata.insert(key.to_owned(), json!(value)).is_some() {
                return Err(refused(&format!("its heading has {key} twice")));
            }
        }
        let name = row.get(column).unwrap_or_default().to_owned();
        if rows.insert(name.clone(), metadata).is_some() {
            return Err(refused(&format!("{name} has two rows")));
        }
    }
    Ok(rows)
}

/// What declares a file: what creating an artifact takes.
pub(super) fn declare(source: &Source) -> Result<Value, String> {
    let filename = source.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let read = || -> io::Result<(Vec<u8>, u64, String)> {
        let mut file = File::open(&source.path)?;
        let (mut head, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        let (mut digest, mut size) = (Sha256::new(), 0);
        loop {
            let count = file.read(&mut buffer)?;
            let read = buffer.get(..count).unwrap_or_default();
            if read.is_empty() {
                let hash = hex::encode(digest.finalize());
                return Ok((head, size, hash));
            }
            if head.len() < HEAD {
                head.extend_from_slice(read);
            }
            digest.update(read);
            size += u64::try_from(read.len()).unwrap_or_default();
        }
    };
    let (head, size, hash) = read().map_err(|error| format!("cannot read it: {error}"))?;
    match size {
        0 => Err("it is empty".to_owned()),
        size if size > MAX_SIZE => Err(format!("it is larger than {MAX_SIZE} bytes")),
        size => {
            let kind = infer::get(&head).map(|kind| kind.mime_type());
            let fields = [
                ("filename", Some(json!(filename))),
                ("hash", Some(json!(hash))),
                ("size", Some(json!(size))),
                ("metadata", Some(json!(source.metadata))),
                ("contentType", kind.map(|kind| json!(kind))),
            ];
            Ok(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        directory
    }

    fn found(files: &[(&str, &str)], csv: &str) -> Result<Vec<(String, Value)>, String> {
        let (directory, beside) = (directory(files), directory(&[("m.csv", csv)]));
        let sources = find(directory.path(), Some(&beside.path().join("m.csv")), &[])?;
        Ok(sources.into_iter().map(|source| (source.name, Value::Object(source.metadata))).collect())
    }

    #[test]
    fn files_are_found_below_the_directory_with_their_metadata() {
        let csv = "\u{feff}file, lender_id ,note\n b/c.pdf , L-1,\"x, y\"\na.pdf,,\n";
        let found = found(&[("b/c.pdf", "c"), ("a.pdf", "a")], csv).unwrap();
        assert_eq!(
            found,
            [
                ("a.pdf".to_owned(), json!({})),
                ("b/c.pdf".to_owned(), json!({"lender_id": "L-1", "note": "x, y"}))
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_told_before_anything_is_uploaded() {
        for (csv, told) in [
            ("file\n", "a.pdf has no row"),
            ("file\na.pdf\nb.pdf\n", "b.pdf of the CSV file is not in the directory"),
            ("file\na.pdf\na.pdf\n", "a.pdf has two rows"),
            ("file;lender_id\na.pdf;L\n", "no column \"file\""),
            ("name\na.pdf\n", "no column \"file\""),
            ("file,k,k\na.pdf,1,2\n", "has k twice"),
            ("file,k\na.pdf\n", "found record with 1 fields"),
        ] {
            let error = found(&[("a.pdf", "a")], csv).unwrap_err();
            assert!(error.contains(told), "{csv:?}: {error}");
        }
    }

    #[test]
    fn a_file_is_declared_by_what_is_in_it() {
        let directory = directory(&[("a.pdf", "%PDF-1.7"), ("b.txt", "abc"), ("empty", "")]);
        let declared: Vec<Result<Value, String>> =
            find(directory.path(), None, &[]).unwrap().iter().map(declare).collect();
        assert_eq!(declared[0].as_ref().unwrap()["contentType"], "application/pdf");
        assert_eq!(
            declared[1],
            Ok(json!({
                "filename": "b.txt", "size": 3, "metadata": {},
                "hash": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            }))
        );
        assert_eq!(declared[2], Err("it is empty".to_owned()));
    }
}
