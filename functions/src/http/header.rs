//! Header values as API Gateway passes them on.

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
