//! Header values as API Gateway passes them on.

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

/// The host that the client asked for. What a client sends under this name is not passed on.
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The scheme and host by which the request came, as API Gateway says.
pub fn base_url(request: &Request) -> String {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(FORWARDED_HOST).filter(|host| Authority::try_from(*host).is_ok()).unwrap_or_default();
    let scheme = if header(FORWARDED_PROTO) == Some("http") { "http" } else { "https" };
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
