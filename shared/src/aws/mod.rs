//! AWS: the DynamoDB client and the HTTP transport under it. Nothing of the domain.

pub mod dynamodb;
pub mod transport;
