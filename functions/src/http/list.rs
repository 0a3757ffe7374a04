//! Lists: the query parameters that choose a page, the page, and the URL of the next one.
//!
//! A cursor holds the last key of the page before, and a digest that ties it to its list. The digest prevents mistakes,
//! not forgery: the path alone decides which list is read, so a forged cursor can only choose where in the caller's own
//! list a page begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docyard_core::context::Context;
use docyard_core::model::owned::Owned;
use docyard_core::store;
use docyard_core::values::digest::Digest;
use docyard_core::values::field_error::Rejected;
use docyard_core::values::page::{DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest};
use lambda_http::Request;

use super::auth;
use super::error::Error;
use super::input::{self, Input};

/// How many characters of the digest's hex a cursor carries.
const TAG_LENGTH: usize = 16;

/// The most items of a page that is read before the caller is known to own the list: 7 read units for items of 0.25 KB,
/// and 256 at most, wasted where it does not. A larger page would cost that at any size of items.
const MAX_UNAUTHORISED: usize = 100;

/// Takes `limit` and `cursor` of a list. `list` identifies it: its path, and the account if the path names no resource.
/// `is_key` says whether a text can be a key of the list.
///
/// # Errors
/// [`Rejected`] if one of them is not valid.
pub fn page(
    input: &mut Input<'_>,
    list: &str,
    is_key: impl Fn(&str) -> bool,
) -> Result<PageRequest, Rejected> {
    page_or(DEFAULT_LIMIT, input, list, is_key)
}

/// As [`page`], with this limit if none is given.
///
/// # Errors
/// As [`page`].
pub fn page_or(
    default: usize,
    input: &mut Input<'_>,
    list: &str,
    is_key: impl Fn(&str) -> bool,
) -> Result<PageRequest, Rejected> {
    let limit = input.parameter("limit", |text| {
        let limit = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or("must be an integer from 1 to 1000")
    });
    let after = input.parameter("cursor", |text| {
        read_cursor(list, text)
            .filter(|last| is_key(last))
            .ok_or("must be a cursor that this list gave in its Link header, unchanged")
    });
    Ok(PageRequest { limit: limit?.unwrap_or(default), after: after? })
}

/// Authenticates the caller and reads the page that the request asks for, of the list at `url` of what `id` names; `None`
/// if that does not exist or is another account's. Returns the items, and the URL of the next page.
///
/// `id` is what the path names, if it can be an id; `is_key` as in [`page`]; `owner` reads what owns the list.
///
/// # Errors
/// Those of [`page`] and of [`authenticate_and_read`].
pub async fn of_owner<I, O, T, F>(
    context: &Context,
    request: &Request,
    id: Option<I>,
    url: impl Fn(I) -> String,
    is_key: impl Fn(&str) -> bool,
    owner: impl Future<Output = Result<Option<O>, store::Error>>,
    read: impl FnOnce(I, PageRequest) -> F,
) -> Result<Option<(Vec<T>, Option<String>)>, Error>
where
    I: Copy,
    O: Owned,
    F: Future<Output = Result<Page<T>, store::Error>>,
{
    let list = id.map(url).unwrap_or_default();
    let asked = input::read(request, |input| page(input, &list, is_key));
    let limit = asked.as_ref().map_or(1, |asked| asked.limit);
    let page = async {
        match (id, &asked) {
            (Some(id), Ok(asked)) => read(id, asked.clone()).await,
            _ => Ok(Page::empty()),
        }
    };
    let page = authenticate_and_read(context, request, owner, page, limit).await?;
    asked?;
    Ok(page.map(|page| {
        let next = page.next.map(|last| next_url(&list, &list, limit, &last));
        (page.items, next)
    }))
}

