//! Content in progress: counted and bounded while it arrives, and compared with what its writer expects.

use super::names;
use crate::bindings::portico::storage::storage::{
    Argument, DigestAlgorithm, Error, Expected, OtherDigest, SizeMismatch,
};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

/// Bytes that have arrived, and their bounds.
#[derive(Debug, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    size: Option<u64>,
    limit: u64,
    failed: Option<Error>,
}

impl Content {
    /// Creates empty content.
    ///
    /// # Errors
    /// `TooLarge` if more bytes are expected than the limit allows.
    pub(super) fn new(expected: &Expected, limit: u64) -> Result<Self, Error> {
        if expected.size.is_some_and(|size| size > limit) {
            return Err(Error::TooLarge(limit));
        }
        Ok(Content { size: expected.size, limit, ..Content::default() })
    }

    /// Returns the number of bytes that have arrived.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The first failure, which stays.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.check()?;
        self.bytes.extend_from_slice(bytes);
        match self.size {
            Some(expected) if self.len() > expected => {
                self.fail(Error::SizeMismatch(SizeMismatch { expected, actual: expected + 1 }))
            }
            _ if self.len() > self.limit => self.fail(Error::TooLarge(self.limit)),
            _ => Ok(()),
        }
    }

    /// Returns the failure, if there was one.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Fails now, unless an earlier operation has failed.
    pub(super) fn fail<T>(&mut self, error: Error) -> Result<T, Error> {
        Err(self.failed.get_or_insert(error).clone())
    }

    /// Returns all bytes, compared with both expectations. `known` was given before the content, `found` after it.
    pub(super) fn finish(&self, known: &Expected, found: &Expected, is_prefix: bool) -> Result<&[u8], Error> {
        if !is_prefix {
            self.check()?;
        }
        for expected in [known, found] {
            compare(&self.bytes, expected, is_prefix)?;
        }
        Ok(&self.bytes)
    }
}

/// Compares bytes with an expectation.
pub(super) fn compare(bytes: &[u8], expected: &Expected, is_prefix: bool) -> Result<(), Error> {
    let actual = bytes.len() as u64;
    if let Some(expected) = expected.size
        && expected != actual
        && !is_prefix
    {
        return Err(Error::SizeMismatch(SizeMismatch { expected, actual }));
    }
    let is_sha256 = |digest: &Vec<u8>| sha256(bytes) == *digest;
    let is_other = |OtherDigest { algorithm, value }: &OtherDigest| digest(*algorithm, bytes) == *value;
    match expected.sha256.as_ref().is_none_or(is_sha256) && expected.others.iter().all(is_other) {
        true => Ok(()),
        false => Err(Error::DigestMismatch),
    }
}

/// Checks the expectation of `finish`, which may name only digests that were computed.
pub(super) fn computed(found: &Expected, known: &Expected, compute: &[DigestAlgorithm]) -> Result<(), Error> {
    names::expected(found)?;
    let is_computed = |algorithm: DigestAlgorithm| {
        compute.contains(&algorithm) || known.others.iter().any(|other| other.algorithm == algorithm)
    };
    match found.others.iter().all(|other| is_computed(other.algorithm)) {
        true => Ok(()),
        false => Err(Error::InvalidArgument(Argument::Expected)),
    }
}

/// Returns the SHA-256 of bytes.
pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn digest(algorithm: DigestAlgorithm, bytes: &[u8]) -> Vec<u8> {
    match algorithm {
        DigestAlgorithm::Md5 => Md5::digest(bytes).to_vec(),
        DigestAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
        DigestAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
        DigestAlgorithm::Crc32c => crc32c(bytes).to_be_bytes().to_vec(),
    }
}

/// Returns the CRC-32C, bit by bit: the reflected polynomial of RFC 9260, appendix A. Speed matters little in a test.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0x82f6_3b78 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}
