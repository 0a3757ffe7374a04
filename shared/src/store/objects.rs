//! The contents of artifacts: an object in S3 for each, `<dock>/<artifact>`.
//!
//! Who uploads or downloads one is given an address for it, which S3 judges by itself: for an upload the address holds for
//! this content alone, and only while there is none.

use std::time::Duration;

use super::error::Error;
use super::s3_calls::{S3Calls, of_failure, system_time, unexpected};
use crate::aws::s3::{Bucket, Header, SignedUrl};
use crate::model::artifact::{Artifact, Content, Filename, MediaType};
use crate::request_record::RequestRecord;
use crate::values::clock::{Clock, Timestamp};
use crate::values::content_hash::ContentHash;
use crate::values::id::{ArtifactId, DockId};
use crate::values::uri::encoded;

/// How long an address for an upload is good, in minutes. The bucket's policy refuses older signatures.
pub const UPLOAD_MINUTES: u16 = 15;
/// How long an address for a download is good, in minutes.
pub const DOWNLOAD_MINUTES: u16 = 1;

/// How long one attempt of a call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The media types that a browser may be told; what is of another one is bytes of which nothing is known, which no browser
/// runs or shows.
const SHOWN_TYPES: [&str; 6] =
    ["application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"];

/// The objects of a deployment. Cloning it is cheap.
#[derive(Clone)]
pub struct Objects {
    calls: S3Calls,
}

/// How to upload a content. Who has it can do that, and nothing else.
pub struct Upload {
    /// Where to send it by `PUT`.
    pub url: SignedUrl,
    /// The headers to send with it.
    pub headers: [(&'static str, String); 4],
    /// Until when.
    pub expires_at: Timestamp,
}

/// Where to download a content.
pub struct Download {
    /// Where to get it.
    pub url: SignedUrl,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What S3 has for an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// How many bytes.
    pub size: u64,
    /// Their SHA-256, as S3 computed it; `None` if it did not.
    pub hash: Option<ContentHash>,
    /// Whether S3 tells downloads that they are encoded, by a header that no signature covers: who decodes them gets other bytes.
    pub is_encoded: bool,
}

impl StoredObject {
    /// Whether it is the content that was declared.
    pub fn is(&self, content: &Content) -> bool {
        self.size == content.size && self.hash == Some(content.hash) && !self.is_encoded
    }
}

/// How an upload by the service itself ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The object is there.
    New,
    /// There was one already, and it stays as it was.
    Before,
}

impl Objects {
    /// The objects in this bucket. Times of signatures come from `clock`, which S3 compares with its own.
    pub fn new(bucket: Bucket, clock: Clock) -> Self {
        Self { calls: S3Calls::new(bucket, clock, ATTEMPT_TIMEOUT) }
    }

    /// The same objects. Its calls are recorded in `record`.
    pub(crate) fn recording_to(&self, record: RequestRecord) -> Self {
        Self { calls: self.calls.recording_to(record) }
    }

    /// Signs an address for the upload of what an artifact waits for. S3 refuses another body, size or media type, and any
    /// upload once there is one.
    pub fn upload(&self, artifact: &Artifact, content: &Content) -> Result<Upload, Error> {
        let headers = headers(content);
        let signed: Vec<Header<'_>> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (url, expires_at) =
            self.presign("PUT", &key(artifact.dock, artifact.id), "", &signed, UPLOAD_MINUTES)?;
        Ok(Upload { url, headers, expires_at })
    }

    /// Signs an address for the download of an artifact's content, as a file of this name.
    pub fn download(&self, artifact: &Artifact, content: &Content) -> Result<Download, Error> {
        let query = [
            ("response-cache-control", "private, no-store".to_owned()),
            ("response-content-disposition", content_disposition(&artifact.filename)),
            ("response-content-type", shown_type(&content.media_type)),
        ];
        let query = query.map(|(name, value)| format!("{name}={}", encoded(&value)));
        let key = key(artifact.dock, artifact.id);
        let (url, expires_at) = self.presign("GET", &key, &query.join("&"), &[], DOWNLOAD_MINUTES)?;
        Ok(Download { url, expires_at })
    }