/// Authenticates the caller and reads a page of at most `limit` items; `None` if the resource that owns the list does
/// not exist or is another account's. A page of up to 100 items is read at once with the key and the owner, a larger one
/// after them.
///
/// # Errors
/// Those of [`auth::authenticate_and`] and of both reads.
pub async fn authenticate_and_read<O: Owned, T>(
    context: &Context,
    request: &Request,
    owner: impl Future<Output = Result<Option<O>, store::Error>>,
    page: impl Future<Output = Result<Page<T>, store::Error>>,
    limit: usize,
) -> Result<Option<Page<T>>, Error> {
    if limit > MAX_UNAUTHORISED {
        let (_, owner) = auth::authenticate_and(context, request, owner).await?;
        return Ok(if owner.is_some() { Some(page.await?) } else { None });
    }
    // The page's own error is kept apart, since only an authorised caller may be told it.
    let both = async {
        let (owner, page) = tokio::join!(owner, page);
        Ok(owner?.map(|owner| (owner, page)))
    };
    let (_, found) = auth::authenticate_and(context, request, both).await?;
    Ok(found.map(|(_, page)| page).transpose()?)
}

/// The URL of the page after the key `last`, of the list at `path`, which may have a query. `list` identifies the list, as
/// in [`page`].
pub fn next_url(path: &str, list: &str, limit: usize, last: &str) -> String {
    let cursor = cursor(list, last);
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}limit={limit}&cursor={cursor}")
}

/// The cursor of what follows the key `last` in this list.
pub fn cursor(list: &str, last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{last}", tag(list, last)))
}

/// The key that a cursor of this list holds; `None` for any other text.
pub fn read_cursor(list: &str, cursor: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (given, last) = text.split_at_checked(TAG_LENGTH)?;
    (given == tag(list, last)).then(|| last.to_owned())
}

/// Ties a cursor to its list.
fn tag(list: &str, last: &str) -> String {
    Digest::of(&format!("{list} {last}")).expose_hex().chars().take(TAG_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::RequestExt;
    use lambda_http::aws_lambda_events::query_map::QueryMap;
    use proptest::prelude::*;

    const PATH: &str = "/v1/things";

    fn page(query: &str) -> Result<PageRequest, Vec<String>> {
        let query: QueryMap = query.parse().unwrap();
        let request = Request::default().with_query_string_parameters(query);
        let page = |input: &mut Input<'_>| super::page(input, PATH, |key| key.ends_with("@example.com"));
        input::read(&request, page).map_err(|error| match error {
            Error::Invalid(errors) => {
                errors.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect()
            }
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_limit_is_1_to_1000_and_100_by_default() {
        assert_eq!(page("").unwrap(), PageRequest { limit: 100, after: None });
        assert_eq!(page("limit=1").unwrap().limit, 1);
        assert_eq!(page("limit=1000").unwrap().limit, 1000);
        for limit in ["0", "1001", "-1", "+1", "", "1.0", "x", "99999999999999999999999"] {
            assert!(
                page(&format!("limit={}", limit.replace('+', "%2B"))).unwrap_err()[0]
                    .contains("from 1 to 1000"),
                "{limit}"
            );
        }
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_named() {
        assert_eq!(
            page("limit=1&limit=2&offset=3").unwrap_err(),
            ["limit is given more than once", "offset is not a query parameter of this request"]
        );
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_and_unchanged_alone() {
        let url = next_url(PATH, PATH, 7, "a@example.com");
        let query = url.strip_prefix("/v1/things?").unwrap();
        assert_eq!(page(query).unwrap(), PageRequest { limit: 7, after: Some("a@example.com".into()) });
        let other = next_url(PATH, "/v1/others", 7, "a@example.com");
        assert!(page(other.split_once('?').unwrap().1).is_err());
        assert!(
            page(next_url(PATH, PATH, 7, "é").split_once('?').unwrap().1).is_err(),
            "no key of this list"
        );
        let cursor = query.split("cursor=").nth(1).unwrap();
        for at in 0..cursor.len() {
            let mut damaged = cursor.to_owned();
            damaged.replace_range(at..=at, if &cursor[at..=at] == "A" { "B" } else { "A" });
            assert!(page(&format!("cursor={damaged}")).is_err(), "damaged at {at}");
        }
        assert!(page(&format!("cursor={}", &cursor[1..])).is_err());
    }

    proptest! {
        #[test]
        fn reading_a_cursor_never_panics(text in any::<String>()) {
            let _ = read_cursor(PATH, &text);
        }

        #[test]
        fn every_key_comes_back(last in any::<String>()) {
            let url = next_url(PATH, PATH, 1, &last);
            prop_assert_eq!(read_cursor(PATH, url.split("cursor=").nth(1).unwrap()), Some(last));
        }
    }
}
