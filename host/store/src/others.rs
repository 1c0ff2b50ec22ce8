//! Digests by other algorithms than SHA-256: those that clients of upload protocols send with their content.
//!
//! They are computed beside the receiving and compared before the content becomes visible. No backend sees them.

use crate::lane::Work;
use crate::{Argument, Error, Result};
use bytes::Bytes;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha512};

/// A digest algorithm beside SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// CRC-32C (RFC 9260, appendix A), the most significant byte first.
    Crc32c,
}

/// Expected digests, at most one of each algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherDigests {
    md5: Option<[u8; 16]>,
    sha1: Option<[u8; 20]>,
    sha512: Option<[u8; 64]>,
    crc32c: Option<[u8; 4]>,
}

impl OtherDigests {
    /// Adds a digest.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a wrong length, and for a second digest of the same algorithm.
    pub fn add(&mut self, algorithm: Algorithm, value: &[u8]) -> Result<()> {
        fn set<const N: usize>(place: &mut Option<[u8; N]>, value: &[u8]) -> Option<()> {
            let value = value.try_into().ok()?;
            place.replace(value).is_none().then_some(())
        }
        let added = match algorithm {
            Algorithm::Md5 => set(&mut self.md5, value),
            Algorithm::Sha1 => set(&mut self.sha1, value),
            Algorithm::Sha512 => set(&mut self.sha512, value),
            Algorithm::Crc32c => set(&mut self.crc32c, value),
        };
        added.ok_or(Error::InvalidArgument(Argument::Expected))
    }

    /// Returns whether no digest is expected.
    pub fn is_empty(&self) -> bool {
        *self == OtherDigests::default()
    }

    /// Merges both sets of expectations; `None` if they contradict each other.
    pub(crate) fn and(self, other: OtherDigests) -> Option<OtherDigests> {
        Some(OtherDigests {
            md5: both(self.md5, other.md5)?,
            sha1: both(self.sha1, other.sha1)?,
            sha512: both(self.sha512, other.sha512)?,
            crc32c: both(self.crc32c, other.crc32c)?,
        })
    }

    fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        [
            self.md5.map(|_| Algorithm::Md5),
            self.sha1.map(|_| Algorithm::Sha1),
            self.sha512.map(|_| Algorithm::Sha512),
            self.crc32c.map(|_| Algorithm::Crc32c),
        ]
        .into_iter()
        .flatten()
    }
}

/// Merges what two callers know; `None` if they contradict each other.
pub(crate) fn both<T: PartialEq>(a: Option<T>, b: Option<T>) -> Option<Option<T>> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => None,
        (a, b) => Some(a.or(b)),
    }
}

/// Running digests of one content.
#[derive(Default)]
pub(crate) struct OtherHashes {
    md5: Option<Md5>,
    sha1: Option<Sha1>,
    sha512: Option<Sha512>,
    crc32c: Option<crc_fast::Digest>,
}

impl OtherHashes {
    /// Starts the digests that are expected or asked for; `None` if there are none.
    pub(crate) fn start(expected: &OtherDigests, compute: &[Algorithm]) -> Option<Self> {
        let mut hashes = OtherHashes::default();
        let mut any = false;
        for algorithm in expected.algorithms().chain(compute.iter().copied()) {
            any = true;
            match algorithm {
                Algorithm::Md5 => hashes.md5 = Some(Md5::new()),
                Algorithm::Sha1 => hashes.sha1 = Some(Sha1::new()),
                Algorithm::Sha512 => hashes.sha512 = Some(Sha512::new()),
                Algorithm::Crc32c => {
                    hashes.crc32c = Some(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi));
                }
            }
        }
        any.then_some(hashes)
    }

    /// Compares the digests with the expected ones.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`]; [`Error::InvalidArgument`] if an expected digest was not computed.
    pub(crate) fn check(self, expected: &OtherDigests) -> Result<()> {
        fn same<const N: usize>(expected: Option<[u8; N]>, computed: Option<[u8; N]>) -> Result<()> {
            match (expected, computed) {
                (None, _) => Ok(()),
                (Some(_), None) => Err(Error::InvalidArgument(Argument::Expected)),
                (Some(expected), Some(computed)) if expected == computed => Ok(()),
                (Some(_), Some(_)) => Err(Error::DigestMismatch),
            }
        }
        same(expected.md5, self.md5.map(|md5| md5.finalize().into()))?;
        same(expected.sha1, self.sha1.map(|sha1| sha1.finalize().into()))?;
        same(expected.sha512, self.sha512.map(|sha512| sha512.finalize().into()))?;
        // The checksum is in the low 32 bits.
        same(expected.crc32c, self.crc32c.map(|crc32c| (crc32c.finalize() as u32).to_be_bytes()))
    }
}

impl Work for OtherHashes {
    type Item = Bytes;

    fn take(&mut self, chunk: Bytes) -> Result<()> {
        if let Some(md5) = &mut self.md5 {
            md5.update(&chunk);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(&chunk);
        }
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(&chunk);
        }
        if let Some(crc32c) = &mut self.crc32c {
            crc32c.update(&chunk);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, OtherDigests, OtherHashes};
    use crate::lane::Work;
    use crate::{Argument, Error};
    use bytes::Bytes;

    /// The digests of `123456789`, the check value of the CRC catalogues; by `openssl dgst` for the others.
    const KNOWN: [(Algorithm, &str); 4] = [
        (Algorithm::Md5, "25f9e794323b453885f5181f1b624d0b"),
        (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (
            Algorithm::Sha512,
            "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
        ),
        (Algorithm::Crc32c, "e3069283"),
    ];

    #[test]
    fn each_algorithm_is_checked_and_only_a_computed_one() {
        for (algorithm, hex) in KNOWN {
            let value = hex::decode(hex).expect("hexadecimal");
            let mut expected = OtherDigests::default();
            expected.add(algorithm, &value).expect("a digest of its length");
            assert!(expected.add(algorithm, &value).is_err(), "{algorithm:?} a second time");
            let hashed = |text: &'static str| {
                let mut hashes = OtherHashes::start(&expected, &[]).expect("something to compute");
                text.as_bytes().chunks(4).for_each(|chunk| hashes.take(Bytes::from_static(chunk)).expect("no failure"));
                hashes.check(&expected)
            };
            assert!(hashed("123456789").is_ok(), "{algorithm:?}");
            assert!(matches!(hashed("123456780"), Err(Error::DigestMismatch)), "{algorithm:?}");
            let none = OtherHashes::default().check(&expected);
            assert!(matches!(none, Err(Error::InvalidArgument(Argument::Expected))), "{algorithm:?}");
            assert!(OtherDigests::default().add(algorithm, &value[1..]).is_err(), "{algorithm:?}");
            assert!(OtherHashes::start(&OtherDigests::default(), &[algorithm]).is_some());
        }
        assert!(OtherHashes::start(&OtherDigests::default(), &[]).is_none());
    }
}
