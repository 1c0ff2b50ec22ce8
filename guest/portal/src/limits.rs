//! Every size that a client can drive in the portal, by name. The store has its own limits.

/// Longest original filename, in bytes: the limit of common filesystems.
pub(crate) const FILENAME_MAX: usize = 255;

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

/// Longest boundary of a form, in bytes: the limit of RFC 2046, 5.1.1.
pub(crate) const BOUNDARY_MAX: usize = 70;

/// Most files in one form. If the form fails, each stored file costs a delete.
pub(crate) const FORM_FILES_MAX: usize = 100;

/// Most parts of a form: files, other fields, and inputs without a chosen file.
pub(crate) const FORM_PARTS_MAX: usize = 1_000;

/// Largest header section of a part of a form, in bytes; also the largest preamble and epilogue, give or take one
/// [`FORM_READ`].
pub(crate) const FORM_HEAD_MAX: usize = 16 << 10;

/// Most bytes of a form that one read asks of the host.
pub(crate) const FORM_READ: u64 = 64 << 10;

/// Most metadata pairs that a form gives a file. The contract allows 64, and one is the original filename.
pub(crate) const METADATA_PAIRS_MAX: usize = 63;

/// Most bytes of metadata that a form gives a file, names and values together. The contract allows 8 KiB, and the
/// original filename takes its share.
pub(crate) const METADATA_BYTES_MAX: usize = (8 << 10) - "original-filename".len() - FILENAME_MAX;

/// Longest name of a metadata pair, in bytes: the limit of the contract.
pub(crate) const METADATA_NAME_MAX: usize = 64;

/// Most files in one ZIP archive: the most that the store describes in one call.
pub(crate) const ZIP_FILES_MAX: usize = 1_000;

/// Largest form that names the files of a ZIP archive, in bytes.
pub(crate) const ZIP_FORM_MAX: u64 = 256 << 10;
