//! A bucket behind the API of S3, beside each table: the embedded one of `docyard dev`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use docyard_core::aws::s3::Bucket;
use docyard_core::store::Objects;
use docyard_core::values::clock::Clock;
use docyard_local_s3::{AccessKey, BUCKET, BucketServer};

/// The key of the functions in a sandbox.
pub const KEY: &str = "local";

/// Which S3 endpoint is beside which DynamoDB endpoint: a function that has the one gets the other with it.
static BESIDE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Puts an S3 endpoint beside a DynamoDB endpoint.
pub fn put_beside(dynamodb_url: &str, s3_url: &str) {
    BESIDE.lock().unwrap().insert(dynamodb_url.to_owned(), s3_url.to_owned());
}

/// The S3 endpoint beside a DynamoDB endpoint; one where nothing listens, if there is none.
pub fn url_beside(dynamodb_url: &str) -> String {
    BESIDE.lock().unwrap().get(dynamodb_url).cloned().unwrap_or_else(|| "http://127.0.0.1:1".to_owned())
}

/// The objects at the S3 endpoint beside a DynamoDB endpoint.
pub fn objects_beside(dynamodb_url: &str) -> Objects {
    let bucket = Bucket::local(format!("{}/{BUCKET}", url_beside(dynamodb_url)), KEY, KEY);
    Objects::new(bucket, Clock::system())
}

/// A bucket of its own, which ends with the test.
pub struct TestBucket {
    pub url: String,
    /// Where its objects are.
    pub directory: tempfile::TempDir,
}

impl TestBucket {
    pub async fn start() -> Arc<Self> {
        Arc::new(Self::serve(tempfile::tempdir().unwrap(), None).await)
    }

    /// A bucket under Object Lock for so many days.
    pub async fn locked(days: u16) -> Self {
        Self::serve(tempfile::tempdir().unwrap(), NonZeroU16::new(days)).await
    }

    /// The bucket whose objects are in this directory, under Object Lock for so many days, or not.
    pub async fn serve(directory: tempfile::TempDir, lock_days: Option<NonZeroU16>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = AccessKey { id: KEY.to_owned(), secret: KEY.to_owned() };
        let server = BucketServer::open(directory.path(), key, lock_days).await.unwrap();
        tokio::spawn(server.serve(listener, std::future::pending()));
        Self { url, directory }
    }

    /// The bucket, as the service reaches it.
    pub fn bucket(&self) -> Bucket {
        Bucket::local(format!("{}/{BUCKET}", self.url), KEY, KEY)
    }
}
