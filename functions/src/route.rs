//! How an endpoint is reached: its method and path, and the credentials that it accepts.

use std::fmt;

use docyard_core::values::id::AnyId;

/// A method and a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces as API Gateway writes them.
    pub path: &'static str,
}

/// API Gateway's route key: `POST /v1/docks/{dockId}/recipients`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

impl Route {
    /// A route. A path parameter must be a whole segment and the name of a kind of id ([`AnyId::NAMES`]), or
    /// [`ENTITY_TYPE`], [`ENTITY_ID`] or [`VERSION`]; else a constant route does not compile.
    ///
    /// # Panics
    /// If the path has another parameter.
    #[expect(clippy::panic, clippy::indexing_slicing, reason = "evaluated when an endpoint is compiled")]
    pub const fn new(method: Method, path: &'static str) -> Self {
        let bytes = path.as_bytes();
        // Of the segment that is being read: where it starts, and whether it has a brace.
        let (mut start, mut has_brace, mut at) = (0, false, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at] == b'/' {
                let is_parameter = has_brace && bytes[start] == b'{' && bytes[at - 1] == b'}';
                if has_brace && !(is_parameter && is_parameter_name(bytes, start + 1, at - 1)) {
                    panic!(
                        "a path parameter must be a segment with the name of an id, such as dockId in braces"
                    );
                }
                (start, has_brace) = (at + 1, false);
            } else if bytes[at] == b'{' || bytes[at] == b'}' {
                has_brace = true;
            }
            at += 1;
        }
        Self { method, path }
    }

    /// The names of the path's parameters, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(parameter)
    }
}

/// The path parameter for the kind of an entity of any kind.
pub const ENTITY_TYPE: &str = "entityType";

/// The path parameter for the id of an entity of any kind.
pub const ENTITY_ID: &str = "entityId";

/// The path parameter for the number of a policy's version.
pub const VERSION: &str = "version";

/// Whether `path[from..to]` is the name of a kind of id, of a part of an entity of any kind, or of a number.
#[expect(clippy::indexing_slicing, reason = "evaluated when an endpoint is compiled")]
const fn is_parameter_name(path: &[u8], from: usize, to: usize) -> bool {
    let (name, _) = path.split_at(from).1.split_at(to - from);
    let mut kind = 0;
    while kind < AnyId::NAMES.len() {
        if is_same(AnyId::NAMES[kind].as_bytes(), name) {
            return true;
        }
        kind += 1;
    }
    is_same(ENTITY_TYPE.as_bytes(), name)
        || is_same(ENTITY_ID.as_bytes(), name)
        || is_same(VERSION.as_bytes(), name)
}

/// Whether two texts are the same, which `==` cannot say in a constant.
#[expect(clippy::indexing_slicing, reason = "evaluated when an endpoint is compiled")]
pub(crate) const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The name of the parameter, if the segment of a path is one: `dockId` for `{dockId}`.
pub fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The methods of the API (RFC 9110 §9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the methods' own names")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method as a request line has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API key of an account, as a bearer token.
    ApiKey,
    /// An access token of a recipient, as a bearer token.
    AccessToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_segment_with_the_name_of_an_id() {
        for path in ["/", "/v1/docks", "/v1/docks/{dockId}", "/v1/{dockId}/recipients/{recipientId}/x"] {
            assert_eq!(Route::new(Method::Get, path).path, path);
        }
        for path in [
            "/{dock}",
            "/x{dockId}",
            "/{dockId",
            "/dockId}",
            "/{dockId}x",
            "/{}",
            "/{dockId}{secretId}",
            "/{dockIds}",
        ] {
            assert!(std::panic::catch_unwind(|| Route::new(Method::Get, path)).is_err(), "{path}");
        }
    }
}
