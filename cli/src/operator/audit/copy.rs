//! Where a sealed copy is, and how it is read: a bucket, or a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use docyard_core::model::sealed_copy::Chain;
use docyard_core::store::{Error, ReadObject, SealedCopy};
use docyard_core::values::clock::{Clock, Timestamp};
use docyard_core::values::uri::encoded;
use serde::Deserialize;

use crate::operator::aws::Connection;

/// Where a sealed copy is.
#[derive(Clone)]
pub(crate) enum Location {
    /// In the bucket of this name.
    Bucket(String),
    /// In this directory.
    Directory(PathBuf),
}

impl FromStr for Location {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("s3://") {
            Some(name) => Ok(Self::Bucket(name.trim_end_matches('/').to_owned())),
            None if text.is_empty() => Err("must be s3:// and a bucket's name, or a directory"),
            None => Ok(Self::Directory(PathBuf::from(text))),
        }
    }
}

impl Location {
    /// The copy there.
    pub(super) fn open(&self, connection: &Connection) -> Result<Copy, String> {
        match self {
            Self::Bucket(name) => {
                let bucket = connection.bucket(name)?;
                Ok(Copy::Bucket(SealedCopy::new(bucket, Clock::system())))
            }
            Self::Directory(path) if path.is_dir() => Ok(Copy::Directory(path.clone())),
            Self::Directory(path) => Err(format!("there is no directory {}", path.display())),
        }
    }
}

/// A sealed copy.
pub(super) enum Copy {
    Bucket(SealedCopy),
    Directory(PathBuf),
}

/// What a bucket has under the key of an object: one version, or somebody was at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) contents: usize,
    pub(super) deletions: usize,
}

/// An answer of `ListObjectVersions`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListedVersions {
    version: Vec<Listed>,
    delete_marker: Vec<Listed>,
    common_prefixes: Vec<ListedPrefix>,
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_version_id_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPrefix {
    prefix: String,
}

impl Copy {
    /// Its chains.
    pub(super) async fn chains(&self) -> Result<BTreeSet<Chain>, String> {
        let names = match self {
            Self::Directory(directory) => names(directory)?,
            Self::Bucket(bucket) => {
                let pages = pages(bucket, "delimiter=%2F").await?;
                let prefixes = pages.into_iter().flat_map(|page| page.common_prefixes);
                prefixes.map(|common| common.prefix.trim_end_matches('/').to_owned()).collect()
            }
        };
        Ok(names.iter().filter_map(|name| Chain::parse(name)).collect())
    }

    /// The numbers of the objects of a chain, and what there is of each.
    pub(super) async fn objects(&self, chain: Chain) -> Result<BTreeMap<u64, Versions>, String> {
        let mut objects = BTreeMap::<u64, Versions>::new();
        match self {
            Self::Directory(directory) => {
                let names = names(&directory.join(chain.to_string()))?;
                let numbers = names.iter().filter_map(|name| name.parse().ok());
                objects.extend(numbers.map(|number| (number, Versions { contents: 1, deletions: 0 })));
            }
            Self::Bucket(bucket) => {
                let prefix = format!("{chain}/");
                for page in pages(bucket, &format!("prefix={}", encoded(&prefix))).await? {
                    let number = |listed: &Listed| listed.key.strip_prefix(&prefix)?.parse().ok();
                    for number in page.version.iter().filter_map(number) {
                        objects.entry(number).or_default().contents += 1;
                    }
                    for number in page.delete_marker.iter().filter_map(number) {
                        objects.entry(number).or_default().deletions += 1;
                    }
                }
            }
        }
        Ok(objects)
    }

    /// Reads an object; `None` if there is none.
    pub(super) async fn read(&self, chain: Chain, number: u64) -> Result<Option<ReadObject>, String> {
        let directory = match self {
            Self::Bucket(bucket) => return bucket.read(chain, number).await.map_err(message),
            Self::Directory(directory) => directory,
        };
        let path = directory.join(chain.object_key(number));
        // That of `docyard dev` has a directory for each.
        let path = if path.is_dir() { path.join("content") } else { path };
        let read = || -> io::Result<ReadObject> {
            let put_at = path.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let milliseconds = u64::try_from(put_at.as_millis()).unwrap_or_default();
            let put_at = Timestamp::from_unix_milliseconds(milliseconds).ok_or(io::ErrorKind::InvalidData)?;
            Ok(ReadObject { content: std::fs::read(&path)?, put_at, locked_until: None })
        };
        match read() {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }
}

/// The names in a directory; none if there is no such directory.
fn names(directory: &Path) -> Result<Vec<String>, String> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| format!("cannot read {}: {error}", directory.display())),
    }
}

/// All pages of a list of versions.
async fn pages(bucket: &SealedCopy, query: &str) -> Result<Vec<ListedVersions>, String> {
    let mut pages = Vec::new();
    let mut markers = String::new();
    loop {
        let answer = bucket.list_versions(&format!("{query}{markers}&versions=")).await.map_err(message)?;
        let page: ListedVersions = quick_xml::de::from_reader(answer.as_slice())
            .map_err(|error| format!("S3 gave an answer that cannot be read: {error}"))?;
        markers = match (&page.next_key_marker, &page.next_version_id_marker) {
            (Some(key), Some(version)) => {
                format!("&key-marker={}&version-id-marker={}", encoded(key), encoded(version))
            }
            (Some(key), None) => format!("&key-marker={}", encoded(key)),
            (None, _) => String::new(),
        };
        let is_last = !page.is_truncated || markers.is_empty();
        pages.push(page);
        if is_last {
            return Ok(pages);
        }
    }
}

/// What to say of a call of S3 that failed.
pub(super) fn message(error: Error) -> String {
    let fault = error.fault().to_string();
    match error {
        Error::Unavailable(_) => format!(
            "S3 cannot be reached or is busy ({fault}); check the region, and the network's settings such as HTTPS_PROXY and \
             AWS_CA_BUNDLE, or try again"
        ),
        Error::Internal(_) => {
            let what = match fault.rsplit(": ").next() {
                Some("403") => "the credentials do not allow the call, or have expired",
                Some("404") => "there is no such bucket",
                Some("301" | "400") => "the bucket is in another region, or the credentials are not known",
                _ => "it could not be done",
            };
            format!("{what} ({fault})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_versions_is_read_as_s3_writes_it() {
        let list = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>d/</Prefix><KeyMarker/>
            <MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextKeyMarker>d/2</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>
            <Version><Key>d/1</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>5</Size></Version>
            <DeleteMarker><Key>d/2</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></DeleteMarker>
            <Version><Key>d/2</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>
            <CommonPrefixes><Prefix>e/</Prefix></CommonPrefixes></ListVersionsResult>"#;
        let list: ListedVersions = quick_xml::de::from_reader(list.as_bytes()).unwrap();
        let keys = |listed: &[Listed]| listed.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
        assert_eq!(
            (keys(&list.version), keys(&list.delete_marker)),
            (vec!["d/1".into(), "d/2".into()], vec!["d/2".into()])
        );
        assert_eq!(list.common_prefixes[0].prefix, "e/");
        assert!(list.is_truncated);
        assert_eq!(
            (list.next_key_marker.as_deref(), list.next_version_id_marker.as_deref()),
            (Some("d/2"), Some("v1"))
        );
    }
}
