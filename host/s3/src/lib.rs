//! Portico's storage backend for S3-compatible stores.

mod keys;
mod options;
#[cfg_attr(not(test), expect(dead_code, reason = "the assembly that uses it is not there yet"))]
mod plan;

pub use options::{Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PREFIX_MAX, PayloadSigning, S3Options};
