//! AWS: the DynamoDB client, the calls of S3, and the HTTP transport under both. Nothing of the domain.

pub mod dynamodb;
mod environment;
pub mod s3;
pub mod transport;
