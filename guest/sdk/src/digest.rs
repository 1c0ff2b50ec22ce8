//! The digest of content. The host computes digests; guests compare, parse and print them.

use std::{fmt, str::FromStr};

/// A SHA-256. Prints as 64 lowercase hexadecimal digits, and parses digits of either case.
///
/// ```
/// # use portico_guest::Digest;
/// let empty: Digest = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855".parse()?;
/// assert_eq!(empty.as_bytes()[..2], [0xe3, 0xb0]);
/// assert!(empty.to_string().starts_with("e3b0c44298fc"));
/// # Ok::<(), portico_guest::DigestFormError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; Digest::LEN]);

impl Digest {
    /// The length of a SHA-256 in bytes.
    pub const LEN: usize = 32;

    /// Creates a digest of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Digest(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; Digest::LEN]> for Digest {
    fn from(bytes: [u8; Digest::LEN]) -> Self {
        Digest(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestFormError;

    fn from_str(text: &str) -> Result<Self, DigestFormError> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestFormError)?;
        Ok(Digest(bytes))
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: 64 hexadecimal digits expected")]
pub struct DigestFormError;

#[cfg(test)]
mod tests {
    use super::{Digest, DigestFormError};

    #[test]
    fn prints_what_it_parses() {
        let text = "00ff10a5".repeat(8);
        let digest: Digest = text.parse().unwrap();
        assert_eq!(digest.as_bytes()[..4], [0x00, 0xff, 0x10, 0xa5]);
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
    }

    #[test]
    fn refuses_any_other_text() {
        for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(text.parse::<Digest>(), Err(DigestFormError), "{text}");
        }
    }
}
