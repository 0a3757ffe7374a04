//! Values without an identity: an id, a point in time, an email address. Each is checked once, by its `parse`.
//!
//! Here: what any rule of the domain may be built from. Not here: anything that belongs to one resource
//! ([`crate::model`]).

pub mod checksum;
pub mod clock;
pub mod content_hash;
pub mod digest;
pub mod domain;
pub mod email;
pub mod field_error;
pub mod fields;
pub mod id;
pub mod json;
pub mod page;
pub mod patch;
pub mod random;
pub mod text;
pub mod thumbprint;
pub mod uri;
pub mod x509;
