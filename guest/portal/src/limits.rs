//! Every size that a client can drive in the portal, by name. The store has its own limits.

/// Longest original filename, in bytes: the limit of common filesystems.
pub(crate) const FILENAME_MAX: usize = 255;

/// Longest content type, in bytes: the limit of the contract.
pub(crate) const CONTENT_TYPE_MAX: usize = 255;

/// Most bytes of a short body in one write: the limit of `blocking-write-and-flush`.
pub(crate) const WRITE_MAX: usize = 4096;

/// Seconds after which a client may retry, if the store gives no time.
pub(crate) const RETRY_AFTER: u64 = 5;

/// Most parts of a file: the most that S3 joins without reading them.
pub(crate) const PARTS_MAX: u32 = 10_000;

/// Largest JSON document in a request, in bytes.
pub(crate) const JSON_MAX: u64 = 64 << 10;

/// Longest idempotency key, in bytes.
pub(crate) const IDEMPOTENCY_KEY_MAX: usize = 255;

/// Largest file size that a client may announce, in bytes: the limit of the contract.
pub(crate) const SIZE_MAX: u64 = i64::MAX as u64;

/// Default and largest number of entries in a page of files.
pub(crate) const PAGE: (u32, u32) = (100, 1_000);

/// Longest `Upload-Metadata` field of tus, in bytes. It is kept in the session's record.
pub(crate) const UPLOAD_METADATA_MAX: usize = 16 << 10;

/// Most uploads that one concatenation joins. Their URLs are kept in the session's record.
pub(crate) const CONCAT_MAX: usize = 500;

/// Longest `Upload-Concat` field of tus, in bytes.
pub(crate) const UPLOAD_CONCAT_MAX: usize = 32 << 10;
