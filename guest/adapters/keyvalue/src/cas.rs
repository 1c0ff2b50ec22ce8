//! Compare-and-swap, which 0.2.0-draft2 has.

use crate::bucket::{Bucket, Version};
use crate::error::Result;

/// A key as it was read. Its value is replaced only if no other write of the key came since.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Cas {
    bucket: Bucket,
    key: String,
    seen: Option<Version>,
}

impl Cas {
    /// Reads a key.
    pub(crate) fn new(bucket: Bucket, key: String) -> Result<Cas> {
        let seen = bucket.version(&key)?;
        Ok(Cas { bucket, key, seen })
    }

    /// Returns the value that was read.
    pub(crate) fn current(&self) -> Option<Vec<u8>> {
        self.seen.as_ref().map(|(_, value)| value.clone())
    }

    /// Replaces the value. Returns the current state of the key if another write came since.
    pub(crate) fn swap(self, value: Vec<u8>) -> Result<Option<Cas>> {
        let version = self.seen.as_ref().map(|(version, _)| version.as_str());
        if self.bucket.write(&self.key, version, value)? {
            return Ok(None);
        }
        Cas::new(self.bucket, self.key).map(Some)
    }
}
