//! Header values with parameters: media types and content dispositions (RFC 9110, 5.6.6; RFC 6266, 4.1).
//!
//! In a quoted value only `\"` and `\\` are escapes. Browsers write every other backslash as it is (HTML, "multipart/
//! form-data encoding algorithm").

use portico_guest::http::media_type::is_token_byte;

/// A header value and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parameterized {
    /// The text before the first semicolon, in lower case.
    pub(crate) value: String,
    /// Names in lower case, each once, and unquoted values.
    parameters: Vec<(String, Vec<u8>)>,
}

impl Parameterized {
    /// Parses a header value; `None` if the value is malformed or repeats a parameter.
    pub(crate) fn parse(text: &[u8]) -> Option<Parameterized> {
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let value = std::str::from_utf8(text[..end].trim_ascii()).ok().filter(|value| !value.is_empty())?;
        let mut parsed = Parameterized { value: value.to_ascii_lowercase(), parameters: Vec::new() };
        let mut rest = &text[end..];
        while let Some(parameter) = rest.strip_prefix(b";") {
            let parameter = parameter.trim_ascii_start();
            if parameter.is_empty() {
                break;
            }
            let (name, after) = split(parameter, |byte| !is_token_byte(byte));
            let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?.to_ascii_lowercase();
            let after = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
            let (value, after) = match after.strip_prefix(b"\"") {
                Some(quoted) => unquote(quoted)?,
                None => {
                    let (value, after) = split(after, |byte| byte.is_ascii_whitespace() || b";,\"".contains(&byte));
                    (value.to_vec(), after)
                }
            };
            if parsed.get(&name).is_some() {
                return None;
            }
            parsed.parameters.push((name, value));
            rest = after.trim_ascii_start();
        }
        rest.trim_ascii().iter().all(|byte| *byte == b';').then_some(parsed)
    }

    /// Returns the value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Iterates over the names of the parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(name, _)| name.as_str())
    }
}

/// Splits before the first byte that `ends` accepts.
fn split(text: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| ends(*byte)).unwrap_or(text.len()))
}

/// Takes a quoted value to its closing quote; returns the rest too. `None` if the quote is not closed.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut value, mut rest) = (Vec::new(), text);
    loop {
        match rest {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Parameterized;
    use proptest::prelude::*;

    #[test]
    fn parameters_in_all_their_spellings() {
        for (text, value, pairs) in [
            ("attachment", "attachment", [].as_slice()),
            ("Attachment ;", "attachment", &[]),
            ("form-data; name=a; filename=\"b c\"", "form-data", &[("name", "a"), ("filename", "b c")]),
            ("form-data;NAME = \"a;b=c\" ; filename=", "form-data", &[("name", "a;b=c"), ("filename", "")]),
            ("form-data; name=\"a\\\"b\\\\c\\d\"", "form-data", &[("name", "a\"b\\c\\d")]),
            (
                "form-data; name=\"\u{e9}\"; filename*=UTF-8''%C3%A9",
                "form-data",
                &[("name", "\u{e9}"), ("filename*", "UTF-8''%C3%A9")],
            ),
        ] {
            let parsed = Parameterized::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parsed.value, value, "{text}");
            assert_eq!(parsed.names().count(), pairs.len(), "{text}");
            for (name, value) in pairs {
                assert_eq!(parsed.get(name), Some(value.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for text in [
            "",
            " ",
            ";",
            "; name=a",
            "form-data; name",
            "form-data; =a",
            "form-data; name=\"a",
            "form-data; name=\"a\\\"",
            "form-data; name=\"a\"b",
            "form-data; name=a b",
            "form-data; name=a, form-data; name=b",
            "form-data; name=a; name=b",
            "form-data; name=a; NAME=a",
            "form-data; na me=a",
        ] {
            assert_eq!(Parameterized::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_breaks_it(text in any::<Vec<u8>>()) {
            let _ = Parameterized::parse(&text);
        }

        #[test]
        fn a_quoted_value_comes_back(value in any::<String>()) {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let parsed = Parameterized::parse(format!("x; a=\"{quoted}\"; b=c").as_bytes()).unwrap();
            prop_assert_eq!(parsed.get("a"), Some(value.as_bytes()));
            prop_assert_eq!(parsed.get("b"), Some(b"c".as_slice()));
        }
    }
}
