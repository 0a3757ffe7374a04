//! Lists: their parameters, `limit` and `cursor`, and the URL of the next page.
//!
//! A cursor holds the last key of the page before it, and a digest that ties it to its list. The digest guards against
//! mistakes, not against a forger: a forged cursor can only choose where in the caller's own list a page begins, since
//! which list is read comes from the path alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::{Request, RequestExt};

use docyard_core::values::field_error::shown;
use docyard_core::values::digest::Digest;
use crate::http::error::Error;
use docyard_core::values::field_error::FieldError;

/// How many characters of the digest's hex a cursor carries.
const TAG_LENGTH: usize = 16;

/// A request's query parameters, taken out one by one. Each may be given once.
pub struct Parameters {
    given: Vec<(String, String)>,
    complaints: Vec<FieldError>,
}

impl Parameters {
    /// Those of `request`.
    pub fn of(request: &Request) -> Self {
        let given = request
            .query_string_parameters_ref()
            .map(|query| query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        Self { given: given.unwrap_or_default(), complaints: Vec::new() }
    }

    /// Takes the parameter of this name. `None` means that a complaint was recorded.
    pub fn take<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<Option<T>> {
        let mut values = Vec::new();
        self.given.retain(|(given, value)| {
            let is_other = given != name;
            if !is_other {
                values.push(value.clone());
            }
            is_other
        });
        let parsed = match values.as_slice() {
            [] => return Some(None),
            [value] => parse(value),
            _ => Err("is given more than once"),
        };
        parsed.map(Some).map_err(|message| self.complaints.push(FieldError::new(name, message))).ok()
    }

    /// Takes `limit` and `cursor` of a list, which `list` tells from all others: its path, which names a dock or a
    /// recipient and so an account, or else the account too. `is_key` knows a key of the list. `None` means that a
    /// complaint was recorded.
    pub fn window(&mut self, list: &str, is_key: impl Fn(&str) -> bool) -> Option<PageRequest> {
        let limit = self.take("limit", |text| {
            let limit = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
            limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or("must be an integer from 1 to 1000")
        });
        let after = self.take("cursor", |text| {
            read_cursor(list, text)
                .filter(|last| is_key(last))
                .ok_or("must be a cursor that this list gave in its Link header, unchanged")
        });
        Some(PageRequest { limit: limit?.unwrap_or(DEFAULT_LIMIT), after: after? })
    }

    /// Gives `value` if there was nothing to complain about; what was not taken is refused as unknown.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming every parameter that is wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Error> {
        for (name, _) in &self.given {
            self.complaints.push(FieldError::new(shown(name), "is not a query parameter of this request"));
        }
        match value {
            Some(value) if self.complaints.is_empty() => Ok(value),
            _ => Err(Error::Invalid(self.complaints)),
        }
    }
}

/// The URL of the page that begins behind `last`, of the list at `path`. `list` tells the list from all others.
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

    fn window(query: &str) -> Result<PageRequest, Vec<String>> {
        let query: QueryMap = query.parse().unwrap();
        let request = Request::default().with_query_string_parameters(query);
        let mut parameters = Parameters::of(&request);
        let window = parameters.window(PATH, |key| key.ends_with("@example.com"));
        parameters.finish(window).map_err(|error| match error {
            Error::Invalid(complaints) => {
                complaints.into_iter().map(|c| format!("{} {}", c.field, c.message)).collect()
            }
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_limit_is_1_to_1000_and_100_by_default() {
        assert_eq!(window("").unwrap(), PageRequest { limit: 100, after: None });
        assert_eq!(window("limit=1").unwrap().limit, 1);
        assert_eq!(window("limit=1000").unwrap().limit, 1000);
        for limit in ["0", "1001", "-1", "+1", "", "1.0", "x", "99999999999999999999999"] {
            assert!(
                window(&format!("limit={}", limit.replace('+', "%2B"))).unwrap_err()[0]
                    .contains("from 1 to 1000"),
                "{limit}"
            );
        }
    }

    #[test]
    fn an_unknown_or_repeated_parameter_is_named() {
        assert_eq!(
            window("limit=1&limit=2&offset=3").unwrap_err(),
            ["limit is given more than once", "offset is not a query parameter of this request"]
        );
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_and_unchanged_alone() {
        let url = next_url(PATH, PATH, 7, "a@example.com");
        let query = url.strip_prefix("/v1/things?").unwrap();
        assert_eq!(window(query).unwrap(), PageRequest { limit: 7, after: Some("a@example.com".into()) });
        let other = next_url(PATH, "/v1/others", 7, "a@example.com");
        assert!(window(other.split_once('?').unwrap().1).is_err());
        assert!(
            window(next_url(PATH, PATH, 7, "é").split_once('?').unwrap().1).is_err(),
            "no key of this list"
        );
        let cursor = query.split("cursor=").nth(1).unwrap();
        for at in 0..cursor.len() {
            let mut damaged = cursor.to_owned();
            damaged.replace_range(at..=at, if &cursor[at..=at] == "A" { "B" } else { "A" });
            assert!(window(&format!("cursor={damaged}")).is_err(), "damaged at {at}");
        }
        assert!(window(&format!("cursor={}", &cursor[1..])).is_err());
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
