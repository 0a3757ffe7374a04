//! Email addresses: the rule of the HTML standard, and the limits of mail systems.

use serde::{Deserialize, Serialize};

use super::{domain, text};

/// The longest address, in bytes.
pub const MAX_BYTES: usize = 254;

const NO_ADDRESS: &str = "must be a valid email address, such as ops@example.com";

/// A valid address in lower case.
///
/// A [valid email address][html] of the HTML standard with these limits: the local part has at most 64 bytes and no
/// leading, trailing or doubled dot; the domain has at least one dot; the address has at most 254 bytes (RFC 5321
/// §4.5.3.1, RFC 3696 erratum 1690).
///
/// A stored address is shown as it is: it kept the rules of the day it was written.
///
/// [html]: https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email(String);

impl Email {
    /// Trims white space, lower-cases ASCII letters, and checks the rest. The error says what is wrong.
    pub fn parse(given: &str) -> Result<Self, &'static str> {
        let address = given.trim().to_ascii_lowercase();
        let Some((local, domain)) = address.split_once('@') else { return Err(NO_ADDRESS) };
        if address.len() > MAX_BYTES {
            Err("must have at most 254 characters")
        } else if is_local_part(local) && domain::is_domain(domain) {
            Ok(Self(address))
        } else if address.contains(char::is_whitespace) {
            Err("must be an email address without spaces; in a URL, write a + in it as %2B")
        } else if address.contains(text::is_invisible) {
            Err("must not contain invisible characters, such as zero-width ones that were pasted with it")
        } else if !local.is_ascii() {
            Err("must have only ASCII characters before the @")
        } else if !domain.is_ascii() {
            Err("must have its domain in ASCII, such as xn--bcher-kva.example for bücher.example")
        } else {
            Err(NO_ADDRESS)
        }
    }

    /// The address, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local_part(local: &str) -> bool {
    local.len() <= 64
        && local.split('.').all(|atom| {
            !atom.is_empty()
                && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_trimmed_and_lower_cased() {
        assert_eq!(
            Email::parse(" Bulk.API+x@First-National.Example\n").unwrap().as_str(),
            "bulk.api+x@first-national.example"
        );
    }

    #[test]
    fn takes_what_the_html_standard_takes() {
        for address in
            ["a@b.c", "o'neil/x=y@example.com", "!#$%&'*+/=?^_`{|}~-@1.2", "a@xn--bcher-kva.example"]
        {
            assert!(Email::parse(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for address in [
            "",
            "@",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a@@b.c",
            "a@b@c.d",
            "a b@c.d",
            "a@b c.d",
            "a@b..c",
            "a@.b.c",
            "a@b.c.",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@-b.c",
            "a@b-.c",
            "a@b_c.d",
            "a,b@c.d",
            "\"a\"@b.c",
            "a@[1.2.3.4]",
            "ä@b.c",
            "a@bücher.example",
            "\u{212a}@b.c",
            "a\0@b.c",
            "a@b.c\u{200b}",
            "Bob <a@b.c>",
            "a@b.c,d@e.f",
        ] {
            assert!(Email::parse(address).is_err(), "{address:?} was taken for an address");
        }
    }

    #[test]
    fn an_error_says_what_to_send() {
        for (address, hint) in [
            ("a b@c.example", "%2B"),
            ("a@c. example", "without spaces"),
            ("a@c.example\u{200b}", "invisible"),
            ("bücher@c.example", "before the @"),
            ("a@bücher.example", "xn--"),
            ("a@b", "ops@example.com"),
        ] {
            assert!(Email::parse(address).unwrap_err().contains(hint), "{address}");
        }
    }

    #[test]
    fn has_the_limits_of_mail_systems() {
        let domain = format!("{}.{}.{}.x", "d".repeat(63), "d".repeat(63), "d".repeat(60));
        assert_eq!(domain.len(), 190);
        let local_63 = "l".repeat(63);
        let local_64 = "l".repeat(64);
        assert!(Email::parse(&format!("{local_63}@{domain}")).is_ok(), "254 in all");
        assert!(Email::parse(&format!("{local_64}@{domain}")).is_err(), "255 in all");
        assert!(Email::parse(&format!("{local_64}@b.c")).is_ok());
        assert!(Email::parse(&format!("{local_64}l@b.c")).is_err(), "65 in the local part");
        assert!(Email::parse(&format!("a@{}.c", "d".repeat(64))).is_err(), "64 in a label");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Email::parse(&text);
        }

        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(text in "[ A-Za-z0-9.!#+_-]{1,10}@[A-Za-z0-9.-]{1,12}") {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(email.as_str(), text.trim().to_ascii_lowercase());
                prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
            }
        }
    }
}
