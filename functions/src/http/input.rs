//! What a request brings besides its path and its credential: query parameters, headers and a body. All that is wrong
//! with them is collected, and answered at once.

use std::collections::BTreeSet;

use docyard_core::values::field_error::{FieldError, Rejected, shown};
use docyard_core::values::fields::Fields;
use docyard_core::values::json::Json;
use lambda_http::http::HeaderName;
use lambda_http::http::header::{CONTENT_TYPE, IF_MATCH};
use lambda_http::{Request, RequestExt};

use super::body::{self, JSON, MERGE_PATCH};
use super::error::Error;
use super::header::is_repeated;
use super::idempotency::IdempotencyKey;
use super::if_match::IfMatch;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The headers that must be single.
const SINGLE: [(&str, HeaderName); 3] =
    [("Idempotency-Key", IDEMPOTENCY_KEY), ("If-Match", IF_MATCH), ("Content-Type", CONTENT_TYPE)];

/// The input of a request. A parser takes out of it what it knows.
pub struct Input<'a> {
    request: &'a Request,
    parameters: Vec<(String, String)>,
    /// The headers that were taken.
    taken: Vec<HeaderName>,
    errors: Vec<FieldError>,
    /// Why the body cannot be read.
    refused: Option<Error>,
}

/// Reads a request's input into a domain value.
///
/// `parse` takes everything it knows before it returns an error, so that all errors are collected. A query parameter or
/// an `If-Match` that it leaves is refused, and so is any header that must be single and is given twice.
///
/// # Errors
/// 400, 413 or 415, as `Error` describes them.
pub fn read<T>(
    request: &Request,
    parse: impl FnOnce(&mut Input<'_>) -> Result<T, Rejected>,
) -> Result<T, Error> {
    let query = request.query_string_parameters_ref();
    let parameters = query.map(|query| query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut input = Input {
        request,
        parameters: parameters.map(Iterator::collect).unwrap_or_default(),
        taken: Vec::new(),
        errors: Vec::new(),
        refused: None,
    };
    let value = parse(&mut input);
    let Input { parameters, taken, mut errors, refused, .. } = input;
    for name in parameters.into_iter().map(|(name, _)| name).collect::<BTreeSet<String>>() {
        errors.push(FieldError::new(shown(&name), "is not a query parameter of this request"));
    }
    for (name, header) in SINGLE.into_iter().filter(|(_, header)| !taken.contains(header)) {
        let Some(value) = request.headers().get(&header) else { continue };
        if is_repeated(value.as_bytes()) {
            errors.push(FieldError::new(name, "must be given once"));
        } else if header == IF_MATCH {
            let message = "is not a header of this request; those take it that change what has an ETag";
            errors.push(FieldError::new(name, message));
        }
    }
    match (value, refused) {
        (_, Some(Error::BadRequest { message, .. })) => Err(Error::BadRequest { message, errors }),
        (_, Some(refused)) => Err(refused),
        (Ok(value), None) if errors.is_empty() => Ok(value),
        _ => Err(Error::Invalid(errors)),
    }
}

/// Checks the input of a request that takes none.
///
/// # Errors
/// [`Error::Invalid`], naming what it has.
pub fn read_none(request: &Request) -> Result<(), Error> {
    read(request, |_| Ok(()))
}

impl Input<'_> {
    /// Takes the query parameter of this name; `None` if it is absent.
    ///
    /// # Errors
    /// [`Rejected`] if it is given more than once or `parse` fails.
    pub fn parameter<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, Rejected> {
        let is_named = |(given, _): &mut (String, String)| given == name;
        let values: Vec<(String, String)> = self.parameters.extract_if(.., is_named).collect();
        match values.as_slice() {
            [] => Ok(None),
            [(_, value)] => self.accept(name, parse(value)).map(Some),
            _ => self.accept(name, Err("is given more than once")),
        }
    }

    /// Takes the query parameter of this name, which must be there.
    ///
    /// # Errors
    /// [`Rejected`] if it is missing, given more than once, or `parse` fails.
    pub fn required_parameter<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<T, Rejected> {
        match self.parameter(name, parse)? {
            Some(value) => Ok(value),
            None => self.accept(name, Err("is required")),
        }
    }

    /// Adds an error of a query parameter, for what only several of them together show.
    ///
    /// # Errors
    /// [`Rejected`], always.
    pub fn refuse<T>(&mut self, name: &str, message: &'static str) -> Result<T, Rejected> {
        self.accept(name, Err(message))
    }

    /// Takes the header `Idempotency-Key`; `None` if it is absent.
    ///
    /// # Errors
    /// [`Rejected`] if it is no key.
    pub fn idempotency_key(&mut self) -> Result<Option<IdempotencyKey>, Rejected> {
        self.header("Idempotency-Key", &IDEMPOTENCY_KEY, IdempotencyKey::parse)
    }

    /// Takes the header `If-Match`; any state will do if it is absent.
    ///
    /// # Errors
    /// [`Rejected`] if it is neither one entity tag nor `*`.
    pub fn if_match(&mut self) -> Result<IfMatch, Rejected> {
        Ok(self.header("If-Match", &IF_MATCH, IfMatch::parse)?.unwrap_or(IfMatch::Any))
    }

    /// Takes the body, an object.
    ///
    /// # Errors
    /// [`Rejected`] if it cannot be read or `parse` fails.
    pub fn body<T>(&mut self, parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>) -> Result<T, Rejected> {
        self.object(body::object(self.request, &[JSON]), parse)
    }

    /// Takes the body of a request about many resources, an object of up to 1 MiB.
    ///
    /// # Errors
    /// As [`Input::body`].
    pub fn batch_body<T>(
        &mut self,
        parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
    ) -> Result<T, Rejected> {
        self.object(body::batch_object(self.request), parse)
    }

    /// Takes the body of a PATCH, an object; it may also be declared as `application/merge-patch+json`.
    ///
    /// # Errors
    /// As [`Input::body`].
    pub fn merge_patch<T>(
        &mut self,
        parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
    ) -> Result<T, Rejected> {
        self.object(body::object(self.request, &[JSON, MERGE_PATCH]), parse)
    }

    /// Takes a body that may be absent. No body, white space and `null` are an empty object: generated clients send
    /// one or the other.
    ///
    /// # Errors
    /// As [`Input::body`].
    pub fn optional_body<T>(
        &mut self,
        parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
    ) -> Result<T, Rejected> {
        self.object(body::optional_object(self.request), parse)
    }

    /// Takes the body of a request without fields: none, or an empty object.
    ///
    /// # Errors
    /// As [`Input::body`].
    pub fn no_body(&mut self) -> Result<(), Rejected> {
        self.optional_body(|_| Ok(()))
    }

    fn object<T>(
        &mut self,
        members: Result<Vec<(String, Json)>, Error>,
        parse: impl FnOnce(&mut Fields) -> Result<T, Rejected>,
    ) -> Result<T, Rejected> {
        match members {
            Ok(members) => body::parse_object(members, &mut self.errors, parse),
            Err(error) => {
                self.refused = Some(error);
                Err(Rejected)
            }
        }
    }

    fn header<T>(
        &mut self,
        name: &str,
        header: &HeaderName,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, Rejected> {
        self.taken.push(header.clone());
        let Some(value) = self.request.headers().get(header) else { return Ok(None) };
        if is_repeated(value.as_bytes()) {
            return self.accept(name, Err("must be given once; a comma in it needs double quotes"));
        }
        // What is not ASCII fails the rule of every header.
        self.accept(name, parse(&String::from_utf8_lossy(value.as_bytes()))).map(Some)
    }

    fn accept<T>(&mut self, name: &str, parsed: Result<T, &'static str>) -> Result<T, Rejected> {
        parsed.map_err(|message| {
            self.errors.push(FieldError::new(name, message));
            Rejected
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docyard_core::values::fields::string;
    use lambda_http::Body;
    use lambda_http::aws_lambda_events::query_map::QueryMap;

    fn request(query: &str, headers: &[(&'static str, &str)], body: &str) -> Request {
        let query: QueryMap = query.parse().unwrap();
        let mut request = Request::new(Body::from(body)).with_query_string_parameters(query);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    fn fields(error: Error) -> Vec<String> {
        match error {
            Error::Invalid(errors) | Error::BadRequest { errors, .. } => {
                errors.into_iter().map(|error| error.field).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let read = |query: &str, headers: &[(&'static str, &str)], body: &str| {
            let result = read(&request(query, headers, body), |input| {
                let key = input.idempotency_key();
                let body = input.body(|fields| fields.required("name", string(|_| Ok(()))));
                Ok((key?.is_some(), body?))
            });
            result.map(|(has_key, ())| has_key).map_err(fields)
        };
        assert_eq!(read("", &[("idempotency-key", "k")], r#"{"name":"x"}"#), Ok(true));
        assert_eq!(read("", &[], r#"{"name":"x"}"#), Ok(false));
        let headers = [("idempotency-key", "k,k"), ("if-match", "*")];
        assert_eq!(
            read("expiresInDays=90", &headers, r#"{"nam":"x"}"#).unwrap_err(),
            ["Idempotency-Key", "name", "nam", "expiresInDays", "If-Match"]
        );
        assert_eq!(read("a=1", &headers, "x").unwrap_err(), ["Idempotency-Key", "a", "If-Match"], "no body");
    }

    #[test]
    fn a_request_that_takes_no_input_refuses_parameters_and_conditions() {
        assert!(read_none(&request("", &[], "ignored")).is_ok());
        assert_eq!(fields(read_none(&request("a=1&a=2", &[], "")).unwrap_err()), ["a"]);
        assert_eq!(fields(read_none(&request("", &[("if-match", "\"0\"")], "")).unwrap_err()), ["If-Match"]);
    }

    #[test]
    fn a_header_that_must_be_single_is_refused_where_it_is_repeated_even_if_it_is_not_read() {
        for (name, value) in [
            ("idempotency-key", "k,k"),
            ("idempotency-key", "\"a\",\"a\""),
            ("if-match", "\"1\", \"2\""),
            ("content-type", "application/json, application/json"),
        ] {
            let Err(Error::Invalid(errors)) = read_none(&request("", &[(name, value)], "")) else {
                panic!("{name}: {value}")
            };
            assert!(errors[0].field.eq_ignore_ascii_case(name) && errors[0].message == "must be given once");
        }
        assert!(read_none(&request("", &[("idempotency-key", "\"a,b\"")], "")).is_ok());
    }

    #[test]
    fn a_condition_is_taken_where_it_is_honoured() {
        let read = |headers: &[(&'static str, &str)]| {
            read(&request("", headers, ""), |input| input.if_match()).map_err(fields)
        };
        assert_eq!(read(&[]), Ok(IfMatch::Any));
        assert_eq!(read(&[("if-match", "\"4\"")]), Ok(IfMatch::Version(4)));
        assert_eq!(read(&[("if-match", "\"4\",\"5\"")]).unwrap_err(), ["If-Match"]);
    }
}
