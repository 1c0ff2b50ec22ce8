//! The original filename: the client's name for a file. The portal stores and returns the name, and never uses it as a
//! key.

use crate::limits::FILENAME_MAX;
use percent_encoding::percent_decode_str;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadName {
    /// The decoded name is not UTF-8.
    NotUtf8,
    /// The name is empty or longer than [`FILENAME_MAX`] bytes.
    Length,
    /// The name contains a `/` or a control character.
    Character,
    /// The name contains a `\`, which may be a path separator of the client's system.
    Backslash,
    /// The name is `.` or `..`.
    Dots,
}

impl BadName {
    /// Returns the reason, for the client.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            BadName::NotUtf8 => "the file name is not UTF-8",
            BadName::Length => "the file name must have 1 to 255 bytes",
            BadName::Character => "the file name must not have slashes or control characters",
            BadName::Backslash => "the file name must not have backslashes",
            BadName::Dots => "the file name must not consist of dots alone",
        }
    }
}

/// Decodes and checks a percent-encoded path segment (RFC 3986, 2.1).
pub(crate) fn of_segment(segment: &str) -> Result<String, BadName> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| BadName::NotUtf8)?;
    check(&name).map(|()| name.into_owned())
}

/// Checks an original filename.
pub(crate) fn check(name: &str) -> Result<(), BadName> {
    match name {
        name if name.is_empty() || name.len() > FILENAME_MAX => Err(BadName::Length),
        name if name.contains(|c: char| c == '/' || c.is_control()) => Err(BadName::Character),
        "." | ".." => Err(BadName::Dots),
        _ => Ok(()),
    }
}

/// Checks the value of a `filename` parameter. Such a value may be a path of the client's system (RFC 6266, 4.3), so
/// both path separators are refused.
pub(crate) fn check_parameter(name: &str) -> Result<(), BadName> {
    if name.contains('\\') { Err(BadName::Backslash) } else { check(name) }
}

#[cfg(test)]
mod tests {
    use super::{BadName, check, check_parameter, of_segment};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    #[test]
    fn names_are_kept_as_the_client_wrote_them() {
        for (segment, name) in [
            ("a.txt", "a.txt"),
            ("a%20b+c.txt", "a b+c.txt"),
            ("%22quoted%22", "\"quoted\""),
            ("back%5Cslash", "back\\slash"),
            ("na%C3%AFve", "naïve"),
            ("%E2%80%AEcod.exe", "\u{202e}cod.exe"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("...", "..."),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(of_segment(segment).as_deref(), Ok(name), "{segment}");
        }
        assert_eq!(of_segment(&"a".repeat(255)).map(|name| name.len()), Ok(255));
    }

    #[test]
    fn hostile_names_are_refused() {
        for (segment, why) in [
            ("", BadName::Length),
            (".", BadName::Dots),
            ("..", BadName::Dots),
            ("%2e%2E", BadName::Dots),
            ("..%2f..%2Fetc", BadName::Character),
            ("a/b", BadName::Character),
            ("a%00b", BadName::Character),
            ("a%0d%0aSet-Cookie:x", BadName::Character),
            ("%7F", BadName::Character),
            ("%C2%85", BadName::Character),
            ("%FF", BadName::NotUtf8),
            ("%C0%AF", BadName::NotUtf8),
            ("%ED%A0%80", BadName::NotUtf8),
        ] {
            assert_eq!(of_segment(segment), Err(why), "{segment}");
        }
        for length in [256, 5_000] {
            assert_eq!(of_segment(&"a".repeat(length)), Err(BadName::Length));
        }
        assert_eq!(of_segment(&"%C3%AF".repeat(128)), Err(BadName::Length), "bytes count, not characters");
    }

    #[test]
    fn a_filename_parameter_is_no_path_of_any_system() {
        for name in ["C:\\x", "..\\..\\x", "\\\\server\\share", "a\\"] {
            assert_eq!(check(name), Ok(()), "{name}");
            assert_eq!(check_parameter(name), Err(BadName::Backslash), "{name}");
        }
        assert_eq!(check_parameter("../x"), Err(BadName::Character));
        assert_eq!(check_parameter("C:x \"1\""), Ok(()));
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_harmless_and_a_harmless_one_accepted(name in "\\PC{1,60}") {
            let harmless = name.len() <= 255
                && !name.contains('/')
                && !name.chars().any(char::is_control)
                && name != "." && name != "..";
            let segment = utf8_percent_encode(&name, NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(of_segment(&segment).ok(), harmless.then_some(name));
        }

        #[test]
        fn no_segment_breaks_it(segment in any::<String>()) {
            if let Ok(name) = of_segment(&segment) {
                prop_assert!((1..=255).contains(&name.len()) && !name.contains(['/', '\0', '\r', '\n']));
            }
        }
    }
}
