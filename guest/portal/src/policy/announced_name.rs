//! `Content-Disposition` of a request or of a part of a form: the names that a client announces (RFC 6266, RFC 7578).
//!
//! `filename*` counts before `filename` (RFC 6266, 4.3). RFC 7578 forbids `filename*` in forms, but clients send it.

use crate::policy::{names::BadName, parameters::Parameterized};
use percent_encoding::percent_decode;

/// A parsed `Content-Disposition`. No name is checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Disposition {
    /// The type, in lower case: `attachment`, `form-data`.
    pub(crate) kind: String,
    /// The name of a form's field.
    pub(crate) name: Option<String>,
    /// The name of a file.
    pub(crate) filename: Option<String>,
}

/// Why a `Content-Disposition` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadDisposition {
    /// The value is malformed, repeats a parameter, or splits a filename (RFC 2231).
    Malformed,
    /// `filename*` is not `UTF-8'LANGUAGE'ENCODED` (RFC 8187).
    Extended,
    /// A name is not UTF-8.
    NotUtf8,
}

impl BadDisposition {
    /// Returns the reason, for the client.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            BadDisposition::Malformed => "malformed",
            BadDisposition::Extended => "filename* must be UTF-8''NAME, percent-encoded (RFC 8187)",
            BadDisposition::NotUtf8 => BadName::NotUtf8.reason(),
        }
    }
}

impl Disposition {
    /// Parses the field of a request.
    pub(crate) fn of_request(value: &[u8]) -> Result<Disposition, BadDisposition> {
        Disposition::parse(value, |name| name)
    }

    /// Parses the field of a part. Browsers write `"`, CR and LF in names as `%22`, `%0D` and `%0A`, and no other
    /// character that way.
    pub(crate) fn of_part(value: &[u8]) -> Result<Disposition, BadDisposition> {
        Disposition::parse(value, |name| name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
    }

    fn parse(value: &[u8], decode: impl Fn(String) -> String) -> Result<Disposition, BadDisposition> {
        let parsed = Parameterized::parse(value).ok_or(BadDisposition::Malformed)?;
        if parsed.names().any(|name| name.starts_with("filename*") && name != "filename*") {
            return Err(BadDisposition::Malformed);
        }
        let text = |name| match parsed.get(name).map(|value| String::from_utf8(value.to_vec())) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(decode(text))),
            Some(Err(_)) => Err(BadDisposition::NotUtf8),
        };
        let filename = match parsed.get("filename*") {
            Some(value) => Some(extended(value)?),
            None => text("filename")?,
        };
        Ok(Disposition { kind: parsed.value.clone(), name: text("name")?, filename })
    }
}

/// Decodes an extended value (RFC 8187, 3.2.1).
fn extended(value: &[u8]) -> Result<String, BadDisposition> {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    let (Some(charset), Some(_language), Some(encoded)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Err(BadDisposition::Extended);
    };
    let is_escape = |rest: &[u8]| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit);
    let mut percents = encoded.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    if !charset.eq_ignore_ascii_case(b"utf-8")
        || !encoded.is_ascii()
        || !percents.all(|(at, _)| is_escape(&encoded[at + 1..]))
    {
        return Err(BadDisposition::Extended);
    }
    percent_decode(encoded).decode_utf8().map(Into::into).map_err(|_| BadDisposition::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::{BadDisposition, Disposition};
    use portico_guest::http::disposition::attachment;
    use proptest::prelude::*;

    #[test]
    fn names_of_requests() {
        for (value, filename) in [
            ("attachment; filename=a.txt", Ok("a.txt")),
            ("attachment; filename=\"a \\\"b\\\".txt\"", Ok("a \"b\".txt")),
            ("attachment; filename=\"x.txt\"; filename*=UTF-8''na%C3%AFve.txt", Ok("naïve.txt")),
            ("attachment; filename*=utf-8'en'na%C3%AFve%20it's.txt; filename=x", Ok("naïve it's.txt")),
            ("attachment; filename=\"%22.txt\"", Ok("%22.txt")),
            ("attachment; filename=\"naïve.txt\"", Ok("naïve.txt")),
            ("attachment; filename*=iso-8859-1''na%EFve", Err(BadDisposition::Extended)),
            ("attachment; filename*=\"naive\"", Err(BadDisposition::Extended)),
            ("attachment; filename*=UTF-8''100%", Err(BadDisposition::Extended)),
            ("attachment; filename*=UTF-8''%zz", Err(BadDisposition::Extended)),
            ("attachment; filename*=UTF-8''\u{e9}", Err(BadDisposition::Extended)),
            ("attachment; filename*=UTF-8''%FF", Err(BadDisposition::NotUtf8)),
            ("attachment; filename*0=a; filename*1=b", Err(BadDisposition::Malformed)),
            ("attachment; filename=a; filename=b", Err(BadDisposition::Malformed)),
        ] {
            let parsed = Disposition::of_request(value.as_bytes());
            assert_eq!(parsed.map(|parsed| parsed.filename.unwrap()), filename.map(str::to_owned), "{value}");
        }
        let latin = Disposition::of_request(b"attachment; filename=\"na\xefve\"");
        assert_eq!(latin, Err(BadDisposition::NotUtf8));
    }

    #[test]
    fn names_of_parts_as_browsers_write_them() {
        let parsed = Disposition::of_part(b"form-data; name=\"a%22b\"; filename=\"%22c%22 100% %20 %0D%0A\"").unwrap();
        assert_eq!(parsed.name.as_deref(), Some("a\"b"));
        assert_eq!(parsed.filename.as_deref(), Some("\"c\" 100% %20 \r\n"));
        let field = Disposition::of_part(b"form-data; name=note").unwrap();
        assert_eq!((field.name.as_deref(), field.filename), (Some("note"), None));
    }

    proptest! {
        #[test]
        fn a_name_of_a_download_is_understood(name in "[^/\\\\]{1,40}") {
            let parsed = Disposition::of_request(attachment(&name).as_bytes()).unwrap();
            prop_assert_eq!(parsed.filename, Some(name));
        }
    }
}
