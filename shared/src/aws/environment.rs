//! What Lambda gives a function in its environment: the region, the credentials, and endpoints other than AWS's.

use std::net::Ipv6Addr;

use aws_sdk_dynamodb::config::Credentials;

/// The region and the credentials of a function. They stay the same for as long as the sandbox lives.
pub(crate) struct Environment {
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
}

impl Environment {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// Which variable is missing or malformed.
    pub(crate) fn read() -> Result<Self, String> {
        let variable = |name| given(name).ok_or_else(|| format!("{name} is not set"));
        let region = variable("AWS_REGION")?;
        let is_region = region.starts_with(|c: char| c.is_ascii_lowercase())
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_region {
            return Err("AWS_REGION must be the name of a region, such as eu-central-1".to_owned());
        }
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID")?,
            variable("AWS_SECRET_ACCESS_KEY")?,
            given("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Ok(Self { region, credentials })
    }
}

/// The URL in the variable of a service, or else in `AWS_ENDPOINT_URL`; `None` if neither is set.
///
/// # Errors
/// That the variable must be a URL.
pub(crate) fn endpoint_url(of_service: &str) -> Result<Option<String>, String> {
    let found = [of_service, "AWS_ENDPOINT_URL"].into_iter().find_map(|name| Some((name, given(name)?)));
    match found {
        Some((name, url)) if !is_http_url(&url) => Err(format!("{name} must be an http or https URL")),
        found => Ok(found.map(|(_, url)| url)),
    }
}

/// A variable that is set, and not to white space.
pub(crate) fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// Whether a text is the URL of an HTTP server.
fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().is_ok()),
        _ => (authority, true),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    port && match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_url_has_a_host_and_perhaps_a_port() {
        for url in [
            "http://127.0.0.1:8000",
            "https://dynamodb.eu-central-1.amazonaws.com",
            "https://dynamodb-fips.us-east-1.amazonaws.com/",
            "http://[::1]:8000",
            "http://localhost",
        ] {
            assert!(is_http_url(url), "{url}");
        }
        for url in [
            "",
            "127.0.0.1:8000",
            "https://",
            "https://:80",
            "https://a:x",
            "https://a:",
            "https://[",
            "https://[::1",
            "https://a:99999",
            "ftp://a",
            "https://a b",
            "https://user@a",
        ] {
            assert!(!is_http_url(url), "{url}");
        }
    }
}
