//! Every size that a client can drive in the portal, by name. What the store limits is in the store.

/// Longest original name of a file, in bytes: as filesystems have it.
pub(crate) const FILENAME_MAX: usize = 255;

/// Longest content type, in bytes: what the contract stores.
pub(crate) const CONTENT_TYPE_MAX: usize = 255;

/// Bytes of a short body that are written at once: what `blocking-write-and-flush` takes.
pub(crate) const WRITE_MAX: usize = 4096;

/// Seconds after which a client may try again when the store does not say.
pub(crate) const RETRY_AFTER: u64 = 5;
