//! Every size that a client can drive in the SDK, by name. The store has its own limits.

/// Longest content type, in bytes: the limit of the contract.
pub(crate) const CONTENT_TYPE_MAX: usize = 255;

/// Most bytes of a short body in one write: the limit of `blocking-write-and-flush`.
#[cfg(target_family = "wasm")]
pub(crate) const WRITE_MAX: usize = 4096;

/// Seconds after which a client may retry, if the store gives no time.
pub(crate) const RETRY_AFTER: u64 = 5;
