//! The objects of `docyard dev` and of the tests: a bucket in a directory, behind the API of S3.
//!
//! Here: what S3 does with the calls that the service, its clients and its worker make, `PutObject`, `GetObject`, `HeadObject` and
//! `DeleteObject`, with those of the sealer, `ListObjectsV2` and what Object Lock does to the others, and with the operator's
//! `ListObjectVersions`. Crate `s3s` speaks the protocol and checks the signatures, also of signed addresses. Not here: more than one
//! version of an object, multipart uploads, lists in several parts, and what IAM and bucket policies decide.
//!
//! Of two uploads at once for a key the first that is complete is kept, and an upload that is killed leaves nothing: an object
//! is a directory, which is filled elsewhere and then moved to its place. The storage that comes with `s3s` puts a body in place
//! before it knows its checksum, and writes that after it.

use std::io;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docyard_core::values::clock::Clock;
use docyard_core::values::random;
use futures_util::TryStreamExt;
use rand::Rng;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    ChecksumMode, CommonPrefix, DeleteObjectInput, DeleteObjectOutput, ETag, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ObjectLockMode, ObjectVersion, PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::service::S3ServiceBuilder;
use s3s::{HttpError, S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

/// The name of the bucket.
pub const BUCKET: &str = "docyard";

/// Where objects are filled, and where they go when they are deleted.
const WORK: &str = ".work";
const CONTENT: &str = "content";
const ATTRIBUTES: &str = "attributes.json";

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// The key of the clients that a server knows.
#[derive(Clone)]
pub struct AccessKey {
    /// The access key's id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

impl AccessKey {
    /// A new key, at random.
    pub fn generate() -> Self {
        Self { id: "local".to_owned(), secret: random_name() }
    }
}

/// A bucket in a directory, for clients with one key.
pub struct BucketServer {
    bucket: Bucket,
    key: AccessKey,
}

impl BucketServer {
    /// Opens the bucket in `directory`, which is created if it is missing, and removes what a server left unfinished that was
    /// killed.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub async fn open(directory: &Path, key: AccessKey, lock_days: Option<NonZeroU16>) -> io::Result<Self> {
        fs::create_dir_all(directory).await?;
        let bucket = Bucket { directory: fs::canonicalize(directory).await?, lock_days };
        let work = bucket.directory.join(WORK);
        match fs::remove_dir_all(&work).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&work).await?,
        }
        Ok(Self { bucket, key })
    }

    /// Serves it until `stopped` ends.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let mut service = S3ServiceBuilder::new(self.bucket);
        service.set_auth(SimpleAuth::from_single(self.key.id, self.key.secret));
        let failed = |_: HttpError| std::future::ready(StatusCode::INTERNAL_SERVER_ERROR);
        let router = Router::new().fallback_service(HandleError::new(service.build(), failed));
        axum::serve(listener, router).with_graceful_shutdown(stopped).await
    }
}

/// The objects.
struct Bucket {
    directory: PathBuf,
    lock_days: Option<NonZeroU16>,
}

/// What is known of an object besides its content.
#[derive(Serialize, Deserialize)]
struct Attributes {
    content_type: Option<String>,
    content_encoding: Option<String>,
    /// The SHA-256 of the content, in base64.
    sha256: String,
}

/// An object that is there.
struct Object {
    content: File,
    size: u64,
    modified: SystemTime,
    attributes: Attributes,
}

impl Object {
    fn e_tag(&self) -> ETag {
        ETag::Strong(self.attributes.sha256.clone())
    }

    /// The checksum, for who asks for it.
    fn checksum(&self, mode: Option<&ChecksumMode>) -> Option<String> {
        let is_asked_for = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
        is_asked_for.then(|| self.attributes.sha256.clone())
    }
}

impl Bucket {
    /// Where an object is. A key is names with slashes between them.
    fn path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        if bucket != BUCKET {
            return Err(s3_error!(NoSuchBucket));
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if !key.split('/').all(is_name) {
            return Err(s3_error!(NotImplemented, "a key has names of letters, digits, _ and - alone"));
        }
        Ok(self.directory.join(key))
    }

    /// Until when an object is locked.
    fn locked_until(&self, object: &Object) -> Option<SystemTime> {
        Some(object.modified + Duration::from_secs(u64::from(self.lock_days?.get()) * 24 * 60 * 60))
    }

    /// The names in a directory, in their order.
    async fn names(&self, bucket: &str, directory: &str) -> S3Result<Vec<String>> {
        let path = if directory.is_empty() { self.directory.clone() } else { self.path(bucket, directory)? };
        let mut entries = match fs::read_dir(path).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(internal(error)),
        };
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(internal)? {
            names.extend(entry.file_name().into_string().ok().filter(|name| name != WORK));
        }
        names.sort();
        Ok(names)
    }

    /// A new path to work at.
    fn work_path(&self) -> PathBuf {
        self.directory.join(WORK).join(random_name())
    }

    async fn object(&self, bucket: &str, key: &str) -> S3Result<Object> {
        let path = self.path(bucket, key)?;
        let open = async {
            let content = File::open(path.join(CONTENT)).await?;
            let file = content.metadata().await?;
            let attributes = serde_json::from_slice(&fs::read(path.join(ATTRIBUTES)).await?)?;
            Ok(Object { content, size: file.len(), modified: file.modified()?, attributes })
        };
        open.await.map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => s3_error!(NoSuchKey),
            _ => internal(error),
        })
    }

    /// Fills an object at `work`.
    async fn fill(&self, work: &Path, mut input: PutObjectInput) -> S3Result<()> {
        fs::create_dir(work).await.map_err(internal)?;
        let mut body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let mut content = BufWriter::new(File::create(work.join(CONTENT)).await.map_err(internal)?);
        let mut digest = Sha256::new();
        while let Some(chunk) = body.try_next().await.map_err(|_cut| s3_error!(IncompleteBody))? {
            digest.update(&chunk);
            content.write_all(&chunk).await.map_err(internal)?;
        }
        content.flush().await.map_err(internal)?;
        let sha256 = STANDARD.encode(digest.finalize());
        if input.checksum_sha256.is_some_and(|declared| declared != sha256) {
            return Err(s3_error!(BadDigest));
        }
        let attributes =
            Attributes { content_type: input.content_type, content_encoding: input.content_encoding, sha256 };
        let attributes = serde_json::to_vec(&attributes).map_err(|error| internal(error.into()))?;
        fs::write(work.join(ATTRIBUTES), attributes).await.map_err(internal)
    }

    /// Moves a filled object to its place, unless there is one.
    async fn place(&self, work: &Path, path: &Path) -> S3Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).await.map_err(internal)?;
        }
        fs::rename(work, path).await.map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => s3_error!(PreconditionFailed),
            _ => internal(error),
        })
    }
}

