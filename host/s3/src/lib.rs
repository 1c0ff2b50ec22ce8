//! Portico's storage backend for S3-compatible stores.

mod alone;
mod assemble;
mod background;
mod budget;
mod cache;
mod chain;
mod client;
mod data;
mod failure;
mod frames;
mod keys;
mod list;
mod multipart;
mod objects;
mod open;
mod open_error;
mod options;
mod plan;
mod probe;
mod purge;
mod put_final;
mod put_part;
mod read;
mod receipt;
mod records;
mod running;
mod sending;
mod slot;
mod store;
mod straight;
mod sweep;
mod upload;

pub use open_error::OpenError;
pub use options::{Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PREFIX_MAX, PayloadSigning, S3Options};
pub use probe::{Capabilities, Finding};
pub use store::{S3Store, Traffic};
