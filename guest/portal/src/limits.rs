//! Every size that a client can drive in the portal, by name. What the store limits is in the store.

/// Longest original name of a file, in bytes: as filesystems have it.
pub(crate) const FILENAME_MAX: usize = 255;

/// Longest content type, in bytes: what the contract stores.
pub(crate) const CONTENT_TYPE_MAX: usize = 255;

/// Bytes of a short body that are written at once: what `blocking-write-and-flush` takes.
pub(crate) const WRITE_MAX: usize = 4096;

/// Seconds after which a client may try again when the store does not say.
pub(crate) const RETRY_AFTER: u64 = 5;

/// Most parts of a file: what S3 joins without reading them.
pub(crate) const PARTS_MAX: u32 = 10_000;

/// Largest JSON document that a client may send, in bytes.
pub(crate) const JSON_MAX: u64 = 64 << 10;

/// Longest idempotency key, in bytes.
pub(crate) const IDEMPOTENCY_KEY_MAX: usize = 255;

/// Largest size that a file may be said to have, in bytes: what the contract counts.
pub(crate) const SIZE_MAX: u64 = i64::MAX as u64;

/// Entries of a page of files where the client does not say, and at most.
pub(crate) const PAGE: (u32, u32) = (100, 1_000);
