//! Digest fields (RFC 9530). `sha-256` is supported everywhere, because the host always computes it.
//!
//! The content of a `PUT` is the whole representation without content coding, so `Content-Digest` and `Repr-Digest`
//! describe the same bytes.

use crate::Digest;
use sfv::{
    BareItemFromInput, DictSerializer, KeyRef, Parser,
    visitor::{DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor},
};
use std::convert::Infallible;

const SHA_256: &str = "sha-256";

/// Why digest fields are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDigest {
    /// The field is no dictionary (RFC 9651), or its `sha-256` is not 32 bytes.
    Malformed,
    /// Two fields have different digests.
    Contradiction,
}

/// Returns the SHA-256 that the fields announce. Other algorithms are ignored.
pub fn announced<'f>(fields: impl IntoIterator<Item = Option<&'f str>>) -> Result<Option<Digest>, BadDigest> {
    let mut announced = None;
    for field in fields.into_iter().flatten() {
        let digest = sha_256(field)?;
        if let (Some(one), Some(other)) = (announced, digest)
            && one != other
        {
            return Err(BadDigest::Contradiction);
        }
        announced = announced.or(digest);
    }
    Ok(announced)
}

/// Returns whether a `Want-Content-Digest` or `Want-Repr-Digest` field (RFC 9530, 4) asks for a SHA-256, with a weight
/// of 1 to 10.
pub fn is_wanted(field: &str) -> bool {
    let wanted = Parser::new(field).parse_dictionary_with_visitor(Wanted { weight: 0 });
    wanted.is_ok_and(|weight| (1..=10).contains(&weight))
}

/// Formats a digest field with this SHA-256.
pub fn field(digest: &Digest) -> String {
    let mut dictionary = DictSerializer::new();
    let _ = dictionary.bare_item(KeyRef::constant(SHA_256), digest.as_bytes().as_slice());
    dictionary.finish().unwrap_or_default()
}

fn sha_256(field: &str) -> Result<Option<Digest>, BadDigest> {
    match member(field, SHA_256, Digest::LEN)? {
        None => Ok(None),
        Some(bytes) => bytes.try_into().map(|bytes| Some(Digest::new(bytes))).map_err(|_| BadDigest::Malformed),
    }
}

/// Returns the SHA-512 that a field announces.
pub fn sha_512(field: &str) -> Result<Option<Vec<u8>>, BadDigest> {
    member(field, "sha-512", 64)
}

/// Returns a digest of a field by its algorithm.
fn member(field: &str, algorithm: &'static str, length: usize) -> Result<Option<Vec<u8>>, BadDigest> {
    match Parser::new(field).parse_dictionary_with_visitor(Members { algorithm, found: None }) {
        Ok(None) => Ok(None),
        Ok(Some(Some(digest))) if digest.len() == length => Ok(Some(digest)),
        Ok(Some(_)) | Err(_) => Err(BadDigest::Malformed),
    }
}

/// The member of an algorithm. `None`: absent. `Some(None)`: not a digest. The last of several counts (RFC 9651, 4.2.2).
type Found = Option<Option<Vec<u8>>>;

struct Members {
    algorithm: &'static str,
    found: Found,
}

impl<'de> DictionaryVisitor<'de> for Members {
    type Out = Found;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Member { found: (key.as_str() == self.algorithm).then_some(&mut self.found) })
    }

    fn finish(self) -> Result<Found, Infallible> {
        Ok(self.found)
    }
}

struct Member<'m> {
    found: Option<&'m mut Found>,
}

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(move |value: BareItemFromInput<'de>| {
            if let Some(found) = self.found {
                *found = Some(match value {
                    BareItemFromInput::ByteSequence(bytes) => Some(bytes.to_vec()),
                    _ => None,
                });
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        if let Some(found) = self.found {
            *found = Some(None);
        }
        Ok(Ignored)
    }
}

struct Wanted {
    weight: i64,
}

