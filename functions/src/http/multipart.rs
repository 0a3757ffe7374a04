//! A body that is a form with a file (RFC 7578, `multipart/form-data`).

use std::convert::Infallible;

use docyard_core::values::field_error::{FieldError, shown};
use futures_util::stream;
use lambda_http::Request;
use lambda_http::http::header::CONTENT_TYPE;
use multer::Multipart;
use multer::bytes::Bytes;

use super::body::check_encoding;
use super::error::Error;

/// The largest file, in bytes: 4 MiB. In base64, as API Gateway passes it on, it just fits an invocation of Lambda.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// How much more a body may have than its file: the other fields, and what separates them.
const MAX_OVERHEAD: usize = 64 * 1024;

pub(crate) const SEND_FORM: &str = "Send the file as multipart/form-data, in a field called file";
const NOT_A_FORM: &str = "The request body is not a valid multipart/form-data form";

/// A file of a form.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// The name that the form gives it.
    pub filename: Option<String>,
    /// The media type that the form gives it.
    pub media_type: Option<String>,
    /// Its content.
    pub content: Bytes,
}

/// A form.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The file in its field `file`; `None` if there is none.
    pub file: Option<File>,
    /// The text in its field `metadata`.
    pub metadata: Option<Bytes>,
    /// What is wrong with its fields: they are unknown, or given more than once.
    pub errors: Vec<FieldError>,
}

/// Reads the form that is a request's body. `too_large` is what is said of one with a larger file.
///
/// # Errors
/// 400 if it is none, 413, 415.
pub async fn read(request: &Request, too_large: &'static str) -> Result<Form, Error> {
    let body: &[u8] = request.body();
    if body.len() > MAX_FILE_BYTES + MAX_OVERHEAD {
        return Err(Error::PayloadTooLarge(too_large));
    }
    check_encoding(request)?;
    let declared = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(declared.unwrap_or_default());
    let boundary = boundary.map_err(|_| Error::UnsupportedMediaType(SEND_FORM))?;
    let body = Bytes::copy_from_slice(body);
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut form = Form::default();
    let invalid = |_| Error::BadRequest { message: NOT_A_FORM, errors: Vec::new() };
    while let Some(part) = parts.next_field().await.map_err(invalid)? {
        let name = part.name().unwrap_or_default().to_owned();
        let filename = part.file_name().map(str::to_owned);
        let media_type = part.content_type().map(ToString::to_string);
        let content = part.bytes().await.map_err(invalid)?;
        let is_repeated = match name.as_str() {
            "file" => form.file.replace(File { filename, media_type, content }).is_some(),
            "metadata" => form.metadata.replace(content).is_some(),
            _ => {
                form.errors.push(FieldError::new(shown(&name), "is not a known field"));
                false
            }
        };
        if is_repeated {
            form.errors.push(FieldError::new(name, "is given more than once"));
        }
    }
    match &form.file {
        Some(file) if file.content.len() > MAX_FILE_BYTES => Err(Error::PayloadTooLarge(too_large)),
        _ => Ok(form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use lambda_http::Body;
    use proptest::prelude::*;

    /// What a body with this media type is read as; it takes no waiting.
    fn form(media_type: Option<&str>, body: impl Into<Vec<u8>>) -> Result<Form, Error> {
        let mut request = Request::new(Body::Binary(body.into()));
        if let Some(media_type) = media_type {
            request.headers_mut().insert(CONTENT_TYPE, media_type.parse().unwrap());
        }
        read(&request, "too large").now_or_never().unwrap()
    }

    fn of_parts(parts: &[(&str, &[u8])]) -> Result<Form, Error> {
        let mut body = Vec::new();
        for (head, content) in parts {
            body.extend(format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes());
            body.extend_from_slice(content);
            body.extend(b"\r\n");
        }
        body.extend(b"--b--\r\n");
        form(Some("multipart/form-data; boundary=b"), body)
    }

    #[test]
    fn a_form_has_one_file_and_metadata() {
        let head = "name=\"file\"; filename=\"a.pdf\"\r\nContent-Type: application/pdf";
        let read = of_parts(&[(head, b"\0\xff\r\n--"), ("name=\"metadata\"", b"{}")]).unwrap();
        let file = read.file.unwrap();
        assert_eq!(
            (file.filename.as_deref(), file.media_type.as_deref()),
            (Some("a.pdf"), Some("application/pdf"))
        );
        assert_eq!((&file.content[..], read.metadata.as_deref()), (&b"\0\xff\r\n--"[..], Some(&b"{}"[..])));
        assert!(read.errors.is_empty());
    }

    #[test]
    fn what_is_there_twice_or_unknown_is_named() {
        let read = of_parts(&[("name=file", b"a"), ("name=file", b"b"), ("name=files", b"")]).unwrap();
        let fields: Vec<&str> = read.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["file", "files"]);
        assert_eq!(of_parts(&[]).unwrap(), Form::default());
    }

    #[test]
    fn what_is_no_form_or_too_large_is_refused() {
        for media_type in
            [None, Some("application/json"), Some("multipart/form-data"), Some("multipart/mixed; boundary=b")]
        {
            assert!(matches!(form(media_type, "x"), Err(Error::UnsupportedMediaType(_))), "{media_type:?}");
        }
        let cut = form(
            Some("multipart/form-data; boundary=b"),
            "--b\r\nContent-Disposition: form-data; name=file\r\n\r\nx",
        );
        assert!(matches!(cut, Err(Error::BadRequest { .. })));
        assert!(of_parts(&[("name=file", &vec![0; MAX_FILE_BYTES])]).is_ok());
        for size in [MAX_FILE_BYTES + 1, MAX_FILE_BYTES + MAX_OVERHEAD] {
            let refused = of_parts(&[("name=file", &vec![0; size])]);
            assert!(matches!(refused, Err(Error::PayloadTooLarge("too large"))), "{size}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(media_type in "multipart/form-data; boundary=[ -~]{0,8}", body: Vec<u8>) {
            let _ = form(Some(&media_type), body);
        }

        #[test]
        fn reading_a_form_like_text_never_panics(body in "(--b|\r\n|Content-Disposition: form-data; name=\"?file|[ -~]|--){0,20}") {
            let _ = form(Some("multipart/form-data; boundary=b"), body);
        }
    }
}
