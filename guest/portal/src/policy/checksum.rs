//! `Upload-Checksum` of tus 1.0: an algorithm and a digest in base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use portico_guest::{Digest, DigestAlgorithm, Expected};

/// The algorithms, as `Tus-Checksum-Algorithm` lists them.
pub(crate) const ALGORITHMS: &str = "sha1,md5,sha256,sha512,crc32c";

/// Adds the checksum to an expectation. Returns false if the field is malformed or names an unknown algorithm.
pub(crate) fn expect(field: &str, expected: &mut Expected) -> bool {
    let Some((algorithm, value)) = field.trim_matches(' ').split_once(' ') else { return false };
    let Ok(value) = BASE64_STANDARD.decode(value.trim_matches(' ')) else { return false };
    let (algorithm, length) = match algorithm.to_ascii_lowercase().as_str() {
        "sha256" => {
            let digest: Option<[u8; Digest::LEN]> = value.try_into().ok();
            expected.sha256 = digest.map(Digest::new);
            return expected.sha256.is_some();
        }
        "sha1" => (DigestAlgorithm::Sha1, 20),
        "md5" => (DigestAlgorithm::Md5, 16),
        "sha512" => (DigestAlgorithm::Sha512, 64),
        "crc32c" => (DigestAlgorithm::Crc32c, 4),
        _ => return false,
    };
    if value.len() != length {
        return false;
    }
    expected.others.push((algorithm, value));
    true
}

#[cfg(test)]
mod tests {
    use super::{ALGORITHMS, expect};
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use portico_guest::Expected;

    #[test]
    fn each_announced_algorithm_is_read() {
        for (algorithm, length) in ALGORITHMS.split(',').zip([20, 16, 32, 64, 4]) {
            let field = |length| format!("{algorithm} {}", BASE64_STANDARD.encode(vec![7_u8; length]));
            let mut expected = Expected::default();
            assert!(expect(&field(length), &mut expected), "{algorithm}");
            assert!(expected.sha256.is_some() || expected.others.len() == 1, "{algorithm}");
            for other in [0, length - 1, length + 1] {
                assert!(!expect(&field(other), &mut Expected::default()), "{algorithm} of {other} bytes");
            }
        }
        for field in ["", "sha1", "sha1 ", " sha1", "sha1 !!!!", "sha3 YQ==", "sha1,YQ==", "sha1:YQ=="] {
            assert!(!expect(field, &mut Expected::default()), "{field}");
        }
    }
}
