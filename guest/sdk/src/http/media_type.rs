//! The media type of a file, stored as the client gave it if it is well-formed (RFC 9110, 8.3.1).

use crate::limits::CONTENT_TYPE_MAX;

/// The media type of unknown content (RFC 9110, 8.3).
pub const DEFAULT: &str = "application/octet-stream";

/// The detail of a problem about a malformed media type.
pub const EXPECTED: &str = "not a media type of at most 255 bytes";

/// Returns the announced media type; `None` if the text is malformed. An absent or blank text is [`DEFAULT`], because
/// browsers send a blank one for files of unknown type.
pub fn announced(text: Option<&str>) -> Option<&str> {
    match text {
        Some(text) if !text.trim_matches([' ', '\t']).is_empty() => Some(text).filter(|text| is_valid(text)),
        _ => Some(DEFAULT),
    }
}

/// Returns whether the media type in a `Content-Type` field is `essence`, whatever its parameters.
pub fn is(field: &str, essence: &str) -> bool {
    field.split_once(';').map_or(field, |(found, _)| found).trim().eq_ignore_ascii_case(essence)
}

/// Returns whether the text is `type/subtype` with optional parameters, and fits the contract: 255 bytes of visible
/// ASCII and spaces. Parameters are not checked.
fn is_valid(text: &str) -> bool {
    let (essence, _parameters) = text.split_once(';').unwrap_or((text, ""));
    let Some((kind, subtype)) = essence.trim_end_matches(' ').split_once('/') else { return false };
    text.len() <= CONTENT_TYPE_MAX
        && text.bytes().all(|b| matches!(b, b' '..=b'~'))
        && [kind, subtype].iter().all(|token| !token.is_empty() && token.bytes().all(is_token_byte))
}

/// Returns whether a byte is a `tchar` (RFC 9110, 5.6.2).
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, announced, is, is_valid};

    #[test]
    fn an_empty_type_is_as_good_as_none() {
        for text in [None, Some(""), Some(" "), Some(" \t ")] {
            assert_eq!(announced(text), Some(DEFAULT), "{text:?}");
        }
        assert_eq!(announced(Some("text/plain")), Some("text/plain"));
        for text in [";", ";charset=utf-8", "\n", "text", ", "] {
            assert_eq!(announced(Some(text)), None, "{text:?}");
        }
    }

    #[test]
    fn parameters_and_letter_case_change_no_essence() {
        for (field, same) in [("a/b", true), (" A/B ;c=d", true), ("a/bc", false), ("", false), (";a/b", false)] {
            assert_eq!(is(field, "a/b"), same, "{field}");
        }
    }

    #[test]
    fn media_types() {
        for text in [
            DEFAULT,
            "text/plain",
            "text/plain; charset=utf-8",
            "text/plain ;charset=\"utf-8\"",
            "image/svg+xml",
            "application/vnd.ms-excel.sheet.macroEnabled.12",
            "*/*",
        ] {
            assert!(is_valid(text), "{text}");
        }
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain, text/html",
            "text/pl ain",
            " text/plain",
            "text/a/b",
            "text/plain\r\nX: y",
            "text/plain;\tcharset=utf-8",
            "text/plain; name=\u{e9}",
            "tëxt/plain",
            ";",
        ] {
            assert!(!is_valid(text), "{text}");
        }
        let longest = format!("text/{}", "x".repeat(250));
        assert!(is_valid(&longest) && !is_valid(&format!("{longest}x")));
    }
}
