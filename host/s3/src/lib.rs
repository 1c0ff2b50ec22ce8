//! Portico's storage backend for S3-compatible stores.

mod backend;
mod content;
mod digest;
mod each;
mod keys;
mod limits;
mod open;
mod operations;
mod registry;
mod request;
mod shared;
mod slots;

pub use backend::{S3Store, Traffic};
pub use limits::{BadSetting, CONCURRENCY_MAX, MEMORY_MAX, MEMORY_MIN, PART_SIZE_MAX, TIMEOUT_MAX};
pub use open::error::OpenError;
pub use open::options::{Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PREFIX_MAX, PayloadSigning, S3Options};
pub use open::probe::{Capabilities, Finding};
