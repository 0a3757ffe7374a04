//! Lists: the query parameters, of which `limit` and `cursor` choose a page, and the URL of the next page.
//!
//! A cursor holds the last key of the page before, and a digest that ties it to its list. The digest prevents mistakes,
//! not forgery: the path alone decides which list is read, so a forged cursor can only choose where in the caller's own
//! list a page begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docyard_core::model::owned::Owned;
use docyard_core::store;
use docyard_core::values::digest::Digest;
use docyard_core::values::field_error::{FieldError, Rejected, shown};
use docyard_core::values::page::{DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest};
use lambda_http::{Request, RequestExt};

use super::error::Error;

/// How many characters of the digest's hex a cursor carries.
const TAG_LENGTH: usize = 16;

/// The query parameters of a request. A parser takes out those it knows. Each may be given once.
pub struct Parameters {
    given: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Parameters {
    /// The query parameters of `request`.
    pub fn of(request: &Request) -> Self {
        let given = request
            .query_string_parameters_ref()
            .map(|query| query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        Self { given: given.unwrap_or_default(), errors: Vec::new() }
    }

    /// Takes the parameter of this name; `None` if it is absent.
    ///
    /// # Errors
    /// [`Rejected`] if it is given more than once or `parse` fails.
    pub fn take<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, Rejected> {
        let mut values = Vec::new();
        self.given.retain(|(given, value)| {
            let is_other = given != name;
            if !is_other {
                values.push(value.clone());
            }
            is_other
        });
        let parsed = match values.as_slice() {
            [] => return Ok(None),
            [value] => parse(value),
            _ => Err("is given more than once"),
        };
        parsed.map(Some).map_err(|message| {
            self.errors.push(FieldError::new(name, message));
            Rejected
        })
    }

    /// Takes `limit` and `cursor` of a list. `list` identifies it: its path, and the account if the path names no
    /// resource. `is_key` says whether a text can be a key of the list.
    ///
    /// # Errors
    /// [`Rejected`] if one of them is not valid.
    pub fn page(&mut self, list: &str, is_key: impl Fn(&str) -> bool) -> Result<PageRequest, Rejected> {
        let limit = self.take("limit", |text| {
            let limit = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
            limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or("must be an integer from 1 to 1000")
        });
        let after = self.take("cursor", |text| {
            read_cursor(list, text)
                .filter(|last| is_key(last))
                .ok_or("must be a cursor that this list gave in its Link header, unchanged")
        });
        Ok(PageRequest { limit: limit?.unwrap_or(DEFAULT_LIMIT), after: after? })
    }

    /// Returns `value` if all parameters are valid. A parameter that was not taken is refused as unknown.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming every parameter that is wrong.
    pub fn finish<T>(mut self, value: Result<T, Rejected>) -> Result<T, Error> {
        for (name, _) in &self.given {
            self.errors.push(FieldError::new(shown(name), "is not a query parameter of this request"));
        }
        match value {
            Ok(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.errors)),
        }
    }
}

/// Reads a page and the resource that owns its list at once; `None` if the resource does not exist. The page's own
/// error is kept apart, since only an authorised caller may be told it.
///
/// # Errors
/// Those of `owner`.
pub async fn beside<O: Owned, T>(
    owner: impl Future<Output = Result<Option<O>, store::Error>>,
    page: impl Future<Output = Result<Page<T>, store::Error>>,
) -> Result<Option<(O, Result<Page<T>, store::Error>)>, store::Error> {
    let (owner, page) = tokio::join!(owner, page);
    Ok(owner?.map(|owner| (owner, page)))
}

/// The URL of the page after the key `last`, of the list at `path`. `list` identifies the list, as in
/// [`Parameters::page`].
pub fn next_url(path: &str, list: &str, limit: usize, last: &str) -> String {
    let cursor = URL_SAFE_NO_PAD.encode(format!("{}{last}", tag(list, last)));
    format!("{path}?limit={limit}&cursor={cursor}")
}

fn read_cursor(list: &str, cursor: &str) -> Option<String> {
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
    use lambda_http::aws_lambda_events::query_map::QueryMap;
    use proptest::prelude::*;

    const PATH: &str = "/v1/things";

    fn page(query: &str) -> Result<PageRequest, Vec<String>> {
        let query: QueryMap = query.parse().unwrap();
        let request = Request::default().with_query_string_parameters(query);
        let mut parameters = Parameters::of(&request);
        let page = parameters.page(PATH, |key| key.ends_with("@example.com"));
        parameters.finish(page).map_err(|error| match error {
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