impl<'de> DictionaryVisitor<'de> for Wanted {
    type Out = i64;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        Ok(Weight { weight: (key.as_str() == SHA_256).then_some(&mut self.weight) })
    }

    fn finish(self) -> Result<i64, Infallible> {
        Ok(self.weight)
    }
}

struct Weight<'w> {
    weight: Option<&'w mut i64>,
}

impl<'de> EntryVisitor<'de> for Weight<'_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(move |value: BareItemFromInput<'de>| {
            if let Some(weight) = self.weight {
                *weight = match value {
                    BareItemFromInput::Integer(weight) => weight.into(),
                    _ => 0,
                };
            }
            Ok::<_, Infallible>(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        if let Some(weight) = self.weight {
            *weight = 0;
        }
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadDigest, announced, field, is_wanted};
    use crate::Digest;
    use proptest::prelude::*;

    /// Of the empty content.
    const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

    fn empty() -> Digest {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse().unwrap()
    }

    #[test]
    fn sha_256_is_found_among_others() {
        for text in [
            EMPTY.to_owned(),
            format!("sha-512=:AAAA:, {EMPTY}"),
            format!("{EMPTY}, md5=:AAAA:, x=(1 2);a=b, y=?1"),
            format!("{EMPTY};note=\"ignored\""),
            format!("sha-256=:AAAA:, {EMPTY}"),
            format!("  {EMPTY}  "),
        ] {
            assert_eq!(announced([Some(text.as_str())]), Ok(Some(empty())), "{text}");
        }
    }

    #[test]
    fn other_algorithms_alone_are_ignored() {
        for text in ["", "sha-512=:AAAA:", "md5=:AAAA:, crc32c=:AAAA:", "unixsum=30637", "sha=:AAAA:"] {
            assert_eq!(announced([Some(text)]), Ok(None), "{text}");
        }
        assert_eq!(announced([None, None]), Ok(None));
    }

    #[test]
    fn malformed_fields_are_told_apart() {
        for text in [
            "sha-256",
            "sha-256=",
            "sha-256=?1",
            "sha-256=47DEQpj8HBSa",
            "sha-256=\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"",
            "sha-256=::",
            "sha-256=:AAAA:",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha-256=:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "sha-256=(:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:)",
            "SHA-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "sha-256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "=",
            ",",
            "\u{e9}",
        ] {
            assert_eq!(announced([Some(text)]), Err(BadDigest::Malformed), "{text}");
        }
        let twice = format!("{EMPTY}, sha-256=:AAAA:");
        assert_eq!(announced([Some(twice.as_str())]), Err(BadDigest::Malformed));
    }

    #[test]
    fn a_digest_is_wanted_with_a_weight() {
        for text in ["sha-256=1", "sha-256=10", "sha-512=10, sha-256=3", "sha-256=0, sha-256=5", "sha-256=5;a=1"] {
            assert!(is_wanted(text), "{text}");
        }
        for text in
            ["", "sha-256=0", "sha-256=11", "sha-256=-1", "sha-256", "sha-512=10", "sha-256=1.0", "sha-256=(1)", ","]
        {
            assert!(!is_wanted(text), "{text}");
        }
    }

    #[test]
    fn two_fields_must_agree() {
        let other = field(&Digest::new([7; 32]));
        assert_eq!(announced([Some(EMPTY), Some(EMPTY)]), Ok(Some(empty())));
        assert_eq!(announced([Some("sha-512=:AAAA:"), Some(EMPTY)]), Ok(Some(empty())));
        assert_eq!(announced([Some(EMPTY), None]), Ok(Some(empty())));
        assert_eq!(announced([Some(EMPTY), Some(other.as_str())]), Err(BadDigest::Contradiction));
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_is_read(bytes in any::<[u8; 32]>()) {
            let digest = Digest::new(bytes);
            prop_assert_eq!(announced([Some(field(&digest).as_str())]), Ok(Some(digest)));
        }

        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let _ = announced([Some(text.as_str())]);
        }
    }
}
