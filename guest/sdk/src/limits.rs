//! Every size that a client can drive in the SDK, by name. The store has its own limits.

/// Longest content type, in bytes: the limit of the contract.
pub(crate) const CONTENT_TYPE_MAX: usize = 255;