#[async_trait]
impl S3 for Bucket {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let path = self.path(&input.bucket, &input.key)?;
        if !input.if_none_match.as_ref().is_some_and(|condition| condition.is_any()) {
            return Err(s3_error!(NotImplemented, "an object is put with If-None-Match: * alone"));
        }
        if fs::try_exists(&path).await.map_err(internal)? {
            return Err(s3_error!(PreconditionFailed));
        }
        let work = self.work_path();
        let placed = async {
            self.fill(&work, input).await?;
            self.place(&work, &path).await
        };
        let placed = placed.await;
        if placed.is_err() {
            // What it leaves is removed when the bucket is opened again.
            let _ = fs::remove_dir_all(&work).await;
        }
        placed.map(|()| S3Response::new(PutObjectOutput::default()))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(size(object.size)?),
            content_type: object.attributes.content_type.clone(),
            content_encoding: object.attributes.content_encoding.clone(),
            last_modified: Some(object.modified.into()),
            e_tag: Some(object.e_tag()),
            checksum_sha256: object.checksum(input.checksum_mode.as_ref()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let mut object = self.object(&input.bucket, &input.key).await?;
        let mut output = GetObjectOutput {
            content_type: object.attributes.content_type.clone(),
            content_encoding: object.attributes.content_encoding.clone(),
            last_modified: Some(object.modified.into()),
            e_tag: Some(object.e_tag()),
            ..GetObjectOutput::default()
        };
        if let Some(until) = self.locked_until(&object) {
            output.object_lock_mode = Some(ObjectLockMode::from_static(ObjectLockMode::COMPLIANCE));
            output.object_lock_retain_until_date = Some(until.into());
        }
        let length = match input.range {
            None => {
                output.checksum_sha256 = object.checksum(input.checksum_mode.as_ref());
                object.size
            }
            Some(range) => {
                let range = range.check(object.size)?;
                object.content.seek(io::SeekFrom::Start(range.start)).await.map_err(internal)?;
                output.content_range =
                    Some(format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), object.size));
                range.end - range.start
            }
        };
        output.content_length = Some(size(length)?);
        let content = ReaderStream::with_capacity(object.content.take(length), CHUNK);
        output.body = Some(StreamingBlob::wrap(content));
        Ok(S3Response::new(output))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let path = self.path(&request.input.bucket, &request.input.key)?;
        let now = UNIX_EPOCH + Duration::from_millis(Clock::system().now().unix_milliseconds());
        if self.lock_days.is_some()
            && let Ok(object) = self.object(&request.input.bucket, &request.input.key).await
            && self.locked_until(&object).is_some_and(|until| now < until)
        {
            return Err(s3_error!(AccessDenied, "the object is locked"));
        }
        // Gone at once, and whole.
        let work = self.work_path();
        match fs::rename(&path, &work).await {
            Ok(()) => fs::remove_dir_all(&work).await.map_err(internal)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(internal(error)),
        }
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    /// The objects of a directory, whose name and a slash is the prefix.
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let directory = prefix.strip_suffix('/').ok_or_else(|| s3_error!(NotImplemented))?;
        let names = self.names(&input.bucket, directory).await?;
        let keys = names.into_iter().map(|name| format!("{prefix}{name}"));
        let behind = input.start_after.unwrap_or_default();
        let most = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or_default();
        let contents = keys.filter(|key| *key > behind).take(most);
        let contents =
            contents.map(|key| s3s::dto::Object { key: Some(key), ..Default::default() }).collect();
        Ok(S3Response::new(ListObjectsV2Output { contents: Some(contents), ..Default::default() }))
    }

    /// The objects of a directory, each a version, or without a prefix the directories.
    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let names = self.names(&input.bucket, prefix.trim_end_matches('/')).await?;
        let mut output = ListObjectVersionsOutput { is_truncated: Some(false), ..Default::default() };
        if prefix.is_empty() {
            let prefixes = names.into_iter().map(|name| CommonPrefix { prefix: Some(format!("{name}/")) });
            output.common_prefixes = Some(prefixes.collect());
        } else {
            let version = |name| ObjectVersion {
                key: Some(format!("{prefix}{name}")),
                is_latest: Some(true),
                version_id: Some("null".to_owned()),
                ..Default::default()
            };
            output.versions = Some(names.into_iter().map(version).collect());
        }
        Ok(S3Response::new(output))
    }
}

fn size(bytes: u64) -> S3Result<i64> {
    i64::try_from(bytes).map_err(|_| s3_error!(InternalError))
}

fn internal(error: io::Error) -> S3Error {
    S3Error::internal_error(error)
}

/// 128 random bits in hex.
fn random_name() -> String {
    let mut rng = random::system();
    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64())
}
