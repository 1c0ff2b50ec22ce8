//! Portico's storage backend for S3-compatible stores.

mod alone;
mod background;
mod budget;
mod client;
mod failure;
mod frames;
mod keys;
mod multipart;
mod objects;
mod open_error;
mod options;
mod receipt;
mod running;
mod slot;

pub use open_error::OpenError;
pub use options::{Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PREFIX_MAX, PayloadSigning, S3Options};
