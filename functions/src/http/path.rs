//! Ids in a request's path, and looking up what they name.

use lambda_http::{Request, RequestExt};

use crate::http::error::Error;

/// The path parameter `name`, as `parse` reads it; `None` where it is malformed.
pub fn id<T>(request: &Request, name: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
    parse(request.path_parameters_ref()?.first(name)?)
}

/// Reads what an id names. What a malformed one names does not exist, and is not read.
///
/// # Errors
/// Those of `read`.
pub async fn lookup<I, T, F>(id: Option<I>, read: impl FnOnce(I) -> F) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<Option<T>, Error>>,
{
    match id {
        Some(id) => read(id).await,
        None => Ok(None),
    }
}
