//! The sizes that an app can drive.

/// Longest name of a bucket or key, in bytes. A key that is not reversible is kept in its record, beside the value.
pub(crate) const NAME_MAX: usize = 4 << 10;

/// Most bytes of one record, which is the limit of `portico:storage`: the value, and a long key.
pub(crate) const RECORD_MAX: usize = 64 << 10;

/// Keys of one page of a listing, so that its keys have at most 2 MiB.
pub(crate) const PAGE: u32 = 500;

/// Most bytes of all values that one call of `get-many` returns.
pub(crate) const MANY_BYTES: usize = 8 << 20;
