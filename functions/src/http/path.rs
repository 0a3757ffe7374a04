//! Ids in a request's path, and the resources that they name.

use docyard_core::store;
use docyard_core::values::id::Id;
use lambda_http::{Request, RequestExt};

/// The id in the path parameter [`Id::NAME`]; `None` if it is malformed.
pub fn id<I: Id>(request: &Request) -> Option<I> {
    I::parse(text(request, I::NAME)?)
}

/// The number from 1 on in the path parameter of this name; `None` if it is none, or is written otherwise.
pub fn number(request: &Request, name: &str) -> Option<u16> {
    let text = text(request, name)?;
    text.parse().ok().filter(|number: &u16| *number > 0 && number.to_string() == text)
}

/// The path parameter of this name; `None` if the path has none.
pub fn text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.path_parameters_ref()?.first(name)
}

/// Reads the resource that an id names. A malformed id names none, and nothing is read.
///
/// # Errors
/// Those of `read`.
pub async fn lookup<I, T, F>(id: Option<I>, read: impl FnOnce(I) -> F) -> Result<Option<T>, store::Error>
where
    F: Future<Output = Result<Option<T>, store::Error>>,
{
    match id {
        Some(id) => read(id).await,
        None => Ok(None),
    }
}
