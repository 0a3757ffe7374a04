//! Header values as API Gateway passes them on.

use docyard_core::context::Context;
use lambda_http::Request;
use lambda_http::http::HeaderName;
use lambda_http::http::uri::Authority;

/// Whether a header was given more than once: API Gateway joins the values with commas. A comma in double quotes is part
/// of a value.
pub(super) fn is_repeated(value: &[u8]) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value.iter().any(|&byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        byte == b',' && !is_quoted
    })
}

/// The domain name at which API Gateway took the request. What a client sends under this name is not passed on.
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The scheme and host at which API Gateway took the request, whatever its headers say.
pub fn base_url(context: &Context, request: &Request) -> String {
    let host = request.headers().get(FORWARDED_HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| Authority::try_from(*host).is_ok()).unwrap_or_default();
    let is_plain = context.plain_authority.as_deref() == Some(host);
    format!("{}://{host}", if is_plain { "http" } else { "https" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use docyard_core::aws::dynamodb;
    use docyard_core::model::api_key::Mode;
    use docyard_core::store::Store;
    use docyard_core::values::clock::Clock;
    use lambda_http::http::HeaderValue;

    #[test]
    fn an_address_is_where_the_request_was_taken_and_https_but_on_a_laptop() {
        let store = Store::new(dynamodb::local_client("http://127.0.0.1:1"), "t");
        let context = Context::new(store, Mode::Live, Clock::system());
        let mut request = Request::default();
        request.headers_mut().insert(FORWARDED_HOST, HeaderValue::from_static("localhost:3000"));
        request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("http"));
        for (plain, expected) in [
            (None, "https://localhost:3000"),
            (Some("localhost"), "https://localhost:3000"),
            (Some("localhost:3000"), "http://localhost:3000"),
        ] {
            let context = context.clone().with_plain_authority(plain.map(str::to_owned));
            assert_eq!(base_url(&context, &request), expected);
        }
    }

    #[test]
    fn a_comma_outside_of_quotes_joins_two_values() {
        for repeated in ["k,k", "k, k", ",", "\"a\",\"a\"", r#""a\"",b"#] {
            assert!(is_repeated(repeated.as_bytes()), "{repeated}");
        }
        for single in ["", "k", "\"a,b\"", r#""a\",b""#, "k;v=\"a,b\""] {
            assert!(!is_repeated(single.as_bytes()), "{single}");
        }
    }
}