    fn presign(
        &self,
        method: &str,
        key: &str,
        query: &str,
        headers: &[Header<'_>],
        minutes: u16,
    ) -> Result<(SignedUrl, Timestamp), Error> {
        let now = self.calls.clock.now();
        let lifetime = Duration::from_secs(60 * u64::from(minutes));
        let url = self.calls.bucket.presign(method, key, query, headers, lifetime, system_time(now));
        let url = url.map_err(|failed| of_failure("presign", &failed))?;
        Ok((url, now.plus_minutes(minutes)))
    }

    /// Stores a content that the service has itself, unless there is one.
    pub async fn put(&self, artifact: &Artifact, content: &Content, body: &[u8]) -> Result<Stored, Error> {
        const OPERATION: &str = "PutObject";
        let headers = headers(content);
        let signed: Vec<Header<'_>> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let key = key(artifact.dock, artifact.id);
        match self.calls.send(OPERATION, "PUT", &key, &signed, body).await?.status {
            200 => Ok(Stored::New),
            412 => Ok(Stored::Before),
            status => Err(unexpected(OPERATION, status)),
        }
    }

    /// Says what S3 has for an artifact; `None` if it has nothing.
    pub async fn head(&self, artifact: &Artifact) -> Result<Option<StoredObject>, Error> {
        const OPERATION: &str = "HeadObject";
        let key = key(artifact.dock, artifact.id);
        let headers = [("x-amz-checksum-mode", "ENABLED")];
        let response = self.calls.send(OPERATION, "HEAD", &key, &headers, &[]).await?;
        let header = |name| response.headers.get(name);
        match response.status {
            200 => {
                let size = header("content-length").and_then(|size| size.parse().ok());
                let size =
                    size.ok_or_else(|| Error::unavailable(format!("{OPERATION}: unreadable answer")))?;
                let hash = header("x-amz-checksum-sha256").and_then(ContentHash::from_base64);
                let is_encoded = header("content-encoding").is_some_and(|encoding| !encoding.is_empty());
                Ok(Some(StoredObject { size, hash, is_encoded }))
            }
            404 => Ok(None),
            // What S3 says of a missing object to who may not list the bucket. The role may.
            403 => {
                tracing::warn!(
                    "{OPERATION}: forbidden, which S3 also says of a missing object without s3:ListBucket"
                );
                Ok(None)
            }
            status => Err(unexpected(OPERATION, status)),
        }
    }

    /// Deletes the content of an artifact, whether there is one or not.
    pub async fn delete(&self, dock: DockId, artifact: ArtifactId) -> Result<(), Error> {
        const OPERATION: &str = "DeleteObject";
        let response = self.calls.send(OPERATION, "DELETE", &key(dock, artifact), &[], &[]).await?;
        match response.status {
            200 | 204 | 404 => Ok(()),
            status => Err(unexpected(OPERATION, status)),
        }
    }
}

fn key(dock: DockId, artifact: ArtifactId) -> String {
    format!("{dock}/{artifact}")
}

/// The headers of an upload of this content.
fn headers(content: &Content) -> [(&'static str, String); 4] {
    [
        ("content-length", content.size.to_string()),
        ("content-type", content.media_type.as_str().to_owned()),
        ("if-none-match", "*".to_owned()),
        ("x-amz-checksum-sha256", content.hash.base64()),
    ]
}

/// The media type that a download has.
fn shown_type(media_type: &MediaType) -> String {
    let essence = media_type.essence();
    let is_shown = SHOWN_TYPES.contains(&essence.as_str());
    if is_shown { essence } else { MediaType::default().as_str().to_owned() }
}

/// `Content-Disposition` of a file of this name (RFC 6266): in ASCII, and as it is (RFC 8187) where that is not all of it.
fn content_disposition(filename: &Filename) -> String {
    let name = filename.as_str();
    let plain = |c: char| if (c.is_ascii_graphic() && !"\"\\%".contains(c)) || c == ' ' { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", encoded(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name() {
        let disposition = |name: &str| content_disposition(&Filename::parse(name).unwrap());
        assert_eq!(disposition("a (1).pdf"), "attachment; filename=\"a (1).pdf\"");
        assert_eq!(
            disposition("50% \"é\".pdf"),
            "attachment; filename=\"50_ ___.pdf\"; filename*=UTF-8''50%25%20%22%C3%A9%22.pdf"
        );
    }

    #[test]
    fn what_a_browser_would_run_is_bytes() {
        let shown = |text: &str| shown_type(&MediaType::parse(text).unwrap());
        assert_eq!(shown("Application/PDF; x=y"), "application/pdf");
        for other in ["text/html", "image/svg+xml", "application/javascript", "text/xml", "application/pdf+x"]
        {
            assert_eq!(shown(other), "application/octet-stream", "{other}");
        }
    }
}
