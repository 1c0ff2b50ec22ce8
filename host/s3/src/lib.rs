//! Portico's storage backend for S3-compatible stores.

mod keys;
mod options;

pub use options::{Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PREFIX_MAX, PayloadSigning, S3Options};
