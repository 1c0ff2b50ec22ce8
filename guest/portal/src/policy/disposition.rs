//! `Content-Disposition` of a download (RFC 6266, RFC 8187): always an attachment, so that no browser renders a
//! stranger's upload. And that of an upload, for the name.

use crate::policy::upload_metadata::fitting;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters that `filename*` encodes: all but `attr-char` (RFC 8187, 3.2.1).
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Formats the field for a filename. `filename` serves old clients: characters that they misread, and all beyond ASCII,
/// are underscores there. Neither form contains a path separator of any system.
pub(crate) fn attachment(name: &str) -> String {
    let name = name.replace(['/', '\\'], "_");
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '%');
    let fallback: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{}", utf8_percent_encode(&name, EXTENDED))
}

/// Returns the name in the field of an upload, made to fit: `filename*` before `filename` (RFC 6266, 4.3).
pub(crate) fn filename(field: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    let mut rest = field.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.trim_start_matches([' ', '\t', ';']).is_empty() {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (key, value) = rest.split_once('=')?;
        let (value, after) = value_of(value.trim_start_matches([' ', '\t']))?;
        rest = after;
        match key.trim_end_matches([' ', '\t']).to_ascii_lowercase().as_str() {
            "filename" => plain = Some(value),
            "filename*" => {
                let encoded = value.split_once('\'').and_then(|(charset, rest)| {
                    charset.eq_ignore_ascii_case("utf-8").then(|| rest.split_once('\''))?
                });
                extended =
                    encoded.and_then(|(_, text)| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned()));
            }
            _ => {}
        }
    }
    extended.or(plain).filter(|name| !name.is_empty()).map(|name| fitting(&name))
}

/// Splits a token or a quoted string (RFC 9110, 5.6.4) from what follows it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_end_matches([' ', '\t']).to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{attachment, filename};
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    #[test]
    fn names_in_both_forms() {
        for (name, filename, extended) in [
            ("a.txt", "a.txt", "a.txt"),
            ("a b.txt", "a b.txt", "a%20b.txt"),
            ("naïve.txt", "na_ve.txt", "na%C3%AFve.txt"),
            ("a\"; filename=\"evil.exe", "a_; filename=_evil.exe", "a%22%3B%20filename%3D%22evil.exe"),
            ("100%41", "100_41", "100%2541"),
            ("..\\..\\x", ".._.._x", ".._.._x"),
            ("\u{202e}cod.exe", "_cod.exe", "%E2%80%AEcod.exe"),
            ("it's*(1)", "it's*(1)", "it%27s%2A%281%29"),
        ] {
            let expected = format!("attachment; filename=\"{filename}\"; filename*=UTF-8''{extended}");
            assert_eq!(attachment(name), expected);
        }
    }

    #[test]
    fn the_name_of_an_upload_is_found() {
        for (field, name) in [
            ("attachment; filename=\"a b.txt\"", Some("a b.txt")),
            ("inline; filename=a.txt", Some("a.txt")),
            ("attachment; filename=\"a\\\"b\\\\c\"; other=1", Some("a\"b\\c")),
            ("attachment; filename=plain; filename*=UTF-8''na%C3%AFve", Some("naïve")),
            ("attachment; FILENAME*=utf-8'en'%e2%98%83; filename=\"x\"", Some("☃")),
            ("attachment; filename*=ISO-8859-1''x; filename=y", Some("y")),
            ("attachment; filename=\"../../etc/passwd\"", Some(".._.._etc_passwd")),
            ("attachment", None),
            ("attachment; filename=\"\"", None),
            ("attachment; filename=\"open", None),
            ("attachment; filename", None),
            ("", None),
        ] {
            assert_eq!(filename(field).as_deref(), name, "{field}");
        }
    }

    proptest! {
        #[test]
        fn an_attachment_is_read_as_its_name(name in "[^/\\\\\\p{C}]{1,60}") {
            prop_assert_eq!(filename(&attachment(&name)), Some(super::fitting(&name)));
        }

        #[test]
        fn any_field_is_read(field in any::<String>()) {
            filename(&field);
        }

        #[test]
        fn no_name_escapes_its_quotes_and_the_extended_form_says_it_whole(name in any::<String>()) {
            let value = attachment(&name);
            prop_assert!(value.bytes().all(|b| matches!(b, b' '..=b'~')), "a field's value: {}", value);
            let rest = value.strip_prefix("attachment; filename=\"").unwrap();
            let (filename, extended) = rest.split_once("\"; filename*=UTF-8''").unwrap();
            prop_assert!(!filename.contains(['"', '\\', '%', '/']));
            prop_assert!(!extended.contains([' ', '"', '\\', ';', ',', '\'', '*', '/']));
            let decoded = percent_decode_str(extended).decode_utf8().unwrap();
            prop_assert_eq!(&*decoded, name.replace(['/', '\\'], "_"));
        }
    }
}
