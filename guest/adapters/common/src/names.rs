//! Names of any script and length as identifiers of `portico:storage`.
//!
//! Invariants: two names never have the same identifier; the first letter of an identifier says whether [`decode`] can
//! restore the name.

use sha2::{Digest, Sha256};

/// First letter of an identifier that contains its name.
const WHOLE: char = 'n';

/// First letter of an identifier that has the digest of its name.
const HASHED: char = 'h';

/// Longest identifier that [`encode`] returns, in bytes. An identifier of the contract has at most 128.
pub const ENCODED_MAX: usize = 120;

/// Returns the identifier of a name. Letters and digits of ASCII, `-`, `_` and `.` stand for themselves, each other byte is
/// `~` and two hexadecimal digits. A name whose identifier would be longer than [`ENCODED_MAX`] is replaced by its SHA-256.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut encoded = String::from(WHOLE);
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            other => {
                encoded.push('~');
                encoded.push_str(&hex::encode([other]));
            }
        }
        if encoded.len() > ENCODED_MAX {
            return format!("{HASHED}{}", hex::encode(Sha256::digest(name)));
        }
    }
    encoded
}

/// Whether [`decode`] restores the name from its identifier.
#[must_use]
pub fn is_reversible(encoded: &str) -> bool {
    encoded.starts_with(WHOLE)
}

/// Returns the name of an identifier; `None` for an identifier with a digest, or one that [`encode`] did not return.
#[must_use]
pub fn decode(encoded: &str) -> Option<String> {
    let mut rest = encoded.strip_prefix(WHOLE)?;
    let mut name = Vec::new();
    while let Some((plain, escaped)) = rest.split_once('~') {
        name.extend_from_slice(plain.as_bytes());
        name.extend(hex::decode(escaped.get(..2)?).ok()?);
        rest = &escaped[2..];
    }
    name.extend_from_slice(rest.as_bytes());
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_identifier(text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        (1..=128).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain)
    }

    #[test]
    fn each_name_has_an_identifier_of_its_own() {
        let long = "x".repeat(100_000);
        let names = [
            "",
            ".",
            "..",
            "a",
            "A",
            "a/b",
            "a//b",
            "/",
            "~",
            "~2f",
            "n",
            "h",
            "a b",
            "\0",
            "\n",
            "ä",
            "日本語",
            "🦀",
            "a\u{301}",
            "á",
            "%2F",
            "c:\\x",
            &long,
            &long[1..],
            &"é".repeat(40),
        ];
        let mut encoded: Vec<String> = names.iter().map(|name| encode(name)).collect();
        for (name, encoded) in names.iter().zip(&encoded) {
            assert!(is_identifier(encoded), "{name:?}: {encoded}");
            match is_reversible(encoded) {
                true => assert_eq!(decode(encoded).as_deref(), Some(*name)),
                false => assert_eq!(decode(encoded), None),
            }
        }
        encoded.sort();
        encoded.dedup();
        assert_eq!(encoded.len(), names.len());
    }

    #[test]
    fn the_longest_reversible_name_is_as_long_as_the_limit_says() {
        assert!(is_reversible(&encode(&"x".repeat(ENCODED_MAX - 1))));
        assert!(!is_reversible(&encode(&"x".repeat(ENCODED_MAX))));
        assert_eq!(encode(&"x".repeat(ENCODED_MAX)).len(), 65);
    }

    #[test]
    fn foreign_identifiers_have_no_name() {
        for foreign in ["", "x", "n~", "n~2", "n~zz", "n~ff", "haa"] {
            assert_eq!(decode(foreign), None, "{foreign}");
        }
    }
}
