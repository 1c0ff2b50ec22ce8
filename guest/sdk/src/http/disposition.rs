//! `Content-Disposition` of a download (RFC 6266, RFC 8187): always an attachment, so that no browser renders a
//! stranger's upload.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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
pub fn attachment(name: &str) -> String {
    let name = name.replace(['/', '\\'], "_");
    let plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '%');
    let fallback: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{}", utf8_percent_encode(&name, EXTENDED))
}

#[cfg(test)]
mod tests {
    use super::attachment;
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

    proptest! {
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
